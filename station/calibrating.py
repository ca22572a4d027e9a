"""The guided calibration: measure the target in the live picture, look at it, then put the new scale in force.

It calls what ``calibration.py`` calls, and writes the same files.
"""

from __future__ import annotations

import logging
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from calibration import parse_calibration
from cli.calibrate import Picture, store_target
from errors import BlinkError, CalibrationError, CameraError, describe
from metrology.target import TargetScale, measure_target
from station.live import LiveView
from station.session import Message, Session

logger = logging.getLogger("dscope.station")


@dataclass(frozen=True, eq=False)
class Measured:
    """A measured target, not yet in force."""

    found: TargetScale
    picture: Picture
    spacing_um: float

    def in_words(self) -> list[str]:
        """What was measured, and what there is to doubt."""
        found = self.found
        return [
            f"{found.um_per_px:.6g} \u00b1 {found.uncertainty_um_per_px:.2g} um per pixel",
            f"{found.marks_used} of {found.marks_found} marks, residual {found.rms_residual_px:.2f} px",
            *found.warnings,
        ]


class CalibrationGuide:
    """Called from the window's thread; the measuring is done in another, and :meth:`poll` fetches its result."""

    def __init__(self, session: Session) -> None:
        self.measured: Measured | None = None
        self.message = Message()
        self._session = session
        self._worker = ThreadPoolExecutor(1, "calibration")
        self._pending: Future[Any] | None = None

    @property
    def is_busy(self) -> bool:
        """Whether a picture is being measured."""
        return self._pending is not None

    def measure(self, spacing_um: float) -> None:
        """Measure the target that the live picture shows now."""
        view = self._session.live.view
        self.measured, self.message = None, Message("Measuring.")
        self._pending = self._worker.submit(_measured, view, spacing_um)

    def poll(self) -> None:
        """Fetch what was measured."""
        if self._pending is None or not self._pending.done():
            return
        pending, self._pending = self._pending, None
        try:
            self.measured, self.message = pending.result(), Message()
        except Exception as error:
            self._failed(error)

    def put_in_force(self) -> bool:
        """Write calibration.json and use it from now on; False where that fails, with the reason in ``message``."""
        if self.measured is None:
            return False
        path, operator = self._session.given.calibration_path, self._session.setup.choice.operator
        try:
            text = store_target(
                path,
                self.measured.found,
                self.measured.picture,
                spacing_um=self.measured.spacing_um,
                operator=operator,
                parse=parse_calibration,
            )
        except BlinkError as error:
            self._failed(error)
            return False
        self.measured, self.message = None, Message(text)
        return self._session.reload_calibration()

    def forget(self) -> None:
        """Leave what was measured unused."""
        self.measured, self.message = None, Message()

    def close(self) -> None:
        """Wait for a measurement under way."""
        self._worker.shutdown(wait=True)

    def _failed(self, error: Exception) -> None:
        if not isinstance(error, BlinkError):
            logger.debug("The calibration ended by:", exc_info=error)
        self.message = Message(describe(error)[0], is_warning=True)


def _measured(view: LiveView, spacing_um: float) -> Measured:
    if view.sight is None:
        raise CalibrationError(f"There is no picture to measure. {view.trouble}")
    camera = view.camera
    if camera is not None and camera.sends_test_picture:
        raise CameraError("The camera sends a test picture, not what it sees.", "Switch its test pattern off.")
    source = view.title if camera is None else f"camera {camera.serial}"
    picture = Picture(view.sight.grey, source, None if camera is None else camera.as_dict())
    return Measured(measure_target(picture.grey, spacing_um=spacing_um), picture, spacing_um)
