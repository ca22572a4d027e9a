"""What a vision-language model says of a labelled image, beside its truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from evaluation.boxes import ImageBoxes, NamedBox, TrueBox
from evaluation.truth import DO_NOT_JUDGE
from grading.acceptance import Judgement
from records import FAIL, PASS, Ellipse, InspectionRecord
from vision.geometry import polar_maps

_UNJUDGED_SHARE = 0.5  # of a box: where so much is not to be judged, it is neither right nor wrong


@dataclass(frozen=True)
class ModelOutcome:
    """Verdicts and boxes; ``true_status`` is that of the true marks by the image's rule set, "" where not known."""

    boxes: ImageBoxes
    usable: bool
    verdict: str  # of the model, "" where it is not usable
    decided: bool
    status: str  # of the record
    classical_status: str
    true_status: str
    answers: int
    unusable_answers: int
    seconds: float


def model_outcome(
    record: InspectionRecord,
    truths: Sequence[TrueBox],
    labels: np.ndarray,
    cladding: Ellipse,
    judged_share: float,
    judgement: Judgement | None,
) -> ModelOutcome | None:
    """The outcome of one image with its label image (H, W) uint16; None where no model was asked.

    ``judgement`` is that of the true marks, ``cladding`` the true outline.
    """
    vlm = record.vlm
    if vlm is None:
        return None
    judged = polar_maps(labels.shape, cladding)[0] < judged_share * cladding.mean_radius_px
    judged &= labels != DO_NOT_JUDGE
    named = tuple(
        NamedBox(mark.kind, mark.box_px, mark.confidence, ignored=_is_unjudged(mark.box_px, judged))
        for mark in vlm.defects
    )
    true_status = judgement.status if judgement is not None and judgement.status in (PASS, FAIL) else ""
    return ModelOutcome(
        boxes=ImageBoxes(tuple(truths), named),
        usable=vlm.usable,
        verdict=vlm.verdict,
        decided=vlm.decided,
        status=record.status,
        classical_status=vlm.classical_status,
        true_status=true_status,
        answers=vlm.attempts,
        unusable_answers=vlm.unusable_answers,
        seconds=vlm.seconds,
    )


def _is_unjudged(box: tuple[float, float, float, float], judged: np.ndarray) -> bool:
    left, top, wide, high = box
    part = judged[int(top) : int(np.ceil(top + high)), int(left) : int(np.ceil(left + wide))]
    return bool(part.mean() <= 1 - _UNJUDGED_SHARE)
