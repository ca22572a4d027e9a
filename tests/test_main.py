import csv
import json
import os
import pty
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from faces import clean_png, pitted_png, write

import batch
import image_io
import main
import reporting
from cli import run_info
from errors import ExitCode, MissingDependency, OutputError
from records import FAIL, LOCALIZATION_FAILED, PASS, UNGRADED, UNREADABLE, Inspection, InspectionRecord

ROOT = Path(main.__file__).parent
SUMMARY_START = (
    "Image_Filename,Pass/Fail_Status,Processing_Time_s,Total_Defect_Count,Core_Defect_Count,Cladding_Defect_Count,"
    "Failure_Reason(s),"
)
STATUS_BY_PREFIX = {"pass": PASS, "fail": FAIL, "ungraded": UNGRADED, "lost": LOCALIZATION_FAILED, "bad": UNREADABLE}


@pytest.fixture(autouse=True)
def isolated(tmp_path, monkeypatch):
    """Results go to a temporary folder, and no calibration.json of this machine is used."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(main, "DEFAULT_PATH", tmp_path / "absent.json")


@pytest.fixture
def by_name(monkeypatch):
    """Replace the inspection by one that takes the status from the file's name."""

    def inspect(path, settings, *, name):
        status = STATUS_BY_PREFIX[re.match("[a-z]+", path.name)[0]]
        return Inspection(InspectionRecord(image_filename=name, image_path=str(path), status=status))

    monkeypatch.setattr(batch, "inspect_file", inspect)


def images(*names, folder="in"):
    return [write(Path(folder) / name, b"x") for name in names]


def statuses(folder="out"):
    with open(Path(folder) / "summary_report.csv", encoding="utf-8", newline="") as file:
        return {row["Image_Filename"]: row["Pass/Fail_Status"] for row in csv.DictReader(file)}


def one_sentence(captured):
    assert "Traceback" not in captured.err and captured.out == ""
    lines = captured.err.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("main.py: ")
    return lines[0]


# --- exit codes ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "code"),
    [
        (("pass1.png", "pass2.png"), ExitCode.OK),
        (("pass1.png", "fail2.png"), ExitCode.NOT_ALL_PASSED),
        (("pass1.png", "ungraded.png"), ExitCode.NOT_ALL_PASSED),
        (("pass1.png", "lost.png"), ExitCode.IMAGES_FAILED),
        (("bad.png", "fail.png", "pass.png"), ExitCode.IMAGES_FAILED),
    ],
)
@pytest.mark.parametrize("exit_zero", [False, True])
def test_exit_code_by_verdicts(by_name, names, code, exit_zero):
    images(*names)
    expected = ExitCode.OK if exit_zero and code == ExitCode.NOT_ALL_PASSED else code
    assert main.main(["in", "-o", "out", *(["--exit-zero"] if exit_zero else [])]) == expected
    assert set(statuses()) == set(names)


USAGE = {
    "no input": [],
    "unknown option": ["in", "--frobnicate"],
    "abbreviated option": ["in", "--over"],
    "negative core": ["in", "--core-um", "-9"],
    "zero cladding": ["in", "--cladding-um", "0"],
    "textual cladding": ["in", "--cladding-um", "wide"],
    "nan": ["in", "--cladding-um", "nan"],
    "infinite": ["in", "--core-um", "inf", "--cladding-um", "125"],
    "core as large as cladding": ["in", "--core-um", "125", "--cladding-um", "125"],
    "core larger than the type's cladding": ["in", "--core-um", "130", "--fiber-type", "multimode_50_125"],
    "unknown fiber type": ["in", "--fiber-type", "multimode_50_126"],
    "unknown zone": ["in", "--zones", "core,clading"],
    "no zone": ["in", "--zones", ","],
    "unknown profile": ["in", "--profile", "fast"],
    "no jobs": ["in", "--jobs", "0"],
    "half a job": ["in", "--jobs", "1.5"],
    "resume and overwrite": ["in", "--resume", "--overwrite"],
    "loud and quiet": ["in", "-v", "-q"],
    "missing config": ["in", "-c", "none.json"],
    "missing calibration": ["in", "--calibration", "none.json"],
}


@pytest.mark.parametrize("arguments", USAGE.values(), ids=USAGE.keys())
def test_misuse_writes_nothing(by_name, capsys, arguments):
    images("pass.png")
    assert main.main([*arguments, "-o", "out"]) == ExitCode.INVALID_INPUT
    captured = capsys.readouterr()
    assert captured.err.startswith("main.py: ") and "Traceback" not in captured.err and captured.out == ""
    assert not os.path.exists("out")


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["--zones", "clading"], "Did you mean Cladding?"),
        (["--fiber-type", "multimode_50_126"], "Did you mean multimode_50_125?"),
        (["--profile", "fast_scam"], "fast_scan"),
        (["--core-um", "9", "--cladding-um", "5"], "smaller than the cladding"),
    ],
)
def test_misuse_says_what_was_meant(capsys, arguments, hint):
    images("pass.png")
    assert main.main(["in", *arguments]) == ExitCode.INVALID_INPUT
    assert hint in capsys.readouterr().err


@pytest.mark.parametrize("inputs", [["none"], ["none.png"], ["*.png"], ["empty"], ["notes.txt"], ["none", "empty"]])
def test_no_image(capsys, inputs):
    Path("empty").mkdir()
    Path("notes.txt").write_text("no image")
    assert main.main([*inputs, "-o", "out"]) == ExitCode.NO_IMAGES
    assert "No image found" in one_sentence(capsys.readouterr())
    assert not os.path.exists("out")


def test_an_input_that_is_missing_does_not_stop_the_others(by_name, capsys):
    images("pass.png")
    assert main.main(["in", "elsewhere", "-o", "out"]) == ExitCode.IMAGES_FAILED
    assert statuses() == {"pass.png": PASS}
    assert "elsewhere does not exist" in capsys.readouterr().err


def test_a_broken_opencv_is_a_missing_dependency(monkeypatch, capsys):
    def broken():
        raise MissingDependency("OpenCV lacks its contrib part.", "Install it.")

    monkeypatch.setattr(image_io, "check_opencv", broken)
    assert main.main(["in"]) == ExitCode.MISSING_DEPENDENCY
    assert "contrib" in one_sentence(capsys.readouterr())


def test_a_missing_library_is_one_sentence(tmp_path):
    write(tmp_path / "shadow" / "pandas.py", b"raise ModuleNotFoundError(\"No module named 'pandas'\", name='pandas')")
    path = os.pathsep.join([str(tmp_path / "shadow"), str(ROOT)])
    done = subprocess.run(
        [sys.executable, "-c", "import main"], env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True
    )
    assert done.returncode == ExitCode.MISSING_DEPENDENCY
    assert "pandas" in done.stderr and "pip install" in done.stderr and "Traceback" not in done.stderr


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
    append = reporting.append_record

    def full_at_3(path, record):
        if record.image_filename == "pass3.png":
            raise OutputError("Cannot write results.jsonl: No space left on device.")
        append(path, record)

    monkeypatch.setattr(reporting, "append_record", full_at_3)
    assert main.main(["in", "-o", "out"]) == ExitCode.OUTPUT_UNUSABLE
    assert "No space left" in one_sentence(capsys.readouterr())
    assert list(statuses()) == ["pass1.png", "pass2.png"]
    monkeypatch.setattr(reporting, "append_record", append)
    assert main.main(["in", "-o", "out", "--resume"]) == ExitCode.OK
    assert list(statuses()) == ["pass1.png", "pass2.png", "pass3.png"]


def test_an_interrupted_batch_is_complete_so_far_and_can_be_resumed(by_name, monkeypatch, capsys):
    images("pass1.png", "pass2.png", "pass10.png")
    inspect, calls = batch.inspect_file, []

    def interrupted(path, settings, *, name):
        calls.append(path.name)
        if path.name == "pass2.png":
            raise KeyboardInterrupt
        return inspect(path, settings, name=name)

    monkeypatch.setattr(batch, "inspect_file", interrupted)
    assert main.main(["in", "-o", "out"]) == ExitCode.INTERRUPTED
    assert list(statuses()) == ["pass1.png"]
    assert "--resume" in capsys.readouterr().out
    monkeypatch.setattr(batch, "inspect_file", lambda *a, **k: calls.append(a[0].name) or inspect(*a, **k))
    assert main.main(["in", "-o", "out", "--resume"]) == ExitCode.OK
    assert calls == ["pass1.png", "pass2.png", "pass2.png", "pass10.png"]
    assert list(statuses()) == ["pass1.png", "pass2.png", "pass10.png"]


def test_an_unexpected_error_is_a_sentence_and_its_traceback_is_in_the_log(by_name, monkeypatch, capsys):
    images("pass.png")

    def broken(*_, **__):
        raise RuntimeError("boom")

    monkeypatch.setattr(reporting, "write_summary", broken)
    assert main.main(["in", "-o", "out"]) == ExitCode.IMAGES_FAILED
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


# --- resume and overwrite ------------------------------------------------------------------------------------------


def test_resuming_with_other_settings_is_refused(by_name, capsys):
    images("pass.png")
    assert main.main(["in", "-o", "out", "--cladding-um", "125"]) == ExitCode.OK
    capsys.readouterr()
    assert main.main(["in", "-o", "out", "--resume", "--cladding-um", "140"]) == ExitCode.OUTPUT_UNUSABLE
    assert "other settings" in one_sentence(capsys.readouterr())


def test_resuming_never_overwrites_files_of_an_image_of_the_same_name(by_name):
    images("pass.png", folder="a")
    images("pass.png", folder="b")
    assert main.main(["a", "-o", "out"]) == ExitCode.OK
    assert main.main(["b", "-o", "out", "--resume"]) == ExitCode.OK
    tables = {path.name for path in Path("out/details").glob("*_report.csv")}
    assert tables == {"pass_report.csv", "b_pass_png_report.csv"}
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


# --- what is said and written --------------------------------------------------------------------------------------


def test_results_are_listed_in_natural_order(by_name):
    images("pass10.png", "pass2.png", "pass1.png")
    assert main.main(["in/pass10.png", "in", "-o", "out"]) == ExitCode.OK
    assert list(statuses()) == ["pass1.png", "pass2.png", "pass10.png"]


def test_stdout_holds_only_the_closing_summary(by_name, capsys):
    images("pass1.png", "fail2.png", "lost3.png")
    main.main(["in", "-o", "out", "-v"])
    captured = capsys.readouterr()
    assert captured.out.splitlines() == [
        "3 images: 1 PASS, 1 FAIL, 1 not inspected",
        f"Reports: {Path('out') / 'summary_report.csv'}",
    ]
    assert "Processing pass1.png" in captured.err


@pytest.mark.parametrize(("loudness", "lines"), [([], 1), (["-q"], 0)])
def test_the_screen_is_quiet_about_what_went_well(by_name, capsys, loudness, lines):
    images("pass1.png", "lost2.png")
    main.main(["in", "-o", "out", *loudness])
    assert len(capsys.readouterr().err.splitlines()) == lines


def test_the_log_file_tells_the_story(by_name):
    images("pass1.png", "lost2.png")
    main.main(["in", "-o", "out", "--jobs", "3"])
    (log,) = Path("out").glob("inspection_*.log")
    assert re.fullmatch(r"inspection_\d{4}-\d\d-\d\d\.log", log.name)
    text = log.read_text(encoding="utf-8")
    for part in ("Inspecting 2 images", "Rule set:", "Processing pass1.png...", "Duration:", "lost2.png", "--jobs 3"):
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


def test_the_rule_set_follows_the_fiber_type_then_the_core(by_name, capsys):
    images("pass.png")

    def rule_set(*arguments):
        assert main.main(["in", "--dry-run", *arguments]) == ExitCode.OK
        return re.search(r"Rule set: (\S+)", capsys.readouterr().out)[1]

    single_mode = rule_set("--core-um", "9", "--cladding-um", "125")
    multimode = rule_set("--core-um", "50", "--cladding-um", "125")
    assert single_mode != multimode
    assert rule_set("--fiber-type", "multimode_50_125") == multimode
    assert rule_set("--fiber-type", "multimode_50_125", "--core-um", "9") == multimode


def test_dry_run_lists_images_and_writes_nothing(by_name, capsys):
    images("pass10.png", "pass2.png")
    assert main.main(["in", "-o", "out", "--dry-run", "--cladding-um", "125"]) == ExitCode.OK
    lines = capsys.readouterr().out.splitlines()
    assert [Path(line).name for line in lines[:2]] == ["pass2.png", "pass10.png"]
    assert any("125 um" in line for line in lines)
    assert os.listdir() == ["in"]


def test_check_config_names_what_it_checked(capsys):
    assert main.main(["--check-config"]) == ExitCode.OK
    assert "config.json: OK" in capsys.readouterr().out
    write(Path("scale.json"), b'{"um_per_px": 0}')
    assert main.main(["--check-config", "--calibration", "scale.json"]) == ExitCode.INVALID_INPUT
    assert "um_per_px" in one_sentence(capsys.readouterr())


def test_a_core_without_cladding_gives_no_scale_and_says_so(by_name, capsys):
    images("pass.png")
    main.main(["in", "-o", "out", "--core-um", "9"])
    assert "--cladding-um" in capsys.readouterr().err


def test_version_is_the_package_version(capsys):
    with pytest.raises(SystemExit) as ended:
        main.main(["--version"])
    assert ended.value.code == 0
    with open(ROOT / "pyproject.toml", "rb") as file:
        assert tomllib.load(file)["project"]["version"] == run_info.VERSION
    assert run_info.VERSION in capsys.readouterr().out


# --- the whole program ---------------------------------------------------------------------------------------------


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


# --- questions -----------------------------------------------------------------------------------------------------


def test_without_input_and_terminal_nothing_is_asked():
    done = subprocess.run(
        [sys.executable, str(ROOT / "main.py")], stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    assert done.returncode == ExitCode.INVALID_INPUT
    assert "INPUT" in done.stderr and done.stdout == ""


def test_questions_on_a_terminal_in_the_agreed_order(by_name, monkeypatch, capsys):
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
