"""What follows from the answers of the patch network: nothing, another class, or that a mark is left out.

A wrong veto is a wrong PASS. So a network may only leave out what the rules doubt, too: no mark that all algorithms
agree on, and none in a zone where a single mark decides the verdict.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from analysis import as_class, numbered, pixels_of
from records import ARTIFACT, Defect, Ellipse, Scale
from second_opinion.networks import Network
from second_opinion.opinions import Opinion, Pixels, opinions_on_marks
from settings import RECLASSIFY, VETO_ARTIFACTS, LearningSettings


def second_opinion(
    network: Network,
    grey: np.ndarray,
    labels: np.ndarray,
    defects: Sequence[Defect],
    cladding: Ellipse,
    scale: Scale,
    settings: LearningSettings,
) -> tuple[tuple[Defect, ...], tuple[Defect, ...], list[str]]:
    """Ask ``patch`` about the defects of an image (H, W) uint8: the defects, those left out, and warnings.

    ``labels`` (H, W) is the label image that the defects' labels belong to. What lies on the optics is not asked about.
    """
    on_face = {defect.label for defect in defects if not defect.on_optics}
    marks = pixels_of(labels, int(labels.max(initial=0)))
    pixels = {label: mark for label, mark in enumerate(marks, start=1) if label in on_face}
    opinions, warnings = opinions_on_marks(network, grey, cladding, [*pixels.values()])
    by_label = dict(zip(pixels, opinions, strict=True))
    kept, vetoed = with_opinions(defects, by_label, pixels, cladding, scale, settings)
    return kept, vetoed, warnings


def with_opinions(
    defects: Sequence[Defect],
    opinions: Mapping[int, Opinion],
    pixels: Mapping[int, Pixels],
    cladding: Ellipse,
    scale: Scale,
    settings: LearningSettings,
) -> tuple[tuple[Defect, ...], tuple[Defect, ...]]:
    """The defects with what the network says of them, numbered anew where the policy changes anything; and the vetoed.

    ``opinions`` and ``pixels`` go by the labels of the defects; a defect without an opinion stays as it is.
    """
    asked = [_with_opinion(defect, opinions.get(defect.label, Opinion())) for defect in defects]
    if settings.patch_policy == RECLASSIFY:
        asked = [
            as_class(d, d.ml_class, *pixels[d.label], cladding, scale) if _is_reclassified(d, settings) else d
            for d in asked
        ]
        return numbered(asked), ()
    if settings.patch_policy == VETO_ARTIFACTS:
        vetoed = [d for d in asked if _is_vetoed(d, settings)]
        kept = [d for d in asked if not _is_vetoed(d, settings)]
        return numbered(kept), tuple(replace(d, defect_id=f"V{k}", label=0) for k, d in enumerate(vetoed, start=1))
    return tuple(asked), ()


def _with_opinion(defect: Defect, opinion: Opinion) -> Defect:
    return replace(defect, ml_class=opinion.name, ml_confidence=opinion.confidence)


def _is_reclassified(defect: Defect, settings: LearningSettings) -> bool:
    is_other = defect.ml_class not in ("", ARTIFACT, defect.kind)
    return is_other and defect.ml_confidence >= settings.reclassify_min_confidence


def _is_vetoed(defect: Defect, settings: LearningSettings) -> bool:
    return (
        defect.ml_class == ARTIFACT
        and defect.ml_confidence >= settings.veto_min_confidence
        and defect.confidence < settings.veto_max_rule_confidence
        and not {*defect.zones_touched} & {*settings.veto_protected_zones}
    )
