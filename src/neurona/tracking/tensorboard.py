"""TensorBoard's event files: scalars by epoch, histograms of the final weights, hyper-parameters.

The package `tensorboard` (extra `[tensorboard]`) has all that writing them takes: neither TensorFlow nor PyTorch is
needed.
"""

from __future__ import annotations

import io
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from neurona.errors import MissingExtraError, UsageError
from neurona.files import write_whole
from neurona.i18n import _
from neurona.study import Study
from neurona.tracking.ended import EndedRun, ended_runs, hyperparameters

__all__ = ["check_tensorboard", "write_tensorboard"]

# TensorBoard reads every file with `tfevents` in its name. A run that has ended always gives the same bytes under the
# same name, so that a second export adds the runs that are new and doubles nothing.
_FILE = "events.out.tfevents.neurona"
_BINS = 30  # of a histogram: as many as TensorBoard shows


def check_tensorboard() -> None:
    """Raise MissingExtraError unless the package `tensorboard` is there."""
    if find_spec("tensorboard") is None:
        sentence = _("TensorBoard is not installed; it comes with the extra: pip install 'neurona[tensorboard]'.")
        raise MissingExtraError(sentence)


def write_tensorboard(study: Study, folder: str | Path) -> int:
    """Write the runs of a study that have ended as TensorBoard reads them, and return how many they are.

    Each has a folder, `<folder>/<experiment>/seed-<n>`, with one file. In it are `loss`, `accuracy`, `val_loss`,
    `val_accuracy`, `seconds` and the norms of each layer after each epoch, counted from 1; a histogram of each of the
    final weights; and the hyper-parameters, the seeds of an experiment being one group.

    Raises MissingExtraError without the extra, and UsageError when a file cannot be written.
    """
    check_tensorboard()
    count = 0
    for runs in study.experiments():
        for run in ended_runs(study, runs):
            place = Path(folder) / run.name
            try:
                place.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                sentence = _("the folder {folder} cannot be made: {error}.")
                raise UsageError(sentence.format(folder=place, error=error.strerror)) from None
            write_whole(_events(run), place / _FILE)
            count += 1
    return count


def _events(run: EndedRun) -> bytes:
    """Return the event file of a run: equal runs, equal bytes."""
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.summary.writer.record_writer import RecordWriter

    buffer = io.BytesIO()
    records = RecordWriter(buffer)

    def write(time: float, **content: Any) -> None:
        records.write(Event(wall_time=time, **content).SerializeToString(deterministic=True))

    write(run.started, file_version="brain.Event:2")
    write(run.started, summary=Summary(value=[_session_start(run)]))
    for step, (scalars, time) in enumerate(zip(run.scalars(), run.times, strict=True), 1):
        values = [Summary.Value(tag=tag, simple_value=value) for tag, value in scalars.items()]
        write(time, step=step, summary=Summary(value=values))
    histograms = [
        Summary.Value(tag=f"weights/dense_{index}/{name}", histo=_histogram(np.asarray(array)))
        for index, layer in enumerate(run.parameters())
        for name, array in sorted(layer.items())  # read back, they come in any order
    ]
    write(run.finished, step=len(run.epochs), summary=Summary(value=histograms))
    write(run.finished, step=len(run.epochs), summary=Summary(value=[_session_end(run)]))
    return buffer.getvalue()


def _histogram(array: npt.NDArray[Any]) -> Any:
    """Return TensorBoard's histogram of the finite numbers in `array`; those of a diverged run may not be."""
    from tensorboard.compat.proto.summary_pb2 import HistogramProto

    values = array[np.isfinite(array)].astype(np.float64)
    if not len(values):
        return HistogramProto()
    counts, edges = np.histogram(values, bins=_BINS)
    return HistogramProto(
        min=values.min(),
        max=values.max(),
        num=len(values),
        sum=values.sum(),
        sum_squares=(values**2).sum(),
        bucket_limit=edges[1:],
        bucket=counts,
    )


def _session_start(run: EndedRun) -> Any:
    """Return the hyper-parameters as TensorBoard's plugin reads them."""
    from tensorboard.plugins.hparams import metadata
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData, SessionStartInfo

    info = SessionStartInfo(group_name=run.experiment.name, start_time_secs=run.started, model_uri=run.id)
    for name, value in hyperparameters(run.experiment).items():
        if isinstance(value, bool):
            info.hparams[name].bool_value = value
        elif isinstance(value, str):
            info.hparams[name].string_value = value
        else:
            info.hparams[name].number_value = value
    return _plugin_value(metadata.SESSION_START_INFO_TAG, HParamsPluginData(session_start_info=info))


def _session_end(run: EndedRun) -> Any:
    from tensorboard.plugins.hparams import metadata
    from tensorboard.plugins.hparams.api_pb2 import Status
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData, SessionEndInfo

    status = Status.STATUS_SUCCESS if run.state == "complete" else Status.STATUS_FAILURE
    info = SessionEndInfo(status=status, end_time_secs=run.finished)
    return _plugin_value(metadata.SESSION_END_INFO_TAG, HParamsPluginData(session_end_info=info))


def _plugin_value(tag: str, content: Any) -> Any:
    """Return what the plugin reads, as its `create_summary_metadata` does, with a map's keys in their order."""
    from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
    from tensorboard.plugins.hparams import metadata

    content.version = metadata.PLUGIN_DATA_VERSION
    packed = content.SerializeToString(deterministic=True)
    plugin = SummaryMetadata.PluginData(plugin_name=metadata.PLUGIN_NAME, content=packed)
    return Summary.Value(tag=tag, metadata=SummaryMetadata(plugin_data=plugin), tensor=metadata.NULL_TENSOR)
