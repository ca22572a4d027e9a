"""The annotated picture: the image with its zones, its defects, their labels and the verdict."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from records import Defect, Inspection, InspectionRecord
from reports.boxes import ScaleBar, TextBox, legend_box, scale_bar, stamp_box
from reports.composition import compose, draw_panel_frame
from reports.drawing import (
    PANEL,
    WHITE,
    Color,
    TextStyle,
    View,
    bgr,
    draw_ellipse,
    draw_outline,
    draw_text,
    fill_box,
    padded_outline,
)
from reports.layout import Box, Canvas, Circle, LabelItem, Point, leader_line, place_in_corner, place_labels
from settings import ReportingSettings

MAX_LABELS = 25
_STAMP_SHARE = 0.36  # of the frame's width
_SCALE_BAR_SHARE = 0.2
_STAMP_CORNERS = ("top left", "top right", "bottom left", "bottom right")
_LEGEND_CORNERS = ("bottom left", "top right", "bottom right", "top left")
_SCALE_BAR_CORNERS = ("bottom right", "bottom left", "top right", "top left")
_LABEL_OPACITY = 0.75
_LEFT_OUT: Color = (160, 160, 160)  # in no class


@dataclass(frozen=True)
class _Pen:
    """Sizes in picture pixels, which grow with the picture."""

    text: TextStyle
    zone_px: int
    defect_px: int
    pad_px: int

    @classmethod
    def for_frame(cls, area: Box, reporting: ReportingSettings) -> _Pen:
        height_px = min(area.bottom, 0.75 * area.right)  # of a frame of ordinary shape
        unit = max(1.0, height_px / 864)
        scale = max(0.42, height_px / 1650) * reporting.label_scale
        zone_px, defect_px = (max(1, round(px * unit)) for px in (reporting.zone_line_px, reporting.defect_line_px))
        return cls(TextStyle(scale, max(1, round(1.6 * scale))), zone_px, defect_px, pad_px=round(4 * unit))


@dataclass(frozen=True)
class _Mark:
    """A defect on a view: its outline on the picture, and whether this view has its label."""

    defect: Defect
    outline: tuple[Point, ...]
    has_label: bool


@dataclass(frozen=True)
class _Layer:
    """A view with the defects on it, the worst first, and what is occupied."""

    view: View
    marks: tuple[_Mark, ...]
    canvas: Canvas


@dataclass(frozen=True)
class _Label:
    mark: _Mark
    text: str
    box: Box


def annotated_picture(inspection: Inspection, reporting: ReportingSettings) -> np.ndarray | None:
    """Draw the annotated picture, (H, W, 3) uint8 BGR; None when the inspection has no image.

    A frame between 640 and 2400 px keeps its size. Where the fibre covers little of it, a panel on the right shows it
    magnified, with the labels. Labels for which there is no room are left out; the stamp says how many are shown.
    """
    record, grey = inspection.record, inspection.grey
    if grey is None:
        return None
    picture, views = compose(grey, record)
    pen = _Pen.for_frame(views[0].area, reporting)
    layers = _layers(views, picture, worst_first((*record.defects, *record.vetoed)), pen)
    stamp_place, furniture = _place_boxes(record, layers, reporting, pen)
    labels = [label for layer in layers for label in _place_labels(layer, record, pen)]
    for layer in layers:
        _draw_zones(picture, layer.view, record, reporting, pen)
        is_overview = layer is not layers[-1]
        _draw_rectangles(picture, layer, reporting, 1 if is_overview else pen.defect_px)
    if len(views) > 1:
        draw_panel_frame(picture, *views)
    _draw_labels(picture, labels, reporting, pen)
    for item, place in furniture:
        item.draw(picture, place)
    labelled = sum(not label.mark.defect.is_left_out for label in labels)
    _stamp(record, layers[0], labelled, reporting, pen).draw(picture, stamp_place)
    return picture


def worst_first(defects: Sequence[Defect]) -> list[Defect]:
    """Defects in the order in which they deserve a label: violating, marginal, by size; those left out last."""
    return sorted(defects, key=lambda d: (d.is_left_out, not d.violates, not d.marginal, -_finite(primary_size_px(d))))


def primary_size_px(defect: Defect) -> float:
    """The size that a label shows: the length of a scratch or crack, else the enclosing diameter, in pixels."""
    return defect.length_px if defect.kind in ("Scratch", "Crack") else defect.diameter_px


def label_text(defect: Defect, scale_known: bool) -> str:
    """The text of a label, such as "S1: Scratch, 15.2 um" or "P2: on the optics"."""
    if defect.label == 0:
        return f"{defect.defect_id}: left out as an artifact"
    if defect.on_optics:
        return f"{defect.defect_id}: on the optics"
    is_long = defect.kind in ("Scratch", "Crack")
    size = (defect.length_um if is_long else defect.diameter_um) if scale_known else primary_size_px(defect)
    shown = f"{size:.1f} {'um' if scale_known else 'px'}" if math.isfinite(size) else "size unknown"
    return f"{defect.defect_id}: {defect.kind}, {shown}{' (marginal)' if defect.marginal else ''}"


def _layers(views: Sequence[View], picture: np.ndarray, defects: Sequence[Defect], pen: _Pen) -> list[_Layer]:
    """One layer per view; the worst defects are labelled on the most magnified view that shows them."""
    owners = [_owner(defect, views) for defect in defects[:MAX_LABELS]]
    height, width = picture.shape[:2]
    edges = [*(view.area.left for view in views[1:]), width]
    layers = []
    for view, edge in zip(views, edges, strict=True):
        marks = tuple(
            _Mark(defect, mark_outline(defect, view, pen.pad_px), index < len(owners) and owners[index] is view)
            for index, defect in enumerate(defects)
        )
        canvas = Canvas(Box(view.area.left, 0, edge, height))
        for mark in marks:
            canvas.block_outline(mark.outline)
        layers.append(_Layer(view, marks, canvas))
    return layers


def _owner(defect: Defect, views: Sequence[View]) -> View:
    """The view that labels a defect: the last, most magnified one that shows its centroid."""
    shown = [view for view in views if view.shows(defect.centroid_x_px, defect.centroid_y_px)]
    return (shown or views)[-1]


def mark_outline(defect: Defect, view: View, pad_px: int) -> tuple[Point, ...]:
    """The defect's rotated rectangle on the picture, a little larger so that the line does not hide the defect."""
    corners = defect.box_px
    if len(corners) != 4:
        x, y = defect.centroid_x_px, defect.centroid_y_px
        half = 0.5 * _finite(defect.diameter_px)
        corners = ((x - half, y - half), (x + half, y - half), (x + half, y + half), (x - half, y + half))
    return padded_outline([view.point(*corner) for corner in corners], pad_px)


def _stamp(record: InspectionRecord, layer: _Layer, labelled: int, reporting: ReportingSettings, pen: _Pen) -> TextBox:
    area = layer.canvas.area
    return stamp_box(record, labelled, reporting, pen.text, round(_STAMP_SHARE * (area.right - area.left)))


def _place_boxes(
    record: InspectionRecord, layers: Sequence[_Layer], reporting: ReportingSettings, pen: _Pen
) -> tuple[Box, list[tuple[TextBox | ScaleBar, Box]]]:
    """Place of the stamp, then legend and scale bar with theirs; each place is marked as occupied."""
    frame, detail = layers[0], layers[-1]
    margin_px = 2 * pen.pad_px
    stamp = _stamp(record, frame, min(MAX_LABELS, len(record.counted_defects)), reporting, pen)
    stamp_place = place_in_corner(*stamp.size, frame.canvas, margin_px=margin_px, corners=_STAMP_CORNERS)
    longest_px = round(_SCALE_BAR_SHARE * (detail.view.area.right - detail.view.area.left))
    bar = scale_bar(record, detail.view.scale, longest_px, reporting.scale_bar_um, pen.text)
    wanted = (
        (legend_box(record, reporting, pen.text), frame, _LEGEND_CORNERS),
        (bar, detail, _SCALE_BAR_CORNERS),
    )
    furniture = [
        (item, place_in_corner(*item.size, layer.canvas, margin_px=margin_px, corners=corners))
        for item, layer, corners in wanted
        if item is not None
    ]
    return stamp_place, furniture


def _place_labels(layer: _Layer, record: InspectionRecord, pen: _Pen) -> list[_Label]:
    """The labels of this layer that found a place."""
    if record.fiber is None:
        return []
    cladding, view = record.fiber.cladding, layer.view
    marks = [mark for mark in layer.marks if mark.has_label]
    texts = [label_text(mark.defect, record.scale.known) for mark in marks]
    items = [
        LabelItem(pen.text.width(text) + 2 * pen.pad_px, pen.text.line_px, mark.outline)
        for text, mark in zip(texts, marks, strict=True)
    ]
    x, y = view.point(cladding.x_px, cladding.y_px)
    boxes = place_labels(items, layer.canvas, avoid=Circle(x, y, cladding.mean_radius_px * view.scale))
    placed = zip(marks, texts, boxes, strict=True)
    return [_Label(mark, text, box) for mark, text, box in placed if box is not None]


def _draw_zones(
    picture: np.ndarray, view: View, record: InspectionRecord, reporting: ReportingSettings, pen: _Pen
) -> None:
    if record.fiber is None:
        return
    cladding = record.fiber.cladding
    for zone in reversed(record.zones):
        factor = zone.outer_radius_px / cladding.mean_radius_px
        line_px = pen.zone_px if zone.inspected else 1
        draw_ellipse(picture, view, cladding, factor, bgr(reporting.zone_colors, zone.name), line_px)


def _draw_rectangles(picture: np.ndarray, layer: _Layer, reporting: ReportingSettings, line_px: int) -> None:
    """The worst is drawn last; the line is twice as thick where a rule is violated, and thin for what is left out."""
    for mark in reversed(layer.marks):
        width_px = 2 * line_px if mark.defect.violates else line_px
        if mark.defect.is_left_out:
            width_px = 1
            draw_outline(picture, layer.view, mark.outline, PANEL, 3)  # or the grey would be lost on a grey ferrule
        draw_outline(picture, layer.view, mark.outline, mark_color(mark.defect, reporting), width_px)


def _draw_labels(picture: np.ndarray, labels: Sequence[_Label], reporting: ReportingSettings, pen: _Pen) -> None:
    """All leader lines first, so that none runs over a label."""
    for label in labels:
        color = mark_color(label.mark.defect, reporting)
        ends = leader_line(label.mark.outline, label.box)
        cv2.line(picture, *ends, color, max(1, pen.defect_px // 2), cv2.LINE_AA)
    for label in labels:
        box, color = label.box, mark_color(label.mark.defect, reporting)
        fill_box(picture, box, PANEL, _LABEL_OPACITY)
        corners = ((box.left, box.top), (box.right - 1, box.bottom - 1))
        cv2.rectangle(picture, *corners, color, pen.defect_px if label.mark.defect.violates else 1)
        baseline = (box.top + box.bottom + pen.text.cap_px) // 2
        draw_text(picture, label.text, box.left + pen.pad_px, baseline, pen.text, WHITE)


def mark_color(defect: Defect, reporting: ReportingSettings) -> Color:
    """The colour that its outline and label are drawn in."""
    return _LEFT_OUT if defect.is_left_out else bgr(reporting.class_colors, defect.kind)


def _finite(value: float) -> float:
    return value if math.isfinite(value) else 0.0
