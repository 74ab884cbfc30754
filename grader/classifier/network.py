"""The judge's network: a small convolutional classifier of digits; its last hidden layer gives features.

Only the shape of the network, for training; `export.py` makes of a trained one what `judge.py` runs.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils import fuse_conv_bn_eval

CLASSES = 10


def _block(inside: int, outside: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inside, outside, 3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(outside),
        nn.ReLU(),
    )


class Network(nn.Module):
    """Six 3x3 convolutions at 28, 14 and 7 pixels, a mean over the picture, one linear layer."""

    def __init__(self, widths: tuple[int, int, int]) -> None:
        """`widths` are the channels at 28, 14 and 7 pixels; the last is also the number of features."""
        super().__init__()
        at_28, at_14, at_7 = widths
        self.convolutions = nn.Sequential(
            _block(1, at_28, 1),
            _block(at_28, at_28, 2),
            _block(at_28, at_14, 1),
            _block(at_14, at_14, 2),
            _block(at_14, at_7, 1),
            _block(at_7, at_7, 1),
        )
        self.head = nn.Linear(at_7, CLASSES)
        self.to(memory_format=torch.channels_last)  # twice as fast on a CPU

    def fused(self) -> Network:
        """Each batch norm inside the convolution before it, for inference: the same but for rounding."""
        for block in self.convolutions:
            assert isinstance(block, nn.Sequential)
            block[0], block[1] = fuse_conv_bn_eval(block[0], block[1]), nn.Identity()  # type: ignore[type-var, arg-type]
        return self.to(memory_format=torch.channels_last)

    def features(self, x: Tensor) -> Tensor:
        """`x` `(N, 1, 28, 28)` in [0, 1] -> the last hidden layer, `(N, F)`, at least 0."""
        hidden: Tensor = self.convolutions((x * 2 - 1).contiguous(memory_format=torch.channels_last))
        return hidden.mean(dim=(2, 3))

    def forward(self, x: Tensor) -> Tensor:
        """`x` `(N, 1, 28, 28)` in [0, 1] -> logits `(N, 10)`."""
        logits: Tensor = self.head(self.features(x))
        return logits
