"""What a model should answer about a view of an image whose marks and verdict are known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from evaluation.truth import CLASS_OF_KIND
from learning.vlm.answer import CRITICAL, MARGINAL, MINOR, Answer, AnswerDefect, printable
from learning.vlm.outlines import Outline
from learning.vlm.prompts import MAX_LISTED
from learning.vlm.views import Box, View
from records import FAIL, PASS, Defect, Ellipse, ZoneExtent

KIND_OF_CLASS = {name: kind for kind, name in CLASS_OF_KIND.items()}
DOUBTFUL = "with a mark that may be none"
_SEVERITIES = (CRITICAL, MARGINAL, MINOR)  # the worst first
_MAX_REASONS, _MAX_REASON = 5, 150  # reasons in an explanation, characters in each


@dataclass(frozen=True)
class KnownMark:
    """A mark, where it lies in the image, and why the image fails by it."""

    kind: str
    zone: str
    severity: str
    confidence: float
    outline: Outline
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True)
class KnownFace:
    """One image and all that is known of it; ``picture`` is its file."""

    image_id: str
    filename: str
    picture: Path
    content_sha256: str  # of that file, where it must be this one
    label_source: str  # inspector | human
    status: str  # PASS | FAIL
    cladding: Ellipse
    zones: tuple[ZoneExtent, ...]
    um_per_px: float
    rule_set: str
    marks: tuple[KnownMark, ...]
    unjudged: Path | None = None  # (H, W) 255 where nobody has said what is there


def known_mark(defect: Defect, outline: Outline, confidence: float) -> KnownMark:
    """A judged defect as a mark to be learned."""
    severity = CRITICAL if defect.violates else MARGINAL if defect.marginal else MINOR
    return KnownMark(KIND_OF_CLASS[defect.kind], defect.zone, severity, confidence, outline, defect.violates)


def target(marks: Sequence[KnownMark], view: View, min_confidence: float) -> Answer | str:
    """The answer about a view; why it is no example where it shows a mark that may be none, or half a mark.

    An answer with a mark of less than ``min_confidence`` would teach errors, and one without it would teach that a mark
    like it is none. So the view is no example at all.
    """
    seen: list[tuple[KnownMark, Box]] = []
    for mark in marks:
        box = mark.outline.within(view.left, view.top, view.width, view.height)
        if isinstance(box, str):
            return box
        if box is not None:
            seen.append((mark, view.to_view(box)))
    if any(mark.confidence < min_confidence for mark, _ in seen):
        return DOUBTFUL
    listed = [
        AnswerDefect(_whole(box, view), mark.kind, mark.severity, round(mark.confidence, 2), mark.zone)
        for mark, box in seen
    ]
    listed.sort(key=lambda mark: (_SEVERITIES.index(mark.severity), -mark.box[2] * mark.box[3], mark.box))
    reasons = dict.fromkeys(reason for mark, _ in seen if mark.severity == CRITICAL for reason in mark.reasons)
    return Answer(tuple(listed[:MAX_LISTED]), FAIL if reasons else PASS, _explanation([*reasons], len(seen)))


def _whole(box: Box, view: View) -> Box:
    """The box in whole pixels inside the picture, at least one long and wide."""
    left = min(round(box[0]), view.shown_width - 1)
    top = min(round(box[1]), view.shown_height - 1)
    right = min(max(round(box[0] + box[2]), left + 1), view.shown_width)
    bottom = min(max(round(box[1] + box[3]), top + 1), view.shown_height)
    return left, top, right - left, bottom - top


def _explanation(reasons: list[str], marks: int) -> str:
    if reasons:
        more = f"; and {len(reasons) - _MAX_REASONS} more" if len(reasons) > _MAX_REASONS else ""
        shown = printable("; ".join(reason[:_MAX_REASON] for reason in reasons[:_MAX_REASONS]))
        return f"Rejected: {shown}{more}."
    if not marks:
        return "No mark is to be seen."
    return f"{marks} mark{'s' * (marks != 1)}, none beyond the limits."
