"""A station without a window: one picture as its camera, and inspections that take no time.

Import it first: the tests of the station run where its extra is installed, to keep the ordinary run short.
"""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path
from unittest import mock

import pytest

pytest.importorskip(
    "PySide6.QtWidgets", reason="pip install -r requirements-station.txt, and see README.md", exc_type=ImportError
)

import faces
import numpy as np
from main_runs import ROOT, until

import station.setup
from errors import CameraError
from records import PASS, Inspection, InspectionRecord
from station import displays
from station.live import Live
from station.output import Outputs
from station.session import Phase, Session
from station.setup import Choice, Given, make_setup

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
displays.release_qt_from_opencv()  # as the program does
GIVEN = Given(ROOT / "config.json", cladding_um=faces.CLADDING_UM)


class FakeCamera:
    """Shows ``picture`` until ``unplugged``; as a source and as its own feed."""

    title, full_scale, state = "Fake camera", 255, None

    def __init__(self, picture: np.ndarray | None = None) -> None:
        self.picture = faces.clean_grey() if picture is None else picture
        self.unplugged = False
        self.asked: list[float] = []

    @contextlib.contextmanager
    def opened(self):
        self.frame()
        yield self

    def frame(self):
        if self.unplugged:
            raise CameraError("The camera was unplugged.", "Plug it in.")
        time.sleep(0.002)
        return self.picture

    def set_exposure_us(self, exposure_us):
        self.asked.append(exposure_us)
        return f"Exposure: {exposure_us:.0f} us."

    def set_gain_db(self, gain_db):
        raise CameraError("There is no gain.")

    def find_exposure(self):
        return "Found."


def fake_inspection(status: str = PASS, *, wait: object = None):
    """In place of ``batch.inspect_bytes``; with an event to ``wait`` for."""

    def inspect(data, path, settings, *, name, image=None):
        if wait is not None:
            wait.wait(20)
        return Inspection(InspectionRecord(image_filename=name, image_path=str(path), status=status))

    return inspect


@contextlib.contextmanager
def running(folder: Path, camera=None, *, given: Given = GIVEN, resume: bool = False, **choice: str):
    """A session in ``folder`` with a live picture; closed with the block."""
    with mock.patch.object(station.setup, "DEFAULT_PATH", folder.parent / "absent.json"):
        setup = make_setup(given, Choice(**choice))
        live = Live(camera or FakeCamera(), setup.settings, retry_s=0.05)
        session = Session(given, setup, Outputs(folder, given, [], resume=resume), live)
        live.start()
        try:
            until(lambda: live.view.number > 0)
            yield session
        finally:
            session.close()


def wait_for(session: Session, phase: Phase) -> None:
    """Until the session is in this phase."""

    def is_there() -> bool:
        session.poll()
        return session.phase is phase

    until(is_there)


def captured(session: Session) -> None:
    """Capture, and wait for the result."""
    session.capture()
    wait_for(session, Phase.RESULT)


def saved(session: Session) -> None:
    """Capture and save."""
    captured(session)
    session.save()
    wait_for(session, Phase.SAVED)
