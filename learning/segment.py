"""The task segment: which pixels of a face belong to a mark.

One class of marks, not five: whether something is there is what the inspector asks a fifth witness for; what it is
follows from sizes and shapes that whole marks have and pixels have not, and of the rarest kinds a data set holds too
few pixels. How many pixels of each kind are found is measured all the same.
"""

from __future__ import annotations

import math
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from errors import DataSetError, UsageError
from image_io import read_image
from learning.extraction import IGNORE
from learning.labelling import KINDS
from learning.loading import IGNORED, Faces, Loader
from learning.networks import UNet
from learning.samples import Sample, Samples, check_splits, limited, read_samples
from learning.torch_learner import TorchLearner, choose_device
from learning.training import Objective
from learning.training import train as fit
from learning.training_job import Outcome, TrainingJob
from second_opinion.face_input import REACH_SHARE, InputForm, crop_face, crop_mask

FORM = InputForm(160, fine=2)
CLASSES = ("background", "mark")
_COARSEST = 16  # px of the input that are one in the middle of the network
_MARK_SHARE, _IGNORE_SHARE = 0.3, 0.5  # of a pixel's area; thin marks must not vanish
_COUNTED, _MOST_WEIGHT = 64, 10.0


def train(job: TrainingJob) -> Outcome:
    """Train a network that marks pixels; raises :class:`DataSetError`, :class:`UsageError`, :class:`OutputError`."""
    form = FORM if job.size is None else replace(FORM, size=job.size)
    if form.size % _COARSEST or form.size < 2 * _COARSEST:
        raise UsageError(f"--size {form.size}: unet needs a multiple of {_COARSEST} from {2 * _COARSEST}.")
    samples = read_samples(job.dataset, job.config, job.advance)
    folder = samples.folder
    if folder is None:
        raise DataSetError("The task segment needs masks.", "Give it a data set of learning.build_dataset.")
    samples = limited(samples, job.limit)
    check_splits(samples)

    def target(sample: Sample, side: int) -> np.ndarray:
        return pixel_target(folder, sample, side)

    loader = Loader(Faces(form, target), job.seed)
    weight = _mark_weight(samples, loader, job.batch)
    weights = torch.tensor([1.0, weight]).to(choose_device(job.device))
    objective = Objective(
        classes=CLASSES,
        rows=("background", *KINDS),
        row_class=(0, *(1 for _ in KINDS)),
        scored=(1,),
        input=asdict(form) | {"reach_share": REACH_SHARE},
        facts={"class_weights": [1.0, weight]},
    )
    learner = TorchLearner(
        job,
        lambda: UNet(form.channels, len(CLASSES)),
        lambda logits, targets: dice_and_cross_entropy(logits, targets, weights),
    )
    return fit(job, objective, samples, loader, learner)


def pixel_target(folder: Path, sample: Sample, side: int) -> np.ndarray:
    """What each pixel of the crop shows, (S, S) uint8: 0 background, k the k-th kind of mark, 255 not judged.

    Not judged is what lies outside the image, outside the inspected regions or where a person has not judged. Raises
    :class:`UnreadableImage`.
    """
    name, outline = sample.image_id, sample.cladding

    def covered(path: Path, share: float) -> np.ndarray:
        return crop_mask(read_image(path).grey, outline, side, share)

    regions = read_image(folder / f"masks/{name}.png").grey
    judged = crop_mask(np.where(regions > 0, 255, 0).astype(np.uint8), outline, side, 1 - _IGNORE_SHARE)
    judged &= crop_face(regions, outline, side).seen
    if (path := folder / f"defects/{name}_{IGNORE}.png").exists():
        judged &= ~covered(path, _IGNORE_SHARE)
    target = np.where(judged, 0, IGNORED).astype(np.uint8)
    for number, kind in enumerate(KINDS, start=1):
        if (path := folder / f"defects/{name}_{kind}.png").exists():
            target[covered(path, _MARK_SHARE) & judged] = number
    return target


def dice_and_cross_entropy(logits: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """Weighted cross-entropy plus one less the Dice coefficient of marks, over the judged pixels of a batch.

    ``logits`` (N, 2, S, S), ``targets`` (N, S, S) as :func:`pixel_target` makes them.
    """
    judged = targets != IGNORED
    marks = (targets > 0).long()
    each = functional.cross_entropy(logits, marks, weight=weights, reduction="none")
    cross_entropy = (each * judged).sum() / (weights[marks] * judged).sum().clamp_min(1)
    claimed, truth = torch.softmax(logits, dim=1)[:, 1] * judged, marks * judged
    dice = (2 * (claimed * truth).sum() + 1) / (claimed.sum() + truth.sum() + 1)
    return cross_entropy + 1 - dice


def _mark_weight(samples: Samples, loader: Loader, batch: int) -> float:
    """How much a mark's pixel weighs: the root of how much rarer it is, seen in the first training images.

    Raises :class:`DataSetError` where there are no marks.
    """
    train = samples.of("train")
    marks = background = 0
    for start in range(0, len(train), _COUNTED):
        for _, targets in loader.batches(train[start : start + _COUNTED], batch):
            marks += int(((targets > 0) & (targets != IGNORED)).sum())
            background += int((targets == 0).sum())
        if marks:
            return round(min(_MOST_WEIGHT, math.sqrt(max(background, 1) / marks)), 3)
    raise DataSetError("No image of the split train has a mark.", "Add images with marks.")
