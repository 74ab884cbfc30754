"""Notebooks of the corpus with their self-checks, in this process: invented images, no training, no pictures."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from grader.audit import corpus
from grader.notebook.format import is_code, load_notebook, source_of
from grader.records import Notebook

ROOT = Path(__file__).parents[2]
REFERENCE = load_notebook(ROOT / "reference" / "vae_mnist.ipynb")
IMAGES = (
    "train_images = test_images = torch.rand(64, 1, 28, 28)\n"
    "train_labels = test_labels = torch.arange(64) % 10\n"
    "vae = cvae = None"
)
ASKS = {  # what is asked of the code that a region belongs to
    "Encoder": "vae.encoder",
    "Decoder": "vae.decoder",
    "VAE": "vae.reparameterization",
    "vae_loss": "vae.loss",
    "train_vae": "vae.training",
    "sample_vae": "vae.sampling",
    "ConditionalEncoder": "cvae.encoder",
    "ConditionalDecoder": "cvae.decoder",
    "CVAE": "cvae.reparameterization",
    "train_cvae": "cvae.training",
    "sample_cvae": "cvae.sampling",
}
ITEMS = tuple(ASKS.values())
DRAWING = ("plots", "comparison")  # given cells that show pictures


def variables(notebook: Notebook) -> dict[str, Any]:
    """What the notebook's cells define, with invented images; a cell that fails defines what it got to."""
    names: dict[str, Any] = {"__name__": "__main__"}
    for cell in filter(is_code, notebook["cells"]):
        source = IMAGES if cell["id"] == "data" else source_of(cell)
        if cell["metadata"]["grader"]["role"] in ("given", "constants", "task") and cell["id"] not in DRAWING:
            with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SyntaxError):
                exec(compile(source, f"<ipykernel {cell['id']}>", "exec"), names)
    return names


def self_check_output(names: dict[str, Any], item: str) -> str:
    """What `self_check` prints about the task."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        names["self_check"](item)
    return out.getvalue()


def concerned(name: str) -> Iterator[str]:
    """The items whose own code the entry changes, and the training that stands on it; all where it replaces text."""
    entry = corpus.entry(name)
    heads = {region.partition(".")[0] for region in entry.regions}
    for head, item in ASKS.items():
        if entry.replace or head in heads:
            yield item


def flagged(name: str) -> list[str]:
    """The lines that tell the entry's author that something is not as expected."""
    names = variables(corpus.build(name))
    lines = [line for item in concerned(name) for line in self_check_output(names, item).splitlines()]
    return [line for line in lines if "✗" in line or "–" in line]
