"""The notebook's objects, looked up by their names in the interface and checked for the expected type."""

from collections.abc import Mapping

import numpy as np
import torch

from .interface import actual, call, in_our_order, one_hot

MAX_LATENT = 512


class NoAnswer(Exception):
    """The student's code returned no valid answer; the message says what was expected.

    `ours` marks the fault of a stand-in: no points are lost, and the item needs manual review.
    """

    def __init__(self, message, *, ours=False):
        super().__init__(message)
        self.ours = ours


def notebook_object(student, name):
    """The notebook's object with that name in the interface."""
    if actual(name) not in student:
        raise NoAnswer(f"{actual(name)} is not defined")
    return student[actual(name)]


def device_of(student):
    """The notebook's device: its DEVICE if that is valid, else CUDA if available, else the CPU."""
    device = student.get(actual("DEVICE"), "cuda" if torch.cuda.is_available() else "cpu")
    try:
        return torch.device(device)
    except (TypeError, RuntimeError):
        return torch.device("cpu")


def latent_dim(student):
    """The notebook's LATENT_DIM, a whole number of at least 1."""
    value = notebook_object(student, "LATENT_DIM")
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_LATENT:
        raise NoAnswer(f"expected {actual('LATENT_DIM')} to be a whole number from 1 to {MAX_LATENT}, got {value!r}")
    return value


def tensor(array, student):
    """The array as a tensor on the notebook's device."""
    return torch.as_tensor(array).to(device_of(student))


def mu_and_logvar(value, name):
    """(mu, logvar) from the tuple or list of two that the notebook's encoder of that interface name returned."""
    if isinstance(value, Mapping) or not isinstance(value, tuple | list) or len(value) != 2:
        kind = (
            f"{len(value)} value{'s' * (len(value) != 1)}" if isinstance(value, tuple | list) else type(value).__name__
        )
        raise NoAnswer(f"expected {actual(name)} to return two tensors, got {kind}")
    first, second = in_our_order(name, value)
    return checked_tensor(first, actual(name)), checked_tensor(second, actual(name))


def rebuilt(value, items):
    """The items in a tuple, named tuple or list of the same type as the value."""
    return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)


def checked_tensor(value, name):
    """The value as a floating-point tensor; raises NoAnswer if it is not a tensor."""
    if not isinstance(value, torch.Tensor):
        raise NoAnswer(f"expected {name} to return a tensor, got {type(value).__name__}")
    return value if value.is_floating_point() else value.float()


def normal(seed, *shape):
    """Normal random numbers, float32; drawn by NumPy, since a notebook may have changed PyTorch's functions."""
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape, dtype=np.float32))


class Part:
    """One part of the exercise: the names of its objects, and whether its networks also take labels."""

    def __init__(self, name, encoder, decoder, model, train, sample, trained, history, conditional):
        self.name, self.encoder, self.decoder, self.model = name, encoder, decoder, model
        self.train, self.sample, self.trained, self.history = train, sample, trained, history
        self.conditional = conditional

    def build(self, student, kind, size):
        """A new instance of that class on the notebook's device."""
        arguments = (size, 10) if self.conditional else (size,)
        module = notebook_object(student, kind)(*arguments)
        if not isinstance(module, torch.nn.Module):
            raise NoAnswer(f"expected {actual(kind)}(...) to be a torch.nn.Module, got {type(module).__name__}")
        return module.to(device_of(student))

    def labels(self, y, student):
        """The extra arguments of a conditional module: labels in the form that the notebook expects; else none."""
        if not self.conditional:
            return ()
        y = tensor(y, student)
        return (torch.nn.functional.one_hot(y.long(), 10).float() if one_hot() else y,)

    def encode(self, encoder, x, y, student):
        """(mu, logvar) that the encoder gives for images and labels, arrays or tensors."""
        return mu_and_logvar(call(encoder, self.encoder, tensor(x, student), *self.labels(y, student)), self.encoder)

    def decode(self, decoder, z, y, student):
        """The images that the decoder gives for codes and labels, arrays or tensors."""
        value = call(decoder, self.decoder, tensor(z, student), *self.labels(y, student))
        return checked_tensor(value, actual(self.decoder))

    def draw(self, student, model, count, labels):
        """Images drawn by the notebook's sampling function: `count` of them, or one for each label."""
        request = self.labels(labels, student)[0] if self.conditional else count
        return checked_tensor(
            call(notebook_object(student, self.sample), self.sample, model, request), actual(self.sample)
        )


PARTS = (
    Part("vae", "Encoder", "Decoder", "VAE", "train_vae", "sample_vae", "vae", "vae_history", False),
    Part(
        "cvae",
        "ConditionalEncoder",
        "ConditionalDecoder",
        "CVAE",
        "train_cvae",
        "sample_cvae",
        "cvae",
        "cvae_history",
        True,
    ),
)
