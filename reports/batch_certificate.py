"""The certificate of a whole batch as PDF: what was inspected by what and whom, how it went, and every image."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime

from findings import BatchFindings, optics_sentences
from records import FAIL, LOCALIZATION_FAILED, PASS, STATUSES, UNREADABLE, InspectionRecord
from reports.certificate import SHADE, STATUS_COLORS, begin, date_of, facts, rules_text, signature
from reports.pages import Column, Flow, Row, pdf_bytes, shortened

NOT_INSPECTED = (LOCALIZATION_FAILED, UNREADABLE)
_ALL_PASS = "ALL PASS"
_ABSENT = {"Calibrated": "there was no calibration.json", "Scale": "none: sizes are in pixels"}
_MOST_REASONS = 12
_MOST_VALUES = 4
_MOST_FINDINGS = 5
_COLUMNS = (
    Column("Image", 142),
    Column("Serial number", 70),
    Column("Port", 34),
    Column("Status", 66),
    Column("Marks", 34, "right"),
    Column("Reasons", 153),
)


@dataclass
class _Overview:
    """What the first page says, counted over the records."""

    statuses: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    values: dict[str, Counter[str]] = field(default_factory=dict)  # of each fact, with the number of images
    first: datetime | None = None
    last: datetime | None = None

    def add(self, record: InspectionRecord) -> None:
        made_by = record.provenance
        self.statuses[record.status] += 1
        self.reasons.update(set(record.reasons) if record.status == FAIL else ())
        found = {
            "Operator": made_by.operator,
            "Software": f"D-Scope Blink {made_by.software_version}".strip(),
            "Profile": record.profile,
            "Rule set": rules_text(record.rule_set, record.rule_set_verified, made_by),
            "Source of the rules": made_by.rule_set_source,
            "Scale": record.scale.source if record.fiber is not None else "",
            "Calibrated": made_by.calibration_date,
        }
        for name, value in found.items():
            self.values.setdefault(name, Counter())[value] += bool(value)
        if moment := date_of(record.inspected_at):
            self.first, self.last = min(self.first or moment, moment), max(self.last or moment, moment)


def batch_certificate_pdf(records: Callable[[], Iterable[InspectionRecord]], found: BatchFindings) -> bytes:
    """The certificate of a batch as PDF; ``records`` gives its records, in order, anew each time.

    Only short rows of text are kept of them.
    """
    flow, made = lay_out(records, found)
    return pdf_bytes(flow.pages, title="Inspection certificate of a batch", made=made)


def lay_out(records: Callable[[], Iterable[InspectionRecord]], found: BatchFindings) -> tuple[Flow, datetime | None]:
    """The pages of the certificate before they are drawn, and when the last image was inspected."""
    overview, rows = _Overview(), []
    for record in records():
        overview.add(record)
        rows.append(_row(record))
    flow = Flow(heading="Inspection certificate of a batch, continued")
    verdict = _verdict(overview.statuses)
    color = STATUS_COLORS[PASS if verdict == _ALL_PASS else FAIL]
    begin(flow, "Inspection certificate of a batch", verdict, _yield_text(overview.statuses), color)
    named = [(name, _joined(values, _ABSENT.get(name, ""))) for name, values in overview.values.items()]
    facts(flow, [("Inspected", _period(overview)), *named])
    _add_counts(flow, overview)
    _add_findings(flow, found)
    signature(flow)
    if rows:
        flow.title(f"Images ({len(rows)})", followed_by=60)
        flow.table(_COLUMNS, rows, size=7, max_lines=3)
    flow.foot(f"D-Scope Blink, {_yield_text(overview.statuses)}")
    return flow, overview.last


def _row(record: InspectionRecord) -> Row:
    """An image that could not be inspected is bold on grey, one that failed bold."""
    lost = record.status in NOT_INSPECTED
    cells = (
        shortened(record.image_filename, 3 * 130, 7),
        shortened(record.serial_number, 3 * 60, 7),
        shortened(record.port, 60, 7),
        record.status.upper() if lost else record.status,
        "-" if lost else str(len(record.counted_defects)),
        shortened("; ".join(record.reasons), 3 * 145, 7),
    )
    return Row(cells, bold=record.status == FAIL or lost, shade=SHADE if lost else "")


def _yield_text(statuses: Counter[str]) -> str:
    judged, passed = statuses[PASS] + statuses[FAIL], statuses[PASS]
    if not judged:
        return "No image was judged"
    return f"{passed} of {judged} judged image{'' if judged == 1 else 's'} pass: yield {passed / judged:.1%}"


def _verdict(statuses: Counter[str]) -> str:
    if not statuses:
        return ""
    return _ALL_PASS if statuses[PASS] == statuses.total() else "NOT ALL PASS"


def _period(overview: _Overview) -> str:
    """The first and the last time, once where they are the same."""
    moments = (f"{moment:%Y-%m-%d %H:%M %z}" for moment in (overview.first, overview.last) if moment)
    return " to ".join(dict.fromkeys(moments))


def _joined(values: Counter[str], absent: str) -> str:
    """The values of a fact; where not all images have the same one, with the number of images that have each."""
    known = [(value, count) for value, count in values.most_common() if value]
    missing = not known or len(values) > len(known)
    if len(known) == 1 and not missing:
        return known[0][0]
    shown = [f"{value} ({count} image{'' if count == 1 else 's'})" for value, count in known[:_MOST_VALUES]]
    if not known:
        return absent
    return "; ".join([*shown, *([f"{len(known) - _MOST_VALUES} more"] if len(known) > _MOST_VALUES else [])])


def _add_counts(flow: Flow, overview: _Overview) -> None:
    total = overview.statuses.total()
    flow.title("Outcome")
    columns = (Column("Status", 150), Column("Images", 70, "right"), Column("Share", 70, "right"))
    rows = [
        Row((status, str(count), f"{count / total:.1%}"), bold=status in NOT_INSPECTED, shade=_shade(status))
        for status in STATUSES
        if (count := overview.statuses[status])
    ]
    flow.table(columns, rows, size=8)
    if lost := sum(overview.statuses[status] for status in NOT_INSPECTED):
        flow.space(4)
        flow.paragraph(f"NOT INSPECTED: {lost} of {total} images. Nothing is certified of them.", bold=True)
    if overview.reasons:
        flow.title("Why images failed")
        columns = (Column("Reason", 300), Column("Images", 70, "right"))
        ranked = sorted(overview.reasons.items(), key=lambda item: (-item[1], item[0]))
        flow.table(columns, [Row((reason, str(count))) for reason, count in ranked[:_MOST_REASONS]], size=8)
        if len(ranked) > _MOST_REASONS:
            flow.line(f"and {len(ranked) - _MOST_REASONS} more reasons", size=8)


def _shade(status: str) -> str:
    return SHADE if status in NOT_INSPECTED else ""


def _add_findings(flow: Flow, found: BatchFindings) -> None:
    """What only the whole batch tells, in short."""
    spots, lines = optics_sentences(found)[:_MOST_FINDINGS], []
    if found.marginal:
        names = ", ".join(found.marginal[:_MOST_FINDINGS])
        rest = len(found.marginal) - _MOST_FINDINGS
        lines.append(f"Marginal verdicts, to be looked at again: {names}{f' and {rest} more' if rest > 0 else ''}.")
    lines += [f"The same end face: {', '.join(same.images)}" for same in found.same_faces[:_MOST_FINDINGS]]
    more = max(0, len(found.optics) - _MOST_FINDINGS) + max(0, len(found.same_faces) - _MOST_FINDINGS)
    if spots or lines:
        flow.title("Findings")
        for sentence in spots:
            flow.paragraph(sentence, size=8.5)
        for line in lines:
            flow.line(line, size=8.5)
        if more:
            flow.line(f"and {more} more", size=8.5)
