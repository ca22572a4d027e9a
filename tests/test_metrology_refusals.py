"""Pictures and lists that hold no measurable target are refused with a sentence and a remedy."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from errors import CalibrationError
from metrology.target import TargetLimits, measure_dots, measure_target
from rendering.targets import render_dot_grid, render_ruler

SAMPLES = Path(__file__).parent.parent / "samples"
SHAPE = (280, 360)
SIZE = SHAPE[::-1]


def _refusal(picture, **options) -> str:
    with pytest.raises(CalibrationError) as caught:
        measure_target(picture, **options)
    assert caught.value.remedy.endswith(".")
    assert caught.value.message.endswith(".")
    return caught.value.message


def _noise(sigma: float) -> np.ndarray:
    return np.clip(np.random.default_rng(0).normal(120, sigma, SHAPE), 0, 255).astype(np.uint8)


def _checkerboard(side: int) -> np.ndarray:
    return (np.indices(SHAPE) // side).sum(axis=0).astype(np.uint8) % 2 * 150 + 50


def _discs(points, radius: int = 6) -> np.ndarray:
    picture = np.full(SHAPE, 200, np.uint8)
    for x, y in points:
        cv2.circle(picture, (round(x), round(y)), radius, 40, cv2.FILLED, cv2.LINE_AA)
    return picture


def _hexagonal() -> np.ndarray:
    return _discs([(i * 24 + j % 2 * 12, j * 20.8) for i in range(16) for j in range(14)])


def _scattered() -> np.ndarray:
    return _discs(np.random.default_rng(1).uniform(0, 1, (90, 2)) * SIZE, radius=4)


def _overlaid() -> np.ndarray:
    first, _ = render_dot_grid(size=SIZE, spacing_px=22)
    second, _ = render_dot_grid(size=SIZE, spacing_px=29, rotation_deg=17, dot_share=0.4)
    return np.minimum(first, second)


def _halves() -> np.ndarray:
    first, _ = render_dot_grid(size=SIZE, spacing_px=20)
    second, _ = render_dot_grid(size=SIZE, spacing_px=25)
    return np.concatenate([first[:, :180], second[:, 180:]], axis=1)


def _uneven_ticks() -> np.ndarray:
    picture = np.full(SHAPE, 200, np.uint8)
    for x in np.cumsum(np.random.default_rng(2).uniform(8, 40, 14)):
        picture[80:200, int(x) : int(x) + 4] = 40
    return picture


@pytest.mark.parametrize("kind", ["auto", "dots", "ruler"])
@pytest.mark.parametrize(
    ("picture", "message"),
    [
        (np.zeros(SHAPE, np.uint8), "The picture is blank"),
        (np.full(SHAPE, 255, np.uint8), "The picture is blank"),
        (np.full(SHAPE, 120, np.uint8), "The picture is blank"),
        (np.zeros((1, 1), np.uint8), "The picture is too small: 1 x 1 px"),
        (np.zeros((20, 400), np.uint8), "The picture is too small: 400 x 20 px"),
        (np.zeros((90, 90, 3), np.uint8), "two axes"),
        (np.full(SHAPE, np.nan, np.float32), "not finite"),
        (np.clip(render_dot_grid(size=SIZE)[0] * 1.6, 0, 255).astype(np.uint8), "over-exposed: 7"),
    ],
)
def test_unusable_pictures(picture, message, kind):
    assert message in _refusal(picture, kind=kind)


@pytest.mark.parametrize(
    ("picture", "message"),
    [
        (_noise(8), "no regular square grid"),
        (_noise(60), "no regular square grid"),
        (_checkerboard(20), "as a checkerboard does"),
        (_hexagonal(), "no regular square grid"),
        (_scattered(), "no regular square grid"),
        (render_dot_grid(size=SIZE, spacing_px=24, jitter_px=4)[0], "no regular square grid"),
        (_overlaid(), "Two grids lie in the picture"),
        (_halves(), "Two grids lie in the picture"),
        (render_dot_grid(size=SIZE, spacing_px=110)[0], "Too few dots"),
        (render_dot_grid(size=SIZE, spacing_px=24, blur_px=5.5)[0], "The picture is blurred: the dots' edges"),
        (render_dot_grid(size=SIZE, spacing_px=24, blur_px=5.5, dot_share=0.3)[0], "The picture is blurred"),
    ],
)
def test_no_dot_grid(picture, message):
    assert message in _refusal(picture, kind="dots")
    _refusal(picture)


@pytest.mark.parametrize(
    ("picture", "message"),
    [
        (_noise(8), "The picture shows no ruler"),
        (_uneven_ticks(), "The picture shows no ruler"),
        (render_dot_grid(size=SIZE)[0], "The picture shows no ruler: the edges share no direction"),
        (render_ruler(size=SIZE, spacing_px=110)[0], "Too few ticks: 3 found"),
    ],
)
def test_no_ruler(picture, message):
    assert message in _refusal(picture, kind="ruler")


def test_a_picture_of_one_edge_is_refused():
    picture = np.full(SHAPE, 200, np.uint8)
    picture[:, 150:] = 40
    assert "Too few ticks" in _refusal(picture)


def test_marks_too_close_together():
    limits = TargetLimits(min_spacing_px=10)
    assert "only 8.0 px apart" in _refusal(render_dot_grid(size=SIZE, spacing_px=8)[0], limits=limits)
    assert "only 8.0 px apart" in _refusal(render_ruler(size=SIZE, spacing_px=8)[0], limits=limits)


@pytest.mark.parametrize("path", sorted(SAMPLES.glob("*.[pj][np]g")), ids=lambda path: path.name)
@pytest.mark.parametrize("kind", ["auto", "dots", "ruler"])
def test_end_faces_are_no_targets(path, kind):
    picture = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_GRAYSCALE)
    assert _refusal(picture, kind=kind)


@pytest.mark.parametrize("spacing_um", [0.0, -10.0, float("nan"), float("inf")])
def test_impossible_spacings(spacing_um):
    picture, _ = render_dot_grid(size=SIZE)
    assert "spacing of the target must be" in _refusal(picture, spacing_um=spacing_um)


def test_unknown_kind():
    assert "no target of kind 'hexagons'" in _refusal(render_dot_grid(size=SIZE)[0], kind="hexagons")


@pytest.mark.parametrize(
    ("points", "message"),
    [
        (np.zeros((0, 2)), "Too few dots: 0"),
        (np.full((20, 2), np.nan), "finite x, y pairs"),
        (np.zeros((20, 3)), "finite x, y pairs"),
        (np.zeros((20, 2)), "no regular square grid"),
        (np.random.default_rng(0).uniform(0, 300, (60, 2)), "no regular square grid"),
        (np.stack([np.arange(30.0) * 10, np.full(30, 50.0)], axis=1), "no regular square grid"),
    ],
)
def test_lists_of_dots_that_are_no_grid(points, message):
    with pytest.raises(CalibrationError, match=message):
        measure_dots(points, image_size_px=SIZE)


def test_saturation_below_the_limit_is_a_warning():
    picture, _ = render_dot_grid(size=SIZE, spacing_px=20)
    picture[:40] = np.where(picture[:40] > 190, 255, picture[:40])
    assert any("of the pixels are saturated" in warning for warning in measure_target(picture).warnings)
