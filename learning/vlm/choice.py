"""Which images a model learns from, by which source's labels, and in which split: no end face is in two."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from learning.faces import Face, assign_splits, group_faces, keys_of
from learning.plan import pictures_alike
from learning.vlm.sources import Candidate, LeftOut, Source

IN_SEVERAL_SPLITS = "of an end face in several splits of data sets"


@dataclass
class Choice:
    """The split of each chosen image, for each source; why others are left out."""

    splits: list[dict[str, str]]
    left_out: dict[str, str] = field(default_factory=dict)


def choose(
    sources: Sequence[Source],
    name_keys: Callable[[set[str]], dict[str, str]],
    shares: Sequence[float],
    min_similarity: float,
) -> Choice:
    """Choose among all images of the sources: labels by people before others, then the source named first.

    A split that a data set has given is kept, and images of the same end face or connector join it; the others are
    divided as :mod:`learning.faces` says. ``min_similarity`` is that of two pictures of one face.
    """
    chosen: dict[str, tuple[int, Candidate]] = {}
    kept: dict[str, str] = {}
    left_out: dict[str, str] = {}
    for number, source in enumerate(sources):
        for found in source.candidates():
            if isinstance(found, LeftOut):
                left_out.setdefault(found.image_id, found.why)
                continue
            if found.split:
                kept.setdefault(found.image_id, found.split)
            before = chosen.get(found.image_id)
            if before is None or (found.is_human and not before[1].is_human):
                chosen[found.image_id] = number, found
    splits = _splits([candidate for _, candidate in chosen.values()], kept, name_keys, shares, min_similarity)
    choice = Choice([{} for _ in sources], {key: why for key, why in left_out.items() if key not in chosen})
    for image_id, (number, _) in chosen.items():
        if image_id in splits:
            choice.splits[number][image_id] = splits[image_id]
        else:
            choice.left_out[image_id] = IN_SEVERAL_SPLITS
    return choice


def _splits(
    candidates: Sequence[Candidate],
    kept: dict[str, str],
    name_keys: Callable[[set[str]], dict[str, str]],
    shares: Sequence[float],
    min_similarity: float,
) -> dict[str, str]:
    """The split of each image; none for one whose end face is in several splits that must be kept."""
    alike = pictures_alike(_in_order(candidates), min_similarity)
    names = name_keys({candidate.stem for candidate in candidates})
    faces = [
        Face(
            item.image_id,
            item.verdict,
            (*keys_of(item.serial_number, item.face, names[item.stem]), *alike.get(item.image_id, ())),
        )
        for item in candidates
    ]
    groups = group_faces(faces)
    bound: dict[str, set[str]] = defaultdict(set)
    for image_id, split in kept.items():
        bound[groups[image_id]].add(split)
    free = assign_splits([face for face in faces if groups[face.image_id] not in bound], groups, shares)
    of_group = free | {group: min(found) for group, found in bound.items() if len(found) == 1}
    assigned = {image_id: of_group[group] for image_id, group in groups.items() if group in of_group}
    return assigned | kept


def _in_order(candidates: Iterable[Candidate]) -> list[tuple[str, str]]:
    return sorted((candidate.image_id, candidate.fingerprint) for candidate in candidates)
