"""Data derived from MNIST are computed once; a stored file is used only if it is intact and from the same code."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from grader.exercises.vae_mnist.checks import real_digits as module
from grader.exercises.vae_mnist.checks.real_digits import derived
from grader.records import Array

MADE_BY, OTHER = "a" * 64, "b" * 64
ARRAYS = {"coarse": np.arange(6, dtype=np.float32).reshape(2, 3).T, "labels": np.array([3, 4])}


class Maker:
    """Counts how often it makes the arrays."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> dict[str, Array]:
        self.times += 1
        return ARRAYS


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VAE_GRADER_CACHE", str(tmp_path))
    return tmp_path / "derived" / "some"


def same(result: dict[str, Array]) -> bool:
    return set(result) == set(ARRAYS) and all(
        result[name].dtype == array.dtype and (result[name] == array).all() for name, array in ARRAYS.items()
    )


def test_a_derived_file_is_made_once_per_maker(cache: Path) -> None:
    make = Maker()
    assert all(same(derived("some", MADE_BY, make)) for _ in range(3))
    assert make.times == 1
    assert same(derived("some", OTHER, make))
    assert same(derived("other", OTHER, make))
    assert make.times == 3
    assert len(list(cache.iterdir())) == 1  # what an older grader left is gone


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(path.read_bytes()[:-1]),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(path.read_bytes().replace(b"labels", b"lapels")),
        lambda path: (path.rename(path.with_name("x")), path.symlink_to("x")),
        lambda path: (path.unlink(), path.mkdir()),
    ],
    ids=["cut", "empty", "changed", "a link", "a folder"],
)
def test_a_damaged_file_is_made_again(damage: Callable[[Path], object], cache: Path) -> None:
    make = Maker()
    derived("some", MADE_BY, make)
    damage(next(cache.iterdir()))
    assert same(derived("some", MADE_BY, make))
    assert make.times == 2


def test_where_nothing_can_be_kept_it_is_made_each_time(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, data: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "write_atomically", full)
    make = Maker()
    assert same(derived("some", MADE_BY, make))
    assert same(derived("some", MADE_BY, make))
    assert make.times == 2
