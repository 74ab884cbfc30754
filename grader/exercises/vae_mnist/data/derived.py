"""Arrays that follow from MNIST and never change, computed once and kept in the cache."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from safetensors.numpy import load, save

from grader.exercises.vae_mnist.data.mnist import cache_root
from grader.records import Array
from grader.store.bounded import Unreadable, file_bytes
from grader.store.files import write_atomically

MAX_BYTES = 200_000_000
_KEY = 16  # characters of a checksum that are enough to tell two makers apart


def derived(name: str, made_by: str, make: Callable[[], Mapping[str, Array]]) -> dict[str, Array]:
    """What `make` gives, by name; kept for as long as `made_by` stays the same.

    `made_by` is a checksum of all that decides the arrays, code and versions included. A file's name says the SHA-256
    of its content, and one that differs is made anew; where nothing can be written, nothing is kept.
    """
    folder = cache_root() / "derived" / name
    for path in folder.glob(f"{made_by[:_KEY]}-*.safetensors"):
        with suppress(Unreadable):
            content = file_bytes(path, MAX_BYTES)
            if path == _path(folder, made_by, content):
                return load(content)
    made = {key: array.copy() for key, array in make().items()}  # contiguous, as the file wants them
    with suppress(OSError):
        _keep(folder, made_by, save(made))
    return made


def _keep(folder: Path, made_by: str, content: bytes) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    older = list(folder.glob("*.safetensors"))
    write_atomically(_path(folder, made_by, content), content)
    for path in older:
        path.unlink(missing_ok=True)


def _path(folder: Path, made_by: str, content: bytes) -> Path:
    return folder / f"{made_by[:_KEY]}-{hashlib.sha256(content).hexdigest()}.safetensors"
