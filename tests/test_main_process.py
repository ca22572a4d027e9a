"""main.py as a process of its own and at a terminal."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from faces import clean_png, pitted_png, write
from main_runs import ROOT, images, statuses

import main
from errors import ExitCode
from records import FAIL, PASS, UNREADABLE

pytestmark = pytest.mark.usefixtures("isolated")

SUMMARY_START = (
    "Image_Filename,Pass/Fail_Status,Processing_Time_s,Total_Defect_Count,Core_Defect_Count,Cladding_Defect_Count,"
    "Failure_Reason(s),"
)


def test_a_good_and_a_bad_end_face_from_the_shell(tmp_path):
    write(tmp_path / "in" / "clean.png", clean_png())
    write(tmp_path / "in" / "pitted.png", pitted_png())
    write(tmp_path / "in" / "broken.png", b"no image")
    command = [sys.executable, str(ROOT / "main.py"), "in", "-o", "out", "--cladding-um", "125", "--core-um", "9"]
    done = subprocess.run([*command, "--save-masks", "--save-zones"], capture_output=True, text=True)
    assert done.returncode == ExitCode.IMAGES_FAILED, done.stderr
    assert statuses() == {"broken.png": UNREADABLE, "clean.png": PASS, "pitted.png": FAIL}
    assert Path("out/summary_report.csv").read_text(encoding="utf-8").startswith(SUMMARY_START)
    details = {path.name for path in Path("out/details").iterdir()}
    assert {
        f"pitted_{end}" for end in ("annotated.png", "report.csv", "labels.png", "zones.png", "core.png")
    } <= details
    assert done.stdout.splitlines()[0] == "3 images: 1 PASS, 1 FAIL, 1 not inspected"
    assert "Traceback" not in done.stderr


ENDED_EARLY = {
    "missing": ("raise ModuleNotFoundError('no numpy')", ExitCode.MISSING_DEPENDENCY, "pip install"),
    "broken": (
        "raise ImportError('libGL.so.1: cannot open shared object file: No such file')",
        ExitCode.MISSING_DEPENDENCY,
        "apt-get install libgl1",
    ),
    "Ctrl-C": ("raise KeyboardInterrupt", ExitCode.INTERRUPTED, "Interrupted"),
}


@pytest.mark.parametrize(("line", "code", "words"), ENDED_EARLY.values(), ids=ENDED_EARLY.keys())
@pytest.mark.parametrize("script", ["main.py", "calibration.py"])
def test_a_start_that_does_not_succeed_is_one_sentence(tmp_path, script, line, code, words):
    write(tmp_path / "shadow" / "cv2.py", line.encode())
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "shadow")}
    done = subprocess.run([sys.executable, str(ROOT / script)], env=environment, capture_output=True, text=True)
    assert done.returncode == code
    assert done.stderr.startswith(f"{script}: ") and words in done.stderr and len(done.stderr.splitlines()) == 1


def test_a_reader_that_goes_away_is_no_failure(tmp_path):
    write(tmp_path / "in" / "clean.png", clean_png())
    with subprocess.Popen(
        [sys.executable, str(ROOT / "main.py"), "in", "--dry-run"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == ExitCode.OK


def test_without_input_and_terminal_nothing_is_asked():
    done = subprocess.run(
        [sys.executable, str(ROOT / "main.py")], stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    assert done.returncode == ExitCode.INVALID_INPUT
    assert "INPUT" in done.stderr and done.stdout == ""


def test_questions_on_a_terminal_in_the_agreed_order(by_name, monkeypatch, capsys):
    pty = pytest.importorskip("pty")
    images("pass.png")
    controller, terminal = pty.openpty()
    answers = ["nowhere", "in", "out", "perhaps", "y", "-9", "9", "5", "125", "sm", "single_mode_pc"]
    with os.fdopen(terminal, encoding="utf-8") as stdin, os.fdopen(controller, "w") as keyboard:
        keyboard.write("".join(f"{answer}\n" for answer in answers))
        keyboard.flush()
        monkeypatch.setattr(sys, "stdin", stdin)
        assert main.main([]) == ExitCode.OK
    asked = capsys.readouterr().err
    order = [
        "Folder with the images",
        "Output folder",
        "known fiber dimensions",
        "Core diameter",
        "Cladding",
        "Fiber type",
    ]
    places = [asked.index(question) for question in order]
    assert places == sorted(places)
    run = json.loads(Path("out/run.json").read_text(encoding="utf-8"))
    assert (run["core_um"], run["cladding_um"], run["fiber_type"]) == (9, 125, "single_mode_pc")
