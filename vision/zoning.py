"""Zones: concentric rings of the fibre frame, placed by a rule set's boundaries, and their pixel map."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from records import ZONE_NAMES, Ellipse, Fiber, Scale, ZoneExtent
from settings import ZoneDef
from vision.geometry import Box, frame_matrix


@dataclass(frozen=True)
class Zoning:
    """Placed zones and what could not be placed."""

    zones: tuple[ZoneExtent, ...]
    zone_map: np.ndarray  # (H, W) uint8, ZoneExtent.label or 0
    missing: tuple[str, ...]  # zones whose boundary needs a dimension that is unknown
    warnings: tuple[str, ...]
    box: Box  # the picture without black margins


def zone_radii_px(definitions: Sequence[ZoneDef], fiber: Fiber, scale: Scale) -> dict[str, float]:
    """Outer radius (fibre-frame px) of each zone; NaN where the dimension that it refers to is unknown.

    Relative boundaries follow the measured fibre; boundaries in um need a scale.
    """
    um_per_px = scale.um_per_px if scale.known else math.nan
    cladding_px = 2 * fiber.cladding.mean_radius_px
    radii = {}
    for definition in definitions:
        bound = definition.outer
        if bound.basis in ("times_cladding", "times_core"):
            diameter_px = bound.diameter_um(fiber.core_diameter_px, cladding_px)
        else:
            diameter_px = bound.diameter_um(fiber.core_diameter_px * um_per_px, cladding_px * um_per_px) / um_per_px
        radii[definition.name] = 0.5 * diameter_px
    return radii


def place_zones(
    definitions: Sequence[ZoneDef],
    fiber: Fiber,
    scale: Scale,
    shape: tuple[int, int],
    *,
    only: Sequence[str] | None,
    cut_off_share: float,
    box: Box | None = None,
) -> Zoning:
    """Non-overlapping zones of an image of ``shape``; ``only`` restricts which are inspected.

    A zone of which less than ``1 - cut_off_share`` lies inside ``box``, the picture without black margins (all of
    the image without it), gives a warning: nothing is looked for beyond.
    """
    box = box or (0, shape[0], 0, shape[1])
    radii = zone_radii_px(definitions, fiber, scale)
    zones, spans, warnings, inner, covered_px = [], [], [], 0.0, 0
    for definition in definitions:
        outer = radii[definition.name]
        if not math.isfinite(outer) or outer <= inner:
            continue
        label = ZONE_NAMES.index(definition.name) + 1
        first, end = _row_spans(shape, fiber.cladding, outer)
        spans.append((label, first, end))
        disc_px = _pixels_inside(first, end, box)
        visible = _visible_share(box, fiber.cladding, inner, outer, disc_px - covered_px)
        covered_px = disc_px
        inspected = definition.inspected and (only is None or definition.name in only)
        if inspected and visible < 1 - cut_off_share:
            warnings.append(f"The image shows only {visible:.0%} of the {definition.name} zone.")
        zones.append(ZoneExtent(definition.name, label, inner, outer, inspected, visible))
        inner = outer
    missing = tuple(name for name, value in radii.items() if not math.isfinite(value))
    return Zoning(tuple(zones), _painted(shape, spans), missing, tuple(warnings), box)


def _row_spans(shape: tuple[int, int], cladding: Ellipse, radius_px: float) -> tuple[np.ndarray, np.ndarray]:
    """First and end column, two (H,) int arrays, of the pixels closer to the fibre's centre than ``radius_px``."""
    m = frame_matrix(cladding)
    a, b, c = m[0] @ m[0], m[0] @ m[1], m[1] @ m[1]  # squared distance: a dx^2 + 2 b dx dy + c dy^2
    dy = np.arange(shape[0]) - cladding.y_px
    room = (b * dy) ** 2 - a * (c * dy**2 - radius_px**2)
    half = np.sqrt(np.maximum(room, 0)) / a
    middle = cladding.x_px - b / a * dy
    first = np.clip(np.floor(middle - half) + 1, 0, shape[1])
    end = np.where(room > 0, np.clip(np.ceil(middle + half), first, shape[1]), first)
    return first.astype(int), end.astype(int)


def _painted(shape: tuple[int, int], spans: list[tuple[int, np.ndarray, np.ndarray]]) -> np.ndarray:
    """Zone map (H, W) uint8 of discs, from inside out: their labels and the columns that they cover of each row."""
    zone_map = np.zeros(shape, np.uint8)
    for label, first, end in reversed(spans):
        rows = np.flatnonzero(end > first)
        for row, left, right in zip(rows.tolist(), first[rows].tolist(), end[rows].tolist(), strict=True):
            zone_map[row, left:right] = label
    return zone_map


def _pixels_inside(first: np.ndarray, end: np.ndarray, box: Box) -> int:
    """How many of the pixels that row spans cover lie in a box."""
    top, bottom, left, right = box
    return int(np.maximum(np.minimum(end, right) - np.maximum(first, left), 0)[top:bottom].sum())


def _visible_share(box: Box, cladding: Ellipse, inner: float, outer: float, visible_px: int) -> float:
    """Share (0..1) of a zone inside the box: its pixels over its area, which only count where the box cuts it."""
    # half the width and half the height of the zone's outline
    reach_x, reach_y = outer * np.hypot(*np.linalg.inv(frame_matrix(cladding)).T)
    top, bottom, left, right = box
    inside_x = left + reach_x - 0.5 <= cladding.x_px <= right - 0.5 - reach_x
    inside_y = top + reach_y - 0.5 <= cladding.y_px <= bottom - 0.5 - reach_y
    if inside_x and inside_y:
        return 1.0
    visible = visible_px / (math.pi * (outer**2 - inner**2))
    return visible if visible < 0.995 else 1.0
