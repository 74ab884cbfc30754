"""Questions about the sampling code: what it passes to the model's decoder and what it returns."""

import numpy as np
import torch

from .interface import ARGUMENTS, actual, as_labels, call, interface
from .modules import PIXELS, perturbed
from .notebook_objects import NoAnswer, latent_dim, rebuilt, tensor
from .own_model import around, own_model, passed_on, stand_in_answer, toy_of

SAME = 1e-4  # largest difference between equal pixels
MOST_DECODED = 5000  # images in one call of the sampling function
AWAY = 3.0  # added to mu and logvar, so that codes of images are far from the prior
SEED = 11  # of the networks' parameters


def ask_sampling(part, student, questions):
    """Records a run of the student's sampling function with their own model."""
    size = latent_dim(student)
    model = own_model(part, student)
    codes, labels = questions["sample_codes"][:2, :size], questions["sample_labels"][:2]
    with torch.no_grad():  # lazy layers infer their shapes
        decoder = getattr(model.eval(), actual("decoder"))
        call(decoder, part.decoder, tensor(np.ascontiguousarray(codes), student), *part.labels(labels, student))
    perturbed(decoder, SEED)  # a fresh decoder draws the same grey everywhere
    return _drawn(part, student, questions, model, size)


def ask_sampling_in_own_model(part, student, questions):
    """Records a run of the sampling function with toy networks in the student's model."""

    def ask():
        toy = toy_of(part, student, questions, SEED)
        return _drawn(part, student, questions, around(part, student, toy, noise=True), toy.latent_dim)

    return stand_in_answer(ask, questions)


def ask_sampling_alone(part, student, questions):
    """Records a run of the sampling function with a toy model."""

    def ask():
        toy = toy_of(part, student, questions, SEED)
        return _drawn(part, student, questions, toy, toy.latent_dim)

    return stand_in_answer(ask, questions)


class _SamplingRecord:
    """The inputs and outputs of a model's decoder, and the number of calls of its encoder."""

    def __init__(self, part, model):
        self.part, self.encoder_calls = part, 0
        self.codes, self.labels, self.images = [], [], []
        self.as_images = True
        self.loose_layers = False  # whether a layer of the decoder was called from outside it
        self._inside = False
        for name, then in (("encoder", self._encoded), ("decoder", self._decoded)):
            network = getattr(model, actual(name), None)
            if isinstance(network, torch.nn.Module):
                vars(network)["forward"] = self._watched(network.forward, then)

                if name == "decoder":
                    for layer in network.children():
                        layer.register_forward_pre_hook(self._layer_called)

    def drawn(self, student, model, count, labels):
        """Draws `count` images with the student's function; the record then holds only this call."""
        self.codes, self.labels, self.images = [], [], []
        return self.part.draw(student, model, count, labels[:count]).detach()

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
        return rebuilt(value, [head + AWAY if isinstance(head, torch.Tensor) else head for head in value])

    def _decoded(self, value, args, kwargs):
        order = interface["arguments"].get(self.part.decoder, ARGUMENTS.get(self.part.decoder, ("z",)))
        arguments = {**dict(zip(order, args, strict=False)), **kwargs}
        z, y = arguments.get("z"), arguments.get("y")
        if isinstance(z, torch.Tensor) and isinstance(value, torch.Tensor):
            self.codes.append(z.detach().reshape(len(z), -1))
            self.images.append(value.detach().float())
            self.as_images = self.as_images and value.shape[1:] == (1, 28, 28)
            if self.part.conditional and isinstance(y, torch.Tensor):
                self.labels.append(as_labels(y).detach())
        return value


def _rows_of(images, decoded):
    """Each image's row among the decoded images; an empty list if one is missing."""
    rows = [int((decoded - image).abs().amax(1).argmin()) for image in images]
    return rows if float((decoded[rows] - images).abs().max()) <= SAME else []


def _matched(result, count, record, size):
    """The code, decoded image and label of each drawn image, one row for each; empty if they are unknown."""
    codes = [code for code in record.codes if code.shape[1] == size]
    total = sum(map(len, codes))
    enough = count <= total <= MOST_DECODED
    if not enough or result.numel() != count * PIXELS or sum(i.numel() for i in record.images) != total * PIXELS:
        return {}
    decoded = torch.cat([image.reshape(-1, PIXELS) for image in record.images])
    images = result.reshape(count, -1).float()
    rows = list(range(count)) if total == count else _rows_of(images, decoded)
    if not rows:
        return {}
    labels = torch.cat(record.labels) if record.labels else torch.zeros(0, device=decoded.device).long()
    labels = labels[rows] if len(labels) == total else labels
    return {"rows": rows, "codes": torch.cat(codes)[rows], "decoded": decoded[rows], "images": images, "labels": labels}


def _drawn(part, student, questions, model, size):
    """The recording of the student's function drawing from the model.

    The function may decode more images than requested if it always returns those of the same rows: then it does not
    select them by how they look.
    """
    record = _SamplingRecord(part, model.eval())
    torch.manual_seed(int(questions["draw_seed"]))
    matches, shapes, selects = [], [], False
    for count in map(int, questions["sample_counts"]):
        result = record.drawn(student, model, count, questions["sample_labels"])
        shapes.append([*result.shape, 0, 0, 0, 0][:4])
        matched = _matched(result, count, record, size)
        if matched:
            matches.append(matched)
        if matched and matched["rows"] != list(range(count)):
            result = record.drawn(student, model, count, questions["sample_labels"])
            selects = selects or _matched(result, count, record, size).get("rows") != matched["rows"]
    matches = [] if selects else matches
    if record.loose_layers and not matches:
        raise NoAnswer(
            "your code calls layers of the decoder one by one, where the grader cannot see what it decodes. This does "
            "not count against you: it needs manual review",
            ours=True,
        )
    empty = {
        "codes": torch.zeros(0, size),
        "decoded": torch.zeros(0, PIXELS),
        "images": torch.zeros(0, PIXELS),
        "labels": torch.zeros(0, dtype=torch.int64),
    }
    return {
        **{name: torch.cat([match[name] for match in matches]) if matches else none for name, none in empty.items()},
        "shapes": np.array(shapes, dtype=np.int64),
        "encoder_calls": record.encoder_calls,
        "as_images": int(record.as_images),
    }
