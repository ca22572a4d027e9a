"""How an annotated picture is laid out: the frame, and a magnified panel where the fibre is small in it."""

from __future__ import annotations

import math

import cv2
import numpy as np

from records import InspectionRecord
from reports.drawing import PANEL, WHITE, View, draw_outline
from reports.layout import Box

_LONGEST_SIDE_PX = 2400  # larger frames are shown reduced
_SHORTEST_LONG_SIDE_PX = 640  # smaller ones enlarged, by a whole number
_SMALLEST_PICTURE_PX = (480, 360)
_SMALL_FIBER_SHARE = 0.45  # of the frame's height, and
_SMALL_FIBER_PX = 400  # across: where both are undercut, a magnified panel is added
_PANEL_FIBER_PX = 640  # across, at most
_LEAST_MAGNIFICATION = 1.5
_PANEL_HALF_SIZE = (1.8, 1.35)  # times the cladding radius, across and down
_WIDEST_PANEL = 1.4  # times its height


def compose(grey: np.ndarray, record: InspectionRecord) -> tuple[np.ndarray, list[View]]:
    """Lay the (H, W) uint8 image out on a new (H', W', 3) BGR picture.

    Returns the picture and its views: the frame at the top left, then the panel if there is one.
    """
    height_px, width_px = grey.shape
    scale = _frame_scale(max(height_px, width_px))
    area = Box(0, 0, max(1, round(width_px * scale)), max(1, round(height_px * scale)))
    views = [View(area, 0, 0, scale)]
    crop = _panel_crop(record, width_px, height_px)
    if crop is not None:
        panel_scale = min(
            area.bottom / (crop.bottom - crop.top),
            _WIDEST_PANEL * area.bottom / (crop.right - crop.left),
            0.5 * _PANEL_FIBER_PX / record.fiber.cladding.mean_radius_px,
        )
        if panel_scale >= _LEAST_MAGNIFICATION * scale:
            right = area.right + math.floor((crop.right - crop.left) * panel_scale)
            bottom = math.floor((crop.bottom - crop.top) * panel_scale)
            views.append(View(Box(area.right, 0, right, bottom), crop.left, crop.top, panel_scale))
    width, height = max(views[-1].area.right, _SMALLEST_PICTURE_PX[0]), max(area.bottom, _SMALLEST_PICTURE_PX[1])
    picture = cv2.merge([np.full((height, width), tone, np.uint8) for tone in PANEL])
    for view in views:
        _show(picture, view, grey)
    return picture, views


def draw_panel_frame(picture: np.ndarray, frame: View, panel: View) -> None:
    """Outline the panel, and in the frame the part that it magnifies."""
    area = panel.area
    x, y = panel.crop_x - 0.5, panel.crop_y - 0.5
    right, bottom = x + (area.right - area.left) / panel.scale, y + (area.bottom - area.top) / panel.scale
    corners = [frame.point(*corner) for corner in ((x, y), (right, y), (right, bottom), (x, bottom))]
    draw_outline(picture, frame, corners, WHITE, 1)
    picture[:, area.left - 1 : area.left + 1] = WHITE


def _frame_scale(longest_px: int) -> float:
    if longest_px > _LONGEST_SIDE_PX:
        return _LONGEST_SIDE_PX / longest_px
    return float(max(1, _SHORTEST_LONG_SIDE_PX // longest_px))


def _panel_crop(record: InspectionRecord, width_px: int, height_px: int) -> Box | None:
    """The part of the image worth magnifying, in image pixels: around the fibre; None when the fibre is large."""
    if record.fiber is None:
        return None
    cladding = record.fiber.cladding
    radius = cladding.mean_radius_px
    if 2 * radius >= min(_SMALL_FIBER_SHARE * height_px, _SMALL_FIBER_PX):
        return None
    across, down = (share * radius for share in _PANEL_HALF_SIZE)
    left, right = max(0, math.floor(cladding.x_px - across)), min(width_px, math.ceil(cladding.x_px + across))
    top, bottom = max(0, math.floor(cladding.y_px - down)), min(height_px, math.ceil(cladding.y_px + down))
    return Box(left, top, right, bottom) if right > left and bottom > top else None


def _show(picture: np.ndarray, view: View, grey: np.ndarray) -> None:
    area = view.area
    width, height = area.right - area.left, area.bottom - area.top
    columns, rows = math.ceil(width / view.scale), math.ceil(height / view.scale)
    part = grey[view.crop_y : view.crop_y + rows, view.crop_x : view.crop_x + columns]
    if part.shape != (height, width):
        part = cv2.resize(part, (width, height), interpolation=cv2.INTER_AREA if view.scale < 1 else cv2.INTER_CUBIC)
    cv2.cvtColor(part, cv2.COLOR_GRAY2BGR, dst=picture[area.top : area.bottom, area.left : area.right])
