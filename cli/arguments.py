"""Argument parsing shared by the command lines: one sentence per mistake, and numbers that are usable as sizes."""

from __future__ import annotations

import argparse
import difflib
import math
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NoReturn

from errors import UsageError

MAX_DIAMETER_UM = 10_000  # as in config.schema.json


class Parser(argparse.ArgumentParser):
    """A parser whose mistakes are raised as :class:`UsageError` instead of ending the process."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message[:1].upper()}{message[1:]}.", f"See: python {self.prog} --help")

    def parse_args(self, args: Sequence[str] | None = None, namespace: None = None) -> argparse.Namespace:
        """Options and inputs in any order; after ``--`` all are inputs.

        Raises :class:`UsageError`, which names the option that was probably meant.
        """
        given = list(sys.argv[1:] if args is None else args)
        end = given.index("--") if "--" in given else len(given)
        options, surplus = self.parse_known_intermixed_args(given[:end], namespace)
        literal = given[end + 1 :]
        if hasattr(options, "inputs"):
            options.inputs = [*options.inputs, *literal]
        else:
            surplus += literal
        if surplus:
            self._refuse(surplus)
        return options

    def _refuse(self, surplus: Sequence[str]) -> NoReturn:
        unknown = next((text for text in surplus if text.startswith("-")), None)
        if unknown is None:
            self.error(f"unexpected argument {surplus[0]!r}")
        near = difflib.get_close_matches(unknown.partition("=")[0], self._option_string_actions, n=1)
        hint = f"Did you mean {near[0]}?" if near else f"See: python {self.prog} --help"
        raise UsageError(f"Unknown option {unknown}.", hint)


def add_screen_options(
    parser: argparse.ArgumentParser,
    *,
    has_progress: bool = True,
    verbose: str = "every step on the screen",
    quiet: str = "only errors on the screen",
) -> None:
    """Add what every command line has: ``--no-progress`` where there is a bar, ``-v`` or ``-q``, ``--version``."""
    from cli.run_info import VERSION  # late: worker processes import this file, and need nothing of that one

    if has_progress:
        parser.add_argument("--no-progress", action="store_true", help="no progress bar")
    loudness = parser.add_mutually_exclusive_group()
    loudness.add_argument("-v", "--verbose", action="store_true", help=verbose)
    loudness.add_argument("-q", "--quiet", action="store_true", help=quiet)
    parser.add_argument("--version", action="version", version=f"D-Scope Blink {VERSION}")


def size(text: str) -> float:
    """A finite number above zero, with a decimal point or comma."""
    try:
        value = float(text.strip().replace(",", "."))
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected a number, got {text!r}") from None
    if not math.isfinite(value) or value <= 0:
        raise argparse.ArgumentTypeError(f"expected a number above zero, got {text!r}")
    return value


def diameter_um(text: str) -> float:
    """The diameter of a core or cladding in micrometres."""
    value = size(text)
    if value > MAX_DIAMETER_UM:
        raise argparse.ArgumentTypeError(f"expected a diameter of at most {MAX_DIAMETER_UM} um, got {text!r}")
    return value


def path(text: str) -> Path:
    """A path that is not empty: an empty one, as an unset variable leaves it, would mean the current folder."""
    if not text.strip():
        raise argparse.ArgumentTypeError("expected a name, got nothing")
    return Path(os.path.expanduser(text))


def name_of_person(text: str) -> str:
    """A name for the reports: one line that is not empty."""
    name = " ".join(text.split())
    if not name or not name.isprintable():
        raise argparse.ArgumentTypeError("expected a name, got nothing that can be printed")
    return name


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
