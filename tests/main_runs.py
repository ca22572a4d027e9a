"""Helpers for tests that run main.py in the current folder: images named after their verdict in, statuses out."""

from __future__ import annotations

import csv
import json
import re
import time
from pathlib import Path

from faces import write

import main
from records_file import stream_records

ROOT = Path(main.__file__).parent
KNOWN = ["--cladding-um", "125"]  # dimensions that give a scale


def images(*names, folder="in"):
    return [write(Path(folder) / name, b"x") for name in names]


def statuses(folder="out"):
    with open(Path(folder) / "summary_report.csv", encoding="utf-8", newline="") as file:
        return {row["Image_Filename"]: row["Pass/Fail_Status"] for row in csv.DictReader(file)}


def one_sentence(captured):
    assert "Traceback" not in captured.err and captured.out == ""
    lines = captured.err.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("main.py: ")
    return lines[0]


def quick_config(**limits):
    """Options for a config.json with other numbers in its section ``batch``."""
    config = json.loads((ROOT / "config.json").read_text(encoding="utf-8"))
    config["batch"] |= limits
    Path("quick.json").write_text(json.dumps(config), encoding="utf-8")
    return ["-c", "quick.json"]


def slow(count):
    """Images that take a while, in no work; see fake_inspections.py."""
    return images(*(f"slow{number}.png" for number in range(count)))


def finished(folder="out"):
    """How many lines results.jsonl holds."""
    path = Path(folder) / "results.jsonl"
    return path.read_bytes().count(b"\n") if path.exists() else 0


def until(condition, seconds=30.0):
    """Wait for a condition, and fail without it."""
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.01)
    assert condition()


def children(pid):
    """The processes that a process has started and that still run."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def contents(folder):
    """Every file that a run leaves, without times, log and what names the run."""
    found = {}
    for path in Path(folder).rglob("*"):
        if not path.is_file() or path.name.startswith(("inspection_", ".")):
            continue
        data = path.read_bytes()
        if path.name == "results.jsonl":
            data = [_untimed(line) for line in data.splitlines()]
        elif path.name == "summary_report.csv":
            data = [re.sub(rb"^([^,]*,[^,]*),[^,]*", rb"\1", line) for line in data.splitlines()]
        elif path.name == "report.html":
            data = "made from the records"
        elif path.name == "run.json":
            data = {key: item for key, item in json.loads(data).items() if key not in ("start", "end", "arguments")}
        found[str(path.relative_to(folder))] = data
    return found


def _untimed(line):
    record = json.loads(line)
    return {key: item for key, item in record.items() if key not in ("processing_time_s", "timings_s", "inspected_at")}


def read_records(path):
    """All records of a results.jsonl, one per image in natural order; none when there is no such file."""
    return list(stream_records(path)) if path.exists() else []
