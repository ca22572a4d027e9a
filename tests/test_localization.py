"""Finding the fibre and its core in rendered scenes with truth, and in frames that show none."""

from __future__ import annotations

import dataclasses
import functools
import math

import cv2
import numpy as np
import pytest
from faces import clean_grey, face_scene, pit, shipped_config

from evaluation.truth import parse_fiber
from image_processing import Located, locate
from records import Ellipse, Fiber
from rendering.engine import Rendering, render
from rendering.scene import FIBRE_KINDS, AdhesiveLook, CoreLook, Face, FerruleLook, FibreView, Frame, Optics, RingLook
from vision.core import measure_core_px
from vision.preprocess import preprocess

CONFIG = shipped_config()
MULTIMODE, LARGE_CORE = FIBRE_KINDS[1], FIBRE_KINDS[3]
VIEW = FibreView(MULTIMODE, x_px=171.3, y_px=137.6, radius_px=92.4)
LIT = Face(165.0, 80.0, core=CoreLook(step_grey=60.0))


def find(grey: np.ndarray, core_um: float | None = None, cladding_um: float | None = None) -> Located:
    prepared = preprocess(grey, None, CONFIG.preprocessing)
    return locate(prepared, CONFIG.localization, core_um=core_um, cladding_um=cladding_um)


def located(grey: np.ndarray, **dimensions: float) -> Fiber:
    found = find(grey, **dimensions)
    assert found.fiber is not None, found.reason
    return found.fiber


@functools.cache
def clean_cladding() -> Ellipse:
    return located(clean_grey()).cladding


def face(**changes: object) -> Rendering:
    return render(face_scene(**{"fibre": VIEW, "face": LIT, **changes}))


def assert_close(found: Ellipse, truth: Ellipse, tolerance_px: float = 0.5) -> None:
    assert math.hypot(found.x_px - truth.x_px, found.y_px - truth.y_px) <= tolerance_px
    assert found.mean_radius_px == pytest.approx(truth.mean_radius_px, abs=tolerance_px)


# --- the cladding --------------------------------------------------------------------------------------------------


LOOKS = {
    "plain": {},
    "portrait": {"frame": Frame(300, 400), "fibre": dataclasses.replace(VIEW, x_px=131.2, y_px=260.8)},
    "small": {"fibre": dataclasses.replace(VIEW, x_px=284.7, y_px=178.1, radius_px=60.5)},
    "dark-field": {"face": dataclasses.replace(LIT, ferrule_grey=25.0, cladding_grey=110.0)},
    "unlit": {"face": Face(170.0, 80.0)},
    "dark-core": {"face": dataclasses.replace(LIT, core=CoreLook(step_grey=-40.0))},
    "grain": {"face": dataclasses.replace(LIT, ferrule=FerruleLook(grain_grey=6.0))},
    "noisy": {"optics": Optics(blur_px=2.5, shot_gain=0.05, read_sigma=2.0)},
    "jpeg": {"optics": Optics(jpeg_quality=60)},
    "border": {"frame": Frame(400, 300, border_px=(30, 8, 0, 0), border_line_grey=230.0)},
}


@pytest.mark.parametrize("changes", LOOKS.values(), ids=LOOKS)
def test_an_off_centre_fibre_in_a_non_square_image(changes):
    rendering = face(**changes)
    fiber = located(rendering.image)
    assert_close(fiber.cladding, parse_fiber(rendering.truth["fiber"]).cladding)
    assert fiber.score > 0.9


@pytest.mark.parametrize(
    ("aspect", "tilt_deg", "direction_deg"), [(1.09, 0, 0), (0.92, 0, 0), (1.0, 16, 30), (1.09, 12, 70)]
)
def test_the_ellipse_of_wide_pixels_and_of_a_tilted_face(aspect, tilt_deg, direction_deg):
    view = dataclasses.replace(VIEW, tilt_deg=tilt_deg, tilt_direction_deg=direction_deg)
    rendering = face(frame=Frame(400, 300, aspect), fibre=view)
    truth, found = parse_fiber(rendering.truth["fiber"]).cladding, located(rendering.image).cladding
    assert_close(found, truth)
    assert found.major_px == pytest.approx(truth.major_px, abs=1.0)
    assert found.minor_px == pytest.approx(truth.minor_px, abs=1.0)
    assert abs((found.angle_deg - truth.angle_deg + 90) % 180 - 90) < 5


@pytest.mark.parametrize("kind", [MULTIMODE, LARGE_CORE], ids=lambda kind: kind.name)
def test_a_bright_core_is_not_taken_for_the_cladding(kind):
    view = dataclasses.replace(VIEW, kind=kind)
    rendering = face(fibre=view, face=Face(95.0, 55.0, core=CoreLook(step_grey=180.0)))
    assert_close(located(rendering.image).cladding, parse_fiber(rendering.truth["fiber"]).cladding)


@pytest.mark.parametrize(
    "changes",
    [
        {"rings": (RingLook(75.0, line_grey=14.0), RingLook(55.0, step_grey=-12.0))},
        {"adhesive": AdhesiveLook(width_px=5.0, grey=25.0)},
        {"adhesive": AdhesiveLook(width_px=6.5, grey=25.0)},
        {"adhesive": AdhesiveLook(width_px=5.0, grey=200.0)},
        {"adhesive": AdhesiveLook(width_px=5.0, grey=120.0)},
    ],
    ids=["deposition rings", "dark adhesive", "wide dark adhesive", "bright adhesive", "middle grey adhesive"],
)
def test_other_rings_are_not_taken_for_the_cladding(changes):
    rendering = face(face=dataclasses.replace(LIT, **changes))
    assert_close(located(rendering.image).cladding, parse_fiber(rendering.truth["fiber"]).cladding, tolerance_px=1.0)


def test_a_dark_line_no_wider_than_the_blur_is_part_of_the_edge():
    width_px = 1.5
    rendering = face(face=dataclasses.replace(LIT, adhesive=AdhesiveLook(width_px=width_px, grey=25.0)))
    truth = parse_fiber(rendering.truth["fiber"]).cladding
    outer_px = truth.mean_radius_px + width_px
    assert located(rendering.image).cladding.mean_radius_px == pytest.approx(outer_px, abs=0.7)


def test_marks_do_not_pull_the_ellipse():
    marks = (pit(88.0, 0.0, 30.0), pit(-60.0, -60.0, 24.0, seed=1), pit(0.0, 20.0, 24.0, seed=2))
    rendering = face(marks=marks)
    assert_close(located(rendering.image).cladding, parse_fiber(rendering.truth["fiber"]).cladding)


@pytest.mark.parametrize(("x_px", "y_px"), [(55.0, 137.6), (171.3, 255.0)])
def test_a_fibre_cut_by_the_frame(x_px, y_px):
    rendering = face(fibre=dataclasses.replace(VIEW, x_px=x_px, y_px=y_px))
    assert_close(located(rendering.image).cladding, parse_fiber(rendering.truth["fiber"]).cladding, tolerance_px=1.0)


# --- the same end face seen otherwise ------------------------------------------------------------------------------


@pytest.mark.parametrize(("dx", "dy"), [(70, 25)])
def test_a_shifted_image_gives_a_shifted_fibre(dx, dy):
    whole, moved = clean_cladding(), located(clean_grey()[dy:, dx:]).cladding
    assert_close(moved, dataclasses.replace(whole, x_px=whole.x_px - dx, y_px=whole.y_px - dy), tolerance_px=0.1)


@pytest.mark.parametrize(("factor", "how"), [(0.5, cv2.INTER_AREA), (2.0, cv2.INTER_CUBIC)])
def test_a_resized_image_gives_a_resized_fibre(factor, how):
    once = clean_cladding()
    other = located(cv2.resize(clean_grey(), None, fx=factor, fy=factor, interpolation=how)).cladding
    assert (other.x_px + 0.5) / factor - 0.5 == pytest.approx(once.x_px, abs=0.3)
    assert (other.y_px + 0.5) / factor - 0.5 == pytest.approx(once.y_px, abs=0.3)
    assert other.mean_radius_px / factor == pytest.approx(once.mean_radius_px, abs=0.3)


@pytest.mark.parametrize(("gain", "offset"), [(0.4, 50), (-1.0, 255)])
def test_brightness_and_polarity_do_not_move_the_fibre(gain, offset):
    other = np.clip(np.rint(gain * clean_grey() + offset), 0, 255).astype(np.uint8)
    assert_close(located(other).cladding, clean_cladding(), tolerance_px=0.2)


def test_a_mirrored_image_gives_a_mirrored_fibre():
    once, other = clean_cladding(), located(clean_grey()[:, ::-1].copy()).cladding
    assert_close(other, dataclasses.replace(once, x_px=399 - once.x_px), tolerance_px=0.2)


# --- no fibre ------------------------------------------------------------------------------------------------------


def noise(shape: tuple[int, int], smooth_px: float = 0.0) -> np.ndarray:
    values = np.random.default_rng(3).normal(0, 1, shape)
    if smooth_px:
        values = cv2.GaussianBlur(values, (0, 0), smooth_px)
    return np.clip(120 + 40 * values / values.std(), 0, 255).astype(np.uint8)


ROWS, COLS = np.mgrid[:240, :320]
NO_FIBRE = {
    "black": np.zeros((240, 320), np.uint8),
    "white": np.full((240, 320), 255, np.uint8),
    "one pixel": np.full((1, 1), 77, np.uint8),
    "ten pixels": noise((10, 10)),
    "one row": noise((1, 320)),
    "noise": noise((240, 320)),
    "smooth noise": noise((240, 320), 8.0),
    "gradient": (ROWS / 2 + COLS / 4).astype(np.uint8),
    "stripes": np.where(COLS // 20 % 2, 60, 180).astype(np.uint8),
    "half": np.where(COLS > 160, 60, 180).astype(np.uint8),
    "half a disc": np.where((np.hypot(ROWS - 120, COLS - 160) < 80) & (ROWS < 120), 60, 180).astype(np.uint8),
    "square": np.where((abs(ROWS - 120) < 70) & (abs(COLS - 160) < 70), 60, 180).astype(np.uint8),
}


@pytest.mark.parametrize("name", NO_FIBRE)
def test_a_frame_without_a_fibre_gives_a_reason_and_never_a_guess(name):
    found = find(NO_FIBRE[name])
    assert found.fiber is None
    assert len(found.reason.split()) > 3
    assert 0 <= found.score < 1


# --- the core ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "step_grey"), [(MULTIMODE, 60.0), (MULTIMODE, 10.0), (MULTIMODE, -20.0), (LARGE_CORE, 90.0)]
)
def test_a_visible_core_is_measured(kind, step_grey):
    rendering = face(fibre=dataclasses.replace(VIEW, kind=kind), face=Face(165.0, 80.0, core=CoreLook(step_grey)))
    fiber = located(rendering.image)
    assert fiber.core_source == "measured"
    assert fiber.core_diameter_px == pytest.approx(rendering.truth["fiber"]["core_diameter_px"], abs=1.0)


def test_a_core_that_cannot_be_seen_is_nominal_or_unknown():
    grey = face(face=Face(165.0, 80.0)).image
    unknown, nominal = located(grey), located(grey, core_um=50.0, cladding_um=125.0)
    assert unknown.core_source == "unknown" and math.isnan(unknown.core_diameter_px)
    assert nominal.core_source == "nominal"
    assert nominal.core_diameter_px == pytest.approx(2 * nominal.cladding.mean_radius_px * 50 / 125)
    assert located(grey, core_um=50.0).core_source == "unknown"  # without a scale 50 um are no pixels


@pytest.mark.parametrize("line_grey", [2.0, 5.0, -5.0])
def test_a_deposition_ring_is_not_the_core(line_grey):
    ring = RingLook(0.58 * VIEW.radius_px, line_grey)
    assert located(face(face=Face(165.0, 80.0, rings=(ring,))).image).core_source == "unknown"


def test_a_nominal_diameter_does_not_replace_the_measured_one():
    grey = face().image
    free, guided = located(grey), located(grey, core_um=52.0, cladding_um=125.0)
    assert guided.core_source == "measured"
    assert guided.core_diameter_px == pytest.approx(free.core_diameter_px, abs=0.5)


def test_a_step_far_from_the_nominal_diameter_is_not_the_core():
    fiber = located(face().image, core_um=100.0, cladding_um=125.0)
    assert fiber.core_source == "nominal"


def test_no_core_in_a_flat_cladding_or_in_pure_noise():
    cladding = Ellipse(160.0, 120.0, 180.0, 180.0, 0.0)
    for grey in (np.full((240, 320), 90, np.uint8), noise((240, 320))):
        assert math.isnan(measure_core_px(grey, cladding, math.nan, CONFIG.localization.core))


# --- house rules ---------------------------------------------------------------------------------------------------


def test_the_same_image_gives_the_same_fibre_and_is_not_changed():
    grey = clean_grey().copy()
    assert find(grey) == find(grey)
    np.testing.assert_array_equal(grey, clean_grey())
