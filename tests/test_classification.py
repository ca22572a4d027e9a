"""The five classes, from clear-cut shapes."""

from __future__ import annotations

import math

import numpy as np
import pytest
from faces import shipped_config
from test_measurement import ROUND, WIDE, arc, disc, measured, plane, rectangle, zigzag

from grading.classification import Appearance, classify
from records import Ellipse

LIMITS = shipped_config().classification
SHARP, SOFT = Appearance(-60.0, 1.2), Appearance(-8.0, 0.05)
RADIUS_PX = ROUND.mean_radius_px


def kind_of(mask: np.ndarray, look: Appearance = SHARP, frame: Ellipse = ROUND) -> str:
    return classify(measured(mask, frame), look, frame.mean_radius_px, LIMITS)


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


@pytest.mark.parametrize("diameter", [5, 9, 20])
def test_small_round_sharp_marks_are_pits(diameter):
    assert kind_of(disc(ROUND, diameter, 30, 20)) == "Pit/Dig"


@pytest.mark.parametrize("mask", [ragged(), disc(ROUND, 80, 10, 5)], ids=["ragged", "large"])
def test_ragged_or_large_marks_are_contamination(mask):
    assert kind_of(mask) == "Contamination"


def test_a_soft_round_mark_is_contamination():
    assert kind_of(disc(ROUND, 24, 30, 20), SOFT) == "Contamination"


@pytest.mark.parametrize(("depth", "span_deg"), [(12, 16), (20, 25)])
def test_a_bite_out_of_the_cladding_edge_is_a_chip(depth, span_deg):
    assert kind_of(bite(depth, span_deg)) == "Chip"


@pytest.mark.parametrize("distance", [0.0, 0.5, 0.8, 1.3])
def test_a_round_mark_away_from_the_cladding_edge_is_no_chip(distance):
    place = distance * RADIUS_PX / math.sqrt(2)
    assert kind_of(disc(ROUND, 12, place, place)) == "Pit/Dig"


def test_only_sharpness_and_shape_decide_not_polarity():
    assert kind_of(disc(ROUND, 12), Appearance(60.0, 1.2)) == kind_of(disc(ROUND, 12), Appearance(-60.0, 1.2))


@pytest.mark.parametrize("rows", [np.array([60]), np.array([60, 60])])
def test_the_smallest_regions_have_a_class(rows):
    mask = np.zeros((240, 320), bool)
    mask[rows, 90 + np.arange(len(rows))] = True
    assert kind_of(mask) in ("Pit/Dig", "Contamination")
