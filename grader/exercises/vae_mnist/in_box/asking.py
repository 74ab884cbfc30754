"""What the notebook defines, looked up by the interface's names and checked for being what it should be."""

from collections.abc import Mapping

import torch

MAX_LATENT = 512

names: dict[str, str] = {}  # the interface's name -> the notebook's; filled by the recorder


class NoAnswer(Exception):
    """The student's code gave something that is not an answer; the message says what was expected."""


def named(student, name):
    """The notebook's object of that interface name."""
    actual = names.get(name, name)
    if actual not in student:
        raise NoAnswer(f"`{actual}` is not defined")
    return student[actual]


def device_of(student):
    """Where the notebook works: its DEVICE if it is one, else CUDA when there is any."""
    device = student.get(names.get("DEVICE", "DEVICE"), "cuda" if torch.cuda.is_available() else "cpu")
    try:
        return torch.device(device)
    except (TypeError, RuntimeError):
        return torch.device("cpu")


def latent_dim(student):
    """The notebook's LATENT_DIM, which must be a number of latents."""
    value = named(student, "LATENT_DIM")
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_LATENT:
        raise NoAnswer(f"LATENT_DIM is {value!r}, expected a whole number from 1 to {MAX_LATENT}")
    return value


def tensor(array, student):
    """The array as a tensor on the notebook's device."""
    return torch.as_tensor(array).to(device_of(student))


def pair(value, what):
    """Two tensors from a tuple or list of two."""
    if isinstance(value, Mapping) or not isinstance(value, tuple | list) or len(value) != 2:
        got = f"{len(value)} values" if isinstance(value, tuple | list) else type(value).__name__
        raise NoAnswer(f"expected {what} to return two tensors, got {got}")
    return one(value[0], what), one(value[1], what)


def one(value, what):
    """The value, if it is a tensor of numbers."""
    if not isinstance(value, torch.Tensor):
        raise NoAnswer(f"expected {what} to return a tensor, got {type(value).__name__}")
    return value if value.is_floating_point() else value.float()


class Part:
    """One half of the exercise: which classes it has, and whether they also take labels."""

    def __init__(self, name, encoder, decoder, model, train, sample, trained, history, conditional):
        self.name, self.encoder, self.decoder, self.model = name, encoder, decoder, model
        self.train, self.sample, self.trained, self.history = train, sample, trained, history
        self.conditional = conditional

    def build(self, student, kind, size):
        """A fresh module of that kind on the notebook's device."""
        arguments = (size, 10) if self.conditional else (size,)
        module = named(student, kind)(*arguments)
        if not isinstance(module, torch.nn.Module):
            raise NoAnswer(f"expected {kind}(...) to be a torch.nn.Module, got {type(module).__name__}")
        return module.to(device_of(student))

    def labels(self, y, student):
        """The extra arguments of a conditional module."""
        return (tensor(y, student),) if self.conditional else ()


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
