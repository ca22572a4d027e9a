"""Gauge repeatability: how far the inspection agrees with itself on several images of one and the same end face.

    found = repeatability(results)      # ImageResults of any set; grouped by their ``face``
    lines += repeat_markdown(found)     # a section of the report
    data["repeat"] = found.to_dict()    # JSON-ready

Every two images of a face are compared. Their defects are matched by position in the fibre frame, as shares of the
cladding radius, so that place and magnification do not matter. The fibre may have been turned in between: the angle
that brings most defects into agreement is found by voting. Only reports in the judged area count.
"""

from __future__ import annotations

import cmath
import dataclasses
import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from evaluation.figures import Spread
from evaluation.markdown import percent, table
from evaluation.results import ImageResult, ReportedOutcome
from evaluation.statistics import spread
from plain_data import jsonable
from records import NAN

REACH_SHARE = 0.04  # of the radius: how far apart the places of one defect in two images may lie
REACH_OF_DIAMETER = 0.25  # more for a large one, whose centroid depends on where its outline is drawn
LEAST_ARM_SHARE = 0.15  # a defect nearer to the centre says nothing about the angle
LEAST_VOTES = 2
LEAST_VOTES_SHARE = 1 / 3  # of the defects of the image with fewer: some always agree by chance
OTHER_ANGLE_DEG = 10.0  # angles further apart than this are different answers


@dataclass(frozen=True)
class PairAgreement:
    """Two images of one face. ``verdict_agrees`` is None when one of them has no verdict."""

    first: str
    second: str
    turn_deg: float  # from the first to the second, counter-clockwise; NaN: not known, taken as 0
    defects: tuple[int, int]
    matched: int
    same_class: int  # of the matched ones
    count_agrees: bool
    verdict_agrees: bool | None
    status_agrees: bool
    diameter_differences: tuple[float, ...]  # of the matched ones: difference over mean
    length_differences: tuple[float, ...]


@dataclass(frozen=True)
class Agreement:
    """Shares of one or of several groups; NaN where there was nothing to compare."""

    pairs: int
    count_share: float  # of the pairs whose number of defects agrees
    verdict_share: float
    status_share: float
    seen_again_share: float  # of the defects of either image
    class_share: float  # of the matched defects
    diameter: Spread  # of the matched defects' differences over their mean
    length: Spread
    turns_known: int  # pairs whose angle could be told


@dataclass(frozen=True)
class FaceGroup:
    """The images of one face; ``counts``, ``verdicts`` and ``statuses`` are in the order of ``images``."""

    face: str
    images: tuple[str, ...]
    counts: tuple[int, ...]
    verdicts: tuple[str | None, ...]
    statuses: tuple[str, ...]
    pairs: tuple[PairAgreement, ...]
    agreement: Agreement

    @property
    def is_unanimous(self) -> bool:
        """Whether count, verdict and status are the same for all images."""
        return all(len(set(values)) == 1 for values in (self.counts, self.verdicts, self.statuses))


@dataclass(frozen=True)
class Repeatability:
    """All groups and the total over their pairs; ``problem`` says why there is nothing to say."""

    groups: tuple[FaceGroup, ...]
    overall: Agreement
    left_out: tuple[str, ...] = ()  # images of a face that could not be assessed
    problem: str = ""

    def unanimous_share(self, of: str) -> float:
        """Share of the groups whose images all have the same ``counts``, ``verdicts`` or ``statuses``."""
        return _mean([len(set(getattr(group, of))) == 1 for group in self.groups])

    def to_dict(self) -> dict[str, object]:
        """JSON-ready copy (NaN becomes None)."""
        unanimous = {of: self.unanimous_share(of) for of in ("counts", "verdicts", "statuses")}
        return jsonable({**dataclasses.asdict(self), "unanimous_share": unanimous})


def repeatability(results: Iterable[ImageResult]) -> Repeatability:
    """Compare the images of every face that has two or more; images without a face and problems are left out."""
    of_face: dict[str, list[ImageResult]] = {}
    left_out = []
    for result in results:
        if result.face is not None and result.problem:
            left_out.append(result.name)
        elif result.face is not None:
            of_face.setdefault(result.face, []).append(result)
    groups = tuple(_group(face, images) for face, images in sorted(of_face.items()) if len(images) > 1)
    problem = ""
    if not groups:
        problem = (
            "No end face has two or more images: name it with the same face id in the truth of each of its images."
        )
    return Repeatability(groups, _agreement([p for g in groups for p in g.pairs]), tuple(left_out), problem)


def _group(face: str, images: Sequence[ImageResult]) -> FaceGroup:
    pairs = tuple(compare(first, second) for first, second in itertools.combinations(images, 2))
    return FaceGroup(
        face=face,
        images=tuple(image.name for image in images),
        counts=tuple(len(image.reported) for image in images),
        verdicts=tuple(image.verdict for image in images),
        statuses=tuple(image.status for image in images),
        pairs=pairs,
        agreement=_agreement(pairs),
    )


def compare(first: ImageResult, second: ImageResult) -> PairAgreement:
    """Two images of one face."""
    places = _places(first), _places(second)
    turn_deg = estimate_turn_deg(*places)
    matches = match_places(*places, 0.0 if math.isnan(turn_deg) else turn_deg)
    partners = [(first.reported[a], second.reported[b]) for a, b in matches]
    verdicts = {first.verdict, second.verdict}
    return PairAgreement(
        first=first.name,
        second=second.name,
        turn_deg=turn_deg,
        defects=(len(first.reported), len(second.reported)),
        matched=len(matches),
        same_class=sum(a.kind == b.kind for a, b in partners),
        count_agrees=len(first.reported) == len(second.reported),
        verdict_agrees=None if None in verdicts else len(verdicts) == 1,
        status_agrees=first.status == second.status,
        diameter_differences=_differences(partners, "diameter_px", first.radius_px, second.radius_px),
        length_differences=_differences(partners, "length_px", first.radius_px, second.radius_px),
    )


def _differences(
    partners: Sequence[tuple[ReportedOutcome, ReportedOutcome]], size: str, first_px: float, second_px: float
) -> tuple[float, ...]:
    """Difference over mean of one size, in radii, so that a change of the magnification is none of the size."""
    pairs = ((getattr(a.sizes, size) / first_px, getattr(b.sizes, size) / second_px) for a, b in partners)
    return tuple(2 * abs(a - b) / (a + b) for a, b in pairs if a + b > 0)


# --- places ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Place:
    """Where a defect lies in the fibre frame: complex, in radii, x right and y up; and how far it may be off."""

    at: complex
    reach: float


def _places(image: ImageResult) -> list[Place]:
    return [
        Place(
            cmath.rect(report.radius_share, math.radians(report.angle_deg)),
            REACH_SHARE + REACH_OF_DIAMETER * report.sizes.diameter_px / image.radius_px,
        )
        for report in image.reported
    ]


def estimate_turn_deg(first: Sequence[Place], second: Sequence[Place]) -> float:
    """Angle in [-180, 180) that turns the first pattern into the second, counter-clockwise; NaN when it cannot be told.

    Every two defects at the same radius vote for the angle between them; the angle at which most defects match wins. It
    takes two defects away from the centre, and no other angle may explain as many, unless a fibre that was hardly
    turned explains them: that is the simpler explanation.
    """
    votes = {0.0} | {
        math.degrees(cmath.phase(b.at / a.at))
        for a in first
        for b in second
        if min(abs(a.at), abs(b.at)) >= LEAST_ARM_SHARE and abs(abs(a.at) - abs(b.at)) <= min(a.reach, b.reach)
    }
    counts = {vote: _telling(first, second, vote) for vote in votes}
    most = max(counts.values())
    if most < max(LEAST_VOTES, LEAST_VOTES_SHARE * min(len(first), len(second))):
        return NAN
    if counts[0.0] == most:
        return _refined_deg(first, second, 0.0)
    best = [vote for vote, count in counts.items() if count == most]
    if any(abs((a - b + 180) % 360 - 180) > OTHER_ANGLE_DEG for a, b in itertools.combinations(best, 2)):
        return NAN
    return _refined_deg(first, second, best[0])


def match_places(first: Sequence[Place], second: Sequence[Place], turn_deg: float) -> list[tuple[int, int]]:
    """Pairs of indices, the closest first, each used once, of places that agree after the first were turned."""
    if not first or not second:
        return []
    turned = np.array([place.at for place in first]) * cmath.rect(1.0, math.radians(turn_deg))
    distances = np.abs(turned[:, None] - np.array([place.at for place in second])[None, :])
    reaches = np.minimum.outer([place.reach for place in first], [place.reach for place in second])
    rows, cols = np.nonzero(distances <= reaches)
    matches: list[tuple[int, int]] = []
    for k in np.argsort(distances[rows, cols], kind="stable"):
        a, b = int(rows[k]), int(cols[k])
        if all(a != used_a and b != used_b for used_a, used_b in matches):
            matches.append((a, b))
    return matches


def _telling(first: Sequence[Place], second: Sequence[Place], turn_deg: float) -> int:
    """How many matches speak for an angle: those away from the centre."""
    matches = match_places(first, second, turn_deg)
    return sum(min(abs(first[a].at), abs(second[b].at)) >= LEAST_ARM_SHARE for a, b in matches)


def _refined_deg(first: Sequence[Place], second: Sequence[Place], turn_deg: float) -> float:
    """Least-squares angle of the matches at ``turn_deg``."""
    matches = match_places(first, second, turn_deg)
    angle = math.degrees(cmath.phase(sum(second[b].at * first[a].at.conjugate() for a, b in matches)))
    return (angle + 180.0) % 360.0 - 180.0


# --- totals ----------------------------------------------------------------------------------------------------------


def _agreement(pairs: Sequence[PairAgreement]) -> Agreement:
    matched, seen = sum(pair.matched for pair in pairs), sum(sum(pair.defects) for pair in pairs)
    return Agreement(
        pairs=len(pairs),
        count_share=_mean([pair.count_agrees for pair in pairs]),
        verdict_share=_mean([pair.verdict_agrees for pair in pairs if pair.verdict_agrees is not None]),
        status_share=_mean([pair.status_agrees for pair in pairs]),
        seen_again_share=2 * matched / seen if seen else NAN,
        class_share=sum(pair.same_class for pair in pairs) / matched if matched else NAN,
        diameter=spread(value for pair in pairs for value in pair.diameter_differences),
        length=spread(value for pair in pairs for value in pair.length_differences),
        turns_known=sum(not math.isnan(pair.turn_deg) for pair in pairs),
    )


def _mean(values: Sequence[bool]) -> float:
    return sum(values) / len(values) if values else NAN


# --- report ----------------------------------------------------------------------------------------------------------


_COLUMNS = (
    "count",
    "verdict",
    "status",
    "seen again",
    "class",
    "diameter (median, 95 %)",
    "length (median, 95 %)",
    "turn",
)


def repeat_markdown(found: Repeatability) -> list[str]:
    """Lines of a section: one row per face and one for all, and which images of a face do not agree."""
    lines = ["## Repeatability", ""]
    if found.left_out:
        lines += [f"Could not be assessed: {', '.join(found.left_out)}.", ""]
    if found.problem:
        return [*lines, found.problem, ""]
    whole = {"count": "counts", "clean or defective": "verdicts", "status": "statuses"}
    rows = [_row(group.face, len(group.images), group.agreement) for group in found.groups]
    rows.append(_row("**all**", sum(len(group.images) for group in found.groups), found.overall))
    unanimous = [f"{title} {percent(found.unanimous_share(name))}" for title, name in whole.items()]
    lines += [
        "Pairs of images of one face that agree on the number of defects, on clean or defective, and on the status by "
        "the rule set. Seen again: defects that the other image shows, too, at the same place of the fibre; of those, "
        "how many have the same class, and how far their sizes differ, over the mean of both. Turn: pairs in which "
        "the defects tell the angle between the images; the others are compared as they lie.",
        "",
        *table(["face", "images", *_COLUMNS], rows),
        f"Faces whose images all agree: {', '.join(unanimous)}.",
        "",
    ]
    for group in found.groups:
        if not group.is_unanimous:
            each = zip(group.images, group.counts, group.verdicts, group.statuses, strict=True)
            said = "; ".join(f"{name}: {n}, {verdict or 'open'}, {status}" for name, n, verdict, status in each)
            lines += [f"- {group.face}: {said}"]
    return [*lines, ""] if lines[-1] else lines


def _row(face: str, images: int, agreement: Agreement) -> list[object]:
    a = agreement
    shares = (a.count_share, a.verdict_share, a.status_share, a.seen_again_share, a.class_share)
    sizes = (f"{percent(size.median)}, {percent(size.quantile_95)}" for size in (a.diameter, a.length))
    return [face, images, *map(percent, shares), *sizes, f"{a.turns_known} of {a.pairs}"]
