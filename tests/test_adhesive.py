"""Rings of adhesive and rims of large cores around and inside the cladding's edge, drawn on supersampled discs."""

from __future__ import annotations

import math
from dataclasses import replace

import cv2
import numpy as np
import pytest
from faces import shipped_config

from image_processing import locate
from records import Ellipse
from vision import rings
from vision.consensus import untangled
from vision.preprocess import preprocess
from vision.rings import Ring, measure_ring, slope_noise

CONFIG = shipped_config()
CENTRE, RADIUS_PX = (231.3, 207.6), 150.0
CLADDING = Ellipse(*CENTRE, 2 * RADIUS_PX, 2 * RADIUS_PX, 0.0)


def drawn(profile, blur_px: float = 1.2, noise_grey: float = 1.5) -> np.ndarray:
    """Picture (uint8) of ``profile(radius over the cladding's, angle)`` with blur and noise."""
    finer = 3
    y, x = (np.indices((420 * finer, 460 * finer)) + 0.5) / finer - 0.5
    dx, dy = x - CENTRE[0], y - CENTRE[1]
    grey = profile(np.hypot(dx, dy) / RADIUS_PX, np.arctan2(dy, dx)).astype(np.float32)
    grey = cv2.GaussianBlur(cv2.resize(grey, (460, 420), interpolation=cv2.INTER_AREA), (0, 0), blur_px)
    return np.clip(grey + np.random.default_rng(0).normal(0, noise_grey, grey.shape), 0, 255).round().astype(np.uint8)


def glued(outer: float, swing_grey: float):
    """Dark cladding, a ring of middle grey up to ``outer``, bright ferrule; light makes either edge the stronger."""
    return lambda r, a: np.where(r < 1, 60, np.where(r < outer, 112 + swing_grey * np.cos(a), 165))


def found(grey: np.ndarray) -> Ellipse:
    fiber = locate(
        preprocess(grey, None, CONFIG.preprocessing), CONFIG.localization, core_um=None, cladding_um=None
    ).fiber
    assert fiber is not None
    return fiber.cladding


def assert_is_cladding(ellipse: Ellipse) -> None:
    assert math.hypot(ellipse.x_px - CENTRE[0], ellipse.y_px - CENTRE[1]) < 0.5
    assert ellipse.mean_radius_px == pytest.approx(RADIUS_PX, abs=0.6)


@pytest.mark.parametrize("outer", [1.05, 1.06])
@pytest.mark.parametrize("swing_grey", [-40.0, 0.0, 40.0])
def test_the_cladding_lies_inside_its_ring_of_adhesive_whichever_edge_is_the_stronger(outer, swing_grey):
    assert_is_cladding(found(drawn(glued(outer, swing_grey))))


def tangled(grey: np.ndarray, shift_px: float) -> Ring:
    """A ring measured from an ellipse that lies between the two edges."""
    between = replace(CLADDING, x_px=CENTRE[0] + shift_px, major_px=2.05 * RADIUS_PX, minor_px=2.05 * RADIUS_PX)
    ring = measure_ring(grey, between, 0.03, 1, slope_noise(grey), CONFIG.localization)
    assert ring is not None
    return ring


@pytest.mark.parametrize("swing_grey", [-40.0, 40.0])
def test_an_ellipse_that_swings_between_two_rings_is_untangled(swing_grey):
    grey = drawn(glued(1.05, swing_grey))
    ring = tangled(grey, math.copysign(2.0, swing_grey))
    ring = replace(ring, share=min(ring.share, 0.9))
    ellipse = untangled(grey, ring, CONFIG.localization).ellipse
    nearest = min((RADIUS_PX, 1.05 * RADIUS_PX), key=lambda r: abs(r - ellipse.mean_radius_px))
    assert ellipse.mean_radius_px == pytest.approx(nearest, abs=0.5)
    assert math.hypot(ellipse.x_px - CENTRE[0], ellipse.y_px - CENTRE[1]) < 0.4


def test_a_ring_that_most_rays_agree_on_is_left_alone():
    grey = drawn(lambda r, a: np.where(r < 1, 60, 165))
    ring = measure_ring(grey, CLADDING, 0.03, 1, slope_noise(grey), CONFIG.localization)
    assert untangled(grey, ring, CONFIG.localization) is ring
    doubted = replace(ring, share=0.8)
    assert untangled(grey, doubted, CONFIG.localization) is doubted


def test_noise_alone_does_not_untangle_anything():
    grey = np.random.default_rng(1).normal(120, 8, (420, 460)).clip(0, 255).astype(np.uint8)
    ring = Ring(CLADDING, 0.6, 1.0, 1, 5.0, 3.0)
    assert untangled(grey, ring, CONFIG.localization) is ring


@pytest.mark.parametrize("place", [0.935, 0.945])
def test_the_slow_rim_of_a_large_core_is_not_the_cladding(place):
    def rim(r: np.ndarray) -> np.ndarray:
        return 70 + 20 * (1 - np.tanh((r - place) / 0.03))

    assert_is_cladding(found(drawn(lambda r, a: np.where(r < 1, rim(r), 15))))


def test_a_step_inside_the_adhesive_that_is_no_ring_does_not_hide_the_cladding(monkeypatch):
    grey = drawn(lambda r, a: np.where(r < 1, 70, np.where(r < 1.027, 215, np.where(r < 1.068, 160, 240))))
    hole = measure_ring(grey, replace(CLADDING, major_px=320.4, minor_px=320.4), 0.02, 1, 1.0, CONFIG.localization)
    answers = iter([False, True])
    monkeypatch.setattr(rings, "acceptable", lambda ring, settings: next(answers))
    assert_is_cladding(rings.inside_adhesive(grey, hole, CONFIG.localization).ellipse)
