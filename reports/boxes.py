"""The boxes of an annotated picture: verdict stamp, legend of the zones, scale bar."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from batchwide.optics_dirt import left_out_text
from records import LOCALIZATION_FAILED, Ellipse, InspectionRecord
from reports.drawing import BLACK, PANEL, WHITE, Color, TextStyle, bgr, draw_text, fill_box, plain, shortened, wrapped
from reports.layout import Box
from settings import ReportingSettings

_MAX_REASONS = 3
_OPACITY = 0.78


@dataclass(frozen=True)
class TextBox:
    """Lines of small text under an optional title on its own colour; ``swatches`` are colour marks before the lines."""

    style: TextStyle
    lines: tuple[str, ...]
    title: str = ""
    title_color: Color = PANEL
    swatches: tuple[Color, ...] = ()

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels that the box needs."""
        widths = [self.style.width(line) + self._indent_px for line in self.lines]
        widths.append(self._title_style.width(self.title) if self.title else 0)
        height = self._title_px + len(self.lines) * self.style.line_px + (3 * self._pad_px // 2 if self.lines else 0)
        return max(widths) + 2 * self._pad_px, height

    def draw(self, picture: np.ndarray, box: Box) -> None:
        """Draw into a box of at least :attr:`size`; what does not fit in its width is cut with "..."."""
        inner_px = box.right - box.left - 2 * self._pad_px
        fill_box(picture, box, PANEL, _OPACITY)
        if self.title:
            fill_box(picture, replace(box, bottom=box.top + self._title_px), self.title_color)
            baseline = box.top + (self._title_px + self._title_style.cap_px) // 2
            title = shortened(self.title, inner_px, self._title_style)
            draw_text(picture, title, box.left + self._pad_px, baseline, self._title_style, WHITE)
        baseline = box.top + self._title_px + self._pad_px // 2
        for index, line in enumerate(self.lines):
            baseline += self.style.line_px
            left = box.left + self._pad_px
            if self.swatches:
                side = self.style.line_px // 2
                mark = Box(left, baseline - side, left + side, baseline)
                fill_box(picture, mark, self.swatches[index])
            text = shortened(line, inner_px - self._indent_px, self.style)
            draw_text(picture, text, left + self._indent_px, baseline - 1, self.style, WHITE)

    @property
    def _pad_px(self) -> int:
        return self.style.line_px // 2

    @property
    def _indent_px(self) -> int:
        return self.style.line_px if self.swatches else 0

    @property
    def _title_style(self) -> TextStyle:
        return TextStyle(2.0 * self.style.scale, max(2, 2 * self.style.thickness))

    @property
    def _title_px(self) -> int:
        return round(2.2 * self.style.line_px) if self.title else 0


def stamp_box(
    record: InspectionRecord, labelled: int, reporting: ReportingSettings, style: TextStyle, width_px: int
) -> TextBox:
    """The verdict with the number of defects and at most three reasons, wrapped to about ``width_px``."""
    lines: list[str] = []
    count = len(record.counted_defects)
    if record.status != LOCALIZATION_FAILED:
        shown = f", the worst {labelled} labelled" if labelled < count else ""
        lines.append(f"{count or 'No'} defect{'' if count == 1 else 's'}{shown}")
    if record.serial_number:
        part = f"SN {record.serial_number}{', port ' * bool(record.port)}{record.port}"
        lines += wrapped(plain(part), width_px, style)
    lines += wrapped(left_out_text(record), width_px, style)
    for reason in record.reasons[:_MAX_REASONS]:
        lines += wrapped(plain(reason), width_px, style)
    if len(record.reasons) > _MAX_REASONS:
        more = len(record.reasons) - _MAX_REASONS
        lines.append(f"and {more} more reason{'s' if more > 1 else ''}")
    if record.rule_set and not record.rule_set_verified:
        lines += wrapped(f"Rule set {plain(record.rule_set)} is not verified", width_px, style)
    return TextBox(style, tuple(lines), record.status.upper(), bgr(reporting.status_colors, record.status))


def legend_box(record: InspectionRecord, reporting: ReportingSettings, style: TextStyle) -> TextBox | None:
    """The zones with their colours and outer diameters; None when there is none."""
    if not record.zones:
        return None
    lines = []
    for zone in record.zones:
        diameter = 2 * zone.outer_radius_px
        size = f"{diameter * record.scale.um_per_px:.4g} um" if record.scale.known else f"{diameter:.0f} px"
        lines.append(f"{zone.name} {size}{'' if zone.inspected else ' (not inspected)'}")
    return TextBox(style, tuple(lines), swatches=tuple(bgr(reporting.zone_colors, z.name) for z in record.zones))


@dataclass(frozen=True)
class ScaleBar:
    """A horizontal bar of a round length."""

    style: TextStyle
    length_px: int
    text: str

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels that the bar needs with its text."""
        width = max(self.length_px, self.style.width(self.text)) + self.style.line_px
        return width, round(2.2 * self.style.line_px)

    def draw(self, picture: np.ndarray, box: Box) -> None:
        """Draw into a box of at least :attr:`size`."""
        fill_box(picture, box, PANEL, _OPACITY)
        middle, line_px = (box.left + box.right) // 2, self.style.line_px
        text_width = self.style.width(self.text)
        draw_text(picture, self.text, middle - text_width // 2, box.top + line_px, self.style, WHITE)
        left, y, tick = middle - self.length_px // 2, box.top + round(1.6 * line_px), max(3, line_px // 4)
        bar = [((left, y), (left + self.length_px, y))]
        bar += [((x, y - tick), (x, y + tick)) for x in (left, left + self.length_px)]
        for color, thickness in ((BLACK, 3 * self.style.thickness + 2), (WHITE, 2 * self.style.thickness)):
            for start, end in bar:
                cv2.line(picture, start, end, color, thickness)


def scale_bar(
    record: InspectionRecord, view_scale: float, longest_px: int, lengths_um: Sequence[float], style: TextStyle
) -> ScaleBar | None:
    """The longest of ``lengths_um`` that is at most ``longest_px`` on the picture; None without a scale."""
    if not record.scale.known or record.fiber is None:
        return None
    px_per_um = view_scale * horizontal_stretch(record.fiber.cladding) / record.scale.um_per_px
    fitting = [length for length in lengths_um if length * px_per_um <= longest_px]
    if not fitting:
        return None
    length_um = max(fitting)
    return ScaleBar(style, round(length_um * px_per_um), f"{length_um:g} um")


def horizontal_stretch(cladding: Ellipse) -> float:
    """Image pixels along x per pixel of the fibre frame: the ellipse's half width over its mean radius."""
    angle = math.radians(cladding.angle_deg)
    across = math.hypot(cladding.minor_px * math.cos(angle), cladding.major_px * math.sin(angle))
    return 0.5 * cladding.major_px * cladding.minor_px / across / cladding.mean_radius_px
