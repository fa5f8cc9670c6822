"""The studies on offer: those in the server's folder of studies, and the one it was started with."""

from __future__ import annotations

import re
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from neurona.data import Dataset
from neurona.errors import StoreError
from neurona.figures import Inspected, inspected, study_data
from neurona.i18n import _
from neurona.study import Study
from neurona.web.endpoint import Refusal

__all__ = ["Studies"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}")
_OPEN = 16  # studies whose database is held open; the one that was not asked for longest is closed first
_DATASETS = 2  # held in memory
_INSPECTED = 3  # networks with their answers to every validation image

Found = TypeVar("Found")


class Studies:
    """The studies by name: a study is asked for by one of `names()` and in no other way, so no name is a path.

    root: the folder whose folders are studies.
    given: the study that the server was started with, on whatever database; it is called as its folder or its lab is.
    """

    def __init__(self, root: Path, given: Study | None = None) -> None:
        self.root = root
        self._given = given
        self._open: OrderedDict[str, Study] = OrderedDict()
        self._data: OrderedDict[str, Dataset] = OrderedDict()
        self._inspected: OrderedDict[tuple[str, str, str], Inspected] = OrderedDict()
        self._remembered: dict[str, tuple[float, object]] = {}
        self._lock = threading.Lock()  # of the studies that are open
        self._heavy = threading.RLock()  # of what takes long: data sets, networks' answers
        self._asking = threading.Lock()  # of what was found lately

    @property
    def given(self) -> str | None:
        """The name of the study that the server was started with."""
        if self._given is None:
            return None
        name = self._given.folder.resolve().name if self._given.folder else self._given.lab
        return name if _NAME.fullmatch(name) else self._given.lab

    def names(self) -> tuple[str, ...]:
        """Return the names of all studies: the given one first, then those of the folder in order."""
        there = []
        with suppress(OSError):  # the folder of studies is made with the first of them
            there = sorted(file.parent.name for file in self.root.glob("*/study.db") if file.is_file())
        given = () if self.given is None else (self.given,)
        return (*given, *(name for name in there if _NAME.fullmatch(name) and name not in given))

    def get(self, name: str) -> Study:
        """Return the study called `name`; Refusal (404) when there is none."""
        if name not in self.names():
            raise no_study(name)
        if name == self.given:
            assert self._given is not None  # noqa: S101
            return self._given
        with self._lock:
            if name in self._open:
                self._open.move_to_end(name)
                return self._open[name]
            study = Study.open(self.root / name)
            self._open[name] = study
            if len(self._open) > _OPEN:
                self._open.popitem(last=False)[1].store.close()
            return study

    def read(self, name: str, what: Callable[[Study], Found]) -> Found:
        """Return what `what` reads in the study called `name`; Refusal (404) when it was removed meanwhile."""
        study = self.get(name)
        try:
            return what(study)
        except StoreError:
            with self._lock:
                stale = self._open.pop(name, None)
            if stale is not None:
                stale.store.close()
            if name not in self.names():
                raise no_study(name) from None
            if stale is None:
                raise
            return what(self.get(name))  # the file was replaced by another

    def lately(self, name: str, key: str, seconds: float, find: Callable[[], Found]) -> Found:
        """Return what `find` found in the last `seconds`, so that many readers ask a study as often as one."""
        whole = f"{name}/{key}"
        with self._asking:
            found = self._remembered.get(whole)
            if found is None or time.monotonic() - found[0] > seconds:
                found = (time.monotonic(), find())
                self._remembered[whole] = found
        return found[1]  # type: ignore[return-value]  # the key says what it is

    def forget(self, name: str) -> None:
        """Forget what was found of the study called `name`: it has just changed."""
        with self._asking:
            for key in [key for key in self._remembered if key.startswith(f"{name}/")]:
                del self._remembered[key]

    def data(self, study: Study) -> Dataset:
        """Return a study's data set; DataError when it is not here, or no longer what the study was made with."""
        fingerprint = study.fingerprint
        with self._heavy:
            if fingerprint not in self._data:
                self._data[fingerprint] = study_data(study)
                if len(self._data) > _DATASETS:
                    self._data.popitem(last=False)
            self._data.move_to_end(fingerprint)
            return self._data[fingerprint]

    def inspected(self, name: str, experiment: str) -> Inspected:
        """Return an experiment's networks, and what they answer to the validation images."""
        study = self.get(name)
        runs = {run.name: run for run in study.experiments()}
        complete = [run.id for run in runs[experiment].ended.values() if run.state == "complete"]
        key = (name, experiment, "".join(complete))
        with self._heavy:
            if key not in self._inspected:
                self._inspected[key] = inspected(study, experiment=experiment, data=self.data(study))
                if len(self._inspected) > _INSPECTED:
                    self._inspected.popitem(last=False)
            return self._inspected[key]

    def close(self) -> None:
        """Close what was opened here."""
        with self._lock:
            for study in self._open.values():
                study.store.close()
            self._open.clear()


def no_study(name: str) -> Refusal:
    """Return the refusal for a name that no study has."""
    return Refusal(404, _("there is no study {name!r} here.").format(name=name[:64]))
