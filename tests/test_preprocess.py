"""Illumination check, flat field and focus score."""

from __future__ import annotations

import dataclasses
import itertools
import math

import cv2
import numpy as np
import pytest
from faces import clean_grey, face_scene, shipped_config

from records import Ellipse
from rendering.engine import render
from rendering.scene import Optics
from vision.geometry import polar_maps
from vision.preprocess import divide_by_flat_field, focus_score, picture_box, poorly_lit, preprocess

SETTINGS = shipped_config().preprocessing
CLADDING = Ellipse(211.0, 143.0, 180.0, 180.0, 0.0)


# --- illumination --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("level", "poor"), [(0, True), (25, True), (27, False), (128, False), (228, False), (231, True)]
)
def test_levels_that_are_nearly_black_or_white(level, poor):
    assert poorly_lit(np.full((40, 60), level, np.uint8), share=0.9, band=0.1) is poor


@pytest.mark.parametrize("level", [5, 250])
@pytest.mark.parametrize(("share", "poor"), [(0.89, False), (0.91, True)])
def test_share_of_the_pixels_that_makes_it_poor(level, share, poor):
    grey = np.full(10_000, 128, np.uint8)
    grey[: round(share * grey.size)] = level
    assert poorly_lit(grey.reshape(50, 200), share=0.9, band=0.1) is poor


def test_black_and_white_are_not_added_up():
    grey = np.zeros((10, 10), np.uint8)
    grey[:5] = 255
    assert not poorly_lit(grey, share=0.9, band=0.1)


@pytest.mark.parametrize("level", [4, 251])
def test_poor_illumination_is_a_warning(level):
    assert "Poor illumination" in preprocess(np.full((40, 60), level, np.uint8), None, SETTINGS).warnings[0]
    assert preprocess(clean_grey(), None, SETTINGS).warnings == ()


# --- what localisation and detection get ---------------------------------------------------------------------------


def test_detection_gets_the_grey_levels_as_they_are():
    prepared = preprocess(clean_grey(), None, SETTINGS)
    np.testing.assert_array_equal(prepared.grey, clean_grey())
    assert prepared.enhanced(clean_grey(), 1.0).shape == clean_grey().shape
    assert prepared.enhanced(clean_grey(), 1.0).dtype == np.uint8


def test_the_copy_for_localisation_has_more_contrast():
    flat = (100 + 0.08 * (clean_grey() - 100.0)).astype(np.uint8)
    assert preprocess(flat, None, SETTINGS).enhanced(flat, 1.0).std() > 1.5 * flat.std()


def test_inputs_are_not_changed():
    grey = clean_grey().copy()
    field = np.full(grey.shape, 90, np.uint8)
    preprocess(grey, field, SETTINGS).enhanced(grey, 0.5)
    np.testing.assert_array_equal(grey, clean_grey())
    assert np.all(field == 90)


# --- flat field ----------------------------------------------------------------------------------------------------


def shading(shape: tuple[int, int]) -> np.ndarray:
    """Light that falls from left to right to less than half, (H, W) float."""
    return np.broadcast_to(np.linspace(1.0, 0.45, shape[1]), shape)


def test_a_flat_field_removes_uneven_light():
    light = shading((200, 320))
    shaded = np.rint(150 * light).astype(np.uint8)
    corrected = divide_by_flat_field(shaded, np.rint(220 * light).astype(np.uint8))
    assert np.ptp(shaded) > 60
    assert np.ptp(corrected[:, 10:-10]) <= 6
    assert corrected.mean() == pytest.approx(shaded.mean(), rel=0.05)


def test_a_flat_field_keeps_marks():
    light = shading((200, 320))
    scene = np.full((200, 320), 160.0)
    scene[90:110, 150:170] = 80.0
    corrected = divide_by_flat_field(np.rint(scene * light).astype(np.uint8), np.rint(220 * light).astype(np.uint8))
    assert corrected[100, 160] / corrected[50, 160] == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize("level", [0, 1, 255])
def test_an_even_flat_field_changes_nothing(level):
    field = np.full(clean_grey().shape, level, np.uint8)
    corrected = divide_by_flat_field(clean_grey(), field)
    assert np.abs(corrected.astype(int) - clean_grey()).max() <= 1 or level == 0
    assert corrected.dtype == np.uint8


def test_dark_corners_of_a_flat_field_do_not_blow_up():
    field = np.full((200, 320), 200, np.uint8)
    field[:, :60] = 0
    corrected = divide_by_flat_field(np.full((200, 320), 10, np.uint8), field)
    assert corrected.max() <= 10 * 200 / (0.05 * 200)


def test_a_flat_field_of_another_size_is_named_and_not_used():
    field = np.full((100, 400), 128, np.uint8)
    prepared = preprocess(clean_grey(), field, SETTINGS)
    assert len(prepared.warnings) == 1
    assert "400x100" in prepared.warnings[0] and "not used" in prepared.warnings[0]
    np.testing.assert_array_equal(prepared.grey, clean_grey())


def test_a_flat_field_of_this_size_is_used():
    light = shading(clean_grey().shape)
    shaded = np.rint(clean_grey() * light).astype(np.uint8)
    prepared = preprocess(shaded, np.rint(200 * light).astype(np.uint8), SETTINGS)
    assert prepared.warnings == ()
    ratio = prepared.grey[20:40, 360:380].mean() / prepared.grey[20:40, 20:40].mean()
    assert ratio == pytest.approx(clean_grey()[20:40, 360:380].mean() / clean_grey()[20:40, 20:40].mean(), abs=0.05)


# --- focus ---------------------------------------------------------------------------------------------------------


def blurred_scores(*sigmas: float) -> list[float]:
    return [focus_score(render(face_scene(optics=Optics(blur_px=s))).image, CLADDING) for s in sigmas]


def test_more_blur_is_a_lower_focus_score():
    scores = blurred_scores(0.7, 1.2, 2.0, 3.5, 6.0)
    assert all(0 <= score <= 1 for score in scores)
    assert all(sharper > 1.15 * softer for sharper, softer in itertools.pairwise(scores))


def test_the_configured_limit_lies_between_sharp_and_useless():
    sharp, useless = blurred_scores(1.0, 7.0)
    assert useless < SETTINGS.min_focus_score < sharp


@pytest.mark.parametrize(("gain", "offset"), [(0.5, 0), (1.0, 40), (1.3, 0), (-1.0, 255)])
def test_focus_does_not_depend_on_brightness_or_polarity(gain, offset):
    other = np.clip(np.rint(gain * clean_grey() + offset), 0, 255).astype(np.uint8)
    assert focus_score(other, CLADDING) == pytest.approx(focus_score(clean_grey(), CLADDING), rel=0.06)


def test_focus_does_not_depend_on_marks_and_magnification():
    plain = focus_score(clean_grey(), CLADDING)
    marked = clean_grey().copy()
    marked[140:150, 120:200] = 255
    assert focus_score(marked, CLADDING) == pytest.approx(plain, rel=0.03)
    large = cv2.resize(clean_grey(), None, fx=2, fy=2, interpolation=cv2.INTER_LINEAR)
    doubled = Ellipse(422.5, 286.5, 360.0, 360.0, 0.0)
    assert focus_score(large, doubled) == pytest.approx(plain, rel=0.15)


def test_no_focus_score_where_there_is_no_edge():
    assert math.isnan(focus_score(np.full((300, 400), 90, np.uint8), CLADDING))
    assert math.isnan(focus_score(clean_grey(), dataclasses.replace(CLADDING, major_px=900.0, minor_px=900.0)))


def test_a_fibre_cut_by_the_frame_still_has_a_focus_score():
    whole = focus_score(clean_grey(), CLADDING)
    cut = clean_grey()[:, 160:]
    moved = dataclasses.replace(CLADDING, x_px=CLADDING.x_px - 160)
    assert polar_maps(cut.shape, moved)[0][:, 0].min() < 90
    assert focus_score(cut, moved) == pytest.approx(whole, rel=0.05)


def test_margins_of_a_frame_grabber_are_left_out():
    grey = np.full((160, 200), 120.0)
    grey[:5], grey[:, -4:] = 8.0, 250.0
    top, bottom, left, right = picture_box(grey)
    assert (bottom, left) == (160, 0)
    assert 5 <= top <= 9 and 191 <= right <= 196


def test_a_fibre_that_nearly_fills_the_frame_is_no_margin():
    rows, cols = np.mgrid[:320, :320]
    grey = np.where(np.hypot(rows - 160, cols - 160) < 0.475 * 320, 60.0, 190.0)
    assert picture_box(grey) == (0, 320, 0, 320)
