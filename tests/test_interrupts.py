"""Ctrl-C that Python loses is remembered; and nobody's own handling of it is touched."""

from __future__ import annotations

import gc
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from neurona.interrupts import remembering_interrupts


def ctrl_c(*_about_the_collection: object) -> None:
    signal.raise_signal(signal.SIGINT)


@contextmanager
def collecting_with(callback: object) -> Iterator[None]:
    gc.callbacks.append(callback)
    try:
        yield
    finally:
        gc.callbacks.remove(callback)


def test_a_lost_one_is_raised_when_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    lost: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", lost.append)
    with remembering_interrupts() as check:
        check()
        with collecting_with(ctrl_c):
            gc.collect()  # whoever loses it, this is how
        assert lost
        with pytest.raises(KeyboardInterrupt):
            check()
    with remembering_interrupts() as check:
        check()


def test_one_that_is_not_lost_is_raised_at_once_and_python_handles_those_afterwards() -> None:
    with pytest.raises(KeyboardInterrupt), remembering_interrupts():
        signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_handler_of_the_users_own_stays() -> None:
    heard: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _frame: heard.append(number))
    try:
        with remembering_interrupts() as check:
            signal.raise_signal(signal.SIGINT)
            check()
    finally:
        signal.signal(signal.SIGINT, before)
    assert heard == [signal.SIGINT]


def test_outside_the_main_thread_nothing_is_changed() -> None:
    handlers: list[object] = []

    def work() -> None:
        with remembering_interrupts() as check:
            check()
            handlers.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert handlers == [signal.default_int_handler]
