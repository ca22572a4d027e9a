"""The unrest of each ring: how much a response moves along it, by histograms over sectors and radii.

Fringes, deposition rings and modal patterns move a whole ring, and JPEG leaves some regions noisier than others: a mark
has to stand out of its own ring.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from vision.residual import Residual
from vision.settings import ResidualSettings

NORMAL_QUANTILE = {0.5: 0.6745, 0.75: 1.1503, 0.8: 1.2816, 0.9: 1.6449}  # quantiles of |x| of a normal distribution
SECTORS = 12  # a pool is a sector with its two neighbours, over three rings
LEAST_COUNT = 15
LEAST_POOL_PX = 100  # pixels from which the unrest of a small ring is learnt
PER_SIGMA = 16  # grey levels of the 8-bit copy that is counted
# Levels of |response| that are told apart, in the 8-bit copy: finest around the spread of white noise
EDGES = np.concatenate([np.arange(0, 16, 4), np.arange(16, 40, 2), np.arange(40, 80, 4), np.arange(80, 257, 16)])
LEVELS = len(EDGES) - 1
BOUNDS = np.maximum(EDGES - 0.5, 0) / PER_SIGMA  # sigmas: the copy is rounded
LEVEL_OF = (np.searchsorted(EDGES, np.arange(256), side="right") - 1).astype(np.uint8)


@dataclass(frozen=True)
class RingStatistics:
    """Where each pixel counts; made once per picture and used for several responses."""

    cell: np.ndarray  # (H, W) int32: first place of a pixel's sector and ring in the histograms
    radii: int
    column: np.ndarray  # (H, W) float32: place of a pixel in a table of (sectors, radii)
    row: np.ndarray
    quantile: float
    sector_cap: float
    inner_px: float

    def unrest(self, response: np.ndarray) -> np.ndarray:
        """Spread of a response (1 = white noise) along the ring near each pixel, (H, W) float32.

        Sectors of 90 degrees; further in, where a mark may be a large part of a sector, the whole ring.
        """
        level = cv2.LUT(cv2.convertScaleAbs(response, alpha=PER_SIGMA), LEVEL_OF)
        places = (SECTORS * self.radii + 1) * LEVELS
        counts = np.bincount((self.cell + level).ravel(), minlength=places)[: SECTORS * self.radii * LEVELS]
        counts = counts.reshape(SECTORS, self.radii, LEVELS).astype(np.int32)
        whole = _disc_quantiles(counts.sum(axis=0), self.inner_px)
        counts = _with_neighbouring_rings(counts)
        normal = NORMAL_QUANTILE[self.quantile]
        table = _quantiles(counts + np.roll(counts, 1, axis=0) + np.roll(counts, -1, axis=0), self.quantile) / normal
        # a large mark raises its own sector far above the rest of the ring; fringes and patterns go further round
        table = np.minimum(table, self.sector_cap * _quantiles(counts.sum(axis=0), self.quantile) / normal)
        share = np.clip((np.arange(self.radii) - 0.5 * self.inner_px) / (0.5 * self.inner_px), 0, 1)
        table = share * table + (1 - share) * whole
        table = np.concatenate([table[-1:], table, table[:1]]).astype(np.float32)
        return cv2.remap(table, self.column, self.row, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def ring_statistics(residual: Residual, settings: ResidualSettings, marked: np.ndarray | None) -> RingStatistics:
    """Sectors and rings of a picture's pixels; those of ``marked`` (H, W) bool do not count."""
    frame = residual.frame
    radii = int(frame.reach_px) + 2
    turn = frame.angle_rad * np.float32(SECTORS / (2 * np.pi))
    cell = np.minimum(turn.astype(np.int32), SECTORS - 1) * radii + frame.radius_px.astype(np.int32)
    apart = ~residual.inside if marked is None else ~residual.inside | marked
    np.copyto(cell, SECTORS * radii, where=apart)
    cell *= LEVELS
    column = np.maximum(frame.radius_px - np.float32(0.5), 0)
    return RingStatistics(
        cell, radii, column, turn + np.float32(0.5), settings.ring_quantile, settings.sector_cap, residual.inner_px
    )


def _with_neighbouring_rings(counts: np.ndarray) -> np.ndarray:
    """Histograms (sectors, radii, levels) of each ring with the ring on either side."""
    pooled = counts.copy()
    pooled[:, 1:] += counts[:, :-1]
    pooled[:, :-1] += counts[:, 1:]
    return pooled


def _quantiles(counts: np.ndarray, quantile: float) -> np.ndarray:
    """Quantiles (sigmas) of histograms (..., levels), interpolated in the level; 1 where fewer than 15 were counted."""
    cumulative = np.cumsum(counts, axis=-1)
    total = cumulative[..., -1:]
    wanted = quantile * total
    level = np.minimum((cumulative < wanted).sum(axis=-1, keepdims=True), LEVELS - 1)
    own = np.take_along_axis(counts, level, axis=-1)
    below = np.take_along_axis(cumulative, level, axis=-1) - own
    share = (wanted - below) / np.maximum(own, 1)
    value = BOUNDS[level] + share * np.diff(BOUNDS)[level]
    return np.where(total >= LEAST_COUNT, value, 1.0)[..., 0]


def _disc_quantiles(counts: np.ndarray, reach_px: float) -> np.ndarray:
    """Median spread (1 = white noise) over each ring (radii, levels) and so many neighbours that a small mark is a
    small part of them.

    1 from ``reach_px`` outwards, where it is not asked for.
    """
    result = np.ones(len(counts))
    last = min(len(result), int(reach_px) + 2)
    ring = np.arange(last)
    half = np.maximum(1, np.round(LEAST_POOL_PX / (4 * np.pi * np.maximum(ring, 1)))).astype(int)
    summed = np.concatenate([np.zeros((1, LEVELS), counts.dtype), np.cumsum(counts, axis=0)])
    pools = summed[np.minimum(ring + half + 1, len(counts))] - summed[np.maximum(ring - half, 0)]
    enough = pools.sum(axis=1) >= LEAST_COUNT
    result[:last] = np.where(enough, _quantiles(pools, 0.5) / NORMAL_QUANTILE[0.5], 1.0)
    return result
