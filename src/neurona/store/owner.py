"""Who runs a run: the process that claims it, and the libraries and the machine that it has."""

from __future__ import annotations

import json
import os
import platform
import secrets
import socket
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any, Self

import psutil

from neurona.run import ENGINE_VERSION, ENGINE_VERSIONS

__all__ = ["Owner", "machine", "made_by", "provenance", "versions"]


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


def versions() -> dict[str, str]:
    """Return the versions of Python and of the libraries that a run rests on."""
    libraries = ("neurona", "jax", "jaxlib", "numpy")
    return {"python": platform.python_version()} | {name: metadata.version(name) for name in libraries}


def machine() -> dict[str, Any]:
    """Return what is worth knowing of this machine: `host`, `system`, `processor`, `cores`, `memory` in bytes."""
    return {
        "host": socket.gethostname(),
        "system": platform.platform(),
        "processor": _processor(),
        "cores": psutil.cpu_count(),
        "usable_cores": _usable_cores(),
        "memory": psutil.virtual_memory().total,
    }


@cache
def made_by() -> str:
    """Return what must be the same for a run to go on from a checkpoint to the same bits.

    Libraries, processor, and over how many cores XLA divides products: those that the process may use, or NPROC.
    """
    libraries = {name: metadata.version(name) for name in ("jax", "jaxlib", "numpy")}
    return json.dumps({"engine": ENGINE_VERSION, **libraries, "processor": _processor(), "cores": _usable_cores()})


def _usable_cores() -> int | None:
    """Return over how many cores XLA divides products."""
    told = os.environ.get("NPROC", "")
    if told.isdecimal():
        return int(told)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


@cache
def _processor() -> str:
    try:  # Linux says no more than x86_64 elsewhere
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
