"""Which images to inspect: files, folders and globs in, a sorted list with unique result names out."""

from __future__ import annotations

import glob
import hashlib
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from image_io import IMAGE_SUFFIXES
from output_names import DETAILS_FOLDER, RESULTS_FILE

MAX_NAME_BYTES = 180  # of a result name; file systems allow 255 with all endings


@dataclass(frozen=True)
class ImageFile:
    """An image to inspect: ``name`` is what reports call it, ``stem`` what its result files start with."""

    path: Path
    name: str
    stem: str


@dataclass(frozen=True)
class Found:
    """``paths`` in natural order; ``problems`` are unusable inputs, ``ignored`` named files without an image suffix."""

    paths: tuple[Path, ...]
    problems: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()


def find_images(inputs: Iterable[str | Path], *, recursive: bool = False) -> Found:
    """Collect the image files that ``inputs`` (files, folders, globs) name, each once, absolute, in natural order.

    Folders that hold results of this program are not searched. Nothing is opened; a file counts by its suffix.
    """
    files: list[Path] = []
    problems: list[str] = []
    ignored: list[str] = []
    for text in inputs:
        if not str(text).strip():
            problems.append("an empty name was given")
            continue
        matches = _matches(Path(os.path.expanduser(text)))
        if not matches:
            problems.append(f"{text} does not exist" if not glob.has_magic(str(text)) else f"{text} matches nothing")
        for match in matches:
            if match.is_dir():
                files += _images_in(match, recursive=recursive, problems=problems)
            elif not _is_plain(match):
                problems.append(f"{match} is neither a file nor a folder")
            elif match.suffix.lower() in IMAGE_SUFFIXES:
                files.append(match)
            else:
                ignored.append(f"{match} has none of the suffixes {' '.join(sorted(IMAGE_SUFFIXES))}")
    unique: dict[str, Path] = {}
    for path in files:
        unique.setdefault(same_file_key(path), Path(os.path.abspath(path)))
    return Found(tuple(sorted(unique.values(), key=natural_key)), tuple(problems), tuple(ignored))


def same_file_key(path: Path | str) -> str:
    """Equal for two spellings of the same file."""
    return os.path.normcase(os.path.realpath(path))


def natural_key(path: Path) -> tuple:
    """Sort key: by file name with numbers compared as numbers, then by folder."""
    return _natural(path.name), _natural(str(path.parent))


def name_results(paths: Sequence[Path], *, kept: Mapping[Path, str] = MappingProxyType({})) -> list[ImageFile]:
    """Give every image a result name that no other image has, on file systems that ignore case, too.

    Clashing names get the extension, then the folders. ``kept`` are the result names that images have from earlier:
    they stay theirs, and the other images are called as if all had been named at once. "" stands for every name that
    the image may have.
    """
    owners = {
        _key(name): path
        for path, own in kept.items()
        for name in ([own] if own else [_result_name(path, level) for level in range(_levels(path))])
    }
    levels = dict.fromkeys(paths, 0)
    while True:
        names = {path: _key(_result_name(path, level)) for path, level in levels.items()}
        counts = Counter(names.values())
        clashing = [path for path, name in names.items() if counts[name] > 1 or owners.get(name, path) != path]
        raised = [path for path in clashing if levels[path] < _levels(path)]
        if not raised:
            break
        for path in raised:
            levels[path] += 1
    same_name = Counter(_key(path.name) for path in {*paths, *kept})
    return [
        ImageFile(
            path,
            f"{path.parent.name}/{path.name}" if same_name[_key(path.name)] > 1 else path.name,
            kept.get(path) or _result_name(path, level),
        )
        for path, level in levels.items()
    ]


def possible_result_names(path: Path) -> set[str]:
    """Every name that :func:`name_results` may have given to this image."""
    return {_result_name(path, level) for level in range(_levels(path) + 1)}


def _matches(path: Path) -> list[Path]:
    """What a path or glob names; brackets in the name of an existing folder are no pattern."""
    if os.path.lexists(path):
        return [path]
    hits = glob.glob(str(path), recursive=True)
    hits = hits or glob.glob(os.path.join(glob.escape(str(path.parent)), path.name), recursive=True)
    return [Path(hit) for hit in hits]


def _images_in(folder: Path, *, recursive: bool, problems: list[str]) -> list[Path]:
    found: list[Path] = []

    def unreadable(error: OSError) -> None:
        problems.append(f"{error.filename} cannot be read ({(error.strerror or str(error)).lower()})")

    for root, folders, files in os.walk(folder, onerror=unreadable):
        candidates = (Path(root, name) for name in files if not name.startswith("."))
        found += [path for path in candidates if path.suffix.lower() in IMAGE_SUFFIXES and _is_plain(path)]
        is_output = RESULTS_FILE in files
        folders[:] = [
            name
            for name in folders
            if recursive
            and not name.startswith(".")
            and not (is_output and name == DETAILS_FOLDER)
            and not os.path.exists(os.path.join(root, name, RESULTS_FILE))
        ]
    return found


def _is_plain(path: Path) -> bool:
    """False for pipes and devices, which would block; a dangling link is kept, so that it is reported."""
    return path.is_file() or not path.exists()


def _natural(text: str) -> tuple:
    parts = re.split(r"([0-9]+)", text)
    return tuple((int(part), "") if part.isascii() and part.isdigit() else (0, part.casefold()) for part in parts), text


def _key(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def _levels(path: Path) -> int:
    """The highest level of :func:`_result_name`: stem, extension, one per folder, and the last resort."""
    return len(path.parts) + 1


def _result_name(path: Path, level: int) -> str:
    """A name of this level, short enough for a file system after the endings of the result files."""
    name = _full_result_name(path, level)
    data = os.fsencode(name)
    if len(data) <= MAX_NAME_BYTES:
        return name
    return f"{data[:MAX_NAME_BYTES].decode('utf-8', 'ignore')}_{hashlib.sha256(data).hexdigest()[:8]}"


def _full_result_name(path: Path, level: int) -> str:
    if level == 0:
        return path.stem
    name = f"{path.stem}_{path.suffix[1:]}"
    folders = [part for part in path.parts[:-1] if part != path.anchor]
    if level > len(folders) + 1:
        return f"{name}_{hashlib.sha256(os.fsencode(path)).hexdigest()[:8]}"
    return "_".join([*folders[len(folders) - (level - 1) :], name])
