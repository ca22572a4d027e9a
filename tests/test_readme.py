"""README.md keeps up with the program: its commands, options, exit codes, columns, settings and worked example."""

import json
import re

import pytest
from config_trees import TREE, changed
from main_runs import ROOT

import benchmark
import calibration
import evaluate
import main
from cli import report
from config_loader import find_problems
from errors import ExitCode
from learning import build_dataset, make_models, train
from learning.vlm import disagreements, export, finetune, merge
from records import LOCALIZATION_FAILED, UNGRADED, UNREADABLE
from reports.tables import DETAIL_COLUMNS, SUMMARY_COLUMNS
from station import command_line

TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)


def test_the_first_commands_need_nothing_but_python():
    (run, test) = [text.splitlines() for language, text in BLOCKS if language == "sh"]
    assert len(run) == len(test) == 1
    assert all("-m venv" in line and "-r requirements.txt" in line for line in (*run, *test))
    assert "main.py samples" in run[0] and test[0].endswith("-m pytest")


PROGRAMS = (
    main,
    evaluate,
    calibration,
    benchmark,
    report,
    build_dataset,
    train,
    make_models,
    export,
    disagreements,
    finetune,
    merge,
    command_line,
)


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda module: module.__name__)
def test_every_option_is_explained(program, capsys):
    with pytest.raises(SystemExit):
        program.main(["--help"])
    options = set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", capsys.readouterr().out)) - {"-h", "--output", "--config"}
    options -= {"--verbose", "--quiet", "-m"}
    assert {option for option in options if f"`{option}" not in TEXT} == set()


@pytest.mark.parametrize("name", [*SUMMARY_COLUMNS, *DETAIL_COLUMNS, UNGRADED, LOCALIZATION_FAILED, UNREADABLE])
def test_every_column_and_status_is_explained(name):
    assert f"`{name}`" in TEXT


@pytest.mark.parametrize("code", ExitCode)
def test_every_exit_code_is_explained(code):
    assert re.search(rf"^\| {int(code)} \| ", TEXT, re.MULTILINE)


def test_every_module_is_on_the_map():
    modules = {path.name for path in ROOT.glob("*.py")} | {
        f"{path.parent.name}/" for path in ROOT.glob("*/__init__.py")
    }
    assert {name for name in modules if f"`{name}`" not in TEXT} == set()


def test_the_settings_it_names_exist():
    names = [name.split(".") for name in re.findall(r"`(\w+\.\w+)`", TEXT)]
    names = [(section, key) for section, key in names if section in TREE and key not in ("json", "py")]
    names = [(section, key) for section, key in names if not (ROOT / section / f"{key}.py").exists()]  # a module
    assert len(names) >= 3
    assert [f"{section}.{key}" for section, key in names if key not in TREE[section]] == []


def test_the_worked_example_is_a_valid_configuration():
    rule_set, fiber = (
        json.loads("{" + text.strip().rstrip(",") + "}") for language, text in BLOCKS if language == "json"
    )
    entries = [(("rule_sets", *rule_set), *rule_set.values()), (("fiber_types", *fiber), *fiber.values())]
    assert find_problems(changed(*entries)) == []
