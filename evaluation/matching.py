"""Which true defects were found and which reports are true: the rules of the contract's section Ground truth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import cv2
import numpy as np

from evaluation.truth import DO_NOT_JUDGE
from records import Ellipse
from vision.geometry import polar_maps

JUDGED_SHARE = 0.97  # of the cladding radius
FOUND_SHARE, FOUND_REACH_PX = 0.3, 2.0
TRUE_SHARE, TRUE_REACH_PX = 0.5, 3.0


@dataclass(frozen=True)
class Matching:
    """True defects (by id) beside reported ones (by their value in the reported label image).

    A partner is the one that overlaps most. A report without a partner that is true lies on a do-not-judge area.
    """

    asked: tuple[int, ...] = ()  # true defects in the judged area
    found: tuple[int, ...] = ()
    reported: tuple[int, ...] = ()  # reports in the judged area
    true: tuple[int, ...] = ()
    report_of: Mapping[int, int] = field(default_factory=dict)  # found true defect -> report
    defect_of: Mapping[int, int] = field(default_factory=dict)  # true report -> true defect

    @property
    def missed(self) -> tuple[int, ...]:
        """True defects that were not found."""
        return tuple(k for k in self.asked if k not in self.found)

    @property
    def false(self) -> tuple[int, ...]:
        """Reports that are not true."""
        return tuple(k for k in self.reported if k not in self.true)


def match(
    reported: np.ndarray | None, truth: np.ndarray, cladding: Ellipse, judged_share: float = JUDGED_SHARE
) -> Matching:
    """Match a reported label image (H, W) with the truth's, (H, W) uint16; None = nothing was reported.

    A defect belongs to the judged area when at least half of its pixels lie within ``judged_share`` of the true
    cladding radius.
    """
    reported = np.zeros(truth.shape, np.uint16) if reported is None else reported
    inside = polar_maps(truth.shape, cladding)[0] < judged_share * cladding.mean_radius_px
    defects = np.where(truth == DO_NOT_JUDGE, 0, truth)
    near_report = _within(reported > 0, FOUND_REACH_PX)
    near_truth = _within(truth > 0, TRUE_REACH_PX)
    asked, labels = _mostly(defects, inside, 0.5), _mostly(reported, inside, 0.5)
    found = [k for k in asked if near_report[defects == k].mean() >= FOUND_SHARE]
    true = [k for k in labels if near_truth[reported == k].mean() >= TRUE_SHARE]
    return Matching(
        asked=asked,
        found=tuple(found),
        reported=labels,
        true=tuple(true),
        report_of=_partners(found, defects, reported, FOUND_REACH_PX),
        defect_of=_partners(true, reported, defects, TRUE_REACH_PX),
    )


def _mostly(labels: np.ndarray, area: np.ndarray, share: float) -> tuple[int, ...]:
    """Values of a label image (0 apart) of which at least ``share`` of the pixels lie in ``area``."""
    return tuple(int(k) for k in np.unique(labels[labels > 0]) if area[labels == k].mean() >= share)


def _within(mask: np.ndarray, reach_px: float) -> np.ndarray:
    """Pixels at most ``reach_px`` from a mask."""
    if not mask.any():
        return np.zeros(mask.shape, bool)
    return cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE) <= reach_px


def _partners(members: list[int], labels: np.ndarray, others: np.ndarray, reach_px: float) -> dict[int, int]:
    """For each member of ``labels`` the value of ``others`` with most of its pixels within reach, where there is one.

    The smaller value wins a tie.
    """
    margin, partners = int(np.ceil(reach_px)), {}
    for k in members:
        rows, cols = np.nonzero(labels == k)
        top, left = max(0, rows.min() - margin), max(0, cols.min() - margin)
        window = np.s_[top : rows.max() + margin + 1, left : cols.max() + margin + 1]
        inner = (rows - top, cols - left)
        candidates = [int(c) for c in np.unique(others[window]) if c]
        overlaps = {c: np.count_nonzero(_within(others[window] == c, reach_px)[inner]) for c in candidates}
        best = max(overlaps, key=lambda c: overlaps[c], default=None)
        if best is not None and overlaps[best]:
            partners[k] = best
    return partners
