"""Settings at the limits of the schema: an image is inspected with them, however little sense they make."""

import json

import pytest
from config_trees import SM_PC, changed, write
from fuzz_images import PITTED, face_png

from cli.job_settings import choose_settings
from config_loader import load_config
from image_io import decode_image
from inspection import inspect_image
from records import FAIL, PASS

EXTREMES = {
    "smoothing wider than the picture": [(("detection", "smoothing_px"), [20])],
    "a zone far beyond the picture": [(("rule_sets", SM_PC, "zones", 3, "outer"), {"diameter_um": 100_000})],
    "such a zone, finely sampled": [
        (("rule_sets", SM_PC, "zones", 3, "outer"), {"diameter_um": 100_000}),
        (("detection", "residual", "radial_oversampling"), 8),
    ],
}


@pytest.mark.parametrize("changes", EXTREMES.values(), ids=EXTREMES.keys())
def test_settings_at_a_limit_inspect(tmp_path, changes):
    config = load_config(write(tmp_path, json.dumps(changed(*changes))), "fast_scan")
    image = decode_image(face_png(PITTED), name="a.png")
    record = inspect_image(image, choose_settings(config, None, core_um=9.0, cladding_um=125.0)).record
    assert record.status in (PASS, FAIL) and record.fiber is not None
