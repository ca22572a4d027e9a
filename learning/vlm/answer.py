"""What a vision-language model answers about one picture: its form, and the strict way from text to values.

Boxes are (left, top, width, height) in pixels of the picture shown, edges of pixels: the first reaches from 0 to 1.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import json_text
from configuration.schema_errors import schema_problems
from learning.vlm.repair import repair
from records import PASS

SCHEMA_FILE = Path(__file__).with_name("vlm_answer.schema.json")
MAX_CHARS = 50_000  # many times the longest answer that is asked for
CRITICAL, MARGINAL, MINOR = "critical", "marginal", "minor"
Box = tuple[float, float, float, float]
_LEAST_INSIDE_SHARE = 0.5  # of a box: one that lies more outside was given in other coordinates
_MAX_REASON = 300


@dataclass(frozen=True)
class AnswerDefect:
    """One mark; ``kind``, ``severity`` and ``zone`` are words of the schema."""

    box: Box
    kind: str
    severity: str
    confidence: float
    zone: str


@dataclass(frozen=True)
class Answer:
    """A usable answer; ``pass_fail`` is PASS or FAIL."""

    defects: tuple[AnswerDefect, ...]
    pass_fail: str
    explanation: str
    repaired: bool = False  # whether the text had to be mended

    def to_text(self) -> str:
        """The JSON that :func:`parse_answer` reads back, on one line: marks first, as the verdict follows from them."""
        defects = [
            {
                "bbox": [int(value) if float(value).is_integer() else round(value, 2) for value in mark.box],
                "type": mark.kind,
                "severity": mark.severity,
                "confidence": round(mark.confidence, 2),
                "zone": mark.zone,
            }
            for mark in self.defects
        ]
        document = {"defects": defects, "pass_fail": self.pass_fail, "explanation": self.explanation}
        return json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


@dataclass(frozen=True)
class Unusable:
    """A text that is no answer, and why, as a sentence."""

    reason: str


def read_answer(text: str, width: int, height: int) -> Answer | Unusable:
    """The answer in what a model has written: as it is, else from what :func:`learning.vlm.repair.repair` makes of it.

    An answer with wrong values stays unusable: only its form is mended.
    """
    strict = parse_answer(text, width, height)
    if isinstance(strict, Answer) or len(text) > MAX_CHARS:
        return strict
    mended = repair(text)
    if mended is None:
        return strict
    found = parse_answer(mended, width, height)
    return found if isinstance(found, Unusable) else Answer(found.defects, found.pass_fail, found.explanation, True)


def parse_answer(text: str, width: int, height: int) -> Answer | Unusable:
    """The answer that a text is, about a picture of ``width`` x ``height`` px: JSON that passes the schema, or why not.

    Boxes are cut at the picture's edge; one that lies mostly outside makes the answer unusable, and so do numbers that
    are not finite, a key given twice, and PASS beside a critical mark.
    """
    if len(text) > MAX_CHARS:
        return Unusable(f"It has {len(text)} characters, more than {MAX_CHARS}.")
    try:
        data = json_text.parse(text, object_pairs_hook=_unique)
    except json.JSONDecodeError as error:
        return Unusable(f"It is no JSON: {error.msg}, character {error.pos + 1}.")
    except ValueError as error:
        return _unusable(f"It is no JSON that can be used: {error}")
    if problems := schema_problems(data, answer_schema()):
        return _unusable(str(problems[0]))
    defects = []
    for number, entry in enumerate(data["defects"]):
        numbers = (*entry["bbox"], entry["confidence"])
        if not all(math.isfinite(value) for value in numbers):
            return Unusable(f"defects[{number}] has a number that is not finite.")
        box = _within(tuple(float(value) for value in entry["bbox"]), width, height)
        if box is None:
            return Unusable(f"defects[{number}].bbox {entry['bbox']} is not in the picture of {width} x {height} px.")
        defects.append(AnswerDefect(box, entry["type"], entry["severity"], float(entry["confidence"]), entry["zone"]))
    if data["pass_fail"] == PASS and any(mark.severity == CRITICAL for mark in defects):
        return Unusable("It says PASS and names a critical mark.")
    return Answer(tuple(defects), data["pass_fail"], printable(data["explanation"]))


@cache
def answer_schema() -> dict[str, Any]:
    """The JSON Schema of an answer (Draft 2020-12)."""
    return json.loads(SCHEMA_FILE.read_text(encoding="utf-8"))


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        raise ValueError("a key is given twice")
    return values


def _within(box: Box, width: int, height: int) -> Box | None:
    """The part of a box inside the picture; None when most of it lies outside."""
    left, top, wide, high = box
    x, y = max(left, 0.0), max(top, 0.0)
    w, h = min(left + wide, width) - x, min(top + high, height) - y
    if w <= 0 or h <= 0 or w * h < _LEAST_INSIDE_SHARE * wide * high:
        return None
    return x, y, w, h


def printable(text: str) -> str:
    """One line without control characters and halves of surrogate pairs, as reports can show it."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _unusable(reason: str) -> Unusable:
    reason = printable(reason)
    shown = reason if len(reason) <= _MAX_REASON else f"{reason[:_MAX_REASON]}..."
    return Unusable(shown if shown.endswith(".") else f"{shown}.")
