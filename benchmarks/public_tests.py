"""Public tests of the exercise in the forms of other graders, for measuring what grading the same notebook costs there.

They look at what a course would let its students see: shapes, ranges, the reparameterization's statistics, the KL term,
falling losses and samples. None of them uses a classifier, so they do less than this project's own checks.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from nbformat.v4 import new_code_cell

TESTS: dict[str, str] = {
    "encoder": """mu, logvar = vae.encoder(test_images[:8])
assert mu.shape == logvar.shape == (8, LATENT_DIM)
assert not torch.equal(mu[0], mu[1])""",
    "decoder": """with torch.no_grad():
    images = vae.decoder(torch.randn(8, LATENT_DIM, device=DEVICE))
assert images.shape == (8, 1, 28, 28)
assert 0 <= images.min() and images.max() <= 1""",
    "reparameterization": """mu, logvar = torch.full((4000, 2), 3.0), torch.full((4000, 2), 0.5)
z = vae.reparameterize(mu, logvar)
assert abs(z.mean() - 3) < 0.1
assert abs(z.std() - torch.exp(torch.tensor(0.25))) < 0.1""",
    "loss": """x = torch.rand(4, 1, 28, 28)
loss, reconstruction, kl = vae_loss(x.clamp(0.01, 0.99), x, torch.zeros(4, 3), torch.zeros(4, 3))
assert abs(kl) < 1e-5
assert torch.isclose(loss, reconstruction + kl)""",
    "training": """assert len(vae_history) == EPOCHS
assert vae_history[-1] < vae_history[0]""",
    "reconstruction": """with torch.no_grad():
    x_hat, mu, logvar = vae(test_images[:500])
assert torch.mean((x_hat - test_images[:500]) ** 2) < 0.04""",
    "sampling": """samples = sample_vae(vae, 64)
assert samples.shape == (64, 1, 28, 28)
assert samples.std(0).mean() > 0.05""",
    "conditional_encoder": """mu, logvar = cvae.encoder(test_images[:8], test_labels[:8])
assert mu.shape == logvar.shape == (8, LATENT_DIM)""",
    "conditional_decoder": """z = torch.randn(1, LATENT_DIM, device=DEVICE).repeat(10, 1)
with torch.no_grad():
    images = cvae.decoder(z, torch.arange(10, device=DEVICE))
assert not torch.allclose(images[0], images[1])""",
    "conditional_training": """assert len(cvae_history) == EPOCHS
assert cvae_history[-1] < cvae_history[0]""",
    "conditional_sampling": """labels = torch.arange(10, device=DEVICE).repeat_interleave(8)
samples = sample_cvae(cvae, labels)
assert samples.shape == (80, 1, 28, 28)""",
}


def write_otter_tests(folder: Path) -> None:
    """The folder holds a file for each test, in Otter-Grader's format of doctests."""
    folder.mkdir(parents=True)
    for name, code in TESTS.items():
        case = {"code": _doctest(code), "hidden": False, "locked": False}
        suite = {"cases": [case], "scored": True, "setup": "", "teardown": "", "type": "doctest"}
        told = {"name": name, "points": 1, "suites": [suite]}
        (folder / f"{name}.py").write_text("OK_FORMAT = True\n\ntest = " + repr(told) + "\n")


def with_nbgrader_tests(notebook: dict[str, Any]) -> dict[str, Any]:
    """The notebook with a locked, graded cell at its end for each test, as nbgrader wants them."""
    cells = []
    for name, code in TESTS.items():
        told = {"grade": True, "grade_id": name, "locked": True, "points": 1, "schema_version": 3, "solution": False}
        cells.append(new_code_cell(code, metadata={"nbgrader": {**told, "task": False}}))  # type: ignore[no-untyped-call]
    return json.loads(json.dumps({**notebook, "cells": [*notebook["cells"], *cells]}))


def _doctest(code: str) -> str:
    lines = []
    for line in code.splitlines():
        lines.append(("... " if line.startswith(" ") else ">>> ") + line)
        if line.startswith(" "):
            lines.append("... ")
    return "\n".join(lines) + "\n"
