"""Ground truth of labelled images: ``images/NAME.*``, ``truth/NAME.json`` and ``truth/NAME_labels.png``."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cli.image_files import natural_key
from errors import NoImagesError, TruthError, UnreadableImage
from image_io import IMAGE_SUFFIXES, read_labels_png
from records import CLASS_OF_KIND, Ellipse, Fiber

DO_NOT_JUDGE = 65535  # in a label image
VERDICTS = ("clean", "defective")
_FORMAT = "See README.md, section Rendered scenes and ground truth."
logger = logging.getLogger("dscope.truth")


@dataclass(frozen=True)
class TrueDefect:
    """A labelled defect; None = the truth does not say. ``kind`` is one of :data:`records.CLASS_OF_KIND`."""

    id: int  # value in the label image
    kind: str
    kind_certain: bool = True
    length_um: float | None = None
    width_um: float | None = None
    diameter_um: float | None = None
    area_um2: float | None = None
    zone: str | None = None
    style: str | None = None

    @property
    def class_name(self) -> str:
        """The kind as the inspection calls it."""
        return CLASS_OF_KIND[self.kind]


@dataclass(frozen=True)
class TrueFiber:
    """The true fibre; None = not visible, or not known."""

    cladding: Ellipse
    core_diameter_px: float | None = None
    core_um: float | None = None
    cladding_um: float | None = None

    @property
    def um_per_px(self) -> float | None:
        """Scale of the fibre frame."""
        return None if self.cladding_um is None else self.cladding_um / (2 * self.cladding.mean_radius_px)

    def as_found(self) -> Fiber:
        """As a perfect inspection would locate it: a core that cannot be seen has its nominal diameter."""
        if self.core_diameter_px is not None:
            return Fiber(self.cladding, self.core_diameter_px, "measured")
        if self.core_um is not None and self.um_per_px is not None:
            return Fiber(self.cladding, self.core_um / self.um_per_px, "nominal")
        return Fiber(self.cladding)


@dataclass(frozen=True)
class TruthImage:
    """One labelled image, still on disk. ``fiber`` is None where there is none; ``face`` names the end face."""

    name: str
    image_path: Path
    labels_path: Path | None = None  # None: no pixel is labelled
    fiber: TrueFiber | None = None
    verdict: str | None = None  # clean | defective
    face: str | None = None
    defects: tuple[TrueDefect, ...] = ()


def load_truth_set(folder: Path | str, on_skipped: Callable[[str], None] = logger.warning) -> list[TruthImage]:
    """The labelled images of a folder in natural order of their names.

    ``on_skipped`` gets one sentence for every image whose truth is missing or cannot be used. Raises
    :class:`NoImagesError` when the folder is no labelled set, or nothing in it can be used.
    """
    folder = Path(folder)
    for part in (folder, folder / "images", folder / "truth"):
        if not part.is_dir():
            what = "There is no folder" if not part.exists() else "This is no folder:"
            raise NoImagesError(f"{what} {part}.", f"A labelled set has the folders images and truth. {_FORMAT}")
    paths = [p for p in (folder / "images").iterdir() if p.suffix.lower() in IMAGE_SUFFIXES and p.is_file()]
    truths = []
    for path in sorted(paths, key=natural_key):
        try:
            truths.append(read_truth(path, folder / "truth"))
        except TruthError as error:
            on_skipped(f"{path.name} is left out: {error}")
    if not truths:
        why = f"none of {len(paths)} images has a usable truth" if paths else "the folder is empty"
        raise NoImagesError(f"No labelled image in {folder / 'images'}: {why}.", _FORMAT)
    return truths


def read_truth(image_path: Path, truth_folder: Path) -> TruthImage:
    """The truth of one image; raises :class:`TruthError`."""
    path = truth_folder / f"{image_path.stem}.json"
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise TruthError(f"There is no {path.name}.", "Add the truth, or remove the image.") from None
    except OSError as error:
        raise TruthError(f"{path.name} cannot be read: {error.strerror or error}.", "Check its permissions.") from error
    except UnicodeDecodeError as error:
        raise TruthError(f"{path.name} is not UTF-8 text.", "Save it as UTF-8.") from error
    except (ValueError, RecursionError) as error:
        raise TruthError(f"{path.name} is not JSON: {error}.", "Repair the file.") from error
    labels_path = truth_folder / f"{image_path.stem}_labels.png"
    has_labels = labels_path.is_file()
    try:
        truth = parse_truth(data, image_path, labels_path if has_labels else None)
    except TruthError as error:
        raise TruthError(f"In {path.name}, {error.message}", _FORMAT) from None
    if truth.defects and not has_labels:
        raise TruthError(f"{path.name} names defects, but there is no {labels_path.name}.", "Add the label image.")
    return truth


def read_labels(truth: TruthImage, shape: tuple[int, int]) -> np.ndarray:
    """The label image, (H, W) uint16: 0 background, id of a defect, :data:`DO_NOT_JUDGE`; zeros where there is none.

    Raises :class:`TruthError` when it cannot be read, has another shape than the image, or values that no defect has.
    """
    if truth.labels_path is None:
        return np.zeros(shape, np.uint16)
    name = truth.labels_path.name
    try:
        labels = read_labels_png(truth.labels_path)
    except UnreadableImage as error:
        raise TruthError(f"{name} cannot be used: {error.message}", "Save it as a PNG of 8 or 16 bit, grey.") from error
    if labels.shape != tuple(shape):
        sizes = f"{labels.shape[1]} x {labels.shape[0]} pixels, the image {shape[1]} x {shape[0]}"
        raise TruthError(f"{name} has {sizes}.", "Draw the labels on the image at its full size.")
    unknown = set(np.unique(labels).tolist()) - {0, DO_NOT_JUDGE} - {d.id for d in truth.defects}
    if unknown:
        raise TruthError(f"{name} has the value {min(unknown)}, but no defect has this id.", "Add it to the JSON file.")
    return labels


def parse_truth(data: Any, image_path: Path, labels_path: Path | None = None) -> TruthImage:
    """The truth of an image from its JSON document; raises :class:`TruthError`."""
    data = _object(data, "the whole")
    verdict, face, fiber = data.get("verdict"), data.get("face"), data.get("fiber")
    if verdict is not None and verdict not in VERDICTS:
        raise TruthError(f'verdict must be "clean", "defective" or null, not {verdict!r}.')
    entries = data.get("defects", [])
    if not isinstance(entries, list):
        raise TruthError("defects must be a list.")
    defects = tuple(_defect(entry, f"defects[{number}]") for number, entry in enumerate(entries))
    ids = [defect.id for defect in defects]
    if len(set(ids)) < len(ids):
        raise TruthError("two defects have the same id.")
    return TruthImage(
        name=image_path.name,
        image_path=image_path,
        labels_path=labels_path,
        fiber=None if fiber is None else parse_fiber(fiber),
        verdict=verdict,
        face=None if face is None else str(face),
        defects=defects,
    )


def parse_fiber(data: Any) -> TrueFiber:
    """The fibre of a truth document; raises :class:`TruthError`."""
    data = _object(data, "fiber")
    first, second = (_positive(value, "fiber.axes_px") for value in _pair(data, "axes_px"))
    x, y = (_number(value, "fiber.center_px") for value in _pair(data, "center_px"))
    # the angle belongs to the first axis, whichever is longer
    angle = _number(data.get("angle_deg", 0.0), "fiber.angle_deg") + (0.0 if first >= second else 90.0)
    cladding = Ellipse(x, y, max(first, second), min(first, second), angle % 180.0)
    core_px, core_um, cladding_um = (
        _size(data, key, "fiber") for key in ("core_diameter_px", "core_um", "cladding_um")
    )
    if core_um is not None and cladding_um is not None and core_um >= cladding_um:
        raise TruthError("fiber.core_um must be smaller than fiber.cladding_um.")
    return TrueFiber(cladding, core_px, core_um, cladding_um)


# --- checks --------------------------------------------------------------------------------------------------------


def _defect(entry: Any, where: str) -> TrueDefect:
    data = _object(entry, where)
    number, kind = data.get("id"), data.get("kind")
    if isinstance(number, bool) or not isinstance(number, int) or not 0 < number < DO_NOT_JUDGE:
        raise TruthError(f"{where}.id must be a whole number from 1 to {DO_NOT_JUDGE - 1}, not {number!r}.")
    if not isinstance(kind, str) or kind not in CLASS_OF_KIND:
        raise TruthError(f"{where}.kind must be one of {', '.join(CLASS_OF_KIND)}, not {kind!r}.")
    sizes = {key: _size(data, key, where) for key in ("length_um", "width_um", "diameter_um", "area_um2")}
    texts = {key: None if data.get(key) is None else str(data[key]) for key in ("zone", "style")}
    return TrueDefect(number, kind, data.get("kind_certain") is not False, **sizes, **texts)


def _object(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TruthError(f"{where} must be an object.")
    return value


def _pair(data: dict[str, Any], key: str) -> list[Any]:
    value = data.get(key)
    if not isinstance(value, list) or len(value) != 2:
        raise TruthError(f"fiber.{key} must be a list of two numbers.")
    return value


def _number(value: Any, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise TruthError(f"{where} must be a number, not {value!r}.")
    return float(value)


def _positive(value: Any, where: str) -> float:
    number = _number(value, where)
    if number <= 0:
        raise TruthError(f"{where} must be above zero, not {value!r}.")
    return number


def _size(data: dict[str, Any], key: str, where: str) -> float | None:
    value = data.get(key)
    return None if value is None else _positive(value, f"{where}.{key}")
