"""Questions for the training loop: toy networks, a toy loss and a recording optimizer."""

import numpy as np
import torch

from . import stand_in
from .asking import device_of, named, tensor
from .interface import actual, call
from .own_model import PastTheToy, around, first_answer, rebound

LATENTS = 4


class Loader:
    """Serves the given batches in order, again and again, and counts what was taken."""

    def __init__(self, x, y, size):
        self.batches = list(zip(x.split(size), y.split(size), strict=True))
        self.dataset, self.batch_size, self.images, self.labels = range(len(x)), size, x, y
        self.current, self.served = -1, 0

    def __len__(self):
        return len(self.batches)

    def __iter__(self):
        for index, (x, y) in enumerate(self.batches):
            self.current, self.served = index, self.served + 1
            yield x.clone(), y.clone()


class Recorder(torch.optim.SGD):
    """Plain gradient descent on the toy's parameters that writes down these and their gradients at each step."""

    def __init__(self, model, toy, loader, lr, limit):
        super().__init__(toy.parameters(), lr=lr)
        self.model, self.modes = model, []  # the mode at each step: a loop may also validate in eval mode
        self.watched, self.loader, self.limit = list(toy.parameters()), loader, limit
        self.before, self.grads, self.batch = [], [], []

    def step(self, closure=None):
        loss = closure() if closure is not None else None
        if len(self.batch) < self.limit:
            self.before.append(stand_in.flat(self.watched))
            self.grads.append(stand_in.flat([torch.zeros_like(p) if p.grad is None else p.grad for p in self.watched]))
            self.batch.append(self.loader.current)
            self.modes.append(self.model.training)
        super().step()
        return loss


def ask_training(part, student, given):
    """The student's loop with toy networks, a toy loss, a recording optimizer and a few batches."""
    train = named(student, part.train)
    data = tensor(given["train_x"], student), tensor(given["train_y"], student)
    size, epochs, lr = int(given["train_batch"]), int(given["train_epochs"]), float(given["train_lr"])
    variables = getattr(train, "__globals__", student)
    toy_loss = {actual("vae_loss"): stand_in.as_notebook(stand_in.toy_loss, "vae_loss")}

    def recorded(model, toy):
        loader = Loader(*data, size)
        optimizer = Recorder(model, toy, loader, lr, 4 * epochs * len(loader))
        start = stand_in.flat(toy.parameters())
        with rebound(variables, toy_loss):
            history = call(train, part.train, model, loader, optimizer, epochs)
        return _answer(toy, start, loader, optimizer, history)

    def in_own_model():
        toy = _toy(part, student)
        answer = recorded(around(part, student, toy, noise=False).train(), toy)
        if not _followed(toy):
            raise PastTheToy
        return answer

    def alone():
        toy = _toy(part, student)
        return recorded(toy, toy)

    def with_own_model(model):
        loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(*data), batch_size=size)
        loader.images, loader.labels = data  # as the notebook's own batches have them
        call(train, part.train, model.train(), loader, torch.optim.Adam(model.parameters(), lr=1e-3), epochs)

    def with_toy_loss(model):
        with rebound(variables, toy_loss):
            with_own_model(model)

    return first_answer(part, student, (in_own_model, alone), (with_toy_loss, with_own_model))


def _toy(part, student):
    return stand_in.fill(stand_in.ToyModel(LATENTS, part.conditional), 7).to(device_of(student)).train()


def _followed(toy):
    """Whether all that the decoder was given came from the encoder by the toy's reparameterization.

    A method of the student's that draws noise of its own is right as well, but its steps cannot be worked out.
    """
    made, taken = ([code.float().cpu().numpy().tobytes() for code in net.codes] for net in (toy.encoder, toy.decoder))
    return bool(taken) and set(taken) <= set(made)


def _answer(toy, start, loader, optimizer, history):
    """What is recorded of a run of the loop."""
    size = len(start)
    try:
        reported = np.array([float(value) for value in history], dtype=np.float32)
    except (TypeError, ValueError):
        reported = np.zeros(0, dtype=np.float32)
    return {
        "start": start,
        "end": stand_in.flat(toy.parameters()),
        "before": torch.stack(optimizer.before) if optimizer.before else torch.zeros(0, size),
        "grads": torch.stack(optimizer.grads) if optimizer.grads else torch.zeros(0, size),
        "batch": np.array(optimizer.batch, dtype=np.int64),
        "batches_served": loader.served,
        "modes": np.array(optimizer.modes, dtype=np.int64),
        "labels": np.array([y for call in toy.labels[:1000] for y in call], dtype=np.int64),
        "history": reported[:1000],
    }
