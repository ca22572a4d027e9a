"""A witness from outside: a picture of where marks are likely, as one more piece of evidence in the fusion."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from vision.evidence import Evidence
from vision.fields import WorkingCrop
from vision.geometry import to_frame
from vision.significance import Significance

NAME = "Segment"


@dataclass(frozen=True)
class Witness:
    """Probabilities (S, S) float32 of a mark, over a square of the fibre frame ``2 * reach_share`` cladding radii wide.

    Where they reach ``threshold`` the witness adds ``weight`` to the confidence, and by how much they exceed it, in log
    odds times ``odds``, to the likelihood.
    """

    probability: np.ndarray
    reach_share: float
    weight: float
    threshold: float
    odds: float

    def evidence(self, crop: WorkingCrop, found: Significance) -> Evidence:
        """What it says of a crop, in probabilities: for the polarity that the finest residual has there."""
        size = len(self.probability)
        rows, cols = np.indices(crop.grey.shape, np.float32)
        u, v = to_frame(crop.ellipse, cols, rows)
        per_px = size / (2 * self.reach_share * crop.ellipse.mean_radius_px)
        x, y = ((values * per_px + (size - 1) / 2).astype(np.float32) for values in (u, v))
        here = cv2.remap(self.probability, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
        is_bright = found.fine > 0
        dark, bright = np.where(is_bright, 0, here), np.where(is_bright, here, 0)
        return Evidence(NAME, self.weight, self.threshold, dark, bright, self.odds)
