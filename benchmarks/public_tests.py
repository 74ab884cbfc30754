"""The rubric's eleven items as public tests for other graders, to measure what grading the same notebook costs there.

There are two sets. `SEEN` tests what a course would let its students see: shapes, ranges, statistics, falling losses.
`SCORED` is equivalent to this project's rubric as far as a test in the student's own process can be: quality is scored
by the same classifier with the same measures, on as many pictures. Neither has a box, a second process or a report.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nbformat.v4 import new_code_cell

_REPARAMETERIZATION = """mu = torch.full((4000, 2), 3.0, requires_grad=True)
logvar = torch.full((4000, 2), 0.5, requires_grad=True)
z = {model}.reparameterize(mu, logvar)
assert abs(z.mean() - 3) < 0.1
assert abs(z.std() - torch.exp(torch.tensor(0.25))) < 0.1
z.sum().backward()
assert torch.allclose(mu.grad, torch.ones_like(mu))"""

_WITHOUT_QUALITY: dict[str, str] = {
    "vae_encoder_decoder": """mu, logvar = vae.encoder(test_images[:8])
assert mu.shape == logvar.shape == (8, LATENT_DIM)
assert not torch.equal(mu[0], mu[1])
with torch.no_grad():
    images = vae.decoder(torch.randn(8, LATENT_DIM, device=DEVICE))
assert images.shape == (8, 1, 28, 28)
assert 0 <= images.min() and images.max() <= 1""",
    "vae_reparameterization": _REPARAMETERIZATION.format(model="vae"),
    "vae_loss": """x = torch.rand(4, 1, 28, 28)
loss, reconstruction, kl = vae_loss(x.clamp(0.01, 0.99), x, torch.zeros(4, 3), torch.zeros(4, 3))
assert abs(kl) < 1e-5
assert torch.isclose(loss, reconstruction + kl)""",
    "vae_training": """import contextlib, io
assert len(vae_history) == EPOCHS
assert all(loss > 0 for loss in vae_history)
model = VAE(LATENT_DIM).to(DEVICE)
before = [parameter.detach().clone() for parameter in model.parameters()]
optimizer = torch.optim.Adam(model.parameters(), lr=0.001)
with contextlib.redirect_stdout(io.StringIO()):
    losses = train_vae(model, [(test_images[:16], test_labels[:16])], optimizer, 6)
assert len(losses) == 6 and losses[-1] < losses[0]
assert any(not torch.equal(a, b) for a, b in zip(before, model.parameters()))""",
    "cvae_encoder_decoder": """mu, logvar = cvae.encoder(test_images[:8], test_labels[:8])
assert mu.shape == logvar.shape == (8, LATENT_DIM)
z = torch.randn(1, LATENT_DIM, device=DEVICE).repeat(10, 1)
with torch.no_grad():
    images = cvae.decoder(z, torch.arange(10, device=DEVICE))
assert images.shape == (10, 1, 28, 28)
assert not torch.allclose(images[0], images[1])""",
    "cvae_reparameterization": _REPARAMETERIZATION.format(model="cvae"),
    "cvae_training": """import contextlib, io
assert len(cvae_history) == EPOCHS
assert all(loss > 0 for loss in cvae_history)
model = CVAE(LATENT_DIM, NUM_CLASSES).to(DEVICE)
optimizer = torch.optim.Adam(model.parameters(), lr=0.001)
with contextlib.redirect_stdout(io.StringIO()):
    losses = train_cvae(model, [(test_images[:16], test_labels[:16])], optimizer, 6)
assert len(losses) == 6 and losses[-1] < losses[0]""",
}

SEEN: dict[str, str] = {
    **_WITHOUT_QUALITY,
    "vae_reconstruction": """with torch.no_grad():
    x_hat, mu, logvar = vae(test_images[:500])
assert torch.mean((x_hat - test_images[:500]) ** 2) < 0.04""",
    "vae_generation": """samples = sample_vae(vae, 64)
assert samples.shape == (64, 1, 28, 28)
assert samples.std(0).mean() > 0.05""",
    "cvae_reconstruction": """with torch.no_grad():
    x_hat, mu, logvar = cvae(test_images[:500], test_labels[:500])
assert torch.mean((x_hat - test_images[:500]) ** 2) < 0.04""",
    "cvae_generation": """labels = torch.arange(10, device=DEVICE).repeat_interleave(8)
samples = sample_cvae(cvae, labels)
assert samples.shape == (80, 1, 28, 28)""",
}

_IMPORTS = """from grader.exercises.vae_mnist.classifier import classify
from grader.exercises.vae_mnist.checks import real_digits
from grader.exercises.vae_mnist.checks import image_measures
from grader.exercises.vae_mnist.metrics import label_agreement
from grader.exercises.vae_mnist.copies import copy_search
from grader.exercises.vae_mnist.metrics import class_entropy, distinct_share, spread_against
from grader.exercises.vae_mnist.metrics import normalised_frechet_distance
from grader.exercises.vae_mnist.metrics import explained_variance"""
_RECONSTRUCTION = """x = test_images[:1000].cpu().numpy()
with torch.no_grad():
    x_hat = {reconstructed}[0].clamp(0, 1).cpu().numpy()
assert explained_variance(x, x_hat, real_digits.mean_image()) > 0.21
right = label_agreement(test_labels[:1000].cpu().numpy(), classify(x_hat).labels)
assert right.overall > 0.36"""

SCORED: dict[str, str] = {
    **_WITHOUT_QUALITY,
    "vae_reconstruction": _IMPORTS + "\n" + _RECONSTRUCTION.format(reconstructed="vae(test_images[:1000])"),
    "vae_generation": _IMPORTS
    + """
with torch.no_grad():
    samples = sample_vae(vae, 2000).clamp(0, 1).cpu().numpy()
assert samples.shape == (2000, 1, 28, 28)
seen = classify(samples)
assert (copy_search(samples[:300], real_digits.training_bank()).ratios < 0.4).mean() < 0.18
assert normalised_frechet_distance(seen.features, image_measures.digit_moments()) < 0.65
assert normalised_frechet_distance(image_measures.ink(samples), image_measures.ink_moments()) < 0.42
assert class_entropy(seen.labels) > 0.46
assert distinct_share(samples, tolerance=0.005) > 0.27""",
    "cvae_reconstruction": _IMPORTS
    + "\n"
    + _RECONSTRUCTION.format(reconstructed="cvae(test_images[:1000], test_labels[:1000])"),
    "cvae_generation": _IMPORTS
    + """
labels = torch.arange(2000, device=DEVICE) % 10
with torch.no_grad():
    samples = sample_cvae(cvae, labels).clamp(0, 1).cpu().numpy()
assert samples.shape == (2000, 1, 28, 28)
asked, seen = labels.cpu().numpy(), classify(samples)
assert (copy_search(samples[:300], real_digits.training_bank()).ratios < 0.4).mean() < 0.18
assert spread_against(samples, asked, image_measures.digit_deviations()).mean > 0.18
right = label_agreement(asked, seen.labels)
assert right.overall > 0.14 and right.even > 0.096
assert normalised_frechet_distance(image_measures.ink(samples), image_measures.ink_moments()) < 0.26""",
}


def write_otter_tests(tests: Mapping[str, str], folder: Path) -> None:
    """Writes a file per test in Otter-Grader's format of doctests."""
    folder.mkdir(parents=True)
    for name, code in tests.items():
        case = {"code": _doctest(code), "hidden": False, "locked": False}
        suite = {"cases": [case], "scored": True, "setup": "", "teardown": "", "type": "doctest"}
        test = {"name": name, "points": 1, "suites": [suite]}
        (folder / f"{name}.py").write_text("OK_FORMAT = True\n\ntest = " + repr(test) + "\n")


def with_nbgrader_tests(tests: Mapping[str, str], notebook: dict[str, Any]) -> dict[str, Any]:
    """The notebook with a locked, graded cell per test at its end, as nbgrader expects."""
    cells = []
    for name, code in tests.items():
        fields = {"grade": True, "grade_id": name, "locked": True, "points": 1, "schema_version": 3, "solution": False}
        cells.append(new_code_cell(code, metadata={"nbgrader": {**fields, "task": False}}))  # type: ignore[no-untyped-call]
    return json.loads(json.dumps({**notebook, "cells": [*notebook["cells"], *cells]}))


def _doctest(code: str) -> str:
    lines = []
    for line in code.splitlines():
        lines.append(("... " if line.startswith(" ") else ">>> ") + line)
        if line.startswith(" "):
            lines.append("... ")
    return "\n".join(lines) + "\n"
