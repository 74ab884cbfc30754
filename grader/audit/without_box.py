"""Grades the components of every entry of the corpus in minutes, without a box and without training.

A forked child of a process with warm imports answers a notebook's component questions. This is only for notebooks of
our own corpus, never for a student's: without a box, a cell runs with the rights of the person who audits. Cells and
questions are those of a components-only grade, and recorder and probe are those of the box, so the evidence is the
same as from a box.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save

from grader.audit import corpus
from grader.audit.runs import SEED
from grader.errors import GraderError
from grader.evidence import load_evidence, save_evidence
from grader.exercise import Exercise, Questions, Say
from grader.grading.answers import decode_answers, merge_evidence, question_arrays
from grader.grading.plan import cell_steps, first_plan, plan_frame, stage_steps
from grader.grading.run import QuestionSource
from grader.grading.verdicts import item_verdicts
from grader.notebook.restore import restore_given
from grader.notebook.roles import DEFINITIONS
from grader.records import Evidence, ItemVerdict, Notebook, Rubric, Stage, Status
from grader.rubric import load_rubric
from grader.sandbox.backend import IN_BOX, IN_BOX_FOLDER, PROBE, box_environment
from grader.sandbox.in_box.frames import Plan, RunnerFault, StageEnd, StageStatus, StageStep, Step, recorded
from grader.sandbox.received_frames import Inbox

CHILD_S = 120
LOG_TAIL = 200  # characters of the output of a child that died


@dataclass(frozen=True)
class CorpusVerdicts:
    """The verdicts by entry, and the reason if an entry has none."""

    verdicts: dict[str, tuple[ItemVerdict, ...]]
    broken: dict[str, str]


def grade_without_box(
    names: Sequence[str],
    rubric_path: Path,
    *,
    jobs: int = 2,
    seed: str = SEED,
    say: Say = lambda _: None,
) -> CorpusVerdicts:
    """The verdicts on the components of every named entry, or why there are none; training is skipped."""
    rubric, exercise = load_rubric(rubric_path)
    exercise.prepare(say)
    say(f"{len(names)} solutions to grade; starting {min(jobs, len(names)) or 1} processes")
    questions = question_arrays(exercise.questions(np.random.default_rng(int(seed, 16)), rubric.sizes))
    verdicts: dict[str, tuple[ItemVerdict, ...]] = {}
    failures: dict[str, str] = {}
    for count, (name, path, why) in enumerate(_answered(names, rubric_path, jobs, seed), 1):
        if why:
            failures[name] = why
        else:
            try:
                evidence = replace(load_evidence(path), questions=questions)
                verdicts[name] = item_verdicts(evidence, rubric, exercise.checks)
            except GraderError as error:
                failures[name] = str(error)
            path.unlink()
        say(f"{count} of {len(names)}: {name}" + (f": {failures[name]}" if name in failures else ""))
    return CorpusVerdicts({name: verdicts[name] for name in names if name in verdicts}, failures)


def _answered(names: Sequence[str], rubric_path: Path, jobs: int, seed: str) -> Iterator[tuple[str, Path, str]]:
    """Yields each name with the file of its evidence, or the reason why there is none, in the order of completion."""
    context = multiprocessing.get_context("spawn")  # a process in which torch has threads cannot be forked safely
    processes = min(jobs, len(names)) or 1
    with (
        tempfile.TemporaryDirectory(prefix="audit-") as folder,
        ProcessPoolExecutor(processes, context, warm_up, (rubric_path, seed)) as pool,
    ):
        paths = {name: Path(folder, f"{number}.safetensors") for number, name in enumerate(names)}
        futures = {pool.submit(answer_in_child, name, path): name for name, path in paths.items()}
        for future in as_completed(futures):
            name = futures[future]
            error = future.exception()
            yield name, paths[name], future.result() if error is None else f"{type(error).__name__}: {error}"


@dataclass
class WarmProcess:
    """A process with everything imported and the reference's first provided cells run, ready to be forked."""

    rubric: Rubric
    exercise: Exercise
    questions: Questions
    shell: Any  # an IPython shell, whose user_ns is the notebook's
    executed_sources: tuple[str, ...]  # the sources that it has run


_warm: list[WarmProcess] = []  # of this process, at most one


def warm_up(rubric_path: Path, seed: str) -> None:
    """Prepares this process to be forked for one notebook after another."""
    import torch

    torch.set_num_threads(1)
    rubric, exercise = load_rubric(rubric_path)
    folders = exercise.prepare(lambda _: None)
    contents = {IN_BOX: IN_BOX_FOLDER, PROBE: exercise.in_box, **folders}
    environment = box_environment(contents, "", "")
    os.environ.update({name: value for name, value in environment.items() if name.startswith("BOX_")})
    os.environ.update(MPLBACKEND="Agg", CUDA_VISIBLE_DEVICES="")  # a child cannot use CUDA after a fork
    questions = exercise.questions(np.random.default_rng(int(seed, 16)), rubric.sizes)
    warm = WarmProcess(rubric, exercise, questions, _shell(exercise.in_box), ())
    corpus.solutions()
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder), _silence(Path(folder) / "log"):
        warm.executed_sources = _given_cells(warm)
    _warm[:] = [warm]


def answer_in_child(name: str, target: Path) -> str:
    """Writes the entry's evidence without the questions to `target`; returns "", or why there is none.

    After two minutes the child is killed, with all processes that it started.
    """
    (warm,) = _warm
    notebook = corpus.build(name)
    with tempfile.TemporaryDirectory(prefix="audit-") as temporary:
        folder = Path(temporary)
        child = multiprocessing.get_context("fork").Process(target=_child, args=(warm, notebook, folder, target))
        child.start()
        child.join(CHILD_S)
        if child.exitcode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid or 0, signal.SIGKILL)
            child.join()
            return f"did not finish within {CHILD_S} s"
        if child.exitcode == 0 and target.exists():
            return ""
        log = folder / "log"
        output = " ".join(log.read_text(errors="replace").split())[-LOG_TAIL:] if log.exists() else ""
        return f"the child ended with exit code {child.exitcode}: {output or 'without output'}"


def _child(warm: WarmProcess, notebook: Notebook, folder: Path, target: Path) -> None:
    os.setsid()
    os.chdir(folder)
    with _silence(folder / "log"):
        evidence = _evidence(warm, notebook, folder)
        partial = folder / "evidence"
        partial.write_bytes(save_evidence(evidence))
        shutil.move(partial, target)


def _evidence(warm: WarmProcess, notebook: Notebook, folder: Path) -> Evidence:
    """The answers and errors of a components-only grade, without the questions, which all entries share."""
    steps = _steps(warm, notebook)
    sources = tuple(step.source for step in cell_steps(steps))
    already = len(warm.executed_sources) if sources[: len(warm.executed_sources)] == warm.executed_sources else 0
    if not already:
        warm.shell = _shell(warm.exercise.in_box)
    inbox = Inbox(warm.rubric.limits, started=True, finished=True)
    plan = plan_frame(steps, warm.rubric.interface, warm.rubric.limits)
    giver = QuestionSource(warm.questions, {step.stage for step in stage_steps(steps) if step.again})
    for step in steps:
        if isinstance(step, StageStep):
            if (stage_questions := giver(step.stage, inbox)) is not None:
                _ask(warm, plan, step.stage, stage_questions, folder / step.stage, inbox)
        elif already:
            already -= 1
        else:
            _run(warm.shell, step.source)
    first = _gathered(warm, warm.questions, {step.stage for step in stage_steps(steps)}, inbox)
    second = warm.exercise.second_questions(
        first, {}
    )  # in the same process, not in a second box: our corpus is trusted
    for stage, questions in second.items():
        _ask(warm, plan, stage, save(questions), folder / stage, inbox)
    return replace(merge_evidence(first, _gathered(warm, second, [*second], inbox)), questions={})


def _gathered(warm: WarmProcess, questions: Questions, stages: Collection[Stage], inbox: Inbox) -> Evidence:
    """The answers to these stages of the notebook in this process."""
    specs = {
        source: spec
        for source, spec in warm.exercise.answer_specs(warm.rubric.sizes).items()
        if source.stage in questions
    }
    return decode_answers(inbox, specs, questions, Status.OK, "", stages)


def _steps(warm: WarmProcess, notebook: Notebook) -> list[Step]:
    restored = restore_given(notebook, notebook)
    return first_plan(restored, warm.exercise, warm.rubric.interface.names, warm.rubric.limits, ())


def _given_cells(warm: WarmProcess) -> tuple[str, ...]:
    """Runs the reference's cells before its first task; returns their sources."""
    reference = corpus.build(corpus.REFERENCE)
    roles = restore_given(reference, reference).roles
    sources = []
    for step in _steps(warm, reference):
        if isinstance(step, StageStep) or roles[step.index].role not in DEFINITIONS:
            break
        _run(warm.shell, step.source)
        sources.append(step.source)
    return tuple(sources)


def _ask(warm: WarmProcess, plan: Plan, stage: Stage, questions: bytes, folder: Path, inbox: Inbox) -> None:
    """Puts what the box's own recorder writes about the stage into the inbox: answers, or why there is none."""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "answers").mkdir(parents=True)
    (folder / "questions.safetensors").write_bytes(questions)
    request = {
        "stage": stage,
        "kind": stage.kind,
        "question_s": warm.rubric.limits.question_s,
        "folder": str(folder),
        "skip": [],
        "probe": str(warm.exercise.in_box),
        "interface": plan.interface,
        "given": {},
        "in_box": str(IN_BOX_FOLDER),
        "writable": [],
    }
    recorder = IN_BOX_FOLDER / "recorder.py"
    variables = {"__name__": "recorder", "student": warm.shell.user_ns, "request": request}
    try:
        exec(compile(recorder.read_text(), str(recorder), "exec"), variables)
    except Exception as error:  # the recorder catches errors of student code
        inbox.put(*RunnerFault(f"asking {stage} failed: {type(error).__name__}: {error}").encode())
    for path in (folder / "answers").glob("*.*"):
        inbox.put(*recorded(stage, path.name, path.read_bytes()).encode())
    inbox.put(*StageEnd(stage, StageStatus.OK).encode())


def _shell(in_box: Path) -> Any:
    """A fresh shell in which the exercise's prelude has run, with frames named like a kernel's."""
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    shell = InteractiveShell(config=Config(HistoryManager={"enabled": False}))  # type: ignore[no-untyped-call]
    prelude = in_box / "prelude.py"
    if prelude.exists():
        _run(shell, prelude.read_text())
    return shell


def _run(shell: Any, source: str) -> None:
    """Runs the cell; errors are ignored, as in a notebook that continues after them."""
    shell.run_cell(source, store_history=False)


@contextlib.contextmanager
def _silence(log: Path) -> Iterator[None]:
    """Redirects all output, from Python and from native code, to the log."""
    sys.stdout.flush()
    sys.stderr.flush()
    originals = os.dup(1), os.dup(2)
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for number, copy in zip((1, 2), originals, strict=True):
            os.dup2(copy, number)
            os.close(copy)
