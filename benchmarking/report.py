"""The benchmark as Markdown: the machine, and one table per kind of measurement."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2

from benchmarking.batches import BatchTimes
from benchmarking.images import ImageTimes
from evaluation.markdown import table


@dataclass(frozen=True)
class Machine:
    """What the figures were measured on."""

    cpu: str
    cores: int
    system: str
    opencv: str
    opencv_threads: int
    python: str

    @classmethod
    def this(cls) -> Machine:
        """This machine, without its name."""
        return cls(
            cpu=cpu_name(),
            cores=os.cpu_count() or 1,
            system=f"{platform.system()} {platform.machine()}",
            opencv=cv2.__version__,
            opencv_threads=cv2.getNumThreads(),
            python=platform.python_version(),
        )

    def __str__(self) -> str:
        cores = f"{self.cores} core{'s' * (self.cores != 1)}"
        return (
            f"{self.cpu}, {cores}, {self.system}, OpenCV {self.opencv} ({self.opencv_threads} threads),"
            f" Python {self.python}"
        )


def cpu_name(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """The processor's model, as far as the system tells it."""
    try:
        lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()


def markdown(
    machine: Machine,
    images: Sequence[ImageTimes],
    batches: Sequence[BatchTimes],
    first_results_s: Mapping[str, float],
) -> str:
    """All tables; those without figures are left out. ``first_results_s`` is by profile."""
    lines = [f"Measured on {machine}.", "", *_image_tables(images)]
    if batches:
        lines += _batch_table(batches)
    if first_results_s:
        rows = [(profile, f"{seconds:.2f}") for profile, seconds in first_results_s.items()]
        lines += table(("Profile", "From the start to the first result on samples/, s"), rows)
    return "\n".join(lines)


def _image_tables(images: Sequence[ImageTimes]) -> list[str]:
    if not images:
        return []
    totals = [
        (
            item.profile,
            _size(item),
            _ms(item.floor.wall_s),
            _ms(item.product.wall_s),
            f"{item.wall_ratio:.2f}",
            f"{item.cpu_ratio:.2f}",
        )
        for item in images
    ]
    header = ("Profile", "Size, px", "Floor, ms", "Image, ms", "Ratio", "Ratio of processor time")
    stages = list(dict.fromkeys(name for item in images for name in item.stages_s))
    parts = [
        (item.profile, _size(item), *(_ms(item.stages_s.get(name, 0.0)) for name in stages), _ms(item.product.wall_s))
        for item in images
    ]
    return [*table(header, totals), *table(("Stage, ms", "Size, px", *stages, "Image"), parts)]


def _batch_table(batches: Sequence[BatchTimes]) -> list[str]:
    single_s = {item.profile: item.long_s for item in batches if item.jobs == 1}
    rows = []
    for item in batches:
        gain = single_s[item.profile] / item.long_s if item.profile in single_s else float("nan")
        peak = "-" if item.peak_bytes is None else f"{item.peak_bytes / 1e6:.0f}"
        rows.append(
            (
                item.profile,
                item.jobs,
                f"{item.start_s:.2f}",
                f"{_ms(item.short_s)} ({item.short_images})",
                f"{_ms(item.long_s)} ({item.long_images})",
                f"{gain:.2f}",
                peak,
            )
        )
    header = (
        "Profile",
        "--jobs",
        "Start and end, s",
        "Per image, ms",
        "Per image, ms",
        "Throughput",
        "Main process, MB",
    )
    return table(header, rows)


def _size(item: ImageTimes) -> str:
    return f"{item.size_px[0]}x{item.size_px[1]}"


def _ms(seconds: float) -> str:
    return f"{1000 * seconds:.1f}"
