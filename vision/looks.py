"""Looks at a crop: background and noise learnt, everything that stands out in sigmas, and the marks confirmed in it.

A rough look at half the scale comes first. It finds the strong marks, which the background and the noise of the look
proper are learnt without; of the ferrule it is the only one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from records import ZoneExtent
from vision.evidence import Evidence, black_hat, do2mr, edge_skeleton, lei
from vision.fields import WorkingCrop, inspected_pixels
from vision.fusion import confirmed_regions
from vision.regions import Region
from vision.residual import Residual, radial_residual
from vision.ring_frame import ring_frame
from vision.settings import DetectionSettings
from vision.significance import Significance, significance, strong_marks
from vision.voting import WEIGHT_ROUNDING
from vision.witness import Witness

ROUGH_LOOKS = 3
LARGE_MARKS_SHARE = 0.01  # of the inspected area: newly found marks that call for another rough look


@dataclass(frozen=True)
class Look:
    """A crop without its background, and in sigmas."""

    crop: WorkingCrop
    residual: Residual
    found: Significance


def look_at(crop: WorkingCrop, settings: DetectionSettings, marked: np.ndarray, core_radius_px: float) -> Look:
    """Learn background and noise of a crop without its strong marks, (H, W) bool."""
    frame = ring_frame(crop.grey.shape, crop.ellipse, crop.reach_px)
    residual = radial_residual(crop.grey, frame, settings.residual, marked, core_radius_px)
    return Look(crop, residual, significance(residual, settings, marked))


def rough_looks(half: WorkingCrop, core_radius_px: float, settings: DetectionSettings) -> tuple[Look, np.ndarray]:
    """The last rough look at a crop of half the scale, and its strong marks, (H, W) bool.

    A strong mark is as strong at half the scale. Each look leaves out what the ones before have found, until nothing
    large is added.
    """
    frame = ring_frame(half.grey.shape, half.ellipse, half.reach_px)
    rough = _rough(settings, half.ellipse.mean_radius_px)
    marked = None
    for _ in range(ROUGH_LOOKS):
        before = 0 if marked is None else np.count_nonzero(marked)
        residual = radial_residual(half.grey, frame, rough.residual, marked, core_radius_px)
        found = significance(residual, rough, marked)
        marked = strong_marks(found, rough.residual)
        if np.count_nonzero(marked) < before + LARGE_MARKS_SHARE * residual.inside.sum():
            break
    return Look(half, residual, found), marked


def _rough(settings: DetectionSettings, cladding_radius_px: float) -> DetectionSettings:
    """The same settings with fewer rays, fewer and wider sectors, the finest smoothing only, and whole rings inside.

    A scratch along a ring fills a sector, and a large mark near the centre any sector there; half a ring hardly ever.
    """
    own = settings.residual
    residual = replace(
        own,
        angles=own.angles // 2,
        radial_oversampling=max(1, own.radial_oversampling - 1),
        sectors=max(6, own.sectors // 3),
        sector_width_deg=2 * own.sector_width_deg,
        ring_radius_px=max(own.ring_radius_px, 0.5 * own.inner_share * cladding_radius_px),
    )
    return replace(settings, residual=residual, smoothing_px=settings.smoothing_px[:1])


def ferrule_look(settings: DetectionSettings) -> DetectionSettings:
    """The same settings without the two detectors of faint lines: no standard limits scratches of the ferrule.

    Clear ones are found all the same. Where the others cannot confirm a mark between them, the line detectors stay.
    """
    own = settings.algorithms
    settings = replace(settings, smoothing_px=settings.smoothing_px[:1])
    compact = sum(detector.weight for detector in (own.do2mr, own.blackhat) if detector.enabled)
    if compact < settings.confidence_threshold - WEIGHT_ROUNDING:
        return settings
    algorithms = replace(own, lei=replace(own.lei, enabled=False), skeleton=replace(own.skeleton, enabled=False))
    return replace(settings, algorithms=algorithms)


def marks_seen(
    look: Look,
    zones: tuple[ZoneExtent, ...],
    core_radius_px: float,
    settings: DetectionSettings,
    witness: Witness | None = None,
    *,
    within_px: float = 0.0,
    beyond_px: float = math.inf,
) -> list[Region]:
    """Confirmed regions of a look in the inspected zones from ``within_px`` to ``beyond_px`` (radii)."""
    residual, found, radius_px = look.residual, look.found, look.crop.ellipse.mean_radius_px
    evidence = all_evidence(found, residual, radius_px, settings)
    if witness is not None:
        evidence.append(witness.evidence(look.crop, found))
    skeletons = settings.algorithms.skeleton.enabled
    skeleton = edge_skeleton(found, residual.inside, settings) if skeletons else None
    inspected = inspected_pixels(residual, zones, look.crop.factor, within_px=within_px, beyond_px=beyond_px)
    return confirmed_regions(found, evidence, skeleton, residual, inspected, radius_px, core_radius_px, settings)


def all_evidence(
    found: Significance, residual: Residual, cladding_radius_px: float, settings: DetectionSettings
) -> list[Evidence]:
    """What the algorithms that are switched on say, the edge skeleton apart."""
    use = settings.algorithms
    evidence = []
    if use.do2mr.enabled:
        evidence.append(do2mr(found, residual, settings))
    if use.blackhat.enabled:
        evidence.append(black_hat(found, residual, cladding_radius_px, settings))
    if use.lei.enabled:
        evidence.append(lei(found, residual, cladding_radius_px, settings))
    return evidence
