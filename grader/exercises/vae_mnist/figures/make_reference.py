"""Makes `reference.json` from stored runs of the reference notebook: the values that pictures compare with.

    .venv/bin/python -m grader.exercises.vae_mnist.figures.make_reference runs/vae_mnist/evidence.safetensors ...

Several runs, with different seeds of the questions, give more stable values than one.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from grader.evidence import load_evidence
from grader.exercises.vae_mnist.checks import image_measures, real_digits
from grader.exercises.vae_mnist.checks.answers import answer
from grader.exercises.vae_mnist.figures.drawing import FILE, NAMES
from grader.exercises.vae_mnist.figures.reconstructions import errors_of, worst_rows
from grader.exercises.vae_mnist.figures.samples import EXAMINED
from grader.exercises.vae_mnist.metrics import explained_variance
from grader.records import Address, Evidence, Stage
from grader.store.json_files import dump_json


def levels(runs: Sequence[Evidence], part: str) -> dict[str, object]:
    """The fields of a part's `Reference`: means over the runs, and the smallest ratio of all samples.

    Raises:
        NotAnswered: if a run did not get as far as its images.
    """
    losses, explained, worst, nearest, agreements = [], [], [], [], []
    for evidence in runs:
        losses.append(answer(evidence, Address.of("trained", part, "history"), "history")[0].reshape(-1))
        x, x_hat = image_measures.reconstructions(evidence, part)
        explained.append(explained_variance(x, x_hat, real_digits.mean_image()))
        errors = errors_of(x, x_hat)
        rows = worst_rows(errors, evidence.questions[Stage.of("quality", part).array("y")])
        worst.append([errors[rows[digit]] for digit in range(10)])
        images, labels = image_measures.samples(evidence, part)
        nearest.append(image_measures.searched(images[:EXAMINED]).ratios.min())
        if part == "cvae":
            agreements.append((image_measures.classified(images).labels == labels).mean())
    values = {
        "loss": [round(float(value), 2) for value in np.mean(losses, axis=0)],
        "kept": round(float(np.mean(explained)), 3),
        "worst": [round(float(value), 3) for value in np.mean(worst, axis=0)],
        "nearest": round(float(np.min(nearest)), 3),
    }
    return values | ({"read_as_asked": round(float(np.mean(agreements)), 3)} if agreements else {})


def main(paths: Sequence[str]) -> None:
    """Writes `reference.json` from these evidence files."""
    runs = [load_evidence(Path(path)) for path in paths]
    reference = {part: levels(runs, part) for part in NAMES}
    FILE.write_bytes(dump_json(reference, indent=1))


if __name__ == "__main__":
    main(sys.argv[1:])
