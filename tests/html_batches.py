"""A made-up batch with its report.html: hostile names, every status, findings, a comparison."""

from __future__ import annotations

import dataclasses
import json
import os
import re

from report_samples import NAN, REPORTING, failed_inspection, make_defect, make_inspection

import reporting
from comparison import NEW, REMOVED, STAYED, Comparison, FaceComparison, MarkChange
from findings import BatchFindings, OpticsSpot, SameFace
from records import FAIL, LOCALIZATION_FAILED, PASS, UNGRADED, UNREADABLE, Inspection, Provenance, Scale
from reports.html_report import html_page

SCRIPT = "<script>alert(1)<／script>.png"  # a slash cannot be in a file's name; a look-alike can
QUOTES = 'it\'s "5" & `6` %41#?.png'
UMLAUTS = "Größe µ 光.png"
NOT_UNICODE = "a\udcff.png"
BEYOND = "</script><img src=x onerror=alert(2)>"  # for texts that are no names of files
WITH_FACES = dataclasses.replace(REPORTING, face_image=True, plots=False)

PIT = make_defect(1, x_px=280.0, y_px=150.0)
SCRATCH = make_defect(2, "Scratch", x_px=200.0, size_px=30.0, violates=("Scratch > 3um in Cladding",), marginal=True)
CHIP = make_defect(3, "Chip", zone="Adhesive", x_px=250.0, y_px=68.0)


def inspections() -> list[Inspection]:
    """Nine images, in natural order of their names as a batch has them."""
    unscaled = [make_defect(number, "Contamination", x_px=200.0 + 10 * number, um_per_px=NAN) for number in (1, 2)]
    origin = Provenance(operator=BEYOND, rule_set_title="House rules", software_version="0.1.0")
    made = {
        SCRIPT: make_inspection(SCRATCH, PIT, status=FAIL, reasons=("Scratch > 3um in Cladding",), marginal=True),
        QUOTES: make_inspection(PIT, status=PASS),
        UMLAUTS: make_inspection(CHIP, status=FAIL, reasons=(BEYOND,), warnings=("Out of focus: score 0.10.",)),
        NOT_UNICODE: make_inspection(*unscaled, status=UNGRADED, reasons=("No scale",), scale=1.0),
        "face2.png": make_inspection(status=PASS, serial_number="SN2", port="b"),
        "face10.png": make_inspection(status=PASS, serial_number="SN1", port="a", warnings=("A dark picture",)),
        "lost.png": failed_inspection(LOCALIZATION_FAILED, grey=make_inspection().grey),
        "torn.png": failed_inspection(UNREADABLE),
        "bare.png": make_inspection(PIT, SCRATCH, status=FAIL, reasons=("Pit/Dig count > 5 in Cladding",)),
    }
    changes = {"rule_set_verified": False, "provenance": origin}
    found = []
    for number, (name, inspection) in enumerate(made.items()):
        named = {"image_filename": name, "result_name": name.removesuffix(".png"), "image_path": f"/images/{name}"}
        size = {"image_width_px": 520, "image_height_px": 360} if inspection.grey is not None else {}
        at = {"inspected_at": f"2025-03-04T10:{30 - number:02d}:00+01:00"}
        record = dataclasses.replace(inspection.record, **named, **size, **at, **changes)
        if name == NOT_UNICODE:
            record = dataclasses.replace(record, scale=Scale())
        found.append(dataclasses.replace(inspection, record=record))
    return found


def findings() -> BatchFindings:
    spot = OpticsSpot(100.0, 80.0, 9.0, "dark", (SCRIPT, "face2.png", "face10.png"))
    return BatchFindings((spot,), (SameFace((QUOTES, UMLAUTS), 0.97),))


def comparison() -> Comparison:
    marks = (MarkChange(REMOVED, old=PIT), MarkChange(STAYED, SCRATCH, SCRATCH), MarkChange(NEW, new=CHIP))
    faces = (
        FaceComparison("SN2 b", BEYOND, "face2.png", FAIL, PASS, 30.0, marks),
        FaceComparison("gone", "old.png", "not there.png", FAIL, FAIL, problem="No fibre was found before."),
    )
    return Comparison("results of <yesterday>", faces, ("only before.png",), (SCRIPT,))


def write_batch(folder, batch=None, *, extras=True):
    """OUTPUT with pictures and report.html; "bare.png" has no plain picture."""
    batch = inspections() if batch is None else batch
    for inspection in batch:
        options = REPORTING if inspection.record.image_filename == "bare.png" else WITH_FACES
        reporting.write_image_files(inspection, folder / "details", inspection.record.result_name, options)
    names = frozenset(os.listdir(folder / "details"))
    records = [item.record for item in batch]
    found = findings() if extras else BatchFindings()
    page = html_page(records, found, comparison() if extras else None, names)
    (folder / "report.html").write_bytes(page)
    return folder / "report.html"


def data_of(page: bytes):
    """The JSON of a page, found as a browser finds it: the first end tag ends it."""
    text = re.search(rb'<script type="application/json" id="data">(.*?)</script', page, re.DOTALL)[1]
    return json.loads(text)


def rows_of(page: bytes):
    data = data_of(page)
    return [dict(zip(data["rowFields"], values, strict=True)) for values in data["rows"]]
