"""The page's server as its user starts it: a process."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any


class Server:
    """`neurona serve` with `words`, on a port of its own, from the time that it answers until `stop`."""

    def __init__(self, *words: str, folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self.process = subprocess.Popen(
            [sys.executable, "-m", "neurona", "serve", "--no-browser", "--port", str(self.port), *words],
            cwd=folder,
            env=os.environ | {"NEURONA_LANG": "en"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,  # so that no line is read ahead and lost to `communicate`
        )
        assert self.process.stderr is not None
        self.said = self.process.stderr.readline().decode()  # it says where it is once it answers

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def ask(self, path: str, body: Any = None, method: str | None = None, **headers: str) -> tuple[int, Any]:
        """Return status and JSON document of an answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        content = None if body is None else json.dumps(body)
        given = {"content-type": "application/json"} if body is not None else {}
        connection.request(method or ("GET" if body is None else "POST"), path, content, given | headers)
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        return answer.status, json.loads(text) if "json" in answer.headers.get("content-type", "") else text

    def stop(self) -> tuple[int, str]:
        """Press Ctrl-C; return the exit code and what it has said since."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        _out, said = self.process.communicate(timeout=60)
        return self.process.returncode, said.decode()
