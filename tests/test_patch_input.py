"""What the patch network sees of a mark."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest

from records import Ellipse
from second_opinion.patch_input import CROP_PX, CROP_SHARE, PatchForm, cut_out, patch_input

SHAPE = (260, 340)
OUTLINE = Ellipse(180.0, 120.0, 160.0, 140.0, 30.0)


@pytest.mark.parametrize("turn_deg", [0, 50, 130, 200, 275, 340])
def test_outward_is_up_all_around_the_fibre(turn_deg):
    grey = np.full(SHAPE, 200, np.uint8)
    axes = (OUTLINE.major_px, OUTLINE.minor_px)
    cv2.ellipse(grey, ((OUTLINE.x_px, OUTLINE.y_px), axes, OUTLINE.angle_deg), 50, -1)
    edge = cv2.ellipse2Poly((180, 120), (80, 70), 30, turn_deg, turn_deg + 1, 1)[0]
    piece = cut_out(grey, OUTLINE, float(edge[0]), float(edge[1])).astype(int)
    assert piece.shape == (CROP_PX, CROP_PX)
    assert (piece[:80] > 180).all() and (piece[-80:] < 70).all()


def test_a_piece_is_not_mirrored():
    grey = np.full(SHAPE, 50, np.uint8)
    cv2.circle(grey, (190, 60), 3, 255, -1)  # to the right of a place above the centre
    piece = cut_out(grey, OUTLINE, 180.0, 60.0)
    assert np.argmax(piece.max(axis=0)) > CROP_PX / 2
    grey = np.full(SHAPE, 50, np.uint8)
    cv2.circle(grey, (240, 130), 3, 255, -1)  # clockwise of a place to the right of the centre
    piece = cut_out(grey, OUTLINE, 240.0, 120.0)
    assert np.argmax(piece.max(axis=0)) > CROP_PX / 2


def test_input_has_the_form_and_does_not_change_the_piece():
    piece = np.random.default_rng(0).integers(100, 120, (CROP_PX, CROP_PX)).astype(np.uint8)
    before = piece.copy()
    for size in (32, 100, 256, 300):
        form = PatchForm(size)
        found = patch_input(piece, form)
        assert found.shape == (form.channels, size, size) and found.dtype == np.float32
    assert (piece == before).all()


def test_a_spot_of_one_pixel_is_seen_at_any_size():
    noise = np.random.default_rng(1).normal(100, 2, (CROP_PX, CROP_PX))
    for value, channel in ((0, 1), (255, 2)):
        piece = np.clip(noise, 0, 255).astype(np.uint8)
        piece[131, 77] = value
        found = patch_input(piece, PatchForm(48))[channel]
        assert np.unravel_index(np.abs(found).argmax(), found.shape) == (131 * 48 // 256, 77 * 48 // 256)


def test_exposure_hardly_matters():
    piece = np.clip(np.random.default_rng(2).normal(100, 4, (CROP_PX, CROP_PX)), 0, 255)
    piece[100:130, 90:100] -= 40
    first = patch_input(piece.astype(np.uint8), PatchForm(64))
    second = patch_input((0.6 * piece + 30).astype(np.uint8), PatchForm(64))
    assert np.abs(first - second).mean() < 0.1


def test_a_piece_without_any_structure_is_zero():
    assert np.abs(patch_input(np.full((CROP_PX, CROP_PX), 77, np.uint8), PatchForm(64))).max() < 1e-3


def test_a_piece_is_31_um_of_a_125_um_fibre():
    assert math.isclose(CROP_SHARE * 125 / 2, 31.25)
