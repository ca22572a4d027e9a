"""evaluate.py as a whole: its command line, its files, its exit codes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from deadly import sqrt_or_die
from evaluation_scenes import image_result, shipped_settings
from faces import face_scene, pit, write
from main_runs import ROOT

import evaluate
from errors import ExitCode
from evaluation import plots
from evaluation.pool import Task, assess_all, run_tasks
from evaluation.truth import load_truth_set
from rendering.engine import render
from synthetic import write_rendering


@pytest.fixture(scope="module")
def labelled(tmp_path_factory):
    """A set of a clean face, a pitted one, a broken file and an image without truth."""
    folder = tmp_path_factory.mktemp("set")
    write_rendering(render(face_scene()), folder, "clean")
    write_rendering(render(face_scene(pit(40.0, 20.0))), folder, "pitted")
    path = write_rendering(render(face_scene()), folder, "torn")
    path.write_bytes(path.read_bytes()[:200])
    write(folder / "images" / "bare.png", path.read_bytes())
    return folder


@pytest.fixture
def quick(monkeypatch, tmp_path):
    """Work in a temporary folder, with an instant answer in place of the inspection."""
    monkeypatch.chdir(tmp_path)
    for name in ("a", "b"):
        document = {"fiber": None, "verdict": "clean", "defects": []}
        write(Path(f"set/images/{name}.png"), cv2.imencode(".png", np.zeros((9, 9), np.uint8))[1].tobytes())
        write(Path(f"set/truth/{name}.json"), json.dumps(document).encode())
    answers = {}

    def assess_all(tasks, *, jobs, on_finished):
        results = [answers.get(task.truth.name) or image_result(task.truth.name, 2, 1, 1, 1) for task in tasks]
        for result in results:
            on_finished(result)
        return results

    monkeypatch.setattr(evaluate, "assess_all", assess_all)
    for plot in ("recall_plot", "size_plot"):
        monkeypatch.setattr(plots, plot, lambda *arguments: b"a picture")
    return answers


def run(*arguments):
    return evaluate.main([str(argument) for argument in arguments])


def one_sentence(captured):
    assert captured.out == "" and "Traceback" not in captured.err
    (line,) = captured.err.strip().splitlines()
    assert line.startswith("evaluate.py: ")
    return line


@pytest.mark.soak
def test_two_profiles_on_a_small_set_from_the_shell(labelled, tmp_path):
    command = [sys.executable, str(ROOT / "evaluate.py"), str(labelled), "-o", "out", "--jobs", "2", "--repeat"]
    command += ["--profile", "deep_inspection", "fast_scan"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == ExitCode.IMAGES_FAILED, done.stderr
    assert "Traceback" not in done.stderr
    assert "bare.png is left out: There is no bare.json" in done.stderr.replace("\n", " ")
    assert done.stderr.count("torn.png could not be evaluated") == 2
    lines = done.stdout.splitlines()
    assert lines[0].startswith("deep_inspection: 2 images, located 2 of 2, recall 1.000, precision 1.000")
    assert lines[1].startswith("fast_scan: 2 images") and lines[2] == f"Report: {Path('out/validation_v1.md')}"
    assert len(lines) == 3
    data = json.loads((tmp_path / "out" / "evaluation.json").read_text(encoding="utf-8"))
    assert [run["profile"] for run in data["profiles"]] == ["deep_inspection", "fast_scan"]
    assert all(image["profile"] == run["profile"] for run in data["profiles"] for image in run["images"])
    assert [image["name"] for image in data["profiles"][0]["images"]] == ["clean.png", "pitted.png", "torn.png"]
    assert set(data["repeat"]) == {"deep_inspection", "fast_scan"}
    assert data["profiles"][0]["settings_sha256"] != data["profiles"][1]["settings_sha256"]
    text = (tmp_path / "out" / "validation_v1.md").read_text(encoding="utf-8")
    assert "| recall | 1.000 (1 of 1)" in text and "## Repeatability" in text


def test_done(quick, capsys):
    assert run("set", "-o", "out") == ExitCode.OK
    captured = capsys.readouterr()
    assert captured.err == "" and captured.out.startswith("deep_inspection: 2 images")
    assert {path.name for path in Path("out").iterdir()} == {
        "evaluation.csv", "evaluation.json", "validation_v1.md", "pictures"
    }  # fmt: skip


def test_the_default_output_is_a_new_folder(quick):
    assert run("set", "-q") == ExitCode.OK
    (folder,) = Path().glob("evaluation_2*")
    assert (folder / "validation_v1.md").is_file()


def test_a_baseline_is_compared(quick, capsys):
    assert run("set", "-o", "old") == ExitCode.OK
    quick["a.png"] = image_result("a.png", 2, 2, 2, 2)
    assert run("set", "-o", "new", "--baseline", "old/evaluation.json") == ExitCode.OK
    assert "Compared with old/evaluation.json: " in capsys.readouterr().out.replace(os.sep, "/")
    assert "| a.png |  | Pit/Dig 2 |" in Path("new/validation_v1.md").read_text(encoding="utf-8")


def test_an_image_that_could_not_be_evaluated_shows_in_the_exit_code(quick, capsys):
    quick["b.png"] = image_result("b.png", problem="The file is empty.")
    assert run("set", "-o", "out") == ExitCode.IMAGES_FAILED
    assert "b.png could not be evaluated: The file is empty." in capsys.readouterr().err
    quick["a.png"] = image_result("a.png", problem="The file is empty.")
    assert run("set", "-o", "none") == ExitCode.IMAGES_FAILED
    assert "0 images, located 0 of 0, recall -" in capsys.readouterr().out


def test_drift_is_handed_the_options(quick, monkeypatch):
    calls = []

    class Drift:
        def to_dict(self):
            return {"levels": []}

    def run_drift(truths, settings, **options):
        calls.append((len(truths), settings.config.profile, options["jobs"], options["judged_share"]))
        options["on_finished"](1, 10)
        return Drift()

    monkeypatch.setattr(evaluate, "run_drift", run_drift)
    monkeypatch.setattr(evaluate, "write_drift", lambda drift, folder: [])
    monkeypatch.setattr(evaluate, "drift_markdown", lambda drift: ["## Drift"])
    options = ["--drift", "--jobs", "3", "--limit-radius", "0,9", "--profile", "fast_scan", "--profile", "fast_scan"]
    assert run("set", "-o", "out", *options) == ExitCode.OK
    assert calls == [(2, "fast_scan", 3, 0.9)]
    assert "## Drift" in Path("out/validation_v1.md").read_text(encoding="utf-8")
    assert json.loads(Path("out/evaluation.json").read_text(encoding="utf-8"))["drift"] == {"levels": []}


MISUSE = {
    "no folder": ([], ExitCode.INVALID_INPUT, "FOLDER"),
    "folder after --profile": (["--profile", "fast_scan", "set"], ExitCode.INVALID_INPUT, "before --profile"),
    "two folders": (["set", "set"], ExitCode.INVALID_INPUT, "nexpected argument"),
    "an unknown option": (["set", "--profiles", "x"], ExitCode.INVALID_INPUT, "--profile"),
    "no jobs": (["set", "--jobs", "0"], ExitCode.INVALID_INPUT, "whole number"),
    "no radius": (["set", "--limit-radius", "nan"], ExitCode.INVALID_INPUT, "above 0"),
    "no baseline": (["set", "--baseline", "old.json"], ExitCode.INVALID_INPUT, "old.json"),
    "an absent folder": (["nowhere"], ExitCode.NO_IMAGES, "nowhere"),
    "no labelled set": (["."], ExitCode.NO_IMAGES, "images"),
    "a file as output": (["set", "-o", "set/truth/a.json"], ExitCode.OUTPUT_UNUSABLE, "file"),
}


@pytest.mark.parametrize(("arguments", "code", "words"), MISUSE.values(), ids=MISUSE.keys())
def test_misuse_is_one_sentence(quick, capsys, arguments, code, words):
    assert run(*arguments) == code
    assert words in one_sentence(capsys.readouterr())


def test_an_unknown_profile_and_a_broken_configuration(quick, capsys):
    assert run("set", "--profile", "deep_inspektion") == ExitCode.INVALID_INPUT
    assert "deep_inspection" in capsys.readouterr().err
    Path("bad.json").write_text("{", encoding="utf-8")
    assert run("set", "-c", "bad.json") == ExitCode.INVALID_INPUT
    assert not list(Path().glob("evaluation_*"))


def test_an_output_that_holds_an_evaluation(quick, capsys):
    assert run("set", "-o", "out", "-q") == ExitCode.OK
    capsys.readouterr()
    assert run("set", "-o", "out") == ExitCode.OUTPUT_UNUSABLE
    assert "--overwrite" in one_sentence(capsys.readouterr())
    assert run("set", "-o", "out", "--overwrite") == ExitCode.OK


def test_ctrl_c(quick, monkeypatch, capsys):
    def interrupt(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(evaluate, "assess_all", interrupt)
    assert run("set", "-o", "out") == ExitCode.INTERRUPTED
    assert "Interrupted" in one_sentence(capsys.readouterr())


@pytest.mark.soak
def test_a_missing_library(tmp_path):
    write(tmp_path / "shadow" / "matplotlib" / "__init__.py", b"raise ModuleNotFoundError('no matplotlib')")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "shadow")}
    command = [sys.executable, str(ROOT / "evaluate.py"), "set"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == ExitCode.MISSING_DEPENDENCY
    assert done.stderr.startswith("evaluate.py: ") and "pip install" in done.stderr


# --- many images ---------------------------------------------------------------------------------------------------


def test_images_are_assessed_in_order_in_this_process(labelled):
    tasks = [Task(truth, shipped_settings()) for truth in load_truth_set(labelled, lambda sentence: None)]
    finished = []
    results = assess_all(tasks, jobs=1, on_finished=lambda result: finished.append(result.name))
    assert [result.name for result in results] == finished == ["clean.png", "pitted.png", "torn.png"]
    assert [bool(result.problem) for result in results] == [False, False, True]


@pytest.mark.soak
def test_a_task_that_ends_its_process_costs_only_itself():
    results = list(run_tasks(sqrt_or_die, [4, 0, 9], 2))
    assert results == [(4, 2.0), (0, None), (9, 3.0)]
