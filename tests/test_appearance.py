"""Body, edge slope, rim and evenness of drawn marks against closed forms."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from grading.appearance import SMOOTHING_PX, Appearance, Body, appearance_of, body_of, body_pixels
from vision.regions import Region

SHAPE = (80, 100)
CENTRE = (38.0, 47.0)  # row, col


def distance() -> np.ndarray:
    rows, cols = np.mgrid[: SHAPE[0], : SHAPE[1]]
    return np.hypot(rows - CENTRE[0], cols - CENTRE[1])


def region_of(mask: np.ndarray, polarity: int = 1) -> Region:
    return Region(*np.nonzero(mask), polarity, 1.0, 20.0, ("DO2MR",))


def blurred_disc(radius: float = 10.0, blur: float = 1.0, grey: float = 40.0) -> np.ndarray:
    return cv2.GaussianBlur((distance() <= radius).astype(np.float32) * np.float32(grey), (0, 0), blur)


def seen(residual: np.ndarray, polarity: int = 1, radius: float = 16.0) -> tuple[Body, Appearance]:
    region = region_of(distance() <= radius, polarity)
    body = body_of(region, residual)
    return body, appearance_of(region, body, residual)


@pytest.mark.parametrize("blur", [0.8, 1.5, 2.5])
@pytest.mark.parametrize("grey", [8.0, -80.0])
def test_the_body_is_the_half_contrast_outline_whatever_blur_and_strength(blur, grey):
    body, _ = seen(blurred_disc(10, blur, grey), int(np.sign(grey)))
    assert np.sqrt(len(body.rows) / np.pi) == pytest.approx(10, abs=0.4)
    assert (body.rows.mean(), body.cols.mean()) == pytest.approx(CENTRE, abs=0.1)
    assert body.contrast_grey == pytest.approx(abs(grey), rel=0.02)


def test_the_body_leaves_halo_and_specks_out():
    residual = blurred_disc(8) - 0.4 * 40 * np.exp(-0.5 * ((distance() - 12) / 1.5) ** 2)
    residual[20:23, 60:63] = 30.0
    mask = distance() <= 15
    mask[19:24, 59:64] = True
    body = body_of(region_of(mask), residual)
    assert np.hypot(body.rows - CENTRE[0], body.cols - CENTRE[1]).max() < 9


def test_a_glint_in_a_hole_belongs_to_the_body():
    hollow = -blurred_disc(10) + blurred_disc(4)
    body, _ = seen(hollow, polarity=-1)
    assert len(body.rows) == pytest.approx(np.pi * 10**2, rel=0.06)


def test_a_region_of_two_polarities_has_the_body_of_the_stronger():
    residual = blurred_disc(6, grey=-70) + 25 * np.exp(-0.5 * ((distance() - 9) / 1.5) ** 2)
    body, look = seen(residual, polarity=1)
    assert body.polarity == -1
    assert len(body.rows) == pytest.approx(np.pi * 6**2, rel=0.15)
    assert look.rim == pytest.approx(25 / 70, abs=0.1)


def test_nothing_but_zeros_has_a_body_and_finite_features():
    for mask in (distance() <= 4, distance() <= 0.1):
        region = region_of(mask)
        residual = np.zeros(SHAPE, np.float32)
        body = body_of(region, residual)
        look = appearance_of(region, body, residual)
        assert (
            len(body.rows)
            and np.isfinite([look.edge_slope, look.rim, look.unevenness, look.edge_width, look.roundness]).all()
        )


@pytest.mark.parametrize("corner", [(0, 0), (79, 99)])
def test_marks_at_the_border_of_the_crop(corner):
    mask = np.zeros(SHAPE, bool)
    mask[corner] = True
    residual = mask.astype(np.float32) * 30
    look = appearance_of(region_of(mask), body_of(region_of(mask), residual), residual)
    assert np.isfinite([look.contrast_grey, look.edge_slope, look.rim, look.unevenness]).all()


@pytest.mark.parametrize("blur", [1.0, 2.0, 3.0])
def test_the_slope_of_an_edge_is_that_of_its_blur(blur):
    """A straight edge of blur s rises by 1 / (s sqrt(2 pi)) of its contrast per px; measuring it adds about 1.2 px."""
    _, look = seen(blurred_disc(20, blur), radius=30)
    total = np.hypot(blur, 1.2)
    assert look.edge_slope == pytest.approx(1 / (total * np.sqrt(2 * np.pi)), rel=0.2)


def test_one_soft_side_makes_a_mark_soft():
    sharp, soft = blurred_disc(12, 0.8), blurred_disc(12, 3.5)
    half = sharp.copy()
    half[:, int(CENTRE[1]) :] = soft[:, int(CENTRE[1]) :]
    slopes = [seen(image, radius=20)[1].edge_slope for image in (sharp, half, soft)]
    assert slopes[1] < 0.6 * slopes[0]
    assert slopes[1] == pytest.approx(slopes[2], rel=0.3)


@pytest.mark.parametrize("factor", [0.2, -3.0])
def test_features_do_not_depend_on_strength_or_polarity(factor):
    residual = blurred_disc(8) - 8 * np.exp(-0.5 * ((distance() - 11) / 1.5) ** 2)
    residual += 2 * np.sin(distance() * 1.3) * (distance() < 6)
    here = seen(residual)[1]
    there = seen((factor * residual).astype(np.float32), int(np.sign(factor)))[1]
    for name in ("edge_slope", "rim", "unevenness"):
        assert getattr(there, name) == pytest.approx(getattr(here, name), rel=1e-3), name
    assert there.contrast_grey == pytest.approx(factor * here.contrast_grey, rel=1e-3)


def test_texture_inside_is_unevenness_and_a_rim_is_not():
    plain = blurred_disc(12)
    textured = plain + 4 * np.sign(np.sin(np.arange(SHAPE[1]) * 0.9)) * (distance() < 9)
    rimmed = plain - 16 * np.exp(-0.5 * ((distance() - 15) / 1.0) ** 2)
    looks = [seen(image.astype(np.float32), radius=18)[1] for image in (plain, textured, rimmed)]
    assert looks[1].unevenness > looks[0].unevenness + 0.03
    assert looks[2].unevenness == pytest.approx(looks[0].unevenness, abs=0.02)
    assert looks[0].rim < 0.02 and looks[2].rim == pytest.approx(0.4, abs=0.12)


@pytest.mark.parametrize("factor", [1, 2, 3])
def test_the_body_at_full_resolution(factor):
    mask = distance() <= 12
    region = region_of(mask)
    body = body_of(region, blurred_disc(7))
    large = np.kron(mask, np.ones((factor, factor), bool))
    rows, cols = body_pixels(*(index + 1000 for index in np.nonzero(large)), region, body)
    assert len(rows) == factor**2 * len(body.rows)
    assert (rows.min() - 1000) // factor == body.rows.min()
    assert (cols.max() - 1000) // factor == body.cols.max()


def test_inputs_are_left_alone():
    residual = blurred_disc(8)
    before, region = residual.copy(), region_of(distance() <= 12)
    appearance_of(region, body_of(region, residual), residual)
    assert np.array_equal(residual, before)


# --- outlines --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("radius", [4.0, 10.0, 30.0])
@pytest.mark.parametrize("blur", [1.0, 1.8])
def test_the_edge_width_is_that_of_the_blur_over_the_radius(radius, blur):
    _, look = seen(blurred_disc(radius, blur), radius=radius + 8)
    total = np.hypot(blur, SMOOTHING_PX)  # the outlines are smoothed, too
    assert look.edge_width == pytest.approx(2 * 0.6745 * total / radius, rel=0.25)


def test_a_round_outline_is_rounder_than_a_ragged_one():
    rows, cols = np.mgrid[: SHAPE[0], : SHAPE[1]]
    angle = np.arctan2(rows - CENTRE[0], cols - CENTRE[1])
    star = cv2.GaussianBlur(40 * (distance() < 10 * (1 + 0.5 * np.cos(5 * angle))).astype(np.float32), (0, 0), 1.0)
    assert seen(blurred_disc(10))[1].roundness > 0.85
    assert seen(star)[1].roundness < 0.6


def test_the_outline_of_a_large_mark_is_like_that_of_a_small_one():
    small = seen(blurred_disc(10, 1.5))[1]
    large = cv2.resize(blurred_disc(10, 1.5), None, fx=6, fy=6, interpolation=cv2.INTER_CUBIC)
    region = region_of(large > 2)
    look = appearance_of(region, body_of(region, large), large)
    assert look.roundness == pytest.approx(small.roundness, abs=0.1)
    assert look.edge_width == pytest.approx(small.edge_width, rel=0.25)
