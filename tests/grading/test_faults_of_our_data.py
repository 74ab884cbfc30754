"""Weights, MNIST or stored evidence that are damaged or missing: manual review, or nothing is graded, in one line."""

from __future__ import annotations

import importlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from faulty_grading import Grade, contents

from grader.exercises.vae_mnist.checks import image_measures, real_digits
from grader.exercises.vae_mnist.data import sources
from grader.grading import stored_run
from grader.grading.verdicts import item_verdicts
from grader.records import Evidence, Outcome
from grader.rubric import load_rubric

ROOT = Path(__file__).parents[2]
classifier = importlib.import_module(
    "grader.exercises.vae_mnist.classifier.pretrained"
)  # its package gives the function of that name


@pytest.fixture
def grade(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Grade:
    return Grade(tmp_path, monkeypatch, capfd)


def changed(path: Path) -> None:
    """The file with one bit of its middle changed."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.fixture
def _nothing_cached() -> Iterator[None]:
    known = [
        classifier._network,
        real_digits.mnist,
        real_digits.mean_image,
        real_digits.digits,
        real_digits.digit_features,
        real_digits.training_bank,
    ]

    def forget() -> None:
        image_measures._cache.clear()
        for one in known:
            one.cache_clear()

    forget()
    yield
    forget()


def drawn() -> Evidence:
    """A conditional model that draws real digits."""
    images, labels = (array[:300] for array in real_digits.digits())
    questions = {"x": images, "y": labels, "labels": labels, "prior_labels": labels, "prior": np.zeros((300, 2))}
    answers = {"quality.cvae/samples/images": images, "decode.cvae/decode/images": np.concatenate([images, images])}
    return Evidence({f"quality.cvae/{name}": array for name, array in questions.items()}, answers)


def quality_of(evidence: Evidence) -> dict[str, Outcome]:
    """Check -> outcome of those that look at pictures, in the item that needs the classifier most."""
    rubric, exercise = load_rubric(ROOT / "rubric.yaml")
    item = next(item for item in rubric.items if item.id == "cvae.generation")
    checks = item_verdicts(evidence, replace(rubric, items=(item,)), exercise.checks)[0].checks
    return {check.id: check.outcome for check in checks if exercise.checks[check.id].needs_training}


@pytest.mark.usefixtures("_nothing_cached")
@pytest.mark.parametrize("fault", ["corrupt", "missing", "no network"])
def test_the_classifiers_weights_are_not_as_published(
    fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    evidence = drawn()
    classifier._network.cache_clear()
    path = Path(shutil.copy(classifier.PATH, tmp_path))
    {"corrupt": changed, "missing": Path.unlink}.get(fault, lambda path: path.write_bytes(b"?"))(path)
    monkeypatch.setattr(classifier, "PATH", path)
    outcomes = quality_of(evidence)
    assert outcomes["samples_show_the_requested_digit"] is Outcome.NEEDS_REVIEW
    assert Outcome.FAILED not in outcomes.values()
    assert Outcome.PARTIAL not in outcomes.values()


@pytest.mark.usefixtures("_nothing_cached")
def test_mnist_is_damaged_while_grading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    evidence = drawn()
    for one in (real_digits.mnist, real_digits.digits, real_digits.digit_features, real_digits.training_bank):
        one.cache_clear()
    monkeypatch.setenv("MNIST_ROOT", str(tmp_path))
    outcomes = quality_of(evidence)
    assert Outcome.NEEDS_REVIEW in outcomes.values()
    assert Outcome.FAILED not in outcomes.values()


def damaged_mnist(root: Path) -> Path:
    """The four files with their sizes and other contents; they take no room."""
    folder = root / "MNIST" / "raw"
    folder.mkdir(parents=True)
    for name, size in sources.SIZES.items():
        (folder / name).touch()
        os.truncate(folder / name, size)
    return root


@pytest.mark.usefixtures("_nothing_cached")
@pytest.mark.parametrize("variable", ["MNIST_ROOT", "VAE_GRADER_CACHE"])
def test_mnist_is_damaged_before_grading(
    variable: str, grade: Grade, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("MNIST_ROOT", "VAE_GRADER_CACHE"):
        monkeypatch.setenv(name, str(tmp_path / "empty"))
    if variable != "MNIST_ROOT":
        monkeypatch.delenv("MNIST_ROOT")
    monkeypatch.setenv(variable, str(damaged_mnist(tmp_path / "damaged")))
    monkeypatch.setattr(sources, "SOURCES", ())  # nowhere to fetch another copy from
    notebook_and_rubric = (str(ROOT / "reference" / "vae_mnist.ipynb"), "--rubric", str(ROOT / "rubric.yaml"))
    result = grade("grade", *notebook_and_rubric, "--out", str(tmp_path / "run"))
    result.is_refused("MNIST")


@pytest.mark.parametrize("fault", ["corrupt", "another one's", "not readable", "missing"])
def test_stored_evidence_cannot_be_graded_again(fault: str, grade: Grade, tmp_path: Path) -> None:
    folder = grade().folder
    evidence = folder / stored_run.EVIDENCE
    if fault == "corrupt":
        changed(evidence)
    elif fault == "another one's":
        evidence.write_bytes(stored_run.save_evidence(Evidence({}, {})))
    elif fault == "not readable":
        evidence.write_bytes(b"junk")
    else:
        evidence.unlink()
    before = contents(folder)
    change = "one.function.function_multiplies.tolerance=0.1"
    result = grade("regrade", str(folder), "--dry-run", "--set", change, "--rubric", str(tmp_path / "rubric.yaml"))
    assert result.code == 2
    assert len(result.lines) == 1, result.lines
    assert result.lines[0].startswith("not graded: ")
    assert contents(folder) == before
