"""Find the fibre: seeds from Hough circles, edges along rays, robust ellipses, and the choice of the cladding.

Hough only proposes centres. Each proposal is refined by fitting an ellipse to sub-pixel edges along rays; then all
concentric rings are looked for, and the outermost one with a strong, consistent edge is the cladding.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from records import Ellipse
from vision.geometry import fit_ring, grown, scaled, unwrap
from vision.settings import LocalizationSettings

MAX_RING_PASSES = 4


@dataclass(frozen=True)
class Ring:
    """A fitted ring: its ellipse, the share of rays that agree, the sign and the strength of its edge."""

    ellipse: Ellipse
    share: float  # rays whose edge lies on the ellipse, among the rays inside the image, 0..1
    visible: float  # rays that reach the ring inside the image, 0..1
    sign: int  # +1 brighter outside
    step_grey: float  # median edge step
    snr: float  # median edge slope over the slope noise


@dataclass(frozen=True)
class LocationResult:
    """The cladding's ring, or None with the best score seen and why."""

    ring: Ring | None
    method: str
    score: float
    reason: str = ""


def locate_cladding(grey: np.ndarray, enhanced: np.ndarray, settings: LocalizationSettings) -> LocationResult:
    """Locate the cladding edge in a grey image (H, W); ``enhanced`` is its contrast-enhanced copy, for the seeds only."""
    factor = min(1.0, settings.working_size_px / max(grey.shape))
    small, seeding = _reduced(grey, factor).astype(np.float32), _reduced(enhanced, factor)
    if min(small.shape) < 24:
        return LocationResult(None, "none", 0.0, "the image is too small to show a fibre")
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
    fine = inside_adhesive(grey, fine, settings)
    return LocationResult(fine, best.method, min(fine.share, 1.0))


def _reduced(image: np.ndarray, factor: float) -> np.ndarray:
    return cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA) if factor < 1 else image


def hough_seeds(small: np.ndarray, settings: LocalizationSettings) -> list[Ellipse]:
    """Circles proposed by ``cv2.HoughCircles`` on a median-filtered copy, most supported first."""
    hough = settings.hough
    frame = min(small.shape)
    image = cv2.medianBlur(small, hough.median_kernel_px)
    image = cv2.normalize(image, None, 0, 255, cv2.NORM_MINMAX)
    seeds: list[Ellipse] = []
    for votes in hough.param2:
        found = cv2.HoughCircles(
            image,
            cv2.HOUGH_GRADIENT,
            dp=hough.dp,
            minDist=max(2.0, hough.min_dist_share * frame),
            param1=hough.param1,
            param2=votes,
            minRadius=max(3, int(hough.min_radius_share * frame)),
            maxRadius=int(hough.max_radius_share * frame),
        )
        circles = np.zeros((0, 3)) if found is None else np.asarray(found, float).reshape(-1, 3)
        seeds += [Ellipse(x, y, 2 * r, 2 * r, 0.0) for x, y, r in circles[: hough.max_candidates]]
    return _distinct(seeds, frame)[: hough.max_candidates]


def contour_seeds(small: np.ndarray, settings: LocalizationSettings) -> list[Ellipse]:
    """Ellipses through the largest plausible outlines of an adaptive threshold and of Otsu's, both polarities."""
    contour = settings.contour
    if not contour.enabled:
        return []
    image = cv2.GaussianBlur(small, (0, 0), 2)
    block = max(3, int(contour.block_share * min(small.shape)) | 1)
    binaries = [cv2.threshold(image, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)[1]]
    binaries.append(
        cv2.adaptiveThreshold(image, 255, cv2.ADAPTIVE_THRESH_GAUSSIAN_C, cv2.THRESH_BINARY, block, contour.offset_grey)
    )
    seeds = []
    for binary in binaries + [255 - b for b in binaries]:
        outlines, _ = cv2.findContours(binary, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
        for outline in sorted(outlines, key=len, reverse=True)[:3]:
            area = cv2.contourArea(outline) / small.size
            if contour.min_area_share <= area <= contour.max_area_share and len(outline) > 20:
                (x, y), axes, _ = cv2.fitEllipse(outline)
                if 0 < max(axes) < 2 * min(axes):
                    diameter = float(np.sqrt(axes[0] * axes[1]))
                    seeds.append(Ellipse(x, y, diameter, diameter, 0.0))
    return _distinct(seeds, min(small.shape))[: settings.hough.max_candidates]


def _distinct(seeds: list[Ellipse], frame_px: int) -> list[Ellipse]:
    """Drop seeds that repeat an earlier one (centre and radius within 3 % of the frame)."""
    kept: list[Ellipse] = []
    for s in seeds:
        near = (max(abs(s.x_px - k.x_px), abs(s.y_px - k.y_px), abs(s.major_px - k.major_px) / 2) for k in kept)
        if all(distance > 0.03 * frame_px for distance in near):
            kept.append(s)
    return kept


def _best_cladding(
    small: np.ndarray, seeds: list[Ellipse], settings: LocalizationSettings, method: str
) -> LocationResult:
    """Refine every seed, look for concentric rings around each good one and choose the best cladding."""
    candidates: list[Ring] = []
    noise_slope = slope_noise(small)
    best_score = 0.0
    for seed in seeds:
        ring = refine_ring(small, seed, noise_slope, settings)
        if ring is None:
            continue
        best_score = max(best_score, ring.share)
        if ring.share < settings.rays.min_seed_share:
            continue
        known = any(_concentric(ring.ellipse, c.ellipse) for c in candidates)
        if not known:
            candidates.append(cladding_among_rings(small, ring, noise_slope, settings))
    good = [c for c in candidates if acceptable(c, settings)]
    best_score = max([best_score] + [c.share for c in candidates])
    if not good:
        return LocationResult(None, method, best_score, f"no ring explains enough rays (best {best_score:.0%})")
    return LocationResult(max(good, key=_merit), method, best_score)


def acceptable(ring: Ring, settings: LocalizationSettings) -> bool:
    """Whether a ring is consistent and strong enough to be believed."""
    rays = settings.rays
    return ring.share >= rays.min_share and ring.visible >= rays.min_visible and ring.snr >= rays.min_snr


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
        for band in (0.22, 0.12, 0.06, 0.04)[:MAX_RING_PASSES]:
            ring = measure_ring(small, ellipse, band, sign, noise_slope, settings)
            if ring is None:
                break
            ellipse = ring.ellipse
        if ring is not None and (best is None or ring.share * ring.snr > best.share * best.snr):
            best = ring
    return best


def slope_along_rays(
    image: np.ndarray, ellipse: Ellipse, radii_px: np.ndarray, angles_rad: np.ndarray, sigma_px: float
) -> np.ndarray:
    """Smoothed radial derivative (grey levels per px) on rays, NaN outside the image; (rays, radii) float32."""
    polar = unwrap(image, ellipse, radii_px, angles_rad)
    step = radii_px[1] - radii_px[0]
    outside = ~np.isfinite(polar)
    filled = np.where(outside, 0.0, polar).astype(np.float32)
    size = int(np.ceil(4 * sigma_px / step)) | 1
    t = (np.arange(2 * size + 1) - size) * step
    kernel = (t / sigma_px**2 * np.exp(-0.5 * (t / sigma_px) ** 2)).astype(np.float32)
    kernel /= np.sum(kernel * t)  # unit response to a unit slope
    slope = cv2.filter2D(filled, cv2.CV_32F, kernel[None, :], borderType=cv2.BORDER_REPLICATE)
    near_outside = cv2.dilate(outside.astype(np.uint8), np.ones((1, 2 * size + 1), np.uint8)) > 0
    slope[near_outside] = np.nan
    return slope


def slope_noise(image: np.ndarray) -> float:
    """Robust spread of the horizontal grey slope (grey levels per px) of an image, floored for noiseless ones."""
    slope = cv2.Sobel(cv2.GaussianBlur(image, (0, 0), 1.0), cv2.CV_32F, 1, 0, ksize=3, scale=1 / 8)
    return max(1.4826 * float(np.median(np.abs(slope))), 0.1)


def measure_ring(
    image: np.ndarray, ellipse: Ellipse, band: float, sign: int, noise_slope: float, settings: LocalizationSettings
) -> Ring | None:
    """Strongest edge of one sign per ray within ``band`` (share of the radius) of an ellipse, and the ring through them."""
    radius = ellipse.mean_radius_px
    rays = settings.rays
    count = int(np.clip(2 * np.pi * radius, 60, rays.count))
    angles = np.arange(count) * (2 * np.pi / count)
    half = max(band * radius, 3.0)
    step = min(0.5, half / 8)
    sigma = float(np.clip(rays.smoothing_share * radius, 0.8, 3.0))
    margin = 4 * sigma + 2 * step
    radii = np.arange(max(radius - half - margin, 0.5), radius + half + margin, step)
    slope = sign * slope_along_rays(image, ellipse, radii, angles, sigma)
    slope[:, (radii < radius - half) | (radii > radius + half)] = np.nan
    seen = np.isfinite(slope).sum(axis=1) > 0.8 * (2 * half / step)
    if seen.sum() < 12:
        return None
    flat = np.where(np.isfinite(slope), slope, -np.inf)
    peak = np.argmax(flat, axis=1)
    height = np.take_along_axis(flat, peak[:, None], 1)[:, 0]
    edge = radii[peak] + step * _parabola_offset(flat, peak)
    usable = seen & (height > 0)
    weights = np.where(usable, np.clip(height / (np.median(height[seen]) + 1e-6), 0, 1.5), 0.0)
    fitted = fit_ring(
        ellipse, np.where(usable, edge, np.nan), angles, weights, scale_px=max(1.0, rays.max_residual_share * radius)
    )
    if fitted is None:
        return None
    new, residual = fitted
    tolerance = max(0.8, rays.max_residual_share * radius)
    on_ring = usable & (np.abs(residual) < tolerance)
    strength = float(np.median(height[on_ring])) if on_ring.any() else 0.0
    if not 0.5 < new.mean_radius_px / radius < 2.0 or new.major_px > settings.rays.max_axis_ratio * new.minor_px:
        return None
    firm = on_ring & (height > 0.15 * strength)
    return Ring(
        new, float(firm.sum() / seen.sum()), float(seen.mean()), sign, strength * sigma * 2.5, strength / noise_slope
    )


def _parabola_offset(values: np.ndarray, peak: np.ndarray) -> np.ndarray:
    """Sub-sample position of row maxima, -0.5..0.5."""
    rows = np.arange(len(values))
    inner = np.clip(peak, 1, values.shape[1] - 2)
    left, mid, right = values[rows, inner - 1], values[rows, inner], values[rows, inner + 1]
    with np.errstate(invalid="ignore", divide="ignore"):
        offset = 0.5 * (left - right) / (left - 2 * mid + right)
    return np.where((inner == peak) & np.isfinite(offset), np.clip(offset, -0.5, 0.5), 0.0)


def cladding_among_rings(small: np.ndarray, ring: Ring, noise_slope: float, settings: LocalizationSettings) -> Ring:
    """The outermost strong, consistent ring concentric with ``ring`` (which may be the core or a deposition ring)."""
    rays = settings.rays
    base = ring.ellipse
    reach = 1.02 * max(np.hypot(base.x_px - x, base.y_px - y) for x in (0, small.shape[1]) for y in (0, small.shape[0]))
    angles = np.arange(180) * (2 * np.pi / 180)
    sigma = float(np.clip(rays.smoothing_share * base.mean_radius_px, 0.8, 3.0))
    radii = np.arange(2.0, reach, 0.5)
    slope = slope_along_rays(small, base, radii, angles, sigma)
    seen = np.isfinite(slope).sum(axis=0)
    enough = seen >= max(12, rays.min_visible * len(angles))
    median = np.zeros(len(radii))
    median[enough] = np.nanmedian(slope[:, enough], axis=0)
    strength = np.abs(median)
    peaks = [
        i
        for i in range(1, len(radii) - 1)
        if strength[i] >= strength[i - 1]
        and strength[i] > strength[i + 1]
        and strength[i] > rays.ring_sigma * noise_slope
    ]
    rings = [ring]
    for i in sorted(peaks, key=lambda k: -strength[k])[: rays.max_rings]:
        seed = grown(base, radii[i] / base.mean_radius_px)
        found = measure_ring(small, seed, 0.05, int(np.sign(median[i])), noise_slope, settings)
        found = found and measure_ring(small, found.ellipse, 0.03, found.sign, noise_slope, settings)
        if found is not None and acceptable(found, settings):
            rings.append(found)
    return outermost(rings, settings)


def outermost(rings: list[Ring], settings: LocalizationSettings) -> Ring:
    """The cladding among concentric rings.

    Rings closer together than ``cluster_share`` are one boundary with its fringe or halo: the outermost of those at
    least ``cluster_strength`` as strong as the cluster's strongest stands for it.
    """
    rays = settings.rays
    strongest = max(r.step_grey for r in rings)
    strong = [r for r in rings if r.step_grey >= rays.min_relative_step * strongest]
    strong.sort(key=lambda r: r.ellipse.mean_radius_px)
    cluster = [strong[-1]]
    for ring in reversed(strong[:-1]):
        if ring.ellipse.mean_radius_px > (1 - rays.cluster_share) * cluster[-1].ellipse.mean_radius_px:
            cluster.append(ring)
        else:
            break
    top = max(r.step_grey for r in cluster)
    return next(r for r in cluster if r.step_grey >= rays.cluster_strength * top)


def refine_full(grey: np.ndarray, ellipse: Ellipse, ring: Ring, settings: LocalizationSettings) -> Ring:
    """Measure the chosen ring at full resolution; the coarse one (scaled) when that fails."""
    full = grey.astype(np.float32)
    noise_slope = slope_noise(full)
    result = Ring(ellipse, ring.share, ring.visible, ring.sign, ring.step_grey, ring.snr)
    for band in (0.03, 0.02):
        finer = measure_ring(full, result.ellipse, band, ring.sign, noise_slope, settings)
        if finer is None or finer.share < 0.5 * ring.share:
            break
        result = finer
    return result


def inside_adhesive(grey: np.ndarray, ring: Ring, settings: LocalizationSettings) -> Ring:
    """Step inwards from the ferrule's hole to the cladding when a resolved ring of adhesive lies between them.

    An edge fringe looks like a thin dark or bright ring too, but it is not wider than the optics' blur: a ring counts
    as adhesive when its two edges are clearly further apart than they are wide. A ring wider than
    ``adhesive_max_share`` is the cladding of a large-core fibre instead.
    """
    rays = settings.rays
    radius = ring.ellipse.mean_radius_px
    step = min(0.25, radius / 400)
    radii = np.arange((1 - 2 * rays.adhesive_max_share) * radius, 1.05 * radius, step)
    angles = np.arange(180) * (2 * np.pi / 180)
    slope = slope_along_rays(grey.astype(np.float32), ring.ellipse, radii, angles, max(0.7, 0.003 * radius))
    seen = np.isfinite(slope).sum(axis=0) >= 12
    median = np.zeros(len(radii))
    median[seen] = np.nanmedian(slope[:, seen], axis=0)
    strength = np.abs(median)
    near = np.abs(radii - radius) < 0.015 * radius
    outer = int(np.argmax(np.where(near, strength, 0)))
    floor = rays.adhesive_min_edge * strength[outer]
    peaks = [
        i
        for i in range(1, outer)
        if strength[i] >= strength[i - 1] and strength[i] > strength[i + 1] and strength[i] > floor
    ]
    if not peaks:
        return ring
    inner = peaks[-1]
    gap = (outer - inner) * step
    width = 0.5 * (_edge_width(median, inner) + _edge_width(median, outer)) * step
    lo, hi = inner + int(0.35 * (outer - inner)), inner + int(0.65 * (outer - inner)) + 1
    plateau = strength[lo:hi].max() / min(strength[inner], strength[outer])
    if gap > rays.adhesive_max_share * radius or gap < rays.adhesive_min_separation * width or plateau > 0.8:
        return ring
    seed = grown(ring.ellipse, radii[inner] / radius)
    sign = int(np.sign(median[inner]))
    found = measure_ring(grey.astype(np.float32), seed, 0.015, sign, slope_noise(grey.astype(np.float32)), settings)
    return found if found is not None and acceptable(found, settings) else ring


def _edge_width(slope: np.ndarray, peak: int) -> int:
    """Full width at half maximum of a slope peak, in samples."""
    same = slope * np.sign(slope[peak]) > 0.5 * abs(slope[peak])
    left = np.argmin(same[peak::-1])
    right = np.argmin(same[peak:])
    return int((left or peak) + (right or len(slope) - peak))
