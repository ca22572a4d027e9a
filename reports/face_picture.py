"""The plain picture: the end face as it was inspected, small enough for a page with many of them."""

from __future__ import annotations

import cv2
import numpy as np

MAX_SIDE_PX = 1600
_QUALITY = 88


def face_jpeg(grey: np.ndarray) -> bytes:
    """A grey image, (H, W) uint8, as JPEG; reduced where its longer side is above :data:`MAX_SIDE_PX`.

    The picture shows the same area as the image, edge to edge, so image coordinates are only scaled.
    """
    share = MAX_SIDE_PX / max(grey.shape)
    if share < 1:
        size = tuple(max(1, round(side * share)) for side in grey.shape[::-1])
        # bilinear is ten times faster, and loses nothing where every pixel still counts
        grey = cv2.resize(grey, size, interpolation=cv2.INTER_LINEAR if share >= 0.5 else cv2.INTER_AREA)
    return cv2.imencode(".jpg", grey, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1].tobytes()
