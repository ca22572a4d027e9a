"""JSON text that somebody else may have written or damaged: a value, or one kind of error."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

MAX_DEPTH = 100  # far more than any file of this program has


def parse(text: str | bytes, *, object_pairs_hook: Callable[[list[tuple[str, Any]]], Any] | None = None) -> Any:
    """The value of a JSON text; raises ValueError (:class:`json.JSONDecodeError` where it has a place) for any other.

    A value that is nested deeper than ``MAX_DEPTH`` is refused here: what works on it may be recursive.
    """
    try:
        value = json.loads(text, object_pairs_hook=object_pairs_hook)
        is_deep = _is_deep(value)
    except RecursionError:
        is_deep = True
    if is_deep:
        raise ValueError(f"it is nested deeper than {MAX_DEPTH} levels")
    return value


def _is_deep(value: Any) -> bool:
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        level = [child for item in level for child in _children(item)]
        if not level:
            return False
    return True


def _children(item: Any) -> list[Any]:
    if isinstance(item, dict):
        return list(item.values())
    return item if isinstance(item, list) else []
