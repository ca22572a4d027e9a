"""What the files and folders in OUTPUT are called."""

from __future__ import annotations

from collections.abc import Container

from records import ZONE_NAMES

RESULTS_FILE = "results.jsonl"
SUMMARY_FILE = "summary_report.csv"
WORKBOOK_FILE = "summary_report.xlsx"
COMPARISON_FILE = "comparison.csv"
REPORT_FILE = "report.html"
CERTIFICATE_FILE = "certificate.pdf"
RUN_FILE = "run.json"
BATCH_FILES = (
    RESULTS_FILE,
    SUMMARY_FILE,
    WORKBOOK_FILE,
    COMPARISON_FILE,
    REPORT_FILE,
    CERTIFICATE_FILE,
    RUN_FILE,
)

CAPTURES_FOLDER = "captures"  # frames that the station has saved
DETAILS_FOLDER = "details"
# what follows the result name of an image in there
ANNOTATED_ENDING = "_annotated.png"
CERTIFICATE_ENDING = "_certificate.pdf"
FACE_ENDING = "_face.jpg"
TABLE_ENDING = "_report.csv"
POLAR_ENDING = "_polar.png"
MAP_ENDING = "_map.png"
MATRIX_TABLE_ENDING = "_matrix.csv"
MATRIX_PICTURE_ENDING = "_matrix.png"
LABELS_ENDING = "_labels.png"
ZONES_ENDING = "_zones.png"


def zone_ending(zone: str) -> str:
    """What the name of the picture of one zone ends with."""
    return f"_{zone.lower()}.png"


DETAIL_ENDINGS = (
    ANNOTATED_ENDING,
    CERTIFICATE_ENDING,
    FACE_ENDING,
    TABLE_ENDING,
    POLAR_ENDING,
    MAP_ENDING,
    MATRIX_TABLE_ENDING,
    MATRIX_PICTURE_ENDING,
    LABELS_ENDING,
    ZONES_ENDING,
    *map(zone_ending, ZONE_NAMES),
)


def details_endings(names: Container[str], stem: str) -> list[str]:
    """What the names of the files of one image end with, of those that are among ``names``."""
    return [ending for ending in DETAIL_ENDINGS if f"{stem}{ending}" in names]
