"""Scoring of reported defects against ground truth, by the rules of the contract's section Ground truth."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from records import NAN, Ellipse
from vision.geometry import polar_maps

DO_NOT_JUDGE = 65535
JUDGED_SHARE = 0.97  # of the cladding radius
FOUND_SHARE, FOUND_REACH_PX = 0.3, 2.0
TRUE_SHARE, TRUE_REACH_PX = 0.5, 3.0


@dataclass(frozen=True)
class Score:
    """How many true defects were asked for and found, how many were reported and true; with what went wrong."""

    asked: int = 0
    found: int = 0
    reported: int = 0
    true: int = 0
    missed_ids: tuple[int, ...] = ()  # ids of the truth
    false_labels: tuple[int, ...] = ()  # values in the reported label image

    @property
    def recall(self) -> float:
        """Share of the true defects that were found, NaN when there were none."""
        return self.found / self.asked if self.asked else NAN

    @property
    def precision(self) -> float:
        """Share of the reported defects that are true, NaN when nothing was reported."""
        return self.true / self.reported if self.reported else NAN

    def __add__(self, other: Score) -> Score:
        """Totals of both; which defects they were is dropped, because ids repeat from image to image."""
        return Score(
            self.asked + other.asked,
            self.found + other.found,
            self.reported + other.reported,
            self.true + other.true,
        )


def truth_ellipse(fiber: dict) -> Ellipse:
    """The cladding of a truth document; its angle belongs to the first axis, whichever is longer."""
    first, second = fiber["axes_px"]
    angle = fiber["angle_deg"] + (0.0 if first >= second else 90.0)
    return Ellipse(*fiber["center_px"], max(first, second), min(first, second), angle % 180.0)


def is_located(found: Ellipse | None, truth: Ellipse, tolerance: float = 0.015) -> bool:
    """Whether centre and mean radius agree within a share of the true radius."""
    if found is None:
        return False
    radius = truth.mean_radius_px
    off_centre = math.hypot(found.x_px - truth.x_px, found.y_px - truth.y_px)
    return off_centre <= tolerance * radius and abs(found.mean_radius_px - radius) <= tolerance * radius


def score_labels(reported: np.ndarray | None, truth: np.ndarray, cladding: Ellipse) -> Score:
    """Score a label image (H, W) against the truth's (H, W) uint16; None = nothing was reported.

    A defect belongs to the judged area when at least half of its pixels lie within 0.97 of the true cladding radius.
    """
    reported = np.zeros(truth.shape, np.uint16) if reported is None else reported
    inside = polar_maps(truth.shape, cladding)[0] < JUDGED_SHARE * cladding.mean_radius_px
    near_report = _within(reported > 0, FOUND_REACH_PX)
    defects = np.where(truth == DO_NOT_JUDGE, 0, truth)
    ids = _mostly(defects, inside, 0.5)
    found = [k for k in ids if near_report[defects == k].mean() >= FOUND_SHARE]
    labels = _mostly(reported, inside, 0.5)
    near_truth = _within(truth > 0, TRUE_REACH_PX)
    true = [k for k in labels if near_truth[reported == k].mean() >= TRUE_SHARE]
    missed, false = set(ids) - set(found), set(labels) - set(true)
    return Score(len(ids), len(found), len(labels), len(true), tuple(sorted(missed)), tuple(sorted(false)))


def _mostly(labels: np.ndarray, area: np.ndarray, share: float) -> list[int]:
    """Values of a label image (0 apart) of which at least ``share`` of the pixels lie in ``area``."""
    return [int(k) for k in np.unique(labels[labels > 0]) if area[labels == k].mean() >= share]


def _within(mask: np.ndarray, reach_px: float) -> np.ndarray:
    """Pixels at most ``reach_px`` from a mask."""
    if not mask.any():
        return np.zeros(mask.shape, bool)
    return cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE) <= reach_px
