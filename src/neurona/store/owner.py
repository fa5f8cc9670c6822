"""Who runs a run: the process that claims it, and what its row says of that."""

from __future__ import annotations

import json
import os
import secrets
import socket
from dataclasses import dataclass
from functools import cache
from typing import Any, Self

import psutil

from neurona.machine import machine, versions
from neurona.run import ENGINE_VERSIONS

__all__ = ["Owner", "provenance"]


@dataclass(frozen=True)
class Owner:
    """A process that claims runs, told apart from every other, past ones with the same number included."""

    host: str
    process: int
    started: float
    nonce: str

    @classmethod
    def this_process(cls) -> Self:
        """Return an owner for the process that calls."""
        return cls(socket.gethostname(), os.getpid(), psutil.Process().create_time(), secrets.token_hex(4))

    def __str__(self) -> str:
        return json.dumps([self.host, self.process, self.started, self.nonce])

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the owner that `str` wrote."""
        return cls(*json.loads(text))

    def is_gone(self) -> bool:
        """Whether the process is known to have ended: it was one of this machine's, and is there no more."""
        if self.host != socket.gethostname():
            return False
        try:
            return bool(abs(psutil.Process(self.process).create_time() - self.started) > 1.0)
        except psutil.NoSuchProcess:
            return True
        except psutil.Error:
            return False


@cache
def provenance(engine: str) -> dict[str, Any]:
    """Return what a run's row says about where it ran: `engine`, its version, and as JSON `versions` and `machine`."""
    return {"engine": ENGINE_VERSIONS[engine], "versions": json.dumps(versions()), "machine": json.dumps(machine())}
