"""The heat map of the 3 x 3 matrix: one block of nine cells per zone, as they lie in the picture."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import groupby

import cv2
import numpy as np

from records import InspectionRecord, ZoneCell
from reports.drawing import BLACK, WHITE, Color, TextStyle, draw_text, shortened
from reports.heading import HEADING_PX, draw_heading
from reports.layout import Box

_WIDTH_PX = 800
_CELL_PX = (120, 60)  # across, down
_BLOCK_PX = (400, 240)
_LEGEND_PX = 64
_MARGIN_PX = 20
_TEXT = TextStyle(0.42, 1)
_NAME = TextStyle(0.5, 1)
_DARK: Color = (70, 70, 70)
_LINE: Color = (150, 150, 150)
_NOTHING: Color = (238, 238, 238)
# light enough for black writing, and apart from each other for every eye
_DARKER: Color = (222, 158, 100)  # BGR: blue
_BRIGHTER: Color = (70, 160, 245)  # orange
_LEAST_RANGE_GREY = 10.0  # where the tints are full: noise must not look like a finding
_ARROW_PX = 26


def matrix_picture(record: InspectionRecord) -> np.ndarray | None:
    """Draw the heat map, (H, 800, 3) uint8 BGR; None when the record has no matrix.

    A cell's tint says how much darker or brighter it is than the median of its zone's cells, its arrow points to
    where it gets brighter, and a thick frame with an exclamation mark says that it deviates.
    """
    blocks = [list(cells) for _, cells in groupby(record.matrix, key=lambda cell: cell.zone)]
    if not blocks:
        return None
    rows = math.ceil(len(blocks) / 2)
    height = HEADING_PX + rows * _BLOCK_PX[1] + _LEGEND_PX
    picture = np.full((height, _WIDTH_PX, 3), 255, np.uint8)
    draw_heading(picture, record, "3 x 3 matrix of each zone")
    for number, cells in enumerate(blocks):
        row, column = divmod(number, 2)
        _draw_block(picture, cells, _MARGIN_PX + column * _BLOCK_PX[0], HEADING_PX + 8 + row * _BLOCK_PX[1])
    _draw_legend(picture, height - _LEGEND_PX)
    return picture


def _draw_block(picture: np.ndarray, cells: Sequence[ZoneCell], left: int, top: int) -> None:
    means = [cell.mean_grey for cell in cells if math.isfinite(cell.mean_grey)]
    middle = float(np.median(means)) if means else 0.0
    range_grey = max([_LEAST_RANGE_GREY, *(abs(mean - middle) for mean in means)])
    deviating = sum(cell.deviates for cell in cells)
    found = (
        "none of its cells deviates"
        if not deviating
        else f"{deviating} of {len(cells)} cells deviate{'s' * (deviating == 1)}"
    )
    text = f"{cells[0].zone}: {found}" if means else f"{cells[0].zone}: not in the picture"
    draw_text(picture, text, left, top + 14, _NAME, BLACK)
    if means:
        tints = f"median {middle:.0f}, full tint at {range_grey:.0f} grey levels from it"
        draw_text(picture, tints, left, top + 32, _TEXT, _DARK)
    width, height = _CELL_PX
    for cell in sorted(cells, key=lambda cell: cell.deviates):  # the thick frames last
        x, y = left + cell.column * width, top + 40 + cell.row * height
        _draw_cell(picture, cell, Box(x, y, x + width, y + height), (cell.mean_grey - middle) / range_grey)


def _draw_cell(picture: np.ndarray, cell: ZoneCell, box: Box, tint: float) -> None:
    corners = (box.left, box.top), (box.right, box.bottom)
    cv2.rectangle(picture, *corners, _tinted(tint), cv2.FILLED)
    cv2.rectangle(picture, *corners, BLACK if cell.deviates else _LINE, 3 if cell.deviates else 1)
    if not math.isfinite(tint):
        draw_text(picture, "no pixels", box.left + 10, box.top + 35, _TEXT, _DARK)
        return
    lines = [f"{cell.mean_grey:.1f}", f"spread {cell.spread_grey:.1f}"]
    if cell.defect_area_px:
        marks = f"{cell.defect_count} defect{'s' * (cell.defect_count > 1)}" if cell.defect_count else "defect"
        text = f"{marks}, {share_text(cell.defect_area_px / max(cell.area_px, 1))}"
        lines.append(shortened(text, box.right - box.left - 14, _TEXT))
    for number, line in enumerate(lines):
        style = _NAME if number == 0 else _TEXT
        draw_text(picture, line, box.left + 8, box.top + 18 + 17 * number, style, BLACK)
    _draw_arrow(picture, cell, (box.right - 36, box.top + 15))
    if cell.deviates:
        _draw_sign(picture, (box.right - 12, box.top + 13))


def share_text(share: float) -> str:
    """A share of an area as per cent, with as many digits as it deserves."""
    return "< 0.1 %" if 0 < share < 0.001 else f"{100 * share:.{1 if share < 0.1 else 0}f} %"


def _draw_arrow(picture: np.ndarray, cell: ZoneCell, middle: tuple[int, int]) -> None:
    """Towards brighter grey; its length grows with the change along the side of a square of the cell's area."""
    x, y = (0.0 if not math.isfinite(v) else v for v in (cell.gradient_x_grey_per_px, cell.gradient_y_grey_per_px))
    slope = math.hypot(x, y)
    length = min(1.0, slope * math.sqrt(cell.area_px) / (2 * _LEAST_RANGE_GREY)) * _ARROW_PX / 2
    if length < 2:
        cv2.circle(picture, middle, 1, _DARK, cv2.FILLED, cv2.LINE_AA)
        return
    dx, dy = x / slope * length, y / slope * length
    ends = [(round(middle[0] + sign * dx), round(middle[1] + sign * dy)) for sign in (-1, 1)]
    cv2.arrowedLine(picture, *ends, _DARK, 1, cv2.LINE_AA, tipLength=5 / (2 * length))


def _draw_sign(picture: np.ndarray, middle: tuple[int, int]) -> None:
    cv2.circle(picture, middle, 9, BLACK, cv2.FILLED, cv2.LINE_AA)
    x, y = middle
    cv2.line(picture, (x, y - 5), (x, y + 1), WHITE, 2, cv2.LINE_AA)
    cv2.circle(picture, (x, y + 5), 1, WHITE, cv2.FILLED, cv2.LINE_AA)


def _draw_legend(picture: np.ndarray, top: int) -> None:
    y = top + 12
    x = _MARGIN_PX
    picture[y - 10 : y + 4, x + 54 : x + 135] = [_tinted(step / 40) for step in range(-40, 41)]
    draw_text(picture, "darker", x, y, _TEXT, BLACK)
    draw_text(picture, "brighter than the zone's median", x + 150, y, _TEXT, BLACK)
    cv2.arrowedLine(picture, (x + 390, y - 4), (x + 416, y - 4), _DARK, 1, cv2.LINE_AA, tipLength=0.2)
    draw_text(picture, "towards brighter", x + 424, y, _TEXT, BLACK)
    _draw_sign(picture, (x + 570, y - 4))
    draw_text(picture, "deviates from the others", x + 586, y, _TEXT, BLACK)
    note = "Mean and spread of grey levels; defects by centroid, and the share of the cell that they cover."
    draw_text(picture, note, x, y + 26, _TEXT, _DARK)


def _tinted(tint: float) -> Color:
    """Blue for -1, white for 0, orange for 1; grey for NaN."""
    if not math.isfinite(tint):
        return _NOTHING
    full, share = (_DARKER if tint < 0 else _BRIGHTER), min(abs(tint), 1.0)
    return tuple(round(255 + share * (tone - 255)) for tone in full)
