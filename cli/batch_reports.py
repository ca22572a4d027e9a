"""The reports on a whole batch: what is found over it, how it compares with an earlier one, and the files of both."""

from __future__ import annotations

import logging
from pathlib import Path

import comparison
import findings
import reporting
from output_names import RESULTS_FILE
from records_file import ResultsFile, stream_records
from reporting import ReportOptions
from settings import Config

logger = logging.getLogger("dscope.reports")


def report_batch(
    folder: Path, results: ResultsFile, config: Config, options: ReportOptions, old_output: Path | None = None
) -> list[str]:
    """Write all reports on the batch in ``folder``, in natural file-name order; returns what the summary remarks.

    ``old_output`` is the earlier OUTPUT to compare with. Raises :class:`errors.OutputError`.
    """
    records, limits = results.records, config.optics_dirt
    found = findings.find_in_batch(records(), limits, config.same_face)
    remarks, compared = [*findings.in_short(found)], None
    for text in findings.sentences(found):
        logger.info("%s", text)
    if old_output is not None:
        earlier = stream_records(old_output / RESULTS_FILE)
        compared = comparison.compare(earlier, records(), old_output, limits)
        logger.info("%s", comparison.by_class(compared))
        remarks.append(comparison.in_short(compared))
    reporting.write_batch_reports(folder, records, found, compared, options)
    return remarks
