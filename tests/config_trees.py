"""config.json as the tests change it: the shipped tree with values set or removed, and what is then wrong with it."""

from __future__ import annotations

import copy
import json
from pathlib import Path

from config_loader import find_problems
from configuration.schema_errors import path_text

SHIPPED = Path(__file__).resolve().parent.parent / "config.json"
TREE = json.loads(SHIPPED.read_text(encoding="utf-8"))
SM_PC = "iec_61300_3_35_2015_single_mode_pc"
MM_PC = "iec_61300_3_35_2015_multimode_pc"
REMOVED = object()


def changed(*changes: tuple[tuple, object]) -> dict:
    """The shipped tree with values set (or REMOVED) at paths."""
    tree = copy.deepcopy(TREE)
    for path, value in changes:
        node = tree
        for part in path[:-1]:
            node = node.setdefault(part, {}) if isinstance(node, dict) else node[part]
        if value is REMOVED:
            del node[path[-1]]
        else:
            node[path[-1]] = value
    return tree


def problems(tree: object) -> dict[str, str]:
    """Problem texts by JSON path."""
    return {path_text(problem.path): problem.text for problem in find_problems(tree)}


def write(folder: Path, text: str | bytes | dict) -> Path:
    path = folder / "config.json"
    text = json.dumps(text) if isinstance(text, dict) else text
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def leaves(value: object, path: tuple = ()) -> list[tuple]:
    if isinstance(value, dict):
        return [leaf for key, item in value.items() for leaf in leaves(item, (*path, key))]
    if isinstance(value, list):
        return [leaf for index, item in enumerate(value) for leaf in leaves(item, (*path, index))]
    return [path]


def value_at(tree: object, path: tuple) -> object:
    for part in path:
        tree = tree[part]
    return tree
