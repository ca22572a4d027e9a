"""Before and after: what became of every mark, whatever the turn, the scale and the names of the files."""

from __future__ import annotations

import csv
import io
import math
from dataclasses import replace
from pathlib import Path

import pytest
from findings_samples import PLACES, mark_on_face, picture
from hypothesis import given, settings
from hypothesis import strategies as st
from main_runs import KNOWN, images, one_sentence

import main
from comparison import NEW, REMOVED, STAYED, by_class, compare, compare_faces, in_short
from errors import ExitCode
from records import LOCALIZATION_FAILED, UNGRADED, Scale
from records_file import ResultsFile, stream_records
from reports.comparison_table import COMPARISON_COLUMNS, comparison_table
from reports.tables import csv_bytes
from settings import OpticsDirt

PITS = [
    (20.0, 5.0, 4.0),
    (-31.0, 12.0, 6.0),
    (8.0, -40.0, 3.0),
    (-12.0, -22.0, 8.0),
    (33.0, 30.0, 5.0),
]  # um: x, y, size
UM_PER_PX = 0.4


def face(marks, name="a.png", um_per_px=UM_PER_PX, **changes):
    """A face with marks (x, y, diameter) in um, or ready ones."""
    defects = tuple(
        mark if not isinstance(mark, tuple) else pit(*mark, label=k, um_per_px=um_per_px)
        for k, mark in enumerate(marks, start=1)
    )
    zones = tuple(
        replace(z, inner_radius_px=40.0 * k / um_per_px, outer_radius_px=40.0 * (k + 1) / um_per_px)
        for k, z in enumerate(picture(0, PLACES[0]).zones)
    )
    values = {"image_filename": name, "image_path": f"/i/{name}", "scale": Scale(um_per_px, "given dimensions")}
    return picture(0, PLACES[0], defects=defects, zones=zones, **{**values, **changes})


def pit(x_um, y_um, size_um, label=1, um_per_px=UM_PER_PX, **changes):
    size_px = size_um / um_per_px
    sizes = {"size_px": size_px, "width_px": size_px}
    return mark_on_face(x_um, y_um, label, um_per_px=um_per_px, **{**sizes, **changes})


def scratch(x_um, y_um, length_um, direction_deg, label=1):
    sizes = {"size_px": length_um / UM_PER_PX, "width_px": 1.0 / UM_PER_PX, "orientation_deg": direction_deg}
    return mark_on_face(x_um, y_um, label, kind="Scratch", **sizes)


def turned(marks, angle_deg):
    cos, sin = math.cos(math.radians(angle_deg)), math.sin(math.radians(angle_deg))
    return [(cos * x - sin * y, sin * x + cos * y, size) for x, y, size in marks]


def changes(old, new):
    return [item.change for item in compare_faces(face(old), face(new)).marks]


def test_marks_are_removed_stay_or_are_new():
    found = compare_faces(face(PITS), face([PITS[1], PITS[3], (0.0, 45.0, 3.0)]))
    assert [item.change for item in found.marks].count(REMOVED) == 3 and found.turned_deg == 0
    stayed = [(item.old.label, item.new.label) for item in found.marks if item.change == STAYED]
    assert stayed == [(2, 1), (4, 2)] and [item.new.label for item in found.marks if item.change == NEW] == [3]


def test_a_mark_may_move_and_grow_a_little_but_not_more():
    x, y, size = PITS[0]
    assert changes(PITS, [(x + 1.0, y - 0.5, 1.3 * size), *PITS[1:]]) == [STAYED] * 5
    assert sorted(changes(PITS, [(x + 6.0, y, size), *PITS[1:]])) == [NEW, REMOVED, *[STAYED] * 4]
    assert sorted(changes(PITS, [(x, y, 6 * size), *PITS[1:]]))[-4:] == [STAYED] * 4


@settings(max_examples=30, deadline=None)
@given(st.floats(-180, 180), st.sets(st.integers(0, 4), min_size=4), st.sampled_from([0.2, 0.4, 0.9]))
def test_a_turned_face_is_turned_back_at_any_magnification(angle_deg, kept, um_per_px):
    new = turned([PITS[k] for k in sorted(kept)], angle_deg)
    found = compare_faces(face(PITS), face(new, um_per_px=um_per_px))
    counts = [item.change for item in found.marks]
    assert counts.count(STAYED) == len(kept) and counts.count(REMOVED) == 5 - len(kept) and NEW not in counts
    small = abs(angle_deg) < 5  # no turn is assumed where the marks agree without one
    assert math.remainder(found.turned_deg - angle_deg, 360) == pytest.approx(0, abs=5 if small else 1.5)


def test_without_a_scale_radii_are_compared():
    old = replace(face(PITS), scale=Scale())
    assert [item.change for item in compare_faces(old, face(PITS)).marks] == [STAYED] * 5


def test_too_few_marks_tell_no_turn():
    found = compare_faces(face(PITS[:1]), face(turned(PITS[:1], 70)))
    assert found.turned_deg == 0 and [item.change for item in found.marks] == [REMOVED, NEW]


def test_a_long_scratch_and_a_pit_tell_the_turn():
    old = [scratch(5.0, 20.0, 60.0, 10.0), pit(*PITS[2], label=2)]
    (x, y, _), pit_after = turned([(5.0, 20.0, 0.0), PITS[2]], 100)
    found = compare_faces(face(old), face([scratch(x, y, 58.0, 110.0), pit(*pit_after, label=2)]))
    assert [item.change for item in found.marks] == [STAYED] * 2 and found.turned_deg == pytest.approx(100, abs=1)


def test_a_scratch_in_two_pieces_has_stayed():
    whole, pieces = (
        [scratch(0.0, 20.0, 60.0, 0.0)],
        [scratch(-17.0, 20.3, 22.0, 2.0), scratch(16.0, 19.8, 26.0, 178.0, 2)],
    )
    assert changes(whole, pieces) == changes(pieces, whole) == [STAYED, STAYED]
    beside = [scratch(-17.0, 26.0, 22.0, 2.0)]
    assert changes(whole, beside) == [REMOVED, NEW]
    across = [scratch(0.0, 20.0, 20.0, 90.0)]
    assert changes(whole, across) == [REMOVED, NEW]


def test_only_where_both_looked_marks_are_compared():
    old, new = face(PITS), face([])
    new = replace(new, zones=tuple(replace(z, inspected=z.name == "Core") for z in new.zones))  # within 40 um
    assert {round(math.hypot(*PITS[item.old.label - 1][:2])) for item in compare_faces(old, new).marks} == {21, 25, 33}
    assert {round(math.hypot(*PITS[item.new.label - 1][:2])) for item in compare_faces(new, old).marks} == {21, 25, 33}


@pytest.mark.parametrize(
    ("broken", "problem"),
    [
        ({"fiber": None, "status": LOCALIZATION_FAILED}, "No fibre was found in the later image."),
        ({"status": UNGRADED, "reasons": ("Too blurred to be judged: focus score 0.1, limit 0.2",)}, "too blurred"),
    ],
)
def test_an_image_that_shows_nothing_proves_no_cleaning(broken, problem):
    found = compare_faces(face(PITS), replace(face([]), **broken))
    assert found.marks == () and problem in found.problem


def test_marks_on_the_optics_are_on_no_face():
    dirt, same_place = pit(*PITS[0], on_optics=True), pit(*PITS[0])
    assert changes([dirt], []) == []
    assert changes([dirt], [same_place]) == changes([same_place], [dirt]) == []  # known from one of both batches only
    assert changes([dirt], [pit(*PITS[1], x_px=80.0)]) == [NEW]
    assert changes([dirt], [replace(same_place, polarity="bright")]) == [NEW]
    larger = (*PITS[0][:2], 3 * PITS[0][2])
    assert changes([dirt], [pit(*larger)]) == [NEW]  # dirt hides no larger mark
    aside = pit(*PITS[0], x_px=same_place.centroid_x_px + 6.0)
    assert changes([dirt], [aside]) == [NEW]
    wide = OpticsDirt(position_px=10.0)
    assert compare_faces(face([dirt]), face([aside]), wide).marks == ()
    other_camera = replace(face([dirt]), image_width_px=1)
    assert [item.change for item in compare_faces(other_camera, face([same_place])).marks] == [NEW]


# --- which images belong together ------------------------------------------------------------------------------------


def test_images_belong_together_by_serial_number_and_port_else_by_name():
    old = [
        face(PITS, "x.png", serial_number="A1", port="2"),
        face(PITS[:2], "x2.png", serial_number="A1", port="3"),
        face(PITS, "Shelf/B.PNG"),
        face(PITS, "gone.png"),
    ]
    new = [face([], "y.png", serial_number="a1", port="3"), face([], "b.jpg"), face([], "fresh.png")]
    found = compare(old, new, "old")
    assert [(item.key, item.old_image) for item in found.faces] == [("a1 3", "x2.png"), ("b", "Shelf/B.PNG")]
    assert found.only_new == ("fresh.png",) and found.only_old == ("x.png", "gone.png")
    assert in_short(found) == "2 faces compared: 7 marks removed, 0 stayed, 0 new; 1 not compared"
    assert by_class(found) == "Compared with old: Pit/Dig 7 removed, 0 stayed, 0 new."


def test_of_several_earlier_images_the_one_of_the_same_name_counts_else_the_last():
    old = [face(PITS[:k], f"{folder}/a.png") for k, folder in enumerate("pqr")]
    assert [f.old_image for f in compare(old, [face([], "q/a.png"), face([], "s/a.png")], "").faces] == [
        "q/a.png",
        "r/a.png",
    ]


def test_the_table_has_a_row_for_every_mark_and_every_image_left_out():
    hostile = '<script>"\u00e4;,\udcff.png'
    found = compare([face(PITS[:2], hostile), face([], "old.png")], [face(PITS[1:3], hostile), face([], "n.png")], "o")
    text = csv_bytes(comparison_table(found)).decode("utf-8")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert tuple(rows[0]) == COMPARISON_COLUMNS
    assert [row["Change"] for row in rows] == [REMOVED, STAYED, NEW, "", ""]
    assert rows[1]["Old_Defect_ID"] == "P2" and rows[1]["New_Defect_ID"] == "P1"
    assert float(rows[1]["Old_Diameter_um"]) == 6.0 and rows[0]["New_Diameter_um"] == ""
    assert [row["Note"] for row in rows[3:]] == ["No earlier image of this face.", "No later image of this face."]
    assert rows[0]["Old_Image"].startswith('<script>"\u00e4;,')


# --- on the command line ---------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("by_name")
def test_compare_on_the_command_line(capsys):
    images("pass1.png", "pass2.png")
    assert main.main(["in", "-o", "before", *KNOWN]) == ExitCode.OK
    results = Path("before/results.jsonl")
    content = results.read_bytes()
    assert main.main(["in", "-o", "after", *KNOWN, "--compare", "before"]) == ExitCode.OK
    assert "0 faces compared: 0 marks removed, 0 stayed, 0 new; 2 not compared" in capsys.readouterr().out
    assert Path("after/comparison.csv").read_text(encoding="utf-8").count("No fibre was found") == 2
    assert results.read_bytes() == content
    assert main.main(["in", "-o", "after", *KNOWN, "--resume"]) == ExitCode.OK  # no comparison with what was then
    assert not Path("after/comparison.csv").exists()


@pytest.mark.usefixtures("by_name")
@pytest.mark.parametrize(("old", "words"), [("nowhere", "no results.jsonl"), ("out", "OUTPUT itself")])
def test_what_cannot_be_compared_is_said_before_anything_is_done(capsys, old, words):
    images("pass1.png")
    Path("out").mkdir()
    Path("out/results.jsonl").touch()
    assert main.main(["in", "-o", "out", *KNOWN, "--overwrite", "--compare", old]) == ExitCode.INVALID_INPUT
    assert words in one_sentence(capsys.readouterr()) and not Path("out/run.json").exists()


def test_records_are_streamed_as_they_are_read_at_once(tmp_path):
    path = tmp_path / "results.jsonl"
    results = ResultsFile(path)
    for name in ("f10.png", "f2.png", "f10.png"):
        results.append(face(PITS, name))
    path.write_bytes(path.read_bytes() + b'{"torn')
    assert [record.image_filename for record in stream_records(path)] == ["f2.png", "f10.png"]
    assert path.read_bytes().endswith(b"torn")
