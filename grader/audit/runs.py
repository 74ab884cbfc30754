"""Runs entries of the corpus in boxes, and keeps each run for the next audit of the same notebook and questions.

Each run has a folder under `runs/audit/` with the files of a graded notebook, and `key`, a checksum of everything that
the evidence depends on: see `grader.grading.cache_keys`. Grading is not part of the key, so a changed threshold needs
no new run, unless it makes another follow-through necessary.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from grader.audit import corpus
from grader.exercise import Say
from grader.grading.cache_keys import questions_checksum, run_key
from grader.grading.correct_code import reference_definitions
from grader.grading.grade import retrain_affected_parts
from grader.grading.regrade import load_findings, verdicts
from grader.grading.run import box_pool, case_of, run_submission
from grader.grading.stored_run import store_retraining, store_run, stored_evidence, stored_retrainings
from grader.notebook.format import dump_notebook
from grader.records import ItemVerdict, Notebook
from grader.rubric import load_rubric
from grader.sandbox.launch import signal_on_parent_death
from grader.store.files import write_atomically

RUNS = Path("runs/audit")
SEED = f"{7:032x}"
ISOLATION = "bubblewrap"


@dataclass(frozen=True)
class CorpusRun:
    """One run: an entry of the corpus, the parts to train, and the seeds of its questions and of its training."""

    name: str
    parts: tuple[str, ...]
    seed: str = SEED
    narrow: bool = False  # see `corpus.narrow`
    follows_through: bool = False  # whether follow-through is run as well
    training: int = 0  # the seed in the notebook

    @property
    def folder(self) -> Path:
        """The folder of the run."""
        trained = f"{self.name}.{self.training}" if self.training else self.name
        return RUNS / "full" / (trained if self.seed == SEED else f"{trained}-{int(self.seed, 16)}")


def key_of(notebook: Notebook, run: CorpusRun, questions: str, grader_key: str) -> str:
    """SHA-256 of everything that the evidence of a run depends on; `grader_key` is the grader's own `run_key`."""
    text = json.dumps([dump_notebook(notebook), run.seed, questions, grader_key])
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class RunResult:
    """The verdicts of one run, or why there are none."""

    run: CorpusRun
    items: tuple[ItemVerdict, ...] = ()
    error: str = ""


def planned(name: str) -> CorpusRun:
    """The full run of an entry: unchanged if its model is measured, otherwise with a narrow network."""
    entry = corpus.entry(name)
    is_measured = name == corpus.REFERENCE or entry.kind == corpus.MODEL or entry.train
    return CorpusRun(name, corpus.parts_of(name), narrow=not is_measured, follows_through=entry.kind != corpus.MODEL)


def run_once(run: CorpusRun, rubric_path: Path) -> tuple[ItemVerdict, ...]:
    """Runs the entry, unless its evidence is stored, and returns its verdicts."""
    rubric, exercise = load_rubric(rubric_path)
    boxes = box_pool(exercise, rubric.limits, exercise.prepare(_silent), ISOLATION)
    notebook = corpus.build(run.name)
    if run.narrow:
        notebook = corpus.narrow(notebook)
    if run.training:
        corpus.substitute(notebook, "torch.manual_seed(0)", f"torch.manual_seed({run.training})")
    case = case_of(notebook, {"": notebook}, rubric, exercise, run.seed, boxes)  # models change provided cells as well
    grader_key = run_key(rubric, exercise, {"": notebook}, run.parts, ISOLATION)
    key = key_of(notebook, run, questions_checksum(case.questions), grader_key)
    key_file = run.folder / "key"
    with boxes:
        if not key_file.exists() or key_file.read_text() != key:
            key_file.unlink(missing_ok=True)  # the files belong to no key until all are written
            store_run(run.folder, run_submission(case, _silent, parts=run.parts), {})
            write_atomically(key_file, key.encode())
        if run.follows_through:
            evidence, stored_parts = stored_evidence(run.folder), stored_retrainings(run.folder)
            reference_code, memory = reference_definitions(rubric_path, rubric), load_findings(run.folder, exercise)
            for part, result in retrain_affected_parts(
                evidence, stored_parts, reference_code, case, memory, _silent
            ).items():
                if result is not stored_parts.get(part):
                    store_retraining(run.folder, part, result)
    return verdicts(run.folder, rubric, exercise, keep=True)


def _silent(text: str) -> None:
    """Ignores the text."""


def run_all(runs: Sequence[CorpusRun], rubric_path: Path, jobs: int, say: Say) -> Iterator[RunResult]:
    """Yields results in the order of completion; several runs at once, each on its own core."""
    context = multiprocessing.get_context("spawn")
    cores = context.Queue()
    allowed = sorted(os.sched_getaffinity(0))[:jobs]  # more workers than cores would wait forever
    for core in allowed:
        cores.put(core)
    with ProcessPoolExecutor(len(allowed), mp_context=context, initializer=_pin, initargs=(cores,)) as pool:
        say(f"{len(runs)} solutions to run or re-grade ({len(allowed)} at a time)")
        futures = {pool.submit(run_once, run, rubric_path): run for run in runs}
        for count, future in enumerate(as_completed(futures), 1):
            run = futures[future]
            error = future.exception()
            why = "" if error is None else f"{type(error).__name__}: {error}"
            say(f"{count} of {len(runs)}: {run.name}" + (f": {why}" if why else ""))
            yield RunResult(run, error=why) if why else RunResult(run, future.result())


def _pin(cores: multiprocessing.Queue[int]) -> None:
    """Pins this worker and its boxes to one core, which is fastest for single-threaded kernels.

    The worker and its boxes end with the audit.
    """
    signal_on_parent_death()
    os.sched_setaffinity(0, {cores.get()})
