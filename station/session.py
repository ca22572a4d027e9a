"""A session at the station: capture, inspect, keep or discard; the same rules whatever the window looks like.

Called from the window's thread only. Inspecting and writing is done in one other thread, whose results
:meth:`Session.poll` fetches.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from enum import Enum, auto
from pathlib import Path
from typing import Any

import batch
from errors import BlinkError, describe
from image_io import image_of_pixels
from output_names import CAPTURES_FOLDER
from records import InspectionRecord
from station.capture import Capture, Inspected, capture, tidy_serial
from station.live import Live
from station.output import Outputs
from station.setup import Choice, Given, Setup, make_setup

_IDLE_S = 3.0  # after the last work, before reports are written: the next capture must not wait for them
_REPORT_SHARE = 0.1  # of the time, at most: writing the reports takes longer with every capture
logger = logging.getLogger("dscope.station")


class Phase(Enum):
    """What the station is doing."""

    LIVE = auto()  # a capture can be taken
    INSPECTING = auto()
    RESULT = auto()  # a result that is neither saved nor discarded
    SAVING = auto()
    SAVED = auto()


@dataclass(frozen=True)
class Message:
    """One sentence for the person at the station."""

    text: str = ""
    is_warning: bool = False


class Session:
    """Everything between the live picture and OUTPUT. Never raises for what a person does: ``message`` says it."""

    def __init__(self, given: Given, setup: Setup, outputs: Outputs, live: Live) -> None:
        self.given, self.setup, self.live = given, setup, live
        self.phase = Phase.LIVE
        self.serial = ""
        self.message = Message()
        self.inspected: Inspected | None = None
        self.saved: list[InspectionRecord] = []
        self._outputs = outputs
        self._worker = ThreadPoolExecutor(1, "inspection")
        self._pending: Future[Any] | None = None
        self._finish: Callable[[Any], None] = _nothing
        self._then_save = self._then_next = False
        self._reporting: Future[None] | None = None
        self._last_work_s, self._next_report_s, self._unreported = 0.0, 0.0, False

    # --- what a person does --------------------------------------------------------------------------------------

    def capture(self) -> None:
        """Keep the newest frame and inspect it."""
        if self.phase is not Phase.LIVE:
            busy = {Phase.INSPECTING: "The last capture is still being inspected.", Phase.SAVING: "Saving."}
            self.say(busy.get(self.phase, "First save this result, or take it again."), is_warning=True)
            return
        sight = self.live.view.sight
        if sight is None:
            self.say(f"There is no picture to capture. {self.live.view.trouble}", is_warning=True)
            return
        taken = capture(sight.frame, self.setup)
        self.say("Inspecting. The picture may move again.")
        self._start(Phase.INSPECTING, lambda: _inspect(taken), self._show)

    def again(self) -> None:
        """Back to the live picture, with the same serial number; a result that is not saved is discarded."""
        if self.phase in (Phase.RESULT, Phase.SAVED):
            self.say("Not kept. Take the picture again." if self.phase is Phase.RESULT else "")
            self._go_live()

    def discard(self) -> None:
        """Drop whatever is not saved: a result, or what an inspection under way will find."""
        if self.is_unsaved:
            self._pending = None
            self._go_live()

    def save(self) -> None:
        """Write the result into OUTPUT; while it is still being inspected, as soon as it is there."""
        self._then_save = self.phase is Phase.INSPECTING
        if self.phase is Phase.RESULT:
            inspected, serial = self.inspected, self.serial
            self._start(Phase.SAVING, lambda: self._outputs.save(inspected, serial), self._kept)

    def next(self) -> None:
        """Save the result, unless it is, and go on to the next part."""
        if self.phase is Phase.RESULT:
            self._then_next = True
            self.save()
        elif self.phase is Phase.SAVED:
            self._go_on("")

    def type_serial(self, text: str) -> None:
        """The serial number as it stands in its field."""
        if self.may_type_serial:
            self.serial = tidy_serial(text)

    def scan(self, text: str) -> None:
        """A serial number from a barcode scanner: of this part, or of the next when this one is saved."""
        serial = tidy_serial(text)
        if not serial or (serial == self.serial and self.phase is not Phase.SAVED):
            return
        if self.phase is Phase.SAVED:
            self._go_on(serial)
        elif self.phase is Phase.SAVING or (self.phase is not Phase.LIVE and self.serial):
            text = f"{serial} was scanned, but this result is of {self.serial or 'no part'} and not saved."
            self.say(f"{text} Save it or take it again, then scan.", is_warning=True)
        else:
            self.serial = serial
            self.say(f"Serial number {serial}.")

    def choose(self, **changes: str | None) -> bool:
        """Another profile, fibre type or operator, for the captures from now on; False where that is refused."""
        return self._set_up(replace(self.setup.choice, **changes))

    def reload_calibration(self) -> bool:
        """Use a calibration that has just been written."""
        return self._set_up(self.setup.choice)

    def say(self, text: str, *, is_warning: bool = False) -> None:
        """Tell the person at the station."""
        self.message = Message(text, is_warning)

    # --- what the window asks ------------------------------------------------------------------------------------

    def poll(self) -> None:
        """Fetch what the other thread has finished; have reports written when there is nothing else to do."""
        if self._pending is not None and self._pending.done():
            pending, self._pending = self._pending, None
            self._last_work_s = time.monotonic()
            if error := pending.exception():
                self._failed(error)
            else:
                self._finish(pending.result())
        if self._reporting is not None and self._reporting.done():
            reporting, self._reporting = self._reporting, None
            if error := reporting.exception():
                self._complain(error)
        if answer := self.live.answer():
            self.say(answer)
        self._report_when_idle()

    @property
    def may_type_serial(self) -> bool:
        """Whether the serial number can still be changed."""
        return self.phase in (Phase.LIVE, Phase.INSPECTING, Phase.RESULT)

    @property
    def is_unsaved(self) -> bool:
        """Whether closing now would lose a capture."""
        return self.phase in (Phase.INSPECTING, Phase.RESULT)

    @property
    def folder(self) -> Path:
        """Where the next capture is saved."""
        return self._outputs.folder_of(self.setup)

    @property
    def folders(self) -> list[Path]:
        """The folders that hold captures."""
        return self._outputs.folders

    def close(self) -> None:
        """End: an inspection under way is waited for and discarded, what is saved gets its reports.

        Raises :class:`errors.BlinkError` when the reports cannot be written; the records are there.
        """
        self.live.close()
        self._worker.shutdown(wait=True, cancel_futures=False)
        self._outputs.close()

    # --- inside --------------------------------------------------------------------------------------------------

    def _start(self, phase: Phase, work: Callable[[], Any], finish: Callable[[Any], None]) -> None:
        self.phase, self._finish = phase, finish
        self._pending = self._worker.submit(work)

    def _show(self, inspected: Inspected) -> None:
        self.inspected, self.phase = inspected, Phase.RESULT
        self.say("")
        if self._then_save:
            self.save()

    def _kept(self, record: InspectionRecord) -> None:
        self.saved.append(record)
        self.phase, self._unreported = Phase.SAVED, True
        self.say(f"Saved as {record.image_filename}.")
        if self._then_next:
            self._then_next = False
            self._go_on("")

    def _report_when_idle(self) -> None:
        now_s = time.monotonic()
        is_due = now_s >= max(self._last_work_s + _IDLE_S, self._next_report_s)
        if self._unreported and self.phase is Phase.LIVE and self._reporting is None and is_due:
            self._unreported = False
            self._reporting = self._worker.submit(self._report)

    def _report(self) -> None:
        started_s = time.monotonic()
        self._outputs.report()
        self._next_report_s = time.monotonic() + (time.monotonic() - started_s) / _REPORT_SHARE

    def _failed(self, error: BaseException) -> None:
        """A capture whose saving failed is there still, and can be saved again."""
        self._complain(error)
        self._then_next = False
        if self.phase is Phase.SAVING:
            self.phase = Phase.RESULT
        elif self.phase is Phase.INSPECTING:
            self._go_live()

    def _complain(self, error: BaseException) -> None:
        if not isinstance(error, BlinkError):
            logger.debug("The station's work ended by:", exc_info=error)
        self.say(describe(error)[0], is_warning=True)

    def _go_on(self, serial: str) -> None:
        self.serial = serial
        if serial:
            self.say(f"Serial number {serial}.")
        self._go_live()

    def _go_live(self) -> None:
        self.phase, self.inspected, self._then_save = Phase.LIVE, None, False

    def _set_up(self, choice: Choice) -> bool:
        try:
            self.setup = make_setup(self.given, choice)
        except BlinkError as error:
            self.say(str(error), is_warning=True)
            return False
        self.live.settings = self.setup.settings
        return True


def _inspect(taken: Capture) -> Inspected:
    """The batch's own inspection, of the file that the capture will be.

    Its PNG is not decoded: decoding looks at what the process prints meanwhile, and other threads may print.
    """
    image = taken.image_file(Path(CAPTURES_FOLDER), "")
    decoded = image_of_pixels(taken.frame, name=image.name)
    return Inspected(taken, batch.inspect_safely(taken.png, image, taken.setup.settings, decoded))


def _nothing(result: object) -> None:
    pass
