"""The checks of encoders and decoders, and what all checks stand on: small random inputs and freshly built models."""

from collections.abc import Iterator as _Iterator
from collections.abc import Sequence as _Sequence
from typing import Any as _Any

import torch as _torch

_Line = tuple[bool, str, str, str]  # whether it holds, what was looked at, what was expected, what came out


class _NotFilled(Exception):
    """A task is still open."""


class _Networks:
    """One part of the exercise, `vae` or `cvae`; a method a task, which says line by line what it found."""

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
            raise _NotFilled(f"{name} is not defined: run the cells above")
        return self.notebook[name]

    def call(self, module: _Any, first: _torch.Tensor, y: _torch.Tensor | None = None) -> _Any:
        """What the module gives for images or codes, and for labels where it takes them."""
        labels = (self.y[: len(first)] if y is None else y,) if self.labelled else ()
        return _given_back(module(first, *labels), type(module).__name__)

    def build(self, kind: str, latents: int | None = None, *, moved: bool = False) -> _Any:
        """A fresh module in eval mode; `moved` at random, so that no initialization decides what a check says."""
        size = latents or self.latents
        module = self.named(self.names[kind])(size, *self.classes).to(self.device).eval()
        with _torch.no_grad():
            # Lazy layers take their shape in the first call.
            self.call(module, _torch.randn(8, size, device=self.device) if kind == "decoder" else self.x)
            for parameter in module.parameters() if moved else ():
                parameter.add_((0.05 + 0.5 * parameter.std(correction=0)) * _torch.randn_like(parameter))
        return module

    def rows(self, module: _Any, first: _torch.Tensor, y: _torch.Tensor | None = None) -> _torch.Tensor:
        """What the module gives, a row for each input; images as logits, of which a linear decoder is linear."""
        value = self.call(module, first, y)
        if _torch.is_tensor(value):
            return _torch.logit(value.flatten(1), eps=1e-6)
        return _torch.cat([part.flatten(1) for part in value], dim=1)

    def encoder(self) -> _Iterator[_Line]:
        value = self.call(self.build("encoder"), self.x)
        wanted = _kind([self.z, self.z])
        yield _kind(value) == wanted, "mu and logvar of 8 images", f"two tensors, {wanted}", _kind(value)
        if _kind(value) != wanted:
            return
        moved = [self.build("encoder", moved=True) for _ in range(5)]
        heads = [_torch.cat(several) for several in zip(*(self.call(m, self.x) for m in moved), strict=True)]
        others = [_torch.cat(several) for several in zip(*(self.call(m, 1 - self.x) for m in moved), strict=True)]
        yield _finite(_torch.cat(heads))
        for name, head, other in zip(("mu", "logvar"), heads, others, strict=True):
            low, high = float(head.min()), float(head.max())
            yield low < 0 < high, f"values of {name}", "negative and positive ones", f"{low:.2f} to {high:.2f}"
            yield _apart(head, other, f"{name} of another image")
        related = abs(float(_torch.corrcoef(_torch.stack([head.flatten() for head in heads]))[0, 1]))
        got = "each follows from the other" if related > 0.999 else "each has its own"
        yield related <= 0.999, "mu and logvar", "each has its own values", got
        yield from self.network("encoder", moved[0])

    def decoder(self) -> _Iterator[_Line]:
        value = self.call(self.build("decoder"), self.z)
        yield _shaped(value, self.x, "x_hat of 8 codes")
        if _kind(value) != _kind(self.x):
            return
        moved = [self.build("decoder", moved=True) for _ in range(3)]
        wide = _torch.cat([self.call(module, 3 * self.z) for module in moved])
        yield _finite(wide)
        yield _in_range(wide)
        sums = self.call(moved[0], self.z).flatten(1).sum(1)
        got = f"from {float(sums.min()):.2f} to {float(sums.max()):.2f}"
        yield float(sums.max() - sums.min()) > 1e-3, "sum of an image's pixels", "differs between images", got
        one, y = self.z[:1].expand(self.latents, -1), self.y[:1].expand(self.latents)
        step = 2 * _torch.eye(self.latents, device=self.device)
        changes = [(self.call(m, one + step, y) - self.call(m, one, y)).abs().flatten(1).amax(1) for m in moved]
        used = int((_torch.stack(changes).amax(0) > 1e-5).sum())
        yield used == self.latents, "numbers of z that change the image", f"all {self.latents}", str(used)
        yield from self.network("decoder", moved[0])

    def network(self, kind: str, module: _Any) -> _Iterator[_Line]:
        """What holds of encoders and decoders alike."""
        first = self.z if kind == "decoder" else self.x
        rows = self.rows(module, first)
        if self.labelled:
            y = _torch.arange(*self.classes, device=self.device)
            answers = self.rows(module, first[:1].expand(len(y), *first.shape[1:]), y)
            alike = sum(bool((answers[i] - answers[j]).abs().max() < 1e-5) for i in range(len(y)) for j in range(i))
            got = f"the same for {alike} pairs of labels" if alike else "another one for each"
            yield not alike, "answer for each of the labels", "another one for each", got
        again = float((rows - self.rows(module, first)).abs().max())
        yield again < 1e-3, "the same input once more in eval mode", "the same answer", f"{again:.1g} apart"
        each = [self.rows(module, first[i : i + 1], self.y[i : i + 1]) for i in range(len(first))]
        alone = float((rows - _torch.cat(each)).abs().max())
        yield alone < 1e-2, "each input without the rest of its batch", "the same answer", f"{alone:.1g} apart"
        away = _torch.randn_like(first)
        ahead, back = self.rows(module, first + away), self.rows(module, first - away)
        bent = float((ahead - 2 * rows + back).abs().mean()) > 1e-3 * float((ahead - back).abs().mean())
        yield bent, "more than one linear map", "yes", "yes" if bent else "no"
        kept = [(name, value) for part in module.modules() for name, value in vars(part).items() if name[0] != "_"]
        lost = [f"self.{name}" for name, value in kept if _holds_layers(value)]
        got = f"not those in {', '.join(lost)}" if lost else "it finds them"
        yield not lost, "layers", ".parameters() finds them all", got
        inputs = {"the codes" if kind == "decoder" else "the images": first.clone().requires_grad_()}
        yield from _flowing(self.rows(module, next(iter(inputs.values())) * 1), inputs, "what it gives")
        weights = list(module.train().parameters())
        grads = _gradients(self.rows(module, first), weights)
        total, reached = sum(w.numel() for w in weights), sum(g.numel() for g in grads if g is not None)
        yield 2 * reached > total, "weights that the gradient reaches", "most of them", f"{reached} of {total}"
        wanted = self.latents + 3
        other = self.build(kind, wanted)  # raises where a decoder cannot take codes of that size
        sizes = {value.shape[-1] for value in self.call(other, self.x)} if kind == "encoder" else {wanted}
        got = ", ".join(map(str, sizes))
        yield sizes == {wanted}, f"size of a code where latent_dim is {wanted}", str(wanted), got


def _given_back(value: _Any, name: str) -> _Any:
    if value is None:
        raise _NotFilled(f"{name} returns nothing yet")
    return value


def _kind(value: _Any) -> str:
    """What a value is, in a few words: the shape of a tensor of floats, "a number", or the name of its type."""
    if isinstance(value, tuple | list):
        return " and ".join(map(_kind, value[:4])) or "nothing"
    if not _torch.is_tensor(value):
        return "a number" if isinstance(value, float) else type(value).__name__
    kind = str(tuple(value.shape)) if value.ndim else "a number"
    return kind if value.is_floating_point() else f"{kind} of {value.dtype}"


def _shaped(value: _Any, like: _torch.Tensor, what: str) -> _Line:
    return _kind(value) == _kind(like), what, _kind(like), _kind(value)


def _finite(value: _torch.Tensor) -> _Line:
    bad = int((~_torch.isfinite(value)).sum())
    return not bad, "every number", "finite", f"{bad} that are not" if bad else "finite"


def _in_range(images: _torch.Tensor) -> _Line:
    low, high = float(images.min()), float(images.max())
    return low >= -1e-4 and high <= 1 + 1e-4, "values of the pixels", "0 to 1", f"{low:.2f} to {high:.2f}"


def _apart(one: _torch.Tensor, other: _torch.Tensor, what: str) -> _Line:
    far = float((one - other).abs().max())
    return far > 1e-5, what, "another one", "another one" if far > 1e-5 else "the same"


def _gradients(value: _torch.Tensor, inputs: _Sequence[_torch.Tensor]) -> _Sequence[_torch.Tensor | None]:
    """The gradient of a random sum of the value at each input, None where there is none."""
    if not (value.requires_grad and inputs):
        return [None] * len(inputs)
    return _torch.autograd.grad((value * _torch.randn_like(value)).sum(), inputs, allow_unused=True)


def _flowing(value: _Any, inputs: dict[str, _torch.Tensor], what: str) -> _Iterator[_Line]:
    for name, grad in zip(inputs, _gradients(value, list(inputs.values())), strict=True):
        flows = grad is not None and bool(grad.abs().max() > 0)
        yield flows, f"gradient of {what} at {name}", "one that is not zero", "one" if flows else "none"


def _holds_layers(value: _Any) -> bool:
    kept = value.values() if isinstance(value, dict) else value if isinstance(value, tuple | list) else ()
    return any(isinstance(part, _torch.nn.Module) for part in kept)
