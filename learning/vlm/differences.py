"""Where a vision-language model and the inspector differ about an image, and what the difference would change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from learning.vlm.outlines import outline_of
from learning.vlm.views import Box
from records import FAIL, PASS, SEVERITIES, Defect, InspectionRecord, VlmDefect

_CRITICAL = SEVERITIES[0]
_LEAST_OVERLAP = 0.2  # (IoU) of two boxes of one mark: those of a model are rough


class Change(IntEnum):
    """What would change if the other one were right, the gravest first."""

    PASSED = 0  # the model passes what the inspector rejects
    REJECTED = 1  # the model rejects what the inspector passes
    VIOLATION = 2  # one sees a mark that violates a criterion where the other does not
    MARKS = 3  # other marks, or other kinds of marks


WORDS = {
    Change.PASSED: "model PASS, inspector FAIL",
    Change.REJECTED: "model FAIL, inspector PASS",
    Change.VIOLATION: "a mark that violates is seen by one of them",
    Change.MARKS: "other marks or kinds",
}


@dataclass(frozen=True)
class Difference:
    """How the two differ about one image: marks without a counterpart, and ``renamed`` those of another kind."""

    change: Change
    only_model: tuple[VlmDefect, ...]
    only_inspector: tuple[Defect, ...]
    renamed: tuple[tuple[VlmDefect, Defect], ...]

    @property
    def marks(self) -> int:
        """How many marks they differ about."""
        return len(self.only_model) + len(self.only_inspector) + len(self.renamed)


def inspectors_marks(record: InspectionRecord) -> tuple[Defect, ...]:
    """What the inspector itself has found on the end face, whoever decided."""
    if record.vlm is None or not record.vlm.decided:
        return record.counted_defects
    return tuple(defect for defect in record.vlm.classical_defects if not defect.on_optics)


def is_comparable(record: InspectionRecord) -> bool:
    """Whether both have judged the image."""
    return record.vlm is not None and record.vlm.usable and record.vlm.classical_status in (PASS, FAIL)


def difference(record: InspectionRecord) -> Difference | None:
    """How the two differ about a comparable image; None where they agree."""
    model, inspector = record.vlm.defects, inspectors_marks(record)
    pairs = _pairs([mark.box_px for mark in model], [outline_of(defect).box for defect in inspector])
    only_model = tuple(mark for k, mark in enumerate(model) if k not in dict(pairs))
    only_inspector = tuple(mark for k, mark in enumerate(inspector) if k not in {other for _, other in pairs})
    matched = [(model[k], inspector[other]) for k, other in pairs]
    renamed = tuple((mark, defect) for mark, defect in matched if mark.kind != defect.kind)
    violating = (
        any(mark.severity == _CRITICAL for mark in only_model)
        or any(defect.violates for defect in only_inspector)
        or any((mark.severity == _CRITICAL) != bool(defect.violates) for mark, defect in matched)
    )
    if record.vlm.verdict != record.vlm.classical_status:
        change = Change.PASSED if record.vlm.verdict == PASS else Change.REJECTED
    elif violating:
        change = Change.VIOLATION
    elif only_model or only_inspector or renamed:
        change = Change.MARKS
    else:
        return None
    return Difference(change, only_model, only_inspector, renamed)


def _pairs(first: Sequence[Box], second: Sequence[Box]) -> list[tuple[int, int]]:
    """Which box of one list belongs to which of the other, those that overlap most first."""
    overlaps = [(iou(a, b), k, other) for k, a in enumerate(first) for other, b in enumerate(second)]
    pairs: list[tuple[int, int]] = []
    for overlap, k, other in sorted(overlaps, key=lambda item: (-item[0], item[1:])):
        is_free = all(k != one and other != two for one, two in pairs)
        if is_free and overlap >= _LEAST_OVERLAP:
            pairs.append((k, other))
    return pairs


def iou(a: Box, b: Box) -> float:
    """Shared area of two boxes over the area of both."""
    width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    shared = max(width, 0.0) * max(height, 0.0)
    return shared / max(a[2] * a[3] + b[2] * b[3] - shared, 1e-9)
