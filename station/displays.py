"""Whether a window can be opened, and which of the two Qt libraries in this process opens it.

The wheel of OpenCV holds a Qt 5 for its own windows and, when it is imported, points Qt's environment variables at it.
A Qt 6 that follows them finds plugins it cannot load and ends the process.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import cv2

from errors import MissingDependency

_PATHS = ("QT_QPA_PLATFORM_PLUGIN_PATH", "QT_QPA_FONTDIR")
_PROBE_S = 60.0
_README = 'the system libraries that README.md names under "The live station"'


def release_qt_from_opencv() -> None:
    """Take the paths of OpenCV's own Qt out of the environment; what somebody else has set stays."""
    home = Path(cv2.__file__).resolve().parent
    for name in _PATHS:
        if home in Path(os.environ.get(name, "")).resolve().parents:
            del os.environ[name]


def give_opencv_fonts(folder: Path) -> None:
    """Fonts for the plain window: the wheel holds none, and says so again and again."""
    os.environ["QT_QPA_FONTDIR"] = str(folder)


def check_qt() -> None:
    """Raise :class:`MissingDependency` where PySide6 is missing, or cannot open a window on this machine."""
    try:
        import PySide6.QtWidgets  # noqa: F401
    except ImportError as error:
        of_system = "shared object" in str(error)
        raise MissingDependency(
            f"The station's window needs PySide6 ({error}).",
            f"Install {_README}."
            if of_system
            else "Run: pip install -r requirements-station.txt. Or use --plain, which does without.",
        ) from error
    _probe("from PySide6.QtGui import QGuiApplication; QGuiApplication([])")


def check_plain() -> None:
    """Raise :class:`MissingDependency` where OpenCV cannot open a window."""
    _probe("import cv2; cv2.namedWindow('probe'); cv2.destroyAllWindows()")


def _probe(code: str) -> None:
    """Try it in a process of its own: Qt ends the one that it cannot open a window for."""
    try:
        tried = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=_PROBE_S)
    except subprocess.TimeoutExpired:
        said, failed = "the display does not answer", True
    else:
        said, failed = tried.stderr.strip().partition("\n")[0], tried.returncode != 0
    if failed:
        raise MissingDependency(
            f"No window can be opened here ({said.rstrip('. ') or 'the display cannot be used'}).",
            f"Start it on the machine's own screen, or install {_README}.",
        )
