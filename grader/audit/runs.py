"""Runs entries of the corpus in boxes, each once: what was run for the same notebook and questions is kept.

A folder a run under `runs/audit/`, as the grader makes it, and `key`, which names everything the evidence depends on:
see `grader.grading.cache_keys`. Judging is not part of it, so a moved threshold costs no run, but where it makes
another follow-through necessary.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from grader.audit import corpus
from grader.grading.cache_keys import questions_checksum, run_key
from grader.grading.grade import follow
from grader.grading.regrade import recalled, verdicts
from grader.grading.run import box_pool, case_of, run_submission
from grader.grading.run_folder import store_followed, store_run, stored_evidence, stored_followed
from grader.grading.sound_parts import sound_source
from grader.notebook.format import dump_notebook
from grader.records import ItemVerdict, Notebook
from grader.rubric import load_rubric
from grader.sandbox.launch import end_with_parent
from grader.store.files import write_atomically

RUNS = Path("runs/audit")
SEED = f"{7:032x}"
ISOLATION = "bubblewrap"


@dataclass(frozen=True)
class Wanted:
    """One run: an entry of the corpus, the parts to train, and the seeds of its questions and of its training."""

    name: str
    parts: tuple[str, ...]
    seed: str = SEED
    narrow: bool = False  # see `corpus.narrow`
    followed: bool = False  # whether follow-through belongs to it
    training: int = 0  # the seed in the notebook

    @property
    def folder(self) -> Path:
        """Where it is kept."""
        trained = f"{self.name}.{self.training}" if self.training else self.name
        return RUNS / "full" / (trained if self.seed == SEED else f"{trained}-{int(self.seed, 16)}")


def key_of(notebook: Notebook, wanted: Wanted, questions: str, run: str) -> str:
    """SHA-256 over all that the evidence of a run depends on; `run` is the grader's own `run_key`."""
    told = json.dumps([dump_notebook(notebook), wanted.seed, questions, run])
    return hashlib.sha256(told.encode()).hexdigest()


@dataclass(frozen=True)
class Result:
    """What became of one run: its verdicts, or why there are none."""

    wanted: Wanted
    items: tuple[ItemVerdict, ...] = ()
    error: str = ""


def planned(name: str) -> Wanted:
    """How an entry is run in full: models and honest networks as they are, everything else on a narrow network."""
    entry = corpus.entry(name)
    measured = name == corpus.REFERENCE or entry.kind == "models" or entry.train
    return Wanted(name, corpus.parts_of(name), narrow=not measured, followed=entry.kind != "models")


def run_once(wanted: Wanted, rubric_path: Path) -> tuple[ItemVerdict, ...]:
    """The folder holds the run's evidence and its verdicts are returned; what was run before is only judged."""
    rubric, exercise = load_rubric(rubric_path)
    boxes = box_pool(exercise, rubric.limits, exercise.prepare(_silent), ISOLATION)
    notebook = corpus.build(wanted.name)
    if wanted.narrow:
        notebook = corpus.narrow(notebook)
    if wanted.training:
        corpus.substitute(notebook, "torch.manual_seed(0)", f"torch.manual_seed({wanted.training})")
    case = case_of(notebook, {"": notebook}, rubric, exercise, wanted.seed, boxes)  # models change given cells, too
    run = run_key(rubric, exercise, {"": notebook}, wanted.parts, ISOLATION)
    key = key_of(notebook, wanted, questions_checksum(case.questions), run)
    stored = wanted.folder / "key"
    with boxes:
        if not stored.exists() or stored.read_text() != key:
            stored.unlink(missing_ok=True)  # what is written from now on belongs to none until it is whole
            store_run(wanted.folder, run_submission(case, _silent, parts=wanted.parts), {})
            write_atomically(stored, key.encode())
        if wanted.followed:
            evidence, known = stored_evidence(wanted.folder), stored_followed(wanted.folder)
            sound, memory = sound_source(rubric_path, rubric), recalled(wanted.folder, exercise)
            for part, one in follow(evidence, known, sound, case, memory, _silent).items():
                if one is not known.get(part):
                    store_followed(wanted.folder, part, one)
    return verdicts(wanted.folder, rubric, exercise, keep=True)


def _silent(text: str) -> None:
    """Says nothing."""


def run_all(wanted: Sequence[Wanted], rubric_path: Path, jobs: int, say: Callable[[str], None]) -> Iterator[Result]:
    """The results as they come; several runs at once, each on a core of its own."""
    context = multiprocessing.get_context("spawn")
    cores = context.Queue()
    allowed = sorted(os.sched_getaffinity(0))[:jobs]  # a worker more than there are cores would wait for one for ever
    for core in allowed:
        cores.put(core)
    with ProcessPoolExecutor(len(allowed), mp_context=context, initializer=_pin, initargs=(cores,)) as pool:
        say(f"{len(wanted)} to run or to judge again, {len(allowed)} at once")
        waiting = {pool.submit(run_once, one, rubric_path): one for one in wanted}
        for done, future in enumerate(as_completed(waiting), 1):
            one = waiting[future]
            error = future.exception()
            why = "" if error is None else f"{type(error).__name__}: {error}"
            say(f"{done} of {len(wanted)}: {one.name}" + (f": {why}" if why else ""))
            yield Result(one, error=why) if why else Result(one, future.result())


def _pin(cores: multiprocessing.Queue[int]) -> None:
    """This worker and its boxes keep to one core, where single-threaded kernels are fastest together.

    It ends with the audit, and its boxes with it.
    """
    end_with_parent()
    os.sched_setaffinity(0, {cores.get()})
