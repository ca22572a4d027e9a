"""Keras with the backend that KERAS_BACKEND names, or that is installed: ``from learning.keras_backend import keras``.

The backend must be chosen before Keras is loaded, and stays for the process.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import sys

from errors import MissingDependency

_BACKENDS = {"torch": ("torch",), "tensorflow": ("tensorflow", "tf2onnx")}  # with what the export to ONNX needs


def choose() -> str:
    """The backend that KERAS_BACKEND names, else the first that is installed; raises :class:`MissingDependency`."""
    wish = os.environ.get("KERAS_BACKEND", "")
    if wish and wish not in _BACKENDS:
        raise MissingDependency(f"KERAS_BACKEND={wish} is not supported.", f"Set it to {' or '.join(_BACKENDS)}.")
    name = wish or next((name for name in _BACKENDS if importlib.util.find_spec(name)), "torch")
    if missing := [library for library in _BACKENDS[name] if importlib.util.find_spec(library) is None]:
        text = f"Keras with the backend {name} needs {', '.join(missing)}, not installed here."
        remedy = "-r requirements-learning.txt" if name == "torch" else " ".join(_BACKENDS[name])
        raise MissingDependency(text, f"Run: pip install {remedy}")
    return name


if "keras" not in sys.modules:
    os.environ["KERAS_BACKEND"] = choose()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # TensorFlow greets with what its build can do
import keras  # noqa: E402

BACKEND: str = keras.backend.backend()
for _name in ("absl", "tensorflow"):
    logging.getLogger(_name).setLevel(logging.ERROR)  # Keras calls .h5 old, TensorFlow counts its tracings
logging.getLogger().addHandler(logging.NullHandler())  # else absl adds one that prints every record a second time

__all__ = ["BACKEND", "keras"]
