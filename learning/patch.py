"""The task patch, in Keras: which kind of mark a piece of a face shows, or that it shows none (artifact).

Training by ``python -m learning.train --task patch``; :func:`load` and :func:`predict` for use in Python.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from errors import DataSetError, UsageError
from learning.keras_backend import keras
from learning.keras_files import INPUT, load_model
from learning.keras_learner import KerasLearner
from learning.loading import Loader
from learning.onnx_files import OUTPUT
from learning.pieces import CLASSES, Pieces, read_pieces
from learning.samples import check_splits, limited
from learning.training import Objective
from learning.training import train as fit
from learning.training_job import Outcome, TrainingJob
from second_opinion.patch_input import PatchForm, patch_input

FORM = PatchForm(64)
_STEM, _WIDTHS = 24, (32, 48, 64)
_LEAST_SIZE = 2 * 2 ** len(_WIDTHS)
_DENSE = 64
_MOMENTUM = 0.7  # of the means over batches: a small data set has few of them
_DROPOUT = 0.3
_LR, _WEIGHT_DECAY = 1e-3, 1e-4
_MOST_WEIGHT = 10.0  # of a rare class: a handful of pieces must not decide everything


def build_model(
    input_shape: tuple[int, int, int] = (FORM.channels, FORM.size, FORM.size),
    classes: Sequence[str] = CLASSES,
    extra_layers: Sequence[keras.layers.Layer] = (),
) -> keras.Model:
    """A small convolutional network, compiled: (N, channels, S, S) to probabilities (N, classes).

    ``extra_layers`` come before the last layer. S is at least 16.
    """
    layers = keras.layers

    def convolved(found: keras.KerasTensor, width: int, side: int = 3, stride: int = 1) -> keras.KerasTensor:
        shape = {"padding": "same", "use_bias": False, "data_format": "channels_last"}
        found = layers.Conv2D(width, side, strides=stride, **shape)(found)
        return layers.ReLU()(layers.BatchNormalization(momentum=_MOMENTUM)(found))

    inputs = keras.Input(input_shape, name=INPUT)
    found = layers.Permute((2, 3, 1))(inputs)  # convolutions of TensorFlow on a CPU take channels last alone
    found = convolved(found, _STEM, 5, 2)  # the darkest and the brightest of each pixel are channels: half will do
    for width in _WIDTHS:
        found = layers.MaxPooling2D(data_format="channels_last")(convolved(found, width))
    # where a thing lies matters: the mark is in the middle, and outward is up
    found = layers.Dropout(_DROPOUT)(layers.Flatten()(found))
    found = layers.Dropout(_DROPOUT)(layers.Dense(_DENSE, activation="relu")(found))
    for layer in extra_layers:
        found = layer(found)
    outputs = layers.Dense(len(classes), activation="softmax", name=OUTPUT)(found)
    model = keras.Model(inputs, outputs, name="patch")
    optimizer = keras.optimizers.AdamW(_LR, weight_decay=_WEIGHT_DECAY)
    model.compile(optimizer, loss="sparse_categorical_crossentropy", jit_compile=False)
    return model


def train(job: TrainingJob) -> Outcome:
    """Train a classifier of pieces; raises :class:`DataSetError`, :class:`UsageError`, :class:`OutputError`."""
    form = FORM if job.size is None else PatchForm(job.size)
    if form.size < _LEAST_SIZE:
        raise UsageError(f"--size {form.size} is too small: {job.arch} needs at least {_LEAST_SIZE}.")
    samples = limited(read_pieces(job.dataset, job.config, job.advance), job.limit)
    check_splits(samples)
    counts = Counter(sample.label for sample in samples.of("train"))
    if len(counts) < 2:
        message = f"The split train has pieces of one class only, {min(counts)}."
        raise DataSetError(message, "Add pieces of another class: a network learns differences.")
    if missing := [name for name in CLASSES if not counts[name]]:
        note = f"The split train has no piece of the class {', '.join(missing)}: the network will not know it."
        samples = replace(samples, notes=(*samples.notes, note))
    weights = class_weights(counts)
    objective = Objective(
        classes=CLASSES,
        rows=CLASSES,
        row_class=tuple(range(len(CLASSES))),
        scored=tuple(range(len(CLASSES))),
        input=asdict(form),
        facts={"class_counts": dict(counts), "class_weights": [round(float(w), 6) for w in weights]},
    )
    learner = KerasLearner(job, lambda: build_model((form.channels, form.size, form.size)), weights)
    return fit(job, objective, samples, Loader(Pieces(form), job.seed), learner)


def class_weights(counts: Counter[str]) -> np.ndarray:
    """How much a piece of each class weighs, (classes,): all classes alike, within limits; 1 in the mean of all.

    A class without pieces weighs nothing, so that nobody can be blamed for not knowing it.
    """
    numbers = np.array([counts[name] for name in CLASSES], np.float64)
    weights = np.where(numbers > 0, np.minimum(numbers.max() / np.maximum(numbers, 1), _MOST_WEIGHT), 0)
    return weights * numbers.sum() / (weights * numbers).sum()


def load(path: str | Path) -> keras.Model:
    """A trained model from a .keras or .h5 file; raises :class:`DataSetError` for one that tells no pieces apart."""
    model = load_model(Path(path))
    shapes = [value.shape for value in (*model.inputs, *model.outputs)]
    if len(shapes) != 2 or len(shapes[0]) != 4 or shapes[0][2] != shapes[0][3] or len(shapes[1]) != 2:
        raise DataSetError(f"{path} is a model of another task.", "Give a model of the task patch.")
    return model


def predict(
    model: keras.Model, images: np.ndarray, return_prob: bool = False, *, classes: Sequence[str] = CLASSES
) -> str | tuple[str, float] | list[str] | list[tuple[str, float]]:
    """The class of a piece (S, S) uint8, or of each of a batch (N, S, S); with ``return_prob`` (class, probability).

    A piece may have another size than the model's input. Raises :class:`DataSetError` for other arrays and for a model
    of other classes.
    """
    if images.ndim not in (2, 3) or images.dtype != np.uint8 or images.shape[-1] != images.shape[-2] or not images.size:
        message = f"Pieces are (S, S) or (N, S, S) uint8, not {images.shape} {images.dtype}."
        raise DataSetError(message, "Cut them out with second_opinion.patch_input.cut_out.")
    channels, size = model.input_shape[1:3]
    form = PatchForm(size)
    if model.output_shape[-1] != len(classes) or channels != form.channels:
        message = f"The model takes {channels} channels and tells {model.output_shape[-1]} classes apart"
        raise DataSetError(f"{message}, not {form.channels} and {len(classes)}.", "Give a model of the task patch.")
    batch = images if images.ndim == 3 else images[None]
    probabilities = model.predict_on_batch(np.stack([patch_input(piece, form) for piece in batch]))
    answers = [(classes[int(row.argmax())], float(row.max())) for row in probabilities]
    found = answers if return_prob else [name for name, _ in answers]
    return found if images.ndim == 3 else found[0]
