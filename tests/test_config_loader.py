"""config.json as a file, its profiles, and rules that need no code."""

from __future__ import annotations

import copy
import dataclasses
import json
from pathlib import Path

import pytest
from config_trees import SHIPPED, TREE, changed, leaves, problems, value_at, write
from hypothesis import given
from hypothesis import strategies as st

from config_loader import apply_profile, load_config
from errors import ConfigError
from settings import Criterion, SizeBand

# --- the file itself -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"a": 1,\n "b" 2}', ["not valid JSON", "line 2, column 6", 'near: "b" 2}']),
        ('{"a": 1,\n}', ["not valid JSON", "line 2, column 1", "no comma after the last item"]),
        ("", ["not valid JSON", "line 1, column 1"]),
        ("[]", ["$: expected object, got a list of 0"]),
        ("null", ["$: expected object, got null"]),
        ("[" * 100_000, ["cannot be read as JSON"]),
        ("1" * 5000, ["cannot be read as JSON"]),
        (b"\xff\xfe{\x00}\x00", ["not UTF-8 text", "UTF-8"]),
    ],
)
def test_files_that_are_no_configuration(tmp_path, text, words):
    with pytest.raises(ConfigError) as caught:
        load_config(write(tmp_path, text))
    assert [word for word in words if word not in str(caught.value)] == [], str(caught.value)


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    with pytest.raises(ConfigError, match="no configuration file"):
        load_config(tmp_path / "none.json")
    with pytest.raises(ConfigError, match="Cannot read"):
        load_config(tmp_path)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "9" * 400])
@pytest.mark.parametrize("key", ["min_focus_score", "blur_kernel_px"])
def test_numbers_that_are_not_finite_are_refused(tmp_path, number, key):
    value = json.dumps(TREE["preprocessing"][key])
    text = json.dumps(TREE).replace(f'"{key}": {value}', f'"{key}": {number}')
    with pytest.raises(ConfigError) as caught:
        load_config(write(tmp_path, text))
    (problem,) = caught.value.problems
    assert problem.startswith(f"preprocessing.{key}: expected a finite number, got ")


def test_a_key_given_twice_is_refused(tmp_path):
    text = json.dumps(TREE).replace('"timeout_s":', '"timeout_s": 1, "timeout_s":')
    with pytest.raises(ConfigError) as caught:
        load_config(write(tmp_path, text))
    assert caught.value.problems == ("camera.timeout_s: given more than once; expected one value",)


def test_byte_order_mark_and_umlauts_are_fine(tmp_path):
    tree = changed((("fiber_types", "single_mode_pc", "notes"), "Prüfplatz Süd"))
    path = write(tmp_path, b"\xef\xbb\xbf" + json.dumps(tree, ensure_ascii=False).encode())
    assert load_config(path).fiber_types["single_mode_pc"].notes == "Prüfplatz Süd"


def test_a_relative_flat_field_image_starts_at_the_configuration(tmp_path):
    (tmp_path / "flat field.png").write_bytes(b"x")
    path = write(tmp_path, changed((("preprocessing", "flat_field_image"), "flat field.png")))
    found = load_config(path).preprocessing.flat_field_image
    assert found is not None
    assert Path(found) == (tmp_path / "flat field.png").resolve()


def test_the_order_of_keys_does_not_matter(tmp_path):
    def turned(value):
        return {key: turned(value[key]) for key in reversed(value)} if isinstance(value, dict) else value

    assert load_config(write(tmp_path, turned(TREE))) == load_config(SHIPPED)


# --- profiles ------------------------------------------------------------------------------------------------------


def test_a_profile_overrides_what_it_names_and_nothing_else(tmp_path):
    override = {"camera": {"gain_db": 6}, "reporting": {"scale_bar_um": [7]}}
    path = write(tmp_path, changed((("profiles", "mine"), override)))
    base, mine = load_config(path, "deep_inspection"), load_config(path, "mine")
    assert mine.camera == dataclasses.replace(base.camera, gain_db=6.0)
    assert mine.reporting == dataclasses.replace(base.reporting, scale_bar_um=(7.0,))
    assert mine.detection == base.detection
    assert mine.raw["camera"]["gain_db"] == 6
    assert "profiles" not in mine.raw


def test_what_is_wrong_in_the_base_is_not_blamed_on_the_profiles():
    found = problems(changed((("fiber_types", "single_mode_pc", "core_um"), 130)))
    assert list(found) == ["fiber_types.single_mode_pc.core_um"]


def test_an_unknown_profile_lists_the_known_ones():
    with pytest.raises(ConfigError) as caught:
        load_config(SHIPPED, "deep_inspektion")
    assert caught.value.problems == (
        'profiles: no profile named "deep_inspektion"; expected one of fast_scan, deep_inspection '
        "(did you mean 'deep_inspection'?)",
    )


trees = st.recursive(
    st.integers() | st.lists(st.integers(), max_size=2),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)
objects = st.dictionaries(st.sampled_from("abc"), trees, max_size=3)


@given(base=objects, override=objects)
def test_merging_keeps_the_override_and_the_rest_of_the_base(base, override):
    data = {**base, "profiles": {"p": override}}
    before = copy.deepcopy(data)
    merged = apply_profile(data, "p")
    assert data == before
    assert apply_profile({**merged, "profiles": {"p": override}}, "p") == merged
    for path in leaves(override):
        assert value_at(merged, path) == value_at(override, path)
    for key in base.keys() - override.keys():
        assert merged[key] == base[key]
    assert apply_profile({**base, "profiles": {"p": {}}}, "p") == base


# --- rules that need no code ---------------------------------------------------------------------------------------


def test_a_new_rule_set_zone_layout_and_fibre_type_need_no_code(tmp_path):
    rule_set = {
        "title": "Customer 7",
        "source": "Drawing 12",
        "verified": True,
        "zone_policy": "centroid",
        "zones": [
            {"name": "Core", "outer": {"times_core": 1.05}},
            {"name": "Cladding", "outer": {"offset_from_cladding_um": -2.5}},
            {"name": "Contact", "outer": {"times_cladding": 1.5}, "inspected": False},
        ],
        "criteria": [
            {
                "zone": "Core",
                "classes": ["Scratch"],
                "polarity": "bright",
                "measure": "length",
                "ignore_below_um": 0.5,
                "bands": [
                    {"from_um": 1, "to_um": 2, "to_inclusive": False, "max_count": 3},
                    {"from_um": 2, "max_count": 0},
                ],
            }
        ],
    }
    fiber = {"title": "200/220", "core_um": 200, "cladding_um": 220, "rule_set": "customer-7"}
    tree = changed((("rule_sets", "customer-7"), rule_set), (("fiber_types", "special.220"), fiber))
    config = load_config(write(tmp_path, tree))
    built = config.rule_sets[config.fiber_types["special.220"].rule_set]
    assert (built.name, built.zone_policy, built.verified) == ("customer-7", "centroid", True)
    assert [zone.outer.diameter_um(200, 220) for zone in built.zones] == pytest.approx([210, 215, 330])
    assert [zone.inspected for zone in built.zones] == [True, True, False]
    assert built.criteria == (
        Criterion(
            zone="Core",
            classes=("Scratch",),
            measure="length",
            bands=(SizeBand(3, from_um=1.0, to_um=2.0, to_inclusive=False), SizeBand(0, from_um=2.0)),
            polarity="bright",
            ignore_below_um=0.5,
        ),
    )
