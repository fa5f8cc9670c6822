"""The engine: one compiled call an epoch, and `train`, which makes a run of a network, a training, data and a seed.

On a processor one run uses one core, and more go side by side in threads. On a GPU, which one small network leaves
idle, `train_together` trains as many runs of one shape as its memory holds, in one program.
"""

from neurona.engine.evaluation import evaluate, predictions
from neurona.engine.norms import measured_images, slopes
from neurona.engine.programs import Sizes, Teacher, compilations, room, shape, sizes, workers_here
from neurona.engine.streams import Stream
from neurona.engine.training import Checkpoint, Interrupted, Job, train, train_together

__all__ = [
    "Checkpoint",
    "Interrupted",
    "Job",
    "Sizes",
    "Stream",
    "Teacher",
    "compilations",
    "evaluate",
    "measured_images",
    "predictions",
    "room",
    "shape",
    "sizes",
    "slopes",
    "train",
    "train_together",
    "workers_here",
]
