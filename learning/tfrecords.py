"""The data set as TFRecord files, for tf.data; the only module that needs TensorFlow."""

from __future__ import annotations

import importlib.util
import os
import sqlite3
from pathlib import Path
from typing import Any

from errors import MissingDependency, OutputError
from learning.database import SPLITS

RECORDS_FOLDER = "tfrecords"
IMAGES_PER_FILE = 256
_REMEDY = "Run: pip install tensorflow"


def check_tensorflow() -> None:
    """Raise :class:`MissingDependency` where TensorFlow is not installed, without loading it."""
    if importlib.util.find_spec("tensorflow") is None:
        raise MissingDependency("--tfrecord needs TensorFlow, which is not installed.", _REMEDY)


def write_tfrecords(connection: sqlite3.Connection, folder: Path) -> None:
    """Write ``tfrecords/SPLIT-00000-of-00003.tfrecord``: one tf.train.Example per image that belongs to a split.

    Its features: ``image_id``, ``verdict`` (empty: unknown), ``image`` and ``mask`` (PNG), ``defects`` and
    ``defect_kinds`` (as many PNG masks as kinds), ``width_px``, ``height_px``. Raises :class:`MissingDependency`,
    :class:`OutputError`.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        import tensorflow
    except ImportError as error:
        raise MissingDependency(f"TensorFlow is missing or broken ({error}).", _REMEDY) from error
    place = folder / RECORDS_FOLDER
    try:
        place.mkdir(exist_ok=True)
        names = {name for split in SPLITS for name in _write_split(tensorflow, connection, folder, split)}
        for path in place.glob("*.tfrecord*"):
            if path.name not in names:
                path.unlink()
    except (OSError, tensorflow.errors.OpError) as error:
        raise OutputError(f"Cannot write {place}: {error}.", "Check free space and permissions.") from error


def _write_split(tensorflow: Any, connection: sqlite3.Connection, folder: Path, split: str) -> list[str]:
    images = connection.execute(
        "SELECT image_id, verdict, width_px, height_px FROM images WHERE split = ? ORDER BY image_id", (split,)
    ).fetchall()
    files = -(-len(images) // IMAGES_PER_FILE)
    names = []
    for number in range(files):
        name = f"{split}-{number:05d}-of-{files:05d}.tfrecord"
        partial = folder / RECORDS_FOLDER / f".{name}.{os.getpid()}.tmp"
        with tensorflow.io.TFRecordWriter(str(partial)) as writer:
            for image in images[number * IMAGES_PER_FILE : (number + 1) * IMAGES_PER_FILE]:
                writer.write(_example(tensorflow.train, connection, folder, *image).SerializeToString())
        os.replace(partial, folder / RECORDS_FOLDER / name)
        names.append(name)
    return names


def _example(
    train: Any,
    connection: sqlite3.Connection,
    folder: Path,
    image_id: str,
    verdict: str | None,
    width: int,
    height: int,
) -> Any:
    query = "SELECT DISTINCT kind FROM defects WHERE image_id = ? ORDER BY kind"
    kinds = [kind for (kind,) in connection.execute(query, (image_id,))]
    texts = {
        "image_id": [image_id.encode()],
        "verdict": [(verdict or "").encode()],
        "image": [(folder / "images" / f"{image_id}.png").read_bytes()],
        "mask": [(folder / "masks" / f"{image_id}.png").read_bytes()],
        "defects": [(folder / "defects" / f"{image_id}_{kind}.png").read_bytes() for kind in kinds],
        "defect_kinds": [kind.encode() for kind in kinds],
    }
    features = {name: train.Feature(bytes_list=train.BytesList(value=values)) for name, values in texts.items()}
    for name, value in (("width_px", width), ("height_px", height)):
        features[name] = train.Feature(int64_list=train.Int64List(value=[value]))
    return train.Example(features=train.Features(feature=features))
