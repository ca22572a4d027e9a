"""Square pieces of an end face around marks, and as many without any.

A piece spans a fixed share of the cladding's radius, 31 um of a 125 um fibre, not the mark: so sizes, sharpness and
grain mean the same in every piece, whatever the microscope enlarges, and a network sees how large a mark is. It is
taken in the fibre frame, where pixels are square and a tilted fibre is round.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from learning.labelling import CLADDING, CORE, FERRULE, Labelled, middle_of
from records import Ellipse
from vision.geometry import from_frame, to_frame

CROP_PX = 256
CROP_SHARE = 0.5  # of the cladding radius
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
    marked = [Crop(kind, *middle_of(labelled.labels == k), k) for k, kind in labelled.kinds.items()]
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


def cut_out(grey: np.ndarray, cladding: Ellipse, x_px: float, y_px: float) -> np.ndarray:
    """The piece around a point, (256, 256) uint8; beyond the image its edge goes on."""
    side = CROP_SHARE * cladding.mean_radius_px
    fine = max(1, math.ceil(side / CROP_PX))  # samples per pixel of the piece, so that none of the image is skipped
    offsets = ((np.arange(CROP_PX * fine) + 0.5) / (CROP_PX * fine) - 0.5) * side
    u, v = to_frame(cladding, np.float64(x_px), np.float64(y_px))
    x, y = from_frame(cladding, u + offsets[None, :], v + offsets[:, None])
    piece = cv2.remap(
        grey, x.astype(np.float32), y.astype(np.float32), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return piece if fine == 1 else cv2.resize(piece, (CROP_PX, CROP_PX), interpolation=cv2.INTER_AREA)
