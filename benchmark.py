"""Measure how fast the inspection is, on pictures that it renders itself. Command line, order of work and exit codes.

python benchmark.py [--sizes 1152x864 ...] [--profiles NAME ...] [--quick] [--skip-jobs] [-o FILE]
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import process_setup  # noqa: F401  before NumPy is loaded, as in main.py
from cli.arguments import Parser, add_screen_options, count, path
from errors import ExitCode, refuse_to_start

try:
    from rich.console import Console

    import image_io
    from benchmarking.batches import BatchTimes, measure_batches, measure_start
    from benchmarking.images import ImageTimes, measure_images
    from benchmarking.pictures import CLADDING_UM, render_pictures
    from benchmarking.report import Machine, markdown
    from cli.job_settings import choose_settings
    from cli.program import run_program
    from cli.screen import say
    from config_loader import load_config
    from inspection_settings import InspectionSettings
except (ImportError, KeyboardInterrupt) as error:
    sys.exit(refuse_to_start("benchmark.py", error))

ROOT = Path(__file__).resolve().parent
SIZES_PX = ((720, 576), (1152, 864), (2048, 1536))
PROFILES = ("fast_scan", "deep_inspection")
QUICK = {"sizes": [(400, 300)], "repeats": 1, "images": 2, "batch": 4}


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code. Every expected failure ends as one sentence on stderr."""
    return run_program("benchmark.py", parse_arguments, work, argv)


def work(options: argparse.Namespace, console: Console) -> ExitCode:
    """The whole job, step by step."""
    image_io.check_opencv()
    console.quiet = options.quiet
    every = [
        choose_settings(load_config(options.config, name), None, cladding_um=CLADDING_UM) for name in options.profiles
    ]
    with tempfile.TemporaryDirectory(prefix="benchmark_") as name:
        folder = Path(name)
        pictures = {}
        for size in options.sizes:
            console.print(f"Rendering {options.images} pictures of {size[0]} x {size[1]} px...")
            pictures[size] = render_pictures(folder / "pictures" / f"{size[0]}x{size[1]}", size, options.images)
        images = time_images(options, every, pictures, folder, console)
        batches: list[BatchTimes] = []
        first_results_s: dict[str, float] = {}
        if not options.skip_jobs:
            # the middle size: 1152 x 864 px unless others were named
            batches = time_batches(options, pictures[options.sizes[len(options.sizes) // 2]], folder, console)
            for profile in options.profiles:
                first_results_s[profile] = measure_start(
                    ROOT / "samples", profile, options.config, repeats=options.repeats, folder=folder / profile
                )
    text = markdown(Machine.this(), images, batches, first_results_s)
    say(text)
    if options.output:
        image_io.write_bytes(options.output, text.encode())
    return ExitCode.OK


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line; raises :class:`UsageError`."""
    parser = Parser(
        prog="benchmark.py",
        allow_abbrev=False,
        description="Measure how fast the inspection is, as ratios to reading the images and writing their pictures.",
        epilog="Exit codes: 0 done; 2 usage or settings invalid; 3 a measured run failed; 5 a library is missing;"
        " 6 FILE cannot be written; 130 interrupted. See README.md.",
    )
    add = parser.add_argument
    add("--sizes", nargs="+", type=size_px, metavar="WxH", help="picture sizes (default: 720x576 1152x864 2048x1536)")
    add("--profiles", nargs="+", default=list(PROFILES), metavar="NAME", help=f"default: {' '.join(PROFILES)}")
    add("--repeats", type=count, metavar="N", help="rounds, of which the median counts (default 5)")
    add("--images", type=count, metavar="N", help="pictures of each size (default 6)")
    add("--batch", type=count, metavar="N", help="batches of N and 4 N images for --jobs (default 24)")
    add("--jobs", type=count, default=os.cpu_count() or 1, metavar="N", help="compared with one (default: all cores)")
    add("--quick", action="store_true", help="a few small pictures, once: shows that everything runs")
    add("--skip-jobs", action="store_true", help="only times per image, no batches")
    add("-c", "--config", type=path, default=ROOT / "config.json", metavar="FILE", help="default: config.json here")
    add("-o", "--output", type=path, metavar="FILE", help="also write the Markdown tables to FILE")
    add_screen_options(parser, has_progress=False, quiet="only the tables")
    options = parser.parse_args(None if argv is None else list(argv))
    defaults = {"sizes": list(SIZES_PX), "repeats": 5, "images": 6, "batch": 24}
    for name, value in (QUICK if options.quick else defaults).items():
        if getattr(options, name) is None:
            setattr(options, name, value)
    options.sizes = list(dict.fromkeys(options.sizes))
    return options


def size_px(text: str) -> tuple[int, int]:
    """A picture size such as 1152x864: width and height, 200 to 8000 px."""
    found = re.fullmatch(r"(\d+)x(\d+)", text.strip())
    size = (int(found[1]), int(found[2])) if found else (0, 0)
    if not all(200 <= side <= 8000 for side in size):
        raise argparse.ArgumentTypeError(f"expected a size such as 1152x864 (200 to 8000 px), got {text!r}")
    return size


def time_images(
    options: argparse.Namespace,
    every: Sequence[InspectionSettings],
    pictures: dict[tuple[int, int], list[Path]],
    folder: Path,
    console: Console,
) -> list[ImageTimes]:
    """Every profile on every size, inside this process."""
    results = []
    for settings in every:
        profile = settings.config.profile
        for size, paths in pictures.items():
            console.print(f"Inspecting {size[0]} x {size[1]} px with {profile}...")
            target = folder / "images" / f"{profile}_{size[0]}x{size[1]}"
            results.append(measure_images(paths, settings, size, repeats=options.repeats, folder=target))
    return results


def time_batches(
    options: argparse.Namespace, pictures: Sequence[Path], folder: Path, console: Console
) -> list[BatchTimes]:
    """Whole batches with one job and with several."""
    results = []
    for profile in options.profiles:
        for jobs in dict.fromkeys((1, options.jobs)):
            console.print(f"Running batches with {profile}, --jobs {jobs}...")
            target = folder / "batches" / f"{profile}_{jobs}"
            results.append(
                measure_batches(pictures, profile, options.config, jobs=jobs, images=options.batch, folder=target)
            )
    return results


if __name__ == "__main__":
    sys.exit(main())
