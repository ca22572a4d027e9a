"""The questions asked when the program is started on a terminal without INPUT."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentTypeError
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO, TypeVar

from cli.arguments import diameter_um, pick
from errors import BlinkError, UsageError

T = TypeVar("T")
DIMENSIONS_QUESTION = "Do you want to provide known fiber dimensions (in microns) for this batch? (y/n)"


@dataclass(frozen=True)
class Answers:
    """What the user typed; None = unknown."""

    folder: Path
    output: Path
    core_um: float | None = None
    cladding_um: float | None = None
    fiber_type: str | None = None


def ask_all(
    *,
    default_output: Path,
    fiber_types: Iterable[str],
    check_output: Callable[[Path], None],
    check_fiber: Callable[..., object] = lambda **dimensions: None,
    answers: TextIO | None = None,
    screen: TextIO | None = None,
) -> Answers:
    """Ask, in this order: image folder, output folder, dimensions (y/n), core and cladding diameter, fibre type.

    A bad answer is explained and asked again. ``check_output`` (of the folder) and ``check_fiber`` (of ``core_um``,
    ``cladding_um`` and ``fiber_type``) raise :class:`errors.BlinkError` for what cannot be used. Raises
    :class:`UsageError` when the input ends early.
    """
    known = list(fiber_types)

    def ask(question: str, convert: Callable[[str], T]) -> T:
        return _ask(question, convert, answers or sys.stdin, screen or sys.stderr)

    def output_folder(text: str) -> Path:
        path = _path(text) if text else default_output
        check_output(path)
        return path

    folder = ask("Folder with the images:", _folder)
    output = ask(f"Output folder [{default_output}]:", output_folder)
    core_um = cladding_um = None
    if ask(DIMENSIONS_QUESTION, _yes_no):
        core_um = ask("Core diameter in microns (Enter if unknown):", lambda text: diameter_um(text) if text else None)
        cladding_um = ask("Cladding diameter in microns:", lambda text: _cladding(text, core_um))

    def fiber(text: str) -> str | None:
        name = pick(text, known, "fiber type") if text else None
        check_fiber(core_um=core_um, cladding_um=cladding_um, fiber_type=name)
        return name

    fiber_type = ask(f"Fiber type (Enter if unknown; {', '.join(known)}):", fiber)
    return Answers(folder, output, core_um, cladding_um, fiber_type)


def _ask(question: str, convert: Callable[[str], T], answers: TextIO, screen: TextIO) -> T:
    while True:
        print(question, end=" ", file=screen, flush=True)
        try:
            line = answers.readline()
        except KeyboardInterrupt:
            print(file=screen)
            raise
        if not line:
            print(file=screen)
            raise UsageError("The input ended before all questions were answered.", "Name the images as INPUT.")
        try:
            return convert(line.strip())
        except (BlinkError, ArgumentTypeError) as error:
            message = str(error).rstrip(".")
            print(f"  {message[:1].upper()}{message[1:]}.", file=screen)


def _path(text: str) -> Path:
    """A typed path; quotes, as they come from dragging a folder into the window, are dropped."""
    return Path(os.path.expanduser(text.strip("\"'")))


def _folder(text: str) -> Path:
    path = _path(text)
    if not text or not path.is_dir():
        raise UsageError(f"There is no folder {text!r}." if text else "Please name a folder.")
    return path


def _yes_no(text: str) -> bool:
    if text.casefold() not in ("y", "yes", "n", "no"):
        raise UsageError("Please answer y or n.")
    return text.casefold().startswith("y")


def _cladding(text: str, core_um: float | None) -> float:
    cladding_um = diameter_um(text)
    if core_um is not None and cladding_um <= core_um:
        raise UsageError(f"The cladding must be larger than the core ({core_um:g} um).")
    return cladding_um
