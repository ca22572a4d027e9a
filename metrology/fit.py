"""Least squares with rejection of outliers, and variances that allow for errors shared by neighbouring marks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

_ROUNDS = 8
_OUTLIER_SIGMA = 4.0
_LEAST_SIGMA_PX = 0.002
_SHARED_SHIFT_PX = 0.012  # what light and sampling may shift centres apart over half the marks' extent, 1 sigma
_FEWEST_GROUPS = 4  # below that the scatter between groups says nothing


@dataclass(frozen=True)
class LinearFit:
    """A fit of P parameters to N marks with D coordinates each."""

    parameters: np.ndarray  # (P,)
    residual_px: np.ndarray  # (N, D), of all marks
    used: np.ndarray  # (N,)
    covariance: np.ndarray  # (P, P), taking the errors as independent
    group_covariance: np.ndarray | None  # (P, P), letting errors within a group be alike; None with too few groups
    freedom: int  # degrees of freedom behind the larger of both

    def sigma(self, figure: Callable[[np.ndarray], float]) -> float:
        """Standard error of a function of the parameters: the larger of both covariances, widened for few marks."""
        steps = np.sqrt(np.maximum(np.diag(self.covariance), 1e-30)) * 0.1
        slope = np.empty(len(steps))
        for k, step in enumerate(steps):
            move = np.zeros(len(steps))
            move[k] = step
            slope[k] = (figure(self.parameters + move) - figure(self.parameters - move)) / (2 * step)
        variance = slope @ self.covariance @ slope
        if self.group_covariance is not None:
            variance = max(variance, slope @ self.group_covariance @ slope)
        # the quantile of Student's t that holds 95 %, over that of the normal distribution, to first order
        return float(np.sqrt(variance) * (1.0 + 1.25 / max(self.freedom, 1)))


def fit_marks(design: np.ndarray, observed: np.ndarray, groups: np.ndarray) -> LinearFit:
    """Fit ``observed`` (N, D) by ``design`` (N, D, P) @ parameters; ``groups`` (N,) numbers marks that share errors."""
    width = design.shape[2]
    weight = np.ones(len(observed))
    for _ in range(_ROUNDS):  # least distances first: a few marks far off must not tilt what the others are judged by
        root = np.sqrt(weight)[:, None]
        rows = (design * root[..., None]).reshape(-1, width)
        parameters, *_ = np.linalg.lstsq(rows, (observed * root).ravel(), rcond=None)
        distance = np.sqrt(((observed - design @ parameters) ** 2).sum(axis=1))
        weight = 1.0 / np.maximum(distance, max(float(np.median(distance)), _LEAST_SIGMA_PX))
    used = distance <= _OUTLIER_SIGMA * max(_sigma(distance, observed.shape[1]), _LEAST_SIGMA_PX)
    for _ in range(_ROUNDS):
        parameters, *_ = np.linalg.lstsq(design[used].reshape(-1, width), observed[used].ravel(), rcond=None)
        residual = observed - design @ parameters
        distance = np.sqrt((residual**2).sum(axis=1))
        sigma = _sigma(distance[used], observed.shape[1])
        keep = distance <= _OUTLIER_SIGMA * max(sigma, _LEAST_SIGMA_PX)
        if (keep == used).all():
            break
        used = keep
    free, grouped, freedom = _covariances(design[used], residual[used], groups[used])
    return LinearFit(parameters, residual, used, free, grouped, freedom)


def _sigma(distance: np.ndarray, dimensions: int) -> float:
    """Standard deviation per axis: the median length of a normal error is 0.67 of it in one axis, 1.18 in two."""
    return float(np.median(distance)) / (0.6745 if dimensions == 1 else 1.1774)


def _covariances(
    design: np.ndarray, residual: np.ndarray, groups: np.ndarray
) -> tuple[np.ndarray, np.ndarray | None, int]:
    width = design.shape[2]
    flat, left = design.reshape(-1, width), residual.ravel()
    inverse = np.linalg.pinv(flat.T @ flat)
    freedom = max(1, len(left) - width)
    covariance = inverse * float(left @ left) / freedom
    names, member = np.unique(groups, return_inverse=True)
    count = len(names)
    if count < _FEWEST_GROUPS:
        return covariance, None, freedom
    scores = np.zeros((count, width))
    np.add.at(scores, member, np.einsum("ndp,nd->np", design, residual))
    per_axis = width / design.shape[1]
    correction = count / max(1.0, count - per_axis)  # Liang and Zeger 1986, for few groups
    grouped = inverse @ (scores.T @ scores) @ inverse * correction
    return covariance, grouped, max(1, count - round(per_axis))


def with_shared_shift(sigma: float, scale: float, points: np.ndarray) -> float:
    """Add to the standard error of a ``scale`` what errors common to a side of the picture may do; (N, 2) in px."""
    half_extent = 0.5 * float(np.ptp(points, axis=0).max())
    return float(np.hypot(sigma, scale * _SHARED_SHIFT_PX / max(half_extent, 1.0)))
