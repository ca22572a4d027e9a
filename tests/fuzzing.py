"""Broken image files, each made from a small valid one by damage that its number decides."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fuzz_images import CLEAN, PITTED, png_chunk, png_chunks, small_files

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".PNG", ".Tif")
EXTREMES = (0, 1, 2, 3, 255, 256, 0x7FFF, 0x8000, 0xFFFF, 20_000, 70_000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
_SIZE_FIELDS = {
    "png": ((16, 4), (20, 4), (24, 1), (25, 1), (28, 1)),
    "bmp": ((10, 4), (14, 4), (18, 4), (22, 4), (28, 2), (30, 4), (46, 4)),
}


@dataclass(frozen=True)
class Broken:
    """A damaged file. ``whole`` is the file it was made from."""

    number: int
    damage: str
    source: str
    look: str
    suffix: str
    data: bytes
    whole: bytes

    @property
    def name(self) -> str:
        """A file name that says how the file was made, and sorts by number."""
        return f"{self.number:05d}_{self.damage}_{self.look}_{self.source.replace('.', '_')}{self.suffix}"

    @property
    def must_be_whole(self) -> bool:
        """Whether its kind tells that bytes are missing or wrong: it is unreadable, or has the pixels of the whole."""
        with_checksums = self.source.endswith(".png") and self.damage not in ("fields", "chunks", "spliced", "noise")
        return with_checksums or self.damage in ("truncated", "appended")

    @property
    def must_not_pass(self) -> bool:
        """Whether a PASS would mean that defects were lost with data whose loss can be told; a splice may be clean."""
        with_checksums = self.source.endswith(".png") or "deflate" in self.source
        return self.look == PITTED and with_checksums and self.damage not in ("spliced", "fields", "chunks")


def broken_file(number: int, seed: int) -> Broken:
    """The file of this number; the same number and seed give the same bytes."""
    chance = random.Random(f"{seed}/{number}")
    look = chance.choice((PITTED, PITTED, CLEAN))
    source = chance.choice(sorted(small_files(look)))
    whole = small_files(look)[source]
    damage = chance.choice(sorted(DAMAGES))
    data = DAMAGES[damage](whole, chance)
    suffix = chance.choice(SUFFIXES) if chance.random() < 0.1 else Path(source).suffix
    return Broken(number, damage, source, look, suffix, data, whole)


# --- damage --------------------------------------------------------------------------------------------------------


def _truncated(data: bytes, chance: random.Random) -> bytes:
    end = chance.choice((chance.randrange(len(data)), len(data) - chance.randint(1, 40), chance.randint(0, 60)))
    return data[:end]


def _bits(data: bytes, chance: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 5, 30))):
        changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def _random_bytes(data: bytes, chance: random.Random) -> bytes:
    at, size = _place(data, chance)
    return data[:at] + chance.randbytes(size) + data[at + size :]


def _zeroed(data: bytes, chance: random.Random) -> bytes:
    at, size = _place(data, chance)
    return data[:at] + bytes(min(size, len(data) - at)) + data[at + size :]


def _removed(data: bytes, chance: random.Random) -> bytes:
    at, size = _place(data, chance)
    return data[:at] + data[at + size :]


def _inserted(data: bytes, chance: random.Random) -> bytes:
    at, size = _place(data, chance)
    return data[:at] + chance.choice((bytes(size), chance.randbytes(size), b"\xff" * size)) + data[at:]


def _repeated(data: bytes, chance: random.Random) -> bytes:
    at, size = _place(data, chance)
    return data[: at + size] + data[at : at + size] * chance.choice((1, 2, 50)) + data[at + size :]


def _spliced(data: bytes, chance: random.Random) -> bytes:
    """The start of the file and the end of another."""
    files = small_files(CLEAN)
    other = files[chance.choice(sorted(files))]
    share = chance.random()
    return data[: int(share * len(data))] + other[int(chance.choice((share, chance.random())) * len(other)) :]


def _appended(data: bytes, chance: random.Random) -> bytes:
    other = small_files(CLEAN)["grey.png"]
    return data + chance.choice((bytes(9), chance.randbytes(chance.randint(1, 900)), b"\xff\xd9", other, data))


def _fields(data: bytes, chance: random.Random) -> bytes:
    """Numbers of a header set to extreme values; a PNG's checksum is right again."""
    changed = bytearray(data)
    kind = _kind(data)
    for _ in range(chance.choice((1, 1, 2))):
        at, size = _field(data, kind, chance)
        value = chance.choice(EXTREMES) & (256**size - 1)
        changed[at : at + size] = value.to_bytes(size, "little" if data[:2] in (b"II", b"BM") else "big")
    if kind == "png":
        header = png_chunk(b"IHDR", bytes(changed[16:29]))
        changed[8 : 8 + len(header)] = header
    return bytes(changed)


def _field(data: bytes, kind: str, chance: random.Random) -> tuple[int, int]:
    """Place and size of a number in the header of a file."""
    if kind in _SIZE_FIELDS:
        return chance.choice(_SIZE_FIELDS[kind])
    if kind == "jpg":
        frame = max(data.find(b"\xff\xc0"), data.find(b"\xff\xc2"))
        places = ((frame + 5, 2), (frame + 7, 2), (frame + 9, 1), (frame + 11, 1), (frame + 2, 2), (frame + 4, 1))
        return chance.choice(places)
    order = "little" if data[:2] == b"II" else "big"
    directory = int.from_bytes(data[4:8], order)
    count = int.from_bytes(data[directory : directory + 2], order)
    entry = directory + 2 + 12 * chance.randrange(count)
    return chance.choice(
        ((4, 4), (directory, 2), (entry, 2), (entry + 2, 2), (entry + 4, 4), (entry + 8, 4), (entry + 8, 4))
    )


def _chunks(data: bytes, chance: random.Random) -> bytes:
    """Parts of the file removed, repeated or in another order: chunks of a PNG, segments of the others."""
    if _kind(data) == "png":
        start, parts = data[:8], png_chunks(data)
    else:
        cuts = sorted(chance.sample(range(1, len(data)), 4))
        start, parts = b"", [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]
    at = chance.randrange(len(parts))
    action = chance.randrange(4)
    if action == 0:
        del parts[at]
    elif action == 1:
        parts.insert(chance.randrange(len(parts)), parts[at])
    elif action == 2:
        chance.shuffle(parts)
    else:
        parts[at] = parts[at][:4] + bytes(byte ^ 0x20 for byte in parts[at][4:8]) + parts[at][8:]
    return start + b"".join(parts)


def _noise(data: bytes, chance: random.Random) -> bytes:
    """The first bytes of the file, and then anything."""
    return data[: chance.choice((0, 4, 8, 33))] + chance.randbytes(chance.choice((0, 10, 300, 5000)))


def _place(data: bytes, chance: random.Random) -> tuple[int, int]:
    """A stretch of the file, as often in its head as anywhere."""
    at = chance.randrange(len(data)) if chance.random() < 0.6 else chance.randrange(min(200, len(data)))
    return at, chance.choice((1, 2, 4, 16, 100, 700))


def _kind(data: bytes) -> str:
    starts = ((b"\x89PNG", "png"), (b"BM", "bmp"), (b"\xff\xd8", "jpg"))
    return next((kind for start, kind in starts if data.startswith(start)), "tif")


DAMAGES: dict[str, Callable[[bytes, random.Random], bytes]] = {
    "truncated": _truncated,
    "bits": _bits,
    "bytes": _random_bytes,
    "zeroed": _zeroed,
    "removed": _removed,
    "inserted": _inserted,
    "repeated": _repeated,
    "spliced": _spliced,
    "appended": _appended,
    "fields": _fields,
    "chunks": _chunks,
    "noise": _noise,
}
