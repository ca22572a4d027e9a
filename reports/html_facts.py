"""What the head of report.html says about a whole batch, gathered from its records one at a time."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime

from records import FAIL, PASS, STATUSES, InspectionRecord


@dataclass(frozen=True)
class RuleSetFact:
    """A rule set that judged images of the batch, with its provenance; empty where it is not known."""

    name: str
    verified: bool
    title: str = ""
    source: str = ""
    edition: str = ""


@dataclass
class BatchFacts:
    """Everything that differs within a batch is counted, so that a mixed one shows all its values."""

    statuses: Counter[str] = field(default_factory=Counter)
    rule_sets: Counter[RuleSetFact] = field(default_factory=Counter)
    scale_sources: Counter[str] = field(default_factory=Counter)
    calibration_dates: Counter[str] = field(default_factory=Counter)
    versions: Counter[str] = field(default_factory=Counter)
    operators: Counter[str] = field(default_factory=Counter)
    profiles: Counter[str] = field(default_factory=Counter)
    networks: Counter[str] = field(default_factory=Counter)
    calibration_ages_days: set[int] = field(default_factory=set)  # at inspection
    first: datetime | None = None
    last: datetime | None = None
    times_s: list[float] = field(default_factory=list)

    def add(self, record: InspectionRecord) -> None:
        """Take one more image into account."""
        origin = record.provenance
        self.statuses[record.status] += 1
        if record.rule_set:
            titled = (origin.rule_set_title, origin.rule_set_source, origin.rule_set_edition)
            self.rule_sets[RuleSetFact(record.rule_set, record.rule_set_verified, *titled)] += 1
        if record.fiber is not None:
            self.scale_sources[record.scale.source] += 1
        self.calibration_dates[origin.calibration_date] += 1
        self.versions[origin.software_version] += 1
        self.operators[origin.operator] += 1
        self.profiles[record.profile] += 1
        if origin.networks:
            self.networks["; ".join(origin.networks)] += 1
        self.times_s.append(record.processing_time_s if math.isfinite(record.processing_time_s) else 0.0)
        if (at := _moment(record.inspected_at)) is not None:
            self.first, self.last = min(self.first or at, at), max(self.last or at, at)
            if (calibrated := _moment(origin.calibration_date)) is not None:
                self.calibration_ages_days.add(
                    round((at - calibrated).total_seconds() / 86400)
                )  # as the warning says it

    @property
    def images(self) -> int:
        return self.statuses.total()

    @property
    def judged(self) -> int:
        return self.statuses[PASS] + self.statuses[FAIL]

    @property
    def yield_share(self) -> float | None:
        """Share of PASS among the images with a verdict; None where there is none."""
        return self.statuses[PASS] / self.judged if self.judged else None

    @property
    def status_counts(self) -> list[tuple[str, int]]:
        """Every status that occurs, in the order of :data:`records.STATUSES`."""
        return [(status, self.statuses[status]) for status in STATUSES if self.statuses[status]]

    @property
    def lines(self) -> list[tuple[str, list[str]]]:
        """Titles with their values, the most frequent first; what nothing is known about is left out."""
        lines = [
            ("Scale", _counted(self.scale_sources)),
            ("Calibration", self._calibration()),
            ("Inspected", self._period()),
            ("Processing", self._processing()),
            ("Operator", _counted(self.operators)),
            ("Profile", _counted(self.profiles)),
            ("Networks", _counted(self.networks)),
            ("Software", [f"D-Scope Blink {text}" for text in _counted(self.versions)]),
        ]
        return [(title, values) for title, values in lines if values]

    def _calibration(self) -> list[str]:
        values = _counted(self.calibration_dates)
        if values and (ages := self.calibration_ages_days):
            low, high = min(ages), max(ages)
            values.append(f"{low if low == high else f'{low} to {high}'} days old at inspection")
        if values and "calibration.json" not in self.scale_sources:
            values.append("only checks the scale, which comes from elsewhere")
        return values

    def _period(self) -> list[str]:
        if self.first is None or self.last is None:
            return []
        first, last = (at.strftime("%Y-%m-%d %H:%M") for at in (self.first, self.last))
        return [first if first == last else f"{first} to {last}"]

    def _processing(self) -> list[str]:
        if not self.times_s:
            return []
        return [f"{duration_text(sum(self.times_s))} in all, median {statistics.median(self.times_s):.2f} s"]


def duration_text(seconds: float) -> str:
    """A duration such as "0.5 s", "3 min 20 s" or "2 h 5 min"."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def _counted(values: Counter[str]) -> list[str]:
    """The values, each with its count where there are several; empty ones are not known."""
    known = [(value or "not known", count) for value, count in values.most_common()]
    if len(known) == 1:
        return [value for value in values if value]
    return [f"{value} ({count})" for value, count in known]


def _moment(text: str) -> datetime | None:
    """A date with or without time, in its own time zone, else that of this machine; None where the text is none."""
    try:
        moment = datetime.fromisoformat(text)
        return moment if moment.tzinfo else moment.astimezone()
    except (ValueError, OverflowError, OSError):
        return None
