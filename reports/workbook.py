"""The results as an Excel workbook: images, defects, run. Rows are written as they come; no row is kept in memory."""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import Any

from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell
from openpyxl.styles import Font, PatternFill
from openpyxl.utils import get_column_letter

from records import FAIL, LOCALIZATION_FAILED, PASS, UNGRADED, UNREADABLE, InspectionRecord
from reports.tables import DETAIL_COLUMNS, SUMMARY_COLUMNS, detail_table, summary_table

MOST_ROWS = 1_048_576  # of a sheet, its header included
_LONGEST_TEXT = 32_767
_FORBIDDEN = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # by XML
_ESCAPE_LIKE = re.compile("_(?=x[0-9A-Fa-f]{4}_)")  # Excel reads _x0041_ as A
_STATUS_FILLS = {
    PASS: "C6EFCE",
    FAIL: "FFC7CE",
    UNGRADED: "FFEB9C",
    LOCALIZATION_FAILED: "D9D9D9",
    UNREADABLE: "D9D9D9",
}
_WIDTHS = {
    "Image_Filename": 34,
    "Failure_Reason(s)": 48,
    "Warnings": 48,
    "Rule_Set": 36,
    "Violates": 40,
    "Network_Disagreements": 48,
}
_NARROWEST = 9
_LIKE_FORMULAS = ("=", "+", "-", "@", "#")  # also when somebody edits the cell

Cell = Any  # what a sheet takes: a value, or a cell with its style


def workbook_bytes(
    records: Callable[[], Iterable[InspectionRecord]], run: Mapping[str, Any], *, most_rows: int = MOST_ROWS
) -> bytes:
    """The workbook as .xlsx; ``records`` gives the records, in order, anew for each sheet, ``run`` is shown as it is.

    Defects beyond ``most_rows`` go on in further sheets. Raises OSError when there is no room for temporary files.
    """
    book, file = Workbook(write_only=True), io.BytesIO()
    try:
        _add_sheets(book, "Images", summary_table(records()), most_rows)
        _add_sheets(book, "Defects", _defect_rows(records()), most_rows)
        _add_sheets(book, "Run", chain([("Key", "Value")], _flat(run)), most_rows)
        book.save(file)
    except BaseException:
        for sheet in book.worksheets:  # else each of them complains on stderr when it is cleared up
            with contextlib.suppress(Exception):
                sheet.close()
        raise
    return file.getvalue()


def _defect_rows(records: Iterable[InspectionRecord]) -> Iterator[Sequence[Any]]:
    """The detail tables of all images below each other, with the image before each row."""
    yield ("Image_Filename", "Serial_Number", "Port", *DETAIL_COLUMNS)
    for record in records:
        of_image = (record.image_filename, record.serial_number, record.port)
        for row in islice(detail_table(record.defects), 1, None):
            yield (*of_image, *row)


def _flat(value: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Nested values as key.key and value; what is undefined is left out."""
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield from _flat(item, f"{key}.{name}" if key else str(name))
    elif isinstance(value, (list, tuple)):
        yield key, " ".join(map(str, value))
    elif value is not None:
        yield key, value if isinstance(value, (bool, int, float)) else str(value)


def _add_sheets(book: Workbook, title: str, table: Iterable[Sequence[Any]], most_rows: int) -> None:
    """A sheet with a frozen header and filters; another one with the same header each time it is full."""
    rows = iter(table)
    header = next(rows)
    number, left = 1, next(rows, None)
    while left is not None or number == 1:
        sheet = book.create_sheet(title if number == 1 else f"{title} {number}")
        sheet.freeze_panes = "A2"
        for index, name in enumerate(header, start=1):
            sheet.column_dimensions[get_column_letter(index)].width = _WIDTHS.get(name, max(_NARROWEST, len(name) + 3))
        sheet.append([_styled(sheet, name, font=Font(bold=True)) for name in header])
        count = 1
        while left is not None and count < most_rows:
            sheet.append([_cell(sheet, name, value) for name, value in zip(header, left, strict=True)])
            left = next(rows, None)
            count += 1
        sheet.auto_filter.ref = f"A1:{get_column_letter(len(header))}{count}"
        number += 1


def _cell(sheet: Any, column: str, value: Any) -> Cell:
    """A number stays one; a text stays text, whatever it begins with; an empty one is no cell."""
    if not isinstance(value, str):
        return value
    if not value:
        return None
    if column == SUMMARY_COLUMNS[1] and value in _STATUS_FILLS:
        return _styled(sheet, value, font=Font(bold=value != PASS), fill=PatternFill("solid", _STATUS_FILLS[value]))
    text = _storable(value)
    return _styled(sheet, text, quotePrefix=True) if text.startswith(_LIKE_FORMULAS) else text


def _styled(sheet: Any, text: str, **style: Any) -> Cell:
    cell = WriteOnlyCell(sheet, text)
    cell.data_type = "s"  # not a formula, nor an error such as #N/A
    for name, value in style.items():
        setattr(cell, name, value)
    return cell


def _storable(text: str) -> str:
    """The text as a cell takes it: what XML forbids and halves of surrogate pairs become escapes."""
    shown = text.encode("utf-8", "backslashreplace").decode()
    shown = _FORBIDDEN.sub(lambda found: f"\\x{ord(found[0]):02x}", _ESCAPE_LIKE.sub("_x005F_", shown))
    return shown[:_LONGEST_TEXT]
