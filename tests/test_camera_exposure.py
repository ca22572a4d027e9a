"""The decisions of the exposure search on closed-form responses."""

from __future__ import annotations

import numpy as np
import pytest

from camera.exposure import ExposureGoal, FrameSeen, Outcome, conclude, look_at, next_exposure_us

GOAL = ExposureGoal()
LIMITS = (20.0, 500_000.0)


def search(response, start_us=10_000.0, limits=LIMITS, goal=GOAL):
    """Run the search; ``response`` maps an exposure (us) to (level, mean, saturated share)."""
    frames, wish = [], start_us
    while wish is not None:
        assert limits[0] <= wish <= limits[1]
        frames.append(FrameSeen(wish, *response(wish)))
        wish = next_exposure_us(frames, limits, goal)
        assert len(frames) <= goal.max_frames
    return conclude(frames, limits, goal)


def linear(full_us, offset=0.0, power=1.0):
    """Bright parts reach full scale at ``full_us``; beyond it they saturate, and so does more and more of the rest."""

    def respond(exposure_us):
        light = offset + (1.0 - offset) * (exposure_us / full_us) ** power
        saturated = 0.0 if light < 1.0 else min(1.0, 0.3 * light / (1.0 + light))
        return min(light, 1.0), 0.4 * min(light, 2.5), saturated

    return respond


@pytest.mark.parametrize("full_us", [60, 900, 9_000, 12_121, 70_000, 580_000])
@pytest.mark.parametrize("start_us", [20.0, 10_000.0, 500_000.0])
@pytest.mark.parametrize(("offset", "power"), [(0.0, 1.0), (0.05, 1.0), (0.0, 0.5), (0.1, 1.3)])
def test_search_ends_inside_the_goal(full_us, start_us, offset, power):
    result = search(linear(full_us, offset, power), start_us)
    last = result.frames[-1]
    assert result.outcome is Outcome.GOOD, result.message
    assert result.exposure_us == last.exposure_us
    assert GOAL.low_level <= last.level <= GOAL.high_level
    assert last.saturated_share <= GOAL.max_saturated_share


def test_linear_light_takes_two_frames():
    assert len(search(linear(20_000.0)).frames) == 2


def test_good_frame_is_kept():
    result = search(linear(10_000.0 / 0.82))
    assert (result.outcome, result.exposure_us, len(result.frames)) == (Outcome.GOOD, 10_000.0, 1)
    assert result.message == "Exposure 10000 us: the brightest parts at 82% of full scale, 0.00% saturated."


@pytest.mark.parametrize("response", [linear(5e7), lambda exposure: (0.0, 0.0, 0.0), lambda exposure: (0.1, 0.1, 0.0)])
def test_too_little_light_ends_at_the_longest_exposure(response):
    result = search(response)
    assert (result.outcome, result.exposure_us) == (Outcome.TOO_WEAK, LIMITS[1])
    assert result.message.startswith("The light is too weak: ")


@pytest.mark.parametrize("response", [linear(5.0), lambda exposure: (1.0, 1.0, 1.0)])
def test_too_much_light_ends_at_the_shortest_exposure(response):
    result = search(response)
    assert (result.outcome, result.exposure_us) == (Outcome.TOO_STRONG, LIMITS[0])
    assert result.message.startswith("The light is too strong: ")


@pytest.mark.parametrize("limits", [LIMITS, (2_000.0, 30_000.0)])
@pytest.mark.parametrize("seen", [(0.996, 0.5, 0.008), (0.5, 0.3, 0.0), (1.0, 0.6, 0.5)])
def test_picture_that_does_not_react_leaves_the_exposure(seen, limits):
    result = search(lambda exposure: seen, limits=limits)
    assert (result.outcome, result.exposure_us) == (Outcome.NO_REACTION, 10_000.0)
    assert "does not react" in result.message


def test_bright_specks_hold_the_exposure_down():
    """0.3 % of the pixels are three times as bright as the end face, so they saturate first."""

    def respond(exposure_us):
        light = exposure_us / 40_000.0
        return min(light, 1.0), 0.5 * min(light, 1.0), 0.003 if 3.0 * light >= 1.0 else 0.0

    result = search(respond)
    assert result.outcome is Outcome.HIGHLIGHTS, result.message
    assert result.exposure_us == pytest.approx(40_000.0 / 3.0, rel=0.06)
    assert result.exposure_us < 40_000.0 / 3.0


def test_coarse_steps_end_at_the_nearest_exposure():
    """The camera knows 10 and 20 ms only: 44 % or 88 % of full scale."""

    def respond(exposure_us):
        return (0.44, 0.2, 0.0) if exposure_us < 15_000.0 else (0.88, 0.4, 0.0)

    result = search(respond)
    assert result.outcome is Outcome.UNSETTLED
    assert min(result.frames, key=lambda each: abs(each.level - 0.825)).level == 0.88
    assert 15_000.0 <= result.exposure_us <= 20_000.0


@pytest.mark.parametrize("full_scale", [255, 1023, 4095, 65535])
def test_figures_of_a_frame(full_scale):
    dtype = np.uint8 if full_scale == 255 else np.uint16
    frame = np.zeros((20, 50), dtype)
    frame[:10] = full_scale // 2
    frame[0, :7] = full_scale
    before = frame.copy()
    seen = look_at(frame, 123.0, full_scale)
    np.testing.assert_array_equal(frame, before)
    assert seen.exposure_us == 123.0
    assert seen.saturated_share == pytest.approx(0.007)
    assert seen.level == 1.0
    assert seen.mean == pytest.approx(0.493 * (full_scale // 2) / full_scale + 0.007, abs=1e-6)


def test_specks_below_half_a_percent_do_not_make_the_level():
    frame = np.full((100, 100), 100, np.uint8)
    frame[0, :49] = 255
    assert look_at(frame, 1.0, 255).level == pytest.approx(100 / 255)
    frame[0, :51] = 255
    assert look_at(frame, 1.0, 255).level == 1.0
