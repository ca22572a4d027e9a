"""What networks are trained on: the images of a data set, or of folders named after classes, with labels and splits."""

from __future__ import annotations

import hashlib
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from cli.image_files import find_images
from errors import DataSetError, UnreadableImage
from image_io import decode_image, file_bytes
from image_processing import locate
from learning.database import DATABASE_NAME, SPLITS, open_to_read
from learning.extraction import image_id_of
from learning.faces import Face, assign_splits, group_faces, name_keys
from learning.labelling import CLEAN, DEFECTIVE
from records import Ellipse
from second_opinion.face_input import REACH_SHARE
from settings import Config
from vision.preprocess import preprocess

PASS, FAIL = "PASS", "FAIL"
CLASS_OF_VERDICT = {CLEAN: PASS, DEFECTIVE: FAIL}
SHARES = (0.7, 0.15, 0.15)
_BUILD = "Build it with: python -m learning.build_dataset RAW --out DATASET"
_LEAST_TEST = 8  # images that --limit leaves in val and in test


@dataclass(frozen=True)
class Sample:
    """One image to learn from; ``image`` is its file, ``cladding`` where its fibre lies in it, None for a piece."""

    image_id: str
    image: Path
    cladding: Ellipse | None
    label: str  # the name of its class; empty where nobody has given a verdict
    split: str
    origin: str = ""  # what its labels come from, so that a change of them is a change of the data


@dataclass(frozen=True)
class Samples:
    """All samples; ``folder`` is the data set they belong to, None for folders named after classes."""

    items: tuple[Sample, ...]
    folder: Path | None
    notes: tuple[str, ...] = ()

    def of(self, split: str) -> list[Sample]:
        return [sample for sample in self.items if sample.split == split]

    @property
    def data_hash(self) -> str:
        """SHA-256 of which images there are, with what labels, in what splits."""
        lines = sorted(f"{s.image_id} {s.label} {s.split} {s.origin} {s.cladding}" for s in self.items)
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def read_samples(folder: Path, config: Config, advance: Callable[[str], None]) -> Samples:
    """The samples of DATASET: a data set of ``learning.build_dataset``, or a folder of folders named after classes.

    The data set knows where the fibres are; in other images they are located as ``config`` says, and ``advance`` is
    called with the name of each. Raises :class:`DataSetError`.
    """
    return _of_data_set(folder) if is_data_set(folder) else _of_class_folders(folder, config, advance)


def is_data_set(folder: Path) -> bool:
    """Whether a folder is a data set of ``learning.build_dataset``; raises :class:`DataSetError` where it is none."""
    if not folder.is_dir():
        raise DataSetError(f"{folder} is no folder.", _BUILD)
    return (folder / DATABASE_NAME).exists()


def data_set_rows(folder: Path, query: str) -> list[tuple]:
    """What the database of a data set answers; raises :class:`DataSetError` for a file that is none."""
    path = folder / DATABASE_NAME
    try:
        with closing(open_to_read(path)) as connection:
            return connection.execute(query).fetchall()
    except sqlite3.DatabaseError as error:
        raise DataSetError(f"{path} is no database of a data set ({error}).", _BUILD) from error


def _of_data_set(folder: Path) -> Samples:
    rows = data_set_rows(
        folder,
        "SELECT image_id, verdict, split, made_from, centre_x_px, centre_y_px, major_axis_px, minor_axis_px, angle_deg"
        " FROM images JOIN geometry USING (image_id) WHERE split IS NOT NULL ORDER BY image_id",
    )
    items = tuple(
        Sample(
            image_id,
            folder / f"images/{image_id}.png",
            Ellipse(*outline),
            CLASS_OF_VERDICT.get(verdict, ""),
            split,
            origin,
        )
        for image_id, verdict, split, origin, *outline in rows
    )
    return Samples(items, folder)


def class_folders(folder: Path) -> dict[str, tuple[Path, ...]]:
    """The image files of each folder in ``folder``, by its name; raises :class:`DataSetError` for fewer than two."""
    places = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    files = {place.name: find_images([place]).paths for place in places}
    if len(files) < 2:
        raise DataSetError(f"{folder} holds neither {DATABASE_NAME} nor two folders named after classes.", _BUILD)
    if empty := [name for name, paths in files.items() if not paths]:
        raise DataSetError(f"The folder '{folder / empty[0]}' holds no image.", "Fill it, or remove it.")
    return files


def without_copies(samples: Iterable[Sample]) -> list[Sample]:
    """The samples, each content once; raises :class:`DataSetError` for a content in two classes."""
    known: dict[str, Sample] = {}
    for sample in samples:
        other = known.setdefault(sample.image_id, sample)
        if other.label != sample.label:
            message = f"'{other.image}' and '{sample.image}' are the same image in two classes."
            raise DataSetError(message, "Remove one.")
    return [*known.values()]


def _of_class_folders(folder: Path, config: Config, advance: Callable[[str], None]) -> Samples:
    files = class_folders(folder)
    lost: list[str] = []

    def located() -> Iterator[Sample]:
        for label, paths in files.items():
            for path in paths:
                sample, is_located = _located(path, label, config)
                lost.extend([] if is_located else [repr(path.name)])
                advance(path.name)
                yield sample

    known = without_copies(located())
    items = [replace(s, split=split) for label in files for s, split in _split(known, label)]
    notes = [f"No fibre was found in {len(lost)} images, as in {lost[0]}: their middle is used."] if lost else []
    return Samples(tuple(sorted(items, key=lambda s: s.image_id)), None, tuple(notes))


def _located(path: Path, label: str, config: Config) -> tuple[Sample, bool]:
    """The sample of an image file and whether its fibre was found; else it is the circle in the image's middle."""
    data, grey = read_labelled(path, config)
    prepared = preprocess(grey, None, config.preprocessing)
    fiber = locate(prepared, config.localization, core_um=None, cladding_um=None).fiber
    height, width = grey.shape
    side = min(height, width) / REACH_SHARE
    middle = Ellipse((width - 1) / 2, (height - 1) / 2, side, side, 0.0)
    return Sample(image_id_of(data), path, fiber.cladding if fiber else middle, label, ""), fiber is not None


def read_labelled(path: Path, config: Config) -> tuple[bytes, np.ndarray]:
    """An image file of a class as bytes and as (H, W) uint8; raises :class:`DataSetError`."""
    try:
        data = file_bytes(path)
        return data, decode_image(data, name=path.name, max_pixels=config.preprocessing.max_image_pixels).grey
    except UnreadableImage as error:
        raise DataSetError(f"'{path}': {error.message}", error.remedy) from error


def _split(samples: Sequence[Sample], label: str) -> list[tuple[Sample, str]]:
    """The samples of a class with their splits; copies and further views of a face, by their names, stay together."""
    own = [sample for sample in samples if sample.label == label]
    names = name_keys({sample.image.stem for sample in own}, None)
    faces = [Face(sample.image_id, None, (names[sample.image.stem],)) for sample in own]
    groups = group_faces(faces)
    splits = assign_splits(faces, groups, SHARES)
    return [(sample, splits[groups[sample.image_id]]) for sample in own]


def limited(samples: Samples, limit: int | None) -> Samples:
    """At most ``limit`` samples of train and a quarter of it, at least 8, of val and of test; all classes alike."""
    if limit is None:
        return samples
    kept: list[Sample] = []
    for split in SPLITS:
        by_label: dict[str, list[Sample]] = defaultdict(list)
        for sample in samples.of(split):
            by_label[sample.label].append(sample)
        turns = sorted((turn, s.label, s) for own in by_label.values() for turn, s in enumerate(own))
        kept += [s for _, _, s in turns[: limit if split == "train" else max(limit // 4, _LEAST_TEST)]]
    return replace(samples, items=tuple(sorted(kept, key=lambda s: s.image_id)))


def labelled(samples: Samples) -> tuple[Samples, tuple[str, ...]]:
    """The samples that have a class, and the classes; raises :class:`DataSetError` unless there are two."""
    items = tuple(sample for sample in samples.items if sample.label)
    found = {sample.label for sample in items}
    classes = (PASS, FAIL) if found <= {PASS, FAIL} else tuple(sorted(found))
    if len(found) < 2:
        only = f"one class only, {min(found)}" if found else "no image with a verdict"
        raise DataSetError(f"The data set has {only}.", "Add images of another class: a network learns differences.")
    return replace(samples, items=items), classes


def check_splits(samples: Samples, classes: Sequence[str] = ()) -> None:
    """Raise :class:`DataSetError` for a split without images, and a class that training would not see."""
    for split in SPLITS:
        if not samples.of(split):
            raise DataSetError(f"The split {split} holds no image to learn from.", "Add images, or raise --limit.")
    counts = Counter(sample.label for sample in samples.of("train"))
    if missing := [name for name in classes if not counts[name]]:
        raise DataSetError(f"No image of the class '{missing[0]}' is in the split train.", "Add images of it.")
