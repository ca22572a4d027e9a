"""Which exposure to try next and when to stop: pure decisions on what was seen so far, no camera involved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from math import ceil

import cv2
import numpy as np

_TOP_SHARE_OF_SCALE = 0.995  # sensors often stop a little short of full scale
_QUANTILE = 0.995
_MAX_STEP = 8.0
_SETTLED_RATIO = 1.02
_NO_REACTION_RATIO = 16.0  # over such a span of exposures a picture that reacts changes its mean
_NO_REACTION_RATIO_AT_LIMIT = 2.0
_NO_REACTION_CHANGE = 0.005
_DARK_LEVEL = 0.25


class Outcome(Enum):
    """How the search ended."""

    GOOD = "good"
    HIGHLIGHTS = "highlights"
    TOO_WEAK = "too weak"
    TOO_STRONG = "too strong"
    NO_REACTION = "no reaction"
    UNSETTLED = "unsettled"


@dataclass(frozen=True)
class ExposureGoal:
    """A good frame: at most ``max_saturated_share`` of its pixels saturated, its 99.5 % quantile between the levels.

    Levels are shares of full scale; ``max_frames`` bounds the search.
    """

    low_level: float = 0.80
    high_level: float = 0.85
    max_saturated_share: float = 0.001
    max_frames: int = 10


@dataclass(frozen=True)
class FrameSeen:
    """Figures: ``level`` (99.5 % quantile) and ``mean`` as shares of full scale, ``saturated_share`` of its pixels."""

    exposure_us: float
    level: float
    mean: float
    saturated_share: float


@dataclass(frozen=True)
class ExposureResult:
    """The exposure to keep, how the search ended in a sentence, and every frame it looked at."""

    exposure_us: float
    outcome: Outcome
    message: str
    frames: tuple[FrameSeen, ...]


def look_at(frame: np.ndarray, exposure_us: float, full_scale: int) -> FrameSeen:
    """Figures of one (H, W) frame whose largest possible value is ``full_scale``."""
    counts = cv2.calcHist([frame], [0], None, [full_scale + 1], [0, full_scale + 1]).reshape(-1)
    shares = counts.astype(np.float64) / frame.size
    level = int(np.searchsorted(np.cumsum(shares), _QUANTILE)) / full_scale
    mean = float(shares @ np.arange(full_scale + 1)) / full_scale
    return FrameSeen(exposure_us, level, mean, float(shares[ceil(_TOP_SHARE_OF_SCALE * full_scale) :].sum()))


def next_exposure_us(frames: Sequence[FrameSeen], limits_us: tuple[float, float], goal: ExposureGoal) -> float | None:
    """The exposure to try after these frames, within the limits; None when the search is over.

    Grey grows with exposure, so a frame that is too dark or too bright bounds the answer from one side. Steps are
    proportional while nothing saturates, at most 8-fold, and halve the bracket (in ratio) where that would leave it.
    """
    if decide(frames, limits_us, goal) is not None:
        return None
    last = frames[-1]
    dark, bright = _bracket(frames, limits_us, goal)
    wish = last.exposure_us / _MAX_STEP
    if last.saturated_share <= goal.max_saturated_share:
        wish = last.exposure_us * min(_target(goal) / max(last.level, 1e-6), _MAX_STEP)
    elif last.saturated_share < 0.2:
        wish = last.exposure_us / 2.0
    is_bounded = len({_too_bright(each, goal) for each in frames}) == 2
    if is_bounded and not dark * _SETTLED_RATIO**0.5 < wish < bright / _SETTLED_RATIO**0.5:
        wish = (dark * bright) ** 0.5
    return min(max(wish, limits_us[0]), limits_us[1])


def decide(frames: Sequence[FrameSeen], limits_us: tuple[float, float], goal: ExposureGoal) -> Outcome | None:
    """How the search ends with these frames; None while it should go on."""
    last = frames[-1]
    if _is_good(last, goal):
        return Outcome.GOOD
    if _does_not_react(frames, _NO_REACTION_RATIO):
        return Outcome.NO_REACTION
    low_us, high_us = limits_us
    too_strong = _too_bright(last, goal) and last.exposure_us <= low_us * _SETTLED_RATIO
    too_weak = not _too_bright(last, goal) and last.exposure_us >= high_us / _SETTLED_RATIO
    if (too_strong or too_weak) and _does_not_react(frames, _NO_REACTION_RATIO_AT_LIMIT):
        return Outcome.NO_REACTION
    if too_strong or too_weak:
        return Outcome.TOO_STRONG if too_strong else Outcome.TOO_WEAK
    dark, bright = _bracket(frames, limits_us, goal)
    if bright / dark < _SETTLED_RATIO**2 or len(frames) >= goal.max_frames:
        best = _best(frames, goal)
        held_down = any(each.saturated_share > goal.max_saturated_share for each in frames)
        return Outcome.HIGHLIGHTS if held_down and not _too_bright(best, goal) else Outcome.UNSETTLED
    return None


def conclude(frames: Sequence[FrameSeen], limits_us: tuple[float, float], goal: ExposureGoal) -> ExposureResult:
    """The result of a search that is over: the best exposure seen, and a sentence on it."""
    outcome = decide(frames, limits_us, goal) or Outcome.UNSETTLED
    if outcome is Outcome.NO_REACTION:
        best = frames[0]
    elif outcome in (Outcome.HIGHLIGHTS, Outcome.UNSETTLED):
        best = _best(frames, goal)
    else:
        best = frames[-1]
    seen = f"the brightest parts at {best.level:.0%} of full scale, {best.saturated_share:.2%} saturated"
    at = f"{best.exposure_us:.6g} us"
    sentences = {
        Outcome.GOOD: f"Exposure {at}: {seen}.",
        Outcome.HIGHLIGHTS: f"Exposure {at}: {seen}; bright spots that would saturate do not allow more.",
        Outcome.TOO_WEAK: f"The light is too weak: {seen} at the longest exposure, {at}. Add light or raise the gain.",
        Outcome.TOO_STRONG: f"The light is too strong: {seen} at the shortest exposure, {at}. Reduce the light.",
        Outcome.NO_REACTION: (
            f"The picture does not react to the exposure time; it stays at {at}."
            " Check that the camera shows a live picture and is not triggered or strobed from outside."
        ),
        Outcome.UNSETTLED: f"No exposure met the goal in {len(frames)} images; {at} came nearest: {seen}.",
    }
    return ExposureResult(best.exposure_us, outcome, sentences[outcome], tuple(frames))


def _target(goal: ExposureGoal) -> float:
    return 0.5 * (goal.low_level + goal.high_level)


def _too_bright(frame: FrameSeen, goal: ExposureGoal) -> bool:
    return frame.saturated_share > goal.max_saturated_share or frame.level > goal.high_level


def _is_good(frame: FrameSeen, goal: ExposureGoal) -> bool:
    return not _too_bright(frame, goal) and frame.level >= goal.low_level


def _bracket(frames: Sequence[FrameSeen], limits_us: tuple[float, float], goal: ExposureGoal) -> tuple[float, float]:
    """Longest exposure known to be too dark and shortest known to be too bright; the limits where none is known."""
    dark = max((each.exposure_us for each in frames if not _too_bright(each, goal)), default=limits_us[0])
    bright = min((each.exposure_us for each in frames if _too_bright(each, goal)), default=limits_us[1])
    return dark, bright


def _best(frames: Sequence[FrameSeen], goal: ExposureGoal) -> FrameSeen:
    """Of the frames within the saturation limit the one nearest to the target; without any, the darkest."""
    clean = [each for each in frames if each.saturated_share <= goal.max_saturated_share]
    if not clean:
        return min(frames, key=lambda each: each.exposure_us)
    return min(clean, key=lambda each: abs(each.level - _target(goal)))


def _does_not_react(frames: Sequence[FrameSeen], span: float) -> bool:
    exposures = [each.exposure_us for each in frames]
    means = [each.mean for each in frames]
    # all white says nothing, and neither does darkness: below its black level a sensor shows no reaction either
    in_between = max(each.level for each in frames) > _DARK_LEVEL and max(means) < 0.98
    has_span = max(exposures) >= span * min(exposures)
    return in_between and has_span and max(means) - min(means) <= _NO_REACTION_CHANGE * max(means)
