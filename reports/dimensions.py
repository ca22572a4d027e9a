"""Dimensions of a located fibre: drawn on its picture, and as lines of text."""

from __future__ import annotations

import math
from dataclasses import replace

import cv2
import numpy as np

from records import InspectionRecord
from reports.drawing import BLACK, PANEL, WHITE, TextStyle, View, bgr, draw_ellipse, draw_name
from reports.layout import Point
from settings import ReportingSettings
from vision.geometry import from_frame, to_frame

_TEXT = TextStyle(0.45, 1)
_ARROW_PX = 7
_FOOT_PX = 24  # from the dimension line of the cladding to the view's lower edge
_LEAST_INNER_PX = 40  # a core that is drawn smaller is pointed at from outside
_ACROSS_DEG = 30.0  # where the distance from core to cladding is drawn
_LEAST_ROOM_PX = 70  # for the label of the distance from core to cladding, which else stands outside
_LARGE_CORE_PX = 100  # the radius of a core from which its label fits inside


def draw_dimensions(picture: np.ndarray, view: View, record: InspectionRecord, reporting: ReportingSettings) -> None:
    """Draw the zones, the outlines of core and cladding, and their dimensions on a square view of the image."""
    fiber = record.fiber
    cladding, radius_px = fiber.cladding, fiber.cladding.mean_radius_px
    for zone in record.zones:
        color = bgr(reporting.zone_colors, zone.name)
        draw_ellipse(picture, view, cladding, zone.outer_radius_px / radius_px, color, 1)
    core_px = 0.5 * fiber.core_diameter_px
    core = cladding
    if math.isfinite(fiber.core_x_px):
        core = replace(cladding, x_px=fiber.core_x_px, y_px=fiber.core_y_px)
    for outline, factor in ((cladding, 1.0), (core, core_px / radius_px)):
        if math.isfinite(factor):
            rim = 1.2 / (view.scale * radius_px)
            for beside, color in ((-rim, BLACK), (rim, BLACK), (0.0, WHITE)):  # faster than a thick black line below
                draw_ellipse(picture, view, outline, max(factor + beside, 0.0), color, 1)

    def place(frame_px: float, turn_deg: float) -> Point:
        """Where the end of a radius of the fibre frame lies; angle counter-clockwise from +x."""
        turn = math.radians(turn_deg)
        u, v = frame_px * math.cos(turn), -frame_px * math.sin(turn)
        return view.point(*(float(value) for value in from_frame(cladding, u, v)))

    foot = view.area.bottom - _FOOT_PX
    left, right = place(radius_px, 180), place(radius_px, 0)
    for side in (left, right):
        _line(picture, side, (side[0], foot + _ARROW_PX))
    _dimension(picture, (left[0], foot), (right[0], foot))
    _label(picture, f"cladding {length_text(2 * radius_px, record)}", (0.5 * (left[0] + right[0]), foot))
    if not math.isfinite(core_px):
        return
    _dimension(picture, place(core_px, 180), place(core_px, 0))
    x, foot = place(core_px, 270)
    is_large = core_px * view.scale > _LARGE_CORE_PX
    _label(picture, f"core {length_text(2 * core_px, record)}", (x, place(0, 0)[1] + 20 if is_large else foot + 18))
    _dimension(picture, place(core_px, _ACROSS_DEG), place(radius_px, _ACROSS_DEG))
    has_room = (radius_px - core_px) * view.scale > _LEAST_ROOM_PX
    beside_px = 0.5 * (core_px + radius_px) if has_room else radius_px + 0.6 * _LEAST_ROOM_PX / view.scale
    _label(picture, length_text(radius_px - core_px, record), place(beside_px, _ACROSS_DEG))


def dimension_lines(record: InspectionRecord) -> list[str]:
    """The dimensions of a record with a fibre, one fact a line."""
    fiber, cladding = record.fiber, record.fiber.cladding
    radius_px, core_px = cladding.mean_radius_px, 0.5 * fiber.core_diameter_px
    lines = ["Core diameter: not known"]
    if math.isfinite(core_px):
        lines = [
            f"Core diameter: {length_text(2 * core_px, record)} ({fiber.core_source})",
            f"Core edge to cladding edge: {length_text(radius_px - core_px, record)}",
        ]
    if math.isfinite(fiber.core_x_px):
        u, v = to_frame(cladding, fiber.core_x_px, fiber.core_y_px)
        direction = math.degrees(math.atan2(-v, u)) % 360
        lines.append(f"Core off centre by {length_text(math.hypot(u, v), record, 2)}, towards {direction:.0f} deg")
    lines += [
        f"Cladding diameter: {length_text(2 * radius_px, record)}",
        f"Cladding axes: {length_text(cladding.major_px, record)} and {length_text(cladding.minor_px, record)}, "
        f"ratio {cladding.major_px / cladding.minor_px:.3f}",
    ]
    radii = [f"{zone.name} {length_text(zone.outer_radius_px, record)}" for zone in record.zones]
    lines += [f"Zone radii: {', '.join(radii[k : k + 2])}" for k in range(0, len(radii), 2)]
    left, top = cladding.x_px + 0.5, cladding.y_px + 0.5
    right, bottom = record.image_width_px - left, record.image_height_px - top
    lines.append(f"Centre to the picture's edges: left {left:.0f}, right {right:.0f},")
    lines.append(f"top {top:.0f}, bottom {bottom:.0f} px of the image")
    known = f"{record.scale.um_per_px:.4f} um per px ({record.scale.source})"
    lines.append(f"Scale: {known if record.scale.known else 'not known, so lengths are in px'}")
    return lines


def length_text(length_px: float, record: InspectionRecord, decimals: int = 1) -> str:
    """A length of the fibre frame as text: in um, without a scale in px."""
    if record.scale.known:
        return f"{length_px * record.scale.um_per_px:.{decimals}f} um"
    return f"{length_px:.{decimals}f} px"


def _dimension(picture: np.ndarray, start: Point, end: Point) -> None:
    """A line with an arrow head at both ends; a short one is pointed at from outside."""
    length = math.dist(start, end)
    if length < 1:
        return
    dx, dy = (end[0] - start[0]) / length, (end[1] - start[1]) / length
    inner = length >= _LEAST_INNER_PX
    if inner:
        _line(picture, start, end)
    for tip, sign in ((start, 1 if inner else -1), (end, -1 if inner else 1)):
        if not inner:
            _line(picture, tip, (tip[0] + 3 * sign * _ARROW_PX * dx, tip[1] + 3 * sign * _ARROW_PX * dy))
        for turn in (-0.4, 0.4):
            wing = (dx + turn * -dy) * sign * _ARROW_PX, (dy + turn * dx) * sign * _ARROW_PX
            _line(picture, tip, (tip[0] + wing[0], tip[1] + wing[1]))


def _line(picture: np.ndarray, start: Point, end: Point) -> None:
    ends = [(round(x), round(y)) for x, y in (start, end)]
    cv2.line(picture, *ends, BLACK, 2, cv2.LINE_AA)
    cv2.line(picture, *ends, WHITE, 1, cv2.LINE_AA)


def _label(picture: np.ndarray, text: str, middle: Point) -> None:
    draw_name(picture, text, middle, _TEXT, WHITE, PANEL)
