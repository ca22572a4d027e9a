"""What belongs to a mark nearby: halos, rims of light, and the light around the centre of a core."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from faces import shipped_config

from records import Ellipse
from vision.halos import absorb_halos, is_index_dip, without_halo, without_index_dip
from vision.regions import Region
from vision.residual import Residual
from vision.ring_frame import ring_frame
from vision.significance import Significance

GROWTH = shipped_config().detection.growth
SHAPE = (120, 160)
CENTRE = (60, 80)
RADIUS_PX = 200.0
SINGLE_MODE_PX, MULTIMODE_PX = 14.0, 60.0


def block(top: int, left: int, size: int, polarity: int, sigma: float) -> Region:
    rows, cols = np.mgrid[top : top + size, left : left + size]
    return Region(rows.ravel(), cols.ravel(), polarity, 1.0, sigma, ("DO2MR", "BlackHat"))


def flat_residual() -> Residual:
    one = np.ones(SHAPE, np.float32)
    frame = ring_frame(SHAPE, Ellipse(CENTRE[1], CENTRE[0], 200.0, 200.0, 0.0), 100.0)
    return Residual(frame, 0 * one, 150 * one, one, 0 * one, 0 * one, one > 0, 80.0)


# --- halos and rims --------------------------------------------------------------------------------------------------

PIT = block(20, 20, 10, -1, 30.0)


def beside(gap_px: int, polarity: int, sigma: float) -> Region:
    return block(23, 30 + gap_px, 4, polarity, sigma)


def test_a_weak_halo_is_dropped_and_a_comparable_one_is_part_of_the_mark():
    assert absorb_halos([PIT, beside(0, 1, 5.0)], SHAPE, GROWTH) == [PIT]
    (joined,) = absorb_halos([PIT, beside(0, 1, 20.0)], SHAPE, GROWTH)
    assert joined.mixed
    assert len(joined.rows) == 116


@pytest.mark.parametrize(("sigma", "count"), [(18.0, 1), (22.0, 2)])
def test_a_rim_of_light_further_out_is_dropped_when_it_is_clearly_weaker(sigma, count):
    assert len(absorb_halos([PIT, beside(3, 1, sigma)], SHAPE, GROWTH)) == count


def test_a_mark_of_the_same_polarity_or_far_away_is_a_mark():
    assert len(absorb_halos([PIT, beside(3, -1, 5.0)], SHAPE, GROWTH)) == 2
    assert len(absorb_halos([PIT, beside(12, 1, 5.0)], SHAPE, GROWTH)) == 2


def test_the_rim_reaches_further_around_a_thicker_mark_but_not_around_a_longer_one():
    large, line, spot = block(20, 20, 60, -1, 30.0), block(20, 20, 60, -1, 30.0), block(50, 86, 4, 1, 8.0)
    assert absorb_halos([large, spot], SHAPE, GROWTH) == [large]
    assert len(absorb_halos([large, spot], SHAPE, replace(GROWTH, rim_share=0.0))) == 2
    line = replace(large, rows=np.full(100, 51), cols=np.arange(40, 140))
    assert len(absorb_halos([line, block(60, 86, 4, 1, 8.0)], SHAPE, GROWTH)) == 2


def test_the_body_inside_a_stronger_rim_is_not_dropped():
    rows, cols = np.indices(SHAPE)
    distance = np.hypot(rows - 40, cols - 40)
    ring, hole = distance <= 12, distance <= 8
    rim = Region(*np.nonzero(ring & ~hole), 1, 1.0, 60.0, ("DO2MR",))
    body = Region(*np.nonzero(distance <= 6), -1, 1.0, 12.0, ("DO2MR",))
    (mark,) = absorb_halos([body, rim], SHAPE, GROWTH)
    assert mark.mixed
    assert len(mark.rows) == len(rim.rows) + len(body.rows)


# --- the centre of the core ------------------------------------------------------------------------------------------

DIP = block(CENTRE[0] - 2, CENTRE[1] - 2, 5, -1, 12.0)


@pytest.mark.parametrize(("off_px", "size_px", "is_dip"), [(0, 5, True), (2, 5, True), (5, 5, False), (0, 17, False)])
def test_the_index_dip_is_a_small_dot_at_the_centre(off_px, size_px, is_dip):
    dot = block(CENTRE[0] - size_px // 2, CENTRE[1] - size_px // 2 + off_px, size_px, -1, 5.0)
    assert is_index_dip(dot, flat_residual(), RADIUS_PX, GROWTH) is is_dip


@pytest.mark.parametrize(("grey", "is_dip"), [(-15.0, True), (15.0, True), (-60.0, False)])
def test_a_black_hole_at_the_centre_is_no_index_dip(grey, is_dip):
    seen = flat_residual()
    seen = replace(seen, grey=np.full_like(seen.grey, grey))
    assert is_index_dip(DIP, seen, RADIUS_PX, GROWTH) is is_dip


def left_over(*others: Region, core_radius_px: float) -> list[Region]:
    return without_index_dip([DIP, *others], flat_residual(), RADIUS_PX, core_radius_px, GROWTH)


@pytest.mark.parametrize("core_radius_px", [SINGLE_MODE_PX, MULTIMODE_PX, float("nan")])
def test_the_dip_goes_with_its_rim(core_radius_px):
    rim = block(CENTRE[0] - 1, CENTRE[1] + 4, 3, 1, 8.0)
    assert left_over(rim, core_radius_px=core_radius_px) == []


@pytest.mark.parametrize(
    ("off_px", "polarity", "sigma", "kept"),
    [(12, 1, 9.0, False), (12, 1, 13.0, True), (12, -1, 9.0, True), (30, 1, 9.0, True)],
)
def test_a_spot_of_light_beside_the_dip_of_a_multimode_core_is_no_defect(off_px, polarity, sigma, kept):
    spot = block(CENTRE[0] - 3, CENTRE[1] + off_px, 6, polarity, sigma)
    assert bool(left_over(spot, core_radius_px=MULTIMODE_PX)) is kept
    assert left_over(spot, core_radius_px=SINGLE_MODE_PX) == [spot]


def test_without_a_dip_the_centre_is_like_any_other_place():
    spot = block(CENTRE[0] - 3, CENTRE[1] + 12, 6, 1, 9.0)
    assert without_index_dip([spot], flat_residual(), RADIUS_PX, MULTIMODE_PX, GROWTH) == [spot]


# --- the outline that is reported ------------------------------------------------------------------------------------


def mark_with_rim(dark_sigma: float, bright_sigma: float) -> tuple[Region, Significance]:
    """A dark disc in a bright ring as one mixed mark, with these peaks."""
    rows, cols = np.indices(SHAPE)
    distance = np.hypot(rows - 60, cols - 80)
    field = np.where(distance <= 6, -dark_sigma, np.where(distance <= 11, bright_sigma, 0)).astype(np.float32)
    mark = Region(*np.nonzero(distance <= 11), -1, 1.0, dark_sigma, ("DO2MR",), mixed=True)
    return mark, Significance(field, field, field, field, field)


@pytest.mark.parametrize(
    ("dark_sigma", "bright_sigma", "radius_px"), [(40.0, 20.0, 6), (40.0, 35.0, 11), (10.0, 4.0, 11), (20.0, 40.0, 11)]
)
def test_a_clear_halo_does_not_count_as_size(dark_sigma, bright_sigma, radius_px):
    mark, found = mark_with_rim(dark_sigma, bright_sigma)
    outline = without_halo(mark, found, replace(flat_residual(), grey=found.peak), GROWTH)
    distance = np.hypot(outline.rows - 60, outline.cols - 80)
    assert distance.max() == pytest.approx(radius_px, abs=1)
    assert len(outline.rows) == pytest.approx(np.pi * radius_px**2, rel=0.1)
