"""What the window says: about the live picture, about a result, about what is in force."""

from __future__ import annotations

import math
import re
from datetime import datetime

from camera import CameraState
from cli.calibration_checks import batch_warnings
from records import FAIL, PASS, Defect, InspectionRecord
from reports.annotate import primary_size_px
from settings import Preprocessing
from station.setup import Setup
from station.tracking import Sight

_LONG_WORD = re.compile(r"\S{20}")
COLUMNS = ("Mark", "Class", "Zone", "Size", "Judged")
KEYS = (
    ("Space", "capture and inspect"),
    ("F1", "this list"),
    ("F2", "drawings over the picture on or off"),
    ("F3", "zones on or off"),
    ("F4", "serial number (or just type or scan it)"),
    ("F5", "fibre type"),
    ("F6", "profile"),
    ("F7", "operator"),
    ("F8", "again: discard the result, take the picture again"),
    ("F9", "save the result"),
    ("F10", "save the result and go on to the next part"),
    ("F11", "full screen on or off"),
    ("F12", "settings and calibration"),
    ("Insert", "magnify the fibre"),
    ("Up, Down", "go through the table of marks"),
    ("Esc", "back; leave a field"),
    ("Ctrl+Q", "close the station"),
)


def breakable(text: str) -> str:
    """The text with places where a word as long as a path may be broken."""
    return _LONG_WORD.sub(lambda found: f"{found[0]}\u200b", text)


def focus_in_words(score: float, limits: Preprocessing) -> str:
    """What a focus score means."""
    if not math.isfinite(score):
        return "Focus unknown"
    if score < limits.min_judged_focus_score:
        return f"Focus {score:.2f}: too blurred to be judged"
    if score < limits.min_focus_score:
        return f"Focus {score:.2f}: small marks may be missed"
    return f"Focus {score:.2f}: sharp"


def fiber_in_words(sight: Sight) -> str:
    """Where the fibre is, or why it is not found."""
    if sight.fiber is None:
        reason = sight.reason or "it is looked for"
        return f"Fibre not found: {reason.removeprefix('no fibre found: ')}"
    diameter_px = 2 * sight.fiber.cladding.mean_radius_px
    if not sight.scale.known:
        return f"Fibre found, {diameter_px:.0f} px; no scale is known"
    return f"Fibre found, {diameter_px * sight.scale.um_per_px:.1f} um"


def light_in_words(sight: Sight) -> str:
    """Whether the light is right."""
    return sight.light.warning or "Light good"


def reasons_of(record: InspectionRecord) -> list[str]:
    """Why the verdict is what it is, in the order of importance."""
    count = len(record.counted_defects)
    counted = f"{count or 'No'} mark{'' if count == 1 else 's'} in the inspected zones."
    reasons = [*record.reasons, *(["The verdict is marginal: look yourself."] if record.marginal else [])]
    return [*reasons, counted] if record.fiber is not None else reasons


def row_of(defect: Defect, record: InspectionRecord) -> tuple[str, ...]:
    """One row of the table of marks, in the order of :data:`COLUMNS`."""
    size, scale_known = primary_size_px(defect), record.scale.known
    if scale_known:
        size = defect.length_um if defect.kind in ("Scratch", "Crack") else defect.diameter_um
    shown = f"{size:.1f} {'um' if scale_known else 'px'}" if math.isfinite(size) else ""
    judged = "on optics" if defect.on_optics else "violates" if defect.violates else "allowed"
    judged = judged if record.status in (PASS, FAIL) or defect.on_optics else ""
    return defect.defect_id, defect.kind, defect.zone, shown, f"{judged} (marginal)" if defect.marginal else judged


def camera_in_words(state: CameraState | None, title: str, trouble: str, rate_hz: float) -> list[str]:
    """The camera as it is set now."""
    if trouble:
        return [trouble]
    lines = [title, f"{rate_hz:.0f} pictures a second"]
    if state is not None:
        lines += [f"{state.width_px} x {state.height_px} px, {state.pixel_format}", *state.differences]
    return lines


def rules_in_words(setup: Setup) -> list[str]:
    """The rules, dimensions and profile in force."""
    settings, rules = setup.settings, setup.settings.rule_set
    sizes = [
        f"{name} {value:g} um"
        for name, value in (("core", settings.core_um), ("cladding", settings.cladding_um))
        if value is not None
    ]
    return [
        f"{rules.title}{'' if rules.verified else ' (not verified)'}",
        f"Source: {rules.source}",
        f"Dimensions: {', '.join(sizes) or 'not given'}",
        f"Profile: {setup.config.profile}",
    ]


def calibration_in_words(setup: Setup) -> list[str]:
    """The calibration in force, and what there is to doubt about it."""
    found = setup.calibration
    doubts = batch_warnings(setup.settings, datetime.now().astimezone())
    if found is None:
        return ["None: sizes come from the dimensions of the fibre, where they are known.", *doubts]
    uncertainty = found.uncertainty_um_per_px
    scale = f"{found.mean_um_per_px:.6g}{f' ± {uncertainty:.2g}' if uncertainty else ''} um per pixel"
    made = [f"made {found.date}"] if found.date else []
    made += [f"with camera {found.camera_serial}"] if found.camera_serial else []
    return [scale, *([", ".join(made)] if made else []), *doubts]
