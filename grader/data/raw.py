"""The four raw IDX files of MNIST: their names, checksums and how they are told from damaged ones.

Reads and compares only; fetching is `sources.py`, the public entry is `mnist.py`.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

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


def problem_with(raw: Path) -> str | None:
    """What is wrong with the four files in `raw` in a few words, or None where all are the published ones.

    Raises: OSError where a file is there and cannot be read.
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
