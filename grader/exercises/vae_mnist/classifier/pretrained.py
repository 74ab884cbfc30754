"""Predictions of a pretrained network for images: labels and features, never a verdict.

The network is an ONNX file, read only if its checksum is the published one, and run on the CPU. Without PyTorch the
classifier starts two seconds sooner and takes half a gigabyte less, and the GPU is left to the box.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from grader.errors import GraderError

if TYPE_CHECKING:  # slow to import, and not needed if nothing is classified
    from onnxruntime import InferenceSession

# The published weights: file, layer widths and checksum, which the training command prints.
PATH = Path(__file__).parent / "weights" / "classifier.onnx"
WIDTHS = (24, 48, 96)  # the channels of the network at 28, 14 and 7 pixels
SHA256 = "32acc61af84b1af4de5aad67ada08a514be5943f21735dadd36a04dce5a27a95"
BATCH = 200  # images; a layer's outputs for one batch fit into the processor's cache


class ClassifierError(GraderError):
    """The pretrained classifier's weights are missing or not the published ones."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """The network's predictions for N images."""

    labels: NDArray[np.int64]  # (N,), the likeliest class
    features: NDArray[np.float32]  # (N, F), the last hidden layer


def classify(images: NDArray[np.float32]) -> Prediction:
    """Predictions for `images` `(N, 1, 28, 28)` float32 in [0, 1]; N may be 0.

    The same images in the same order give the same numbers on the same machine, with or without a GPU.

    Raises: ValueError if the shape, dtype or range is wrong or a value is not finite; ClassifierError if the weights
    are missing or not the published ones.
    """
    _check(images)
    network = _network()
    labels = np.empty(len(images), dtype=np.int64)
    features = np.empty((len(images), WIDTHS[-1]), dtype=np.float32)
    for start in range(0, len(images), BATCH):
        part = slice(start, start + BATCH)
        features[part], probabilities = network.run(None, {"x": np.ascontiguousarray(images[part])})
        labels[part] = probabilities.argmax(axis=1)
    return Prediction(labels, features)


@lru_cache(maxsize=1)
def _network() -> InferenceSession:
    import onnxruntime

    if not PATH.is_file():
        raise ClassifierError(f"{PATH}: the classifier's weights are missing; reinstall, or run make classifier")
    content = PATH.read_bytes()
    checksum = hashlib.sha256(content).hexdigest()
    if checksum != SHA256:
        raise ClassifierError(f"{PATH}: expected SHA-256 {SHA256[:12]}..., got {checksum[:12]}...; restore the file")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1  # other work runs in parallel
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's own errors have no common class
        raise ClassifierError(f"{PATH}: not a network that can be run: {str(error)[:120]}") from None


def _check(images: NDArray[np.float32]) -> None:
    if images.ndim != 4 or images.shape[1:] != (1, 28, 28):
        raise ValueError(f"images: expected shape (N, 1, 28, 28), got {images.shape}")
    if images.dtype != np.float32:
        raise ValueError(f"images: expected float32, got {images.dtype}")
    if not np.isfinite(images).all():
        raise ValueError("images: expected finite values, got NaN or infinity")
    if images.size and (images.min() < 0 or images.max() > 1):
        raise ValueError(f"images: expected values in [0, 1], got {images.min():.3g} to {images.max():.3g}")
