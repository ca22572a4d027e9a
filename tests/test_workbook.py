"""The workbook: the tables of the CSV files with real numbers, and text that stays text."""

from __future__ import annotations

import dataclasses
import io
import sys

import pytest
from report_samples import failed_inspection, make_defect, make_inspection

import reporting
from errors import MissingDependency, OutputError
from records import FAIL, UNREADABLE, Provenance
from reports.tables import DETAIL_COLUMNS, SUMMARY_COLUMNS
from reports.workbook import workbook_bytes

openpyxl = pytest.importorskip("openpyxl")


def opened(records, run=None, **options):
    return openpyxl.load_workbook(io.BytesIO(workbook_bytes(lambda: iter(records), run or {}, **options)))


def rows(sheet):
    header, *others = sheet.iter_rows(values_only=True)
    return [dict(zip(header, row, strict=True)) for row in others]


def test_images_and_defects_have_the_columns_and_values_of_the_tables():
    record = make_inspection(
        make_defect(1), make_defect(2, "Chip", marginal=True), serial_number="0012", port="3"
    ).record
    book = opened(
        [record, failed_inspection(UNREADABLE).record], {"version": "0.1.0", "counts": {"PASS": 1}, "end": None}
    )
    assert book.sheetnames == ["Images", "Defects", "Run"]
    first, second = rows(book["Images"])
    assert tuple(first) == SUMMARY_COLUMNS
    assert first["Processing_Time_s"] == 0.123 and first["Total_Defect_Count"] == 2
    assert first["Serial_Number"] == "0012" and first["Port"] == "3"
    assert second["Total_Defect_Count"] is None and second["Pass/Fail_Status"] == UNREADABLE
    pit, chip = rows(book["Defects"])
    assert tuple(pit) == ("Image_Filename", "Serial_Number", "Port", *DETAIL_COLUMNS)
    assert (pit["Defect_ID"], chip["Defect_ID"], chip["Marginal"], chip["Length_px"]) == ("P1", "H2", True, 8.0)
    assert rows(book["Run"]) == [{"Key": "version", "Value": "0.1.0"}, {"Key": "counts.PASS", "Value": 1}]


def test_the_head_is_frozen_and_filtered_and_the_status_is_told_by_more_than_colour():
    book = opened([make_inspection(status=FAIL).record])
    for sheet in book:
        assert sheet.freeze_panes == "A2" and sheet.auto_filter.ref.startswith("A1:")
    status = book["Images"]["B2"]
    assert status.value == FAIL and status.font.bold and status.fill.fgColor.rgb.endswith("FFC7CE")
    assert book["Images"].column_dimensions["A"].width > book["Images"].column_dimensions["C"].width / 2


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@sum", "#N/A", "=HYPERLINK('x')"])
def test_no_text_is_a_formula(text):
    names = {"image_filename": text, "serial_number": text, "provenance": Provenance(operator=text)}
    book = opened([make_inspection(make_defect(violates=(text,)), **names).record], {"arguments": [text]})
    for sheet in book:
        cells = [cell for row in sheet.iter_rows() for cell in row if cell.value == text]
        assert cells and all(cell.data_type == "s" and cell.quotePrefix for cell in cells)


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("a\udcff.png", "a\\udcff.png"),
        ("a\x07\ufffe", "a\\x07\\xfffe"),
        ("scan_x0041_y0300.png", "scan_x005F_x0041_y0300.png"),
        ("x" * 40_000, "x" * 32_767),
        ("光 <b>&amp;\n", "光 <b>&amp;\n"),
    ],
)
def test_what_a_workbook_cannot_hold_is_escaped(text, stored):
    book = opened([make_inspection(image_filename=text).record])
    assert rows(book["Images"])[0]["Image_Filename"] == stored


def test_a_full_sheet_is_continued():
    record = make_inspection(*[make_defect(k) for k in range(1, 6)]).record
    book = opened([record], most_rows=3)
    assert book.sheetnames == ["Images", "Defects", "Defects 2", "Defects 3", "Run"]
    assert [row["Defect_ID"] for sheet in book for row in rows(sheet) if "Defect_ID" in row] == [
        f"P{k}" for k in range(1, 6)
    ]


def test_an_empty_batch_has_the_headers():
    assert [sheet.max_row for sheet in opened([])] == [1, 1, 1]


def test_without_the_library_one_sentence_says_so(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    monkeypatch.delitem(sys.modules, "reports.workbook")
    with pytest.raises(MissingDependency, match="openpyxl") as caught:
        reporting.check_excel()
    assert "requirements.txt" in caught.value.remedy


def test_no_room_for_temporary_files_is_one_clear_error(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("reports.workbook.Workbook.save", full)
    with pytest.raises(OutputError, match="No space left"):
        reporting.write_workbook(tmp_path, lambda: [dataclasses.replace(make_inspection().record)])
