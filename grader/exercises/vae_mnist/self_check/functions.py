"""The self-checks of the reparameterization, the loss, the training loop and the sampling code."""

import math as _math
from collections.abc import Iterator as _Iterator
from typing import Any as _Any

import torch as _torch
from torch.optim import SGD as _SGD
from torch.optim import Adam as _Adam
from torch.utils.data import DataLoader as _DataLoader
from torch.utils.data import TensorDataset as _TensorDataset

from grader.exercises.vae_mnist.self_check.networks import (
    _apart,
    _finite,
    _flowing,
    _given_back,
    _in_range,
    _kind,
    _Line,
    _Networks,
    _shaped,
)


class _SelfCheck(_Networks):
    """All checks of one part."""

    def reparameterization(self) -> _Iterator[_Line]:
        kind = self.named(self.names["model"])
        try:
            model = kind(self.latents, *self.classes).to(self.device)
        except Exception:  # encoder or decoder do not work yet; they are not checked here
            model = kind.__new__(kind)
            _torch.nn.Module.__init__(model)
            model.latent_dim = self.latents
        model.train()

        def draw(mu: _torch.Tensor, variance: float) -> _Any:
            return _given_back(model.reparameterize(mu, _torch.full_like(mu, _math.log(variance))), "reparameterize")

        mu = _torch.randn(max(8, 4096 // self.latents), self.latents, device=self.device)
        z = draw(mu, 1.0)
        yield _shaped(z, mu, f"z for {len(mu)} rows of mu and logvar")
        if _kind(z) != _kind(mu):
            return
        yield _finite(draw(mu, 0.5), "z")
        yield _apart(z, draw(mu, 1.0)), "two draws give the same codes: what is random in z?"
        near = float((draw(mu, 1e-10) - mu).abs().max())
        yield near < 0.01, f"expected z close to mu for a variance near 0, got codes up to {near:.1g} away"
        for variance in (1.0, 4.0):
            noise = draw(mu, variance) - mu
            mean, spread = float(noise.mean()), float(noise.var())
            right = abs(mean) < 0.15 * variance and abs(spread / variance - 1) < 0.25
            got = f"got mean {mean:.2f} and variance {spread:.2f}: logvar is the logarithm of the variance"
            yield (
                right,
                f"expected mean 0 and variance {variance:g} for z - mu where the variance is {variance:g}, {got}",
            )
        far = float((noise.abs() > 2 * noise.std()).float().mean())
        yield (
            far > 0.02,
            "expected about 5 % of z more than two standard deviations away from mu, "
            f"got {100 * far:.0f} %: which distribution does the noise come from?",
        )
        rows, columns = noise[0] - noise[1], noise[:, 0] - noise[:, -1]
        own = float(rows.abs().max()) > 1e-3 and (self.latents == 1 or float(columns.abs().max()) > 1e-3)
        yield own, "some numbers of z share their noise: how many random numbers does a batch need?"
        inputs = {"mu": mu.clone().requires_grad_(), "logvar": _torch.zeros_like(mu).requires_grad_()}
        yield from _flowing(model.reparameterize(inputs["mu"] * 1, inputs["logvar"] * 1), inputs, "z")

    def loss(self) -> _Iterator[_Line]:
        vae_loss, x, zero = self.named("vae_loss"), 0.2 + 0.6 * self.x, _torch.zeros_like(self.z)
        inputs = {"x_hat": x.flip(0).requires_grad_(), "mu": self.z.clone().requires_grad_()}
        inputs["logvar"] = _torch.randn_like(self.z).requires_grad_()
        value = _given_back(vae_loss(inputs["x_hat"] * 1, x, inputs["mu"] * 1, inputs["logvar"] * 1), "vae_loss")
        three = isinstance(value, tuple | list) and len(value) == 3 and _kind(value[0]) == "a number"
        yield (
            three,
            f"expected three numbers (loss, reconstruction, kl), got {_kind(value)}: compare with the docstring",
        )
        if not three:
            return
        loss, reconstruction, kl = (float(part) for part in value)
        finite = all(map(_math.isfinite, (loss, reconstruction, kl)))
        adds_up = finite and abs(loss - reconstruction - kl) < 1e-3 * max(abs(loss), 1e-3)
        yield adds_up, f"expected loss = reconstruction + kl = {reconstruction + kl:.4g}, got {loss:.4g}"
        yield from _flowing(value[0], inputs, "the loss")

        def terms(x_hat: _torch.Tensor, x: _torch.Tensor, mu: _torch.Tensor, logvar: _torch.Tensor) -> list[float]:
            return [float(part) for part in vae_loss(x_hat, x, mu, logvar)]

        best, *worse = (terms(x_hat, x, zero, zero)[1] for x_hat in (x, x + 0.1, x - 0.1, x.flip(0)))
        yield (
            best < min(worse),
            "expected the smallest reconstruction term where x_hat equals x, "
            f"got {best:.4g} there and {min(worse):.4g} elsewhere: check the arguments and the sign",
        )
        places = [(zero, zero), *((zero + s, zero) for s in (1, -1)), *((zero, zero + s) for s in (1, -1))]
        least, *more = (terms(x, x, mu, logvar)[2] for mu, logvar in places)
        lowest = min(more)
        where = ("mu = 1, logvar = 0", "mu = -1, logvar = 0", "mu = 0, logvar = 1", "mu = 0, logvar = -1")
        than = "lower" if lowest < least - 1e-6 else "not higher"
        yield (
            least < lowest - 1e-6,
            f"the KL term should be smallest, 0, at mu = 0, logvar = 0; yours is {than} ({lowest:.4g}) at "
            f"{where[more.index(lowest)]}: compare every term of the formula, and their signs",
        )
        black = (self.x > 0.8).float()
        once = terms(_torch.full_like(x, 0.5), black, zero + 1, zero)
        twice = terms(*(_torch.cat([t, t]) for t in (_torch.full_like(x, 0.5), black, zero + 1, zero)))
        ratio = [b / a if a else _math.nan for a, b in zip(once[1:], twice[1:], strict=True)]
        yield (
            abs(ratio[0] - ratio[1]) < 0.01,
            f"for a batch twice as large, the reconstruction term is {ratio[0]:.2f} times and the KL term "
            f"{ratio[1]:.2f} times as large; expected the same factor: which term is not averaged over the batch?",
        )
        wide = terms(x, x, _torch.cat([zero + 1] * 2, dim=1), _torch.cat([zero] * 2, dim=1))[2]
        narrow = terms(x, x, zero + 1, zero)[2]
        yield (
            abs(wide - 2 * narrow) <= 0.01 * abs(narrow) + 1e-9,
            "for codes with twice as many numbers, expected a KL term 2.00 times as large, "
            f"got {wide / narrow if narrow else _math.nan:.2f} times: over what is it averaged?",
        )
        pixel, number = once[1] / x[0].numel(), once[2] / self.latents
        yield (
            pixel > 0.05 * abs(number),
            f"for grey images and mu = 1, the reconstruction term is {pixel:.2g} per pixel and the KL term "
            f"{number:.2g} per number of z; expected a similar size: which one is averaged instead of summed?",
        )

    def training(self) -> _Iterator[_Line]:
        train = self.named(f"train_{self.part}")
        size = 24  # images per batch, enough for a loop that shows some
        x, y = (_torch.rand(96, 1, 28, 28, device=self.device) > 0.8).float(), self.y.repeat(12)
        batches, epochs = _DataLoader(_TensorDataset(x, y), batch_size=size), 5
        model = self.build("model")
        before = [weight.detach().clone() for weight in model.parameters()]
        optimizer = _Adam(model.parameters(), lr=1e-3)
        modes: list[bool] = []
        optimizer.register_step_post_hook(lambda *_: modes.append(model.training))
        taken, seen = _recorded(model.encoder), _recorded(model.decoder)
        history = train(model, batches, optimizer, epochs)
        steps = epochs * len(batches)
        yield (
            len(modes) == steps,
            f"expected {steps} optimizer steps in {epochs} epochs of {len(batches)} batches, got {len(modes)}",
        )
        moved = any(bool((a != b).any()) for a, b in zip(before, model.parameters(), strict=True))
        yield moved, "the weights are the same after training: which optimizer makes the steps?"
        yield all(modes), "the model is in eval mode at some steps: which calls change its mode?"
        numbers = [float(value) for value in history]
        falls = len(numbers) == epochs and numbers[-1] < numbers[0]
        got = f"{numbers[0]:.4g} in the first epoch and {numbers[-1]:.4g} in the last" if numbers else "no losses"
        if len(numbers) != epochs:
            got = f"{len(numbers)} losses for {epochs} epochs"
        yield falls, f"expected a mean loss that falls, got {got}: follow the loss from the batch to the step"
        if self.labelled:
            first = y[:size]
            drawn = [labels.sort().values for _, labels in seen if labels is not None and labels.shape == first.shape]
            right = all(_torch.equal(labels, first.sort().values) for labels in drawn)
            for images, labels in taken:
                beside = _torch.cdist(images.float().flatten(1), x.flatten(1))
                its = y[beside.argmin(1)]  # in whatever order the loop takes the images
                right &= labels is None or labels.shape != its.shape or _torch.equal(labels, its)
            yield right, "the model does not get each image with its own label: follow y from the loader to the model"
        model = self.build("model")
        sizes: list[float] = []
        still = _SGD(model.parameters(), lr=0.0)
        still.register_step_post_hook(lambda *_: sizes.append(_size_of_gradients(model)))
        again = _TensorDataset(x[:size].repeat(8, 1, 1, 1), y[:size].repeat(8))
        train(model, _DataLoader(again, batch_size=size), still, 1)
        if len(sizes) == 8 and sizes[0] > 0:
            grown = f"after 8 steps on one batch, the gradient is {sizes[-1] / sizes[0]:.1f} times as large"
            yield (
                sizes[-1] < 3 * sizes[0],
                f"{grown}: what does backward() do with gradients that are already there?",
            )

    def sampling(self) -> _Iterator[_Line]:
        sample, n = self.named(f"sample_{self.part}"), 300
        model = self.build("model")
        model.encoder, model.decoder = self.build("encoder", moved=True), self.build("decoder", moved=True)
        encoded, decoded = _recorded(model.encoder), _recorded(model.decoder)
        labels = _torch.arange(n, device=self.device) % 10
        images = _given_back(sample(model, labels if self.labelled else n), sample.__name__)
        wanted = self.x[:1].expand(n, -1, -1, -1)
        yield _shaped(images, wanted, f"{n} new images")
        if _kind(images) != _kind(wanted):
            return
        yield _finite(images, "the images")
        yield _in_range(images)
        few = images[:50].flatten(1)
        twins = int((_torch.cdist(few, few).fill_diagonal_(1) < 1e-6).any(1).sum())
        yield not twins, f"{twins} of {len(few)} images have an identical twin: how many codes do you draw?"
        second = sample(model, labels if self.labelled else n)
        yield _apart(images.cpu(), second.cpu()), "two calls give the same images: what is random?"
        yield not encoded, "model.encoder is called, but a new image does not start from an existing one"
        codes = [z.reshape(-1, z.shape[-1]).cpu() for z, _ in decoded]
        count = sum(map(len, codes)) / 2
        yield count >= n, f"expected {n} codes for {n} images, but model.decoder was given {count:g}"
        if codes:
            mean, spread = float(_torch.cat(codes).mean()), float(_torch.cat(codes).std())
            right = abs(mean) < 0.15 and 0.75 < spread < 1.25
            got = f"got {mean:.2f} and {spread:.2f}: from which distribution should they be drawn?"
            yield right, f"expected codes with mean 0 and standard deviation 1, {got}"
        if self.labelled and count == n:
            asked = _torch.cat([given.reshape(-1).cpu() for _, given in decoded if given is not None])
            right = _torch.equal(asked.sort().values, labels.repeat(2).cpu().sort().values)
            yield right, "model.decoder does not get the requested labels: what does your code do with labels?"


def _size_of_gradients(model: _torch.nn.Module) -> float:
    return _math.sqrt(sum(float((w.grad**2).sum()) for w in model.parameters() if w.grad is not None))


def _recorded(module: _torch.nn.Module) -> list[tuple[_torch.Tensor, _torch.Tensor | None]]:
    """The inputs of the module from now on, and its labels where it gets any."""
    calls: list[tuple[_torch.Tensor, _torch.Tensor | None]] = []
    forward = module.forward

    def recording(*given: _Any, **named: _Any) -> _Any:
        values = [*given, *named.values(), None]
        calls.append((values[0], values[1]))
        return forward(*given, **named)

    module.forward = recording
    return calls
