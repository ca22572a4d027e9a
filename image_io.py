"""Image files to 8-bit grey arrays and back: the only module that calls OpenCV's decoders.

Files are read as bytes and decoded from memory, so any path works. What libjpeg, libpng and libtiff print on the
process's stderr is captured and becomes one sentence in :attr:`DecodedImage.warnings`.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import tempfile
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from errors import MissingDependency, UnreadableImage, cannot_write
from image_headers import TIFF_STARTS, count_pages, has_broken_deflate, is_cut_png, size_px
from png_encoding import encode_png

MAX_PIXELS = 250_000_000
IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp"})

_JPEG_START, _JPEG_SCAN, _JPEG_END = b"\xff\xd8\xff", b"\xff\xda", b"\xff\xd9"
_KNOWN_STARTS = (_JPEG_START, b"\x89PNG", b"BM", *TIFF_STARTS)
_AGAIN = "Save or copy the file again."
_FORMAT = "Save it as an 8 or 16 bit PNG, TIFF, JPEG or BMP."
# a few stray bytes between the parts of a JPEG are some frame grabber's habit; more of them were pixels once
_DAMAGE = re.compile(
    r"premature end|bad huffman|instead of rst|invalid marker|\berror\b|TIFF_Error(?!.*custom tag)|Discarding \d+ bytes"
    r"|too much image data|\d{2} extraneous|extraneous bytes before marker 0xd[0-7]",
    re.IGNORECASE,
)
_HARMLESS = re.compile(r"iCCP|sRGB|unknown field|gAMA|cHRM|tEXt|^\s*$", re.IGNORECASE)
_LOG_PREFIX = re.compile(r"^\[\s*\w+:\d+@[\d.]+\]\s+global\s+\S+\s+((?!TIFF_Error)\S+\s*)?")
_stderr_lock = threading.Lock()
logger = logging.getLogger("dscope.image_io")


@dataclass(frozen=True)
class DecodedImage:
    """One decoded frame. ``grey`` is (H, W) uint8; ``source_dtype`` is the file's depth (``uint8`` or ``uint16``)."""

    name: str
    grey: np.ndarray
    source_dtype: str = "uint8"
    warnings: tuple[str, ...] = ()


def check_opencv() -> None:
    """Raise :class:`MissingDependency` when OpenCV lacks its contrib part.

    Two OpenCV wheels in one environment overwrite each other's files, and ``cv2.ximgproc`` is what gets lost.
    """
    if not hasattr(getattr(cv2, "ximgproc", None), "thinning"):
        raise MissingDependency(
            "OpenCV was installed without its contrib part (cv2.ximgproc), usually because a second OpenCV wheel"
            " overwrote opencv-contrib-python.",
            "Run: pip uninstall -y opencv-python opencv-python-headless opencv-contrib-python"
            " && pip install -r requirements.txt",
        )


def read_image(path: Path | str, *, data: bytes | None = None, max_pixels: int = MAX_PIXELS) -> DecodedImage:
    """Read one image file as 8-bit grey; see :func:`decode_image`. ``data``: its bytes, where they are read already.

    Raises :class:`UnreadableImage` for a file that cannot be opened or decoded completely.
    """
    path = Path(path)
    return decode_image(file_bytes(path) if data is None else data, name=path.name, max_pixels=max_pixels)


def file_bytes(path: Path) -> bytes:
    """Read a file; raises :class:`UnreadableImage`, with the reason, when that fails."""
    try:
        return path.read_bytes()
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UnreadableImage(f"The file cannot be read: {reason}.", "Check the path and its permissions.") from error


def decode_image(data: bytes, *, name: str, max_pixels: int = MAX_PIXELS) -> DecodedImage:
    """Decode an encoded image to 8-bit grey, complete or not at all.

    Colour becomes luma (0.299 R + 0.587 G + 0.114 B); transparency is ignored, and so is the orientation that a camera
    notes in EXIF (a TIFF's own, which says how its rows are stored, is followed). Of several pages the first is used.
    16 bit becomes 8 bit as :func:`reduce_to_8_bit` says. Damage that the decoder would paper over with grey (a
    truncated JPEG) is an error, because such a frame must never pass.

    Raises :class:`UnreadableImage`, with the reason and the remedy.
    """
    if not data:
        raise UnreadableImage("The file is empty (0 bytes).", _AGAIN)
    is_jpeg = data.startswith(_JPEG_START)
    if is_jpeg and data.rfind(_JPEG_END) < data.rfind(_JPEG_SCAN):
        raise UnreadableImage("The JPEG is truncated: its end is missing.", _AGAIN)
    if is_cut_png(data):
        raise UnreadableImage("The image data are damaged or incomplete.", _AGAIN)
    _refuse_too_large(size_px(data), max_pixels)
    pixels, noise = _decode_quietly(data, is_jpeg)
    if pixels is None and not data.startswith(_KNOWN_STARTS):
        raise UnreadableImage("The file is not an image, or of an unsupported kind.", _FORMAT)
    if pixels is None or any(_DAMAGE.search(line) for line in noise) or has_broken_deflate(data):
        logger.debug("%s: the decoder printed: %s", name, " | ".join(noise))
        raise UnreadableImage("The image data are damaged or incomplete.", _AGAIN)
    if pixels.dtype not in (np.uint8, np.uint16):
        raise UnreadableImage(f"Pixels of type {pixels.dtype} are not supported.", _FORMAT)
    _refuse_too_large(pixels.shape[1::-1], max_pixels)
    warnings = [f"The decoder reported: {line}." for line in noise[:1]]
    if (pages := count_pages(data)) > 1:
        warnings.append(f"The file holds {pages} pages; only the first was inspected.")
    image = image_of_pixels(pixels, name=name)
    return replace(image, warnings=(*warnings, *image.warnings))


def image_of_pixels(pixels: np.ndarray, *, name: str) -> DecodedImage:
    """Pixels (H, W[, 1, 3 or 4]) uint8 or uint16 as the image that a file with them would be decoded to."""
    grey, notes = _to_grey(pixels)
    return DecodedImage(name, grey, str(pixels.dtype), tuple(notes))


def read_labels_png(path: Path | str) -> np.ndarray:
    """Read a label image: (H, W) uint16 with the values as stored.

    Raises :class:`UnreadableImage` for a file that is no grey image of 8 or 16 bit.
    """
    pixels, noise = _decode_quietly(file_bytes(Path(path)), False)
    if pixels is None or any(_DAMAGE.search(line) for line in noise):
        raise UnreadableImage("The image data are damaged or incomplete.", _AGAIN)
    if pixels.ndim != 2 or pixels.dtype not in (np.uint8, np.uint16):
        raise UnreadableImage("It is not a grey image of 8 or 16 bit.", "Save it as a 16 bit PNG.")
    return pixels.astype(np.uint16)


def read_picture(path: Path | str) -> np.ndarray:
    """Read a picture that the program has drawn: (H, W, 3) uint8 BGR.

    Raises :class:`UnreadableImage` for a file that is none.
    """
    pixels, noise = _decode_quietly(file_bytes(Path(path)), False)
    if pixels is None or any(_DAMAGE.search(line) for line in noise):
        raise UnreadableImage("The image data are damaged or incomplete.", _AGAIN)
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8:
        raise UnreadableImage("It is not a colour picture of 8 bit.", "Inspect the image again.")
    return pixels


def _refuse_too_large(size: Sequence[int] | None, max_pixels: int) -> None:
    """``size`` is (width, height), None where it is not known; a file may announce more than the memory holds."""
    if size is not None and size[0] * size[1] > max_pixels:
        raise UnreadableImage(
            f"The image has {size[0]} x {size[1]} pixels, more than the {max_pixels} allowed.",
            "Crop it to the end face or reduce it.",
        )


def reduce_to_8_bit(values: np.ndarray) -> tuple[np.ndarray, str | None]:
    """Map (H, W) uint16 to (H, W) uint8 without losing contrast; return it with a warning or None.

    - An 8-bit image kept in 16 bits (as it is, times 256 or times 257) comes back unchanged.
    - An image that uses at least half of its sensor's range (10, 12, 14 or 16 bits, the smallest that holds the
      maximum) is scaled by that range.
    - Any other is stretched linearly between its own dark and bright end: the 0.1 and 99.9 % quantiles plus a quarter
      of their distance, so that a hot pixel cannot take the range; the gain stays at or below one, because a stretch
      beyond it would only invent contrast.
    """
    exact = _exact_8_bit(values)
    if exact is not None:
        return exact, None
    counts = cv2.calcHist([values], [0], None, [65536], [0, 65536]).reshape(-1)
    used = np.flatnonzero(counts)
    cumulative = np.cumsum(counts, dtype=np.float64) / values.size
    dark, bright = (int(np.searchsorted(cumulative, share)) for share in (0.001, 0.999))
    margin = 0.25 * (bright - dark)
    low, high = max(float(used[0]), dark - margin), min(float(used[-1]), bright + margin)
    full_scale = next(float(2**bits - 1) for bits in (10, 12, 14, 16) if used[-1] < 2**bits)
    warning = None
    if high - low >= 0.5 * full_scale:
        low, high = 0.0, full_scale
    elif high - low < 255.0:
        warning = f"The 16-bit image uses only {high - low:.0f} grey levels: it is badly exposed."
        high = low + 255.0
    table = np.clip(np.rint((np.arange(65536) - low) * (255.0 / (high - low))), 0, 255).astype(np.uint8)
    return np.take(table, values), warning


def write_png(path: Path | str, array: np.ndarray, compression: int = 1) -> None:
    """Write an array as PNG, atomically: the file is there complete or not at all; see :func:`encode_png`.

    Raises :class:`OutputError` when the folder does not take it.
    """
    write_bytes(path, encode_png(array, compression))


def write_bytes(path: Path | str, data: bytes) -> None:
    """Write a file atomically through a temporary name beside it; raises :class:`OutputError`."""
    path = Path(path)
    partial = path.parent / f".{path.name}.{os.getpid()}.tmp"
    try:
        partial.write_bytes(data)
        os.replace(partial, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        raise cannot_write(path, error) from error


def _decode_quietly(data: bytes, is_jpeg: bool) -> tuple[np.ndarray | None, list[str]]:
    """Pixels as stored (JPEG: grey) or None, and what the decoder printed, tidied."""
    buffer = np.frombuffer(data, np.uint8)
    flags = cv2.IMREAD_GRAYSCALE | cv2.IMREAD_IGNORE_ORIENTATION if is_jpeg else cv2.IMREAD_UNCHANGED
    pixels, lines = None, []
    with _captured_stderr() as printed:
        try:
            pixels = cv2.imdecode(buffer, flags)
        except (cv2.error, MemoryError) as error:
            lines.append(str(error).splitlines()[0] if str(error) else "out of memory")
    lines += printed
    tidy = (_LOG_PREFIX.sub("", line).strip().rstrip(".") for line in lines)
    return pixels, [line for line in dict.fromkeys(tidy) if _DAMAGE.search(line) or not _HARMLESS.search(line)]


def _to_grey(pixels: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """(H, W[, 1, 3 or 4]) uint8 or uint16 to (H, W) uint8, with warnings."""
    notes: list[str] = []
    if pixels.ndim == 3 and pixels.shape[2] == 4:
        if int(pixels[..., 3].min()) < np.iinfo(pixels.dtype).max:
            notes.append("The image has transparent parts; transparency was ignored.")
        pixels = pixels[..., :3]
    if pixels.dtype == np.uint16:
        pixels = pixels if (exact := _exact_8_bit(pixels)) is None else exact
    if pixels.ndim == 3:
        pixels = pixels[..., 0] if pixels.shape[2] < 3 else cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY)
    if pixels.dtype == np.uint16:
        pixels, warning = reduce_to_8_bit(pixels)
        notes += [warning] if warning else []
    return np.ascontiguousarray(pixels), notes


def _exact_8_bit(values: np.ndarray) -> np.ndarray | None:
    """The 8-bit image that 16-bit values hold without any loss, or None."""
    if int(values.max()) <= 255:
        return values.astype(np.uint8)
    high, low = values >> 8, values & 255
    if not low.any() or np.array_equal(high, low):
        return high.astype(np.uint8)
    return None


@contextlib.contextmanager
def _captured_stderr() -> Iterator[list[str]]:
    """Collect what native code writes to file descriptor 2. The list is filled when the block ends."""
    lines: list[str] = []
    with _stderr_lock, contextlib.ExitStack() as stack:
        try:
            sink = stack.enter_context(tempfile.TemporaryFile())
            saved = os.dup(2)
        except OSError:  # no stderr, as under a windowed interpreter, or no room for a temporary file
            yield lines
            return
        os.dup2(sink.fileno(), 2)
        try:
            yield lines
        finally:
            os.dup2(saved, 2)
            os.close(saved)
            sink.seek(0)
            lines += sink.read(65536).decode("utf-8", "replace").splitlines()
