"""How cost grows with the number of pictures that are scored, and with the size of a submission's outputs.

`python -m benchmarks.growth` prints what `make bench` plots; each figure is the fastest of a few runs in this process.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from grader.audit import corpus
from grader.exercises.vae_mnist.checks import image_measures, real_digits
from grader.grading.verdicts import item_verdicts
from grader.notebook.format import is_code, load_notebook
from grader.notebook.read import read_submission
from grader.notebook.restore import restore_given
from grader.notebook.saved_outputs import compare_saved
from grader.records import Address, CellRun, CellStatus, Evidence
from grader.rubric import load_rubric

ROOT = Path(__file__).parents[1]
PICTURES = (1_000, 2_000, 5_000, 10_000, 20_000, 50_000)
OUTPUTS_MB = (0, 5, 10, 20, 50)
TIMES = 2
ITEM = "cvae.generation"  # the most expensive item
Points = list[tuple[float, float]]


def measure(say: Callable[[str], object] = print) -> dict[str, Points]:
    """Quantity -> pairs of its size and the seconds."""
    scored, read = [], []
    for count in PICTURES:
        scored.append((float(count), _fastest(_scoring(count))))
        say(f"{count} pictures: {scored[-1][1]:.2f} s")
    for size in OUTPUTS_MB:
        read.append((float(size), _fastest(_reading(size))))
        say(f"{size} MB of outputs: {read[-1][1]:.2f} s")
    return {"pictures scored": scored, "MB of outputs in the notebook": read}


def _fastest(work: Callable[[], object]) -> float:
    seconds = []
    for _ in range(TIMES):
        began = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - began)
    return min(seconds)


def _scoring(count: int) -> Callable[[], object]:
    """Grades the item on `count` samples, which are slightly changed training images."""
    rubric, exercise = load_rubric(ROOT / "rubric.yaml")
    rubric = replace(rubric, items=tuple(item for item in rubric.items if item.id == ITEM))
    random = np.random.default_rng(0)
    images = real_digits.mnist().train_images[:count, None].astype(np.float32) / 255
    images = (images + 0.1 * random.random(images.shape, dtype=np.float32)).clip(0, 1)
    labels = real_digits.mnist().train_labels[:count]
    x, y = real_digits.digits()[0][:1000], real_digits.digits()[1][:1000]
    questions = {"x": x, "y": y, "labels": labels, "prior_labels": labels, "prior": np.zeros((count, 2))}
    samples, decode = Address.of("quality", "cvae", "samples"), Address.of("decode", "cvae", "decode")
    answers = {samples.array("images"): images, decode.array("images"): np.concatenate([x, images])}
    evidence = Evidence({samples.stage.array(name): array for name, array in questions.items()}, answers)

    def work() -> None:
        image_measures._cache.clear()
        item_verdicts(evidence, rubric, exercise.checks)

    work()  # loads the data that are loaded only once
    return work


def _reading(megabytes: int) -> Callable[[], object]:
    """Reads a notebook with outputs of that size, restores it, and compares the outputs with the run's."""
    notebook = corpus.build(corpus.REFERENCE)
    cells = [cell for cell in notebook["cells"] if is_code(cell)]
    for cell in cells:
        text = "a line that a loop has printed\n" * (megabytes * 1_000_000 // 31 // len(cells))
        cell["outputs"] = [{"output_type": "stream", "name": "stdout", "text": text}]
        cell["execution_count"] = 1
    template = load_notebook(ROOT / "student_template" / "vae_mnist.ipynb")
    path = Path(tempfile.mkdtemp()) / "large.ipynb"
    path.write_text(json.dumps(notebook))

    def work() -> None:
        submission = read_submission(path, max_mb=200, max_cells=1000)
        restored = restore_given(submission.notebook, template)
        runs: Sequence[CellRun] = [
            CellRun(i, CellStatus.OK, 1.0) for i, c in enumerate(restored.notebook["cells"]) if is_code(c)
        ]
        compare_saved(submission.notebook, restored, restored.notebook, runs)

    return work


if __name__ == "__main__":
    measure()
