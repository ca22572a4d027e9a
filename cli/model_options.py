"""The option --model, and from what it or config.json names to networks that are checked and ready."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path

from errors import ModelError
from inspection_settings import InspectionSettings
from second_opinion.networks import SEGMENT, TASKS

SHIPPED = Path(__file__).resolve().parent.parent / "models"
MODEL_HELP = (
    "networks to ask besides the rules: quality=FILE,patch=FILE,segment=FILE; a task without =FILE is the model in"
    " models/, dl is segment, none is no network (default: as config.json says)"
)
_NONE, _SEGMENT_ALONE = "none", "dl"


def model_files(text: str) -> dict[str, Path | None]:
    """``--model`` as files by task, None = the one that came with the program; empty = no network.

    A comma ends a file's name only where another task follows.
    """
    if text.strip() == _NONE:
        return {}
    chosen: dict[str, Path | None] = {}
    for part in re.split(rf",(?=\s*(?:{'|'.join((*TASKS, _SEGMENT_ALONE))})\s*(?:=|,|$))", text):
        name, equals, file = (piece.strip() for piece in part.partition("="))
        task = SEGMENT if name == _SEGMENT_ALONE and not equals else name
        if task not in TASKS:
            raise argparse.ArgumentTypeError(
                f"expected {', '.join(TASKS)} (with or without =FILE), dl or none: {part!r}"
            )
        if task in chosen:
            raise argparse.ArgumentTypeError(f"{task} is given twice")
        if equals and not file:
            raise argparse.ArgumentTypeError(f"expected a file after {name}=")
        chosen[task] = Path(os.path.expanduser(file)) if equals else None
    return chosen


def with_networks(settings: InspectionSettings, chosen: Mapping[str, Path | None] | None) -> InspectionSettings:
    """The settings with the networks that ``--model`` names, without it (None) those of config.json, all checked.

    Raises :class:`ModelError` for a file that cannot be used, :class:`errors.MissingDependency` without onnxruntime.
    """
    if chosen is None:
        named = asdict(settings.config.learning.models)
        chosen = {task: Path(path) for task, path in named.items() if path is not None}
    if not chosen:
        return settings
    from second_opinion.models import identify  # without a model nothing of it is loaded

    files = {task: path or _shipped(task) for task, path in chosen.items()}
    return replace(settings, models=tuple(identify(task, files[task]) for task in TASKS if task in files))


def describe_networks(settings: InspectionSettings) -> list[str]:
    """The networks in words: task, start of the hash, and what they may change."""
    policies = {"patch": f", {settings.config.learning.patch_policy}"}
    networks = [f"{model.task} {model.sha256[:12]}{policies.get(model.task, '')}" for model in settings.models]
    if settings.vlm is None:
        return networks
    return [*networks, f"vlm {settings.vlm.sha256[:12]}, {settings.config.vlm.policy}"]


def _shipped(task: str) -> Path:
    path = SHIPPED / f"{task}.onnx"
    if not path.is_file():
        raise ModelError(
            f"No {task} network came with this program: there is no {path}.",
            f"Train one with python -m learning.train --task {task}, and name it: --model {task}=FILE",
        )
    return path
