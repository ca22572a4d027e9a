"""Small valid image files of every kind that the inspection reads, some of them written byte by byte."""

from __future__ import annotations

import dataclasses
import functools
import io
import struct
import zlib

import numpy as np
from faces import face_scene, pit
from PIL import Image

from image_io import decode_image
from png_encoding import encode_png
from rendering.engine import render
from rendering.scene import Frame

CLEAN, PITTED = "clean", "pitted"
_MARKS = {CLEAN: (), PITTED: (pit(14.0, 10.0, 9.0), pit(-15.0, 6.0, 8.0))}
_ADAM7 = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))


@functools.cache
def face_png(look: str) -> bytes:
    """PNG bytes of an end face of 128 x 104 px that passes (CLEAN) or fails (PITTED)."""
    fibre = dataclasses.replace(face_scene().fibre, x_px=66.0, y_px=50.0, radius_px=38.0)
    return render(dataclasses.replace(face_scene(*_MARKS[look]), frame=Frame(128, 104), fibre=fibre)).data


@functools.cache
def small_files(look: str) -> dict[str, bytes]:
    """The end face in every kind of file: ``name.suffix`` -> bytes."""
    grey = decode_image(face_png(look), name=look).grey
    rgb, deep = np.dstack([grey] * 3), grey.astype(np.uint16) * 257
    rgba = np.dstack([rgb, np.full_like(grey, 200)])
    other = Image.fromarray(255 - grey)
    return {
        "grey.png": face_png(look),
        "deep.png": encode_png(deep, 1),
        "rgb.png": encode_png(rgb, 6),
        "rgba.png": encode_png(rgba, 1),
        "deep_rgb.png": encode_png(np.dstack([deep] * 3), 1),
        "palette.png": _pillow(grey, "PNG", "P"),
        "interlaced.png": _interlaced_png(grey),
        "many_chunks.png": _many_chunks_png(grey),
        "baseline.jpg": _pillow(grey, "JPEG", quality=92),
        "colour.jpeg": _pillow(grey, "JPEG", "RGB", quality=92),
        "restarts.jpg": _pillow(grey, "JPEG", quality=92, restart_marker_rows=1),
        "progressive.jpg": _pillow(grey, "JPEG", quality=92, progressive=True),
        "strips.tif": _tiff(grey, rows=16),
        "strips_deep.tiff": _tiff(deep, rows=40, order=">"),
        "deflate.tif": _tiff(grey, rows=104, packed=True),
        "deflate_strips.tif": _tiff(deep, rows=16, packed=True, order=">"),
        "tiles.tif": _tiff(grey, tile=64),
        "tiles_deflate.tif": _tiff(grey, tile=32, packed=True, order=">"),
        "lzw.tif": _pillow(grey, "TIFF", compression="tiff_lzw"),
        "packbits.tiff": _pillow(grey, "TIFF", "RGB", compression="packbits"),
        "jpeg.tif": _pillow(grey, "TIFF", compression="jpeg", quality=92),
        "pages.tif": _pillow(grey, "TIFF", save_all=True, append_images=[other, other]),
        "grey.bmp": _pillow(grey, "BMP"),
        "rgb.bmp": _pillow(grey, "BMP", "RGB"),
        "rle.bmp": _rle_bmp(grey),
    }


def png_chunks(data: bytes) -> list[bytes]:
    """The chunks of a PNG, whole, without its signature."""
    chunks, at = [], 8
    while at + 12 <= len(data):
        end = at + 12 + int.from_bytes(data[at : at + 4], "big")
        chunks.append(data[at:end])
        at = end
    return chunks


def png_chunk(kind: bytes, content: bytes) -> bytes:
    """A PNG chunk with its checksum."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _pillow(grey: np.ndarray, kind: str, mode: str = "L", **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(grey).convert(mode).save(buffer, kind, **options)
    return buffer.getvalue()


def _png(grey: np.ndarray, rows: bytes, *, interlace: int, pieces: int) -> bytes:
    height, width = grey.shape
    packed = zlib.compress(rows)
    size = -(-len(packed) // pieces)
    chunks = [png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, interlace))]
    chunks += [png_chunk(b"tEXt", b"Comment\x00made by hand"), png_chunk(b"pHYs", struct.pack(">IIB", 2835, 2835, 1))]
    chunks += [png_chunk(b"IDAT", packed[at : at + size]) for at in range(0, len(packed), size)]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks) + png_chunk(b"IEND", b"")


def _interlaced_png(grey: np.ndarray) -> bytes:
    passes = (grey[top::down, left::right] for top, left, down, right in _ADAM7)
    rows = b"".join(b"\x00" + row.tobytes() for part in passes for row in part)
    return _png(grey, rows, interlace=1, pieces=1)


def _many_chunks_png(grey: np.ndarray) -> bytes:
    return _png(grey, b"".join(b"\x00" + row.tobytes() for row in grey), interlace=0, pieces=9)


def _tiff(grey: np.ndarray, *, rows: int = 0, tile: int = 0, order: str = "<", packed: bool = False) -> bytes:
    """A grey TIFF of strips of ``rows`` or square tiles, its directory at the end, as many cameras write it."""
    height, width = grey.shape
    values = grey.astype(f"{order}u{grey.itemsize}")
    if tile:
        padded = np.pad(values, ((0, -height % tile), (0, -width % tile)))
        tops, lefts = range(0, padded.shape[0], tile), range(0, padded.shape[1], tile)
        parts = [padded[top : top + tile, left : left + tile].tobytes() for top in tops for left in lefts]
    else:
        parts = [values[top : top + rows].tobytes() for top in range(0, height, rows)]
    parts = [zlib.compress(part) for part in parts] if packed else parts
    sizes = [len(part) for part in parts]
    starts = [8 + sum(sizes[:number]) for number in range(len(parts))]
    tags = {256: [width], 257: [height], 258: [8 * grey.itemsize], 259: [8 if packed else 1], 262: [1], 277: [1]}
    tags |= {322: [tile], 323: [tile], 324: starts, 325: sizes} if tile else {273: starts, 278: [rows], 279: sizes}
    body = b"".join(parts)
    body += b"\x00" * (len(body) % 2)
    directory = 8 + len(body)
    lists, entries = directory + 2 + 12 * len(tags) + 4, b""
    tail = b""
    for tag, numbers in sorted(tags.items()):
        value = struct.pack(f"{order}{len(numbers)}I", *numbers)
        if len(numbers) > 1:
            tail, value = tail + value, struct.pack(f"{order}I", lists + len(tail))
        entries += struct.pack(f"{order}HHI", tag, 4, len(numbers)) + value
    head = (b"II*\x00" if order == "<" else b"MM\x00*") + struct.pack(f"{order}I", directory)
    return head + body + struct.pack(f"{order}H", len(tags)) + entries + bytes(4) + tail


def _rle_bmp(grey: np.ndarray) -> bytes:
    """A run-length coded BMP: runs of equal bytes, end-of-line and end-of-bitmap marks."""
    height, width = grey.shape
    packed = b""
    for row in grey[::-1]:
        ends = [*(np.flatnonzero(np.diff(row)) + 1).tolist(), width]
        packed += b"".join(bytes((b - a, row[a])) for a, b in zip([0, *ends], ends, strict=False)) + b"\x00\x00"
    packed += b"\x00\x01"
    palette = b"".join(bytes((level, level, level, 0)) for level in range(256))
    start = 14 + 40 + len(palette)
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 1, len(packed), 2835, 2835, 256, 256)
    return b"BM" + struct.pack("<IHHI", start + len(packed), 0, 0, start) + header + palette + packed
