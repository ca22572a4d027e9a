"""What follows from a vision-language model's opinion: advice, or its marks in place of the inspector's.

Data flow: inspection -> questions -> opinion -> its boxes as defects -> judged by the rules -> watch-dog -> inspection.
The inspector has always run before, and its result stands unless everything speaks for the model.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from errors import BlinkError
from grading.acceptance import Judgement
from learning.vlm.answer import printable
from learning.vlm.asking import Ask, ask_about
from learning.vlm.boxes import as_defect, draw_labels
from learning.vlm.opinion import opinion_of
from records import FAIL, PASS, Defect, Inspection, InspectionRecord, VlmDefect, VlmOpinion
from settings import DECIDE_WITH_WATCHDOG, VlmSettings

Judge = Callable[[Sequence[Defect]], Judgement]
_MAX_PROBLEM = 300  # characters of what a library says
_MOST_NAMED = 3
_STANDS = "the inspector's result stands"
logger = logging.getLogger("dscope.vlm")


def second_look(found: Inspection, ask: Ask, judge: Judge, settings: VlmSettings) -> Inspection:
    """The inspection with the model's opinion, and by it where it decides.

    ``found`` has a located fibre; ``judge`` numbers and judges defects as the inspection does. A model that fails on
    the image, or gives no usable answer, leaves a warning.
    """
    opinion = _opinion(found, ask, settings)
    record = replace(found.record, vlm=opinion)
    if not opinion.usable:
        text = f"The vision-language model gave no usable answer, {_STANDS}: {opinion.problem}"
        return replace(found, record=_warned(record, text))
    if settings.policy != DECIDE_WITH_WATCHDOG or record.status not in (PASS, FAIL):
        return replace(found, record=record)
    defects, marks = _as_defects(found, opinion)
    judgement = judge(defects)
    if objection := _objection(record, opinion, judgement, settings.violation_confidence):
        return replace(found, record=_warned(record, f"Watch-dog: {objection}; {_STANDS}."))
    return _by_model(found, replace(opinion, decided=True), judgement, marks)


def _opinion(found: Inspection, ask: Ask, settings: VlmSettings) -> VlmOpinion:
    """What the model says; whatever it raises is an opinion of no use."""
    record, started = found.record, time.perf_counter()
    try:
        replies = ask_about(ask, found.grey, record, settings)
        opinion = opinion_of(replies, found.zone_map, record.zones, record.status)
    except Exception as error:  # out of memory, or whatever its layers raise
        logger.debug("Asking about %s failed:", record.image_filename, exc_info=True)
        why = str(error) if isinstance(error, BlinkError) else f"{type(error).__name__}: {error}".rstrip(": ")
        problem = f"It failed ({printable(why)[:_MAX_PROBLEM]})."
        opinion = VlmOpinion("", usable=False, problem=problem, decided=False, classical_status=record.status)
    return replace(opinion, seconds=time.perf_counter() - started)


def _as_defects(found: Inspection, opinion: VlmOpinion) -> tuple[list[Defect], dict[int, VlmDefect]]:
    """The model's marks as defects, and the mark of each by its label."""
    record, marks = found.record, dict(enumerate(opinion.defects, start=1))
    place = {"grey": found.grey, "zone_map": found.zone_map, "zones": record.zones}
    measured = (
        as_defect(mark, label, **place, cladding=record.fiber.cladding, scale=record.scale)
        for label, mark in marks.items()
    )
    return [defect for defect in measured if defect is not None], marks


def _objection(record: InspectionRecord, opinion: VlmOpinion, judgement: Judgement, least_confidence: float) -> str:
    """Why the model may not decide, "" where it may. Only a PASS is objected to."""
    if judgement.status != PASS:
        return ""
    if record.status == FAIL:
        sure = [d for d in record.counted_defects if d.violates and d.confidence >= least_confidence]
        if sure:
            names = ", ".join(f"{d.defect_id} {'; '.join(d.violates)} ({d.confidence:.2f})" for d in sure[:_MOST_NAMED])
            more = f" and {len(sure) - _MOST_NAMED} more" if len(sure) > _MOST_NAMED else ""
            return f"the model's marks pass, but the inspector sees {names}{more}"
    if opinion.verdict == FAIL:
        return "the model says FAIL, but its marks violate no rule"
    return ""


def _by_model(found: Inspection, opinion: VlmOpinion, judgement: Judgement, marks: dict[int, VlmDefect]) -> Inspection:
    record = found.record
    defects = tuple(replace(defect, label=k) for k, defect in enumerate(judgement.defects, start=1))
    drawn = [(k, marks[defect.label]) for k, defect in enumerate(judgement.defects, start=1)]
    record = replace(
        record,
        status=judgement.status,
        reasons=judgement.reasons,
        defects=defects,
        marginal=judgement.marginal,
        vlm=replace(opinion, classical_defects=record.defects),
    )
    return replace(found, record=record, labels=draw_labels(drawn, found.grey.shape))


def _warned(record: InspectionRecord, warning: str) -> InspectionRecord:
    return replace(record, warnings=(*record.warnings, warning))
