"""Helpers for tests that run main.py in the current folder: images named after their verdict in, statuses out."""

from __future__ import annotations

import csv
from pathlib import Path

from faces import write

import main

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
