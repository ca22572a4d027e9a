"""Figures of regions, crops, masks in run lengths and correlations, on arrays with known answers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from learning import correlations
from learning.correlations import CELLS, most_alike, reduced_face
from learning.crops import choose_crops
from learning.features import mask_of, region_rows, run_lengths
from learning.labelling import CLADDING, CORE, FERRULE, Labelled
from records import Ellipse, Fiber
from second_opinion.patch_input import CROP_PX, CROP_SHARE, cut_out, middle_of
from vision.geometry import polar_maps

ELLIPSE = Ellipse(210.0, 130.0, 200.0, 180.0, 30.0)
SHAPE = (260, 400)


def labelled(*boxes: tuple[int, int, int], artifacts=(), ignore=None) -> Labelled:
    """A fibre with square pits (row, column, size)."""
    radius = polar_maps(SHAPE, ELLIPSE)[0]
    edge = ELLIPSE.mean_radius_px
    regions = np.select([radius < 0.3 * edge, radius < edge, radius < 1.2 * edge], [CORE, CLADDING, FERRULE], 0)
    labels = np.zeros(SHAPE, np.uint16)
    for number, (row, col, size) in enumerate(boxes, start=1):
        labels[row : row + size, col : col + size] = number
    ignore = np.zeros(SHAPE, bool) if ignore is None else ignore
    kinds = dict.fromkeys(range(1, len(boxes) + 1), "pit")
    fiber = Fiber(ELLIPSE, 60.0)
    return Labelled(
        "human", "defective", fiber, 0.5, regions.astype(np.uint8), labels, ignore, labels > 0, kinds, {}, artifacts
    )


# --- figures -------------------------------------------------------------------------------------------------------


def test_a_ramp_has_the_gradient_of_its_slope():
    grey = np.tile(np.arange(0, 200, 2, dtype=np.uint8), (60, 1))
    regions = np.zeros(grey.shape, np.uint8)
    regions[10:50, 20:80] = CLADDING
    (row,) = region_rows(grey, regions)
    assert row["region"] == "cladding" and row["pixels"] == 40 * 60
    assert (row["min"], row["max"], row["mean"], row["q50"]) == (40, 158, 99.0, 99.0)
    assert row["gradient_mean"] == pytest.approx(2.0) and row["gradient_std"] == pytest.approx(0.0, abs=1e-5)
    assert row["laplacian_mean"] == pytest.approx(0.0, abs=1e-5)
    assert row["local_variance_mean"] == pytest.approx(8.0, rel=1e-3)  # of 0, 2, 4, 6, 8


def test_the_step_between_two_regions_belongs_to_none():
    grey = np.full((60, 80), 50, np.uint8)
    grey[:, 40:] = 200
    regions = np.where(np.arange(80) < 40, CORE, CLADDING)[None, :].repeat(60, 0).astype(np.uint8)
    rows = region_rows(grey, regions)
    assert [row["region"] for row in rows] == ["core", "cladding"]
    assert all(row["gradient_mean"] == row["local_variance_mean"] == 0 for row in rows)


@given(arrays(bool, st.tuples(st.integers(1, 9), st.integers(1, 9))))
def test_run_lengths_there_and_back(mask):
    if mask.any():
        counts = run_lengths(*np.nonzero(mask), mask.shape)
        assert sum(counts) == mask.size and all(counts[1:])
        assert np.array_equal(mask_of(counts, mask.shape), mask)


def test_run_lengths_are_those_of_coco():
    mask = np.array([[0, 1, 1], [0, 1, 0]], bool)
    assert run_lengths(*np.nonzero(mask), mask.shape) == [2, 3, 1]  # column by column


# --- crops ---------------------------------------------------------------------------------------------------------


def test_a_crop_spans_the_same_share_of_the_fibre_at_every_magnification():
    def face(f: int) -> np.ndarray:
        y, x = np.mgrid[: 300 * f, : 400 * f] / f
        return np.rint(127 + 100 * np.sin(x / 9) * np.cos(y / 7)).astype(np.uint8)

    one = cut_out(face(1), Ellipse(200, 150, 120, 120, 0), 190, 140)
    two = cut_out(face(2), Ellipse(400, 300, 240, 240, 0), 380, 280)
    assert one.shape == (CROP_PX, CROP_PX) and one.dtype == np.uint8 and one.std() > 20
    assert np.abs(one.astype(int) - two).mean() < 2


def test_crops_are_square_in_the_fibre_frame_and_upright():
    grey = np.zeros(SHAPE, np.uint8)
    grey[130:, :] = 200  # below the centre
    piece = cut_out(grey, ELLIPSE, 210.0, 129.5)
    assert piece[:100].max() == 0 and piece[-100:].min() == 200


def test_a_large_image_is_averaged_not_sampled():
    grey = (np.indices((2000, 2000)).sum(axis=0) % 2 * 200).astype(np.uint8)
    piece = cut_out(grey, Ellipse(1000, 1000, 1800, 1800, 0), 1000.0, 1000.0)
    assert np.abs(piece.astype(int) - 100).max() < 30


def test_every_mark_and_artifact_has_a_crop_and_as_many_clean_ones_are_away_from_marks():
    scene = labelled((100, 260, 6), (160, 180, 8), artifacts=((200.0, 100.0),))
    crops = choose_crops(scene, "0123456789abcdef")
    assert [(crop.class_name, crop.number) for crop in crops[:3]] == [("pit", 1), ("pit", 2), ("artifact", None)]
    clean = crops[3:]
    assert len(clean) == 3 and {crop.class_name for crop in clean} == {"clean"}
    rows, cols = np.nonzero(scene.labels)
    side = CROP_SHARE * ELLIPSE.mean_radius_px
    for crop in clean:
        assert np.hypot(rows - crop.y_px, cols - crop.x_px).min() >= 0.25 * side
        assert scene.regions[round(crop.y_px), round(crop.x_px)] in (CORE, CLADDING)
    assert choose_crops(scene, "0123456789abcdef") == crops != choose_crops(scene, "0123456789abcdee")


def test_clean_crops_lie_where_somebody_has_looked():
    ignore = np.ones(SHAPE, bool)
    ignore[120:150, 180:240] = False
    crops = choose_crops(labelled(ignore=ignore), "0123456789abcdef")
    assert len(crops) == 1
    assert not ignore[round(crops[0].y_px), round(crops[0].x_px)]
    assert choose_crops(labelled(ignore=np.ones(SHAPE, bool)), "0123456789abcdef") == []


def test_the_middle_of_a_bent_mark_is_on_the_mark():
    mask = np.zeros((30, 30), bool)
    mask[5, 5:25] = mask[5:25, 5] = mask[5:25, 24] = True
    x, y = middle_of(*np.nonzero(mask))
    assert mask[int(y), int(x)]


# --- correlations --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("block", [3, 512])
def test_correlations_are_those_of_numpy(monkeypatch, block):
    monkeypatch.setattr(correlations, "_BLOCK", block)
    faces = np.random.default_rng(3).normal(size=(10, CELLS)).astype(np.float32)
    faces[4] = faces[7] + 0.3 * faces[4]
    wanted = np.corrcoef(faces)
    ranks = np.corrcoef(faces.argsort(axis=1).argsort(axis=1))
    pairs = most_alike(faces, 9)
    assert len(pairs) == 45
    for pair in pairs:
        assert pair.pearson == pytest.approx(wanted[pair.first, pair.second], abs=1e-4)
        assert pair.spearman == pytest.approx(ranks[pair.first, pair.second], abs=1e-4)
    np.fill_diagonal(wanted, -2)
    nearest = {(min(k, j), max(k, j)) for k, j in enumerate(wanted.argmax(axis=1))}
    assert {(pair.first, pair.second) for pair in most_alike(faces, 1)} == nearest


def test_equal_values_share_their_rank():
    faces = np.array([[1, 1, 2, 5], [3, 3, 4, 9], [0, 0, 0, 0]], np.float32)
    pairs = {(pair.first, pair.second): pair for pair in most_alike(faces, 2)}
    assert pairs[0, 1].spearman == pytest.approx(1.0) and pairs[0, 2].pearson == 0 and pairs[0, 2].spearman == 0


@pytest.mark.parametrize("count", [0, 1])
def test_nothing_to_compare(count):
    assert most_alike(np.zeros((count, CELLS), np.float32), 5) == []


def test_a_face_is_registered_and_what_is_round_is_left_out():
    rng = np.random.default_rng(1)
    radius, angle = polar_maps((400, 500), Ellipse(240, 190, 300, 300, 0))
    marks = 30 * np.sin(3 * angle) + 20 * np.cos(5 * angle + radius / 40)
    round_ = np.where(radius < 60, 60, 0)
    grey = np.clip(110 + marks + rng.normal(0, 1, radius.shape), 0, 255).astype(np.uint8)
    with_core = np.clip(grey.astype(int) + round_, 0, 255).astype(np.uint8)
    moved = np.roll(grey, (7, 13), axis=(0, 1))
    one = reduced_face(grey, Ellipse(240, 190, 300, 300, 0))
    assert one.shape == (CELLS,) and one.dtype == np.float16
    assert np.corrcoef(one, reduced_face(with_core, Ellipse(240, 190, 300, 300, 0)))[0, 1] > 0.99
    assert np.corrcoef(one, reduced_face(moved, Ellipse(253, 197, 300, 300, 0)))[0, 1] > 0.99
    assert abs(np.corrcoef(one, reduced_face(moved[:, ::-1], Ellipse(246, 197, 300, 300, 0)))[0, 1]) < 0.9
    beyond = reduced_face(grey[:, :200], Ellipse(240, 190, 300, 300, 0))
    assert np.isfinite(beyond).all() and (beyond == 0).any()
