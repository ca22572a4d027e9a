"""What is to be done for a data set: which images are new or changed, and what is made of all of them at the end."""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from batch import read_in_time
from batchwide.same_face import Faces
from cli.image_files import ImageFile
from errors import BlinkError, TruthError
from learning.annotate import written_annotations
from learning.correlations import CELLS, most_alike
from learning.database import transaction
from learning.extraction import Task, image_id_of, left_out, plain_text
from learning.faces import Face, assign_splits, group_faces, keys_of
from learning.human_labels import ANNOTATE_FOLDER, FROM_ANNOTATION, FROM_TRUTH, LABELS_ENDING, HumanLabels, find_labels
from learning.labelling import INSPECTOR
from learning.tidy import incomplete_images
from records import LOCALIZATION_FAILED, UNREADABLE

EDITION = "2"  # of what is made of an image: another one makes all images anew
_UNFINISHED = "?"
logger = logging.getLogger("dscope.learning")


class _Known(NamedTuple):
    """What the database says of an image, under the names of its columns."""

    made_from: str
    path: str
    status: str
    reasons: str
    label_source: str


@dataclass
class Plan:
    """Turns files into tasks, as they are asked for; counts what needs none."""

    connection: sqlite3.Connection
    folder: Path
    settings_sha256: str
    labels_folder: Path | None
    read_timeout_s: float
    on_done: Callable[[str], None] = lambda name: None
    seen: dict[str, Path] = field(default_factory=dict)  # image_id -> first file with this content
    unread: set[str] = field(default_factory=set)  # files of which nobody knows what they hold
    copies: int = 0
    unchanged: int = 0
    kept_labels: int = 0  # images that keep human labels which this run has not been given
    problems: int = 0
    labelled: int = 0

    def tasks(self, paths: Sequence[Path]) -> Iterator[Task]:
        """A task for every content that has no rows made from the same settings and labels."""
        columns = ", ".join(_Known._fields)
        rows = self.connection.execute(f"SELECT image_id, {columns} FROM images")
        before = {image_id: _Known(*values) for image_id, *values in rows}
        incomplete = incomplete_images(self.connection, self.folder)
        written = written_annotations(self.connection)
        for path in paths:
            task = None
            try:
                image_id = self._new_content(path)
                if image_id is not None:
                    human = find_labels(
                        path, image_id, folder=self.labels_folder, data_set=self.folder, written=written
                    )
                    task = self._task(path, image_id, human, before.get(image_id), image_id in incomplete)
            except BlinkError as error:
                self.report(path, str(error))
            if task is None:
                self.on_done(path.name)
            else:
                yield task

    def _new_content(self, path: Path) -> str | None:
        """The id of a file's content; None for a copy of one before it."""
        try:
            image_id = image_id_of(read_in_time(path, self.read_timeout_s))
        except BlinkError:
            self.unread.add(plain_text(path))
            raise
        if image_id in self.seen:
            self.copies += 1
            logger.info("%s is a copy of %s.", path.name, self.seen[image_id].name)
            return None
        self.seen[image_id] = path
        return image_id

    def _task(
        self, path: Path, image_id: str, human: HumanLabels | None, known: _Known | None, is_incomplete: bool
    ) -> Task | None:
        """What is to be done with an image of which ``known`` is in the database; None for nothing."""
        self.labelled += human is not None
        made_from = f"{self.settings_sha256}:{f'{human.origin}:{human.digest}' if human else 'inspector'}"
        if known is None:
            return Task(ImageFile(path, path.name, path.stem), image_id, made_from, human)
        if human is None and self._keeps_labels(known.made_from, image_id):
            if is_incomplete or known.made_from.startswith(_UNFINISHED):
                problem = "Files of it are lost, or its last change was not finished, and its labels are not given."
                raise TruthError(problem, "Name --labels FOLDER again.")
            self.kept_labels += 1
        elif known.made_from == made_from and not is_incomplete:
            self.unchanged += 1
        else:  # whatever ends this run, the old rows do not count any more
            self._set(image_id, "made_from", _UNFINISHED + known.made_from.lstrip(_UNFINISHED))
            return Task(ImageFile(path, path.name, path.stem), image_id, made_from, human)
        if plain_text(path) != known.path:
            self._set(image_id, "path", plain_text(path))
            self._set(image_id, "filename", plain_text(path.name))
        if known.label_source == INSPECTOR and known.status in (UNREADABLE, LOCALIZATION_FAILED):
            self.report(path, left_out(known.status, json.loads(known.reasons)))
        return None

    def _keeps_labels(self, made_from: str, image_id: str) -> bool:
        """Labels by people are work: they stay until there are others, or the annotation was taken back."""
        origin = made_from.split(":")[1]
        annotation = self.folder / ANNOTATE_FOLDER / f"{image_id}{LABELS_ENDING}"
        return origin == FROM_TRUTH or (origin == FROM_ANNOTATION and not annotation.exists())

    def report(self, path: Path, problem: str) -> None:
        """Say why an image is left out, and remember that one is."""
        self.problems += 1
        logger.warning("%s: %s", path.name, problem)

    def _set(self, image_id: str, column: str, value: str) -> None:
        with transaction(self.connection):
            self.connection.execute(f"UPDATE images SET {column} = ? WHERE image_id = ?", (value, image_id))


def prune(connection: sqlite3.Connection, seen: Collection[str], unread: Collection[str]) -> int:
    """Remove the images whose content is in no file any more; returns how many.

    An image stays when its file is there and could not be read.
    """
    with transaction(connection):
        rows = connection.execute("SELECT image_id, path FROM images").fetchall()
        gone = [(image_id,) for image_id, path in rows if image_id not in seen and path not in unread]
        connection.executemany("DELETE FROM images WHERE image_id = ?", gone)
    return len(gone)


def correlate(connection: sqlite3.Connection, neighbours: int) -> None:
    """Make the table of correlations anew."""
    ids, cells = [], bytearray()
    for image_id, values in connection.execute("SELECT image_id, cells FROM faces ORDER BY image_id"):
        ids.append(image_id)
        cells += values
    pairs = most_alike(np.frombuffer(cells, np.float16).reshape(-1, CELLS), neighbours)
    with transaction(connection):
        connection.execute("DELETE FROM correlations")
        connection.executemany(
            "INSERT INTO correlations VALUES (?, ?, ?, ?)",
            ((ids[pair.first], ids[pair.second], pair.pearson, pair.spearman) for pair in pairs),
        )


def split_images(
    connection: sqlite3.Connection,
    name_keys: Callable[[set[str]], dict[str, str]],
    shares: Sequence[float],
    min_similarity: float,
) -> None:
    """Put every image with a fibre into a group and a split; the others belong to none.

    ``min_similarity`` is that of two pictures of one face (:mod:`batchwide.same_face`).
    """
    rows = connection.execute(
        "SELECT image_id, verdict, serial_number, face, filename FROM images JOIN geometry USING (image_id)"
    ).fetchall()
    fingerprints = connection.execute("SELECT image_id, fingerprint FROM images ORDER BY image_id")
    alike = pictures_alike(fingerprints, min_similarity)
    stems = {row[0]: Path(row[4]).stem for row in rows}
    names = name_keys({*stems.values()})
    faces = []
    for image_id, verdict, serial_number, face, _ in rows:
        keys = keys_of(serial_number, face, names[stems[image_id]])
        faces.append(Face(image_id, verdict, (*keys, *alike.get(image_id, ()))))
    groups = group_faces(faces)
    splits = assign_splits(faces, groups, shares)
    with transaction(connection):
        connection.execute("UPDATE images SET face_group = NULL, split = NULL")
        connection.executemany(
            "UPDATE images SET face_group = ?, split = ? WHERE image_id = ?",
            ((group, splits[group], image_id) for image_id, group in groups.items()),
        )


def pictures_alike(fingerprints: Iterable[tuple[str, str]], min_similarity: float) -> dict[str, tuple[str, ...]]:
    """A key for every image (id, fingerprint) whose face another image shows, too, by their fingerprints."""
    faces = Faces()
    for image_id, fingerprint in fingerprints:
        if fingerprint:
            faces.add(image_id, fingerprint)
    groups = faces.groups(min_similarity)
    return {image_id: (f"alike {group.images[0]}",) for group in groups for image_id in group.images}
