"""The networks, in PyTorch: a perceptron and a small convolutional network for faces, a U-Net for pixels."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

_DROPOUT = 0.2
_MOMENTUM = 0.3  # of the batch statistics: a face has pixels enough, and a small data set few batches


class Perceptron(nn.Module):
    """Every pixel to 512, to 256, to the classes: (N, channels, size, size) to (N, classes)."""

    def __init__(self, channels: int, size: int, classes: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Flatten(),
            nn.Linear(channels * size * size, 512),
            nn.ReLU(),
            nn.Linear(512, 256),
            nn.ReLU(),
            nn.Linear(256, classes),
        )

    def forward(self, faces: Tensor) -> Tensor:
        return self.layers(faces)


class FaceNet(nn.Module):
    """A small convolutional network: (N, channels, size, size) to (N, classes).

    The mean over the face tells how dirty it is, the maximum whether there is any mark at all, however small.
    """

    def __init__(self, channels: int, classes: int, widths: tuple[int, ...] = (16, 32, 48, 64, 96)) -> None:
        super().__init__()
        inputs = (channels, *widths[:-1])
        self.blocks = nn.Sequential(
            *(
                nn.Sequential(_convolution(before, after), _convolution(after, after), nn.MaxPool2d(2))
                for before, after in zip(inputs, widths, strict=True)
            )
        )
        self.head = nn.Sequential(nn.Dropout(_DROPOUT), nn.Linear(2 * widths[-1], classes))

    def forward(self, faces: Tensor) -> Tensor:
        found = self.blocks(faces)
        return self.head(torch.cat([found.mean((2, 3)), found.amax((2, 3))], dim=1))


class UNet(nn.Module):
    """A U-Net: (N, channels, size, size) to (N, classes, size, size); ``size`` is a multiple of 16."""

    def __init__(self, channels: int, classes: int, widths: tuple[int, ...] = (12, 24, 48, 96, 192)) -> None:
        super().__init__()
        inputs = (channels, *widths[:-1])
        self.down = nn.ModuleList(_two(before, after) for before, after in zip(inputs, widths, strict=True))
        pairs = [*zip(widths[1:], widths[:-1], strict=True)][::-1]
        self.grow = nn.ModuleList(nn.ConvTranspose2d(coarse, fine, 2, stride=2) for coarse, fine in pairs)
        self.up = nn.ModuleList(_two(2 * fine, fine) for _, fine in pairs)
        self.head = nn.Conv2d(widths[0], classes, 1)

    def forward(self, faces: Tensor) -> Tensor:
        passed: list[Tensor] = []
        for number, block in enumerate(self.down):
            faces = block(faces if number == 0 else functional.max_pool2d(faces, 2))
            passed.append(faces)
        for grow, block, beside in zip(self.grow, self.up, passed[-2::-1], strict=True):
            faces = block(torch.cat([beside, grow(faces)], dim=1))
        return self.head(faces)


class Probabilities(nn.Module):
    """A network with probabilities of the classes as its output: what is exported."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, faces: Tensor) -> Tensor:
        return torch.softmax(self.network(faces), dim=1)


def _convolution(before: int, after: int) -> nn.Sequential:
    norm = nn.BatchNorm2d(after, momentum=_MOMENTUM)
    return nn.Sequential(nn.Conv2d(before, after, 3, padding=1, bias=False), norm, nn.ReLU())


def _two(before: int, after: int) -> nn.Sequential:
    return nn.Sequential(_convolution(before, after), _convolution(after, after))
