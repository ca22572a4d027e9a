"""Write a series of frames as PNG files."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from camera.grabbing import grab
from camera.runtime import Camera
from errors import OutputError
from image_io import write_png

_NOT_IN_NAMES = re.compile(r"[^\w.-]+")
logger = logging.getLogger("dscope.camera")


def capture(
    camera: Camera, count: int, folder: Path | str, label: str = "", average: int = 1, *, timeout_s: float
) -> Iterator[Path]:
    """Take ``count`` frames and write each as ``YYYYMMDD_HHMMSS_mmm_<label>_<number>.png``; yields its path then.

    The folder is made at once, the frames as the result is iterated. Nothing is overwritten, and what was written
    stays when a later frame fails. 16-bit frames become 16-bit files. Characters that file names do not take become
    ``_`` in the label.

    Raises :class:`OutputError` when the folder does not take the files, :class:`CameraError` when the camera fails.
    """
    if count < 1:
        raise ValueError(f"count must be at least 1, got {count}")
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"Cannot make the folder {folder}: {error.strerror or error}.", "Choose another folder."
        ) from error
    return _captured(camera, count, folder, _NOT_IN_NAMES.sub("_", label).strip("._"), average, timeout_s)


def _captured(camera: Camera, count: int, folder: Path, label: str, average: int, timeout_s: float) -> Iterator[Path]:
    for number in range(1, count + 1):
        frame = grab(camera, timeout_s, average)
        path = _free_path(folder, label, number)
        write_png(path, frame)
        logger.info("frame %d of %d: %s", number, count, path)
        yield path


def _free_path(folder: Path, label: str, number: int) -> Path:
    """A name that no file has; the number grows where two frames fall into the same millisecond."""
    while True:
        stamp = datetime.now().strftime("%Y%m%d_%H%M%S_%f")[:-3]
        path = folder / "_".join(part for part in (stamp, label, f"{number:03d}") if part)
        path = path.with_name(path.name + ".png")
        if not path.exists():
            return path
        number += 1
