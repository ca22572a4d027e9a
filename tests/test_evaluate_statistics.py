"""Figures, intervals, confusion matrix and size errors on results with known answers."""

import math

import numpy as np
import pytest
from evaluation_scenes import image_result, reported_outcome, true_outcome
from hypothesis import given
from hypothesis import strategies as st

from evaluation.results import RuleSetVerdict, Sizes
from evaluation.statistics import RESAMPLES, Resampling, compute_figures, f1, spread
from records import FAIL, LOCALIZATION_FAILED, PASS


def by_name(groups):
    return {group.name: group for group in groups}


def test_recall_precision_and_f1():
    every = compute_figures([image_result("a", 4, 3, 5, 3), image_result("b", 2, 2, 1, 1), image_result("c")])
    total = every.total
    assert (total.recall.count, total.recall.total, total.recall.value) == (5, 6, pytest.approx(5 / 6))
    assert (total.precision.count, total.precision.total, total.precision.value) == (4, 6, pytest.approx(4 / 6))
    assert total.f1.value == pytest.approx(2 * (5 / 6) * (4 / 6) / (9 / 6))
    assert every.images == 3 and every.not_assessed == ()


def test_nothing_at_all_is_undefined():
    every = compute_figures([image_result("a", located=None)])
    for rate in (every.total.recall, every.total.precision, every.total.f1, every.localisation.located):
        assert math.isnan(rate.value) and math.isnan(rate.low) and rate.total == 0
    assert every.sizes == () and every.by_class == ()
    assert compute_figures([]).images == 0


def test_f1_is_zero_where_nothing_is_right():
    assert f1(0.0, 0.0) == 0.0 and f1(1.0, 1.0) == 1.0 and math.isnan(f1(math.nan, 1.0))


def test_the_interval_is_that_of_drawing_images():
    # of two images, the first all found, the second all missed: drawn twice the first, each once, twice the second
    rate = Resampling(2, resamples=20_000).rate([10, 0], [10, 10])
    assert (rate.low, rate.high) == (0.0, 1.0)
    shares = Resampling(2, resamples=20_000).shares(np.array([10, 0]), np.array([10, 10]))
    assert [np.mean(shares == value) for value in (0, 0.5, 1)] == pytest.approx([0.25, 0.5, 0.25], abs=0.02)


def test_the_interval_agrees_with_the_binomial_one_when_every_image_has_one_defect():
    found = [1] * 90 + [0] * 10
    rate = Resampling(100).rate(found, [1] * 100)
    deviation = math.sqrt(0.9 * 0.1 / 100)
    assert rate.low == pytest.approx(0.9 - 1.96 * deviation, abs=0.015)
    assert rate.high == pytest.approx(0.9 + 1.96 * deviation, abs=0.015)


def test_defects_that_come_in_clusters_widen_the_interval():
    single = Resampling(100).rate([1] * 90 + [0] * 10, [1] * 100)
    clustered = Resampling(10).rate([10] * 9 + [0], [10] * 10)
    assert clustered.value == single.value and clustered.low < single.low - 0.05


def test_a_resample_draws_as_many_images_as_there_are_and_repeats_itself():
    draws = Resampling(7)
    assert draws.weights.shape == (RESAMPLES, 7) and (draws.weights.sum(axis=1) == 7).all()
    np.testing.assert_array_equal(draws.weights, Resampling(7).weights)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=12))
def test_a_share_lies_within_its_interval_and_between_0_and_1(images):
    counts, totals = [min(pair) for pair in images], [max(pair) for pair in images]
    rate = Resampling(len(images), resamples=200).rate(counts, totals)
    if rate.total:
        assert 0 <= rate.low <= rate.high <= 1
        if len(set(zip(counts, totals, strict=True))) == 1:
            assert rate.low == rate.high == pytest.approx(rate.value)


def test_groups_count_true_defects_by_their_own_and_reports_by_their_own_field():
    result = image_result(
        "a",
        true_defects=(true_outcome(1, True, kind="Scratch", zone="Core"), true_outcome(2, False, kind="Chip")),
        reported_defects=(reported_outcome(1, zone="Core"), reported_outcome(2, False, contrast_band="< 2")),
    )
    every = compute_figures([result])
    classes = by_name(every.by_class)
    assert list(classes) == ["Scratch", "Pit/Dig", "Chip"]
    assert (classes["Scratch"].recall.value, classes["Chip"].recall.value) == (1.0, 0.0)
    assert classes["Pit/Dig"].precision.value == 0.5 and math.isnan(classes["Pit/Dig"].recall.value)
    assert by_name(every.by_zone)["Core"].precision.count == 1
    assert by_name(every.by_contrast)["< 2"].precision.value == 0.0


def test_what_lies_outside_the_judged_area_does_not_count():
    result = image_result(
        "a",
        true_defects=(true_outcome(1), true_outcome(2, False, counted=False)),
        reported_defects=(reported_outcome(1), reported_outcome(2, False, counted=False)),
    )
    total = compute_figures([result]).total
    assert (total.recall.total, total.precision.total, total.f1.value) == (1, 1, 1.0)


def test_the_confusion_matrix():
    defects = (
        true_outcome(1, kind="Scratch"),
        true_outcome(2, kind="Scratch", matched_kind="Crack"),
        true_outcome(3, kind="Scratch", matched_kind="Crack", kind_certain=False),
        true_outcome(4, kind="Pit/Dig"),
        true_outcome(5, found=False, kind="Chip"),
        true_outcome(6, kind="Chip", counted=False),
    )
    reports = (reported_outcome(1), reported_outcome(2, False, kind="Contamination"))
    confusion = compute_figures([image_result("a", true_defects=defects, reported_defects=reports)]).confusion
    assert confusion.counts == ((1, 0, 0, 0, 2, 0), (0, 1, 0, 0, 0, 0), (0,) * 6, (0, 0, 0, 0, 0, 1), (0,) * 6)
    assert confusion.false_alarms == (0, 0, 1, 0, 0)
    assert (confusion.right.count, confusion.right.total) == (2, 4)
    assert (confusion.right_certain.count, confusion.right_certain.total) == (2, 3)


def sized(number, true_px, measured_px, kind="Pit/Dig"):
    sizes, measured = (Sizes(px, px, px, px * px) for px in (true_px, measured_px))
    return true_outcome(number, kind=kind, sizes=sizes, measured=measured)


def test_bias_spread_and_error_of_sizes():
    pairs = [(100, 110), (100, 112), (100, 92), (100, 130), (10, 12)]  # +10, +12, -8, +30, +20 %
    defects = tuple(sized(number, *pair) for number, pair in enumerate(pairs, start=1))
    defects += (true_outcome(9, False), sized(10, 1.0, 5.0, kind="Chip"))
    every = {(e.measure, e.kind): e for e in compute_figures([image_result("a", true_defects=defects)]).sizes}
    error = every["length", "Pit/Dig"]
    assert error.count == 5
    assert error.bias == pytest.approx(0.12)
    assert error.spread == pytest.approx(1.4826 * 0.08)  # of 2, 0, 20, 18 and 8 %
    assert error.median_error == pytest.approx(0.12)
    assert error.median_error_px == pytest.approx(10.0)
    assert every["area", "Pit/Dig"].bias == pytest.approx(1.12**2 - 1)
    assert every["width", "Chip"].bias == pytest.approx(4.0)
    assert every["diameter", "all"].count == 6


def test_clean_and_defective():
    results = [
        image_result("right clean"),
        image_result("right defective", 1, 1, 1, 1),
        image_result("false clean", 1, 0),
        image_result("false defective", 0, 0, 2, 0),
        image_result("lost", verdict=None, located=False),
        image_result("open", reported=1, true=1, verdict=None),
        image_result("not labelled", truth_verdict=None),
        image_result("no fibre", truth_verdict=None, verdict=None, located=None),
    ]
    accuracy = compute_figures(results).image_accuracy
    assert (accuracy.accuracy.count, accuracy.accuracy.total) == (2, 5)
    assert accuracy.false_clean == ("false clean",) and accuracy.false_defective == ("false defective",)
    assert accuracy.false_alarms_on_clean == 2


def test_agreement_per_rule_set():
    def judged(name, truth, inspection):
        return image_result(name, verdicts=(RuleSetVerdict("iec", truth, inspection),))

    results = [
        judged("a", PASS, PASS),
        judged("b", FAIL, FAIL),
        judged("c", FAIL, PASS),
        judged("d", PASS, FAIL),
        judged("e", FAIL, LOCALIZATION_FAILED),
        image_result("f"),
    ]
    (agreement,) = compute_figures(results).rule_sets
    assert (agreement.agreement.count, agreement.agreement.total) == (2, 5)
    assert (agreement.wrong_pass, agreement.wrong_fail, agreement.other) == (("c",), ("d",), ("e",))


def test_localisation_and_time():
    results = [
        image_result(f"{n}", centre_error_share=n / 100, radius_error_share=-n / 100, time_s=n) for n in range(5)
    ]
    every = compute_figures([*results, image_result("lost", located=False, centre_error_share=math.nan)])
    assert (every.localisation.located.count, every.localisation.located.total) == (5, 6)
    assert every.localisation.lost == ("lost",)
    assert every.localisation.centre_error.median == pytest.approx(0.02)
    assert every.localisation.radius_error.maximum == pytest.approx(0.04)
    assert spread([0.0, 1.0, math.nan]).quantile_95 == pytest.approx(0.95)


def test_images_that_were_not_assessed_only_count_by_name():
    every = compute_figures([image_result("a", 1, 1), image_result("b", 5, 0, problem="The file is empty.")])
    assert (every.images, every.not_assessed, every.total.recall.value) == (1, ("b",), 1.0)


def test_figures_become_json():
    assert compute_figures([image_result("a")]).to_dict()["total"]["recall"]["value"] is None
