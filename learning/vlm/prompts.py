"""What a vision-language model is told and asked: the same words in training and in use."""

from __future__ import annotations

import math
from collections.abc import Sequence

from learning.vlm.views import CLADDING, CORE, FERRULE, FULL, View
from records import Ellipse, ZoneExtent

MAX_LISTED = 20  # marks that an answer names

SYSTEM_TEXT = f"""You inspect the end faces of optical fibres in microscope pictures.
Answer with one JSON object and nothing else:
{{"defects": [{{"bbox": [left, top, width, height], "type": "scratch|pit|contamination|chip|crack", \
"severity": "critical|marginal|minor", "confidence": 0.0 to 1.0, "zone": "Core|Cladding|Adhesive|Contact"}}], \
"pass_fail": "PASS|FAIL", "explanation": "a short sentence"}}
A bbox is in pixels of the picture, from its top left corner. Name every mark on the end face, the worst first, at \
most {MAX_LISTED}. A mark is critical when it violates a criterion of the acceptance rules, marginal when its size is \
close to a limit, else minor. pass_fail is FAIL when the picture shows a critical mark. Dirt on the microscope's own \
optics is no mark."""

_SHOWN = {
    FULL: "the whole frame",
    CORE: "the core and what is around it",
    CLADDING: "the cladding with the core",
    FERRULE: "the cladding and the ferrule around it",
}


def user_text(view: View, *, cladding: Ellipse, zones: Sequence[ZoneExtent], um_per_px: float, rule_set: str) -> str:
    """The question about one view of an image.

    ``cladding`` and ``zones`` are those of the inspection; ``um_per_px`` is the image's scale (NaN: not known),
    ``rule_set`` the name of what the face is judged by.
    """
    shown = um_per_px / view.factor
    scale = f"1 px is {shown:.3g} um" if math.isfinite(shown) else "the scale is not known"
    x, y, _, _ = view.to_view((cladding.x_px + 0.5, cladding.y_px + 0.5, 0.0, 0.0))
    inspected = [zone for zone in zones if zone.inspected]
    rings = ", ".join(f"{zone.name} to {zone.outer_radius_px * view.factor:.0f} px" for zone in inspected)
    return (
        f"The picture shows {_SHOWN[view.name]}: {view.shown_width} x {view.shown_height} px, {scale}."
        f" The fibre's centre is at ({x:.0f}, {y:.0f}); from there the zones reach: {rings}. What lies outside of them"
        f" does not count. Acceptance rules: {rule_set}. Which defects does the picture show, and does it pass?"
    )
