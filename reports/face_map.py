"""The map of an end face: the fibre with its dimensions, where marks are dense, and the grey levels of the zones."""

from __future__ import annotations

import math

import cv2
import numpy as np

from records import Ellipse, Inspection, InspectionRecord
from reports.density import draw_density
from reports.dimensions import dimension_lines, draw_dimensions
from reports.drawing import BLACK, Color, TextStyle, View, draw_text, fill_box, shortened
from reports.heading import HEADING_PX, draw_heading
from reports.histograms import draw_histograms
from reports.layout import Box
from settings import ReportingSettings

_SIZE_PX = (900, 776)
_PHOTO = Box(20, HEADING_PX + 26, 430, HEADING_PX + 436)
_DENSITY = Box(470, HEADING_PX + 26, 880, HEADING_PX + 436)
_HISTOGRAMS = Box(20, _PHOTO.bottom + 80, 430, 760)
_TABLE_LEFT_PX, _TABLE_LINE_PX = 470, 19
_PHOTO_REACH = 1.3  # half the side of the photo, times the longer half axis of the cladding
_LEAST_REACH, _WIDEST_REACH = 1.15, 2.2  # the same of the map of marks, which shows all inspected zones in between
_CAPTION = TextStyle(0.5, 1)
_TEXT = TextStyle(0.42, 1)
_OUTSIDE: Color = (228, 228, 228)


def map_picture(inspection: Inspection, reporting: ReportingSettings) -> np.ndarray | None:
    """Draw the map, (776, 900, 3) uint8 BGR; None when there is no image or the fibre was not located.

    Lengths in um, in px without a scale. Nothing is measured here: all numbers are those of the record.
    """
    record = inspection.record
    if record.fiber is None or inspection.grey is None or inspection.zone_map is None or inspection.labels is None:
        return None
    picture = np.full((_SIZE_PX[1], _SIZE_PX[0], 3), 255, np.uint8)
    draw_heading(picture, record, "Map of the end face")
    cladding = record.fiber.cladding
    for text, left, top in (
        ("The fibre", _PHOTO.left, _PHOTO.top - 10),
        ("Density of marks", _DENSITY.left, _DENSITY.top - 10),
        ("Grey levels of the zones, each to its own peak", _HISTOGRAMS.left, _HISTOGRAMS.top - 10),
        ("Dimensions", _TABLE_LEFT_PX, _HISTOGRAMS.top - 10),
    ):
        draw_text(picture, text, left, top, _CAPTION, BLACK)
    photo = _view(_PHOTO, cladding, _PHOTO_REACH)
    _show(picture, photo, inspection.grey)
    draw_dimensions(picture, photo, record, reporting)
    draw_density(picture, _view(_DENSITY, cladding, _density_reach(record)), inspection, reporting)
    draw_histograms(picture, _HISTOGRAMS, inspection, reporting)
    for number, line in enumerate(dimension_lines(record)):
        text = shortened(line, _SIZE_PX[0] - _TABLE_LEFT_PX - 20, _TEXT)
        draw_text(picture, text, _TABLE_LEFT_PX, _HISTOGRAMS.top + 12 + _TABLE_LINE_PX * number, _TEXT, BLACK)
    return picture


def _density_reach(record: InspectionRecord) -> float:
    inspected = [zone.outer_radius_px for zone in record.zones if zone.inspected]
    reach = 1.05 * max(inspected, default=0.0) / record.fiber.cladding.mean_radius_px
    return min(max(reach, _LEAST_REACH), _WIDEST_REACH)


def _view(area: Box, cladding: Ellipse, reach: float) -> View:
    """The square around the fibre, whether or not all of it lies in the image."""
    half = math.ceil(0.5 * reach * cladding.major_px)
    left, top = math.floor(cladding.x_px) - half, math.floor(cladding.y_px) - half
    return View(area, left, top, (area.right - area.left) / (2 * half + 1))


def _show(picture: np.ndarray, view: View, grey: np.ndarray) -> None:
    """Show the part of an (H, W) uint8 image that lies in the view; the rest of the view is light grey."""
    window = view.window(picture)
    fill_box(picture, view.area, _OUTSIDE)
    side = math.ceil(window.shape[0] / view.scale)
    top, bottom = max(view.crop_y, 0), min(view.crop_y + side, grey.shape[0])
    left, right = max(view.crop_x, 0), min(view.crop_x + side, grey.shape[1])
    if bottom <= top or right <= left:
        return
    y0, y1, x0, x1 = (
        round((edge - start) * view.scale)
        for edge, start in ((top, view.crop_y), (bottom, view.crop_y), (left, view.crop_x), (right, view.crop_x))
    )
    y1, x1 = min(max(y1, y0 + 1), window.shape[0]), min(max(x1, x0 + 1), window.shape[1])
    way = cv2.INTER_AREA if view.scale < 0.5 else cv2.INTER_LINEAR  # in between it saves most of the time of a map
    part = cv2.resize(grey[top:bottom, left:right], (x1 - x0, y1 - y0), interpolation=way)
    window[y0:y1, x0:x1] = cv2.cvtColor(part, cv2.COLOR_GRAY2BGR)
