"""Where log records go: one line per message on the screen and in the file, whatever names it holds."""

import io
import logging
from pathlib import Path

import pytest
from rich.console import Console

from cli.logs import logging_to_file, logging_to_screen, one_line

HOSTILE = "a\nERROR b\r\x1b[31m\x85\u2028\x9b1m\x00.png"
logger = logging.getLogger("dscope.test")


def test_hostile_names_split_no_line(tmp_path):
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, color_system=None)
    with logging_to_screen(console, logging.INFO), logging_to_file(tmp_path) as path:
        logger.warning("%s: unreadable.", HOSTILE)
        logger.info("Fl\xe4che \u4e2d [bold] %s", "\udcff")
    shown = "a\\nERROR b\\r\\x1b[31m\\x85\\u2028\\x9b1m\\x00.png: unreadable."
    first, second = path.read_text(encoding="utf-8").splitlines()
    assert first.endswith(f" WARNING {shown}") and second.endswith("Fl\xe4che \u4e2d [bold] \\udcff")
    assert screen.getvalue().splitlines()[0] == f"Warning: {shown}" and "\x1b" not in screen.getvalue()


def test_a_traceback_keeps_its_lines(tmp_path):
    with logging_to_screen(Console(file=io.StringIO()), logging.INFO), logging_to_file(tmp_path) as path:
        try:
            raise ValueError("boom")
        except ValueError:
            logger.debug("a\nb ended early:", exc_info=True)
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines[0].endswith("a\\nb ended early:") and lines[-1] == "ValueError: boom" and len(lines) > 3


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a full disk by the means of Linux")
def test_a_full_disk_does_not_hide_why_a_run_ends(tmp_path):
    with logging_to_screen(Console(file=io.StringIO()), logging.INFO), logging_to_file(tmp_path) as path:
        pass
    path.unlink()
    path.symlink_to("/dev/full")
    with pytest.raises(KeyError), logging_to_file(tmp_path):
        logger.warning("This cannot be written.")
        raise KeyError


@pytest.mark.parametrize("text", ["", "plain", "Fl\xe4che \u4e2d\U0001f50d", "back\\slash", "\udcff"])
def test_other_characters_stay_as_they_are(text):
    assert one_line(text) == text
