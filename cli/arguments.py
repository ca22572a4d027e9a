"""Argument parsing shared by the command lines: one sentence per mistake, and numbers that are usable as sizes."""

from __future__ import annotations

import argparse
import difflib
import math
from collections.abc import Iterable
from typing import NoReturn

from errors import UsageError


class Parser(argparse.ArgumentParser):
    """A parser whose mistakes are raised as :class:`UsageError` instead of ending the process."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message[:1].upper()}{message[1:]}.", f"See: python {self.prog} --help")


def size(text: str) -> float:
    """A finite number above zero, with a decimal point or comma."""
    try:
        value = float(text.strip().replace(",", "."))
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected a number, got {text!r}") from None
    if not math.isfinite(value) or value <= 0:
        raise argparse.ArgumentTypeError(f"expected a number above zero, got {text!r}")
    return value


def count(text: str) -> int:
    """A whole number from 1."""
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number from 1, got {text!r}")
    return value


def pick(text: str, known: Iterable[str], what: str) -> str:
    """The member of ``known`` that the user means, whatever its case.

    Raises :class:`UsageError` with the nearest name and the list of all.
    """
    by_key = {name.casefold(): name for name in known}
    wanted = text.strip().casefold()
    if wanted in by_key:
        return by_key[wanted]
    near = difflib.get_close_matches(wanted, by_key, n=1)
    hint = f" Did you mean {by_key[near[0]]}?" if near else ""
    raise UsageError(f"Unknown {what} {text.strip()!r}.{hint}", f"Known: {', '.join(by_key.values())}.")
