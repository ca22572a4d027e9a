"""Reading labelled sets: the format, and everything that can be wrong with one."""

import json

import cv2
import numpy as np
import pytest
from faces import write

from errors import NoImagesError, TruthError
from evaluation.truth import TrueDefect, load_truth_set, parse_fiber, read_labels
from records import Ellipse

FIBER = {
    "center_px": [100, 80],
    "axes_px": [110.0, 120.0],
    "angle_deg": 110.0,
    "core_diameter_px": None,
    "core_um": 50,
    "cladding_um": 125.0,
}
PIT = {"id": 7, "kind": "pit", "length_um": None, "diameter_um": 3.5, "zone": "Core", "style": "soft"}
GOOD = {"fiber": FIBER, "verdict": "defective", "face": "a", "defects": [PIT]}


def png(array):
    return cv2.imencode(".png", array)[1].tobytes()


def labels(*values):
    image = np.zeros((160, 200), np.uint16)
    for row, value in enumerate(values):
        image[20 * row : 20 * row + 10, 50:60] = value
    return image


def labelled(folder, name="a.png", truth=GOOD, label_image=None):
    """Write one labelled image; ``truth`` is a document or the text of the file."""
    write(folder / "images" / name, png(np.zeros((160, 200), np.uint8)))
    text = truth if isinstance(truth, str) else json.dumps(truth)
    stem = name.partition(".")[0]
    write(folder / "truth" / f"{stem}.json", text.encode())
    write(folder / "truth" / f"{stem}_labels.png", png(labels(7, 65535) if label_image is None else label_image))


def test_a_labelled_image_is_read(tmp_path):
    labelled(tmp_path)
    (truth,) = load_truth_set(tmp_path)
    assert (truth.name, truth.verdict, truth.face) == ("a.png", "defective", "a")
    assert truth.defects == (TrueDefect(7, "pit", diameter_um=3.5, zone="Core", style="soft"),)
    assert truth.defects[0].class_name == "Pit/Dig" and truth.defects[0].kind_certain
    assert truth.fiber.cladding == Ellipse(100.0, 80.0, 120.0, 110.0, 20.0)
    assert truth.fiber.um_per_px == pytest.approx(125 / np.sqrt(110 * 120))
    assert truth.fiber.core_diameter_px is None and truth.fiber.as_found().core_source == "nominal"
    np.testing.assert_array_equal(read_labels(truth, (160, 200)), labels(7, 65535))


def test_images_come_in_natural_order_with_their_own_truth(tmp_path):
    for name in ("a10.png", "a9.PNG", "b.jpg"):
        labelled(tmp_path, name, {"fiber": None, "verdict": None, "defects": []}, labels())
    write(tmp_path / "images" / "notes.txt", b"x")
    assert [truth.name for truth in load_truth_set(tmp_path)] == ["a9.PNG", "a10.png", "b.jpg"]


@pytest.mark.parametrize(("first", "second", "angle_deg"), [(120.0, 110.0, 20.0), (110.0, 120.0, 110.0)])
def test_the_angle_of_the_truth_belongs_to_its_first_axis(first, second, angle_deg):
    fiber = parse_fiber({"center_px": [100.0, 80.0], "axes_px": [first, second], "angle_deg": angle_deg})
    assert fiber.cladding == Ellipse(100.0, 80.0, 120.0, 110.0, 20.0)


BAD_TRUTHS = {
    "no JSON": ("{", "not JSON"),
    "a list": ("[]", "must be an object"),
    "verdict": ({**GOOD, "verdict": "good"}, "verdict"),
    "verdict of a strange type": ({**GOOD, "verdict": []}, "verdict"),
    "kind": ({**GOOD, "defects": [{"id": 7, "kind": "dust"}]}, "'dust'"),
    "kind of a strange type": ({**GOOD, "defects": [{"id": 7, "kind": ["pit"]}]}, "kind"),
    "id": ({**GOOD, "defects": [{"id": 65535, "kind": "pit"}]}, "65535"),
    "id of a strange type": ({**GOOD, "defects": [{"id": True, "kind": "pit"}]}, "defects[0].id"),
    "two ids": ({**GOOD, "defects": [PIT, PIT]}, "same id"),
    "defects": ({**GOOD, "defects": {}}, "defects must be a list"),
    "size": ({**GOOD, "defects": [{**PIT, "area_um2": 0}]}, "area_um2"),
    "NaN": ({**GOOD, "fiber": {**FIBER, "center_px": [float("nan"), 1]}}, "center_px"),
    "no centre": ({**GOOD, "fiber": {**FIBER, "center_px": None}}, "center_px"),
    "axes": ({**GOOD, "fiber": {**FIBER, "axes_px": [100, -1]}}, "axes_px"),
    "core": ({**GOOD, "fiber": {**FIBER, "core_um": 130}}, "core_um must be smaller"),
}


@pytest.mark.parametrize(("truth", "words"), BAD_TRUTHS.values(), ids=BAD_TRUTHS.keys())
def test_an_image_with_a_bad_truth_is_left_out_with_a_sentence(tmp_path, truth, words):
    labelled(tmp_path, "bad.png", truth)
    labelled(tmp_path, "good.png")
    said = []
    assert [truth.name for truth in load_truth_set(tmp_path, said.append)] == ["good.png"]
    assert len(said) == 1 and said[0].startswith("bad.png is left out: ") and words in said[0]
    assert "bad.json" in said[0] and "\n" not in said[0]


def test_an_image_without_truth_is_left_out(tmp_path):
    labelled(tmp_path)
    write(tmp_path / "images" / "b.png", b"x")
    write(tmp_path / "images" / "c.png", b"x")
    write(tmp_path / "truth" / "c.json", b"\xff\xfe")
    said = []
    assert [truth.name for truth in load_truth_set(tmp_path, said.append)] == ["a.png"]
    assert said[0] == "b.png is left out: There is no b.json. Add the truth, or remove the image."
    assert "UTF-8" in said[1]


def test_without_a_label_image_there_must_be_no_defect(tmp_path):
    labelled(tmp_path, "clean.png", {"fiber": FIBER, "verdict": "clean", "defects": []})
    labelled(tmp_path, "odd.png")
    for name in ("clean", "odd"):
        (tmp_path / "truth" / f"{name}_labels.png").unlink()
    said = []
    (truth,) = load_truth_set(tmp_path, said.append)
    assert truth.name == "clean.png" and not read_labels(truth, (3, 4)).any()
    assert "odd_labels.png" in said[0]


BAD_LABELS = {
    "no image": (b"", "damaged"),
    "another size": (png(np.zeros((80, 200), np.uint16)), "200 x 80"),
    "colour": (png(np.zeros((160, 200, 3), np.uint8)), "grey"),
    "an unknown id": (png(labels(7, 8)), "value 8"),
}


@pytest.mark.parametrize(("data", "words"), BAD_LABELS.values(), ids=BAD_LABELS.keys())
def test_a_bad_label_image_is_one_sentence(tmp_path, data, words):
    labelled(tmp_path)
    write(tmp_path / "truth" / "a_labels.png", data)
    (truth,) = load_truth_set(tmp_path)
    with pytest.raises(TruthError, match=words) as caught:
        read_labels(truth, (160, 200))
    assert caught.value.remedy and "a_labels.png" in str(caught.value)


def test_labels_of_8_bit_are_taken_as_they_are(tmp_path):
    labelled(tmp_path, label_image=labels(7).astype(np.uint8))
    (truth,) = load_truth_set(tmp_path)
    assert np.unique(read_labels(truth, (160, 200))).tolist() == [0, 7]


@pytest.mark.parametrize("missing", [".", "images", "truth"])
def test_a_folder_that_is_no_labelled_set(tmp_path, missing):
    folder = tmp_path / "set"
    if missing != ".":
        labelled(folder)
        (folder / missing).rename(tmp_path / "elsewhere")
    with pytest.raises(NoImagesError, match="images and truth"):
        load_truth_set(folder)


def test_a_set_without_a_usable_image(tmp_path):
    labelled(tmp_path, truth="{")
    with pytest.raises(NoImagesError, match="none of 1 images"):
        load_truth_set(tmp_path, lambda sentence: None)
