"""Fixtures for tests that run the whole program."""

from __future__ import annotations

import pytest
from fake_inspections import inspect_by_name

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
    monkeypatch.setattr(batch, "inspect_bytes", inspect_by_name)
