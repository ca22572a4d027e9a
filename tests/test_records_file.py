"""results.jsonl: what is written is whole, in whatever state a crash or a full disk has left the file."""

import json
import math
import os
from dataclasses import replace

import pytest
from config_trees import REMOVED
from main_runs import read_records
from report_samples import failed_inspection, make_defect, make_inspection

from errors import OutputError
from records import FAIL, PASS, UNREADABLE, InspectionRecord, VlmDefect, VlmOpinion
from records_file import ResultsFile


def record(name, status=PASS, **fields):
    return InspectionRecord(image_filename=name, image_path=f"/d/{name}", status=status, **fields)


def names(records):
    return [item.image_filename for item in records]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "results.jsonl"


def filled(path, *records):
    results = ResultsFile(path)
    for item in records:
        results.append(item)
    return results


def test_records_survive_the_file(path):
    lost = replace(failed_inspection(UNREADABLE).record, image_path="/images/lost.png")
    records = [make_inspection(make_defect(), status=FAIL).record, lost]
    results = filled(path, *records)
    assert len(path.read_bytes().splitlines()) == len(results) == 2
    assert sorted(map(repr, results.records())) == sorted(map(repr, records))
    assert [repr(item) for item in ResultsFile(path).records()] == [repr(item) for item in results.records()]


def test_no_results_yet_is_no_record(path):
    assert read_records(path) == [] and not path.exists()
    assert list(ResultsFile(path)) == [] and path.exists()


def test_a_name_that_is_not_unicode_survives(path):
    filled(path, record("a\udcff.png"))
    assert names(read_records(path)) == ["a\udcff.png"]


def test_the_last_record_of_an_image_counts(path):
    results = filled(path, record("a.png", UNREADABLE), record("a.png"))
    assert results.counts() == {PASS: 1} and [item.status for item in read_records(path)] == [PASS]


@pytest.mark.parametrize("torn", [b'{"image_filename": "b.p', b"{", b"\x00" * 40, b"\xff\xfe\xff"])
def test_a_torn_end_is_cut_off_before_anything_is_appended(path, torn, caplog):
    filled(path, record("a.png"))
    whole = path.read_bytes()
    path.write_bytes(whole + torn)
    assert names(read_records(path)) == ["a.png"] and path.read_bytes() == whole + torn
    results = ResultsFile(path)
    assert path.read_bytes() == whole and "line 2" in caplog.text
    results.append(record("b.png"))
    assert names(read_records(path)) == ["a.png", "b.png"] and path.read_bytes().startswith(whole)


def test_every_place_to_be_cut_at_leaves_whole_records(path):
    filled(path, record("a.png"), record("b.png"))
    data = path.read_bytes()
    first = data.index(b"\n") + 1
    for end in range(len(data)):
        path.write_bytes(data[:end])
        assert names(ResultsFile(path).records()) == (["a.png"] if end >= first else [])
        assert path.read_bytes() == data[: first if end >= first else 0]


def test_a_line_in_the_middle_that_is_no_record_is_skipped(path, caplog):
    filled(path, record("a.png"))
    with open(path, "ab") as file:
        file.write(b'[]\n{"image_filename": 3}\n')
    results = filled(path, record("b.png"))
    assert names(results.records()) == ["a.png", "b.png"]
    assert "line 2" in caplog.text and "line 3" in caplog.text
    results.tidy()
    assert len(path.read_bytes().splitlines()) == 2


DAMAGED_FIELDS = [
    *(("status", "PASSED"), ("status", 3), ("status", ["PASS"]), ("status", None), ("status", REMOVED)),
    *(("image_path", "a\0b"), ("image_path", "\ud800"), ("image_path", 7), ("image_path", ""), ("image_path", REMOVED)),
    *(("result_name", "../../elsewhere"), ("result_name", "a\\b"), ("result_name", "y" * 256), ("result_name", None)),
    *(("reasons", "none"), ("reasons", [1]), ("reasons", {}), ("warnings", [["a"]]), ("timings_s", {"a": "b"})),
    *(("image_width_px", 1.5), ("image_width_px", True), ("image_width_px", 10**400), ("processing_time_s", "1")),
    *(("focus_score", math.nan), ("focus_score", math.inf), ("fiber", []), ("fiber", {}), ("scale", None)),
    *(("zones", [{"name": "Core"}]), ("zones", {"name": "Core"}), ("defects", [None]), ("rule_set_verified", 1)),
]


@pytest.mark.parametrize(("field", "value"), DAMAGED_FIELDS)
def test_a_record_with_a_field_that_makes_no_sense_is_skipped(path, field, value, caplog):
    damaged = make_inspection(make_defect(), status=FAIL).record.to_dict() | {"image_path": "/d/b.png", field: value}
    damaged = {key: item for key, item in damaged.items() if item is not REMOVED}
    filled(path, record("a.png"))
    with open(path, "a", encoding="utf-8") as file:
        file.write(json.dumps(damaged) + "\n")
    assert names(ResultsFile(path).records()) == names(read_records(path)) == ["a.png"]
    assert "line 2" in caplog.text


@pytest.mark.parametrize(("field", "value"), [("zone", "Kern"), ("kind", "Pit"), ("length_px", "3"), ("box_px", [[1]])])
def test_a_record_with_a_defect_that_makes_no_sense_is_skipped(path, field, value):
    damaged = make_inspection(make_defect(), status=FAIL).record.to_dict() | {"image_path": "/d/b.png"}
    path.write_text(json.dumps(damaged) + "\n", encoding="utf-8")
    assert len(read_records(path)) == 1
    damaged["defects"][0][field] = value
    path.write_text(json.dumps(damaged) + "\n", encoding="utf-8")
    assert read_records(path) == []


def opinion(**changes) -> VlmOpinion:
    seen = VlmDefect("Scratch", "Core", "critical", 0.9, (10.0, 20.0, 30.5, 4.0), "core")
    usual = {"verdict": FAIL, "usable": True, "problem": "", "decided": True, "classical_status": PASS}
    marks = {"defects": (seen,), "classical_defects": (make_defect(),)}
    return VlmOpinion(**usual | marks | changes)


def test_the_opinion_of_a_model_is_kept(path):
    filled(path, replace(record("a.png"), vlm=opinion(explanation="Ein Kratzer: <b>'ü'</b> \n")))
    (found,) = read_records(path)
    assert repr(found.vlm) == repr(opinion(explanation="Ein Kratzer: <b>'ü'</b> \n"))
    assert record("a.png").vlm is None


@pytest.mark.parametrize(
    "changes",
    [
        {"verdict": ""},
        {"verdict": "UNGRADED"},
        {"usable": False, "verdict": "no"},
        {"classical_status": "PASSED"},
        {"defects": (VlmDefect("scratch", "Core", "minor", 1.0, (0.0, 0.0, 1.0, 1.0), "full"),)},
        {"defects": (VlmDefect("Scratch", "ferrule", "minor", 1.0, (0.0, 0.0, 1.0, 1.0), "full"),)},
        {"defects": (VlmDefect("Scratch", "Core", "minor", 1.0, (math.nan, 0.0, 1.0, 1.0), "full"),)},
        {"defects": (VlmDefect("Scratch", "Core", "grave", 1.0, (0.0, 0.0, 1.0, 1.0), "full"),)},
        {"classical_defects": (make_defect(zone="Kern"),)},
    ],
)
def test_an_opinion_that_makes_no_sense_is_skipped(path, changes):
    filled(path, replace(record("a.png"), vlm=opinion(**changes)), record("b.png"))
    assert names(read_records(path)) == ["b.png"]


@pytest.mark.parametrize("line", [b"[" * 100_000, b'{"a":' * 960 + b"1" + b"}" * 960, b"1" * 5000])
def test_a_line_that_json_reading_chokes_on_is_skipped(path, line):
    filled(path, record("a.png"))
    path.write_bytes(line + b"\n" + path.read_bytes())
    assert names(ResultsFile(path).records()) == names(read_records(path)) == ["a.png"]


def test_tidy_makes_one_file_of_any_order_of_work(path, tmp_path):
    filled(path, record("a2.png"), record("a10.png")).tidy()
    expected = path.read_bytes()
    other = filled(tmp_path / "other.jsonl", record("a10.png"), record("a2.png", FAIL), record("a2.png"))
    other.tidy()
    assert (tmp_path / "other.jsonl").read_bytes() == expected
    assert names(other.records()) == ["a2.png", "a10.png"]
    other.append(record("a1.png"))
    assert names(ResultsFile(tmp_path / "other.jsonl").records()) == ["a1.png", "a2.png", "a10.png"]
    assert {item.name for item in tmp_path.iterdir()} == {"results.jsonl", "other.jsonl"}


def test_what_is_in_order_is_not_written_again(path):
    results = filled(path, record("a.png"), record("b.png"))
    before = path.stat()
    results.tidy()
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_forgotten_images_are_gone_after_tidying(path):
    results = filled(path, record("a.png"), record("b.png"))
    results.forget(["/d/a.png"])
    assert results.get("/d/a.png") is None and results.counts() == {PASS: 1}
    results.tidy()
    assert names(read_records(path)) == ["b.png"]


@pytest.mark.skipif(not os.path.exists("/proc/self"), reason="needs a limit on the size of files")
def test_a_write_that_fails_half_way_leaves_the_file_as_it_was(path):
    import resource
    import signal

    results = filled(path, record("a.png"))
    before = path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 100, hard))
    try:
        with pytest.raises(OutputError, match="too large"):
            results.append(record("b.png"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)
    assert path.read_bytes() == before
    results.append(record("b.png"))
    assert names(read_records(path)) == ["a.png", "b.png"]


def test_a_file_that_has_gone_is_not_made_again(path):
    results = filled(path, record("a.png"))
    path.unlink()
    with pytest.raises(OutputError, match="no longer there") as caught:
        results.append(record("b.png"))
    assert caught.value.remedy and not path.exists()


def test_a_second_writer_is_noticed(path):
    results = filled(path, record("a.png"))
    filled(path, record("b.png"))
    with pytest.raises(OutputError, match="another program"):
        results.append(record("c.png"))
    assert names(read_records(path)) == ["a.png", "b.png"]


@pytest.mark.parametrize("blocked", ["file/results.jsonl", ""])
def test_a_place_that_cannot_be_used_is_one_clear_error(tmp_path, blocked):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match="Cannot") as caught:
        ResultsFile(tmp_path / blocked)
    assert caught.value.remedy
