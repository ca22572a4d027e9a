"""The folder that holds the results: whether it may be used, what an earlier run left in it, and starting over."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from pathlib import Path

from cli.image_files import DETAILS_FOLDER, RESULTS_FILE, possible_result_names, same_file_key
from errors import OutputError
from records import ZONE_NAMES, InspectionRecord

logger = logging.getLogger("dscope.output")
_RESULT_FILES = (RESULTS_FILE, "summary_report.csv", "report.html", "run.json")
_DETAIL_ENDINGS = (
    "_annotated.png",
    "_report.csv",
    "_polar.png",
    "_labels.png",
    "_zones.png",
    *(f"_{zone.lower()}.png" for zone in ZONE_NAMES),
)


def check_usable(folder: Path, *, keep_results: bool) -> None:
    """Raise :class:`OutputError` when ``folder`` is no folder, or holds results and ``keep_results`` is false."""
    if folder.is_dir():
        old = next((name for name in _RESULT_FILES if (folder / name).exists()), None)
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
        raise OutputError(
            f"Cannot write to {folder}: {error.strerror or error}.", "Check its permissions, or choose another -o."
        ) from error


def remove_results(folder: Path, inspected: Iterable[Path]) -> None:
    """Delete the results of earlier runs that inspected these images; every other file stays, the logs too.

    Raises :class:`OutputError`.
    """
    details = folder / DETAILS_FOLDER
    ours = {name + ending for path in inspected for name in possible_result_names(path) for ending in _DETAIL_ENDINGS}
    try:
        for path in [*details.iterdir()] if details.is_dir() else []:
            if path.name in ours:
                path.unlink()
        for name in _RESULT_FILES:
            (folder / name).unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"Cannot remove old results: {error}.", "Choose another -o.") from error


def read_records(folder: Path) -> list[InspectionRecord]:
    """The records in results.jsonl, one per image, in the order of writing; none when there is no such file.

    A line that is no record, as a crash leaves it, is skipped with a warning. Raises :class:`OutputError`.
    """
    path = folder / RESULTS_FILE
    records: dict[str, InspectionRecord] = {}
    try:
        with open(path, encoding="utf-8", errors="replace") as lines:
            for number, line in enumerate(lines, start=1):
                try:
                    record = InspectionRecord.from_dict(json.loads(line))
                except (ValueError, TypeError, KeyError, AttributeError):
                    logger.warning("%s, line %d is not a complete record: skipped.", path, number)
                    continue
                records[same_file_key(record.image_path)] = record
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise OutputError(f"Cannot read {path}: {error.strerror or error}.", "Choose another -o.") from error
    return list(records.values())
