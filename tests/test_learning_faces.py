"""Which images belong together, and the splits: no face in two, stable, stratified."""

import hashlib
import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from errors import UsageError
from learning.faces import Face, assign_splits, face_pattern, group_faces, keys_of, name_keys

SHARES = (0.7, 0.15, 0.15)
_faces = st.lists(
    st.tuples(st.integers(0, 10**6), st.sampled_from(["clean", "defective", None]), st.integers(0, 30)),
    min_size=1,
    max_size=80,
    unique_by=lambda item: item[0],
)


def image_id(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()[:16]


def make(items) -> list[Face]:
    return [Face(image_id(number), verdict, (f"serial {key}",)) for number, verdict, key in items]


def splits_of(faces: list[Face]) -> dict[str, str]:
    groups = group_faces(faces)
    splits = assign_splits(faces, groups, SHARES)
    return {face.image_id: splits[groups[face.image_id]] for face in faces}


@settings(max_examples=50, deadline=None)
@given(_faces, st.randoms(use_true_random=False))
def test_no_key_is_in_two_splits_and_the_order_does_not_matter(items, random):
    faces = make(items)
    splits = splits_of(faces)
    by_key = {}
    for face in faces:
        assert by_key.setdefault(face.keys, splits[face.image_id]) == splits[face.image_id]
    random.shuffle(faces)
    assert splits_of(faces) == splits


@settings(max_examples=50, deadline=None)
@given(st.sets(st.integers(0, 10**6), min_size=3, max_size=200), st.sampled_from(["clean", "defective", None]))
def test_every_split_has_its_share_of_single_faces(numbers, verdict):
    faces = [Face(image_id(number), verdict, ()) for number in numbers]
    found = [*splits_of(faces).values()]
    for name, share in zip(("train", "val", "test"), SHARES, strict=True):
        assert abs(found.count(name) - share * len(found)) <= 2 * 0.03 * len(found) + 1
        assert name in found


def test_clean_and_defective_faces_are_split_alike():
    faces = [Face(image_id(k), "clean" if k % 5 else "defective", ()) for k in range(200)]
    splits = splits_of(faces)
    for verdict, images in (("clean", 160), ("defective", 40)):
        mine = [splits[face.image_id] for face in faces if face.verdict == verdict]
        assert abs(mine.count("train") / images - 0.7) < 0.05 and abs(mine.count("test") / images - 0.15) < 0.08


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10**6))
def test_faces_keep_their_split_when_others_come(seed):
    faces = [Face(image_id(seed + k), "clean", ()) for k in range(420)]
    before, after = splits_of(faces[:400]), splits_of(faces)
    assert sum(before[name] != after[name] for name in before) <= 12


def test_a_group_with_one_defective_image_is_defective():
    faces = [Face(image_id(k), "clean", (f"serial {k // 2}",)) for k in range(20)]
    faces += [Face(image_id(100 + k), "defective", (f"serial {k}",)) for k in range(3)]
    groups = group_faces(faces)
    defective = {groups[face.image_id] for face in faces if face.verdict == "defective"}
    assert len(defective) == 3
    splits = assign_splits(faces, groups, SHARES)
    assert sorted(splits[group] for group in defective) == ["test", "train", "val"]


def test_keys_join_indirectly():
    faces = [Face("a" * 16, None, ("serial 1", "name x")), Face("c" * 16, None, ("name y",))]
    faces += [Face("b" * 16, None, ("name x", "name y")), Face("d" * 16, None, ("name z",))]
    assert group_faces(faces) == {"a" * 16: "a" * 16, "b" * 16: "a" * 16, "c" * 16: "a" * 16, "d" * 16: "d" * 16}


def test_the_keys_of_different_kinds_are_different():
    assert keys_of("7", "7", "7") == ("serial 7", "face 7", "name 7")
    assert keys_of("", None, "7") == ("name 7",)


@pytest.mark.parametrize(
    ("stems", "together"),
    [
        (("face", "face_2", "Face (1)", "face - Copy", "face_b", "face-copy-3"), True),
        (("face_0007", "face_0008"), False),
        (("face_1", "face_2"), False),
        (("name_0007", "name"), False),
        (("x_a", "x_b"), True),
        (("DSCN0013", "DSCN0014"), False),
        (("a", "b"), False),
        (("_a", "_b"), False),
    ],
)
def test_names_of_one_face(stems, together):
    assert len({*name_keys(stems, None).values()}) == (1 if together else len(stems))


@settings(max_examples=30, deadline=None)
@given(st.sets(st.text(max_size=20), max_size=10))
@example({"", "_1"})
def test_every_name_has_a_key(stems):
    keys = name_keys(stems, None)
    assert set(keys) == stems and all(keys[stem] for stem in stems if stem)


def test_a_pattern_names_the_face():
    stems = ("SN12_p1_x1", "SN12_p1_x2", "SN12_p2_x1", "other")
    assert [*name_keys(stems, re.compile(r"(?P<face>SN\d+_p\d)_x")).values()] == [
        "SN12_p1",
        "SN12_p1",
        "SN12_p2",
        "other",
    ]
    assert name_keys(["a7_1"], re.compile(r"a(\d)")) == {"a7_1": "7"}
    assert name_keys(["a7_1"], re.compile(r"a\d")) == {"a7_1": "a7"}


def test_a_broken_pattern():
    with pytest.raises(UsageError, match="no regular expression"):
        face_pattern("(")
