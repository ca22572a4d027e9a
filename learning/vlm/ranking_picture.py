"""One picture of an image with the marks of the model and of the inspector, to see where they differ."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from image_io import DecodedImage
from learning.vlm.differences import Difference, inspectors_marks
from learning.vlm.outlines import outline_of
from records import InspectionRecord
from reports.drawing import WHITE, Color, TextStyle, draw_text

_SIDE_PX = 1200  # of the picture's longer side
_GREEN: Color = (60, 220, 60)  # BGR: the inspector, as in the pictures of annotate/
_MAGENTA: Color = (255, 90, 255)  # the model
_LINE_PX = 26
_STYLE = TextStyle(0.5, 1)


def ranking_picture(image: DecodedImage, record: InspectionRecord, differs: Difference) -> bytes:
    """The image with both one's marks and verdicts, as JPEG: the inspector's in green, the model's in magenta.

    Marks on which they differ have a name and a thicker line.
    """
    factor = _SIDE_PX / max(image.grey.shape)
    size = tuple(max(1, round(side * factor)) for side in image.grey.shape[::-1])
    resampling = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    picture = cv2.cvtColor(cv2.resize(image.grey, size, interpolation=resampling), cv2.COLOR_GRAY2BGR)
    renamed = [defect for _, defect in differs.renamed], [mark for mark, _ in differs.renamed]
    for defect in inspectors_marks(record):
        corners = _places(outline_of(defect).corners, factor, size)
        is_other = defect in differs.only_inspector or defect in renamed[0]
        cv2.polylines(picture, [corners], True, _GREEN, 1 + is_other, cv2.LINE_AA)
        if is_other:
            name = f"{defect.defect_id} {defect.kind}{', violates' if defect.violates else ''}"
            draw_text(picture, name, int(corners[:, 0].max()) + 4, int(corners[:, 1].max()), _STYLE, _GREEN)
    for mark in record.vlm.defects:
        x, y, w, h = mark.box_px
        (left, top), (right, bottom) = _places(((x, y), (x + w, y + h)), factor, size).tolist()
        is_other = mark in differs.only_model or mark in renamed[1]
        cv2.rectangle(picture, (left, top), (right, bottom), _MAGENTA, 1 + is_other)
        if is_other:
            draw_text(picture, f"{mark.kind}, {mark.severity}", left, max(top - 5, 12), _STYLE, _MAGENTA)
    head = np.full((2 * _LINE_PX + 8, size[0], 3), 32, np.uint8)
    lines = ((f"Inspector: {record.vlm.classical_status}", _GREEN), (f"Model: {record.vlm.verdict}", _MAGENTA))
    for row, (text, color) in enumerate(lines):
        draw_text(head, text, 8, 20 + row * _LINE_PX, TextStyle(0.6, 1), color)
    draw_text(head, _ascii(record.vlm.explanation), 220, 20 + _LINE_PX, TextStyle(0.5, 1), WHITE)
    return cv2.imencode(".jpg", np.vstack([head, picture]), [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes()


def _places(points: Sequence[tuple[float, float]], factor: float, size: tuple[int, int]) -> np.ndarray:
    """Points of the image (n, 2) in pixels of the picture, on its edge where they lie outside, int32."""
    return np.rint(np.clip(np.nan_to_num(points) * factor, 0, np.array(size) - 1)).astype(np.int32)


def _ascii(text: str) -> str:
    """What the font can write."""
    return text.encode("ascii", "replace").decode()
