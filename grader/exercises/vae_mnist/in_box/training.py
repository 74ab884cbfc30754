"""Questions about the training loop, which runs with a recorded model, our own loss and a recording optimizer."""

import contextlib

import numpy as np
import torch

from .interface import ARGUMENTS, actual, as_labels, as_notebook, call, in_our_order, interface
from .notebook_objects import NoAnswer, normal, notebook_object, rebuilt, tensor
from .own_model import around, own_model, passed_on, rebound, stand_in_answer, toy_of
from .step_counter import MOST_LINES, counting, line_of_the_notebook

DIRECTIONS = 8  # random directions onto which parameters and gradients are projected
MOST_NUMBERS = 100_000  # parameters that are projected, spread over the whole model
RATE = 1e-3
PIXELS = 784
LOSSES = 6  # values that are recorded for each step, see `RecordingOptimizer._losses`
MOST_BATCHES = 4  # batches that the passes of one step may contain
MOST_PASSES = 32  # passes kept between two steps
ALONE = {"Encoder": ("x",), "Decoder": ("z",)}  # the argument of networks that take only one
GRADIENTS = ("grad_mu", "grad_logvar", "path_mu", "path_logvar")
SEED = 7  # of a toy's parameters
KEPT = 6  # one in this many steps is recorded in full


class Loader:
    """Serves the same batches in the same order in every epoch, and counts them."""

    def __init__(self, x, y, size):
        self.batches = list(zip(x.split(size), y.split(size), strict=True))
        self.dataset, self.batch_size = torch.utils.data.TensorDataset(x, y), size
        self.images, self.labels = x, y
        self.current, self.served = -1, 0
        self._direction = normal(SEED, x[0].numel()).to(x.device)
        self._keys = self._key(x)

    def __len__(self):
        return len(self.batches)

    def _key(self, x):
        """A number for each image; the same in mixed precision, which does not change elementwise products and sums."""
        return (x.flatten(1) * self._direction).sum(1)

    def rows_of(self, x):
        """The rows of these images in the data, in any order; None if some are not in the data."""
        if not isinstance(x, torch.Tensor) or not x.is_floating_point() or x.numel() != len(x) * PIXELS:
            return None
        x = x.detach().float().reshape(len(x), *self.images.shape[1:])
        rows = self._key(x)[:, None].sub(self._keys).abs().argmin(1)
        return rows.cpu() if bool((self.images[rows] == x).all()) else None

    def __iter__(self):
        for index, (x, y) in enumerate(self.batches):
            self.current, self.served = index, self.served + 1
            yield x.clone(), y.clone()


class Projection:
    """Summarises the values of many parameters as a few numbers, their products with random directions."""

    def __init__(self, parameters, seed):
        total = sum(p.numel() for p in parameters)
        self.stride = max(1, -(-total // MOST_NUMBERS))
        self.directions = [
            normal([seed, number], DIRECTIONS, len(self._some(p))).to(p.device) for number, p in enumerate(parameters)
        ]

    def _some(self, values):
        return values.detach().reshape(-1)[:: self.stride]

    def one(self, index, values):
        """The projection of values of the parameter with that index."""
        return self.directions[index] @ self._some(values).float()

    def all(self, groups):
        """The projection of values of all parameters; None counts as zeros."""
        ones = [self.one(index, values).cpu() for index, values in enumerate(groups) if values is not None]
        return sum(ones, torch.zeros(DIRECTIONS))


class ForwardRecord:
    """Records the inputs and outputs of a model's networks and the gradients that flow back to them.

    Each call of the encoder begins a pass, which includes the calls of reparameterization and decoder that follow.
    """

    def __init__(self, part, model, loader):
        self.part, self.loader, self.passes = part, loader, []
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
        """Passes copies of mu and logvar to the reparameterization; their gradients are those through the code."""
        original = getattr(model, name)

        def tapped(*args, **kwargs):
            arguments = {**dict(zip(_order("reparameterize"), args, strict=False)), **kwargs}
            if self.passes:
                self.passes[-1].setdefault("drawn", []).append(self._are_heads(arguments))
            copies = {key: self._copied(f"path_{key}", value) for key, value in arguments.items()}
            return passed_on(original, list(copies.values())[: len(args)], {key: copies[key] for key in kwargs})

        vars(model)[name] = tapped

    def _are_heads(self, arguments):
        """Whether the reparameterization receives the encoder's outputs."""
        heads = self.passes[-1]
        return all(key in heads and _same(arguments.get(key), heads[key]) for key in ("mu", "logvar"))

    def _copied(self, key, value):
        if not isinstance(value, torch.Tensor) or not value.requires_grad or not self.passes:
            return value
        copy = value * 1.0
        _remember(copy, self.passes[-1], key)
        return copy

    def _encoded(self, value, args, kwargs):
        self.passes = [*self.passes[1 - MOST_PASSES :], {"decoded": []}]
        if not isinstance(value, tuple | list) or len(value) != 2:
            return value
        arguments = {**dict(zip(_order(self.part.encoder), args, strict=False)), **kwargs}
        self.passes[-1]["rows"] = self.loader.rows_of(arguments.get("x"))
        self._note_labels("encoder_labels", arguments)
        # copies, so that each head has its own gradient even if one is computed from the other
        value = rebuilt(value, [head * 1.0 if isinstance(head, torch.Tensor) else head for head in value])
        for key, head in zip(("mu", "logvar"), in_our_order(self.part.encoder, value), strict=True):
            _keep(key, head, self.passes[-1])
        return value

    def _decoded(self, value, args, kwargs):
        if not self.passes:
            self.passes.append({"decoded": []})
        arguments = {**dict(zip(_order(self.part.decoder), args, strict=False)), **kwargs}
        decoded = {"is_mu": "mu" in self.passes[-1] and _same(arguments.get("z"), self.passes[-1]["mu"])}
        _keep("x_hat", value, decoded)
        self.passes[-1]["decoded"].append(decoded)
        self._note_labels("labels", arguments)
        return value

    def _note_labels(self, key, arguments):
        if self.part.conditional and isinstance(arguments.get("y"), torch.Tensor):
            self.passes[-1][key] = as_labels(arguments["y"]).detach().cpu()

    def forget_trained(self):
        """Drops the passes that have gradients, which were cleared and do not affect the next step."""
        self.passes = [record for record in self.passes if not _trained(record)]

    def trained(self):
        """All passes that have gradients, joined into one; empty if there are none."""
        passes = [record for record in self.passes if _trained(record)]
        if not passes:
            return {}
        for other in self.passes:  # another pass of the same images, for the KL term only
            if not _trained(other) and (
                owner := next((record for record in passes if _same_heads(record, other)), None)
            ):
                for key in ("grad_mu", "grad_logvar"):
                    if key in other:
                        owner[key] = owner[key] + other[key] if key in owner else other[key]
        most = MOST_BATCHES * self.loader.batch_size
        if len(passes) > 1 and sum(len(record["mu"]) for record in passes if "mu" in record) > most:
            passes = passes[-1:]
        return _joined(passes)


def _trained(record):
    return any("grad_x_hat" in images for images in record["decoded"])


def _same(value, other):
    return isinstance(value, torch.Tensor) and value.shape == other.shape and torch.equal(value.detach(), other)


def _same_heads(record, other):
    return all(key in record and _same(other.get(key), record[key]) for key in ("mu", "logvar"))


def _joined(passes):
    """Several passes combined into one; an image that was decoded several times from one code appears several times."""
    joined, decoded = {}, []
    for record in passes:
        rows = record.get("rows")
        for images in record["decoded"]:
            if "grad_x_hat" in images:
                decoded.append(
                    {**images, "rows": rows if rows is not None and len(rows) == len(images["x_hat"]) else None}
                )
    for key in ("x_hat", "grad_x_hat"):
        joined[key] = _cat([images[key] for images in decoded])
    joined["rows"] = _cat([images["rows"] for images in decoded])
    heads = [
        {name: torch.zeros_like(record["mu"]) for name in GRADIENTS} | record for record in passes if _whole(record)
    ]
    if len(heads) == len(passes):
        for key in ("mu", "logvar", *GRADIENTS):
            joined[key] = _cat([record[key] for record in heads])
        joined["head_rows"] = _cat([record.get("rows") for record in heads])
        joined["tapped"] = all("path_mu" in record and "path_logvar" in record for record in passes)
    for key in ("labels", "encoder_labels"):
        joined[key] = _cat([record.get(key) for record in passes])
    joined["way"] = max(_way(record) for record in passes)
    return {key: value for key, value in joined.items() if value is not None}


def _whole(record):
    return {"mu", "logvar"} <= record.keys() and record["mu"].ndim == 2 and record["mu"].shape == record["logvar"].shape


def _cat(tensors):
    """The concatenated tensors; None if one is missing or has rows of another shape."""
    if any(tensor is None or tensor.shape[1:] != tensors[0].shape[1:] for tensor in tensors):
        return None
    return torch.cat(tensors)


def _way(record):
    """How the images of a pass were computed from mu and logvar: 0, or a key of `WAYS` in `checks/steps.py`."""
    if any(not are_heads for are_heads in record.get("drawn", ())):
        return 2
    if not record.get("drawn") and all(images["is_mu"] for images in record["decoded"] if "grad_x_hat" in images):
        return 1
    back = ("path_mu", "path_logvar") if record.get("drawn") else ("grad_mu", "grad_logvar")
    return 0 if any(key in record and bool(record[key].any()) for key in back) else 3


def _order(name):
    return interface["arguments"].get(name, ARGUMENTS.get(name, ALONE.get(name, ())))


def _keep(key, value, where):
    if isinstance(value, torch.Tensor):
        where[key] = value.detach()
        if value.requires_grad:
            _remember(value, where, f"grad_{key}")


def _remember(value, where, key):
    def add(gradient):
        where[key] = where[key] + gradient.detach() if key in where else gradient.detach()

    value.register_hook(add)


class RecordingOptimizer(torch.optim.Adam):
    """The optimizer that the student's loop receives; records parameters and gradients around each step."""

    def __init__(self, model, loader, forward_record, seed, limit):
        super().__init__(model.parameters(), lr=RATE)
        self.model, self.loader, self.forward_record, self.limit = model, loader, forward_record, limit
        self.watched = [p for group in self.param_groups for p in group["params"]]
        self.projection = Projection(self.watched, seed)
        self.gradient_sum = torch.zeros(DIRECTIONS)
        for index, parameter in enumerate(self.watched):
            if parameter.requires_grad:
                parameter.register_hook(lambda gradient, index=index: self._add_gradient(index, gradient))
        names = ("before", "after", "used", "came", "rates", "batch", "rows", "modes", "losses")
        self.rows = {name: [] for name in names}
        self.labels = {name: [] for name in ("labels", "encoder_labels")}
        self.recorded, self.passes, self.lines = [], [], set()

    def _add_gradient(self, index, gradient):
        self.gradient_sum = self.gradient_sum + self.projection.one(index, gradient).cpu()

    def _padded(self, rows):
        """The rows' numbers in an array of fixed width, padded with -1; only -1 if they are unknown."""
        padded = np.full(MOST_BATCHES * self.loader.batch_size, -1, dtype=np.int64)
        if rows is not None and len(rows) <= len(padded):
            padded[: len(rows)] = rows.numpy()
        return padded

    def zero_grad(self, set_to_none=True):
        """Clears the gradients, and the record of those that came before, which do not affect the next step."""
        super().zero_grad(set_to_none)
        self.gradient_sum = torch.zeros(DIRECTIONS)
        self.forward_record.forget_trained()

    def state_now(self):
        """The projection of the current parameters."""
        return self.projection.all(self.watched)

    def step(self, closure=None):
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        self.lines.add(line_of_the_notebook())
        number = len(self.rows["batch"])
        if number >= self.limit:
            super().step()
            return loss
        record = self.forward_record.trained()
        rows = record.get("head_rows")
        values = {
            "before": self.state_now(),
            "used": self.projection.all([p.grad for p in self.watched]),
            "came": self.gradient_sum,
            "rates": self.param_groups[0]["lr"],
            "batch": self.loader.current if rows is None else int(rows[-1]) // self.loader.batch_size,
            "rows": self._padded(rows),
            "modes": self.model.training,
            "losses": self._losses(record),
        }
        super().step()
        values["after"] = self.state_now()
        for name, value in values.items():
            self.rows[name].append(value)
        for name, labels in self.labels.items():
            labels.append(record.get(name, torch.zeros(0, dtype=torch.int64)))
        if number % KEPT == 0 or number < 2:
            self.recorded.append(number)
            self.passes.append(record)
        self.gradient_sum = torch.zeros(DIRECTIONS)
        self.forward_record.passes = []
        return loss

    def _losses(self, record):
        """The values of the losses that a correct loop may use, ours and the exercise's two, then those of their
        reconstruction terms alone; NaN if they cannot be computed."""
        is_whole = {"x_hat", "mu", "logvar"} <= record.keys()
        if not is_whole or ("rows" not in record and self.loader.current < 0):
            return [float("nan")] * LOSSES
        x = self.loader.images[record["rows"]] if "rows" in record else self.loader.batches[self.loader.current][0]
        x_hat, mu, logvar = (record[name].float() for name in ("x_hat", "mu", "logvar"))  # may be half precision
        if x_hat.numel() != x.numel() or len(x) % len(mu) or not bool(torch.isfinite(x_hat).all()):
            return [float("nan")] * LOSSES
        x_hat, count = x_hat.reshape(x.shape), len(x)
        mu, logvar = mu.repeat(len(x) // len(mu), 1), logvar.repeat(len(x) // len(mu), 1)  # codes decoded repeatedly
        kl = -0.5 * (1 + logvar - mu.pow(2) - logvar.exp()).sum() / count
        cross_entropy = torch.nn.functional.binary_cross_entropy(x_hat.clamp(0, 1), x, reduction="sum") / count
        squared = (x_hat - x).pow(2).sum() / count
        whole, reconstruction, _ = our_loss(x_hat, x, mu, logvar)
        losses = (whole, cross_entropy + kl, squared + kl, reconstruction, cross_entropy, squared)
        return [float(loss) for loss in losses]


def our_loss(x_hat, x, mu, logvar, *args, **kwargs):
    """(loss, reconstruction, kl) of a smooth loss, per image; its derivatives are in `checks/steps.py`.

    Every second pixel counts three times as much as the others, so that the loss differs from the exercise's losses.
    """
    if x_hat.numel() != x.numel():
        raise NoAnswer(f"expected one image for each of {len(x)}, got shape {tuple(x_hat.shape)} from the model")
    n = len(x_hat)
    x_hat, x = x_hat.reshape(n, -1), x.reshape(n, -1)
    weights = 0.5 + torch.arange(x.shape[1], device=x.device) % 2
    reconstruction = (weights * (1 - torch.cos(x_hat - x))).sum() / n
    kl = (0.5 * (mu - 1).pow(2).sum() + 0.3 * (logvar + 0.5).pow(2).sum()) / n
    return reconstruction + kl, reconstruction, kl


def ask_training(part, student, questions):
    """Records a run of the student's loop with their own model, our loss, a recording optimizer and a few batches.

    A loop may need something that only the student's own loss provides: if it fails with ours, it runs with theirs.
    """

    def recorded(*own_loss):
        return _recorded(part, student, questions, own_model(part, student), *own_loss)

    try:
        return recorded()
    except Exception:
        with contextlib.suppress(Exception):
            return recorded(True)
        raise


def ask_training_in_own_model(part, student, questions):
    """Records a run of the loop with toy networks in the student's model."""

    def ask():
        model = around(part, student, toy_of(part, student, questions, SEED), noise=False)
        return _recorded(part, student, questions, model)

    return stand_in_answer(ask, questions)


def ask_training_alone(part, student, questions):
    """Records a run of the loop with a toy model."""
    return stand_in_answer(
        lambda: _recorded(part, student, questions, toy_of(part, student, questions, SEED)), questions
    )


def _recorded(part, student, questions, model, own_loss=False):
    """Runs the loop with our loss or the student's own; returns the recording."""
    counting()  # starts to count the steps of the notebook's own training, which comes next
    train = notebook_object(student, part.train)
    data = tensor(questions["train_x"], student), tensor(questions["train_y"], student)
    epochs, seed = int(questions["train_epochs"]), int(questions["draw_seed"])
    our_loss.__qualname__ = actual("vae_loss")  # its name in errors
    loss_names = {} if own_loss else {actual("vae_loss"): as_notebook(our_loss, "vae_loss")}
    torch.manual_seed(seed)
    loader = Loader(*data, int(questions["train_batch"]))
    _take_shape(part, student, model, questions)
    if not any(True for _ in model.parameters()):
        raise NoAnswer(f"{actual(part.model)} has no parameters, so there is nothing to train")
    optimizer = RecordingOptimizer(model, loader, ForwardRecord(part, model, loader), seed, 2 * epochs * len(loader))
    start = optimizer.state_now()
    with rebound(getattr(train, "__globals__", student), loss_names):
        history = call(train, part.train, model.train(), loader, optimizer, epochs)
    return _answer(start, loader, optimizer, history)


def _take_shape(part, student, model, questions):
    """Calls the model once, in which lazy layers infer their shapes."""
    images, labels = tensor(questions["train_x"][:2], student), part.labels(questions["train_y"][:2], student)
    with torch.no_grad():
        call(model.eval(), part.model, images, *labels)


def _answer(start, loader, optimizer, history):
    """The arrays of a recorded run of the loop."""
    try:
        reported = np.array([float(value) for value in history], dtype=np.float32)
    except (TypeError, ValueError):
        reported = np.zeros(0, dtype=np.float32)
    rows, steps = optimizer.rows, len(optimizer.rows["batch"])
    answer = {name: np.array(rows[name], dtype=np.int64) for name in ("batch", "modes")}
    width = MOST_BATCHES * loader.batch_size
    answer["rows"] = np.array(rows["rows"], dtype=np.int64).reshape(steps, width)
    for name, of_steps in optimizer.labels.items():
        answer[name] = np.array([int(y) for labels in of_steps for y in labels][:10_000], dtype=np.int64)
    answer["rates"] = np.array(rows["rates"], dtype=np.float32)
    answer["losses"] = np.nan_to_num(np.array(rows["losses"], dtype=np.float32).reshape(steps, LOSSES))
    for name in ("before", "after", "used", "came"):
        answer[name] = torch.stack(rows[name]) if rows[name] else torch.zeros(0, DIRECTIONS)
    answer["lines"] = np.array(sorted(optimizer.lines)[:MOST_LINES], dtype=np.int64)
    answer |= {"start": start, "end": optimizer.state_now(), "batches_served": loader.served}
    answer["history"] = reported[:1000]
    return answer | _passes(optimizer.recorded, optimizer.passes)


def _passes(steps, passes):
    """The recorded passes, concatenated; `pass_rows` and `pass_images` hold each pass's number of rows of heads and of
    images, 0 if they are unknown."""
    heads, images = ("mu", "logvar", *GRADIENTS), ("x_hat", "grad_x_hat")
    answer = {"kept": np.array(steps, dtype=np.int64)}
    counts = {"pass_rows": [], "pass_images": []}
    rows = {name: [] for name in (*heads, *images)}
    for record in passes:
        is_whole = set(rows) <= record.keys()
        counts["pass_rows"].append(len(record["mu"]) if is_whole else 0)
        counts["pass_images"].append(len(record["x_hat"]) if is_whole else 0)
        for name in rows if is_whole else ():
            rows[name].append(record[name].reshape(len(record[name]), -1).cpu())
    answer |= {name: np.array(values, dtype=np.int64) for name, values in counts.items()}
    for name, default in (("tapped", False), ("way", 0)):
        answer[name] = np.array([record.get(name, default) for record in passes], dtype=np.int64)
    for name, values in rows.items():
        answer[f"pass_{name}"] = torch.cat(values) if values else torch.zeros(0, 1)
    return answer
