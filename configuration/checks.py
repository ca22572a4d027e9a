"""Rules across the fields of config.json, which a schema cannot say. Each problem reads like those of the schema.

Checks run on whatever parts of the file are sound, so that one wrong number does not hide the other mistakes.
"""

from __future__ import annotations

import typing
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from configuration.build import build
from configuration.name_pattern import pattern_flaw
from configuration.schema_errors import Path, Problem, unknown_name
from records import DEFECT_CLASSES, FAIL, PASS, UNGRADED, ZONE_NAMES
from settings import (
    BatchSettings,
    Config,
    CoreRule,
    Criterion,
    FiberType,
    FileNames,
    ReportingSettings,
    RuleSet,
    SizeBand,
    ZoneDef,
    enabled_algorithms,
)
from vision.settings import DetectionSettings

_BY_NAME = ("fiber_types", "rule_sets")
_RANGES = (("min_", "max_"), ("low_", "high_"))
_ROUNDING = 1e-6  # weights such as 0.3 + 0.3 + 0.3 fall short of 0.9 by rounding alone


def find_problems(tree: Mapping[str, Any], broken: Collection[Path]) -> Iterator[Problem]:
    """All violations in a config tree; parts that contain a ``broken`` path are left out."""
    parts = sound_parts(tree, broken)
    rule_set_names = list(_entries(tree, "rule_sets"))
    yield from _ranges({name: tree[name] for name in tree if name not in (*_BY_NAME, "profiles")}, ())
    if "detection" in parts:
        yield from _detection(parts["detection"])
    if "reporting" in parts:
        yield from _colors(parts["reporting"])
    if "batch" in parts:
        yield from _time_limits(parts["batch"])
    if "file_names" in parts:
        yield from _name_pattern(parts["file_names"])
    yield from _rule_set_names(parts, rule_set_names)
    for name, fiber in parts["fiber_types"].items():
        yield from _fiber_type(fiber, ("fiber_types", name))
    yield from _core_rules(parts.get("rule_set_by_core_um", ()))
    yield from _zones(parts.get("zones_without_scale", ()), ("zones_without_scale",))
    for name, rule_set in parts["rule_sets"].items():
        fibers = [fiber for fiber in parts["fiber_types"].values() if fiber.rule_set == name]
        yield from _rule_set(rule_set, fibers, ("rule_sets", name))


def sound_parts(tree: Mapping[str, Any], broken: Collection[Path]) -> dict[str, Any]:
    """The top-level parts that can be built, as settings; of fibre types and rule sets, each entry that can."""
    heads = {path[:1] for path in broken} | {path[:2] for path in broken}
    parts: dict[str, Any] = {}
    for name, hint in typing.get_type_hints(Config).items():
        if name in _BY_NAME:
            sound = {key: item for key, item in _entries(tree, name).items() if (name, key) not in heads}
            parts[name] = build(hint, sound)
        elif name in tree and (name,) not in heads:
            parts[name] = build(hint, tree[name])
    return parts


def _entries(tree: Mapping[str, Any], name: str) -> dict[str, Any]:
    entries = tree.get(name)
    return entries if isinstance(entries, dict) else {}


# --- sections ------------------------------------------------------------------------------------------------------


def _ranges(value: Any, path: Path) -> Iterator[Problem]:
    """Every ``min_x`` lies below its ``max_x``, every ``low_x`` below its ``high_x``, wherever both stand together."""
    if not isinstance(value, Mapping):
        return
    for key, item in value.items():
        yield from _ranges(item, (*path, key))
        for low, high in _RANGES:
            if key.startswith(low):
                partner = high + key.removeprefix(low)
                yield from _below(value, key, partner, path)


def _below(section: Mapping[str, Any], key: str, partner: str, path: Path) -> Iterator[Problem]:
    low, high = section[key], section.get(partner)
    if isinstance(low, (int, float)) and isinstance(high, (int, float)) and low >= high:
        yield Problem((*path, key), f"{low:g} is too large; expected a number below {partner} = {high:g}")


def _detection(detection: DetectionSettings) -> Iterator[Problem]:
    enabled = enabled_algorithms(detection.algorithms)
    if not enabled:
        yield Problem(("detection", "algorithms"), "every algorithm is switched off; expected at least one enabled")
        return
    total = sum(algorithm.weight for algorithm in enabled.values())
    if detection.confidence_threshold > total + _ROUNDING:
        yield Problem(
            ("detection", "confidence_threshold"),
            f"{detection.confidence_threshold:g} can never be reached; "
            f"expected at most {total:g}, the sum of the enabled weights ({', '.join(enabled)})",
        )


def _colors(reporting: ReportingSettings) -> Iterator[Problem]:
    needed = {
        "zone_colors": ZONE_NAMES,
        "class_colors": DEFECT_CLASSES,
        "status_colors": (PASS, FAIL, UNGRADED),
    }
    for key, names in needed.items():
        for name in names:
            if name not in getattr(reporting, key):
                yield Problem(("reporting", key, name), "missing; expected a colour as #RRGGBB")


def _time_limits(batch: BatchSettings) -> Iterator[Problem]:
    if batch.read_timeout_s >= batch.image_timeout_s:
        yield Problem(
            ("batch", "read_timeout_s"),
            f"{batch.read_timeout_s:g} is too large; "
            f"expected a number below image_timeout_s = {batch.image_timeout_s:g}, which includes reading",
        )


def _name_pattern(file_names: FileNames) -> Iterator[Problem]:
    flaw = pattern_flaw(file_names.pattern) if file_names.pattern else ""
    if flaw:
        yield Problem(("file_names", "pattern"), f"it {flaw}")


# --- fibres --------------------------------------------------------------------------------------------------------


def _rule_set_names(parts: Mapping[str, Any], known: Sequence[str]) -> Iterator[Problem]:
    named: list[tuple[Path, str]] = []
    if "default_rule_set" in parts:
        named.append((("default_rule_set",), parts["default_rule_set"]))
    for index, rule in enumerate(parts.get("rule_set_by_core_um", ())):
        named.append((("rule_set_by_core_um", index, "rule_set"), rule.rule_set))
    for name, fiber in parts["fiber_types"].items():
        named.append((("fiber_types", name, "rule_set"), fiber.rule_set))
    for path, name in named:
        if name not in known:
            yield Problem(path, unknown_name("rule set", name, known))


def _fiber_type(fiber: FiberType, path: Path) -> Iterator[Problem]:
    if fiber.core_um is not None and fiber.cladding_um is not None and fiber.core_um >= fiber.cladding_um:
        yield Problem(
            (*path, "core_um"),
            f"the core ({fiber.core_um:g} um) is not smaller than the cladding; "
            f"expected a number below cladding_um = {fiber.cladding_um:g}",
        )


def _core_rules(rules: Sequence[CoreRule]) -> Iterator[Problem]:
    for index, (before, rule) in enumerate(pairwise(rules), start=1):
        path = ("rule_set_by_core_um", index, "max_core_um")
        if before.max_core_um is None:
            yield Problem(path, "an earlier entry covers every core; expected null only in the last one")
        elif rule.max_core_um is not None and rule.max_core_um <= before.max_core_um:
            yield Problem(path, f"{rule.max_core_um:g} is too small; expected a number above {before.max_core_um:g}")


# --- rule sets -----------------------------------------------------------------------------------------------------


def _rule_set(rule_set: RuleSet, fibers: Sequence[FiberType], path: Path) -> Iterator[Problem]:
    zones_path = (*path, "zones")
    yield from _zones(rule_set.zones, zones_path)
    for fiber in fibers:
        yield from _zones_on_fiber(rule_set.zones, fiber, zones_path)
    names = {zone.name: zone for zone in rule_set.zones}
    for index, criterion in enumerate(rule_set.criteria):
        here = (*path, "criteria", index)
        if criterion.zone not in names:
            yield Problem((*here, "zone"), unknown_name("zone", criterion.zone, names))
        elif not names[criterion.zone].inspected:
            yield Problem((*here, "zone"), f"zone {criterion.zone} is not inspected; expected an inspected zone")
        yield from _bands(criterion, (*here, "bands"))


def _zones(zones: Sequence[ZoneDef], path: Path) -> Iterator[Problem]:
    """Names are given once, and of boundaries of one kind each lies outside all before it."""
    largest: dict[str, tuple[float, str]] = {}
    seen: set[str] = set()
    for index, zone in enumerate(zones):
        if zone.name in seen:
            yield Problem((*path, index, "name"), f"zone {zone.name} is given twice; expected each zone once")
        seen.add(zone.name)
        basis, value = zone.outer.basis, zone.outer.value
        if basis in largest and value <= largest[basis][0]:
            limit, inner = largest[basis]
            yield Problem(
                (*path, index, "outer", basis),
                f"{value:g} does not lie outside zone {inner}; expected a number above {limit:g}",
            )
        else:
            largest[basis] = (value, zone.name)


def _zones_on_fiber(zones: Sequence[ZoneDef], fiber: FiberType, path: Path) -> Iterator[Problem]:
    """The same with the diameters of a fibre type that uses these zones, which makes all boundaries comparable."""
    inner, inner_name = 0.0, "the centre"
    for index, zone in enumerate(zones):
        diameter = zone.outer.diameter_um(fiber.core_um, fiber.cladding_um)
        if diameter <= inner:  # never true for NaN: an unknown diameter has no order
            yield Problem(
                (*path, index, "outer", zone.outer.basis),
                f"on fiber type {fiber.name} zone {zone.name} ends at {diameter:g} um; "
                f"expected more than {inner:g} um, where {inner_name} ends",
            )
        elif diameter > inner:
            inner, inner_name = diameter, f"zone {zone.name}"


def _bands(criterion: Criterion, path: Path) -> Iterator[Problem]:
    ignored = criterion.ignore_below_um
    for index, band in enumerate(criterion.bands):
        here = (*path, index)
        low, high = band.from_um, band.to_um
        if low is not None and high is not None and low >= high and not _is_point(band):
            yield Problem((*here, "to_um"), f"{high:g} leaves the band empty; expected above from_um = {low:g}")
        elif ignored is not None and high is not None and high < ignored:
            yield Problem((*here, "to_um"), f"{high:g} never counts; expected at least ignore_below_um = {ignored:g}")
        for earlier, other in enumerate(criterion.bands[:index]):
            if _overlap(band, other):
                yield Problem(here, f"overlaps bands[{earlier}]; expected bands that share no size")


def _is_point(band: SizeBand) -> bool:
    return band.from_um == band.to_um and band.from_inclusive and band.to_inclusive


def _overlap(one: SizeBand, other: SizeBand) -> bool:
    return not (_ends_before(one, other) or _ends_before(other, one))


def _ends_before(one: SizeBand, other: SizeBand) -> bool:
    if one.to_um is None or other.from_um is None:
        return False
    both_hold_the_limit = one.to_inclusive and other.from_inclusive
    return one.to_um < other.from_um or (one.to_um == other.from_um and not both_hold_the_limit)
