"""Make what a vision-language model is taught with of inspection results and data sets. Command line and order of work.

python -m learning.vlm.export RESULTS... --out vlm_data
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

import process_setup  # noqa: F401  before NumPy is loaded, as in main.py
from cli.arguments import Parser, add_screen_options, path
from errors import ExitCode, NoImagesError, UnreadableImage, UsageError, refuse_to_start

try:
    from rich.console import Console

    import image_io
    from batch import read_in_time
    from cli.output_folder import locked
    from cli.program import run_program
    from cli.run_info import VERSION, now
    from cli.screen import progress_bar, say
    from config_loader import load_config
    from inspection import flat_field_of
    from learning.build_dataset import CONFIG_PATH, shares
    from learning.database import SPLITS
    from learning.faces import face_pattern, name_keys
    from learning.vlm.choice import Choice, choose
    from learning.vlm.prompts import user_text
    from learning.vlm.sources import LeftOut, Source, open_sources
    from learning.vlm.targets import KnownFace, target
    from learning.vlm.views import choose_views
    from learning.vlm.writing import Lessons, make_folder, written_lessons
    from settings import Config
    from vision.preprocess import preprocess
except (ImportError, KeyboardInterrupt) as error:
    sys.exit(refuse_to_start("export.py", error))

EXPORT_FILE = "export.json"
_MAX_UNJUDGED_SHARE = 0.5  # of a view: where nobody has judged more of it, it is no example
_PAINT = 0  # grey level of what nobody has judged
logger = logging.getLogger("dscope.learning")


@dataclass
class Tally:
    """What was written, and what was left out and why."""

    pictures: Counter[tuple[str, str, str]] = field(default_factory=Counter)  # split, view, verdict
    images: Counter[str] = field(default_factory=Counter)  # by who labelled them
    left_out: Counter[str] = field(default_factory=Counter)  # images, by reason
    views_left_out: Counter[str] = field(default_factory=Counter)
    problems: int = 0


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code. Every expected failure ends as one sentence on stderr."""
    return run_program("export.py", parse_arguments, work, argv)


def work(options: argparse.Namespace, console: Console) -> ExitCode:
    """The whole job, step by step."""
    image_io.check_opencv()
    config = load_config(options.config, options.profile)
    sources = open_sources(options.inputs, config)
    names = partial(name_keys, pattern=options.pattern)
    choice = choose(sources, names, options.split, config.same_face.min_similarity)
    total = sum(map(len, choice.splits))
    tally = Tally(left_out=Counter(choice.left_out.values()))
    if not total:
        raise NoImagesError(f"No image to learn from{_listed(tally.left_out)}.", "Inspect images with a known scale.")
    make_folder(options.out)
    with locked(options.out):
        with (
            written_lessons(options.out) as lessons,
            progress_bar(console, total, wanted=not (options.no_progress or options.quiet)) as advance,
        ):
            write_lessons(sources, choice, config, options.min_confidence, lessons, tally, advance)
            if not tally.pictures:
                raise NoImagesError(f"No picture to learn from{_listed(tally.left_out)}.", "Lower --min-confidence.")
        lessons.remove_others()
        image_io.write_bytes(options.out / EXPORT_FILE, json.dumps(describe(options, config, tally), indent=1).encode())
    return report_outcome(options, tally)


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line; raises :class:`UsageError`."""
    parser = Parser(
        prog="-m learning.vlm.export",
        allow_abbrev=False,
        description="Make pictures, questions and answers of inspected images, to fine-tune a vision-language model.",
        epilog="Exit codes: 0 done; 2 usage or settings invalid, or a data set cannot be used; 3 some images could not"
        " be read; 4 no image to learn from; 6 OUT cannot be used; 130 interrupted, OUT as before. See README.md.",
    )
    add = parser.add_argument
    add("inputs", nargs="*", metavar="RESULTS", help="OUTPUT folders of main.py, data sets of learning.build_dataset")
    add("-o", "--out", type=path, default=Path("vlm_data"), metavar="OUT", help="folder of the export (vlm_data)")
    add("--min-confidence", type=share, default=0.9, metavar="C", help="of the inspector's own marks (0.9)")
    add("--split", type=shares, default=shares("70/15/15"), metavar="A/B/C", help="train/val/test (default 70/15/15)")
    add("--faces", metavar="PATTERN", help="regular expression: what of a file's name names the end face")
    add("--profile", help="profile of config.json")
    add("-c", "--config", type=path, default=CONFIG_PATH, metavar="FILE", help="default: config.json beside main.py")
    add_screen_options(parser)
    options = parser.parse_args(None if argv is None else list(argv))
    options.inputs = result_folders(options.inputs, parser.prog)
    options.pattern = None if options.faces is None else face_pattern(options.faces)
    return options


def result_folders(inputs: Sequence[str], program: str) -> list[Path]:
    """The folders RESULTS; raises :class:`UsageError` for none."""
    if not inputs:
        raise UsageError("Name the folders RESULTS with inspected images.", f"See: python {program} --help")
    return [*dict.fromkeys(map(path, inputs))]


def share(text: str) -> float:
    """A number from 0 to 1."""
    try:
        value = float(text.replace(",", "."))
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"expected a number from 0 to 1, got {text!r}")
    return value


def write_lessons(
    sources: Sequence[Source],
    choice: Choice,
    config: Config,
    min_confidence: float,
    lessons: Lessons,
    tally: Tally,
    advance: Callable[[str], None],
) -> None:
    """Write the views of every chosen image, one image at a time; a file that cannot be used is a problem."""
    for source, splits in zip(sources, choice.splits, strict=True):
        waiting = dict(splits)
        for found in source.faces(splits):
            split = waiting.pop(found.image_id, None)
            if split is None:  # a copy of a file before it
                continue
            advance(found.image_id)
            if isinstance(found, LeftOut):
                tally.left_out[found.why] += 1
                continue
            try:
                write_face(found, split, config, min_confidence, lessons, tally)
            except UnreadableImage as error:
                tally.problems += 1
                logger.warning("%s: %s", found.filename, error)


def write_face(
    face: KnownFace, split: str, config: Config, min_confidence: float, lessons: Lessons, tally: Tally
) -> None:
    """Write the views of one image; raises :class:`UnreadableImage` where its file is not what was inspected."""
    grey, unjudged = read_face(face, config)
    written = 0
    for view in choose_views(
        face.cladding, face.zones, grey.shape, names=config.vlm.views, max_side_px=config.vlm.max_side_px
    ):
        answer = target(face.marks, view, min_confidence)
        if isinstance(answer, str):
            tally.views_left_out[answer] += 1
            continue
        hidden = unjudged[view.top : view.top + view.height, view.left : view.left + view.width]
        if np.count_nonzero(hidden) > _MAX_UNJUDGED_SHARE * hidden.size:
            tally.views_left_out["of which nobody has judged most"] += 1
            continue
        lessons.add(
            split,
            view,
            view.cut(grey),
            image_id=face.image_id,
            question=user_text(
                view, cladding=face.cladding, zones=face.zones, um_per_px=face.um_per_px, rule_set=face.rule_set
            ),
            answer=answer,
            filename=face.filename,
            label_source=face.label_source,
        )
        tally.pictures[split, view.name, answer.pass_fail] += 1
        written += 1
    if written:
        tally.images[face.label_source] += 1
    else:
        tally.left_out["without a view of use"] += 1


def read_face(face: KnownFace, config: Config) -> tuple[np.ndarray, np.ndarray]:
    """The image as the inspector looks at it, and where nobody has judged it, (H, W) uint8 and bool; that is painted.

    Raises :class:`UnreadableImage`.
    """
    data = read_in_time(face.picture, config.batch.read_timeout_s)
    if face.content_sha256 and hashlib.sha256(data).hexdigest() != face.content_sha256:
        raise UnreadableImage("The file was changed since it was inspected.", "Inspect it again.")
    grey = image_io.decode_image(data, name=face.filename, max_pixels=config.preprocessing.max_image_pixels).grey
    if face.content_sha256:  # the pictures of a data set have been through this
        grey = preprocess(grey, flat_field_of(config), config.preprocessing).grey
    if face.unjudged is None:
        return grey, np.zeros(grey.shape, bool)
    unjudged = image_io.read_labels_png(face.unjudged) > 0
    if unjudged.shape != grey.shape:
        raise UnreadableImage(f"{face.unjudged.name} has not the size of the image.", "Build the data set again.")
    return np.where(unjudged, np.uint8(_PAINT), grey), unjudged


def describe(options: argparse.Namespace, config: Config, tally: Tally) -> dict[str, object]:
    """The content of export.json."""
    return {
        "program": f"D-Scope Blink {VERSION}",
        "made_at": now(),
        "results": [str(folder.absolute()) for folder in options.inputs],
        "min_confidence": options.min_confidence,
        "max_side_px": config.vlm.max_side_px,
        "views": list(config.vlm.views),
        "pictures": [
            {"split": split, "view": view, "pass_fail": verdict, "count": number}
            for (split, view, verdict), number in sorted(tally.pictures.items())
        ],
        "images": dict(tally.images),
        "images_left_out": dict(tally.left_out),
        "views_left_out": dict(tally.views_left_out),
        "images_not_read": tally.problems,
    }


def report_outcome(options: argparse.Namespace, tally: Tally) -> ExitCode:
    """Print the closing summary and choose the exit code."""
    splits = [sum(_of(tally, 0, split)) for split in SPLITS]
    verdicts = ", ".join(f"{sum(_of(tally, 2, verdict))} {verdict}" for verdict in ("PASS", "FAIL"))
    images = ", ".join(f"{number} labelled by {who}" for who, number in sorted(tally.images.items()))
    counts = ", ".join(f"{number} {name}" for number, name in zip(splits, SPLITS, strict=True))
    say(f"{tally.pictures.total()} pictures of {tally.images.total()} images ({images}): {counts}; {verdicts}")
    if tally.left_out:
        say(f"Images left out{_listed(tally.left_out)}")
    if tally.views_left_out:
        say(f"Views left out{_listed(tally.views_left_out)}")
    if tally.problems:
        say(f"Images that could not be read: {tally.problems}")
    say(f"Export: {options.out}")
    return ExitCode.IMAGES_FAILED if tally.problems else ExitCode.OK


def _of(tally: Tally, position: int, name: str) -> Iterator[int]:
    return (number for key, number in tally.pictures.items() if key[position] == name)


def _listed(counts: Counter[str]) -> str:
    return f": {', '.join(f'{number} {why}' for why, number in counts.most_common())}" if counts else ""


if __name__ == "__main__":
    sys.exit(main())
