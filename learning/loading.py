"""Samples as arrays for a network: read on first use, kept while there is room, varied, put together in batches."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol

import cv2
import numpy as np

from errors import DataSetError, UnreadableImage
from image_io import read_image
from learning.samples import Sample
from second_opinion.face_input import FaceCrop, InputForm, crop_face, prepare

IGNORED = 255  # in a target: a pixel that nobody has judged
_KEPT_BYTES = 256 << 20
_THREADS = 2
_AGAIN = "Build the data set again, or replace the image."
_TURNED_SHARE = 0.5  # of the varied samples: turned by any angle, which softens them; the others by quarters only
_GAIN, _OFFSET_GREY, _GAMMA = 0.25, 25.0, 0.2

# a sample and the side of a network's input in px to a class number () or the classes of pixels (S, S), uint8
Target = Callable[[Sample, int], np.ndarray]


class Material(Protocol):
    """What samples are made of; each method is a pure function of its arguments."""

    def read(self, sample: Sample) -> tuple[tuple[np.ndarray, ...], np.ndarray]:
        """The arrays that inputs are made from, and the target; raises :class:`UnreadableImage`."""

    def vary(self, picture: Any, target: np.ndarray, rng: np.random.Generator) -> tuple[Any, np.ndarray]:
        """The same mark or face as another microscope might show it."""

    def prepare(self, picture: Any) -> np.ndarray:
        """The input (channels, S, S) float32."""


@dataclass(frozen=True)
class Faces:
    """End faces, registered to the fibre."""

    form: InputForm
    target: Target

    def read(self, sample: Sample) -> tuple[FaceCrop, np.ndarray]:
        crop = crop_face(read_image(sample.image).grey, sample.cladding, self.form.fine_size)
        return crop, self.target(sample, self.form.size)

    def vary(self, crop: FaceCrop, target: np.ndarray, rng: np.random.Generator) -> tuple[FaceCrop, np.ndarray]:
        return varied(crop, target, rng)

    def prepare(self, crop: FaceCrop) -> np.ndarray:
        return prepare(crop, self.form)


class Loader:
    """The inputs and targets of samples; the same arguments always give the same arrays."""

    def __init__(self, material: Material, seed: int) -> None:
        self._material, self._seed = material, seed
        self._kept: dict[str, tuple[tuple[np.ndarray, ...], np.ndarray]] = {}
        self._kept_bytes = 0
        self._lock = threading.Lock()

    def batches(
        self, samples: Sequence[Sample], size: int, epoch: int | None = None
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Inputs (N, channels, S, S) float32 and targets (N, ...) uint8 of at most ``size`` samples at a time.

        In order; with ``epoch`` shuffled and varied, as the seed and the epoch say. Raises :class:`DataSetError` for
        an image that cannot be read.
        """
        order = [*range(len(samples))]
        if epoch is not None:
            order = np.random.default_rng((self._seed, epoch)).permutation(len(samples)).tolist()
        chunks = [order[start : start + size] for start in range(0, len(order), size)]
        with ThreadPoolExecutor(_THREADS) as pool:
            ahead: deque[list[Future]] = deque()
            for chunk in [*chunks, []]:
                ahead.append([pool.submit(self._pair, samples[k], k, epoch) for k in chunk])
                if len(ahead) == 2:  # the next batch is made while the network works on this one
                    pairs = [future.result() for future in ahead.popleft()]
                    yield np.stack([pair[0] for pair in pairs]), np.stack([pair[1] for pair in pairs])

    def _pair(self, sample: Sample, number: int, epoch: int | None) -> tuple[np.ndarray, np.ndarray]:
        picture, target = self._read(sample)
        if epoch is not None:
            rng = np.random.default_rng((self._seed, epoch, number))
            picture, target = self._material.vary(picture, target, rng)
        return self._material.prepare(picture), target

    def _read(self, sample: Sample) -> tuple[tuple[np.ndarray, ...], np.ndarray]:
        kept = self._kept.get(sample.image_id)
        if kept is not None:
            return kept
        try:
            picture, target = self._material.read(sample)
        except UnreadableImage as error:
            raise DataSetError(f"An image of {sample.image_id} cannot be used: {error.message}", _AGAIN) from error
        with self._lock:
            if sample.image_id not in self._kept and self._kept_bytes < _KEPT_BYTES:
                # every sample is asked for once an epoch: to drop one for another would gain nothing
                self._kept[sample.image_id] = picture, target
                self._kept_bytes += sum(array.nbytes for array in (*picture, target))
        return picture, target


def varied(crop: FaceCrop, target: np.ndarray, rng: np.random.Generator) -> tuple[FaceCrop, np.ndarray]:
    """The same face turned, mirrored, brighter or darker; a target (S, S) goes along, a class number stays.

    The target may have fewer pixels than the face.
    """
    pictures = [crop.grey, crop.seen.view(np.uint8)] + ([target] if target.ndim else [])
    quarters, mirrored = int(rng.integers(4)), bool(rng.integers(2))
    pictures = [np.rot90(picture, quarters) for picture in pictures]
    pictures = [np.ascontiguousarray(picture[:, ::-1] if mirrored else picture) for picture in pictures]
    if rng.random() < _TURNED_SHARE:
        turn_deg = float(rng.uniform(-45, 45))
        # outside the circle that a network sees nothing matters; classes must not be mixed
        pictures = [
            _turned(picture, turn_deg, cv2.INTER_NEAREST if number else cv2.INTER_LINEAR)
            for number, picture in enumerate(pictures)
        ]
    return FaceCrop(relit(pictures[0], rng), pictures[1] > 0), pictures[2] if target.ndim else target


def _turned(picture: np.ndarray, turn_deg: float, interpolation: int) -> np.ndarray:
    middle = (len(picture) - 1) / 2
    turn = cv2.getRotationMatrix2D((middle, middle), turn_deg, 1.0)
    return cv2.warpAffine(picture, turn, picture.shape, flags=interpolation)


def relit(grey: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The same picture (H, W) uint8 with another gain, offset and gamma."""
    gain, gamma = 1 + rng.uniform(-_GAIN, _GAIN), 1 + rng.uniform(-_GAMMA, _GAMMA)
    levels = 255 * (np.arange(256) / 255) ** gamma * gain + rng.uniform(-_OFFSET_GREY, _OFFSET_GREY)
    return cv2.LUT(grey, np.clip(np.rint(levels), 0, 255).astype(np.uint8))
