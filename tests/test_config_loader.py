"""config.json: what is shipped, what is refused and in which words, profiles, and rules that need no code."""

from __future__ import annotations

import copy
import dataclasses
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config_loader import apply_profile, find_problems, load_config
from configuration.schema_errors import path_text
from errors import ConfigError, ExitCode
from settings import Criterion, SizeBand

SHIPPED = Path(__file__).resolve().parent.parent / "config.json"
TREE = json.loads(SHIPPED.read_text(encoding="utf-8"))
SECTIONS = [key for key, value in TREE.items() if isinstance(value, dict) and key != "profiles"]
SM_PC = "iec_61300_3_35_2015_single_mode_pc"
MM_PC = "iec_61300_3_35_2015_multimode_pc"
REMOVED = object()


def changed(*changes: tuple[tuple, object]) -> dict:
    """The shipped tree with values set (or REMOVED) at paths."""
    tree = copy.deepcopy(TREE)
    for path, value in changes:
        node = tree
        for part in path[:-1]:
            node = node.setdefault(part, {}) if isinstance(node, dict) else node[part]
        if value is REMOVED:
            del node[path[-1]]
        else:
            node[path[-1]] = value
    return tree


def problems(tree: object) -> dict[str, str]:
    """Problem texts by JSON path."""
    return {path_text(problem.path): problem.text for problem in find_problems(tree)}


def write(folder: Path, text: str | bytes | dict) -> Path:
    path = folder / "config.json"
    text = json.dumps(text) if isinstance(text, dict) else text
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def leaves(value: object, path: tuple = ()) -> list[tuple]:
    if isinstance(value, dict):
        return [leaf for key, item in value.items() for leaf in leaves(item, (*path, key))]
    if isinstance(value, list):
        return [leaf for index, item in enumerate(value) for leaf in leaves(item, (*path, index))]
    return [path]


# --- one mistake, one clear line -----------------------------------------------------------------------------------

RULES = ("rule_sets", SM_PC)
FIBER = ("fiber_types", "single_mode_pc")
TILES = ("preprocessing", "clahe", "tile_grid")
BANDS = (*RULES, "criteria", 3, "bands")
FAST = ("profiles", "fast_scan")
NEW_PROFILE = {"detection": {"confidence_threshold": 9}}
# where the value is set (and reported), the value, a part of what is said
MISTAKES = [
    (("detection", "confidense"), 0.9, "unknown key (did you mean 'confidence_threshold'?)"),
    (("cammera",), {}, "unknown key (did you mean 'camera'?)"),
    (("camera", "zzz"), 1, "unknown key; expected one of serial, exposure_us"),
    (("camera", "timeout_s"), "12", 'expected number above 0 and at most 600, got text "12"'),
    (("camera", "timeout_s"), True, "expected number above 0 and at most 600, got true"),
    (("camera", "timeout_s"), None, "got null"),
    (("camera", "timeout_s"), -1, "above 0 and at most 600, got -1"),
    (("camera", "serial"), 4711, "expected text that is not empty or null, got 4711"),
    (("camera", "pixel_format"), "mono8", "(did you mean 'Mono8'?)"),
    (("camera", "timeout_s"), REMOVED, "missing; expected a number"),
    (("camera",), REMOVED, "missing; expected an object"),
    (("camera",), [], "expected object, got a list of 0"),
    (TILES, 8.5, "whole number from 1 to 64, got 8.5"),
    (("preprocessing", "blur_kernel_px"), 4, "expected odd whole number from 1 to 99, got 4"),
    (("reporting", "zone_colors", "Core"), "red", "expected a colour as #RRGGBB"),
    (("reporting", "zone_colors", "Core"), REMOVED, "missing; expected a colour"),
    (("reporting", "zone_colors", "Kore"), "#112233", "(did you mean 'Core'?)"),
    (("reporting", "scale_bar_um"), [], "that is not empty, got a list of 0"),
    (("reporting", "scale_bar_um", 1), "x", 'got text "x"'),
    (("detection", "confidence_threshold"), 50, "can never be reached; expected at most "),
    (("default_rule_set",), "iec_2015", 'no rule set named "iec_2015"; expected one of'),
    (("default_rule_set",), SM_PC.upper(), f"(did you mean '{SM_PC}'?)"),
    (("default_profile",), "deep", 'no profile named "deep"; expected one of fast_scan, deep_inspection'),
    (("rule_set_by_core_um", 0, "rule_set"), "x", 'no rule set named "x"'),
    (("rule_set_by_core_um", 1, "max_core_um"), 15, "expected a number above 15"),
    ((*FIBER, "rule_set"), "multimode", 'no rule set named "multimode"'),
    ((*FIBER, "core_um"), 125, "expected a number below cladding_um = 125"),
    ((*FIBER, "core_um"), -9, "expected number above 0 and at most 10000 or null"),
    (("fiber_types", "a b"), TREE["fiber_types"]["single_mode_pc"], "unusable name; expected letters, digits"),
    ((*RULES, "zones"), [], "expected list that is not empty"),
    ((*RULES, "zones", 0, "name"), "Kern", "expected one of Core, Cladding"),
    ((*RULES, "zones", 2, "name"), "Cladding", "zone Cladding is given twice; expected each zone once"),
    ((*RULES, "zones", 1, "outer"), {}, "expected object with exactly one of diameter_um, offset_from"),
    ((*RULES, "criteria", 0, "zone"), "core", "(did you mean 'Core'?)"),
    ((*RULES, "criteria", 0, "classes", 0), "Pit", "expected one of Scratch"),
    ((*RULES, "criteria", 0, "bands"), [], "expected list that is not empty"),
    ((*FAST, "camera", "gain"), 1, "unknown key (did you mean 'gain_db'?)"),
    ((*FAST, "camera", "timeout_s"), "1", 'got text "1"'),
    ((*FAST, "default_rule_set"), "x", 'no rule set named "x"'),
    ((*FAST, "rule_sets"), {}, "unknown key"),
    (("profiles",), {}, "expected object that is not empty, got an empty object"),
]
# where the value is set, the value, where it is reported, a part of what is said
CONTRADICTIONS = [
    (("rule_set_by_core_um", 0, "max_core_um"), None, ("rule_set_by_core_um", 1, "max_core_um"), "only in the last"),
    ((*RULES, "zones", 1, "outer"), {"diameter_um": 25}, (*RULES, "zones", 1, "outer", "diameter_um"), "above 25"),
    ((*RULES, "zones", 1, "outer"), {"times_core": 1}, (*RULES, "zones", 1, "outer", "times_core"), "on fiber type"),
    ((*RULES, "zones", 1, "inspected"), False, (*RULES, "criteria", 2, "zone"), "Cladding is not inspected"),
    ((*BANDS, 0, "from_um"), 6, (*BANDS, 0, "to_um"), "leaves the band empty; expected above from_um = 6"),
    ((*BANDS, 0, "to_um"), 6, (*BANDS, 1), "overlaps bands[0]; expected bands that share no size"),
    ((*RULES, "criteria", 3, "ignore_below_um"), 7, (*BANDS, 0, "to_um"), "expected at least ignore_below_um = 7"),
    (("profiles", "new"), NEW_PROFILE, ("profiles", "new", "detection", "confidence_threshold"), "expected at most "),
    (
        ("zones_without_scale", 0, "outer"),
        {"diameter_um": 9},
        ("zones_without_scale", 0, "outer", "diameter_um"),
        "unknown key; expected one of times_cladding, times_core",
    ),
]


@pytest.mark.parametrize(("path", "value", "text"), MISTAKES)
def test_a_mistake_is_named_where_it_is(path, value, text):
    found = problems(changed((path, value)))
    assert text in found.get(path_text(path), ""), found


@pytest.mark.parametrize(("path", "value", "where", "text"), CONTRADICTIONS)
def test_a_contradiction_is_named_where_it_shows(path, value, where, text):
    found = problems(changed((path, value)))
    assert text in found.get(path_text(where), ""), found


def test_a_name_with_a_dot_is_quoted_in_the_path():
    found = problems(changed((("fiber_types", "multimode_62.5_125", "core_um"), "wide")))
    assert list(found) == ['fiber_types["multimode_62.5_125"].core_um']


def test_all_algorithms_off():
    off = [(("detection", "algorithms", name, "enabled"), False) for name in TREE["detection"]["algorithms"]]
    assert "expected at least one enabled" in problems(changed(*off))["detection.algorithms"]


def test_a_weight_sum_that_falls_short_by_rounding_alone_is_accepted():
    names = list(TREE["detection"]["algorithms"])
    changes = [(("detection", "algorithms", name, "weight"), 0.3) for name in names]  # 0.3 * 3 = 0.8999999999999999
    changes.append((("detection", "algorithms", names[-1], "enabled"), False))
    tree = changed((("detection", "confidence_threshold"), 0.9), *changes)
    assert "detection.confidence_threshold" not in problems(tree)


def test_every_lower_limit_must_lie_below_its_upper_one():
    lower = [path for name in SECTIONS for path in leaves(TREE[name], (name,)) if str(path[-1]).startswith("min_")]
    upper = [(*path[:-1], f"max_{path[-1][4:]}") for path in lower]
    pairs = [(low, high) for low, high in zip(lower, upper, strict=True) if high[-1] in value_at(TREE, high[:-1])]
    assert pairs
    for low, high in pairs:
        found = problems(changed((low, value_at(TREE, high)), (high, value_at(TREE, low))))
        assert "expected a number below" in found[path_text(low)]


def value_at(tree: object, path: tuple) -> object:
    for part in path:
        tree = tree[part]
    return tree


def test_all_problems_are_reported_at_once(tmp_path):
    tree = changed(
        (("camera", "timeout_s"), "12"),
        (("detection", "wrong"), 1),
        (("fiber_types", "single_mode_pc", "core_um"), 130),
        (("rule_sets", MM_PC, "zones", 1, "outer"), {"diameter_um": 20}),
        (("profiles", "fast_scan", "camera"), {"gain_db": -3}),
        (("preprocessing", "flat_field_image"), "missing.png"),
    )
    with pytest.raises(ConfigError) as caught:
        load_config(write(tmp_path, tree), "fastscan")
    assert caught.value.exit_code is ExitCode.INVALID_INPUT
    starts = [problem.split(":")[0] for problem in caught.value.problems]
    assert sorted(starts) == sorted(
        [
            "camera.timeout_s",
            "detection.wrong",
            "fiber_types.single_mode_pc.core_um",
            f"rule_sets.{MM_PC}.zones[1].outer.diameter_um",
            "profiles.fast_scan.camera.gain_db",
            "preprocessing.flat_field_image",
            "profiles",
        ]
    )
    assert all(problem in str(caught.value) for problem in caught.value.problems)
    assert "fast_scan" in caught.value.problems[starts.index("profiles")]


@given(st.data())
@settings(max_examples=25, deadline=None)
def test_any_value_replaced_by_a_wrong_type_is_reported_at_its_path(data):
    path = data.draw(st.sampled_from([leaf for name in SECTIONS for leaf in leaves(TREE[name], (name,))]))
    assert path_text(path) in problems(changed((path, {"un": "expected"}))), path


def nodes(value: object, path: tuple = ()) -> list[tuple]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(node for key, item in items for node in nodes(item, (*path, key)))]


@given(
    path=st.sampled_from(nodes(TREE)[1:]), junk=st.sampled_from([None, [], {}, [{}], {"x": []}, "", -1, 1e300, True])
)
@settings(max_examples=40, deadline=None)
def test_junk_anywhere_never_escapes_as_another_error(path, junk):
    for problem in find_problems(changed((path, junk))):
        assert problem.text
        assert str(problem).startswith(path_text(problem.path))


@given(st.data())
@settings(max_examples=25, deadline=None)
def test_any_setting_left_out_is_reported_at_its_path(data):
    tuning = ("preprocessing", "localization", "detection", "measurement", "classification", "camera", "calibration")
    path = data.draw(st.sampled_from([leaf for name in tuning for leaf in leaves(TREE[name], (name,))]))
    path = path[: next((i for i, part in enumerate(path) if isinstance(part, int)), len(path))]
    found = problems(changed((path, REMOVED)))
    assert found[path_text(path)].startswith("missing; expected "), found


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
