"""What a file says without being decoded, and the damage that only this shows."""

import struct
import time
import zlib

import pytest
from fuzz_images import PITTED, png_chunk, small_files

from errors import UnreadableImage
from image_headers import count_pages, has_broken_deflate, is_cut_png, size_px
from image_io import decode_image

FILES = small_files(PITTED)
DEFLATED = ("deflate.tif", "deflate_strips.tif", "tiles_deflate.tif")


def announced_png(width, height):
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, 6, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + png_chunk(b"IDAT", zlib.compress(bytes(99))) + png_chunk(b"IEND", b"")


@pytest.mark.parametrize("name", FILES)
def test_size_and_pages_of_every_kind_of_file(name):
    assert size_px(FILES[name]) == (128, 104)
    assert count_pages(FILES[name]) == (3 if name == "pages.tif" else 1)


@pytest.mark.parametrize("name", FILES)
def test_a_sound_file_is_not_suspected(name):
    assert not has_broken_deflate(FILES[name]) and not is_cut_png(FILES[name])


@pytest.mark.parametrize("name", FILES)
def test_the_start_of_a_file_never_raises(name):
    for end in range(0, 400):
        for head in (FILES[name][:end], FILES[name][-end:], FILES[name][: end // 2] + FILES[name][-end:]):
            size_px(head), count_pages(head), has_broken_deflate(head), is_cut_png(head)


@pytest.mark.parametrize("name", DEFLATED)
def test_zeros_in_a_deflated_tiff_are_noticed(name):
    whole = FILES[name]
    for at in range(40, len(whole) // 2, 97):
        with pytest.raises(UnreadableImage, match="damaged"):
            decode_image(whole[:at] + bytes(80) + whole[at + 80 :], name=name)


def test_a_file_that_announces_too_much_is_refused_before_it_is_decoded():
    with pytest.raises(UnreadableImage, match="30000 x 30000 pixels"):
        decode_image(announced_png(30000, 30000), name="a")


def test_a_png_chunk_that_leads_out_of_the_file_takes_no_room():
    whole = FILES["palette.png"]
    at = whole.index(b"PLTE") - 4
    broken = whole[:at] + b"\xf0\x00\x00\x00" + whole[at + 4 :]
    assert is_cut_png(broken)
    started = time.process_time()
    with pytest.raises(UnreadableImage, match="damaged"):
        decode_image(broken, name="a")
    assert time.process_time() - started < 1.0  # seconds, and gigabytes, went into making room


def test_a_png_of_fewer_rows_than_its_data_hold_is_refused():
    whole = FILES["grey.png"]
    header = png_chunk(b"IHDR", whole[16:20] + struct.pack(">I", 60) + whole[24:29])
    with pytest.raises(UnreadableImage, match="damaged"):
        decode_image(whole[:8] + header + whole[8 + len(header) :], name="a")


@pytest.mark.parametrize(("name", "damage"), [("lzw.tif", b"\xff"), ("packbits.tiff", b"\x7f")])
def test_a_tiff_whose_pixels_run_out_is_refused(name, damage):
    whole = FILES[name]
    with pytest.raises(UnreadableImage, match="damaged"):
        decode_image(whole[:400] + damage * 300 + whole[700:], name="a")


def test_a_jpeg_that_loses_its_place_in_a_scan_is_refused():
    whole = FILES["restarts.jpg"]
    at = whole.index(b"\xff\xd3") - 60
    with pytest.raises(UnreadableImage, match="damaged"):
        decode_image(whole[:at] + bytes(50) + whole[at + 50 :], name="a")
