"""Certificates: what they say, that all of it stands on the pages, and that the same results give the same bytes."""

from __future__ import annotations

import dataclasses
from datetime import datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from report_samples import REPORTING, failed_inspection, make_defect, make_inspection

import reporting
from errors import OutputError
from findings import BatchFindings, OpticsSpot, find_in_batch, sentences
from records import FAIL, LOCALIZATION_FAILED, NAN, PASS, UNGRADED, UNREADABLE, Provenance, Scale
from reports import batch_certificate, certificate
from reports.pages import BOTTOM_PT, MARGIN_PT, RIGHT_PT, Box, Picture, Text, pdf_bytes, printable, text_width, wrapped

MADE = "2026-03-04T10:00:01+01:00"
ABOUT = Provenance("0.1.0", "Zoë O'Neil", "A title", "A vendor's print", "2015", "2026-01-02T03:04:05+00:00")
HOSTILE = ["<script> $x^2$ \\frac", "光 \U0001f600 a\udcffb a\x07\nb\u202e", "é" * 255]


def batch_pages(records):
    """The pages of a batch's certificate, and its date."""
    return batch_certificate.lay_out(records, find_in_batch(records()))


def a_record(*defects, **changes):
    values = {"provenance": ABOUT, "inspected_at": MADE, "serial_number": "12345", "port": "03", **changes}
    return make_inspection(*defects, content_sha256="ab" * 32, **values).record


def texts(flow):
    return [item.text for page in flow.pages for item in page if isinstance(item, Text)]


def said(flow):
    return "\n".join(texts(flow))


# --- pages -----------------------------------------------------------------------------------------------------------


@given(st.text(st.characters(codec=None), max_size=120), st.floats(5, 400), st.booleans())
@settings(max_examples=60)
def test_wrapping_keeps_every_character_and_the_width(text, width, bold):
    lines = wrapped(text, width, 8, bold)
    assert "".join(lines).replace(" ", "") == printable(text).replace(" ", "")
    assert all(text_width(line, 8, bold) <= width or len(line) == 1 for line in lines)


def test_what_the_fonts_lack_is_a_mark_and_no_formula_is_set():
    assert printable("Zoë $x$\t光") == "Zoë $x$ \N{REPLACEMENT CHARACTER}"
    assert printable("a\udcff.png") == "a\\udcff.png"
    assert printable("u\u0308") == "ü"


def inside(flow):
    """Whether all that stands on the pages lies between the margins, the foot aside."""
    for page in flow.pages:
        for item in page[:-3]:
            if isinstance(item, Text):
                assert item.baseline <= BOTTOM_PT + 1 and item.x >= MARGIN_PT
                assert item.x + text_width(item.text, item.size, item.bold) <= RIGHT_PT + 0.5
            else:
                assert item.top + item.height <= BOTTOM_PT + 1 and item.x + item.width <= RIGHT_PT + 0.5
    return True


# --- of one image ----------------------------------------------------------------------------------------------------


def test_the_certificate_says_who_what_when_and_by_what():
    defects = (make_defect(1, "Scratch", violates=("Scratch > 3um in Cladding",), width_um=4.25), make_defect(2))
    record = a_record(
        *defects,
        status=FAIL,
        reasons=("Scratch > 3um in Cladding",),
        warnings=("Out of focus.",),
        rule_set_verified=False,
    )
    shown = said(certificate.lay_out(record))
    for part in (
        *("face.png", "12345", "03", "Zoë O'Neil", "2026-03-04 10:00:01 +0100", "2026-01-02T03:04:05+00:00"),
        *("A title, edition 2015 (house)", "NOT VERIFIED", "A vendor's print", "D-Scope Blink 0.1.0", "ab" * 32),
        *("cladding 125.0 µm", "from given dimensions", "FAIL", "2 marks found", "Warning: Out of focus."),
        *("57.5 µm", "67.5 µm", "S1", "P2", "4.2", "Signature", "Page 1 of 1", "no annotated picture"),
    ):
        assert part in shown, part


def test_the_worst_marks_come_first_and_stand_out_without_colour():
    record = a_record(make_defect(1), make_defect(2, violates=("a",)), make_defect(3, marginal=True))
    flow = certificate.lay_out(record)
    ids = [item for page in flow.pages for item in page if isinstance(item, Text) and item.text in ("P1", "P2", "P3")]
    assert [(item.text, item.bold) for item in ids] == [("P2", True), ("P3", False), ("P1", False)]
    assert "- (marginal)" in texts(flow)


@pytest.mark.parametrize(("count", "pages"), [(0, 1), (1, 1), (40, 2), (400, 10)])
def test_every_mark_is_on_a_page_and_the_pages_are_counted(count, pages):
    defects = [make_defect(k, violates=("Pit/Dig > 5um in Cladding", "more") * (k % 2)) for k in range(1, count + 1)]
    flow = certificate.lay_out(a_record(*defects), np.zeros((600, 800, 3), np.uint8))
    assert {f"P{k}" for k in range(1, count + 1)} <= set(texts(flow))
    assert abs(len(flow.pages) - pages) <= pages // 4
    for number, page in enumerate(flow.pages, start=1):
        assert page[-1].text == f"Page {number} of {len(flow.pages)}"
    assert inside(flow)


@pytest.mark.parametrize("shape", [(2000, 30), (30, 2000), (1, 1), (2400, 2400)])
def test_pictures_of_any_shape_fit(shape):
    flow = certificate.lay_out(a_record(), np.zeros((*shape, 3), np.uint8))
    (picture,) = [item for item in flow.pages[0] if isinstance(item, Picture)]
    assert inside(flow) and picture.width > 0 and picture.pixels.shape[1] <= 1000


def test_without_a_scale_lengths_are_pixels():
    record = dataclasses.replace(a_record(make_defect(1, um_per_px=NAN), status=UNGRADED), scale=Scale())
    shown = said(certificate.lay_out(record))
    assert "lengths in px" in shown and "none: sizes are in pixels" in shown and "µm" not in shown


@pytest.mark.parametrize("status", [LOCALIZATION_FAILED, UNREADABLE])
def test_an_image_that_was_not_inspected_has_no_marks_and_no_zones(status):
    flow = certificate.lay_out(failed_inspection(status).record)
    shown = said(flow)
    assert status.upper() in shown and "No ring was found" in shown and "not found in the image" in shown
    assert "Zones" not in texts(flow) and "marks found" not in shown


def test_hostile_text_is_drawn():
    text = "".join(HOSTILE[:2])
    record = a_record(image_filename=text, serial_number=text, reasons=(text,), provenance=Provenance(*[text] * 6))
    for data in (
        certificate.certificate_pdf(record),
        batch_certificate.batch_certificate_pdf(lambda: [record], BatchFindings()),
    ):
        assert data.startswith(b"%PDF") and data.count(b"/Type /Page ") == 1


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_stays_text_and_on_the_page(text):
    names = {"image_filename": text, "serial_number": text, "port": text, "rule_set": text, "profile": text}
    about = Provenance(*[text] * 6)
    record = a_record(
        make_defect(1, violates=(text,)), **names, reasons=(text,) * 3, warnings=(text,), provenance=about
    )
    record = dataclasses.replace(record, inspected_at=text, content_sha256=text)
    assert inside(certificate.lay_out(record))
    assert inside(batch_pages(lambda: [record])[0])


def test_the_same_record_gives_the_same_bytes(tmp_path):
    inspection = make_inspection(make_defect(1, "Scratch"), make_defect(2, "Chip"), provenance=ABOUT, inspected_at=MADE)
    reporting.write_image_files(inspection, tmp_path, "face", REPORTING)
    record = dataclasses.replace(inspection.record, result_name="face")
    reporting.write_certificate(record, tmp_path)
    data = (tmp_path / "face_certificate.pdf").read_bytes()
    assert b"/CreationDate (D:20260304090001Z)" in data and b"/FontDescriptor" in data
    reporting.write_certificate(record, tmp_path)
    assert (tmp_path / "face_certificate.pdf").read_bytes() == data


def test_a_certificate_belongs_to_its_record(tmp_path):
    record = dataclasses.replace(a_record(), result_name="face")
    assert not reporting.is_certified(record, tmp_path)
    reporting.write_certificate(record, tmp_path)
    assert reporting.is_certified(record, tmp_path)
    assert not reporting.is_certified(dataclasses.replace(record, status=FAIL), tmp_path)


@pytest.mark.parametrize("text", ["", "yesterday", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
def test_what_is_no_time_is_no_date(text):
    assert certificate.date_of(text) is None
    assert "2026-03-04 10:00 +0000" in said(batch_pages(lambda: [a_record(inspected_at="2026-03-04T10:00")])[0])


def test_a_damaged_picture_is_left_out(tmp_path):
    (tmp_path / "face_annotated.png").write_bytes(b"no picture")
    reporting.write_certificate(dataclasses.replace(a_record(), result_name="face"), tmp_path)
    assert (tmp_path / "face_certificate.pdf").stat().st_size > 1000


# --- of a batch ------------------------------------------------------------------------------------------------------


def test_the_batch_certificate_counts_and_names_every_image():
    records = [
        a_record(image_filename="one.png"),
        a_record(image_filename="two.png", status=FAIL, reasons=("Chip in Core", "Chip in Core")),
        a_record(image_filename="three.png", rule_set_verified=False, inspected_at="2026-03-05T01:00:00+01:00"),
        dataclasses.replace(failed_inspection(UNREADABLE).record, image_filename="four.png"),
    ]
    flow, made = batch_pages(lambda: iter(records))
    shown = texts(flow)
    for part in (
        *(
            "2 of 3 judged images pass: yield 66.7%",
            "NOT ALL PASS",
            "UNREADABLE",
            "one.png",
            "two.png",
            "three.png",
            "four.png",
        ),
        *(
            "NOT INSPECTED: 1 of 4 images. Nothing is certified of them.",
            "Chip in Core",
            "25.0%",
            "Zoë O'Neil (3 images)",
        ),
        "2026-03-04 10:00 +0100 to 2026-03-05 01:00 +0100",
    ):
        assert part in shown, part
    assert made == datetime.fromisoformat("2026-03-05T01:00:00+01:00")
    assert any("NOT VERIFIED" in text for text in shown)
    (lost,) = [item for page in flow.pages for item in page if isinstance(item, Text) and item.text == "four.png"]
    assert lost.bold
    assert any(isinstance(item, Box) and item.color == certificate.SHADE for item in flow.pages[0])


def test_a_batch_that_passes_and_one_without_images():
    flow, _ = batch_pages(lambda: [a_record()])
    assert "ALL PASS" in texts(flow) and "1 of 1 judged image pass: yield 100.0%" in texts(flow)
    flow, made = batch_pages(lambda: [])
    assert "No image was judged" in texts(flow) and made is None and "ALL PASS" not in texts(flow)


def test_marginal_verdicts_are_named():
    record = a_record(image_filename="close.png", marginal=True)
    assert any("verdict is marginal" in text for text in texts(certificate.lay_out(record)))
    assert any("close.png" in text and "looked at again" in text for text in texts(batch_pages(lambda: [record])[0]))


def test_a_long_batch_repeats_the_head_of_its_table():
    base = a_record(status=FAIL, reasons=("Pit/Dig in Core", "Scratch > 3um in Cladding"))
    records = [dataclasses.replace(base, image_filename=f"face{number}.png") for number in range(300)]
    flow, _ = batch_pages(lambda: records)
    assert {record.image_filename for record in records} <= set(texts(flow))
    assert len(flow.pages) > 4 and inside(flow)
    assert texts(flow).count("Reasons") == len(flow.pages)


def test_a_folder_that_cannot_be_written_is_one_clear_error(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    with pytest.raises(OutputError, match="Cannot write"):
        reporting.write_certificate(dataclasses.replace(a_record(), result_name="face"), blocked)
    with pytest.raises(OutputError, match="Cannot write"):
        reporting.write_batch_reports(blocked, lambda: [], BatchFindings(), options=reporting.ReportOptions(pdf=True))


def test_passing_and_no_date_are_enough_for_a_file():
    assert pdf_bytes([[]], title="x", made=None).startswith(b"%PDF")
    assert certificate.certificate_pdf(dataclasses.replace(a_record(status=PASS), inspected_at="")).startswith(b"%PDF")


def test_marks_on_the_optics_are_owned_up_to_but_not_counted():
    shown = said(certificate.lay_out(a_record(make_defect(1, on_optics=True), status=PASS)))
    assert "Verdict: PASS; no marks found" in shown
    assert "1 mark on the optics, neither counted nor judged." in shown
    assert "on the optics" not in said(certificate.lay_out(a_record(make_defect(1), status=PASS)))


def test_a_spot_on_the_optics_is_described_as_in_the_log():
    spot = OpticsSpot(360.4, 280.0, 12.0, "dark", ("a.png", "b.png"))
    found = BatchFindings((spot,), optics_counted=False)
    (sentence,) = sentences(found)
    assert "not counted" in sentence
    flow, _ = batch_certificate.lay_out(lambda: [a_record()], found)
    assert sentence in " ".join(texts(flow))
