"""Pieces of faces around marks, with classes and splits: what networks that tell marks apart are trained on."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from errors import DataSetError, UnreadableImage
from image_io import read_image
from learning.crops import ARTIFACT, CLEAN_PIECE
from learning.extraction import image_id_of
from learning.faces import Face, assign_splits, group_faces, name_keys
from learning.labelling import KINDS
from learning.loading import relit
from learning.samples import (
    SHARES,
    Sample,
    Samples,
    class_folders,
    data_set_rows,
    is_data_set,
    read_labelled,
    without_copies,
)
from second_opinion.patch_input import PatchForm, patch_input
from settings import Config

CLASSES = (*KINDS, ARTIFACT)
_CLASS_OF_FOLDER = {name: name for name in CLASSES} | {CLEAN_PIECE: ARTIFACT}  # where nothing is there is no mark
_OF_DATA_SET = re.compile(r"([0-9a-f]{16})_\d+")  # file names of crops: image and number
_MOST_TURN_DEG, _MOST_SHIFT_SHARE = 10.0, 0.05
_BLURRED_SHARE, _MOST_BLUR_SHARE = 0.3, 0.004  # of the varied pieces; of the side
_MOST_NOISE_GREY = 4.0


def read_pieces(folder: Path, config: Config, advance: Callable[[str], None]) -> Samples:
    """The pieces of DATASET: crops of a data set, or of folders named after :data:`CLASSES` or ``clean``.

    Pieces of one face are in one split: in a data set as its database says, else as far as file names tell. ``advance``
    is called with the name of each file that is read. Raises :class:`DataSetError`.
    """
    if not is_data_set(folder):
        return _of_class_folders(folder, config, advance)
    rows = data_set_rows(
        folder,
        "SELECT crop_id, file, class, split, made_from, crops.centre_x_px, crops.centre_y_px"
        " FROM crops JOIN images USING (image_id) WHERE split IS NOT NULL ORDER BY crop_id",
    )
    items = tuple(
        Sample(crop_id, folder / file, None, _CLASS_OF_FOLDER[name], split, f"{made_from} {x} {y}")
        for crop_id, file, name, split, made_from, x, y in rows
    )
    return Samples(items, folder)


def _of_class_folders(folder: Path, config: Config, advance: Callable[[str], None]) -> Samples:
    files = class_folders(folder)
    if unknown := [name for name in files if name not in _CLASS_OF_FOLDER]:
        known = ", ".join(_CLASS_OF_FOLDER)
        raise DataSetError(f"The folder '{folder / unknown[0]}' is named after no class.", f"Known: {known}.")

    def pieces() -> Iterator[Sample]:
        for name, paths in files.items():
            for path in paths:
                data, grey = read_labelled(path, config)
                if grey.shape[0] != grey.shape[1]:
                    size = f"{grey.shape[1]} x {grey.shape[0]} px"
                    raise DataSetError(f"'{path}' is no piece around a mark: it has {size}.", "Pieces are square.")
                advance(path.name)
                yield Sample(image_id_of(data), path, None, _CLASS_OF_FOLDER[name], "")

    return Samples(tuple(sorted(_split(without_copies(pieces())), key=lambda s: s.image_id)), None)


def _split(samples: Sequence[Sample]) -> Iterator[Sample]:
    """The samples with splits: all pieces of a face, by their names, in one, and the rarest class of each divided."""
    names = name_keys({sample.image.stem for sample in samples}, None)
    faces = []
    for sample in samples:
        crop = _OF_DATA_SET.fullmatch(sample.image.stem)
        faces.append(Face(sample.image_id, None, (crop[1] if crop else names[sample.image.stem],)))
    groups, counts = group_faces(faces), Counter(sample.label for sample in samples)
    rarest: dict[str, str] = {}
    for sample in sorted(samples, key=lambda s: (-counts[s.label], s.label)):
        rarest[groups[sample.image_id]] = sample.label
    splits: dict[str, str] = {}
    for label in counts:
        splits |= assign_splits([face for face in faces if rarest[groups[face.image_id]] == label], groups, SHARES)
    return (replace(sample, split=splits[groups[sample.image_id]]) for sample in samples)


@dataclass(frozen=True)
class Pieces:
    """How a piece becomes an input; see :class:`learning.loading.Material`."""

    form: PatchForm

    def read(self, sample: Sample) -> tuple[tuple[np.ndarray], np.ndarray]:
        grey = read_image(sample.image).grey
        if grey.shape[0] != grey.shape[1]:
            raise UnreadableImage(f"{sample.image.name} is not square.")
        return (grey,), np.array(CLASSES.index(sample.label), np.uint8)

    def vary(
        self, picture: tuple[np.ndarray], target: np.ndarray, rng: np.random.Generator
    ) -> tuple[tuple[np.ndarray], np.ndarray]:
        return (varied(picture[0], rng),), target

    def prepare(self, picture: tuple[np.ndarray]) -> np.ndarray:
        return patch_input(picture[0], self.form)


def varied(piece: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A piece (S, S) uint8 as another microscope might show it, outward still up.

    Mirrored left to right, turned and shifted a little, in other light, less sharp, with more noise.
    """
    side = len(piece)
    if rng.integers(2):
        piece = piece[:, ::-1]
    middle = (side - 1) / 2
    move = cv2.getRotationMatrix2D((middle, middle), float(rng.uniform(-_MOST_TURN_DEG, _MOST_TURN_DEG)), 1.0)
    move[:, 2] += side * rng.uniform(-_MOST_SHIFT_SHARE, _MOST_SHIFT_SHARE, 2)
    # what comes in from outside must not look like a mark: a repeated edge would be streaks
    piece = cv2.warpAffine(np.ascontiguousarray(piece), move, (side, side), borderMode=cv2.BORDER_REFLECT_101)
    piece = relit(piece, rng)
    if rng.random() < _BLURRED_SHARE:
        piece = cv2.GaussianBlur(piece, (0, 0), max(side * _MOST_BLUR_SHARE * rng.random(), 0.1))
    noise = rng.standard_normal(piece.shape, np.float32) * np.float32(rng.uniform(0, _MOST_NOISE_GREY))
    return np.clip(np.rint(piece + noise), 0, 255).astype(np.uint8)
