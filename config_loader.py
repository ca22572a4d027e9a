"""config.json -> checked, frozen settings. The only reader of that file.

Reading goes: bytes, JSON, numbers and keys, ``config.schema.json``, missing values, rules across fields, once for the
base and once for every profile. All that is wrong is reported at once.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import json_text
from configuration import checks as config_checks
from configuration.build import build, missing
from configuration.schema_errors import Path as JsonPath
from configuration.schema_errors import Problem, schema_problems, unknown_name
from errors import ConfigError
from settings import Config, ModelPaths

SCHEMA_FILE = Path(__file__).with_name("config.schema.json")
_NOT_SETTINGS = ("$schema", "default_profile", "profiles")


def load_config(path: str | Path, profile: str | None = None) -> Config:
    """Read config.json, apply a profile (None = the file's ``default_profile``) and return the settings.

    Raises :class:`errors.ConfigError` with every problem found, each as ``JSON path: what is wrong; expected ...``.
    """
    path = Path(path)
    data, problems = _read(path)
    problems = find_problems(data, problems)
    problems += [*_flat_field_problems(data, path.parent), *_unknown_profile(data, profile)]
    if problems:
        raise _config_error(path, problems)
    name = data["default_profile"] if profile is None else profile
    tree = apply_profile(data, name)
    config = build(Config, {**tree, "profile": name, "raw": json.loads(json.dumps(tree))})
    return _with_full_paths(config, path.parent)


def profile_names(path: str | Path) -> tuple[str, ...]:
    """The profiles of a config.json that :func:`load_config` accepts."""
    data, _ = _read(Path(path))
    return tuple(data["profiles"])


def find_problems(data: Any, earlier: Sequence[Problem] = ()) -> list[Problem]:
    """Everything that is wrong with a config.json tree, one problem per JSON path, the ``earlier`` ones first."""
    with_profile = {**data, "profile": ""} if isinstance(data, dict) else data
    found: dict[JsonPath, Problem] = {}
    for problem in (*earlier, *missing(Config, with_profile), *schema_problems(data, _schema())):
        found.setdefault(problem.path, problem)
    if isinstance(data, dict):
        for problem in _cross_field_problems(data, tuple(found)):
            found.setdefault(problem.path, problem)
    return list(found.values())


def apply_profile(data: dict[str, Any], name: str) -> dict[str, Any]:
    """The sections of config.json with the overrides of one profile merged in, at any depth; inputs stay as they are.

    Objects are merged key by key; everything else, lists too, is replaced.
    """
    base = {key: value for key, value in data.items() if key not in _NOT_SETTINGS}
    return _merged(base, data["profiles"][name])


def _merged(base: Any, override: Any) -> Any:
    if not (isinstance(base, dict) and isinstance(override, dict)):
        return override
    merged = dict(base)
    for key, value in override.items():
        merged[key] = _merged(base[key], value) if key in base else value
    return merged


# --- reading -------------------------------------------------------------------------------------------------------


class _Object(dict):
    """A JSON object that remembers which keys it was given twice."""

    repeated: tuple[str, ...] = ()


def _object(pairs: list[tuple[str, Any]]) -> _Object:
    result = _Object(pairs)
    if len(result) < len(pairs):
        keys = [key for key, _ in pairs]
        result.repeated = tuple(key for key in result if keys.count(key) > 1)
    return result


def _read(path: Path) -> tuple[Any, list[Problem]]:
    """The JSON value of a file, and what plain JSON reading would have let pass: repeated keys and NaN."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise ConfigError(f"There is no configuration file {path}.", remedy="Name one with -c.") from None
    except OSError as error:
        raise ConfigError(f"Cannot read {path}: {error.strerror or error}.") from None
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"{path} is not UTF-8 text (byte {error.start}).", remedy="Save it with the encoding UTF-8."
        ) from None
    try:
        data = json_text.parse(text, object_pairs_hook=_object)
        return data, list(_reading_problems(data, ()))
    except json.JSONDecodeError as error:
        raise _syntax_error(path, text, error) from None
    except ValueError as error:
        raise ConfigError(f"{path} cannot be read as JSON: {error}.") from None


def _syntax_error(path: Path, text: str, error: json.JSONDecodeError) -> ConfigError:
    lines = text.splitlines()
    shown = lines[error.lineno - 1].strip()[:80] if error.lineno <= len(lines) else "end of file"
    return ConfigError(
        f"{path} is not valid JSON.",
        [f"line {error.lineno}, column {error.colno}: {error.msg}; near: {shown}"],
        remedy="JSON has no comments, no comma after the last item, and every name in double quotes.",
    )


def _reading_problems(value: Any, path: JsonPath) -> Iterator[Problem]:
    if isinstance(value, dict):
        for key in getattr(value, "repeated", ()):
            yield Problem((*path, key), "given more than once; expected one value")
        for key, item in value.items():
            yield from _reading_problems(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _reading_problems(item, (*path, index))
    elif isinstance(value, (int, float)) and not _is_finite(value):
        yield Problem(path, f"expected a finite number, got {_number_word(value)}")


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def _number_word(value: float) -> str:
    return "a number too large" if isinstance(value, int) else json.dumps(value)


# --- checking ------------------------------------------------------------------------------------------------------


def _schema() -> dict[str, Any]:
    try:
        return json.loads(SCHEMA_FILE.read_bytes())
    except (OSError, ValueError) as error:
        raise ConfigError(f"Cannot read {SCHEMA_FILE}: {error}.", remedy="Restore the file as delivered.") from None


def _cross_field_problems(data: dict[str, Any], broken: Sequence[JsonPath]) -> Iterator[Problem]:
    """Cross-field rules on the base, then on each profile; a profile is blamed only for what the base does not have."""
    base = list(config_checks.find_problems(data, broken))
    yield from base
    profiles = data.get("profiles")
    if not isinstance(profiles, dict):
        return
    for name, override in profiles.items():
        if isinstance(override, dict) and not any(path[:2] == ("profiles", name) for path in broken):
            for problem in config_checks.find_problems(apply_profile(data, name), broken):
                if problem not in base:
                    yield Problem(("profiles", name, *problem.path), problem.text)
    if isinstance(data.get("default_profile"), str) and data["default_profile"] not in profiles:
        yield Problem(("default_profile",), unknown_name("profile", data["default_profile"], profiles))


def _unknown_profile(data: Any, profile: str | None) -> list[Problem]:
    """The profile that the caller asked for must be one of the file's, as far as that can be told."""
    profiles = data.get("profiles") if isinstance(data, dict) else None
    if profile is None or not isinstance(profiles, dict) or profile in profiles:
        return []
    return [Problem(("profiles",), unknown_name("profile", profile, profiles))]


def _config_error(path: Path, problems: Sequence[Problem]) -> ConfigError:
    count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
    return ConfigError(f"{path} has {count}.", [str(problem) for problem in problems])


def _flat_field_problems(data: Any, folder: Path) -> Iterator[Problem]:
    """The flat-field images of the base and of each profile exist."""
    profiles = data.get("profiles") if isinstance(data, dict) else None
    overrides = profiles.items() if isinstance(profiles, dict) else ()
    for prefix, tree in (((), data), *((("profiles", name), override) for name, override in overrides)):
        section = tree.get("preprocessing") if isinstance(tree, dict) else None
        name = section.get("flat_field_image") if isinstance(section, dict) else None
        if isinstance(name, str) and name and not _is_file(folder / name):
            text = f"no file {folder / name}; expected an image file or null"
            yield Problem((*prefix, "preprocessing", "flat_field_image"), text)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name that is too long, or holds a null character
        return False


def _with_full_paths(config: Config, folder: Path) -> Config:
    """All files that are named as full paths; a relative one starts at the folder of config.json."""

    def full(name: str | None) -> str | None:
        return None if name is None else os.path.abspath(folder / name)

    own, models = config.preprocessing, config.learning.models
    return replace(
        config,
        preprocessing=replace(own, flat_field_image=full(own.flat_field_image)),
        learning=replace(
            config.learning, models=ModelPaths(full(models.quality), full(models.patch), full(models.segment))
        ),
        vlm=replace(config.vlm, model=full(config.vlm.model)),
    )
