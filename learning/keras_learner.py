"""A classifier of Keras that learns, with either backend."""

from __future__ import annotations

import importlib
import io
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from errors import DataSetError, MissingDependency, UnreadableImage
from image_io import file_bytes, write_bytes
from learning.keras_backend import BACKEND, keras
from learning.keras_files import export_onnx, load_model, save_model
from learning.training_job import KERAS_BEST, KERAS_H5, KERAS_LAST, TrainingJob

_FORMAT = "dscope-blink keras 1"
_LEAST_PROBABILITY = 1e-7  # in a logarithm


class KerasLearner:
    """See :class:`learning.training.Learner`; targets (N,) are classes, which weigh as ``weights`` (classes,) says."""

    last, best = KERAS_LAST, KERAS_BEST

    def __init__(self, job: TrainingJob, build: Callable[[], keras.Model], weights: np.ndarray) -> None:
        self.identity: Mapping[str, Any] = {"backend": BACKEND}
        self._device, self._weights = _prepared_device(job.device), weights.astype(np.float32)
        keras.utils.set_random_seed(job.seed)
        with self._on_device():
            self.model = build()
            self.model.optimizer.build(self.model.trainable_variables)

    def begin_epoch(self, seed: int) -> None:
        keras.utils.set_random_seed(seed)

    def learn(self, inputs: np.ndarray, targets: np.ndarray, lr: float) -> float:
        self.model.optimizer.learning_rate = lr
        self.model.reset_metrics()  # the loss that Keras returns is a mean since then
        with self._on_device():
            found = self.model.train_on_batch(
                inputs, targets.astype(np.int32), sample_weight=self._weights[targets], return_dict=True
            )
        return float(found["loss"])

    def judge(self, inputs: np.ndarray, targets: np.ndarray) -> tuple[float, np.ndarray]:
        with self._on_device():
            probabilities = self.model.predict_on_batch(inputs)
        right = probabilities[np.arange(len(targets)), targets]
        losses = -np.log(np.maximum(right, _LEAST_PROBABILITY)) * self._weights[targets]
        return float(losses.mean()), probabilities.argmax(axis=1)

    def save_last(self, path: Path, header: Mapping[str, Any], progress: Mapping[str, Any]) -> None:
        buffer = io.BytesIO()
        texts = {"format": _FORMAT, "header": json.dumps(header), "progress": json.dumps(progress)}
        arrays = {f"v{number}": variable.numpy() for number, variable in enumerate(self._variables())}
        np.savez(buffer, **{name: np.array(text) for name, text in texts.items()}, **arrays)
        write_bytes(path, buffer.getvalue())

    def read_last(self, path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        remedy = "Give another --out, or train again without --resume."
        try:
            with np.load(io.BytesIO(file_bytes(path)), allow_pickle=False) as file:
                content = dict(file)
            if str(content["format"]) != _FORMAT:
                raise ValueError(str(content["format"]))
            return json.loads(str(content["header"])), content
        except UnreadableImage as error:
            raise DataSetError(f"{path}: {error.message}", remedy) from error
        except Exception as error:  # a damaged file can raise anything
            raise DataSetError(
                f"{path} is no checkpoint, or a damaged one ({type(error).__name__}).", remedy
            ) from error

    def resume(self, content: dict[str, np.ndarray]) -> dict[str, Any]:
        for number, variable in enumerate(self._variables()):
            variable.assign(content[f"v{number}"])
        return json.loads(str(content["progress"]))

    def save_best(self, path: Path, header: Mapping[str, Any]) -> None:
        save_model(self.model, path)
        save_model(self.model, path.with_name(KERAS_H5))

    def load_best(self, path: Path) -> None:
        self.model.set_weights(load_model(path).get_weights())

    def to_onnx(self, examples: np.ndarray, properties: Mapping[str, Any]) -> bytes:
        with self._on_device():
            return export_onnx(self.model, examples, properties)

    def facts(self) -> dict[str, Any]:
        backend = importlib.import_module(BACKEND)
        return {
            "weights": self.model.count_params(),
            "versions": {"keras": keras.__version__, BACKEND: backend.__version__, "numpy": np.__version__},
            "device": self._device,
        }

    def _variables(self) -> list[keras.Variable]:
        """Everything that a later epoch depends on: weights, means of normalisation, state of chance, optimiser."""
        return [*self.model.variables, *self.model.optimizer.variables]

    def _on_device(self) -> Any:
        # without a number: PyTorch would copy every weight from cpu to cpu:0, and the copies learn nothing
        return keras.device("gpu" if self._device == "cuda" else "cpu")


def _prepared_device(name: str) -> str:
    """The device that ``name`` asks for, as for PyTorch; results on it are made repeatable."""
    if BACKEND == "torch":
        from learning.torch_learner import be_deterministic, choose_device

        device = choose_device(name)
        be_deterministic(device)
        return device
    import tensorflow

    has_gpu = bool(tensorflow.config.list_physical_devices("GPU"))
    if name == "cuda" and not has_gpu:
        raise MissingDependency("TensorFlow finds no GPU for --device cuda.", "Use --device cpu, or install CUDA.")
    tensorflow.config.experimental.enable_op_determinism()
    return ("cuda" if has_gpu else "cpu") if name == "auto" else name
