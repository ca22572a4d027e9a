"""Robust statistics: medians and spreads that marks and missing values do not move."""

from __future__ import annotations

import numpy as np

SPREAD = 1.4826  # median absolute deviation of a normal distribution -> sigma
TAIL = 1.645  # 90 % quantile of |x| of a normal distribution


def robust_spread(values: np.ndarray, *, tails: bool = True) -> float:
    """Sigma of noise with marks in it.

    With ``tails`` the heavy ones of JPEG blocks count and up to 10 % of marks do not; without, up to half may be marks.
    """
    deviation = np.abs(values - order_statistic(values, 0.5))
    if not tails:
        return SPREAD * order_statistic(deviation, 0.5)
    middle, tail = order_statistics(deviation, (0.5, 0.9))
    return max(SPREAD * middle, tail / TAIL)


def order_statistic(values: np.ndarray, quantile: float) -> float:
    """The number (n,) that stands at a quantile of the sorted numbers; between two, the lower one."""
    return order_statistics(values, (quantile,))[0]


def order_statistics(values: np.ndarray, quantiles: tuple[float, ...]) -> list[float]:
    """The numbers (n,) that stand at quantiles of the sorted numbers; between two, the lower ones."""
    places = [int(quantile * (len(values) - 1)) for quantile in quantiles]
    ordered = np.partition(values, places)
    return [float(ordered[place]) for place in places]


def quantile(ordered: np.ndarray, share: float) -> float:
    """Quantile of values (n,) that are sorted already, interpolated between the two next to it."""
    place = share * (len(ordered) - 1)
    k = min(int(place), max(len(ordered) - 2, 0))
    return float(ordered[k] + (place - k) * (ordered[min(k + 1, len(ordered) - 1)] - ordered[k]))


def medians(values: np.ndarray) -> np.ndarray:
    """Row medians of (n, k) values without NaN, (n,).

    numpy's own median also selects the largest value, to look for NaN, and that costs it five times as long.
    """
    half = values.shape[1] // 2
    parted = np.partition(values, half, axis=1)
    if values.shape[1] % 2:
        return parted[:, half]
    return (0.5 * (parted[:, half] + parted[:, :half].max(axis=1))).astype(values.dtype, copy=False)


def nanmedian(values: np.ndarray) -> np.ndarray:
    """Medians over the last axis that ignore NaN; NaN where there is no number."""
    ordered = np.sort(np.ascontiguousarray(values), axis=-1)  # NaN last; side by side, or it is slow
    count = values.shape[-1]
    if not np.isnan(ordered[..., -1]).any():
        return 0.5 * (ordered[..., (count - 1) // 2] + ordered[..., count // 2])
    seen = count - np.isnan(ordered).sum(axis=-1, keepdims=True)
    low = np.take_along_axis(ordered, np.maximum(seen - 1, 0) // 2, axis=-1)
    high = np.take_along_axis(ordered, np.minimum(seen // 2, count - 1), axis=-1)
    return np.where(seen > 0, 0.5 * (low + high), np.nan)[..., 0]
