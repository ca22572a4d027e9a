"""The unrest of rings, against quantiles that are counted one by one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from faces import shipped_config

from records import Ellipse
from vision.residual import Residual
from vision.ring_frame import ring_frame
from vision.unrest import NORMAL_QUANTILE, ring_statistics

SETTINGS = replace(shipped_config().detection.residual, sector_cap=50.0)
SHAPE = (240, 270)
FRAME = ring_frame(SHAPE, Ellipse(130.0, 120.0, 200.0, 200.0, 0.0), 106.0)


def unrest(response: np.ndarray, marked: np.ndarray | None = None, settings=SETTINGS) -> np.ndarray:
    zero = np.zeros(SHAPE, np.float32)
    residual = Residual(FRAME, zero, zero, zero + 1, zero, zero, FRAME.inside > 0, 40.0)
    return ring_statistics(residual, settings, marked).unrest(response.astype(np.float32))


def noise() -> np.ndarray:
    return np.random.default_rng(5).standard_normal(SHAPE)


def ring(low: float, high: float) -> np.ndarray:
    return (FRAME.radius_px >= low) & (FRAME.radius_px < high)


@pytest.mark.parametrize("scale", [1.0, 2.5, 6.0])
def test_noise_has_the_unrest_of_its_spread(scale):
    found = unrest(scale * noise())
    assert np.median(found[ring(10, 104)]) == pytest.approx(scale, rel=0.06)


def test_a_restless_ring_is_its_own_affair():
    found = unrest(np.where(ring(60, 70), 4.0, 1.0) * noise())
    assert np.median(found[ring(63, 67)]) == pytest.approx(4, rel=0.1)
    assert np.median(found[ring(75, 100)]) == pytest.approx(1, rel=0.06)
    assert np.median(found[ring(45, 55)]) == pytest.approx(1, rel=0.1)


def test_a_quantile_is_that_of_the_sector_and_its_neighbours():
    response = noise()
    response[FRAME.angle_rad < np.pi] *= 3
    found = unrest(response)
    middle = ring(80, 81) & (np.abs(FRAME.angle_rad - 0.5 * np.pi) < 0.05)
    pool = ring(79, 82) & (np.abs(FRAME.angle_rad - 0.5 * np.pi) < np.pi / 4)
    counted = np.quantile(np.abs(response[pool]), SETTINGS.ring_quantile) / NORMAL_QUANTILE[SETTINGS.ring_quantile]
    assert found[middle].mean() == pytest.approx(counted, rel=0.15)


def test_marks_do_not_count():
    response, marked = noise(), ring(50, 90) & (FRAME.angle_rad < 1.0)
    response[marked] = 40
    assert np.median(unrest(response, marked)[ring(55, 85)]) == pytest.approx(1, rel=0.08)


def test_a_mark_does_not_raise_its_sector_beyond_the_cap():
    response = noise()
    response[ring(50, 90) & (FRAME.angle_rad < 1.0)] = 12
    capped = replace(SETTINGS, sector_cap=1.5)
    assert unrest(response, settings=capped)[ring(55, 85)].max() < 3.5 < unrest(response)[ring(55, 85)].max()


def test_near_the_centre_the_whole_ring_counts():
    """A mark fills a large part of a sector there, but not half of a disc."""
    response = noise()
    response[ring(0, 18) & (FRAME.angle_rad < 1.2)] = 12
    assert unrest(response)[ring(4, 14)].max() < 2
