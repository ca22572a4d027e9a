import io
import sys
from pathlib import Path

import pytest

import main
from cli import prompts
from errors import ExitCode, OutputError, UsageError

FIBER_TYPES = ("single_mode_pc", "multimode_50_125")


def ask(folder, *answers, **checks):
    screen = io.StringIO()
    text = "".join(f"{answer}\n" for answer in (folder, *answers))
    result = prompts.ask_all(
        default_output=Path("results_default"),
        fiber_types=FIBER_TYPES,
        **{"check_output": lambda path: None, **checks},
        answers=io.StringIO(text),
        screen=screen,
    )
    return result, screen.getvalue()


def test_all_questions_answered(tmp_path):
    answers, screen = ask(tmp_path, "out", "y", "62,5", "125", "MULTIMODE_50_125")
    assert answers == prompts.Answers(tmp_path, Path("out"), 62.5, 125.0, "multimode_50_125")
    assert prompts.DIMENSIONS_QUESTION in screen


def test_shortest_way_through(tmp_path):
    answers, screen = ask(tmp_path, "", "n", "")
    assert answers == prompts.Answers(tmp_path, Path("results_default"))
    assert "Core diameter" not in screen


def test_a_folder_dragged_into_the_window_comes_in_quotes(tmp_path):
    assert ask(f"'{tmp_path}'", "", "n", "")[0].folder == tmp_path


@pytest.mark.parametrize("bad", ["", "maybe", "125"])
def test_yes_or_no_is_asked_again(tmp_path, bad):
    _, screen = ask(tmp_path, "", bad, "n", "")
    assert screen.count(prompts.DIMENSIONS_QUESTION) == 2 and "y or n" in screen


@pytest.mark.parametrize("bad", ["0", "-125", "wide", "nan", "9", "8.9", ""])
def test_an_impossible_cladding_is_asked_again(tmp_path, bad):
    answers, screen = ask(tmp_path, "", "y", "9", bad, "125", "")
    assert answers.cladding_um == 125.0 and screen.count("Cladding diameter") == 2


def test_an_unknown_core_is_allowed(tmp_path):
    assert ask(tmp_path, "", "yes", "", "125", "")[0] == prompts.Answers(
        tmp_path, Path("results_default"), None, 125.0, None
    )


def test_an_unknown_fiber_type_is_asked_again_with_a_hint(tmp_path):
    answers, screen = ask(tmp_path, "", "n", "multimode_50_12", "multimode_50_125")
    assert answers.fiber_type == "multimode_50_125" and "Did you mean multimode_50_125?" in screen


def test_a_fiber_that_contradicts_the_dimensions_is_asked_again(tmp_path):
    def check(*, core_um, cladding_um, fiber_type):
        if (core_um, cladding_um, fiber_type) == (None, 5.0, "single_mode_pc"):
            raise UsageError("The core (9 um) must be smaller than the cladding (5 um).")

    answers, screen = ask(tmp_path, "", "y", "", "5", "single_mode_pc", "", check_fiber=check)
    assert answers.fiber_type is None and "smaller than the cladding (5 um).\n" in screen


def test_a_missing_folder_and_an_unusable_output_are_asked_again(tmp_path):
    def check(path):
        if path.name == "used":
            raise OutputError("used already holds results.")

    answers, screen = ask(tmp_path / "none", "", tmp_path, "used", "fresh", "n", "", check_output=check)
    assert (answers.folder, answers.output) == (tmp_path, Path("fresh"))
    assert "There is no folder" in screen and "already holds results" in screen


@pytest.mark.parametrize("count", [0, 1, 3])
def test_an_input_that_ends_early_is_a_usage_error(tmp_path, count):
    with pytest.raises(UsageError, match="ended"):
        ask(*[tmp_path, "out", "y"][:count]) if count else prompts.ask_all(
            default_output=Path("out"),
            fiber_types=FIBER_TYPES,
            check_output=lambda path: None,
            answers=io.StringIO(),
            screen=io.StringIO(),
        )


class Terminal(io.StringIO):
    """A terminal at which somebody presses Ctrl-C."""

    def isatty(self):
        return True

    def readline(self, *_):
        raise KeyboardInterrupt


def test_ctrl_c_at_a_question(monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", Terminal())
    assert main.main([]) == ExitCode.INTERRUPTED
    said = capsys.readouterr().err
    assert "Traceback" not in said and said.splitlines()[-1].startswith("main.py: ")
