"""Where labels and boxes go on a picture: pure geometry, no drawing.

The picture is seen as a coarse occupancy grid. Each box takes the cheapest free place, so no two boxes and no box and
defect ever overlap; a box that fits nowhere is left out and says so by being None.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

_CANDIDATES = 80  # free places, by cost, that are tried for a leader line that crosses nothing
_CELLS_ON_LONG_SIDE = 200
_DEPTH_WEIGHT = 0.7  # how much a label prefers a longer leader to lying on the fibre

Point = tuple[float, float]
Leader = tuple[tuple[int, int], tuple[int, int]]


@dataclass(frozen=True)
class Box:
    """Axis-parallel rectangle in picture pixels: left and top inside, right and bottom outside."""

    left: int
    top: int
    right: int
    bottom: int

    def overlaps(self, other: Box) -> bool:
        """Whether the two share any pixel."""
        across = self.left < other.right and other.left < self.right
        return across and self.top < other.bottom and other.top < self.bottom

    def nearest_point(self, point: Point) -> tuple[int, int]:
        """Point (x, y) of the box that is nearest to ``point``."""
        return (
            round(min(max(point[0], self.left), self.right - 1)),
            round(min(max(point[1], self.top), self.bottom - 1)),
        )


@dataclass(frozen=True)
class LabelItem:
    """A label to place: its size in pixels, and the outline (4 corners (x, y)) of the defect it belongs to."""

    width_px: int
    height_px: int
    outline: tuple[Point, ...]


@dataclass(frozen=True)
class Circle:
    """Circle in picture pixels."""

    x: float
    y: float
    radius_px: float


@dataclass(frozen=True)
class FreePlaces:
    """Where a box may go: ``free`` (rows, columns) bool at the left edges ``x`` and the top edges ``y``, in pixels."""

    x: np.ndarray
    y: np.ndarray
    free: np.ndarray


class Canvas:
    """Occupancy of one rectangular area of a picture, in cells of a few pixels.

    ``area`` is where boxes may be placed. Cells are marked occupied generously, so a place found free is free.
    """

    def __init__(self, area: Box) -> None:
        self.area = area
        self.cell_px = max(2, math.ceil(max(area.right - area.left, area.bottom - area.top) / _CELLS_ON_LONG_SIDE))
        rows = (area.bottom - area.top) // self.cell_px
        columns = (area.right - area.left) // self.cell_px
        self._occupied = np.zeros((max(rows, 0), max(columns, 0)), np.uint8)

    def block_box(self, box: Box) -> None:
        """Mark every cell that the box touches."""
        left, top = self._cell(box.left, box.top)
        right, bottom = self._cell(box.right - 1, box.bottom - 1)
        self._occupied[max(top, 0) : max(bottom + 1, 0), max(left, 0) : max(right + 1, 0)] = 1

    def block_outline(self, outline: Sequence[Point]) -> None:
        """Mark every cell that a filled convex outline of (x, y) points touches."""
        points = np.array([self._cell(x, y) for x, y in outline], np.int32).reshape(-1, 1, 2)
        if points.size and self._occupied.size:
            cv2.fillPoly(self._occupied, [points], 1)
            cv2.polylines(self._occupied, [points], True, 1, thickness=3)

    def block_line(self, start: Point, end: Point) -> None:
        """Mark every cell under a line."""
        if self._occupied.size:
            cv2.line(self._occupied, self._cell(*start), self._cell(*end), 1)

    def covered_cells(self, box: Box) -> int:
        """Number of occupied cells that a box would cover."""
        left, top = self._cell(box.left, box.top)
        right, bottom = self._cell(box.right - 1, box.bottom - 1)
        return int(self._occupied[max(top, 0) : max(bottom + 1, 0), max(left, 0) : max(right + 1, 0)].sum())

    def free_places(self, width_px: int, height_px: int) -> FreePlaces:
        """The places, on the grid of the cells, at which a box of this size covers nothing."""
        width, height = math.ceil(width_px / self.cell_px), math.ceil(height_px / self.cell_px)
        rows, columns = self._occupied.shape
        if rows < height or columns < width:
            return FreePlaces(np.empty(0, int), np.empty(0, int), np.empty((0, 0), bool))
        total = cv2.integral(self._occupied)
        covered = total[height:, width:] - total[:-height, width:] - total[height:, :-width] + total[:-height, :-width]
        free = covered == 0
        left = np.arange(free.shape[1]) * self.cell_px + self.area.left
        return FreePlaces(left, np.arange(free.shape[0]) * self.cell_px + self.area.top, free)

    def _cell(self, x: float, y: float) -> tuple[int, int]:
        return math.floor((x - self.area.left) / self.cell_px), math.floor((y - self.area.top) / self.cell_px)


def place_labels(items: Sequence[LabelItem], canvas: Canvas, *, avoid: Circle) -> list[Box | None]:
    """Place labels, the most important first, near their defects but rather outside a circle (the fibre).

    ``canvas`` already holds what must stay visible, the defects too, and is marked further. Returns one box per item,
    None where no free place is left; the boxes overlap neither each other nor anything that was marked.
    """
    placed: list[Box | None] = []
    leaders: list[Leader] = []
    for item in items:
        box = _best_place(item, canvas, [other for other in placed if other is not None], leaders, avoid)
        placed.append(box)
        if box is not None:
            leader = leader_line(item.outline, box)
            leaders.append(leader)
            canvas.block_box(box)
            canvas.block_line(*leader)
    return placed


def leader_line(outline: Sequence[Point], box: Box) -> Leader:
    """The shortest sensible line from a defect's outline to its label: its two ends (x, y)."""
    start = _nearest_on_outline(outline, box.nearest_point(_mean_point(outline)))
    return start, box.nearest_point(start)


def place_in_corner(width_px: int, height_px: int, canvas: Canvas, *, margin_px: int, corners: Sequence[str]) -> Box:
    """Place a box in the first of ``corners`` (such as "top left") that is free, else where it covers least.

    The place is marked on the canvas. A box larger than the area is cut to it.
    """
    area = canvas.area
    width_px = max(1, min(width_px, area.right - area.left - 2 * margin_px))
    height_px = max(1, min(height_px, area.bottom - area.top - 2 * margin_px))
    boxes = []
    for corner in corners:
        left = area.left + margin_px if "left" in corner else area.right - margin_px - width_px
        top = area.top + margin_px if "top" in corner else area.bottom - margin_px - height_px
        boxes.append(Box(left, top, left + width_px, top + height_px))
    best = min(boxes, key=canvas.covered_cells)
    canvas.block_box(best)
    return best


def _best_place(
    item: LabelItem, canvas: Canvas, taken: Sequence[Box], leaders: Sequence[Leader], avoid: Circle
) -> Box | None:
    """The cheapest free place whose leader crosses nothing; the cheapest of all when every leader crosses something."""
    places = canvas.free_places(item.width_px, item.height_px)
    cost = _place_costs(item, places, avoid)
    cheapest = None
    for index in _ranked(cost):
        row, column = divmod(index, places.x.size)
        left, top = int(places.x[column]), int(places.y[row])
        box = Box(left, top, left + item.width_px, top + item.height_px)
        leader = leader_line(item.outline, box)
        crosses = any(_line_hits_box(leader, other) for other in taken)
        if not crosses and not any(_lines_cross(leader, other) for other in leaders):
            return box
        cheapest = cheapest or box
    return cheapest


def _place_costs(item: LabelItem, places: FreePlaces, avoid: Circle) -> np.ndarray:
    """Cost of each place: the leader's length, and how deep it lies in the circle; infinite where it is not free."""
    middle_x = (places.x + item.width_px / 2).astype(np.float32)
    middle_y = (places.y + item.height_px / 2).astype(np.float32)[:, None]
    anchor_x, anchor_y = _mean_point(item.outline)
    leader_px = np.sqrt((middle_x - anchor_x) ** 2 + (middle_y - anchor_y) ** 2)
    outside_px = np.sqrt((middle_x - avoid.x) ** 2 + (middle_y - avoid.y) ** 2)
    cost = leader_px + _DEPTH_WEIGHT * np.maximum(avoid.radius_px + item.width_px / 2 - outside_px, 0)
    cost[~places.free] = np.inf
    return cost


def _ranked(cost: np.ndarray) -> Iterator[int]:
    """Flat indices of finite costs: the cheapest, then ranks farther and farther apart; the others are sorted late."""
    if cost.size == 0 or not np.isfinite(cost.min()):
        return
    yield int(cost.argmin())
    order = np.argsort(cost, axis=None)[: np.count_nonzero(np.isfinite(cost))]
    yield from (int(order[rank - 1]) for rank in np.unique(np.geomspace(1, order.size, _CANDIDATES).astype(int))[1:])


def _mean_point(outline: Sequence[Point]) -> Point:
    return sum(x for x, _ in outline) / len(outline), sum(y for _, y in outline) / len(outline)


def _nearest_on_outline(outline: Sequence[Point], target: Point) -> tuple[int, int]:
    """Point of a closed polyline that is nearest to the target."""
    nearest = (
        _nearest_on_line(start, end, target) for start, end in zip(outline, (*outline[1:], outline[0]), strict=True)
    )
    x, y = min(nearest, key=lambda point: math.dist(point, target))
    return round(x), round(y)


def _nearest_on_line(start: Point, end: Point, target: Point) -> Point:
    dx, dy = end[0] - start[0], end[1] - start[1]
    along = ((target[0] - start[0]) * dx + (target[1] - start[1]) * dy) / max(dx * dx + dy * dy, 1e-9)
    share = min(max(along, 0.0), 1.0)
    return start[0] + share * dx, start[1] + share * dy


def _line_hits_box(line: Leader, box: Box) -> bool:
    rectangle = (box.left, box.top, box.right - box.left, box.bottom - box.top)
    return cv2.clipLine(rectangle, *line)[0]


def _lines_cross(first: Leader, second: Leader) -> bool:
    def side(line: Leader, point: Point) -> float:
        (ax, ay), (bx, by) = line
        return (bx - ax) * (point[1] - ay) - (by - ay) * (point[0] - ax)

    return side(first, second[0]) * side(first, second[1]) < 0 and side(second, first[0]) * side(second, first[1]) < 0
