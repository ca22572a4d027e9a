"""benchmark.py: what the figures are computed from, what the tables say, and how it ends. Nothing here is timed."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from main_runs import ROOT

import benchmark
from benchmarking import batches, images
from benchmarking.batches import BatchRun, BatchTimes, MeasurementError, measure_batches, run_main
from benchmarking.images import ImageTimes, Times, measure_images, stage_times
from benchmarking.pictures import render_pictures
from benchmarking.report import Machine, cpu_name, markdown
from cli.job_settings import choose_settings
from config_loader import load_config
from errors import ExitCode
from records import PASS, InspectionRecord

MACHINE = Machine("A processor", 2, "Linux x86_64", "5.0.0", 2, "3.11.7")
IMAGE = ImageTimes("fast_scan", (1152, 864), Times(0.05, 0.04), Times(0.08, 0.07), 1.6, 1.75, {"Preprocessing": 0.003})


def cells(text: str, start: str) -> list[list[str]]:
    """Rows of a Markdown table whose first cell is ``start``."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"]
    return [row for row in rows if row[0] == start]


def test_the_tables_say_what_was_measured():
    one = BatchTimes("fast_scan", 1, 24, 96, 0.1, 0.11, 1.2, 99_000_000)
    two = BatchTimes("fast_scan", 2, 24, 96, 0.056, 0.055, 1.4, None)
    text = markdown(MACHINE, [IMAGE], [one, two], {"fast_scan": 1.234})
    assert "Measured on A processor, 2 cores, Linux x86_64, OpenCV 5.0.0 (2 threads), Python 3.11.7." in text
    assert cells(text, "fast_scan") == [
        ["fast_scan", "1152x864", "50.0", "80.0", "1.60", "1.75"],
        ["fast_scan", "1152x864", "3.0", "80.0"],
        ["fast_scan", "1", "1.20", "100.0 (24)", "110.0 (96)", "1.00", "99"],
        ["fast_scan", "2", "1.40", "56.0 (24)", "55.0 (96)", "2.00", "-"],
        ["fast_scan", "1.23"],
    ]


def test_tables_without_figures_are_left_out():
    text = markdown(MACHINE, [], [], {})
    assert "|" not in text and "A processor" in text


def test_the_processor_is_named_by_its_model(tmp_path):
    (tmp_path / "cpuinfo").write_text(
        "processor\t: 0\nmodel name\t: Fast One @ 3 GHz\nmodel name\t: Fast One @ 3 GHz\n"
    )
    assert cpu_name(tmp_path / "cpuinfo") == "Fast One @ 3 GHz"
    assert cpu_name(tmp_path / "absent")


def test_the_stages_add_up_to_the_whole():
    record = InspectionRecord("a.png", PASS, processing_time_s=0.5, timings_s={"Preprocessing": 0.1, "Detection": 0.3})
    assert stage_times(record, 0.7) == pytest.approx(
        {images.READING: 0.1, "Preprocessing": 0.1, "Detection": 0.3, images.FILES: 0.2}
    )


def test_the_batch_of_one_is_taken_off_the_others(tmp_path, monkeypatch):
    """A start of 2 s and 0.1 s per image: both batches give 0.1 s."""
    runs = []

    def run(arguments, output):
        count = len(list(Path(arguments[0]).iterdir()))
        runs.append((count, arguments[arguments.index("--jobs") + 1]))
        return BatchRun(2.0 + 0.1 * count, 2.1, 1000 * count)

    monkeypatch.setattr(batches, "run_main", run)
    picture = tmp_path / "a.png"
    picture.write_bytes(b"picture")
    found = measure_batches([picture], "fast_scan", Path("config.json"), jobs=3, images=5, folder=tmp_path / "runs")
    assert runs == [(1, "3"), (5, "3"), (20, "3")]
    assert (found.short_s, found.long_s, found.start_s) == pytest.approx((0.1, 0.1, 2.0))
    assert found.peak_bytes == 20_000


def test_the_pictures_are_the_same_every_time_and_not_all_alike(tmp_path):
    first, again = (render_pictures(tmp_path / name, (240, 200), 3) for name in ("a", "b"))
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in again]
    assert len({path.read_bytes() for path in first}) == 3
    assert cv2.imread(str(first[0])).shape == (200, 240, 3)


def test_the_product_writes_all_that_a_batch_writes(tmp_path):
    settings = choose_settings(load_config(ROOT / "config.json", "fast_scan"), None, cladding_um=125.0)
    paths = render_pictures(tmp_path / "in", (240, 200), 1)
    found = measure_images(paths, settings, (240, 200), repeats=1, folder=tmp_path / "out")
    written = {path.name for path in (tmp_path / "out").rglob("*.*")}
    assert {"results.jsonl", "240x200_000_annotated.png", "240x200_000_report.csv", "floor.png"} <= written
    assert found.wall_ratio == pytest.approx(found.product.wall_s / found.floor.wall_s)
    assert sum(found.stages_s.values()) == pytest.approx(found.product.wall_s)
    floor, annotated = (cv2.imread(str(path)) for path in (tmp_path / "out").rglob("*.png"))
    assert np.array_equal(floor, annotated)


@pytest.mark.parametrize("skip", [True, False])
def test_a_whole_run_prints_and_writes_its_tables(tmp_path, monkeypatch, capsys, skip):
    measured = []

    def measure(paths, settings, size, **_):
        measured.append((settings.config.profile, size, len(paths)))
        return IMAGE

    monkeypatch.setattr(benchmark, "measure_images", measure)
    monkeypatch.setattr(
        benchmark, "measure_batches", lambda *_, jobs, **__: BatchTimes("fast_scan", jobs, 1, 4, 0.1, 0.1, 1.0, None)
    )
    monkeypatch.setattr(benchmark, "measure_start", lambda *_, **__: 1.5)
    arguments = ["--quick", "--sizes", "240x200", "--jobs", "2", "-q", "-o", str(tmp_path / "speed.md")]
    assert benchmark.main([*arguments, *(["--skip-jobs"] if skip else [])]) == ExitCode.OK
    shown = capsys.readouterr()
    assert shown.err == ""
    assert (tmp_path / "speed.md").read_text() == shown.out.removesuffix("\n")
    assert measured == [("fast_scan", (240, 200), 2), ("deep_inspection", (240, 200), 2)]
    assert ("1.50" in shown.out) is not skip


@pytest.mark.parametrize(
    "arguments", [["--sizes", "10x10"], ["--sizes", "big"], ["--images", "0"], ["--profiles", "none_such"]]
)
def test_wrong_options_are_a_usage_error(arguments, capsys):
    assert benchmark.main(arguments) == ExitCode.INVALID_INPUT
    assert capsys.readouterr().err.startswith("benchmark.py: ")


def test_a_batch_is_watched_until_it_ends(tmp_path):
    run = run_main([str(ROOT / "samples" / "hopeless_frame.png")], tmp_path / "out")
    assert 0 < run.first_result_s <= run.total_s
    assert run.peak_bytes is None or 30e6 < run.peak_bytes < 1e9
    assert (tmp_path / "out" / "summary_report.csv").exists()


def test_a_batch_that_fails_says_why(tmp_path):
    with pytest.raises(MeasurementError, match=r"(?s)exit code 2: main\.py: .*none_such"):
        run_main(["images", "--profile", "none_such"], tmp_path)
