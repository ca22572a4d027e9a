"""`python calibration.py` on pictures, dot lists and the emulated camera: what it writes, prints and refuses."""

from __future__ import annotations

import contextlib
import csv
import json
from pathlib import Path

import camera_emulator as emulator
import cv2
import numpy as np
import pytest

import calibration
import camera
from camera import open_camera
from errors import ExitCode
from image_io import read_image, write_png
from metrology.files import HISTORY_COLUMNS, MARK_COLUMNS
from rendering.targets import render_dot_grid, render_ruler

ROOT = Path(calibration.__file__).parent
GRID, TRUTH = render_dot_grid(size=(480, 360), spacing_px=21.3, rotation_deg=9.0, noise_grey=2.0, seed=3)


@pytest.fixture
def grid_png(tmp_path) -> Path:
    write_png(tmp_path / "target.png", GRID)
    return tmp_path / "target.png"


def run(tmp_path: Path, *arguments: object) -> int:
    return calibration.main([*map(str, arguments), "-o", str(tmp_path / "calibration.json"), "--operator", "Ada"])


def content(tmp_path: Path) -> dict:
    return json.loads((tmp_path / "calibration.json").read_text(encoding="utf-8"))


@pytest.mark.soak
def test_a_picture_of_a_dot_grid(tmp_path, grid_png, capsys):
    assert run(tmp_path, "--image", grid_png, "--report", tmp_path / "report.png", "--note", "20x") == ExitCode.OK
    found = content(tmp_path)
    assert found["um_per_px"] == pytest.approx(TRUTH.um_per_px, rel=1e-3)
    assert abs(found["um_per_px"] - TRUTH.um_per_px) < 4 * found["uncertainty_um_per_px"]
    assert (found["image_size_px"], found["source"], found["note"]) == ([480, 360], "target.png", "20x")
    assert f"{found['um_per_px']:.6g} +-" in capsys.readouterr().out
    assert calibration.load_calibration(tmp_path / "calibration.json").um_per_px == found["um_per_px"]
    with (tmp_path / "calibration_dots.csv").open(encoding="utf-8") as file:
        rows = list(csv.reader(file))
    assert tuple(rows[0]) == MARK_COLUMNS and len(rows) == found["marks_used"] + 1
    assert read_image(tmp_path / "report.png").grey.shape > (400, 800)


def test_a_line_ruler_says_that_it_sees_one_direction(tmp_path, capsys):
    picture, truth = render_ruler(size=(480, 360), spacing_px=17.0, rotation_deg=31.0)
    write_png(tmp_path / "ruler.png", picture)
    assert run(tmp_path, "--image", tmp_path / "ruler.png", "--target", "ruler") == ExitCode.OK
    assert content(tmp_path)["um_per_px"] == pytest.approx(truth.um_per_px, rel=1e-3)
    assert "one direction" in capsys.readouterr().err


def test_the_spacing_of_the_target_sets_the_scale(tmp_path, grid_png):
    run(tmp_path, "--image", grid_png, "--dot-spacing-um", "50")
    assert content(tmp_path)["um_per_px"] == pytest.approx(5 * TRUTH.um_per_px, rel=1e-3)


@pytest.mark.parametrize("header", ["x,y\n", "Column,Row,X_px,Y_px\n", ""])
def test_a_dot_list_from_elsewhere(tmp_path, grid_png, header):
    run(tmp_path, "--image", grid_png)
    first = content(tmp_path)
    with (tmp_path / "calibration_dots.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    lead = "0,0," if "Column" in header else ""
    lines = "".join(f"{lead}{row['X_px']},{row['Y_px']}\n" for row in rows)
    (tmp_path / "dots.csv").write_text(header + lines, encoding="utf-8")
    assert run(tmp_path, "--from-csv", tmp_path / "dots.csv") == ExitCode.OK
    again = content(tmp_path)
    assert again["um_per_px"] == pytest.approx(first["um_per_px"], rel=1e-3)
    assert again["image_size_px"] is None and again["previous"]["date"] == first["date"]


@pytest.mark.parametrize("text", ["", "x\n1\n2\n", "x,y\n1,2\nthree,4\n", "x,y\n" + "1,2\n3,4\n"])
def test_a_useless_dot_list_is_one_sentence(tmp_path, capsys, text):
    (tmp_path / "dots.csv").write_text(text, encoding="utf-8")
    assert run(tmp_path, "--from-csv", tmp_path / "dots.csv") == ExitCode.INVALID_INPUT
    assert len(capsys.readouterr().err.strip().splitlines()) == 1
    assert not (tmp_path / "calibration.json").exists()


def test_the_history_gets_one_line_per_calibration(tmp_path, grid_png):
    run(tmp_path, "--image", grid_png)
    run(tmp_path, "--distance-um", "100", "--distance-px", "400", "--note", "by hand, twice")
    run(tmp_path, "--image", ROOT / "samples" / "clean.png")
    with (tmp_path / "calibration_history.csv").open(encoding="utf-8") as file:
        rows = list(csv.reader(file))
    assert tuple(rows[0]) == HISTORY_COLUMNS and len(rows) == 3
    assert rows[1][HISTORY_COLUMNS.index("Operator")] == "Ada"
    assert rows[2][HISTORY_COLUMNS.index("Note")] == "by hand, twice"


BAD = {
    "fibre": lambda: read_image(ROOT / "samples" / "clean.png").grey,
    "blank": lambda: np.full((300, 400), 120, np.uint8),
    "few dots": lambda: render_dot_grid(size=(120, 90), spacing_px=40.0)[0],
    "blurred": lambda: cv2.GaussianBlur(GRID, (0, 0), 9),
}


@pytest.mark.parametrize("picture", BAD.values(), ids=BAD)
def test_a_failed_run_leaves_everything_as_it_was(tmp_path, capsys, picture):
    run(tmp_path, "--distance-um", "1", "--distance-px", "2")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    write_png(tmp_path / "bad.png", picture())
    capsys.readouterr()
    assert run(tmp_path, "--image", tmp_path / "bad.png", "--report", tmp_path / "r.png") == ExitCode.INVALID_INPUT
    assert len(capsys.readouterr().err.strip().splitlines()) == 1
    (tmp_path / "bad.png").unlink()
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.soak
@pytest.mark.parametrize("blocked", ["report.png", "calibration_history.csv", "calibration_dots.csv"])
def test_what_cannot_be_written_leaves_everything_as_it_was(tmp_path, grid_png, capsys, blocked):
    (tmp_path / blocked).mkdir()
    before = sorted(path.name for path in tmp_path.iterdir())
    assert run(tmp_path, "--image", grid_png, "--report", tmp_path / "report.png") == ExitCode.OUTPUT_UNUSABLE
    assert len(capsys.readouterr().err.strip().splitlines()) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == before


@pytest.mark.parametrize("option", ["-o", "--report"])
def test_an_input_is_never_overwritten(tmp_path, grid_png, option):
    before = grid_png.read_bytes()
    code = calibration.main(["--image", str(grid_png), "-o", str(tmp_path / "c.json"), option, str(grid_png)])
    assert code == ExitCode.INVALID_INPUT
    assert grid_png.read_bytes() == before and not (tmp_path / "c.json").exists()


@pytest.mark.soak
@pytest.mark.parametrize("name", ["a$_$.png", "Prüfling 目标.png"])
def test_any_file_name_can_head_the_report(tmp_path, grid_png, name):
    picture = grid_png.rename(tmp_path / name)
    assert run(tmp_path, "--image", picture, "--report", tmp_path / "report.png") == ExitCode.OK
    assert content(tmp_path)["source"] == name


def test_a_history_without_a_last_line_end_is_continued_on_a_new_line(tmp_path):
    (tmp_path / "calibration_history.csv").write_text("Date,Um_Per_Px", encoding="utf-8")
    run(tmp_path, "--distance-um", "1", "--distance-px", "2")
    assert len((tmp_path / "calibration_history.csv").read_text(encoding="utf-8").splitlines()) == 2


def test_a_dot_list_with_decimal_commas(tmp_path):
    u, v = np.meshgrid(np.arange(8), np.arange(6))
    lines = [
        f"{20.5 + 10.25 * a};{30.0 + 10.25 * b}".replace(".", ",") for a, b in zip(u.ravel(), v.ravel(), strict=True)
    ]
    (tmp_path / "dots.csv").write_text("X;Y\n" + "\n".join(lines), encoding="utf-8")
    assert run(tmp_path, "--from-csv", tmp_path / "dots.csv") == ExitCode.OK
    assert content(tmp_path)["um_per_px"] == pytest.approx(10 / 10.25, rel=1e-6)


def test_an_unreadable_picture(tmp_path, capsys):
    (tmp_path / "text.png").write_text("no picture")
    assert run(tmp_path, "--image", tmp_path / "text.png") == ExitCode.IMAGES_FAILED
    assert len(capsys.readouterr().err.strip().splitlines()) == 1


# --- the camera ----------------------------------------------------------------------------------------------------


@pytest.fixture
def sees(monkeypatch, tmp_path):
    """Let the emulated camera that the script opens see a picture."""

    def look_at(picture: np.ndarray, before=lambda device: None) -> None:
        @contextlib.contextmanager
        def opened(settings):
            with open_camera(settings) as device:
                emulator.show(device, tmp_path / "seen.png", picture)
                before(device)
                yield device

        monkeypatch.setattr(camera, "open_camera", opened)

    return look_at


def test_the_scale_of_a_target_seen_by_the_camera(tmp_path, sees):
    sees(GRID)
    assert run(tmp_path, "--save-image", tmp_path / "kept.png", "--average", "2") == ExitCode.OK
    found = content(tmp_path)
    assert found["um_per_px"] == pytest.approx(TRUTH.um_per_px, rel=1e-3)
    assert found["camera"]["serial"] == emulator.SERIALS[0] and found["image_size_px"] == [480, 360]
    assert np.array_equal(read_image(tmp_path / "kept.png").grey, GRID)
    history = (tmp_path / "calibration_history.csv").read_text(encoding="utf-8")
    assert emulator.SERIALS[0] in history


def test_failed_frames_are_taken_again_and_then_given_up(tmp_path, sees, capsys):
    sees(GRID, before=lambda device: emulator.fail_next(device, 1))
    assert run(tmp_path) == ExitCode.OK
    sees(GRID, before=lambda device: emulator.fail_next(device, 20))
    before = (tmp_path / "calibration.json").read_bytes()
    capsys.readouterr()
    assert run(tmp_path) == ExitCode.MISSING_DEPENDENCY
    *tries, end = capsys.readouterr().err.strip().splitlines()
    assert len(tries) == 4 and end.startswith("calibration.py: ")
    assert (tmp_path / "calibration.json").read_bytes() == before


def test_a_test_picture_is_no_target(tmp_path, capsys):
    assert run(tmp_path) == ExitCode.MISSING_DEPENDENCY
    assert "test picture" in capsys.readouterr().err
    assert not (tmp_path / "calibration.json").exists()


def test_frames_for_inspection(tmp_path, sees, capsys):
    sees(GRID)
    assert run(tmp_path, "--capture", 2, tmp_path / "frames", "--label", "box 7") == ExitCode.OK
    paths = [Path(line) for line in capsys.readouterr().out.splitlines()]
    assert len(paths) == 2 and all("box_7" in path.name for path in paths)
    assert all(np.array_equal(read_image(path).grey, GRID) for path in paths)


# --- the flat field ------------------------------------------------------------------------------------------------


def vignette(level: float = 200.0) -> np.ndarray:
    rows, cols = np.indices((240, 320))
    falloff = 1 - 0.4 * ((rows - 120) ** 2 + (cols - 160) ** 2) / (120**2 + 160**2)
    return (level * falloff + np.random.default_rng(0).normal(0, 2, falloff.shape)).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("source", ["file", "camera"])
def test_a_flat_field_is_smoothed_and_stored(tmp_path, sees, capsys, source):
    write_png(tmp_path / "blank.png", vignette())
    sees(vignette())
    given = [tmp_path / "blank.png"] if source == "file" else []
    assert run(tmp_path, "--flat-field", *given) == ExitCode.OK
    stored = read_image(tmp_path / "flat_field.png").grey.astype(float)
    assert np.abs(stored - vignette()).mean() < 2.5 and np.abs(np.diff(stored, axis=1)).max() <= 2
    assert "flat_field_image" in capsys.readouterr().out


@pytest.mark.parametrize(
    "picture",
    [np.full((240, 320), 255, np.uint8), np.full((240, 320), 9, np.uint8), GRID],
    ids=["white", "dark", "dots"],
)
def test_what_is_not_blank_is_no_flat_field(tmp_path, capsys, picture):
    write_png(tmp_path / "blank.png", picture)
    assert run(tmp_path, "--flat-field", tmp_path / "blank.png") == ExitCode.INVALID_INPUT
    assert len(capsys.readouterr().err.strip().splitlines()) == 1
    assert not (tmp_path / "flat_field.png").exists()
