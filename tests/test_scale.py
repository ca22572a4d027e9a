"""Whether a calibrated scale belongs to an image."""

import dataclasses
import math

import cv2
import numpy as np
import pytest
from faces import CLADDING_UM, face_scene, shipped_config
from hypothesis import given
from hypothesis import strategies as st

from calibration import Calibration
from cli.job_settings import choose_settings
from records import Ellipse, Fiber, Scale
from rendering.engine import render
from rendering.scene import Frame
from scale_and_zones import choose_scale
from vision.scale import axes_um, roundness_warnings, size_warnings


@pytest.mark.parametrize(
    ("shape", "factor"),
    [((768, 1024), "0.5 times"), ((3072, 4096), "2 times"), ((1536, 1024), None), ((1536, 1900), None)],
)
def test_an_image_of_another_size(shape, factor):
    (warning,) = size_warnings(shape, (2048, 1536))
    assert "2048x1536" in warning and f"{shape[1]}x{shape[0]}" in warning and "calibrate at this size" in warning
    assert ("binned or resized" in warning) == (factor is not None)
    assert factor is None or factor in warning


@pytest.mark.parametrize(("width", "same"), [(1000, True), (1005, True), (996, True), (1007, False), (993, False)])
def test_half_a_percent_is_rounding(width, same):
    assert ("resized" in size_warnings((1000, width), (2000, 2000))[0]) is same


@pytest.mark.parametrize("size", [None, (1024, 768)])
def test_an_image_of_the_calibrated_size(size):
    assert size_warnings((768, 1024), size) == []


@given(st.floats(0.1, 4), st.floats(0.5, 2), st.floats(0, 180), st.floats(0.8, 1))
def test_axes_in_micrometres_keep_the_area(x, aspect, angle, ratio):
    ellipse = Ellipse(5.0, 9.0, 200.0, 200.0 * ratio, angle)
    long, short = axes_um(ellipse, um_per_px_x=x, um_per_px_y=x * aspect)
    assert long >= short
    assert long * short == pytest.approx(200 * 200 * ratio * x * x * aspect)
    if aspect == 1:
        assert (long, short) == pytest.approx((200 * x, 200 * ratio * x))


def test_pixels_that_are_not_square_explain_an_upright_ellipse_only():
    limits = {"um_per_px_x": 0.5, "um_per_px_y": 0.6, "max_difference_share": 0.03}
    wide = Ellipse(0.0, 0.0, 240.0, 200.0, 0.0)  # half axes as 1 / 0.5 and 1 / 0.6
    assert axes_um(wide, um_per_px_x=0.5, um_per_px_y=0.6) == pytest.approx((120, 120))
    assert roundness_warnings(wide, **limits) == []
    (warning,) = roundness_warnings(dataclasses.replace(wide, angle_deg=90.0), **limits)
    assert "144.0 um long" in warning and "100.0 um wide" in warning and "44.0%" in warning


@pytest.mark.parametrize(("polish_deg", "warned"), [(0, False), (8, False), (12, False), (15, True), (30, True)])
def test_an_angled_polish_beyond_the_limit(polish_deg, warned):
    cladding = Ellipse(0.0, 0.0, 200.0 / math.cos(math.radians(polish_deg)), 200.0, 35.0)
    found = roundness_warnings(cladding, um_per_px_x=0.5, um_per_px_y=0.5, max_difference_share=0.03)
    assert bool(found) is warned


def test_a_rendered_fibre_in_pixels_that_are_not_square():
    grey = render(face_scene(frame=Frame(400, 300, pixel_aspect=1.1))).image
    rows, cols = np.nonzero(cv2.GaussianBlur(grey, (0, 0), 2) < 135)
    near = np.hypot(rows - 143, cols - 211) < 110
    hull = cv2.convexHull(np.column_stack([cols[near], rows[near]]).astype(np.int32))
    (x, y), (first, second), angle = cv2.fitEllipse(hull)
    turned = Ellipse(x, y, max(first, second), min(first, second), (angle + 90 * (second > first)) % 180)
    assert roundness_warnings(turned, um_per_px_x=0.55, um_per_px_y=0.5, max_difference_share=0.03) == []
    assert roundness_warnings(turned, um_per_px_x=0.5, um_per_px_y=0.5, max_difference_share=0.03) != []


# --- what the inspection makes of it -------------------------------------------------------------------------------


def chosen(cladding: Ellipse, calibration: Calibration, **options: object) -> tuple[Scale, list[str]]:
    return choose_scale(Fiber(cladding), (300, 400), choose_settings(shipped_config(), calibration, **options))


def test_pixels_that_are_not_square_have_the_scale_that_keeps_areas():
    uneven = Calibration(0.5, 0.4, 0.625)
    scale, warnings = chosen(Ellipse(211.0, 143.0, 225.0, 144.0, 0.0), uneven)  # 90 um round
    assert (scale.um_per_px, warnings) == (pytest.approx(0.5), [])
    assert 225 * 144 * scale.um_per_px**2 == pytest.approx(90**2)
    assert "the wrong calibration" in chosen(Ellipse(211.0, 143.0, 180.0, 180.0, 0.0), uneven)[1][0]


@given(st.floats(1e-6, 1e6))
def test_square_pixels_have_exactly_their_scale(um_per_px):
    assert Calibration(um_per_px, um_per_px, um_per_px).mean_um_per_px == um_per_px


@pytest.mark.parametrize("options", [{}, {"core_um": 9.0, "cladding_um": CLADDING_UM}])
def test_a_calibration_is_doubted_whether_it_is_used_or_compared(options):
    um_per_px = CLADDING_UM / 180
    calibration = Calibration(um_per_px, um_per_px, um_per_px, image_size_px=(640, 480))
    size, shape = chosen(Ellipse(211.0, 143.0, 200.0, 162.0, 20.0), calibration, **options)[1]
    assert "640x480" in size and "400x300" in size
    assert "By calibration.json" in shape
