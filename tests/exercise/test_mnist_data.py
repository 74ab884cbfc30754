"""MNIST is found, fetched, verified and kept, or one line says why not."""

from __future__ import annotations

import gzip
import pickle
import shutil
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from torchvision.datasets import MNIST

from grader.exercises.vae_mnist.data import cache_root, ensure_mnist, find_mnist, load_mnist, sources
from grader.exercises.vae_mnist.data.sources import DataError


@pytest.fixture(scope="module")
def real_raw() -> Path:
    return ensure_mnist(print) / "MNIST" / "raw"


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VAE_GRADER_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("MNIST_ROOT", raising=False)
    return tmp_path / "cache"


def copy_from(folder: Path) -> Callable[[Path], None]:
    def source(target: Path) -> None:
        for name in sources.SIZES:
            shutil.copyfile(folder / name, target / name)

    return source


def fail(target: Path) -> None:
    raise DataError("no network")


def test_arrays_have_the_published_shapes(real_raw: Path) -> None:
    data = load_mnist(real_raw.parent.parent)
    assert data.train_images.shape == (60_000, 28, 28)
    assert data.test_images.shape == (10_000, 28, 28)
    assert data.train_labels[:5].tolist() == [5, 0, 4, 1, 9]
    assert data.test_labels[:5].tolist() == [7, 2, 1, 0, 4]
    assert not data.train_images.flags.writeable
    assert not data.train_labels.flags.writeable


def test_torchvision_takes_the_folder_without_a_network(real_raw: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "socket", None)
    assert len(MNIST(str(real_raw.parent.parent), download=True)) == 60_000


@pytest.mark.parametrize("level", [0, 1, 2])
def test_mnist_root_may_name_any_level(
    level: int, real_raw: Path, empty_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = [real_raw.parent.parent, real_raw.parent, real_raw][level]
    monkeypatch.setenv("MNIST_ROOT", str(named))
    assert find_mnist() == real_raw.parent.parent
    assert not empty_cache.exists()


def test_packed_files_are_unpacked_into_the_cache(
    real_raw: Path, empty_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in sources.SIZES:
        content = gzip.compress((real_raw / name).read_bytes(), compresslevel=1)
        (tmp_path / f"{name}.gz").write_bytes(content)
    monkeypatch.setenv("MNIST_ROOT", str(tmp_path))
    assert find_mnist() == empty_cache
    assert sources.problem_with(empty_cache / "MNIST" / "raw") is None


def test_a_wrong_mnist_root_is_refused(empty_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MNIST_ROOT", str(tmp_path))
    with pytest.raises(DataError, match=r"\AMNIST_ROOT=[^\n]+unset it\Z"):
        ensure_mnist(print)
    (tmp_path / sources.TRAIN_LABELS).write_bytes(b"short")
    with pytest.raises(DataError, match=r"\AMNIST_ROOT=[^\n]+missing[^\n]+\Z"):
        ensure_mnist(print)


def test_the_next_source_is_asked_and_a_damaged_cache_replaced(
    real_raw: Path, empty_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (empty_cache / "MNIST" / "raw").mkdir(parents=True)
    damaged = empty_cache / "MNIST" / "raw" / sources.TEST_LABELS
    damaged.write_bytes(bytes(sources.SIZES[sources.TEST_LABELS]))
    monkeypatch.setattr(sources, "SOURCES", (("first", fail), ("second", copy_from(real_raw))))
    lines: list[str] = []
    assert ensure_mnist(lines.append) == empty_cache == cache_root()
    assert sources.problem_with(damaged.parent) is None
    assert [path.name for path in empty_cache.iterdir()] == ["MNIST"]
    assert any("first: no network" in line for line in lines)


def test_a_source_of_other_digits_is_refused(
    real_raw: Path, empty_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forged(target: Path) -> None:
        copy_from(real_raw)(target)
        (target / sources.TEST_LABELS).write_bytes(bytes(sources.SIZES[sources.TEST_LABELS]))

    monkeypatch.setattr(sources, "SOURCES", (("forger", forged),))
    with pytest.raises(DataError, match=r"\A[^\n]*forger[^\n]*SHA-256[^\n]*set MNIST_ROOT to it\Z"):
        ensure_mnist(print)
    assert find_mnist() is None


def test_two_at_once_leave_one_good_folder(real_raw: Path, empty_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "SOURCES", (("copy", copy_from(real_raw)),))
    with ThreadPoolExecutor(3) as pool:
        roots = list(pool.map(lambda _: ensure_mnist(print), range(3)))
    assert roots == [empty_cache] * 3
    assert [path.name for path in empty_cache.iterdir()] == ["MNIST"]


def test_a_pickle_is_read_and_never_run(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return Path.mkdir, (str(tmp_path / "ran"),)

    with pytest.raises(DataError, match="expected six arrays"):
        sources.rebuild_from_pickle_bytes(pickle.dumps(Trap(), protocol=2), tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_missing_file_is_named_at_loading(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte: expected 47040016 bytes, got no file"):
        load_mnist(tmp_path)
