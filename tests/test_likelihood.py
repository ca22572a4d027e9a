"""The log odds of candidates: what makes a mark likely, and what does not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from faces import shipped_config

from vision.evidence import Evidence, Significance
from vision.fusion import is_index_dip
from vision.likelihood import likely_regions, line_length, local_contrast
from vision.regions import Region
from vision.residual import Residual

DETECTION = shipped_config().detection
SHAPE = (120, 160)
CENTRE = (60, 80)
RADIUS_PX = 200.0


def region(rows: slice, cols: slice, polarity: int = -1) -> Region:
    r, c = np.mgrid[rows, cols]
    return Region(r.ravel(), c.ravel(), polarity, 1.0, 5.0, ("DO2MR", "BlackHat"))


def full(value: float) -> np.ndarray:
    return np.full(SHAPE, value, np.float32)


def residual(grey: np.ndarray, boundary: float = 0.1) -> Residual:
    rows, cols = np.indices(SHAPE).astype(np.float32)
    dy, dx = rows - CENTRE[0], cols - CENTRE[1]
    parts = (np.ones(SHAPE, bool), np.zeros(SHAPE, bool))
    radius, angle = np.hypot(dx, dy), np.arctan2(dy, dx)
    return Residual(grey, full(100), full(1), full(boundary), full(0), radius, angle, parts, 80.0)


def kept(
    mark: Region, *, sigma: float, hat: float | None, grey: float, boundary: float = 0.1, probability: float = 0.4
):
    """Whether a uniform mark with this evidence is kept."""
    own = (mark.rows, mark.cols)
    picture, extent, hats = full(0), full(0), full(0)
    picture[own], extent[own], hats[own] = mark.polarity * grey, mark.polarity * sigma, hat or 0
    evidence = [] if hat is None else [Evidence("BlackHat", 0.6, 4.0, hats, hats)]
    found = Significance(full(0), extent, extent, extent, extent)
    settings = replace(DETECTION.likelihood, min_probability=probability)
    return bool(likely_regions([mark], found, evidence, residual(picture, boundary), RADIUS_PX, settings))


BLOCK = region(slice(20, 26), slice(30, 36))


def test_strong_evidence_is_a_mark_and_weak_evidence_is_not():
    assert kept(BLOCK, sigma=15, hat=20, grey=20)
    assert not kept(BLOCK, sigma=3, hat=4, grey=2)


@pytest.mark.parametrize("polarity", [-1, 1])
@pytest.mark.parametrize("name", ["sigma", "hat", "grey"])
def test_every_piece_of_evidence_counts(name, polarity):
    mark = region(slice(20, 26), slice(30, 36), polarity)
    border = {"sigma": 5.0, "hat": 9.0, "grey": 7.0}
    assert kept(mark, **{**border, name: 2.5 * border[name]})
    assert not kept(mark, **{**border, name: 0.3 * border[name]})


def test_near_a_boundary_the_same_evidence_is_worth_less():
    assert kept(BLOCK, sigma=5, hat=9, grey=7, boundary=0.02)
    assert not kept(BLOCK, sigma=5, hat=9, grey=7, boundary=2.0)


def test_a_higher_probability_keeps_less():
    assert kept(BLOCK, sigma=5.5, hat=9.5, grey=7.5, probability=0.05)
    assert not kept(BLOCK, sigma=5.5, hat=9.5, grey=7.5, probability=0.99)


def test_without_black_hat_the_significance_takes_its_place():
    assert kept(BLOCK, sigma=10, hat=None, grey=10)
    assert not kept(BLOCK, sigma=2, hat=None, grey=10)


def test_a_long_thin_mark_needs_less():
    line, lump = region(slice(20, 22), slice(30, 130)), region(slice(20, 34), slice(30, 44))
    weak = {"sigma": 4.0, "hat": 7.0, "grey": 4.0}
    assert kept(line, **weak)
    assert not kept(lump, **weak)


def test_the_length_of_a_line_counts_from_a_tenth_of_the_radius():
    assert line_length(region(slice(20, 21), slice(30, 50)), RADIUS_PX) == pytest.approx(0.0, abs=0.1)
    assert line_length(region(slice(20, 22), slice(30, 130)), RADIUS_PX) == pytest.approx(np.log(5), abs=0.05)
    assert line_length(region(slice(20, 80), slice(30, 90)), RADIUS_PX) == 0


def test_a_dot_in_quiet_surroundings_needs_less():
    dot = region(slice(20, 23), slice(30, 33))
    weak = {"sigma": 4.0, "hat": 8.0, "grey": 6.0}
    assert kept(dot, **weak)
    assert not kept(region(slice(20, 25), slice(30, 35)), **weak)  # of the same evidence, but no dot


def test_the_local_contrast_is_the_peak_over_the_spread_around_it():
    noise = np.random.default_rng(0).normal(0, 2, SHAPE).astype(np.float32)
    dot = region(slice(60, 62), slice(80, 82), 1)
    noise[60:62, 80:82] = 30
    assert local_contrast(dot, noise, np.ones(SHAPE, bool)) == pytest.approx(15, rel=0.25)
    assert local_contrast(dot, noise, np.zeros(SHAPE, bool)) == 1


# --- the dot at the centre -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("off_px", "core_radius_px", "is_dip"), [(0, 14, True), (4, 14, False), (4, 60, True), (14, 60, False)]
)
def test_the_index_dip_lies_at_the_exact_centre_of_the_core(off_px, core_radius_px, is_dip):
    left = CENTRE[1] - 2 + off_px
    dot = region(slice(CENTRE[0] - 2, CENTRE[0] + 3), slice(left, left + 5))
    assert is_index_dip(dot, residual(full(0)), RADIUS_PX, core_radius_px, DETECTION.growth) is is_dip
