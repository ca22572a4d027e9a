"""The 3 x 3 matrix of a zone: grey levels, slopes and defects of its pixels, cell by cell, and which cells deviate."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from records import Defect, Ellipse, Scale, ZoneCell, ZoneExtent
from settings import MatrixSettings
from vision.geometry import to_frame
from vision.robust import SPREAD, nanmedian
from vision.zoning import Box

SIDE = 3
CELLS = SIDE * SIDE
LEAST_OTHERS = 3  # cells that a cell must have to be compared with
SAMPLE_PX = 4_000  # pixels of a zone that its grey levels are taken from
LEAST_SHAPE = 1e-6  # determinant of a cell's second moments over their product: below, its pixels lie on one line
_OTHERS = np.array([[other for other in range(CELLS) if other != cell] for cell in range(CELLS)])


@dataclass(frozen=True)
class _Grid:
    """Where the cells of a zone begin, and the last of them ends: four row and four column numbers."""

    rows: np.ndarray
    columns: np.ndarray

    def cell_of(self, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """Number (0..8) of the cell that each place lies in; of one outside the grid, the nearest."""
        row = np.searchsorted(self.rows[1:-1], rows, side="right")
        return SIDE * row + np.searchsorted(self.columns[1:-1], columns, side="right")


@dataclass(frozen=True)
class _Levels:
    """Grey levels of the nine cells, each (9,); NaN where a cell has no pixel."""

    mean: np.ndarray
    spread: np.ndarray
    gradient_x: np.ndarray
    gradient_y: np.ndarray
    deviates: np.ndarray


def zone_matrix(
    grey: np.ndarray,
    zone_map: np.ndarray,
    labels: np.ndarray,
    *,
    box: Box,
    cladding: Ellipse,
    scale: Scale,
    zones: Sequence[ZoneExtent],
    defects: Sequence[Defect],
    settings: MatrixSettings,
) -> tuple[ZoneCell, ...]:
    """Nine cells, row by row, for every inspected zone: its bounding box inside ``box`` split into thirds.

    ``grey`` and ``zone_map`` are (H, W) uint8, ``labels`` (H, W) uint16; ``box`` is the picture without black margins.
    Areas and defects count every pixel of the zone in a cell. Mean, standard deviation and gradients (those of the
    plane that fits the grey levels best, so that noise averages out) are those of evenly taken pixels, of all in a
    small zone. A cell without any has undefined grey levels; in the middle of a thin ring its area is 0.

    A cell deviates when its mean lies farther from the median of the other cells, or its spread farther above it,
    than ``deviation_sigma`` of their robust spreads (and of its own sampling error), and by more than
    ``min_difference_grey``. What is round and centred, such as the core or the dark edge, is taken off before: it
    belongs to the fibre, and the cells see different radii of it. Light that falls off to one side spreads the means
    of all cells and with them the limit: by a slope alone no cell is more than 1.4 spreads away, so it does not alarm.
    """
    picture = np.s_[box[0] : box[1], box[2] : box[3]]
    marked_rows, marked_columns = np.divmod(np.flatnonzero(labels[picture] != 0), max(box[3] - box[2], 1))
    marked_rows, marked_columns = marked_rows + box[0], marked_columns + box[2]
    marked_zone = zone_map[marked_rows, marked_columns]
    cells: list[ZoneCell] = []
    for zone in (zone for zone in zones if zone.inspected):
        mask = cv2.inRange(zone_map[picture], zone.label, zone.label)
        left, top, width, height = cv2.boundingRect(mask)
        thirds = np.arange(SIDE + 1)
        grid = _Grid(box[0] + top + thirds * height // SIDE, box[2] + left + thirds * width // SIDE)
        areas = _areas(mask[top : top + height, left : left + width], grid)
        inside = marked_zone == zone.label
        marks = np.bincount(grid.cell_of(marked_rows[inside], marked_columns[inside]), minlength=CELLS)
        counts = _defect_counts(grid, zone, defects)
        step = max(1, math.ceil(math.sqrt(sum(areas) / SAMPLE_PX)))
        levels = _levels(grey, zone_map, zone.label, grid, step, cladding, settings)
        cells += [
            ZoneCell(
                zone.name,
                *divmod(cell, SIDE),
                area_px=areas[cell],
                mean_grey=round(float(levels.mean[cell]), 3),
                spread_grey=round(float(levels.spread[cell]), 3),
                gradient_x_grey_per_px=round(float(levels.gradient_x[cell]), 6),
                gradient_y_grey_per_px=round(float(levels.gradient_y[cell]), 6),
                defect_count=int(counts[cell]),
                defect_area_px=int(marks[cell]),
                deviates=bool(levels.deviates[cell]),
                area_um2=round(areas[cell] * scale.um_per_px**2, 3),
            )
            for cell in range(CELLS)
        ]
    return tuple(cells)


def _areas(mask: np.ndarray, grid: _Grid) -> list[int]:
    """Pixels of the zone in each cell; ``mask`` is its bounding box."""
    rows, columns = (grid.rows - grid.rows[0]).tolist(), (grid.columns - grid.columns[0]).tolist()
    blocks = (mask[rows[i] : rows[i + 1], columns[j] : columns[j + 1]] for i in range(SIDE) for j in range(SIDE))
    return [cv2.countNonZero(block) if block.size else 0 for block in blocks]


def _defect_counts(grid: _Grid, zone: ZoneExtent, defects: Sequence[Defect]) -> np.ndarray:
    own = [defect for defect in defects if defect.zone == zone.name]
    places = np.array([(d.centroid_y_px, d.centroid_x_px) for d in own]).reshape(-1, 2)
    return np.bincount(grid.cell_of(*np.rint(places).T), minlength=CELLS)


def _levels(
    grey: np.ndarray,
    zone_map: np.ndarray,
    label: int,
    grid: _Grid,
    step: int,
    cladding: Ellipse,
    settings: MatrixSettings,
) -> _Levels:
    """Levels of the pixels of one zone in every ``step``-th row and column."""
    top, bottom, left, right = (int(v) for v in (*grid.rows[[0, -1]], *grid.columns[[0, -1]]))
    sample = np.s_[top:bottom:step, left:right:step]
    own = np.flatnonzero(zone_map[sample] == label)
    y, x = np.divmod(own, max(len(range(left, right, step)), 1))
    rows, columns = top + step * y, left + step * x
    members = (grid.cell_of(rows, columns) == np.arange(CELLS)[:, None]).astype(np.float64)  # (9, pixels)
    g = grey[sample].ravel()[own].astype(np.float64)
    terms = np.stack([np.ones(len(g)), g, x, y, g * g, g * x, g * y, x * x, x * y, y * y])
    n, sg, sx, sy, sgg, sgx, sgy, sxx, sxy, syy = terms @ members.T
    radius = (np.hypot(*to_frame(cladding, columns, rows)) / step).astype(int)
    uneven = g - (np.bincount(radius, g) / np.maximum(np.bincount(radius), 1))[radius]
    su, suu = np.stack([uneven, uneven * uneven]) @ members.T
    with np.errstate(invalid="ignore", divide="ignore"):
        # n^2 times variances and covariances: sums of whole numbers, so that even grey has no spread at all
        gx, gy = n * sgx - sg * sx, n * sgy - sg * sy
        xx, xy, yy = n * sxx - sx * sx, n * sxy - sx * sy, n * syy - sy * sy
        determinant = xx * yy - xy * xy
        area = np.where(determinant > LEAST_SHAPE * xx * yy, determinant * step, np.nan)
        unrest = np.sqrt(np.maximum(n * suu - su * su, 0)) / n
        return _Levels(
            mean=sg / n,
            spread=np.sqrt(n * sgg - sg * sg) / n,
            gradient_x=(yy * gx - xy * gy) / area,
            gradient_y=(xx * gy - xy * gx) / area,
            deviates=_deviating(su / n, unrest, n, settings),
        )


def _deviating(level: np.ndarray, unrest: np.ndarray, count: np.ndarray, settings: MatrixSettings) -> np.ndarray:
    """Which cells (9,) bool stand out by their mean level or are more restless; NaN in cells without pixels."""
    seen = np.maximum(count, 1)
    noise = nanmedian(unrest[_OTHERS])
    level_off, level_sigma = _off(level)
    unrest_off, unrest_sigma = _off(unrest)
    stands_out = np.zeros(CELLS, bool)
    for off, sigma in (
        (np.abs(level_off), np.hypot(level_sigma, noise / np.sqrt(seen))),
        (unrest_off, np.hypot(unrest_sigma, noise / np.sqrt(2 * seen))),
    ):
        stands_out |= off > np.maximum(settings.deviation_sigma * sigma, settings.min_difference_grey)
    return stands_out & (np.count_nonzero(count[_OTHERS], axis=1) >= LEAST_OTHERS)


def _off(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How far each cell (9,) lies above the median of the others, and their robust spread."""
    others = values[_OTHERS]
    middle = nanmedian(others)
    return values - middle, SPREAD * nanmedian(np.abs(others - middle[:, None]))
