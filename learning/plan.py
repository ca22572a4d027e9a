"""What is to be done for a data set: which images are new or changed, and what is made of all of them at the end."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from batch import read_in_time
from cli.image_files import ImageFile
from errors import BlinkError
from learning.annotate import written_annotations
from learning.correlations import CELLS, most_alike
from learning.database import transaction
from learning.extraction import Task, image_id_of, plain_text
from learning.faces import Face, assign_splits, group_faces, keys_of
from learning.human_labels import ANNOTATE_FOLDER, FROM_ANNOTATION, FROM_TRUTH, LABELS_ENDING, find_labels
from learning.tidy import incomplete_images

EDITION = "1"  # of what is made of an image: another one makes all images anew
logger = logging.getLogger("dscope.learning")


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
    copies: int = 0
    unchanged: int = 0
    kept_labels: int = 0  # images that keep human labels which this run has not been given
    problems: int = 0
    labelled: int = 0

    def tasks(self, paths: Sequence[Path]) -> Iterator[Task]:
        """A task for every content that has no rows made from the same settings and labels."""
        known = {row[0]: row[1:] for row in self.connection.execute("SELECT image_id, made_from, path FROM images")}
        incomplete = incomplete_images(self.connection, self.folder)
        written = written_annotations(self.connection)
        for path in paths:
            task = self._task(path, known, incomplete, written)
            if task is None:
                self.on_done(path.name)
            else:
                yield task

    def _task(
        self, path: Path, known: dict[str, tuple[str, str]], incomplete: set[str], written: dict[str, str]
    ) -> Task | None:
        try:
            image_id = image_id_of(read_in_time(path, self.read_timeout_s))
            if image_id in self.seen:
                self.copies += 1
                logger.info("%s is a copy of %s.", path.name, self.seen[image_id].name)
                return None
            self.seen[image_id] = path
            human = find_labels(path, image_id, folder=self.labels_folder, data_set=self.folder, written=written)
        except BlinkError as error:
            self.report(path, str(error))
            return None
        self.labelled += human is not None
        made_from = f"{self.settings_sha256}:{f'{human.origin}:{human.digest}' if human else 'inspector'}"
        before, old_path = known.get(image_id, ("", ""))
        if human is None and image_id not in incomplete and self._keeps_labels(before, image_id):
            self.kept_labels += 1
        elif before == made_from and image_id not in incomplete:
            self.unchanged += 1
        else:
            self._set(image_id, "made_from", "")  # until its new rows are there, whatever ends this run
            return Task(ImageFile(path, path.name, path.stem), image_id, made_from, human)
        if plain_text(path) != old_path:
            self._set(image_id, "path", plain_text(path))
            self._set(image_id, "filename", plain_text(path.name))
        return None

    def _keeps_labels(self, made_from: str, image_id: str) -> bool:
        """Labels by people are work: they stay until there are others, or the annotation was taken back."""
        origin = made_from.split(":")[1] if ":" in made_from else ""
        annotation = self.folder / ANNOTATE_FOLDER / f"{image_id}{LABELS_ENDING}"
        return origin == FROM_TRUTH or (origin == FROM_ANNOTATION and not annotation.exists())

    def report(self, path: Path, problem: str) -> None:
        """Say why an image is left out, and remember that one is."""
        self.problems += 1
        logger.warning("%s: %s", path.name, problem)

    def _set(self, image_id: str, column: str, value: str) -> None:
        with transaction(self.connection):
            self.connection.execute(f"UPDATE images SET {column} = ? WHERE image_id = ?", (value, image_id))


def prune(connection: sqlite3.Connection, seen: Sequence[str], paths: Sequence[Path]) -> int:
    """Remove the images whose content is in no file any more; returns how many.

    An image stays while a file that could not be read is where it was.
    """
    there, given = {*seen}, {plain_text(path) for path in paths}
    with transaction(connection):
        rows = connection.execute("SELECT image_id, path FROM images").fetchall()
        gone = [(image_id,) for image_id, path in rows if image_id not in there and path not in given]
        connection.executemany("DELETE FROM images WHERE image_id = ?", gone)
    return len(gone)


def correlate(connection: sqlite3.Connection, neighbours: int) -> None:
    """Make the table of correlations anew."""
    rows = connection.execute("SELECT image_id, cells FROM faces ORDER BY image_id").fetchall()
    ids = [row[0] for row in rows]
    cells = np.frombuffer(b"".join(row[1] for row in rows), np.float32).reshape(-1, CELLS)
    pairs = most_alike(cells, neighbours)
    with transaction(connection):
        connection.execute("DELETE FROM correlations")
        connection.executemany(
            "INSERT INTO correlations VALUES (?, ?, ?, ?)",
            ((ids[pair.first], ids[pair.second], pair.pearson, pair.spearman) for pair in pairs),
        )


def split_images(
    connection: sqlite3.Connection, name_keys: Callable[[set[str]], dict[str, str]], shares: Sequence[float]
) -> None:
    """Put every image with a fibre into a group and a split; the others belong to none."""
    rows = connection.execute(
        "SELECT image_id, verdict, serial_number, face, filename FROM images JOIN geometry USING (image_id)"
    ).fetchall()
    stems = {row[0]: Path(row[4]).stem for row in rows}
    names = name_keys({*stems.values()})
    faces = [Face(row[0], row[1], keys_of(row[2], row[3], names[stems[row[0]]])) for row in rows]
    groups = group_faces(faces)
    splits = assign_splits(faces, groups, shares)
    with transaction(connection):
        connection.execute("UPDATE images SET face_group = NULL, split = NULL")
        connection.executemany(
            "UPDATE images SET face_group = ?, split = ? WHERE image_id = ?",
            ((group, splits[group], image_id) for image_id, group in groups.items()),
        )
