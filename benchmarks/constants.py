"""The cost and quality of the notebook's provided constants: pictures against seconds, over many trainings.

`make constants` trains both models of the reference with each entry of `FRONT`, evaluates their pictures after each
epoch, and adds one row per epoch to `docs/constants.csv`. Then it trains the reference and correct solutions of other
kinds with the `FINALISTS`, three seeds each, and writes `docs/constants.md` with a picture. A training that is in the
table already is skipped. Forty conditional samples per epoch are saved in `build/constants/`.

Each training runs in a process with one thread and is timed by its processor time, which other work disturbs little.
Only notebooks of this project are trained here, outside a box.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import csv
import io
import multiprocessing
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, astuple, dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from grader.audit import corpus
from grader.exercises.vae_mnist.checks import real_digits
from grader.exercises.vae_mnist.checks.image_measures import digit_moments
from grader.exercises.vae_mnist.classifier import classify
from grader.exercises.vae_mnist.metrics import explained_variance, label_agreement, normalised_frechet_distance
from grader.notebook.format import is_code, source_of

TABLE = Path("docs/constants.csv")
GRIDS = Path("build/constants")
RECONSTRUCTED, DRAWN = slice(5000, 6000), 2000  # hidden test images; samples of each model


@dataclass(frozen=True)
class Constants:
    """The four provided constants; a training is evaluated after each epoch up to `epochs`."""

    learning_rate: float
    batch_size: int
    latents: int
    epochs: int


@dataclass(frozen=True)
class Row:
    """The quality of both models of a design after some epochs; seconds of one core for both trainings together."""

    design: str
    seed: int
    learning_rate: float
    batch_size: int
    latents: int
    epochs: int
    seconds: float
    explained_vae: float
    explained_cvae: float
    kept_vae: float
    kept_cvae: float
    frechet_vae: float
    frechet_cvae: float
    requested: float


RATES = {128: (1e-3, 2e-3, 3e-3), 256: (2e-3, 4e-3, 6e-3), 512: (4e-3, 8e-3)}  # batch size -> learning rates
FRONT = [
    Constants(rate, size, latents, 10 if size < 512 else 12)
    for latents in (8, 10, 12, 16)
    for size, rates in RATES.items()
    for rate in rates
]
TODAY = Constants(1e-3, 128, 16, 10)  # as in the notebook that was handed out first
FINALISTS = [Constants(2e-3, 128, 8, 7)]  # trained with every design and seed
TRIED = [Constants(4e-3, 256, 8, 7), Constants(4e-3, 256, 10, 8), Constants(6e-3, 256, 10, 8)]  # until one failed
DESIGNS = [
    corpus.REFERENCE,
    "label_at_the_heads",
    "squared_error",
    "batch_norm_with_dropout",
    "deep_and_narrow",
    "embedding",
    "convolutional",
]
SEEDS = range(3)


def trained(design: str, constants: Constants, seed: int) -> Iterator[tuple[Row, Any]]:
    """Yields after each epoch a row and forty conditional samples, four per digit, `(40, 28, 28)` uint8."""
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    scope = defined(design, constants)
    models = {
        "vae": scope["VAE"](constants.latents),
        "cvae": scope["CVAE"](constants.latents, 10),
    }
    optimizers = {
        part: torch.optim.Adam(model.parameters(), lr=constants.learning_rate) for part, model in models.items()
    }
    spent = 0.0
    for epoch in range(1, constants.epochs + 1):
        for part, model in models.items():
            began = time.process_time()
            with contextlib.redirect_stdout(io.StringIO()):
                scope[f"train_{part}"](model, scope["train_batches"], optimizers[part], 1)
            spent += time.process_time() - began
        random = torch.get_rng_state()
        measures, grid = _looked_at(scope, models)
        yield Row(design, seed, *astuple(replace(constants, epochs=epoch)), spent, **measures), grid
        torch.set_rng_state(random)


def defined(design: str, constants: Constants) -> dict[str, Any]:
    """The definitions of the design's notebook, with these constants and the training images."""
    notebook = corpus.build(design)
    definitions: list[ast.stmt] = []
    for cell in filter(is_code, notebook["cells"]):
        definitions += [
            statement
            for statement in ast.parse(source_of(cell)).body
            if isinstance(statement, ast.Import | ast.ImportFrom | ast.ClassDef | ast.FunctionDef)
        ]
    device = torch.device("cpu")
    scope: dict[str, Any] = {"DEVICE": device, "NUM_CLASSES": 10, "LATENT_DIM": constants.latents}
    exec(compile(ast.Module(definitions, []), design, "exec"), scope)
    images = torch.from_numpy(real_digits.mnist().train_images.astype(np.float32)).unsqueeze(1).div(255)
    labels = torch.from_numpy(real_digits.mnist().train_labels.copy())
    scope["train_batches"] = scope["Batches"](images, labels, constants.batch_size)
    return scope


@torch.no_grad()
def _looked_at(scope: Mapping[str, Any], models: Mapping[str, Any]) -> tuple[dict[str, float], Any]:
    x = real_digits.mnist().test_images[RECONSTRUCTED, None].astype(np.float32) / 255
    y = real_digits.mnist().test_labels[RECONSTRUCTED]
    images, labels = torch.from_numpy(x), torch.from_numpy(y.copy())
    asked = torch.arange(DRAWN) % 10
    measures: dict[str, float] = {}
    for part, model in models.items():
        model.eval()
        condition = (labels,) if part == "cvae" else ()
        mu, _ = model.encoder(images, *condition)
        again = model.decoder(mu, *condition).numpy().clip(0, 1)
        new = (
            (scope["sample_cvae"](model, asked) if condition else scope["sample_vae"](model, DRAWN)).numpy().clip(0, 1)
        )
        seen = classify(new)
        measures[f"explained_{part}"] = explained_variance(x, again, real_digits.mean_image())
        measures[f"kept_{part}"] = label_agreement(y, classify(again).labels).overall
        measures[f"frechet_{part}"] = normalised_frechet_distance(seen.features, digit_moments())
        if condition:
            measures["requested"] = label_agreement(asked.numpy(), seen.labels).overall
            grid = np.round(new[:40, 0] * 255).astype(np.uint8)
        model.train()
    return measures, grid


def stored(path: Path) -> list[Row]:
    """The rows of the table; empty if there is no table."""
    if not path.exists():
        return []
    with path.open(newline="") as stream:
        return [Row(**{f.name: _typed(f.type, line[f.name]) for f in fields(Row)}) for line in csv.DictReader(stream)]


def _typed(kind: Any, text: str) -> Any:
    return {"str": str, "int": int, "float": float}[kind](text)


def train(work: tuple[Path, str, Constants, int]) -> str:
    """Runs one training and adds its rows to the table; returns a line about its last epoch."""
    path, design, constants, seed = work
    rows, grids = zip(*trained(design, constants, seed), strict=True)
    GRIDS.mkdir(parents=True, exist_ok=True)
    np.save(GRIDS / f"{design}-{constants.learning_rate:g}-{constants.batch_size}-{constants.latents}-{seed}", grids)
    text = io.StringIO()
    writer = csv.DictWriter(text, [f.name for f in fields(Row)], lineterminator="\n")
    writer.writerows(
        {name: f"{v:.4g}" if isinstance(v, float) else v for name, v in asdict(row).items()} for row in rows
    )
    with path.open("a") as stream:  # in one write, so that two processes do not mix their rows
        stream.write(text.getvalue())
    return f"{rows[-1]}"


def measure(path: Path, works: Iterable[tuple[str, Constants, int]], jobs: int) -> None:
    """Runs those trainings that are not in the table yet, in `jobs` processes, and adds their rows."""
    if not path.exists():
        path.write_text(",".join(f.name for f in fields(Row)) + "\n")
    known = {(row.design, row.seed, row.learning_rate, row.batch_size, row.latents) for row in stored(path)}
    left = [
        (path, design, constants, seed)
        for design, constants, seed in works
        if (design, seed, constants.learning_rate, constants.batch_size, constants.latents) not in known
    ]
    with multiprocessing.get_context("spawn").Pool(jobs, maxtasksperchild=1) as pool:
        for number, line in enumerate(pool.imap_unordered(train, left), 1):
            print(f"{number} of {len(left)}: {line}", flush=True)


def main() -> None:
    """Trains the models that are not in the table yet."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--jobs", type=int, default=2)
    jobs = options.parse_args().jobs
    measure(TABLE, [(corpus.REFERENCE, constants, 0) for constants in FRONT], jobs)
    measure(TABLE, [(design, one, seed) for one in FINALISTS for seed in SEEDS for design in DESIGNS], jobs)


if __name__ == "__main__":
    main()
