"""The rule engine: the tables of IEC 61300-3-35 at, below and above every limit, and what house rules may ask for."""

from __future__ import annotations

import dataclasses
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config_loader import load_config
from grading.acceptance import Judgement, judge
from records import DEFECT_CLASSES, FAIL, NAN, PASS, UNGRADED, ZONE_NAMES, Defect
from settings import Criterion, RuleSet, SizeBand, ZoneBoundary, ZoneDef

PC = "iec_61300_3_35_2015_single_mode_pc"
APC = "iec_61300_3_35_2015_single_mode_apc"
MM = "iec_61300_3_35_2015_multimode_pc"
NOT_SCRATCH = tuple(kind for kind in DEFECT_CLASSES if kind != "Scratch")


@cache
def shipped_rule_sets() -> dict[str, RuleSet]:
    return dict(load_config(Path(__file__).parent.parent / "config.json").rule_sets)


def make_defect(kind="Pit/Dig", zone="Cladding", size_um=4.0, **changes) -> Defect:
    """A defect whose judged size is ``size_um``; the sizes that must not be looked at are 1000 times as large."""
    is_scratch = kind == "Scratch"
    sizes = {
        "width_um": size_um if is_scratch else 1000 * size_um,
        "diameter_um": 1000 * size_um if is_scratch else size_um,
        "length_um": 1000 * size_um,
    }
    numbers = {item.name: 1.0 for item in dataclasses.fields(Defect) if item.type == "float"}
    values = {
        "defect_id": "X1",
        "label": 1,
        "zone": zone,
        "kind": kind,
        "confidence": 1.0,
        "contrast": -20.0,
        "polarity": "dark",
        "zones_touched": (zone,),
        **numbers,
        **sizes,
    }
    return Defect(**{**values, **changes})


def make_rule(*criteria: Criterion, zone_policy: str = "touching") -> RuleSet:
    zones = tuple(
        ZoneDef(name, ZoneBoundary("diameter_um", d)) for name, d in zip(ZONE_NAMES, (25, 115, 135, 250), strict=True)
    )
    return RuleSet("house", "House", "test", True, zones, tuple(criteria), zone_policy=zone_policy)


def run(rule: RuleSet, *defects: Defect, zones=ZONE_NAMES, uncertainty_um=0.0, **options) -> Judgement:
    options = {"scale_known": True, "hindrance": None, **options}
    return judge(defects, rule_set=rule, judged_zones=zones, size_uncertainty_um=uncertainty_um, **options)


def one_limit(
    max_count=0, *, zone="Cladding", classes=NOT_SCRATCH, measure="diameter", limit=None, **changes
) -> Criterion:
    band = SizeBand(max_count, **(limit or {}))
    return Criterion(zone, classes, measure, (band,), **changes)


# rule set, zone, kind, sizes in um, reason or None
TABLE = [
    (PC, "Core", "Scratch", [0.1], "Scratch in Core"),
    (PC, "Core", "Pit/Dig", [0.1], "Pit/Dig in Core"),
    (PC, "Cladding", "Scratch", [2.99] * 40, None),
    (PC, "Cladding", "Scratch", [3.0] * 40, None),
    (PC, "Cladding", "Scratch", [3.01], "Scratch > 3um in Cladding"),
    (PC, "Cladding", "Pit/Dig", [1.99] * 40, None),
    (PC, "Cladding", "Pit/Dig", [2.0] * 5, None),
    (PC, "Cladding", "Pit/Dig", [2.0] * 6, "Pit/Dig 2-5um count > 5 in Cladding"),
    (PC, "Cladding", "Pit/Dig", [5.0] * 5, None),
    (PC, "Cladding", "Pit/Dig", [5.0] * 6, "Pit/Dig 2-5um count > 5 in Cladding"),
    (PC, "Cladding", "Pit/Dig", [2.0, 3.0, 4.0, 5.0, 5.0, 1.99, 1.0], None),
    (PC, "Cladding", "Pit/Dig", [5.01], "Pit/Dig > 5um in Cladding"),
    (PC, "Adhesive", "Scratch", [20.0] * 9, None),
    (PC, "Adhesive", "Contamination", [9.0] * 9, None),
    (PC, "Contact", "Scratch", [50.0] * 9, None),
    (PC, "Contact", "Contamination", [9.99] * 9, None),
    (PC, "Contact", "Contamination", [10.0], "Contamination >= 10um in Contact"),
    (PC, "Contact", "Contamination", [10.01], "Contamination >= 10um in Contact"),
    (APC, "Core", "Scratch", [3.0] * 4, None),
    (APC, "Core", "Scratch", [3.0] * 5, "Scratch <= 3um count > 4 in Core"),
    (APC, "Core", "Scratch", [2.99] * 5, "Scratch <= 3um count > 4 in Core"),
    (APC, "Core", "Scratch", [3.01], "Scratch > 3um in Core"),
    (APC, "Core", "Chip", [0.1], "Chip in Core"),
    (APC, "Cladding", "Scratch", [30.0] * 9, None),
    (APC, "Cladding", "Pit/Dig", [1.99] * 40, None),
    (APC, "Cladding", "Pit/Dig", [2.0] * 6, "Pit/Dig 2-5um count > 5 in Cladding"),
    (APC, "Cladding", "Pit/Dig", [5.0] * 5, None),
    (APC, "Cladding", "Crack", [5.01], "Crack > 5um in Cladding"),
    (APC, "Adhesive", "Chip", [30.0], None),
    (APC, "Contact", "Scratch", [30.0], None),
    (APC, "Contact", "Pit/Dig", [9.99], None),
    (APC, "Contact", "Pit/Dig", [10.0], "Pit/Dig >= 10um in Contact"),
    (MM, "Core", "Scratch", [3.0] * 40, None),
    (MM, "Core", "Scratch", [3.01], "Scratch > 3um in Core"),
    (MM, "Core", "Pit/Dig", [5.0] * 4, None),
    (MM, "Core", "Pit/Dig", [5.0] * 5, "Pit/Dig <= 5um count > 4 in Core"),
    (MM, "Core", "Pit/Dig", [0.1] * 5, "Pit/Dig <= 5um count > 4 in Core"),
    (MM, "Core", "Pit/Dig", [5.01], "Pit/Dig > 5um in Core"),
    (MM, "Cladding", "Scratch", [5.0] * 40, None),
    (MM, "Cladding", "Scratch", [5.01], "Scratch > 5um in Cladding"),
    (MM, "Cladding", "Pit/Dig", [4.99] * 40, None),
    (MM, "Cladding", "Pit/Dig", [5.0] * 5, None),
    (MM, "Cladding", "Pit/Dig", [5.0] * 6, "Pit/Dig 5-10um count > 5 in Cladding"),
    (MM, "Cladding", "Pit/Dig", [10.0] * 6, "Pit/Dig 5-10um count > 5 in Cladding"),
    (MM, "Cladding", "Pit/Dig", [10.01], "Pit/Dig > 10um in Cladding"),
    (MM, "Adhesive", "Pit/Dig", [19.0] * 9, None),
    (MM, "Contact", "Scratch", [90.0], None),
    (MM, "Contact", "Pit/Dig", [19.99] * 40, None),
    (MM, "Contact", "Pit/Dig", [20.0] * 5, None),
    (MM, "Contact", "Pit/Dig", [20.0] * 6, "Pit/Dig 20-30um count > 5 in Contact"),
    (MM, "Contact", "Pit/Dig", [30.0] * 6, "Pit/Dig 20-30um count > 5 in Contact"),
    (MM, "Contact", "Pit/Dig", [30.01], "Pit/Dig > 30um in Contact"),
]


@pytest.mark.parametrize(("rule", "zone", "kind", "sizes_um", "reason"), TABLE)
def test_tables_of_the_standard(rule, zone, kind, sizes_um, reason):
    judgement = run(shipped_rule_sets()[rule], *(make_defect(kind, zone, size) for size in sizes_um))
    assert judgement.reasons == (() if reason is None else (reason,))
    assert judgement.status == (PASS if reason is None else FAIL)


@pytest.mark.parametrize("rule", [PC, APC, MM])
def test_a_clean_face_passes(rule):
    assert run(shipped_rule_sets()[rule]) == Judgement(PASS, (), ())


@pytest.mark.parametrize(
    ("limit", "size_um", "status"),
    [
        ({"from_um": 10, "from_inclusive": True}, 10.0, FAIL),
        ({"from_um": 10, "from_inclusive": False}, 10.0, PASS),
        ({"to_um": 10, "to_inclusive": True}, 10.0, FAIL),
        ({"to_um": 10, "to_inclusive": False}, 10.0, PASS),
    ],
)
def test_bounds_carry_their_own_inclusiveness(limit, size_um, status):
    assert run(make_rule(one_limit(limit=limit)), make_defect(size_um=size_um)).status == status


def test_counts_are_of_all_classes_of_a_criterion_together():
    rule = make_rule(one_limit(2))
    pits = [make_defect("Pit/Dig")] * 2
    assert run(rule, *pits).status == PASS
    assert run(rule, *pits, make_defect("Chip")).reasons == ("Defect count > 2 in Cladding",)
    assert run(rule, *pits, make_defect("Pit/Dig")).reasons == ("Pit/Dig count > 2 in Cladding",)
    assert run(rule, *pits, make_defect("Scratch")).status == PASS


def test_zero_tolerance_names_each_class_and_marks_only_its_defects():
    rule = make_rule(one_limit(limit={"from_um": 5, "from_inclusive": False}))
    judgement = run(
        rule, make_defect("Chip", size_um=6), make_defect("Pit/Dig", size_um=4), make_defect("Pit/Dig", size_um=9)
    )
    assert judgement.reasons == ("Pit/Dig > 5um in Cladding", "Chip > 5um in Cladding")
    assert [d.violates for d in judgement.defects] == [("Chip > 5um in Cladding",), (), ("Pit/Dig > 5um in Cladding",)]


def test_a_count_marks_all_defects_of_its_band():
    rule = make_rule(one_limit(1, limit={"from_um": 2, "to_um": 5}))
    judgement = run(rule, *(make_defect(size_um=size) for size in (1.0, 2.0, 3.0)))
    reason = "Pit/Dig 2-5um count > 1 in Cladding"
    assert [d.violates for d in judgement.defects] == [(), (reason,), (reason,)]


def test_bright_and_dark_scratches_judged_differently():
    bright = one_limit(classes=("Scratch",), measure="width", polarity="bright")
    dark = one_limit(
        classes=("Scratch",), measure="width", polarity="dark", limit={"from_um": 3, "from_inclusive": False}
    )
    rule = make_rule(bright, dark)
    assert run(rule, make_defect("Scratch", size_um=1, polarity="dark")).status == PASS
    assert run(rule, make_defect("Scratch", size_um=1, polarity="bright")).reasons == ("Scratch (bright) in Cladding",)
    dark_reason = run(rule, make_defect("Scratch", size_um=4, polarity="dark")).reasons
    assert dark_reason == ("Scratch (dark) > 3um in Cladding",)


@pytest.mark.parametrize(
    ("zone_policy", "reasons"),
    [("touching", ("Pit/Dig in Core", "Pit/Dig in Cladding")), ("centroid", ("Pit/Dig in Cladding",))],
)
def test_zone_policy(zone_policy, reasons):
    rule = make_rule(one_limit(zone="Cladding"), one_limit(zone="Core"), zone_policy=zone_policy)
    defect = make_defect(zone="Cladding", zones_touched=("Cladding", "Core"))
    assert run(rule, defect).reasons == reasons


def test_zones_that_are_not_judged_do_not_count():
    rule = make_rule(one_limit(zone="Core"), one_limit(zone="Cladding"))
    defect = make_defect("Contamination", zone="Cladding", zones_touched=("Cladding", "Core"))
    assert run(rule, defect, zones=("Core",)).reasons == ("Contamination in Core",)
    assert run(rule, defect, zones=("Contact",)).status == PASS


@pytest.mark.parametrize(("size_um", "status"), [(0.99, PASS), (1.0, FAIL), (1.01, FAIL)])
def test_ignore_below(size_um, status):
    assert run(make_rule(one_limit(ignore_below_um=1.0)), make_defect(size_um=size_um)).status == status


@pytest.mark.parametrize(
    ("measure", "changes", "reason"),
    [
        ("length", {"length_um": 11.0, "diameter_um": 1.0}, "Pit/Dig length > 10um in Cladding"),
        ("area", {"area_um2": 11.0, "diameter_um": 1.0}, "Pit/Dig area > 10um2 in Cladding"),
        ("width", {"width_um": 11.0, "diameter_um": 1.0}, "Pit/Dig width > 10um in Cladding"),
        ("diameter", {"diameter_um": 11.0, "length_um": 1.0}, "Pit/Dig > 10um in Cladding"),
    ],
)
def test_an_unusual_measure_is_used_and_named(measure, changes, reason):
    rule = make_rule(one_limit(measure=measure, limit={"from_um": 10, "from_inclusive": False}))
    assert run(rule, make_defect(**changes)).reasons == (reason,)


def test_reasons_come_by_zone_then_criterion_each_once():
    rule = make_rule(
        one_limit(zone="Cladding"), one_limit(zone="Core"), one_limit(zone="Core"), one_limit(2, zone="Core")
    )
    judgement = run(rule, make_defect(zone="Cladding"), *[make_defect(zone="Core")] * 3)
    assert judgement.reasons == ("Pit/Dig in Core", "Pit/Dig count > 2 in Core", "Pit/Dig in Cladding")


def test_shipped_house_rule_judges_by_polarity_and_removability():
    rule = shipped_rule_sets()["house_rule_example"]
    bright = make_defect("Scratch", "Core", 1.0, polarity="bright")
    dark = make_defect("Scratch", "Core", 1.0, polarity="dark")
    assert run(rule, bright).status == FAIL
    assert run(rule, dark).status == PASS
    assert run(rule, make_defect("Contamination", "Contact", 0.5)).status == FAIL
    assert run(rule, make_defect("Pit/Dig", "Contact", 0.5)).status == PASS


def test_without_a_scale_nothing_is_graded():
    judgement = run(
        shipped_rule_sets()[PC], make_defect(zone="Core", violates=("old",), marginal=True), scale_known=False
    )
    assert judgement.status == UNGRADED
    assert "scale" in judgement.reasons[0]
    assert judgement.defects[0].violates == ()
    assert not judgement.defects[0].marginal


def test_zones_that_cannot_be_placed_or_were_not_inspected_are_not_graded():
    reason = "The core's diameter is unknown"
    assert run(make_rule(), hindrance=reason) == Judgement(UNGRADED, (reason,), ())
    assert run(make_rule(), zones=()).status == UNGRADED


@pytest.mark.parametrize("limit", [{"from_um": 3.0}, {"to_um": 3.0}])
def test_an_undefined_size_never_passes(limit):
    judgement = run(make_rule(one_limit(9, limit=limit)), make_defect(diameter_um=NAN))
    assert judgement.reasons == ("Pit/Dig of unknown diameter in Cladding",)
    assert judgement.defects[0].violates == judgement.reasons


def test_an_undefined_size_that_is_not_needed_is_only_counted():
    assert run(make_rule(one_limit(1)), make_defect(diameter_um=NAN)).status == PASS


@pytest.mark.parametrize(
    ("size_um", "marginal"), [(4.6, False), (4.75, True), (5.0, True), (5.25, True), (5.4, False), (2.1, True)]
)
def test_marginal_on_both_sides_of_a_limit(size_um, marginal):
    judgement = run(shipped_rule_sets()[PC], make_defect(size_um=size_um), uncertainty_um=0.3)
    assert judgement.defects[0].marginal is marginal


def test_marginal_needs_a_limit_that_applies():
    rule = shipped_rule_sets()[PC]
    near_5 = make_defect("Scratch", "Cladding", 5.0)
    in_core = make_defect("Pit/Dig", "Core", 5.0)
    no_limit = SizeBand(None, to_um=4.0)
    assert not any(d.marginal for d in run(rule, near_5, in_core, uncertainty_um=0.3).defects)
    open_rule = make_rule(Criterion("Cladding", NOT_SCRATCH, "diameter", (no_limit,)))
    assert not run(open_rule, make_defect(size_um=4.0), uncertainty_um=0.3).defects[0].marginal


def test_marginal_area_is_compared_as_a_diameter():
    rule = make_rule(one_limit(measure="area", limit={"from_um": 100.0}))
    near, far = make_defect(area_um2=110.0), make_defect(area_um2=150.0)
    assert [d.marginal for d in run(rule, near, far, uncertainty_um=0.6).defects] == [True, False]


def test_inputs_stay_as_they_are_and_order_is_kept():
    defects = [make_defect(defect_id=f"P{i}", label=i, size_um=float(i)) for i in range(1, 8)]
    before = [dataclasses.replace(defect) for defect in defects]
    judgement = run(shipped_rule_sets()[PC], *defects)
    assert defects == before
    assert [d.defect_id for d in judgement.defects] == [d.defect_id for d in before]


any_defect = st.builds(
    make_defect,
    kind=st.sampled_from(DEFECT_CLASSES),
    zone=st.sampled_from(ZONE_NAMES),
    size_um=st.one_of(st.floats(0, 40), st.sampled_from([2.0, 3.0, 5.0, 10.0, 20.0, 30.0]), st.just(NAN)),
    polarity=st.sampled_from(["dark", "bright"]),
    zones_touched=st.lists(st.sampled_from(ZONE_NAMES), unique=True, max_size=4).map(tuple),
)


@given(
    defects=st.lists(any_defect, max_size=8),
    extra=any_defect,
    rule=st.sampled_from([PC, APC, MM, "house_rule_example", "large_core_offset_zones"]),
)
def test_adding_a_defect_never_turns_fail_into_pass(defects, extra, rule):
    before = run(shipped_rule_sets()[rule], *defects)
    after = run(shipped_rule_sets()[rule], *defects, extra)
    assert not (before.status == FAIL and after.status == PASS)
    assert (after.status == FAIL) == any(defect.violates for defect in after.defects)


@given(defects=st.lists(any_defect, max_size=8), data=st.data())
def test_the_verdict_does_not_depend_on_the_order(defects, data):
    shuffled = data.draw(st.permutations(defects))
    rule = shipped_rule_sets()[MM]
    assert run(rule, *defects).reasons == run(rule, *shuffled).reasons


# --- marginal verdicts -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sizes_um", "uncertainty_um", "is_marginal"),
    [
        ([4.9], 0.2, True),  # passes, and would fail a little larger
        ([5.1], 0.2, True),  # fails, and would pass a little smaller
        ([5.1, 9.0], 0.2, False),  # fails whatever the first one is
        ([4.7], 0.2, False),
        ([4.9], 0.0, False),
        ([float("nan")], 0.2, False),
    ],
)
def test_a_verdict_is_marginal_when_it_hangs_on_a_size(sizes_um, uncertainty_um, is_marginal):
    rule = make_rule(one_limit(0, limit={"from_um": 5.0, "from_inclusive": False}))
    judgement = run(rule, *(make_defect(size_um=size) for size in sizes_um), uncertainty_um=uncertainty_um)
    assert judgement.marginal is is_marginal


def test_a_verdict_on_a_count_is_marginal_when_sizes_may_leave_the_band():
    rule = make_rule(one_limit(2, limit={"from_um": 2.0}))
    assert run(rule, *(make_defect(size_um=2.1) for _ in range(3)), uncertainty_um=0.2).marginal
    assert not run(rule, *(make_defect(size_um=2.1) for _ in range(2)), uncertainty_um=0.2).marginal
    by_area = make_rule(one_limit(0, measure="area", limit={"from_um": 10.0}))
    assert run(by_area, make_defect(area_um2=9.9), uncertainty_um=0.2).marginal
    assert not run(by_area, make_defect(area_um2=9.0), uncertainty_um=0.05).marginal


def test_a_mark_on_the_optics_violates_nothing():
    rule = make_rule(one_limit(0))
    judgement = run(rule, make_defect(on_optics=True), uncertainty_um=0.5)
    assert judgement.status == PASS and judgement.defects[0].violates == () and not judgement.marginal
