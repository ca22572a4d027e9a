"""The log odds of candidates: what makes a mark likely, and what does not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from faces import shipped_config

from records import Ellipse
from vision.evidence import Evidence
from vision.likelihood import likely_regions, line_length, local_contrast
from vision.regions import Region
from vision.residual import Residual
from vision.ring_frame import ring_frame
from vision.significance import Significance

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
    frame = ring_frame(SHAPE, Ellipse(CENTRE[1], CENTRE[0], 200.0, 200.0, 0.0), 100.0)
    return Residual(frame, grey, full(100), full(1), full(boundary), full(0), np.ones(SHAPE, bool), 80.0)


def kept(
    mark: Region,
    *,
    sigma: float,
    hat: float | None,
    grey: float,
    line: float | None = None,
    boundary: float = 0.1,
    probability: float = 0.4,
) -> bool:
    """Whether a uniform mark with this evidence is kept."""
    own = (mark.rows, mark.cols)
    picture, extent, hats = full(0), full(0), full(0)
    picture[own], extent[own], hats[own] = mark.polarity * grey, mark.polarity * sigma, hat or 0
    evidence = [] if hat is None else [Evidence("BlackHat", 0.6, 4.0, hats, hats)]
    evidence += [] if line is None else [Evidence("LEI", 0.7, 5.0, full(line), full(line))]
    found = Significance(full(0), extent, extent, extent, extent)
    settings = replace(DETECTION.likelihood, min_probability=probability)
    return bool(likely_regions([mark], found, evidence, residual(picture, boundary), RADIUS_PX, settings))


BLOCK = region(slice(20, 26), slice(30, 36))


def least_strength(mark: Region, **options: float) -> float:
    """Factor on medium evidence from which a mark is kept."""
    for strength in np.geomspace(0.1, 10, 60):
        if kept(mark, **{"sigma": 5 * strength, "hat": 9 * strength, "grey": 7 * strength, **options}):
            return float(strength)
    return np.inf


def test_strong_evidence_is_a_mark_and_weak_evidence_is_not():
    assert kept(BLOCK, sigma=15, hat=20, grey=20)
    assert not kept(BLOCK, sigma=3, hat=4, grey=2)


@pytest.mark.parametrize("polarity", [-1, 1])
@pytest.mark.parametrize(("name", "medium"), [("sigma", 5.0), ("hat", 9.0), ("grey", 7.0)])
def test_every_piece_of_evidence_counts(name, medium, polarity):
    mark = region(slice(20, 26), slice(30, 36), polarity)
    assert least_strength(mark, **{name: 2 * medium}) < 0.95 * least_strength(mark, **{name: 0.5 * medium})


def test_near_a_boundary_the_same_evidence_is_worth_less():
    assert least_strength(BLOCK, boundary=0.02) < 0.95 * least_strength(BLOCK, boundary=2.0)


def test_a_higher_probability_keeps_less():
    assert least_strength(BLOCK, probability=0.05) < 0.95 * least_strength(BLOCK, probability=0.99)


def test_without_black_hat_the_significance_takes_its_place():
    assert kept(BLOCK, sigma=12, hat=None, grey=12)
    assert not kept(BLOCK, sigma=2, hat=None, grey=10)


def test_the_line_detector_counts_where_it_is_switched_on():
    assert kept(BLOCK, sigma=5, hat=9, grey=7, line=20)
    assert not kept(BLOCK, sigma=5, hat=9, grey=7, line=1)


def test_a_long_thin_mark_needs_less():
    line, lump = region(slice(20, 22), slice(30, 130)), region(slice(20, 34), slice(30, 44))
    assert least_strength(line) < 0.95 * least_strength(lump)


def test_a_dot_in_quiet_surroundings_needs_less():
    dot, patch = region(slice(20, 23), slice(30, 33)), region(slice(20, 25), slice(30, 35))
    assert least_strength(dot, boundary=0.1) < 0.9 * least_strength(patch, boundary=0.1)
    assert least_strength(dot, boundary=0.5) == least_strength(patch, boundary=0.5)  # not near boundaries


def test_the_length_of_a_line_counts_from_a_tenth_of_the_radius():
    assert line_length(region(slice(20, 21), slice(30, 50)), RADIUS_PX) == pytest.approx(0.0, abs=0.1)
    assert line_length(region(slice(20, 22), slice(30, 130)), RADIUS_PX) == pytest.approx(np.log(5), abs=0.05)
    assert line_length(region(slice(20, 80), slice(30, 90)), RADIUS_PX) == 0


def test_the_local_contrast_is_the_peak_over_the_spread_around_it():
    noise = np.random.default_rng(0).normal(0, 2, SHAPE).astype(np.float32)
    dot = region(slice(60, 62), slice(80, 82), 1)
    noise[60:62, 80:82] = 30
    assert local_contrast(dot, noise, np.ones(SHAPE, bool)) == pytest.approx(15, rel=0.25)
    assert local_contrast(dot, noise, np.zeros(SHAPE, bool)) == 1


@pytest.mark.parametrize("polarity", [-1, 1])
def test_a_mark_of_dark_and_bright_parts_is_as_likely_as_its_better_side(polarity):
    own, other = region(slice(20, 26), slice(30, 36), polarity), region(slice(20, 26), slice(30, 36), -polarity)
    assert kept(own, sigma=15, hat=20, grey=20)
    assert not kept(other, sigma=-15, hat=0, grey=-20)
    assert kept(replace(other, mixed=True), sigma=-15, hat=20, grey=-20)
