"""Trains the classifier again on MNIST, and measures it on its test set: `make classifier`.

Training images are augmented: shifted, rotated, scaled, blurred like a VAE's images, or drawn as Bernoulli pixels. The
test set is used once, after the last step, and selects neither epochs nor weights. The lines printed at the end are
copied into `pretrained.py` and MODEL_CARD.md by hand, so that publishing new weights is a deliberate decision.
"""

from __future__ import annotations

import argparse
import hashlib
import math
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from grader.exercises.vae_mnist.classifier.network import Network, as_onnx
from grader.exercises.vae_mnist.classifier.pretrained import PATH, WIDTHS
from grader.exercises.vae_mnist.data import ensure_mnist, load_mnist
from grader.records import Array


@dataclass(frozen=True, slots=True)
class Strength:
    """The strength of the augmentation; shares are of a batch."""

    shift_px: float
    degrees: float
    scale: float
    blur_share: float
    blur_px: float  # largest standard deviation
    draw_share: float  # images whose pixels are drawn as 0 or 1


def augmented(x: Tensor, strength: Strength, generator: torch.Generator) -> Tensor:
    """`x` `(N, 1, 28, 28)` in [0, 1] -> the same shape and range, each image changed at random."""
    count = len(x)

    def uniform(limit: float) -> Tensor:
        return (torch.rand(count, generator=generator) * 2 - 1) * limit

    angle = uniform(math.radians(strength.degrees))
    size = 1 + uniform(strength.scale)
    shift = [uniform(strength.shift_px / 14) for _ in range(2)]  # the grid's half width is 14 pixels
    rows = [
        torch.stack([size * angle.cos(), -size * angle.sin(), shift[0]], dim=1),
        torch.stack([size * angle.sin(), size * angle.cos(), shift[1]], dim=1),
    ]
    grid = functional.affine_grid(torch.stack(rows, dim=1), list(x.shape), align_corners=False)
    x = functional.grid_sample(x, grid, align_corners=False)
    blur_count = int(count * strength.blur_share)  # batches are shuffled, so the first images are random
    sigma = float(torch.rand(1, generator=generator)) * strength.blur_px + 0.3
    bernoulli_count = int(count * strength.draw_share)
    return torch.cat(
        [
            _blurred(x[:blur_count], sigma),
            torch.bernoulli(x[blur_count : blur_count + bernoulli_count].clamp(0, 1), generator=generator),
            x[blur_count + bernoulli_count :],
        ]
    )


def _blurred(x: Tensor, sigma: float) -> Tensor:
    offsets = torch.arange(-3, 4, dtype=x.dtype)
    kernel = torch.exp(-(offsets**2) / (2 * sigma**2))
    kernel = kernel / kernel.sum()
    x = functional.conv2d(x, kernel.view(1, 1, 1, 7), padding=(0, 3))
    return functional.conv2d(x, kernel.view(1, 1, 7, 1), padding=(3, 0))


SEED = 1
EPOCHS, BATCH = 11, 128
STRENGTH = Strength(shift_px=2.0, degrees=10, scale=0.1, blur_share=0.25, blur_px=0.9, draw_share=0.1)
LABEL_SMOOTHING = 0.05
PEAK_LEARNING_RATE, WEIGHT_DECAY = 0.15, 5e-4


def train(images: Tensor, labels: Tensor) -> Network:
    """The classifier's network, trained on `images` `(N, 1, 28, 28)` in [0, 1] and `labels` `(N,)`, in eval mode."""
    torch.manual_seed(SEED)
    generator = torch.Generator().manual_seed(SEED)
    network = Network(WIDTHS).train()
    steps = len(images) // BATCH * EPOCHS
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9, nesterov=True, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, PEAK_LEARNING_RATE, total_steps=steps, pct_start=0.2)
    for epoch in range(EPOCHS):
        start, total = time.monotonic(), 0.0
        order = torch.randperm(len(images), generator=generator)
        batches = [part for part in torch.split(order, BATCH) if len(part) == BATCH]
        for part in batches:
            x = augmented(images[part], STRENGTH, generator)
            loss = functional.cross_entropy(network(x), labels[part], label_smoothing=LABEL_SMOOTHING)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
            total += loss.item()
        seconds = time.monotonic() - start
        print(f"epoch {epoch + 1}/{EPOCHS}: loss {total / len(batches):.4f}, {seconds:.0f} s", flush=True)
    return network.eval()


def report(network: Network, images: Tensor, labels: Tensor) -> str:
    """One line: the accuracy on `images` `(N, 1, 28, 28)`, overall and of each class, in percent."""
    with torch.inference_mode():
        predicted = torch.cat([network(part).argmax(dim=1) for part in torch.split(images, 500)])
    right = (predicted == labels).double()
    classes = " ".join(f"{digit}:{100 * right[labels == digit].mean():.2f}" for digit in range(10))
    return f"{100 * right.mean():.2f} % ({classes})"


def _tensor(images: Array) -> Tensor:
    return torch.from_numpy(np.asarray(images, dtype=np.float32)[:, None] / 255)


def main() -> None:
    """Writes the trained weights, and prints their accuracy and checksum."""
    parser = argparse.ArgumentParser(prog="python -m grader.exercises.vae_mnist.classifier.train")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=PATH.parent)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.use_deterministic_algorithms(True)
    data = load_mnist(ensure_mnist(print))
    network = train(_tensor(data.train_images), torch.tensor(data.train_labels))
    arguments.out.mkdir(parents=True, exist_ok=True)
    path = arguments.out / PATH.name
    path.write_bytes(as_onnx(network))
    print(f"test accuracy {report(network, _tensor(data.test_images), torch.tensor(data.test_labels))}")
    print(f"{path.stat().st_size} bytes, SHA-256 {hashlib.sha256(path.read_bytes()).hexdigest()}")


if __name__ == "__main__":
    main()
