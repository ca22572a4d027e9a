"""The live picture: a thread that takes frames, follows the fibre, and comes back when the camera does."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from camera import CameraState
from errors import BlinkError, describe
from inspection_settings import InspectionSettings
from station.sources import Feed, Source
from station.tracking import Sight, Tracker

_RETRY_S = 2.0
_RETRIED = "The station tries again by itself."
_LEAST_FRAME_S = 0.04  # 25 frames a second are smooth, and leave time for the inspection
_RATE_FRAMES = 25
Action = Callable[[Feed], str]
logger = logging.getLogger("dscope.station")


@dataclass(frozen=True, eq=False)
class LiveView:
    """What the live picture shows: the newest sight, or why there is none, in words."""

    sight: Sight | None = None
    trouble: str = "The camera is being opened."
    title: str = ""
    camera: CameraState | None = None
    rate_hz: float = 0.0
    number: int = 0  # of the frame


class Live:
    """Runs until :meth:`close`. ``view`` is replaced as a whole, so that any thread may look at it at any time.

    ``settings`` may be replaced, too: the next frame is seen with the new ones.
    """

    def __init__(self, source: Source, settings: InspectionSettings, *, retry_s: float = _RETRY_S) -> None:
        self.view = LiveView()
        self.settings = settings
        self._source, self._retry_s = source, retry_s
        self._actions: queue.SimpleQueue[Action] = queue.SimpleQueue()
        self._answers: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="live picture", daemon=True)

    def start(self) -> None:
        """Begin to take frames."""
        self._thread.start()

    def close(self) -> None:
        """End, and wait until the camera is closed."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()

    def ask(self, action: Action) -> None:
        """Have something done with the camera between two frames; its sentence comes out of :meth:`answer`."""
        self._actions.put(action)

    def answer(self) -> str:
        """The next sentence on something that was asked for; empty while there is none."""
        try:
            return self._answers.get_nowait()
        except queue.Empty:
            return ""

    def _run(self) -> None:
        while not self._ended.is_set():
            try:
                with self._source.opened() as feed:
                    self._play(feed)
            except Exception as error:
                if not isinstance(error, BlinkError):
                    logger.debug("The live picture ended by:", exc_info=True)
                trouble = f"{describe(error)[0]} {_RETRIED}"
                self.view = LiveView(trouble=trouble, number=self.view.number + 1)
                self._act(None)
                self._ended.wait(self._retry_s)

    def _play(self, feed: Feed) -> None:
        tracker, ends_s = Tracker(), deque([time.monotonic()], maxlen=_RATE_FRAMES)
        while not self._ended.is_set():
            self._act(feed)
            self._ended.wait(max(0.0, ends_s[-1] + _LEAST_FRAME_S - time.monotonic()))
            ends_s.append(time.monotonic())
            sight = tracker.follow(feed.frame(), feed.full_scale, self.settings)
            rate_hz = (len(ends_s) - 1) / max(ends_s[-1] - ends_s[0], 1e-6)
            self.view = LiveView(sight, "", feed.title, feed.state, rate_hz, self.view.number + 1)

    def _act(self, feed: Feed | None) -> None:
        """Do what was asked for; a camera that refuses says why, and goes on if it still can."""
        while not self._actions.empty():
            action = self._actions.get()
            try:
                self._answers.put(self.view.trouble if feed is None else action(feed))
            except BlinkError as error:
                self._answers.put(str(error))
