"""The shipped config.json, its schema, and what the settings themselves compute."""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import typing
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from config_loader import SCHEMA_FILE, load_config
from configuration import checks as config_checks
from settings import Config, SizeBand, ZoneBoundary, enabled_algorithms

SHIPPED = Path(__file__).resolve().parent.parent / "config.json"
TREE = json.loads(SHIPPED.read_text(encoding="utf-8"))
SCHEMA = json.loads(SCHEMA_FILE.read_text(encoding="utf-8"))
SM_PC = "iec_61300_3_35_2015_single_mode_pc"
SM_APC = "iec_61300_3_35_2015_single_mode_apc"
MM_PC = "iec_61300_3_35_2015_multimode_pc"
DEFECTS = ("Pit/Dig", "Contamination", "Chip", "Crack")


@functools.cache
def shipped(profile: str | None = None) -> Config:
    return load_config(SHIPPED, profile)


# --- what is shipped -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("profile", list(TREE["profiles"]))
def test_shipped_config_loads_with_every_profile(profile):
    config = shipped(profile)
    assert config.profile == profile
    assert config.rule_sets[config.default_rule_set].name == config.default_rule_set
    for name, fiber in config.fiber_types.items():
        assert fiber.name == name
        assert fiber.rule_set in config.rule_sets


def test_default_profile_is_the_thorough_one():
    config = shipped()
    assert config.profile == "deep_inspection"
    assert set(enabled_algorithms(config.detection.algorithms)) == {"do2mr", "blackhat", "lei", "skeleton"}


def test_fast_scan_is_cheap_and_can_still_confirm():
    config = shipped("fast_scan")
    enabled = enabled_algorithms(config.detection.algorithms)
    assert "lei" not in enabled
    assert not config.reporting.plots
    assert sum(item.weight for item in enabled.values()) >= config.detection.confidence_threshold


def test_fibres_that_must_be_known():
    sizes = {(fiber.core_um, fiber.cladding_um) for fiber in shipped().fiber_types.values()}
    assert sizes >= {(9, 125), (50, 125), (62.5, 125), (105, 125), (91, 140)}


def test_every_setting_is_described_and_closed():
    Draft202012Validator.check_schema(SCHEMA)
    for path, schema in subschemas(SCHEMA):
        for name, item in schema.get("properties", {}).items():
            target = SCHEMA["$defs"][item["$ref"].rsplit("/", 1)[1]] if "$ref" in item else item
            assert target.get("description"), f"{path}/{name} has no description"
        if "properties" in schema:
            assert schema.get("additionalProperties") is False, f"{path} lets misspelt keys pass"


def subschemas(schema: object, path: str = "#"):
    if isinstance(schema, dict):
        yield path, schema
        for key, item in schema.items():
            yield from subschemas(item, f"{path}/{key}")


def test_schema_and_settings_name_the_same_fields():
    assert_same_fields(
        Config, SCHEMA, "Config", extra={"profile", "raw"}, only_json={"$schema", "default_profile", "profiles"}
    )


def assert_same_fields(cls, schema, where, extra=frozenset(), only_json=frozenset()):
    hints = typing.get_type_hints(cls)
    names = {spec.name for spec in dataclasses.fields(cls)}
    assert names - extra == set(schema["properties"]) - only_json, where
    for name in names - extra:
        hint, item = hints[name], resolved(schema["properties"][name])
        if typing.get_origin(hint) is tuple:
            hint, item = typing.get_args(hint)[0], resolved(item["items"])
        elif isinstance(typing.get_origin(hint), type) and issubclass(typing.get_origin(hint), Mapping):
            hint, item = typing.get_args(hint)[1], resolved(item["additionalProperties"])
        if dataclasses.is_dataclass(hint) and hint is not ZoneBoundary:
            named_by_key = {"name"} if name in ("fiber_types", "rule_sets") else set()
            assert_same_fields(hint, item, f"{where}.{name}", extra=named_by_key)


def resolved(schema):
    return SCHEMA["$defs"][schema["$ref"].rsplit("/", 1)[1]] if "$ref" in schema else schema


# --- the acceptance tables -----------------------------------------------------------------------------------------


def allowed(name: str, zone: str, kind: str, size_um: float) -> int | None:
    """How many defects of one class and judged size a rule set accepts in a zone; None = any number."""
    limits = [
        band.max_count
        for criterion in shipped().rule_sets[name].criteria
        if criterion.zone == zone and kind in criterion.classes
        for band in criterion.bands
        if band.contains(size_um) and band.max_count is not None
    ]
    return min(limits, default=None)


SINGLE_MODE_CLADDING = [(1.99, None), (2, 5), (3.5, 5), (5, 5), (5.01, 0), (80, 0)]
LIMITS = [
    (SM_PC, "Core", "scratch", [(0.01, 0), (30, 0)]),
    (SM_PC, "Core", "defect", [(0.01, 0), (30, 0)]),
    (SM_PC, "Cladding", "scratch", [(0.1, None), (3, None), (3.01, 0)]),
    (SM_PC, "Cladding", "defect", SINGLE_MODE_CLADDING),
    (SM_PC, "Adhesive", "scratch", [(50, None)]),
    (SM_PC, "Adhesive", "defect", [(50, None)]),
    (SM_PC, "Contact", "scratch", [(50, None)]),
    (SM_PC, "Contact", "defect", [(9.99, None), (10, 0), (90, 0)]),
    (SM_APC, "Core", "scratch", [(0.01, 4), (3, 4), (3.01, 0)]),
    (SM_APC, "Core", "defect", [(0.01, 0), (30, 0)]),
    (SM_APC, "Cladding", "scratch", [(0.1, None), (50, None)]),
    (SM_APC, "Cladding", "defect", SINGLE_MODE_CLADDING),
    (SM_APC, "Contact", "scratch", [(50, None)]),
    (SM_APC, "Contact", "defect", [(9.99, None), (10, 0)]),
    (MM_PC, "Core", "scratch", [(3, None), (3.01, 0)]),
    (MM_PC, "Core", "defect", [(0.01, 4), (5, 4), (5.01, 0)]),
    (MM_PC, "Cladding", "scratch", [(5, None), (5.01, 0)]),
    (MM_PC, "Cladding", "defect", [(4.99, None), (5, 5), (10, 5), (10.01, 0)]),
    (MM_PC, "Adhesive", "defect", [(50, None)]),
    (MM_PC, "Contact", "scratch", [(50, None)]),
    (MM_PC, "Contact", "defect", [(19.99, None), (20, 5), (30, 5), (30.01, 0)]),
]


@pytest.mark.parametrize(("name", "zone", "kind", "limits"), LIMITS)
def test_limits_of_the_2015_edition(name, zone, kind, limits):
    for size_um, count in limits:
        for one in ("Scratch",) if kind == "scratch" else DEFECTS:
            assert allowed(name, zone, one, size_um) == count, (one, size_um)


@pytest.mark.parametrize(
    ("name", "diameters"),
    [
        (SM_PC, [25, 115, 135, 250]),
        (SM_APC, [25, 115, 135, 250]),
        (MM_PC, [65, 115, 135, 250]),
        ("iec_61300_3_35_2009_zones_single_mode_pc", [25, 120, 130, 250]),
    ],
)
def test_zones_of_the_standard(name, diameters):
    zones = shipped().rule_sets[name].zones
    assert [zone.name for zone in zones] == ["Core", "Cladding", "Adhesive", "Contact"]
    assert [zone.outer.diameter_um(9, 125) for zone in zones] == diameters


def test_2022_counts_only_loose_dirt_beyond_110_um_and_is_not_verified():
    rule_set = shipped().rule_sets["iec_61300_3_35_2022_single_mode_pc"]
    assert not rule_set.verified
    assert rule_set.zones[1].outer.diameter_um(9, 125) == 110
    outside = [item for item in rule_set.criteria if item.zone in ("Adhesive", "Contact")]
    assert {name for item in outside for name in item.classes} == {"Contamination"}


def test_scratches_are_judged_by_width_and_the_rest_by_diameter():
    for rule_set in shipped().rule_sets.values():
        for criterion in rule_set.criteria:
            assert criterion.measure == ("width" if criterion.classes == ("Scratch",) else "diameter"), rule_set.name


def test_offset_zones_of_a_62_5_um_core_are_those_of_the_multimode_table():
    zones = shipped().rule_sets["large_core_offset_zones"].zones
    assert [zone.outer.diameter_um(62.5, 125) for zone in zones] == [65, 115, 135, 250]
    assert [zone.outer.diameter_um(91, 140) for zone in zones] == [93.5, 130, 150, 265]


@pytest.mark.parametrize(("core_um", "name"), [(9, SM_PC), (15, SM_PC), (50, MM_PC), (62.5, MM_PC), (None, SM_PC)])
def test_the_rule_set_follows_the_core(core_um, name):
    assert shipped().rule_set_for_core(core_um).name == name


def test_no_core_is_too_large_for_a_rule_set():
    assert shipped().rule_set_for_core(1000).name == "large_core_offset_zones"


lengths = st.floats(min_value=0.5, max_value=500)


@given(core_um=lengths, cladding_um=lengths, offset_um=st.floats(min_value=-50, max_value=50), factor=st.floats(0.1, 9))
def test_doubling_a_fibre_moves_its_zones_with_it(core_um, cladding_um, offset_um, factor):
    def size(basis: str, value: float, times: float) -> float:
        return ZoneBoundary(basis, value).diameter_um(core_um * times, cladding_um * times)

    assert size("diameter_um", factor, 2) == factor
    assert size("times_core", factor, 2) == pytest.approx(2 * size("times_core", factor, 1))
    assert size("times_cladding", factor, 2) == pytest.approx(2 * size("times_cladding", factor, 1))
    assert size("offset_from_cladding_um", offset_um, 1) == pytest.approx(cladding_um + 2 * offset_um)
    assert size("offset_from_core_um", offset_um, 2) == pytest.approx(2 * core_um + 2 * offset_um)


def test_a_boundary_of_an_unknown_fibre_is_nan():
    assert math.isnan(ZoneBoundary("times_core", 1.0).diameter_um(None, 125))
    assert math.isnan(ZoneBoundary("offset_from_cladding_um", 1.0).diameter_um(9, None))
    assert ZoneBoundary("diameter_um", 25.0).diameter_um(None, None) == 25


bands = st.fixed_dictionaries(
    {
        "from_um": st.none() | st.integers(0, 4),
        "to_um": st.none() | st.integers(1, 4),
        "from_inclusive": st.booleans(),
        "to_inclusive": st.booleans(),
        "max_count": st.just(1),
    }
)


@given(one=bands, other=bands)
@settings(deadline=None)
def test_bands_overlap_exactly_when_a_size_lies_in_both(one, other):
    tree = {"rule_sets": {"x": {**TREE["rule_sets"][SM_PC]}}, "fiber_types": {}}
    tree["rule_sets"]["x"]["criteria"] = [{**TREE["rule_sets"][SM_PC]["criteria"][0], "bands": [one, other]}]
    texts = [problem.text for problem in config_checks.find_problems(tree, ())]
    if not any("leaves the band empty" in text for text in texts):
        first, second = SizeBand(**one), SizeBand(**other)
        shared = any(first.contains(size / 2) and second.contains(size / 2) for size in range(0, 12))
        assert any("overlaps" in text for text in texts) == shared
