"""What got better and what got worse, with the images named."""

import json
import math

import pytest
from evaluation_scenes import image_result, reported_outcome, true_outcome
from faces import write

from errors import UsageError
from evaluation.baseline import Baseline, compare_runs, read_baseline
from evaluation.comparison import ImageChange, compare_images
from evaluation.results import Evaluation, ProfileRun


def runs(*results, profile="deep_inspection", sha="x"):
    return (ProfileRun(profile, sha, results),)


def compare(before, now, share=0.97):
    baseline = Baseline("old.json", share, before)
    return list(compare_runs(baseline, Evaluation({}, 0.97, now)))


def test_better_and_worse_figures():
    before = runs(image_result("a", 4, 2, 4, 4), image_result("b", time_s=1.0))
    now = runs(image_result("a", 4, 3, 4, 3), image_result("b", time_s=1.0), sha="y")
    (comparison,) = compare(before, now)
    changes = {change.name: change for change in comparison.figures}
    assert changes["recall"].better is True and changes["recall"].difference == pytest.approx(0.25)
    assert changes["precision"].better is False and changes["precision"].difference == pytest.approx(-0.25)
    assert changes["median time (s)"].better is None
    assert changes["recall, Pit/Dig"].better is True


def test_less_time_and_fewer_false_alarms_are_better():
    (comparison,) = compare(runs(image_result("a", 0, 0, 2, 0)), runs(image_result("a", 0, 0, 1, 0, time_s=0.5)))
    changes = {change.name: change.better for change in comparison.figures}
    assert changes["median time (s)"] is True and changes["false alarms on clean images"] is True


def test_figures_that_are_undefined_are_neither():
    (comparison,) = compare(runs(image_result("a")), runs(image_result("a", 1, 1)))
    change = next(change for change in comparison.figures if change.name == "recall")
    assert change.better is None and math.isnan(change.before)


def test_changes_of_an_image_are_named():
    far = {"box_px": (100, 100, 110, 110)}
    before = image_result(
        "a",
        true_defects=(true_outcome(1), true_outcome(2, False), true_outcome(3)),
        reported_defects=(reported_outcome(1, False), reported_outcome(2, False, box_px=(50, 50, 60, 60))),
        verdict="clean",
        truth_verdict="defective",
    )
    now = image_result(
        "a",
        true_defects=(true_outcome(1, False, kind="Scratch"), true_outcome(2), true_outcome(3)),
        reported_defects=(reported_outcome(7, False, box_px=(18, 18, 30, 30)), reported_outcome(8, False, **far)),
        verdict="defective",
        truth_verdict="defective",
        located=False,
    )
    assert compare_images(before, now) == ImageChange(
        "a",
        newly_missed=("Scratch 1",),
        newly_found=("Pit/Dig 2",),
        new_false_alarms=("Pit/Dig P8",),
        gone_false_alarms=("Pit/Dig P2",),
        located="lost",
        verdict="clean -> defective (right now)",
    )
    assert not compare_images(now, now).is_change


def test_boxes_that_only_touch_are_different_places():
    before = image_result("a", reported_defects=(reported_outcome(1, False, box_px=(0, 0, 10, 10)),))
    now = image_result("a", reported_defects=(reported_outcome(1, False, box_px=(10, 0, 20, 10)),))
    assert compare_images(before, now).new_false_alarms == ("Pit/Dig P1",)


def test_images_in_one_set_only_are_named_and_do_not_count():
    before = runs(image_result("a", 1, 1), image_result("gone", 5, 0))
    (comparison,) = compare(before, runs(image_result("a", 1, 1), image_result("new", 5, 0)))
    assert (comparison.only_before, comparison.only_now, comparison.images) == (("gone",), ("new",), ())
    assert all(not change.better for change in comparison.figures)
    assert next(c for c in comparison.figures if c.name == "recall").now == 1.0


def test_profiles_are_compared_by_name_and_two_single_ones_whatever_their_name():
    two = (*runs(image_result("a")), *runs(image_result("a"), profile="fast_scan"))
    (comparison,) = compare(runs(image_result("a"), profile="fast_scan"), two)
    assert comparison.profile == "fast_scan" and not any("made with the profile" in note for note in comparison.notes)
    (single,) = compare(runs(image_result("a"), profile="fast_scan"), runs(image_result("a")))
    assert any("fast_scan" in note for note in single.notes)
    assert compare(two, runs(image_result("a"), profile="other")) == []


def test_another_judged_area_is_noted():
    (comparison,) = compare(runs(image_result("a")), runs(image_result("a")), share=0.9)
    assert any("0.9 " in note for note in comparison.notes)


BAD = {
    "absent": (None, "cannot be read"),
    "no JSON": (b"{", "no evaluation"),
    "a list": (b"[]", "no evaluation"),
    "not text": (b"\xff\xfe\x00", "no evaluation"),
    "another version": (b'{"schema_version": 99}', "99"),
    "damaged": (json.dumps({"schema_version": 1, "profiles": [{"profile": "x"}]}).encode(), "damaged"),
    "damaged images": (
        json.dumps(
            {
                "schema_version": 1,
                "judged_share": 1,
                "profiles": [{"profile": "x", "settings_sha256": "", "images": [3]}],
            }
        ).encode(),
        "damaged",
    ),
}


@pytest.mark.parametrize(("data", "words"), BAD.values(), ids=BAD.keys())
def test_a_baseline_that_is_none_is_one_sentence(tmp_path, data, words):
    path = tmp_path / "old.json"
    if data is not None:
        write(path, data)
    with pytest.raises(UsageError, match=words) as caught:
        read_baseline(path)
    assert caught.value.remedy
