import io
import os
import threading

import cv2
import numpy as np
import pytest
from faces import clean_grey
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import image_io
from errors import MissingDependency, OutputError, UnreadableImage
from image_io import decode_image, read_image, reduce_to_8_bit, write_png


def encoded(array, kind="PNG", mode=None, **options):
    image = Image.fromarray(array)
    buffer = io.BytesIO()
    (image.convert(mode) if mode else image).save(buffer, kind, **options)
    return buffer.getvalue()


def with_extraneous_byte(array):
    """A JPEG with a byte that does not belong before its scan, as some frame grabbers write it."""
    data = encoded(array, "JPEG")
    at = data.index(b"\xff\xda")
    return data[:at] + b"\x00" + data[at:]


# --- formats -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP"])
@pytest.mark.parametrize("mode", ["L", "RGB", "P"])
def test_lossless_formats_come_back_unchanged(kind, mode):
    assert np.array_equal(decode_image(encoded(clean_grey(), kind, mode), name="a").grey, clean_grey())


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_jpeg_is_near_the_original(mode):
    grey = decode_image(encoded(clean_grey(), "JPEG", mode, quality=97), name="a").grey
    assert grey.dtype == np.uint8 and grey.shape == (300, 400)
    assert np.abs(grey.astype(int) - clean_grey()).mean() < 1.5


def test_one_bit_images_span_black_to_white():
    grey = decode_image(encoded(clean_grey(), "PNG", "1"), name="a").grey
    assert set(np.unique(grey)) == {0, 255}


def test_colour_becomes_luma():
    red = np.zeros((4, 6, 3), np.uint8)
    red[..., 0] = 200
    assert decode_image(encoded(red), name="a").grey[0, 0] == pytest.approx(0.299 * 200, abs=1)


@pytest.mark.parametrize(("alpha", "warned"), [(255, False), (90, True)])
def test_alpha_is_ignored_and_reported_where_it_matters(alpha, warned):
    layers = np.dstack([clean_grey()] * 3 + [np.full_like(clean_grey(), alpha)])
    image = decode_image(encoded(layers), name="a")
    assert np.array_equal(image.grey, clean_grey())
    assert any("transparen" in text for text in image.warnings) is warned


def test_first_page_of_a_multi_page_tiff_with_a_warning():
    pages = [Image.fromarray(255 - clean_grey())] * 2
    image = decode_image(encoded(clean_grey(), "TIFF", save_all=True, append_images=pages), name="a")
    assert np.array_equal(image.grey, clean_grey())
    assert image.warnings == ("The file holds 3 pages; only the first was inspected.",)


@pytest.mark.parametrize("orientation", [1, 3, 6])
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_exif_orientation_is_ignored(kind, orientation):
    tags = Image.Exif()
    tags[0x0112] = orientation
    image = decode_image(encoded(clean_grey(), kind, exif=tags), name="a")
    assert np.abs(image.grey.astype(int) - clean_grey()).mean() < 3


def test_row_order_of_a_tiff_is_followed():
    tags = Image.Exif()
    tags[0x0112] = 4  # stored from the bottom row up
    assert np.array_equal(decode_image(encoded(clean_grey(), "TIFF", exif=tags), name="a").grey, clean_grey()[::-1])


@pytest.mark.parametrize("shape", [(1, 1), (10, 10), (1, 300)])
def test_tiny_images_decode(shape):
    assert decode_image(encoded(np.full(shape, 7, np.uint8)), name="a").grey.shape == shape


def test_huge_image_decodes():
    data = cv2.imencode(".png", np.full((9000, 12000), 90, np.uint8), [cv2.IMWRITE_PNG_COMPRESSION, 1])[1].tobytes()
    assert decode_image(data, name="a").grey.shape == (9000, 12000)


def test_more_pixels_than_allowed_are_refused():
    with pytest.raises(UnreadableImage, match="400 x 300"):
        decode_image(encoded(clean_grey()), name="a", max_pixels=1000)


def test_paths_outside_ascii(tmp_path):
    path = tmp_path / "Prüf ling [3] ähm.png"
    path.write_bytes(encoded(clean_grey()))
    image = read_image(path)
    assert image.name == path.name and np.array_equal(image.grey, clean_grey())


def test_bytes_that_are_read_already_are_not_read_again(tmp_path):
    path = tmp_path / "gone.png"
    image = read_image(path, data=encoded(clean_grey()))
    assert image.name == "gone.png" and np.array_equal(image.grey, clean_grey())


# --- 16 bit --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("factor", [1, 256, 257])
@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_8_bit_kept_in_16_bits_comes_back_unchanged(factor, kind):
    image = decode_image(encoded(clean_grey().astype(np.uint16) * factor, kind), name="a")
    assert image.source_dtype == "uint16" and image.warnings == ()
    assert np.array_equal(image.grey, clean_grey())


@pytest.mark.parametrize("bits", [10, 12, 14, 16])
def test_full_sensor_range_is_scaled_as_a_whole(bits):
    ramp = np.linspace(0, 2**bits - 1, 300 * 256).round().astype(np.uint16).reshape(300, 256)
    grey, warning = reduce_to_8_bit(ramp)
    assert warning is None
    assert np.abs(grey - ramp * (255.0 / (2**bits - 1))).max() <= 0.51


def test_faint_16_bit_image_keeps_its_contrast():
    faint = (20000 + clean_grey().astype(np.uint16) * 9 + (np.arange(400, dtype=np.uint16) % 7)).astype(np.uint16)
    grey, warning = reduce_to_8_bit(faint)
    assert warning is None
    stretched = np.ptp(np.quantile(grey.astype(float), [0.01, 0.99]))
    assert stretched > 0.6 * 255
    assert np.corrcoef(grey.ravel(), clean_grey().ravel())[0, 1] > 0.995


def test_a_hot_pixel_does_not_take_the_range():
    values = np.tile(np.linspace(1000, 3000, 400).astype(np.uint16), (300, 1))
    hot = values.copy()
    hot[10, 10] = 65535
    assert reduce_to_8_bit(hot)[0].std() > 0.6 * reduce_to_8_bit(values)[0].std()


def test_stretch_never_invents_contrast():
    rng = np.random.default_rng(1)
    values = rng.integers(30000, 30010, (50, 60)).astype(np.uint16)
    grey, warning = reduce_to_8_bit(values)
    assert np.ptp(grey) <= np.ptp(values)
    assert "badly exposed" in warning


@given(low=st.integers(0, 60000), span=st.integers(1, 65535), seed=st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_reduction_keeps_the_order_of_brightness(low, span, seed):
    values = np.random.default_rng(seed).integers(low, min(low + span, 65535) + 1, (20, 30)).astype(np.uint16)
    before = values.copy()
    grey, _ = reduce_to_8_bit(values)
    order = np.argsort(values, axis=None, kind="stable")
    assert grey.dtype == np.uint8 and grey.shape == values.shape
    assert (np.diff(grey.ravel()[order].astype(int)) >= 0).all()
    assert np.array_equal(values, before)


@pytest.mark.parametrize("level", [0, 300, 65535])
def test_constant_16_bit_images_survive(level):
    grey, _ = reduce_to_8_bit(np.full((5, 6), level, np.uint16))
    assert np.ptp(grey) == 0


# --- damage --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "BMP"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_truncated_files_are_refused(kind, share):
    data = encoded(clean_grey(), kind)
    with pytest.raises(UnreadableImage) as caught:
        decode_image(data[: int(share * len(data))], name="a")
    assert caught.value.remedy


def test_truncated_jpeg_with_an_end_marker_is_refused(capfd):
    data = encoded(clean_grey(), "JPEG")
    with pytest.raises(UnreadableImage, match="damaged"):
        decode_image(data[: len(data) // 2] + b"\xff\xd9", name="a")
    assert capfd.readouterr().err == ""


def test_progressive_jpeg_that_lacks_scans_is_refused():
    data = encoded(clean_grey(), "JPEG", progressive=True)
    with pytest.raises(UnreadableImage, match="truncated"):
        decode_image(data[: data.rindex(b"\xff\xda")], name="a")


def test_extraneous_bytes_are_only_a_warning(capfd):
    image = decode_image(with_extraneous_byte(clean_grey()), name="a")
    assert np.abs(image.grey.astype(int) - clean_grey()).mean() < 3
    assert len(image.warnings) == 1 and "extraneous" in image.warnings[0]
    assert capfd.readouterr().err == ""


def test_rubbish_after_the_end_of_a_jpeg_is_tolerated():
    data = encoded(clean_grey(), "JPEG")
    assert np.array_equal(decode_image(data + bytes(500), name="a").grey, decode_image(data, name="a").grey)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"this is a text file", "not an image"),
        (b"\x89PNG\r\n\x1a\n", "damaged"),
        (bytes(1000), "not an image"),
    ],
)
def test_what_is_no_image_says_so(data, reason, capfd):
    with pytest.raises(UnreadableImage, match=reason):
        decode_image(data, name="a")
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("dtype", [np.float32, np.int32])
def test_other_depths_are_refused_with_a_remedy(dtype):
    with pytest.raises(UnreadableImage, match="not supported") as caught:
        decode_image(encoded(clean_grey().astype(dtype), "TIFF"), name="a")
    assert "16 bit" in caught.value.remedy


def test_a_missing_file_and_a_folder_are_unreadable(tmp_path):
    for path in (tmp_path / "none.png", tmp_path):
        with pytest.raises(UnreadableImage, match="cannot be read"):
            read_image(path)


@given(st.binary(max_size=300), st.sampled_from([b"", b"\xff\xd8\xff\xe0", b"II*\x00", b"MM\x00*", b"BM", b"\x89PNG"]))
@settings(max_examples=60, deadline=None)
def test_random_bytes_never_raise_anything_else(data, start):
    try:
        assert decode_image(start + data, name="a").grey.dtype == np.uint8
    except UnreadableImage as error:
        assert error.message.endswith(".")


def test_decoding_in_threads_keeps_warnings_apart():
    noisy, quiet = with_extraneous_byte(clean_grey()), encoded(clean_grey())
    counts = {}

    def decode(key, data):
        counts[key] = [len(decode_image(data, name=key).warnings) for _ in range(5)]

    threads = [threading.Thread(target=decode, args=pair) for pair in (("noisy", noisy), ("quiet", quiet))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counts == {"noisy": [1] * 5, "quiet": [0] * 5}


# --- writing -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_png_round_trip(tmp_path, dtype):
    array = (np.arange(35 * 20).reshape(35, 20) * 90).astype(dtype)
    write_png(tmp_path / "ä.png", array)
    assert np.array_equal(cv2.imdecode(np.fromfile(tmp_path / "ä.png", np.uint8), cv2.IMREAD_UNCHANGED), array)
    assert os.listdir(tmp_path) == ["ä.png"]


def test_a_failed_write_keeps_the_old_file_and_no_rest(tmp_path, monkeypatch):
    write_png(tmp_path / "a.png", clean_grey())
    before = (tmp_path / "a.png").read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(image_io.os, "replace", full)
    with pytest.raises(OutputError, match="No space left"):
        write_png(tmp_path / "a.png", 255 - clean_grey())
    assert (tmp_path / "a.png").read_bytes() == before and os.listdir(tmp_path) == ["a.png"]


def test_writing_below_a_file_is_an_output_error(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputError):
        write_png(tmp_path / "file" / "a.png", clean_grey())


def test_opencv_without_contrib_is_named(monkeypatch):
    image_io.check_opencv()
    monkeypatch.delattr(cv2, "ximgproc")
    with pytest.raises(MissingDependency, match="contrib") as caught:
        image_io.check_opencv()
    assert "pip" in caught.value.remedy
