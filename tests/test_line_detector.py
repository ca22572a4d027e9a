"""The line detector: lines of every direction, white noise, boundaries."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from faces import shipped_config

from records import Ellipse
from vision.line_detector import line_responses
from vision.residual import Residual
from vision.ring_frame import ring_frame
from vision.significance import Significance

LEI = shipped_config().detection.algorithms.lei
SHAPE = (260, 300)
FRAME = ring_frame(SHAPE, Ellipse(150.0, 130.0, 240.0, 240.0, 0.0), 126.0)
RADIUS_PX = 160.0


def noise(seed: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(SHAPE).astype(np.float32)


def responses(z: np.ndarray, edge: np.ndarray | None = None, **changes: object) -> tuple[np.ndarray, np.ndarray]:
    zero, one = np.zeros(SHAPE, np.float32), np.ones(SHAPE, np.float32)
    edge = zero if edge is None else edge
    residual = Residual(FRAME, zero, zero, one, edge, edge, FRAME.inside > 0, 60.0)
    return line_responses(Significance(z, z, z, z, z), residual, RADIUS_PX, replace(LEI, **changes))


def line(angle_deg: float, height: float, width_px: int = 2, length_px: float = 60.0) -> np.ndarray:
    """A line through the frame's centre."""
    step = 0.5 * length_px * np.array([np.cos(np.radians(angle_deg)), np.sin(np.radians(angle_deg))])
    ends = [(round(16 * x), round(16 * y)) for x, y in (np.array([150, 130]) - step, np.array([150, 130]) + step)]
    return height * cv2.line(np.zeros(SHAPE, np.float32), *ends, 1.0, width_px, cv2.LINE_AA, 4)


@pytest.mark.parametrize("angle_deg", [0.0, 13.0, 30.0, 45.0, 90.0, 118.0, 161.0])
@pytest.mark.parametrize("height", [-1.5, 1.5])
def test_a_line_that_no_pixel_shows_stands_out_in_every_direction(angle_deg, height):
    dark, bright = responses(noise() + line(angle_deg, height))
    own, other = (bright, dark) if height > 0 else (dark, bright)
    on_line = line(angle_deg, 1.0, 1, 30.0) > 0.5
    assert np.median(own[on_line]) > 1.2 * LEI.threshold_sigma > 2 * np.median(other[on_line])


@pytest.mark.parametrize("width_px", [2, 4, 7])
def test_lines_of_all_widths_stand_out(width_px):
    _, bright = responses(noise() + line(20.0, 1.5, width_px))
    assert bright[125:135, 145:155].max() > 1.5 * LEI.threshold_sigma


def test_the_response_lies_on_the_line():
    _, bright = responses(line(27.0, 2.0))
    rows, cols = np.nonzero(bright > 0.8 * bright.max())
    across = (rows - 130) * np.cos(np.radians(27)) - (cols - 150) * np.sin(np.radians(27))
    assert np.abs(across).mean() < 1.2 and abs(across.mean()) < 0.6


def test_white_noise_hardly_ever_reaches_the_threshold():
    dark, bright = responses(noise())
    assert max(np.mean(dark > LEI.threshold_sigma), np.mean(bright > LEI.threshold_sigma)) < 2e-4


def test_a_quiet_picture_is_not_turned_up():
    loud, quiet = responses(noise())[1], responses(0.1 * noise())[1]
    assert quiet.max() == pytest.approx(0.1 * loud.max(), rel=0.15)


def test_one_hot_pixel_is_no_line():
    z = noise()
    z[130, 150] = 1000.0
    _, bright = responses(z)
    assert bright[125:136, 145:156].max() < LEI.threshold_sigma


def test_a_line_along_an_uncertain_boundary_is_discounted_and_one_across_is_not():
    edge = np.full(SHAPE, 1.0, np.float32)
    ring = np.abs(FRAME.radius_px - 90) < 1.2
    arc = ring & (np.abs(FRAME.angle_rad - np.pi) < 0.25)
    spoke = (np.abs(np.indices(SHAPE)[0] - 130) < 1.2) & (np.abs(FRAME.radius_px - 60) < 25) & (FRAME.angle_rad < 1)
    z = 2.0 * (arc | spoke).astype(np.float32)
    _, certain = responses(z)
    _, uncertain = responses(z, edge)
    assert uncertain[arc].max() < 0.4 * certain[arc].max()
    assert uncertain[130, 210] > 0.8 * certain[130, 210]


def test_nothing_responds_outside_of_the_reach():
    dark, bright = responses(10 * noise())
    outside = FRAME.inside == 0
    assert not dark[outside].any() and not bright[outside].any()
