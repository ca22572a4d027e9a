"""What an image shows, whoever says so: the inspector's findings, or a person's labels over them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from evaluation.matching import JUDGED_SHARE, match
from evaluation.truth import DO_NOT_JUDGE
from records import CLASS_OF_KIND, NAN, Defect, Fiber, Inspection
from second_opinion.patch_input import middle_of
from vision.geometry import polar_maps

KINDS = tuple(CLASS_OF_KIND)
KIND_OF_CLASS = {name: kind for kind, name in CLASS_OF_KIND.items()}
CLEAN, DEFECTIVE = "clean", "defective"
INSPECTOR, HUMAN = "inspector", "human"
CORE, CLADDING, FERRULE = 1, 2, 3
REGIONS = {CORE: "core", CLADDING: "cladding", FERRULE: "ferrule"}
_FERRULE_SHARE = 2.0  # of the cladding radius: how far the ferrule is looked at where the inspector placed no zones


@dataclass(frozen=True)
class Labelled:
    """The marks of one image; arrays are (H, W)."""

    source: str  # inspector | human
    verdict: str | None  # clean | defective
    fiber: Fiber | None
    um_per_px: float
    regions: np.ndarray  # uint8, 0 outside, 1 core, 2 cladding, 3 ferrule
    labels: np.ndarray  # uint16, 0 or the number of a mark
    ignore: np.ndarray  # bool: nobody has said what is there
    occupied: np.ndarray  # bool: labelled or reported
    kinds: Mapping[int, str] = field(default_factory=dict)  # of each mark
    reports: Mapping[int, Defect] = field(default_factory=dict)  # of the inspector's own marks
    artifacts: tuple[tuple[float, float], ...] = ()  # reported marks that are none: (x, y) of a pixel in their middle


def by_inspector(inspection: Inspection) -> Labelled:
    """The inspector's own findings; ``inspection`` must hold a picture."""
    record, labels = inspection.record, inspection.labels
    labels = np.zeros(inspection.grey.shape, np.uint16) if labels is None else labels
    return Labelled(
        source=INSPECTOR,
        verdict=None if record.fiber is None else verdict_of(labels, record.fiber),
        fiber=record.fiber,
        um_per_px=record.scale.um_per_px,
        regions=region_map(inspection, record.fiber),
        labels=labels,
        ignore=np.zeros(labels.shape, bool),
        occupied=labels > 0,
        kinds={defect.label: KIND_OF_CLASS[defect.kind] for defect in record.defects},
        reports={defect.label: defect for defect in record.defects},
    )


def by_human(
    inspection: Inspection,
    labels: np.ndarray,
    kinds: Mapping[int, str],
    *,
    fiber: Fiber | None,
    verdict: str | None,
    um_per_px: float = NAN,
    judged_share: float = JUDGED_SHARE,
) -> Labelled:
    """A person's labels, (H, W) uint16 with do-not-judge areas, in place of the inspector's.

    ``judged_share`` of the cladding radius is where they are complete. Reports of the inspector there that are not true
    by the rules of the evaluation are artifacts.
    """
    marks = np.where(labels == DO_NOT_JUDGE, 0, labels).astype(np.uint16)
    if fiber is None:
        nothing = np.zeros(marks.shape, bool)
        return Labelled(HUMAN, verdict, None, NAN, nothing.astype(np.uint8), np.zeros_like(marks), nothing, nothing)
    reported = inspection.labels
    outside = polar_maps(labels.shape, fiber.cladding)[0] >= judged_share * fiber.cladding.mean_radius_px
    ignore = (labels == DO_NOT_JUDGE) | (outside & (marks == 0))
    occupied = labels > 0
    artifacts = []
    if reported is not None:
        occupied = occupied | (reported > 0)
        wrong = match(reported, labels, fiber.cladding, judged_share).false
        artifacts = [middle_of(*np.nonzero(reported == k)) for k in wrong]
    present = {int(k) for k in np.unique(marks)}
    return Labelled(
        source=HUMAN,
        verdict=verdict,
        fiber=fiber,
        um_per_px=um_per_px,
        regions=region_map(inspection, fiber),
        labels=marks,
        ignore=ignore,
        occupied=occupied,
        kinds={number: kind for number, kind in kinds.items() if number in present},
        artifacts=tuple(artifacts),
    )


def verdict_of(labels: np.ndarray, fiber: Fiber) -> str:
    """Defective when a mark of a label image (H, W) lies at least half within the judged share of the radius."""
    inside = polar_maps(labels.shape, fiber.cladding)[0] < JUDGED_SHARE * fiber.cladding.mean_radius_px
    sizes = np.bincount(labels.ravel())
    judged = np.bincount(labels[inside], minlength=len(sizes))
    return DEFECTIVE if (2 * judged[1:] >= np.maximum(sizes[1:], 1)).any() else CLEAN


def region_map(inspection: Inspection, fiber: Fiber | None) -> np.ndarray:
    """What lies where, (H, W) uint8: the fibre as the picture shows it, whatever zones a rule set draws around it.

    The ferrule ends with the inspected zones. Where no core is known there is no core.
    """
    shape = inspection.grey.shape
    if fiber is None:
        return np.zeros(shape, np.uint8)
    radius, zone_map = polar_maps(shape, fiber.cladding)[0], inspection.zone_map
    if zone_map is None:
        seen = radius < _FERRULE_SHARE * fiber.cladding.mean_radius_px
    else:
        seen = np.isin(zone_map, [zone.label for zone in inspection.record.zones if zone.inspected])
    regions = np.where(seen, FERRULE, 0).astype(np.uint8)
    regions[radius < fiber.cladding.mean_radius_px] = CLADDING
    regions[radius < 0.5 * fiber.core_diameter_px] = CORE  # none when the diameter is NaN
    return regions
