"""What only a whole batch tells: dirt on the optics, one end face in several images, verdicts that hang on a hair.

Records in, findings out; the parts are in ``batchwide``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from batchwide.optics_dirt import OpticsEvidence, OpticsSpot, spot_sentence, with_optics_marked
from batchwide.same_face import Faces, SameFace
from records import InspectionRecord
from settings import OpticsDirt, SameFaceSettings

__all__ = [
    "BatchFindings",
    "OpticsSpot",
    "SameFace",
    "find_in_batch",
    "find_spots",
    "flagged_otherwise",
    "in_short",
    "optics_sentences",
    "sentences",
]


@dataclass(frozen=True)
class BatchFindings:
    """All names are those of images, in the order of the records."""

    optics: tuple[OpticsSpot, ...] = ()
    same_faces: tuple[SameFace, ...] = ()
    marginal: tuple[str, ...] = ()  # whose verdict would turn within the uncertainty of a size
    optics_counted: bool = True  # whether marks on the optics are counted like any other


def find_in_batch(
    records: Iterable[InspectionRecord],
    optics: OpticsDirt = OpticsDirt(),  # noqa: B008 (frozen)
    same_face: SameFaceSettings = SameFaceSettings(),  # noqa: B008
) -> BatchFindings:
    """Look through the records of a batch, one at a time; about 2 kB of each are kept meanwhile."""
    evidence, faces, marginal = OpticsEvidence(), Faces(), []
    for record in records:
        evidence.add(record)
        if record.fiber is not None:
            faces.add(record.image_filename, record.fingerprint, record.content_sha256)
        if record.marginal:
            marginal.append(record.image_filename)
    same_faces = faces.groups(same_face.min_similarity)
    return BatchFindings(evidence.spots(optics), same_faces, tuple(marginal), optics_counted=optics.count)


def find_spots(records: Iterable[InspectionRecord], settings: OpticsDirt) -> tuple[OpticsSpot, ...]:
    """The spots on the optics alone, without the names of their images, to travel with tasks."""
    evidence = OpticsEvidence()
    for record in records:
        evidence.add(record)
    return tuple(replace(spot, images=()) for spot in evidence.spots(settings))


def flagged_otherwise(
    records: Iterable[InspectionRecord], spots: tuple[OpticsSpot, ...], settings: OpticsDirt
) -> Iterator[InspectionRecord]:
    """The records whose marks are not flagged as these spots ask for: their images have to be inspected again."""
    for record in records:
        shape = record.image_height_px, record.image_width_px
        marked = with_optics_marked(record.defects, shape, spots, settings)
        if any(new.on_optics != old.on_optics for new, old in zip(marked, record.defects, strict=True)):
            yield record


def optics_sentences(findings: BatchFindings) -> list[str]:
    """A sentence on each spot on the optics, the same in every report."""
    return [spot_sentence(spot, is_counted=findings.optics_counted) for spot in findings.optics]


def sentences(findings: BatchFindings) -> Iterator[str]:
    """The findings in words, for the log."""
    yield from optics_sentences(findings)
    for face in findings.same_faces:
        yield f"The same end face, similarity {face.similarity:.2f}: {', '.join(face.images)}."
    if findings.marginal:
        yield f"Marginal verdicts, look again: {', '.join(findings.marginal)}."


def in_short(findings: BatchFindings) -> Iterator[str]:
    """The findings for the closing summary: a line for each kind."""
    if (count := len(findings.marginal)) > 0:
        yield "1 verdict is marginal" if count == 1 else f"{count} verdicts are marginal"
    if (count := len(findings.optics)) == 1:
        yield from optics_sentences(findings)
    elif count > 1:
        yield f"Dirt on the optics at {count} places, which the log names. Clean the camera."
    if (count := len(findings.same_faces)) > 0:
        faces = "1 end face is" if count == 1 else f"{count} end faces are"
        yield f"{faces} in several images; the log names them"
