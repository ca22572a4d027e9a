"""The scale of the microscope, micrometres per pixel: its file, its loader, and the script that measures it.

python calibration.py                                          picture of the target from the camera
python calibration.py --image target.png --report report.png   from a stored picture
python calibration.py --distance-um 500 --distance-px 1004.5   from a distance measured by hand
python calibration.py --check                                  say what calibration.json holds
"""

from __future__ import annotations

import argparse
import difflib
import json
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import json_text
from errors import CalibrationError, ExitCode, refuse_to_start

try:
    from rich.console import Console

    from cli.program import run_program
except (ImportError, KeyboardInterrupt) as error:
    if __name__ != "__main__":
        raise
    sys.exit(refuse_to_start("calibration.py", error))

DEFAULT_PATH = Path(__file__).resolve().parent / "calibration.json"
CONFIG_PATH = DEFAULT_PATH.with_name("config.json")
_REMEDY = "Calibrate again: python calibration.py"
MAX_PIXEL_ASPECT = 2.0
MAX_SIDE_PX = 1_000_000
MAX_MEAN_DIFFERENCE = 0.01  # of the mean of both axes


@dataclass(frozen=True)
class Calibration:
    """A calibrated scale in micrometres per pixel; ``_x`` and ``_y`` differ where pixels are not square."""

    um_per_px: float
    um_per_px_x: float
    um_per_px_y: float
    date: str = ""
    image_size_px: tuple[int, int] | None = None  # (width, height) the scale belongs to; None = not recorded
    note: str = ""
    uncertainty_um_per_px: float | None = None  # standard uncertainty of the scale; None = not recorded
    camera_model: str = ""
    camera_serial: str = ""
    shear_deg: float = 0.0  # by how much the pixel axes miss a right angle

    @property
    def mean_um_per_px(self) -> float:
        """The scale that keeps areas, sqrt(x * y): the one of the fibre frame; ``um_per_px`` for square pixels."""
        return self.um_per_px_x * math.sqrt(self.um_per_px_y / self.um_per_px_x)


def load_calibration(path: Path | str, *, required: bool = True) -> Calibration | None:
    """Read and check calibration.json; None when it is absent and not ``required``.

    Raises :class:`CalibrationError`: one sentence that says what is wrong, and the remedy.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        if not required:
            return None
        raise CalibrationError(f"{path} does not exist.", _REMEDY) from None
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not a text file"
        raise CalibrationError(f"{path} cannot be read: {reason}.", _REMEDY) from error
    return parse_calibration(text, source=str(path))


def parse_calibration(text: str, *, source: str) -> Calibration:
    """Check the text of a calibration file; raises :class:`CalibrationError` that names ``source``."""
    try:
        data = json_text.parse(text)
    except ValueError as error:
        where = f" in line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        raise CalibrationError(f"{source} is not valid JSON{where}.", _REMEDY) from error
    if not isinstance(data, dict):
        raise CalibrationError(f"{source} must hold a JSON object with um_per_px.", _REMEDY)
    scale = _scale(data, "um_per_px", source)
    along = {key: _scale(data, key, source, default=scale) for key in ("um_per_px_x", "um_per_px_y")}
    found = Calibration(
        um_per_px=scale,
        **along,
        date=str(data.get("date") or ""),
        image_size_px=_image_size(data, source),
        note=str(data.get("note", "")),
        uncertainty_um_per_px=_uncertainty(data, source),
        **_camera(data, source),
        shear_deg=_shear(data, source),
    )
    _check_agreement(found, source)
    return found


def _check_agreement(found: Calibration, source: str) -> None:
    """Raise :class:`CalibrationError` where one scale was changed by hand and the others were not."""
    x, y = found.um_per_px_x, found.um_per_px_y
    if not 1 / MAX_PIXEL_ASPECT <= x / y <= MAX_PIXEL_ASPECT:
        text = f"{source}: um_per_px_x ({x:g}) and um_per_px_y ({y:g}) are no scales of one picture."
        raise CalibrationError(text, _REMEDY)
    scale, mean = found.um_per_px, found.mean_um_per_px
    if not abs(scale / mean - 1) <= MAX_MEAN_DIFFERENCE:
        text = f"{source}: um_per_px ({scale:g}) does not fit um_per_px_x and um_per_px_y, whose mean is {mean:g}."
        raise CalibrationError(text, f"{_REMEDY}. Or change all three.")


def _scale(data: dict[str, Any], key: str, source: str, default: float | None = None) -> float:
    value = data.get(key)
    if value is None and default is not None:
        return default
    if value is None:
        near = difflib.get_close_matches(key, data, n=1)
        hint = f" (but {near[0]!r}, which is unknown)" if near else ""
        raise CalibrationError(f"{source} holds no {key}{hint}.", _REMEDY)
    if not _is_finite(value) or value <= 0:
        raise CalibrationError(f"{source}: {key} must be a number above zero, not {_shown(value)}.", _REMEDY)
    return float(value)


def _uncertainty(data: dict[str, Any], source: str) -> float | None:
    value = data.get("uncertainty_um_per_px")
    if value is None:
        return None
    if not _is_finite(value) or value < 0:
        wanted = "uncertainty_um_per_px must be a number, zero or more, or null"
        raise CalibrationError(f"{source}: {wanted}, not {_shown(value)}.", _REMEDY)
    return float(value)


def _shear(data: dict[str, Any], source: str) -> float:
    value = data.get("shear_deg")
    if value is None:
        return 0.0
    if not _is_finite(value) or abs(value) >= 45:
        wanted = "shear_deg must be a number of degrees between -45 and 45"
        raise CalibrationError(f"{source}: {wanted}, not {_shown(value)}.", _REMEDY)
    return float(value)


def _camera(data: dict[str, Any], source: str) -> dict[str, str]:
    """Model and serial number of the camera, as fields of :class:`Calibration`; empty where they are not recorded."""
    camera = data.get("camera")
    camera = {} if camera is None else camera
    parts = [camera.get(key) for key in ("model", "serial")] if isinstance(camera, dict) else [0]
    if not all(part is None or isinstance(part, str) for part in parts):
        wanted = 'camera must be {"model": "...", "serial": "..."}, or null'
        raise CalibrationError(f"{source}: {wanted}, not {_shown(camera)}.", _REMEDY)
    model, serial = (part or "" for part in parts)
    return {"camera_model": model, "camera_serial": serial}


def _is_finite(value: Any) -> bool:
    try:
        return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:  # a whole number beyond every float
        return False


def _shown(value: Any) -> str:
    return json.dumps(value)[:60]


def _image_size(data: dict[str, Any], source: str) -> tuple[int, int] | None:
    value = data.get("image_size_px")
    if value is None:
        return None
    if not isinstance(value, list) or [type(item) for item in value] != [int, int] or not _is_size(value):
        raise CalibrationError(f"{source}: image_size_px must be [width, height] in pixels, or null.", _REMEDY)
    return value[0], value[1]


def _is_size(sides: list[int]) -> bool:
    return min(sides) >= 1 and max(sides) <= MAX_SIDE_PX


def work(options: argparse.Namespace, console: Console) -> ExitCode:
    """The one job that the options ask for."""
    from cli import calibrate  # main.py, which only loads the file, does without what it needs

    if options.check:
        return report_check(options.output)
    if options.capture is not None:
        return calibrate.capture_frames(options)
    if options.flat_field is not None:
        return calibrate.store_flat_field(options)
    return calibrate.calibrate(options, parse=parse_calibration)


def report_check(path: Path) -> ExitCode:
    """Check a calibration file and say what it holds."""
    found = load_calibration(path)
    date = f", calibrated {found.date}" if found.date else ""
    print(f"{path}: {found.mean_um_per_px:.6g} um per pixel{date}. OK")
    return ExitCode.OK


def main(argv: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    try:
        from cli import calibrate  # noqa: F401
        from cli.calibration_options import parse_arguments
    except (ImportError, KeyboardInterrupt) as error:
        return refuse_to_start("calibration.py", error)

    def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
        return parse_arguments(arguments, default_output=DEFAULT_PATH, default_config=CONFIG_PATH)

    return run_program("calibration.py", parse, work, argv)


if __name__ == "__main__":
    sys.exit(main())
