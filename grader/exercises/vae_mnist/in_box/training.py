"""Questions for the training loop: a toy model, a toy loss and a recording optimizer."""

import numpy as np
import torch

from . import stand_in
from .asking import device_of, named, tensor
from .interface import actual, call


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
    """Plain gradient descent that writes down the parameters and gradients of each step."""

    def __init__(self, model, loader, lr, limit):
        super().__init__(model.parameters(), lr=lr)
        self.model, self.modes = model, []  # the mode at each step: a loop may also validate in eval mode
        self.watched, self.loader, self.limit = list(model.parameters()), loader, limit
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
    """The student's loop with a toy model, a toy loss, a recording optimizer and a few batches."""
    train = named(student, part.train)
    x, y = tensor(given["train_x"], student), tensor(given["train_y"], student)
    model = stand_in.ToyModel(4, part.conditional)
    stand_in.fill(model, 7).to(device_of(student)).train()
    loader = Loader(x, y, int(given["train_batch"]))
    epochs = int(given["train_epochs"])
    optimizer = Recorder(model, loader, float(given["train_lr"]), 4 * epochs * len(loader))
    loss_name = actual("vae_loss")
    variables = getattr(train, "__globals__", student)
    own_loss, had_loss = variables.get(loss_name), loss_name in variables
    start = stand_in.flat(model.parameters())
    variables[loss_name] = stand_in.as_notebook(stand_in.toy_loss, "vae_loss")
    try:
        history = call(train, part.train, model, loader, optimizer, epochs)
    finally:
        if had_loss:
            variables[loss_name] = own_loss
        else:
            del variables[loss_name]
    size = len(start)
    try:
        reported = np.array([float(value) for value in history], dtype=np.float32)
    except (TypeError, ValueError):
        reported = np.zeros(0, dtype=np.float32)
    return {
        "start": start,
        "end": stand_in.flat(model.parameters()),
        "before": torch.stack(optimizer.before) if optimizer.before else torch.zeros(0, size),
        "grads": torch.stack(optimizer.grads) if optimizer.grads else torch.zeros(0, size),
        "batch": np.array(optimizer.batch, dtype=np.int64),
        "batches_served": loader.served,
        "modes": np.array(optimizer.modes, dtype=np.int64),
        "labels": np.array([y for call in model.labels[:1000] for y in call], dtype=np.int64),
        "history": reported[:1000],
    }
