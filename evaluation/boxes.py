"""Boxes that a model names beside true ones: average precision and F1 as COCO counts them, at an overlap of one half.

Boxes are (left, top, width, height) in image pixels. A true box that is *ignored* need not be named; what names it is
neither right nor wrong, and so is an unmatched box that is *ignored* itself. Source: Lin et al., Microsoft COCO, 2014.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from learning.vlm.differences import iou
from records import DEFECT_CLASSES, NAN

LEAST_IOU = 0.5
MOST_BOXES = 100  # of an image, the surest
_RECALLS = np.linspace(0.0, 1.0, 101)
Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class TrueBox:
    """A true mark. ``critical``: it violates a criterion of the image's rule set."""

    kind: str
    box: Box
    critical: bool = False
    ignored: bool = False


@dataclass(frozen=True)
class NamedBox:
    """A mark that a model names."""

    kind: str
    box: Box
    confidence: float
    ignored: bool = False


@dataclass(frozen=True)
class ImageBoxes:
    """Those of one image."""

    truths: tuple[TrueBox, ...] = ()
    named: tuple[NamedBox, ...] = ()

    def of(self, kind: str) -> ImageBoxes:
        """The boxes of one class."""
        return ImageBoxes(
            tuple(item for item in self.truths if item.kind == kind),
            tuple(item for item in self.named if item.kind == kind),
        )


@dataclass(frozen=True)
class Counts:
    """Right boxes, wrong ones, true ones that nothing names."""

    right: int = 0
    wrong: int = 0
    missed: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(self.right + other.right, self.wrong + other.wrong, self.missed + other.missed)

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall; NaN where there is no box at all."""
        total = 2 * self.right + self.wrong + self.missed
        return 2 * self.right / total if total else NAN


def outcomes(boxes: ImageBoxes) -> list[tuple[float, bool]]:
    """Confidence of each named box that counts, the surest first, and whether it is right.

    Each takes the free true box that it overlaps most, an ignored one only where no other is to be had.
    """
    free = list(boxes.truths)
    found = []
    for item in sorted(boxes.named, key=lambda each: -each.confidence)[:MOST_BOXES]:
        near = [(truth, iou(item.box, truth.box)) for truth in free]
        near = [pair for pair in near if pair[1] >= LEAST_IOU]
        best = max(near, key=lambda pair: (not pair[0].ignored, pair[1]), default=None)
        if best is not None:
            free.remove(best[0])
        if not (item.ignored if best is None else best[0].ignored):
            found.append((item.confidence, best is not None))
    return found


def average_precision(images: Iterable[ImageBoxes]) -> float:
    """Mean precision at 101 recalls, each the best at that recall or a larger one; NaN without a true box."""
    images = list(images)
    total = sum(not truth.ignored for boxes in images for truth in boxes.truths)
    if not total:
        return NAN
    found = [item for boxes in images for item in outcomes(boxes)]
    if not found:
        return 0.0
    order = np.argsort([-confidence for confidence, _ in found], kind="stable")
    right = np.array([is_right for _, is_right in found])[order]
    hits = np.cumsum(right)
    precision = np.maximum.accumulate((hits / np.arange(1, len(right) + 1))[::-1])[::-1]
    at = np.searchsorted(hits / total, _RECALLS, side="left")
    return float(np.append(precision, 0.0)[at].mean())


def precision_by_class(images: Sequence[ImageBoxes]) -> dict[str, float]:
    """Average precision of every class that has a true box."""
    every = {kind: average_precision(boxes.of(kind) for boxes in images) for kind in DEFECT_CLASSES}
    return {kind: value for kind, value in every.items() if np.isfinite(value)}


def counts(boxes: ImageBoxes, *, by_class: bool) -> Counts:
    """What is right and wrong in one image; without ``by_class`` a right place is enough."""
    if by_class:
        return sum((counts(boxes.of(kind), by_class=False) for kind in DEFECT_CLASSES), Counts())
    found = [is_right for _, is_right in outcomes(boxes)]
    true = sum(not truth.ignored for truth in boxes.truths)
    return Counts(sum(found), len(found) - sum(found), true - sum(found))


def names_all_critical(boxes: ImageBoxes, most: int) -> bool | None:
    """Whether every critical true box is met by one of the ``most`` surest; None where there is none."""
    critical = [truth for truth in boxes.truths if truth.critical and not truth.ignored]
    surest = sorted(boxes.named, key=lambda item: -item.confidence)[:most]
    if not critical:
        return None
    return all(any(iou(item.box, truth.box) >= LEAST_IOU for item in surest) for truth in critical)
