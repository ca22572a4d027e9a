"""Before and after cleaning: what became of every mark. Two sets of records in, one comparison out."""

from __future__ import annotations

from dataclasses import dataclass

from records import Defect

REMOVED, STAYED, NEW = "removed", "stayed", "new"


@dataclass(frozen=True)
class MarkChange:
    """A mark that was removed (``old`` alone), stayed (both), or is new (``new`` alone)."""

    change: str  # removed | stayed | new
    old: Defect | None = None
    new: Defect | None = None


@dataclass(frozen=True)
class FaceComparison:
    """One end face before and after; ``problem`` says why its marks could not be compared, and is empty otherwise."""

    key: str  # serial number and port, or the file's name without extension
    old_image: str
    new_image: str
    old_status: str
    new_status: str
    turned_deg: float = 0.0  # by how much the later image is turned against the earlier one
    marks: tuple[MarkChange, ...] = ()
    problem: str = ""


@dataclass(frozen=True)
class Comparison:
    old_folder: str
    faces: tuple[FaceComparison, ...]
    only_old: tuple[str, ...]  # images without a counterpart
    only_new: tuple[str, ...]
