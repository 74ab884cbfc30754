"""Training pictures made harder: moved, turned, scaled, blurred as a VAE blurs, drawn as Bernoulli pixels."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True, slots=True)
class Strength:
    """How far pictures are changed; shares are of a batch."""

    shift_px: float
    degrees: float
    scale: float
    blur_share: float
    blur_px: float  # largest standard deviation
    draw_share: float  # pixels drawn as 0 or 1


def augmented(x: Tensor, strength: Strength, generator: torch.Generator) -> Tensor:
    """`x` `(N, 1, 28, 28)` in [0, 1] -> the same shape and range, each picture changed at random."""
    count = len(x)

    def uniform(limit: float) -> Tensor:
        return (torch.rand(count, generator=generator) * 2 - 1) * limit

    angle = uniform(math.radians(strength.degrees))
    size = 1 + uniform(strength.scale)
    shift = [uniform(strength.shift_px / 14) for _ in range(2)]  # the grid's half width is 14 pixels
    rows = [
        torch.stack([size * angle.cos(), -size * angle.sin(), shift[0]], dim=1),
        torch.stack([size * angle.sin(), size * angle.cos(), shift[1]], dim=1),
    ]
    grid = functional.affine_grid(torch.stack(rows, dim=1), list(x.shape), align_corners=False)
    x = functional.grid_sample(x, grid, align_corners=False)
    blurred = int(count * strength.blur_share)  # the loader shuffles, so the first ones are random ones
    sigma = float(torch.rand(1, generator=generator)) * strength.blur_px + 0.3
    drawn = int(count * strength.draw_share)
    return torch.cat(
        [
            _blurred(x[:blurred], sigma),
            torch.bernoulli(x[blurred : blurred + drawn].clamp(0, 1), generator=generator),
            x[blurred + drawn :],
        ]
    )


def _blurred(x: Tensor, sigma: float) -> Tensor:
    offsets = torch.arange(-3, 4, dtype=x.dtype)
    kernel = torch.exp(-(offsets**2) / (2 * sigma**2))
    kernel = kernel / kernel.sum()
    x = functional.conv2d(x, kernel.view(1, 1, 1, 7), padding=(0, 3))
    return functional.conv2d(x, kernel.view(1, 1, 7, 1), padding=(3, 0))
