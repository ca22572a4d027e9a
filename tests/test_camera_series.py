"""Frames written as files, from the emulated camera."""

from __future__ import annotations

import re
from datetime import datetime

import numpy as np
import pytest
from camera_emulator import HEIGHT, WIDTH, fail_next, node, show, small_camera

from camera import capture, grab, series
from errors import CameraError, ExitCode, OutputError
from image_io import read_image, read_labels_png

NAME = re.compile(r"\d{8}_\d{6}_\d{3}_line_2_(\d{3})\.png")


@pytest.fixture
def camera():
    with small_camera() as each:
        yield each


class FrozenClock(datetime):
    @classmethod
    def now(cls, tz=None):
        return cls(2024, 2, 3, 4, 5, 6, 789000)


def test_series_is_written_frame_by_frame(camera, tmp_path):
    folder = tmp_path / "new" / "folder"
    series_of_3 = capture(camera, 3, folder, "line 2", timeout_s=2.0)
    assert list(folder.iterdir()) == []
    first = next(series_of_3)
    assert list(folder.iterdir()) == [first]
    paths = [first, *series_of_3]
    assert sorted(folder.iterdir()) == paths
    assert [NAME.fullmatch(path.name)[1] for path in paths] == ["001", "002", "003"]
    for path in paths:
        assert read_image(path).grey.shape == (HEIGHT, WIDTH)


def test_files_hold_what_the_camera_saw(camera, tmp_path):
    picture = np.random.default_rng(1).integers(0, 256, (31, 45), np.uint8)
    show(camera, tmp_path / "seen.png", picture)
    node(camera, "PixelFormat").FromString("Mono12")
    (path,) = capture(camera, 1, tmp_path / "out", average=2, timeout_s=2.0)
    np.testing.assert_array_equal(read_labels_png(path), picture.astype(np.uint16) << 4)


def test_nothing_is_overwritten(camera, tmp_path, monkeypatch):
    monkeypatch.setattr(series, "datetime", FrozenClock)
    before = tmp_path / "20240203_040506_789_002.png"
    before.write_bytes(b"kept")
    paths = [*capture(camera, 2, tmp_path, timeout_s=2.0), *capture(camera, 1, tmp_path, timeout_s=2.0)]
    assert [path.name[-7:-4] for path in paths] == ["001", "003", "004"]
    assert before.read_bytes() == b"kept"


@pytest.mark.parametrize(
    ("label", "part"),
    [("", ""), ("../up", "up_"), ("a/b\\c:d", "a_b_c_d_"), ("Stecker Ä1", "Stecker_Ä1_"), ("...", ""), ("x.1", "x.1_")],
)
def test_label_makes_a_safe_name(camera, tmp_path, monkeypatch, label, part):
    monkeypatch.setattr(series, "datetime", FrozenClock)
    (path,) = capture(camera, 1, tmp_path, label, timeout_s=2.0)
    assert path == tmp_path / f"20240203_040506_789_{part}001.png"
    assert path.is_file()


def test_frames_before_a_failure_stay(camera, tmp_path):
    frames = capture(camera, 3, tmp_path, timeout_s=2.0)
    first = next(frames)
    fail_next(camera, 100)
    with pytest.raises(CameraError, match="incompletely grabbed"):
        next(frames)
    assert list(tmp_path.iterdir()) == [first]


def test_folder_that_vanishes_is_said_and_the_camera_goes_on(camera, tmp_path):
    folder = tmp_path / "out"
    frames = capture(camera, 3, folder, timeout_s=2.0)
    next(frames).unlink()
    folder.rmdir()
    with pytest.raises(OutputError, match="Cannot write") as caught:
        next(frames)
    assert caught.value.exit_code == ExitCode.OUTPUT_UNUSABLE
    assert grab(camera, 2.0).shape == (HEIGHT, WIDTH)


def test_folder_that_cannot_be_made_is_said_at_once(camera, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputError, match="Cannot make the folder"):
        capture(camera, 1, tmp_path / "file" / "out", timeout_s=2.0)


def test_series_of_nothing_is_a_mistake_of_the_caller(camera, tmp_path):
    with pytest.raises(ValueError, match="at least 1"):
        capture(camera, 0, tmp_path, timeout_s=2.0)
