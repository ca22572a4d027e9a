"""Fixtures for tests that run the whole program."""

from __future__ import annotations

import hashlib
import re

import pytest

import batch
import main
from records import FAIL, LOCALIZATION_FAILED, PASS, UNGRADED, UNREADABLE, Inspection, InspectionRecord

STATUS_BY_PREFIX = {"pass": PASS, "fail": FAIL, "ungraded": UNGRADED, "lost": LOCALIZATION_FAILED, "bad": UNREADABLE}


@pytest.fixture
def isolated(tmp_path, monkeypatch):
    """Results go to a temporary folder, no calibration.json of this machine is used, all work is done in here."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(main, "DEFAULT_PATH", tmp_path / "absent.json")
    monkeypatch.setattr(main, "available_cores", lambda: 1)


@pytest.fixture
def by_name(isolated, monkeypatch):
    """Replace the inspection by one that takes the status from the file's name."""

    def inspect(data, path, settings, *, name):
        status = STATUS_BY_PREFIX[re.search("[a-z]+", path.name)[0]]
        digest = hashlib.sha256(data).hexdigest()
        record = InspectionRecord(image_filename=name, image_path=str(path), status=status, content_sha256=digest)
        return Inspection(record)

    monkeypatch.setattr(batch, "inspect_bytes", inspect)
