"""Every entry of the corpus judged on its components alone, in minutes: no box, no training.

The corpus is our own code, so it may run beside the grader; a student's notebook never comes here.
"""

from __future__ import annotations

import multiprocessing
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from grader.audit.forks import answer_in_child, warm_up
from grader.audit.runs import SEED
from grader.errors import GraderError
from grader.evidence import load_evidence
from grader.gathering import named
from grader.judge import judge
from grader.records import ItemVerdict
from grader.rubric import load_rubric


@dataclass(frozen=True)
class Results:
    """The verdicts by entry, and why an entry has none."""

    results: dict[str, tuple[ItemVerdict, ...]]
    broken: dict[str, str]


def quick_results(
    names: Sequence[str],
    rubric_path: Path,
    *,
    jobs: int = 2,
    seed: str = SEED,
    say: Callable[[str], None] = lambda _: None,
) -> Results:
    """Every named entry has verdicts on its components or a reason why not; items that need training are skipped."""
    rubric, exercise = load_rubric(rubric_path)
    exercise.prepare(say)
    say(f"{len(names)} to try; each process warms up first")
    asked = named(exercise.questions(np.random.default_rng(int(seed, 16)), rubric.sizes))
    results: dict[str, tuple[ItemVerdict, ...]] = {}
    broken: dict[str, str] = {}
    for done, (name, path, why) in enumerate(_answered(names, rubric_path, jobs, seed), 1):
        if why:
            broken[name] = why
        else:
            try:
                results[name] = judge(replace(load_evidence(path), questions=asked), rubric, exercise.checks)
            except GraderError as error:
                broken[name] = str(error)
            path.unlink()
        say(f"{done} of {len(names)}: {name}" + (f": {broken[name]}" if name in broken else ""))
    return Results({name: results[name] for name in names if name in results}, broken)


def _answered(names: Sequence[str], rubric_path: Path, jobs: int, seed: str) -> Iterator[tuple[str, Path, str]]:
    """Each name with the file of its evidence, or with why there is none, as they come."""
    context = multiprocessing.get_context("spawn")  # a process in which torch has threads cannot be forked safely
    processes = min(jobs, len(names)) or 1
    with (
        tempfile.TemporaryDirectory(prefix="audit-") as folder,
        ProcessPoolExecutor(processes, context, warm_up, (rubric_path, seed)) as pool,
    ):
        paths = {name: Path(folder, f"{number}.safetensors") for number, name in enumerate(names)}
        waiting = {pool.submit(answer_in_child, name, path): name for name, path in paths.items()}
        for future in as_completed(waiting):
            name = waiting[future]
            error = future.exception()
            yield name, paths[name], future.result() if error is None else f"{type(error).__name__}: {error}"
