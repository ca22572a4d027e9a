"""The residual in sigmas: what noise, boundaries and the unrest of each ring explain is divided out."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from vision.residual import Residual
from vision.robust import robust_spread
from vision.settings import DetectionSettings, ResidualSettings

NORMAL_QUANTILE = {0.5: 0.6745, 0.75: 1.1503, 0.8: 1.2816, 0.9: 1.6449}  # quantiles of |x| of a normal distribution
LEAST_POOL_PX = 100  # pixels from which the unrest of a small ring is learnt
SAMPLE = 20000  # pixels from which a spread is estimated


@dataclass(frozen=True)
class Significance:
    """Residual in sigmas at several smoothings, the input of every algorithm; (H, W) float32, > 0 bright."""

    z: np.ndarray  # unsmoothed, boundaries discounted
    peak: np.ndarray  # the smoothing that stands out most, per pixel
    fine: np.ndarray  # at the finest smoothing
    coarse: np.ndarray  # at the coarsest smoothing
    extent: np.ndarray  # at the finest smoothing, with little regard to unrest: how far a confirmed mark reaches


def sampled(response: np.ndarray, part: np.ndarray) -> np.ndarray:
    """About :data:`SAMPLE` values (n,) of a response (H, W) in a part (H, W) bool, evenly taken; all when fewer."""
    values = response[part]
    return values[:: max(1, len(values) // SAMPLE)]


def unit_noise(response: np.ndarray, parts: tuple[np.ndarray, ...], least: float) -> np.ndarray:
    """Scale a response to unit robust spread in each part (bool masks); 0 outside of them.

    ``least`` is the response's spread on white noise: a quieter picture (quantised, denoised) is not turned up.
    """
    out = np.zeros_like(response)
    for part in parts:
        sample = sampled(response, part)
        if len(sample) >= 50:
            out[part] = (response[part] - np.median(sample)) / max(robust_spread(sample), least)
    return out


def significance(residual: Residual, settings: DetectionSettings, marked: np.ndarray | None = None) -> Significance:
    """Residual in sigmas: noise, boundary positions and the unrest of each ring (fringes, modal pattern) counted in.

    Smoothing by sigma s lowers white noise by 2 s sqrt(pi), but not the misfit along a boundary, which therefore
    weighs that much more against a smoothed residual. ``marked`` (H, W) bool: marks that do not count as unrest.
    """
    own = settings.residual
    raw = np.clip(residual.grey / residual.noise, -own.clip_sigma, own.clip_sigma)
    ferrule = np.where(residual.parts[1], np.float32(own.ferrule_factor), np.float32(1))
    maps, unrests = [], []
    for sigma_px in settings.smoothing_px:
        gain = np.float32(2 * sigma_px * np.sqrt(np.pi))
        blurred = unit_noise(cv2.GaussianBlur(raw, (0, 0), sigma_px), residual.parts, 1 / gain)
        blurred /= np.sqrt(1 + (gain * residual.boundary) ** 2)
        unrest = np.maximum(local_unrest(blurred, residual, own, marked), own.least_unrest)
        maps.append(blurred / (unrest * ferrule))
        if len(maps) == 1:
            extent = blurred / (np.minimum(unrest, own.extent_unrest) * ferrule)
        unrests.append(unrest)
    z = raw / (np.sqrt(1 + (2 * residual.boundary) ** 2) * unrests[0] * ferrule)
    peak = maps[0]
    for other in maps[1:]:
        peak = np.where(np.abs(other) > np.abs(peak), other, peak)
    return Significance(z, peak, maps[0], maps[-1], extent)


def strong_marks(found: Significance, settings: ResidualSettings) -> np.ndarray:
    """Pixels (H, W) bool that certainly belong to a mark, with a rim; empty when they would cover most of the image."""
    strong = (np.abs(found.peak) >= settings.mark_sigma).astype(np.uint8)
    strong = cv2.morphologyEx(strong, cv2.MORPH_CLOSE, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (7, 7)))
    outlines, _ = cv2.findContours(strong, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(strong, outlines, -1, 1, cv2.FILLED)
    marks = cv2.dilate(strong, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))) > 0
    return marks if marks.mean() < 0.3 else np.zeros_like(marks)


def local_unrest(
    response: np.ndarray, residual: Residual, settings: ResidualSettings, marked: np.ndarray | None = None
) -> np.ndarray:
    """Spread of a response (1 = white noise) along the ring near each pixel; (H, W) float32.

    Fringes, deposition rings and modal patterns move a whole ring, and JPEG leaves some regions noisier than others:
    a mark has to stand out of its own ring. Sectors of 90 degrees; further in, where a mark may be a large part of a
    sector, the whole ring.
    """
    sectors, count = 12, 360
    inside = residual.inside
    radii = int(residual.radius_px[inside].max()) + 2
    radius = np.where(inside, residual.radius_px, -1).astype(np.int32)
    turn = (np.mod(residual.angle_rad, 2 * np.pi) * (count / (2 * np.pi))).astype(np.int32) % count
    counted = inside if marked is None else inside & ~marked
    polar = np.full((count, radii), np.nan, np.float32)
    polar[turn[counted], radius[counted]] = np.abs(response[counted])
    quantile = settings.ring_quantile
    normal = NORMAL_QUANTILE[quantile]
    width = count // sectors
    wrapped = np.concatenate([polar[-width:], polar, polar[:width]])
    padded = np.pad(wrapped, ((0, 0), (1, 1)), constant_values=np.nan)
    neighbours = np.stack([padded[:, :-2], padded[:, 1:-1], padded[:, 2:]])
    table = np.ones((sectors, radii), np.float32)
    for k in range(sectors):
        pool = neighbours[:, k * width : (k + 3) * width].reshape(-1, radii)
        table[k] = _column_quantile(pool, quantile) / normal
    ring = neighbours[:, width:-width].reshape(-1, radii)
    inner = residual.inner_px
    whole = _disc_quantile(polar, 0.5, inner) / NORMAL_QUANTILE[0.5]
    # a large mark raises its own sector far above the rest of the ring; fringes and patterns go further round
    table = np.minimum(table, settings.sector_cap * _column_quantile(ring, quantile) / normal)
    share = np.clip((np.arange(radii) - 0.5 * inner) / (0.5 * inner), 0, 1)
    table = share * table + (1 - share) * whole
    table = np.concatenate([table[-1:], table, table[:1]]).astype(np.float32)
    row = np.mod(residual.angle_rad, 2 * np.pi) * np.float32(sectors / (2 * np.pi)) + np.float32(0.5)
    column = np.maximum(residual.radius_px - np.float32(0.5), 0)
    unrest = cv2.remap(table, column, row, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return unrest


def _disc_quantile(polar: np.ndarray, quantile: float, reach_px: float) -> np.ndarray:
    """Quantile over each ring (column) and so many of its neighbours that a small mark is a small part of them.

    1 from ``reach_px`` outwards, where it is not asked for.
    """
    result = np.ones(polar.shape[1])
    for k in range(min(len(result), int(reach_px) + 2)):
        half = max(1, round(LEAST_POOL_PX / (4 * np.pi * max(k, 1))))
        values = polar[:, max(0, k - half) : k + half + 1]
        values = values[np.isfinite(values)]
        if len(values) >= 15:
            result[k] = np.quantile(values, quantile)
    return result


def _column_quantile(values: np.ndarray, quantile: float) -> np.ndarray:
    """Quantile of each column's numbers (NaN ignored); 1 where a column has fewer than 15."""
    ordered = np.sort(values, axis=0)  # NaN last
    counts = np.isfinite(ordered).sum(axis=0)
    index = np.clip((quantile * (counts - 1)).astype(int), 0, None)
    result = np.take_along_axis(ordered, index[None, :], 0)[0]
    return np.where(counts >= 15, result, 1.0)
