"""The background of rings, on pictures whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
from faces import shipped_config

from records import NAN, Ellipse
from vision.background import ring_harmonics
from vision.geometry import polar_maps
from vision.residual import radial_residual
from vision.ring_frame import ring_frame

SETTINGS = shipped_config().detection.residual
CIRCLE = Ellipse(130.0, 120.0, 200.0, 200.0, 0.0)  # radius 100 px, off centre
SHAPE = (240, 270)
ANGLES = np.arange(360) * (2 * np.pi / 360)


def residual_of(grey: np.ndarray, marked: np.ndarray | None = None, core_radius_px: float = NAN) -> np.ndarray:
    return radial_residual(grey, ring_frame(SHAPE, CIRCLE, 106.0), SETTINGS, marked, core_radius_px).grey


def face(noise: float = 0.0) -> np.ndarray:
    """A core of radius 20 px in a cladding of radius 100 px."""
    radius, _ = polar_maps(SHAPE, CIRCLE)
    grey = np.where(radius < 20, 160.0, np.where(radius < 100, 100.0, 180.0))
    return (grey + np.random.default_rng(1).normal(0, noise, SHAPE)).astype(np.float32)


# --- waves along the rings -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [1, 2])
def test_waves_up_to_the_order_are_recovered_without_the_mean(order):
    wave = 7.0 * np.cos(order * ANGLES + 0.4)
    polar = np.tile(50.0 + wave, (8, 1)).astype(np.float32)
    found = ring_harmonics(polar, np.zeros(polar.shape, bool), 2)
    np.testing.assert_allclose(found, np.tile(wave, (8, 1)), atol=1e-3)


def test_a_mark_on_a_quarter_of_a_ring_is_no_wave():
    polar = np.full((4, 360), 50.0, np.float32)
    polar[:, 40:130] -= 30.0
    assert np.abs(ring_harmonics(polar, np.zeros(polar.shape, bool), 2)).max() < 0.5


def test_rings_that_are_hidden_by_more_than_a_third_have_no_waves():
    polar = np.tile(50.0 + 9 * np.cos(ANGLES), (3, 1)).astype(np.float32)
    covered = np.zeros(polar.shape, bool)
    covered[1, :130] = True
    polar[2, :130] = np.nan
    strongest = np.abs(ring_harmonics(polar, covered, 2)).max(axis=1)
    assert strongest[0] == pytest.approx(9, abs=0.01)
    assert tuple(strongest[1:]) == (0, 0)


def test_directional_light_leaves_nothing():
    _, columns = np.indices(SHAPE)
    grey = face() + 0.4 * (columns - 130)  # 40 grey levels from the centre to the edge
    radius, _ = polar_maps(SHAPE, CIRCLE)
    flat = (radius > 24) & (radius < 96)
    assert np.abs(residual_of(grey.astype(np.float32))[flat]).max() < 0.5


# --- marks at the centre and at the rim ------------------------------------------------------------------------------


def spot(grey: np.ndarray, x: float, y: float, radius_px: float, step: float) -> tuple[np.ndarray, np.ndarray]:
    """A disc on a picture, and its mask."""
    rows, columns = np.indices(SHAPE)
    mask = np.hypot(columns - CIRCLE.x_px - x, rows - CIRCLE.y_px - y) <= radius_px
    return grey + np.float32(step) * mask, mask


@pytest.mark.parametrize("core_radius_px", [20.0, NAN])
def test_a_mark_at_the_centre_of_the_core_is_no_background(core_radius_px):
    grey, mask = spot(face(), 1.0, 0.0, 2.0, -50.0)
    left = residual_of(grey, core_radius_px=core_radius_px)
    assert left[mask].mean() < -40
    assert np.abs(left[spot(face(), 0, 0, 8, 0)[1] & ~spot(face(), 1, 0, 4, 0)[1]]).max() < 5


def test_a_core_hardly_larger_than_its_centre_is_left_as_it_is():
    grey, _ = spot(face(), 0.0, 0.0, 2.0, -50.0)
    assert residual_of(grey, core_radius_px=6.0)[120, 130] == pytest.approx(0, abs=1)
    assert residual_of(grey, core_radius_px=20.0)[120, 130] == pytest.approx(-50, abs=1)


def test_a_mark_at_the_rim_is_left_out_of_the_background_up_to_the_edge():
    radius, angle = polar_maps(SHAPE, CIRCLE)
    chip = (np.abs(angle) < np.radians(28)) & (radius > 88) & (radius < 99)
    grey = face() - np.float32(60) * chip
    inner = chip & (radius < 93)  # what stands out by itself
    left = residual_of(grey, marked=inner)
    assert left[chip & (radius > 94) & (radius < 98)].mean() < -50
    beside = (np.abs(angle) > np.radians(31)) & (np.abs(angle) < np.radians(50)) & (radius > 88) & (radius < 97)
    assert np.abs(left[beside]).max() < 5
