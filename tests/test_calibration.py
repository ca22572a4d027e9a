import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import calibration
from calibration import load_calibration, parse_calibration
from errors import CalibrationError, ExitCode

ROOT = Path(calibration.__file__).parent


def write_calibration(path: Path, *, distance_um: float, distance_px: float, note: str = "") -> int:
    """Calibrate by a distance; returns the exit code."""
    sizes = ["--distance-um", str(distance_um), "--distance-px", str(distance_px)]
    return calibration.main([*sizes, "--note", note, "-o", str(path)])


def test_the_documented_example_is_valid():
    example = load_calibration(ROOT / "calibration.example.json")
    assert example.um_per_px == pytest.approx(500.0 / 1004.5, rel=1e-12)
    assert example.um_per_px_x == example.um_per_px_y == example.um_per_px
    assert example.image_size_px == (1152, 864)


def test_what_is_written_is_what_is_read(tmp_path):
    path = tmp_path / "calibration.json"
    write_calibration(path, distance_um=250.0, distance_px=1000.0, note="Objektiv für 20x")
    found = load_calibration(path)
    assert found.um_per_px == 0.25
    assert found.note == "Objektiv für 20x" and found.date.startswith("20")


@given(st.floats(1e-3, 1e6), st.floats(1e-3, 1e6))
@settings(max_examples=30, deadline=None)
def test_doubling_the_distance_doubles_the_scale(distance_um, distance_px):
    text = json.dumps({"um_per_px": distance_um / distance_px})
    twice = json.dumps({"um_per_px": 2 * distance_um / distance_px})
    assert parse_calibration(twice, source="b").um_per_px == 2 * parse_calibration(text, source="a").um_per_px


def test_a_new_calibration_keeps_the_values_before(tmp_path):
    path = tmp_path / "calibration.json"
    for distance_px in (100.0, 200.0, 400.0):
        write_calibration(path, distance_um=100.0, distance_px=distance_px)
    data = json.loads(path.read_text(encoding="utf-8"))
    assert data["um_per_px"] == 0.25 and data["previous"]["um_per_px"] == 0.5
    assert "previous" not in data["previous"]


@pytest.mark.parametrize(
    ("distance_um", "distance_px"), [(0.0, 9.0), (9.0, 0.0), (-3.0, 9.0), (float("nan"), 1.0), (1e-300, 1e300)]
)
def test_an_invalid_scale_leaves_the_old_file_alone(tmp_path, distance_um, distance_px):
    path = tmp_path / "calibration.json"
    write_calibration(path, distance_um=1.0, distance_px=2.0)
    before = path.read_bytes()
    assert write_calibration(path, distance_um=distance_um, distance_px=distance_px) == ExitCode.INVALID_INPUT
    assert path.read_bytes() == before


BAD = {
    "zero": '{"um_per_px": 0}',
    "negative": '{"um_per_px": -0.5}',
    "not a number": '{"um_per_px": NaN}',
    "infinite": '{"um_per_px": Infinity}',
    "more digits than Python reads": '{"um_per_px": ' + "1" * 5000 + "}",
    "nested deeply": '{"um_per_px": ' + "[" * 960 + "]" * 960 + "}",
    "a side without end": '{"um_per_px": 1, "image_size_px": [128, ' + "1" * 400 + "]}",
    "overflow": '{"um_per_px": 1e999}',
    "text": '{"um_per_px": "0.5"}',
    "boolean": '{"um_per_px": true}',
    "null": '{"um_per_px": null}',
    "list": '{"um_per_px": [0.5]}',
    "missing": '{"date": "2025-01-01"}',
    "other key": '{"um_per_pixel": 0.5}',
    "axes apart": '{"um_per_px": 1, "um_per_px_x": 0.1, "um_per_px_y": 10}',
    "mean changed by hand": '{"um_per_px": 0.5, "um_per_px_x": 0.4, "um_per_px_y": 0.4}',
    "bad axis": '{"um_per_px": 0.5, "um_per_px_x": -1}',
    "bad size": '{"um_per_px": 0.5, "image_size_px": [640]}',
    "huge": '{"um_per_px": 1' + 400 * "0" + "}",
    "negative uncertainty": '{"um_per_px": 0.5, "uncertainty_um_per_px": -0.1}',
    "textual uncertainty": '{"um_per_px": 0.5, "uncertainty_um_per_px": "small"}',
    "camera as text": '{"um_per_px": 0.5, "camera": "acA1920"}',
    "serial as number": '{"um_per_px": 0.5, "camera": {"serial": 1234}}',
    "shear of 90 degrees": '{"um_per_px": 0.5, "shear_deg": 90}',
    "no shear": '{"um_per_px": 0.5, "shear_deg": NaN}',
    "no object": "[1, 2]",
    "empty": "",
    "syntax": '{"um_per_px": 0.5,}',
    "binary": "\x00\x01",
}


@pytest.mark.parametrize("text", BAD.values(), ids=BAD.keys())
def test_a_broken_file_is_one_sentence_with_a_remedy(tmp_path, text):
    path = tmp_path / "calibration.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(CalibrationError) as caught:
        load_calibration(path, required=False)
    assert caught.value.exit_code == ExitCode.INVALID_INPUT
    assert str(path) in caught.value.message and caught.value.message.count("\n") == 0
    assert "calibration.py" in caught.value.remedy


def test_camera_uncertainty_and_shear_are_read_and_may_be_absent():
    camera = {"model": "acA1920-40gm", "serial": "21234567"}
    data = {"um_per_px": 0.5, "uncertainty_um_per_px": 0.001, "camera": camera, "shear_deg": -0.2}
    found = parse_calibration(json.dumps(data), source="calibration.json")
    assert (found.camera_model, found.camera_serial) == ("acA1920-40gm", "21234567")
    assert (found.uncertainty_um_per_px, found.shear_deg) == (0.001, -0.2)
    for absent in ({}, {"camera": None, "uncertainty_um_per_px": None, "shear_deg": None}, {"camera": {"model": None}}):
        old = parse_calibration(json.dumps({"um_per_px": 0.5, **absent}), source="calibration.json")
        assert (old.camera_model, old.camera_serial, old.uncertainty_um_per_px, old.shear_deg) == ("", "", None, 0.0)


def test_a_misspelt_key_is_named(tmp_path):
    with pytest.raises(CalibrationError, match="um_per_pixel"):
        parse_calibration(BAD["other key"], source="calibration.json")


def test_a_file_that_is_not_utf8(tmp_path):
    path = tmp_path / "calibration.json"
    path.write_bytes(b"\xff\xfe\xfa{}")
    with pytest.raises(CalibrationError, match="not a text file"):
        load_calibration(path)


def test_only_a_file_that_was_asked_for_must_exist(tmp_path):
    assert load_calibration(tmp_path / "none.json", required=False) is None
    with pytest.raises(CalibrationError, match="does not exist"):
        load_calibration(tmp_path / "none.json")


def test_below_a_file_nothing_can_be_written(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    code = write_calibration(tmp_path / "file" / "calibration.json", distance_um=1.0, distance_px=2.0)
    assert code == ExitCode.OUTPUT_UNUSABLE


@pytest.mark.parametrize("name", [".", "folder"])
def test_a_folder_is_no_file(tmp_path, monkeypatch, capsys, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    arguments = ["--distance-um", "500", "--distance-px", "1000", "-o", name]
    assert calibration.main(arguments) == ExitCode.OUTPUT_UNUSABLE
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert [path.name for path in tmp_path.rglob("*")] == ["folder"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["--distance-um", "100"],
        ["--distance-px", "100"],
        ["--image", "a.png", "--check"],
        ["--image", "a.png", "--exposure", "auto"],
        ["--image", "a.png", "--save-user-set"],
        ["--exposure", "bright"],
        ["--capture", "none", "folder"],
        ["--dot-spacing-um", "0"],
        ["--target", "circles"],
        ["--distance-um", "100", "--distance-px", "0"],
        ["--distance-um", "-1", "--distance-px", "10"],
        ["--distance-um", "far", "--distance-px", "10"],
        ["--distance-um", "nan", "--distance-px", "10"],
        ["--check", "--distance-um", "100", "--distance-px", "10"],
        ["--unknown"],
        ["picture.png"],
    ],
)
def test_misuse_of_the_script_is_one_line(tmp_path, capsys, arguments):
    path = tmp_path / "calibration.json"
    assert calibration.main([*arguments, "-o", str(path)]) == ExitCode.INVALID_INPUT
    assert len(capsys.readouterr().err.strip().splitlines()) == 1
    assert not path.exists()


@pytest.mark.soak
def test_the_script_writes_and_checks(tmp_path):
    path = tmp_path / "calibration.json"
    script = [sys.executable, str(ROOT / "calibration.py"), "-o", str(path)]
    written = subprocess.run([*script, "--distance-um", "100", "--distance-px", "400"], capture_output=True, text=True)
    checked = subprocess.run([*script, "--check"], capture_output=True, text=True)
    assert (written.returncode, checked.returncode) == (0, 0)
    assert "0.25 um per pixel" in checked.stdout and checked.stderr == ""
