"""Dataclasses of plain data to JSON values and back: lists become tuples again, null in a float field NaN."""

from __future__ import annotations

import dataclasses
import functools
import math
import types
import typing
from typing import Any

_JSON_TYPES = {str: (str,), bool: (bool,), int: (int,), float: (int, float)}
_LARGEST = 2**53  # beyond any length, area or time


def jsonable(value: Any) -> Any:
    """A copy of plain data in which NaN and infinities are None."""
    if isinstance(value, dict):
        return {key: jsonable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [jsonable(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def build(cls: type, values: Any) -> Any:
    """Make a dataclass from JSON values: lists become tuples, null in a float field becomes NaN.

    Keys that are no field are left out. Raises ValueError for a field of another type, and for one that is missing.
    """
    if not isinstance(values, dict):
        raise ValueError(f"{cls.__name__} must be an object")
    kwargs = {}
    for name, (hint, is_required) in _fields(cls).items():
        if name in values:
            kwargs[name] = _typed(hint, values[name], name)
        elif is_required:
            raise ValueError(f"{name} is missing")
    return cls(**kwargs)


@functools.cache
def _fields(cls: type) -> dict[str, tuple[Any, bool]]:
    """The type of each field, and whether it has no default."""
    hints, none = typing.get_type_hints(cls), dataclasses.MISSING
    specs = dataclasses.fields(cls)
    return {s.name: (hints[s.name], s.default is none and s.default_factory is none) for s in specs}


def _typed(hint: Any, value: Any, name: str) -> Any:
    """The value as its type hint says."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if dataclasses.is_dataclass(hint):
        return build(hint, value)
    if origin is types.UnionType:  # of a type and None
        return None if value is None else _typed(arguments[0], value, name)
    if origin is tuple and isinstance(value, list):
        hints = [arguments[0]] * len(value) if arguments[-1] is ... else arguments
        if len(hints) == len(value):
            return tuple(_typed(item_hint, item, name) for item_hint, item in zip(hints, value, strict=True))
    elif origin is dict and isinstance(value, dict):
        return {key: _typed(arguments[1], item, name) for key, item in value.items()}
    elif hint is float and value is None:
        return math.nan
    elif type(value) in _JSON_TYPES.get(hint, ()) and (hint in (str, bool) or abs(value) <= _LARGEST):  # false for NaN
        return value
    raise ValueError(f"{name} has a value of another kind")
