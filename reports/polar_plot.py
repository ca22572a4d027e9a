"""The polar plot: where the defects of one end face lie, by radius and angle about the fibre's centre."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np

from records import DEFECT_CLASSES, Defect, InspectionRecord
from reports.drawing import BLACK, WHITE, Color, TextStyle, bgr, draw_name, draw_text
from reports.heading import draw_heading
from reports.layout import Box, Point
from settings import ReportingSettings

_WIDTH_PX, _HEIGHT_PX = 960, 744
_CENTER = (350, 398)
_RADIUS_PX = 300
_LEGEND_LEFT_PX = 725
_GRID: Color = (215, 215, 215)
_DARK: Color = (70, 70, 70)
_TEXT = TextStyle(0.45, 1)
_MARK_PX = 8
_MAX_NAMES = 30  # more marks than these have no names
_ZONE_NAME_DEG = (270.0, 255.0, 285.0, 270.0)  # where the names of the zones stand, from the centre outwards
_RING_NAME_DEG = 75.0
_SHIFT = 4


def polar_picture(record: InspectionRecord, reporting: ReportingSettings) -> np.ndarray | None:
    """Draw the polar plot, (744, 960, 3) uint8 BGR; None when the fibre was not located.

    Radius in um (px without a scale), angle in degrees counter-clockwise from +x. Zones are rings with their names;
    class is told by colour and shape; a defect that violates the rules has a ring around its mark.
    """
    if record.fiber is None:
        return None
    unit = record.scale.um_per_px if record.scale.known else 1.0
    placed = [d for d in record.counted_defects if math.isfinite(d.radius_px) and math.isfinite(d.angle_deg)]
    farthest = max([record.fiber.cladding.mean_radius_px, *(defect.radius_px for defect in placed)])
    limit = 1.06 * farthest * unit
    picture = np.full((_HEIGHT_PX, _WIDTH_PX, 3), 255, np.uint8)
    draw_heading(picture, record, "Where the defects lie")
    _draw_grid(picture, limit, "um" if record.scale.known else "px")
    for zone in record.zones:
        radius_px = round(zone.outer_radius_px * unit / limit * _RADIUS_PX)
        if 0 < radius_px <= _RADIUS_PX:
            cv2.circle(picture, _CENTER, radius_px, bgr(reporting.zone_colors, zone.name), 2, cv2.LINE_AA)
    cladding_px = round(record.fiber.cladding.mean_radius_px * unit / limit * _RADIUS_PX)
    cv2.circle(picture, _CENTER, cladding_px, _DARK, 1, cv2.LINE_AA)
    for zone, turn_deg in zip(record.zones, _ZONE_NAME_DEG, strict=False):
        ring_px = zone.outer_radius_px * unit / limit * _RADIUS_PX
        if ring_px <= _RADIUS_PX:
            draw_name(picture, zone.name, _at(ring_px, turn_deg), _TEXT, _DARK, WHITE)
    places = [_at(defect.radius_px * unit / limit * _RADIUS_PX, defect.angle_deg) for defect in placed]
    for defect, place in zip(placed, places, strict=True):
        _draw_defect(picture, defect, place, bgr(reporting.class_colors, defect.kind))
    if len(record.counted_defects) <= _MAX_NAMES:
        names = [defect.defect_id for defect in placed]
        for name, box in zip(names, name_boxes(names, places), strict=True):
            draw_text(picture, name, box.left, box.bottom, _TEXT, BLACK)
    _draw_legend(picture, record, reporting)
    return picture


def name_boxes(names: Sequence[str], places: Sequence[Point]) -> list[Box]:
    """Where the names of the marks go: beside each, clear of other marks and names if there is such a place."""
    reach = _MARK_PX + 5
    marks = [Box(round(x) - reach, round(y) - reach, round(x) + reach, round(y) + reach) for x, y in places]
    boxes: list[Box] = []
    for name, mark in zip(names, marks, strict=True):
        width, height = _TEXT.width(name), _TEXT.cap_px
        middle_x, middle_y = (mark.left + mark.right - width) // 2, (mark.top + mark.bottom - height) // 2
        right, left, above, below = mark.right + 1, mark.left - 1 - width, mark.top - 1 - height, mark.bottom + 1
        corners = ((right, mark.top - height // 2), (left, mark.top - height // 2), (right, middle_y), (left, middle_y))
        corners += ((middle_x, above), (middle_x, below))
        choices = [Box(x, y, x + width, y + height) for x, y in corners]
        taken = (*marks, *boxes)
        free = (box for box in choices if not any(box.overlaps(other) for other in taken))
        boxes.append(next(free, choices[0]))
    return boxes


def _draw_grid(picture: np.ndarray, limit: float, unit_name: str) -> None:
    step = _round_step(limit / 4)
    for index in range(1, int(limit / step) + 1):
        radius_px = round(index * step / limit * _RADIUS_PX)
        cv2.circle(picture, _CENTER, radius_px, _GRID, 1, cv2.LINE_AA)
    cv2.circle(picture, _CENTER, _RADIUS_PX, _DARK, 1, cv2.LINE_AA)
    for angle_deg in range(0, 360, 30):
        cv2.line(picture, _CENTER, _pixel(_at(_RADIUS_PX, angle_deg)), _GRID, 1, cv2.LINE_AA)
        x, y = _at(_RADIUS_PX + 20, angle_deg)
        name = str(angle_deg)
        draw_text(picture, name, round(x - _TEXT.width(name) / 2), round(y + _TEXT.cap_px / 2), _TEXT, _DARK)
    for index in range(1, int(limit / step) + 1):
        place = _at(index * step / limit * _RADIUS_PX, _RING_NAME_DEG)
        draw_name(picture, f"{index * step:g} {unit_name}", place, _TEXT, _DARK, WHITE)


def _draw_defect(picture: np.ndarray, defect: Defect, place: Point, color: Color) -> None:
    _draw_mark(picture, place, defect.kind, color)
    if defect.violates:
        cv2.circle(picture, _pixel(place), _MARK_PX + 5, BLACK, 1, cv2.LINE_AA)


def _draw_legend(picture: np.ndarray, record: InspectionRecord, reporting: ReportingSettings) -> None:
    left, y = _LEGEND_LEFT_PX, 90
    for kind in DEFECT_CLASSES:
        count = sum(defect.kind == kind for defect in record.counted_defects)
        _draw_mark(picture, (left + 10, y - 5), kind, bgr(reporting.class_colors, kind))
        draw_text(picture, f"{kind}: {count}", left + 30, y, _TEXT, BLACK)
        y += 28
    cv2.circle(picture, (left + 10, y - 5), _MARK_PX + 3, BLACK, 1, cv2.LINE_AA)
    draw_text(picture, "violates the rules", left + 30, y, _TEXT, BLACK)
    y += 44
    for zone in record.zones:
        cv2.line(picture, (left, y - 5), (left + 20, y - 5), bgr(reporting.zone_colors, zone.name), 2, cv2.LINE_AA)
        draw_text(picture, f"{zone.name} zone", left + 30, y, _TEXT, BLACK)
        y += 24
    cv2.line(picture, (left, y - 5), (left + 20, y - 5), _DARK, 1, cv2.LINE_AA)
    draw_text(picture, "cladding edge", left + 30, y, _TEXT, BLACK)
    notes = [f"radius in {'um' if record.scale.known else 'px'}, angle in degrees"]
    if len(record.counted_defects) > _MAX_NAMES:
        notes.append(f"more than {_MAX_NAMES} defects: no names")
    for number, note in enumerate(notes):
        draw_text(picture, note, left, y + 44 + 24 * number, _TEXT, _DARK)


def _draw_mark(picture: np.ndarray, place: Point, kind: str, color: Color) -> None:
    """Scratch: cross; pit: disc; contamination: square; chip: triangle; crack: diamond; each with a dark edge."""
    if kind == "Scratch":
        for thickness, tone in ((5, BLACK), (3, color)):
            for sign in (-1, 1):
                ends = [_pixel((place[0] + s * _MARK_PX, place[1] + s * sign * _MARK_PX)) for s in (-1, 1)]
                cv2.line(picture, *ends, tone, thickness, cv2.LINE_AA)
        return
    points = [(place[0] + _MARK_PX * dx, place[1] + _MARK_PX * dy) for dx, dy in _SHAPES.get(kind, _SHAPES["Pit/Dig"])]
    fixed = np.round(np.array(points) * (1 << _SHIFT)).astype(np.int32).reshape(-1, 1, 2)
    cv2.fillPoly(picture, [fixed], color, cv2.LINE_AA, _SHIFT)
    cv2.polylines(picture, [fixed], True, BLACK, 1, cv2.LINE_AA, _SHIFT)


def _regular(corners: int, turn_deg: float, size: float) -> tuple[Point, ...]:
    angles = [math.radians(turn_deg + 360 * index / corners) for index in range(corners)]
    return tuple((size * math.cos(angle), size * math.sin(angle)) for angle in angles)


_SHAPES = {
    "Pit/Dig": _regular(24, 0, 0.9),
    "Contamination": _regular(4, 45, 1.2),
    "Chip": _regular(3, -90, 1.3),
    "Crack": _regular(4, 0, 1.3),
}


def _round_step(rough: float) -> float:
    """The 1-2-5 number nearest below ``rough``."""
    power = 10.0 ** math.floor(math.log10(rough))
    return max(factor * power for factor in (1, 2, 5) if factor * power <= rough)


def _at(radius_px: float, angle_deg: float) -> Point:
    angle = math.radians(angle_deg)
    return _CENTER[0] + radius_px * math.cos(angle), _CENTER[1] - radius_px * math.sin(angle)


def _pixel(point: Point) -> tuple[int, int]:
    return round(point[0]), round(point[1])
