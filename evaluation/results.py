"""What the assessment of one image comes to: frozen data, convertible to and from JSON.

Lengths ``_px`` are fibre-frame pixels; an undefined number is NaN in memory and null in JSON.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from evaluation.model_outcome import ModelOutcome
from plain_data import build, jsonable
from records import NAN

SCHEMA_VERSION = 1  # of evaluation.json
Box = tuple[int, int, int, int]  # left, top, right, bottom in image pixels; right and bottom are outside


@dataclass(frozen=True)
class Sizes:
    """Sizes of a mark, in fibre-frame px."""

    length_px: float = NAN
    width_px: float = NAN
    diameter_px: float = NAN  # smallest enclosing circle
    area_px: float = NAN


@dataclass(frozen=True)
class TrueOutcome:
    """What became of a true defect. ``zone`` follows from its position; bands: see ``evaluation.marks``."""

    id: int
    kind: str  # as the inspection calls its classes
    kind_certain: bool
    counted: bool  # lies in the judged area
    found: bool
    zone: str
    size_band: str
    contrast_band: str
    contrast_sigma: float  # negative = dark
    sizes: Sizes
    box_px: Box
    matched_label: int | None = None  # the report that covers it best
    matched_kind: str | None = None
    measured: Sizes | None = None  # by the inspection
    style: str | None = None


@dataclass(frozen=True)
class ReportedOutcome:
    """What became of a reported defect. True without ``matched_id``: it lies on a do-not-judge area."""

    label: int
    defect_id: str
    kind: str
    counted: bool
    true: bool
    zone: str  # as reported
    size_band: str
    contrast_band: str
    contrast_sigma: float
    confidence: float
    sizes: Sizes
    centroid_px: tuple[float, float]  # image (x, y)
    radius_share: float  # distance of the centroid from the fibre's centre, in cladding radii
    angle_deg: float  # its direction, counter-clockwise from +x with y up
    box_px: Box
    outlines_px: tuple[tuple[tuple[int, int], ...], ...]  # image (x, y) along the edge of each of its parts
    matched_id: int | None = None  # the true defect that it covers most


@dataclass(frozen=True)
class RuleSetVerdict:
    """PASS or FAIL of the judged area by one rule set: of the truth, and of what was reported."""

    rule_set: str
    truth: str
    inspection: str  # "Localization Failed" where there was nothing to judge


@dataclass(frozen=True)
class ImageResult:
    """The inspection of one image beside its truth. Shares are of the true radius, of the core's for the core."""

    name: str
    profile: str
    status: str  # of the inspection; "" when ``problem`` says why there was none
    truth_verdict: str | None = None  # clean | defective
    verdict: str | None = None
    face: str | None = None
    located: bool | None = None  # None: the truth names no fibre, and none was found
    centre_error_share: float = NAN
    radius_error_share: float = NAN  # signed
    core_error_share: float = NAN  # signed
    radius_px: float = NAN  # of the true cladding
    um_per_px: float = NAN  # of the truth; times any size in px gives um
    true_defects: tuple[TrueOutcome, ...] = ()
    reported_defects: tuple[ReportedOutcome, ...] = ()
    verdicts: tuple[RuleSetVerdict, ...] = ()
    warnings: tuple[str, ...] = ()
    time_s: float = NAN
    problem: str = ""  # why this image could not be assessed
    model: ModelOutcome | None = None  # what a vision-language model says of it, where one was asked

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready copy."""
        return jsonable(dataclasses.asdict(self))

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> ImageResult:
        """Inverse of :meth:`to_dict`; raises ValueError for anything else."""
        return build(cls, data)

    @property
    def asked(self) -> tuple[TrueOutcome, ...]:
        """True defects in the judged area."""
        return tuple(defect for defect in self.true_defects if defect.counted)

    @property
    def reported(self) -> tuple[ReportedOutcome, ...]:
        """Reported defects in the judged area."""
        return tuple(defect for defect in self.reported_defects if defect.counted)

    @property
    def missed(self) -> tuple[TrueOutcome, ...]:
        """True defects in the judged area that were not found."""
        return tuple(defect for defect in self.asked if not defect.found)

    @property
    def false_alarms(self) -> tuple[ReportedOutcome, ...]:
        """Reported defects in the judged area that are not true."""
        return tuple(defect for defect in self.reported if not defect.true)


@dataclass(frozen=True)
class ProfileRun:
    """One profile on the whole set; ``settings_sha256`` as in run.json."""

    profile: str
    settings_sha256: str
    results: tuple[ImageResult, ...]


@dataclass(frozen=True)
class Evaluation:
    """All profiles on one set. ``about`` says how, where and when; ``sections`` are further lines of the report."""

    about: Mapping[str, Any]
    judged_share: float
    runs: tuple[ProfileRun, ...]
    skipped: tuple[str, ...] = ()  # images without a usable truth, one sentence each
    extra: Mapping[str, Any] = field(default_factory=dict)  # further parts of evaluation.json
    sections: tuple[str, ...] = ()
