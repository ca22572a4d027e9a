"""Verdicts of every rule set on the true and on the reported defects of one end face."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from grading.acceptance import judge
from records import Defect, Fiber, Scale
from settings import Config, RuleSet
from vision.zoning import zone_radii_px


@dataclass(frozen=True)
class Placed:
    """A defect with its smallest, largest and centroid's distance from the fibre's centre (fibre-frame px)."""

    defect: Defect
    inner_px: float
    outer_px: float
    radius_px: float


@dataclass(frozen=True)
class Ring:
    """One zone of a rule set on a fibre."""

    name: str
    inner_px: float
    outer_px: float
    inspected: bool


def statuses(placed: Sequence[Placed], fiber: Fiber, scale: Scale, config: Config) -> dict[str, str]:
    """PASS or FAIL by each rule set of the configuration whose zones can be placed on this fibre.

    Zones are placed and touched as in an inspection; empty without a scale.
    """
    if not scale.known:
        return {}
    uncertainty = config.measurement.size_uncertainty_px * scale.um_per_px
    result = {}
    for name, rule_set in config.rule_sets.items():
        rings = place_rings(rule_set, fiber, scale)
        judged = [ring.name for ring in rings or () if ring.inspected]
        if rings is None or not judged:
            continue
        result[name] = judge(
            [defect for item in placed if (defect := in_rings(item, rings)) is not None],
            rule_set=rule_set,
            scale_known=True,
            judged_zones=judged,
            size_uncertainty_um=uncertainty,
        ).status
    return result


def place_rings(rule_set: RuleSet, fiber: Fiber, scale: Scale) -> list[Ring] | None:
    """The zones of a rule set on a fibre, from the centre outwards; None when one needs an unknown diameter."""
    radii = zone_radii_px(rule_set.zones, fiber, scale)
    if not all(math.isfinite(value) for value in radii.values()):
        return None
    rings, inner = [], 0.0
    for zone in rule_set.zones:
        if radii[zone.name] > inner:
            rings.append(Ring(zone.name, inner, radii[zone.name], zone.inspected))
            inner = radii[zone.name]
    return rings


def in_rings(item: Placed, rings: Sequence[Ring]) -> Defect | None:
    """The defect with the zones in which it lies; None when it touches no inspected one."""
    touched = [ring for ring in rings if item.inner_px < ring.outer_px and item.outer_px >= ring.inner_px]
    if not any(ring.inspected for ring in touched):
        return None
    zone = next((r.name for r in touched if r.inner_px <= item.radius_px < r.outer_px), touched[0].name)
    return replace(item.defect, zone=zone, zones_touched=tuple(ring.name for ring in touched))
