"""What is wrong with a config.json: every mistake is named where it is, in words, and all at once."""

from __future__ import annotations

import pytest
from config_trees import MM_PC, REMOVED, SM_PC, TREE, changed, leaves, problems, value_at, write
from hypothesis import given, settings
from hypothesis import strategies as st

from config_loader import find_problems, load_config
from configuration.schema_errors import path_text
from errors import ConfigError, ExitCode

SECTIONS = [key for key, value in TREE.items() if isinstance(value, dict) and key != "profiles"]
RULES = ("rule_sets", SM_PC)
NAMES = ("file_names",)
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
    ((*NAMES, "pattern"), "(", "is no regular expression (missing )"),
    ((*NAMES, "pattern"), "(?P<serial>[[a])", "is no regular expression (Possible nested set"),
    ((*NAMES, "pattern"), "sn([0-9]+)", "no group named serial; expected (?P<serial>...)"),
    ((*NAMES, "pattern"), "(?P<serial>a)(?P<prot>b)", "a group named prot; expected no other names than"),
    ((*NAMES, "pattern"), "(?P<serial>([0-9]+_?)+)x", "takes too long on some names; expected no repetition inside"),
    ((*NAMES, "pattern"), "", "expected text that is not empty or null"),
    ((*NAMES, "pattern"), 7, "expected text that is not empty or null, got 7"),
    (("learning", "patch_policy"), "veto_artifact", "(did you mean 'veto_artifacts'?)"),
    (("learning", "models", "quality"), "", "expected text that is not empty or null"),
    (("learning", "models", "defects"), "m.onnx", "unknown key; expected one of quality, patch, segment"),
    (("learning", "veto_protected_zones", 0), "core", "(did you mean 'Core'?)"),
    (("learning", "segment_threshold"), 1, "expected number above 0 and below 1, got 1"),
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
        said = found[path_text(low)]  # the schema may refuse the value before the rule sees it
        assert "expected a number below" in said or "expected number from" in said


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
