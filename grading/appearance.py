"""Grey-level features of a mark: its body, how steep the body's edge is, what surrounds it, how even it is inside.

A region also holds what optics and growth add to a mark: halos, blur, specks of noise. Its body is what is left when
only the pixels are kept that reach half of its own contrast. All is measured in the residual at working scale and
relative to the mark's contrast, so that neither exposure nor strength matter.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from vision.regions import Region
from vision.robust import quantile

BODY_SHARE = 0.5  # of the strongest pixels: the outline that blur does not move
STRONGEST_PX = 9  # pixels whose mean is a mark's full contrast
SMOOTHING_PX = 0.7
WEAK_EDGE_QUANTILE = 0.2  # of the slopes along the outline: a mark is as soft as its softest stretch
RING_PX = (1, 3)  # from the body: where halos lie
RING_QUANTILE = 0.1
OUTLINE_LEVELS = (0.25, 0.5, 0.75)  # of the contrast
OUTLINE_REACH_PX = 2  # from the body: where its outlines are looked for, at least ...
OUTLINE_REACH_SHARE = 0.25  # ... and of its radius: large soft marks
OVERSAMPLING = 4  # of the outlines of small marks, whose pixels are too coarse to tell a shape
SMALL_PX = 100
_SQUARE = np.ones((3, 3), np.uint8)


@dataclass(frozen=True)
class Appearance:
    """Grey-level features of a mark at working scale; all but the first are shares of the body's contrast."""

    contrast_grey: float  # mean residual of its stronger half, negative = dark
    edge_slope: float  # of the softer part of the outline, per px
    rim: float  # level of the opposite side around the body, 0 = none, 1 = as strong as the body
    unevenness: float  # spread of the grey levels inside, away from the outline
    edge_width: float  # how much wider the outline at a quarter of the contrast is than at three quarters
    roundness: float  # circularity of the outline at three quarters of the contrast, 0..1


@dataclass(frozen=True)
class Body:
    """The pixels (row, col) at working scale that reach half of a mark's contrast; ``polarity`` as of a region."""

    rows: np.ndarray
    cols: np.ndarray
    polarity: int
    contrast_grey: float  # of its strongest pixels, > 0


def body_of(region: Region, residual_grey: np.ndarray) -> Body:
    """Largest connected part of a region that reaches half of its contrast, holes filled.

    A region of dark and bright parts has the polarity of the stronger ones here.
    """
    values = residual_grey[region.rows, region.cols] * region.polarity
    polarity, ordered = region.polarity, np.sort(values)
    if -quantile(ordered, 0.05) > quantile(ordered, 0.95):
        polarity, values, ordered = -polarity, -values, -ordered[::-1]
    contrast = max(float(np.mean(ordered[-STRONGEST_PX:])), 1e-6)
    top, left = region.rows.min(), region.cols.min()
    strong = np.zeros((np.ptp(region.rows) + 1, np.ptp(region.cols) + 1), np.uint8)
    strong[region.rows - top, region.cols - left] = values >= BODY_SHARE * contrast
    outlines, _ = cv2.findContours(strong, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    if not outlines:
        return Body(region.rows, region.cols, polarity, contrast)
    filled = [cv2.drawContours(np.zeros_like(strong), [outline], -1, 1, cv2.FILLED) for outline in outlines]
    rows, cols = np.nonzero(max(filled, key=np.count_nonzero))
    return Body(rows + top, cols + left, polarity, contrast)


def appearance_of(region: Region, body: Body, residual_grey: np.ndarray) -> Appearance:
    """Contrast of a region, and slope, rim and evenness of its body."""
    values = residual_grey[region.rows, region.cols]
    signed = values * region.polarity
    reach = max(OUTLINE_REACH_PX, round(OUTLINE_REACH_SHARE * math.sqrt(len(body.rows) / math.pi)))
    margin = max(RING_PX[1], reach) + 2
    top, left = max(0, body.rows.min() - margin), max(0, body.cols.min() - margin)
    patch = residual_grey[top : body.rows.max() + margin + 1, left : body.cols.max() + margin + 1]
    smooth = cv2.GaussianBlur((patch * (body.polarity / body.contrast_grey)).astype(np.float32), (0, 0), SMOOTHING_PX)
    mask = np.zeros(patch.shape, np.uint8)
    mask[body.rows - top, body.cols - left] = 1
    core, wide = cv2.erode(mask, _SQUARE), cv2.dilate(mask, _SQUARE)
    slope = np.hypot(cv2.Sobel(smooth, cv2.CV_32F, 1, 0, scale=1 / 8), cv2.Sobel(smooth, cv2.CV_32F, 0, 1, scale=1 / 8))
    ring = cv2.dilate(mask, np.ones((2 * RING_PX[1] + 1,) * 2, np.uint8)) > wide
    inside = smooth[core > 0] if np.count_nonzero(core) > 3 else smooth[mask > 0]
    edge_width, roundness = _outlines(patch * (body.polarity / body.contrast_grey), mask, reach)
    return Appearance(
        contrast_grey=float(np.mean(values[signed >= quantile(np.sort(signed), 0.5)])),
        edge_slope=quantile(np.sort(slope[wide > core]), WEAK_EDGE_QUANTILE),
        rim=max(0.0, -quantile(np.sort(smooth[ring]), RING_QUANTILE)) if ring.any() else 0.0,
        unevenness=float(np.std(inside)),
        edge_width=edge_width,
        roundness=roundness,
    )


def _outlines(share: np.ndarray, mask: np.ndarray, reach_px: int) -> tuple[float, float]:
    """Edge width and roundness of a body from its outlines at :data:`OUTLINE_LEVELS`, finer than pixels.

    ``share`` (h, w) is the residual over the body's contrast, ``mask`` (h, w) uint8 the body; the outlines lie at most
    ``reach_px`` from it. A hole has a steep wall and the same outline at every level; a soft heap has not.
    """
    finer = OVERSAMPLING if max(mask.shape) <= SMALL_PX else 1
    fine = cv2.resize(share.astype(np.float32), None, fx=finer, fy=finer, interpolation=cv2.INTER_CUBIC)
    fine = cv2.GaussianBlur(fine, (0, 0), SMOOTHING_PX * finer)
    near = cv2.dilate(mask, np.ones((2 * reach_px + 1,) * 2, np.uint8))
    near = cv2.resize(near, None, fx=finer, fy=finer, interpolation=cv2.INTER_NEAREST)
    radii, roundness = [], 1.0
    for level in OUTLINE_LEVELS:
        reached = ((fine > level) & (near > 0)).astype(np.uint8)
        found, _ = cv2.findContours(reached, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        outline = max(found, key=cv2.contourArea, default=None)
        # a contour runs through pixel centres: half a pixel inside of the outline
        area = 0.0 if outline is None else cv2.contourArea(outline) + 0.5 * cv2.arcLength(outline, True) + 1.0
        radii.append(math.sqrt(area / math.pi))
        roundness = min(1.0, 4 * math.pi * area / (cv2.arcLength(outline, True) + math.pi) ** 2) if area else 1.0
    return (radii[0] - radii[-1]) / max(radii[1], 0.5 * finer), roundness


def body_pixels(rows: np.ndarray, cols: np.ndarray, region: Region, body: Body) -> tuple[np.ndarray, np.ndarray]:
    """Those of a region's pixels (rows, cols) at full resolution that belong to its body at working scale."""
    top, left = region.rows.min(), region.cols.min()
    mask = np.zeros((np.ptp(region.rows) + 1, np.ptp(region.cols) + 1), bool)
    mask[body.rows - top, body.cols - left] = True
    inside = mask[_rescaled(rows, len(mask)), _rescaled(cols, mask.shape[1])]
    return (rows[inside], cols[inside]) if inside.any() else (rows, cols)


def _rescaled(values: np.ndarray, count: int) -> np.ndarray:
    """Whole numbers from a range of any size as indices of ``count`` equal parts of it."""
    return (values - values.min()) * count // (np.ptp(values) + 1)
