"""What digits a pretrained network sees on pictures: labels and features, never a verdict.

The network is an ONNX file, read only when its checksum is the published one, and run on the processor: a judge
that needs no PyTorch starts two seconds sooner in half a gigabyte less, and leaves the GPU to the box.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from grader.errors import ClassifierError
from grader.exercises.vae_mnist.classifier import published

if TYPE_CHECKING:  # takes a moment to load, and is not needed where nothing is looked at
    from onnxruntime import InferenceSession

BATCH = 200  # what a layer gives for so many pictures stays in a processor's cache


@dataclass(frozen=True, slots=True)
class Prediction:
    """What the network says of N pictures."""

    labels: NDArray[np.int64]  # (N,), the likeliest class
    features: NDArray[np.float32]  # (N, F), the last hidden layer


def classify(images: NDArray[np.float32]) -> Prediction:
    """The network has looked at `images` `(N, 1, 28, 28)` float32 in [0, 1]; N may be 0.

    The same pictures in the same order give the same numbers on the same machine, with and without a GPU.

    Raises: ValueError where the shape, dtype or range is another or a value is not finite; ClassifierError
    where the weights are missing or not the published ones.
    """
    _check(images)
    network = _network()
    labels = np.empty(len(images), dtype=np.int64)
    features = np.empty((len(images), published.WIDTHS[-1]), dtype=np.float32)
    for start in range(0, len(images), BATCH):
        part = slice(start, start + BATCH)
        features[part], probabilities = network.run(None, {"x": np.ascontiguousarray(images[part])})
        labels[part] = probabilities.argmax(axis=1)
    return Prediction(labels, features)


@lru_cache(maxsize=1)
def _network() -> InferenceSession:
    import onnxruntime

    path = published.PATH
    if not path.is_file():
        raise ClassifierError(f"{path}: the classifier's weights are missing; reinstall, or run make classifier")
    content = path.read_bytes()
    checksum = hashlib.sha256(content).hexdigest()
    if checksum != published.SHA256:
        raise ClassifierError(
            f"{path}: expected SHA-256 {published.SHA256[:12]}..., got {checksum[:12]}...; restore the file"
        )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1  # other work goes on beside it
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's own errors have no common class
        raise ClassifierError(f"{path}: not a network that can be run: {str(error)[:120]}") from None


def _check(images: NDArray[np.float32]) -> None:
    if images.ndim != 4 or images.shape[1:] != (1, 28, 28):
        raise ValueError(f"images: expected shape (N, 1, 28, 28), got {images.shape}")
    if images.dtype != np.float32:
        raise ValueError(f"images: expected float32, got {images.dtype}")
    if not np.isfinite(images).all():
        raise ValueError("images: expected finite values, got NaN or infinity")
    if images.size and (images.min() < 0 or images.max() > 1):
        raise ValueError(f"images: expected values in [0, 1], got {images.min():.3g} to {images.max():.3g}")
