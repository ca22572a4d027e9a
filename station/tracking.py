"""Follow the fibre in the live picture: where it is, its zones, how sharp and how bright the picture is.

The first place comes from the batch's own localisation, which is repeated about once a second, so that the tracker
cannot stay on a wrong ring; in between the edge is measured again near its last place.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace

import cv2
import numpy as np

from camera import ExposureGoal
from camera.exposure import look_at
from image_io import reduce_to_8_bit
from image_processing import locate
from inspection_settings import InspectionSettings
from records import NAN, Fiber, Scale, ZoneExtent
from scale_and_zones import choose_scale, choose_zones
from vision.geometry import scaled
from vision.preprocess import focus_score, preprocess
from vision.rings import Ring, acceptable, measure_ring, slope_noise
from vision.settings import LocalizationSettings

_SEARCH_EVERY_S = 1.0
_REST_SHARE = 2.0  # after a search, so many times as long nothing is searched: the picture must go on moving
_BANDS = (0.04, 0.12)  # how far the fibre may have moved since the last frame, in share of its radius
_FINE_BAND = 0.03
_RAYS = 120
_DARK_LEVEL = 0.25  # of full scale: less in the brightest places is too little light
_LIGHT_STEP = 2  # every second pixel tells how bright a picture is


@dataclass(frozen=True)
class Light:
    """How bright a frame is, in shares of full scale and of its pixels; ``warning`` is empty for a good one."""

    level: float
    saturated_share: float
    warning: str = ""


@dataclass(frozen=True, eq=False)
class Sight:
    """One live frame and what is seen in it. Without a fibre ``reason`` says why, and the focus is NaN.

    ``frame`` (H, W) is as the camera gave it, uint8 or uint16, ``grey`` (H, W) uint8 the same as it will be inspected.
    """

    frame: np.ndarray
    grey: np.ndarray
    light: Light
    fiber: Fiber | None = None
    scale: Scale = field(default_factory=Scale)
    zones: tuple[ZoneExtent, ...] = ()
    focus_score: float = NAN
    reason: str = ""


class Tracker:
    """Sees one frame after the other; ``settings`` may be another one from frame to frame."""

    def __init__(self) -> None:
        self._fiber: Fiber | None = None
        self._sign = 1  # of the cladding's edge: 1 brighter outside
        self._reason = ""
        self._searched_s, self._search_took_s = -1e9, 0.0

    def follow(self, frame: np.ndarray, full_scale: int, settings: InspectionSettings) -> Sight:
        """What is seen in this frame (H, W) uint8 or uint16, whose largest possible value is ``full_scale``."""
        grey = frame if frame.dtype == np.uint8 else reduce_to_8_bit(frame)[0]
        light = _light(frame, full_scale)
        localization = settings.config.localization
        if self._fiber is not None:
            self._fiber = _followed(grey, self._fiber, self._sign, localization)
        if self._search_is_due():
            self._search(grey, settings)
        if self._fiber is None:
            return Sight(frame, grey, light, reason=self._reason)
        scale, _ = choose_scale(self._fiber, grey.shape, settings)
        box = (0, grey.shape[0], 0, grey.shape[1])
        zoning, _, _ = choose_zones(self._fiber, scale, grey.shape, box, settings)
        return Sight(frame, grey, light, self._fiber, scale, zoning.zones, focus_score(grey, self._fiber.cladding))

    def _search(self, grey: np.ndarray, settings: InspectionSettings) -> None:
        """Look for the fibre as the inspection does. What is followed stays when nothing is found."""
        started_s = time.monotonic()
        prepared = preprocess(grey, None, settings.config.preprocessing)
        localization = settings.config.localization
        found = locate(prepared, localization, core_um=settings.core_um, cladding_um=settings.cladding_um)
        if found.fiber is not None:
            self._fiber, self._sign = found.fiber, _edge_sign(grey, found.fiber, localization)
        elif self._fiber is None:
            self._reason = found.reason
        self._searched_s = time.monotonic()
        self._search_took_s = self._searched_s - started_s

    def _search_is_due(self) -> bool:
        """Soon while there is no fibre, else now and then."""
        rest_s = _REST_SHARE * self._search_took_s
        wait_s = rest_s if self._fiber is None else max(rest_s, _SEARCH_EVERY_S)
        return time.monotonic() >= self._searched_s + wait_s


def _followed(grey: np.ndarray, fiber: Fiber, sign: int, settings: LocalizationSettings) -> Fiber | None:
    """The fibre at its present place; None where its edge is no longer near the last one.

    Found on a reduced copy, measured on the frame. The core keeps its share of the cladding.
    """
    factor = min(1.0, settings.working_size_px / max(grey.shape))
    small = cv2.resize(grey, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA).astype(np.float32)
    near = scaled(fiber.cladding, factor)
    rings = (measure_ring(small, near, band, sign, slope_noise(small), settings, max_rays=_RAYS) for band in _BANDS)
    coarse = next((ring for ring in rings if ring is not None and acceptable(ring, settings)), None)
    if coarse is None:
        return None
    place = scaled(coarse.ellipse, 1 / factor)
    fine = measure_ring(grey, place, _FINE_BAND, sign, slope_noise(grey), settings, max_rays=_RAYS)
    if fine is None or not acceptable(fine, settings):
        return None
    growth = fine.ellipse.mean_radius_px / fiber.cladding.mean_radius_px
    return replace(
        fiber, cladding=fine.ellipse, core_diameter_px=growth * fiber.core_diameter_px, score=min(fine.share, 1.0)
    )


def _edge_sign(grey: np.ndarray, fiber: Fiber, settings: LocalizationSettings) -> int:
    """1 where the face grows brighter across the cladding's edge, else -1."""
    noise = slope_noise(grey)

    def clarity(sign: int) -> float:
        ring: Ring | None = measure_ring(grey, fiber.cladding, _FINE_BAND, sign, noise, settings, max_rays=_RAYS)
        return 0.0 if ring is None else ring.share * ring.snr

    return max((1, -1), key=clarity)


def _light(frame: np.ndarray, full_scale: int) -> Light:
    sample = np.ascontiguousarray(frame[::_LIGHT_STEP, ::_LIGHT_STEP])
    seen = look_at(sample, 0.0, full_scale)
    warning = ""
    if seen.saturated_share > ExposureGoal().max_saturated_share:
        warning = f"Too bright: {seen.saturated_share:.1%} of the pixels are saturated."
    elif seen.level < _DARK_LEVEL:
        warning = f"Too dark: the brightest places reach {seen.level:.0%} of the range."
    return Light(seen.level, seen.saturated_share, warning)
