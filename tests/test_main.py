"""main.py: exit codes, what misuse is answered, and what is said on the screen."""

import os
import re
import tomllib
from pathlib import Path

import pytest
from faces import write
from main_runs import KNOWN, ROOT, images, one_sentence, statuses

import image_io
import main
from cli import run_info
from errors import ExitCode, MissingDependency
from records import PASS

pytestmark = pytest.mark.usefixtures("isolated")


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
    assert main.main(["in", "-o", "out", *KNOWN, *(["--exit-zero"] if exit_zero else [])]) == expected
    assert set(statuses()) == set(names)


USAGE = {
    "no input": [],
    "unknown option": ["in", "--frobnicate"],
    "abbreviated option": ["in", "--over"],
    "negative core": ["in", "--core-um", "-9"],
    "zero cladding": ["in", "--cladding-um", "0"],
    "textual cladding": ["in", "--cladding-um", "wide"],
    "a cladding of two centimetres": ["in", "--cladding-um", "20000"],
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
    "watching without doing": ["in", "--watch", "--dry-run"],
    "watching a check": ["in", "--watch", "--check-config"],
    "an output without a name": ["in", "-o", ""],
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
        (["--profil", "fast_scan"], "Did you mean --profile?"),
        (["--fibre-type=x"], "Did you mean --fiber-type?"),
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
    said = one_sentence(capsys.readouterr())
    assert "No image found" in said and ("--recursive" in said) == ("empty" in inputs)
    assert not os.path.exists("out")


def test_an_input_that_is_missing_does_not_stop_the_others(by_name, capsys):
    images("pass.png")
    assert main.main(["in", "elsewhere", "-o", "out", *KNOWN]) == ExitCode.IMAGES_FAILED
    assert statuses() == {"pass.png": PASS}
    assert "elsewhere does not exist" in capsys.readouterr().err


def test_inputs_and_options_in_any_order(by_name):
    images("pass1.png", "fail2.png", "-pass3.png", folder=".")
    assert main.main(["pass1.png", "-o", "out", "fail2.png", *KNOWN, "--", "./-pass3.png"]) == ExitCode.NOT_ALL_PASSED
    assert set(statuses()) == {"pass1.png", "fail2.png", "-pass3.png"}


def test_a_broken_opencv_is_a_missing_dependency(monkeypatch, capsys):
    def broken():
        raise MissingDependency("OpenCV lacks its contrib part.", "Install it.")

    monkeypatch.setattr(image_io, "check_opencv", broken)
    assert main.main(["in"]) == ExitCode.MISSING_DEPENDENCY
    assert "contrib" in one_sentence(capsys.readouterr())


# --- what is said -----------------------------------------------------------------------------------------------------


def test_stdout_holds_only_the_closing_summary(by_name, capsys):
    images("pass1.png", "fail2.png", "lost3.png")
    main.main(["in", "-o", "out", "-v"])
    captured = capsys.readouterr()
    assert captured.out.splitlines() == [
        "3 images: 1 PASS, 1 FAIL, 1 not inspected",
        f"Reports: {Path('out') / 'report.html'}, {Path('out') / 'summary_report.csv'}",
    ]
    assert "Processing pass1.png" in captured.err


@pytest.mark.parametrize(("loudness", "lines"), [([], 1), (["-q"], 0)])
def test_the_screen_is_quiet_about_what_went_well(by_name, capsys, loudness, lines):
    images("pass1.png", "lost2.png")
    main.main(["in", "-o", "out", *KNOWN, *loudness])
    assert len(capsys.readouterr().err.splitlines()) == lines


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


@pytest.mark.parametrize(
    ("options", "warned"),
    [([], True), (["--core-um", "9"], True), (KNOWN, False), (["--fiber-type", "single_mode_pc"], False)],
)
def test_a_batch_that_cannot_be_graded_says_so_beforehand(by_name, capsys, options, warned):
    images("ungraded.png")
    main.main(["in", "-o", "out", *options])
    assert ("--cladding-um" in capsys.readouterr().err) == warned


def test_the_help_names_every_exit_code(capsys):
    with pytest.raises(SystemExit):
        main.main(["--help"])
    said = capsys.readouterr().out
    assert all(re.search(rf"\b{int(code)}\s+[a-zA-Z]", said) for code in ExitCode)


def test_version_is_the_package_version(capsys):
    with pytest.raises(SystemExit) as ended:
        main.main(["--version"])
    assert ended.value.code == 0
    with open(ROOT / "pyproject.toml", "rb") as file:
        assert tomllib.load(file)["project"]["version"] == run_info.VERSION
    assert run_info.VERSION in capsys.readouterr().out
