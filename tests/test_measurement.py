"""Sizes and shapes of drawn regions against closed forms, in a circular frame and in one of non-square pixels."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grading.measurement import Shape, measure_shape
from records import Ellipse
from vision.geometry import from_frame, to_frame

SHAPE = (240, 320)
ROUND = Ellipse(170.0, 110.0, 200.0, 200.0, 0.0)
WIDE = Ellipse(170.0, 110.0, 200.0 * math.sqrt(1.09), 200.0 / math.sqrt(1.09), 0.0)
TURNED = Ellipse(170.0, 110.0, 200.0 * math.sqrt(1.09), 200.0 / math.sqrt(1.09), 35.0)
FRAMES = pytest.mark.parametrize("frame", [ROUND, WIDE, TURNED], ids=["circle", "ellipse", "turned"])


def plane(frame: Ellipse, shape: tuple[int, int] = SHAPE) -> tuple[np.ndarray, np.ndarray]:
    """Fibre-frame coordinates of every pixel, x right and y *up*."""
    rows, cols = np.mgrid[: shape[0], : shape[1]]
    u, v = to_frame(frame, cols, rows)
    return u, -v


def measured(mask: np.ndarray, frame: Ellipse) -> Shape:
    return measure_shape(*np.nonzero(mask), frame)


def rectangle(frame: Ellipse, length: float, width: float, angle_deg: float, x=0.0, y=0.0, shape=SHAPE) -> np.ndarray:
    """Mask of a rotated rectangle, sizes in the fibre frame, angle counter-clockwise with y up."""
    u, v = plane(frame, shape)
    phi = math.radians(angle_deg)
    along = (u - x) * math.cos(phi) + (v - y) * math.sin(phi)
    across = (v - y) * math.cos(phi) - (u - x) * math.sin(phi)
    return (np.abs(along) <= length / 2) & (np.abs(across) <= width / 2)


def disc(frame: Ellipse, diameter: float, x=0.0, y=0.0, shape=SHAPE) -> np.ndarray:
    u, v = plane(frame, shape)
    return np.hypot(u - x, v - y) <= diameter / 2


def arc(frame: Ellipse, radius: float, width: float, span_deg: float, shape=SHAPE) -> np.ndarray:
    u, v = plane(frame, shape)
    angle = np.degrees(np.arctan2(v, u))
    return (np.abs(np.hypot(u, v) - radius) <= width / 2) & (np.abs(angle) <= span_deg / 2)


def angle_between(a_deg: float, b_deg: float) -> float:
    """Difference of two directions of a line, 0..90 degrees."""
    return abs((a_deg - b_deg + 90) % 180 - 90)


# --- rectangles and lines ------------------------------------------------------------------------------------------


def test_an_upright_rectangle_of_whole_pixels_is_exact():
    mask = np.zeros(SHAPE, bool)
    mask[60:70, 100:140] = True  # 10 rows, 40 columns
    shape = measured(mask, ROUND)
    assert (shape.length_px, shape.width_px, shape.area_px) == pytest.approx((40, 10, 400))
    assert shape.centroid_px == (119.5, 64.5)  # (x, y)
    assert shape.centroid_frame_px == pytest.approx((119.5 - 170, 64.5 - 110))
    assert shape.perimeter_px == pytest.approx(100, abs=5)
    assert shape.diameter_px == pytest.approx(math.hypot(40, 10), abs=1)
    assert shape.orientation_deg % 180 == pytest.approx(0, abs=1e-3)
    assert shape.solidity > 0.95
    assert shape.line_width_px == pytest.approx(10, abs=0.3)


@FRAMES
@pytest.mark.parametrize("angle_deg", [0, 30, 45, 90, 120, 165])
def test_a_rotated_bar(frame, angle_deg):
    mask = rectangle(frame, 60, 9, angle_deg, 20.3, 15.4)
    shape = measured(mask, frame)
    assert shape.length_px == pytest.approx(60, abs=1.5)
    assert shape.width_px == pytest.approx(9, abs=1.5)
    assert shape.area_px == mask.sum()
    assert shape.area_px == pytest.approx(540, rel=0.07)
    assert shape.path_px == pytest.approx(60, abs=2.5)
    assert shape.line_width_px == pytest.approx(9, abs=0.7)
    assert shape.jaggedness == pytest.approx(1, abs=0.02)
    assert shape.centroid_frame_px == pytest.approx((20.3, -15.4), abs=0.5)
    assert angle_between(shape.orientation_deg, angle_deg) < 2


@FRAMES
@pytest.mark.parametrize("angle_deg", [0, 20, 45, 90, 135])
def test_a_thin_line(frame, angle_deg):
    mask = rectangle(frame, 80, 2, angle_deg, 0.3, 0.2)
    shape = measured(mask, frame)
    assert shape.length_px == pytest.approx(80, abs=2)
    assert shape.width_px <= 4
    assert shape.line_width_px == pytest.approx(mask.sum() / 80, rel=0.05)  # 2 px, as far as whole pixels allow
    assert shape.line_width_px == pytest.approx(2, abs=0.7)
    assert shape.diameter_px == pytest.approx(80, abs=2)
    assert shape.circularity < 0.15


@given(st.floats(0, 179), st.floats(20, 90), st.floats(6, 15))
@settings(max_examples=25, deadline=None)
def test_any_bar_in_the_ellipse_frame(angle_deg, length, width):
    shape = measured(rectangle(TURNED, length, width, angle_deg), TURNED)
    assert shape.length_px == pytest.approx(length, abs=2)
    assert shape.width_px == pytest.approx(width, abs=2)
    assert length < 1.4 * width or angle_between(shape.orientation_deg, angle_deg) < 6
    assert 0 <= shape.orientation_deg < 180


# --- orientation and corners ---------------------------------------------------------------------------------------


def test_orientation_is_counter_clockwise_with_y_up():
    rows, cols = np.arange(100, 60, -1), np.arange(100, 140)  # up and to the right on the screen
    assert measure_shape(rows, cols, ROUND).orientation_deg == pytest.approx(45, abs=0.5)
    assert measure_shape(rows[::-1], cols, ROUND).orientation_deg == pytest.approx(135, abs=0.5)
    steep = measure_shape(np.arange(100, 40, -1), 100 + np.arange(60) // 2, ROUND)  # 60 up, 30 to the right
    assert steep.orientation_deg == pytest.approx(math.degrees(math.atan2(2, 1)), abs=2)


def test_directions_are_those_of_the_frame_not_of_the_pixels():
    diagonal = measured(rectangle(WIDE, 80, 3, 45), WIDE)
    assert angle_between(diagonal.orientation_deg, 45) < 1
    as_pixels = measured(rectangle(WIDE, 80, 3, 45), ROUND)
    assert angle_between(as_pixels.orientation_deg, math.degrees(math.atan(1 / 1.09))) < 1
    assert angle_between(as_pixels.orientation_deg, 45) > 1.5


@FRAMES
def test_the_box_encloses_the_region_in_the_image(frame):
    mask = rectangle(frame, 50, 12, 30, -25, 40)
    corners = np.array(measured(mask, frame).box_px)
    phi = math.radians(30)
    long, short = 25 * np.array([math.cos(phi), math.sin(phi)]), 6 * np.array([-math.sin(phi), math.cos(phi)])
    expected = np.array([(-25, 40) + a * long + b * short for a in (-1, 1) for b in (-1, 1)])
    x, y = from_frame(frame, expected[:, 0], -expected[:, 1])
    distances = np.hypot(corners[:, None, 0] - x, corners[:, None, 1] - y)
    assert distances.min(axis=0).max() < 2.0 and distances.min(axis=1).max() < 2.0


# --- compact shapes ------------------------------------------------------------------------------------------------


@FRAMES
@pytest.mark.parametrize("diameter", [9, 20, 51])
def test_a_disc(frame, diameter):
    shape = measured(disc(frame, diameter, 10.3, -20.6), frame)
    assert shape.diameter_px == pytest.approx(diameter, abs=1.2)
    assert shape.length_px == pytest.approx(diameter, abs=1.2)
    assert shape.width_px == pytest.approx(diameter, abs=1.5)
    assert shape.area_px == pytest.approx(math.pi * diameter**2 / 4, rel=0.05)
    assert shape.perimeter_px == pytest.approx(math.pi * diameter, rel=0.12)
    assert shape.circularity > 0.8 and shape.solidity > 0.9
    distance = math.hypot(10.3, 20.6)
    assert shape.inner_radius_px == pytest.approx(max(distance - diameter / 2, 0), abs=1)
    assert shape.outer_radius_px == pytest.approx(distance + diameter / 2, abs=1)


def test_rounder_is_more_circular_and_fuller_is_more_solid():
    round_one, square = measured(disc(ROUND, 41), ROUND), measured(rectangle(ROUND, 40, 40, 0), ROUND)
    cross = measured(rectangle(ROUND, 60, 10, 0) | rectangle(ROUND, 60, 10, 90), ROUND)
    assert round_one.circularity > square.circularity > cross.circularity
    assert square.circularity == pytest.approx(math.pi / 4, abs=0.06)
    hull = 60 * 60 - 2 * 25 * 25  # a square without four triangles
    assert cross.solidity == pytest.approx((2 * 600 - 100) / hull, abs=0.05)


def test_one_pixel_is_one_pixel_long_wide_and_across():
    shape = measure_shape(np.array([60]), np.array([90]), ROUND)
    assert (shape.length_px, shape.width_px, shape.diameter_px, shape.area_px) == pytest.approx((1, 1, 1, 1), abs=1e-3)
    assert shape.centroid_px == (90, 60)
    assert 0 < shape.circularity <= 1 and 0 < shape.solidity <= 1
    assert all(math.isfinite(v) for v in (shape.perimeter_px, shape.orientation_deg, shape.path_px, shape.jaggedness))


@pytest.mark.parametrize("count", [2, 3, 7, 8])
def test_a_few_pixels_in_a_row(count):
    shape = measure_shape(np.full(count, 60), np.arange(count) + 90, ROUND)
    assert (shape.length_px, shape.width_px, shape.diameter_px) == pytest.approx((count, 1, count), abs=1e-3)


# --- curved and jagged lines ---------------------------------------------------------------------------------------


@FRAMES
@pytest.mark.parametrize("span_deg", [40, 80])
def test_the_path_of_an_arc_is_its_length(frame, span_deg):
    shape = measured(arc(frame, 80, 3, span_deg), frame)
    along = 80 * math.radians(span_deg)
    assert shape.path_px == pytest.approx(along, rel=0.03)
    assert shape.length_px == pytest.approx(2 * 80 * math.sin(math.radians(span_deg / 2)), abs=3)
    assert shape.line_width_px == pytest.approx(3, abs=0.3)
    assert shape.inner_radius_px == pytest.approx(78.5, abs=0.8)
    assert shape.outer_radius_px == pytest.approx(81.5, abs=0.8)


def zigzag(frame: Ellipse, length: float, height: float, period: float, width: float) -> np.ndarray:
    u, v = plane(frame)
    course = height * (2 * np.abs((u / period) % 1 - 0.5) - 0.5)
    return (np.abs(u) <= length / 2) & (np.abs(v - course) <= width / 2)


def test_a_zigzag_is_longer_than_a_straight_line():
    straight, jagged = measured(rectangle(ROUND, 100, 3, 0), ROUND), measured(zigzag(ROUND, 100, 14, 25, 3), ROUND)
    assert jagged.length_px == pytest.approx(straight.length_px, abs=3)
    assert jagged.path_px > 1.15 * straight.path_px
    assert jagged.jaggedness > straight.jaggedness + 0.1


# --- metamorphic ---------------------------------------------------------------------------------------------------


def doubled(frame: Ellipse) -> Ellipse:
    return Ellipse(2 * frame.x_px, 2 * frame.y_px, 2 * frame.major_px, 2 * frame.minor_px, frame.angle_deg)


@FRAMES
@pytest.mark.parametrize(
    ("draw", "sizes"),
    [(rectangle, (50, 12, 25)), (disc, (30,)), (arc, (70, 4, 60))],
    ids=["bar", "disc", "arc"],
)
def test_doubling_the_size_doubles_the_lengths(frame, draw, sizes):
    twice = (*(2 * s for s in sizes[:-1]), sizes[-1]) if len(sizes) > 1 else (2 * sizes[0],)
    once, large = doubled(frame), (2 * SHAPE[0], 2 * SHAPE[1])
    small = measured(draw(frame, *sizes), frame)
    big = measured(draw(once, *twice, shape=large), once)
    for name in ("length_px", "width_px", "diameter_px", "path_px", "perimeter_px", "outer_radius_px"):
        assert getattr(big, name) == pytest.approx(2 * getattr(small, name), abs=2.5, rel=0.04), name
    assert big.area_px == pytest.approx(4 * small.area_px, rel=0.05)
    assert big.circularity == pytest.approx(small.circularity, abs=0.06)
    assert angle_between(big.orientation_deg, small.orientation_deg) < 2 or draw is disc


def test_where_a_mark_lies_does_not_change_its_size():
    here, there = (measured(rectangle(WIDE, 40, 10, 20, x, y), WIDE) for x, y in ((-60, 40), (50, -30)))
    assert here.length_px == pytest.approx(there.length_px, abs=1)
    assert here.width_px == pytest.approx(there.width_px, abs=1)
    assert here.diameter_px == pytest.approx(there.diameter_px, abs=1)
