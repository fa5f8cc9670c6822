"""A private PostgreSQL server for the tests: in a temporary folder, on a Unix socket, gone afterwards."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import psycopg

ABSENT = "PostgreSQL's server is not installed (Debian's package: postgresql)"


def binaries() -> Path | None:
    """Return the folder of `initdb` and `pg_ctl`, None where no server is installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    on_path = shutil.which("initdb")
    if on_path is not None:
        found.append(Path(on_path).resolve())
    return found[-1].parent if found else None


class Server:
    """A server that can be stopped and started. Root cannot run one: then it is run as `postgres` or `nobody`."""

    def __init__(self, folder_of_binaries: Path) -> None:
        self._binaries = folder_of_binaries
        self._folder = Path(tempfile.mkdtemp(prefix="neurona-pg-"))  # short: a socket's path has 107 bytes at most
        self._as: dict[str, Any] = {}
        if os.name == "posix" and os.geteuid() == 0:
            import pwd

            known = {entry.pw_name: entry for entry in pwd.getpwall()}
            account = known.get("postgres") or known["nobody"]
            os.chown(self._folder, account.pw_uid, account.pw_gid)
            self._as = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
        self._databases = 0
        self._run("initdb", "-D", "data", "-U", "neurona", "-A", "trust", "-E", "UTF8", "--no-sync")
        # No test cuts the power, so nothing waits for the disk.
        options = f"listen_addresses=''\nunix_socket_directories='{self._folder}'\nfsync=off\nmax_connections=300\n"
        with (self._folder / "data" / "postgresql.conf").open("a") as file:
            file.write(options)
        self.start()

    def start(self) -> None:
        """Start it, unless it runs."""
        if subprocess.call([self._binaries / "pg_ctl", "status", "-D", "data"], **self._options()) != 0:
            self._run("pg_ctl", "start", "-w", "-D", "data", "-l", "log")

    def stop(self) -> None:
        """Stop it at once: every connection is cut."""
        self._run("pg_ctl", "stop", "-w", "-D", "data", "-m", "immediate")

    def remove(self) -> None:
        """Stop it and remove all it had."""
        self.stop()
        shutil.rmtree(self._folder)

    def url(self, database: str) -> str:
        """Return SQLAlchemy's URL of `database`."""
        return f"postgresql+psycopg://neurona@/{database}?host={self._folder}"

    def new_database(self) -> str:
        """Make an empty database and return its URL."""
        self._databases += 1
        name = f"test_{self._databases}"
        with psycopg.connect(host=str(self._folder), user="neurona", dbname="postgres", autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return self.url(name)

    def _options(self) -> dict[str, Any]:
        return {"cwd": self._folder, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, **self._as}

    def _run(self, program: str, *words: str) -> None:
        subprocess.run([self._binaries / program, *words], check=True, **self._options())
