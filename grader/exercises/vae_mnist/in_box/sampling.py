"""Questions for the sampling code, with the student's own model: what reaches its decoder and what comes back."""

import numpy as np
import torch

from .asking import NoAnswer, latent_dim, tensor
from .interface import ARGUMENTS, actual, as_labels, call, interface
from .modules import perturbed
from .own_model import around, of_theirs, own_model, passed_on, toy_of

AWAY = 3.0  # codes that come from images are so far from the prior
SEED = 11  # of the networks' parameters


def ask_sampling(part, student, given):
    """The student's sampling function, with a model of their own: what reaches the decoder and what comes back."""
    size = latent_dim(student)
    model = own_model(part, student)
    codes, labels = given["sample_codes"][:2, :size], given["sample_labels"][:2]
    with torch.no_grad():  # lazy layers take their shape
        decoder = getattr(model.eval(), actual("decoder"))
        call(decoder, part.decoder, tensor(np.ascontiguousarray(codes), student), *part.labels(labels, student))
    perturbed(decoder, SEED)  # fresh ones draw the same grey everywhere
    return _drawn(part, student, given, model, size)


def ask_sampling_in_own_model(part, student, given):
    """The same with toy networks in their model."""

    def ask():
        toy = toy_of(part, student, given, SEED)
        return _drawn(part, student, given, around(part, student, toy, noise=True), toy.latent_dim)

    return of_theirs(ask, given)


def ask_sampling_alone(part, student, given):
    """The same with a toy."""

    def ask():
        toy = toy_of(part, student, given, SEED)
        return _drawn(part, student, given, toy, toy.latent_dim)

    return of_theirs(ask, given)


class _Seen:
    """What a model's decoder was given and gave, and how often its encoder was asked."""

    def __init__(self, part, model):
        self.part, self.encoder_calls = part, 0
        self.codes, self.labels, self.images = [], [], []
        self.as_images = True
        self.loose_layers = False  # whether a layer of the decoder was called, and not by the decoder
        self._inside = False
        for name, then in (("encoder", self._encoded), ("decoder", self._decoded)):
            network = getattr(model, actual(name), None)
            if isinstance(network, torch.nn.Module):
                vars(network)["forward"] = self._watched(network.forward, then)

                if name == "decoder":
                    for layer in network.children():
                        layer.register_forward_pre_hook(self._layer_called)

    def _watched(self, forward, then):
        def watched(*args, **kwargs):
            self._inside = True
            try:
                return then(passed_on(forward, args, kwargs), args, kwargs)
            finally:
                self._inside = False

        return watched

    def _layer_called(self, *_):
        self.loose_layers = self.loose_layers or not self._inside

    def _encoded(self, value, args, kwargs):
        self.encoder_calls += 1
        if not isinstance(value, tuple | list):
            return value
        return type(value)(head + AWAY if isinstance(head, torch.Tensor) else head for head in value)

    def _decoded(self, value, args, kwargs):
        order = interface["arguments"].get(self.part.decoder, ARGUMENTS.get(self.part.decoder, ("z",)))
        taken = {**dict(zip(order, args, strict=False)), **kwargs}
        z, y = taken.get("z"), taken.get("y")
        if isinstance(z, torch.Tensor) and isinstance(value, torch.Tensor):
            self.codes.append(z.detach().reshape(len(z), -1))
            self.images.append(value.detach().float())
            self.as_images = self.as_images and value.shape[1:] == (1, 28, 28)
            if self.part.conditional and isinstance(y, torch.Tensor):
                self.labels.append(as_labels(y).detach())
        return value


def _drawn(part, student, given, model, size):
    """What is recorded while the student's function draws from the model."""
    seen = _Seen(part, model.eval())
    torch.manual_seed(int(given["draw_seed"]))
    codes, labels, decoded, images, shapes = [], [], [], [], []
    for count in map(int, given["sample_counts"]):
        seen.codes, seen.labels, seen.images = [], [], []
        result = part.draw(student, model, count, given["sample_labels"][:count]).detach()
        shapes.append([*result.shape, 0, 0, 0, 0][:4])
        taken = [code for code in seen.codes if code.shape[1] == size]
        if sum(map(len, taken)) == count and result.numel() == count * 784 == sum(i.numel() for i in seen.images):
            codes.append(torch.cat(taken))
            decoded.append(torch.cat([image.reshape(-1, 784) for image in seen.images]))
            images.append(result.reshape(count, -1).float())
            labels.extend(seen.labels)
    if seen.loose_layers and not codes:
        raise NoAnswer(
            "your code calls layers of the decoder one by one, where the grader cannot see what it decodes. This does "
            "not count against you: it needs manual review",
            ours=True,
        )
    return {
        "shapes": np.array(shapes, dtype=np.int64),
        "codes": torch.cat(codes) if codes else torch.zeros(0, size),
        "decoded": torch.cat(decoded) if decoded else torch.zeros(0, 784),
        "images": torch.cat(images) if images else torch.zeros(0, 784),
        "labels": torch.cat(labels) if labels else torch.zeros(0, dtype=torch.int64),
        "encoder_calls": seen.encoder_calls,
        "as_images": int(seen.as_images),
    }
