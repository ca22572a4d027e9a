"""What follows from the answers of the patch network: nothing, another class, or that a mark is left out.

A wrong veto is a wrong PASS. So a network may only leave out what the inspection itself doubts, and nothing in a zone
where a single mark decides the verdict.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import replace

import numpy as np

from analysis import as_class, numbered, pixels_of
from image_processing import Detection
from records import ARTIFACT, Defect, Ellipse, Scale
from second_opinion.networks import Network
from second_opinion.opinions import Opinion, Pixels, opinions_on_marks
from settings import RECLASSIFY, VETO_ARTIFACTS, LearningSettings


def second_opinion(
    network: Network,
    grey: np.ndarray,
    found: Detection,
    defects: Sequence[Defect],
    cladding: Ellipse,
    scale: Scale,
    settings: LearningSettings,
) -> tuple[tuple[Defect, ...], tuple[Defect, ...], list[str]]:
    """Ask ``patch`` about the defects of an image (H, W) uint8: the defects, those left out, and warnings.

    The defects' labels are those of ``found``. What lies on the optics is not asked about.
    """
    on_face = {defect.label for defect in defects if not defect.on_optics}
    marks = enumerate(pixels_of(found.labels, len(found.regions)), start=1)
    pixels = {label: mark for label, mark in marks if label in on_face}
    opinions, warnings = opinions_on_marks(network, grey, cladding, [*pixels.values()])
    by_label = dict(zip(pixels, opinions, strict=True))
    asked = [_with_opinion(defect, by_label.get(defect.label, Opinion())) for defect in defects]
    if settings.patch_policy == RECLASSIFY:
        return _reclassified(asked, pixels, cladding, scale, settings), (), warnings
    if settings.patch_policy == VETO_ARTIFACTS:
        doubted = {k for k, r in enumerate(found.regions, start=1) if r.probability < settings.veto_max_probability}
        return *without_artifacts(asked, doubted, settings), warnings
    return tuple(asked), (), warnings


def without_artifacts(
    defects: Sequence[Defect], doubted: Container[int], settings: LearningSettings
) -> tuple[tuple[Defect, ...], tuple[Defect, ...]]:
    """The defects without artifacts, numbered anew, and these; ``doubted``: labels of those that may be left out."""

    def is_vetoed(defect: Defect) -> bool:
        return (
            defect.ml_class == ARTIFACT
            and defect.ml_confidence >= settings.veto_min_confidence
            and defect.label in doubted
            and not {*defect.zones_touched} & {*settings.veto_protected_zones}
        )

    vetoed = [defect for defect in defects if is_vetoed(defect)]
    kept = [defect for defect in defects if not is_vetoed(defect)]
    return numbered(kept), tuple(replace(d, defect_id=f"V{k}", label=0) for k, d in enumerate(vetoed, start=1))


def _reclassified(
    defects: Sequence[Defect],
    pixels: Mapping[int, Pixels],
    cladding: Ellipse,
    scale: Scale,
    settings: LearningSettings,
) -> tuple[Defect, ...]:
    """The defects with the network's classes where it is sure of another one, numbered anew."""

    def is_another(defect: Defect) -> bool:
        is_sure = defect.ml_confidence >= settings.reclassify_min_confidence
        return is_sure and defect.ml_class not in ("", ARTIFACT, defect.kind)

    return numbered(
        [as_class(d, d.ml_class, *pixels[d.label], cladding, scale) if is_another(d) else d for d in defects]
    )


def _with_opinion(defect: Defect, opinion: Opinion) -> Defect:
    return replace(defect, ml_class=opinion.name, ml_confidence=opinion.confidence)
