"""The scale from a stage micrometer: parallel ticks at one distance, some of them longer, some of them missing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from errors import CalibrationError
from metrology.fit import LinearFit, fit_marks, with_shared_shift
from metrology.lattice import Numbering, number_marks
from metrology.picture import standing_out, two_level_threshold
from metrology.scale import LINE_RULER, MatchedMarks, TargetLimits, TargetScale

_STRIP_PX = 10  # rows that are averaged for one profile across the ticks
_TURNS = 2  # the second with the ticks upright to a hundredth of a degree
_WIDTH_FACTOR = 1.6  # widths within this factor of the consensus are those of ticks
_NEAR_SPACING = 0.12  # relative: distances this close count as one
_FREQUENT_SHARE = 0.35  # of the most frequent distance
_TICKS_FOR_DISTORTION = 5
_SIGNIFICANT = 3.0  # sigma
_ONE_DIRECTION = (
    "A ruler measures one direction only ({:.1f} degrees): square pixels are assumed. "
    "Turn the target by 90 degrees and measure again to check."
)


@dataclass(frozen=True)
class _Crossings:
    """Where strips cross ticks: ``along`` and ``across`` (N,) px in the turned frame, ``strip`` (N,) and ``width``."""

    along: np.ndarray
    across: np.ndarray
    strip: np.ndarray
    width: np.ndarray


def coherence_of(flat: np.ndarray) -> float:
    """How much the gradients of a picture (H, W) share one direction, 0..1 (structure tensor of the whole picture)."""
    return _direction(flat)[1]


def _direction(flat: np.ndarray) -> tuple[float, float]:
    """The main direction of the gradients in radians, 0..pi from x towards y, and their coherence."""
    smooth = cv2.GaussianBlur(flat, (0, 0), 1.5)
    gx = cv2.Scharr(smooth, cv2.CV_32F, 1, 0)[2:-2, 2:-2]
    gy = cv2.Scharr(smooth, cv2.CV_32F, 0, 1)[2:-2, 2:-2]
    xx, yy, xy = (float(np.mean(product, dtype=float)) for product in (gx * gx, gy * gy, gx * gy))
    coherence = math.hypot(xx - yy, 2 * xy) / max(xx + yy, 1e-30)
    return (0.5 * math.atan2(2 * xy, xx - yy)) % math.pi, coherence


def measure_ruler(
    flat: np.ndarray, *, spacing_um: float, limits: TargetLimits, warnings: Sequence[str] = ()
) -> TargetScale:
    """Measure the scale on an evenly lit picture (H, W) of ticks ``spacing_um`` apart, at any angle.

    Raises :class:`CalibrationError` when there are too few ticks, or none at one distance.
    """
    angle, coherence = _direction(flat)
    if coherence < limits.min_coherence:
        raise _no_ruler(f"the edges share no direction ({coherence:.0%}, and {limits.min_coherence:.0%} are needed)")
    level = _levelled(flat)
    size = flat.shape[1], flat.shape[0]
    for _ in range(_TURNS):
        points, index = _numbered_ticks(level, angle, limits)
        fit = _fit(points, index, math.hypot(*size) / 2)
        angle -= math.atan(fit.parameters[2])  # what the ends of ticks and dust did to the gradients' direction
    angle += math.atan(fit.parameters[2])
    return _scale(points, index, fit, angle, size, spacing_um, limits, warnings)


def _numbered_ticks(level: np.ndarray, angle: float, limits: TargetLimits) -> tuple[np.ndarray, np.ndarray]:
    """Where strips cross ticks, (N, 2) along and across the turned frame, and the number (N,) of each tick."""
    crossings = _find_ticks(*_turned(level, angle))
    spacing_px = _base_spacing(crossings)
    if spacing_px is None:
        raise _too_few(int(np.bincount(crossings.strip.astype(int), minlength=1).max()), limits)
    if spacing_px < limits.min_spacing_px:
        raise CalibrationError(
            f"The ticks are only {spacing_px:.1f} px apart, and {limits.min_spacing_px:.0f} px are needed.",
            "Use a coarser ruler or a higher magnification.",
        )
    points = np.stack([crossings.along, crossings.across], axis=1)
    numbering = number_marks(points, np.array([[1.0 / spacing_px, 0.0]]), unit_px=spacing_px)
    _check(numbering, limits)
    return points[numbering.known], numbering.index[numbering.known, 0]


def _levelled(flat: np.ndarray) -> np.ndarray:
    """The picture with one material at 0 and the other at 1 everywhere."""
    smooth = cv2.GaussianBlur(flat, (0, 0), 1.0)
    low, high = smooth < (level := two_level_threshold(smooth)), smooth > level
    return (
        standing_out(flat, ground=low, marks=high)
        if low.mean() > 0.5
        else 1 - standing_out(flat, ground=high, marks=low)
    )


def _turned(flat: np.ndarray, angle: float) -> tuple[np.ndarray, np.ndarray]:
    """The picture turned about its centre so that the ticks stand upright, and where it holds picture (both (H, W)).

    The middle of the turned frame is the picture's centre.
    """
    height, width = flat.shape
    cos, sin = math.cos(angle), math.sin(angle)
    reach_along = math.ceil((abs(width * cos) + abs(height * sin)) / 2)
    reach_across = math.ceil((abs(width * sin) + abs(height * cos)) / 2)
    along = np.arange(-reach_along, reach_along + 1, dtype=np.float32)[None, :]
    across = np.arange(-reach_across, reach_across + 1, dtype=np.float32)[:, None]
    x = (cos * along - sin * across + (width - 1) / 2).astype(np.float32)
    y = (sin * along + cos * across + (height - 1) / 2).astype(np.float32)
    inside = (x >= 2) & (x <= width - 3) & (y >= 2) & (y <= height - 3)
    return cv2.remap(flat, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), inside


def _find_ticks(turned: np.ndarray, inside: np.ndarray) -> _Crossings:
    """Cross every strip with the level half way between ticks and ground; keep marks of the width that most have."""
    strips = turned.shape[0] // _STRIP_PX
    rows = strips * _STRIP_PX
    profile = turned[:rows].reshape(strips, _STRIP_PX, -1).mean(axis=1)
    valid = inside[:rows].reshape(strips, _STRIP_PX, -1).all(axis=1)
    profile = cv2.GaussianBlur(profile, (0, 0), sigmaX=0.7, sigmaY=0.01)
    if not valid.any():
        return _Crossings(*(np.zeros(0) for _ in range(4)))
    level = two_level_threshold(profile[valid])
    kinds = [_runs(profile, valid, level, bright) for bright in (False, True)]
    # ticks are narrower than the gaps between them
    runs = min(kinds, key=lambda kind: float(np.median(kind[:, 2])) if len(kind) else math.inf)
    if not len(runs):
        return _Crossings(*(np.zeros(0) for _ in range(4)))
    logs = np.log(runs[:, 2])
    ordered = np.sort(logs)
    reach = math.log(_WIDTH_FACTOR)
    first, last = np.searchsorted(ordered, ordered - reach), np.searchsorted(ordered, ordered + reach, side="right")
    best = np.argmax(last - first)
    common = np.median(ordered[first[best] : last[best]])
    runs = runs[np.abs(logs - common) <= reach]
    middle = (np.array(turned.shape) - 1) / 2
    across = runs[:, 0] * _STRIP_PX + (_STRIP_PX - 1) / 2 - middle[0]
    return _Crossings(runs[:, 1] - middle[1], across, runs[:, 0].astype(int), runs[:, 2])


def _runs(profile: np.ndarray, valid: np.ndarray, level: float, bright: bool) -> np.ndarray:
    """Runs above (or below) ``level`` along each strip, ends between samples: rows of strip, middle, width."""
    found = []
    for strip, values in enumerate(profile):
        height = values - level if bright else level - values
        over = height > 0
        change = np.flatnonzero(over[1:] != over[:-1])
        change = change[valid[strip, change] & valid[strip, change + 1]]
        at = change + height[change] / (height[change] - height[change + 1])
        opens = over[change + 1]
        pairs = np.flatnonzero(opens[:-1] & ~opens[1:])
        left, right = at[pairs], at[pairs + 1]
        found.append(np.stack([np.full(len(pairs), strip), (left + right) / 2, right - left], axis=1))
    return np.concatenate(found)


def _base_spacing(crossings: _Crossings) -> float | None:
    """The smallest distance in px between neighbours in a strip that is frequent; None with too few ticks.

    Where only the longer ticks reach, the distance is five or ten times as large, but never as frequent.
    """
    order = np.lexsort((crossings.along, crossings.strip))
    steps = np.diff(crossings.along[order])[np.diff(crossings.strip[order]) == 0]
    steps = np.sort(steps[steps > 1.0])
    if len(steps) < 3:
        return None
    first = np.searchsorted(steps, steps * (1 - _NEAR_SPACING))
    last = np.searchsorted(steps, steps * (1 + _NEAR_SPACING), side="right")
    votes = last - first
    smallest = np.flatnonzero(votes >= _FREQUENT_SHARE * votes.max())[0]
    # the votes of a value at the rim of its cluster are fewer: climb to the cluster's middle
    near = steps <= steps[smallest] * (1 + 2 * _NEAR_SPACING)
    best = np.argmax(np.where(near, votes, 0))
    return float(np.median(steps[first[best] : last[best]]))


def _check(numbering: Numbering, limits: TargetLimits) -> None:
    known = numbering.known
    share = float(known.mean())
    ticks = np.unique(numbering.index[known])
    if len(ticks) < limits.min_ticks:
        raise _too_few(len(ticks), limits)
    if share < limits.min_explained_share:
        raise _no_ruler(f"only {share:.0%} of what looks like ticks lies at one distance")
    occupied = len(ticks) / (np.ptp(ticks) + 1)
    if occupied < limits.min_occupied_share:
        raise _no_ruler(f"only {occupied:.0%} of its places hold a tick")


def _too_few(count: int, limits: TargetLimits) -> CalibrationError:
    return CalibrationError(
        f"Too few ticks: {count} found, and {limits.min_ticks} are needed.",
        "Bring the ruler into focus and let it run through the whole picture.",
    )


def _no_ruler(reason: str) -> CalibrationError:
    return CalibrationError(
        f"The picture shows no ruler: {reason}.", "Use a stage micrometer with parallel ticks at one distance."
    )


def _fit(points: np.ndarray, index: np.ndarray, half_diagonal: float) -> LinearFit:
    """Parameters: origin, spacing along the frame, lean of the ticks, and with enough ticks the distortion k1."""
    along, across = points.T
    columns = [np.ones(len(points)), index, across]
    if len(np.unique(index)) >= _TICKS_FOR_DISTORTION:
        columns.append(-along * (along**2 + across**2) / half_diagonal**2)
    return fit_marks(np.stack(columns, axis=1)[:, None, :], along[:, None], index)


def _scale(
    points: np.ndarray,
    index: np.ndarray,
    fit: LinearFit,
    angle: float,
    size: tuple[int, int],
    spacing_um: float,
    limits: TargetLimits,
    warnings: Sequence[str],
) -> TargetScale:
    used = fit.used
    spacing_px, lean = float(fit.parameters[1]), float(fit.parameters[2])
    spacing_px /= math.hypot(1.0, lean)
    rms = float(np.sqrt((fit.residual_px[used] ** 2).mean()))
    if rms > limits.max_residual_share * spacing_px:
        raise _no_ruler(f"its ticks lie {rms:.2f} px (rms) off equal distances of {spacing_px:.1f} px")
    um_per_px = spacing_um / spacing_px
    sigma = fit.sigma(lambda p: spacing_um * math.hypot(1.0, p[2]) / p[1])
    marks = _ticks(points[used], index[used], fit.residual_px[used, 0], angle, size)
    direction = math.degrees(angle - math.atan(lean)) % 180.0
    distortion_px, share = _distortion(fit, points, math.hypot(*size) / 2)
    return TargetScale(
        kind=LINE_RULER,
        um_per_px=um_per_px,
        uncertainty_um_per_px=with_shared_shift(sigma, um_per_px, points[used]),
        um_per_px_x=um_per_px,
        um_per_px_y=um_per_px,
        shear_deg=0.0,
        rotation_deg=direction,
        marks_found=len(np.unique(index)),
        marks_used=len(marks.column),
        rms_residual_px=rms,
        distortion_px=distortion_px,
        image_size_px=size,
        marks=marks,
        warnings=(
            *warnings,
            _ONE_DIRECTION.format(direction),
            *_warnings(len(marks.column), distortion_px, share, limits),
        ),
    )


def _distortion(fit: LinearFit, points: np.ndarray, half_diagonal: float) -> tuple[float, float]:
    if len(fit.parameters) < 4 or abs(fit.parameters[3]) < _SIGNIFICANT * fit.sigma(lambda p: p[3]):
        return 0.0, 0.0
    radius = float(np.hypot(*points[fit.used].T).max())
    share = abs(float(fit.parameters[3])) * (radius / half_diagonal) ** 2
    return share * radius, share


def _ticks(
    points: np.ndarray, index: np.ndarray, residual: np.ndarray, angle: float, size: tuple[int, int]
) -> MatchedMarks:
    """One mark per tick: the mean of its crossings, in the picture's coordinates."""
    column, member = np.unique(index, return_inverse=True)
    count = np.bincount(member)
    along, across, off = (np.bincount(member, values) / count for values in (*points.T, residual))
    cos, sin = math.cos(angle), math.sin(angle)
    return MatchedMarks(
        x_px=cos * along - sin * across + (size[0] - 1) / 2,
        y_px=sin * along + cos * across + (size[1] - 1) / 2,
        column=column,
        row=np.zeros_like(column),
        residual_x_px=cos * off,
        residual_y_px=sin * off,
    )


def _warnings(ticks: int, distortion_px: float, share: float, limits: TargetLimits) -> list[str]:
    found = []
    if distortion_px > limits.warn_distortion_px:
        found.append(
            f"The lens distorts: ticks are displaced by up to {distortion_px:.1f} px ({share:.2%}). "
            "The scale holds at the picture's centre; keep the fibre there."
        )
    if ticks < limits.warn_ticks:
        found.append(f"The scale rests on {ticks} ticks only. Let at least {limits.warn_ticks} be seen.")
    return found
