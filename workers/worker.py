"""The life of one worker process: take a task from the pipe, send the answer, until the other end is gone."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import pickle
import signal
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection, wait
from typing import Any

from workers.answer import Answer, answer

READY = "ready"


def serve(pipe: Connection, work: Callable[[Any], Any]) -> None:
    """Answer tasks until the parent closes the pipe or dies. Ctrl-C is the parent's business."""
    for name in ("SIGINT", "SIGTERM", "SIGBREAK"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):
        pipe.send(READY)
        while True:
            _send(pipe, answer(work, pipe.recv()))
    os._exit(0)  # a thread that hangs in a read of a stalled share must not keep the process


def _send(pipe: Connection, reply: Answer) -> None:
    try:
        data = pickle.dumps(reply)
    except Exception as error:
        data = pickle.dumps(Answer(error=RuntimeError(f"the result cannot be sent: {error}"), log=reply.log))
    pipe.send_bytes(data)


def _leave_with_parent() -> None:
    """End this process in the middle of its task when the parent was killed: nobody waits for the answer."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
