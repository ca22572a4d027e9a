"""The guided calibration: it measures, writes and uses what calibration.py would."""

from __future__ import annotations

import dataclasses
import json

import faces
import pytest
import station_fakes as fakes
from main_runs import ROOT, until

import calibration
from image_io import write_png
from metrology.files import HISTORY_COLUMNS
from rendering.targets import render_dot_grid
from station.calibrating import CalibrationGuide
from station.setup import Given

pytestmark = pytest.mark.usefixtures("isolated")
GRID, TRUTH = render_dot_grid(size=(480, 360), spacing_px=21.3, rotation_deg=9.0, noise_grey=2.0, seed=3)


@pytest.fixture
def given(tmp_path):
    """A calibration of its own, which is there from the beginning."""
    path = tmp_path / "calibration.json"
    path.write_text('{"um_per_px": 0.9, "date": "2026-01-02T03:04:05+00:00"}', encoding="utf-8")
    return Given(ROOT / "config.json", path)


def measured(session) -> CalibrationGuide:
    guide = CalibrationGuide(session)
    guide.measure(10.0)
    until(lambda: guide.poll() or not guide.is_busy)
    guide.close()
    return guide


def test_the_scale_is_that_of_calibration_py_and_in_force_at_once(tmp_path, given):
    with fakes.running(tmp_path / "out", fakes.FakeCamera(GRID), given=given, operator="Ada") as session:
        guide, before = measured(session), session.setup
        assert guide.measured.found.um_per_px == pytest.approx(TRUTH.um_per_px, rel=1e-3)
        assert session.setup is before  # nothing is in force before somebody has looked at it
        assert guide.put_in_force() and "It was 0.9 before" in guide.message.text
        assert session.setup.calibration.um_per_px == pytest.approx(TRUTH.um_per_px, rel=1e-3)
        assert session.live.settings is session.setup.settings
    write_png(tmp_path / "target.png", GRID)
    arguments = ["--image", str(tmp_path / "target.png"), "-o", str(tmp_path / "script.json"), "--operator", "Ada"]
    assert calibration.main([*arguments, "-q"]) == 0
    live, script = (json.loads((tmp_path / f"{name}.json").read_text()) for name in ("calibration", "script"))
    for content in (live, script):
        for name in ("date", "source", "previous"):
            content.pop(name, None)
    assert live == script
    history = (tmp_path / "calibration_history.csv").read_text(encoding="utf-8").splitlines()
    assert history[0] == ",".join(HISTORY_COLUMNS) and len(history) == 3


def test_what_is_no_target_is_refused_in_words(tmp_path, given):
    before = given.calibration.read_bytes()
    with fakes.running(tmp_path / "out", given=given) as session:
        guide = measured(session)
        assert guide.measured is None and guide.message.is_warning and guide.message.text.count(".") >= 2
        assert not guide.put_in_force()
    assert given.calibration.read_bytes() == before


def test_a_calibration_that_cannot_be_written_is_said(tmp_path, given):
    with fakes.running(tmp_path / "out", fakes.FakeCamera(GRID), given=given) as session:
        guide = measured(session)
        session.given = dataclasses.replace(given, calibration=tmp_path / "no folder" / "calibration.json")
        assert not guide.put_in_force()
        assert guide.message.is_warning and "There is no folder" in guide.message.text
        assert guide.measured is not None  # it can be tried again


def test_another_calibration_is_another_setting(tmp_path, given):
    with fakes.running(tmp_path / "out", fakes.FakeCamera(GRID), given=given) as session:
        first = session.folder
        measured(session).put_in_force()
        session.live._source.picture = faces.clean_grey()
        until(lambda: session.live.view.sight.fiber is not None)
        fakes.saved(session)
        assert session.folder == first == session.folders[0]  # nothing was saved with the old one
        assert session.saved[0].scale.source == "calibration.json"
