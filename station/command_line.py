"""The command line of the station, its order of work and its exit codes."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console

import image_io
from calibration import CONFIG_PATH
from camera import runtime
from cli import output_folder
from cli.arguments import Parser, add_screen_options, diameter_um, name_of_person, path, size
from cli.image_files import find_images
from cli.interrupts import StopRequest
from cli.model_options import MODEL_HELP, model_files
from cli.program import run_program
from cli.screen import say
from config_loader import profile_names
from errors import ExitCode, NoImagesError, UsageError
from reports.html_report import check_jinja
from station import displays
from station.live import Live
from station.output import Outputs
from station.session import Session
from station.setup import Choice, Given, Setup, make_setup
from station.sources import CameraSource, FolderSource, Source

Show = Callable[[Session, Sequence[str], StopRequest], None]


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code. Every expected failure ends as one sentence on stderr."""
    return run_program("station", parse_arguments, work, argv)


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line; raises :class:`UsageError`."""
    parser = Parser(
        prog="-m station",
        allow_abbrev=False,
        description="Live inspection at the microscope: look, press Space, read the verdict.",
        epilog="Exit codes: 0 closed; 2 usage or settings invalid; 4 no image in FOLDER; 5 a library or the display is"
        " missing; 6 OUTPUT cannot be used; 130 interrupted. See README.md.",
    )
    add = parser.add_argument
    add("folder", nargs="?", type=path, metavar="FOLDER", help="images that are played as if they were the camera")
    add("--plain", action="store_true", help="a plain window without Qt: picture, verdict, keys")
    add("--full-screen", action="store_true", help="fill the screen (F11 changes it)")
    add("-o", "--output", type=path, help="folder for what is saved (default: results_YYYYMMDD_HHMMSS)")
    add("--resume", action="store_true", help="go on in an OUTPUT that holds results of the same settings")
    add("--profile", help="profile of config.json to begin with")
    add("-c", "--config", type=path, default=CONFIG_PATH, metavar="FILE", help="default: config.json beside main.py")
    add("--calibration", type=path, metavar="FILE", help="default: calibration.json beside main.py, where it exists")
    add("--fiber-type", metavar="NAME", help="fibre type of config.json to begin with")
    add("--core-um", type=diameter_um, metavar="D", help="core diameter in micrometres")
    add("--cladding-um", type=diameter_um, metavar="D", help="cladding diameter in micrometres: gives the scale")
    add("--zones", metavar="LIST", help="inspect and judge only these zones, for example core,cladding")
    add("--model", type=model_files, metavar="LIST", help=MODEL_HELP)
    add("--operator", type=name_of_person, metavar="NAME", help="who inspects, for the reports")
    add("--seconds", type=size, default=4.0, metavar="S", help="how long each image of FOLDER is shown (4)")
    add_screen_options(parser, has_progress=False)
    options = parser.parse_args(argv)
    options.argv = sys.argv[1:] if argv is None else list(argv)
    if options.plain and options.full_screen:
        raise UsageError("--full-screen does not go with --plain.")
    return options


def work(options: argparse.Namespace, console: Console) -> ExitCode:
    """The whole job, step by step."""
    image_io.check_opencv()
    check_jinja()
    dimensions = (options.core_um, options.cladding_um, options.zones)
    given = Given(options.config, options.calibration, *dimensions, options.model)
    setup = make_setup(given, Choice(options.profile, options.fiber_type, options.operator or ""))
    source = choose_source(options, setup)
    show = choose_window(options)
    outputs = Outputs(options.output or output_folder.new_name(), given, options.argv, resume=options.resume)
    live = Live(source, setup.settings)
    with StopRequest() as stop, ExitStack() as closing:
        if options.resume:
            outputs.open(setup)
        session = Session(given, setup, outputs, live)
        closing.callback(session.close)
        live.start()
        show(session, profile_names(options.config), stop)
    report_end(session)
    return ExitCode.INTERRUPTED if stop.requested else ExitCode.OK


def choose_source(options: argparse.Namespace, setup: Setup) -> Source:
    """The folder that was named, or the camera; raises :class:`errors.BlinkError` where there is neither."""
    if options.folder is None:
        runtime.load_pylon()
        return CameraSource(setup.config.camera)
    found = find_images([options.folder])
    if not found.paths:
        raise NoImagesError(f"No image found: {'; '.join(found.problems) or f'none in {options.folder}'}.")
    return FolderSource(found.paths, options.seconds)


def choose_window(options: argparse.Namespace) -> Show:
    """The window that was asked for; raises :class:`errors.MissingDependency` where it cannot be opened."""
    if options.plain:
        from matplotlib import get_data_path

        from station.plain import show_plain

        displays.give_opencv_fonts(Path(get_data_path()) / "fonts" / "ttf")
        displays.check_plain()
        return show_plain
    displays.release_qt_from_opencv()
    displays.check_qt()
    from station.screen.app import show_station

    def show(session: Session, profiles: Sequence[str], stop: StopRequest) -> None:
        show_station(session, profiles, stop, full_screen=options.full_screen)

    return show


def report_end(session: Session) -> None:
    """Say where the results are."""
    count = len(session.saved)
    say(f"{count} capture{'s' * (count != 1)} saved.")
    for folder in session.folders:
        say(f"Reports: {folder / 'report.html'}, {folder / 'summary_report.csv'}")
