"""Which files are inspected, and what their results are called."""

import itertools
import os
import unicodedata
from pathlib import Path

import pytest
from faces import touch

from cli.image_files import find_images, name_results, natural_key, possible_result_names


def names(found):
    return [path.name for path in found.paths]


def test_long_names_leave_room_for_the_endings_and_stay_different(tmp_path):
    paths = [tmp_path / f"{'ä' * 118}{tail}.png" for tail in ("", "b", "c")]
    stems = [image.stem for image in name_results(paths)]
    assert len(set(stems)) == 3 and all(len(os.fsencode(stem)) <= 190 for stem in stems)
    assert all(stem in possible_result_names(path) for stem, path in zip(stems, paths, strict=True))


def test_images_of_a_folder_in_natural_order(tmp_path):
    touch(tmp_path, "f10.png", "f9.JPG", "f2.Tiff", "F1.bmp", "notes.txt", ".hidden.png", "sub/f3.png")
    assert names(find_images([tmp_path])) == ["F1.bmp", "f2.Tiff", "f9.JPG", "f10.png"]
    assert names(find_images([tmp_path], recursive=True)) == ["F1.bmp", "f2.Tiff", "f3.png", "f9.JPG", "f10.png"]


def test_the_same_file_given_several_ways_is_inspected_once(tmp_path, monkeypatch):
    touch(tmp_path, "a.png", "b.png")
    (tmp_path / "link.png").symlink_to(tmp_path / "a.png")
    monkeypatch.chdir(tmp_path)
    found = find_images(["a.png", tmp_path, "./a.png", "*.png", f"../{tmp_path.name}/b.png"])
    assert names(found) == ["a.png", "b.png"]
    assert all(path.is_absolute() for path in found.paths)


def test_globs_and_literal_brackets(tmp_path):
    touch(tmp_path, "fibre [1].png", "fibre 1.png", "fibre 2.png")
    assert names(find_images([tmp_path / "fibre [1].png"])) == ["fibre [1].png"]
    assert names(find_images([str(tmp_path / "fibre ?.png")])) == ["fibre 1.png", "fibre 2.png"]


def test_brackets_in_a_folder_name_are_no_pattern(tmp_path):
    touch(tmp_path, "new [1]/a.png", "new [1]/b.jpg")
    assert names(find_images([str(tmp_path / "new [1]" / "*.png")])) == ["a.png"]


def test_what_cannot_be_used_is_named(tmp_path):
    touch(tmp_path, "a.png", "notes.txt")
    found = find_images([tmp_path / "a.png", tmp_path / "none.png", tmp_path / "*.bmp", tmp_path / "notes.txt"])
    assert names(found) == ["a.png"]
    assert len(found.problems) == 2 and "does not exist" in found.problems[0] and "matches nothing" in found.problems[1]
    assert len(found.ignored) == 1 and "notes.txt" in found.ignored[0]


def test_an_empty_name_is_not_the_current_folder(tmp_path, monkeypatch):
    touch(tmp_path, "a.png")
    monkeypatch.chdir(tmp_path)
    assert find_images([""]).paths == () and find_images([""]).problems


def test_a_folder_that_cannot_be_listed_is_a_problem(tmp_path, monkeypatch):
    touch(tmp_path, "a.png")

    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "scandir", refuse)
    found = find_images([tmp_path])
    assert found.paths == () and "permission denied" in found.problems[0]


def test_results_are_never_taken_for_images(tmp_path):
    touch(tmp_path, "a.png", "out/results.jsonl", "out/details/a_annotated.png", "results.jsonl")
    touch(tmp_path, "details/b_annotated.png", "more/details/c.png")
    assert names(find_images([tmp_path], recursive=True)) == ["a.png", "c.png"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes in folders here")
def test_pipes_are_left_alone(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    assert find_images([tmp_path]).paths == ()
    named = find_images([tmp_path / "pipe.png"])
    assert named.paths == () and "neither a file nor a folder" in named.problems[0]


# --- result names --------------------------------------------------------------------------------------------------


def stems(*paths, kept=()):
    earlier = {Path(path): name for path, name in dict(kept).items()}
    return [image.stem for image in name_results([Path(path) for path in paths], kept=earlier)]


def test_clashing_names_get_the_extension_then_the_folder():
    assert stems("/d/a.png", "/d/b.png") == ["a", "b"]
    assert stems("/d/a.png", "/d/a.jpg") == ["a_png", "a_jpg"]
    assert stems("/d/a.png", "/e/a.png") == ["d_a_png", "e_a_png"]
    assert stems("/x/d/a.png", "/y/d/a.png") == ["x_d_a_png", "y_d_a_png"]


def test_images_of_one_file_name_are_told_apart_in_reports():
    images = name_results([Path("/d/a.png"), Path("/e/a.png"), Path("/e/b.png")])
    assert [image.name for image in images] == ["d/a.png", "e/a.png", "b.png"]


def test_names_stay_apart_where_case_and_composition_do_not_count():
    paths = ["/d/Prüfling.png", "/d/PRÜFLING.jpg", "/d/" + unicodedata.normalize("NFD", "prüfling.bmp")]
    keys = {unicodedata.normalize("NFC", stem).casefold() for stem in stems(*paths)}
    assert len(keys) == 3


def test_no_name_is_ever_given_twice():
    parts = ("a", "A", "a_png", "d_a_png")
    paths = [
        f"/{top}/{folder}/{stem}.{ext}"
        for top, folder, stem, ext in itertools.product("xX", "dD", parts, ("png", "PNG"))
    ]
    given = [stem.casefold() for stem in stems(*paths)]
    assert len(set(given)) == len(given)


def test_names_of_an_earlier_run_are_left_to_it():
    assert stems("/e/a.png", kept={"/d/a.png": ""}) == ["e_a_png"]
    assert stems("/d/a.jpg", kept={"/d/a.png": ""}) == ["a_jpg"]


def test_natural_order_is_total():
    paths = [
        Path(text) for text in ("/d/1.png", "/d/01.png", "/d/a1b.png", "/d/a.png", "/d/ä2.png", "/d/²x.png", "/e/a.png")
    ]
    for order in itertools.permutations(paths[:5]):
        assert sorted(order, key=natural_key) == sorted(paths[:5], key=natural_key)
    assert sorted(reversed(paths), key=natural_key) == sorted(paths, key=natural_key)
