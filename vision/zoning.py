"""Zones: concentric rings of the fibre frame, placed by a rule set's boundaries, and their pixel map."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from records import ZONE_NAMES, Ellipse, Fiber, Scale, ZoneExtent
from settings import ZoneDef
from vision.geometry import frame_matrix, polar_maps


@dataclass(frozen=True)
class Zoning:
    """Placed zones and what could not be placed."""

    zones: tuple[ZoneExtent, ...]
    zone_map: np.ndarray  # (H, W) uint8, ZoneExtent.label or 0
    missing: tuple[str, ...]  # zones whose boundary needs a dimension that is unknown
    warnings: tuple[str, ...]


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
) -> Zoning:
    """Non-overlapping zones of an image of ``shape``; ``only`` restricts which are inspected.

    A zone of which less than ``1 - cut_off_share`` lies inside the image gives a warning.
    """
    radii = zone_radii_px(definitions, fiber, scale)
    radius, _ = polar_maps(shape, fiber.cladding)
    zone_map = np.zeros(shape, np.uint8)
    zones, warnings, inner = [], [], 0.0
    for definition in definitions:
        outer = radii[definition.name]
        if not math.isfinite(outer) or outer <= inner:
            continue
        label = ZONE_NAMES.index(definition.name) + 1
        ring = (radius >= inner) & (radius < outer)
        zone_map[ring] = label
        visible = _visible_share(ring, fiber.cladding, inner, outer)
        inspected = definition.inspected and (only is None or definition.name in only)
        if inspected and visible < 1 - cut_off_share:
            warnings.append(f"The image shows only {visible:.0%} of the {definition.name} zone.")
        zones.append(ZoneExtent(definition.name, label, inner, outer, inspected, visible))
        inner = outer
    missing = tuple(name for name, value in radii.items() if not math.isfinite(value))
    return Zoning(tuple(zones), zone_map, missing, tuple(warnings))


def _visible_share(ring: np.ndarray, cladding: Ellipse, inner: float, outer: float) -> float:
    """Share (0..1) of a zone inside the image: its pixels over its area, which only count where the frame cuts it."""
    # half the width and half the height of the zone's outline
    reach_x, reach_y = outer * np.hypot(*np.linalg.inv(frame_matrix(cladding)).T)
    rows, cols = ring.shape
    inside_x = reach_x - 0.5 <= cladding.x_px <= cols - 0.5 - reach_x
    inside_y = reach_y - 0.5 <= cladding.y_px <= rows - 0.5 - reach_y
    if inside_x and inside_y:
        return 1.0
    visible = float(np.count_nonzero(ring)) / (math.pi * (outer**2 - inner**2))
    return visible if visible < 0.995 else 1.0
