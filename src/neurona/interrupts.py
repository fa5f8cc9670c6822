"""Ctrl-C that is not lost.

Python raises KeyboardInterrupt wherever the main thread happens to be. Where that is a callback of C code, such as one
of the garbage collector's, the exception is printed at most, and forgotten: the program goes on as if nobody had asked.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["remembering_interrupts"]


@contextmanager
def remembering_interrupts() -> Iterator[Callable[[], None]]:
    """Give a function to call now and then, which raises KeyboardInterrupt when Ctrl-C was pressed meanwhile.

    Ctrl-C raises it at once, too, as ever. Where Python's own handling is not in force, or this is not the main thread,
    nothing is changed and the function does nothing.
    """
    asked = False

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        asked = True
        signal.default_int_handler(number, frame)

    def check() -> None:
        if asked:
            raise KeyboardInterrupt

    in_force = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if not in_force or threading.current_thread() is not threading.main_thread():
        yield check
        return
    signal.signal(signal.SIGINT, handle)
    try:
        yield check
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
