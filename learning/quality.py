"""The task quality: PASS or FAIL of a face, or the class that its folder is named after."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, replace

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from errors import UsageError
from learning.loading import Faces, Loader
from learning.networks import FaceNet, Perceptron
from learning.samples import Sample, check_splits, labelled, limited, read_samples
from learning.torch_learner import TorchLearner, choose_device
from learning.training import Objective
from learning.training import train as fit
from learning.training_job import Outcome, TrainingJob
from second_opinion.face_input import GREY, REACH_SHARE, InputForm

FORMS = {"cnn": InputForm(160, fine=2), "mlp": InputForm(28, GREY)}
_LEAST_SIZE = {"cnn": 32, "mlp": 1}


def train(job: TrainingJob) -> Outcome:
    """Train a classifier of faces; raises :class:`DataSetError`, :class:`UsageError`, :class:`OutputError`."""
    form = FORMS[job.arch] if job.size is None else replace(FORMS[job.arch], size=job.size)
    if form.size < _LEAST_SIZE[job.arch]:
        raise UsageError(f"--size {form.size} is too small: {job.arch} needs at least {_LEAST_SIZE[job.arch]}.")
    samples, classes = labelled(read_samples(job.dataset, job.config, job.advance))
    samples = limited(samples, job.limit)
    check_splits(samples, classes)
    counts = Counter(sample.label for sample in samples.of("train"))
    # a rare class weighs as much as a frequent one
    weights = torch.tensor([len(samples.of("train")) / (len(classes) * counts[name]) for name in classes])
    weights = weights.to(choose_device(job.device))

    def network() -> nn.Module:
        if job.arch == "mlp":
            return Perceptron(form.channels, form.size, len(classes))
        return FaceNet(form.channels, len(classes))

    def target(sample: Sample, side: int) -> np.ndarray:
        return np.array(classes.index(sample.label), np.uint8)

    objective = Objective(
        classes=classes,
        rows=classes,
        row_class=tuple(range(len(classes))),
        scored=tuple(range(len(classes))),
        input=asdict(form) | {"reach_share": REACH_SHARE},
        facts={"class_counts": dict(counts), "class_weights": [round(float(w), 6) for w in weights]},
    )
    learner = TorchLearner(
        job, network, lambda logits, targets: functional.cross_entropy(logits, targets, weight=weights)
    )
    return fit(job, objective, samples, Loader(Faces(form, target), job.seed), learner)
