"""Seeded random scenes: benches, fibres, cores, rings, glue, optics. Defects are drawn by ``draw_marks``."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from rendering.draw_marks import draw_clutter, draw_marks
from rendering.scene import (
    FIBRE_KINDS,
    AdhesiveLook,
    CoreLook,
    EdgeLook,
    Face,
    FerruleLook,
    FibreKind,
    FibreView,
    Frame,
    Light,
    Optics,
    RingLook,
    Scene,
)

CONTRAST_SCALES = {"ordinary": 1.0, "faint": 1.0 / 3.0, "barely": 1.0 / 5.0}
_SIZES = ((640, 480), (720, 576), (800, 600), (1024, 768), (1152, 864), (1280, 960), (1600, 1200), (2048, 1536))
_SIZE_SHARES = (0.12, 0.18, 0.12, 0.12, 0.28, 0.12, 0.04, 0.02)
_KIND_SHARES = (0.22, 0.22, 0.14, 0.12, 0.12, 0.05, 0.05, 0.03, 0.05)


def draw_scene(
    rng: np.random.Generator,
    *,
    clean: bool = False,
    contrast: str = "ordinary",
    contrast_scale: float = 1.0,
    size_px: tuple[int, int] | None = None,
    fibre_kind: str | None = None,
    radius_share: float | None = None,
    defect_kinds: tuple[str, ...] | None = None,
    defect_count: int | None = None,
) -> Scene:
    """Random scene.

    ``contrast`` is "ordinary" (visible to a careful human), "faint" (a third of it, softer focus, JPEG 78) or "barely"
    (a fifth); ``contrast_scale`` multiplies it. ``size_px`` (width, height), ``fibre_kind`` (a name of a
    ``FIBRE_KINDS`` entry), ``radius_share`` (cladding diameter / frame height), ``defect_kinds`` and ``defect_count``
    restrict the draw.
    Raises ValueError for unknown names.
    """
    if contrast not in CONTRAST_SCALES:
        raise ValueError(f"Unknown contrast {contrast!r}: use one of {', '.join(CONTRAST_SCALES)}.")
    seed = int(rng.integers(2**31))
    frame = _draw_frame(rng, size_px)
    view = _draw_view(rng, frame, _pick_kind(rng, fibre_kind), radius_share)
    optics = _draw_optics(rng, view.radius_px)
    if contrast != "ordinary":
        optics = dataclasses.replace(
            optics, blur_px=1.25 * optics.blur_px + 0.2, jpeg_quality=min(optics.jpeg_quality or 78, 78)
        )
    face = _draw_face(rng, view, optics)
    scene = Scene(frame, view, face, _draw_light(rng), optics, (), seed, contrast)
    scene = dataclasses.replace(scene, marks=draw_clutter(rng, scene))
    if clean:
        return scene
    scale = CONTRAST_SCALES[contrast] * contrast_scale
    marks = draw_marks(rng, scene, contrast_scale=scale, kinds=defect_kinds, count=defect_count)
    return dataclasses.replace(scene, marks=marks + scene.marks)


def _pick_kind(rng: np.random.Generator, name: str | None) -> FibreKind:
    if name is None:
        return FIBRE_KINDS[int(rng.choice(len(FIBRE_KINDS), p=_KIND_SHARES))]
    for kind in FIBRE_KINDS:
        if kind.name == name:
            return kind
    raise ValueError(f"Unknown fibre kind {name!r}: use one of {', '.join(kind.name for kind in FIBRE_KINDS)}.")


def _draw_frame(rng: np.random.Generator, size_px: tuple[int, int] | None) -> Frame:
    width, height = size_px or _SIZES[int(rng.choice(len(_SIZES), p=_SIZE_SHARES))]
    grabbed = (width, height) == (720, 576) or rng.random() < 0.08
    if not grabbed:
        return Frame(width, height)
    border = tuple(int(value) for value in rng.integers(0, (8, 8, 60, 12)) * (rng.random(4) < 0.75))
    line = float(rng.uniform(60, 235)) if rng.random() < 0.4 else None
    return Frame(width, height, float(rng.choice([1.09, 1.067, 1.0, 0.94], p=[0.6, 0.15, 0.15, 0.1])), border, line)


def _draw_view(rng, frame: Frame, kind: FibreKind, radius_share: float | None) -> FibreView:
    if radius_share is None:
        close_up = rng.random() < (0.45 if kind.core_um < 20 else 0.2)
        radius_share = float(rng.uniform(0.55, 0.95) if close_up else rng.triangular(0.2, 0.36, 0.6))
    if kind.core_um < 20:
        radius_share = max(radius_share, 0.3)  # a 9 um core must cover some pixels
    radius = 0.5 * radius_share * frame.height_px
    left, top, right, bottom = frame.border_px
    x = _off_centre(rng, left, frame.width_px - right, radius)
    y = _off_centre(rng, top, frame.height_px - bottom, radius)
    tilt = float(rng.choice([0.0, rng.uniform(0, 8), rng.uniform(8, 16)], p=[0.5, 0.3, 0.2]))
    offset = tuple(float(value) for value in rng.normal(0, 0.004 * radius, 2))
    return FibreView(kind, x, y, radius, tilt, float(rng.uniform(0, 180)), offset)


def _off_centre(rng: np.random.Generator, low_px: float, high_px: float, radius_px: float) -> float:
    """Random coordinate that keeps the cladding inside the picture; a fraction of a pixel off in any case."""
    room = max((high_px - low_px) / 2 - 1.12 * radius_px, 0.5)
    return (low_px + high_px) / 2 + float(np.clip(rng.normal(0, 0.1) * (high_px - low_px), -0.9 * room, 0.9 * room))


def _draw_optics(rng: np.random.Generator, radius_px: float) -> Optics:
    blur = float(rng.choice([rng.uniform(0.6, 1.1), rng.uniform(1.0, 1.7), rng.uniform(1.6, 2.4)], p=[0.5, 0.38, 0.12]))
    if radius_px > 250:  # oversampled close-ups
        blur *= float(rng.uniform(1.0, 1.5))
    sharpen = float(rng.uniform(0.3, 1.6)) if rng.random() < 0.55 else 0.0
    return Optics(
        blur_px=blur,
        tilt_blur_px=float(rng.uniform(0.5, 2.0)) if rng.random() < 0.15 else 0.0,
        tilt_blur_direction_deg=float(rng.uniform(0, 360)),
        sharpen=sharpen,
        sharpen_px=float(rng.uniform(1.0, 2.5)),
        shot_gain=float(np.exp(rng.uniform(math.log(0.001), math.log(0.04)))),
        read_sigma=float(np.exp(rng.uniform(math.log(0.3), math.log(2.2)))),
        noise_grain_px=float(rng.choice([0.0, rng.uniform(0.4, 0.9)], p=[0.5, 0.5])),
        banding_grey=float(rng.uniform(0.1, 0.4)) if rng.random() < 0.2 else 0.0,
        jpeg_quality=None if rng.random() < 0.4 else int(rng.integers(70, 99)),
    )


def _draw_light(rng: np.random.Generator) -> Light:
    strong = rng.random() < 0.45
    return Light(
        vignetting=float(rng.uniform(0.15, 0.55) if strong else rng.uniform(0.0, 0.12)),
        centre_share=(float(rng.uniform(0.35, 0.65)), float(rng.uniform(0.35, 0.65))),
        gradient=float(rng.uniform(0.0, 0.25)) if rng.random() < 0.6 else 0.0,
        gradient_direction_deg=float(rng.uniform(0, 360)),
    )


def _draw_face(rng: np.random.Generator, view: FibreView, optics: Optics) -> Face:
    dark_field = rng.random() < 0.22
    if dark_field:
        cladding, ferrule = float(rng.uniform(85, 175)), float(rng.uniform(18, 60))
    else:
        cladding = float(rng.uniform(45, 125))
        ferrule = float(min(cladding + rng.uniform(35, 130), 228))
    core = _draw_core(rng, view, cladding)
    adhesive = _draw_adhesive(rng, view, optics, cladding, ferrule) if rng.random() < 0.35 else None
    return Face(
        ferrule_grey=ferrule,
        cladding_grey=cladding,
        core=core,
        rings=_draw_rings(rng, view),
        adhesive=adhesive,
        edge=_draw_edge(rng, optics, cladding, adhesive.grey if adhesive else ferrule),
        ferrule=_draw_ferrule(rng),
    )


def _draw_core(rng: np.random.Generator, view: FibreView, cladding: float) -> CoreLook:
    """Lit, dim, dark or invisible; flat, graded, ringed or dipped."""
    lit = ("lit", "dim", "dark", "invisible")[int(rng.choice(4, p=[0.45, 0.25, 0.15, 0.15]))]
    if lit == "invisible":
        return CoreLook()
    step = {"lit": rng.uniform(40, 160), "dim": rng.uniform(7, 35), "dark": -rng.uniform(8, 40)}[lit]
    grading = float(rng.choice([0.0, rng.uniform(0.05, 0.35), -rng.uniform(0.1, 0.7)], p=[0.4, 0.3, 0.3]))
    step = float(min(step, (rng.choice([235, 252]) - cladding) / (1 + 0.5 * abs(grading))))
    size = abs(step)
    radius = view.core_radius_px
    ringed, dipped = rng.random() < 0.25 and radius > 12, rng.random() < 0.25
    return CoreLook(
        step_grey=step,
        softness_px=float(rng.choice([0.6, rng.uniform(0.8, 0.04 * radius + 1.2)])),
        grading=grading,
        ripple_grey=float(min(rng.uniform(0.02, 0.08) * size, 7)) if ringed else 0.0,
        ripple_count=float(rng.uniform(2, min(9, max(radius / 9, 2.1)))),
        speckle_grey=float(min(rng.uniform(0.005, 0.025) * size, 2.2)) if rng.random() < 0.5 else 0.0,
        dip_grey=float(rng.uniform(0.04, 0.2) * size) if dipped else 0.0,
        dip_radius_px=float(max(1.2, rng.uniform(0.012, 0.09) * radius)),
        glow_grey=float(rng.uniform(0.05, 0.3) * size) if lit == "lit" and rng.random() < 0.4 else 0.0,
        glow_px=float(rng.uniform(0.03, 0.1) * view.radius_px),
    )


def _draw_rings(rng: np.random.Generator, view: FibreView) -> tuple[RingLook, ...]:
    rings = []
    for _ in range(int(rng.choice(5, p=[0.4, 0.3, 0.15, 0.1, 0.05]))):
        as_line = rng.random() < 0.6
        rings.append(
            RingLook(
                radius_px=float(rng.uniform(0.15, 0.93)) * view.radius_px,
                line_grey=float(rng.choice([-1, 1]) * rng.uniform(1, 6)) if as_line else 0.0,
                step_grey=0.0 if as_line else float(rng.choice([-1, 1]) * rng.uniform(1.5, 7)),
                width_px=float(rng.uniform(0.8, 2.2)),
            )
        )
    return tuple(rings)


def _draw_adhesive(
    rng: np.random.Generator, view: FibreView, optics: Optics, cladding: float, ferrule: float
) -> AdhesiveLook | None:
    """A dark or bright glue line that differs from the cladding and from the ferrule, wide enough to be resolved.

    A line as narrow as the blur cannot be told from the fringe of the edge (`EdgeLook`), whose outer side people who
    label real images take for the cladding: such a line would be a wrong truth, so there is none.
    """
    low, high = sorted((cladding, ferrule))
    darkest, brightest = rng.uniform(8, max(low - 22, 10)), rng.uniform(min(high + 10, 240), 245)
    choices = (darkest, brightest, rng.uniform(0.3, 0.55) * (low + high))
    grey = float(choices[int(rng.choice(3, p=[0.55, 0.25, 0.2]))])
    if abs(grey - cladding) < 22:
        grey = cladding + 30.0 if cladding < 110 else cladding - 40.0
    share = float(rng.choice([rng.uniform(0.008, 0.02), rng.uniform(0.02, 0.07)], p=[0.6, 0.4]))
    width = max(share * view.radius_px, 5.0 * (optics.blur_px + optics.tilt_blur_px) + 2.0)
    if width > 0.07 * view.radius_px:
        return None
    return AdhesiveLook(
        width_px=width,
        grey=grey,
        unevenness=float(rng.uniform(0.0, 0.4)),
        beads=int(rng.integers(3, 25)) if rng.random() < 0.5 else 0,
    )


def _draw_edge(rng: np.random.Generator, optics: Optics, cladding: float, outside: float) -> EdgeLook:
    """Fringe that overshoots on both sides of the edge: against a darker surround the inner line is the bright one."""
    step, sign = abs(outside - cladding), 1.0 if outside > cladding else -1.0
    fringe = rng.random() < 0.65
    width = float(rng.uniform(0.6, 1.4))
    inner = float(min(rng.uniform(0.1, 0.5) * step, 0.6 * min(cladding, 250 - cladding)))
    return EdgeLook(
        dark_grey=sign * inner if fringe else 0.0,
        dark_offset_px=width + float(rng.uniform(0.3, 1.2)),
        bright_grey=sign * float(rng.uniform(0.05, 0.3) * step) if fringe else 0.0,
        bright_offset_px=width + float(rng.uniform(0.3, 1.2)),
        width_px=width,
        unevenness=float(rng.uniform(0.1, 0.6)),
        relief_grey=float(rng.uniform(0.1, 0.35) * step) if rng.random() < 0.3 else 0.0,
        relief_direction_deg=float(rng.uniform(0, 360)),
        second_grey=float(rng.choice([-1, 1]) * rng.uniform(2, 9)) if rng.random() < 0.25 else 0.0,
        second_offset_px=float(rng.uniform(4, 7)) + optics.blur_px,
    )


def _draw_ferrule(rng: np.random.Generator) -> FerruleLook:
    return FerruleLook(
        grain_grey=float(np.exp(rng.uniform(math.log(0.3), math.log(7.0)))),
        grain_px=float(rng.uniform(0.6, 2.2)),
        polish_lines=int(rng.integers(10, 70)) if rng.random() < 0.35 else 0,
        polish_grey=float(rng.uniform(1.0, 6.0)),
        polish_direction_deg=float(rng.uniform(0, 180)) if rng.random() < 0.5 else None,
        mottle_grey=float(rng.uniform(0, 4)) if rng.random() < 0.4 else 0.0,
    )
