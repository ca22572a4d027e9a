"""Find the fibre: seeds from Hough circles, edges along rays, robust ellipses, and the choice of the cladding.

Hough only proposes centres. Each proposal is refined by fitting an ellipse to sub-pixel edges along rays; then all
concentric rings are looked for, and the outermost one with a strong, consistent edge is the cladding.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from records import Ellipse
from vision.consensus import untangled
from vision.geometry import grown, rays_end_px, scaled
from vision.rings import (
    Ring,
    acceptable,
    inside_adhesive,
    local_maxima,
    measure_ring,
    median_over_rays,
    rays_around,
    refine_full,
    slope_along_rays,
    slope_noise,
)
from vision.settings import HoughSettings, LocalizationSettings

SEARCH_BANDS = (0.22, 0.12, 0.06, 0.04)  # share of the radius, from pass to pass
HOPELESS_SHARE = 0.15  # of the rays after any pass: the seed is dropped
NARROWED_SHARE = 0.95  # of the rays: when so many agree, narrowing the band adds nothing
COARSE_RAYS = 120  # the first passes only have to keep the ring in the next band
# A ring this complete (share of the rays), strong (in least accepted snr) and large (share of the frame) ends a search.
SURE_SHARE, SURE_SNR, SURE_RADIUS_SHARE = 0.8, 4.0, 0.12
MAX_EDGE_SHARE = 0.025  # of the pixels: with more edges Hough votes for noise, slowly


@dataclass(frozen=True)
class LocationResult:
    """The cladding's ring, or None with the best score seen and why."""

    ring: Ring | None
    method: str
    score: float
    reason: str = ""


def locate_cladding(
    grey: np.ndarray, enhanced: Callable[[np.ndarray, float], np.ndarray], settings: LocalizationSettings
) -> LocationResult:
    """Locate the cladding edge in a grey image (H, W) uint8.

    ``enhanced`` gives the contrast-enhanced copy of a reduced image and its factor, which is for seeds only.
    """
    factor = min(1.0, settings.working_size_px / max(grey.shape))
    if round(min(grey.shape) * factor) < 24:
        return LocationResult(None, "none", 0.0, "the image is too small to show a fibre")
    reduced = _reduced(grey, factor)
    small = reduced.astype(np.float32)
    seeding = enhanced(reduced, factor)
    best: LocationResult | None = None
    for method, seeds in (("rays", hough_seeds), ("contour", contour_seeds)):
        result = _best_cladding(small, seeds(seeding, settings), settings, method)
        if best is None or result.ring is not None or result.score > best.score:
            best = result
        if result.ring is not None:
            break
    if best.ring is None:
        return best
    fine = refine_full(grey, scaled(best.ring.ellipse, 1 / factor), best.ring, settings)
    fine = untangled(grey, fine, settings)
    fine = inside_adhesive(grey, fine, settings)
    return LocationResult(fine, best.method, min(fine.share, 1.0))


def _reduced(image: np.ndarray, factor: float) -> np.ndarray:
    """An image reduced by ``factor``: by means of whole pixels as far as these go, which is much faster."""
    whole = max(1, int(1 / factor + 1e-6))
    rows, cols = (length // whole * whole for length in image.shape)
    if whole > 1:
        size = cols // whole, rows // whole
        image = cv2.resize(image[:rows, :cols], size, interpolation=cv2.INTER_AREA)
    rest = factor * whole
    return cv2.resize(image, None, fx=rest, fy=rest, interpolation=cv2.INTER_LINEAR) if rest < 1 else image


def hough_seeds(small: np.ndarray, settings: LocalizationSettings) -> Iterator[Ellipse]:
    """Circles proposed by ``cv2.HoughCircles`` on a median-filtered copy, most supported first.

    The weaker threshold is only tried when the caller asks for more.
    """
    hough = settings.hough
    frame = min(small.shape)
    image = cv2.medianBlur(small, hough.median_kernel_px)
    image = cv2.normalize(image, None, 0, 255, cv2.NORM_MINMAX)
    edge_threshold = _edge_threshold(image, hough)
    kept: list[Ellipse] = []
    for votes in hough.param2:
        found = cv2.HoughCircles(
            image,
            cv2.HOUGH_GRADIENT,
            dp=hough.dp,
            minDist=max(2.0, hough.min_dist_share * frame),
            param1=edge_threshold,
            param2=votes,
            minRadius=max(3, int(hough.min_radius_share * frame)),
            maxRadius=int(hough.max_radius_share * frame),
        )
        circles = np.zeros((0, 3)) if found is None else np.asarray(found, float).reshape(-1, 3)
        for x, y, r in circles[: hough.max_candidates]:
            seed = Ellipse(x, y, 2 * r, 2 * r, 0.0)
            if len(kept) < hough.max_candidates and _is_new(seed, kept, frame):
                kept.append(seed)
                yield seed


def _edge_threshold(image: np.ndarray, hough: HoughSettings) -> float:
    """``param1``, raised until Canny keeps no more edges than a picture of rings and marks has."""
    threshold = hough.param1
    most = MAX_EDGE_SHARE * image.size
    while threshold < 1000 and np.count_nonzero(cv2.Canny(image, threshold / 2, threshold)) > most:
        threshold *= 1.4
    return threshold


def contour_seeds(small: np.ndarray, settings: LocalizationSettings) -> Iterator[Ellipse]:
    """Ellipses through the largest plausible outlines of an adaptive threshold and of Otsu's, both polarities."""
    contour = settings.contour
    if not contour.enabled:
        return
    image = cv2.GaussianBlur(small, (0, 0), 2)
    block = max(3, int(contour.block_share * min(small.shape)) | 1)
    binaries = [cv2.threshold(image, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)[1]]
    binaries.append(
        cv2.adaptiveThreshold(image, 255, cv2.ADAPTIVE_THRESH_GAUSSIAN_C, cv2.THRESH_BINARY, block, contour.offset_grey)
    )
    kept: list[Ellipse] = []
    for binary in binaries + [255 - b for b in binaries]:
        outlines, _ = cv2.findContours(binary, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
        for outline in sorted(outlines, key=len, reverse=True)[:3]:
            area = cv2.contourArea(outline) / small.size
            if contour.min_area_share <= area <= contour.max_area_share and len(outline) > 20:
                (x, y), axes, _ = cv2.fitEllipse(outline)
                if 0 < max(axes) < 2 * min(axes):
                    diameter = float(np.sqrt(axes[0] * axes[1]))
                    seed = Ellipse(x, y, diameter, diameter, 0.0)
                    if len(kept) < settings.hough.max_candidates and _is_new(seed, kept, min(small.shape)):
                        kept.append(seed)
                        yield seed


def _is_new(seed: Ellipse, kept: list[Ellipse], frame_px: int) -> bool:
    """Whether a seed differs from earlier ones (centre or radius by more than 3 % of the frame)."""
    near = (max(abs(seed.x_px - k.x_px), abs(seed.y_px - k.y_px), abs(seed.major_px - k.major_px) / 2) for k in kept)
    return all(distance > 0.03 * frame_px for distance in near)


def _best_cladding(
    small: np.ndarray, seeds: Iterator[Ellipse], settings: LocalizationSettings, method: str
) -> LocationResult:
    """Refine the seeds, look for concentric rings around each good one and choose the best cladding.

    Seeds concentric with a ring already followed add nothing, unless they lead to an acceptable one and that did not:
    its whole family was looked at.
    """
    candidates: list[Ring] = []
    noise_slope = slope_noise(small)
    best_score = 0.0
    for seed in seeds:
        if any(_concentric(seed, c.ellipse) for c in candidates if acceptable(c, settings)):
            continue
        ring = refine_ring(small, seed, noise_slope, settings)
        if ring is None:
            continue
        best_score = max(best_score, ring.share)
        known = [c for c in candidates if acceptable(c, settings) or not acceptable(ring, settings)]
        if ring.share < settings.rays.min_seed_share or any(_concentric(ring.ellipse, c.ellipse) for c in known):
            continue
        candidates.append(cladding_among_rings(small, ring, noise_slope, settings))
        best_score = max(best_score, candidates[-1].share)
        if _is_sure(candidates[-1], min(small.shape), settings):
            break
    good = [c for c in candidates if acceptable(c, settings)]
    if not good:
        return LocationResult(
            None, method, best_score, f"no fibre found: the best circle explains {best_score:.0%} of its edge"
        )
    return LocationResult(max(good, key=_merit), method, best_score)


def _is_sure(ring: Ring, frame_px: int, settings: LocalizationSettings) -> bool:
    """Whether a ring is so complete, strong and large that no other seed can lead to a better one."""
    large = ring.ellipse.mean_radius_px > SURE_RADIUS_SHARE * frame_px
    return large and min(ring.share, ring.visible) >= SURE_SHARE and ring.snr >= SURE_SNR * settings.rays.min_snr


def _merit(ring: Ring) -> float:
    """Prefer rings that are complete, consistent, strong and large."""
    return ring.share * ring.visible * np.log1p(ring.snr) * np.sqrt(ring.ellipse.mean_radius_px)


def _concentric(a: Ellipse, b: Ellipse) -> bool:
    distance = np.hypot(a.x_px - b.x_px, a.y_px - b.y_px)
    return distance < 0.06 * max(a.mean_radius_px, b.mean_radius_px)


def refine_ring(small: np.ndarray, seed: Ellipse, noise_slope: float, settings: LocalizationSettings) -> Ring | None:
    """Fit a ring to the edges near a seed, narrowing the search band from pass to pass; None when it is lost."""
    best: Ring | None = None
    for sign in (1, -1):
        ellipse, ring = seed, None
        for band in SEARCH_BANDS:
            final = band == SEARCH_BANDS[-1]
            if not final and ring is not None and ring.share >= NARROWED_SHARE:
                continue
            count = settings.rays.count if final else COARSE_RAYS
            ring = measure_ring(small, ellipse, band, sign, noise_slope, settings, max_rays=count)
            if ring is None or ring.share < HOPELESS_SHARE:
                break
            ellipse = ring.ellipse
        if ring is not None and _is_sure(ring, min(small.shape), settings):
            return ring
        if ring is not None and (best is None or ring.share * ring.snr > best.share * best.snr):
            best = ring
    return best


def cladding_among_rings(small: np.ndarray, ring: Ring, noise_slope: float, settings: LocalizationSettings) -> Ring:
    """The outermost strong, consistent ring concentric with ``ring`` (which may be the core or a deposition ring)."""
    rays = settings.rays
    base = ring.ellipse
    angles = rays_around(180)
    sigma = float(np.clip(rays.smoothing_share * base.mean_radius_px, 0.8, 3.0))
    least_rays = max(12, rays.min_visible * len(angles))
    reach = np.sort(rays_end_px(small.shape, base, angles))[-math.ceil(least_rays)]
    radii = np.arange(2.0, max(reach, base.mean_radius_px) + 1, 0.5)
    slope = slope_along_rays(small, base, radii, angles, sigma)
    median = median_over_rays(slope, least_rays)
    strength = np.abs(median)
    peaks = [i for i in local_maxima(strength) if strength[i] > rays.ring_sigma * noise_slope]
    peaks = sorted(peaks, key=lambda k: -strength[k])[: rays.max_rings]
    peaks = [i for i in peaks if strength[i] > 0.5 * rays.min_relative_step * strength[peaks[0]]]
    rings = [ring]
    for i in peaks[:1] + sorted(peaks[1:], reverse=True):  # the strongest sets the scale, the others from outside in
        innermost = cluster_of(rings, settings)[-1].ellipse.mean_radius_px
        if i != peaks[0] and radii[i] < (1 - 1.5 * rays.cluster_share) * innermost:
            break
        if any(_covers(r, radii[i], median[i]) for r in rings):
            continue
        seed = grown(base, radii[i] / base.mean_radius_px)
        found = measure_ring(small, seed, 0.05, int(np.sign(median[i])), noise_slope, settings, max_rays=COARSE_RAYS)
        found = found and measure_ring(small, found.ellipse, 0.03, found.sign, noise_slope, settings)
        if found is not None and acceptable(found, settings):
            rings.append(found)
    return outermost(rings, settings)


def _covers(ring: Ring, radius_px: float, slope: float) -> bool:
    """Whether a ring was measured already, and so well that a narrower band would not improve it."""
    return ring.sign == np.sign(slope) and abs(ring.ellipse.mean_radius_px - radius_px) < 1 and ring.share >= SURE_SHARE


def outermost(rings: list[Ring], settings: LocalizationSettings) -> Ring:
    """The cladding among concentric rings: the outermost in its cluster that is nearly as strong as the strongest."""
    cluster = cluster_of(rings, settings)
    top = max(r.step_grey for r in cluster)
    return next(r for r in cluster if r.step_grey >= settings.rays.cluster_strength * top)


def cluster_of(rings: list[Ring], settings: LocalizationSettings) -> list[Ring]:
    """The outermost strong rings, from outside in, closer together than ``cluster_share``.

    They are one boundary with its fringe or halo. Rings far weaker than the strongest do not count.
    """
    rays = settings.rays
    strongest = max(r.step_grey for r in rings)
    strong = [r for r in rings if r.step_grey >= rays.min_relative_step * strongest]
    strong.sort(key=lambda r: -r.ellipse.mean_radius_px)
    cluster = strong[:1]
    for ring in strong[1:]:
        if ring.ellipse.mean_radius_px <= (1 - rays.cluster_share) * cluster[-1].ellipse.mean_radius_px:
            break
        cluster.append(ring)
    return cluster
