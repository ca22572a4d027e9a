"""The files of a data set beside its database: which are there, which nobody knows, and whole new ones."""

from __future__ import annotations

import contextlib
import os
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from errors import OutputError
from learning.crops import ARTIFACT, CLEAN_PIECE
from learning.labelling import KINDS

PICTURE_FOLDERS = ("images", "masks", "defects", *(f"crops/{name}" for name in (*KINDS, ARTIFACT, CLEAN_PIECE)))
FOLDERS = (*PICTURE_FOLDERS, "features", "splits")
_OURS = re.compile(r"[0-9a-f]{16}(_\w+)?\.png")
_PARTIAL = re.compile(r"\..+\.\d+\.tmp", re.DOTALL)


def make_folders(folder: Path) -> None:
    """Make the folders of a data set; raises :class:`OutputError`."""
    try:
        for name in FOLDERS:
            (folder / name).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _output_error(folder, error) from error


def incomplete_images(connection: sqlite3.Connection, folder: Path) -> set[str]:
    """Images that have lost a file since their rows were made."""
    present = {name for name, _ in _pictures(folder)}
    return {
        image_id for file, image_id in connection.execute("SELECT file, image_id FROM files") if file not in present
    }


def remove_unknown(connection: sqlite3.Connection, folder: Path) -> None:
    """Delete pictures that no image has any more, and what killed runs have left; other files stay.

    Raises :class:`OutputError`.
    """
    known = {file for (file,) in connection.execute("SELECT file FROM files")}
    try:
        for name, path in _pictures(folder):
            if _PARTIAL.fullmatch(path.name) or (name not in known and _OURS.fullmatch(path.name)):
                path.unlink(missing_ok=True)
    except OSError as error:
        raise _output_error(folder, error) from error


@contextlib.contextmanager
def replaced_text(path: Path) -> Iterator[TextIO]:
    """A text file to be written piece by piece, which is there complete after the block or as it was.

    Raises :class:`OutputError`.
    """
    partial = path.parent / f".{path.name}.{os.getpid()}.tmp"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(partial, "w", encoding="utf-8", newline="") as file:
            yield file
        os.replace(partial, path)
    except OSError as error:
        raise _output_error(path, error) from error
    finally:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)


def _pictures(folder: Path) -> Iterator[tuple[str, Path]]:
    for place in PICTURE_FOLDERS:
        with contextlib.suppress(FileNotFoundError):
            for entry in os.scandir(folder / place):
                yield f"{place}/{entry.name}", Path(entry.path)


def _output_error(path: Path, error: OSError) -> OutputError:
    return OutputError(
        f"Cannot write {path}: {error.strerror or error}.", "Check free space and permissions, or choose another --out."
    )
