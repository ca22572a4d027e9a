"""Regions of confirmed pixels: their extent, their axis, and joining the fragments of one mark."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from vision.settings import GrowthSettings


@dataclass(frozen=True)
class Region:
    """A confirmed mark: its pixels (row, col) at working scale and how it was found."""

    rows: np.ndarray
    cols: np.ndarray
    polarity: int  # -1 dark, +1 bright
    confidence: float  # maximum of the confidence map inside
    peak_sigma: float
    detected_by: tuple[str, ...]
    line: bool = False  # found as a faint line
    mixed: bool = False  # dark and bright parts together
    probability: float = 1.0  # of being a mark, see vision.likelihood


def box_px(region: Region) -> tuple[float, float]:
    """Length and width (px) of the smallest rotated rectangle around the pixels."""
    points = np.column_stack([region.cols, region.rows]).astype(np.float32)
    _, (a, b), _ = cv2.minAreaRect(points)
    return max(a, b) + 1.0, min(a, b) + 1.0


@dataclass(frozen=True)
class Axis:
    """Principal axis of a fragment: centre, unit direction, half length and half width (px)."""

    x: float
    y: float
    dx: float
    dy: float
    half_length: float
    half_width: float


def axis_of(region: Region) -> Axis:
    """Principal axis of a region's pixels."""
    x, y = region.cols.astype(float), region.rows.astype(float)
    centre_x, centre_y = float(x.mean()), float(y.mean())
    x -= centre_x
    y -= centre_y
    turn = 0.5 * math.atan2(2 * float(x @ y), float(x @ x - y @ y))
    dx, dy = math.cos(turn), math.sin(turn)
    along, across = x * dx + y * dy, y * dx - x * dy
    first, last = float(along.min()), float(along.max())
    middle = 0.5 * (first + last)
    half_width = 0.5 * float(across.max() - across.min()) + 0.5
    return Axis(centre_x + middle * dx, centre_y + middle * dy, dx, dy, 0.5 * (last - first) + 0.5, half_width)


def join_fragments(regions: list[Region], cladding_radius_px: float, growth: GrowthSettings) -> list[Region]:
    """Unite collinear fragments of one polarity across small gaps; the bridge becomes part of the mark."""
    if len(regions) < 2 or len(regions) > 400:
        return regions
    gap_limit = growth.join_gap_share * cladding_radius_px
    axes = [axis_of(r) for r in regions]
    parent = list(range(len(regions)))

    def root(i: int) -> int:
        while parent[i] != i:
            i = parent[i]
        return i

    bridges: dict[int, list[tuple[np.ndarray, np.ndarray]]] = {}
    for i in range(len(regions)):
        for j in range(i + 1, len(regions)):
            if regions[i].polarity == regions[j].polarity and _collinear(axes[i], axes[j], gap_limit, growth):
                bridges.setdefault(i, []).append(_bridge(regions[i], regions[j]))
                parent[root(j)] = root(i)
    groups: dict[int, list[int]] = {}
    for i in range(len(regions)):
        groups.setdefault(root(i), []).append(i)
    return [united([regions[i] for i in g], [b for i in g for b in bridges.get(i, [])]) for g in groups.values()]


def _collinear(a: Axis, b: Axis, gap_limit: float, growth: GrowthSettings) -> bool:
    """Whether two fragments continue each other: the longer one elongated, the other on its extension."""
    if b.half_length > a.half_length:
        a, b = b, a
    if a.half_length < 2.5 * a.half_width:
        return False
    ox, oy = b.x - a.x, b.y - a.y
    along, across = ox * a.dx + oy * a.dy, -ox * a.dy + oy * a.dx
    if abs(along) - a.half_length - b.half_length > gap_limit:
        return False
    limit_deg = growth.join_angle_deg
    lateral = 2.0 + a.half_width + 0.5 * math.tan(math.radians(limit_deg)) * max(0.0, abs(along) - a.half_length)
    if abs(across) > lateral or abs(along) < a.half_length:
        return False
    if b.half_length < 2.5 * b.half_width:
        return b.half_length < 1.5 * a.half_width + 2.0
    angle = math.degrees(math.acos(min(1.0, abs(a.dx * b.dx + a.dy * b.dy))))
    return angle <= limit_deg


def _bridge(a: Region, b: Region) -> tuple[np.ndarray, np.ndarray]:
    """Pixels of the shortest straight line between two regions."""
    pa = np.column_stack([a.rows, a.cols]).astype(float)
    pb = np.column_stack([b.rows, b.cols]).astype(float)
    pa, pb = pa[:: max(1, len(pa) // 300)], pb[:: max(1, len(pb) // 300)]
    distance = np.hypot(pa[:, None, 0] - pb[None, :, 0], pa[:, None, 1] - pb[None, :, 1])
    i, j = np.unravel_index(np.argmin(distance), distance.shape)
    steps = np.linspace(0, 1, int(distance[i, j]) + 2)[:, None]
    pixels = np.unique(np.round(pa[i] + steps * (pb[j] - pa[i])).astype(int), axis=0)
    return pixels[:, 0], pixels[:, 1]


def united(parts: list[Region], bridges: list[tuple[np.ndarray, np.ndarray]]) -> Region:
    """One region of the pixels of several and of the bridges (rows, cols) between them."""
    if len(parts) == 1:
        return parts[0]
    rows = np.concatenate([p.rows for p in parts] + [b[0] for b in bridges])
    cols = np.concatenate([p.cols for p in parts] + [b[1] for b in bridges])
    pixels = np.unique(np.column_stack([rows, cols]), axis=0)
    names = tuple(dict.fromkeys(name for p in parts for name in p.detected_by))
    return Region(
        pixels[:, 0],
        pixels[:, 1],
        parts[0].polarity,
        max(p.confidence for p in parts),
        max(p.peak_sigma for p in parts),
        names,
        all(p.line for p in parts),
        any(p.mixed for p in parts),
        max(p.probability for p in parts),
    )
