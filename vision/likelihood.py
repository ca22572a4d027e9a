"""How likely a candidate is a real mark: the pieces of evidence together, as log odds.

No single number separates weak marks from noise, shading and compression blocks. The black-hat response knows shape,
the significance and the line detector the noise of the picture, the contrast in grey levels what a camera can invent; a
dot in quiet surroundings is less likely noise than one among many, chance rarely lines up to a long thin mark, and near
boundaries all of these are worth less. The logarithms are added with the weights of a logistic regression (config).
"""

from __future__ import annotations

import math
from dataclasses import replace

import cv2
import numpy as np

from vision.evidence import Evidence
from vision.regions import Region, box_px
from vision.residual import Residual
from vision.robust import robust_spread
from vision.settings import LikelihoodSettings
from vision.significance import Significance

SATURATION = 20.0  # sigmas or grey levels: above, a mark is not surer
LEAST_CONTRAST_GREY = 0.3
LEAST_BOUNDARY = 0.05
HAT_PER_SIGMA = 2.0  # typical black-hat response of a compact mark over its significance
LINE_ASPECT = 3.0  # length over mean thickness
LINE_LENGTH_SHARE = 0.1  # of the cladding radius
DOT_MAX_AREA_PX = 16  # about what the optics make of a point
DOT_MAX_BOUNDARY = 0.15
DOT_LEAST_RATIO = 5.0
SURROUNDINGS_PX = (2.0, 8.0)
LEAST_SPREAD_GREY = 0.2
MOST_PROBABLE = 0.98  # that a witness can make a mark: it is not surer


def likely_regions(
    regions: list[Region],
    found: Significance,
    evidence: list[Evidence],
    residual: Residual,
    cladding_radius_px: float,
    settings: LikelihoodSettings,
) -> list[Region]:
    """The regions whose probability of being a mark reaches ``settings.min_probability``; mixed ones by either side.

    They know their probability.
    """
    least = math.log(settings.min_probability / (1 - settings.min_probability))
    by_name = {item.name: item for item in evidence}
    smooth = cv2.GaussianBlur(residual.grey, (0, 0), settings.contrast_smoothing_px)
    free = residual.inside.copy()
    for region in regions:
        free[region.rows, region.cols] = False
    seen = (found, by_name, residual, smooth, free, cladding_radius_px, settings)
    kept = []
    for region in regions:
        sides = (-1, 1) if region.mixed else (region.polarity,)
        odds = max(_log_odds(replace(region, polarity=side), *seen) for side in sides)
        if odds >= least:
            kept.append(replace(region, probability=1 / (1 + math.exp(-odds))))
    return kept


def _log_odds(
    region: Region,
    found: Significance,
    by_name: dict[str, Evidence],
    residual: Residual,
    smooth: np.ndarray,
    free: np.ndarray,
    cladding_radius_px: float,
    settings: LikelihoodSettings,
) -> float:
    """Log odds of a region from the evidence of its polarity."""
    own = (region.rows, region.cols)
    boundary = float(residual.boundary[own].mean())
    significance = float((region.polarity * found.extent[own]).max())
    shape = _response(by_name.get("BlackHat"), region, HAT_PER_SIGMA * significance)
    line = _response(by_name.get("LEI"), region, significance)
    odds = (
        settings.bias
        + settings.blackhat * _log(shape, 1.0)
        + settings.significance * _log(significance, 1.0)
        + settings.line * _log(line, 1.0)
        + settings.contrast * _log(float((region.polarity * smooth[own]).max()), LEAST_CONTRAST_GREY)
        + settings.length * line_length(region, cladding_radius_px)
        + settings.boundary * math.log(LEAST_BOUNDARY + boundary)
    )
    odds += sum(item.odds * _support(item, region) for item in by_name.values() if item.odds > 0)
    if len(region.rows) < DOT_MAX_AREA_PX and boundary < DOT_MAX_BOUNDARY:
        odds += settings.dot * max(0.0, _log(local_contrast(region, smooth, free), 1.0) - math.log(DOT_LEAST_RATIO))
    return odds


def _response(item: Evidence | None, region: Region, otherwise: float) -> float:
    """Largest response of an algorithm in a region; what is typical of a compact mark where it is switched off."""
    return otherwise if item is None else float(item.of(region.polarity)[region.rows, region.cols].max())


def _support(witness: Evidence, region: Region) -> float:
    """By how much the log odds of a witness exceed those of its threshold; not below 0: it silences nobody."""
    largest = float(witness.of(region.polarity)[region.rows, region.cols].max())
    return max(0.0, _logit(min(largest, MOST_PROBABLE)) - _logit(witness.threshold))


def _logit(probability: float) -> float:
    return math.log(probability / (1 - probability)) if probability > 0 else -math.inf


def _log(value: float, least: float) -> float:
    return math.log(min(max(value, least), SATURATION))


def line_length(region: Region, cladding_radius_px: float) -> float:
    """Logarithm of a long thin region's length over the least length of a line; 0 for any other region."""
    length, _ = box_px(region)
    if length < LINE_ASPECT * len(region.rows) / length:
        return 0.0
    return max(0.0, math.log(length / (LINE_LENGTH_SHARE * cladding_radius_px)))


def local_contrast(region: Region, smooth: np.ndarray, free: np.ndarray) -> float:
    """Peak of a region over its surroundings, in robust spreads of the surroundings; 1 where these cannot be seen.

    ``smooth`` (H, W) is the smoothed residual in grey levels, ``free`` (H, W) bool what belongs to no region.
    """
    near, far = SURROUNDINGS_PX
    margin = int(far) + 1
    top, left = max(0, region.rows.min() - margin), max(0, region.cols.min() - margin)
    window = np.s_[top : region.rows.max() + margin + 1, left : region.cols.max() + margin + 1]
    outside = np.ones(free[window].shape, np.uint8)
    outside[region.rows - top, region.cols - left] = 0
    distance = cv2.distanceTransform(outside, cv2.DIST_L2, 5)
    around = region.polarity * smooth[window][(distance > near) & (distance <= far) & free[window]]
    if len(around) <= 5:
        return 1.0
    middle = float(np.median(around))
    spread = robust_spread(around, tails=False)
    peak = float((region.polarity * smooth[region.rows, region.cols]).max())
    return (peak - middle) / max(spread, LEAST_SPREAD_GREY)
