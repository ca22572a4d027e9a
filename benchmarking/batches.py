"""Times of whole batches: ``main.py`` as a process of its own, from its start to its end."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarking.pictures import CLADDING_UM, repeat_pictures
from errors import BlinkError, ExitCode
from output_names import RESULTS_FILE

MAIN = Path(__file__).resolve().parents[1] / "main.py"
_POLL_S = 0.01
_USABLE = (ExitCode.OK, ExitCode.IMAGES_FAILED)  # the samples hold a frame without a fibre


@dataclass(frozen=True)
class BatchRun:
    """One run of main.py; ``peak_bytes`` is the main process's largest resident set, None where it cannot be read."""

    total_s: float
    first_result_s: float
    peak_bytes: int | None


@dataclass(frozen=True)
class BatchTimes:
    """``short`` and ``long`` batches with ``jobs`` workers, seconds per image once started."""

    profile: str
    jobs: int
    short_images: int
    long_images: int
    short_s: float
    long_s: float
    start_s: float  # of a batch of one image, without that image
    peak_bytes: int | None


class MeasurementError(BlinkError):
    """A run that was to be measured failed."""

    exit_code = ExitCode.IMAGES_FAILED


def measure_batches(
    pictures: Sequence[Path], profile: str, config: Path, *, jobs: int, images: int, folder: Path
) -> BatchTimes:
    """Run batches of 1, ``images`` and 4 times ``images`` images; what the first takes is taken off the others."""
    lengths = (1, images, 4 * images)
    runs = []
    for length in lengths:
        inputs = repeat_pictures(list(pictures), folder / f"inputs_{length}", length)
        runs.append(run_main([str(inputs), *_options(profile, config), "--jobs", str(jobs)], folder / f"out_{length}"))
    alone, short, long = runs
    long_s = (long.total_s - alone.total_s) / (lengths[2] - 1)
    return BatchTimes(
        profile=profile,
        jobs=jobs,
        short_images=images,
        long_images=lengths[2],
        short_s=(short.total_s - alone.total_s) / max(images - 1, 1),
        long_s=long_s,
        start_s=alone.total_s - long_s,
        peak_bytes=long.peak_bytes,
    )


def measure_start(samples: Path, profile: str, config: Path, *, repeats: int, folder: Path) -> float:
    """Seconds from the start of main.py to its first result on the samples, --jobs 1: the median."""
    arguments = [str(samples), *_options(profile, config), "--jobs", "1"]
    return statistics.median(run_main(arguments, folder / f"start_{k}").first_result_s for k in range(repeats))


def run_main(arguments: Sequence[str], output: Path) -> BatchRun:
    """Run main.py and watch it; raises :class:`MeasurementError` with what it said when it fails."""
    results, first_result_s, peak = output / RESULTS_FILE, None, None
    command = [sys.executable, str(MAIN), *arguments, "-o", str(output), "--exit-zero", "--no-progress", "-q"]
    started = time.perf_counter()
    with (
        tempfile.TemporaryFile() as said,
        subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=said) as process,
    ):
        try:
            while process.poll() is None:
                if first_result_s is None and results.exists() and results.stat().st_size:
                    first_result_s = time.perf_counter() - started
                peak = peak_bytes(process.pid) or peak
                time.sleep(_POLL_S)
        finally:
            process.kill()
        total_s = time.perf_counter() - started
        if process.returncode not in _USABLE:
            said.seek(0)
            why = said.read().decode("utf-8", "replace").strip() or "It said nothing."
            raise MeasurementError(f"main.py ended with exit code {process.returncode}: {why}")
    return BatchRun(total_s, total_s if first_result_s is None else first_result_s, peak)


def peak_bytes(pid: int) -> int | None:
    """Largest resident set of a running process so far; None where the system does not tell."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    found = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:")]
    return 1024 * int(found[0]) if found else None


def _options(profile: str, config: Path) -> list[str]:
    return ["--profile", profile, "-c", str(config), "--cladding-um", f"{CLADDING_UM:g}"]
