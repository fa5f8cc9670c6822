"""This process computes: on a processor a run a thread, on a GPU runs of one shape side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from neurona.compute.work import Pace, Work
from neurona.data import Dataset
from neurona.engine import Job, Teacher, room, train_together, workers_here
from neurona.engines import ONE_AT_A_TIME, train
from neurona.specs import NEURONA, Experiment

__all__ = ["HERE", "Here"]


class Here:
    """This process; see `Compute`."""

    one_at_a_time = ONE_AT_A_TIME
    is_elsewhere = False

    def workers(self) -> int:
        """Return the number of cores, or 1 on a GPU."""
        return workers_here()

    def room(self, experiment: Experiment, data: Dataset) -> int:
        """Return how many fit side by side on the device; 1 on a processor."""
        return room(experiment.network, experiment.training, data) if experiment.engine == NEURONA else 1

    def train(
        self, works: Sequence[Work], data: Dataset, *, stop: Callable[[], bool], teacher: Teacher | None = None
    ) -> None:
        """Train `works` side by side in this thread."""
        if len(works) > 1:
            train_together([_job(work, stop) for work in works], data, stop=stop, teacher=teacher)
            return
        (work,) = works
        run = train(
            work.network,
            work.training,
            data,
            seed=work.seed,
            engine=work.engine,
            on_epoch=work.on_epoch,
            stop=stop,
            on_checkpoint=Pace(work.keep, stop).take,
            resume=work.resume,
            initial=work.initial,
            teacher=teacher,
        )
        work.on_end(run)


def _job(work: Work, stop: Callable[[], bool]) -> Job:
    return Job(
        work.network,
        work.training,
        work.seed,
        on_epoch=work.on_epoch,
        on_checkpoint=Pace(work.keep, stop).take,
        on_end=work.on_end,
        resume=work.resume,
        initial=work.initial,
    )


HERE = Here()
