"""Pieces around marks as training sees them: classes, splits, and how they are varied. Needs no extra library."""

from __future__ import annotations

import json
import shutil
from collections import Counter

import numpy as np
import pytest
from training_sets import change, piece, write_crops, write_piece_folders

from config_loader import load_config
from errors import DataSetError
from image_io import write_png
from learning import train
from learning.loading import Loader
from learning.pieces import CLASSES, Pieces, read_pieces, varied
from learning.training import learning_rate
from second_opinion.patch_input import PatchForm

CONFIG = load_config(train.CONFIG_PATH)


def read(folder):
    return read_pieces(folder, CONFIG, lambda name: None)


@pytest.fixture(scope="module")
def data_set(tmp_path_factory):
    return write_crops(tmp_path_factory.mktemp("crops") / "set")


def test_the_crops_of_a_data_set_keep_its_splits_and_clean_is_no_mark(data_set):
    samples = read(data_set)
    assert Counter(sample.label for sample in samples.items) == {"pit": 24, "artifact": 48}
    assert Counter(sample.split for sample in samples.items) == {"train": 48, "val": 12, "test": 12}


def test_another_label_is_other_data(data_set, tmp_path):
    folder = shutil.copytree(data_set, tmp_path / "set")
    assert read(folder).data_hash == read(data_set).data_hash
    first = "(SELECT min(crop_id) FROM crops WHERE class = 'pit')"
    change(folder, f"UPDATE crops SET class = 'artifact', defect = NULL WHERE crop_id = {first}")
    assert read(folder).data_hash != read(data_set).data_hash


def test_the_folder_of_crops_alone_keeps_the_pieces_of_a_face_together(data_set):
    samples = read(data_set / "crops")
    splits = {}
    for sample in samples.items:
        splits.setdefault(sample.image.stem.split("_")[0], set()).add(sample.split)
    assert len(splits) == 24 and all(len(found) == 1 for found in splits.values())
    assert Counter(label for found in splits.values() for label in found).keys() == {"train", "val", "test"}


def test_a_rare_class_is_in_every_split(tmp_path):
    folder = write_piece_folders(tmp_path / "p", ("scratch", "clean"), 30)
    write_piece_folders(tmp_path / "p", ("crack",), 3)
    splits = [sample.split for sample in read(folder).items if sample.label == "crack"]
    assert sorted(splits) == ["test", "train", "val"]
    with pytest.raises(DataSetError, match="same image in two classes"):
        shutil.copy(folder / "scratch/scratch_0000.png", folder / "crack/another.png")
        read(folder)


def test_a_varied_piece_is_still_outward_up_and_the_original_is_untouched():
    grey = np.full((64, 64), 60, np.uint8)
    grey[:20] = 160
    grey[40:, :20] = 30
    before, mirrored = grey.copy(), 0
    for seed in range(40):
        found = varied(grey, np.random.default_rng(seed)).astype(float)
        assert found[:16].mean() > found[40:].mean() + 30
        mirrored += found[44:, 50:].mean() < found[44:, :14].mean()
    assert 8 < mirrored < 32
    assert (grey == before).all()
    assert (varied(grey, np.random.default_rng(3)) == varied(grey, np.random.default_rng(3))).all()


@pytest.mark.parametrize("side", [1, 2, 15, 256])
def test_pieces_of_any_size_become_inputs(tmp_path, side):
    write_png(tmp_path / "a.png", np.random.default_rng(side).integers(0, 256, (side, side)).astype(np.uint8))
    for name in ("pit", "clean"):
        (tmp_path / name).mkdir()
    shutil.copy(tmp_path / "a.png", tmp_path / "pit")
    write_png(tmp_path / "clean/b.png", piece("clean", 1))
    samples = [sample for sample in read(tmp_path).items if sample.label == "pit"]
    inputs, targets = next(Loader(Pieces(PatchForm(32)), 0).batches(samples, 4, epoch=1))
    assert inputs.shape == (1, 3, 32, 32) and inputs.dtype == np.float32 and np.isfinite(inputs).all()
    assert targets.tolist() == [CLASSES.index("pit")]


def test_the_learning_rate_is_halved_after_four_epochs_without_progress():
    assert learning_rate(0.4, []) == learning_rate(0.4, [1.0, 0.9, 0.9, 0.9, 0.9]) == 0.4
    assert learning_rate(0.4, [1.0, 0.9, 0.9, 0.9, 0.9, 0.9]) == 0.2
    assert learning_rate(0.4, [1.0] * 9) == 0.1
    assert learning_rate(0.4, [1.0, 0.9, 0.8, 0.7, 0.6, 0.5]) == 0.4


def test_classes_are_the_same_six_everywhere():
    assert json.dumps(CLASSES) == '["scratch", "pit", "contamination", "chip", "crack", "artifact"]'
