"""Toys that stand in for the student's other parts, so that each part is judged by itself.

Judging works out by hand what a right training loop does with the toys (`checks/steps.py`), and a test holds it to this
file. The toys are no solution: the encoder sees a 4 x 4 summary of the image, the decoder is one layer, and
nothing is random.
"""

import torch
from torch import nn
from torch.nn import functional as F

from .interface import ATTRIBUTES, RETURNS, actual, interface

PIXELS = 16  # 4 x 4 average-pooled pixels
LABELS = 10


def as_labels(y):
    """Labels `(N,)` int64 from labels or one-hot rows."""
    return y.argmax(-1) if y.ndim == 2 else y.reshape(-1).long()


class ToyEncoder(nn.Module):
    """Maps `(N, 1, 28, 28)` (and labels) to mu and logvar, `(N, D)` each, and remembers the codes they stand for."""

    def __init__(self, latent_dim, conditional):
        super().__init__()
        self.conditional = conditional
        self.linear = nn.Linear(PIXELS + LABELS * conditional, 2 * latent_dim)
        self.calls, self.codes = 0, []

    def forward(self, *args, **kwargs):
        name = "ConditionalEncoder" if self.conditional else "Encoder"
        return as_notebook(self.encode, name)(*args, **kwargs)

    def encode(self, x, y=None):
        """(mu, logvar)."""
        self.calls += 1
        h = F.avg_pool2d(x.reshape(-1, 1, 28, 28), 7).flatten(1)  # (N, 16)
        if self.conditional:
            h = torch.cat([h, F.one_hot(as_labels(y), LABELS).float()], dim=1)
        mu, logvar = self.linear(h).chunk(2, dim=1)
        self.codes.append((mu + 0.1 * logvar).detach())
        return mu, logvar


class ToyDecoder(nn.Module):
    """Maps `(N, D)` (and labels) to `(N, 1, 28, 28)` in (0, 1) and remembers what it was given."""

    def __init__(self, latent_dim, conditional):
        super().__init__()
        self.conditional = conditional
        self.linear = nn.Linear(latent_dim + LABELS * conditional, PIXELS)
        self.codes, self.labels, self.images = [], [], []

    def forward(self, *args, **kwargs):
        name = "ConditionalDecoder" if self.conditional else "Decoder"
        return as_notebook(self.decode, name)(*args, **kwargs)

    def decode(self, z, y=None):
        """x_hat."""
        h = z.reshape(len(z), -1)
        if self.conditional:
            self.labels.append(as_labels(y).detach())
            h = torch.cat([h, F.one_hot(as_labels(y), LABELS).float()], dim=1)
        x_hat = torch.sigmoid(self.linear(h)).reshape(-1, 1, 4, 4)
        x_hat = x_hat.repeat_interleave(7, dim=2).repeat_interleave(7, dim=3)
        self.codes.append(z.detach())
        self.images.append(x_hat.detach())
        return x_hat


class ToyModel(nn.Module):
    """Has the parts and the forward of a VAE or CVAE; its reparameterization adds no noise."""

    def __init__(self, latent_dim, conditional):
        super().__init__()
        self.latent_dim, self.num_classes, self.conditional = latent_dim, LABELS, conditional
        self.encoder = ToyEncoder(latent_dim, conditional)
        self.decoder = ToyDecoder(latent_dim, conditional)
        self.labels = []
        for name in ATTRIBUTES:
            if actual(name) != name:
                setattr(self, actual(name), getattr(self, name))

    def reparameterize(self, *args, **kwargs):
        """Returns mu + 0.1 logvar: both heads matter and nothing is random."""
        return as_notebook(lambda mu, logvar: mu + 0.1 * logvar, "reparameterize")(*args, **kwargs)

    def forward(self, *args, **kwargs):
        return as_notebook(self.reconstruct, "CVAE" if self.conditional else "VAE")(*args, **kwargs)

    def reconstruct(self, x, y=None):
        """(x_hat, mu, logvar)."""
        condition = ()
        if self.conditional:
            self.labels.append(as_labels(y).detach().tolist())
            condition = (y,)
        mu, logvar = self.encoder.encode(x, *condition)
        return self.decoder.decode(mu + 0.1 * logvar, *condition), mu, logvar


def fill(model, seed):
    """The model's parameters are small random numbers that depend on the seed alone."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.3)
    return model


def flat(tensors):
    """One vector of all the tensors' numbers."""
    return torch.cat([t.detach().reshape(-1).cpu() for t in tensors])


def toy_loss(x_hat, x, mu, logvar, *args, **kwargs):
    """(loss, reconstruction, kl): smooth, per image, and not the exercise's loss."""
    n = len(x_hat)
    x_hat, x = x_hat.reshape(n, -1), x.reshape(n, -1)
    reconstruction = (1 - torch.cos(x_hat - x)).sum() / n
    kl = 0.3 * (mu.pow(4).sum() + logvar.pow(2).sum()) / n
    return reconstruction + kl, reconstruction, kl


def as_notebook(function, name):
    """A function of ours as the notebook's code calls it, arguments and values in the notebook's order."""
    takes, gives = interface["arguments"].get(name), interface["returns"].get(name)
    if takes is None and gives is None:
        return function

    def called(*args, **kwargs):
        if takes is not None:
            kwargs = {**dict(zip(takes, args, strict=False)), **kwargs}  # like the toys, more arguments do no harm
            args = ()
        values = function(*args, **kwargs)
        if gives is not None:
            found = dict(zip(RETURNS[name], values, strict=True))
            values = tuple(found[key] for key in gives)
        return values

    return called
