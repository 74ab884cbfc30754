"""Toy networks that replace a student's networks where an earlier mistake may have broken them.

This file is sent as text to a throwaway box that answers no other questions, so that the box in which the networks are
graded contains nothing that could be submitted instead of them. The toys are not a solution: the encoder sees a 4 x 4
summary of the image, the decoder has one layer, and nothing is random.
"""

import torch
from torch import nn
from torch.nn import functional as F

PIXELS = 16  # 4 x 4 average-pooled pixels
LABELS = 10


class ToyEncoder(nn.Module):
    """Maps `(N, 1, 28, 28)` (and labels) to mu and logvar, `(N, D)` each."""

    def __init__(self, latent_dim, conditional):
        super().__init__()
        self.linear = nn.Linear(PIXELS + LABELS * conditional, 2 * latent_dim)

    def forward(self, x, y=None):
        """(mu, logvar)."""
        h = F.avg_pool2d(x.reshape(-1, 1, 28, 28), 7).flatten(1)  # (N, 16)
        return self.linear(_with_label(h, y)).chunk(2, dim=1)


class ToyDecoder(nn.Module):
    """Maps `(N, D)` (and labels) to `(N, 1, 28, 28)` in (0, 1)."""

    def __init__(self, latent_dim, conditional):
        super().__init__()
        self.linear = nn.Linear(latent_dim + LABELS * conditional, PIXELS)

    def forward(self, z, y=None):
        """x_hat."""
        x_hat = torch.sigmoid(self.linear(_with_label(z.reshape(len(z), -1), y))).reshape(-1, 1, 4, 4)
        return x_hat.repeat_interleave(7, dim=2).repeat_interleave(7, dim=3)


def _with_label(h, y):
    if y is None:
        return h
    y = y.argmax(-1) if y.ndim == 2 else y.reshape(-1).long()
    return torch.cat([h, F.one_hot(y, LABELS).float()], dim=1)


def noiseless(mu, logvar):
    """Stands in for the reparameterization: both heads matter and nothing is random."""
    return mu + 0.1 * logvar


def networks(latent_dim, conditional, seed):
    """A toy encoder and a toy decoder with small random parameters that depend only on the seed."""
    toys = ToyEncoder(latent_dim, conditional), ToyDecoder(latent_dim, conditional)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for toy in toys:
            for parameter in toy.parameters():
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.3)
    return toys
