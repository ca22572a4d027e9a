"""From answers about views to one opinion of an image: marks in the image, each once, and a verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from learning.vlm.answer import Answer, Unusable
from learning.vlm.asking import Replies
from learning.vlm.differences import iou
from learning.vlm.views import Box, View
from records import CLASS_OF_KIND, FAIL, PASS, SEVERITIES, VlmDefect, VlmOpinion, ZoneExtent

_SAME_IOU = 0.5  # of two boxes of one mark in two views
_SAME_SHARE = 0.8  # of the box of a piece of a mark, that lies in the box of the whole
_EDGE_PX = 2.0  # in the picture: a box that comes so near to an inner edge may be a piece


@dataclass(frozen=True)
class _Named:
    """A mark as one answer names it; ``is_piece``: the view may have cut it."""

    mark: VlmDefect
    factor: float
    is_piece: bool


def opinion_of(
    replies: Replies, zone_map: np.ndarray, zones: Sequence[ZoneExtent], classical_status: str
) -> VlmOpinion:
    """The opinion that the replies come to; ``zone_map`` (H, W) is that of the inspection.

    It is usable when the views with a usable answer show every inspected pixel together. It is FAIL when one of them
    is. Marks that touch no inspected zone do not count.
    """
    blank = VlmOpinion(
        verdict="",
        usable=False,
        problem="",
        decided=False,
        classical_status=classical_status,
        attempts=replies.asked,
        unusable_answers=replies.unusable,
    )
    inspected = np.isin(zone_map, [zone.label for zone in zones if zone.inspected])
    answered = [(v, a) for v, a in zip(replies.views, replies.answers, strict=True) if isinstance(a, Answer)]
    if not _shows(inspected, [view for view, _ in answered]):
        return replace(blank, problem=_problem(replies))
    verdict = FAIL if any(answer.pass_fail == FAIL for _, answer in answered) else PASS
    named = [item for view, answer in answered for item in _named(view, answer, zone_map.shape)]
    marks = tuple(mark for mark in _each_once(named) if inspected[_pixels(mark.box_px)].any())
    explanation = next(answer.explanation for _, answer in answered if answer.pass_fail == verdict)
    return replace(blank, verdict=verdict, usable=True, defects=marks, explanation=explanation)


def _shows(inspected: np.ndarray, views: Sequence[View]) -> bool:
    """Whether the views show every inspected pixel, and there is one."""
    hidden = inspected.copy()
    for view in views:
        hidden[view.top : view.top + view.height, view.left : view.left + view.width] = False
    return bool(views) and not hidden.any()


def _problem(replies: Replies) -> str:
    """Why the replies come to nothing: the first unusable one, which is about the widest view."""
    unusable = [(v, a) for v, a in zip(replies.views, replies.answers, strict=True) if isinstance(a, Unusable)]
    if not unusable:
        return "The views that vlm.views allows do not show all inspected zones."
    view, answer = unusable[0]
    counted = f"{replies.unusable} of {replies.asked} answers are of no use"
    return f"{counted}; the last about the view {view.name}: {answer.reason}"


def _named(view: View, answer: Answer, shape: tuple[int, int]) -> list[_Named]:
    height, width = shape
    found = []
    for mark in answer.defects:
        box = _clipped(view.to_image(mark.box), width, height)
        named = VlmDefect(CLASS_OF_KIND[mark.kind], mark.zone, mark.severity, mark.confidence, box, view.name)
        found.append(_Named(named, view.factor, _is_piece(mark.box, view, shape)))
    return found


def _clipped(box: Box, width: int, height: int) -> Box:
    """The box inside the image, at least a pixel wide and high: nothing smaller can be seen."""
    left, top = min(max(box[0], 0.0), width - 1.0), min(max(box[1], 0.0), height - 1.0)
    right, bottom = min(box[0] + box[2], width), min(box[1] + box[3], height)
    return left, top, max(right - left, 1.0), max(bottom - top, 1.0)


def _is_piece(box: Box, view: View, shape: tuple[int, int]) -> bool:
    """Whether a box of the picture reaches an edge at which the view ends and the image does not."""
    height, width = shape
    left, top, right, bottom = box[0], box[1], box[0] + box[2], box[1] + box[3]
    return (
        (view.left > 0 and left <= _EDGE_PX)
        or (view.top > 0 and top <= _EDGE_PX)
        or (view.left + view.width < width and right >= view.shown_width - _EDGE_PX)
        or (view.top + view.height < height and bottom >= view.shown_height - _EDGE_PX)
    )


def _each_once(named: Sequence[_Named]) -> list[VlmDefect]:
    """Every mark once, as the finest view that shows all of it has it; with its gravest severity, largest confidence.

    The worst marks come first.
    """
    kept: list[_Named] = []
    for item in sorted(named, key=lambda each: (each.is_piece, -each.factor, -each.mark.confidence)):
        for k, other in enumerate(kept):
            if _is_same(item, other):
                severity = min(item.mark.severity, other.mark.severity, key=SEVERITIES.index)
                confidence = max(item.mark.confidence, other.mark.confidence)
                kept[k] = replace(other, mark=replace(other.mark, severity=severity, confidence=confidence))
                break
        else:
            kept.append(item)
    marks = [item.mark for item in kept]
    return sorted(marks, key=lambda mark: (SEVERITIES.index(mark.severity), -mark.confidence, mark.box_px))


def _is_same(item: _Named, other: _Named) -> bool:
    if iou(item.mark.box_px, other.mark.box_px) >= _SAME_IOU:
        return True
    of_one_kind = item.mark.kind == other.mark.kind
    return item.is_piece and of_one_kind and _share_within(item.mark.box_px, other.mark.box_px) >= _SAME_SHARE


def _share_within(piece: Box, whole: Box) -> float:
    wide = min(piece[0] + piece[2], whole[0] + whole[2]) - max(piece[0], whole[0])
    high = min(piece[1] + piece[3], whole[1] + whole[3]) - max(piece[1], whole[1])
    return max(wide, 0.0) * max(high, 0.0) / (piece[2] * piece[3])


def _pixels(box: Box) -> tuple[slice, slice]:
    """Rows and columns of the pixels that a box in the image touches."""
    left, top, wide, high = box
    return slice(int(top), int(np.ceil(top + high))), slice(int(left), int(np.ceil(left + wide)))
