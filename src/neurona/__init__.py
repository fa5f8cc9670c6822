"""Neurona: a laboratory for dense neural networks on small images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

# Public name -> module that defines it. Names are imported on first use: `import neurona` loads none of JAX, SciPy
# or SQLAlchemy.
_EXPORTS = {
    "Augmentation": "specs",
    "Dataset": "data",
    "EarlyStopping": "specs",
    "Experiment": "specs",
    "Lab": "study",
    "Model": "model",
    "Network": "specs",
    "NeuronaError": "errors",
    "Optimizer": "specs",
    "Run": "run",
    "Schedule": "specs",
    "Search": "search",
    "Study": "study",
    "Training": "specs",
    "best": "champion",
    "export": "exports",
    "from_keras": "keras.reading",
    "load": "data",
    "load_model": "model",
    "read_digits": "reading",
    "to_keras": "keras.model",
    "train": "engines",
    "write_report": "report",
}

__all__ = [
    "Augmentation",
    "Dataset",
    "EarlyStopping",
    "Experiment",
    "Lab",
    "Model",
    "Network",
    "NeuronaError",
    "Optimizer",
    "Run",
    "Schedule",
    "Search",
    "Study",
    "Training",
    "__version__",
    "best",
    "export",
    "from_keras",
    "load",
    "load_model",
    "read_digits",
    "to_keras",
    "train",
    "write_report",
]

if TYPE_CHECKING:
    from neurona.champion import best as best
    from neurona.data import Dataset as Dataset
    from neurona.data import load as load
    from neurona.engines import train as train
    from neurona.errors import NeuronaError as NeuronaError
    from neurona.exports import export as export
    from neurona.keras.model import to_keras as to_keras
    from neurona.keras.reading import from_keras as from_keras
    from neurona.model import Model as Model
    from neurona.model import load_model as load_model
    from neurona.reading import read_digits as read_digits
    from neurona.report import write_report as write_report
    from neurona.run import Run as Run
    from neurona.search import Search as Search
    from neurona.specs import Augmentation as Augmentation
    from neurona.specs import EarlyStopping as EarlyStopping
    from neurona.specs import Experiment as Experiment
    from neurona.specs import Network as Network
    from neurona.specs import Optimizer as Optimizer
    from neurona.specs import Schedule as Schedule
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
