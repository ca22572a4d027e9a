"""Made-up records for the tests of what a batch tells: fibres at given places, marks at given places of the picture."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace

from report_samples import make_defect, make_inspection

from records import Defect, Ellipse, Fiber, InspectionRecord

WIDTH, HEIGHT, RADIUS = 720, 576, 150.0
PLACES = [(340.0 + 22 * (k % 4), 260.0 + 17 * (k % 3)) for k in range(8)]  # where the fibres lie
BLANK = make_inspection().record
RINGS = tuple(replace(z, inner_radius_px=50.0 * k, outer_radius_px=50.0 * (k + 1)) for k, z in enumerate(BLANK.zones))


def mark_at(x_px: float, y_px: float, fibre: tuple[float, float], label: int = 1, **changes) -> Defect:
    """A mark at a place of the picture, on a round fibre with its centre at ``fibre``."""
    u, v = x_px - fibre[0], y_px - fibre[1]
    place = {"radius_px": math.hypot(u, v), "angle_deg": math.degrees(math.atan2(-v, u)) % 360}
    return make_defect(label, x_px=x_px, y_px=y_px, **{**place, **changes})


def picture(
    number: int, fibre: tuple[float, float], marks: Iterable[tuple[float, float]] = (), **changes
) -> InspectionRecord:
    """A picture with marks at places of the picture."""
    defects = tuple(mark_at(x, y, fibre, label) for label, (x, y) in enumerate(marks, start=1))
    values = {
        "image_filename": f"face{number}.png",
        "image_path": f"/images/face{number}.png",
        "image_width_px": WIDTH,
        "image_height_px": HEIGHT,
        "fiber": Fiber(Ellipse(*fibre, 2 * RADIUS, 2 * RADIUS, 0.0)),
        "zones": RINGS,
        "defects": defects,
        "content_sha256": f"{number}",
    }
    return replace(BLANK, **{**values, **changes})


def mark_on_face(x_um: float, y_um: float, label: int = 1, *, um_per_px: float = 0.4, **changes) -> Defect:
    """A mark at a place of the face, y up."""
    radius_um, angle_deg = math.hypot(x_um, y_um), math.degrees(math.atan2(y_um, x_um)) % 360
    place = {"radius_px": radius_um / um_per_px, "angle_deg": angle_deg, "radius_um": radius_um}
    return make_defect(label, um_per_px=um_per_px, **{**place, **changes})
