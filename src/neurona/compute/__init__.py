"""Where runs are computed: in this process, or on a Ray cluster (extra `[ray]`). One object decides it for all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from neurona.compute.here import HERE, Here
from neurona.compute.work import Compute, Work
from neurona.errors import UsageError
from neurona.i18n import _

__all__ = ["HERE", "LOCAL", "Compute", "Here", "Work", "computing"]

LOCAL = "local"  # the word for this process


@contextmanager
def computing(on: str | Compute = LOCAL, *, workers: int | None = None, gpus_per_run: float = 0.0) -> Iterator[Compute]:
    """Give what computes where `on` says, and close it afterwards, if it was opened for that.

    on: `local`: this process; `ray`: the cluster that RAY_ADDRESS names, else one that is started on this machine;
        `auto`: the cluster that this machine belongs to; `ray://host:port` or `host:port`: that one; or a `Compute`.
    workers: of a cluster that is started on this machine, its cores; as many as there are unless given.
    gpus_per_run: of a cluster, what each piece of work has for its own: 0.25 lets four share a GPU.

    Raises UsageError for words that are none of these, or GPUs without a cluster; MissingExtraError without Ray;
    ClusterError for a cluster that cannot be reached.
    """
    if not isinstance(on, str):
        yield on
    elif on == LOCAL:
        if gpus_per_run:
            raise UsageError(_("--gpus-per-run goes with --on: it says what a piece of work has of a cluster's GPUs."))
        yield HERE
    else:
        from neurona.compute.cluster import Cluster

        cluster = Cluster.open(on, workers=workers, gpus_per_run=gpus_per_run)
        try:
            yield cluster
        finally:
            cluster.close()
