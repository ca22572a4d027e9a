"""The folder that holds the results: whether it may be used, what an earlier run left in it, and starting over."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from cli.file_lock import take_lock
from cli.image_files import possible_result_names
from errors import OutputError, cannot_write
from output_names import BATCH_FILES, DETAIL_ENDINGS, DETAILS_FOLDER, RESULTS_FILE
from records_file import ResultsFile

LOCK_FILE = ".running.lock"
_PARTIAL = re.compile(r"\..+\.\d+\.tmp", re.DOTALL)


def new_name() -> Path:
    """The default for OUTPUT: a name with the time, which nothing has yet."""
    base = f"results_{datetime.now():%Y%m%d_%H%M%S}"
    names = (base, *(f"{base}_{number}" for number in range(2, 1000)))
    return Path(next(name for name in names if not os.path.lexists(name)))


def check_usable(folder: Path, *, keep_results: bool) -> None:
    """Raise :class:`OutputError` when ``folder`` is no folder, or holds results and ``keep_results`` is false."""
    if folder.is_dir():
        old = next((name for name in BATCH_FILES if (folder / name).exists()), None)
        if old and not keep_results:
            raise OutputError(
                f"{folder} already holds results ({old}).",
                "Use --resume to go on, --overwrite to replace them, or choose another -o.",
            )
    elif folder.exists():
        raise OutputError(f"{folder} is a file, not a folder.", "Choose another -o.")


def create(folder: Path) -> None:
    """Make ``folder`` and its details folder, and prove that they can be written; raises :class:`OutputError`."""
    details = folder / DETAILS_FOLDER
    try:
        details.mkdir(parents=True, exist_ok=True)
        for place in (folder, details):
            probe = place / ".write_test.tmp"
            probe.write_bytes(b"")
            probe.unlink()
    except OSError as error:
        raise cannot_write(folder, error) from error


def start_over(folder: Path, images: Iterable[Path]) -> None:
    """Delete all results of earlier runs in ``folder``, and what the next one would write over."""
    earlier = [Path(entry.image_path) for entry in ResultsFile(folder / RESULTS_FILE)]
    remove_results(folder, (*earlier, *images))


def remove_results(folder: Path, inspected: Iterable[Path]) -> None:
    """Delete the results of earlier runs that inspected these images; every other file stays, the logs too.

    Raises :class:`OutputError`.
    """
    details = folder / DETAILS_FOLDER
    ours = {name + ending for path in inspected for name in possible_result_names(path) for ending in DETAIL_ENDINGS}
    try:
        for path in [*details.iterdir()] if details.is_dir() else []:
            if path.name in ours:
                path.unlink()
        for name in BATCH_FILES:
            (folder / name).unlink(missing_ok=True)
    except OSError as error:
        raise _cannot_remove(error) from error


def remove_details(details: Path, stem: str) -> None:
    """Delete the files of one image, as another look at it may write fewer; raises :class:`OutputError`."""
    try:
        for ending in DETAIL_ENDINGS:
            (details / f"{stem}{ending}").unlink(missing_ok=True)
    except OSError as error:
        raise _cannot_remove(error) from error


def remove_partial_files(folder: Path) -> None:
    """Delete the temporary files that a killed run has left; raises :class:`OutputError`."""
    try:
        for place in (folder, folder / DETAILS_FOLDER):
            for path in place.glob(".*.tmp"):
                if _PARTIAL.fullmatch(path.name):
                    path.unlink(missing_ok=True)
    except OSError as error:
        raise _cannot_remove(error) from error


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other runs out of ``folder`` while the block runs; raises :class:`OutputError` when one is in there.

    The system gives the lock back when the process ends, however it does. Where the file system knows no locks there
    is none.
    """
    path = folder / LOCK_FILE
    try:
        file = open(path, "ab")  # noqa: SIM115 (an error of the block is not one of the lock)
    except OSError as error:
        raise cannot_write(path, error) from error
    with file:
        if not take_lock(file.fileno()):
            raise OutputError(f"Another run is writing to {folder}.", "Wait for its end, or choose another folder.")
        yield


def _cannot_remove(error: OSError) -> OutputError:
    return OutputError(f"Cannot remove old results: {error}.", "Check the permissions, or choose another folder.")
