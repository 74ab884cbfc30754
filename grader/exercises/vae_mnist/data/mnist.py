"""Finds, fetches and verifies MNIST; the only module that knows where the data set is.

Every file is compared with its published SHA-256 before it is used. Files are written to a temporary folder, which is
then renamed: two processes may do this at once, and a killed process leaves no incomplete data set.
"""

from __future__ import annotations

import gzip
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from grader.exercise import Say
from grader.exercises.vae_mnist.data import sources
from grader.exercises.vae_mnist.data.sources import DataError
from grader.records import Array


@dataclass(frozen=True, slots=True)
class Mnist:
    """The data set: images `(N, 28, 28)` uint8 in 0..255, labels `(N,)` int64 in 0..9, both read-only."""

    train_images: Array
    train_labels: Array
    test_images: Array
    test_labels: Array


def cache_root() -> Path:
    """The folder the grader keeps downloaded files in: `VAE_GRADER_CACHE`, or a folder of the user's cache.

    Raises: RuntimeError if the user has no home folder.
    """
    named = os.environ.get("VAE_GRADER_CACHE")
    return Path(named).expanduser().absolute() if named else Path.home() / ".cache" / "vae-autograder"


def find_mnist() -> Path | None:
    """The verified folder ROOT with `ROOT/MNIST/raw/`, from `MNIST_ROOT` or the cache, or None; no network.

    Raises: DataError if `MNIST_ROOT` is set and contains no MNIST.
    """
    folder = os.environ.get("MNIST_ROOT")
    if folder:
        return _root_from(Path(folder).expanduser().absolute())
    root = cache_root()
    return root if sources.problem_with(raw_folder(root)) is None else None


def ensure_mnist(say: Say) -> Path:
    """The folder ROOT with the four verified raw files in `ROOT/MNIST/raw/`, torchvision's layout; fetched if missing.

    Tries `MNIST_ROOT`, then the cache, then each source in turn. `say` receives one line for each step.

    Raises: DataError, one line, if no source had the files or `MNIST_ROOT` is set and wrong.
    """
    root = find_mnist()
    if root is not None:
        say(f"MNIST: found in {root}")
        return root
    failures: list[str] = []
    for name, source in sources.SOURCES:
        say(f"MNIST: trying {name} ...")
        try:
            root = _install(source)
        except Exception as error:  # a source may fail in any way; the next one is tried
            reason = " ".join(str(error).split())[:160] or type(error).__name__
            failures.append(f"{name} ({reason})")
            say(f"MNIST: {name}: {reason}")
            continue
        say(f"MNIST: four files verified, kept in {root}")
        return root
    raise DataError(
        f"MNIST: expected the four raw files, found in none of: {cache_root()}; {'; '.join(failures)}; "
        f"put {', '.join(sources.SIZES)} (or .gz) into a folder and set MNIST_ROOT to it"
    )


def load_mnist(root: Path) -> Mnist:
    """The data set in `root`, its images memory-mapped.

    Raises: DataError if a file is missing or has the wrong size; checksums are left to `ensure_mnist`.
    """
    folder = raw_folder(root)
    return Mnist(
        train_images=_images(folder / sources.TRAIN_IMAGES),
        train_labels=_labels(folder / sources.TRAIN_LABELS),
        test_images=_images(folder / sources.TEST_IMAGES),
        test_labels=_labels(folder / sources.TEST_LABELS),
    )


def raw_folder(root: Path) -> Path:
    """Where `root` holds the four files."""
    return root / "MNIST" / "raw"


def _root_from(named: Path) -> Path:
    """ROOT for a folder that is ROOT, ROOT/MNIST or ROOT/MNIST/raw, or that contains the files or their .gz."""
    for folder in (named / "MNIST" / "raw", named / "raw", named):
        if not any((folder / f"{name}{end}").is_file() for name in sources.SIZES for end in ("", ".gz")):
            continue
        problem = sources.problem_with(folder)
        if problem is None and folder.parts[-2:] == ("MNIST", "raw"):
            return folder.parent.parent
        try:  # compressed, or in another layout: a verified copy goes into the cache
            return _install(lambda raw, folder=folder: _copy(folder, raw))  # type: ignore[misc]
        except (DataError, OSError, EOFError) as error:
            raise DataError(f"MNIST_ROOT={named}: {error}; give the four raw files or unset it") from None
    raise DataError(
        f"MNIST_ROOT={named}: expected MNIST/raw/{sources.TRAIN_IMAGES}, found none; correct it or unset it"
    )


def _copy(folder: Path, raw: Path) -> None:
    for name, size in sources.SIZES.items():
        if (folder / name).is_file():
            shutil.copyfile(folder / name, raw / name)
        elif (folder / f"{name}.gz").is_file():
            with gzip.open(folder / f"{name}.gz") as file:
                (raw / name).write_bytes(file.read(size + 1))


def _install(source: Callable[[Path], None]) -> Path:
    """Moves the verified files of `source` into the cache, unless another process did so meanwhile; returns ROOT."""
    root = cache_root()
    root.mkdir(parents=True, exist_ok=True)
    final = root / "MNIST"
    with tempfile.TemporaryDirectory(prefix=".mnist-", dir=root) as aside:
        raw = Path(aside) / "raw"
        raw.mkdir()
        source(raw)
        problem = sources.problem_with(raw)
        if problem is not None:
            raise DataError(problem)
        if final.exists() and sources.problem_with(final / "raw") is not None:
            final.replace(Path(aside) / "damaged")  # deleted with the temporary folder
        (Path(aside) / "MNIST").mkdir()
        raw.rename(Path(aside) / "MNIST" / "raw")
        try:
            (Path(aside) / "MNIST").rename(final)
        except OSError:
            if sources.problem_with(final / "raw") is not None:  # no other process was faster
                raise
    return root


def _images(path: Path) -> Array:
    _check_size(path)
    shape = (sources.COUNTS[path.name], 28, 28)
    return np.memmap(path, dtype=np.uint8, mode="r", offset=sources.IMAGE_OFFSET, shape=shape)


def _labels(path: Path) -> Array:
    _check_size(path)
    labels = np.frombuffer(path.read_bytes(), dtype=np.uint8, offset=sources.LABEL_OFFSET).astype(np.int64)
    labels.flags.writeable = False
    return labels


def _check_size(path: Path) -> None:
    expected = sources.SIZES[path.name]
    size = path.stat().st_size if path.is_file() else "no file"
    if size != expected:
        raise DataError(f"{path}: expected {expected} bytes, got {size}; run python -m grader.exercises.vae_mnist.data")
