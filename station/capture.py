"""A captured frame: its bytes as they will be in the file, and the name that the file gets."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np

from cli.image_files import ImageFile
from configuration.name_pattern import serial_and_port
from output_names import CAPTURES_FOLDER
from png_encoding import encode_png
from records import Inspection
from station.setup import Setup

LONGEST_SERIAL = 80
_LONGEST_LABEL = 40
_SIGN = "SN"
_NOT_IN_NAMES = re.compile(r"[^\w.-]+")
_COMPRESSION = 1


@dataclass(frozen=True, eq=False)
class Capture:
    """A frame (H, W) uint8 or uint16 with its PNG, when it was taken, and what it is inspected with."""

    frame: np.ndarray
    png: bytes
    taken: datetime
    setup: Setup

    def image_file(self, folder: Path, serial: str) -> ImageFile:
        """Its file in OUTPUT, before other captures of the same millisecond are thought of."""
        name = file_stem(self.taken, serial, self.setup.config.file_names.pattern)
        return ImageFile(folder / CAPTURES_FOLDER / f"{name}.png", f"{name}.png", name)


@dataclass(frozen=True, eq=False)
class Inspected:
    """A capture with what the inspection found."""

    capture: Capture
    inspection: Inspection


def capture(frame: np.ndarray, setup: Setup) -> Capture:
    """Keep a frame as it is."""
    return Capture(frame, encode_png(frame, _COMPRESSION), datetime.now(), setup)


def tidy_serial(text: str) -> str:
    """A serial number as it was typed or scanned: one line without control characters, not endless."""
    printable = "".join(char if char.isprintable() else " " for char in text)
    return " ".join(printable.split())[:LONGEST_SERIAL]


def file_stem(taken: datetime, serial: str, pattern: str | None) -> str:
    """The name of a capture without extension: time, then the serial number in a form that file systems take.

    Where the serial number is not written as ``pattern`` expects it in file names, it gets the letters SN before it,
    which the delivered pattern looks for: so ``main.py`` finds the serial number in the name again.
    """
    stamp = taken.strftime("%Y%m%d_%H%M%S_%f")[:-3]
    label = _NOT_IN_NAMES.sub("_", serial)[:_LONGEST_LABEL].strip("._")
    if not label:
        return stamp
    return f"{stamp}_{label}" if _is_written_like(pattern, serial) else f"{stamp}_{_SIGN}{label}"


def serial_of_record(serial: str, pattern: str | None) -> tuple[str, str]:
    """Serial number and port of the record: taken apart where ``pattern`` covers all of it, else as it was typed."""
    written = next((text for text in (serial, f"{_SIGN}{serial}") if _is_written_like(pattern, text)), None)
    return (serial, "") if written is None else serial_and_port(written, pattern)


def _is_written_like(pattern: str | None, text: str) -> bool:
    return pattern is not None and re.fullmatch(pattern, text) is not None
