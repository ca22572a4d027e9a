"""The certificate of one inspected image as PDF, made from its record and its annotated picture alone."""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
from collections.abc import Sequence
from datetime import UTC, datetime

import cv2
import numpy as np

from batchwide.optics_dirt import left_out_text
from learning.vlm.sentences import model_in_words
from records import FAIL, PASS, Defect, InspectionRecord, Provenance
from reports.annotate import worst_first
from reports.pages import (
    MARGIN_PT,
    RIGHT_PT,
    Box,
    Column,
    Flow,
    Picture,
    Row,
    Text,
    pdf_bytes,
    printable,
    text_width,
    wrapped,
)
from second_opinion.disagreements import disagreements

STATUS_COLORS = {PASS: "#1B6E33", FAIL: "#A3161B"}  # dark: white text on them is read in black and white, too
OTHER_STATUS_COLOR = "#4A4A4A"
SHADE = "#EBEBEB"
_HIGHEST_PICTURE_PT = 270.0
_PICTURE_WIDTH_PX = 1000
_SIGNATURE_PT = 46.0
_ZONE_COLUMNS = (
    Column("Zone", 90),
    Column("From radius", 80, "right"),
    Column("To radius", 80, "right"),
    Column("Inspected", 90, "right"),
    Column("In the picture", 80, "right"),
    Column("Marks", 60, "right"),
)
_MARK_COLUMNS = (
    Column("ID", 30),
    Column("Class", 70),
    Column("Zone", 48),
    Column("Length", 36, "right"),
    Column("Width", 34, "right"),
    Column("Diameter", 46, "right"),
    Column("Radius", 36, "right"),
    Column("Angle", 33, "right"),
    Column("Conf.", 30, "right"),
    Column("Violates", 136),
)
_ALWAYS_READ = 30  # lines of reasons and warnings that are shown; a damaged record may hold any number


def certificate_pdf(record: InspectionRecord, picture: np.ndarray | None = None) -> bytes:
    """The certificate as PDF; ``picture`` is the annotated picture, (H, W, 3) uint8 BGR, None where there is none."""
    title = f"Inspection certificate: {printable(record.image_filename)}"
    pages = lay_out(record, picture).pages
    return pdf_bytes(pages, title=title, made=date_of(record.inspected_at), keywords=record_digest(record))


def lay_out(record: InspectionRecord, picture: np.ndarray | None = None) -> Flow:
    """The pages of the certificate before they are drawn."""
    flow = Flow(heading=f"{record.image_filename}: {record.status}, continued")
    begin(flow, "Inspection certificate", record.status, record.image_filename)
    facts(flow, _facts(record))
    _add_picture(flow, picture)
    _add_verdict(flow, record)
    _add_zones(flow, record)
    _add_marks(flow, record)
    signature(flow)
    flow.foot(f"Image file SHA-256: {record.content_sha256 or 'not known'}")
    return flow


def record_digest(record: InspectionRecord) -> str:
    """What a certificate says, as a text that changes with it: in its file, this tells for which record it was made."""
    content = json.dumps(record.to_dict(), sort_keys=True)
    return f"record-{hashlib.sha256(content.encode()).hexdigest()}"


def date_of(text: str) -> datetime | None:
    """The time that a record states, with its offset from UTC (none: UTC itself); None where it states no time."""
    with contextlib.suppress(ValueError, OverflowError):
        found = datetime.fromisoformat(text)
        found = found if found.tzinfo else found.replace(tzinfo=UTC)
        found.astimezone(UTC)  # not before the year 1 or after 9999
        return found
    return None


# --- parts that both kinds of certificates have -----------------------------------------------------------------------


def begin(flow: Flow, title: str, verdict: str, subject: str, color: str = "") -> None:
    """The head of the first page: title on the left, the verdict large on the right, below them what it is about."""
    size = 15
    if verdict:
        width = text_width(verdict.upper(), size, True) + 20
        flow.add(Box(RIGHT_PT - width, flow.top, width, 26, color or STATUS_COLORS.get(verdict, OTHER_STATUS_COLOR)))
        flow.add(Text(RIGHT_PT - width + 10, flow.top + 18.5, verdict.upper(), size, True, "#FFFFFF"))
    flow.add(Text(MARGIN_PT, flow.top + 18.5, title, size, True, "#000000"))
    flow.space(32)
    flow.paragraph(subject, size=10, bold=True)
    flow.space(4)


def facts(flow: Flow, pairs: Sequence[tuple[str, str]]) -> None:
    """Names and values below each other."""
    size, indent = 8.5, 104.0
    for name, value in pairs:
        for number, line in enumerate(wrapped(value or "not given", RIGHT_PT - MARGIN_PT - indent, size)):
            flow.need(size * 1.4)
            if number == 0:
                flow.add(Text(MARGIN_PT, flow.top + size, name, size, False, "#555555"))
            flow.add(Text(MARGIN_PT + indent, flow.top + size, line, size, False, "#000000"))
            flow.space(size * 1.4)


def rules_text(name: str, verified: bool, provenance: Provenance) -> str:
    """The rule set with its title and edition, and that it was not verified where it was not."""
    title = provenance.rule_set_title or name
    edition = provenance.rule_set_edition
    shown = title + (f", edition {edition}" if edition and edition not in title else "")
    shown += f" ({name})" if name and name != title else ""
    return shown + ("" if verified else ". NOT VERIFIED against its source")


def signature(flow: Flow) -> None:
    """Lines for place and date, name and signature."""
    flow.need(_SIGNATURE_PT)
    flow.space(_SIGNATURE_PT - 16)
    third = (RIGHT_PT - MARGIN_PT) / 3
    for index, name in enumerate(("Place, date", "Name", "Signature")):
        x = MARGIN_PT + index * third
        flow.add(Box(x, flow.top, third - 14, 0.6, "#000000"), Text(x, flow.top + 10, name, 7.5, False, "#555555"))
    flow.space(16)


# --- the parts of this one --------------------------------------------------------------------------------------------


def _facts(record: InspectionRecord) -> list[tuple[str, str]]:
    made_by = record.provenance
    found = date_of(record.inspected_at)
    pairs = [
        ("Serial number", record.serial_number),
        ("Port", record.port),
        ("Operator", made_by.operator),
        ("Inspected", f"{found:%Y-%m-%d %H:%M:%S %z}".rstrip() if found else ""),
        ("Fibre", _fiber_text(record)),
        ("Scale", _scale_text(record)),
        ("Calibrated", made_by.calibration_date or "there was no calibration.json"),
        ("Rule set", rules_text(record.rule_set, record.rule_set_verified, made_by)),
        ("Source of the rules", made_by.rule_set_source),
        ("Networks", "; ".join(made_by.networks)),
        ("Software", f"D-Scope Blink {made_by.software_version}".strip() + _in_words(", profile ", record.profile)),
    ]
    return [pair for pair in pairs if pair[1] or pair[0] not in ("Port", "Networks")]


def _in_words(before: str, text: str) -> str:
    return f"{before}{text}" if text else ""


def _fiber_text(record: InspectionRecord) -> str:
    """Measured diameters of cladding and core, and the kind of fibre where it was named."""
    if record.fiber is None:
        return "not found in the image"
    unit = _Unit(record)
    cladding, core = 2 * record.fiber.cladding.mean_radius_px, record.fiber.core_diameter_px
    parts = [f"cladding {unit.text(cladding)}"]
    if math.isfinite(core):
        parts.append(f"core {unit.text(core)} ({record.fiber.core_source})")
    kind = record.scale.source.removeprefix("fiber type ")
    return (f"type {kind}, " if kind != record.scale.source else "") + ", ".join(parts)


def _scale_text(record: InspectionRecord) -> str:
    if not record.scale.known:
        return "none: sizes are in pixels"
    return f"{record.scale.um_per_px:.5g} µm per pixel, from {record.scale.source}"


class _Unit:
    """Lengths of the fibre frame in µm where a scale is known, else in px."""

    def __init__(self, record: InspectionRecord) -> None:
        self.name = "µm" if record.scale.known else "px"
        self._factor = record.scale.um_per_px if record.scale.known else 1.0

    def text(self, length_px: float) -> str:
        return f"{length_px * self._factor:.1f} {self.name}"


def _add_picture(flow: Flow, picture: np.ndarray | None) -> None:
    flow.space(6)
    if picture is None:
        flow.line("There is no annotated picture.", size=8.5)
        return
    height_px, width_px = picture.shape[:2]
    if width_px > _PICTURE_WIDTH_PX:
        size = (_PICTURE_WIDTH_PX, max(1, round(height_px * _PICTURE_WIDTH_PX / width_px)))
        picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    width = min(RIGHT_PT - MARGIN_PT, _HIGHEST_PICTURE_PT * width_px / height_px)
    height = width * height_px / width_px
    x = 0.5 * (MARGIN_PT + RIGHT_PT - width)
    flow.need(height)
    flow.add(Picture(x, flow.top, width, height, cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)))
    flow.space(height)


def _add_verdict(flow: Flow, record: InspectionRecord) -> None:
    count = len(record.counted_defects)
    inspected = record.status in (PASS, FAIL) or record.fiber is not None
    marks = f"; {count or 'no'} mark{'' if count == 1 else 's'} found" if inspected else ""
    flow.title(f"Verdict: {record.status}{marks}")
    for title, texts in (("", record.reasons), ("Warning: ", record.warnings)):
        for text in texts[:_ALWAYS_READ]:
            flow.paragraph(f"{title}{text}", size=8.5, bold=not title and record.status == FAIL)
        if len(texts) > _ALWAYS_READ:
            flow.line(f"and {len(texts) - _ALWAYS_READ} more", size=8.5)
    if record.status == PASS and not record.reasons:
        flow.paragraph("No rule is violated.", size=8.5)
    if left_out := left_out_text(record):
        flow.paragraph(f"{left_out}.", size=8.5)
    if said := model_in_words(record):
        flow.paragraph(f"Vision-language model: {said}", size=8.5)
    for text in disagreements(record)[:_ALWAYS_READ]:
        flow.paragraph(text, size=8.5)
    if record.marginal:
        flow.paragraph("The verdict is marginal: it would turn within the uncertainty of a size.", size=8.5, bold=True)
    if any(defect.marginal for defect in record.counted_defects):
        text = "Marginal marks have a size within its own uncertainty of a limit: they need a second look."
        flow.paragraph(text, size=8.5)


def _add_zones(flow: Flow, record: InspectionRecord) -> None:
    if not record.zones:
        return
    unit = _Unit(record)
    flow.title("Zones")
    rows = [
        Row(
            (
                zone.name,
                unit.text(zone.inner_radius_px),
                unit.text(zone.outer_radius_px),
                "yes" if zone.inspected else "NOT INSPECTED",
                f"{zone.visible_share:.0%}",
                str(sum(defect.zone == zone.name for defect in record.counted_defects)),
            )
        )
        for zone in record.zones
    ]
    flow.table(_ZONE_COLUMNS, rows)


def _add_marks(flow: Flow, record: InspectionRecord) -> None:
    if not record.counted_defects:
        return
    flow.title(f"Marks, the worst first (lengths in {_Unit(record).name})")
    flow.table(_MARK_COLUMNS, [_mark_row(defect, record.scale.known) for defect in worst_first(record.counted_defects)])


def _mark_row(defect: Defect, scale_known: bool) -> Row:
    """A mark that violates a rule is bold, so that it stands out without colour."""
    if scale_known:
        lengths = (defect.length_um, defect.width_um, defect.diameter_um, defect.radius_um)
    else:
        lengths = (defect.length_px, defect.width_px, defect.diameter_px, defect.radius_px)
    said = "; ".join(defect.violates) or "-"
    return Row(
        (
            defect.defect_id,
            defect.kind,
            defect.zone,
            *(_number(length, 1) for length in lengths),
            _number(defect.angle_deg, 0, "°"),
            _number(defect.confidence, 2),
            f"{said} (marginal)" if defect.marginal else said,
        ),
        bold=bool(defect.violates),
        shade=SHADE if defect.violates else "",
    )


def _number(value: float, decimals: int, unit: str = "") -> str:
    return f"{value:.{decimals}f}{unit}" if math.isfinite(value) else "-"
