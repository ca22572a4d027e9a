"""What is said once per batch about calibration and flat field, by function and by main.py."""

import dataclasses
import json
import os
from datetime import UTC, datetime
from pathlib import Path

import cv2
import numpy as np
import pytest
from config_trees import changed
from config_trees import write as write_config
from faces import clean_png, shipped_config, write
from main_runs import KNOWN, images

import main
from calibration import Calibration, parse_calibration
from cli.calibration_checks import batch_warnings, calibration_warnings, flat_field_warnings
from cli.job_settings import choose_settings
from cli.run_info import settings_hash
from errors import ExitCode
from settings import Config

NOW = datetime(2026, 5, 10, 12, 0, tzinfo=UTC)
LEVELS = np.broadcast_to(np.linspace(220.0, 120.0, 160), (120, 160)).astype(np.uint8)
USELESS = {
    "black": (np.zeros((120, 160), np.uint8), "mostly black"),
    "overexposed": (np.full((120, 160), 255, np.uint8), "overexposed"),
    "striped": (LEVELS // (1 + (np.arange(160) // 20 % 2).astype(np.uint8)), "marks of its own"),
}


def config(**calibration) -> Config:
    shipped = shipped_config()
    return dataclasses.replace(shipped, calibration=dataclasses.replace(shipped.calibration, **calibration))


def with_field(path: Path, max_age_days: float = 90) -> Config:
    shipped = shipped_config()
    preprocessing = dataclasses.replace(
        shipped.preprocessing, flat_field_image=str(path), flat_field_max_age_days=max_age_days
    )
    return dataclasses.replace(shipped, preprocessing=preprocessing)


def field_file(folder: Path, levels: np.ndarray = LEVELS, age_days: float = 0) -> Path:
    path = write(folder / "field.png", cv2.imencode(".png", levels)[1].tobytes())
    changed_s = NOW.timestamp() - 86400 * age_days
    os.utime(path, (changed_s, changed_s))
    return path


def dated(date: str, **fields: object) -> Calibration:
    return Calibration(0.5, 0.5, 0.5, date=date, **fields)


# --- calibration ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("date", "words"),
    [
        ("2026-05-10T11:59:00+00:00", None),
        ("2026-02-09T12:00:00+00:00", None),  # 90 days
        ("2026-02-08T12:00:00+00:00", "91 days old (2026-02-08), the limit is 90"),
        ("2026-05-11T11:00:00+00:00", None),  # a clock that is a little ahead
        ("2026-05-11T13:00:00+00:00", "in the future"),
        ("2026-05-12", "in the future"),
        ("2025-05-10T12:00:00+00:00", "365 days old"),
        ("", "holds no date"),
        ("last spring", "'last spring'"),
        ("0001-01-01T00:00:00+14:00", "calibrate again"),
    ],
)
def test_age_of_the_calibration(date, words):
    warnings = calibration_warnings(dated(date), config(), NOW)
    assert len(warnings) == (words is not None)
    assert not warnings or words in warnings[0]
    assert calibration_warnings(dated(date), config(max_age_days=0), NOW) == []


def test_a_date_that_is_null_is_none():
    found = parse_calibration('{"um_per_px": 0.5, "date": null}', source="calibration.json")
    assert "holds no date" in calibration_warnings(found, config(), NOW)[0]


@pytest.mark.parametrize(
    ("configured", "recorded", "warned"),
    [("1234", "5678", True), ("1234", "1234", False), (None, "5678", False), ("1234", "", False)],
)
def test_a_calibration_of_another_camera(configured, recorded, warned):
    shipped = shipped_config()
    chosen = dataclasses.replace(shipped, camera=dataclasses.replace(shipped.camera, serial=configured))
    warnings = calibration_warnings(dated("2026-05-01", camera_serial=recorded), chosen, NOW)
    assert bool(warnings) is warned
    assert not warned or ("1234" in warnings[0] and "5678" in warnings[0])


def test_without_a_calibration_there_is_nothing_to_say():
    assert calibration_warnings(None, config(), NOW) == []
    assert batch_warnings(choose_settings(config(), None), NOW) == []


# --- flat field ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("age_days", "limit", "warned"), [(89, 90, False), (91, 90, True), (400, 0, False)])
def test_age_of_the_flat_field(tmp_path, age_days, limit, warned):
    warnings = flat_field_warnings(with_field(field_file(tmp_path, age_days=age_days), limit), NOW)
    assert len(warnings) == warned
    assert not warned or ("field.png" in warnings[0] and "91 days" in warnings[0])


@pytest.mark.parametrize(("levels", "words"), USELESS.values(), ids=USELESS.keys())
def test_a_useless_flat_field_is_not_used_whatever_its_age(tmp_path, levels, words):
    (warning,) = flat_field_warnings(with_field(field_file(tmp_path, levels, age_days=400)), NOW)
    assert words in warning and "not used" in warning


def test_a_flat_field_that_cannot_be_read_is_not_used(tmp_path):
    (warning,) = flat_field_warnings(with_field(write(tmp_path / "field.png", b"no image")), NOW)
    assert "not an image" in warning and "not used" in warning


# --- what makes results incomparable -------------------------------------------------------------------------------


def test_results_depend_on_scale_image_size_and_the_content_of_the_flat_field(tmp_path):
    chosen = with_field(field_file(tmp_path))

    def of(calibration: Calibration) -> str:
        return settings_hash(choose_settings(chosen, calibration))

    before = of(dated("2026-05-01"))
    assert before == of(dated("2026-05-02", note="another day"))
    assert before != of(Calibration(0.5, 0.5, 0.51))
    assert before != of(dated("2026-05-01", image_size_px=(640, 480)))
    field_file(tmp_path, np.ascontiguousarray(LEVELS[:, ::-1]))
    assert before != of(dated("2026-05-01"))


# --- main.py -------------------------------------------------------------------------------------------------------


def old_batch(tmp_path: Path) -> list[str]:
    """Options with an old calibration of another camera and a black flat field."""
    field_file(tmp_path, USELESS["black"][0])
    path = write_config(
        tmp_path, changed((("camera", "serial"), "1234"), (("preprocessing", "flat_field_image"), "field.png"))
    )
    data = {"um_per_px": 0.7, "date": "2020-01-31", "image_size_px": [800, 600], "camera": {"serial": "5678"}}
    scale = write(tmp_path / "scale.json", json.dumps(data).encode())
    return ["-c", str(path), "--calibration", str(scale)]


def test_a_batch_warns_once_and_run_json_keeps_it(by_name, tmp_path, capsys):
    images("pass1.png", "pass2.png", "pass3.png")
    assert main.main(["in", "-o", "out", *KNOWN, *old_batch(tmp_path)]) == ExitCode.OK
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3 and all(line.startswith("Warning: ") for line in lines)
    for words, line in zip(("(2020-01-31)", "1234", "mostly black"), lines, strict=True):
        assert words in line
    assert json.loads(Path("out/run.json").read_text(encoding="utf-8"))["warnings"] == [
        line.removeprefix("Warning: ") for line in lines
    ]
    log = next(Path("out").glob("inspection_*.log")).read_text(encoding="utf-8")
    assert log.count("(2020-01-31)") == 1


@pytest.mark.usefixtures("isolated")
def test_check_config_says_it_too(tmp_path, capsys):
    assert main.main(["--check-config", *old_batch(tmp_path)]) == ExitCode.OK
    captured = capsys.readouterr()
    assert "calibrate again" in captured.err and "not used" in captured.err and "OK" in captured.out


@pytest.mark.usefixtures("isolated")
def test_an_image_of_another_size_is_a_warning_in_the_summary(tmp_path):
    write(tmp_path / "in" / "clean.png", clean_png())
    assert main.main(["in", "-o", "out", "--zones", "core", *old_batch(tmp_path), "-q"]) == ExitCode.OK
    summary = Path("out/summary_report.csv").read_text(encoding="utf-8")
    assert "images of 800x600 px, this one has 400x300 (0.5 times the size" in summary
    log = next(Path("out").glob("inspection_*.log")).read_text(encoding="utf-8")
    assert "clean.png: calibration.json belongs to images" in log
