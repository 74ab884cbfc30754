"""The checks of the reparameterization, the loss, the training loop and the sampling code."""

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
        except Exception:  # encoder or decoder do not work yet; they are not what is asked here
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
        yield _finite(draw(mu, 0.5))
        yield _apart(z, draw(mu, 1.0), "codes of a second draw")
        near = float((draw(mu, 1e-10) - mu).abs().max())
        yield near < 0.01, "codes for a variance of almost zero", "all of them at mu", f"up to {near:.1g} away from it"
        for variance in (1.0, 4.0):
            noise = draw(mu, variance) - mu
            mean, spread = float(noise.mean()), float(noise.var())
            right = abs(mean) < 0.15 * variance and abs(spread / variance - 1) < 0.25
            wanted, got = f"mean near 0, variance near {variance:g}", f"mean {mean:.2f}, variance {spread:.2f}"
            yield right, f"z - mu where the variance is {variance:g}", wanted, got
        far = float((noise.abs() > 2 * noise.std()).float().mean())
        yield far > 0.02, "codes beyond two standard deviations", "about 1 in 20", f"{100 * far:.0f} in 100"
        rows, columns = noise[0] - noise[1], noise[:, 0] - noise[:, -1]
        own = float(rows.abs().max()) > 1e-3 and (self.latents == 1 or float(columns.abs().max()) > 1e-3)
        got = "each has its own" if own else "some share theirs"
        yield own, "noise of the images and of their numbers", "each has its own", got
        inputs = {"mu": mu.clone().requires_grad_(), "logvar": _torch.zeros_like(mu).requires_grad_()}
        yield from _flowing(model.reparameterize(inputs["mu"] * 1, inputs["logvar"] * 1), inputs, "z")

    def loss(self) -> _Iterator[_Line]:
        vae_loss, x, zero = self.named("vae_loss"), 0.2 + 0.6 * self.x, _torch.zeros_like(self.z)
        inputs = {"x_hat": x.flip(0).requires_grad_(), "mu": self.z.clone().requires_grad_()}
        inputs["logvar"] = _torch.randn_like(self.z).requires_grad_()
        value = _given_back(vae_loss(inputs["x_hat"] * 1, x, inputs["mu"] * 1, inputs["logvar"] * 1), "vae_loss")
        three = isinstance(value, tuple | list) and len(value) == 3 and _kind(value[0]) == "a number"
        yield three, "loss, reconstruction and kl", "three numbers", _kind(value)
        if not three:
            return
        loss, reconstruction, kl = (float(part) for part in value)
        sound = all(map(_math.isfinite, (loss, reconstruction, kl)))
        adds_up = sound and abs(loss - reconstruction - kl) < 1e-3 * max(abs(loss), 1e-3)
        yield adds_up, "loss", f"reconstruction + kl = {reconstruction + kl:.4g}", f"{loss:.4g}"
        yield from _flowing(value[0], inputs, "the loss")

        def terms(x_hat: _torch.Tensor, x: _torch.Tensor, mu: _torch.Tensor, logvar: _torch.Tensor) -> list[float]:
            return [float(part) for part in vae_loss(x_hat, x, mu, logvar)]

        best, *worse = (terms(x_hat, x, zero, zero)[1] for x_hat in (x, x + 0.1, x - 0.1, x.flip(0)))
        what = "reconstruction term where x_hat is x"
        yield best < min(worse), what, "smaller than elsewhere", f"{best:.4g}, elsewhere from {min(worse):.4g}"
        places = [(zero, zero), *((zero + s, zero) for s in (1, -1)), *((zero, zero + s) for s in (1, -1))]
        least, *more = (terms(x, x, mu, logvar)[2] for mu, logvar in places)
        what = "kl term where the posterior is the prior"
        yield (
            least < min(more) - 1e-6,
            what,
            "less than elsewhere, 0 in full",
            f"{least + 0.0:.4g}, elsewhere from {min(more):.4g}",
        )
        black = (self.x > 0.8).float()
        once = terms(_torch.full_like(x, 0.5), black, zero + 1, zero)
        twice = terms(*(_torch.cat([t, t]) for t in (_torch.full_like(x, 0.5), black, zero + 1, zero)))
        ratio = [b / a if a else _math.nan for a, b in zip(once[1:], twice[1:], strict=True)]
        got = f"times {ratio[0]:.2f} and times {ratio[1]:.2f}"
        yield abs(ratio[0] - ratio[1]) < 0.01, "both terms for twice the images", "treated alike", got
        wide = terms(x, x, _torch.cat([zero + 1] * 2, dim=1), _torch.cat([zero] * 2, dim=1))[2]
        narrow = terms(x, x, zero + 1, zero)[2]
        got = f"times {wide / narrow if narrow else _math.nan:.2f}"
        yield abs(wide - 2 * narrow) <= 0.01 * abs(narrow) + 1e-9, "kl term for codes twice as long", "times 2.00", got
        pixel, number = once[1] / x[0].numel(), once[2] / self.latents
        got = f"{pixel:.2g} a pixel, {number:.2g} a number of z"
        yield pixel > 0.05 * abs(number), "terms for grey images and mu = 1", "of a similar size", got

    def training(self) -> _Iterator[_Line]:
        train = self.named(f"train_{self.part}")
        x, y = (_torch.rand(32, 1, 28, 28, device=self.device) > 0.8).float(), self.y.repeat(4)
        batches, epochs = _DataLoader(_TensorDataset(x, y), batch_size=8), 5
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
            f"steps of the optimizer in {epochs} times {len(batches)} batches",
            str(steps),
            str(len(modes)),
        )
        moved = any(bool((a != b).any()) for a, b in zip(before, model.parameters(), strict=True))
        yield moved, "weights after training", "moved", "moved" if moved else "as they were"
        yield all(modes), "mode of the model at each step", "train", "train" if all(modes) else "eval"
        numbers = [float(value) for value in history]
        falls = len(numbers) == epochs and numbers[-1] < numbers[0]
        got = f"{numbers[0]:.4g} at first, {numbers[-1]:.4g} at last" if numbers else "none"
        yield falls, "mean of an epoch, first and last", "falling", got
        if self.labelled:
            drawn = [labels.sort().values for _, labels in seen if labels is not None and labels.shape == y[:8].shape]
            right = all(_torch.equal(labels, y[:8].sort().values) for labels in drawn)
            for images, labels in taken:
                beside = _torch.cdist(images.float().flatten(1), x.flatten(1))
                its = y[beside.argmin(1)]  # in whatever order the loop takes the images
                right &= labels is None or labels.shape != its.shape or _torch.equal(labels, its)
            got = "those of the batch" if right else "other ones"
            yield right, "labels that the decoder is given", "those of the batch", got
        model = self.build("model")
        sizes: list[float] = []
        still = _SGD(model.parameters(), lr=0.0)
        still.register_step_post_hook(lambda *_: sizes.append(_size_of_gradients(model)))
        again = _TensorDataset(x[:8].repeat(8, 1, 1, 1), y[:8].repeat(8))
        train(model, _DataLoader(again, batch_size=8), still, 1)
        if len(sizes) == 8 and sizes[0] > 0:
            got = f"{sizes[-1] / sizes[0]:.1f} times as large"
            yield (
                sizes[-1] < 3 * sizes[0],
                "gradient of one batch, met 8 times without moving",
                "about the same size",
                got,
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
        yield _finite(images)
        yield _in_range(images)
        few = images[:50].flatten(1)
        twins = int((_torch.cdist(few, few).fill_diagonal_(1) < 1e-6).any(1).sum())
        yield (
            not twins,
            "images of one call",
            "all different",
            f"{twins} of {len(few)} have a twin" if twins else "all different",
        )
        second = sample(model, labels if self.labelled else n)
        yield _apart(images.cpu(), second.cpu(), "images of a second call")
        yield not encoded, "calls of model.encoder", "0: a new image starts from no image", str(len(encoded))
        codes = [z.reshape(-1, z.shape[-1]).cpu() for z, _ in decoded]
        count = sum(map(len, codes)) / 2
        least = str(n) if count <= n else f"at least {n}"
        yield count >= n, f"codes given to model.decoder for {n} images", least, f"{count:g}"
        if codes:
            mean, spread = float(_torch.cat(codes).mean()), float(_torch.cat(codes).std())
            right = abs(mean) < 0.15 and 0.75 < spread < 1.25
            got = f"mean {mean:.2f}, standard deviation {spread:.2f}"
            yield right, "those codes", "mean near 0, standard deviation near 1, as in the prior", got
        if self.labelled and count == n:
            asked = _torch.cat([given.reshape(-1).cpu() for _, given in decoded if given is not None])
            right = _torch.equal(asked.sort().values, labels.repeat(2).cpu().sort().values)
            got = "those asked for" if right else "other ones"
            yield right, "labels given to model.decoder", "those asked for", got


def _size_of_gradients(model: _torch.nn.Module) -> float:
    return _math.sqrt(sum(float((w.grad**2).sum()) for w in model.parameters() if w.grad is not None))


def _recorded(module: _torch.nn.Module) -> list[tuple[_torch.Tensor, _torch.Tensor | None]]:
    """What the module is given from now on: its input and, where there are any, its labels."""
    calls: list[tuple[_torch.Tensor, _torch.Tensor | None]] = []
    forward = module.forward

    def recording(*given: _Any, **named: _Any) -> _Any:
        values = [*given, *named.values(), None]
        calls.append((values[0], values[1]))
        return forward(*given, **named)

    module.forward = recording
    return calls
