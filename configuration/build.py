"""Plain JSON values -> frozen dataclasses, driven by type hints alone."""

from __future__ import annotations

import dataclasses
import functools
import types
import typing
from collections.abc import Iterator, Mapping
from typing import Any

from configuration.schema_errors import Path, Problem

_KIND_WORDS = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}


def build(hint: Any, value: Any) -> Any:
    """Make what the type hint says from a JSON value that has passed validation.

    Understands dataclasses, ``X | None``, ``tuple[X, ...]``, ``Mapping[str, X]`` and plain types. A dataclass with a
    ``from_json`` class method builds itself; in a mapping of dataclasses that have a ``name``, the key becomes it.
    """
    if dataclasses.is_dataclass(hint):
        return _build_dataclass(hint, value)
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return None if value is None else build(_without_none(arguments), value)
    if origin is tuple:
        return tuple(build(arguments[0], item) for item in value)
    if origin is not None and issubclass(origin, Mapping):
        item_hint = arguments[1]
        return {key: build(item_hint, _named(item_hint, key, item)) for key, item in value.items()}
    return hint(value) if hint in (int, float) else value


def missing(hint: Any, value: Any, path: Path = ()) -> Iterator[Problem]:
    """Every field without a default that the JSON value lacks, at any depth; values of a wrong type are skipped."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if dataclasses.is_dataclass(hint) and isinstance(value, dict) and not hasattr(hint, "from_json"):
        for spec, spec_hint in _fields(hint):
            if spec.name in value:
                yield from missing(spec_hint, value[spec.name], (*path, spec.name))
            elif _required(spec):
                yield Problem((*path, spec.name), f"missing; expected {_kind_word(spec_hint)}")
    elif origin in (typing.Union, types.UnionType):
        yield from missing(_without_none(arguments), value, path)
    elif origin is tuple and isinstance(value, list):
        for index, item in enumerate(value):
            yield from missing(arguments[0], item, (*path, index))
    elif origin is not None and issubclass(origin, Mapping) and isinstance(value, dict):
        for key, item in value.items():
            yield from missing(arguments[1], _named(arguments[1], key, item), (*path, key))


def _build_dataclass(cls: type, value: dict[str, Any]) -> Any:
    if hasattr(cls, "from_json"):
        return cls.from_json(value)
    return cls(**{spec.name: build(hint, value[spec.name]) for spec, hint in _fields(cls) if spec.name in value})


@functools.cache
def _fields(cls: type) -> tuple[tuple[dataclasses.Field, Any], ...]:
    hints = typing.get_type_hints(cls)
    return tuple((spec, hints[spec.name]) for spec in dataclasses.fields(cls))


def _required(spec: dataclasses.Field) -> bool:
    return spec.default is dataclasses.MISSING and spec.default_factory is dataclasses.MISSING


def _named(hint: Any, key: str, item: Any) -> Any:
    """Give an entry of a mapping its key as name, where its dataclass has one."""
    has_name = dataclasses.is_dataclass(hint) and any(spec.name == "name" for spec in dataclasses.fields(hint))
    return {**item, "name": key} if has_name and isinstance(item, dict) else item


def _without_none(arguments: tuple[Any, ...]) -> Any:
    (hint,) = (argument for argument in arguments if argument is not type(None))
    return hint


def _kind_word(hint: Any) -> str:
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return f"{_kind_word(_without_none(typing.get_args(hint)))} or null"
    if typing.get_origin(hint) is tuple:
        return "a list"
    return _KIND_WORDS.get(hint, "an object")
