"""Gauge repeatability against closed forms: known turns, known differences."""

from __future__ import annotations

import json
import math
from dataclasses import fields, replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from evaluation.repeat import compare, repeat_markdown, repeatability
from evaluation.results import ImageResult, ReportedOutcome, Sizes
from records import FAIL, LOCALIZATION_FAILED, PASS

RADIUS_PX = 100.0
PATTERN = ((0.3, 10.0), (0.5, 80.0), (0.7, 200.0), (0.9, 310.0))  # radius in shares, angle in degrees


def report(
    radius_share: float, angle_deg: float, diameter_px: float = 8.0, kind: str = "Pit/Dig", *, counted: bool = True
) -> ReportedOutcome:
    values = {"kind": kind, "counted": counted, "radius_share": radius_share, "angle_deg": angle_deg}
    sizes = Sizes(length_px=2 * diameter_px, diameter_px=diameter_px)
    return ReportedOutcome(**{**dict.fromkeys(f.name for f in fields(ReportedOutcome)), **values, "sizes": sizes})


def image(name: str, *reports: ReportedOutcome, **more: object) -> ImageResult:
    verdict = "defective" if reports else "clean"
    values = {"verdict": verdict, "face": "a", "located": True, "radius_px": RADIUS_PX, **more}
    return ImageResult(name, "", values.pop("status", FAIL if reports else PASS), reported_defects=reports, **values)


def pattern(turn_deg: float = 0.0, **more: object) -> tuple[ReportedOutcome, ...]:
    return tuple(report(radius, angle + turn_deg, **more) for radius, angle in PATTERN)


# --- two images ------------------------------------------------------------------------------------------------------


def test_the_same_image_agrees_with_itself():
    pair = compare(image("1", *pattern()), image("2", *pattern()))
    assert (pair.matched, pair.same_class, pair.turn_deg) == (4, 4, 0.0)
    assert pair.count_agrees and pair.verdict_agrees and pair.status_agrees
    assert pair.diameter_differences == pair.length_differences == (0.0,) * 4


@example(3.0, [0.0] * 4)  # every place is within reach unturned, too
@given(st.floats(-179, 179), st.lists(st.floats(-1.2, 1.2), min_size=4, max_size=4))
def test_a_turned_fibre_is_recognised(turn_deg, jitter_deg):
    turned = (report(r, a + turn_deg + j) for (r, a), j in zip(PATTERN, jitter_deg, strict=True))
    pair = compare(image("1", *pattern()), image("2", *turned))
    assert pair.matched == 4
    assert abs((pair.turn_deg - turn_deg + 180) % 360 - 180) < 2.5


def test_a_turn_is_found_beside_defects_that_only_one_image_shows():
    extra = [report(0.4, angle) for angle in (120.0, 240.0)]
    pair = compare(image("1", *pattern(), extra[0]), image("2", *pattern(70.0)[:3], extra[1]))
    assert pair.turn_deg == pytest.approx(70.0, abs=0.5)
    assert (pair.defects, pair.matched) == ((5, 4), 3)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ([(0.5, 0.0)], [(0.5, 90.0)]),  # one defect fits at any angle
        ([(0.05, 0.0), (0.1, 90.0)], [(0.05, 40.0), (0.1, 130.0)]),  # too near to the centre
        ([(0.5, 0.0), (0.5, 180.0)], [(0.5, 90.0), (0.5, 270.0)]),  # fits twice
        ([], [(0.5, 0.0)]),
        ([], []),
    ],
)
def test_a_turn_that_cannot_be_told_is_not_invented(first, second):
    images = (image(name, *(report(*place) for place in places)) for name, places in (("1", first), ("2", second)))
    assert math.isnan(compare(*images).turn_deg)


def test_a_turn_that_few_defects_speak_for_may_be_chance():
    turns = (50.0, 50.0, 110.0, 170.0, 230.0, 290.0, 350.0, 20.0, 80.0)
    places = [(0.2 + 0.08 * number, 40.0 * number) for number in range(len(turns))]
    turned = [report(radius, angle + turn) for (radius, angle), turn in zip(places, turns, strict=True)]
    first = image("1", *(report(*place) for place in places))
    assert math.isnan(compare(first, image("2", *turned)).turn_deg)
    assert compare(image("1", *first.reported[:3]), image("2", *turned[:3])).turn_deg == pytest.approx(50.0)


def test_places_are_compared_within_reach_and_used_once():
    first = image("1", *pattern(), report(0.6, 0.0))
    near, far = report(0.635, 0.0, diameter_px=1.0), report(0.6, 8.0, diameter_px=1.0)
    assert compare(first, image("2", *pattern(), near)).matched == 5
    assert compare(first, image("2", *pattern(), far)).matched == 4
    assert compare(first, image("2", *pattern(), near, near)).matched == 5


def test_large_defects_may_lie_further_apart():
    first, second = (image(name, *pattern(), report(0.6, a, diameter_px=40.0)) for name, a in (("1", 0.0), ("2", 8.0)))
    assert compare(first, second).matched == 5


def test_sizes_are_compared_in_radii():
    first = image("1", *pattern(diameter_px=8.0))
    larger = image("2", *pattern(diameter_px=20.0), radius_px=2 * RADIUS_PX)
    assert compare(first, larger).diameter_differences == pytest.approx([2 * (10 - 8) / 18] * 4)
    assert compare(first, larger).length_differences == pytest.approx([2 * (10 - 8) / 18] * 4)


def test_only_the_judged_area_counts():
    outside = report(0.99, 45.0, counted=False)
    pair = compare(image("1", *pattern(), outside), image("2", *pattern()))
    assert pair.defects == (4, 4) and pair.count_agrees


def test_an_open_verdict_is_not_compared():
    pair = compare(image("1", *pattern(), verdict=None), image("2", *pattern()))
    assert pair.verdict_agrees is None


# --- groups ----------------------------------------------------------------------------------------------------------


def three() -> list[ImageResult]:
    """Two images that agree, and a third with another class, another size and one defect less."""
    changed = [report(*PATTERN[0], kind="Chip"), report(*PATTERN[1], diameter_px=10.0), report(*PATTERN[2])]
    return [image("1", *pattern()), image("2", *pattern()), image("3", *changed, status=PASS)]


def test_shares_of_a_group():
    (group,) = repeatability(three()).groups
    agreement = group.agreement
    assert (agreement.pairs, agreement.turns_known) == (3, 3)
    assert agreement.count_share == pytest.approx(1 / 3)
    assert (agreement.verdict_share, agreement.status_share) == (1.0, pytest.approx(1 / 3))
    assert agreement.seen_again_share == pytest.approx((8 + 6 + 6) / (8 + 7 + 7))
    assert agreement.class_share == pytest.approx(8 / 10)
    assert agreement.diameter.median == 0.0 and agreement.diameter.maximum == pytest.approx(2 / 9)
    assert not group.is_unanimous and group.counts == (4, 4, 3)


def test_the_total_is_over_the_pairs_of_all_groups():
    other = [image(name, face="b") for name in ("8", "9")]
    found = repeatability([*three(), *other])
    assert [group.face for group in found.groups] == ["a", "b"]
    assert found.overall.pairs == 4 and found.overall.count_share == pytest.approx(2 / 4)
    assert (found.unanimous_share("counts"), found.unanimous_share("verdicts")) == (0.5, 1.0)
    clean = found.groups[1].agreement
    assert clean.count_share == clean.verdict_share == 1.0
    assert math.isnan(clean.seen_again_share) and clean.turns_known == 0


def test_a_lost_fibre_is_a_disagreement_of_the_status():
    lost = image("2", status=LOCALIZATION_FAILED, verdict=None, located=False)
    (group,) = repeatability([image("1", *pattern()), lost]).groups
    assert group.agreement.status_share == group.agreement.seen_again_share == 0.0
    assert math.isnan(group.agreement.verdict_share)


def test_without_groups_the_report_says_so():
    single = [image("1", *pattern()), image("2", *pattern(), face=None), image("3", face="c")]
    found = repeatability(single)
    assert found.groups == () and found.problem.startswith("No end face has two or more images")
    assert repeat_markdown(found) == ["## Repeatability", "", found.problem, ""]


def test_images_that_could_not_be_assessed_are_named():
    broken = replace(image("broken.png"), problem="Internal error")
    found = repeatability([*three(), broken])
    assert found.left_out == ("broken.png",) and len(found.groups[0].images) == 3
    assert "Could not be assessed: broken.png." in repeat_markdown(found)


def test_the_report_has_a_row_per_face_and_names_what_disagrees():
    text = repeat_markdown(repeatability(three()))
    row = next(line for line in text if line.startswith("| a |"))
    assert row == "| a | 3 | 33.3% | 100.0% | 33.3% | 90.9% | 80.0% | 0.0%, 22.2% | 0.0%, 22.2% | 3 of 3 |"
    assert sum(line.startswith("| **all** |") for line in text) == 1
    assert "- a: 1: 4, defective, FAIL; 2: 4, defective, FAIL; 3: 3, defective, PASS" in text
    assert "Faces whose images all agree: count 0.0%, clean or defective 100.0%, status 0.0%." in text
    widths = {line.count("|") for line in text if line.startswith("|")}
    assert len(widths) == 1


def test_the_dictionary_is_json():
    data = json.loads(json.dumps(repeatability(three()).to_dict(), allow_nan=False))
    assert data["groups"][0]["agreement"]["class_share"] == pytest.approx(0.8)
    assert data["unanimous_share"] == {"counts": 0.0, "verdicts": 1.0, "statuses": 0.0}
    assert repeatability([]).to_dict()["overall"]["count_share"] is None
