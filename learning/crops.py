"""Square pieces of an end face around marks, and as many without any.

How a piece is cut out: :mod:`second_opinion.patch_input`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from learning.labelling import CLADDING, CORE, FERRULE, Labelled
from records import Ellipse
from second_opinion.patch_input import CROP_SHARE, middle_of

ARTIFACT, CLEAN_PIECE = "artifact", "clean"
_FREE_SHARES = (0.5, 0.25)  # of a piece's side: how far marks stay off the middle of a clean one, at best and at least
_APART_SHARE = 0.25  # of the side: between the middles of two clean pieces
_TRIES = 2000  # places looked at for the clean pieces of an image


@dataclass(frozen=True)
class Crop:
    """A piece to be cut out, its middle in image pixels; ``number`` is that of its mark."""

    class_name: str  # a kind of mark, artifact or clean
    x_px: float
    y_px: float
    number: int | None = None


def choose_crops(labelled: Labelled, image_id: str) -> list[Crop]:
    """The pieces of an image: one per mark and artifact, and clean ones, as many (one where there is none).

    The choice of the clean ones depends on ``image_id`` alone; each lies in the region of one of the others.
    """
    if labelled.fiber is None:
        return []
    marked = [Crop(kind, *middle_of(*np.nonzero(labelled.labels == k)), k) for k, kind in labelled.kinds.items()]
    marked += [Crop(ARTIFACT, x, y) for x, y in labelled.artifacts]
    regions = [int(labelled.regions[round(crop.y_px), round(crop.x_px)]) for crop in marked] or [CLADDING]
    return marked + _clean_crops(labelled, labelled.fiber.cladding, regions, image_id)


def _clean_crops(labelled: Labelled, cladding: Ellipse, regions: Sequence[int], image_id: str) -> list[Crop]:
    side = CROP_SHARE * cladding.mean_radius_px
    free = _distance_from_marks(labelled)
    rng = np.random.default_rng(int(image_id, 16))
    rows, cols = np.nonzero((labelled.regions > 0) & ~labelled.ignore & (free >= _FREE_SHARES[-1] * side))
    picked = rng.permutation(len(rows))[:_TRIES]
    rows, cols = rows[picked], cols[picked]
    # the farther a place is from every mark the better, but near enough to one is the fate of dirty faces
    order = np.argsort(free[rows, cols] < _FREE_SHARES[0] * side, kind="stable")
    chosen: list[Crop] = []
    for region in regions:
        allowed = (FERRULE,) if region == FERRULE else (CORE, CLADDING)
        for k in order:
            x, y = float(cols[k]), float(rows[k])
            apart = all(math.hypot(x - c.x_px, y - c.y_px) >= _APART_SHARE * side for c in chosen)
            if apart and labelled.regions[rows[k], cols[k]] in allowed:
                chosen.append(Crop(CLEAN_PIECE, x, y))
                break
    return chosen


def _distance_from_marks(labelled: Labelled) -> np.ndarray:
    """How far each pixel is from the nearest that is labelled or reported, (H, W) float32."""
    free = (~labelled.occupied).astype(np.uint8)
    if free.all():
        return np.full(free.shape, np.inf, np.float32)
    return cv2.distanceTransform(free, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
