"""Collect the images on which the model and the inspector differ, for a person to label. Command line, order of work.

python -m learning.vlm.disagreements RESULTS... --out disagreements
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import logging
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import process_setup  # noqa: F401  before NumPy is loaded, as in main.py
from cli.arguments import Parser, add_screen_options, count, diameter_um, path
from errors import ExitCode, NoImagesError, OutputError, UnreadableImage, refuse_to_start

try:
    if __name__ != "__mp_main__":  # a worker process imports this file, too, and needs nothing of it
        from rich.console import Console

        import image_io
        from batch import read_in_time
        from cli.image_files import natural_key
        from cli.output_folder import locked
        from cli.program import run_program
        from cli.screen import progress_bar, say
        from config_loader import load_config
        from learning import build_dataset
        from learning.extraction import plain_text
        from learning.tidy import replaced_text
        from learning.vlm.differences import WORDS, Change, Difference, difference, is_comparable
        from learning.vlm.export import result_folders
        from learning.vlm.ranking_picture import ranking_picture
        from learning.vlm.sources import RANKING_FILE
        from learning.vlm.writing import make_folder
        from output_names import RESULTS_FILE
        from records import InspectionRecord
        from records_file import stream_records
        from settings import Config
except (ImportError, KeyboardInterrupt) as error:
    sys.exit(refuse_to_start("disagreements.py", error))

PICTURES = "ranking"
_COLUMNS = ("rank", "change", "image_id", "filename", "model", "inspector", "only_model", "only_inspector", "renamed")
_OURS = re.compile(r"\d{4,}_[0-9a-f]{16}\.jpg|\.\d{4,}_[0-9a-f]{16}\.jpg\.\d+\.tmp")
_NOT_ASKED = "without an answer"
logger = logging.getLogger("dscope.learning")


@dataclass(frozen=True, slots=True)
class Ranked:
    """An image on which they differ: its record's place, and what orders it."""

    change: Change
    marks: int
    image_path: str
    results: Path

    @property
    def key(self) -> tuple:
        """The gravest first, then the one with most marks to differ about."""
        return self.change, -self.marks, natural_key(Path(self.image_path))


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code. Every expected failure ends as one sentence on stderr."""
    return run_program("disagreements.py", parse_arguments, work, argv)


def work(options: argparse.Namespace, console: Console) -> ExitCode:
    """The whole job, step by step."""
    image_io.check_opencv()
    config = load_config(options.config, options.profile)
    ranked, counts = rank(options.inputs)
    say(f"{len(ranked)} images on which they differ. Records: {_listed(counts)}")
    chosen = ranked[: options.limit]
    if not chosen:
        return ExitCode.OK
    make_folder(options.out / PICTURES)
    with (
        locked(options.out),
        progress_bar(console, len(chosen), wanted=not (options.no_progress or options.quiet)) as advance,
    ):
        paths = write_ranking(chosen, options.out, config, advance)
    say(f"Ranking: {options.out / RANKING_FILE}, {options.out / PICTURES}")
    code = ExitCode.OK
    if paths:
        code = build_dataset.work(build_dataset.parse_arguments(builder_arguments(options, paths)), console)
    return ExitCode.IMAGES_FAILED if code == ExitCode.OK and len(paths) < len(chosen) else code


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line; raises :class:`UsageError`."""
    parser = Parser(
        prog="-m learning.vlm.disagreements",
        allow_abbrev=False,
        description="Collect the images on which a vision-language model and the inspector differ, to be labelled.",
        epilog="Exit codes: 0 done; 2 usage or settings invalid; 3 some images are left out; 4 no record with an answer"
        " of a model; 6 OUT cannot be used; 130 interrupted. See README.md.",
    )
    add = parser.add_argument
    add("inputs", nargs="*", metavar="RESULTS", help="OUTPUT folders of main.py with a model's answers")
    add("-o", "--out", type=path, default=Path("disagreements"), metavar="OUT", help="data set to be labelled")
    add("--limit", type=count, metavar="N", help="only the N first of the ranking")
    add("--profile", help="profile of config.json")
    add("-c", "--config", type=path, default=build_dataset.CONFIG_PATH, metavar="FILE", help="as for main.py")
    add("--calibration", type=path, metavar="FILE", help="as for main.py")
    add("--fiber-type", metavar="NAME", help="as for main.py")
    add("--core-um", type=diameter_um, metavar="D", help="core diameter in micrometres")
    add("--cladding-um", type=diameter_um, metavar="D", help="cladding diameter in micrometres")
    add("--jobs", type=count, metavar="N", help="processes (default: one per core)")
    add_screen_options(parser)
    options = parser.parse_args(None if argv is None else list(argv))
    options.inputs = result_folders(options.inputs, parser.prog)
    return options


def builder_arguments(options: argparse.Namespace, paths: Sequence[str]) -> list[str]:
    """The command line of learning.build_dataset that makes the files to be labelled, with the settings given here."""
    passed_on = ("config", "profile", "calibration", "fiber_type", "core_um", "cladding_um", "jobs")
    given = {name: getattr(options, name) for name in passed_on}
    arguments = ["--out", str(options.out), "--annotate"]
    for name, value in given.items():
        if value is not None:
            arguments += [f"--{name.replace('_', '-')}", str(value)]
    arguments += [flag for flag in ("--no-progress", "--quiet") if getattr(options, flag.strip("-").replace("-", "_"))]
    return [*arguments, "--", *paths]


def rank(folders: Sequence[Path]) -> tuple[list[Ranked], Counter[str]]:
    """The images on which the two differ, in order, each once, and how many records are of which kind.

    Raises :class:`NoImagesError` where no record has an answer of a model.
    """
    found: dict[str, Ranked] = {}
    counts: Counter[str] = Counter()
    for folder in folders:
        for record in results_of(folder):
            if not is_comparable(record):
                counts[_why_not(record)] += 1
                continue
            differs = difference(record)
            if differs is None:
                counts["agreed"] += 1
                continue
            counts[WORDS[differs.change]] += 1
            item = Ranked(differs.change, differs.marks, record.image_path, folder)
            known = found.get(record.content_sha256)
            found[record.content_sha256] = item if known is None else min(known, item, key=lambda each: each.key)
    if counts.total() == counts[_NOT_ASKED]:
        raise NoImagesError("No record has an answer of a model.", "Inspect the images with a vision-language model.")
    return sorted(found.values(), key=lambda item: item.key), counts


def _why_not(record: InspectionRecord) -> str:
    if record.vlm is None:
        return _NOT_ASKED
    return "not judged by the inspector" if record.vlm.usable else "with an answer of no use"


def results_of(folder: Path) -> Iterator[InspectionRecord]:
    """The records of an OUTPUT folder; raises :class:`NoImagesError` where it is none."""
    if not (folder / RESULTS_FILE).is_file():
        raise NoImagesError(f"{folder} holds no {RESULTS_FILE}.", "Name an OUTPUT folder of main.py.")
    return stream_records(folder / RESULTS_FILE)


def write_ranking(ranked: Sequence[Ranked], folder: Path, config: Config, advance: Callable[[str], None]) -> list[str]:
    """Write disagreements.csv and a picture of each image with the marks of both; returns the files that can be used.

    Raises :class:`OutputError`.
    """
    numbers = {(item.results, item.image_path): number for number, item in enumerate(ranked, start=1)}
    rows: dict[int, list[object]] = {}
    pictures, paths = set(), []
    for results in dict.fromkeys(item.results for item in ranked):
        for record in results_of(results):
            number = numbers.get((results, record.image_path))
            if number is None:
                continue
            advance(record.image_filename)
            differs = difference(record)
            image_id = record.content_sha256[:16]
            name = f"{number:04d}_{image_id}.jpg"
            try:
                picture = ranking_picture(read_inspected(record, config), record, differs)
            except UnreadableImage as error:
                logger.warning("%s: %s", record.image_filename, error)
                continue
            image_io.write_bytes(folder / PICTURES / name, picture)
            pictures.add(name)
            paths.append(record.image_path)
            rows[number] = [number, *_row(record, differs)]
    with replaced_text(folder / RANKING_FILE) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(_COLUMNS)
        writer.writerows(rows[number] for number in sorted(rows))
    _remove_others(folder / PICTURES, pictures)
    return paths


def read_inspected(record: InspectionRecord, config: Config) -> image_io.DecodedImage:
    """The image of a record; raises :class:`UnreadableImage` where its file is not what was inspected."""
    data = read_in_time(Path(record.image_path), config.batch.read_timeout_s)
    if hashlib.sha256(data).hexdigest() != record.content_sha256:
        raise UnreadableImage("The file was changed since it was inspected.", "Inspect it again.")
    name = record.image_filename
    return image_io.decode_image(data, name=name, max_pixels=config.preprocessing.max_image_pixels)


def _row(record: InspectionRecord, differs: Difference) -> list[object]:
    return [
        WORDS[differs.change],
        record.content_sha256[:16],
        plain_text(Path(record.image_path).name),
        record.vlm.verdict,
        record.vlm.classical_status,
        "; ".join(f"{mark.kind} in {mark.zone}" for mark in differs.only_model),
        "; ".join(f"{defect.kind} in {defect.zone}" for defect in differs.only_inspector),
        "; ".join(f"{mark.kind} is {defect.kind} in {defect.zone}" for mark, defect in differs.renamed),
    ]


def _remove_others(folder: Path, names: set[str]) -> None:
    try:
        for place in folder.iterdir():
            if _OURS.fullmatch(place.name) and place.name not in names:
                place.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"Cannot remove {place}: {error.strerror or error}.", "Check its permissions.") from error


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{number} {why}" for why, number in counts.most_common())


if __name__ == "__main__":
    sys.exit(main())
