"""The self-checks of encoders and decoders, and what all of them use: small random inputs and freshly built models."""

import traceback as _traceback
from collections.abc import Iterator as _Iterator
from collections.abc import Sequence as _Sequence
from typing import Any as _Any

import torch as _torch

_Line = tuple[bool, str]  # whether the check passes, and what is printed where it does not


class _NotFilled(Exception):
    """A name is missing, or its code returns nothing: the name, and what is the matter with it."""


class _Networks:
    """One part of the exercise, `vae` or `cvae`; one method per task, which yields one line per check."""

    def __init__(self, notebook: dict[str, _Any], part: str) -> None:
        self.notebook, self.part, self.labelled = notebook, part, part == "cvae"
        self.latents, self.device = self.named("LATENT_DIM"), self.named("DEVICE")
        prefix = "Conditional" if self.labelled else ""
        self.classes: tuple[int, ...] = (self.named("NUM_CLASSES"),) if self.labelled else ()
        self.names = {"encoder": f"{prefix}Encoder", "decoder": f"{prefix}Decoder", "model": part.upper()}
        self.x = _torch.rand(8, 1, 28, 28, device=self.device)
        self.y = _torch.arange(8, device=self.device).flip(0)
        self.z = _torch.randn(8, self.latents, device=self.device)

    def named(self, name: str) -> _Any:
        """The notebook's object of that name."""
        if name not in self.notebook:
            raise _NotFilled(name, "is not defined")
        return self.notebook[name]

    def call(self, module: _Any, first: _torch.Tensor, y: _torch.Tensor | None = None) -> _Any:
        """The module's output for images or codes, and for labels where it takes them."""
        labels = (self.y[: len(first)] if y is None else y,) if self.labelled else ()
        return _given_back(module(first, *labels), type(module).__name__)

    def build(self, kind: str, latents: int | None = None, *, moved: bool = False) -> _Any:
        """A fresh module in eval mode; `moved` at random, so that no check depends on the initialization."""
        size = latents or self.latents
        module = self.named(self.names[kind])(size, *self.classes).to(self.device).eval()
        with _torch.no_grad():
            # The first call gives lazy layers their shapes.
            self.call(module, _torch.randn(8, size, device=self.device) if kind == "decoder" else self.x)
            for parameter in module.parameters() if moved else ():
                parameter.add_((0.05 + 0.5 * parameter.std(correction=0)) * _torch.randn_like(parameter))
        return module

    def rows(self, module: _Any, first: _torch.Tensor, y: _torch.Tensor | None = None) -> _torch.Tensor:
        """The module's output, one row per input; images as logits, which a linear decoder computes linearly."""
        value = self.call(module, first, y)
        if _torch.is_tensor(value):
            return _torch.logit(value.flatten(1), eps=1e-6)
        return _torch.cat([part.flatten(1) for part in value], dim=1)

    def encoder(self) -> _Iterator[_Line]:
        value = self.call(self.build("encoder"), self.x)
        wanted = _kind([self.z, self.z])
        yield (
            _kind(value) == wanted,
            f"expected mu and logvar of shapes {wanted} for 8 images, got {_kind(value)}: compare with the docstring",
        )
        if _kind(value) != wanted:
            return
        moved = [self.build("encoder", moved=True) for _ in range(5)]
        heads = [_torch.cat(several) for several in zip(*(self.call(m, self.x) for m in moved), strict=True)]
        others = [_torch.cat(several) for several in zip(*(self.call(m, 1 - self.x) for m in moved), strict=True)]
        yield _finite(_torch.cat(heads), "mu and logvar")
        for name, head, other in zip(("mu", "logvar"), heads, others, strict=True):
            low, high = float(head.min()), float(head.max())
            missing = "negative" if low >= 0 else "positive"
            got = f"{name} is never {missing} (values from {low:.2f} to {high:.2f})"
            yield low < 0 < high, f"{got}: which values can the last operation before {name} give?"
            yield _apart(head, other), f"{name} is the same for different images: follow x through forward"
        related = abs(float(_torch.corrcoef(_torch.stack([head.flatten() for head in heads]))[0, 1]))
        yield related <= 0.999, "mu and logvar are identical or proportional: where does each of them come from?"
        yield from self.network("encoder", moved[0])

    def decoder(self) -> _Iterator[_Line]:
        value = self.call(self.build("decoder"), self.z)
        yield _shaped(value, self.x, "the images of 8 codes")
        if _kind(value) != _kind(self.x):
            return
        moved = [self.build("decoder", moved=True) for _ in range(3)]
        wide = _torch.cat([self.call(module, 3 * self.z) for module in moved])
        yield _finite(wide, "the images")
        yield _in_range(wide)
        sums = self.call(moved[0], self.z).flatten(1).sum(1)
        yield (
            float(sums.max() - sums.min()) > 1e-3,
            f"the pixels of every image have the same sum ({float(sums.max()):.2f}): which operation ties them?",
        )
        one, y = self.z[:1].expand(self.latents, -1), self.y[:1].expand(self.latents)
        step = 2 * _torch.eye(self.latents, device=self.device)
        changes = [(self.call(m, one + step, y) - self.call(m, one, y)).abs().flatten(1).amax(1) for m in moved]
        used = int((_torch.stack(changes).amax(0) > 1e-5).sum())
        yield (
            used == self.latents,
            f"the image depends on {used} of the {self.latents} numbers of z: follow z through forward",
        )
        yield from self.network("decoder", moved[0])

    def network(self, kind: str, module: _Any) -> _Iterator[_Line]:
        """The checks that encoders and decoders have in common."""
        first, row = (self.z, "code") if kind == "decoder" else (self.x, "image")
        rows = self.rows(module, first)
        if self.labelled:
            y = _torch.arange(*self.classes, device=self.device)
            answers = self.rows(module, first[:1].expand(len(y), *first.shape[1:]), y)
            alike = sum(bool((answers[i] - answers[j]).abs().max() < 1e-5) for i in range(len(y)) for j in range(i))
            pairs = f"{alike} pair{'s' if alike > 1 else ''} of labels"
            yield not alike, f"the {kind}'s output is the same for {pairs}: follow y through forward"
        again = float((rows - self.rows(module, first)).abs().max())
        yield again < 1e-3, f"in eval mode, the same {row} gives different outputs: is anything random in forward?"
        each = [self.rows(module, first[i : i + 1], self.y[i : i + 1]) for i in range(len(first))]
        alone = float((rows - _torch.cat(each)).abs().max())
        yield (
            alone < 1e-2,
            f"the output for one {row} depends on the rest of the batch: which operation in forward combines rows?",
        )
        away = _torch.randn_like(first)
        ahead, back = self.rows(module, first + away), self.rows(module, first - away)
        bent = float((ahead - 2 * rows + back).abs().mean()) > 1e-3 * float((ahead - back).abs().mean())
        yield bent, f"the {kind} is a single linear map: what is between its linear layers?"
        kept = [(name, value) for part in module.modules() for name, value in vars(part).items() if name[0] != "_"]
        lost = [f"self.{name}" for name, value in kept if _holds_layers(value)]
        are = "are" if len(lost) > 1 else "is"
        yield not lost, f"{' and '.join(lost)} {are} not registered, so no optimizer can train it: use nn.ModuleList"
        inputs = {f"the {row}s": first.clone().requires_grad_()}
        yield from _flowing(self.rows(module, next(iter(inputs.values())) * 1), inputs, f"the {kind}'s output")
        weights = list(module.train().parameters())
        grads = _gradients(self.rows(module, first), weights)
        total, reached = sum(w.numel() for w in weights), sum(g.numel() for g in grads if g is not None)
        yield (
            2 * reached > total,
            f"the gradient reaches only {reached:,} of {total:,} weights: which layers does forward not use?",
        )
        yield self.resized(kind)

    def resized(self, kind: str) -> _Line:
        """Whether the network can be built for another latent_dim."""
        size = self.latents + 3
        try:
            other = self.build(kind, size)
            sizes = {value.shape[-1] for value in self.call(other, self.x)} if kind == "encoder" else {size}
            got = f"the codes have {' and '.join(map(str, sizes))} numbers"
        except Exception as error:
            sizes, got = set(), f"the {kind} stops with {_error_text(error)}"
        return sizes == {size}, f"with latent_dim = {size}, {got}: is there a fixed number where latent_dim belongs?"


def _given_back(value: _Any, name: str) -> _Any:
    if value is None:
        raise _NotFilled(name, "returns nothing")
    return value


def _kind(value: _Any) -> str:
    """A value in a few words: the shape of a tensor of floats, "a number", or the name of its type."""
    if isinstance(value, tuple | list):
        return " and ".join(map(_kind, value[:4])) or "nothing"
    if not _torch.is_tensor(value):
        return "a number" if isinstance(value, float) else type(value).__name__
    kind = str(tuple(value.shape)) if value.ndim else "a number"
    return kind if value.is_floating_point() else f"{kind} of {value.dtype}"


def _shaped(value: _Any, like: _torch.Tensor, what: str) -> _Line:
    expected = f"expected shape {_kind(like)} for {what}, got {_kind(value)}"
    return _kind(value) == _kind(like), f"{expected}: compare with the docstring"


def _finite(value: _torch.Tensor, what: str) -> _Line:
    bad = int((~_torch.isfinite(value)).sum())
    return not bad, f"{bad:,} values of {what} are NaN or infinite: which operation can give them?"


def _in_range(images: _torch.Tensor) -> _Line:
    low, high = float(images.min()), float(images.max())
    expected = f"expected pixel values from 0 to 1, got values from {low:.2f} to {high:.2f}"
    return low >= -1e-4 and high <= 1 + 1e-4, f"{expected}: look at the last operation"


def _apart(one: _torch.Tensor, other: _torch.Tensor) -> bool:
    return float((one - other).abs().max()) > 1e-5


def _gradients(value: _torch.Tensor, inputs: _Sequence[_torch.Tensor]) -> _Sequence[_torch.Tensor | None]:
    """The gradient of a random sum of the value with respect to each input, or None."""
    if not (value.requires_grad and inputs):
        return [None] * len(inputs)
    return _torch.autograd.grad((value * _torch.randn_like(value)).sum(), inputs, allow_unused=True)


def _flowing(value: _Any, inputs: dict[str, _torch.Tensor], what: str) -> _Iterator[_Line]:
    for name, grad in zip(inputs, _gradients(value, list(inputs.values())), strict=True):
        flows = grad is not None and bool(grad.abs().max() > 0)
        yield flows, f"no gradient flows back from {what} to {name}: which operation cuts it?"


def _holds_layers(value: _Any) -> bool:
    kept = value.values() if isinstance(value, dict) else value if isinstance(value, tuple | list) else ()
    return any(isinstance(part, _torch.nn.Module) for part in kept)


def _error_text(error: BaseException) -> str:
    """An error on one line, with the innermost line of the student's own code that it passed through."""
    text = f"{type(error).__name__}: {_one_line(error)}"
    ours = _error_text.__code__.co_filename
    for frame in reversed(_traceback.extract_tb(error.__traceback__)):
        if ("ipykernel" in frame.filename or "ipython-input" in frame.filename) and frame.filename != ours:
            line = f": `{frame.line}`" if frame.line else ""
            return f"{text}, in {frame.name}, line {frame.lineno}{line}"
    return text


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200]
