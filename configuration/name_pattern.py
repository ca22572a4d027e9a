"""Serial numbers and ports from file names, by the pattern of config.json; and whether a pattern is usable."""

from __future__ import annotations

import re
import time
import warnings
from functools import lru_cache

GROUPS = ("serial", "port")
_LONGEST_NAME = 255
_SLOW_S = 0.1  # of processor time; a sound pattern takes microseconds
_PROBES = ("a", "1", "-", "_1", "a1", "sn1_p1-")  # besides the pattern's own characters


def serial_and_port(stem: str, pattern: str | None) -> tuple[str, str]:
    """The serial number and the port that a file's name, without its extension, holds; "" for what it does not."""
    found = None if pattern is None else re.search(pattern, stem[:_LONGEST_NAME])
    if found is None:
        return "", ""
    groups = found.groupdict()
    serial, port = (groups.get(name) or "" for name in GROUPS)
    return serial, port


@lru_cache(maxsize=64)
def pattern_flaw(pattern: str) -> str:
    """What is wrong with a pattern, with what was expected instead; empty when it can be used on any file name."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            names = set(re.compile(pattern).groupindex)
    except (re.error, OverflowError, RecursionError, Warning) as error:
        return f"is no regular expression ({error}); expected one with a group (?P<serial>...)"
    if "serial" not in names:
        return "has no group named serial; expected (?P<serial>...) around the serial number"
    if unknown := sorted(names - set(GROUPS)):
        return f"has a group named {unknown[0]}; expected no other names than serial and port"
    if _is_slow(pattern):
        return "takes too long on some names; expected no repetition inside another, as in (a+)+"
    return ""


def _is_slow(pattern: str) -> bool:
    """Whether a name could keep the program busy for ever: tried on longer and longer ones, up to the first slow one.

    Python cannot call a search off, and the time of a bad pattern doubles with each character.
    """
    for probe in sorted({*_PROBES, *pattern}):
        length = 8
        while length < _LONGEST_NAME:
            name = (probe * length)[:length] + "\0"
            started = time.thread_time()
            re.search(pattern, name)
            if time.thread_time() - started > _SLOW_S:
                return True
            length += max(1, length // 16)
    return False
