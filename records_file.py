"""results.jsonl: one line of JSON per finished image, appended as it finishes, read as a stream.

Whatever ends the program, every line but the last is whole, and a torn last one is cut off before the next is
appended. In memory there is only an index: where each image's line lies and what tells whether it must be inspected
again.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import accumulate
from pathlib import Path
from typing import BinaryIO

import json_text
from cli.image_files import natural_key, same_file_key
from errors import OutputError
from records import InspectionRecord

logger = logging.getLogger("dscope.results")
_REMEDY = "Check free space and permissions, or choose another folder."


@dataclass(frozen=True, slots=True)
class Entry:
    """Where the record of an image lies in the file, and what is asked about it without reading it."""

    offset: int
    size: int
    image_path: str
    status: str
    content_sha256: str
    settings_sha256: str
    result_name: str


class ResultsFile:
    """The records in ``path``; of several of one image the last one counts.

    Opening makes the file when it is missing, and cuts a torn end off. A line in the middle that is no record is left
    out, with a warning in the log, and counted in ``skipped``. Every method raises :class:`OutputError` when the file
    cannot be read or written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._entries: dict[str, Entry] = {}
        self._end = 0
        self.skipped = 0
        with _as_output_error(path, "write"), open(path, "a+b") as file:
            file.seek(0)
            for record, size in _whole_lines(file, path.name):
                if record is not None:
                    self._add(record, size)
                else:
                    self.skipped += 1
                self._end += size
            file.truncate(self._end)

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[Entry]:
        """The entries in natural order of the images."""
        return iter(sorted(self._entries.values(), key=lambda entry: natural_key(Path(entry.image_path))))

    def get(self, image: Path | str) -> Entry | None:
        """The entry of this image, however its path is spelled; None when it has none."""
        return self._entries.get(same_file_key(image))

    def counts(self) -> dict[str, int]:
        """How many images have which status."""
        return dict(Counter(entry.status for entry in self))

    def append(self, record: InspectionRecord) -> None:
        """Append one record, with nothing left in a buffer. A failed write leaves the file as it was."""
        line = memoryview(_line(record))
        with _as_output_error(self.path, "write"), open(self.path, "r+b", buffering=0) as file:
            if file.seek(0, os.SEEK_END) != self._end:
                raise OutputError(
                    f"{self.path} was changed by another program.", "Let one program at a time write to a folder."
                )
            try:
                written = 0
                while written < len(line):
                    written += file.write(line[written:]) or 0
            except OSError:
                with contextlib.suppress(OSError):
                    file.truncate(self._end)
                raise
        self._add(record, len(line))
        self._end += len(line)

    def forget(self, images: Iterable[Path | str]) -> None:
        """Leave the records of these images out of everything that follows; :meth:`tidy` removes them for good."""
        for image in images:
            self._entries.pop(same_file_key(image), None)

    def records(self) -> Iterator[InspectionRecord]:
        """The records in natural order of the images, one at a time."""
        for line in self._lines():
            yield InspectionRecord.from_dict(json.loads(line))

    def tidy(self) -> None:
        """Rewrite the file with one line per image, in natural order: the same whatever the order of the work."""
        entries = list(self)
        starts = list(accumulate((entry.size for entry in entries), initial=0))
        if [*(entry.offset for entry in entries), self._end] == starts:
            return
        partial = self.path.with_name(f".{self.path.name}.{os.getpid()}.tmp")
        with _as_output_error(self.path, "write"):
            try:
                with open(partial, "wb") as file:
                    file.writelines(self._lines())
                    file.flush()
                    os.fsync(file.fileno())
                os.replace(partial, self.path)
            finally:
                with contextlib.suppress(OSError):
                    partial.unlink()
        moved = [replace(entry, offset=start) for entry, start in zip(entries, starts, strict=False)]
        self._entries = {same_file_key(entry.image_path): entry for entry in moved}
        self._end = starts[-1]

    def _lines(self) -> Iterator[bytes]:
        with _as_output_error(self.path, "read"), open(self.path, "rb") as file:
            for entry in self:
                file.seek(entry.offset)
                yield file.read(entry.size)

    def _add(self, record: InspectionRecord, size: int) -> None:
        self._entries[same_file_key(record.image_path)] = Entry(
            self._end,
            size,
            record.image_path,
            record.status,
            record.content_sha256,
            record.settings_sha256,
            record.result_name,
        )


def stream_records(path: Path) -> Iterator[InspectionRecord]:
    """The records of a results.jsonl, one per image in natural order, one at a time; the file is only read.

    Raises :class:`OutputError` when it cannot be.
    """
    places: dict[str, tuple[Path, int, int]] = {}
    with _as_output_error(path, "read"), open(path, "rb") as file:
        offset = 0
        for record, size in _whole_lines(file, path.name):
            if record is not None:
                places[same_file_key(record.image_path)] = Path(record.image_path), offset, size
            offset += size
        for _, offset, size in sorted(places.values(), key=lambda place: natural_key(place[0])):
            file.seek(offset)
            yield InspectionRecord.from_dict(json.loads(file.read(size)))


def has_records(path: Path) -> bool:
    """Whether a results.jsonl holds a complete record; it is only read. Raises :class:`OutputError`."""
    with _as_output_error(path, "read"), open(path, "rb") as file:
        return any(line.endswith(b"\n") and _record_in(line) is not None for line in file)


def _whole_lines(file: BinaryIO, name: str) -> Iterator[tuple[InspectionRecord | None, int]]:
    """Every line's record, None where it is none, with the line's size in bytes; not a last one that is torn."""
    for number, line in enumerate(file, start=1):
        record = _record_in(line)
        if record is None:
            logger.warning("%s, line %d is not a complete record: skipped.", name, number)
        if line.endswith(b"\n"):
            yield record, len(line)


def _record_in(line: bytes) -> InspectionRecord | None:
    with contextlib.suppress(ValueError):
        record = InspectionRecord.from_dict(json_text.parse(line))
        return record if record.image_path else None
    return None


def _line(record: InspectionRecord) -> bytes:
    r"""UTF-8; half of a surrogate pair, from a file name that is not Unicode, becomes \udcXX, which JSON reads back."""
    text = json.dumps(record.to_dict(), ensure_ascii=False, allow_nan=False)
    return f"{text}\n".encode("utf-8", "backslashreplace")


@contextlib.contextmanager
def _as_output_error(path: Path, verb: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise OutputError(
            f"{path} is no longer there: its folder was removed or replaced.", "Start again, or choose another folder."
        ) from error
    except OSError as error:
        raise OutputError(f"Cannot {verb} {path}: {error.strerror or error}.", _REMEDY) from error
