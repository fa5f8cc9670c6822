"""The machine that trains, and the libraries that it has: what decides a run's bits, and what is worth knowing."""

from __future__ import annotations

import json
import os
import platform
import socket
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import jax
import psutil

from neurona.run import ENGINE_VERSION

__all__ = ["cores", "machine", "made_by", "trained_on", "versions"]


def cores() -> int:
    """Return over how many cores XLA divides its work: NPROC, which it obeys, or those that this process may use."""
    told = os.environ.get("NPROC", "")
    if told.isdecimal():
        return max(1, int(told))
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def versions() -> dict[str, str]:
    """Return the versions of Python and of the libraries that a run rests on."""
    libraries = ("neurona", "jax", "jaxlib", "numpy")
    return {"python": platform.python_version()} | {name: metadata.version(name) for name in libraries}


def machine() -> dict[str, Any]:
    """Return what is worth knowing of this machine.

    `host`, `system`, `processor`, `cores`, `usable_cores` (by this process) and `memory` in bytes.
    """
    return {
        "host": socket.gethostname(),
        "system": platform.platform(),
        "processor": _processor(),
        "cores": psutil.cpu_count(),
        "usable_cores": cores(),
        "memory": psutil.virtual_memory().total,
    }


def trained_on() -> dict[str, Any]:
    """Return what `machine` does, and as `device` what JAX trains on: `cpu` or `gpu`."""
    return machine() | {"device": jax.default_backend()}


@cache
def made_by() -> str:
    """Return what must be the same for a run to go on from a checkpoint to the same bits.

    Libraries, processor, and over how many cores XLA divides products.
    """
    libraries = {name: metadata.version(name) for name in ("jax", "jaxlib", "numpy")}
    return json.dumps({"engine": ENGINE_VERSION, **libraries, "processor": _processor(), "cores": cores()})


@cache
def _processor() -> str:
    try:  # Linux says no more than x86_64 elsewhere
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
