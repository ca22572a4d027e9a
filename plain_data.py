"""Dataclasses of plain data to JSON values and back: lists become tuples again, null in a float field NaN."""

from __future__ import annotations

import dataclasses
import functools
import math
import types
import typing
from typing import Any

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
    return _reader(cls)(values, cls.__name__)


_Reader = typing.Callable[[Any, str], Any]  # from a JSON value and the name of its field; raises ValueError


@functools.cache
def _reader(hint: Any) -> _Reader:
    """What reads a value of this type: worked out once per type, because records are read by the ten thousand."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if dataclasses.is_dataclass(hint):
        return _object_reader(hint)
    if origin is types.UnionType:  # of a type and None
        read = _reader(arguments[0])
        return lambda value, name: None if value is None else read(value, name)
    if origin is tuple:
        return _row_reader(_reader(arguments[0])) if arguments[-1] is ... else _tuple_reader(*map(_reader, arguments))
    if origin is dict:
        return _table_reader(_reader(arguments[1]))
    return _number_reader(hint) if hint in (int, float) else _plain_reader(hint)


def _object_reader(cls: type) -> _Reader:
    hints, none = typing.get_type_hints(cls), dataclasses.MISSING
    readers = [
        (spec.name, _reader(hints[spec.name]), spec.default is none and spec.default_factory is none)
        for spec in dataclasses.fields(cls)
    ]

    def read(values: Any, name: str) -> Any:
        if not isinstance(values, dict):
            raise ValueError(f"{name} must be an object")
        kwargs = {}
        for field, read_field, is_required in readers:
            if field in values:
                kwargs[field] = read_field(values[field], field)
            elif is_required:
                raise ValueError(f"{field} is missing")
        return cls(**kwargs)

    return read


def _row_reader(read_item: _Reader) -> _Reader:
    def read(value: Any, name: str) -> Any:
        if not isinstance(value, list):
            raise _another_kind(name)
        return tuple([read_item(item, name) for item in value])

    return read


def _tuple_reader(*readers: _Reader) -> _Reader:
    def read(value: Any, name: str) -> Any:
        if not isinstance(value, list) or len(value) != len(readers):
            raise _another_kind(name)
        return tuple([read_item(item, name) for read_item, item in zip(readers, value, strict=True)])

    return read


def _table_reader(read_item: _Reader) -> _Reader:
    def read(value: Any, name: str) -> Any:
        if not isinstance(value, dict):
            raise _another_kind(name)
        return {key: read_item(item, name) for key, item in value.items()}

    return read


def _number_reader(hint: type) -> _Reader:
    is_float = hint is float

    def read(value: Any, name: str) -> Any:
        kind = type(value)
        if (kind is int or (is_float and kind is float)) and -_LARGEST <= value <= _LARGEST:  # false for NaN
            return value
        if is_float and value is None:
            return math.nan
        raise _another_kind(name)

    return read


def _plain_reader(hint: type) -> _Reader:
    def read(value: Any, name: str) -> Any:
        if type(value) is not hint:
            raise _another_kind(name)
        return value

    return read


def _another_kind(name: str) -> ValueError:
    return ValueError(f"{name} has a value of another kind")
