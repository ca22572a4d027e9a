"""The worst misses and false alarms as pictures: the image beside the same part with truth and report outlined."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

import image_io
from errors import BlinkError
from evaluation.results import Box, ImageResult, ReportedOutcome, TrueOutcome
from evaluation.truth import DO_NOT_JUDGE, TruthImage, read_labels
from reports.drawing import WHITE, Color, TextStyle, draw_text, plain, shortened

WORST = 10
TILE_PX = 400
TRUE_COLOR: Color = (60, 220, 60)  # BGR: green and magenta, which colour-blind readers tell apart, too
REPORT_COLOR: Color = (255, 60, 255)
UNJUDGED_COLOR: Color = (190, 190, 190)
LEAST_SIDE_PX = 48
LEAST_RANGE_GREY = 40.0  # a crop is stretched to its own contrast, but not beyond this
SURROUNDINGS_PX = 6  # whose contrast that is
_TEXT = TextStyle(0.45, 1)
_CAPTION_PX = 24


@dataclass(frozen=True)
class Worst:
    """A miss or a false alarm; ``picture`` is the name of its file."""

    image: str
    title: str
    box_px: Box
    picture: str


def worst_misses(results: Sequence[ImageResult], count: int = WORST) -> list[Worst]:
    """The misses of the largest contrast times diameter, the worst first."""
    every = [(result, defect) for result in results for defect in result.missed]
    every.sort(key=lambda item: (-abs(item[1].contrast_sigma) * item[1].sizes.diameter_px, item[0].name, item[1].id))
    return [_worst("missed", rank, *item) for rank, item in enumerate(every[:count], start=1)]


def worst_false_alarms(results: Sequence[ImageResult], count: int = WORST) -> list[Worst]:
    """The false alarms of the highest confidence, the larger first, the worst first."""
    every = [(result, report) for result in results for report in result.false_alarms]
    every.sort(key=lambda item: (-item[1].confidence, -item[1].sizes.diameter_px, item[0].name, item[1].label))
    return [_worst("false", rank, *item) for rank, item in enumerate(every[:count], start=1)]


def _worst(what: str, rank: int, result: ImageResult, defect: TrueOutcome | ReportedOutcome) -> Worst:
    if isinstance(defect, TrueOutcome):
        detail = f"{defect.kind} {defect.id}"
    else:
        detail = f"{defect.kind} {defect.defect_id}, confidence {defect.confidence:.2f}"
    title = f"{detail}, {defect.contrast_sigma:+.1f} sigma, {defect.sizes.diameter_px:.0f} px, {defect.zone}"
    return Worst(result.name, title, defect.box_px, f"{what}_{file_part(result.profile)}_{rank:02d}.png")


def file_part(name: str) -> str:
    """A name as part of a file name."""
    return re.sub(r"[^\w.-]", "_", name)


def write_crops(
    worst: Sequence[Worst], results: Sequence[ImageResult], truths: Mapping[str, TruthImage], folder: Path
) -> list[Worst]:
    """Write the pictures into ``folder`` and return those that could be drawn; raises :class:`errors.OutputError`."""
    by_name = {result.name: result for result in results}
    written = []
    for item in worst:
        truth = truths[item.image]
        try:
            grey = image_io.read_image(truth.image_path).grey
            labels = read_labels(truth, grey.shape)
        except BlinkError:  # gone since it was assessed
            continue
        reports = by_name[item.image].reported_defects
        image_io.write_png(folder / item.picture, crop_picture(grey, labels, reports, item))
        written.append(item)
    return written


def crop_picture(grey: np.ndarray, labels: np.ndarray, reports: Sequence[ReportedOutcome], item: Worst) -> np.ndarray:
    """BGR picture: the part of the image around ``item`` plain and with outlines, both stretched to its contrast."""
    left, top, side = _square(item.box_px, grey.shape)
    window = np.s_[top : top + side, left : left + side]
    part = grey[window]
    scale = TILE_PX / max(part.shape)
    shown = cv2.resize(
        _stretched(part, _around(grey, item.box_px)), None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC
    )
    plain_tile = cv2.cvtColor(shown, cv2.COLOR_GRAY2BGR)
    marked = plain_tile.copy()
    for value in np.unique(labels[window])[::-1]:  # do-not-judge areas below the defects
        if value:
            _outline(marked, labels[window] == value, UNJUDGED_COLOR if value == DO_NOT_JUDGE else TRUE_COLOR)
    for report in reports:
        mask = np.zeros(part.shape, np.uint8)
        parts = [np.array(outline, np.int32).reshape(-1, 1, 2) - (left, top) for outline in report.outlines_px]
        cv2.fillPoly(mask, [points.astype(np.int32) for points in parts], 1)
        _outline(marked, mask > 0, REPORT_COLOR)
    gap = np.full((marked.shape[0], 6, 3), 255, np.uint8)
    picture = np.hstack([plain_tile, gap, marked])
    caption = np.full((_CAPTION_PX, picture.shape[1], 3), 32, np.uint8)
    text = shortened(plain(f"{item.image}: {item.title}"), caption.shape[1] - 12, _TEXT)
    draw_text(caption, text, 6, _CAPTION_PX - 8, _TEXT, WHITE)
    return np.vstack([caption, picture])


def _outline(tile: np.ndarray, mask: np.ndarray, color: Color) -> None:
    """Draw the edge of a mask, in image pixels, on the enlarged tile: around the pixels, not through them."""
    large = cv2.resize(mask.astype(np.uint8), tile.shape[1::-1], interpolation=cv2.INTER_NEAREST)
    cv2.drawContours(tile, cv2.findContours(large, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[0], -1, color, 1)


def _square(box: Box, shape: tuple[int, int]) -> tuple[int, int, int]:
    """Left, top and side of a square window around a box, with surroundings, moved into the image where it can be."""
    size = max(box[2] - box[0], box[3] - box[1])
    side = max(LEAST_SIDE_PX, 2 * size if size < 100 else size + 100)
    left = min(max(0, (box[0] + box[2] - side) // 2), max(0, shape[1] - side))
    top = min(max(0, (box[1] + box[3] - side) // 2), max(0, shape[0] - side))
    return left, top, side


def _around(grey: np.ndarray, box: Box) -> np.ndarray:
    left, top = max(0, box[0] - SURROUNDINGS_PX), max(0, box[1] - SURROUNDINGS_PX)
    return grey[top : box[3] + SURROUNDINGS_PX, left : box[2] + SURROUNDINGS_PX]


def _stretched(part: np.ndarray, around: np.ndarray) -> np.ndarray:
    """The part with the grey levels of the mark and its surroundings spread over the whole range."""
    low, high = np.percentile(around, (2, 98))
    middle, half = (low + high) / 2, 0.6 * max(high - low, LEAST_RANGE_GREY)
    values = (part.astype(np.float32) - (middle - half)) * (255 / (2 * half))
    return np.clip(values, 0, 255).astype(np.uint8)
