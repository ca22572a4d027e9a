"""`python -m station`: what it refuses, in one sentence each, and which Qt its window is opened by."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import faces
import pytest
import station_fakes  # noqa: F401  skips these tests without PySide6
from main_runs import KNOWN, ROOT, until

from errors import ExitCode
from station import command_line, displays

pytestmark = pytest.mark.usefixtures("isolated")


def start(*options: object, **environment: str | None) -> subprocess.Popen:
    variables = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "WAYLAND_DISPLAY")}
    variables |= {"PYTHONPATH": str(ROOT), "QT_QPA_PLATFORM": "offscreen"} | environment
    variables = {name: value for name, value in variables.items() if value is not None}
    command = [sys.executable, "-m", "station", *map(str, options)]
    return subprocess.Popen(command, env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def refused(*options: object) -> tuple[int, str]:
    """Exit code and the sentence on stderr."""
    program = start(*options)
    out, error = program.communicate(timeout=60)
    assert out == "" and len(error.splitlines()) == 1 and "Traceback" not in error
    return program.returncode, error


def is_loaded(program: subprocess.Popen, library: str) -> bool:
    assert program.poll() is None
    return library in Path(f"/proc/{program.pid}/maps").read_text(encoding="utf-8", errors="replace")


@pytest.fixture
def folder():
    faces.write(Path("in/face.png"), faces.clean_png())
    return Path("in")


def test_wrong_settings_are_refused_before_a_window_is_opened(folder, capsys):
    Path("bad.json").write_text("{}", encoding="utf-8")
    for options, code, words in (
        (["in", "-c", "bad.json"], ExitCode.INVALID_INPUT, "bad.json"),
        (["in", "--profile", "nonsense"], ExitCode.INVALID_INPUT, "nonsense"),
        (["in", "--fiber-type", "nonsense"], ExitCode.INVALID_INPUT, "Unknown fiber type"),
        (["in", "--core-um", "200", *KNOWN], ExitCode.INVALID_INPUT, "must be smaller"),
        (["in", "--calibration", "absent.json"], ExitCode.INVALID_INPUT, "absent.json does not exist"),
        (["in", "--plain", "--full-screen"], ExitCode.INVALID_INPUT, "does not go with"),
        (["nowhere"], ExitCode.NO_IMAGES, "nowhere does not exist"),
        (["in", "-o", "in/face.png"], ExitCode.OUTPUT_UNUSABLE, "is a file"),
    ):
        assert command_line.main(options) == code
        error = capsys.readouterr().err
        assert words in error and "Traceback" not in error


def test_an_output_that_holds_results_is_refused(folder, capsys):
    Path("out").mkdir()
    Path("out/results.jsonl").write_text("", encoding="utf-8")
    assert command_line.main(["in", "-o", "out"]) == ExitCode.OUTPUT_UNUSABLE
    assert "already holds results" in capsys.readouterr().err


def test_without_pyside6_the_way_out_is_named(folder, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "PySide6", None)
    assert command_line.main(["in"]) == ExitCode.MISSING_DEPENDENCY
    error = capsys.readouterr().err
    assert "requirements-station.txt" in error and "--plain" in error and len(error.splitlines()) == 1


@pytest.mark.parametrize("options", [[], ["--plain"]])
def test_without_a_display_it_says_so(folder, options):
    program = start("in", *options, QT_QPA_PLATFORM="xcb")
    error = program.communicate(timeout=60)[1]
    assert program.returncode == ExitCode.MISSING_DEPENDENCY
    assert "No window can be opened here" in error and len(error.splitlines()) == 1


def test_sigterm_closes_it_in_order(folder):
    program = start("in", "-o", "out", *KNOWN)
    until(lambda: is_loaded(program, "libqoffscreen"), 60)
    time.sleep(1.0)
    program.send_signal(signal.SIGTERM)
    out, error = program.communicate(timeout=60)
    assert (program.returncode, out, error) == (ExitCode.INTERRUPTED, "0 captures saved.\n", "")


# --- two Qt libraries in one process ---------------------------------------------------------------------------------

LOOK = """
import os, cv2
from pathlib import Path
from station import displays
before = os.environ["QT_QPA_PLATFORM_PLUGIN_PATH"]
displays.release_qt_from_opencv()
from PySide6.QtWidgets import QApplication
from PySide6.QtCore import QLibraryInfo
application = QApplication([])
paths = [each for each in QApplication.libraryPaths()]
print(int("cv2" in before), int(any("cv2" in each for each in paths)), application.platformName())
print(QLibraryInfo.path(QLibraryInfo.LibraryPath.PluginsPath), os.environ.get("QT_QPA_PLATFORM_PLUGIN_PATH"))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere OpenCV brings no Qt")
def test_the_window_is_opened_by_pyside_s_own_plugins():
    environment = os.environ | {"PYTHONPATH": str(ROOT), "QT_QPA_PLATFORM": "offscreen"}
    done = subprocess.run([sys.executable, "-c", LOOK], env=environment, capture_output=True, text=True, timeout=60)
    first, second = done.stdout.splitlines()
    assert first == "1 0 offscreen" and "PySide6" in second and second.endswith(" None")


def test_paths_that_somebody_has_set_stay(monkeypatch, tmp_path):
    monkeypatch.setenv("QT_QPA_PLATFORM_PLUGIN_PATH", str(tmp_path))
    monkeypatch.delenv("QT_QPA_FONTDIR", raising=False)
    displays.release_qt_from_opencv()
    assert os.environ["QT_QPA_PLATFORM_PLUGIN_PATH"] == str(tmp_path)


@pytest.fixture
def display(tmp_path):
    """A display of its own, where the machine has Xvfb."""
    import shutil

    if shutil.which("Xvfb") is None:
        pytest.skip("Xvfb is not installed")
    reading, writing = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(writing), "-screen", "0", "1280x800x24"],
        pass_fds=[writing],
        stderr=subprocess.DEVNULL,
    )
    os.close(writing)
    with os.fdopen(reading) as number:
        name = f":{number.readline().strip()}"
    yield name
    server.terminate()
    server.wait()


@pytest.mark.parametrize("options", [[], ["--plain"]])
def test_it_opens_on_a_real_display(folder, display, options):
    program = start("in", "-o", "out", *KNOWN, *options, DISPLAY=display, QT_QPA_PLATFORM="xcb")
    until(lambda: is_loaded(program, "libQt5XcbQpa" if options else "libQt6XcbQpa"), 60)
    time.sleep(1.0)
    program.send_signal(signal.SIGTERM)
    out, error = program.communicate(timeout=60)
    assert (program.returncode, out, error) == (ExitCode.INTERRUPTED, "0 captures saved.\n", "")
