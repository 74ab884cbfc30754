"""What digits a pretrained network sees on pictures: class probabilities and features, never a verdict.

Weights are read as safetensors and only when their checksum is the published one.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError

from grader.classifier.published import FOLDER, PUBLISHED
from grader.errors import ClassifierError

if TYPE_CHECKING:  # torch takes seconds to load, and is not needed where nothing is looked at
    from grader.classifier.network import Network

BATCH = 200  # what a layer gives for so many pictures stays in a processor's cache


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the network says of N pictures."""

    probabilities: NDArray[np.float32]  # (N, 10), rows sum to 1
    labels: NDArray[np.int64]  # (N,), the likeliest class
    features: NDArray[np.float32]  # (N, F), the last hidden layer


def judge(images: NDArray[np.float32], *, device: str = "cpu", name: str = "judge") -> Judgement:
    """The network `name` has looked at `images` `(N, 1, 28, 28)` float32 in [0, 1]; N may be 0.

    The same pictures in the same order give the same numbers on the same machine. `device` is a torch device
    or "auto", which takes CUDA where there is one.

    Raises: ValueError where the shape, dtype or range is another or a value is not finite; ClassifierError
    where the weights are missing or not the published ones.
    """
    import torch

    _check(images)
    place = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
    network = _network(name, place)
    width = network.head.in_features
    probabilities = np.empty((len(images), 10), dtype=np.float32)
    features = np.empty((len(images), width), dtype=np.float32)
    with torch.inference_mode():
        for start in range(0, len(images), BATCH):
            stop = min(start + BATCH, len(images))
            x = torch.from_numpy(np.array(images[start:stop])).to(place)  # a copy: the array may be read-only
            hidden = network.features(x)
            features[start:stop] = hidden.cpu().numpy()
            probabilities[start:stop] = network.head(hidden).softmax(dim=1).cpu().numpy()
    return Judgement(probabilities, probabilities.argmax(axis=1).astype(np.int64), features)


@lru_cache(maxsize=8)
def _network(name: str, device: str) -> Network:
    from safetensors.torch import load

    from grader.classifier.network import Network

    if name not in PUBLISHED:
        raise ClassifierError(f"classifier: network {name!r}: expected one of {', '.join(PUBLISHED)}")
    published = PUBLISHED[name]
    path = FOLDER / published.file
    if not path.is_file():
        raise ClassifierError(f"{path}: the classifier's weights are missing; reinstall, or run make classifier")
    content = path.read_bytes()
    got = hashlib.sha256(content).hexdigest()
    if got != published.sha256:
        raise ClassifierError(
            f"{path}: expected SHA-256 {published.sha256[:12]}..., got {got[:12]}...; restore the file"
        )
    network = Network(published.widths)
    try:
        network.load_state_dict(load(content))
    except (SafetensorError, RuntimeError) as error:
        raise ClassifierError(f"{path}: not the weights of this network: {str(error)[:120]}") from None
    return network.eval().requires_grad_(False).fused().to(device)


def _check(images: NDArray[np.float32]) -> None:
    if images.ndim != 4 or images.shape[1:] != (1, 28, 28):
        raise ValueError(f"images: expected shape (N, 1, 28, 28), got {images.shape}")
    if images.dtype != np.float32:
        raise ValueError(f"images: expected float32, got {images.dtype}")
    if not np.isfinite(images).all():
        raise ValueError("images: expected finite values, got NaN or infinity")
    if images.size and (images.min() < 0 or images.max() > 1):
        raise ValueError(f"images: expected values in [0, 1], got {images.min():.3g} to {images.max():.3g}")
