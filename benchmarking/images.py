"""Times per image inside one process: the floor, the whole product and its stages, measured in turn."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

import batch
from cli.image_files import ImageFile
from cli.output_folder import remove_details
from errors import UnreadableImage
from inspection_settings import InspectionSettings
from output_names import ANNOTATED_ENDING, DETAILS_FOLDER, RESULTS_FILE
from records import InspectionRecord
from records_file import ResultsFile

READING, FILES = "Reading and the rest", "Drawing and writing"


@dataclass(frozen=True)
class Times:
    """Wall and processor seconds."""

    wall_s: float
    cpu_s: float


@dataclass(frozen=True)
class ImageTimes:
    """Seconds per image: medians over the repeats; ratios are medians of the ratios within a repeat."""

    profile: str
    size_px: tuple[int, int]
    floor: Times
    product: Times
    wall_ratio: float
    cpu_ratio: float
    stages_s: dict[str, float]


class Product:
    """All that a batch does with an image, in this process; the results lie in ``folder``."""

    def __init__(self, settings: InspectionSettings, folder: Path) -> None:
        (folder / DETAILS_FOLDER).mkdir(parents=True)
        self._job = batch.Job(settings, "", batch.OutputOptions(folder))
        self._results = ResultsFile(folder / RESULTS_FILE)

    def inspect_and_write(self, image: ImageFile) -> InspectionRecord:
        """Inspect one image, write its files and append its record."""
        record = batch.inspect_and_write(self._job, batch.Task(image)).record
        self._results.append(record)
        return record


def measure_images(
    pictures: Sequence[Path], settings: InspectionSettings, size_px: tuple[int, int], *, repeats: int, folder: Path
) -> ImageTimes:
    """Measure the pictures in ``repeats`` rounds; in a round the floor and the product of each picture alternate.

    The round before the first one is not counted. ``folder`` takes the results.
    Raises :class:`UnreadableImage` for a picture that cannot be read or has no annotated picture.
    """
    product_of, details = Product(settings, folder).inspect_and_write, folder / DETAILS_FOLDER
    images = [ImageFile(path, path.name, path.stem) for path in pictures]
    for image in images:
        product_of(image)
    annotated = [_read(details / f"{image.stem}{ANNOTATED_ENDING}") for image in images]
    floors: list[Times] = []
    products: list[Times] = []
    stages: list[dict[str, float]] = []
    for _ in range(repeats):
        floor, product, parts = [], [], []
        for image, picture in zip(images, annotated, strict=True):
            floor.append(_timed(lambda path=image.path, shown=picture: _floor(path, shown, folder / "floor.png"))[0])
            remove_details(details, image.stem)  # a batch writes new files; to replace others takes longer
            times, record = _timed(lambda one=image: product_of(one))
            product.append(times)
            parts.append(stage_times(record, times.wall_s))
        stages.append(_mean_stages(parts))
        floors.append(_mean(floor))
        products.append(_mean(product))
    pairs = list(zip(products, floors, strict=True))
    return ImageTimes(
        profile=settings.config.profile,
        size_px=size_px,
        floor=_median(floors),
        product=_median(products),
        wall_ratio=statistics.median(product.wall_s / floor.wall_s for product, floor in pairs),
        cpu_ratio=statistics.median(product.cpu_s / floor.cpu_s for product, floor in pairs),
        stages_s={name: statistics.median(stage[name] for stage in stages) for name in stages[0]},
    )


def stage_times(record: InspectionRecord, total_s: float) -> dict[str, float]:
    """Where the ``total_s`` of an image went: the steps of its record, what is between them, and its files."""
    steps = dict(record.timings_s)
    reading_s = record.processing_time_s - sum(steps.values())
    return {READING: reading_s, **steps, FILES: total_s - record.processing_time_s}


def _floor(path: Path, annotated: np.ndarray, target: Path) -> None:
    """The least that any program must do: read the image and write its annotated picture."""
    cv2.imread(str(path))
    cv2.imwrite(str(target), annotated)


def _read(path: Path) -> np.ndarray:
    picture = cv2.imread(str(path))
    if picture is None:
        raise UnreadableImage(f"{path.name} is missing or broken.", "Switch reporting.annotated_image on.")
    return picture


def _timed(work: Callable[[], InspectionRecord | None]) -> tuple[Times, InspectionRecord | None]:
    wall_s, cpu_s = time.perf_counter(), time.process_time()
    result = work()
    return Times(time.perf_counter() - wall_s, time.process_time() - cpu_s), result


def _mean_stages(images: Sequence[dict[str, float]]) -> dict[str, float]:
    """Mean of each stage; an image whose fibre was not found has no time in the stages after that."""
    return {name: statistics.fmean(stages.get(name, 0.0) for stages in images) for name in max(images, key=len)}


def _mean(times: Sequence[Times]) -> Times:
    return Times(statistics.fmean(t.wall_s for t in times), statistics.fmean(t.cpu_s for t in times))


def _median(times: Sequence[Times]) -> Times:
    return Times(statistics.median(t.wall_s for t in times), statistics.median(t.cpu_s for t in times))
