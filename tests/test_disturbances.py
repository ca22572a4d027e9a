"""What disturbs a picture disturbs its truth in the same way; checked against closed forms."""

from __future__ import annotations

import math
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.disturbances import (
    DRIFT_LEVELS,
    Disturbance,
    add_gradient,
    add_noise,
    change_gamma,
    change_illumination,
    compress,
    default_disturbances,
    defocus,
    disturb,
    moved_ellipse,
    resized,
)
from evaluation.truth import DO_NOT_JUDGE, TrueFiber, TruthImage
from records import Ellipse

SHAPE = (240, 320)
CLADDING = Ellipse(141.3, 117.8, 120.0, 104.0, 25.0)
MOVES = ("rotation", "shift", "subpixel", "magnification")


def truth(cladding: Ellipse | None = CLADDING, name: str = "face.png") -> TruthImage:
    fiber = None if cladding is None else TrueFiber(cladding, core_diameter_px=30.0, cladding_um=125.0)
    return TruthImage(name=name, image_path=Path(name), fiber=fiber)


def ellipse_picture(cladding: Ellipse = CLADDING, inside: int = 80, outside: int = 180) -> np.ndarray:
    """An ellipse with a soft edge of half a pixel to either side."""
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    angle = math.radians(cladding.angle_deg)
    u = (x - cladding.x_px) * math.cos(angle) + (y - cladding.y_px) * math.sin(angle)
    v = (y - cladding.y_px) * math.cos(angle) - (x - cladding.x_px) * math.sin(angle)
    radius = np.hypot(2 * u / cladding.major_px, 2 * v / cladding.minor_px)
    share = np.clip(0.5 - (radius - 1) * cladding.mean_radius_px, 0, 1)
    return np.rint(outside + (inside - outside) * share).astype(np.uint8)


def measured_ellipse(grey: np.ndarray, inside: int = 80, outside: int = 180) -> Ellipse:
    """The ellipse of a picture from its moments: the variance along a half axis a is a^2 / 4."""
    weight = (outside - grey.astype(float)) / (outside - inside)
    y, x = np.mgrid[: grey.shape[0], : grey.shape[1]]
    total = weight.sum()
    cx, cy = (weight * x).sum() / total, (weight * y).sum() / total
    xx, yy, xy = ((weight * a).sum() / total for a in ((x - cx) ** 2, (y - cy) ** 2, (x - cx) * (y - cy)))
    values, vectors = np.linalg.eigh([[xx, xy], [xy, yy]])
    angle = math.degrees(math.atan2(vectors[1, 1], vectors[0, 1])) % 180
    return Ellipse(cx, cy, 4 * math.sqrt(values[1]), 4 * math.sqrt(values[0]), angle)


def blocks() -> np.ndarray:
    labels = np.zeros(SHAPE, np.uint16)
    labels[100:112, 120:128] = 1
    labels[124:132, 150:170] = 7
    return labels


def at(kind: str, level: float) -> Disturbance:
    return Disturbance(kind, level, DRIFT_LEVELS[kind].unit)


def texts(disturbance: Disturbance) -> str:
    return disturbance.text


moves = pytest.mark.parametrize("change", [d for d in default_disturbances() if d.kind in MOVES], ids=texts)


# --- every kind ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", DRIFT_LEVELS)
def test_the_undisturbed_level_changes_nothing(kind):
    change = at(kind, DRIFT_LEVELS[kind].undisturbed)
    assert change.is_identity and change.level in DRIFT_LEVELS[kind].levels
    grey, labels = ellipse_picture(), blocks()
    new_grey, new_labels, new_truth = disturb(grey, labels, truth(), change)
    assert np.array_equal(new_grey, grey) and np.array_equal(new_labels, labels) and new_truth == truth()
    assert not np.shares_memory(new_grey, grey) and not np.shares_memory(new_labels, labels)


@pytest.mark.parametrize("kind", DRIFT_LEVELS)
@pytest.mark.parametrize("end", [0, -1])
def test_inputs_stay_as_they_are_and_kinds_of_arrays_too(kind, end):
    grey, labels = ellipse_picture(), blocks()
    grey.setflags(write=False)
    labels.setflags(write=False)
    new_grey, new_labels, _ = disturb(grey, labels, truth(), at(kind, DRIFT_LEVELS[kind].levels[end]))
    assert np.array_equal(grey, ellipse_picture()) and np.array_equal(labels, blocks())
    assert (new_grey.dtype, new_labels.dtype) == (np.uint8, np.uint16)
    assert new_grey.shape == new_labels.shape
    new_grey[0, 0] = new_labels[0, 0] = 1  # writable, and not the input's memory


def test_levels_ascend_and_cover_the_issue():
    assert all(list(kind.levels) == sorted(set(kind.levels)) for kind in DRIFT_LEVELS.values())
    ends = {kind: (levels.levels[0], levels.levels[-1]) for kind, levels in DRIFT_LEVELS.items()}
    assert ends["illumination"] == (-60, 60) and ends["defocus"] == (0, 3) and ends["magnification"] == (0.5, 2)
    assert DRIFT_LEVELS["rotation"].levels == tuple(range(0, 360, 15))


@pytest.mark.parametrize("kind", ["illumination", "gradient", "gamma", "defocus", "noise", "jpeg"])
def test_light_leaves_the_truth_alone(kind):
    _, labels, moved = disturb(ellipse_picture(), blocks(), truth(), at(kind, DRIFT_LEVELS[kind].levels[1]))
    assert np.array_equal(labels, blocks()) and moved == truth()


@pytest.mark.parametrize(
    ("kind", "level"),
    [("illumination", -100), ("gradient", 3), ("gamma", 0), ("defocus", -1), ("magnification", 0)],
)
def test_impossible_levels_are_refused(kind, level):
    with pytest.raises(ValueError):
        disturb(ellipse_picture(), blocks(), truth(), at(kind, level))


# --- light, focus, noise, codec --------------------------------------------------------------------------------------


def test_illumination_gamma_and_gradient_follow_their_formulas():
    row = np.array([[0, 51, 100, 200]], np.uint8)
    assert change_illumination(row, 50.0).tolist() == [[0, 76, 150, 255]]  # 76.5 is rounded to even
    assert change_illumination(row, -60.0).tolist() == [[0, 20, 40, 80]]
    assert change_gamma(row, 2.0).tolist() == [[0, 10, 39, 157]]
    shaded = add_gradient(np.full((3, 101), 100, np.uint8), 0.6)
    assert shaded[1, [0, 50, 100]].tolist() == [70, 100, 130]
    assert (shaded == shaded[0]).all()


def test_defocus_spreads_an_edge_by_its_sigma():
    step = np.zeros((9, 81), np.uint8)
    step[:, 40:] = 250
    slope = np.diff(defocus(step, 2.5)[4].astype(float)) / 250
    places = np.arange(80) - 39
    assert math.sqrt((slope * places**2).sum()) == pytest.approx(2.5, abs=0.05)
    assert np.array_equal(defocus(step, 0), step)


def test_noise_has_its_sigma_and_one_pattern_per_image():
    flat = np.full((200, 200), 120, np.uint8)
    strong, weak = (add_noise(flat, sigma, seed=3).astype(float) - 120 for sigma in (8.0, 4.0))
    assert strong.std() == pytest.approx(8.0, rel=0.03)
    assert abs(strong - 2 * weak).max() <= 1.5  # rounding of the one, twice that of the other
    one, again, other = (
        disturb(flat, np.zeros(flat.shape, np.uint16), truth(name=name), at("noise", 4.0))[0]
        for name in ("a.png", "a.png", "b.png")
    )
    assert np.array_equal(one, again) and not np.array_equal(one, other)


def test_jpeg_loses_more_at_lower_quality():
    grey = add_noise(ellipse_picture(), 5.0, seed=1)
    errors = [np.abs(compress(grey, q).astype(float) - grey).mean() for q in (95, 80, 50)]
    assert 0 < errors[0] < errors[1] < errors[2] < 10


# --- moves -----------------------------------------------------------------------------------------------------------


@moves
def test_the_fibre_lies_where_the_moved_picture_shows_it(change):
    grey, _, moved = disturb(ellipse_picture(), blocks(), truth(), change)
    seen, said = measured_ellipse(grey), moved.fiber.cladding
    assert (seen.x_px, seen.y_px) == pytest.approx((said.x_px, said.y_px), abs=0.06)
    assert (seen.major_px, seen.minor_px) == pytest.approx((said.major_px, said.minor_px), abs=0.25)
    assert abs((seen.angle_deg - said.angle_deg + 90) % 180 - 90) < 0.5


@moves
def test_labels_follow_the_picture(change):
    grey = np.where(blocks() > 0, 200, 100).astype(np.uint8)
    new_grey, labels, _ = disturb(grey, blocks(), truth(), change)
    labelled = (labels > 0) & (labels != DO_NOT_JUDGE)
    differ = labelled != (new_grey > 150)
    rim = cv2.morphologyEx(labelled.astype(np.uint8), cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > 0
    assert not (differ & ~rim).any()
    factor = change.level if change.kind == "magnification" else 1.0
    for number in (1, 7):
        area = (labels == number).sum() / factor**2
        assert area == pytest.approx((blocks() == number).sum(), rel=0.13)


def test_the_turned_fibre_has_the_turned_angle_and_its_own_core():
    fiber = disturb(ellipse_picture(), blocks(), truth(), at("rotation", 45.0))[2].fiber
    assert fiber.cladding.angle_deg == pytest.approx(70.0)
    assert (fiber.cladding.x_px, fiber.cladding.y_px) == pytest.approx((CLADDING.x_px, CLADDING.y_px))
    assert fiber.core_diameter_px == pytest.approx(30.0)


def test_a_quarter_turn_is_clockwise_on_the_screen():
    labels = np.zeros(SHAPE, np.uint16)
    labels[100, 160] = 1
    round_fiber = truth(Ellipse(150.0, 100.0, 80.0, 80.0, 0.0))
    turned = disturb(np.full(SHAPE, 9, np.uint8), labels, round_fiber, at("rotation", 90.0))[1]
    assert np.argwhere(turned == 1).tolist() == [[110, 150]]  # right of the centre comes below it


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_magnification_scales_frame_fibre_and_core(factor):
    grey, _, moved = disturb(ellipse_picture(), blocks(), truth(), at("magnification", factor))
    assert grey.shape == (240 * factor, 320 * factor)
    assert moved.fiber.core_diameter_px == pytest.approx(30.0 * factor)
    assert moved.fiber.cladding_um == 125.0
    assert moved.fiber.cladding.x_px == pytest.approx((CLADDING.x_px + 0.5) * factor - 0.5)


def test_the_map_of_a_resize_follows_the_rounding_of_the_size():
    grey = np.zeros((33, 47), np.uint8)
    (small, labels), matrix = resized(grey, grey.astype(np.uint16), 0.7)
    assert small.shape == labels.shape == (23, 33)
    corner = matrix @ (46.5, 32.5, 1.0)
    assert corner == pytest.approx((32.5, 22.5))


def test_a_whole_shift_moves_pixels_without_changing_them():
    grey = add_noise(ellipse_picture(), 5.0, seed=1)
    moved, labels, _ = disturb(grey, blocks(), truth(), at("shift", 0.1))
    assert np.array_equal(moved[24:, 32:], grey[:-24, :-32])
    assert np.array_equal(labels[24:, 32:], blocks()[:-24, :-32])
    assert (labels[:24] == DO_NOT_JUDGE).all() and (labels[:, :32] == DO_NOT_JUDGE).all()


def test_a_shift_within_a_pixel_follows_a_ramp():
    ramp = np.tile(np.arange(0, 240, 4, dtype=np.uint8), (40, 1))
    moved = disturb(ramp, np.zeros(ramp.shape, np.uint16), truth(None), at("subpixel", 0.75))[0]
    assert np.array_equal(moved[8:-8, 8:-8], ramp[8:-8, 8:-8] - 3)


@pytest.mark.parametrize("share", [-0.5, 0.5])
def test_a_shift_never_moves_the_fibre_out_of_the_frame(share):
    fiber = disturb(ellipse_picture(), blocks(), truth(), at("shift", share))[2].fiber
    far = Ellipse(SHAPE[1] - 1 - fiber.cladding.x_px, SHAPE[0] - 1 - fiber.cladding.y_px, 0, 0, 0)
    near = far if share > 0 else fiber.cladding
    angle = math.radians(CLADDING.angle_deg)
    reach_x = math.hypot(60 * math.cos(angle), 52 * math.sin(angle))
    reach_y = math.hypot(60 * math.sin(angle), 52 * math.cos(angle))
    assert 4 <= near.x_px - reach_x < 5 and 4 <= near.y_px - reach_y < 5


def test_a_fibre_that_is_cut_off_is_not_moved_further_out():
    cut = Ellipse(20.0, 117.0, 120.0, 120.0, 0.0)
    fiber = disturb(ellipse_picture(cut), blocks(), truth(cut), at("shift", -0.1))[2].fiber
    assert (fiber.cladding.x_px, fiber.cladding.y_px) == (20.0, 93.0)


# --- what no camera saw ----------------------------------------------------------------------------------------------


def test_invented_pixels_are_not_judged_and_never_black():
    grey, labels, _ = disturb(ellipse_picture(), blocks(), truth(), at("rotation", 30.0))
    assert labels[0, 0] == labels[-1, -1] == DO_NOT_JUDGE
    assert 0.02 < (labels == DO_NOT_JUDGE).mean() < 0.35
    assert grey.min() >= 65  # cubic interpolation undershoots the 80 of the fibre


@pytest.mark.parametrize("change", [at("rotation", 90.0), at("rotation", 135.0), at("shift", 0.15)], ids=texts)
def test_no_second_fibre_is_mirrored_into_the_frame(change):
    near_left = Ellipse(72.0, 120.0, 120.0, 120.0, 0.0)
    grey = disturb(ellipse_picture(near_left), blocks(), truth(near_left), change)[0]
    dark, _ = cv2.connectedComponents((grey < 130).astype(np.uint8))
    assert dark == 2  # the background and one fibre
    assert (grey < 130).sum() == pytest.approx(math.pi * 60**2, rel=0.01)


@pytest.mark.parametrize("change", [at("rotation", 30.0), at("shift", 0.08)], ids=texts)
def test_the_border_of_a_frame_grabber_stays(change):
    grey = ellipse_picture()
    grey[:8], grey[:, -10:] = 20, 20
    moved, labels, _ = disturb(grey, blocks(), truth(), change)
    assert (moved[:8] == 20).all() and (moved[:, -10:] == 20).all()
    assert moved[12:, :-14].min() >= 65
    assert (labels[:8, 20:-20] == 0).all()


@pytest.mark.parametrize("row", [100, 101])
def test_a_thin_line_is_neither_lost_nor_doubled_between_two_pixels(row):
    labels = np.zeros(SHAPE, np.uint16)
    labels[row, 100:140] = 1
    moved = disturb(ellipse_picture(), labels, truth(), at("subpixel", 0.5))[1]
    assert (moved == 1).sum() == 40


def test_without_a_fibre_the_frame_turns_about_its_centre():
    grey = np.full((101, 141), 100, np.uint8)
    grey[50, 100] = 250
    moved, _, same = disturb(grey, np.zeros(grey.shape, np.uint16), truth(None), at("rotation", 90.0))
    assert np.argwhere(moved > 200).tolist() == [[80, 70]]
    assert same.fiber is None


# --- ellipses --------------------------------------------------------------------------------------------------------


@given(
    st.tuples(*[st.floats(-2, 2) for _ in range(4)]).filter(lambda m: abs(m[0] * m[3] - m[1] * m[2]) > 0.05),
    st.floats(20, 100),
    st.floats(0.3, 1.0),
    st.floats(0, 179.9),
)
def test_every_point_of_an_ellipse_lands_on_its_image(linear, major, ratio, angle_deg):
    matrix = np.column_stack([np.reshape(linear, (2, 2)), (11.0, -7.0)])
    ellipse = Ellipse(50.0, 40.0, major, major * ratio, angle_deg)
    moved = moved_ellipse(ellipse, matrix)
    angle, turn = math.radians(angle_deg), np.linspace(0, 2 * np.pi, 16)
    u, v = major / 2 * np.cos(turn), major * ratio / 2 * np.sin(turn)
    x, y = 50 + u * math.cos(angle) - v * math.sin(angle), 40 + u * math.sin(angle) + v * math.cos(angle)
    x, y = matrix[:, :2] @ [x, y] + matrix[:, 2:]
    angle = math.radians(moved.angle_deg)
    u = (x - moved.x_px) * math.cos(angle) + (y - moved.y_px) * math.sin(angle)
    v = (y - moved.y_px) * math.cos(angle) - (x - moved.x_px) * math.sin(angle)
    assert np.hypot(2 * u / moved.major_px, 2 * v / moved.minor_px) == pytest.approx(1.0, abs=1e-6)
    assert moved.major_px >= moved.minor_px and 0 <= moved.angle_deg < 180
