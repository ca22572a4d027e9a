"""Before and after cleaning: what became of every mark. Two sets of records in, one comparison out."""

from __future__ import annotations

import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from batchwide.mark_matching import Marks, match_marks
from batchwide.optics_dirt import OpticsSpot, with_optics_marked
from errors import UsageError
from output_names import RESULTS_FILE
from records import DEFECT_CLASSES, NAN, TOO_BLURRED, Defect, InspectionRecord
from settings import OpticsDirt

REMOVED, STAYED, NEW = "removed", "stayed", "new"
_Key = tuple[str, str]


@dataclass(frozen=True)
class MarkChange:
    """A mark that was removed (``old`` alone), stayed (both), or is new (``new`` alone).

    One that was found in several pieces is in several changes.
    """

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
    turned_deg: float = 0.0  # by how much the later image is turned against the earlier one, counter-clockwise
    marks: tuple[MarkChange, ...] = ()
    problem: str = ""


@dataclass(frozen=True)
class Comparison:
    """All faces in the order of the new records. The marks are without boxes, lists of names, and how they look."""

    old_folder: str
    faces: tuple[FaceComparison, ...]
    only_old: tuple[str, ...]  # images without a counterpart
    only_new: tuple[str, ...]

    def counts(self) -> dict[str, Counter[str]]:
        """How many marks of each class were removed, stayed, are new; the class of a mark that stayed is the old one.

        A mark in several pieces counts once.
        """
        counts = {change: Counter[str]() for change in (REMOVED, STAYED, NEW)}
        for face in self.faces:
            once = {(item.change, (item.old or item.new).label): (item.old or item.new).kind for item in face.marks}
            for (change, _), kind in once.items():
                counts[change][kind] += 1
        return counts


def check_old_output(folder: Path, output: Path) -> Path:
    """The results.jsonl of an earlier OUTPUT; raises :class:`UsageError` when it has none, or is the new OUTPUT."""
    path = folder / RESULTS_FILE
    if not path.is_file():
        raise UsageError(
            f"--compare: there is no {RESULTS_FILE} in {folder}.", "Name the OUTPUT folder of an earlier inspection."
        )
    if folder.resolve() == output.resolve():
        raise UsageError(f"--compare: {folder} is OUTPUT itself.", "Name the OUTPUT folder of an earlier inspection.")
    return path


def compare(
    old: Iterable[InspectionRecord],
    new: Iterable[InspectionRecord],
    old_folder: Path | str,
    dirt: OpticsDirt = OpticsDirt(),  # noqa: B008 (frozen)
) -> Comparison:
    """Match images by serial number and port, else by file name, and their marks by place.

    ``dirt`` says when a mark lies on a spot on the optics that only the other batch knows.

    Of several old images with the same key the one of the same file name counts, else the last. Only what concerns the
    marks is kept in memory.
    """
    earlier = [_slim(record) for record in old]
    by_key: dict[_Key, list[int]] = defaultdict(list)
    for number, record in enumerate(earlier):
        for key in _keys(record):
            by_key[key].append(number)
    faces, only_new, used = [], [], set()
    for record in map(_slim, new):
        found = next((by_key[key] for key in _keys(record) if key in by_key), None)
        if found is None:
            only_new.append(record.image_filename)
            continue
        same_name = [number for number in found if earlier[number].image_filename == record.image_filename]
        number = (same_name or found)[-1]
        used.add(number)
        faces.append(compare_faces(earlier[number], record, dirt))
    only_old = (record.image_filename for number, record in enumerate(earlier) if number not in used)
    return Comparison(str(old_folder), tuple(faces), tuple(only_old), tuple(only_new))


def compare_faces(
    old: InspectionRecord,
    new: InspectionRecord,
    dirt: OpticsDirt = OpticsDirt(),  # noqa: B008 (frozen)
) -> FaceComparison:
    """What became of the marks of one face, as far as both pictures were inspected there."""
    face = FaceComparison(
        _title(new), old.image_filename, new.image_filename, old.status, new.status, problem=_problem(old, new)
    )
    if face.problem:
        return face
    old_unit, new_unit = _units(old, new)
    old_marks = [d for d in _on_the_face(old, new, dirt) if _is_inspected(new, d.radius_px * old_unit / new_unit)]
    new_marks = [d for d in _on_the_face(new, old, dirt) if _is_inspected(old, d.radius_px * new_unit / old_unit)]
    radius = new.fiber.cladding.mean_radius_px * new_unit
    matching = match_marks(Marks.of(old_marks, old_unit), Marks.of(new_marks, new_unit), radius)
    kept_old, kept_new = ({pair[side] for pair in matching.pairs} for side in (0, 1))
    marks = [
        *(MarkChange(REMOVED, old=mark) for i, mark in enumerate(old_marks) if i not in kept_old),
        *(MarkChange(STAYED, old_marks[i], new_marks[j]) for i, j in matching.pairs),
        *(MarkChange(NEW, new=mark) for j, mark in enumerate(new_marks) if j not in kept_new),
    ]
    return replace(face, turned_deg=matching.turned_deg, marks=tuple(marks))


def in_short(comparison: Comparison) -> str:
    """The comparison in one line."""
    removed, stayed, new = (sum(counter.values()) for counter in comparison.counts().values())
    compared = sum(not face.problem for face in comparison.faces)
    text = f"{compared} face{'s' * (compared != 1)} compared: "
    text += f"{removed} mark{'s' * (removed != 1)} removed, {stayed} stayed, {new} new"
    left_out = len(comparison.faces) - compared + len(comparison.only_new)
    return f"{text}; {left_out} not compared" if left_out else text


def by_class(comparison: Comparison) -> str:
    """The marks of each class in one line, for the log."""
    counts = comparison.counts()
    parts = [
        f"{kind} {', '.join(f'{counts[change][kind]} {change}' for change in counts)}"
        for kind in DEFECT_CLASSES
        if any(counter[kind] for counter in counts.values())
    ]
    return f"Compared with {comparison.old_folder}: {'; '.join(parts) or 'no marks'}."


def _keys(record: InspectionRecord) -> Sequence[_Key]:
    """What identifies an end face, the surest first."""
    name = ("name", PurePosixPath(record.image_filename.replace("\\", "/")).stem.casefold())
    serial = (record.serial_number.casefold(), f"port {record.port.casefold()}")
    return (serial, name) if record.serial_number else (name,)


def _title(record: InspectionRecord) -> str:
    if record.serial_number:
        return f"{record.serial_number} {record.port}".strip()
    return PurePosixPath(record.image_filename.replace("\\", "/")).stem


def _slim(record: InspectionRecord) -> InspectionRecord:
    """The record without what a comparison does not need: a batch of them is held in memory."""
    return replace(record, defects=tuple(map(_slim_mark, record.defects)), warnings=(), fingerprint="", timings_s={})


def _slim_mark(mark: Defect) -> Defect:
    names = {name: sys.intern(getattr(mark, name)) for name in ("defect_id", "zone", "kind", "polarity")}
    look = dict.fromkeys(("confidence", "perimeter_px", "circularity", "aspect_ratio", "contrast"), NAN)
    return replace(mark, **names, **look, box_px=(), zones_touched=(), detected_by=(), violates=())


def _problem(old: InspectionRecord, new: InspectionRecord) -> str:
    for when, record in (("earlier", old), ("later", new)):
        if record.fiber is None:
            return f"No fibre was found in the {when} image."
        if any(reason.startswith(TOO_BLURRED) for reason in record.reasons):
            return f"The {when} image is too blurred."
    return ""


def _units(old: InspectionRecord, new: InspectionRecord) -> tuple[float, float]:
    """A pixel of each fibre frame in a common unit: um where both have a scale, else cladding radii."""
    if old.scale.known and new.scale.known:
        return old.scale.um_per_px, new.scale.um_per_px
    return 1 / old.fiber.cladding.mean_radius_px, 1 / new.fiber.cladding.mean_radius_px


def _on_the_face(record: InspectionRecord, other: InspectionRecord, dirt: OpticsDirt) -> list[Defect]:
    """The marks of a record without those where the other one knows dirt on the optics, at this place of the picture.

    The dirt may be known from one of both batches only: few images prove nothing.
    """
    size = other.image_width_px, other.image_height_px
    known = (d for d in other.defects if d.on_optics)  # as its batch did not count them
    spots = [OpticsSpot(d.centroid_x_px, d.centroid_y_px, d.diameter_px, d.polarity, (), *size) for d in known]
    shape = record.image_height_px, record.image_width_px
    marked = with_optics_marked(record.counted_defects, shape, spots, replace(dirt, count=False))
    return [mark for mark in marked if not mark.on_optics]


def _is_inspected(record: InspectionRecord, radius_px: float) -> bool:
    return any(zone.inspected and zone.inner_radius_px <= radius_px < zone.outer_radius_px for zone in record.zones)
