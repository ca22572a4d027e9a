"""Asking a vision-language model about the views of an image, again where an answer cannot be used.

Data flow: views -> pictures and questions -> texts -> answers; what is unusable goes round once more, with its problem.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from learning.vlm.answer import Answer, Unusable, printable, read_answer
from learning.vlm.conversations import Message, question_messages
from learning.vlm.prompts import user_text
from learning.vlm.views import View, choose_views
from records import InspectionRecord
from settings import VlmSettings

Ask = Callable[[Sequence[np.ndarray], Sequence[Sequence[Message]]], Sequence[str]]
_MAX_REPEATED = 2000  # characters of an unusable answer that the model is shown again


@dataclass(frozen=True)
class Replies:
    """What a model has said about the views of an image; ``views`` and ``answers`` belong together."""

    views: tuple[View, ...]
    answers: tuple[Answer | Unusable, ...]  # the last one about each view
    asked: int  # answers that were asked for
    unusable: int  # of them


def ask_about(ask: Ask, grey: np.ndarray, record: InspectionRecord, settings: VlmSettings) -> Replies:
    """Ask about the views of an image (H, W) uint8 whose fibre and zones ``record`` has.

    ``ask`` gets pictures (h, w) uint8 with a conversation each, and gives a text for each. Raises whatever it raises,
    and ValueError where texts are missing.
    """
    cladding = record.fiber.cladding
    views = choose_views(cladding, record.zones, grey.shape, names=settings.views, max_side_px=settings.max_side_px)
    pictures = [view.cut(grey) for view in views]
    given = {"cladding": cladding, "zones": record.zones, "um_per_px": record.scale.um_per_px}
    chats = [question_messages(user_text(view, **given, rule_set=record.rule_set)) for view in views]
    answers: list[Answer | Unusable] = [Unusable("It was not asked.")] * len(views)
    waiting, asked, unusable = list(range(len(views))), 0, 0
    for _ in range(settings.attempts):
        if not waiting:
            break
        texts = ask([pictures[k] for k in waiting], [chats[k] for k in waiting])
        for k, text in zip(waiting, texts, strict=True):
            answers[k] = read_answer(text, views[k].shown_width, views[k].shown_height)
            if isinstance(answers[k], Unusable):
                chats[k] = [*chats[k], *_once_more(text, answers[k])]
        asked += len(waiting)
        waiting = [k for k in waiting if isinstance(answers[k], Unusable)]
        unusable += len(waiting)
    return Replies(views, tuple(answers), asked, unusable)


def _once_more(text: str, answer: Unusable) -> list[Message]:
    """The answer and why it is none: the same question alone would get the same answer.

    Signs of the model's own that it has spelled out, such as <|image|>, are taken apart: they would be read as signs.
    """
    said = _without_signs(text) or "(nothing)"
    told = f"That cannot be used. {_without_signs(answer.reason)} Answer again, with the JSON object and nothing else."
    return [
        {"role": "assistant", "content": [{"type": "text", "text": said}]},
        {"role": "user", "content": [{"type": "text", "text": told}]},
    ]


def _without_signs(text: str) -> str:
    return printable(text[:_MAX_REPEATED]).replace("<", "< ").replace("|>", "| >")
