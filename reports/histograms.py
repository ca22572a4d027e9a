"""Histograms of the grey levels of the inspected zones, as lines of different style."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

import cv2
import numpy as np

from records import ZONE_NAMES, Inspection
from reports.drawing import BLACK, Color, TextStyle, bgr, draw_text
from reports.layout import Box, Point
from settings import ReportingSettings

_SAMPLE_PX = 60_000
_BINS = 128
_TEXT = TextStyle(0.42, 1)
_GRID: Color = (215, 215, 215)
_DARK: Color = (70, 70, 70)
_TICKS = (0, 50, 100, 150, 200, 250)
_LEGEND_PX = 96
_FOOT_PX = 22
_DARKENING = 0.72  # of the zone colours, which are made for a dark background
_STEP_PX = 3.0  # of a line
_SOLID, _DASHED, _DOTTED, _DASH_DOT = "-", "---  ", "-  ", "----  -  "
_STYLES = dict(zip(ZONE_NAMES, (_SOLID, _DASHED, _DOTTED, _DASH_DOT), strict=True))


def zone_histograms(grey: np.ndarray, zone_map: np.ndarray, labels: Sequence[int]) -> list[np.ndarray]:
    """For each zone label the shares of its pixels in 128 bins of two grey levels, (128,); zeros without a pixel.

    Both arrays are (H, W) uint8; of large ones evenly taken pixels count.
    """
    step = max(1, math.isqrt(grey.size // _SAMPLE_PX))
    sample, zones = np.ascontiguousarray(grey[::step, ::step]), np.ascontiguousarray(zone_map[::step, ::step])
    result = []
    for label in labels:
        counts = cv2.calcHist([sample], [0], cv2.inRange(zones, label, label), [_BINS], [0, 256]).ravel()
        result.append(counts / max(float(counts.sum()), 1.0))
    return result


def draw_histograms(picture: np.ndarray, box: Box, inspection: Inspection, reporting: ReportingSettings) -> None:
    """Draw the histogram of every inspected zone, each up to its own peak, with a legend on the right."""
    plot = Box(box.left, box.top, box.right - _LEGEND_PX, box.bottom - _FOOT_PX)
    width, height = plot.right - plot.left, plot.bottom - plot.top
    for tick in _TICKS:
        x = plot.left + round((tick + 0.5) / 256 * width)
        cv2.line(picture, (x, plot.top), (x, plot.bottom), _GRID, 1)
        draw_text(picture, str(tick), x - _TEXT.width(str(tick)) // 2, plot.bottom + 16, _TEXT, _DARK)
    cv2.line(picture, (plot.left, plot.bottom), (plot.right, plot.bottom), _DARK, 1)
    zones = [zone for zone in inspection.record.zones if zone.inspected]
    histograms = zone_histograms(inspection.grey, inspection.zone_map, [zone.label for zone in zones])
    x = plot.left + (np.arange(_BINS) + 0.5) / _BINS * width
    for number, (zone, shares) in enumerate(zip(zones, histograms, strict=True)):
        color = tuple(round(_DARKENING * tone) for tone in bgr(reporting.zone_colors, zone.name))
        smooth = np.convolve(shares, (0.25, 0.5, 0.25), "same")
        if smooth.max() > 0:
            y = plot.bottom - smooth / smooth.max() * (height - 6)
            _draw_dashed(picture, list(zip(x.tolist(), y.tolist(), strict=True)), _STYLES[zone.name], color)
        left, baseline = plot.right + 14, plot.top + 14 + 22 * number
        _draw_dashed(picture, [(left, baseline - 4), (left + 28, baseline - 4)], _STYLES[zone.name], color)
        draw_text(picture, zone.name, left + 34, baseline, _TEXT, BLACK)


def _draw_dashed(picture: np.ndarray, points: Sequence[Point], style: str, color: Color) -> None:
    """A polyline in steps of a few pixels; each character of ``style`` is a step, drawn where it is a hyphen."""
    line = np.array(points)
    along = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(line, axis=0).T))])
    places = np.linspace(0, along[-1], max(2, round(along[-1] / _STEP_PX)))
    walked = np.column_stack([np.interp(places, along, line[:, k]) for k in (0, 1)]).round().astype(np.int32)
    if style == _SOLID:
        pieces = [walked]
    else:
        dashes = [(dash.start(), dash.end()) for dash in re.finditer("-+", style)]
        starts = range(0, len(walked), len(style))
        pieces = [walked[start + first : start + end + 1] for start in starts for first, end in dashes]
    cv2.polylines(picture, [piece for piece in pieces if len(piece) > 1], False, color, 2)
