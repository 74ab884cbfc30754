"""The classifier recognises digits, even blurred ones, is deterministic, and refuses unknown weights and pictures."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from grader.exercises.vae_mnist.classifier import classify
from grader.exercises.vae_mnist.classifier.network import Network, as_onnx
from grader.exercises.vae_mnist.classifier.pretrained import ClassifierError
from grader.exercises.vae_mnist.classifier.train import Strength, augmented
from grader.exercises.vae_mnist.data import ensure_mnist, load_mnist

ROOT = Path(__file__).parents[2]
Images = NDArray[np.float32]
pretrained = import_module("grader.exercises.vae_mnist.classifier.pretrained")  # the package's own name


@pytest.fixture(scope="module")
def digits() -> tuple[Images, NDArray[np.int64]]:
    data = load_mnist(ensure_mnist(print))
    return (data.test_images[:, None] / 255).astype(np.float32), data.test_labels


def test_digits_are_recognised(digits: tuple[Images, NDArray[np.int64]]) -> None:
    images, labels = digits[0][:1500], digits[1][:1500]
    prediction = classify(images)
    assert (prediction.labels == labels).mean() > 0.99
    assert prediction.labels.dtype == np.int64
    assert prediction.features.shape == (1500, pretrained.WIDTHS[-1])


@pytest.mark.long
def test_the_whole_test_set_reaches_the_promised_accuracy(digits: tuple[Images, NDArray[np.int64]]) -> None:
    assert (classify(digits[0]).labels == digits[1]).mean() >= 0.995


def test_blurred_and_faint_digits_are_recognised(digits: tuple[Images, NDArray[np.int64]]) -> None:
    images = gaussian_filter(digits[0][:1000], (0, 0, 1, 1)) * np.float32(0.8)
    assert (classify(images).labels == digits[1][:1000]).mean() > 0.98


def test_the_same_pictures_give_the_same_numbers(digits: tuple[Images, NDArray[np.int64]]) -> None:
    first, second = classify(digits[0][:700]), classify(digits[0][:700])
    assert np.array_equal(first.features, second.features)
    np.testing.assert_allclose(classify(digits[0][600:700]).features, first.features[600:], atol=1e-4)


def test_no_pictures_give_no_labels() -> None:
    prediction = classify(np.empty((0, 1, 28, 28), dtype=np.float32))
    assert prediction.labels.shape == (0,)
    assert prediction.features.shape == (0, pretrained.WIDTHS[-1])


@pytest.mark.parametrize(
    ("images", "word"),
    [
        (np.full((1, 1, 28, 28), np.nan, dtype=np.float32), "finite"),
        (np.full((1, 1, 28, 28), 1.5, dtype=np.float32), "1.5"),
        (np.zeros((1, 1, 28, 28)), "float32"),
        (np.zeros((1, 28, 28), dtype=np.float32), "shape"),
    ],
)
def test_other_pictures_are_refused(images: Images, word: str) -> None:
    with pytest.raises(ValueError, match=word):
        classify(images)


def test_missing_and_changed_weights_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    empty = np.empty((0, 1, 28, 28), dtype=np.float32)
    content = bytearray(pretrained.PATH.read_bytes())
    path = tmp_path / "classifier.onnx"
    monkeypatch.setattr(pretrained, "PATH", path)
    pretrained._network.cache_clear()
    with pytest.raises(ClassifierError, match="missing"):
        classify(empty)
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(ClassifierError, match="SHA-256"):
        classify(empty)
    path.write_bytes(b"no network")
    monkeypatch.setattr(pretrained, "SHA256", hashlib.sha256(b"no network").hexdigest())
    with pytest.raises(ClassifierError, match="not a network"):
        classify(empty)
    pretrained._network.cache_clear()


def test_an_exported_network_says_what_the_trained_one_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    widths = (4, 6, 8)
    network = Network(widths)
    x = torch.rand(300, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    network.train()(x)  # running means that are no longer those of the start
    network.eval()
    content = as_onnx(network)
    (tmp_path / "small.onnx").write_bytes(content)
    monkeypatch.setattr(pretrained, "PATH", tmp_path / "small.onnx")
    monkeypatch.setattr(pretrained, "WIDTHS", widths)
    monkeypatch.setattr(pretrained, "SHA256", hashlib.sha256(content).hexdigest())
    pretrained._network.cache_clear()
    outputs = dict(zip(("features", "probabilities"), pretrained._network().run(None, {"x": x.numpy()}), strict=True))
    prediction = classify(x.numpy())
    pretrained._network.cache_clear()
    with torch.inference_mode():
        features, logits = network.features(x), network(x)
    np.testing.assert_allclose(prediction.features, features.numpy(), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(outputs["probabilities"], logits.softmax(dim=1).numpy(), rtol=1e-4, atol=1e-6)
    assert (prediction.labels == outputs["probabilities"].argmax(axis=1)).all()
    assert network.training is False
    assert isinstance(network.convolutions[0][1], torch.nn.BatchNorm2d), "exporting leaves the network as it was"
    assert as_onnx(network) == content


def test_classifying_needs_no_pytorch() -> None:
    code = (
        "import sys; import numpy as np; from grader.exercises.vae_mnist.classifier import classify; "
        "classify(np.zeros((3, 1, 28, 28), np.float32)); print('torch' in sys.modules)"
    )
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert process.stdout.split() == ["False"]


def test_the_network_stays_below_a_megabyte_and_carries_a_card() -> None:
    assert pretrained.PATH.stat().st_size < 1_000_000
    assert pretrained.SHA256 in (pretrained.PATH.parent / "MODEL_CARD.md").read_text(encoding="utf-8")


def test_augmented_pictures_keep_shape_and_range() -> None:
    x = torch.rand(16, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    strength = Strength(2.0, 15, 0.1, 0.5, 1.0, 0.25)
    y = augmented(x, strength, torch.Generator().manual_seed(1))
    assert y.shape == x.shape
    assert y.min() >= 0
    assert y.max() <= 1 + 1e-6
    assert torch.equal(y, augmented(x, strength, torch.Generator().manual_seed(1)))
