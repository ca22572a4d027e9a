"""Networks of Keras as files: .keras, .h5 and ONNX."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from errors import DataSetError
from image_io import write_bytes
from learning.keras_backend import keras
from learning.onnx_files import finished

SUFFIXES = (".keras", ".h5")
INPUT = "patch"


def save_model(model: keras.Model, path: Path) -> None:
    """Write a model without its optimiser as .keras or .h5, atomically; raises :class:`OutputError`."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, f"model{path.suffix}")
        keras.Model(model.input, model.output, name=model.name).save(file)
        write_bytes(path, file.read_bytes())


def load_model(path: Path) -> keras.Model:
    """The model in a .keras or .h5 file; no code in the file is run.

    Raises :class:`DataSetError` for a file that is missing, damaged or of another kind.
    """
    remedy = "Give a model of: python -m learning.train DATASET --task patch"
    if path.suffix not in SUFFIXES:
        raise DataSetError(f"{path} ends in none of {', '.join(SUFFIXES)}.", remedy)
    if not path.is_file():
        raise DataSetError(f"{path} is no file.", remedy)
    try:
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # a damaged file can raise anything
        raise DataSetError(f"{path} is no model, or a damaged one ({type(error).__name__}).", remedy) from error


def export_onnx(model: keras.Model, examples: np.ndarray, properties: Mapping[str, Any]) -> bytes:
    """The model as ONNX: ``patch`` (n, channels, S, S) to ``probabilities`` (n, classes).

    See :func:`learning.onnx_files.finished` for the arguments and what is raised.
    """
    signature = [keras.InputSpec(shape=(None, *examples.shape[1:]), dtype="float32", name=INPUT)]
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporters' about themselves: what they give is compared
        file = Path(folder, "model.onnx")
        model.export(file, format="onnx", input_signature=signature, verbose=False)
        data = file.read_bytes()
    return finished(data, INPUT, properties, examples, model.predict_on_batch(examples))
