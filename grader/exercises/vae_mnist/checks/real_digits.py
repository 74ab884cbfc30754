"""Real digits with which the quality checks compare; loaded once, and only outside the box.

Arrays that are computed from them are cached on disk.
"""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

import numpy as np
from safetensors.numpy import load, save

from grader.exercises.vae_mnist.classifier import classify
from grader.exercises.vae_mnist.copies import CopyBank, copy_bank
from grader.exercises.vae_mnist.data.mnist import Mnist, cache_root, find_mnist, load_mnist
from grader.exercises.vae_mnist.data.sources import DataError
from grader.records import Array
from grader.store.bounded import Unreadable, file_bytes
from grader.store.files import write_atomically
from grader.store.versions import SUFFIXES, files_checksum, versions

EXERCISE = Path(__file__).parents[1]
COMPARED = 5000  # real images in each comparison of distributions
MAX_BYTES = 200_000_000
_KEY = 16  # characters of a checksum, enough to distinguish two versions


@lru_cache(maxsize=1)
def mnist() -> Mnist:
    """The verified data set.

    Raises:
        DataError: if it has not been fetched yet.
    """
    root = find_mnist()
    if root is None:
        raise DataError("MNIST is not here; run `make setup`")
    return load_mnist(root)


@lru_cache(maxsize=1)
def mean_image() -> Array:
    """The mean training image, `(1, 28, 28)` in [0, 1]."""
    return np.asarray(mnist().train_images.mean(axis=0, dtype=np.float64) / 255, dtype=np.float32)[None]


@lru_cache(maxsize=1)
def digits() -> tuple[Array, Array]:
    """Test images `(N, 1, 28, 28)` in [0, 1] and their labels."""
    images = mnist().test_images[:COMPARED, None].astype(np.float32) / 255
    return images, mnist().test_labels[:COMPARED]


@lru_cache(maxsize=1)
def digit_features() -> Array:
    """The classifier's features of the test images, `(N, F)`."""

    def make() -> dict[str, Array]:
        return {"features": classify(digits()[0]).features}

    return derived("digit-features", _made_by("classifier"), make)["features"]


@lru_cache(maxsize=1)
def training_bank() -> CopyBank:
    """The training images, ready to be searched for copies."""

    def make() -> dict[str, Array]:
        bank = copy_bank(mnist().train_images)
        return {"coarse": bank.coarse, "basis": bank.basis}

    return CopyBank(mnist().train_images, **derived("training-bank", _made_by("copies.py"), make))


def _made_by(name: str) -> str:
    """A checksum of all that determines derived arrays: that file or folder of the exercise, data/, and versions."""
    source = EXERCISE / name
    files = [source, *source.rglob("*.*"), *(EXERCISE / "data").rglob("*.py")]
    code = files_checksum(EXERCISE, [path for path in files if path.suffix in SUFFIXES])
    text = f"{code} {COMPARED} {versions()} {platform.machine()}"
    return hashlib.sha256(text.encode()).hexdigest()


def derived(name: str, checksum: str, make: Callable[[], Mapping[str, Array]]) -> dict[str, Array]:
    """The arrays of `make`, cached on disk under `name` for as long as `checksum` stays the same.

    `checksum` covers all that determines the arrays, including code and versions. A file's name contains the SHA-256 of
    its content; a file that does not match is made again. If the cache cannot be written, nothing is stored.
    """
    folder = cache_root() / "derived" / name
    for path in folder.glob(f"{checksum[:_KEY]}-*.safetensors"):
        with suppress(Unreadable):
            content = file_bytes(path, MAX_BYTES)
            if path == _path(folder, checksum, content):
                return load(content)
    arrays = {key: array.copy() for key, array in make().items()}  # contiguous, as safetensors requires
    with suppress(OSError):
        _keep(folder, checksum, save(arrays))
    return arrays


def _keep(folder: Path, checksum: str, content: bytes) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    older = list(folder.glob("*.safetensors"))
    write_atomically(_path(folder, checksum, content), content)
    for path in older:
        path.unlink(missing_ok=True)


def _path(folder: Path, checksum: str, content: bytes) -> Path:
    return folder / f"{checksum[:_KEY]}-{hashlib.sha256(content).hexdigest()}.safetensors"
