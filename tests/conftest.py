"""Fixtures for tests that run the whole program."""

from __future__ import annotations

import process_setup  # noqa: F401  before NumPy is loaded, as in main.py

# isort: split
import shutil
import subprocess
import sys

import fake_inspections
import pytest
from main_runs import KNOWN

import batch
import main


@pytest.fixture
def isolated(tmp_path, monkeypatch):
    """Results go to a temporary folder, no calibration.json of this machine is used, all work is done in here."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(main, "DEFAULT_PATH", tmp_path / "absent.json")
    monkeypatch.setattr(main, "available_cores", lambda: 1)


@pytest.fixture
def by_name(isolated, monkeypatch):
    """Replace the inspection by one that takes the status from the file's name."""
    monkeypatch.setattr(batch, "inspect_bytes", fake_inspections.inspect_by_name)


@pytest.fixture
def program(isolated):
    """Start main.py as a process, on in/ into out/ with two jobs, with outcomes by name; it is ended with the test."""
    running = []

    def start(*options):
        command = [sys.executable, fake_inspections.__file__, "in", "-o", "out", *KNOWN, "--jobs", "2", *options]
        running.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
        return running[-1]

    yield start
    for process in running:
        process.kill()
        process.communicate()


@pytest.fixture(scope="session")
def raw(tmp_path_factory):
    """A labelled set of four small faces; see data_sets.py."""
    import data_sets

    return data_sets.write_raw(tmp_path_factory.mktemp("raw"))


@pytest.fixture(scope="session")
def built(raw, tmp_path_factory):
    """Their data set, not to be changed."""
    import data_sets

    return data_sets.build(raw, tmp_path_factory.mktemp("built") / "dataset")


@pytest.fixture
def data_set(built, tmp_path):
    """A copy of it."""
    return shutil.copytree(built, tmp_path / "dataset")
