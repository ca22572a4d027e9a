"""report.html: a batch on one page that needs nothing but the pictures in details/ beside it."""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import os
from collections.abc import Iterable
from pathlib import Path

from comparison import Comparison
from errors import MissingDependency, OutputError
from findings import BatchFindings
from image_io import write_bytes
from output_names import DETAILS_FOLDER, REPORT_FILE
from records import InspectionRecord
from reports.html_data import Texts, page_data, row, script_json
from reports.html_facts import BatchFacts

_PARTS = Path(__file__).parent / "html"
# in the order in which they build on each other
_SCRIPTS = ("data.js", "selection.js", "table.js", "overlay.js", "viewer.js", "charts.js", "map.js", "sections.js")
_DATA_PLACE = "<!-- data -->"  # no text of a batch can read like this: it would be escaped


def check_jinja() -> None:
    """Raise :class:`MissingDependency` when Jinja2 is not there: at the start, since it is only loaded at the end."""
    if importlib.util.find_spec("jinja2") is None:
        raise MissingDependency("Jinja2, which report.html needs, is not installed.", "Run: pip install jinja2")


def write_html_report(
    output_dir: Path,
    records: Iterable[InspectionRecord],
    found: BatchFindings,
    compared: Comparison | None = None,
) -> None:
    """Write ``report.html``; of the records only the rows of the page are kept. Raises :class:`OutputError`."""
    write_bytes(output_dir / REPORT_FILE, html_page(records, found, compared, _names_in(output_dir)))


def html_page(
    records: Iterable[InspectionRecord],
    found: BatchFindings = BatchFindings(),  # noqa: B008 (frozen)
    compared: Comparison | None = None,
    files: frozenset[str] = frozenset(),
) -> bytes:
    """The page, UTF-8; ``files`` are the names of the files in details/."""
    facts, texts = BatchFacts(), Texts()
    rows = []
    for record in records:
        facts.add(record)
        rows.append(script_json(row(record, files, texts)))
    before, after = (part.encode("utf-8", "backslashreplace") for part in _frame(facts).split(_DATA_PLACE))
    data = (piece.encode("ascii") for piece in page_data(rows, texts, found, compared))
    return b"".join((before, *data, after))


def _frame(facts: BatchFacts) -> str:
    """The page around its data."""
    import jinja2  # costs time that only the main process spends

    script = "\n".join((_PARTS / name).read_text(encoding="utf-8") for name in _SCRIPTS)
    digest = base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")
    loader = jinja2.FileSystemLoader(_PARTS)
    environment = jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined)
    return environment.get_template("report.html.j2").render(
        facts=facts,
        style=(_PARTS / "style.css").read_text(encoding="utf-8"),
        script=script,
        script_sha256=digest,
        data_place=_DATA_PLACE,
    )


def _names_in(output_dir: Path) -> frozenset[str]:
    try:
        return frozenset(os.listdir(output_dir / DETAILS_FOLDER))
    except FileNotFoundError:
        return frozenset()
    except OSError as error:
        raise OutputError(
            f"Cannot read {output_dir / DETAILS_FOLDER}: {error.strerror or error}.", "Check its permissions."
        ) from error
