"""Review reasons for data, optimizers and weights that running code changed before, during or after training.

Changes that are visible in the notebook's source are reported by other modules.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np

from grader.exercises.vae_mnist.checks import real_digits
from grader.exercises.vae_mnist.in_box.checksums import SUMS, sums
from grader.records import Address, Array, Evidence

NAMES = (
    *("the training images", "the training labels", "the test images", "the test labels"),
    *("the images that the loader serves", "the labels that the loader serves"),
)
LOADED = 4  # names of loaded data; the others are the first two, as the loader serves them
CLOSE = 1e-3  # relative, for the sums: allows single precision, and rows added in another order
MOVED = 1e-2  # relative, for the weights: allows half precision, but not another step


@lru_cache(maxsize=1)
def _expected() -> Array:
    """The checksums of the data that the provided cells load, in the order of `NAMES`: `(6, SUMS)`."""
    data = real_digits.mnist()
    train, test = (images.astype(np.float32) / 255 for images in (data.train_images, data.test_images))
    checksums = [sums(rows) for rows in (train, data.train_labels, test, data.test_labels)]
    return np.stack([*checksums, *checksums[:2]])


def integrity_reasons(evidence: Evidence, part: str) -> Iterator[str]:
    """Yields one sentence for each difference from the expected data, optimizers and weights."""
    title = part.upper()
    before, steps, after = (
        Address.of(kind, part, question)
        for kind, question in (("components", "footing"), ("trained", "steps"), ("trained", "footing"))
    )
    moments = ((before, "just before"), (steps, "while"), (after, "after"))
    sentences: dict[str, str] = {}
    for address, when in moments:
        for name in _other_data(evidence.answers.get(address.array("data"))):
            sentences.setdefault(name, f"{part}: {name} were not those of MNIST {when} the {title} was trained")
    yield from sentences.values()
    kinds = [(evidence.answers.get(address.array("genuine")), when) for address, when in moments]
    if other := next((when for genuine, when in kinds if genuine is not None and not genuine.all()), ""):
        yield f"{part}: an optimizer was no longer PyTorch's own {other} the {title} was trained"
    if _moved(
        *(evidence.answers.get(Address.of(kind, part, "weights").array("sums")) for kind in ("ended", "trained"))
    ):
        yield (
            f"{part}: the model's weights changed after its training cell had ended: the model was replaced or trained "
            "again elsewhere in the notebook"
        )


def _other_data(data: Array | None) -> Iterator[str]:
    """Yields the names of data that differ from what the provided cells load; missing data are not compared."""
    if data is None or data.size % (len(NAMES) * SUMS):
        return
    expected = _expected()
    for look in data.reshape(-1, len(NAMES), SUMS):
        same = [
            not actual_sums.any()
            or np.allclose(actual_sums, expected_sums, rtol=0, atol=CLOSE * np.abs(expected_sums).max())
            for actual_sums, expected_sums in zip(look, expected, strict=True)
        ]
        for row, name in enumerate(NAMES):
            served = row - LOADED  # the loader's data are reported only if the data that they come from are unchanged
            if not same[row] and not (served >= 0 and not same[served]):
                yield name


def _moved(before: Array | None, after: Array | None) -> bool:
    if before is None or after is None:
        return False
    if before.shape != after.shape:
        return True
    size = np.maximum(np.abs(before.reshape(-1, 2)[:, 1:]), 1e-6)
    return bool((np.abs(before - after).reshape(-1, 2) > MOVED * size).any())
