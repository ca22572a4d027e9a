"""Stage micrometers: the scale against rendered truth and against itself."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from metrology.fit import fit_marks
from metrology.target import LINE_RULER, measure_target
from rendering.targets import render_ruler

SIZE = (360, 280)


@pytest.mark.parametrize("rotation_deg", [0.0, 30.0, 90.0, 135.0, 179.0])
@pytest.mark.parametrize("spacing_px", [6.3, 16.0, 37.0])
def test_scale_and_direction(spacing_px, rotation_deg):
    picture, truth = render_ruler(
        size=SIZE, spacing_px=spacing_px, rotation_deg=rotation_deg, tick_length_px=70, noise_grey=3
    )
    scale = measure_target(picture)
    assert scale.kind == LINE_RULER
    assert scale.um_per_px == pytest.approx(truth.um_per_px, rel=3e-4)
    assert scale.um_per_px == scale.um_per_px_x == scale.um_per_px_y
    assert abs((scale.rotation_deg - rotation_deg + 90) % 180 - 90) < 0.1
    assert any("measures one direction only" in warning for warning in scale.warnings)


@pytest.mark.parametrize(
    "options",
    [
        {"bright_ticks": True},
        {"tick_share": 0.5, "longer_ticks": False},
        {"missing_share": 0.15},
        {"gradient": 0.5, "vignetting": 0.2},
        {"dust": 40, "scratches": 3},
        {"blur_px": 2.2},
        {"k1": 0.02},
        {"k1": -0.02},
        {"tick_length_px": 40},
        {"tick_length_px": 400, "offset_px": (0.0, 60.0)},
    ],
    ids=lambda options: ",".join(options),
)
def test_disturbances(options):
    options = {"spacing_px": 18, "rotation_deg": 25, "tick_length_px": 90, "noise_grey": 5, **options}
    picture, truth = render_ruler(size=SIZE, **options)
    scale = measure_target(picture)
    assert scale.um_per_px == pytest.approx(truth.um_per_px, rel=1e-3)
    assert abs(scale.um_per_px - truth.um_per_px) < 4 * scale.uncertainty_um_per_px


def test_ticks_are_counted_over_gaps():
    picture, truth = render_ruler(
        size=SIZE, spacing_px=20, rotation_deg=40, missing_share=0.2, tick_length_px=80, seed=3
    )
    scale = measure_target(picture)
    marks = scale.marks
    assert (marks.row == 0).all()
    assert np.ptp(marks.column) + 1 > len(marks.column) == scale.marks_used
    places = np.stack([marks.x_px, marks.y_px], axis=1) - truth.origin_px
    along = (places @ np.linalg.inv(truth.to_px).T)[:, 0]
    assert np.abs(along - np.rint(along)).max() < 0.02
    assert np.ptp(np.abs(np.rint(along) - np.rint(along)[0])) == np.ptp(np.abs(marks.column - marks.column[0]))


def test_distortion_and_few_ticks_are_mentioned():
    picture, _ = render_ruler(size=SIZE, spacing_px=12, k1=0.03)
    assert any("The lens distorts" in warning for warning in measure_target(picture).warnings)
    picture, _ = render_ruler(size=SIZE, spacing_px=50)
    assert any("ticks only" in warning for warning in measure_target(picture).warnings)


def test_turning_mirroring_inverting_and_doubling():
    picture, _ = render_ruler(size=SIZE, spacing_px=15, rotation_deg=20, tick_length_px=80, gradient=0.3, noise_grey=2)
    copy = picture.copy()
    before = measure_target(picture, kind="ruler").um_per_px
    assert (picture == copy).all()
    for other in (picture.T, picture[:, ::-1], 255 - picture):
        assert measure_target(other).um_per_px == pytest.approx(before, rel=2e-4)
    double = cv2.resize(picture, None, fx=2, fy=2, interpolation=cv2.INTER_LINEAR)
    assert measure_target(double).um_per_px == pytest.approx(before / 2, rel=2e-4)
    assert measure_target(picture, spacing_um=100).um_per_px == pytest.approx(10 * before, rel=1e-12)


def test_marks_far_off_do_not_tilt_the_fit():
    index = np.repeat(np.arange(8.0), 15)
    across = np.tile(np.arange(-70.0, 80.0, 10.0), 8)
    along = 5 + 75.0 * index + np.random.default_rng(0).normal(0, 0.01, len(index))
    along[(index >= 6) & (across > 30)] -= 4.0
    along[(index <= 1) & (across < -30)] += 4.0
    design = np.stack([np.ones(len(index)), index, across], axis=1)[:, None, :]
    fit = fit_marks(design, along[:, None], index)
    assert fit.parameters == pytest.approx([5.0, 75.0, 0.0], abs=0.01)
    assert fit.used.sum() == pytest.approx(len(index) - 16, abs=2)
