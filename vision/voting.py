"""The vote of the algorithms: per pixel and polarity who responds, and how much confidence that is worth."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from vision.evidence import Evidence
from vision.settings import DetectionSettings

COMPACT = ("DO2MR", "BlackHat")  # the detectors of compact marks; the others look for lines
WEIGHT_ROUNDING = 1e-6  # of sums of weights


@dataclass(frozen=True)
class Votes:
    """Who responds at each pixel to one polarity; bit k of ``code`` is the k-th of ``names``."""

    code: np.ndarray  # (H, W) uint8
    names: tuple[str, ...]
    worth: np.ndarray  # (256,) float32: confidence of a code, the sum of its algorithms' weights
    confirmed: np.ndarray  # (H, W) bool: confidence reaches the threshold

    def confidence(self, rows: np.ndarray, cols: np.ndarray) -> float:
        """The largest confidence among some pixels."""
        return float(self.worth[self.code[rows, cols]].max())

    def voters(self, rows: np.ndarray, cols: np.ndarray) -> tuple[str, ...]:
        """The algorithms that respond to any of some pixels."""
        code = int(np.bitwise_or.reduce(self.code[rows, cols]))
        return tuple(name for k, name in enumerate(self.names) if code >> k & 1)

    def both_compact(self) -> np.ndarray | None:
        """Pixels (H, W) bool to which both detectors of compact marks respond; None where one is switched off."""
        if not all(name in self.names for name in COMPACT):
            return None
        bits = sum(1 << self.names.index(name) for name in COMPACT)
        return (self.code & np.uint8(bits)) == bits


def cast_votes(
    evidence: list[Evidence],
    skeleton: np.ndarray | None,
    inside: np.ndarray,
    polarity: int,
    settings: DetectionSettings,
) -> Votes:
    """The votes for one polarity; ``skeleton`` and ``inside`` are (H, W) bool, nothing is confirmed outside."""
    cast = [(item.name, item.weight, item.of(polarity) >= item.threshold) for item in evidence]
    if skeleton is not None:
        cast.append(("Skeleton", settings.algorithms.skeleton.weight, skeleton))
    code = np.zeros(inside.shape, np.uint8)
    worth = np.zeros(256, np.float32)
    for k, (_, weight, responds) in enumerate(cast):
        code |= responds.view(np.uint8) << np.uint8(k)
        worth += np.float32(weight) * (np.arange(256) >> k & 1)
    enough = (worth >= settings.confidence_threshold - WEIGHT_ROUNDING).astype(np.uint8)
    return Votes(code, tuple(name for name, *_ in cast), worth, cv2.LUT(code, enough).view(bool) & inside)
