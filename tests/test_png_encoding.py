"""Written PNG files: every pixel comes back, in OpenCV and in another reader that checks the file's checksums."""

from __future__ import annotations

import io

import cv2
import numpy as np
import pytest
from PIL import Image

import png_encoding
from png_encoding import encode_png


def pixels(shape: tuple[int, ...], dtype: type = np.uint8) -> np.ndarray:
    return np.random.default_rng(3).integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)


def read_back(data: bytes) -> np.ndarray:
    Image.open(io.BytesIO(data)).verify()
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("shape", [(1, 1), (7, 300), (3000, 70), (40, 50, 3), (900, 400, 3), (40, 50, 4)])
def test_every_pixel_comes_back(shape, dtype):
    array = pixels(shape, dtype)
    before = array.copy()
    assert np.array_equal(read_back(encode_png(array, 1)), before)
    assert np.array_equal(array, before)


@pytest.mark.parametrize("has_isal", [True, False])
@pytest.mark.parametrize("compression", range(10))
def test_every_compression_writes_the_same_pixels(compression, has_isal, monkeypatch):
    if not has_isal:
        monkeypatch.setattr(png_encoding, "isal_zlib", None)
    array = cv2.GaussianBlur(pixels((60, 80, 3)), (0, 0), 3)
    data = encode_png(array, compression)
    assert np.array_equal(read_back(data), array)
    assert len(data) < 0.7 * array.nbytes


def test_more_compression_is_smaller():
    array = cv2.GaussianBlur(pixels((300, 400, 3)), (0, 0), 3)
    assert len(encode_png(array, 9)) < 0.97 * len(encode_png(array, 0))


def test_a_part_of_a_larger_array_is_written_as_it_looks():
    whole = pixels((60, 80, 3))
    part = whole[5:50:2, ::-3]
    assert np.array_equal(read_back(encode_png(part, 1)), part)


@pytest.mark.parametrize(
    "array", [np.zeros((4, 5)), np.zeros((4, 5, 2), np.uint8), np.zeros((0, 5), np.uint8), np.zeros(5, np.uint8)]
)
def test_what_png_cannot_hold_is_refused(array):
    with pytest.raises(ValueError, match="cannot encode an array of shape"):
        encode_png(array, 1)
