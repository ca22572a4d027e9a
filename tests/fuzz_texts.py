"""Broken JSON texts, each made from a sound one by damage that its number decides."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable, Iterator
from typing import Any

from config_trees import value_at

Path = tuple[str | int, ...]
JUNK: tuple[str, ...] = (  # as JSON text
    *("null", "true", "false", "0", "-0.0", "-1", "3", "1.5", "1e308", "-1e308", "1e999", "1e-320"),
    *("NaN", "Infinity", "-Infinity", "1" * 400, "1" * 5000),
    *(
        '""',
        '"x"',
        '"NaN"',
        '"\\u0000"',
        '"\\ud800"',
        '"Prüfling \\u202e"',
        '"../../x"',
        '"C:\\\\x"',
        '"%s{}"',
        '"[red]"',
    ),
    *("[]", "{}", "[null]", '[1, "a", {}]', '{"a": 1}', '{"": null}', '{"um_per_px": 1, "um_per_px": 2}'),
    *(json.dumps("y" * 200_000), json.dumps("😀" * 300)),
    *("[" * depth + "]" * depth for depth in (60, 99, 300, 930, 960, 985, 5000)),
    *('{"a":' * depth + "1" + "}" * depth for depth in (99, 300, 930, 960, 5000)),
)
MARK = "\ue000junk\ue000"  # stands in a tree for a text that no tree can hold


def broken_text(tree: Any, chance: random.Random) -> bytes:
    """The JSON text of a tree, damaged once, as the bytes of a file."""
    return chance.choice(DAMAGES)(copy.deepcopy(tree), chance)


def nodes(value: Any, path: Path = ()) -> Iterator[Path]:
    """The paths of all values in a tree, the top first."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from nodes(item, (*path, key))


def text_of(tree: Any) -> str:
    """A tree as JSON text."""
    return json.dumps(tree, ensure_ascii=False, indent=1)


def _replaced(tree: Any, chance: random.Random) -> bytes:
    """A value, at any depth, replaced by one of another kind."""
    path = chance.choice(list(nodes(tree)))
    junk = chance.choice(JUNK)
    if not path:
        return junk.encode()
    value_at(tree, path[:-1])[path[-1]] = MARK
    return text_of(tree).replace(json.dumps(MARK, ensure_ascii=False), junk).encode()


def _removed(tree: Any, chance: random.Random) -> bytes:
    path = _key(tree, chance)
    del value_at(tree, path[:-1])[path[-1]]
    return text_of(tree).encode()


def _renamed(tree: Any, chance: random.Random) -> bytes:
    path = _key(tree, chance)
    parent = value_at(tree, path[:-1])
    name = chance.choice(("", "x", "\0", "\ud800", "a" * 5000, str(path[-1]).upper(), f"{path[-1]} ", "__class__"))
    parent[name] = parent.pop(path[-1])
    return text_of(tree).encode("utf-8", "surrogatepass" if chance.random() < 0.5 else "backslashreplace")


def _doubled(tree: Any, chance: random.Random) -> bytes:
    """A key given twice, with two values."""
    path = _key(tree, chance)
    name = json.dumps(path[-1], ensure_ascii=False)
    return text_of(tree).replace(f"{name}:", f"{name}: {chance.choice(JUNK[:20])}, {name}:", 1).encode()


def _truncated(tree: Any, chance: random.Random) -> bytes:
    data = text_of(tree).encode()
    return data[: chance.randrange(len(data))]


def _bytes(tree: Any, chance: random.Random) -> bytes:
    data = bytearray(text_of(tree).encode())
    for _ in range(chance.choice((1, 1, 3, 20))):
        odd = (0, 0x22, 0x2C, 0x5C, 0x7B, 0xFF, 0xC3, chance.randrange(256))
        data[chance.randrange(len(data))] = chance.choice(odd)
    return bytes(data)


def _encoded(tree: Any, chance: random.Random) -> bytes:
    """Other encodings, with and without a mark; some of them are as good as the original."""
    encoding = chance.choice(("utf-8-sig", "utf-16", "utf-16-be", "utf-32"))
    return text_of(tree).encode(encoding)


def _surrounded(tree: Any, chance: random.Random) -> bytes:
    data = text_of(tree).encode()
    rests = (b"\0", b"\0" * 4096, b"}", b"\xef\xbb\xbf", b"// note", data, b"\n\n \t", chance.randbytes(50))
    rest = chance.choice(rests)
    return chance.choice((data + rest, rest + data))


def _noise(tree: Any, chance: random.Random) -> bytes:
    return chance.choice((b"", b" ", b"\xef\xbb\xbf", b"{", chance.randbytes(200), b'{"a"' * 3000, b"\0" * 10))


def _key(tree: Any, chance: random.Random) -> Path:
    """The path of a key of some object in the tree."""
    return chance.choice([path for path in nodes(tree) if path and isinstance(path[-1], str)])


DAMAGES: tuple[Callable[[Any, random.Random], bytes], ...] = (
    *(_replaced, _replaced, _replaced, _replaced, _removed, _renamed, _doubled),
    *(_truncated, _bytes, _bytes, _encoded, _surrounded, _noise),
)


def number_at_limit(tree: Any, schema: dict[str, Any], chance: random.Random) -> tuple[Path, Any] | None:
    """Set one number or switch of a config tree to a limit of the schema; what was set, None where it has none."""
    found = [path for path in nodes(tree) if type(value_at(tree, path)) in (int, float, bool)]
    path = chance.choice(found)
    rules = _rules(schema, path)
    values = [rules[key] for key in ("minimum", "maximum") if key in rules]
    values += [rules[key] + step for key, step in (("exclusiveMinimum", 1), ("exclusiveMaximum", -1)) if key in rules]
    if rules.get("type") == "number" and not rules.keys() & {"maximum", "exclusiveMaximum"}:
        values.append(1e308)
    if type(value_at(tree, path)) is bool:
        values = [not value_at(tree, path)]
    if not values:
        return None
    value = chance.choice(values)
    value_at(tree, path[:-1])[path[-1]] = value
    return path, value


def _rules(schema: dict[str, Any], path: Path) -> dict[str, Any]:
    """The part of a schema that a path leads to."""
    rules = schema
    for part in path:
        if isinstance(part, int):
            rules = rules.get("items", {})
        else:
            rules = rules.get("properties", {}).get(part) or _others(rules)
        while "$ref" in rules:
            rules = value_at(schema, tuple(rules["$ref"].removeprefix("#/").split("/")))
    return rules


def _others(rules: dict[str, Any]) -> dict[str, Any]:
    others = rules.get("additionalProperties")
    return others if isinstance(others, dict) else {}
