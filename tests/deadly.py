"""Tasks for worker processes that import nothing heavy."""

import logging
import math
import os
import signal
import time
from pathlib import Path

logger = logging.getLogger("dscope.deadly")


def sqrt_or_die(number: float) -> float:
    """The root of a number; 0 ends the process."""
    if number == 0:
        os._exit(1)
    return math.sqrt(number)


def act(task: tuple) -> object:
    """Do what the task says: a verb and what it needs."""
    verb, *rest = task
    return _VERBS[verb](*rest)


class Unstartable:
    """Work that a new process cannot even load."""

    def __call__(self, task: tuple) -> object:
        return task

    def __reduce__(self) -> tuple:
        return os._exit, (7,)


def _double(number):
    return 2 * number


def _kill(number):
    os.kill(os.getpid(), number)


def _kill_once(mark):
    """Die, unless a file says that this has happened."""
    if not Path(mark).exists():
        Path(mark).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return "survived"


def _log(text):
    try:
        raise ValueError("boom")
    except ValueError:
        logger.info("%s %d", text, os.getpid(), exc_info=True)
    return text


def _raise():
    raise OSError(28, "No space left on device")


def _raise_unportable():
    class HereError(Exception):
        pass

    raise HereError("only here")


def _sleep(seconds, mark):
    Path(mark).write_text(str(os.getpid()))
    time.sleep(seconds)


_VERBS = {
    "double": _double,
    "exit": os._exit,
    "kill": _kill,
    "kill once": _kill_once,
    "log": _log,
    "raise": _raise,
    "raise unportable": _raise_unportable,
    "return a lambda": lambda: lambda: None,
    "pid": os.getpid,
    "environment": os.environ.get,
    "ignored": lambda number: os.kill(os.getpid(), number) or "ignored",
    "sleep": _sleep,
}
