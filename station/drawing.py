"""Pictures for the window: the live picture with fibre and zones, the still one with marks; (H, W, 3) uint8 BGR."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from metrology.scale import MatchedMarks
from records import Fiber, Inspection, ZoneExtent
from reports.annotate import MAX_LABELS, label_text, mark_color, mark_outline, worst_first
from reports.drawing import PANEL, WHITE, Color, TextStyle, View, bgr, draw_ellipse, draw_outline, draw_text, fill_box
from reports.layout import Box, Canvas, Circle, LabelItem, leader_line, place_labels
from settings import ReportingSettings
from station.tracking import Sight

FOUND: Color = (120, 255, 120)  # the outline of a fibre that is followed
_ZOOM_REACH = 1.35  # cladding radii around the centre that a zoomed picture shows


@dataclass(frozen=True)
class Switches:
    """What is drawn over a picture, and whether it shows the fibre alone, magnified."""

    marks: bool = True
    zones: bool = True
    zoom: bool = False


def live_picture(sight: Sight, size: tuple[int, int], switches: Switches, reporting: ReportingSettings) -> np.ndarray:
    """The live picture in a window of ``size`` (width, height), the fibre's outline and zones over it."""
    picture, view = _ground(sight.grey, sight.fiber, size, switches.zoom)
    if sight.fiber is not None and switches.marks:
        line_px = _line_px(size)
        if switches.zones:
            _draw_zones(picture, view, sight.fiber, sight.zones, reporting, line_px)
        draw_ellipse(picture, view, sight.fiber.cladding, 1.0, FOUND, 2 * line_px)
    return picture


def result_picture(
    inspection: Inspection,
    size: tuple[int, int],
    switches: Switches,
    reporting: ReportingSettings,
    selected: str | None = None,
) -> np.ndarray | None:
    """The inspected picture with its marks; that of the defect ``selected`` stands out. None without an image.

    A selected mark outside of the magnified part is shown in the whole picture.
    """
    record = inspection.record
    if inspection.grey is None:
        return None
    picture, view = _ground(inspection.grey, record.fiber, size, switches.zoom)
    chosen = next((defect for defect in record.defects if defect.defect_id == selected), None)
    if chosen is not None and not view.shows(chosen.centroid_x_px, chosen.centroid_y_px):
        picture, view = _ground(inspection.grey, record.fiber, size, zoom=False)
    line_px = _line_px(size)
    if record.fiber is not None and switches.zones:
        _draw_zones(picture, view, record.fiber, record.zones, reporting, line_px)
    if record.defects and switches.marks:
        _draw_marks(picture, view, inspection, reporting, selected, line_px)
    return picture


def target_picture(grey: np.ndarray, marks: MatchedMarks, size: tuple[int, int]) -> np.ndarray:
    """A calibration target (H, W) uint8 with a cross on every mark that the scale rests on."""
    picture, view = _ground(grey, None, size, zoom=False)
    line_px = _line_px(size)
    for x, y in zip(marks.x_px, marks.y_px, strict=True):
        place = tuple(round(each) for each in view.point(float(x), float(y)))
        cv2.drawMarker(picture, place, FOUND, cv2.MARKER_CROSS, 10 * line_px, line_px, cv2.LINE_AA)
    return picture


def _ground(grey: np.ndarray, fiber: Fiber | None, size: tuple[int, int], zoom: bool) -> tuple[np.ndarray, View]:
    """The image (H, W) uint8, or the fibre in it, as large as it fits into a dark picture of ``size``."""
    rows, cols = grey.shape
    left, top, right, bottom = 0, 0, cols, rows
    if zoom and fiber is not None:
        x, y = fiber.cladding.x_px, fiber.cladding.y_px
        reach = _ZOOM_REACH * fiber.cladding.mean_radius_px
        left, top = max(0, int(x - reach)), max(0, int(y - reach))
        right, bottom = min(cols, int(x + reach) + 1), min(rows, int(y + reach) + 1)
    scale = min(size[0] / (right - left), size[1] / (bottom - top))
    width, height = max(1, int((right - left) * scale)), max(1, int((bottom - top) * scale))
    x0, y0 = (size[0] - width) // 2, (size[1] - height) // 2
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    shown = cv2.resize(grey[top:bottom, left:right], (width, height), interpolation=way)
    picture = np.full((size[1], size[0], 3), PANEL, np.uint8)
    picture[y0 : y0 + height, x0 : x0 + width] = cv2.cvtColor(shown, cv2.COLOR_GRAY2BGR)
    return picture, View(Box(x0, y0, x0 + width, y0 + height), left, top, scale)


def _line_px(size: tuple[int, int]) -> int:
    return max(1, round(min(size) / 700))


def _draw_zones(
    picture: np.ndarray,
    view: View,
    fiber: Fiber,
    zones: Sequence[ZoneExtent],
    reporting: ReportingSettings,
    line_px: int,
) -> None:
    for zone in reversed(zones):
        factor = zone.outer_radius_px / fiber.cladding.mean_radius_px
        draw_ellipse(picture, view, fiber.cladding, factor, bgr(reporting.zone_colors, zone.name), line_px)


def _draw_marks(
    picture: np.ndarray,
    view: View,
    inspection: Inspection,
    reporting: ReportingSettings,
    selected: str | None,
    line_px: int,
) -> None:
    """All outlines, the worst last; names beside the worst ones, the full label beside the selected one."""
    record, cladding = inspection.record, inspection.record.fiber.cladding
    defects = sorted(worst_first(record.defects), key=lambda defect: defect.defect_id != selected)
    defects = [defect for defect in defects if view.shows(defect.centroid_x_px, defect.centroid_y_px)]
    outlines = [mark_outline(defect, view, (9 if defect.defect_id == selected else 4) * line_px) for defect in defects]
    for defect, outline in reversed([*zip(defects, outlines, strict=True)]):
        width_px = 2 * line_px if defect.violates else line_px
        if defect.defect_id == selected:
            draw_outline(picture, view, outline, WHITE, 6 * line_px)
            width_px = 3 * line_px
        draw_outline(picture, view, outline, mark_color(defect, reporting), width_px)
    style = TextStyle(max(0.5, min(picture.shape[:2]) / 1150), max(1, line_px))
    canvas = Canvas(view.area)
    for outline in outlines:
        canvas.block_outline(outline)
    texts = [
        label_text(defect, record.scale.known) if defect.defect_id == selected else defect.defect_id
        for defect in defects[:MAX_LABELS]
    ]
    items = [
        LabelItem(style.width(text) + 8, style.line_px, outline) for text, outline in zip(texts, outlines, strict=False)
    ]
    x, y = view.point(cladding.x_px, cladding.y_px)
    boxes = place_labels(items, canvas, avoid=Circle(x, y, cladding.mean_radius_px * view.scale))
    for defect, outline, text, box in zip(defects, outlines, texts, boxes, strict=False):
        if box is not None:
            color = mark_color(defect, reporting)
            cv2.line(picture, *leader_line(outline, box), color, line_px, cv2.LINE_AA)
            fill_box(picture, box, PANEL, 0.8)
            draw_text(picture, text, box.left + 4, (box.top + box.bottom + style.cap_px) // 2, style, WHITE)
