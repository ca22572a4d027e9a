"""main.py with several processes: the same results, and what happens when one of them dies or is stopped."""

import os
import re
import signal
import time
from pathlib import Path

import fake_inspections
import pytest
from faces import clean_png, pitted_png, write
from main_runs import (
    KNOWN,
    children,
    contents,
    finished,
    images,
    one_sentence,
    quick_config,
    read_records,
    slow,
    statuses,
    until,
)

import batch
import main
from cli.watching import Watcher
from errors import ExitCode
from records import FAIL, PASS, UNREADABLE

unix = pytest.mark.skipif(os.name != "posix", reason="sends signals")
linux = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="looks for processes in /proc")
pytestmark = pytest.mark.usefixtures("isolated")
JOBS = ["--jobs", "2"]


@pytest.fixture
def by_misfortune(isolated, monkeypatch):
    """Workers take the outcome, or what happens to them, from the file's name."""
    monkeypatch.setattr(batch, "inspect_and_write", fake_inspections.inspect_and_write)


def test_the_results_are_the_same_with_any_number_of_jobs():
    write(Path("in") / "clean.png", clean_png())
    write(Path("in") / "pitted.png", pitted_png())
    write(Path("in") / "broken.png", b"no image")
    for jobs in "12":
        code = main.main(["in", "-o", f"out{jobs}", *KNOWN, "--save-masks", "--save-zones", "--jobs", jobs])
        assert code == ExitCode.IMAGES_FAILED
    one, two = contents("out1"), contents("out2")
    assert one.keys() == two.keys() and len(one) > 15
    assert [name for name in one if one[name] != two[name]] == []


@pytest.mark.soak
def test_an_image_that_kills_its_process_is_reported_and_tried_again(by_misfortune, monkeypatch, capsys):
    images("kill3.png", *(f"pass{number}.png" for number in range(6)))
    assert main.main(["in", "-o", "out", *KNOWN, *JOBS]) == ExitCode.IMAGES_FAILED
    assert statuses() == {"kill3.png": UNREADABLE} | {f"pass{number}.png": PASS for number in range(6)}
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1 and said[0].startswith("Warning: kill3.png: Unreadable.") and "SIGKILL" in said[0]
    assert Path("out/details/kill3_report.csv").exists()
    monkeypatch.setattr(fake_inspections, "REAL", None)  # of this process; the workers are others
    os.rename("in/kill3.png", "in/pass3x.png")
    write(Path("in/kill3.png"), b"x")
    calls = []
    monkeypatch.setattr(batch, "inspect_and_write", lambda job, task: calls.append(task) or batch.Finished(None))
    main.main(["in", "-o", "out", *KNOWN, "--resume", "--jobs", "1"])
    assert [task.image.name for task in calls if not task.known_sha256] == ["kill3.png", "pass3x.png"]


@pytest.mark.soak
def test_an_image_that_takes_too_long_is_reported(by_misfortune, capsys):
    images("sleep1.png", "pass2.png")
    quick = quick_config(image_timeout_s=1, read_timeout_s=0.5)
    assert main.main(["in", "-o", "out", *KNOWN, *JOBS, *quick]) == ExitCode.IMAGES_FAILED
    assert statuses() == {"sleep1.png": UNREADABLE, "pass2.png": PASS}
    assert "given up after 1 s" in capsys.readouterr().err


@pytest.mark.soak
def test_a_disk_that_is_full_for_a_worker_ends_the_batch(by_misfortune, capsys):
    images("full1.png", *(f"pass{number}.png" for number in range(2, 8)))
    assert main.main(["in", "-o", "out", *KNOWN, *JOBS]) == ExitCode.OUTPUT_UNUSABLE
    said = one_sentence(capsys.readouterr())
    assert "No space left" in said and "--resume" in said


def test_the_log_file_tells_the_story_image_by_image(by_misfortune):
    images(*(f"pass{number}.png" for number in range(6)))
    assert main.main(["in", "-o", "out", *KNOWN, *JOBS]) == ExitCode.OK
    (log,) = Path("out").glob("inspection_*.log")
    lines = [line for line in log.read_text(encoding="utf-8").splitlines() if "pass" in line]
    started, finished = lines[::2], lines[1::2]
    assert len(started) == 6 and all("Processing" in line for line in started)
    for first, second in zip(started, finished, strict=True):
        assert f"Finished {re.search('pass.', first)[0]}.png" in second


# --- as a process of its own ------------------------------------------------------------------------------------------


@pytest.mark.soak
@linux
def test_killed_then_resumed_then_stopped_then_resumed(by_name, program):
    slow(24)
    first = program()
    until(lambda: finished() >= 2)
    workers = children(first.pid)
    first.kill()
    first.communicate()
    until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers))
    kept = read_records(Path("out/results.jsonl"))
    write(Path("out/details/.slow1_polar.png.99.tmp"), b"left by a kill")
    second = program("--resume")
    until(lambda: finished() >= len(kept) + 2)
    second.send_signal(signal.SIGTERM)
    said, errors = second.communicate(timeout=60)
    assert second.returncode == ExitCode.INTERRUPTED and "--resume" in said and errors == ""
    assert len(statuses()) == finished() < 24
    assert main.main(["in", "-o", "out", *KNOWN, "--resume", "--jobs", "1"]) == ExitCode.OK
    records = {record.image_filename: record for record in read_records(Path("out/results.jsonl"))}
    assert len(records) == finished() == 24
    assert [records[record.image_filename] for record in kept] == kept  # with its times: not inspected again
    tables = [path.name for path in Path("out/details").iterdir() if path.name.endswith("_report.csv")]
    assert len(tables) == 24 and not list(Path("out").rglob(".*.tmp"))


@pytest.mark.soak
@unix
def test_two_signals_end_it_at_once(program):
    images("sleep1.png", "slow2.png", "slow3.png")
    process = program()
    until(lambda: finished() >= 1)
    process.send_signal(signal.SIGINT)
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    said, errors = process.communicate(timeout=10)
    assert process.returncode == ExitCode.INTERRUPTED and errors == "" and "--resume" in said
    assert len(read_records(Path("out/results.jsonl"))) == finished() > 0


@pytest.mark.soak
def test_a_second_run_in_the_same_folder_is_refused(program, capsys):
    slow(40)
    first = program()
    until(lambda: finished() >= 1)
    assert main.main(["in", "-o", "out", *KNOWN, "--resume"]) == ExitCode.OUTPUT_UNUSABLE
    assert "Another run" in one_sentence(capsys.readouterr())
    first.send_signal(signal.SIGINT)
    assert first.wait(60) == ExitCode.INTERRUPTED


# --- --watch ----------------------------------------------------------------------------------------------------------


@pytest.mark.soak
@unix
def test_watching_inspects_what_comes_and_what_changes(program):
    Path("in").mkdir()
    process = program("--watch", *quick_config(poll_s=0.05, settle_s=0.2))
    until(lambda: Path("out/run.json").exists())
    images("pass1.png")
    write(Path("in/fail2.png"), b"")
    until(lambda: finished() == 1 and Path("out/summary_report.csv").exists())
    assert statuses() == {"pass1.png": PASS}
    write(Path("in/fail2.png"), b"complete now")
    images("pass2.png", folder="in")
    until(lambda: finished() == 3)
    write(Path("in/pass1.png"), b"taken again")
    until(lambda: finished() == 4)
    process.send_signal(signal.SIGINT)
    said, errors = process.communicate(timeout=60)
    assert process.returncode == ExitCode.INTERRUPTED and errors == "" and "3 images: 2 PASS, 1 FAIL" in said
    assert statuses() == {"pass1.png": PASS, "fail2.png": FAIL, "pass2.png": PASS} and finished() == 3


def test_a_folder_that_is_not_there_cannot_be_watched(capsys):
    assert main.main(["elsewhere", "-o", "out", "--watch"]) == ExitCode.NO_IMAGES
    assert "elsewhere does not exist" in one_sentence(capsys.readouterr())


def test_a_file_is_complete_when_it_stays_as_it_is(tmp_path):
    watcher, path = Watcher(2.0), write(tmp_path / "a.png", b"")
    assert watcher.complete([path, tmp_path / "gone.png"], 0.0) == []
    assert watcher.complete([path], 9.0) == []  # empty
    write(path, b"half")
    assert watcher.complete([path], 10.0) == watcher.complete([path], 11.9) == []
    write(path, b"whole")
    assert watcher.complete([path], 12.0) == watcher.complete([path], 13.9) == []
    assert watcher.complete([path], 14.0) == [path]
    assert watcher.complete([path], 99.0) == []  # once
    write(path, b"another")
    assert watcher.complete([path], 100.0) == [] and watcher.complete([path], 102.0) == [path]
