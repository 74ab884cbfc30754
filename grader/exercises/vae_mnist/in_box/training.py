"""Questions for the training loop: the student's own model, watched, with a loss of ours and a recording optimizer."""

import contextlib

import numpy as np
import torch

from .asking import NoAnswer, named, normal, tensor
from .interface import ARGUMENTS, actual, as_labels, as_notebook, call, in_our_order, interface
from .own_model import around, of_theirs, own_model, passed_on, rebound, toy_of

DIRECTIONS = 8  # random ones on which parameters and gradients are projected
MOST_NUMBERS = 100_000  # of a model that are projected, spread over all of it
RATE = 1e-3
LOSSES = 6  # that are worked out beside each step
SEED = 7  # of a toy's parameters
KEPT = 6  # of this many steps, one is recorded in full


class Loader:
    """The notebook's batches, in order, again and again; counts what was taken."""

    def __init__(self, x, y, size):
        self.batches = list(zip(x.split(size), y.split(size), strict=True))
        self.dataset, self.batch_size = torch.utils.data.TensorDataset(x, y), size
        self.images, self.labels = x, y
        self.current, self.served = -1, 0

    def __len__(self):
        return len(self.batches)

    def __iter__(self):
        for index, (x, y) in enumerate(self.batches):
            self.current, self.served = index, self.served + 1
            yield x.clone(), y.clone()


class Projection:
    """Many numbers as a few: their products with random directions, which differ where the numbers do."""

    def __init__(self, parameters, seed):
        total = sum(p.numel() for p in parameters)
        self.stride = max(1, -(-total // MOST_NUMBERS))
        self.directions = [
            normal([seed, number], DIRECTIONS, len(self._some(p))).to(p.device) for number, p in enumerate(parameters)
        ]

    def _some(self, values):
        return values.detach().reshape(-1)[:: self.stride]

    def one(self, index, values):
        """Of the parameter of that index."""
        return self.directions[index] @ self._some(values).float()

    def all(self, several):
        """Of values for every parameter; of None, zeros."""
        ones = [self.one(index, values).cpu() for index, values in enumerate(several) if values is not None]
        return sum(ones, torch.zeros(DIRECTIONS))


class Watch:
    """Writes down what a model's networks are given and give, and the gradients that come back to it."""

    def __init__(self, part, model):
        self.part, self.passes, self.labels = part, [], []
        self._wrap(getattr(model, actual("encoder")), "forward", self._encoded)
        self._wrap(getattr(model, actual("decoder")), "forward", self._decoded)
        if hasattr(model, actual("reparameterize")):
            self._tap(model, actual("reparameterize"))

    def _wrap(self, owner, name, then):
        original = getattr(owner, name)

        def wrapped(*args, **kwargs):
            return then(passed_on(original, args, kwargs), args, kwargs)

        vars(owner)[name] = wrapped

    def _tap(self, model, name):
        """The reparameterization is given copies of mu and logvar, of whose gradients we know by what way they came."""
        original = getattr(model, name)

        def tapped(*args, **kwargs):
            given = {**dict(zip(_order("reparameterize"), args, strict=False)), **kwargs}
            copies = {key: self._copied(f"path_{key}", value) for key, value in given.items()}
            return passed_on(original, list(copies.values())[: len(args)], {key: copies[key] for key in kwargs})

        vars(model)[name] = tapped

    def _copied(self, key, value):
        if not isinstance(value, torch.Tensor) or not value.requires_grad or not self.passes:
            return value
        copy = value * 1.0
        _remember(copy, self.passes[-1], key)
        return copy

    def _encoded(self, value, args, kwargs):
        self.passes = [*self.passes[-3:], {}]  # a loop may look at something else between a pass and its step
        if not isinstance(value, tuple | list) or len(value) != 2:
            return value
        # copies, so that a head that is made of the other one has a gradient of its own
        value = [head * 1.0 if isinstance(head, torch.Tensor) else head for head in value]
        for key, head in zip(("mu", "logvar"), in_our_order(self.part.encoder, value), strict=True):
            _keep(key, head, self.passes[-1])
        return tuple(value)

    def _decoded(self, value, args, kwargs):
        if not self.passes:
            self.passes.append({})
        _keep("x_hat", value, self.passes[-1])
        if self.part.conditional:
            given = {**dict(zip(_order(self.part.decoder), args, strict=False)), **kwargs}
            y = given.get("y")
            if isinstance(y, torch.Tensor):
                self.passes[-1]["labels"] = as_labels(y).detach().cpu()
        return value

    def last_trained(self):
        """The last pass through which a gradient came back; an empty one where there is none."""
        return next((one for one in reversed(self.passes) if "grad_x_hat" in one), {})


def _order(name):
    return interface["arguments"].get(name, ARGUMENTS.get(name, ()))


def _keep(key, value, where):
    if isinstance(value, torch.Tensor):
        where[key] = value.detach()
        if value.requires_grad:
            _remember(value, where, f"grad_{key}")


def _remember(value, where, key):
    def came(gradient):
        where[key] = where[key] + gradient.detach() if key in where else gradient.detach()

    value.register_hook(came)


class Recorder(torch.optim.Adam):
    """The notebook's optimizer, which writes down parameters and gradients around each of its steps."""

    def __init__(self, model, loader, watch, seed, limit):
        super().__init__(model.parameters(), lr=RATE)
        self.model, self.loader, self.watch, self.limit = model, loader, watch, limit
        self.watched = [p for group in self.param_groups for p in group["params"]]
        self.projection = Projection(self.watched, seed)
        self.came = torch.zeros(DIRECTIONS)
        for index, parameter in enumerate(self.watched):
            if parameter.requires_grad:
                parameter.register_hook(lambda gradient, index=index: self._came(index, gradient))
        self.rows = {name: [] for name in ("before", "after", "used", "came", "rates", "batch", "modes", "losses")}
        self.kept, self.passes = [], []

    def _came(self, index, gradient):
        self.came = self.came + self.projection.one(index, gradient).cpu()

    def state_now(self):
        """The parameters' projections."""
        return self.projection.all(self.watched)

    def step(self, closure=None):
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        number = len(self.rows["batch"])
        if number >= self.limit:
            super().step()
            return loss
        passed = self.watch.last_trained()
        found = {
            "before": self.state_now(),
            "used": self.projection.all([p.grad for p in self.watched]),
            "came": self.came,
            "rates": self.param_groups[0]["lr"],
            "batch": self.loader.current,
            "modes": self.model.training,
            "losses": self._losses(passed),
        }
        super().step()
        found["after"] = self.state_now()
        for name, value in found.items():
            self.rows[name].append(value)
        if self.watch.part.conditional:
            self.watch.labels.append(passed.get("labels", torch.zeros(0, dtype=torch.int64)))
        if number % KEPT == 0 or number < 2:
            self.kept.append(number)
            self.passes.append(passed)
        self.came = torch.zeros(DIRECTIONS)
        self.watch.passes = []
        return loss

    def _losses(self, passed):
        """What the losses would have been that a right loop may use, the given one and the exercise's two, each with
        and without its KL term."""
        if not {"x_hat", "mu", "logvar"} <= passed.keys() or self.loader.current < 0:
            return [float("nan")] * LOSSES
        x = self.loader.batches[self.loader.current][0]
        x_hat, mu, logvar = passed["x_hat"], passed["mu"], passed["logvar"]
        if x_hat.numel() != x.numel() or not bool(torch.isfinite(x_hat).all()):
            return [float("nan")] * LOSSES
        x_hat, count = x_hat.reshape(x.shape), len(x)
        kl = -0.5 * (1 + logvar - mu.pow(2) - logvar.exp()).sum() / count
        cross_entropy = torch.nn.functional.binary_cross_entropy(x_hat.clamp(0, 1), x, reduction="sum") / count
        squared = (x_hat - x).pow(2).sum() / count
        whole, reconstruction, _ = our_loss(x_hat, x, mu, logvar)
        losses = (whole, cross_entropy + kl, squared + kl, reconstruction, cross_entropy, squared)
        return [float(loss) for loss in losses]


def our_loss(x_hat, x, mu, logvar, *args, **kwargs):
    """(loss, reconstruction, kl): smooth, per image, and not the exercise's loss; `checks/steps.py` has its slopes.

    Every second pixel counts three times as much as the others, so that it is no loss of the exercise's.
    """
    if x_hat.numel() != x.numel():
        raise NoAnswer(f"expected one image for each of {len(x)}, got shape {tuple(x_hat.shape)} from the model")
    n = len(x_hat)
    x_hat, x = x_hat.reshape(n, -1), x.reshape(n, -1)
    weights = 0.5 + torch.arange(x.shape[1], device=x.device) % 2
    reconstruction = (weights * (1 - torch.cos(x_hat - x))).sum() / n
    kl = (0.5 * (mu - 1).pow(2).sum() + 0.3 * (logvar + 0.5).pow(2).sum()) / n
    return reconstruction + kl, reconstruction, kl


def ask_training(part, student, given):
    """The student's loop with their model, a loss of ours, a recording optimizer and a few batches.

    A loop may want of the loss what only the student's own gives: where it stops with ours, theirs is tried.
    """

    def recorded(*own_loss):
        return _recorded(part, student, given, own_model(part, student), *own_loss)

    try:
        return recorded()
    except Exception:
        with contextlib.suppress(Exception):
            return recorded(True)
        raise


def ask_training_in_own_model(part, student, given):
    """The same with toy networks in their model."""

    def ask():
        model = around(part, student, toy_of(part, student, given, SEED), noise=False)
        return _recorded(part, student, given, model)

    return of_theirs(ask, given)


def ask_training_alone(part, student, given):
    """The same with a toy."""
    return of_theirs(lambda: _recorded(part, student, given, toy_of(part, student, given, SEED)), given)


def _recorded(part, student, given, model, own_loss=False):
    """What is recorded of a run of the loop, with our loss or the student's own."""
    train = named(student, part.train)
    data = tensor(given["train_x"], student), tensor(given["train_y"], student)
    epochs, seed = int(given["train_epochs"]), int(given["draw_seed"])
    our_loss.__qualname__ = actual("vae_loss")  # as errors call it
    ours = {} if own_loss else {actual("vae_loss"): as_notebook(our_loss, "vae_loss")}
    torch.manual_seed(seed)
    loader = Loader(*data, int(given["train_batch"]))
    _take_shape(part, student, model, given)
    if not any(True for _ in model.parameters()):
        raise NoAnswer(f"{actual(part.model)} has no parameters, so there is nothing to train")
    optimizer = Recorder(model, loader, Watch(part, model), seed, 2 * epochs * len(loader))
    start = optimizer.state_now()
    with rebound(getattr(train, "__globals__", student), ours):
        history = call(train, part.train, model.train(), loader, optimizer, epochs)
    return _answer(start, loader, optimizer, history)


def _take_shape(part, student, model, given):
    """Lazy layers take their shape."""
    images, labels = tensor(given["train_x"][:2], student), part.labels(given["train_y"][:2], student)
    with torch.no_grad():
        call(model.eval(), part.model, images, *labels)


def _answer(start, loader, optimizer, history):
    """What is recorded of a run of the loop."""
    try:
        reported = np.array([float(value) for value in history], dtype=np.float32)
    except (TypeError, ValueError):
        reported = np.zeros(0, dtype=np.float32)
    rows, steps = optimizer.rows, len(optimizer.rows["batch"])
    labels = [int(y) for passed in optimizer.watch.labels for y in passed]
    answer = {name: np.array(rows[name], dtype=np.int64) for name in ("batch", "modes")}
    answer["rates"] = np.array(rows["rates"], dtype=np.float32)
    answer["losses"] = np.nan_to_num(np.array(rows["losses"], dtype=np.float32).reshape(steps, LOSSES))
    for name in ("before", "after", "used", "came"):
        answer[name] = torch.stack(rows[name]) if rows[name] else torch.zeros(0, DIRECTIONS)
    answer |= {"start": start, "end": optimizer.state_now(), "batches_served": loader.served}
    answer |= {"labels": np.array(labels[:10_000], dtype=np.int64), "history": reported[:1000]}
    return answer | _passes(optimizer.kept, optimizer.passes)


def _passes(kept, passes):
    """Rows of the recorded passes, one below the other; `pass_rows` says how many of each, none where it is unknown."""
    names = ("x_hat", "grad_x_hat", "mu", "logvar", "grad_mu", "grad_logvar", "path_mu", "path_logvar")
    whole, counts = [], []
    for one in passes:
        known = {"x_hat", "grad_x_hat", "mu", "logvar"} <= one.keys() and len(one["mu"]) == len(one["x_hat"])
        known = known and one["mu"].shape == one["logvar"].shape and one["mu"].ndim == 2
        counts.append(len(one["mu"]) if known else 0)
        if known:
            zeros = torch.zeros_like(one["mu"])
            whole.append({name: one.get(name, zeros).reshape(len(one["mu"]), -1).cpu() for name in names})
    answer = {"kept": np.array(kept, dtype=np.int64), "pass_rows": np.array(counts, dtype=np.int64)}
    tapped = [all(f"path_{head}" in one for head in ("mu", "logvar")) for one in passes]
    answer["tapped"] = np.array(tapped, dtype=np.int64)
    for name in names:
        answer[f"pass_{name}"] = torch.cat([one[name] for one in whole]) if whole else torch.zeros(0, 1)
    return answer
