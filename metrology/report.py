"""The calibration report: the target with its matched grid, residual arrows, and the spacings between neighbours."""

from __future__ import annotations

import io

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from metrology.scale import MatchedMarks, TargetScale

ARROW_SHARE = 0.5  # of the spacing: length of the largest residual arrow
MAX_PICTURE_PX = 2000


def report_png(found: TargetScale, grey: np.ndarray | None, *, title: str) -> bytes:
    """Draw the report as PNG bytes; ``grey`` (H, W) is the picture of the target, None when only dots were given."""
    figure = Figure(figsize=(14, 7.5), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2, width_ratios=(1.9, 1))
    figure.suptitle(title.encode("ascii", "replace").decode(), parse_math=False)  # the font lacks other scripts
    _draw_target(left, found, grey)
    _draw_spacings(right, found)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()


def _draw_target(axes, found: TargetScale, grey: np.ndarray | None) -> None:
    marks, (width, height) = found.marks, found.image_size_px
    if grey is not None:
        step = max(1, int(np.ceil(max(grey.shape) / MAX_PICTURE_PX)))
        extent = (-0.5, width - 0.5, height - 0.5, -0.5)
        axes.imshow(grey[::step, ::step], cmap="gray", extent=extent, interpolation="nearest")
    for first, second in neighbours(marks):
        axes.plot(marks.x_px[[first, second]], marks.y_px[[first, second]], color="#37C871", lw=0.6)
    size = np.hypot(marks.residual_x_px, marks.residual_y_px)
    longest = max(float(size.max(initial=0.0)), 1e-6)
    factor = ARROW_SHARE * spacing_px(found) / longest
    axes.quiver(
        marks.x_px,
        marks.y_px,
        factor * marks.residual_x_px,
        factor * marks.residual_y_px,
        angles="xy",
        scale_units="xy",
        scale=1,
        color="#FF4FA3",
        width=0.0025,
    )
    axes.set_xlim(-0.5, width - 0.5)
    axes.set_ylim(height - 0.5, -0.5)
    axes.set_aspect("equal")
    axes.set_xlabel("x (px)")
    axes.set_ylabel("y (px)")
    arrows = f"arrows: residuals x {factor:.0f}, the longest {longest:.2f} px"
    axes.set_title(f"{found.marks_used} of {found.marks_found} marks; {arrows}")


def _draw_spacings(axes, found: TargetScale) -> None:
    marks = found.marks
    pairs = neighbours(marks)
    if len(pairs):
        dx = marks.x_px[pairs[:, 1]] - marks.x_px[pairs[:, 0]]
        dy = marks.y_px[pairs[:, 1]] - marks.y_px[pairs[:, 0]]
        axes.hist(np.hypot(dx, dy), bins=min(60, max(10, len(pairs) // 8)), color="#3DA5FF")
    axes.set_xlabel("distance between neighbours (px)")
    axes.set_ylabel("pairs")
    axes.set_title("Spacings")
    axes.text(0.02, 0.98, "\n".join(_lines(found)), transform=axes.transAxes, va="top", family="monospace", fontsize=9)
    low, high = axes.get_ylim()
    axes.set_ylim(low, 1.9 * high)  # room for the text


def _lines(found: TargetScale) -> list[str]:
    share = found.uncertainty_um_per_px / found.um_per_px
    return [
        f"{found.kind}",
        f"um per px    {found.um_per_px:.6g} +- {found.uncertainty_um_per_px:.2g} ({share:.3%})",
        f"  along x    {found.um_per_px_x:.6g}",
        f"  along y    {found.um_per_px_y:.6g}",
        f"shear        {found.shear_deg:+.3f} deg",
        f"rotation     {found.rotation_deg:.2f} deg",
        f"rms residual {found.rms_residual_px:.3f} px",
        f"distortion   {found.distortion_px:.2f} px",
    ]


def spacing_px(found: TargetScale) -> float:
    """Median distance (px) between neighbouring marks."""
    marks, pairs = found.marks, neighbours(found.marks)
    if not len(pairs):
        return 10.0
    dx = marks.x_px[pairs[:, 1]] - marks.x_px[pairs[:, 0]]
    dy = marks.y_px[pairs[:, 1]] - marks.y_px[pairs[:, 0]]
    return float(np.median(np.hypot(dx, dy)))


def neighbours(marks: MatchedMarks) -> np.ndarray:
    """Pairs (N, 2) of indices of marks that are next to each other on the target."""
    place = {(int(c), int(r)): k for k, (c, r) in enumerate(zip(marks.column, marks.row, strict=True))}
    steps = ((1, 0), (0, 1))
    found = [(k, place[c + a, r + b]) for (c, r), k in place.items() for a, b in steps if (c + a, r + b) in place]
    return np.array(found, int).reshape(-1, 2)
