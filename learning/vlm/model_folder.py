"""The folder of a vision-language model: what must be in it, and which model it is. Nothing here loads a library."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import json_text
from errors import ModelError

CONFIG, ADAPTER_CONFIG = "config.json", "adapter_config.json"
WEIGHTS, WEIGHTS_INDEX, ADAPTER_WEIGHTS = (
    "model.safetensors",
    "model.safetensors.index.json",
    "adapter_model.safetensors",
)
_LOADED = (".safetensors", ".json", ".jinja")
_NOT_LOADED = ("run.json",)  # how an adapter was trained
_WHOLE_BYTES = 1 << 26
_BLOCK_BYTES, _BLOCKS = 1 << 16, 256
_COPY_AGAIN = "Copy the model again, all its files."


@dataclass(frozen=True)
class ModelFolder:
    """A model as it was when the settings were made; ``sha256`` tells it from others, wherever it lies."""

    path: str
    sha256: str


def identify(folder: Path) -> ModelFolder:
    """The model in a folder; raises :class:`ModelError` where files are missing or damaged as far as can be seen.

    The hash is that of names, sizes and contents of the files that are loaded. Of weights beyond 64 MB it is taken over
    256 pieces spread over the file, because reading 20 GB takes minutes: training changes every layer, so another
    model differs there, and a copy does not, whenever it was made. Of an adapter its base's hash is part.
    """
    try:
        digest = hashlib.sha256()
        for path in sorted(_checked_files(folder)):
            digest.update(f"{path.name}\0{path.stat().st_size}\0".encode("utf-8", "surrogateescape"))
            for block in _content(path):
                digest.update(block)
        if is_adapter(folder):
            base = base_of(folder)
            if is_adapter(base):
                raise ModelError(f"{folder} is an adapter to {base}, which is an adapter itself.", "Merge that one.")
            digest.update(identify(base).sha256.encode())
    except OSError as error:
        why = error.strerror or error
        raise ModelError(f"The model in {folder} cannot be read: {why}.", "Check its permissions.") from error
    return ModelFolder(str(folder.absolute()), digest.hexdigest())


def is_adapter(folder: Path) -> bool:
    """Whether a folder holds an adapter; raises :class:`ModelError` when it holds no model."""
    check_folder(folder)
    return (folder / ADAPTER_CONFIG).is_file()


def base_of(folder: Path) -> Path:
    """The folder of the model that an adapter belongs to; raises :class:`ModelError` when it is not there."""
    path = folder / ADAPTER_CONFIG
    try:
        name = json_text.parse(path.read_bytes())["base_model_name_or_path"]
        base = Path(name)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ModelError(f"{path} does not say what the adapter belongs to.", "Train it again.") from error
    if not base.is_dir():
        raise ModelError(
            f"{folder} is an adapter to the model in {base}, which is not there.",
            "Put the model there, or give its folder with --base where the adapter is merged.",
        )
    return base


def check_folder(folder: Path) -> None:
    """Raise :class:`ModelError` where there is no model at first sight."""
    try:
        is_folder = folder.is_dir()
    except (OSError, ValueError):  # a name that is too long, or holds a null character
        is_folder = False
    if not is_folder:
        raise ModelError(f"There is no folder {folder}.", "Give the folder of a model on this machine.")
    if not any((folder / name).is_file() for name in (CONFIG, ADAPTER_CONFIG)):
        raise ModelError(f"{folder} holds no model: it has no {CONFIG}.", "Give the folder of a model.")


def _checked_files(folder: Path) -> list[Path]:
    """The files that are loaded, after a look at the configuration and for the weights."""
    adapter = is_adapter(folder)
    _read_object(folder / (ADAPTER_CONFIG if adapter else CONFIG))
    index = folder / WEIGHTS_INDEX
    if adapter:
        needed = {ADAPTER_WEIGHTS}
    elif index.is_file():
        parts = _read_object(index).get("weight_map")
        needed = {str(name) for name in parts.values()} if isinstance(parts, dict) and parts else {WEIGHTS}
    else:
        needed = {WEIGHTS}
    if missing := sorted(name for name in needed if not (folder / name).is_file()):
        raise ModelError(f"The model in {folder} is not complete: it has no {missing[0][:100]!r}.", _COPY_AGAIN)
    return [path for path in folder.iterdir() if path.suffix in _LOADED and path.name not in _NOT_LOADED]


def _read_object(path: Path) -> dict[str, Any]:
    try:
        data = json_text.parse(path.read_bytes())
    except ValueError:
        data = None
    if not isinstance(data, dict):
        raise ModelError(f"{path} is damaged: it is no JSON object.", _COPY_AGAIN)
    return data


def _content(path: Path) -> Iterator[bytes]:
    size = path.stat().st_size
    with open(path, "rb") as file:
        if size <= _WHOLE_BYTES:
            yield file.read()
            return
        for number in range(_BLOCKS):
            file.seek((size - _BLOCK_BYTES) * number // (_BLOCKS - 1))
            yield file.read(_BLOCK_BYTES)
