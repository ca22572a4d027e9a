"""The command line of calibration.py."""

from __future__ import annotations

import argparse
import getpass
from collections.abc import Sequence
from pathlib import Path

from cli.arguments import Parser, add_screen_options, count, diameter_um, size
from cli.arguments import path as path_argument
from cli.image_files import same_file_key
from errors import UsageError
from metrology.files import FLAT_FIELD_NAME, HISTORY_NAME, marks_path

CAMERA = "camera"
_EPILOG = (
    "Exit codes: 0 done; 2 usage or settings invalid, or no usable target: nothing was written; 3 the picture cannot be"
    " read; 5 no camera, or it failed, or pypylon is missing; 6 a file cannot be written; 130 interrupted."
)


def parse_arguments(argv: Sequence[str] | None, *, default_output: Path, default_config: Path) -> argparse.Namespace:
    """Read the command line; raises :class:`UsageError`."""
    parser = Parser(
        prog="calibration.py",
        allow_abbrev=False,
        description="Measure the scale of the microscope, um per pixel, on a calibration target, and write it down.",
        epilog=_EPILOG,
    )
    add = parser.add_argument
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--image", type=path_argument, metavar="FILE", help="picture of the target, not the camera's")
    source.add_argument("--from-csv", type=path_argument, metavar="FILE", help="centres of dots, columns x and y in px")
    source.add_argument("--distance-um", type=size, metavar="D", help="true distance between two marks in micrometres")
    source.add_argument("--check", action="store_true", help="check the file of -o and say what it holds")
    source.add_argument("--capture", nargs=2, metavar=("N", "OUTDIR"), help="take N frames for inspection, and stop")
    source.add_argument(
        "--flat-field",
        nargs="?",
        const=CAMERA,
        metavar="FILE",
        help="store a blank, clean reference for even light, from the camera or FILE, and stop",
    )
    add("--distance-px", type=size, metavar="L", help="with --distance-um: the same distance in the image, in pixels")
    add("--dot-spacing-um", type=diameter_um, default=10.0, metavar="D", help="between neighbouring dots or ticks (10)")
    add("--target", choices=("auto", "dots", "ruler"), default="auto", help="dot grid or line ruler (auto)")
    add("-o", "--output", type=path_argument, default=default_output, metavar="FILE", help="default: %(default)s")
    add("-c", "--config", type=path_argument, default=default_config, metavar="FILE", help="its camera part is used")
    add("--save-image", type=path_argument, metavar="FILE", help="also write the camera's picture of the target (PNG)")
    add(
        "--report", type=path_argument, metavar="FILE", help="also write a picture of how the target was measured (PNG)"
    )
    add("--exposure", metavar="US", help="exposure in us, or auto; replaces that of config.json")
    add("--average", type=count, default=1, metavar="K", help="frames per picture (1)")
    add("--label", default="", help="part of the file names of --capture")
    add("--save-user-set", action="store_true", help="store the camera's settings as its power-on default (UserSet1)")
    add("--operator", default=None, metavar="NAME", help="who calibrates, for the history (default: the user's name)")
    add("--note", default="", help="kept in the file, for example the objective used")
    add_screen_options(parser, has_progress=False)
    return _checked(parser.parse_args(argv))


def _checked(options: argparse.Namespace) -> argparse.Namespace:
    """The options with numbers for ``--capture`` and ``--exposure``; refuses combinations that make no sense."""
    if (options.distance_um is None) != (options.distance_px is None):
        raise UsageError("Give --distance-um and --distance-px together.")
    options.uses_camera = options.flat_field == CAMERA or options.capture is not None
    targets = (options.image, options.from_csv, options.distance_um, options.flat_field, options.capture)
    options.uses_camera |= not options.check and all(value is None for value in targets)
    if options.report is not None and (options.distance_um is not None or options.check):
        raise UsageError("--report needs a measured target.", "Leave it out.")
    options.output = options.output if options.output.name else options.output.absolute()  # "." has no name
    _refuse_same_files(options)
    for name in ("exposure", "save_user_set", "save_image"):
        if getattr(options, name) and not options.uses_camera:
            raise UsageError(f"--{name.replace('_', '-')} needs the camera.")
    if options.capture is not None:
        options.capture = (_whole(options.capture[0], "--capture"), Path(options.capture[1]))
    if options.exposure not in (None, "auto"):
        options.exposure = _positive(options.exposure, "--exposure")
    options.operator = _user() if options.operator is None else options.operator
    return options


def _refuse_same_files(options: argparse.Namespace) -> None:
    """No output may replace an input or another output."""
    if options.check:
        return
    inputs = [options.image, options.from_csv, options.config]
    inputs += [Path(options.flat_field)] if options.flat_field not in (None, CAMERA) else []
    outputs = [options.output, options.report, options.save_image]
    outputs += [options.output.with_name(FLAT_FIELD_NAME)] if options.flat_field is not None else []
    outputs += [marks_path(options.output), options.output.with_name(HISTORY_NAME)]
    seen = {same_file_key(path) for path in inputs if path is not None}
    for path in outputs:
        if path is None:
            continue
        if same_file_key(path) in seen:
            raise UsageError(f"{path} would be overwritten.", "Give every input and output a name of its own.")
        seen.add(same_file_key(path))


def _whole(text: str, option: str) -> int:
    try:
        return count(text)
    except argparse.ArgumentTypeError as error:
        raise UsageError(f"{option}: {error}.") from None


def _positive(text: str, option: str) -> float:
    try:
        return size(text)
    except argparse.ArgumentTypeError as error:
        raise UsageError(f"{option}: {error}, or auto.") from None


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return ""
