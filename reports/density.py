"""Where the marks of an end face are dense: the share of the area that they cover, smoothed."""

from __future__ import annotations

import math

import cv2
import numpy as np

from records import Ellipse, Inspection, ZoneExtent
from reports.dimensions import length_text
from reports.drawing import (
    BLACK,
    WHITE,
    Color,
    TextStyle,
    View,
    bgr,
    draw_ellipse,
    draw_name,
    draw_outline,
    draw_text,
    fill_box,
)
from reports.layout import Box
from settings import ReportingSettings
from vision.geometry import from_frame

_CELLS = 110  # of the coarse picture along a side; the smoothing spans several
_SMOOTHING_SHARE = 0.08  # sigma, of the cladding radius
_LEAST_TOP = 0.01  # of the legend: a share of one per cent
_NAME_DEG = (270.0, 250.0, 290.0, 270.0)  # where the names of the zones stand, from the centre outwards
_TEXT = TextStyle(0.42, 1)
_OUTSIDE: Color = (228, 228, 228)
_DARK: Color = (70, 70, 70)
# white, yellow, orange, red, brown: darker and darker, so that it reads in grey, too; BGR
_STOPS = np.array([(255, 255, 255), (140, 225, 254), (41, 153, 254), (2, 76, 204), (4, 20, 70)], np.float64)
_TABLE = np.stack([np.interp(np.linspace(0, 4, 256), range(5), _STOPS[:, k]) for k in range(3)], axis=1)
_COLORS = np.round(_TABLE).astype(np.uint8).reshape(256, 1, 3)


def marked_density(labels: np.ndarray, view: View, cells: int, sigma_cells: float) -> np.ndarray:
    """Share of the area that is marked around each of ``cells`` x ``cells`` places of a square view, (cells, cells).

    ``labels`` is (H, W), 0 = no defect. Smoothed by a Gaussian; beyond the image nothing is marked.
    """
    rows, columns = np.divmod(np.flatnonzero(labels != 0), labels.shape[1])
    cell_px = (view.area.right - view.area.left) / view.scale / cells
    i, j = ((rows - view.crop_y) / cell_px).astype(int), ((columns - view.crop_x) / cell_px).astype(int)
    inside = (rows >= view.crop_y) & (columns >= view.crop_x) & (i < cells) & (j < cells)
    counts = np.bincount((i * cells + j)[inside], minlength=cells * cells).reshape(cells, cells)
    share = (counts / cell_px**2).astype(np.float32)
    return cv2.GaussianBlur(share, (0, 0), sigma_cells, borderType=cv2.BORDER_CONSTANT)


def draw_density(picture: np.ndarray, view: View, inspection: Inspection, reporting: ReportingSettings) -> None:
    """Draw the density of the marks on a square view, with the zones, the marks' places and a legend below."""
    record, window = inspection.record, view.window(picture)
    cladding, side = record.fiber.cladding, view.area.right - view.area.left
    sigma_px = _SMOOTHING_SHARE * cladding.mean_radius_px
    density = marked_density(inspection.labels, view, _CELLS, sigma_px * view.scale / side * _CELLS)
    top = _round_up(max(float(density.max()), _LEAST_TOP))
    levels = cv2.convertScaleAbs(density, alpha=255 / top)
    cv2.applyColorMap(cv2.resize(levels, (side, side)), _COLORS, dst=window)
    _shade_outside(picture, view, inspection.grey.shape)
    for zone in record.zones:
        factor = zone.outer_radius_px / cladding.mean_radius_px
        draw_ellipse(picture, view, cladding, factor, bgr(reporting.zone_colors, zone.name), 1)
    draw_ellipse(picture, view, cladding, 1.0, _DARK, 1)
    for zone, turn_deg in zip(record.zones, _NAME_DEG, strict=False):
        _name_zone(picture, view, cladding, zone, turn_deg)
    for defect in record.counted_defects:
        if view.shows(defect.centroid_x_px, defect.centroid_y_px):
            x, y = view.point(defect.centroid_x_px, defect.centroid_y_px)
            cv2.circle(picture, (round(x), round(y)), 3, WHITE, cv2.FILLED, cv2.LINE_AA)
            cv2.circle(picture, (round(x), round(y)), 2, BLACK, cv2.FILLED, cv2.LINE_AA)
    cv2.rectangle(picture, (view.area.left, view.area.top), (view.area.right - 1, view.area.bottom - 1), _DARK, 1)
    note = f"dots: marks; smoothed over {length_text(sigma_px, record)}" if record.counted_defects else "no marks"
    _draw_legend(picture, Box(view.area.left, view.area.bottom + 8, view.area.right, view.area.bottom + 36), top, note)


def _name_zone(picture: np.ndarray, view: View, cladding: Ellipse, zone: ZoneExtent, turn_deg: float) -> None:
    """Write the zone's name on its outer ring, where the view has room for it."""
    turn, radius_px, area = math.radians(turn_deg), zone.outer_radius_px, view.area
    place = from_frame(cladding, radius_px * math.cos(turn), -radius_px * math.sin(turn))
    x, y = view.point(*(float(value) for value in place))
    if area.left + 40 < x < area.right - 40 and area.top + 10 < y < area.bottom - 10:
        draw_name(picture, zone.name, (x, y), _TEXT, BLACK, WHITE)


def _shade_outside(picture: np.ndarray, view: View, shape: tuple[int, int]) -> None:
    """Grey where the view lies outside the image, and the image's edge as a line."""
    left, top = view.point(-0.5, -0.5)
    right, bottom = view.point(shape[1] - 0.5, shape[0] - 0.5)
    area = view.area
    x0, x1 = (min(max(round(x), area.left), area.right) for x in (left, right))
    y0, y1 = (min(max(round(y), area.top), area.bottom) for y in (top, bottom))
    for box in (
        Box(area.left, area.top, area.right, y0),
        Box(area.left, y1, area.right, area.bottom),
        Box(area.left, y0, x0, y1),
        Box(x1, y0, area.right, y1),
    ):
        fill_box(picture, box, _OUTSIDE)
    draw_outline(picture, view, ((left, top), (right, top), (right, bottom), (left, bottom)), _DARK, 1)


def _draw_legend(picture: np.ndarray, box: Box, top: float, note: str) -> None:
    bar_px = 160
    shades = np.linspace(0, 255, bar_px).astype(int)
    picture[box.top : box.top + 12, box.left : box.left + bar_px] = _COLORS[shades, 0]
    cv2.rectangle(picture, (box.left, box.top), (box.left + bar_px - 1, box.top + 11), _DARK, 1)
    texts = [(f"{100 * share:g} %", share / top) for share in (0.0, top / 2, top)]
    for text, place in texts:
        left = box.left + round(place * (bar_px - _TEXT.width(text)))
        draw_text(picture, text, left, box.top + 28, _TEXT, BLACK)
    draw_text(picture, "of the area is marked", box.left + bar_px + 12, box.top + 11, _TEXT, BLACK)
    draw_text(picture, note, box.left + bar_px + 12, box.top + 28, _TEXT, _DARK)


def _round_up(share: float) -> float:
    """The 1-2-5 number nearest above ``share``, at most 1."""
    power = 10.0 ** math.floor(math.log10(share))
    above = (factor * power for factor in (1, 2, 5, 10) if factor * power >= share)
    return min(next(above), 1.0)
