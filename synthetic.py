"""Rendered fibre end faces with exact ground truth: for the tests, the benchmark and ``samples/``.

    python synthetic.py OUT --count 50 --seed 3 [--clean] [--contrast ordinary|faint|barely] [--force]
    python synthetic.py --samples samples

OUT gets ``images/`` and ``truth/`` (a JSON file and a 16-bit label image per picture). Same seed, same bytes.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from errors import ExitCode
from rendering.draw import CONTRAST_SCALES, draw_scene
from rendering.engine import Rendering, render
from rendering.samples import write_samples
from rendering.scene import FIBRE_KINDS, KINDS, ZONES, Scene

__all__ = [
    "FIBRE_KINDS",
    "KINDS",
    "ZONES",
    "Rendering",
    "Scene",
    "draw_scene",
    "render",
    "scene_rng",
    "write_rendering",
]


def scene_rng(seed: int, number: int) -> np.random.Generator:
    """Generator of picture ``number`` in the set ``seed``: pictures do not depend on how many are made."""
    return np.random.default_rng([seed, number])


def write_rendering(rendering: Rendering, folder: Path, name: str) -> Path:
    """Write ``folder/images/name.*`` and ``folder/truth/name.json, name_labels.png``; returns the picture's path.

    Raises OSError when a file cannot be written.
    """
    images, truth = folder / "images", folder / "truth"
    images.mkdir(parents=True, exist_ok=True)
    truth.mkdir(parents=True, exist_ok=True)
    path = images / f"{name}{rendering.suffix}"
    path.write_bytes(rendering.data)
    (truth / f"{name}.json").write_text(json.dumps(rendering.truth, indent=1) + "\n", encoding="utf-8")
    ok, labels = cv2.imencode(".png", rendering.labels)
    if not ok:
        raise OSError(f"The label image of {name} could not be encoded.")
    (truth / f"{name}_labels.png").write_bytes(labels.tobytes())
    return path


def write_set(folder: Path, *, count: int, seed: int, clean: bool, contrast: str) -> int:
    """Render ``count`` random scenes into a folder; returns the number of defects in them."""
    defects = 0
    for number in range(count):
        rendering = render(draw_scene(scene_rng(seed, number), clean=clean, contrast=contrast))
        write_rendering(rendering, folder, f"{'clean' if clean else contrast}_{seed}_{number:04d}")
        defects += len(rendering.truth["defects"])
    return defects


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; returns the exit code (0 done, 2 usage, 6 output cannot be written)."""
    parser = _parser()
    options = parser.parse_args(arguments)
    folder = options.samples if options.samples is not None else options.out
    if folder is None:
        parser.error("name the OUT folder, or use --samples FOLDER")
    if options.samples is not None and options.out is not None:
        parser.error("--samples takes its own folder: leave OUT away")
    try:
        if options.samples is not None:
            count = write_samples(folder)
            print(f"Wrote {count} samples to {folder}.")
            return ExitCode.OK
        _refuse_used_folder(folder, options.force)
        defects = write_set(
            folder, count=options.count, seed=options.seed, clean=options.clean, contrast=options.contrast
        )
    except OSError as error:
        reason = error.strerror or str(error)
        print(f"error: cannot write to {folder}: {reason}. Choose another folder.", file=sys.stderr)
        return ExitCode.OUTPUT_UNUSABLE
    print(f"Rendered {options.count} end faces with {defects} defects (seed {options.seed}) in {folder}.")
    return ExitCode.OK


def _refuse_used_folder(folder: Path, force: bool) -> None:
    if folder.is_dir() and any(folder.iterdir()) and not force:
        raise FileExistsError(0, "it is not empty; --force writes into it all the same", str(folder))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="synthetic.py", description="Render fibre end faces with exact ground truth.", allow_abbrev=False
    )
    parser.add_argument("out", metavar="OUT", nargs="?", type=Path, help="folder for images/ and truth/")
    parser.add_argument("--count", type=_count, default=20, metavar="N", help="number of pictures (default 20)")
    parser.add_argument("--seed", type=_seed, default=0, metavar="S", help="0 or more: same seed, same bytes")
    parser.add_argument("--clean", action="store_true", help="end faces without any defect")
    parser.add_argument("--contrast", choices=tuple(CONTRAST_SCALES), default="ordinary", help="of the defects")
    parser.add_argument("--force", action="store_true", help="write into a folder that is not empty")
    parser.add_argument("--samples", type=Path, metavar="FOLDER", help="write the named sample pictures instead")
    return parser


def _count(text: str) -> int:
    return _whole(text, 1, 100_000)


def _seed(text: str) -> int:
    return _whole(text, 0, 2**32 - 1)


def _whole(text: str, low: int, high: int) -> int:
    try:
        value = int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from None
    if not low <= value <= high:
        raise argparse.ArgumentTypeError(f"{value} is not between {low} and {high}")
    return value


if __name__ == "__main__":
    sys.exit(main())
