"""What an inspection produces: plain frozen data, convertible to and from JSON.

Conventions: points are (x, y) with pixel centres at whole numbers and y down; lengths named ``_px`` are measured in the
fibre frame (the affine map that turns the cladding ellipse into a circle of the same area), so that
``length_um == length_px * um_per_px``; an undefined number is NaN in memory and ``null`` in JSON.
"""

from __future__ import annotations

import dataclasses
import math
import os
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from plain_data import build, jsonable

NAN = float("nan")
_LONGEST_NAME = 255

ZONE_NAMES = ("Core", "Cladding", "Adhesive", "Contact")
DEFECT_CLASSES = ("Scratch", "Pit/Dig", "Contamination", "Chip", "Crack")
CLASS_OF_KIND = {  # as ground truth and networks call them
    "scratch": "Scratch",
    "pit": "Pit/Dig",
    "contamination": "Contamination",
    "chip": "Chip",
    "crack": "Crack",
}
ARTIFACT = "Artifact"  # what a network may say of a mark besides its class: there is none
CLASS_LETTERS = {"Scratch": "S", "Pit/Dig": "P", "Contamination": "C", "Chip": "H", "Crack": "K"}

PASS = "PASS"
FAIL = "FAIL"
UNGRADED = "UNGRADED"
LOCALIZATION_FAILED = "Localization Failed"
UNREADABLE = "Unreadable"
TOO_BLURRED = "Too blurred to be judged"  # how the reason starts
STATUSES = (PASS, FAIL, UNGRADED, LOCALIZATION_FAILED, UNREADABLE)
SEVERITIES = ("critical", "marginal", "minor")  # a mark that violates a criterion; one close to a limit; any other


@dataclass(frozen=True)
class Ellipse:
    """Ellipse in image pixels.

    ``major_px`` and ``minor_px`` are full axis lengths; ``angle_deg`` is the direction of the major axis in [0, 180),
    from +x towards +y (clockwise on the screen).
    """

    x_px: float
    y_px: float
    major_px: float
    minor_px: float
    angle_deg: float

    @property
    def mean_radius_px(self) -> float:
        """Radius of the circle of equal area."""
        return 0.5 * math.sqrt(self.major_px * self.minor_px)


@dataclass(frozen=True)
class Fiber:
    """A located fibre: cladding outline, core and how sure we are."""

    cladding: Ellipse
    core_diameter_px: float = NAN
    core_source: str = "unknown"  # measured | nominal | unknown
    method: str = "rays"  # rays | contour
    score: float = 0.0  # share of rays that the ellipse explains, 0..1
    core_x_px: float = NAN  # centre of a measured core in the image, where its edge is even enough to tell
    core_y_px: float = NAN


@dataclass(frozen=True)
class Scale:
    """Micrometres per pixel of the fibre frame; NaN when unknown."""

    um_per_px: float = NAN
    source: str = "none"  # "given dimensions" | "fiber type NAME" | "calibration.json" | "none"

    @property
    def known(self) -> bool:
        return math.isfinite(self.um_per_px)


@dataclass(frozen=True)
class ZoneExtent:
    """One placed zone: a ring in the fibre frame. ``label`` is its value in the zone map (1 core .. 4 contact)."""

    name: str
    label: int
    inner_radius_px: float
    outer_radius_px: float
    inspected: bool = True
    visible_share: float = 1.0  # part of the ring inside the image, 0..1


@dataclass(frozen=True, slots=True)  # slots: thousands are held at once, and they have many fields
class Defect:
    """One measured and classified defect. Angles: degrees, counter-clockwise from +x with y up."""

    defect_id: str
    label: int  # value in the label image, 1..n; 0 = in none, as a network takes it for an artifact
    zone: str
    kind: str
    confidence: float
    centroid_x_px: float
    centroid_y_px: float
    length_px: float
    width_px: float
    diameter_px: float
    area_px: float
    perimeter_px: float
    circularity: float
    aspect_ratio: float
    orientation_deg: float
    contrast: float  # grey levels against the local background; negative = dark
    polarity: str  # dark | bright
    radius_px: float
    angle_deg: float
    centroid_x_um: float = NAN
    centroid_y_um: float = NAN
    length_um: float = NAN
    width_um: float = NAN
    diameter_um: float = NAN
    area_um2: float = NAN
    radius_um: float = NAN
    zones_touched: tuple[str, ...] = ()
    detected_by: tuple[str, ...] = ()
    marginal: bool = False
    violates: tuple[str, ...] = ()
    box_px: tuple[tuple[float, float], ...] = ()  # 4 corners (x, y) of the rotated rectangle in image pixels
    on_optics: bool = False  # lies on the camera or its lenses: not judged, not counted
    ml_class: str = ""  # what the patch network says it is, a class or ARTIFACT; empty where it was not asked
    ml_confidence: float = NAN
    rule_class: str = ""  # what it is by the rules, where the network has changed its class

    @property
    def is_left_out(self) -> bool:
        """Whether it is neither counted nor judged."""
        return self.on_optics or self.label == 0


@dataclass(frozen=True)
class ZoneCell:
    """One of the 3 x 3 cells that the bounding box of an inspected zone is split into: the zone's pixels in it.

    Gradients are grey levels per image pixel, y down. Without a pixel the grey levels are NaN.
    """

    zone: str
    row: int  # 0 top .. 2 bottom
    column: int  # 0 left .. 2 right
    area_px: int
    mean_grey: float
    spread_grey: float  # standard deviation
    gradient_x_grey_per_px: float
    gradient_y_grey_per_px: float
    defect_count: int  # by centroid
    defect_area_px: int
    deviates: bool
    area_um2: float = NAN


@dataclass(frozen=True)
class Provenance:
    """By what and whom an image was judged, as a report or certificate states it; empty where it is not known."""

    software_version: str = ""
    operator: str = ""
    rule_set_title: str = ""
    rule_set_source: str = ""
    rule_set_edition: str = ""
    calibration_date: str = ""  # as calibration.json states it; where dimensions are given it only checks them
    networks: tuple[str, ...] = ()  # those that were asked: task, start of the file's hash, policy


@dataclass(frozen=True)
class VlmDefect:
    """A mark as the vision-language model names it."""

    kind: str  # one of DEFECT_CLASSES
    zone: str  # one of ZONE_NAMES
    severity: str  # one of SEVERITIES
    confidence: float  # 0..1
    box_px: tuple[float, float, float, float]  # left, top, width, height in the image; 0, 0 = its top left corner
    view: str  # where it was seen: full | core | cladding | ferrule


@dataclass(frozen=True)
class VlmOpinion:
    """What the vision-language model says of an image, beside what the rules say."""

    verdict: str  # PASS | FAIL, empty when the answer cannot be used
    usable: bool
    problem: str  # why it cannot be used
    decided: bool  # whether the record's status and defects are the model's
    classical_status: str  # the inspector's own
    defects: tuple[VlmDefect, ...] = ()
    explanation: str = ""
    seconds: float = 0.0
    attempts: int = 0
    classical_defects: tuple[Defect, ...] = ()  # the inspector's own where the model decided
    unusable_answers: int = 0  # of those that were asked for (``attempts``, over all views)


@dataclass(frozen=True)
class InspectionRecord:
    """Everything known about one inspected image, without its pixels."""

    image_filename: str
    status: str
    image_path: str = ""
    image_width_px: int = 0
    image_height_px: int = 0
    processing_time_s: float = 0.0
    fiber: Fiber | None = None
    scale: Scale = field(default_factory=Scale)
    zones: tuple[ZoneExtent, ...] = ()
    defects: tuple[Defect, ...] = ()
    vetoed: tuple[Defect, ...] = ()  # left out because a network takes them for artifacts: not counted, not judged
    matrix: tuple[ZoneCell, ...] = ()  # nine per inspected zone, row by row; empty where it was not asked for
    reasons: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    marginal: bool = False  # the verdict would turn within the uncertainty of a size
    focus_score: float = NAN
    fingerprint: str = ""  # of the face, see vision.fingerprint; empty without a fibre
    torch_quality_label: str = ""  # what the quality network says of the face; empty where it was not asked
    torch_quality_confidence: float = NAN
    rule_set: str = ""
    rule_set_verified: bool = True
    profile: str = ""
    inspected_at: str = ""  # local time with its offset from UTC, ISO 8601, to the second
    serial_number: str = ""  # of the part, from the file's name
    port: str = ""
    provenance: Provenance = field(default_factory=Provenance)
    timings_s: dict[str, float] = field(default_factory=dict)
    content_sha256: str = ""  # of the file's bytes; empty where another try may end differently
    settings_sha256: str = ""  # of everything besides the image that decides the record
    result_name: str = ""  # what the names of its files in details/ start with
    vlm: VlmOpinion | None = None  # None: no model was asked

    @property
    def counted_defects(self) -> tuple[Defect, ...]:
        """The defects that are on the end face, as far as is known: without those on the optics."""
        return tuple(defect for defect in self.defects if not defect.on_optics)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready copy (NaN and infinities become None)."""
        return jsonable(dataclasses.asdict(self))

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> InspectionRecord:
        """Inverse of :meth:`to_dict`; raises ValueError for what no inspection writes."""
        record = build(cls, data)
        named = record.vlm.defects if record.vlm else ()
        marks = (*record.defects, *record.vetoed, *(record.vlm.classical_defects if record.vlm else ()))
        zones = {item.name for item in record.zones} | {item.zone for item in (*marks, *named, *record.matrix)}
        kinds = {item.kind for item in (*marks, *named)} | {item.rule_class for item in marks if item.rule_class}
        said = {item.ml_class for item in marks} - {"", ARTIFACT}
        if record.status not in STATUSES or not (zones <= {*ZONE_NAMES} and kinds | said <= {*DEFECT_CLASSES}):
            raise ValueError("a status, zone or class of defect is none")
        if record.vlm and not _is_opinion(record.vlm):
            raise ValueError("an opinion of a model is none")
        if any(not (0 <= cell.row < 3 and 0 <= cell.column < 3) for cell in record.matrix):
            raise ValueError("a cell lies outside of its matrix")
        if not _is_path(record.image_path) or not _is_path(record.result_name) or {*record.result_name} & {*"/\\"}:
            raise ValueError("a name is none that a file can have")
        return record


@dataclass(frozen=True)
class Inspection:
    """A record with the arrays that the pictures are drawn from; arrays are None when the image was unreadable."""

    record: InspectionRecord
    grey: np.ndarray | None = None  # (H, W) uint8
    zone_map: np.ndarray | None = None  # (H, W) uint8, 0 outside, 1 core, 2 cladding, 3 adhesive, 4 contact
    labels: np.ndarray | None = None  # (H, W) uint16, 0 background, k = defect with label k


def _is_opinion(vlm: VlmOpinion) -> bool:
    verdicts = (PASS, FAIL) if vlm.usable else (PASS, FAIL, "")
    return (
        vlm.verdict in verdicts
        and vlm.classical_status in STATUSES
        and all(mark.severity in SEVERITIES and all(map(math.isfinite, mark.box_px)) for mark in vlm.defects)
    )


def _is_path(text: str) -> bool:
    try:
        os.fsencode(text)
    except UnicodeEncodeError:
        return False
    return "\0" not in text and all(len(part) <= _LONGEST_NAME for part in text.split("/"))
