"""What reports say about a vision-language model's opinion of an image, made from its record alone.

What a model has written may be anything: it is one line without control characters, and cut short here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from learning.vlm.differences import Difference, difference, is_comparable
from records import Defect, InspectionRecord, VlmDefect, VlmOpinion

_MAX_CHARS = 300
_MOST_NAMED = 6


def model_in_words(record: InspectionRecord) -> str:
    """The model's verdict, whether it decided, and its explanation; empty where it was not asked."""
    vlm = record.vlm
    if vlm is None:
        return ""
    if not vlm.usable:
        return f"no usable answer: {shortened(vlm.problem)}"
    if not vlm.decided:
        effect = "which decided nothing"
    else:
        effect = "which decided" if record.status == vlm.verdict else f"its marks by the rules {record.status}"
    return f"{vlm.verdict}, {effect}. {shortened(vlm.explanation)}".strip()


def about_model(record: InspectionRecord) -> Iterator[str]:
    """Where the model and the inspector disagree, and why a model that was asked says nothing."""
    vlm = record.vlm
    if vlm is None:
        return
    if not vlm.usable:
        yield f"The vision-language model gave no usable answer: {shortened(vlm.problem)}"
        return
    if vlm.decided and vlm.verdict != record.status:
        yield f"The model says {vlm.verdict}, but its marks are a {record.status} by the rules, which counts."
    differs = difference(record) if is_comparable(record) else None
    if differs is None:
        return
    if vlm.verdict != vlm.classical_status:
        explanation = f" It explains: {shortened(vlm.explanation)}" if vlm.explanation else ""
        yield f"The model says {vlm.verdict}, the inspector {vlm.classical_status}; {_who(vlm)}.{explanation}"
    yield from _about_marks(differs, vlm)


def shortened(text: str) -> str:
    """Text of a model, at most 300 characters of it."""
    return text if len(text) <= _MAX_CHARS else f"{text[:_MAX_CHARS]}..."


def _who(vlm: VlmOpinion) -> str:
    return "the model decided" if vlm.decided else "the inspector's result stands"


def _about_marks(differs: Difference, vlm: VlmOpinion) -> Iterator[str]:
    if differs.only_model:
        yield f"Only the model names: {_listed([_named(mark) for mark in differs.only_model])}."
    if differs.only_inspector:
        yield f"Only the inspector reports: {_listed([_reported(d, vlm) for d in differs.only_inspector])}."
    if differs.renamed:
        pairs = [f"{_reported(defect, vlm)} is {mark.kind} to the model" for mark, defect in differs.renamed]
        yield f"Named otherwise: {_listed(pairs)}."


def _named(mark: VlmDefect) -> str:
    left, top, wide, high = mark.box_px
    place = f"({left + wide / 2 - 0.5:.0f}, {top + high / 2 - 0.5:.0f}) px"
    return f"{mark.kind}, {mark.severity}, at {place} in {mark.zone} ({mark.confidence:.2f})"


def _reported(defect: Defect, vlm: VlmOpinion) -> str:
    """The inspector's mark; where the model decided, its ID is another mark's now."""
    name = "" if vlm.decided else f"{defect.defect_id} "
    place = f"({defect.centroid_x_px:.0f}, {defect.centroid_y_px:.0f}) px"
    return f"{name}{defect.kind} at {place} in {defect.zone} ({defect.confidence:.2f})"


def _listed(names: Sequence[str]) -> str:
    rest = len(names) - _MOST_NAMED
    return "; ".join(names[:_MOST_NAMED]) + (f"; and {rest} more" if rest > 0 else "")
