"""The one command that makes the shipped models: its steps, and once in small with everything."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec

import pytest
from config_trees import TREE
from main_runs import ROOT

import synthetic
from config_loader import find_problems
from errors import ExitCode
from learning import make_models


def steps(*arguments: str) -> list[list[str]]:
    return [*make_models.commands(make_models.parse_arguments(arguments))]


def test_the_steps_render_build_and_train(tmp_path):
    work = tmp_path / "work"
    found = steps("--work", str(work), "--labels", str(tmp_path / "mine"), "--tasks", "patch", "-q")
    assert [step[0] for step in found[:4]] == ["synthetic.py"] * 4
    assert [step[1] for step in found[4:]] == ["learning.build_dataset"] * 5 + ["learning.train"]
    assert str(tmp_path / "mine") in found[8] and all("--quiet" in step for step in found[4:])
    assert {step[step.index("--seed") + 1] for step in found[:4]} == {str(s.seed) for s in make_models.SCENES}


def test_what_is_rendered_is_not_rendered_again(tmp_path):
    arguments = ("--work", str(tmp_path), "--limit", "2")
    first = steps(*arguments)[0]
    assert synthetic.main(first[1:]) == 0
    assert [step[1] for step in steps(*arguments) if step[0] == "synthetic.py"] == [
        str(tmp_path / scenes.name) for scenes in make_models.SCENES[1:]
    ]
    assert steps("--work", str(tmp_path), "--limit", "3")[0][0] == "synthetic.py"


def test_lower_thresholds_are_settings_and_leave_the_tree_alone():
    before = json.dumps(TREE)
    tree = make_models.with_lower_thresholds(TREE)
    assert find_problems(tree) == []
    assert tree["detection"]["confidence_threshold"] < TREE["detection"]["confidence_threshold"]
    assert tree["detection"]["likelihood"]["min_probability"] < TREE["detection"]["likelihood"]["min_probability"]
    assert json.dumps(TREE) == before


@pytest.mark.skipif(find_spec("torch") is None, reason="needs requirements-learning.txt")
def test_a_labelled_set_that_is_none_is_refused_before_anything_is_rendered(tmp_path):
    arguments = ["--work", str(tmp_path / "work"), "--tasks", "segment", "--labels", str(tmp_path), "-q"]
    assert make_models.main(arguments) == ExitCode.INVALID_INPUT
    assert [*tmp_path.iterdir()] == []


@pytest.mark.soak
@pytest.mark.skipif(find_spec("torch") is None, reason="needs requirements-learning.txt")
def test_a_step_that_fails_ends_it_with_its_code(tmp_path, caplog):
    (tmp_path / "dataset").write_text("a file where a folder should be")
    assert make_models.main(["--work", str(tmp_path), "--tasks", "segment", "--limit", "1", "-q"]) == 6
    assert "goes on from there" in caplog.text


@pytest.mark.soak
@pytest.mark.skipif(find_spec("keras") is None, reason="needs requirements-learning.txt")
def test_all_of_it_in_small(tmp_path):
    command = [sys.executable, "-m", "learning.make_models", "--work", str(tmp_path / "work"), "--out", str(tmp_path)]
    command += ["--limit", "8", "--epochs", "1", "--tasks", "patch", "--no-progress"]
    for _ in range(2):  # the second time there is nothing left to do
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert (tmp_path / "patch.onnx").stat().st_size > 100_000
