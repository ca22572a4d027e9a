"""The scale of the microscope, micrometres per pixel: its file, its loader, and the script that writes it.

    python calibration.py --distance-um 500 --distance-px 1004.5   write calibration.json
    python calibration.py --check                                  say what calibration.json holds

Measure the distance in pixels between two marks of a stage micrometer, as far apart as the frame allows.
"""

from __future__ import annotations

import argparse
import difflib
import json
import math
import sys
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from cli.arguments import Parser, size
from cli.arguments import path as path_argument
from errors import CalibrationError, ExitCode, UsageError, describe, refuse_to_start

try:
    from image_io import write_bytes
except (ImportError, KeyboardInterrupt) as error:
    if __name__ != "__main__":
        raise
    sys.exit(refuse_to_start("calibration.py", error))

DEFAULT_PATH = Path(__file__).resolve().parent / "calibration.json"
_REMEDY = "Calibrate again: python calibration.py --distance-um D --distance-px L"


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
        data = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        where = f" in line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        raise CalibrationError(f"{source} is not valid JSON{where}.", _REMEDY) from error
    if not isinstance(data, dict):
        raise CalibrationError(f"{source} must hold a JSON object with um_per_px.", _REMEDY)
    scale = _scale(data, "um_per_px", source)
    along = {key: _scale(data, key, source, default=scale) for key in ("um_per_px_x", "um_per_px_y")}
    return Calibration(
        um_per_px=scale,
        **along,
        date=str(data.get("date") or ""),
        image_size_px=_image_size(data, source),
        note=str(data.get("note", "")),
        uncertainty_um_per_px=_uncertainty(data, source),
        **_camera(data, source),
        shear_deg=_shear(data, source),
    )


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
    if not isinstance(value, list) or [type(item) for item in value] != [int, int] or min(value) < 1:
        raise CalibrationError(f"{source}: image_size_px must be [width, height] in pixels, or null.", _REMEDY)
    return value[0], value[1]


def write_calibration(path: Path | str, *, distance_um: float, distance_px: float, note: str = "") -> str:
    """Write the scale ``distance_um / distance_px`` to ``path`` and return what was done, as a sentence.

    The values that the file held before are kept under ``previous``. Nothing is written unless the new scale is valid.
    Raises :class:`CalibrationError` or :class:`errors.OutputError`.
    """
    path = Path(path)
    data: dict[str, Any] = {
        "um_per_px": distance_um / distance_px if distance_px else math.inf,
        "um_per_px_x": None,
        "um_per_px_y": None,
        "date": datetime.now().astimezone().isoformat(timespec="seconds"),
        "method": "measured distance",
        "distance_um": distance_um,
        "distance_px": distance_px,
        "image_size_px": None,
        "note": note,
    }
    parse_calibration(json.dumps(data), source="The new calibration")
    previous = _previous(path)
    if previous is not None:
        data["previous"] = previous
    write_bytes(path, (json.dumps(data, indent=2, ensure_ascii=False) + "\n").encode())
    before = (previous or {}).get("um_per_px")
    before = f" It was {before:.6g} before." if isinstance(before, (int, float)) else ""
    return f"{path}: {data['um_per_px']:.6g} um per pixel.{before}"


def _previous(path: Path) -> dict[str, Any] | None:
    """What the file held before, without its own history; None when it is absent or unusable."""
    try:
        data = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError):
        return None
    return {key: value for key, value in data.items() if key != "previous"} if isinstance(data, dict) else None


def _parse_arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = Parser(
        prog="calibration.py", allow_abbrev=False, description="Write or check the scale of the microscope."
    )
    parser.add_argument("--distance-um", type=size, metavar="D", help="true distance between two marks in micrometres")
    parser.add_argument("--distance-px", type=size, metavar="L", help="the same distance in the image, in pixels")
    parser.add_argument(
        "-o", "--output", type=path_argument, default=DEFAULT_PATH, metavar="FILE", help="default: %(default)s"
    )
    parser.add_argument("--note", default="", help="kept in the file, for example the objective used")
    parser.add_argument("--check", action="store_true", help="check the file and say what it holds")
    arguments = parser.parse_args(argv)
    given = [arguments.distance_um is not None, arguments.distance_px is not None]
    if arguments.check == any(given) or (any(given) and not all(given)):
        raise UsageError("Give --distance-um and --distance-px together, or --check alone.")
    return arguments


def main(argv: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    try:
        arguments = _parse_arguments(argv)
        if arguments.check:
            found = load_calibration(arguments.output)
            date = f", calibrated {found.date}" if found.date else ""
            print(f"{arguments.output}: {found.um_per_px:.6g} um per pixel{date}. OK")
        else:
            sizes = {"distance_um": arguments.distance_um, "distance_px": arguments.distance_px}
            print(write_calibration(arguments.output, **sizes, note=arguments.note))
    except (Exception, KeyboardInterrupt) as error:
        sentence, code = describe(error)
        print(f"calibration.py: {sentence}", file=sys.stderr)
        return int(code)
    return int(ExitCode.OK)


if __name__ == "__main__":
    sys.exit(main())
