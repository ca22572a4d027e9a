"""How well a network tells classes apart: confusion matrix in, figures per class out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from records import NAN


@dataclass(frozen=True)
class ClassScore:
    """Figures of one class; NaN where there is nothing to divide by. ``dice`` of pixels is the ``f1``."""

    name: str
    precision: float
    recall: float
    f1: float
    iou: float
    count: int  # of images or pixels that truly are of it


def confusion(truth: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """How often a true class (row) was taken for which (column), (classes, classes) int64."""
    pairs = truth.astype(np.int64).ravel() * classes + predicted.astype(np.int64).ravel()
    return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)


def class_scores(matrix: np.ndarray, names: Sequence[str]) -> list[ClassScore]:
    """Precision, recall, F1 and IoU of each class of a confusion matrix."""
    hits, true, claimed = np.diag(matrix), matrix.sum(axis=1), matrix.sum(axis=0)
    return [
        ClassScore(
            name,
            _share(hit, said),
            _share(hit, real),
            _share(2 * hit, real + said),
            _share(hit, real + said - hit),
            int(real),
        )
        for name, hit, real, said in zip(names, hits, true, claimed, strict=True)
    ]


def accuracy(matrix: np.ndarray) -> float:
    """The share of what was told correctly."""
    return _share(np.trace(matrix), matrix.sum())


def _share(part: int, whole: int) -> float:
    return float(part) / float(whole) if whole else NAN
