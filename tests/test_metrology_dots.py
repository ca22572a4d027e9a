"""Dot grids: the scale and what else is measured, against rendered truth and against itself."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metrology.dots import find_candidates, refine_centres
from metrology.target import DOT_GRID, measure_dots, measure_target
from rendering.targets import render_dot_grid

SIZE = (360, 280)


def _scale(picture, **options):
    return measure_target(picture, kind="dots", **options)


@pytest.mark.parametrize("rotation_deg", [0.0, 7.0, 30.0, 45.0])
@pytest.mark.parametrize("spacing_px", [8.0, 21.0, 50.0])
def test_scale_and_rotation(spacing_px, rotation_deg):
    picture, truth = render_dot_grid(size=SIZE, spacing_px=spacing_px, rotation_deg=rotation_deg, noise_grey=3)
    scale = measure_target(picture)
    assert scale.kind == DOT_GRID
    assert scale.um_per_px == pytest.approx(truth.um_per_px, rel=2e-4)
    assert scale.um_per_px_x == pytest.approx(truth.um_per_px_x, rel=5e-4)
    assert scale.um_per_px_y == pytest.approx(truth.um_per_px_y, rel=5e-4)
    assert abs((scale.rotation_deg - rotation_deg + 45) % 90 - 45) < 0.05
    assert scale.image_size_px == SIZE
    assert 0 < scale.marks_used <= scale.marks_found


def test_every_mark_gets_its_place_on_the_target():
    picture, truth = render_dot_grid(
        size=SIZE, spacing_px=20, rotation_deg=33, missing_share=0.3, dust=20, scratches=2, k1=0.02, noise_grey=4
    )
    marks = _scale(picture).marks
    centre = (np.array(SIZE) - 1) / 2
    local = np.stack([marks.x_px, marks.y_px], axis=1) - centre
    swell = 1 + truth.k1 * (local**2).sum(axis=1) / (np.hypot(*SIZE) / 2) ** 2
    on_target = (local * swell[:, None]) @ np.linalg.inv(truth.to_px).T
    # the count may start at any dot and run in any of four directions
    offset = on_target - np.rint(on_target)
    assert np.abs(offset).max() < 0.02
    step = np.linalg.lstsq(
        np.stack([marks.column, marks.row, np.ones(len(local))], axis=1), np.rint(on_target), rcond=None
    )
    assert np.allclose(step[0], np.rint(step[0]), atol=1e-6)
    assert len(set(zip(marks.column, marks.row, strict=True))) == len(local)
    assert len(marks.residual_x_px) == len(marks.residual_y_px) == len(local)


@pytest.mark.parametrize("dot_share", [0.3, 0.6])
@pytest.mark.parametrize("spacing_px", [8.3, 17.7, 41.1])
def test_centres_are_unbiased(spacing_px, dot_share):
    # an uneven spacing puts the dots at all places between pixels
    picture, truth = render_dot_grid(
        size=SIZE, spacing_px=spacing_px, rotation_deg=11, dot_share=dot_share, gradient=0.4, vignetting=0.2
    )
    marks = _scale(picture).marks
    places = np.stack([marks.x_px, marks.y_px], axis=1) - truth.origin_px
    index = np.rint(places @ np.linalg.inv(truth.to_px).T)
    off = places - index @ truth.to_px.T
    assert np.abs(off.mean(axis=0)).max() < 0.02
    assert np.sqrt((off**2).mean()) < 0.02


def test_a_single_dot_is_centred_wherever_it_lies():
    rows, columns = np.indices((41, 41))
    for x, y in [(20.0, 20.0), (20.3, 19.6), (20.5, 20.5)]:
        dot = np.clip(6.5 - np.hypot(columns - x, rows - y), 0, 1)
        centres, trusted = refine_centres(dot, np.array([[20.0, 20.0]]), window_px=10)
        assert trusted.all()
        assert centres[0] == pytest.approx([x, y], abs=0.01)


def test_dots_at_the_border_are_left_out():
    picture = np.full((60, 80), 200, np.uint8)
    cv2.circle(picture, (40, 30), 6, 40, cv2.FILLED)
    cv2.circle(picture, (1, 30), 6, 40, cv2.FILLED)
    candidates = find_candidates(picture.astype(np.float32), bright=False)
    assert candidates.points == pytest.approx(np.array([[40.0, 30.0]]), abs=0.1)


def test_pixels_that_are_not_square():
    picture, truth = render_dot_grid(size=SIZE, spacing_px=20, x_stretch=1.02, shear_deg=0.8, rotation_deg=5)
    scale = _scale(picture)
    assert scale.um_per_px == pytest.approx(truth.um_per_px, rel=2e-4)
    assert scale.um_per_px_x == pytest.approx(truth.um_per_px_x, rel=5e-4)
    assert scale.um_per_px_y == pytest.approx(truth.um_per_px_y, rel=5e-4)
    assert scale.shear_deg == pytest.approx(truth.shear_deg, abs=0.05)
    assert any("The pixels are not square" in warning and "%" in warning for warning in scale.warnings)
    assert any("degrees apart on the target instead of 90" in warning for warning in scale.warnings)


@pytest.mark.parametrize("k1", [-0.02, 0.02])
def test_distortion_is_measured_and_the_central_scale_holds(k1):
    picture, truth = render_dot_grid(size=SIZE, spacing_px=16, rotation_deg=20, k1=k1)
    scale = _scale(picture)
    reach = np.hypot(scale.marks.x_px - (SIZE[0] - 1) / 2, scale.marks.y_px - (SIZE[1] - 1) / 2).max()
    half_diagonal = np.hypot(*SIZE) / 2
    assert scale.um_per_px == pytest.approx(truth.um_per_px, rel=3e-4)
    assert scale.distortion_px == pytest.approx(abs(k1) * reach**3 / half_diagonal**2, rel=0.05)
    assert any("The lens distorts" in warning and "px" in warning for warning in scale.warnings)


def test_a_plain_picture_earns_no_warning():
    picture, _ = render_dot_grid(size=SIZE, spacing_px=20, rotation_deg=10, noise_grey=3)
    scale = _scale(picture)
    assert scale.warnings == ()
    assert scale.distortion_px < 0.05


def test_few_dots_are_mentioned():
    picture, _ = render_dot_grid(size=SIZE, spacing_px=60)
    assert any(f"rests on {15} dots only" in warning for warning in _scale(picture).warnings)


@pytest.fixture(scope="module")
def scene():
    return render_dot_grid(
        size=SIZE, spacing_px=18, rotation_deg=12, missing_share=0.1, gradient=0.3, noise_grey=2, dust=10
    )[0]


def test_turning_mirroring_and_inverting_change_nothing(scene):
    before = _scale(scene)
    for other in (scene.T, scene[:, ::-1], scene[::-1, ::-1], 255 - scene):
        assert _scale(other).um_per_px == pytest.approx(before.um_per_px, rel=1e-4)
    assert _scale(scene.T).um_per_px_x == pytest.approx(before.um_per_px_y, rel=2e-4)


def test_twice_the_pixels_are_half_the_scale(scene):
    before = _scale(scene)
    double = cv2.resize(scene, None, fx=2, fy=2, interpolation=cv2.INTER_LINEAR)
    assert _scale(double).um_per_px == pytest.approx(before.um_per_px / 2, rel=2e-4)


def test_twice_the_spacing_is_twice_the_scale(scene):
    assert _scale(scene, spacing_um=20).um_per_px == pytest.approx(2 * _scale(scene).um_per_px, rel=1e-12)


def test_depth_and_type_of_the_picture_do_not_matter(scene):
    before = _scale(scene).um_per_px
    for other in (scene.astype(np.uint16) * 200, scene.astype(np.float32) / 300, scene.astype(float) / 300):
        assert _scale(other).um_per_px == pytest.approx(before, rel=1e-5)


def test_the_picture_is_left_alone(scene):
    copy = scene.copy()
    _scale(scene)
    assert (scene == copy).all()
    points = np.stack(np.meshgrid(np.arange(5.0), np.arange(5.0)), axis=-1).reshape(-1, 2) * 20
    before = points.copy()
    measure_dots(points, image_size_px=(100, 100))
    assert (points == before).all()


@settings(max_examples=25, deadline=None)
@given(
    spacing=st.floats(6, 80),
    angle=st.floats(0, 360),
    columns=st.integers(6, 12),
    rows=st.integers(6, 12),
    seed=st.integers(0, 1000),
)
def test_a_list_of_dots_gives_back_its_spacing(spacing, angle, columns, rows, seed):
    random = np.random.default_rng(seed)
    grid = np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), axis=-1).reshape(-1, 2) - 3.0
    turn = np.radians(angle)
    points = spacing * grid @ np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]]) + 500
    points = random.permutation(points)[: int(0.8 * len(points))]
    scale = measure_dots(points, image_size_px=(1000, 1000), spacing_um=5)
    assert scale.um_per_px == pytest.approx(5 / spacing, rel=1e-9)
    assert scale.marks_used == len(points)
    assert abs((scale.rotation_deg - angle + 45) % 90 - 45) < 1e-6
