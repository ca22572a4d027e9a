"""From brightness on the end face to the bytes of a file: light, lens, sharpening, noise, frame grabber, codec."""

from __future__ import annotations

import math

import cv2
import numpy as np

from rendering.scene import Frame, Light, Optics


def illumination(frame: Frame, light: Light) -> np.ndarray:
    """Factor per pixel, (H, W) float32, at most 1."""
    x = np.arange(frame.width_px, dtype=np.float32)
    y = np.arange(frame.height_px, dtype=np.float32)[:, None]
    return light_at(frame, light, x, y).astype(np.float32)


def light_at(frame: Frame, light: Light, x_px: np.ndarray | float, y_px: np.ndarray | float) -> np.ndarray | float:
    """Factor at image points."""
    width, height = frame.width_px, frame.height_px
    cx, cy = light.centre_share[0] * width, light.centre_share[1] * height
    farthest2 = max(cx, width - cx) ** 2 + max(cy, height - cy) ** 2
    factor = 1.0 - light.vignetting / farthest2 * ((x_px - cx) ** 2 + (y_px - cy) ** 2)
    phi = math.radians(light.gradient_direction_deg)
    along = math.cos(phi) * (x_px / width - 0.5) + math.sin(phi) * (y_px / height - 0.5)
    return factor * (1.0 + light.gradient * along) / (1.0 + 0.71 * light.gradient)


def apply_optics(field: np.ndarray, frame: Frame, optics: Optics, x0_px: int = 0, y0_px: int = 0) -> np.ndarray:
    """Blur and sharpen a window of the frame; linear, so that it may be applied to a single mark as well."""
    out = cv2.GaussianBlur(field, (0, 0), optics.blur_px)
    if optics.tilt_blur_px > 0:
        soft = cv2.GaussianBlur(field, (0, 0), math.hypot(optics.blur_px, optics.tilt_blur_px))
        weight = _ramp(field.shape, frame, optics.tilt_blur_direction_deg, x0_px, y0_px)
        out += weight * (soft - out)
    if optics.sharpen > 0:
        out += np.float32(optics.sharpen) * (out - cv2.GaussianBlur(out, (0, 0), optics.sharpen_px))
    return out


def _ramp(shape: tuple[int, ...], frame: Frame, direction_deg: float, x0_px: int, y0_px: int) -> np.ndarray:
    """0..1 across the frame along a direction, for a window that starts at (x0, y0)."""
    phi = math.radians(direction_deg)
    size = max(frame.width_px, frame.height_px)
    x = np.arange(x0_px, x0_px + shape[1], dtype=np.float32) - np.float32(frame.width_px / 2)
    y = np.arange(y0_px, y0_px + shape[0], dtype=np.float32)[:, None] - np.float32(frame.height_px / 2)
    return np.clip(0.5 + (math.cos(phi) * x + math.sin(phi) * y) / size, 0.0, 1.0).astype(np.float32)


def reach_px(optics: Optics) -> int:
    """How far the optics spread a point."""
    blur = math.hypot(optics.blur_px, optics.tilt_blur_px)
    return math.ceil(3 * (blur + (optics.sharpen_px if optics.sharpen else 0)))


def expose(clean: np.ndarray, frame: Frame, optics: Optics, rng: np.random.Generator) -> np.ndarray:
    """Camera picture (H, W) uint8 of a noise-free one: shot and read noise, banding, border, rounding."""
    noise = rng.standard_normal(clean.shape, dtype=np.float32)
    if optics.noise_grain_px > 0:
        noise = cv2.GaussianBlur(noise, (0, 0), optics.noise_grain_px)
        noise /= max(float(noise.std()), 1e-6)
    noise *= np.sqrt(np.float32(optics.shot_gain) * np.maximum(clean, 0) + np.float32(optics.read_sigma**2))
    noise += clean
    if optics.banding_grey > 0:
        rows = rng.standard_normal((clean.shape[0], 1), dtype=np.float32)
        columns = cv2.GaussianBlur(rng.standard_normal((1, clean.shape[1]), dtype=np.float32), (0, 0), 1.5)
        noise += np.float32(optics.banding_grey) * (0.6 * rows + columns)
    return np.clip(np.rint(add_border(noise, frame)), 0, 255).astype(np.uint8)


def add_border(picture: np.ndarray, frame: Frame) -> np.ndarray:
    """Copy with the black strips and the bright line of a frame grabber."""
    left, top, right, bottom = frame.border_px
    out = picture.copy()
    height, width = out.shape
    inner = (slice(top, height - bottom), slice(left, width - right))
    black = np.full_like(out, 2.0)
    black[inner] = out[inner]
    if frame.border_line_grey is not None:
        grey = np.float32(frame.border_line_grey)
        black[top : height - bottom, width - right - 1 : width - right] = grey
        black[top : height - bottom, left : left + 1] = grey
        black[height - bottom - 1 : height - bottom, left : width - right] = grey
    return black


def picture_mask(frame: Frame, window: tuple[slice, slice]) -> np.ndarray:
    """True where a window (row and column slices) shows the picture and not the frame grabber's border."""
    left, top, right, bottom = frame.border_px
    line = 0 if frame.border_line_grey is None else 1
    rows, columns = np.arange(window[0].start, window[0].stop), np.arange(window[1].start, window[1].stop)
    inside_rows = (rows >= top) & (rows < frame.height_px - bottom - line)
    inside_columns = (columns >= left + line) & (columns < frame.width_px - right - line)
    return inside_rows[:, None] & inside_columns


def encode(image: np.ndarray, jpeg_quality: int | None) -> tuple[bytes, str, np.ndarray]:
    """File bytes, their suffix and the picture as it reads back."""
    if jpeg_quality is None:
        ok, data = cv2.imencode(".png", image, [cv2.IMWRITE_PNG_COMPRESSION, 3])
        suffix, shown = ".png", image
    else:
        ok, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, int(jpeg_quality)])
        suffix, shown = ".jpg", cv2.imdecode(data, cv2.IMREAD_GRAYSCALE)
    if not ok:
        raise RuntimeError("OpenCV could not encode the picture.")
    return data.tobytes(), suffix, shown
