"""The reports on a whole batch: what is found over it, how it compares with an earlier one, and the files of both."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from pathlib import Path

import comparison
import findings
import reporting
from output_names import RESULTS_FILE
from records_file import ResultsFile, stream_records
from reporting import ReportOptions
from reports.html_report import write_html_report
from settings import Config

logger = logging.getLogger("dscope.reports")


@dataclass
class BatchReports:
    """What the reports of a folder are made of; ``old_output`` is the earlier OUTPUT to compare with, None for none."""

    folder: Path
    results: ResultsFile
    config: Config
    options: ReportOptions
    old_output: Path | None = None
    _found: findings.BatchFindings = field(default_factory=findings.BatchFindings, init=False)
    _compared: comparison.Comparison | None = field(default=None, init=False)

    def write(self) -> list[str]:
        """Write all reports in natural file-name order; returns what the closing summary remarks.

        Raises :class:`errors.OutputError`.
        """
        records, limits = self.results.records, self.config.optics_dirt
        found = findings.find_in_batch(records(), limits, self.config.same_face)
        remarks, compared = [*findings.in_short(found)], None
        for text in findings.sentences(found, limits):
            logger.info("%s", text)
        if self.old_output is not None:
            earlier = stream_records(self.old_output / RESULTS_FILE)
            compared = comparison.compare(earlier, records(), self.old_output)
            logger.info("%s", comparison.by_class(compared))
            remarks.append(comparison.in_short(compared))
        reporting.write_batch_reports(self.folder, records, found, compared, self.options)
        self._found, self._compared = found, compared
        return remarks

    def link_files(self) -> None:
        """Write report.html once more, after :meth:`write`, with links to the files that have been made since.

        Raises :class:`errors.OutputError`.
        """
        write_html_report(self.folder, self.results.records(), self._found, self._compared)
