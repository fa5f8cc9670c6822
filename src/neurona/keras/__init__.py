"""Keras (extra `[keras]`): a network as a Keras model and back, and training by `model.fit`.

Importing anything of this package loads Keras, on the backend that the user's `KERAS_BACKEND` or `keras.json` names.
Where neither is set, or `keras.json` names one that is not installed, as the file that Keras writes of its own accord
does, it is JAX, which Neurona has anyway. MissingExtraError when Keras or the backend asked for is not there.
"""

from __future__ import annotations

import json
import os
import sys
from importlib.util import find_spec
from pathlib import Path

from neurona.errors import MissingExtraError
from neurona.i18n import _


def _load() -> None:
    """Load Keras."""
    if find_spec("keras") is None:
        sentence = _("Keras is not installed; it comes with the extra [keras]: pip install 'neurona[keras]'.")
        raise MissingExtraError(sentence)
    if "keras" not in sys.modules and "KERAS_BACKEND" not in os.environ and find_spec(_configured()) is None:
        os.environ["KERAS_BACKEND"] = "jax"
    try:
        import keras  # noqa: F401
    except (ImportError, ValueError) as error:
        sentence = _(
            "Keras finds no backend: {error}. KERAS_BACKEND must name one that is installed; jax comes with Neurona."
        )
        raise MissingExtraError(sentence.format(error=str(error).rstrip("."))) from None


def _configured() -> str:
    """Return the module of the backend that Keras takes unless the environment names one."""
    folder = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras")
    try:
        backend = json.loads((folder / "keras.json").read_text(encoding="utf-8"))["backend"]
    except (OSError, ValueError, KeyError, TypeError):
        return "tensorflow"
    return backend if isinstance(backend, str) and backend.isidentifier() else "tensorflow"


_load()
