"""A session at the station: what a capture becomes, which serial number it gets, what a crash leaves."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import faces
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from main_runs import KNOWN, ROOT, finished, read_records, until
from station_fakes import GIVEN, FakeCamera, captured, fake_inspection, running, saved, wait_for

import batch
import main
from cli import report
from configuration.name_pattern import serial_and_port
from errors import ExitCode, OutputError
from records import FAIL, PASS
from station import capture as captures
from station.session import Phase

pytestmark = pytest.mark.usefixtures("isolated")
CLOCKS = {"processing_time_s": 0.0, "timings_s": {}, "inspected_at": "", "image_path": ""}


@pytest.fixture
def quick(monkeypatch):
    """Captures are inspected in no time."""
    monkeypatch.setattr(batch, "inspect_bytes", fake_inspection())


def results(folder="out"):
    return read_records(Path(folder) / "results.jsonl")


# --- the same as main.py ---------------------------------------------------------------------------------------------


def test_a_capture_has_the_record_that_main_gives_its_file():
    with running(Path("out"), operator="Ada") as session:
        session.scan("12345_P03")
        saved(session)
    assert main.main(["out/captures", "-o", "again", *KNOWN, "--operator", "Ada"]) == ExitCode.OK
    (live,), (batched,) = results(), results("again")
    assert replace(live, **CLOCKS) == replace(batched, **CLOCKS)
    assert (live.serial_number, live.port, live.provenance.operator) == ("12345", "03", "Ada")
    run = json.loads(Path("out/run.json").read_text(encoding="utf-8"))
    assert run["counts"] == {"images": 1, "PASS": 1} and run["settings_sha256"] == live.settings_sha256
    for folder in ("out", "again"):
        assert Path(folder, "report.html").exists() and Path(folder, "summary_report.csv").exists()
    names = [{path.name for path in Path(folder, "details").iterdir()} for folder in ("out", "again")]
    assert names[0] == names[1]


def test_16_bits_are_kept_and_inspected_as_from_the_file():
    picture = faces.clean_grey().astype("uint16") * 13 + 7
    with running(Path("out"), FakeCamera(picture)) as session:
        session.live.view.sight.frame.setflags(write=False)
        saved(session)
    assert main.main(["out/captures", "-o", "again", *KNOWN]) == ExitCode.OK
    (live,), (batched,) = results(), results("again")
    assert replace(live, **CLOCKS) == replace(batched, **CLOCKS)


def test_resume_finds_nothing_to_do():
    with running(Path("out")) as session:
        saved(session)
    before = Path("out/results.jsonl").read_bytes()
    assert main.main(["out/captures", "-o", "out", "--resume", *KNOWN]) == ExitCode.OK
    assert Path("out/results.jsonl").read_bytes() == before


# --- what becomes of a capture ---------------------------------------------------------------------------------------


@pytest.mark.usefixtures("quick")
def test_again_keeps_nothing_and_the_serial_number():
    with running(Path("out")) as session:
        session.scan("4711")
        captured(session)
        session.again()
        assert (session.phase, session.serial, session.saved) == (Phase.LIVE, "4711", [])
    assert not Path("out").exists()


@pytest.mark.usefixtures("quick")
def test_next_saves_and_waits_for_another_part():
    with running(Path("out")) as session:
        session.scan("4711")
        captured(session)
        session.next()
        wait_for(session, Phase.LIVE)
        assert session.serial == "" and [record.serial_number for record in session.saved] == ["4711"]
    assert [record.image_filename for record in results()] == [session.saved[0].image_filename]


@pytest.mark.usefixtures("quick")
def test_a_second_capture_waits_for_the_fate_of_the_first():
    with running(Path("out")) as session:
        captured(session)
        shown = session.inspected
        session.capture()
        assert session.inspected is shown and session.message.is_warning
        assert "save this result" in session.message.text


@pytest.mark.usefixtures("quick")
def test_what_cannot_be_saved_is_not_lost(monkeypatch):
    def refuse(*args, **kwargs):
        raise OutputError("Cannot write a.png: No space left on device.", "Make room.")

    with running(Path("out")) as session:
        captured(session)
        with monkeypatch.context() as context:
            context.setattr(batch, "write_inspection", refuse)
            session.next()
            wait_for(session, Phase.RESULT)
        assert session.message.is_warning and "No space left" in session.message.text
        session.save()
        wait_for(session, Phase.SAVED)
    assert len(results()) == 1


@pytest.mark.usefixtures("quick")
def test_no_picture_stays_of_what_could_not_be_saved(monkeypatch):
    def refuse(*args, **kwargs):
        raise OutputError("Cannot write a.png: No space left on device.", "Make room.")

    monkeypatch.setattr(batch, "write_inspection", refuse)
    with running(Path("out")) as session:
        captured(session)
        session.save()
        wait_for(session, Phase.RESULT)
        session.again()
    assert not [*Path("out/captures").iterdir()] and results() == []


def test_reports_that_fail_do_not_cost_the_next_capture(monkeypatch):
    released = threading.Event()
    monkeypatch.setattr(batch, "inspect_bytes", fake_inspection(wait=released))
    monkeypatch.setattr("station.session._IDLE_S", 0.0)
    with running(Path("out")) as session:
        released.set()
        saved(session)
        released.clear()
        with monkeypatch.context() as context:
            context.setattr("station.output.write_reports", broken_reports)
            session.next()
            session.poll()
            session.capture()
            until(lambda: session.poll() or "no room" in session.message.text)
        assert session.phase is Phase.INSPECTING and session.message.is_warning
        released.set()
        wait_for(session, Phase.RESULT)


def broken_reports(*args, **kwargs):
    raise OutputError("There is no room.", "Make some.")


def test_reports_are_brought_up_to_date_when_nobody_works(monkeypatch):
    monkeypatch.setattr(batch, "inspect_bytes", fake_inspection())
    monkeypatch.setattr("station.session._IDLE_S", 0.0)
    with running(Path("out")) as session:
        saved(session)
        session.next()
        until(lambda: session.poll() or Path("out/report.html").exists())


def test_closing_in_mid_inspection_discards_it(monkeypatch):
    released = threading.Event()
    monkeypatch.setattr(batch, "inspect_bytes", fake_inspection(wait=released))
    with running(Path("out")) as session:
        session.capture()
        assert session.phase is Phase.INSPECTING and session.is_unsaved
        number = session.live.view.number
        until(lambda: session.live.view.number > number + 3)  # the live picture goes on meanwhile
        released.set()
    assert not Path("out").exists()


def test_the_result_can_be_kept_while_it_is_inspected(monkeypatch):
    released = threading.Event()
    monkeypatch.setattr(batch, "inspect_bytes", fake_inspection(FAIL, wait=released))
    with running(Path("out")) as session:
        session.capture()
        session.save()
        released.set()
        wait_for(session, Phase.SAVED)
    assert [record.status for record in results()] == [FAIL]


def test_an_inspection_that_breaks_is_a_record(monkeypatch):
    def break_down(*args, **kwargs):
        raise RuntimeError("broken")

    monkeypatch.setattr(batch, "inspect_bytes", break_down)
    with running(Path("out")) as session:
        saved(session)
    assert "Internal error (RuntimeError)" in results()[0].reasons[0]


# --- settings --------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("quick")
def test_other_settings_go_into_a_folder_of_their_own():
    with running(Path("out")) as session:
        saved(session)
        session.next()
        assert session.choose(profile="fast_scan")
        saved(session)
        session.next()
        assert session.choose(profile=None)
        saved(session)
        assert session.folders == [Path("out"), Path("out_2")]
    hashes = [{record.settings_sha256 for record in results(folder)} for folder in ("out", "out_2")]
    assert [len(results(folder)) for folder in ("out", "out_2")] == [2, 1]
    assert all(len(each) == 1 for each in hashes) and hashes[0] != hashes[1]


@pytest.mark.usefixtures("quick")
def test_a_choice_that_is_refused_changes_nothing():
    with running(Path("out")) as session:
        before = session.setup
        assert not session.choose(fiber_type="nonsense")
        assert session.setup is before and session.message.is_warning
        assert "Unknown fiber type" in session.message.text


@pytest.mark.usefixtures("quick")
def test_the_operator_changes_without_another_folder():
    with running(Path("out"), operator="Ada") as session:
        saved(session)
        session.next()
        session.choose(operator="Grace <b>")
        saved(session)
        assert session.folders == [Path("out")]
    assert [record.provenance.operator for record in results()] == ["Ada", "Grace <b>"]


@pytest.mark.usefixtures("quick")
def test_results_are_only_added_to_when_that_is_asked_for():
    with running(Path("out")) as session:
        saved(session)
    with pytest.raises(OutputError, match="already holds results"), running(Path("out")):
        pass
    with running(Path("out"), resume=True) as session:
        saved(session)
    assert len(results()) == 2


@pytest.mark.usefixtures("quick")
def test_results_of_other_settings_are_not_added_to():
    with running(Path("out")) as session:
        saved(session)
    with running(Path("out"), resume=True, profile="fast_scan") as session:
        captured(session)
        session.save()
        wait_for(session, Phase.RESULT)
        assert "made with other settings" in session.message.text
    assert len(results()) == 1


# --- serial numbers --------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("quick")
def test_a_scan_never_relabels_a_result_that_has_a_number():
    with running(Path("out")) as session:
        session.scan("1")
        captured(session)
        session.scan("2")
        assert session.serial == "1" and "not saved" in session.message.text
        session.save()
        wait_for(session, Phase.SAVED)
        session.scan("2")
        assert (session.phase, session.serial) == (Phase.LIVE, "2")
    assert [record.serial_number for record in results()] == ["1"]


@pytest.mark.usefixtures("quick")
def test_a_scan_names_a_result_that_has_no_number_yet():
    with running(Path("out")) as session:
        captured(session)
        session.scan("77")
        session.save()
        wait_for(session, Phase.SAVED)
        session.type_serial("78")
        assert session.serial == "77"
    assert [record.serial_number for record in results()] == ["77"]


HOSTILE = ["<script>alert(1)</script>", "../../etc/passwd", "Ü" * 500, "a\nb\t\udce9."]


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_serial_numbers_stay_text(text):
    with running(Path("out")) as session:
        session.scan(text)
        saved(session)
    (record,) = results()
    assert record.serial_number == captures.tidy_serial(text)
    files = {path.parent.name for path in Path("out").rglob("*.png")}
    assert files <= {"captures", "details"} and Path(record.image_path).exists()
    assert "<script>alert" not in Path("out/report.html").read_text(encoding="utf-8")


TAKEN = datetime(2026, 1, 2, 3, 4, 5)
DELIVERED = json.loads((ROOT / "config.json").read_text(encoding="utf-8"))["file_names"]["pattern"]


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=120))
def test_any_serial_number_makes_a_file_name(text):
    serial = captures.tidy_serial(text)
    stem = captures.file_stem(TAKEN, serial, DELIVERED)
    assert stem.startswith("20260102_030405_000") and not {*stem} & {*'/\\\0:*?"<>|\n'}
    assert len(stem.encode("utf-8", "surrogateescape")) < 200


@settings(max_examples=60, deadline=None)
@given(st.from_regex(r"[0-9][a-zA-Z0-9]{0,20}", fullmatch=True))
def test_plain_serial_numbers_are_found_in_the_file_name(serial):
    stem = captures.file_stem(TAKEN, serial, DELIVERED)
    assert serial_and_port(stem, DELIVERED) == (serial, "") == captures.serial_of_record(serial, DELIVERED)


@pytest.mark.parametrize(
    ("typed", "record"),
    [
        ("SN12345_P03", ("12345", "03")),
        ("12345_P03", ("12345", "03")),
        ("12/7A", ("12/7A", "")),  # the pattern knows only the first half
        ("J65548", ("J65548", "")),
        ("", ("", "")),
    ],
)
def test_a_serial_number_is_taken_apart_only_as_a_whole(typed, record):
    assert captures.serial_of_record(typed, DELIVERED) == record
    assert captures.serial_of_record(typed, None) == (typed, "")


# --- a crash ---------------------------------------------------------------------------------------------------------


@pytest.mark.soak
def test_a_killed_session_leaves_whole_records_from_which_reports_are_made():
    program = subprocess.Popen([sys.executable, __file__], env=os.environ | {"PYTHONPATH": str(ROOT)})
    try:
        until(lambda: finished() >= 3, 60.0)
    finally:
        program.send_signal(signal.SIGKILL)
        program.wait()
    count = len(results())
    assert count >= 3 and not Path("out/summary_report.csv").exists()
    assert report.main(["out", "-q"]) == ExitCode.OK
    assert len(Path("out/summary_report.csv").read_text(encoding="utf-8").splitlines()) == count + 1
    assert main.main(["out/captures", "-o", "out", "--resume", *KNOWN]) == ExitCode.OK
    assert len(results()) >= count and {record.status for record in results()} == {PASS}
    with running(Path("out"), resume=True) as session:
        saved(session)


def capture_for_ever() -> None:
    """What the test kills."""
    with running(Path("out"), given=GIVEN) as session:
        while True:
            saved(session)
            session.next()


if __name__ == "__main__":
    capture_for_ever()
