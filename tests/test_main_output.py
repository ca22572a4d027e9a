"""What main.py leaves in OUTPUT: whatever ends the batch, with --resume and --overwrite, tables, log and run.json."""

import itertools
import json
import os
import re
import signal
import sys
import time
from datetime import datetime
from pathlib import Path

import pytest
from faces import shipped_config, write
from main_runs import KNOWN, images, one_sentence, read_records, statuses
from report_samples import make_inspection

import batch
import main
import reporting
from errors import ExitCode, OutputError
from records_file import ResultsFile

pytestmark = pytest.mark.usefixtures("isolated")


@pytest.mark.parametrize("output", ["file", "file/out", "/proc/out"])
def test_output_that_cannot_be_written(by_name, capsys, output):
    images("pass.png")
    Path("file").write_text("in the way")
    assert main.main(["in", "-o", output]) == ExitCode.OUTPUT_UNUSABLE
    one_sentence(capsys.readouterr())


def test_results_of_another_run_are_not_touched(by_name, capsys):
    images("pass.png")
    assert main.main(["in", "-o", "out"]) == ExitCode.OK
    before = {path: path.read_bytes() for path in Path("out").rglob("*") if path.is_file()}
    capsys.readouterr()
    assert main.main(["in", "-o", "out"]) == ExitCode.OUTPUT_UNUSABLE
    assert "--resume" in one_sentence(capsys.readouterr())
    assert {path: path.read_bytes() for path in Path("out").rglob("*") if path.is_file()} == before


def test_a_full_disk_keeps_what_was_finished(by_name, monkeypatch, capsys):
    images("pass1.png", "pass2.png", "pass3.png")
    append = ResultsFile.append

    def full_at_3(results, record):
        if record.image_filename == "pass3.png":
            raise OutputError("Cannot write results.jsonl: No space left on device.")
        append(results, record)

    monkeypatch.setattr(ResultsFile, "append", full_at_3)
    assert main.main(["in", "-o", "out", *KNOWN]) == ExitCode.OUTPUT_UNUSABLE
    said = one_sentence(capsys.readouterr())
    assert "No space left" in said and "--resume" in said
    assert list(statuses()) == ["pass1.png", "pass2.png"]
    monkeypatch.setattr(ResultsFile, "append", append)
    assert main.main(["in", "-o", "out", *KNOWN, "--resume"]) == ExitCode.OK
    assert list(statuses()) == ["pass1.png", "pass2.png", "pass3.png"]


def watched(monkeypatch, act=lambda path: None):
    """Names of the images that are inspected, as they are; ``act`` is called with the path of each before."""
    inspect, calls = batch.inspect_bytes, []

    def inspect_and_note(data, path, settings, *, name):
        calls.append(path.name)
        act(path)
        return inspect(data, path, settings, name=name)

    monkeypatch.setattr(batch, "inspect_bytes", inspect_and_note)
    return calls


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_finishes_the_image_under_way_and_the_rest_is_resumed(by_name, monkeypatch, capsys, number):
    images("pass1.png", "pass2.png", "pass10.png")
    with monkeypatch.context() as patch:
        watched(patch, lambda path: os.kill(os.getpid(), number) if path.name == "pass2.png" else None)
        assert main.main(["in", "-o", "out"]) == ExitCode.INTERRUPTED
    assert list(statuses()) == ["pass1.png", "pass2.png"]
    assert "--resume" in capsys.readouterr().out
    calls = watched(monkeypatch)
    assert main.main(["in", "-o", "out", "--resume"]) == ExitCode.OK
    assert calls == ["pass10.png"]
    assert list(statuses()) == ["pass1.png", "pass2.png", "pass10.png"]


def test_a_second_signal_ends_at_once(by_name, monkeypatch, capsys):
    images("pass1.png", "pass2.png", "pass10.png")

    def twice(path):
        if path.name == "pass2.png":
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)

    with monkeypatch.context() as patch:
        watched(patch, twice)
        assert main.main(["in", "-o", "out"]) == ExitCode.INTERRUPTED
    captured = capsys.readouterr()
    assert "--resume" in captured.out and "Traceback" not in captured.err
    assert [record.image_filename for record in read_records(Path("out/results.jsonl"))] == ["pass1.png"]
    assert main.main(["in", "-o", "out", "--resume"]) == ExitCode.OK
    assert list(statuses()) == ["pass1.png", "pass2.png", "pass10.png"]


def test_an_unexpected_error_is_a_sentence_and_its_traceback_is_in_the_log(by_name, monkeypatch, capsys):
    images("pass.png")

    def broken(*_, **__):
        raise RuntimeError("boom")

    monkeypatch.setattr(reporting, "write_summary", broken)
    assert main.main(["in", "-o", "out", *KNOWN]) == ExitCode.IMAGES_FAILED
    assert "boom" in one_sentence(capsys.readouterr())
    assert "Traceback" in next(Path("out").glob("inspection_*.log")).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "name", ["pass [links].png", "pass[bold].png", "pass\udcff.png", "pass \x1b[31m.png", "pass\n.png"]
)
def test_odd_file_names(by_name, monkeypatch, capsys, name):
    images(name)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    assert main.main(["in", "-o", "out", "-v"]) == ExitCode.OK
    assert len(statuses()) == 1
    assert "1 PASS" in capsys.readouterr().out


# --- resume and overwrite --------------------------------------------------------------------------------------------


def test_resuming_with_other_settings_inspects_again(by_name, monkeypatch):
    images("pass1.png", "pass2.png")
    assert main.main(["in", "-o", "out", "--cladding-um", "125"]) == ExitCode.OK
    calls = watched(monkeypatch)
    assert main.main(["in", "-o", "out", "--resume", "--cladding-um", "140"]) == ExitCode.OK
    assert calls == ["pass1.png", "pass2.png"]
    assert len({record.settings_sha256 for record in read_records(Path("out/results.jsonl"))}) == 1


def test_results_of_other_images_with_other_settings_are_not_mixed(by_name, capsys):
    images("pass1.png", "pass2.png")
    assert main.main(["in", "-o", "out", "--cladding-um", "125"]) == ExitCode.OK
    before = Path("out/results.jsonl").read_bytes()
    capsys.readouterr()
    some = ["in/pass1.png", "-o", "out", "--resume"]
    assert main.main([*some, "--cladding-um", "140"]) == ExitCode.OUTPUT_UNUSABLE
    assert "other settings" in one_sentence(capsys.readouterr())
    assert Path("out/results.jsonl").read_bytes() == before
    assert main.main([*some, "--cladding-um", "125"]) == ExitCode.OK
    assert list(statuses()) == ["pass1.png", "pass2.png"]


def test_resuming_inspects_what_has_changed_and_nothing_else(by_name, monkeypatch):
    images("pass1.png", "pass2.png", "pass3.png")
    assert main.main(["in", "-o", "out"]) == ExitCode.OK
    write(Path("in/pass2.png"), b"another picture")
    os.utime("in/pass3.png", (0, 0))
    calls = watched(monkeypatch)
    assert main.main(["in", "-o", "out", "--resume"]) == ExitCode.OK
    assert calls == ["pass2.png"]
    assert list(statuses()) == ["pass1.png", "pass2.png", "pass3.png"]


@pytest.mark.parametrize("loss", [os.remove, lambda path: os.truncate(path, 0)], ids=["removed", "emptied"])
def test_an_image_whose_table_is_gone_is_inspected_again(by_name, monkeypatch, loss):
    images("pass1.png", "pass2.png")
    assert main.main(["in", "-o", "out"]) == ExitCode.OK
    loss("out/details/pass2_report.csv")
    calls = watched(monkeypatch)
    assert main.main(["in", "-o", "out", "--resume"]) == ExitCode.OK
    assert calls == ["pass2.png"]
    assert Path("out/details/pass2_report.csv").stat().st_size > 0


def test_a_kill_while_files_are_written_leaves_no_table(by_name, monkeypatch):
    """The table is the proof that all files of an image are there: it comes last."""
    inspection = make_inspection()
    written = []
    monkeypatch.setattr(reporting, "write_png", lambda path, *_: written.append(path.name))
    monkeypatch.setattr(reporting, "write_bytes", lambda path, *_: written.append(path.name))
    Path("out").mkdir()
    reporting.write_image_files(inspection, Path("out/details"), "face", shipped_config().reporting)
    assert written[-1] == "face_report.csv" and len(written) > 1


def test_results_of_other_settings_are_gone_before_the_first_image(by_name, monkeypatch):
    images("pass1.png", "pass2.png")
    assert main.main(["in", "-o", "out", "--cladding-um", "125"]) == ExitCode.OK

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(batch, "inspect_and_write", killed)
    assert main.main(["in", "-o", "out", "--resume", "--cladding-um", "140"]) == ExitCode.INTERRUPTED
    assert list(read_records(Path("out/results.jsonl"))) == []


@pytest.mark.parametrize("fields", [("content_sha256",), ("settings_sha256", "content_sha256", "result_name")])
def test_records_that_do_not_say_what_they_depend_on_are_made_again(by_name, monkeypatch, fields):
    images("pass1.png", "pass2.png")
    assert main.main(["in", "-o", "out"]) == ExitCode.OK
    path = Path("out/results.jsonl")
    before = path.read_bytes()
    first, second = before.splitlines(keepends=True)
    plain = json.loads(first)
    for field in fields:
        del plain[field]
    path.write_bytes(json.dumps(plain).encode() + b"\n" + second)
    calls = watched(monkeypatch)
    assert main.main(["in", "-o", "out", "--resume"]) == ExitCode.OK
    assert calls == ["pass1.png"]
    assert untimed(path.read_bytes()) == untimed(before)


def untimed(data):
    return re.sub(rb'"(processing_time_s|inspected_at)": [^,]+', b"", data)


def test_names_after_a_kill_are_those_of_an_undisturbed_run(by_name):
    images("pass.png", folder="in/a")
    images("pass.png", "pass.jpg", folder="in/b")
    run = ["in", "--recursive", "-o", "out"]
    assert main.main(run) == ExitCode.OK
    path = Path("out/results.jsonl")
    whole, files = path.read_bytes(), sorted(os.listdir("out/details"))
    for left in itertools.permutations(whole.splitlines(keepends=True), 2):
        path.write_bytes(b"".join(left))
        assert main.main([*run, "--resume"]) == ExitCode.OK
        assert untimed(path.read_bytes()) == untimed(whole)
        assert sorted(os.listdir("out/details")) == files


def test_an_image_keeps_its_result_name_when_another_comes(by_name):
    images("pass.png", folder="in/a")
    run = ["in", "--recursive", "-o", "out"]
    assert main.main(run) == ExitCode.OK
    images("pass.png", folder="in/b")
    write(Path("in/a/pass.png"), b"another picture")
    assert main.main([*run, "--resume"]) == ExitCode.OK
    assert [record.result_name for record in read_records(Path("out/results.jsonl"))] == ["pass", "b_pass_png"]
    assert sorted(os.listdir("out/details")) == ["b_pass_png_report.csv", "pass_report.csv"]


def test_resuming_never_overwrites_files_of_an_image_of_the_same_name(by_name):
    images("pass.png", folder="a")
    images("pass.png", folder="b")
    assert main.main(["a", "-o", "out"]) == ExitCode.OK
    assert main.main(["b", "-o", "out", "--resume"]) == ExitCode.OK
    tables = {path.name for path in Path("out/details").glob("*_report.csv")}
    assert tables == {"pass_report.csv", "pass_png_report.csv"}
    assert len(statuses()) == 2


def test_overwriting_replaces_results_and_spares_other_files(by_name):
    images("pass1.png", "fail2.png")
    assert main.main(["in", "-o", "out"]) == ExitCode.NOT_ALL_PASSED
    Path("out/notes.txt").write_text("mine")
    os.remove("in/fail2.png")
    assert main.main(["in", "-o", "out", "--overwrite"]) == ExitCode.OK
    assert list(statuses()) == ["pass1.png"]
    assert {path.name for path in Path("out/details").iterdir()} == {"pass1_report.csv"}
    assert Path("out/notes.txt").read_text() == "mine"


def test_results_beside_the_images(by_name):
    images("pass.png")
    assert main.main(["in", "-o", "in"]) == ExitCode.OK
    assert main.main(["in", "-o", "in", "--recursive", "--overwrite"]) == ExitCode.OK
    assert list(statuses("in")) == ["pass.png"]


# --- tables, log, run.json --------------------------------------------------------------------------------------------


def test_results_are_listed_in_natural_order(by_name):
    images("pass10.png", "pass2.png", "pass1.png")
    assert main.main(["in/pass10.png", "in", "-o", "out"]) == ExitCode.OK
    assert list(statuses()) == ["pass1.png", "pass2.png", "pass10.png"]


def test_the_log_file_tells_the_story(by_name):
    images("pass1.png", "lost2.png")
    main.main(["in", "-o", "out"])
    (log,) = Path("out").glob("inspection_*.log")
    assert re.fullmatch(r"inspection_\d{4}-\d\d-\d\d\.log", log.name)
    text = log.read_text(encoding="utf-8")
    for part in ("Inspecting 2 images", "Rule set:", "Processing pass1.png...", "Duration:", "lost2.png"):
        assert part in text


def test_run_json_says_how_the_results_came_about(by_name):
    images("pass1.png", "fail2.png")
    write(Path("scale.json"), b'{"um_per_px": 0.5}')
    main.main(["in", "-o", "out", "--calibration", "scale.json", "--zones", "cladding,core", "--core-um", "50"])
    run = json.loads(Path("out/run.json").read_text(encoding="utf-8"))
    assert run["counts"] == {"images": 2, "PASS": 1, "FAIL": 1}
    assert run["calibration"]["um_per_px"] == 0.5 and len(run["calibration_sha256"]) == 64
    assert run["zones"] == ["Core", "Cladding"] and run["core_um"] == 50 and run["cladding_um"] is None
    assert run["start"] <= run["end"] and run["arguments"][0] == "in"
    assert run["config"]["detection"] and len(run["config_sha256"]) == 64
    assert {"python", "opencv", "numpy"} <= set(run["versions"])


def test_records_say_who_inspected_when_and_by_what(by_name):
    images("pass1.png")
    assert main.main(["in", "-o", "out", "--operator", "  Zoë  O'Neil "]) == ExitCode.OK
    (record,) = read_records(Path("out/results.jsonl"))
    assert record.provenance.operator == "Zoë O'Neil" == json.loads(Path("out/run.json").read_text("utf-8"))["operator"]
    assert record.provenance.software_version and record.provenance.rule_set_source
    made = datetime.fromisoformat(record.inspected_at)
    assert made.utcoffset() is not None and abs(made.timestamp() - time.time()) < 60


@pytest.mark.parametrize("name", ["", "  ", "a\x07b"])
def test_a_name_that_cannot_be_printed_is_refused(isolated, capfd, name):
    assert main.main(["in", "--operator", name]) == ExitCode.INVALID_INPUT
    assert "expected a name" in one_sentence(capfd.readouterr())
