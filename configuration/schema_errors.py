"""config.schema.json applied to a JSON value, with every error said in the words of whoever edits the file."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from jsonschema import Draft202012Validator, ValidationError

Path = tuple[str | int, ...]

_TYPE_WORDS = {
    "number": "number",
    "integer": "whole number",
    "string": "text",
    "boolean": "true or false",
    "array": "list",
    "object": "object",
    "null": "null",
}
_MAX_SHOWN = 60


class Problem(NamedTuple):
    """One thing that is wrong, and where."""

    path: Path
    text: str

    def __str__(self) -> str:
        return f"{path_text(self.path)}: {self.text}"


def path_text(path: Path) -> str:
    """``("rule_sets", "a.b", "zones", 0)`` -> ``rule_sets["a.b"].zones[0]``; the top level is ``$``."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif part.replace("-", "_").isidentifier() or part.replace("_", "").isalnum():
            text += f".{part}" if text else part
        else:
            text += f"[{json.dumps(part, ensure_ascii=False)}]"
    return text or "$"


def suggestion(name: str, options: Iterable[str]) -> str:
    """`` (did you mean 'x'?)`` when one of the options is close to the name, else nothing."""
    by_folded = {option.casefold(): option for option in options}
    close = difflib.get_close_matches(name.casefold(), by_folded, n=1, cutoff=0.6)
    return f" (did you mean '{by_folded[close[0]]}'?)" if close else ""


def unknown_name(kind: str, name: str, options: Iterable[str]) -> str:
    """The text for a name that should be one of the options."""
    known = list(options)
    return f"no {kind} named {_shown(name)}; expected {_one_of(known)}{suggestion(name, known)}"


def schema_problems(data: Any, schema: dict[str, Any]) -> list[Problem]:
    """All violations of the schema (Draft 2020-12), one problem per path, in the order of the document."""
    found: dict[Path, Problem] = {}
    for error in Draft202012Validator(schema).iter_errors(data):
        for problem in _problems(error):
            found.setdefault(problem.path, problem)
    return list(found.values())


def _problems(error: ValidationError) -> Iterator[Problem]:
    path = tuple(error.absolute_path)
    if "propertyNames" in error.absolute_schema_path:
        yield Problem((*path, error.instance), f"unusable name; {_wrong_value(error)}")
    elif error.validator == "additionalProperties":
        known = list(error.schema.get("properties", {}))
        for key in error.instance:
            if key not in known:
                yield Problem((*path, key), "unknown key" + (suggestion(key, known) or f"; expected {_one_of(known)}"))
    elif error.validator == "required":
        properties = error.schema.get("properties", {})
        for key in error.validator_value:
            if key not in error.instance:
                yield Problem((*path, key), f"missing; expected {expectation(properties.get(key, {}))}")
    else:
        yield Problem(path, _wrong_value(error))


def _wrong_value(error: ValidationError) -> str:
    close = suggestion(error.instance, error.schema.get("enum", [])) if isinstance(error.instance, str) else ""
    return f"expected {expectation(error.schema)}, got {_described(error.instance)}{close}"


def expectation(schema: dict[str, Any]) -> str:
    """What a (sub)schema asks for, in words: ``number from 0 to 1``."""
    if "x-expected" in schema:
        return schema["x-expected"]
    if "enum" in schema:
        return _one_of(schema["enum"])
    names = schema.get("type", [])
    names = [names] if isinstance(names, str) else list(names)
    words = [_TYPE_WORDS[name] for name in names if name != "null"]
    text = " or ".join(words) or "a value"
    if schema.get("not") == {"multipleOf": 2}:
        text = f"odd {text}"
    if schema.get("uniqueItems"):
        text += " without repeats"
    text += _limits(schema)
    return f"{text} or null" if "null" in names else text


def _limits(schema: dict[str, Any]) -> str:
    parts = [_range(schema)]
    if schema.get("minLength"):
        parts.append("that is not empty")
    if schema.get("minItems"):
        parts.append("that is not empty")
    if schema.get("maxProperties"):
        parts.append(f"with exactly one of {', '.join(schema['properties'])}")
    elif schema.get("minProperties"):
        parts.append("that is not empty")
    return "".join(f" {part}" for part in parts if part)


def _range(schema: dict[str, Any]) -> str:
    if "minimum" in schema and "maximum" in schema:
        return f"from {schema['minimum']} to {schema['maximum']}"
    words = {
        "exclusiveMinimum": "above",
        "minimum": "of at least",
        "exclusiveMaximum": "below",
        "maximum": "at most",
    }
    return " and ".join(f"{word} {schema[key]}" for key, word in words.items() if key in schema)


def _described(value: Any) -> str:
    """A value with its kind, where the kind may be the mistake: ``text "12"``, ``true``, ``-3``, ``a list of 4``."""
    if isinstance(value, str):
        return f"text {_shown(value)}"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    if isinstance(value, dict):
        keys = ", ".join(list(value)[:4])
        return f"an object with {keys}" if keys else "an empty object"
    return _shown(value)


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _MAX_SHOWN else text[: _MAX_SHOWN - 3] + "..."


def _one_of(options: Iterable[Any]) -> str:
    shown = [option if isinstance(option, str) else _shown(option) for option in options]
    if not shown:
        return "none"
    return shown[0] if len(shown) == 1 else "one of " + ", ".join(shown)
