"""report.html without a browser: the data it carries, what no text may break, memory and time."""

import dataclasses
import importlib.util
import json
import re
import time
import tracemalloc
from datetime import datetime, timedelta
from html.parser import HTMLParser

import numpy as np
import pytest
from html_batches import (
    BEYOND,
    NOT_UNICODE,
    PIT,
    SCRATCH,
    comparison,
    data_of,
    inspections,
    rows_of,
    write_batch,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from main_runs import one_sentence
from report_samples import NAN, make_defect, make_inspection, read_png

import main
import reporting
from errors import ExitCode, OutputError
from findings import find_in_batch
from records import FAIL, PASS, UNGRADED, UNREADABLE, Provenance, Scale
from reports.face_picture import MAX_SIDE_PX, face_jpeg
from reports.html_data import script_json
from reports.html_facts import BatchFacts, duration_text
from reports.html_report import html_page


def facts_of(*records):
    facts = BatchFacts()
    for record in records:
        facts.add(record)
    return facts


def record(**changes):
    return dataclasses.replace(make_inspection().record, **changes)


class Tags(HTMLParser):
    """The tags of a page outside of scripts, which HTMLParser leaves alone as a browser does."""

    def __init__(self, page):
        super().__init__()
        self.found = []
        self.feed(page.decode("utf-8"))

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))


# --- data -----------------------------------------------------------------------------------------------------------


@given(st.text() | st.text("<>&/!-'\"script \u2028\u2029\udcff\U0001f600"))
def test_no_text_ends_the_script_or_is_changed(text):
    encoded = script_json([text])
    assert encoded.isascii() and not {*"<>&"} & {*encoded}
    assert json.loads(encoded) == [text]


@settings(max_examples=25)
@given(st.text(st.characters(exclude_characters="/\0"), min_size=1), st.text(), st.text())
def test_names_reach_the_page_and_stay_text(name, serial, reason):
    page = html_page([record(image_filename=name, result_name=name, serial_number=serial, reasons=(reason,))])
    (row,) = rows_of(page)
    shown = [text.encode("utf-8", "backslashreplace").decode() for text in (name, serial, reason)]
    assert [row["name"], row["serial"], data_of(page)["texts"][row["reasons"][0]]] == shown
    assert row["stem"] == name
    assert len(Tags(page).found) == len(Tags(html_page([record()])).found)


def test_a_hostile_operator_or_rule_set_adds_no_tag():
    origin = Provenance(BEYOND, BEYOND, BEYOND, BEYOND, BEYOND, BEYOND)
    hostile = html_page([record(provenance=origin, rule_set=BEYOND, profile="<!-- data -->", scale=Scale(1.0, BEYOND))])
    harmless = html_page([record(provenance=Provenance(*"abcdef"), rule_set="c", profile="d", scale=Scale(1.0, "g"))])
    names = [[tag for tag, _ in Tags(page).found] for page in (hostile, harmless)]
    assert names[0] == names[1] and len(rows_of(hostile)) == 1
    assert b"alert(2)" in hostile and b"<img src=x" not in hostile


def test_sizes_are_in_um_where_there_is_a_scale_and_else_in_pixels():
    pixels = make_defect(1, x_px=280.0, y_px=150.0, um_per_px=NAN)
    page = html_page([make_inspection(PIT).record, make_inspection(pixels).record])
    fields, rows = data_of(page)["markFields"], rows_of(page)
    known = dict(zip(fields, rows[0]["marks"][0], strict=True))
    assert known["diameter"] == round(PIT.diameter_um, 3) and known["x"] == round(PIT.centroid_x_um, 2)
    unscaled = dataclasses.replace(make_inspection(pixels).record, scale=Scale())
    (row,) = rows_of(html_page([unscaled]))
    unknown = dict(zip(fields, row["marks"][0], strict=True))
    assert (unknown["diameter"], unknown["x"], unknown["y"]) == (8, 30, 20)  # y up
    assert unknown["box"] == [276, 146, 284, 146, 284, 154, 276, 154]  # y down
    assert row["scale"] is None


def test_a_mark_without_a_rectangle_gets_one():
    (row,) = rows_of(html_page([make_inspection(dataclasses.replace(PIT, box_px=())).record]))
    assert row["marks"][0][-1] == [276, 146, 284, 146, 284, 154, 276, 154]


def test_only_files_that_exist_are_offered(tmp_path):
    page = write_batch(tmp_path).read_bytes()
    texts, rows = data_of(page)["texts"], {row["name"]: row for row in rows_of(page)}
    files = {name: [texts[number] for number in row["files"]] for name, row in rows.items()}
    assert files["face2.png"] == files["a\\udcff.png"] == ["_annotated.png", "_face.jpg", "_report.csv", "_map.png"]
    assert files["bare.png"] == ["_annotated.png", "_report.csv", "_polar.png", "_map.png"]
    assert files["torn.png"] == ["_report.csv"]


def test_findings_and_comparison_name_their_images(tmp_path):
    data = data_of(write_batch(tmp_path).read_bytes())
    assert [spot["images"][1] for spot in data["findings"]["optics"]] == ["face2.png"]
    face, problem = data["comparison"]["faces"]
    assert [mark["change"] for mark in face["marks"]] == ["removed", "stayed", "new"]
    assert ["old" in mark for mark in face["marks"]] == [True, True, False]
    assert problem["problem"] == comparison().faces[1].problem
    assert data_of(html_page([]))["comparison"] is None


def test_the_same_picture_twice_is_named():
    copies = [record(image_filename=name, content_sha256="ab") for name in ("a.png", "b.png")]
    found = data_of(html_page(iter(copies), find_in_batch(copies)))
    assert found["findings"]["sameFaces"] == [{"images": ["a.png", "b.png"], "similarity": 1}]
    assert len(found["rows"]) == 2


def test_nothing_of_the_page_comes_from_elsewhere(tmp_path):
    page = write_batch(tmp_path).read_bytes()
    addresses = [
        value for _, attributes in Tags(page).found for name, value in attributes.items() if name in ("src", "href")
    ]
    assert addresses == ["data:,"]
    assert re.findall(rb"https?://[^\"']*", page) == [b"http://www.w3.org/2000/svg"]


def test_a_missing_template_library_is_said_at_the_start(isolated, monkeypatch, capsys):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert main.main(["in"]) == ExitCode.MISSING_DEPENDENCY
    assert "pip install jinja2" in one_sentence(capsys.readouterr())


def test_an_empty_batch_has_a_page():
    assert data_of(html_page([]))["rows"] == []


def test_a_details_folder_that_cannot_be_listed_is_one_sentence(tmp_path):
    (tmp_path / "details").write_text("no folder")
    with pytest.raises(OutputError, match="details"):
        reporting.write_batch_reports(tmp_path, list, find_in_batch([]))


# --- head -----------------------------------------------------------------------------------------------------------


def test_the_yield_counts_judged_images_only():
    facts = facts_of(*(record(status=status) for status in (PASS, PASS, FAIL, UNGRADED, UNREADABLE)))
    assert facts.yield_share == 2 / 3 and facts.images == 5
    assert facts.status_counts == [(PASS, 2), (FAIL, 1), (UNGRADED, 1), (UNREADABLE, 1)]
    assert facts_of(record(status=UNGRADED)).yield_share is None


def test_a_mixed_batch_lists_all_its_values():
    origins = [Provenance(operator="Ann", calibration_date="2025-01-01"), Provenance(operator="Bo")]
    times = {"inspected_at": "2025-01-11T09:00:00+00:00"}
    facts = facts_of(
        *(record(provenance=origin, profile=origin.operator, **times) for origin in (*origins, origins[0]))
    )
    lines = dict(facts.lines)
    assert lines["Operator"] == lines["Profile"] == ["Ann (2)", "Bo (1)"]
    checked = "only checks the scale, which comes from elsewhere"
    assert lines["Calibration"] == ["2025-01-01 (2)", "not known (1)", "10 days old at inspection", checked]
    page = html_page([record(rule_set="a", rule_set_verified=False), record(rule_set="b")]).decode()
    assert page.count(">unverified<") == 1 and "Rule sets" in page


@pytest.mark.parametrize("text", ["", "yesterday", "2025-02-30"])
def test_dates_that_are_none_are_left_out(text):
    facts = facts_of(record(inspected_at=text, provenance=Provenance(calibration_date=text), processing_time_s=NAN))
    assert facts.calibration_ages_days == set() and "Inspected" not in dict(facts.lines)


def test_times_of_the_batch():
    start = datetime(2025, 1, 1, 8).astimezone()
    moments = [start + timedelta(minutes=minute) for minute in (5, 0, 70)]
    facts = facts_of(*(record(inspected_at=at.isoformat(), processing_time_s=0.5) for at in moments))
    assert (facts.first, facts.last) == (start, moments[2])
    assert dict(facts.lines)["Processing"] == ["1.5 s in all, median 0.50 s"]
    assert [duration_text(seconds) for seconds in (59.94, 200, 7500)] == ["59.9 s", "3 min 20 s", "2 h 5 min"]


# --- plain picture ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "shown"), [((360, 520), (360, 520)), ((2400, 1800), (1600, 1200)), ((3, 9000), (1, 1600))]
)
def test_the_plain_picture_shows_the_whole_image(tmp_path, shape, shown):
    ramp = np.broadcast_to(np.linspace(20, 220, shape[1], dtype=np.uint8), shape)
    (tmp_path / "a.jpg").write_bytes(face_jpeg(ramp))
    picture = read_png(tmp_path / "a.jpg")
    assert picture.shape == shown and max(shown) <= MAX_SIDE_PX
    columns = (np.arange(shown[1]) + 0.5) * shape[1] / shown[1] - 0.5
    assert np.abs(picture.mean(axis=0) - np.interp(columns, np.arange(shape[1]), ramp[0])).max() < 3


def test_the_plain_picture_is_written_where_wanted(tmp_path):
    batch = [item for item in inspections() if item.record.image_filename in (NOT_UNICODE, "lost.png", "torn.png")]
    write_batch(tmp_path, batch, extras=False)
    assert {path.name for path in (tmp_path / "details").glob("*_face.jpg")} == {"a\udcff_face.jpg", "lost_face.jpg"}


# --- a large batch ---------------------------------------------------------------------------------------------------


@pytest.mark.soak
def test_ten_thousand_images_take_little_memory():
    marks = (PIT, SCRATCH, PIT, SCRATCH, PIT)
    one = make_inspection(*marks, status=FAIL, reasons=("Scratch > 3um in Cladding",)).record
    records = (
        dataclasses.replace(one, image_filename=f"{number}.png", result_name=str(number)) for number in range(10_000)
    )
    started = time.perf_counter()
    tracemalloc.start()
    page = html_page(records)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    print(f"{len(page) / 1e6:.1f} MB, {time.perf_counter() - started:.1f} s traced, peak {peak / 1e6:.0f} MB")
    assert len(page) < 15e6 and peak < 60e6 and len(rows_of(page)) == 10_000


def test_marks_on_the_optics_are_numbered_apart():
    (row,) = rows_of(html_page([make_inspection(PIT, dataclasses.replace(PIT, on_optics=True)).record]))
    assert (len(row["marks"]), row["onOptics"]) == (1, 1)
