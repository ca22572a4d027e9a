"""What run.json says about a run: how the program was called, with which settings, on what, and how it went."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

import cv2
import numpy as np

import json_text
from cli.model_options import describe_networks
from inspection_settings import InspectionSettings
from records import Provenance

VERSION = "0.1.0"


def now() -> str:
    """Local time with its offset from UTC, to the second."""
    return datetime.now().astimezone().isoformat(timespec="seconds")


def provenance(settings: InspectionSettings, operator: str) -> Provenance:
    """By what and whom the images of a run are judged."""
    rules, calibration = settings.rule_set, settings.calibration
    return Provenance(
        software_version=VERSION,
        operator=operator,
        rule_set_title=rules.title,
        rule_set_source=rules.source,
        rule_set_edition=rules.edition,
        calibration_date=calibration.date if calibration else "",
        networks=tuple(describe_networks(settings)),
    )


def settings_hash(settings: InspectionSettings) -> str:
    """SHA-256 of everything that decides a record; equal when two runs may be mixed in one report."""
    calibration, flat_field = settings.calibration, settings.config.preprocessing.flat_field_image
    content = {
        "config": {name: part for name, part in settings.config.raw.items() if name not in ("batch", "vlm")},
        "rule_set": settings.rule_set.name,
        "core_um": settings.core_um,
        "cladding_um": settings.cladding_um,
        "dimensions_source": settings.dimensions_source,
        "zones": settings.zones,
        "um_per_px": [calibration.um_per_px_x, calibration.um_per_px_y] if calibration else None,
        "calibrated_size_px": calibration.image_size_px if calibration else None,
        "flat_field_sha256": file_hash(Path(flat_field)) if flat_field else None,
        "models": {model.task: model.sha256 for model in settings.models},
        "vlm": _asked_model(settings),
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()


def _asked_model(settings: InspectionSettings) -> dict[str, Any] | None:
    """The vision-language model and how it is asked; None where none is. How it was trained decides nothing."""
    if settings.vlm is None:
        return None
    section = settings.config.raw.get("vlm", {})
    asking = {name: value for name, value in section.items() if name not in ("enabled", "model", "lora")}
    return {**asking, "sha256": settings.vlm.sha256}


def describe_run(
    settings: InspectionSettings,
    *,
    arguments: Sequence[str],
    config_path: Path,
    calibration_path: Path,
    operator: str = "",
    warnings: Sequence[str] = (),
) -> dict[str, Any]:
    """The part of run.json that is known before the first image."""
    return {
        "program": "D-Scope Blink",
        "version": VERSION,
        "versions": {
            "python": platform.python_version(),
            "opencv": cv2.__version__,
            "numpy": np.__version__,
            "pandas": importlib.metadata.version("pandas"),
            "platform": platform.platform(),
        },
        "arguments": list(arguments),
        "operator": operator,
        "start": now(),
        "end": None,
        "counts": {},
        "warnings": list(warnings),
        "settings_sha256": settings_hash(settings),
        "profile": settings.config.profile,
        "rule_set": settings.rule_set.name,
        "fiber_type": settings.fiber_type.name if settings.fiber_type else None,
        "core_um": settings.core_um,
        "cladding_um": settings.cladding_um,
        "zones": settings.zones,
        "models": [asdict(model) for model in settings.models],
        "vlm": asdict(settings.vlm) if settings.vlm else None,
        "config_path": str(config_path),
        "config_sha256": file_hash(config_path),
        "config": settings.config.raw,
        "calibration_path": str(calibration_path) if settings.calibration else None,
        "calibration_sha256": file_hash(calibration_path) if settings.calibration else None,
        "calibration": asdict(settings.calibration) if settings.calibration else None,
    }


def file_hash(path: Path) -> str | None:
    """SHA-256 of a file; None when it cannot be read."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return None


def earlier_settings_hash(run_file: Path) -> str | None:
    """The settings hash that an earlier run left in its run.json; None when there is none."""
    try:
        data = json_text.parse(run_file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    value = data.get("settings_sha256") if isinstance(data, Mapping) else None
    return value if isinstance(value, str) else None
