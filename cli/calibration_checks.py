"""What is said once per batch about the calibration and the flat field: too old, of another camera, of no use."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

from calibration import Calibration
from inspection import flat_field_problem
from inspection_settings import InspectionSettings
from settings import Config


def batch_warnings(settings: InspectionSettings, now: datetime) -> list[str]:
    """Everything that the user should know before the first image; ``now`` knows its time zone."""
    return [
        *calibration_warnings(settings.calibration, settings.config, now),
        *flat_field_warnings(settings.config, now),
    ]


def calibration_warnings(calibration: Calibration | None, config: Config, now: datetime) -> list[str]:
    """Doubts about the age of the calibration, and about whether it was made with the configured camera."""
    if calibration is None:
        return []
    return [*_age(calibration.date, config.calibration.max_age_days, now), *_camera(calibration, config.camera.serial)]


def flat_field_warnings(config: Config, now: datetime) -> list[str]:
    """Doubts about the flat-field image, by the time of its last change and by what it shows."""
    path = config.preprocessing.flat_field_image
    if path is None:
        return []
    name = Path(path).name
    problem = flat_field_problem(config)
    if problem:
        return [f"The flat-field image ({name}) is not used: {problem} Capture an empty, evenly lit field again."]
    limit = config.preprocessing.flat_field_max_age_days
    days = (now - datetime.fromtimestamp(Path(path).stat().st_mtime).astimezone()) / timedelta(days=1)
    if not limit or days <= limit:
        return []
    return [f"The flat-field image ({name}) is {days:.0f} days old, the limit is {limit:g}: capture it again."]


def _age(date: str, max_age_days: float, now: datetime) -> list[str]:
    if not max_age_days:
        return []
    if not date:
        return ["calibration.json holds no date, so nobody knows how old it is: calibrate again."]
    try:
        made = datetime.fromisoformat(date).astimezone()
    except (ValueError, OverflowError, OSError):
        return [f"calibration.json holds a date that cannot be read ({date[:40]!r}): calibrate again."]
    days = (now - made) / timedelta(days=1)
    if days < -1:
        return [f"calibration.json is dated {made:%Y-%m-%d}, in the future: check this machine's clock."]
    if days <= max_age_days:
        return []
    return [
        f"calibration.json is {days:.0f} days old ({made:%Y-%m-%d}), the limit is {max_age_days:g}: calibrate again."
    ]


def _camera(calibration: Calibration, serial: str | None) -> list[str]:
    made_with = calibration.camera_serial
    if not serial or not made_with or made_with == serial:
        return []
    return [f"calibration.json belongs to the camera {made_with}, config.json names {serial}: calibrate this camera."]
