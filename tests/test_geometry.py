"""Geometry of the fibre frame, ray sampling and ellipse fits, against closed forms."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from records import Ellipse
from vision.geometry import (
    ellipse_through,
    fit_ring,
    frame_matrix,
    from_frame,
    grown,
    polar_maps,
    rays_end_px,
    scaled,
    to_frame,
    unwrap,
)

SHAPE = (120, 200)  # rows, columns
OFF_CENTRE = Ellipse(x_px=131.0, y_px=47.0, major_px=60.0, minor_px=50.0, angle_deg=30.0)
FULL_TURN = np.arange(360) * (2 * np.pi / 360)


@st.composite
def ellipses(draw) -> Ellipse:
    number = st.floats
    major = draw(number(4, 2000))
    return Ellipse(
        draw(number(-500, 3000)),
        draw(number(-500, 3000)),
        major,
        major * draw(number(0.6, 1)),
        draw(number(0, 179.9)),
    )


coordinates = st.lists(st.tuples(st.floats(-4000, 4000), st.floats(-4000, 4000)), min_size=1, max_size=20)


def outline(ellipse: Ellipse, angles_rad: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Points of an ellipse by its parametric form, independent of the fibre frame."""
    phi = math.radians(ellipse.angle_deg)
    along, across = ellipse.major_px / 2 * np.cos(angles_rad), ellipse.minor_px / 2 * np.sin(angles_rad)
    x = ellipse.x_px + along * math.cos(phi) - across * math.sin(phi)
    return x, ellipse.y_px + along * math.sin(phi) + across * math.cos(phi)


def polygon_area(x: np.ndarray, y: np.ndarray) -> float:
    return 0.5 * abs(float(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1))))


def same_outline(a: Ellipse, b: Ellipse, tolerance_px: float) -> bool:
    """Whether every point of ``a`` lies within a distance of ``b``, radially."""
    u, v = to_frame(b, *outline(a, FULL_TURN))
    return bool(np.max(np.abs(np.hypot(u, v) - b.mean_radius_px)) <= tolerance_px)


# --- the fibre frame -----------------------------------------------------------------------------------------------


@given(ellipses(), coordinates)
def test_the_frame_and_back_is_the_same_point(ellipse, points):
    x, y = np.array(points).T
    back_x, back_y = from_frame(ellipse, *to_frame(ellipse, x, y))
    np.testing.assert_allclose(back_x, x, atol=1e-7)
    np.testing.assert_allclose(back_y, y, atol=1e-7)


@given(ellipses())
def test_the_frame_makes_the_cladding_a_circle_of_equal_area(ellipse):
    u, v = to_frame(ellipse, *outline(ellipse, FULL_TURN))
    radius = math.sqrt(ellipse.major_px * ellipse.minor_px) / 2
    np.testing.assert_allclose(np.hypot(u, v), radius, rtol=1e-9)
    assert ellipse.mean_radius_px == pytest.approx(radius)


@given(ellipses(), st.lists(st.tuples(st.floats(-900, 900), st.floats(-900, 900)), min_size=3, max_size=8))
def test_the_frame_keeps_areas(ellipse, corners):
    x, y = np.array(corners).T
    before = polygon_area(x, y)
    assume(before > 1)
    assert polygon_area(*to_frame(ellipse, x, y)) == pytest.approx(before, rel=1e-6, abs=1e-4)


@given(ellipses())
def test_the_axes_keep_their_directions(ellipse):
    phi = math.radians(ellipse.angle_deg)
    axis = np.array([math.cos(phi), math.sin(phi)])
    turned = frame_matrix(ellipse) @ axis
    assert turned @ axis == pytest.approx(math.sqrt(ellipse.minor_px / ellipse.major_px))
    assert turned @ np.array([-axis[1], axis[0]]) == pytest.approx(0, abs=1e-9)


# --- an off-centre fibre in a non-square image ---------------------------------------------------------------------


def test_polar_maps_are_row_column_arrays_of_x_y_points():
    radius, angle = polar_maps(SHAPE, OFF_CENTRE)
    assert radius.shape == angle.shape == SHAPE
    assert np.unravel_index(np.argmin(radius), SHAPE) == (47, 131)
    assert radius[47, 131] == 0
    rows, cols = np.mgrid[: SHAPE[0], : SHAPE[1]]
    u, v = to_frame(OFF_CENTRE, cols, rows)
    np.testing.assert_allclose(radius, np.hypot(u, v), atol=1e-3)
    clear = radius > 1
    np.testing.assert_allclose(np.exp(1j * angle[clear]), np.exp(1j * np.arctan2(v, u)[clear]), atol=1e-3)
    assert angle.min() >= 0 and angle.max() <= 2 * math.pi + 1e-6


def test_polar_maps_cover_the_ellipse_that_opencv_draws():
    e = OFF_CENTRE
    drawn = np.zeros(SHAPE, np.uint8)
    cv2.ellipse(drawn, ((e.x_px, e.y_px), (e.major_px, e.minor_px), e.angle_deg), 1, cv2.FILLED)
    inside = polar_maps(SHAPE, e)[0] < e.mean_radius_px
    assert inside.sum() == pytest.approx(math.pi * e.mean_radius_px**2, rel=0.01)
    only_one = (inside != (drawn > 0)).sum()
    assert only_one < 0.1 * inside.sum()  # the outline alone


@pytest.mark.parametrize(("row", "col", "angle_deg"), [(47, 160, 0), (80, 131, 90), (47, 100, 180), (20, 131, -90)])
def test_angles_run_from_x_to_y_down(row, col, angle_deg):
    _, angle = polar_maps(SHAPE, Ellipse(131, 47, 50, 50, 0))
    assert math.cos(angle[row, col] - math.radians(angle_deg)) == pytest.approx(1, abs=1e-5)


# --- sampling along rays -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("along", ["x", "y"])
def test_unwrapping_a_ramp_gives_its_coordinates(along):
    ramp = np.broadcast_to(np.arange(SHAPE[1]) if along == "x" else np.arange(SHAPE[0])[:, None], SHAPE)
    radii = np.arange(0, 40, 0.5)
    polar = unwrap(ramp, OFF_CENTRE, radii, FULL_TURN)
    x, y = from_frame(OFF_CENTRE, np.outer(np.cos(FULL_TURN), radii), np.outer(np.sin(FULL_TURN), radii))
    assert polar.shape == (360, 80) and polar.dtype == np.float32
    np.testing.assert_allclose(polar, x if along == "x" else y, atol=0.05)


def test_unwrapping_beyond_the_image_gives_nan_there_and_only_there():
    radii = np.arange(0, 150, 1.0)
    polar = unwrap(np.full(SHAPE, 9, np.uint8), OFF_CENTRE, radii, FULL_TURN)
    x, y = from_frame(OFF_CENTRE, np.outer(np.cos(FULL_TURN), radii), np.outer(np.sin(FULL_TURN), radii))
    outside = (x < 0) | (y < 0) | (x > SHAPE[1] - 1) | (y > SHAPE[0] - 1)
    assert 0.2 < outside.mean() < 0.8
    np.testing.assert_array_equal(np.isnan(polar), outside)
    assert np.all(polar[~outside] == 9)


# --- other sizes ---------------------------------------------------------------------------------------------------


@given(ellipses(), st.floats(0.1, 8))
def test_scaling_down_and_up_again(ellipse, factor):
    back = scaled(scaled(ellipse, factor), 1 / factor)
    assert (back.x_px, back.y_px) == pytest.approx((ellipse.x_px, ellipse.y_px), abs=1e-6)
    assert back.major_px == pytest.approx(ellipse.major_px)
    assert scaled(ellipse, factor).mean_radius_px == pytest.approx(factor * ellipse.mean_radius_px)


@pytest.mark.parametrize("factor", [0.5, 2.0, 3.0])
def test_a_scaled_ellipse_lies_on_the_resized_image(factor):
    radius, _ = polar_maps((240, 400), Ellipse(250, 100, 80, 80, 0))
    image = np.clip(40.5 - radius, 0, 1).astype(np.float32)
    interpolation = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    small = cv2.resize(image, None, fx=factor, fy=factor, interpolation=interpolation)
    rows, cols = np.mgrid[: small.shape[0], : small.shape[1]]
    expected = scaled(Ellipse(250, 100, 80, 80, 0), factor)
    assert np.average(cols, weights=small) == pytest.approx(expected.x_px, abs=0.02)
    assert np.average(rows, weights=small) == pytest.approx(expected.y_px, abs=0.02)


def test_growing_keeps_the_centre_and_the_direction():
    assert grown(OFF_CENTRE, 1.5) == Ellipse(131.0, 47.0, 90.0, 75.0, 30.0)


# --- fits ----------------------------------------------------------------------------------------------------------


@given(ellipses().filter(lambda e: e.minor_px > 20), st.integers(12, 200))
def test_the_ellipse_through_its_own_points(ellipse, count):
    found = ellipse_through(*outline(ellipse, np.arange(count) * (2 * np.pi / count)))
    assert found is not None
    assert found.major_px >= found.minor_px
    assert 0 <= found.angle_deg < 180
    assert same_outline(found, ellipse, 2e-3 * ellipse.mean_radius_px + 0.01)


@pytest.mark.parametrize("angle_deg", [0.0, 40.0, 90.0, 140.0])
def test_the_angle_is_that_of_the_major_axis(angle_deg):
    found = ellipse_through(*outline(Ellipse(50, 60, 40, 30, angle_deg), FULL_TURN))
    assert abs((found.angle_deg - angle_deg + 90) % 180 - 90) < 0.1


def test_no_ellipse_through_too_few_points():
    assert ellipse_through(*outline(OFF_CENTRE, FULL_TURN[:5])) is None


def edge_on_rays(base: Ellipse, edge: Ellipse, angles_rad: np.ndarray) -> np.ndarray:
    """Fibre-frame radius at which each ray of ``base`` crosses the ellipse ``edge``, from the quadratic equation."""
    inner = math.sqrt(edge.minor_px * edge.major_px) / 2
    start = np.array(to_frame(edge, base.x_px, base.y_px))[:, None]
    dx, dy = from_frame(base, np.cos(angles_rad), np.sin(angles_rad))
    way = np.array(to_frame(edge, dx, dy)) - start
    a, b, c = (way**2).sum(0), (way * start).sum(0), (start**2).sum(0) - inner**2
    return (-b + np.sqrt(b * b - a * c)) / a


GUESS = Ellipse(203, 148, 192, 192, 0)
EDGE = Ellipse(200.4, 150.7, 204.0, 196.0, 25.0)
ROUND_EDGE = Ellipse(200.4, 150.7, 200.0, 200.0, 0.0)


def fitted(radii: np.ndarray) -> tuple[Ellipse, np.ndarray]:
    return fit_ring(GUESS, radii, FULL_TURN, np.ones(360), scale_px=1.5)


def test_a_full_ring_is_fitted_to_a_tenth_of_a_pixel():
    ellipse, residual = fitted(edge_on_rays(GUESS, EDGE, FULL_TURN))
    assert math.hypot(ellipse.x_px - EDGE.x_px, ellipse.y_px - EDGE.y_px) < 0.1
    assert ellipse.mean_radius_px == pytest.approx(EDGE.mean_radius_px, abs=0.1)
    assert same_outline(ellipse, EDGE, 0.25)
    assert residual.shape == (360,) and np.abs(residual).max() < 0.25


@pytest.mark.parametrize(
    ("edge", "arc_deg"),
    [(EDGE, 360), (EDGE, 270), (ROUND_EDGE, 200)],  # half a turn cannot tell an ellipse from a shifted circle
)
@pytest.mark.parametrize("outliers", [0.0, 0.3])
def test_partial_arcs_with_outliers(edge, arc_deg, outliers):
    rng = np.random.default_rng(4)
    radii = edge_on_rays(GUESS, edge, FULL_TURN) + rng.normal(0, 0.15, 360)
    wrong = rng.random(360) < outliers
    radii[wrong] += rng.uniform(3, 15, wrong.sum()) * rng.choice([-1, 1], wrong.sum())
    radii[math.radians(arc_deg) < FULL_TURN] = np.nan
    ellipse, residual = fitted(radii)
    assert math.hypot(ellipse.x_px - edge.x_px, ellipse.y_px - edge.y_px) < 0.5
    assert ellipse.mean_radius_px == pytest.approx(edge.mean_radius_px, abs=0.5)
    seen = np.isfinite(radii)
    assert np.median(np.abs(residual[seen & ~wrong])) < 0.3
    assert not wrong.any() or np.abs(residual[seen & wrong]).min() > 2


def test_a_few_rays_are_no_ring():
    radii = np.full(360, np.nan)
    radii[:11] = 96.0
    assert fitted(radii) is None


def test_rays_without_weight_do_not_count():
    radii = edge_on_rays(GUESS, EDGE, FULL_TURN)
    radii[100:200] += 5.0
    weights = np.ones(360)
    weights[100:200] = 0.0
    ellipse, _ = fit_ring(GUESS, radii, FULL_TURN, weights, scale_px=8.0)
    assert same_outline(ellipse, EDGE, 0.3)


def test_fitting_does_not_touch_its_inputs():
    radii, weights = edge_on_rays(GUESS, EDGE, FULL_TURN), np.ones(360)
    radii[:40] = np.nan
    before = radii.copy()
    fit_ring(GUESS, radii, FULL_TURN, weights, scale_px=1.5)
    np.testing.assert_array_equal(radii, before)
    assert np.all(weights == 1)


def test_rays_end_at_the_frame():
    circle = Ellipse(OFF_CENTRE.x_px, OFF_CENTRE.y_px, 50.0, 50.0, 0.0)
    ends = rays_end_px(SHAPE, circle, FULL_TURN[::90])
    np.testing.assert_allclose(ends, [199 - 131, 119 - 47, 131, 47])


def test_rays_are_unwrapped_as_far_as_they_reach():
    ends = rays_end_px(SHAPE, OFF_CENTRE, FULL_TURN)
    polar = unwrap(np.ones(SHAPE, np.float32), OFF_CENTRE, np.arange(0, 200.0), FULL_TURN)
    np.testing.assert_allclose(np.isfinite(polar).sum(axis=1), ends + 0.5, atol=0.6)
