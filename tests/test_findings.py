"""What a batch tells: dirt on the optics, one face in several pictures, marginal verdicts. Records in, findings out."""

from __future__ import annotations

import base64
from dataclasses import replace

import cv2
import numpy as np
import pytest
from faces import clean_grey, face_scene, inspect_grey
from findings_samples import HEIGHT, PLACES, WIDTH, mark_at, picture
from hypothesis import given, settings
from hypothesis import strategies as st
from report_samples import failed_inspection

from batchwide.optics_dirt import with_optics_marked
from findings import find_in_batch, find_spots, flagged_otherwise, in_short, sentences
from records import LOCALIZATION_FAILED, PASS, UNGRADED, Ellipse, InspectionRecord
from rendering.engine import render
from settings import OpticsDirt
from vision.fingerprint import CELLS, cells_of, fingerprint

SPOT = (330.0, 280.0)
DIRT = OpticsDirt(count=False, min_images=5, min_share=0.5)
CLADDING = Ellipse(211.0, 143.0, 180.0, 180.0, 0.0)  # of the rendered face


def spots_in(*records: InspectionRecord, dirt: OpticsDirt = DIRT):
    return find_in_batch(records, dirt).optics


# --- dirt on the optics ----------------------------------------------------------------------------------------------


def test_a_spot_that_stays_while_the_fibres_move_is_on_the_optics():
    jitter = [(0.4, -0.3), (-0.5, 0.2), (0.1, 0.5), (0.0, 0.0)]
    records = [
        picture(k, place, [(SPOT[0] + jitter[k % 4][0], SPOT[1] + jitter[k % 4][1]), (place[0] + 40.0, place[1])])
        for k, place in enumerate(PLACES)
    ]
    (spot,) = spots_in(*records)
    assert (spot.x_px, spot.y_px) == pytest.approx(SPOT, abs=0.5)
    assert spot.images == tuple(record.image_filename for record in records) and spot.polarity == "dark"
    assert (spot.image_width_px, spot.image_height_px) == (WIDTH, HEIGHT)
    assert "(330, 280) px" in next(sentences(find_in_batch(records, DIRT)))


@pytest.mark.parametrize(
    ("why", "records"),
    [
        ("the fibre does not move", [picture(k, PLACES[0], [SPOT]) for k in range(8)]),
        ("it moves with the fibre", [picture(k, (x, y), [(x - 20, y + 30)]) for k, (x, y) in enumerate(PLACES)]),
        ("too few images", [picture(k, place, [SPOT]) for k, place in enumerate(PLACES[:4])]),
        ("two places of the fibre only", [picture(k, PLACES[k % 2], [SPOT]) for k in range(8)]),
        ("too small a share", [picture(k, PLACES[k % 8], [SPOT] if k < 6 else []) for k in range(16)]),
        ("elsewhere in every picture", [picture(k, p, [(300 + 9 * k, 280)]) for k, p in enumerate(PLACES)]),
        ("other sizes", [picture(k, p, [SPOT], image_width_px=700 + k) for k, p in enumerate(PLACES)]),
        ("no fibre", [failed_inspection(LOCALIZATION_FAILED).record] * 8),
    ],
)
def test_without_proof_nothing_is_named(why, records):
    assert spots_in(*records) == (), why


def test_only_images_that_inspect_the_place_are_asked():
    far = [picture(20 + k, (70.0, 80.0 + k)) for k in range(30)]  # their zones end 200 px from the fibre
    assert len(spots_in(*far, *(picture(k, place, [SPOT]) for k, place in enumerate(PLACES)))) == 1


def test_brightness_and_size_tell_a_mark_from_a_spot():
    records = [picture(k, place, [SPOT]) for k, place in enumerate(PLACES)]
    spots = find_spots(records, DIRT)
    marks = [
        mark_at(*SPOT, PLACES[0]),
        mark_at(*SPOT, PLACES[0], polarity="bright"),
        mark_at(*SPOT, PLACES[0], diameter_px=20.0),  # larger than the spot: something is under it
        mark_at(SPOT[0] + 4, SPOT[1], PLACES[0]),
    ]
    flags = [d.on_optics for d in with_optics_marked(marks, (HEIGHT, WIDTH), spots, DIRT)]
    assert flags == [True, False, False, False]
    assert not any(d.on_optics for d in with_optics_marked(marks, (HEIGHT, 700), spots, DIRT))
    assert not any(d.on_optics for d in with_optics_marked(marks, (HEIGHT, WIDTH), spots, OpticsDirt(count=True)))


def test_flagged_records_give_the_same_spots_and_are_not_flagged_again():
    records = [picture(k, place, [SPOT, (400.0, 300.0 + 7 * k)]) for k, place in enumerate(PLACES)]
    spots = find_spots(records, DIRT)
    assert len(list(flagged_otherwise(records, spots, DIRT))) == 8
    shape = HEIGHT, WIDTH
    flagged = [replace(r, defects=with_optics_marked(r.defects, shape, spots, DIRT)) for r in records]
    flagged = [InspectionRecord.from_dict(record.to_dict()) for record in flagged]
    assert find_spots(flagged, DIRT) == spots and list(flagged_otherwise(flagged, spots, DIRT)) == []
    assert len(list(flagged_otherwise(flagged, (), DIRT))) == 8  # what is no longer proven is counted again


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(200, 500), st.integers(150, 420)), min_size=5, max_size=12), st.randoms())
def test_marks_that_stay_on_their_fibre_are_never_on_the_optics(fibres, chance):
    """One connector, pictured at many places, with its own marks: whatever the places, no proof."""
    own = [(chance.uniform(-100, 100), chance.uniform(-100, 100)) for _ in range(3)]
    distinct = len({fibre for fibre in fibres})
    records = [picture(k, (x, y), [(x + u, y + v) for u, v in own]) for k, (x, y) in enumerate(fibres)]
    assert distinct > 3 or spots_in(*records) == ()
    for spot in spots_in(*records):  # three marks of one connector can only by chance meet at one place of the picture
        assert len(spot.images) < len(records)


# --- the same face twice ---------------------------------------------------------------------------------------------


def face_record(name: str, print_of: str, sha: str = "") -> InspectionRecord:
    return picture(1, PLACES[0], image_filename=name, fingerprint=print_of, content_sha256=sha)


def groups(*records: InspectionRecord) -> list[tuple[str, ...]]:
    return [face.images for face in find_in_batch(records).same_faces]


def encoded(cells: np.ndarray) -> str:
    return base64.b64encode(cells.astype(np.int8).tobytes()).decode()


@pytest.fixture(scope="module")
def others() -> list[str]:
    """Fingerprints of other clean faces under the same microscope."""
    return [fingerprint(render(face_scene(seed=seed)).image, CLADDING) for seed in range(6, 13)]


def changed_copies():
    grey = clean_grey()
    jpeg = cv2.imdecode(cv2.imencode(".jpg", grey, [cv2.IMWRITE_JPEG_QUALITY, 90])[1], cv2.IMREAD_GRAYSCALE)
    yield "saved as JPEG", jpeg, CLADDING
    yield "cropped", grey[9:-5, 14:-8], replace(CLADDING, x_px=197.0, y_px=134.0)
    yield "brightened", np.clip(grey * 1.1 + 8, 0, 255).astype(np.uint8), CLADDING
    yield "turned", np.rot90(grey), replace(CLADDING, x_px=143.0, y_px=399.0 - 211.0)
    yield "mirrored", grey[:, ::-1], replace(CLADDING, x_px=399.0 - 211.0)


def test_copies_are_recognised_and_other_faces_are_not(others):
    copies = {name: fingerprint(np.ascontiguousarray(grey), ellipse) for name, grey, ellipse in changed_copies()}
    original = face_record("original", fingerprint(clean_grey(), CLADDING))
    strangers = [face_record(f"other{k}", text) for k, text in enumerate(others)]
    assert groups(original, *strangers) == []
    for name, text in copies.items():
        assert groups(original, *strangers, face_record(name, text)) == [("original", name)], name
    everything = [face_record(name, text) for name, text in copies.items()]
    (group,) = groups(*strangers, original, *everything)
    assert group == ("original", *copies)


def test_what_the_pictures_of_a_camera_have_in_common_makes_no_face():
    chance = np.random.default_rng(3)
    pattern = chance.normal(0, 40, CELLS)
    prints = [encoded(np.clip(pattern + chance.normal(0, 18, CELLS), -120, 120)) for _ in range(12)]
    records = [face_record(f"face{k}", text) for k, text in enumerate(prints)]
    assert groups(*records) == []
    assert groups(*records, face_record("copy", prints[4])) == [("face4", "copy")]


def test_the_same_file_is_the_same_face_whatever_its_fingerprint():
    records = [face_record("a", "", "x"), face_record("b", "no fingerprint", "y"), face_record("c", "", "x")]
    (face,) = find_in_batch(records).same_faces
    assert face.images == ("a", "c") and face.similarity == 1.0
    lost = [replace(record, fiber=None) for record in records]
    assert groups(*lost) == []


def test_a_fingerprint_is_text_of_one_size_and_even_grey_has_none():
    text = fingerprint(clean_grey(), CLADDING)
    assert len(text) == 4 * CELLS // 3 and cells_of(text).any()
    assert fingerprint(np.full((300, 400), 90, np.uint8), CLADDING) == ""
    cut_off = fingerprint(np.ascontiguousarray(clean_grey()[:, 180:]), replace(CLADDING, x_px=31.0))
    assert cells_of(cut_off) is not None and (cells_of(cut_off) == 0).mean() > 0.25
    assert all(cells_of(bad) is None for bad in ("", "\u00e4", "AAAA", "<script>"))


# --- marginal verdicts and focus -------------------------------------------------------------------------------------


def test_marginal_verdicts_are_named_and_counted():
    found = find_in_batch([replace(picture(k, PLACES[0]), marginal=k != 1) for k in range(3)])
    assert found.marginal == ("face0.png", "face2.png") and list(in_short(found)) == ["2 verdicts are marginal"]
    assert list(in_short(find_in_batch([]))) == []


def test_a_blurred_image_is_not_judged():
    sharp = inspect_grey(clean_grey(), cladding_um=125.0).record
    blurred = inspect_grey(cv2.GaussianBlur(clean_grey(), (0, 0), 5.0), cladding_um=125.0).record
    assert sharp.status == PASS and blurred.status == UNGRADED
    assert blurred.reasons == (f"Too blurred to be judged: focus score {blurred.focus_score:.2f}, limit 0.20",)
    assert any("Out of focus" in warning for warning in blurred.warnings)
    assert sharp.fingerprint and blurred.zones
