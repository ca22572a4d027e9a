"""Everything that describes one rendered end face, as frozen data: the same scene always renders the same bytes.

Lengths ``_px`` of fibre, rings and marks are measured in the fibre frame; brightness is in grey levels 0..255.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from rendering.geometry import FibreFrame, view_matrix


@dataclass(frozen=True)
class FibreKind:
    """Nominal dimensions of a fibre."""

    name: str
    core_um: float
    cladding_um: float


FIBRE_KINDS = (
    FibreKind("single_mode_9_125", 9.0, 125.0),
    FibreKind("multimode_50_125", 50.0, 125.0),
    FibreKind("multimode_62_125", 62.5, 125.0),
    FibreKind("large_core_105_125", 105.0, 125.0),
    FibreKind("multimode_91_140", 91.0, 140.0),
    FibreKind("large_core_200_240", 200.0, 240.0),
    FibreKind("large_core_400_440", 400.0, 440.0),
    FibreKind("large_core_600_660", 600.0, 660.0),
    FibreKind("large_core_1000_1100", 1000.0, 1100.0),
)


@dataclass(frozen=True)
class Frame:
    """The picture: its size, pixel shape and what a frame grabber adds around it."""

    width_px: int
    height_px: int
    pixel_aspect: float = 1.0  # width of a pixel / its height
    border_px: tuple[int, int, int, int] = (0, 0, 0, 0)  # black strip left, top, right, bottom
    border_line_grey: float | None = None  # line between strip and picture


@dataclass(frozen=True)
class FibreView:
    """A fibre and its place in the image."""

    kind: FibreKind
    x_px: float
    y_px: float
    radius_px: float  # cladding, in the fibre frame
    tilt_deg: float = 0.0
    tilt_direction_deg: float = 0.0
    core_offset_px: tuple[float, float] = (0.0, 0.0)

    def frame(self, pixel_aspect: float) -> FibreFrame:
        """The affine map of this view."""
        matrix = view_matrix(pixel_aspect, self.tilt_deg, self.tilt_direction_deg)
        return FibreFrame(self.x_px, self.y_px, self.radius_px, matrix)

    @property
    def um_per_px(self) -> float:
        """Micrometres per pixel of the fibre frame."""
        return self.kind.cladding_um / (2 * self.radius_px)

    @property
    def core_radius_px(self) -> float:
        """Core radius in the fibre frame."""
        return self.radius_px * self.kind.core_um / self.kind.cladding_um


@dataclass(frozen=True)
class CoreLook:
    """Brightness of the core, relative to the cladding."""

    step_grey: float = 0.0  # 0: the core cannot be seen
    softness_px: float = 0.6
    grading: float = 0.0  # > 0: brighter rim, < 0: brighter centre (share of the step)
    ripple_grey: float = 0.0  # concentric modal rings
    ripple_count: float = 5.0
    speckle_grey: float = 0.0  # smooth modal pattern, standard deviation
    dip_grey: float = 0.0  # index dip at the exact centre
    dip_radius_px: float = 2.0
    glow_grey: float = 0.0  # light that leaks into the cladding
    glow_px: float = 8.0


@dataclass(frozen=True)
class RingLook:
    """A deposition ring: a line or a step of refractive index."""

    radius_px: float
    line_grey: float = 0.0
    step_grey: float = 0.0  # added inside the ring
    width_px: float = 1.2


@dataclass(frozen=True)
class AdhesiveLook:
    """The glue line around the cladding."""

    width_px: float
    grey: float
    unevenness: float = 0.2  # 0..1, modulation along the ring
    beads: int = 0


@dataclass(frozen=True)
class EdgeLook:
    """Diffraction fringe and relief shading along the cladding edge."""

    dark_grey: float = 0.0  # depth of the inner line; negative: a bright one
    dark_offset_px: float = 1.5  # inside the edge
    bright_grey: float = 0.0  # height of the outer line; negative: a dark one
    bright_offset_px: float = 1.5  # outside the edge
    width_px: float = 1.0
    unevenness: float = 0.3
    relief_grey: float = 0.0
    relief_direction_deg: float = 0.0
    second_grey: float = 0.0  # an incomplete second line further in
    second_offset_px: float = 5.0


@dataclass(frozen=True)
class FerruleLook:
    """The ferrule around the fibre."""

    grain_grey: float = 1.0  # standard deviation
    grain_px: float = 1.2
    polish_lines: int = 0
    polish_grey: float = 2.0
    polish_direction_deg: float | None = None  # None: every direction
    mottle_grey: float = 0.0  # slow brightness variation


@dataclass(frozen=True)
class Face:
    """The clean end face."""

    ferrule_grey: float
    cladding_grey: float
    core: CoreLook = field(default_factory=CoreLook)
    rings: tuple[RingLook, ...] = ()
    adhesive: AdhesiveLook | None = None
    edge: EdgeLook = field(default_factory=EdgeLook)
    ferrule: FerruleLook = field(default_factory=FerruleLook)


@dataclass(frozen=True)
class Light:
    """Illumination of the whole frame, a factor per pixel."""

    vignetting: float = 0.0  # loss in the farthest corner, 0..1
    centre_share: tuple[float, float] = (0.5, 0.5)  # brightest point, share of width and height
    gradient: float = 0.0  # peak-to-peak share across the frame
    gradient_direction_deg: float = 0.0


@dataclass(frozen=True)
class Optics:
    """Lens, camera and file."""

    blur_px: float = 0.9  # Gaussian sigma
    tilt_blur_px: float = 0.0  # extra blur at the far side of an angled face
    tilt_blur_direction_deg: float = 0.0
    sharpen: float = 0.0  # weight of an unsharp mask
    sharpen_px: float = 1.5
    shot_gain: float = 0.01  # variance per grey level
    read_sigma: float = 0.5
    noise_grain_px: float = 0.0  # correlation of the camera's noise
    banding_grey: float = 0.0
    jpeg_quality: int | None = None  # None: PNG

    def sigma_grey(self, level_grey: float) -> float:
        """Standard deviation of one pixel at a brightness, with the rounding to whole levels."""
        return math.sqrt(self.shot_gain * max(level_grey, 0.0) + self.read_sigma**2 + 1.0 / 12.0)


@dataclass(frozen=True)
class Mark:
    """One defect (or, when not ``judged``, clutter that the truth asks nobody to find)."""

    kind: str  # scratch | pit | contamination | chip | crack
    polarity: str  # dark | bright
    x_px: float  # centre in the fibre frame, relative to the fibre's centre
    y_px: float
    angle_deg: float
    length_px: float
    width_px: float
    contrast_grey: float  # reached at the mark's core (lines: their typical ridge), after optics; > 0
    seed: int
    style: str = "plain"
    bow_px: float = 0.0
    softness_px: float = 0.8
    halo: float = 0.0  # opposite flank, share of the contrast
    judged: bool = True

    @property
    def sign(self) -> float:
        """-1 for a dark mark, +1 for a bright one."""
        return -1.0 if self.polarity == "dark" else 1.0


@dataclass(frozen=True)
class Scene:
    """One picture to render; ``fibre`` is None for a frame without a fibre."""

    frame: Frame
    fibre: FibreView | None
    face: Face
    light: Light
    optics: Optics
    marks: tuple[Mark, ...] = ()
    seed: int = 0
    contrast: str = "ordinary"


KINDS = ("scratch", "pit", "contamination", "chip", "crack")
ZONES = ("core", "cladding", "adhesive", "contact")


def zone_radii_px(fibre: FibreView, adhesive: AdhesiveLook | None) -> tuple[float, float, float]:
    """Outer radii of core, cladding and adhesive in the fibre frame."""
    glue_px = adhesive.width_px if adhesive else 0.0
    return fibre.core_radius_px, fibre.radius_px, fibre.radius_px + max(glue_px, 0.04 * fibre.radius_px)


def zone_at(radius_px: float, radii_px: tuple[float, float, float]) -> str:
    """Zone of a distance from the fibre's centre."""
    return ZONES[sum(radius_px > edge for edge in radii_px)]
