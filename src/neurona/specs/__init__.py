"""What can be declared: a network, its training, and an experiment that names the two.

Specifications are frozen pydantic models. An unknown key, a value out of range or a misspelt name is a `SpecError`
that says where it stands. `spec.replace(...)` makes another; nothing changes one.
"""

from neurona.specs.augmentation import Augmentation
from neurona.specs.experiment import ENGINES, NEURONA, Experiment, check_engine
from neurona.specs.network import ACTIVATIONS, INITIALIZERS, NORMALIZATIONS, Network
from neurona.specs.optimizer import OPTIMIZERS, Optimizer
from neurona.specs.schedule import SCHEDULES, Schedule
from neurona.specs.spec import Spec, did_you_mean, fingerprint, unknown_key
from neurona.specs.training import MONITORS, PRECISIONS, EarlyStopping, Training

__all__ = [
    "ACTIVATIONS",
    "ENGINES",
    "INITIALIZERS",
    "MONITORS",
    "NEURONA",
    "NORMALIZATIONS",
    "OPTIMIZERS",
    "PRECISIONS",
    "SCHEDULES",
    "Augmentation",
    "EarlyStopping",
    "Experiment",
    "Network",
    "Optimizer",
    "Schedule",
    "Spec",
    "Training",
    "check_engine",
    "did_you_mean",
    "fingerprint",
    "unknown_key",
]
