"""What only a whole batch tells: dirt on the optics, and one end face in several images. Records in, findings out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from records import InspectionRecord


@dataclass(frozen=True)
class OpticsSpot:
    """A mark at one place of the picture in many images: it lies on the camera or its lenses, not on a fibre."""

    x_px: float
    y_px: float
    diameter_px: float
    polarity: str  # dark | bright
    images: tuple[str, ...]  # names of the images that show it, in the order of the records


@dataclass(frozen=True)
class SameFace:
    """Images that show the same end face: one picture handed in more than once."""

    images: tuple[str, ...]
    similarity: float  # of the least similar pair, 0..1; 1 = the same file


@dataclass(frozen=True)
class BatchFindings:
    optics: tuple[OpticsSpot, ...] = ()
    same_faces: tuple[SameFace, ...] = ()


def find_in_batch(records: Iterable[InspectionRecord]) -> BatchFindings:
    """Look through the records of a batch, one at a time."""
    by_content: dict[str, list[str]] = defaultdict(list)
    for record in records:
        if record.content_sha256:
            by_content[record.content_sha256].append(record.image_filename)
    copies = (SameFace(tuple(names), 1.0) for names in by_content.values() if len(names) > 1)
    return BatchFindings(same_faces=tuple(copies))
