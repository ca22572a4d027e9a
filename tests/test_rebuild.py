"""Reports made from results.jsonl: with main.py on request, with reporting.py without inspecting again."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from faces import shipped_config
from main_runs import KNOWN, ROOT, contents, images, read_records, statuses
from report_samples import make_defect, make_inspection

import main
import reporting
from cli import image_reports, output_folder, report
from errors import ExitCode
from records_file import ResultsFile

pytestmark = pytest.mark.usefixtures("isolated")
RUN = ["in", "-o", "out", *KNOWN]


@pytest.fixture
def inspected(by_name):
    images("pass_SN1_P2.png", "fail2.png", "bad3.png")
    assert main.main(RUN) == ExitCode.IMAGES_FAILED
    return Path("out")


def names():
    return sorted(path.name.removesuffix("_certificate.pdf") for path in Path("out/details").glob("*_certificate.pdf"))


def test_starting_over_takes_certificates_along(inspected):
    for name in ("certificate.pdf", "summary_report.xlsx", "details/fail2_certificate.pdf"):
        (inspected / name).touch()
    output_folder.start_over(inspected, [])
    assert names() == [] and sorted(os.listdir(inspected / "details")) == []
    assert not (inspected / "certificate.pdf").exists() and not (inspected / "summary_report.xlsx").exists()


@pytest.mark.soak
def test_resuming_writes_the_missing_certificates_and_no_stale_one_stays(inspected, monkeypatch):
    assert names() == [] and not {"certificate.pdf", "summary_report.xlsx"} & set(os.listdir("out"))
    assert main.main([*RUN, "--resume", "--pdf", "--excel"]) == ExitCode.IMAGES_FAILED
    assert names() == ["bad3", "fail2", "pass_SN1_P2"]
    assert {"certificate.pdf", "summary_report.xlsx"} <= set(os.listdir("out"))
    before = (inspected / "certificate.pdf").read_bytes()
    made, write = [], reporting.write_certificate

    def noted(record, details):
        made.append(record.result_name)
        write(record, details)

    monkeypatch.setattr(reporting, "write_certificate", noted)
    images("pass4.png")
    main.main([*RUN, "--resume"])
    assert "pass4" not in names() and (inspected / "certificate.pdf").read_bytes() != before
    main.main([*RUN, "--resume", "--pdf"])
    assert "pass4" in made and "fail2" not in made and "pass4" in names()


@pytest.mark.soak
def test_report_html_links_the_certificates_of_its_own_run(inspected):
    page = inspected / "report.html"
    assert b"_certificate.pdf" not in page.read_bytes()
    main.main([*RUN, "--resume", "--pdf"])
    before = page.read_bytes()
    assert before.count(b"_certificate.pdf") == 1
    main.main([*RUN, "--resume", "--pdf"])
    assert page.read_bytes() == before


def test_a_signal_while_certificates_are_written_ends_with_the_one_under_way(inspected, monkeypatch):
    write = reporting.write_certificate

    def write_and_stop(record, details):
        write(record, details)
        os.kill(os.getpid(), signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(reporting, "write_certificate", write_and_stop)
        assert main.main([*RUN, "--resume", "--pdf", "--jobs", "1"]) == ExitCode.INTERRUPTED
    assert len(names()) == 1
    assert main.main([*RUN, "--resume", "--pdf", "--jobs", "1"]) == ExitCode.IMAGES_FAILED
    assert len(names()) == 3


def test_the_second_signal_while_certificates_are_written_says_how_to_go_on(inspected, monkeypatch, capsys):
    def stop_at_once(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(reporting, "write_certificate", stop_at_once)
        assert main.main([*RUN, "--resume", "--pdf", "--jobs", "1"]) == ExitCode.INTERRUPTED
    captured = capsys.readouterr()
    assert "--resume" in captured.out and "Traceback" not in captured.err
    assert main.main([*RUN, "--resume", "--pdf", "--jobs", "1"]) == ExitCode.IMAGES_FAILED
    assert len(names()) == 3


def test_a_certificate_in_whose_way_something_is_costs_no_report(inspected, capsys):
    (inspected / "details" / "fail2_certificate.pdf").mkdir()
    (inspected / "summary_report.csv").unlink()
    assert main.main([*RUN, "--resume", "--pdf", "--jobs", "1"]) == ExitCode.OUTPUT_UNUSABLE
    assert "fail2_certificate.pdf" in (said := capsys.readouterr().err) and "--resume" in said
    assert len(statuses()) == 3


@pytest.mark.soak
def test_reporting_is_a_program_that_makes_the_same_bytes(inspected):
    main.main([*RUN, "--resume", "--pdf"])
    before = contents("out")
    for path in (*Path("out").rglob("*.csv"), *Path("out").rglob("*.pdf")):
        path.unlink()
    command = [sys.executable, str(ROOT / "reporting.py"), "out", "--jobs", "2", "--pdf", "--excel", "-q"]
    environment = {**os.environ, "PYTHONHASHSEED": "7"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (ExitCode.OK, "")
    assert done.stdout.startswith("3 images: reports rebuilt in out")
    after = contents("out")
    assert after.pop("summary_report.xlsx").startswith(b"PK") and after == before


def test_the_polar_plot_is_drawn_again_where_there_is_one(tmp_path):
    record = make_inspection(make_defect(1), result_name="face").record
    settings = shipped_config().reporting
    reporting.rewrite_image_tables(record, tmp_path, settings)
    assert {path.name for path in tmp_path.iterdir()} == {"face_report.csv"}
    (tmp_path / "face_polar.png").write_bytes(b"old")
    reporting.rewrite_image_tables(record, tmp_path, settings)
    assert (tmp_path / "face_polar.png").stat().st_size > 1000


def test_damaged_lines_are_said_and_the_others_reported(inspected, capsys):
    path = inspected / "results.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + b"garbage\n" + lines[2])
    assert report.main(["out"]) == ExitCode.IMAGES_FAILED
    assert "line 2 is not a complete record" in capsys.readouterr().err
    assert len(statuses()) == 2
    assert json.loads((inspected / "run.json").read_text(encoding="utf-8"))["counts"]["images"] == 2


def test_run_json_is_kept_but_for_the_counts(inspected):
    path = inspected / "run.json"
    run = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**run, "counts": {}, "operator": "=Zoë", "mine": [1, None]}), encoding="utf-8")
    assert report.main(["out"]) == ExitCode.OK
    assert json.loads(path.read_text(encoding="utf-8")) == {**run, "operator": "=Zoë", "mine": [1, None]}
    path.write_bytes(b"{")
    assert report.main(["out"]) == ExitCode.OK and path.read_bytes() == b"{"


@pytest.mark.parametrize("state", ["no folder", "no results", "nothing in it", "a torn line"])
def test_without_results_nothing_is_written(inspected, capsys, state):
    name = "elsewhere" if state == "no folder" else "out"
    path = inspected / "results.jsonl"
    if state == "no results":
        path.unlink()
    if state == "nothing in it":
        path.write_bytes(b"garbage\n")
    if state == "a torn line":
        path.write_bytes(path.read_bytes().splitlines()[0])
    Path("out/run.json").unlink()
    shutil.rmtree("out/details")
    before = {path: path.read_bytes() for path in Path("out").iterdir()}
    capsys.readouterr()
    assert report.main([name]) == ExitCode.NO_IMAGES
    assert "results.jsonl" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in Path("out").iterdir()} == before
    assert not Path("elsewhere").exists()


def test_not_while_another_run_writes_there(inspected, capsys):
    with output_folder.locked(inspected):
        assert report.main(["out"]) == ExitCode.OUTPUT_UNUSABLE
    said = capsys.readouterr().err
    assert "Another run is writing" in said and "-o" not in said


@pytest.mark.parametrize(
    "options", [[], ["out", "more"], ["out", "--pfd"], ["out", "--jobs", "0"], ["out", "-c", "no"]]
)
def test_wrong_use(options):
    assert report.main(options) == ExitCode.INVALID_INPUT


def test_a_certificate_that_cannot_be_made_costs_only_itself(inspected, monkeypatch, capsys):
    write = reporting.write_certificate

    def broken(record, details):
        if record.result_name == "fail2":
            raise RuntimeError("boom")
        write(record, details)

    monkeypatch.setattr(reporting, "write_certificate", broken)
    assert report.main(["out", "--pdf"]) == ExitCode.IMAGES_FAILED
    assert "fail2.png: its reports could not be written" in capsys.readouterr().err
    assert names() == ["bad3", "pass_SN1_P2"]


def test_an_image_without_its_certificate_is_no_success(by_name, monkeypatch, capsys):
    images("pass1.png")

    def broken(*_):
        raise RuntimeError("boom")

    monkeypatch.setattr(reporting, "write_certificate", broken)
    assert main.main([*RUN, "--pdf"]) == ExitCode.IMAGES_FAILED
    assert "pass1.png: its reports could not be written" in capsys.readouterr().err
    assert list(statuses()) == ["pass1.png"]


def test_a_folder_in_the_way_of_a_certificate_is_one_sentence(inspected, capsys):
    (inspected / "details" / "fail2_certificate.pdf").mkdir()
    (inspected / "details" / "fail2_certificate.pdf" / "x").touch()
    assert report.main(["out", "--pdf"]) == ExitCode.OUTPUT_UNUSABLE
    assert "Cannot write" in capsys.readouterr().err


@pytest.mark.soak
def test_several_processes_write_the_same(inspected):
    records = ResultsFile(inspected / "results.jsonl")
    wanted = image_reports.ImageReports(inspected / "details", certificate=True)
    image_reports.write_image_reports(records.records(), wanted, jobs=1, on_finished=str)
    before = contents("out")
    for path in (inspected / "details").glob("*.pdf"):
        path.unlink()
    finished = []
    assert image_reports.write_image_reports(records.records(), wanted, jobs=2, on_finished=finished.append) == 0
    assert contents("out") == before and sorted(finished) == sorted(
        r.image_filename for r in read_records(records.path)
    )


def test_old_records_without_a_result_name_are_named(inspected, capsys):
    path = inspected / "results.jsonl"
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    del lines[0]["result_name"]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    assert report.main(["out"]) == ExitCode.IMAGES_FAILED
    assert "inspect it again" in capsys.readouterr().err
