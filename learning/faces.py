"""Which images belong together, and into which split each goes: no end face and no connector is in two."""

from __future__ import annotations

import hashlib
import re
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from errors import UsageError
from learning.labelling import CLEAN, DEFECTIVE

_COPY = re.compile(r"(\s*\(\d{1,3}\)|[ _-]+(copy|kopie)([ _-]?\d{1,2})?|(?<=[^\W_])[ _-][a-z])$", re.IGNORECASE)
_COUNTER = re.compile(r"[ _-]\d{1,2}$")
_TOLERANCE = 0.03  # of the images: how far a split may be from its share before faces are moved for it


@dataclass(frozen=True)
class Face:
    """An image as far as grouping is concerned; images with a key in common belong together."""

    image_id: str
    verdict: str | None
    keys: tuple[str, ...]


def name_keys(stems: Collection[str], pattern: re.Pattern[str] | None) -> dict[str, str]:
    """What of each file name (without its ending) names the end face.

    With ``pattern``: what its group ``face``, else its first group, else the whole match holds; a name that it does
    not match stands for itself. Without: the name without the endings that copies and further views get, ``(1)``,
    `` - Copy`` and a single letter as in ``_b``; and without a short counter as in ``_2`` where another file has the
    name that is left, because ``face_0007`` and ``face_0008`` are as a rule two faces, ``face`` and ``face_2`` one.
    """
    if pattern is not None:
        return {stem: _matched(pattern, stem) for stem in stems}
    plain = {stem: _COPY.sub("", stem).casefold() or stem.casefold() for stem in stems}
    known = {*plain.values()}
    bases = {name: _COUNTER.sub("", name) for name in known}
    return {stem: base if (base := bases[name]) and base in known else name for stem, name in plain.items()}


def face_pattern(text: str) -> re.Pattern[str]:
    """The pattern of ``--faces``; raises :class:`UsageError`."""
    try:
        return re.compile(text)
    except (re.error, OverflowError, RecursionError) as error:
        raise UsageError(f"--faces: {text!r} is no regular expression ({error}).") from error


def _matched(pattern: re.Pattern[str], stem: str) -> str:
    found = pattern.search(stem)
    if found is None:
        return stem
    if "face" in pattern.groupindex:
        return found["face"] or stem
    return (found[1] if pattern.groups else found[0]) or stem


def group_faces(faces: Sequence[Face]) -> dict[str, str]:
    """The group of each image: the smallest ``image_id`` among those that are joined by keys, however indirectly."""
    parents: dict[str, str] = {}

    def root(item: str) -> str:
        while (parent := parents.setdefault(item, item)) != item:
            parents[item] = parents[parent]
            item = parent
        return item

    for face in faces:
        for key in face.keys:
            # an id has no colon, so that a key cannot be taken for one
            parents[root(f"key:{key}")] = root(face.image_id)
    smallest: dict[str, str] = {}
    for face in faces:
        top = root(face.image_id)
        smallest[top] = min(smallest.get(top, face.image_id), face.image_id)
    return {face.image_id: smallest[root(face.image_id)] for face in faces}


def assign_splits(faces: Sequence[Face], groups: Mapping[str, str], shares: Sequence[float]) -> dict[str, str]:
    """The split of each group, by its hash, so that every split has its share of defective and of clean images.

    A group with a defective image counts as defective. The hash alone says where a group wants to go, and only where a
    split would miss its share by more than a few images are the groups moved whose hash lies next to the other split.
    So the result depends on nothing but the contents and the groups, and other images hardly change it.
    """
    sizes = Counter(groups[face.image_id] for face in faces)
    verdicts: dict[str, set[str | None]] = defaultdict(set)
    for face in faces:
        verdicts[groups[face.image_id]].add(face.verdict)
    strata: dict[str, list[str]] = defaultdict(list)
    for group, found in verdicts.items():
        strata[DEFECTIVE if DEFECTIVE in found else CLEAN if CLEAN in found else ""].append(group)
    splits: dict[str, str] = {}
    for members in strata.values():
        splits |= _split(sorted(members, key=_wish), sizes, shares)
    return splits


def _wish(group: str) -> float:
    """Where a group wants to be on the line from train to test, 0..1."""
    return int.from_bytes(hashlib.sha256(f"split {group}".encode()).digest()[:7]) / 2**56


def _split(ordered: Sequence[str], sizes: Mapping[str, int], shares: Sequence[float]) -> dict[str, str]:
    train, val = shares[0], shares[0] + shares[1]
    wishes, up_to = [_wish(group) for group in ordered], [0]
    for group in ordered:
        up_to.append(up_to[-1] + sizes[group])
    first = _cut(up_to, train, bisect_left(wishes, train))
    second = _cut(up_to, val, bisect_left(wishes, val))
    if len(ordered) >= 3:  # one for each split
        first = min(max(first, 1), len(ordered) - 2)
        second = min(max(second, first + 1), len(ordered) - 1)
    names = ("train",) * first + ("val",) * (second - first) + ("test",) * (len(ordered) - second)
    return dict(zip(ordered, names, strict=True))


def _cut(up_to: Sequence[int], share: float, wished: int) -> int:
    """How many groups come before a cut: as wished, or as near to it as the share of the images allows."""
    wanted, tolerance = share * up_to[-1], _TOLERANCE * up_to[-1]
    allowed = [k for k, images in enumerate(up_to) if abs(images - wanted) <= tolerance]
    if not allowed:
        return min(range(len(up_to)), key=lambda k: (abs(up_to[k] - wanted), k))
    return min(max(wished, allowed[0]), allowed[-1])


def keys_of(serial_number: str, face: str | None, name_key: str) -> tuple[str, ...]:
    """The keys of an image: connector, end face as the truth names it, and name."""
    named: Iterable[tuple[str, str | None]] = (("serial", serial_number), ("face", face), ("name", name_key))
    return tuple(f"{what} {text}" for what, text in named if text)
