"""The five classes, from clear-cut shapes."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from faces import shipped_config
from test_measurement import ROUND, WIDE, arc, disc, measured, plane, rectangle, zigzag

from grading.appearance import Appearance
from grading.classification import classify, pit_log_odds
from records import Ellipse

LIMITS = shipped_config().classification
SHARP = Appearance(-60.0, edge_slope=0.28, rim=0.15, unevenness=0.05, edge_width=0.15, roundness=0.85)
SOFT = Appearance(-8.0, edge_slope=0.08, rim=0.0, unevenness=0.12, edge_width=0.6, roundness=0.75)
RADIUS_PX = ROUND.mean_radius_px


def kind_of(mask: np.ndarray, look: Appearance = SHARP, frame: Ellipse = ROUND, body: np.ndarray | None = None) -> str:
    """Class of a mark drawn as a mask; its body is the whole mark unless given."""
    whole = measured(mask, frame)
    part = whole if body is None else measured(body, frame)
    return classify(whole, part, look, frame.mean_radius_px, LIMITS)


def bite(depth: float, span_deg: float) -> np.ndarray:
    """A piece out of the cladding's edge on the right."""
    u, v = plane(ROUND)
    radius, angle = np.hypot(u, v), np.degrees(np.arctan2(v, u))
    return (radius > RADIUS_PX - depth) & (radius < RADIUS_PX) & (np.abs(angle) < span_deg / 2)


def ragged() -> np.ndarray:
    """A blob with five arms."""
    u, v = plane(ROUND)
    angle = np.arctan2(v, u)
    return np.hypot(u, v) < 14 * (1 + 0.75 * np.cos(5 * angle))


@pytest.mark.parametrize("frame", [ROUND, WIDE])
@pytest.mark.parametrize("angle_deg", [0, 33, 90, 140])
@pytest.mark.parametrize(("length", "width"), [(80, 2), (120, 6), (30, 2)])
def test_straight_thin_marks_are_scratches(frame, angle_deg, length, width):
    assert kind_of(rectangle(frame, length, width, angle_deg), frame=frame) == "Scratch"
    assert kind_of(rectangle(frame, length, width, angle_deg), SOFT, frame) == "Scratch"


@pytest.mark.parametrize("span_deg", [30, 50])
def test_smoothly_curved_thin_marks_are_scratches(span_deg):
    assert kind_of(arc(ROUND, 80, 3, span_deg)) == "Scratch"


@pytest.mark.parametrize(("height", "period"), [(14, 25), (20, 40)])
def test_jagged_thin_marks_are_cracks(height, period):
    assert kind_of(zigzag(ROUND, 110, height, period, 3)) == "Crack"


@pytest.mark.parametrize("angle_deg", [0, 40])
def test_a_short_scratch_is_known_by_its_body(angle_deg):
    """Blur and specks make its region compact."""
    body = rectangle(ROUND, 9, 3.4, angle_deg)
    assert kind_of(rectangle(ROUND, 13, 9, angle_deg), body=body) == "Scratch"
    assert kind_of(rectangle(ROUND, 13, 9, angle_deg)) == "Pit/Dig"


@pytest.mark.parametrize("look", [SHARP, SOFT])
def test_a_short_thick_strand_is_no_scratch(look):
    assert kind_of(rectangle(ROUND, 30, 12, 20), look) in ("Pit/Dig", "Contamination")
    assert kind_of(rectangle(ROUND, 9, 3.4, 20), look) == "Scratch"


def test_halos_beside_a_long_thick_body_do_not_make_it_compact():
    body = rectangle(ROUND, 40, 9, 30)
    assert kind_of(rectangle(ROUND, 52, 26, 30), body=body) == "Scratch"
    assert kind_of(rectangle(ROUND, 52, 26, 30)) in ("Pit/Dig", "Contamination")


def test_a_strongly_bent_line_is_a_line_though_its_box_is_not():
    shape = measured(arc(ROUND, 45, 3, 140), ROUND)
    assert shape.length_px < LIMITS.line_min_aspect_ratio * shape.width_px
    assert kind_of(arc(ROUND, 45, 3, 140)) in ("Scratch", "Crack")


def test_a_crack_of_which_one_straight_piece_is_strongest_is_jagged_as_a_whole():
    piece = rectangle(ROUND, 16, 3, 0)
    assert kind_of(zigzag(ROUND, 110, 16, 30, 3), body=piece) == "Crack"
    assert kind_of(rectangle(ROUND, 110, 3, 0), body=piece) == "Scratch"


def test_specks_beside_a_crack_do_not_hide_its_course():
    body = zigzag(ROUND, 110, 11, 40, 3)
    assert measured(body, ROUND).jaggedness > LIMITS.crack_min_body_jaggedness
    assert kind_of(rectangle(ROUND, 110, 14, 0), body=body) == "Crack"
    assert kind_of(rectangle(ROUND, 110, 14, 0)) == "Scratch"


@pytest.mark.parametrize("diameter", [5, 9, 20])
def test_small_round_sharp_marks_are_pits(diameter):
    assert kind_of(disc(ROUND, diameter, 30, 20)) == "Pit/Dig"


def test_a_soft_round_mark_is_contamination():
    assert kind_of(disc(ROUND, 24, 30, 20), SOFT) == "Contamination"


@pytest.mark.parametrize(("diameter", "roundness"), [(20, 0.4), (60, 0.85)], ids=["ragged", "large"])
def test_a_moderately_sharp_mark_is_a_pit_only_when_small_and_round(diameter, roundness):
    look = replace(SHARP, edge_slope=0.2, rim=0.0, edge_width=0.3)
    assert kind_of(disc(ROUND, diameter, 10, 5), replace(look, roundness=roundness)) == "Contamination"
    assert kind_of(disc(ROUND, 7, 10, 5), look) == "Pit/Dig"


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("edge_slope", (0.05, 0.12, 0.3)),
        ("rim", (0.0, 0.2, 0.5)),
        ("unevenness", (0.2, 0.1, 0.04)),
        ("edge_width", (0.8, 0.4, 0.1)),
        ("roundness", (0.3, 0.6, 0.9)),
    ],
)
def test_steep_walls_rims_even_floors_and_round_outlines_speak_for_a_pit(name, values):
    body = measured(disc(ROUND, 12), ROUND)
    odds = [pit_log_odds(body, replace(SHARP, **{name: v}), RADIUS_PX, LIMITS.pit) for v in values]
    assert odds == sorted(odds) and odds[0] < odds[-1]


def test_larger_marks_speak_for_contamination_by_the_logarithm_of_their_size():
    small, large = (measured(disc(ROUND, d), ROUND) for d in (21, 42))
    odds = [pit_log_odds(shape, SHARP, RADIUS_PX, LIMITS.pit) for shape in (small, large)]
    ratio = large.diameter_px / small.diameter_px
    assert odds[1] - odds[0] == pytest.approx(LIMITS.pit.size * math.log(ratio))


def test_the_class_does_not_depend_on_the_magnification():
    twice = Ellipse(170.0, 110.0, 400.0, 400.0, 0.0)
    for diameter in (6, 14, 40):
        body, large = measured(disc(ROUND, diameter), ROUND), measured(disc(twice, 2 * diameter), twice)
        odds = [pit_log_odds(b, SHARP, r, LIMITS.pit) for b, r in ((body, RADIUS_PX), (large, 2 * RADIUS_PX))]
        assert odds[1] == pytest.approx(odds[0], abs=0.35)


@pytest.mark.parametrize(("depth", "span_deg"), [(12, 16), (20, 25)])
def test_a_bite_out_of_the_cladding_edge_is_a_chip(depth, span_deg):
    assert kind_of(bite(depth, span_deg)) == "Chip"


@pytest.mark.parametrize(("depth", "span_deg"), [(7, 25), (8, 40)])
def test_a_long_shallow_bite_is_a_chip_and_no_scratch(depth, span_deg):
    shape = measured(bite(depth, span_deg), ROUND)
    assert shape.length_px > LIMITS.line_min_aspect_ratio * shape.width_px
    assert kind_of(bite(depth, span_deg)) == "Chip"


def test_a_scratch_that_runs_out_over_the_edge_is_no_chip():
    assert kind_of(rectangle(ROUND, 90, 3, 0, 85, 0)) == "Scratch"


def test_a_speck_beside_the_edge_is_no_chip_though_its_halo_reaches_it():
    speck = disc(ROUND, 6, RADIUS_PX - 4, 0)
    assert kind_of(speck) == "Pit/Dig"
    assert kind_of(disc(ROUND, 16, RADIUS_PX - 8, 0), body=speck) == "Pit/Dig"
    assert kind_of(disc(ROUND, 16, RADIUS_PX - 8, 0)) == "Chip"


@pytest.mark.parametrize("distance", [0.0, 0.5, 0.8, 1.3])
def test_a_round_mark_away_from_the_cladding_edge_is_no_chip(distance):
    place = distance * RADIUS_PX / math.sqrt(2)
    assert kind_of(disc(ROUND, 12, place, place)) == "Pit/Dig"


def test_polarity_does_not_decide():
    assert kind_of(disc(ROUND, 12), replace(SHARP, contrast_grey=60.0)) == kind_of(disc(ROUND, 12), SHARP)


@pytest.mark.parametrize("rows", [np.array([60]), np.array([60, 60])])
def test_the_smallest_regions_have_a_class(rows):
    mask = np.zeros((240, 320), bool)
    mask[rows, 90 + np.arange(len(rows))] = True
    assert kind_of(mask) in ("Pit/Dig", "Contamination")
