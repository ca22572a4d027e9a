"""What is said about a profile on a set of labelled images: frozen data, NaN where there was nothing to say."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from plain_data import jsonable


@dataclass(frozen=True)
class Rate:
    """A share (or F1) with its 95 % interval; ``count`` of ``total``, both 0 for F1. NaN when there was nothing."""

    value: float
    low: float
    high: float
    count: int = 0
    total: int = 0


@dataclass(frozen=True)
class Detection:
    """How well a group of defects is detected: recall over the true ones, precision over the reported ones."""

    name: str
    recall: Rate
    precision: Rate
    f1: Rate


@dataclass(frozen=True)
class Confusion:
    """Rows are true classes: how many of each reported class, then how many not found; both in ``classes`` order.

    ``false_alarms`` counts reports that are not true. The shares are over the found defects.
    """

    classes: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]
    false_alarms: tuple[int, ...]
    right: Rate
    right_certain: Rate  # of those whose kind the truth is certain of


@dataclass(frozen=True)
class Spread:
    """Median, 95 % quantile and maximum; NaN when there was nothing."""

    median: float
    quantile_95: float
    maximum: float
    count: int


@dataclass(frozen=True)
class Localisation:
    """Where the fibre was looked for; errors are absolute shares of the true radius (of the core for the core)."""

    located: Rate
    centre_error: Spread
    radius_error: Spread
    core_error: Spread
    lost: tuple[str, ...]  # images


@dataclass(frozen=True)
class SizeError:
    """Measured against true size of the found defects of one class; relative errors are shares of the true size."""

    measure: str
    kind: str  # a class, or "all"
    count: int
    bias: float  # median relative error
    spread: float  # 1.4826 times the median absolute deviation from it
    median_error: float  # median absolute relative error
    median_error_px: float  # median absolute error in px; px2 for the area


@dataclass(frozen=True)
class ImageAccuracy:
    """Clean or defective, per image; images whose truth or inspection says neither are left out."""

    accuracy: Rate
    false_clean: tuple[str, ...]
    false_defective: tuple[str, ...]
    clean_images: int
    false_alarms_on_clean: int


@dataclass(frozen=True)
class Agreement:
    """Verdicts by one rule set; ``other`` names images where there was nothing to judge."""

    rule_set: str
    agreement: Rate
    wrong_pass: tuple[str, ...]
    wrong_fail: tuple[str, ...]
    other: tuple[str, ...]


@dataclass(frozen=True)
class Figures:
    """Everything about one profile on one set of images."""

    profile: str
    images: int
    not_assessed: tuple[str, ...]
    total: Detection
    by_class: tuple[Detection, ...]
    by_zone: tuple[Detection, ...]
    by_size: tuple[Detection, ...]
    by_contrast: tuple[Detection, ...]
    confusion: Confusion
    localisation: Localisation
    sizes: tuple[SizeError, ...]
    image_accuracy: ImageAccuracy
    rule_sets: tuple[Agreement, ...]
    time_s: Spread

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready copy."""
        return jsonable(dataclasses.asdict(self))
