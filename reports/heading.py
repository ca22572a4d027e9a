"""The heading of a per-image picture: which image, which part, which verdict."""

from __future__ import annotations

import numpy as np

from records import InspectionRecord
from reports.drawing import BLACK, Color, TextStyle, draw_text, plain, shortened

HEADING_PX = 64  # height that the heading takes
_TITLE = TextStyle(0.6, 1)
_TEXT = TextStyle(0.45, 1)
_GREY: Color = (70, 70, 70)
_MARGIN_PX = 20


def draw_heading(picture: np.ndarray, record: InspectionRecord, subject: str) -> None:
    """Write file name, verdict and number of defects at the top of a white picture; below, ``subject`` and the part."""
    count, width_px = len(record.counted_defects), picture.shape[1] - 2 * _MARGIN_PX
    verdict = f": {record.status}, {count} defect{'' if count == 1 else 's'}"
    name = shortened(plain(record.image_filename), width_px - _TITLE.width(verdict), _TITLE)
    draw_text(picture, name + verdict, _MARGIN_PX, 30, _TITLE, BLACK)
    part = [subject]
    if record.serial_number:
        part.append(f"serial number {plain(record.serial_number)}")
    if record.port:
        part.append(f"port {plain(record.port)}")
    draw_text(picture, shortened(", ".join(part), width_px, _TEXT), _MARGIN_PX, 54, _TEXT, _GREY)
