"""Robust statistics: medians and spreads that marks and missing values do not move."""

from __future__ import annotations

import numpy as np

SPREAD = 1.4826  # median absolute deviation of a normal distribution -> sigma
TAIL = 1.645  # 90 % quantile of |x| of a normal distribution


def robust_spread(values: np.ndarray, *, tails: bool = True) -> float:
    """Sigma of noise with marks in it.

    With ``tails`` the heavy ones of JPEG blocks count and up to 10 % of marks do not; without, up to half may be marks.
    """
    deviation = np.abs(values - np.median(values))
    if not tails:
        return SPREAD * float(np.median(deviation))
    return max(SPREAD * float(np.median(deviation)), float(np.quantile(deviation, 0.9)) / TAIL)


def nanmedian(values: np.ndarray) -> np.ndarray:
    """Column medians of (rows, columns) that ignore NaN, (columns,); NaN for a column without any number."""
    seen = np.isfinite(values).sum(axis=0)
    if (seen == len(values)).all():
        return np.median(values, axis=0)
    ordered = np.sort(values, axis=0)  # NaN last
    columns = np.arange(values.shape[1])
    low = ordered[np.maximum(seen - 1, 0) // 2, columns]
    high = ordered[np.minimum(seen // 2, len(values) - 1), columns]
    return np.where(seen > 0, 0.5 * (low + high), np.nan)
