"""The cost of isolation: runs the reference with and without it, alternating, with the same questions.

Everything else is the same: the engine, the probes and the processes of both boxes. Prints medians and their ratio,
for the components alone and for the whole notebook. Run by `make bench-wall`.
"""

from __future__ import annotations

import statistics
import time
from pathlib import Path

import numpy as np

from grader.audit import corpus
from grader.grading.run import Case, box_pool, run_submission
from grader.notebook.restore import restore_given
from grader.records import Status
from grader.rubric import load_rubric

ROUNDS = {"components alone": 5, "whole notebook": 3}
SEED = 7


def main() -> None:
    """Prints a line for each kind of run and isolation, and the ratios."""
    rubric, exercise = load_rubric(Path("rubric.yaml"))
    folders = exercise.prepare(lambda _: None)
    notebook = corpus.build(corpus.REFERENCE)
    questions = exercise.questions(np.random.default_rng(SEED), rubric.sizes)
    for kind, rounds in ROUNDS.items():
        parts = () if kind == "components alone" else None
        times: dict[str, list[float]] = {"bubblewrap": [], "none": []}
        for _ in range(rounds):
            for isolation, taken in times.items():
                restored = restore_given(notebook, notebook)
                started = time.perf_counter()
                with box_pool(exercise, rubric.limits, folders, isolation) as boxes:
                    case = Case(restored, rubric, exercise, questions, boxes)
                    run = run_submission(case, lambda _: None, parts=parts)
                taken.append(time.perf_counter() - started)
                if run.execution.status is not Status.OK:
                    raise SystemExit(f"{kind}, {isolation}: the run ended with {run.execution.status}")
        for isolation, taken in times.items():
            spread = f"from {min(taken):.1f} to {max(taken):.1f} s"
            print(f"{kind}, {isolation:10} median {statistics.median(taken):.2f} s, {spread}")
        print(f"{kind}, ratio {statistics.median(times['bubblewrap']) / statistics.median(times['none']):.3f}")


if __name__ == "__main__":
    main()
