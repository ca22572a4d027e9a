r"""The JSON object in a text that a model has written around, cut short or misspelled.

Only the form is mended, and only where it is plain what was meant: words and code fences around the object, quotes of
other kinds, line breaks in a text, commas too many, brackets missing at the end. A list that breaks off is not
completed: nobody knows which marks are missing. One pass over the text, whatever it holds.
"""

from __future__ import annotations

import re

_START = re.compile(r"\{(?=\s*[\"'“”‘’}])")
_MAX_STARTS = 8  # places in the prose that may be the object
_MAX_DEPTH = 8  # an answer has four
_QUOTES = {'"': '"', "'": "'", "“": "”", "”": "”", "‘": "’", "’": "’"}  # what ends a text that begins so
_AFTER_TEXT = re.compile(r"\s*(?:[,:}\]]|\Z)")
_KEY = '"pass_fail"'
_ESCAPABLE = '"\\/bfnrtu'
_CLOSING = {"{": "}", "[": "]"}


def repair(text: str) -> str | None:
    """The JSON text of the object in ``text`` that has a verdict; None when there is none, or two that differ."""
    at, objects = 0, set()
    for _ in range(_MAX_STARTS):
        found = _START.search(text, at)
        if found is None:
            break
        rewritten, at = _rewritten(text, found.start())
        if rewritten is not None and _KEY in rewritten:
            objects.add(rewritten)
    return objects.pop() if len(objects) == 1 else None


def _rewritten(text: str, start: int) -> tuple[str | None, int]:
    """The object that begins at ``start``, None when it cannot be saved, and where to look for another."""
    parts: list[str] = []
    open_brackets: list[str] = []
    at = start
    while at < len(text):
        char = text[at]
        if char in _QUOTES:
            part, at = _quoted(text, at)
            parts.append(part)
            continue
        at += 1
        if char in _CLOSING:
            if len(open_brackets) == _MAX_DEPTH:
                return None, at
            open_brackets.append(char)
            parts.append(char)
        elif char in "}]":
            if _CLOSING[open_brackets.pop()] != char:
                return None, start + 1
            _drop_comma(parts)
            parts.append(char)
            if not open_brackets:
                return "".join(parts), at
        elif not char.isspace():
            parts.append(char)
    if "[" in open_brackets:
        return None, start + 1
    _drop_comma(parts)
    return "".join(parts) + "}" * len(open_brackets), at


def _quoted(text: str, start: int) -> tuple[str, int]:
    """The JSON text of what is quoted from ``start`` on, to the end where it is not closed, and where it ends.

    A quote inside, as in 5' or "the "core" zone", is one of the text: the last one has a comma or bracket behind it.
    """
    last = _QUOTES[text[start]]
    parts = ['"']
    at = start + 1
    while at < len(text):
        char = text[at]
        at += 1
        if char == "\\" and at < len(text):
            follower = text[at]
            at += 1
            parts.append(char + follower if follower in _ESCAPABLE else follower if follower in _QUOTES else "\\\\")
        elif char == last and _AFTER_TEXT.match(text, at):
            break
        elif char == '"':
            parts.append('\\"')
        elif char != "\\":
            parts.append(char if char >= " " else " ")
    return "".join([*parts, '"']), at


def _drop_comma(parts: list[str]) -> None:
    if parts[-1] == ",":
        parts.pop()
