"""What an image file says without being decoded: its size, its pages, and damage that the decoders do not see or mind.

Everything is a guess about bytes that may be damaged: what makes no sense is "not known", never an error.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass

TIFF_STARTS = (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")
_WIDTH, _HEIGHT, _COMPRESSION = 256, 257, 259
_PLACES = ((273, 279), (324, 325))  # offsets and sizes of the strips, of the tiles
_DEFLATE = (8, 32946)
_SIZES = {1: 1, 3: 2, 4: 4, 13: 4, 16: 8}  # bytes of the kinds of whole numbers
_MAX_NUMBERS = 1 << 20
_NO_LENGTH = frozenset((0x01, *range(0xD0, 0xD9)))  # JPEG markers without a segment
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


def size_px(data: bytes) -> tuple[int, int] | None:
    """Width and height that the file announces, of several pages those of the first; None when that is not known."""
    if data.startswith(b"\x89PNG") and len(data) >= 24:
        return _number(data, 16, 4, "big"), _number(data, 20, 4, "big")
    if data.startswith(b"BM") and len(data) >= 26:
        return abs(_signed(data, 18)), abs(_signed(data, 22))
    if data.startswith(b"\xff\xd8"):
        return _jpeg_size(data)
    if data.startswith(TIFF_STARTS):
        first = next(_directories(data), None)
        size = [first.numbers(tag) for tag in (_WIDTH, _HEIGHT)] if first else []
        return (size[0][0], size[1][0]) if all(size) and size else None
    return None


def count_pages(data: bytes) -> int:
    """Pages of a TIFF, 1 for every other file; the count stops at the first pointer that leads nowhere."""
    return max(1, sum(1 for _ in _directories(data))) if data.startswith(TIFF_STARTS) else 1


def is_cut_png(data: bytes) -> bool:
    """Whether the chunks of a PNG lead out of the file before its end chunk; False for every other file.

    OpenCV makes room for a chunk before it reads one: a damaged length would cost up to 4 GB.
    """
    if not data.startswith(b"\x89PNG"):
        return False
    at = 8
    while at + 12 <= len(data):
        if data[at + 4 : at + 8] == b"IEND":
            return False
        at += 12 + _number(data, at, 4, "big")
    return True


def has_broken_deflate(data: bytes) -> bool:
    """Whether a deflated strip or tile of a TIFF's first page misses its checksum.

    libtiff stops as soon as it has pixels enough, and so may take what follows a damaged place for pixels.
    """
    first = next(_directories(data), None) if data.startswith(TIFF_STARTS) else None
    if first is None or first.numbers(_COMPRESSION) not in [[kind] for kind in _DEFLATE]:
        return False
    parts = [pair for tags in _PLACES for pair in zip(*map(first.numbers, tags), strict=False)]
    return not all(_is_sound(data[offset : offset + size]) for offset, size in parts)


def _is_sound(packed: bytes) -> bool:
    stream = zlib.decompressobj()
    try:
        while packed and not stream.eof:
            stream.decompress(packed, 1 << 24)
            packed = stream.unconsumed_tail
    except zlib.error:
        return False
    return stream.eof


@dataclass(frozen=True)
class _Directory:
    """One page of a TIFF: where each tag's numbers lie, as (offset, bytes of a number, count)."""

    data: bytes
    order: str
    fields: dict[int, tuple[int, int, int]]

    def numbers(self, tag: int) -> list[int]:
        """The whole numbers of a tag; empty when it is absent or lies outside the file."""
        at, size, count = self.fields.get(tag, (0, 0, 0))
        if count > _MAX_NUMBERS or at + size * count > len(self.data):
            return []
        return [_number(self.data, at + k * size, size, self.order) for k in range(count)]


def _directories(data: bytes) -> Iterator[_Directory]:
    """The pages of a TIFF or BigTIFF, as far as the chain of their directories can be followed."""
    order = "little" if data[:2] == b"II" else "big"
    is_big = data[2:4] in (b"+\x00", b"\x00+")
    start, pointer, count_size, entry = (8, 8, 8, 20) if is_big else (4, 4, 2, 12)
    offset, seen = _number(data, start, pointer, order), set()
    while 0 < offset <= len(data) - count_size and offset not in seen:
        seen.add(offset)
        entries = _number(data, offset, count_size, order)
        first, end = offset + count_size, offset + count_size + entries * entry
        fields = {}
        for at in range(first, min(end, len(data) - entry + 1), entry):
            size = _SIZES.get(_number(data, at + 2, 2, order), 0)
            count = _number(data, at + 4, pointer, order)
            place = at + 4 + pointer
            is_inside = size * count <= pointer
            fields[_number(data, at, 2, order)] = (
                place if is_inside else _number(data, place, pointer, order),
                size,
                count if size else 0,
            )
        yield _Directory(data, order, fields)
        offset = _number(data, end, pointer, order)


def _jpeg_size(data: bytes) -> tuple[int, int] | None:
    """Of the first frame; segments are walked, since a preview inside one has a frame of its own."""
    at = 2
    while at + 9 <= len(data):
        if data[at] != 0xFF:
            return None
        marker = data[at + 1]
        if marker in _FRAMES:
            return _number(data, at + 7, 2, "big"), _number(data, at + 5, 2, "big")
        if marker == 0xFF:  # padding
            at += 1
        else:
            at += 2 if marker in _NO_LENGTH else 2 + _number(data, at + 2, 2, "big")
    return None


def _number(data: bytes, at: int, size: int, order: str) -> int:
    return int.from_bytes(data[at : at + size], order)


def _signed(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 4], "little", signed=True)
