"""The renderer's truth must agree with its pixels: everything else is measured against it."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path

import cv2
import numpy as np
import pytest

import synthetic
from rendering.geometry import FibreFrame, view_matrix
from rendering.scene import (
    FIBRE_KINDS,
    CoreLook,
    Face,
    FerruleLook,
    FibreView,
    Frame,
    Light,
    Mark,
    Optics,
    Scene,
    zone_at,
    zone_radii_px,
)
from rendering.truth import DO_NOT_JUDGE

MULTIMODE = FIBRE_KINDS[1]


def plain_scene(**changes: object) -> Scene:
    """Off-centre fibre in a non-square image, little noise, no texture."""
    scene = Scene(
        frame=Frame(420, 300),
        fibre=FibreView(MULTIMODE, 171.3, 143.7, 92.4),
        face=Face(170.0, 80.0, core=CoreLook(step_grey=60.0), ferrule=FerruleLook(grain_grey=0.2)),
        light=Light(),
        optics=Optics(blur_px=1.0, shot_gain=0.001, read_sigma=0.4),
        seed=5,
    )
    return dataclasses.replace(scene, **changes)


def without_marks(scene: Scene) -> Scene:
    return dataclasses.replace(scene, marks=())


def as_png(scene: Scene) -> Scene:
    return dataclasses.replace(scene, optics=dataclasses.replace(scene.optics, jpeg_quality=None))


def drawn(seed: int, **options: object) -> Scene:
    return synthetic.draw_scene(np.random.default_rng(seed), size_px=(640, 480), **options)


def edge_offsets_px(image: np.ndarray, fiber: dict, rays: int = 240) -> np.ndarray:
    """Radial distance from the true ellipse to the steepest step, per ray, px; NaN where the ray leaves the image."""
    angle = np.linspace(0, 2 * np.pi, rays, endpoint=False)
    first = math.radians(fiber["angle_deg"])
    a, b = (0.5 * value for value in fiber["axes_px"])
    dx = a * np.cos(angle) * math.cos(first) - b * np.sin(angle) * math.sin(first)
    dy = a * np.cos(angle) * math.sin(first) + b * np.sin(angle) * math.cos(first)
    steps_px = np.arange(-6, 6.01, 0.25)
    factor = 1 + steps_px[None, :] / np.hypot(dx, dy)[:, None]
    x = (fiber["center_px"][0] + dx[:, None] * factor).astype(np.float32)
    y = (fiber["center_px"][1] + dy[:, None] * factor).astype(np.float32)
    values = cv2.remap(image.astype(np.float32), x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    slope = np.abs(np.gradient(cv2.GaussianBlur(values, (9, 1), 2.0), axis=1))
    offsets = steps_px[np.argmax(slope, axis=1)]
    inside = (x.min(1) > 3) & (y.min(1) > 3) & (x.max(1) < image.shape[1] - 4) & (y.max(1) < image.shape[0] - 4)
    return np.where(inside, offsets, np.nan)


@pytest.mark.parametrize(
    ("aspect", "tilt_deg", "direction_deg"), [(1.0, 0, 0), (1.09, 0, 0), (1.0, 14, 30), (1.09, 12, 70), (0.94, 8, 120)]
)
@pytest.mark.parametrize("ferrule_grey", [170.0, 25.0])
def test_true_ellipse_lies_on_the_rendered_edge(aspect, tilt_deg, direction_deg, ferrule_grey):
    fibre = FibreView(MULTIMODE, 171.3, 143.7, 92.4, tilt_deg, direction_deg)
    face = dataclasses.replace(plain_scene().face, ferrule_grey=ferrule_grey)
    rendering = synthetic.render(plain_scene(frame=Frame(420, 300, aspect), fibre=fibre, face=face))
    offsets = edge_offsets_px(rendering.image, rendering.truth["fiber"])
    assert np.isfinite(offsets).all()
    assert abs(np.median(offsets)) < 0.2
    assert np.quantile(np.abs(offsets), 0.95) <= 0.5


@pytest.mark.parametrize("seed", range(12))
def test_true_ellipse_fits_random_faces(seed):
    scene = drawn(seed, clean=True)
    scene = dataclasses.replace(scene, face=dataclasses.replace(scene.face, adhesive=None), marks=())
    rendering = synthetic.render(scene)
    offsets = edge_offsets_px(rendering.image, rendering.truth["fiber"])
    assert np.isfinite(offsets).mean() > 0.7
    assert abs(np.nanmedian(offsets)) <= 0.5


def test_centre_is_x_then_y_in_a_wide_image():
    rendering = synthetic.render(plain_scene())
    x, y = rendering.truth["fiber"]["center_px"]
    assert (x, y) == (171.3, 143.7)
    assert rendering.image.shape == (300, 420)
    core = rendering.image[round(y) - 3 : round(y) + 4, round(x) - 3 : round(x) + 4].mean()
    cladding = rendering.image[round(y), round(x) + 60]
    assert core > cladding + 40


def test_axes_of_an_untilted_fibre_in_wide_pixels():
    axes, angle = FibreFrame(0, 0, 100, view_matrix(1.09, 0, 0)).ellipse()
    assert axes[0] * axes[1] == pytest.approx(200**2)
    assert axes[1] / axes[0] == pytest.approx(1.09)
    assert min(angle, 180 - angle) < 1e-6  # the first axis is the minor one, along x
    matrix = view_matrix(1.0, 10, 30)
    axes, angle = FibreFrame(0, 0, 100, matrix).ellipse()
    assert axes[0] / axes[1] == pytest.approx(math.cos(math.radians(10)))
    assert angle == pytest.approx(30)


def test_frame_coordinates_are_inverted_by_to_image():
    place = FibreFrame(31.5, 12.25, 20, view_matrix(1.09, 12, 40))
    u, v = place.coordinates(8, 5, 3, 7)
    points = place.to_image(np.column_stack([u.ravel(), v.ravel()]))
    rows, columns = np.mgrid[7:12, 3:11]
    assert np.abs(points - np.column_stack([columns.ravel(), rows.ravel()])).max() < 1e-4
    assert np.abs(place.to_frame(points) - np.column_stack([u.ravel(), v.ravel()])).max() < 1e-4


@pytest.mark.parametrize("seed", range(8))
def test_stated_contrast_is_in_the_pixels(seed):
    scene = as_png(drawn(seed, defect_count=4))
    rendering, plain = synthetic.render(scene), synthetic.render(without_marks(scene))
    difference = rendering.image.astype(float) - plain.image
    assert rendering.truth["defects"]
    for defect in rendering.truth["defects"]:
        inside = rendering.labels == defect["id"]
        mean = difference[inside].mean()
        assert np.sign(mean) == (1 if defect["polarity"] == "bright" else -1)
        assert mean == pytest.approx(defect["contrast_grey"], abs=1.0 + 0.05 * abs(mean))
        x, y = defect["centroid_px"]
        assert np.argwhere(inside).mean(axis=0) == pytest.approx((y, x), abs=0.01)


@pytest.mark.parametrize("seed", range(4))
def test_labels_hold_all_that_marks_change(seed):
    scene = as_png(drawn(seed, defect_count=3))
    rendering, plain = synthetic.render(scene), synthetic.render(without_marks(scene))
    difference = np.abs(rendering.image.astype(float) - plain.image)
    strongest = max(abs(defect["peak_contrast_grey"]) for defect in rendering.truth["defects"])
    outside = difference[rendering.labels == 0]
    assert outside.max() <= 0.3 * max(strongest, 60) + 3


@pytest.mark.parametrize("polarity", ["dark", "bright"])
def test_pit_differs_from_its_surroundings(polarity):
    mark = Mark("pit", polarity, 20.0, -60.0, 0.0, 9.0, 9.0, 35.0, 3)
    rendering = synthetic.render(plain_scene(marks=(mark,)))
    (defect,) = rendering.truth["defects"]
    inside = rendering.labels == 1
    ring = (cv2.dilate(inside.astype(np.uint8), np.ones((15, 15))) > 0) & (rendering.labels == 0)
    step = rendering.image[inside].mean() - rendering.image[ring].mean()
    assert step * mark.sign > 15
    assert defect["polarity"] == polarity
    assert defect["zone"] == "cladding"
    assert defect["diameter_um"] == pytest.approx(9.0 * 125 / (2 * 92.4), rel=0.35)


def test_scratch_length_and_zone():
    mark = Mark("scratch", "bright", 0.0, 55.0, 0.0, 50.0, 2.0, 25.0, 4)
    (defect,) = synthetic.render(plain_scene(marks=(mark,))).truth["defects"]
    assert defect["length_um"] == pytest.approx(50 * 125 / (2 * 92.4), rel=0.1)
    assert defect["width_um"] < 6 * 125 / (2 * 92.4)
    assert defect["zone"] == "cladding"


@pytest.mark.parametrize("seed", range(6))
def test_labels_and_json_name_the_same_defects(seed):
    rendering = synthetic.render(drawn(seed))
    ids = sorted(set(np.unique(rendering.labels)) - {0, DO_NOT_JUDGE})
    assert ids == [defect["id"] for defect in rendering.truth["defects"]] == list(range(1, len(ids) + 1))
    assert rendering.labels.dtype == np.uint16
    assert rendering.image.dtype == np.uint8
    assert rendering.labels.shape == rendering.image.shape
    json.dumps(rendering.truth, allow_nan=False)


@pytest.mark.parametrize("seed", range(5))
def test_ordinary_defects_stand_out_of_the_noise(seed):
    for defect in synthetic.render(drawn(seed)).truth["defects"]:
        assert defect["contrast_sigma"] >= (4.0 if defect["kind"] in ("scratch", "crack") else 7.0)


def test_less_contrast_is_less_contrast():
    strength = {}
    for contrast in ("ordinary", "faint", "barely"):
        marks = [mark for seed in range(15) for mark in drawn(seed, contrast=contrast).marks if mark.judged]
        strength[contrast] = np.median([mark.contrast_grey for mark in marks])
    assert strength["barely"] < strength["faint"] < 0.5 * strength["ordinary"]


def test_same_seed_same_bytes_other_seed_other_bytes():
    first, again, other = (synthetic.render(drawn(seed)) for seed in (3, 3, 4))
    assert first.data == again.data
    assert first.truth == again.truth
    assert np.array_equal(first.labels, again.labels)
    assert first.data != other.data


def test_every_class_zone_and_polarity_is_drawn():
    seen = set()
    for seed in range(250):
        scene = drawn(seed)
        radii = zone_radii_px(scene.fibre, scene.face.adhesive)
        for mark in scene.marks:
            if mark.judged:
                zone = zone_at(math.hypot(mark.x_px, mark.y_px), radii)
                seen |= {(mark.kind, mark.polarity), (mark.kind, zone), ("any", scene.fibre.kind.name)}
    for kind in synthetic.KINDS:
        assert {(kind, "dark"), (kind, "bright")} <= seen
    for zone in ("core", "cladding", "adhesive", "contact"):
        assert ("pit", zone) in seen
        assert ("scratch", zone) in seen or zone == "adhesive"
    assert {("any", kind.name) for kind in FIBRE_KINDS} <= seen


@pytest.mark.parametrize("seed", range(5))
def test_clean_scene_has_no_defect(seed):
    rendering = synthetic.render(drawn(seed, clean=True))
    assert rendering.truth["defects"] == []
    assert rendering.truth["verdict"] == "clean"
    assert set(np.unique(rendering.labels)) <= {0, DO_NOT_JUDGE}


def test_verdict_and_invisible_core():
    dark = plain_scene(face=Face(170.0, 80.0))
    assert synthetic.render(dark).truth["fiber"]["core_diameter_px"] is None
    lit = synthetic.render(plain_scene()).truth["fiber"]
    assert lit["core_diameter_px"] == pytest.approx(92.4 * 2 * 50 / 125, abs=1e-3)
    outside = Mark("pit", "dark", 130.0, 0.0, 0.0, 8.0, 8.0, 40.0, 1)
    rendering = synthetic.render(plain_scene(marks=(outside,)))
    assert [defect["zone"] for defect in rendering.truth["defects"]] == ["contact"]
    assert rendering.truth["verdict"] == "clean"
    inside = dataclasses.replace(outside, x_px=60.0)
    assert synthetic.render(plain_scene(marks=(inside,))).truth["verdict"] == "defective"


def test_frame_without_a_fibre():
    rendering = synthetic.render(plain_scene(fibre=None))
    assert rendering.truth == {"fiber": None, "verdict": None, "defects": []}
    assert not rendering.labels.any()


@pytest.mark.parametrize("options", [{"contrast": "loud"}, {"fibre_kind": "rope"}])
def test_unknown_names_are_refused(options):
    with pytest.raises(ValueError, match="use one of"):
        synthetic.draw_scene(np.random.default_rng(0), **options)


def test_command_line_writes_a_readable_set(tmp_path: Path, capsys):
    out = tmp_path / "Sätze [1]"
    assert synthetic.main([str(out), "--count", "3", "--seed", "2"]) == 0
    assert capsys.readouterr().out.count("\n") == 1
    pictures = sorted((out / "images").iterdir())
    assert len(pictures) == 3
    for picture in pictures:
        truth = json.loads((out / "truth" / f"{picture.stem}.json").read_text(encoding="utf-8"))
        data = np.frombuffer((out / "truth" / f"{picture.stem}_labels.png").read_bytes(), np.uint8)
        labels = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
        image = cv2.imdecode(np.frombuffer(picture.read_bytes(), np.uint8), cv2.IMREAD_UNCHANGED)
        assert labels.dtype == np.uint16
        assert labels.shape == image.shape
        assert len(truth["defects"]) == len(set(np.unique(labels)) - {0, DO_NOT_JUDGE})
    before = [picture.read_bytes() for picture in pictures]
    assert synthetic.main([str(out), "--count", "3", "--seed", "2", "--force"]) == 0
    assert [picture.read_bytes() for picture in pictures] == before


def test_command_line_refuses_a_used_folder(tmp_path: Path, capsys):
    (tmp_path / "mine.txt").write_text("keep")
    assert synthetic.main([str(tmp_path), "--count", "1"]) == 6
    assert "--force" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_command_line_output_below_a_file(tmp_path: Path, capsys):
    (tmp_path / "file").write_text("")
    assert synthetic.main([str(tmp_path / "file" / "out"), "--count", "1"]) == 6
    assert synthetic.main(["--samples", str(tmp_path / "file")]) == 6
    errors = capsys.readouterr().err
    assert "cannot write" in errors
    assert "Traceback" not in errors


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["out", "--count", "0"],
        ["out", "--count", "many"],
        ["out", "--seed", "-1"],
        ["out", "--seed", "1.5"],
        ["out", "--contrast", "loud"],
        ["out", "--samples", "folder"],
        ["out", "--unknown"],
    ],
)
def test_bad_arguments_exit_with_2(arguments, tmp_path: Path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        synthetic.main(arguments)
    assert stop.value.code == 2
    assert "error:" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_samples_are_small_and_named(tmp_path: Path):
    assert synthetic.main(["--samples", str(tmp_path)]) == 0
    names = {path.name for path in tmp_path.iterdir()}
    assert {"clean.png", "scratch.png", "pit.png", "contamination.png", "chip.png", "crack.png"} < names
    assert {"angled_polish.jpg", "hopeless_frame.png"} < names
    assert max(path.stat().st_size for path in tmp_path.iterdir()) < 300_000
