"""The plain window: OpenCV only, one key per step, for machines without PySide6.

OpenCV loses keys that follow each other quickly. Serial numbers are therefore read from the terminal, line by line, and
a key counts only when it stays alone for a moment: a scanner that types into the window changes nothing.
"""

from __future__ import annotations

import contextlib
import queue
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import cv2
import numpy as np

from cli.interrupts import StopRequest
from reports.annotate import label_text, worst_first
from reports.boxes import TextBox
from reports.drawing import PANEL, WHITE, TextStyle, bgr, draw_text, fill_box, plain, wrapped
from reports.layout import Box
from station import drawing, words
from station.session import Phase, Session

_TITLE = "D-Scope Blink station"
_SIZE = (1280, 800)
_PICTURE = (850, 800)
_TEXT, _VERDICT, _VERDICT_PX, _MARGIN_PX = TextStyle(0.66, 1), TextStyle(2.4, 5), 110, 10
_ALONE_S = 0.15
_WAIT_MS = 15
_MOST_MARKS = 12
_HELP = (
    "Space: capture and inspect",
    "a: again, discard the result",
    "s: save; n: save, then next part",
    "m, z, f: marks, zones, magnify",
    "p, t: next profile, next fibre type",
    "q: close",
    "Serial number: type or scan it into the terminal, then Enter.",
)


def show_plain(session: Session, profiles: Sequence[str], stop: StopRequest) -> None:
    """Show the window until it is closed, or until a signal asks for the end."""
    window, serials = PlainWindow(session, profiles), _lines_of_terminal()
    cv2.namedWindow(_TITLE, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO | cv2.WINDOW_GUI_NORMAL)
    cv2.resizeWindow(_TITLE, *_SIZE)
    try:
        while not stop.requested and not window.is_closed:
            session.poll()
            with contextlib.suppress(queue.Empty):
                session.scan(serials.get_nowait())
            cv2.imshow(_TITLE, window.picture())
            window.press(cv2.waitKey(_WAIT_MS), time.monotonic())
            if cv2.getWindowProperty(_TITLE, cv2.WND_PROP_VISIBLE) < 1:
                break
    finally:
        session.discard()
        cv2.destroyAllWindows()


class PlainWindow:
    """What the window shows and what its keys do."""

    def __init__(self, session: Session, profiles: Sequence[str]) -> None:
        self.is_closed = False
        self.switches = drawing.Switches()
        self._session, self._profiles = session, [*profiles]
        self._waiting: tuple[int, float] | None = None
        self._noise_until_s = 0.0
        self._asked = False
        self._still: tuple[object, drawing.Switches, np.ndarray] | None = None

    def press(self, key: int, now_s: float) -> None:
        """A key as ``cv2.waitKey`` gives it, -1 for none: it counts when no other one follows soon."""
        if key != -1:
            if self._waiting is not None or now_s < self._noise_until_s:
                self._waiting, self._noise_until_s = None, now_s + _ALONE_S
                self._session.say("Keys came too fast for this window: scan into the terminal.", is_warning=True)
            else:
                self._waiting = key & 0xFF, now_s
        elif self._waiting is not None and now_s >= self._waiting[1] + _ALONE_S:
            key, self._waiting = self._waiting[0], None
            self._do(chr(key).lower())

    def _do(self, key: str) -> None:
        session, shown = self._session, self.switches
        actions: dict[str, Callable[[], object]] = {
            " ": session.capture,
            "a": session.again,
            "s": session.save,
            "n": session.next,
            "p": lambda: self._choose_next("profile", self._profiles, session.setup.config.profile),
            "t": lambda: self._choose_next(
                "fiber_type", [None, *session.setup.config.fiber_types], session.setup.choice.fiber_type
            ),
            "q": self._close,
            "\x1b": self._close,
        }
        switches = {
            "m": replace(shown, marks=not shown.marks),
            "z": replace(shown, zones=not shown.zones),
            "f": replace(shown, zoom=not shown.zoom),
        }
        self.switches = switches.get(key, shown)
        actions.get(key, lambda: None)()
        self._asked = self._asked and key in "q\x1b"

    def _close(self) -> None:
        """At once when nothing would be lost, else when asked twice."""
        if self._session.phase is Phase.SAVING:
            return
        self.is_closed = self._asked or not self._session.is_unsaved
        if not self.is_closed:
            self._asked = True
            self._session.say("This capture is not saved: s saves it, q once more discards it.", is_warning=True)

    def _choose_next(self, name: str, values: Sequence[str | None], now: str | None) -> None:
        """The next value that is accepted: a fibre type may contradict the dimensions that were given."""
        place = values.index(now) + 1
        for value in (*values[place:], *values[:place]):
            if self._session.choose(**{name: value}):
                self._session.say(f"{name.replace('_', ' ').capitalize()}: {value or 'not given'}.")
                return

    # --- what is shown -----------------------------------------------------------------------------------------------

    def picture(self) -> np.ndarray:
        """The whole window, (800, 1280, 3) uint8 BGR."""
        shown = np.full((_SIZE[1], _SIZE[0], 3), PANEL, np.uint8)
        left = self._left()
        if left is not None:
            shown[:, : _PICTURE[0]] = left
        right = Box(_PICTURE[0] + _MARGIN_PX, _MARGIN_PX, _SIZE[0] - _MARGIN_PX, _SIZE[1] - _MARGIN_PX)
        self._draw_verdict(shown, replace(right, bottom=right.top + _VERDICT_PX))
        self._texts().draw(shown, replace(right, top=right.top + _VERDICT_PX))
        return shown

    def _draw_verdict(self, shown: np.ndarray, box: Box) -> None:
        session, color = self._session, PANEL
        text = "INSPECTING" if session.phase is Phase.INSPECTING else "READY"
        if session.inspected is not None:
            status = session.inspected.inspection.record.status
            text, color = status.upper(), bgr(session.setup.config.reporting.status_colors, status)
        room_px = box.right - box.left - 2 * _MARGIN_PX
        scale = min(_VERDICT.scale, _VERDICT.scale * room_px / _VERDICT.width(text))
        style = TextStyle(scale, max(2, round(_VERDICT.thickness * scale / _VERDICT.scale)))
        fill_box(shown, box, color)
        draw_text(shown, text, box.left + _MARGIN_PX, (box.top + box.bottom + style.cap_px) // 2, style, WHITE)

    def _left(self) -> np.ndarray | None:
        session, reporting = self._session, self._session.setup.config.reporting
        inspected, sight = session.inspected, session.live.view.sight
        if inspected is None:
            return None if sight is None else drawing.live_picture(sight, _PICTURE, self.switches, reporting)
        if self._still is None or self._still[:2] != (inspected, self.switches):
            drawn = drawing.result_picture(inspected.inspection, _PICTURE, self.switches, reporting)
            self._still = inspected, self.switches, drawn
        return self._still[2]

    def _texts(self) -> TextBox:
        session = self._session
        lines = self._about_live() if session.inspected is None else self._about_result()
        setup = session.setup
        part = [
            f"Serial number: {session.serial or 'none'}",
            f"Fibre type: {setup.choice.fiber_type or 'not given'}. Profile: {setup.config.profile}.",
            f"{len(session.saved)} saved",
        ]
        everything = [session.message.text, "", *lines, "", *part, "", *_HELP]
        width_px = _SIZE[0] - _PICTURE[0] - 4 * _MARGIN_PX
        flow = [line for text in everything for line in (wrapped(plain(text), width_px, _TEXT) or [""])]
        return TextBox(_TEXT, tuple(flow))

    def _about_live(self) -> list[str]:
        view, limits = self._session.live.view, self._session.setup.config.preprocessing
        if view.sight is None:
            return [view.trouble]
        focus = words.focus_in_words(view.sight.focus_score, limits)
        return [words.fiber_in_words(view.sight), focus, words.light_in_words(view.sight), view.title]

    def _about_result(self) -> list[str]:
        record = self._session.inspected.inspection.record
        marks = [label_text(defect, record.scale.known) for defect in worst_first(record.defects)[:_MOST_MARKS]]
        return [*words.reasons_of(record), *record.warnings, "", *marks]


def _lines_of_terminal() -> queue.SimpleQueue[str]:
    """Lines as they are typed there; none where there is no terminal."""
    lines: queue.SimpleQueue[str] = queue.SimpleQueue()

    def read() -> None:
        with contextlib.suppress(OSError, ValueError):
            for line in sys.stdin:
                lines.put(line)

    if sys.stdin is not None:
        threading.Thread(target=read, name="terminal", daemon=True).start()
    return lines
