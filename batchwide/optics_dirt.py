"""Dirt on the optics: a spot that stays where it is in the picture while the fibres move under it.

The proof that a mark does not lie on a fibre: in picture coordinates it is always at one place, and in the fibre frame
the same marks lie at several clearly different places. A fibre that always lies at the same place gives no proof, nor
does one connector that is inspected again and again.
"""

from __future__ import annotations

import math
from array import array
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from records import Defect, Ellipse, InspectionRecord
from settings import OpticsDirt
from vision.geometry import to_frame

_LEAST_CELL_PX = 4.0
_CELLS_ALONG = 256  # of a picture, at most: cells only propose places
_COVERAGE_SAMPLE = 200  # images that tell about how many inspect a cell
_ROUNDS = 3
_LARGER = 1.4  # than the spot a mark may be, and a pixel more: a larger one is not hidden by it


@dataclass(frozen=True)
class OpticsSpot:
    """A mark at one place of the picture in many images: it lies on the camera or its lenses, not on a fibre."""

    x_px: float
    y_px: float
    diameter_px: float
    polarity: str  # dark | bright
    images: tuple[str, ...]  # names of the images that show it, in the order of the records
    image_width_px: int = 0  # of the pictures that it was seen in
    image_height_px: int = 0


def with_optics_marked(
    defects: Sequence[Defect], shape: tuple[int, int], spots: Iterable[OpticsSpot], settings: OpticsDirt
) -> tuple[Defect, ...]:
    """The defects of a picture (height, width), those on a spot flagged; none is when spots are counted."""
    height, width = shape
    here = [spot for spot in spots if (spot.image_width_px, spot.image_height_px) == (width, height)]
    if settings.count:
        here = []
    return tuple(replace(d, on_optics=any(_lies_on(d, spot, settings) for spot in here)) for d in defects)


def spot_sentence(spot: OpticsSpot, *, is_counted: bool) -> str:
    """What every report says about a spot; ``is_counted`` are the marks there."""
    images = f"{len(spot.images)} image{'s' * (len(spot.images) != 1)}"
    return (
        f"Dirt on the optics at ({spot.x_px:.0f}, {spot.y_px:.0f}) px: a {spot.polarity} spot,"
        f" {spot.diameter_px:.0f} px across, in {images}. Marks there are"
        f" {'counted like any other' if is_counted else 'not counted'}. Clean the camera."
    )


def left_out_text(record: InspectionRecord) -> str:
    """What every report says about the marks of an image that are not counted; "" where all are."""
    count = len(record.defects) - len(record.counted_defects)
    return f"{count} mark{'s' * (count != 1)} on the optics, neither counted nor judged" if count else ""


def _lies_on(defect: Defect, spot: OpticsSpot, settings: OpticsDirt) -> bool:
    away_px = math.hypot(defect.centroid_x_px - spot.x_px, defect.centroid_y_px - spot.y_px)
    return (
        defect.polarity == spot.polarity
        and away_px <= settings.position_px + settings.position_share * defect.diameter_px
        and defect.diameter_px <= _LARGER * spot.diameter_px + 1
    )


@dataclass
class _Pictures:
    """The pictures of one size and their marks, in plain arrays."""

    names: list[str] = field(default_factory=list)
    claddings: list[Ellipse] = field(default_factory=list)
    rings: list[tuple[tuple[float, float], ...]] = field(default_factory=list)  # inspected zones, radii in px
    marks: array = field(default_factory=lambda: array("d"))  # rows of image, x, y, diameter, u, v, polarity

    def add(self, record: InspectionRecord) -> None:
        number = len(self.names)
        self.names.append(record.image_filename)
        self.claddings.append(record.fiber.cladding)
        self.rings.append(tuple((z.inner_radius_px, z.outer_radius_px) for z in record.zones if z.inspected))
        for d in record.defects:
            angle = math.radians(d.angle_deg)
            u, v = d.radius_px * math.cos(angle), -d.radius_px * math.sin(angle)
            sign = -1.0 if d.polarity == "dark" else 1.0
            self.marks.extend((number, d.centroid_x_px, d.centroid_y_px, d.diameter_px, u, v, sign))


class OpticsEvidence:
    """Gathers what records say about marks and places, and finds the spots in it."""

    def __init__(self) -> None:
        self._by_size: dict[tuple[int, int], _Pictures] = defaultdict(_Pictures)

    def add(self, record: InspectionRecord) -> None:
        """Take note of one record; one without a fibre says nothing."""
        if record.fiber is not None:
            self._by_size[record.image_width_px, record.image_height_px].add(record)

    def spots(self, settings: OpticsDirt) -> tuple[OpticsSpot, ...]:
        """The proven spots, the one in most images first."""
        found = [
            spot
            for size, pictures in self._by_size.items()
            if len(pictures.names) >= settings.min_images
            for spot in _spots_of_size(size, pictures, settings)
        ]
        return tuple(sorted(found, key=lambda spot: -len(spot.images)))


def _spots_of_size(size: tuple[int, int], pictures: _Pictures, settings: OpticsDirt) -> Iterator[OpticsSpot]:
    marks = np.frombuffer(pictures.marks, np.float64).reshape(-1, 7)
    marks = marks[np.isfinite(marks).all(axis=1)]
    for sign, polarity in ((-1.0, "dark"), (1.0, "bright")):
        left = marks[marks[:, 6] == sign]
        for x_px, y_px, reach_px in _proposals(left, size, pictures, settings):
            members = _gathered(left, x_px, y_px, reach_px, settings)
            if not _is_proven(members, pictures, settings):
                continue
            names = tuple(pictures.names[number] for number in members[:, 0].astype(int))
            x_px, y_px, diameter_px = (float(value) for value in np.median(members[:, 1:4], axis=0))
            yield OpticsSpot(x_px, y_px, diameter_px, polarity, names, *size)
            away_px = np.hypot(left[:, 1] - x_px, left[:, 2] - y_px)
            left = left[away_px > _tolerance_px(left, settings)]


def _proposals(
    marks: np.ndarray, size: tuple[int, int], pictures: _Pictures, settings: OpticsDirt
) -> list[tuple[float, float, float]]:
    """Places (x, y) with the reach in which about enough images have a mark, the fullest first."""
    cell_px = max(_LEAST_CELL_PX, 2 * settings.position_px, max(size) / _CELLS_ALONG)
    columns, rows = (int(side / cell_px) + 3 for side in size)  # a margin of one cell all around
    at = np.clip(marks[:, 1:3] / cell_px + 1, 1, (columns - 2, rows - 2)).astype(np.int64)
    once = np.unique(np.column_stack([marks[:, 0].astype(np.int64), at]), axis=0)
    counts = np.zeros((rows, columns), np.int64)
    np.add.at(counts, (once[:, 2], once[:, 1]), 1)
    near = sum(np.roll(counts, (dy, dx), (0, 1)) for dy in (-1, 0, 1) for dx in (-1, 0, 1))
    rows_at, columns_at = np.nonzero((near >= settings.min_images) & (counts > 0))
    x_px, y_px = (columns_at - 0.5) * cell_px, (rows_at - 0.5) * cell_px
    step = max(1, len(pictures.names) // _COVERAGE_SAMPLE)
    sample = range(0, len(pictures.names), step)
    covered = sum(_inspects(pictures, number, x_px, y_px) for number in sample) / len(sample)
    near = near[rows_at, columns_at]
    enough = near >= 0.5 * settings.min_share * covered * len(pictures.names)
    order = [index for index in np.argsort(-near, kind="stable") if enough[index]]
    return [(float(x_px[index]), float(y_px[index]), 1.5 * cell_px) for index in order]


def _gathered(marks: np.ndarray, x_px: float, y_px: float, reach_px: float, settings: OpticsDirt) -> np.ndarray:
    """The marks of the place that a proposal leads to, one per image: rows of ``marks`` in the order of the images."""
    members = marks[np.hypot(marks[:, 1] - x_px, marks[:, 2] - y_px) <= reach_px]
    for _ in range(_ROUNDS):
        if not len(members):
            return members
        x_px, y_px, diameter_px = np.median(members[:, 1:4], axis=0)
        away_px = np.hypot(marks[:, 1] - x_px, marks[:, 2] - y_px)
        fitting = (away_px <= _tolerance_px(marks, settings)) & (marks[:, 3] <= _LARGER * diameter_px + 1)
        members = marks[fitting][np.argsort(away_px[fitting], kind="stable")]
    return members[np.unique(members[:, 0], return_index=True)[1]]


def _is_proven(members: np.ndarray, pictures: _Pictures, settings: OpticsDirt) -> bool:
    """Whether these marks, one per image, are enough, and lie at clearly different places of the fibre."""
    if len(members) < settings.min_images:
        return False
    x_px, y_px = np.median(members[:, 1:3], axis=0)
    seen = set(members[:, 0].astype(int))
    numbers = range(len(pictures.names))
    asked = sum(number in seen or bool(_inspects(pictures, number, x_px, y_px)) for number in numbers)
    if len(members) < settings.min_share * asked:
        return False
    apart_px = 2 * float(np.median(_tolerance_px(members, settings)))
    left, places = members[:, 4:6], 0
    while len(left) and places < settings.min_images:
        left = left[np.hypot(*(left - left[0]).T) > apart_px]
        places += 1
    return places >= settings.min_images


def _tolerance_px(marks: np.ndarray, settings: OpticsDirt) -> np.ndarray:
    return settings.position_px + settings.position_share * marks[:, 3]


def _inspects(pictures: _Pictures, number: int, x_px: np.ndarray, y_px: np.ndarray) -> np.ndarray:
    """Whether the image inspects these places."""
    radius = np.hypot(*to_frame(pictures.claddings[number], x_px, y_px))
    return np.any([(radius >= inner) & (radius < outer) for inner, outer in pictures.rings[number]] or [radius < 0], 0)
