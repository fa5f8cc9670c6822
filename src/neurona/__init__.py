"""Neurona: a laboratory for dense neural networks on small images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

# Public name -> module that defines it. Names are imported on first use: `import neurona` loads none of JAX, SciPy
# or SQLAlchemy.
_EXPORTS = {
    "Dataset": "data",
    "Experiment": "specs",
    "Lab": "study",
    "Network": "specs",
    "NeuronaError": "errors",
    "Optimizer": "specs",
    "Run": "run",
    "Study": "study",
    "Training": "specs",
    "load": "data",
    "train": "engine",
}

__all__ = [
    "Dataset",
    "Experiment",
    "Lab",
    "Network",
    "NeuronaError",
    "Optimizer",
    "Run",
    "Study",
    "Training",
    "__version__",
    "load",
    "train",
]

if TYPE_CHECKING:
    from neurona.data import Dataset as Dataset
    from neurona.data import load as load
    from neurona.engine import train as train
    from neurona.errors import NeuronaError as NeuronaError
    from neurona.run import Run as Run
    from neurona.specs import Experiment as Experiment
    from neurona.specs import Network as Network
    from neurona.specs import Optimizer as Optimizer
    from neurona.specs import Training as Training
    from neurona.study import Lab as Lab
    from neurona.study import Study as Study


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module 'neurona' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"neurona.{_EXPORTS[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
