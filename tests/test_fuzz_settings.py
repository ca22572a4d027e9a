"""Broken settings and broken earlier results by the thousand: a sentence, or a run that ends as it should.

    python -m pytest -m soak tests/test_fuzz_settings.py

FUZZ_FILES and FUZZ_SEED change the number of broken files of the soak run and the damage.
"""

import contextlib
import csv
import faulthandler
import json
import os
import random
import shutil
import sys
from pathlib import Path

import pytest
from config_trees import TREE
from config_trees import write as write_config
from faces import write
from fuzz_images import CLEAN, PITTED, face_png
from fuzz_texts import broken_text, number_at_limit
from main_runs import KNOWN, ROOT

import main
from calibration import load_calibration
from config_loader import find_problems, load_config
from errors import CalibrationError, ConfigError, ExitCode

SEED = int(os.environ.get("FUZZ_SEED", "1"))
FILES = int(os.environ.get("FUZZ_FILES", "5000"))
SCHEMA = json.loads((ROOT / "config.schema.json").read_text(encoding="utf-8"))
CALIBRATION = {
    **{"um_per_px": 1.6447, "um_per_px_x": 1.6447, "um_per_px_y": 1.6447, "date": "2026-01-05T10:00:00+01:00"},
    **{"image_size_px": [128, 104], "note": "target R1", "uncertainty_um_per_px": 0.002, "shear_deg": 0.1},
    "camera": {"model": "a2A", "serial": "40"},
}
HANG_S = 1200.0
SAMPLE, SOAK = pytest.param(0, id="sample"), pytest.param(1, id="soak", marks=pytest.mark.soak)
TIMES = ("processing_time_s", "timings_s", "inspected_at")


@pytest.fixture(autouse=True)
def hang_guard():
    """End the session with all stacks on stderr when one test takes far longer than any should."""
    faulthandler.dump_traceback_later(HANG_S, exit=True, file=sys.__stderr__)
    yield
    faulthandler.cancel_dump_traceback_later()


def chance_of(kind, number):
    return random.Random(f"{SEED}/{kind}/{number}")


def share(soak, sample, part):
    """How many files a test makes: a few, or its part of those of the soak run."""
    return range(int(FILES * part)) if soak else range(sample)


def program(capfd, *options):
    """Exit code and output of one run, which is free of tracebacks."""
    code = main.main([*options, "--jobs", "1"])
    out, errors = capfd.readouterr()
    assert "Traceback" not in out + errors and "Internal error" not in out + errors, errors[-2000:]
    return code, out, errors


def refused(capfd, where, *options):
    """The program ends with a sentence, and writes nothing."""
    code, out, errors = program(capfd, "in", "-o", "out", *options)
    assert (code, out) == (ExitCode.INVALID_INPUT, ""), f"{where}: {code}, {errors[-500:]}"
    assert errors.startswith("main.py: ") and errors.rstrip(), where
    assert not Path("out").exists(), where


def problem_of(load, path, kind, where):
    """What is said about a file; empty when it is accepted."""
    try:
        load(path)
    except kind as error:
        assert str(error).strip(), where
        return str(error)
    return ""


@pytest.mark.parametrize("soak", [SAMPLE, SOAK])
def test_a_broken_configuration_is_refused_or_works(isolated, capfd, soak):
    write(Path("in/a.png"), face_png(CLEAN))
    accepted = 0
    for number in share(soak, 20, 0.4):
        where = f"seed {SEED}, config.json {number}"
        path = write_config(Path(), broken_text(TREE, chance_of("config", number)))
        with told(where):
            if problem_of(load_config, path, ConfigError, where):
                if number % 10 == 0:
                    refused(capfd, where, "-c", str(path), *KNOWN)
            else:
                accepted += 1
                if soak or accepted < 2:
                    inspect_one(capfd, "-c", str(path))
    assert accepted


@pytest.mark.parametrize("soak", [SAMPLE, SOAK])
def test_settings_at_their_limits_inspect(isolated, capfd, soak):
    write(Path("in/a.png"), face_png(PITTED))
    done = 0
    for number in share(soak, 4, 0.15):
        chance = chance_of("limits", number)
        tree = json.loads(json.dumps(TREE))
        wanted = chance.choice((1, 1, 2, 4))
        changes = [change for _ in range(wanted) if (change := number_at_limit(tree, SCHEMA, chance)) is not None]
        if changes and not find_problems(tree):
            done += 1
            with told(f"seed {SEED}, limits {number}: {changes}"):
                inspect_one(capfd, "-c", str(write_config(Path(), tree)))
    assert done


@pytest.mark.parametrize("soak", [SAMPLE, SOAK])
def test_a_broken_calibration_is_refused_or_works(isolated, capfd, soak):
    write(Path("in/a.png"), face_png(CLEAN))
    accepted = 0
    for number in share(soak, 40, 0.3):
        where = f"seed {SEED}, calibration.json {number}"
        path = write(Path("scale.json"), broken_text(CALIBRATION, chance_of("calibration", number)))
        with told(where):
            if problem_of(load_calibration, path, CalibrationError, where):
                if number % 20 == 0:
                    refused(capfd, where, "--calibration", str(path))
            else:
                accepted += 1
                if soak or accepted < 3:
                    inspect_one(capfd, "--calibration", str(path), "--profile", "fast_scan")
    assert accepted


@contextlib.contextmanager
def told(where):
    """Name the file that an exception comes from."""
    try:
        yield
    except Exception as error:
        error.add_note(where)
        raise


def inspect_one(capfd, *options):
    """Inspect the image in ``in`` with settings that were accepted: whatever comes out, it is no crash."""
    shutil.rmtree("out", ignore_errors=True)
    known = [] if "--calibration" in options else KNOWN
    code, _, errors = program(capfd, "in", "-o", "out", *known, *options)
    (record,) = records()
    said = " ".join((*record["reasons"], *record["warnings"]))
    assert "Internal error" not in said and "could be drawn" not in said, said
    (log,) = Path("out").glob("inspection_*.log")
    assert "Traceback" not in log.read_text(encoding="utf-8"), log.read_text(encoding="utf-8")[-2000:]
    expected = {"PASS": ExitCode.OK, "FAIL": ExitCode.NOT_ALL_PASSED, "UNGRADED": ExitCode.NOT_ALL_PASSED}
    assert code == expected.get(record["status"], ExitCode.IMAGES_FAILED), errors
    shutil.rmtree("out")


# --- earlier results ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def earlier(tmp_path_factory):
    """The folder of a finished run over a clean, a pitted and two bad images."""
    folder = tmp_path_factory.mktemp("earlier")
    for name, data in (("clean", face_png(CLEAN)), ("pitted", face_png(PITTED)), ("cut", face_png(CLEAN)[:900])):
        write(folder / "in" / f"{name}.png", data)
    write(folder / "in" / "text.png", b"no image")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(main, "DEFAULT_PATH", folder / "absent.json")
        assert main.main(RESUMED) == ExitCode.IMAGES_FAILED
    return folder


RESUMED = ["in", "-o", "out", "--resume", "--profile", "fast_scan", "--jobs", "1", *KNOWN]


@pytest.mark.parametrize("soak", [SAMPLE, SOAK])
def test_broken_results_are_made_good_by_resuming(earlier, monkeypatch, capfd, soak):
    monkeypatch.chdir(earlier)
    monkeypatch.setattr(main, "DEFAULT_PATH", earlier / "absent.json")
    results, run = (Path("out", name) for name in ("results.jsonl", "run.json"))
    whole, whole_run = results.read_bytes(), json.loads(run.read_bytes())
    lasting = {record["image_path"]: _lasting(record) for record in map(json.loads, whole.splitlines())}
    for number in share(soak, 6, 0.15):
        chance = chance_of("results", number)
        broken = broken_results(whole, chance)
        results.write_bytes(broken)
        if chance.random() < 0.3:
            run.write_bytes(broken_text(whole_run, chance))
        with told(f"seed {SEED}, results.jsonl {number}"):
            code, _, _ = program(capfd, *RESUMED)
            if code == ExitCode.OUTPUT_UNUSABLE:  # a line now names another image, or other settings
                continue
            assert code == ExitCode.IMAGES_FAILED
            found = {record["image_path"]: _lasting(record) for record in records()}
            kept = [_lasting(record) for record in readable(broken)]
            assert lasting.keys() <= found.keys()
            for path, record in found.items():
                # a line that now names another image keeps the result name that it had
                assert record in kept or record | {"result_name": ""} == lasting[path] | {"result_name": ""}, path
            with open("out/summary_report.csv", encoding="utf-8", newline="") as file:
                assert len(list(csv.DictReader(file))) == len(found)
            assert json.loads(run.read_bytes())["counts"]["images"] == len(found)
    assert {path.name for path in earlier.iterdir()} == {"in", "out"}, "something was written elsewhere"


def broken_results(whole, chance):
    """A results.jsonl of which one line, or all of it, is damaged."""
    lines = whole.splitlines(keepends=True)
    at = chance.randrange(len(lines))
    if chance.random() < 0.7:
        record = json.loads(lines[at])
        lines[at] = broken_text(record, chance).replace(b"\n", b" ") + b"\n"
        return b"".join(lines)
    end = chance.randrange(len(whole))
    return chance.choice((whole[:end], whole[:end] + bytes(30) + whole[end:], whole[end:], whole + lines[at], b""))


def readable(data):
    """What plain JSON reading makes of the lines."""
    found = []
    for line in data.splitlines():
        with contextlib.suppress(ValueError, RecursionError):
            found.append(json.loads(line))
    return [record for record in found if isinstance(record, dict)]


def _lasting(record):
    return {key: item for key, item in record.items() if key not in TIMES}


def records():
    return [json.loads(line) for line in Path("out/results.jsonl").read_bytes().splitlines()]
