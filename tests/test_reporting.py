"""Tables, records and files: columns, units, and what happens when the disk says no."""

from __future__ import annotations

import dataclasses
import datetime
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from main_runs import ROOT
from report_samples import (
    ELLIPSE,
    REPORTING,
    UM_PER_PX,
    failed_inspection,
    files_in,
    make_defect,
    make_inspection,
    read_png,
    rows_of,
)

import reporting
from errors import OutputError
from records import (
    FAIL,
    LOCALIZATION_FAILED,
    NAN,
    UNREADABLE,
    Fiber,
)
from reports.annotate import annotated_picture
from reports.polar_plot import polar_picture
from reports.tables import csv_bytes, detail_table, summary_table

SUMMARY_HEADER = (
    "Image_Filename,Pass/Fail_Status,Processing_Time_s,Total_Defect_Count,Core_Defect_Count,Cladding_Defect_Count,"
    "Failure_Reason(s),Adhesive_Defect_Count,Contact_Defect_Count,Fiber_Center_X_px,Fiber_Center_Y_px,"
    "Cladding_Major_Axis_px,Cladding_Minor_Axis_px,Ellipse_Angle_deg,Core_Diameter_px,Core_Source,Um_Per_Px,"
    "Scale_Source,Localization_Method,Localization_Score,Focus_Score,Rule_Set,Warnings,"
    "Serial_Number,Port,Operator,Marginal_Verdict,torch_quality_label,torch_quality_confidence,Network_Disagreements,"
    "VLM_Verdict,VLM_Decided,VLM_Explanation"
)
DETAIL_HEADER = (
    "Defect_ID,Zone,Classification,Confidence_Score,Centroid_X_um,Centroid_Y_um,Length_um,Width_um,Area_um2,"
    "Diameter_um,Centroid_X_px,Centroid_Y_px,Length_px,Width_px,Diameter_px,Area_px,Perimeter_px,Circularity,"
    "Aspect_Ratio,Orientation_deg,Contrast,Polarity,Radius_um,Angle_deg,Zones_Touched,Detected_By,Marginal,Violates,"
    "On_Optics,ml_class,ml_confidence,rule_class"
)
UM_COLUMNS = [name for name in DETAIL_HEADER.split(",") if name.endswith(("_um", "_um2"))]


# --- tables --------------------------------------------------------------------------------------------------------


def test_empty_tables_are_the_exact_headers(tmp_path):
    assert csv_bytes(detail_table([])).decode() == DETAIL_HEADER + "\n"
    reporting.write_summary(tmp_path, [])
    assert (tmp_path / "summary_report.csv").read_bytes().decode() == SUMMARY_HEADER + "\n"


def test_detail_row_has_every_value_in_its_unit():
    defect = make_defect(
        3, "Scratch", x_px=10.126, length_um=15.23456, angle_deg=-12.34, marginal=True, violates=("a > 1um", "b")
    )
    (row,) = rows_of(csv_bytes(detail_table([defect])))
    assert ",".join(row) == DETAIL_HEADER
    assert row["Defect_ID"] == "S3"
    assert row["Classification"] == "Scratch"
    assert row["Centroid_X_px"] == "10.13"
    assert row["Length_um"] == "15.235"
    assert row["Angle_deg"] == "-12.3"
    assert row["Zones_Touched"] == "Core;Cladding"
    assert row["Detected_By"] == "do2mr;lei"
    assert row["Marginal"] == "True"
    assert row["Violates"] == "a > 1um; b"


def test_without_a_scale_every_um_field_is_empty():
    (row,) = rows_of(csv_bytes(detail_table([make_defect(um_per_px=NAN)])))
    assert {row[name] for name in UM_COLUMNS} == {""}
    assert row["Length_px"] == "8.0"


def test_summary_row_counts_by_zone_and_rounds():
    defects = [make_defect(1, zone="Core"), make_defect(2), make_defect(3), make_defect(4, zone="Contact")]
    record = make_inspection(*defects, status=FAIL, reasons=("Scratch > 3um in Cladding", "Chip in Core")).record
    (row,) = rows_of(csv_bytes(summary_table([record])))
    counts = [row[f"{name}_Defect_Count"] for name in ("Total", "Core", "Cladding", "Adhesive", "Contact")]
    assert counts == ["4", "1", "2", "0", "1"]
    assert row["Failure_Reason(s)"] == "Scratch > 3um in Cladding; Chip in Core"
    assert row["Cladding_Major_Axis_px"] == "220.0"
    assert row["Processing_Time_s"] == "0.123"
    assert float(row["Um_Per_Px"]) == pytest.approx(UM_PER_PX, rel=1e-5)


def test_summary_of_an_image_that_could_not_be_inspected_has_no_counts():
    good = make_inspection().record
    bad = failed_inspection(UNREADABLE).record
    first, second = rows_of(csv_bytes(summary_table([good, bad])))
    assert first["Total_Defect_Count"] == "0"
    assert second["Total_Defect_Count"] == second["Core_Source"] == second["Scale_Source"] == ""
    assert second["Failure_Reason(s)"] == "No ring was found"


def test_an_unverified_rule_set_is_named_so_in_the_summary():
    record = make_inspection(rule_set_verified=False).record
    assert rows_of(csv_bytes(summary_table([record])))[0]["Rule_Set"] == "house (not verified)"


@pytest.mark.parametrize(
    "name", ["=1+1.png", "+a.png", "-b.png", "@c.png", 'quo"te, comma.png', "zeile\n2.png", "Größe µ 光.png"]
)
def test_file_names_stay_text(name):
    record = dataclasses.replace(make_inspection().record, image_filename=name)
    assert rows_of(csv_bytes(summary_table([record])))[0]["Image_Filename"] == name


def test_a_file_name_that_is_not_unicode_is_written_nevertheless(tmp_path):
    record = dataclasses.replace(make_inspection().record, image_filename="a\udcff.png")
    reporting.write_summary(tmp_path, [record])
    assert b"a\\udcff.png" in (tmp_path / "summary_report.csv").read_bytes()


def test_the_program_starts_without_pandas_and_matplotlib():
    """Each of them takes as long to import as everything else together."""
    code = "import main, sys; print(sorted({'pandas', 'matplotlib', 'scipy'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


# --- run.json --------------------------------------------------------------------------------------------------------


def test_run_json_takes_what_a_run_is_described_by(tmp_path):
    described = {
        "start": datetime.datetime(2024, 5, 17, 8, 30),
        "path": Path("a") / "ü",
        "scale": NAN,
        "fiber": Fiber(ELLIPSE),
        "count": np.int64(3),
        "zones": ("Core",),
    }
    reporting.write_run_json(tmp_path, described)
    read = json.loads((tmp_path / "run.json").read_text(encoding="utf-8"))
    assert read["start"] == "2024-05-17T08:30:00"
    assert read["scale"] is None
    assert read["fiber"]["cladding"]["major_px"] == 220.0
    assert (read["count"], read["zones"]) == (3, ["Core"])


# --- files of one image --------------------------------------------------------------------------------------------


def test_all_files_of_an_image_with_an_awkward_name(tmp_path):
    inspection = make_inspection(make_defect(1, x_px=280.0), make_defect(2, x_px=200.0))
    details = tmp_path / "details"
    reporting.write_image_files(inspection, details, "Fläche [1] µ", REPORTING, save_masks=True, save_zones=True)
    suffixes = (
        "report.csv",
        *(
            f"{name}.png"
            for name in ("annotated", "polar", "map", "labels", "zones", "core", "cladding", "adhesive", "contact")
        ),
    )
    assert files_in(details) == {f"Fläche [1] µ_{suffix}" for suffix in suffixes}


def test_pictures_only_when_wanted(tmp_path):
    plain_settings = dataclasses.replace(REPORTING, annotated_image=False, plots=False, face_map=False)
    reporting.write_image_files(make_inspection(), tmp_path, "a", plain_settings, save_masks=False, save_zones=False)
    assert files_in(tmp_path) == {"a_report.csv"}


def test_masks_round_trip_and_follow_the_rows_of_the_report(tmp_path):
    """Labels 7 and 4 become rows 2 and 1."""
    inspection = make_inspection(make_defect(7, x_px=280.0), make_defect(4, "Chip", x_px=200.0))
    reporting.write_image_files(inspection, tmp_path, "a", REPORTING, save_masks=True, save_zones=False)
    labels = read_png(tmp_path / "a_labels.png")
    zones = read_png(tmp_path / "a_zones.png")
    rows = rows_of((tmp_path / "a_report.csv").read_bytes())
    assert labels.dtype == np.uint16
    assert [row["Defect_ID"] for row in rows] == ["H4", "P7"]
    assert labels[170, 200] == 1 and labels[170, 280] == 2
    assert np.array_equal(labels > 0, inspection.labels > 0)
    assert zones.dtype == np.uint8
    assert np.array_equal(zones, inspection.zone_map)


def test_a_zone_image_is_the_zone_and_nothing_else():
    inspection = make_inspection()
    picture = reporting.zone_image(inspection, inspection.record.zones[1])
    inside = inspection.zone_map == 2
    assert picture.shape[2] == 4
    assert np.count_nonzero(picture[..., 3]) == np.count_nonzero(inside)
    assert not picture[picture[..., 3] == 0].any()
    assert int(picture[..., 0].sum()) == int(inspection.grey[inside].sum())
    outside = dataclasses.replace(inspection.record.zones[1], label=9)
    assert reporting.zone_image(inspection, outside) is None


def test_an_unreadable_image_has_an_empty_table_only(tmp_path):
    reporting.write_image_files(
        failed_inspection(UNREADABLE), tmp_path, "a", REPORTING, save_masks=True, save_zones=True
    )
    assert files_in(tmp_path) == {"a_report.csv"}


def test_a_failed_localization_shows_the_image(tmp_path):
    inspection = failed_inspection(LOCALIZATION_FAILED, grey=np.full((100, 140), 128, np.uint8))
    reporting.write_image_files(inspection, tmp_path, "a", REPORTING, save_masks=True, save_zones=True)
    assert files_in(tmp_path) == {"a_report.csv", "a_annotated.png"}


def test_inputs_are_not_changed():
    inspection = make_inspection(make_defect())
    before = [array.copy() for array in (inspection.grey, inspection.zone_map, inspection.labels)]
    annotated_picture(inspection, REPORTING)
    polar_picture(inspection.record, REPORTING)
    reporting.zone_image(inspection, inspection.record.zones[0])
    after = (inspection.grey, inspection.zone_map, inspection.labels)
    assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))


@pytest.mark.parametrize("part", ["details", "summary", "run"])
def test_a_folder_that_cannot_be_written_is_one_clear_error(tmp_path, part):
    """A file stands where the folder should be: that stops the superuser too."""
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    calls = {
        "details": lambda: reporting.write_image_files(make_inspection(), blocked / "details", "a", REPORTING),
        "summary": lambda: reporting.write_summary(blocked, []),
        "run": lambda: reporting.write_run_json(blocked, {}),
    }
    with pytest.raises(OutputError, match="Cannot write") as caught:
        calls[part]()
    assert caught.value.remedy


def test_a_failed_write_leaves_the_old_file_whole(tmp_path, monkeypatch):
    reporting.write_summary(tmp_path, [])

    def refuse(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("image_io.os.replace", refuse)
    with pytest.raises(OutputError, match="No space left"):
        reporting.write_summary(tmp_path, [make_inspection().record])
    assert (tmp_path / "summary_report.csv").read_text() == SUMMARY_HEADER + "\n"
    assert files_in(tmp_path) == {"summary_report.csv"}
