"""--watch: go on with the files that are new or have changed, once they are complete."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from cli.interrupts import StopRequest
from settings import BatchSettings

_REPORT_SHARE = 0.1  # of the time, at most: writing the reports takes longer with every image
_Look = tuple[int, int]  # size in bytes, time of the last change in ns


class Watcher:
    """Remembers how files looked. A file is complete when it has not changed for ``settle_s`` and is not empty."""

    def __init__(self, settle_s: float) -> None:
        self._settle_s = settle_s
        self._seen: dict[Path, tuple[_Look, float]] = {}
        self._handed_out: dict[Path, _Look] = {}

    def complete(self, paths: Iterable[Path], now_s: float) -> list[Path]:
        """Those of ``paths`` that are complete at this time (of a steady clock); each once, until it changes again."""
        ready = []
        for path in paths:
            look = _look(path)
            if look is None or look == self._handed_out.get(path):
                continue
            before, since_s = self._seen.get(path, (None, now_s))
            if look != before:
                self._seen[path] = (look, now_s)
                since_s = now_s
            if look[0] > 0 and now_s - since_s >= self._settle_s:
                self._handed_out[path] = look
                del self._seen[path]
                ready.append(path)
        return ready


def _look(path: Path) -> _Look | None:
    try:
        status = path.stat()
    except OSError:  # gone again
        return None
    return status.st_size, status.st_mtime_ns


def watch(
    find: Callable[[], Sequence[Path]],
    inspect: Callable[[Sequence[Path]], None],
    report: Callable[[], None],
    limits: BatchSettings,
    stop: StopRequest,
) -> None:
    """Look for files again and again, inspect those that are complete, and refresh the reports, until the stop."""
    watcher = Watcher(limits.settle_s)
    unreported, next_report_s = False, 0.0
    while not stop.requested:
        paths = watcher.complete(find(), time.monotonic())
        inspect(paths)
        unreported = unreported or bool(paths)
        started_s = time.monotonic()
        if unreported and started_s >= next_report_s and not stop.requested:
            report()
            unreported = False
            next_report_s = time.monotonic() + (time.monotonic() - started_s) / _REPORT_SHARE
        stop.wait(limits.poll_s)
