"""Grades one submission: reads it, runs it in the box, gathers evidence, computes points, writes the report.

The input is three paths (notebook, rubric and run folder), the output files. A run produces evidence, and points are
computed only from the evidence, so a stored run can be re-graded at any time without running the notebook. The whole
folder is written at the end.

A fault of the grader or the machine gives no points; one line says why.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from grader.errors import BoxError, GraderError, nearest, one_line
from grader.evidence import as_stored
from grader.exercise import Exercise, Say
from grader.grading.cache_keys import questions_checksum, run_key
from grader.grading.correct_code import correct_code_key, correct_code_questions, reference_definitions
from grader.grading.finding_cache import FindingCache
from grader.grading.folder_choice import (
    REPLACE,
    earlier_report,
    is_weaker,
    own_folder,
    refuse_less,
)
from grader.grading.follow_through import Retraining, due_replacements, verdicts
from grader.grading.live_line import unseen
from grader.grading.overrides import decisions_on, with_overrides
from grader.grading.preloading import Preloading
from grader.grading.regrade import save_findings
from grader.grading.run import (
    BOX_SAYS,
    Case,
    NotebookRun,
    box_pool,
    case_of,
    retrain,
    run_submission,
    unused_gpu,
)
from grader.grading.run_files import files_of_run, new_run_folder, put_in_place
from grader.grading.run_pages import Drawings, draw, load_pages, store_drawings, write_pages, written_names
from grader.grading.stored_run import EVIDENCE_CHECKSUM, store_run, write_owner
from grader.grading.tampering import tampering_remarks
from grader.grading.verdicts import item_verdicts
from grader.notebook.read import read_submission
from grader.notebook.restore import load_templates
from grader.notebook.saved_outputs import compare_saved
from grader.records import (
    Blame,
    Evidence,
    Execution,
    GradeReport,
    ItemVerdict,
    Outcome,
    Remark,
    Rubric,
    Status,
    Submission,
)
from grader.report.text import points_text
from grader.report.totals import is_graded, needs_person
from grader.report.words import graded_points
from grader.rubric import load_rubric
from grader.sandbox.isolation import backend_named
from grader.store.versions import grader_checksum, missing_packages, versions

OURS = "a grader fault, or a problem with this machine"
MAX_CAUSE = 300  # characters


@dataclass(frozen=True)
class Options:
    """How to grade: options that are not in the rubric."""

    seed: str | None = None  # 32 hexadecimal digits: repeats a run's questions
    isolation: str = "bubblewrap"
    parts: tuple[str, ...] | None = None  # those to train; None: all, (): components only
    remarks: tuple[Remark, ...] = ()  # made before the file was read
    replace: bool = False  # a run may replace that of another notebook, or a stronger one
    locked_by_caller: bool = False  # the caller, such as a class, owns the folder and has locked it


def grade(
    submission_path: Path,
    rubric_path: Path,
    run_dir: Path | None = None,
    options: Options | None = None,
    say: Say = print,
    live: Say = unseen,
) -> tuple[GradeReport, Path]:
    """Grades the submission and writes every output into its run folder; returns the report and the folder.

    Without `run_dir`, `folder_choice` chooses the folder. A run replaces the folder's earlier run when it is written
    completely; an instructor's decisions in the folder stay in force. While a cell runs, `live` gets a line that
    replaces the line before: which cell, for how long, and what it printed last; an empty line when the cell has ended.

    Raises:
        GraderError: nothing could be graded, or the folder holds a stronger run; one line says why. The folder is then
            unchanged.
    """
    options = options or Options()
    backend_named(options.isolation)  # refuses a machine that cannot isolate before anything is prepared
    rubric, exercise = load_rubric(rubric_path)
    refuse_unknown_parts(options.parts, exercise)
    if missing_line := missing_packages(rubric.packages):
        say(missing_line)
    limits = rubric.limits
    submission = read_submission(submission_path, max_mb=limits.notebook_mb, max_cells=limits.cells)
    if options.locked_by_caller and run_dir is not None:
        place: AbstractContextManager[Path] = nullcontext(run_dir)
    else:
        place = own_folder(submission_path, submission, rubric_path, run_dir, options.parts, replace=options.replace)
    with place as folder, new_run_folder(folder) as finished:
        if options.locked_by_caller:
            write_owner(folder, submission_path, rubric_path)
        if not options.replace:
            refuse_less(folder, options.parts)
        private = (rubric_path.parent, exercise.in_box.parent, submission_path.parent, folder.parent)
        task = _Task(submission, rubric_path, rubric, exercise, options, private, live)
        return _run_into(task, folder, finished, say), folder


@dataclass(frozen=True)
class _Task:
    """The submission to grade, and how to grade it."""

    submission: Submission
    rubric_path: Path
    rubric: Rubric
    exercise: Exercise
    options: Options
    private: tuple[Path, ...]  # folders of the course, the class and its runs, which no box may read
    live: Say


@dataclass(frozen=True)
class _GradedRun:
    """The result of a run, before anything is written."""

    case: Case
    seed: str
    notebook_run: NotebookRun
    retrainings: Mapping[str, Retraining]
    items: tuple[ItemVerdict, ...]
    findings: FindingCache
    drawings: Drawings
    key: str  # what decided how it was run


def _run_into(task: _Task, folder: Path, finished: Path, say: Say) -> GradeReport:
    """Runs and grades the submission, writes the run into `finished`, and then puts it into the folder."""
    submission, rubric, exercise = task.submission, task.rubric, task.exercise
    old = earlier_report(folder)
    same_text = old is not None and old.checksums.get("notebook") == submission.sha256
    decisions = decisions_on(
        folder, submission, rubric, old if same_text else None, in_class=task.options.locked_by_caller
    )
    run = _run_and_grade(task, say)
    say("writing the report")
    report = with_overrides(_report(task, run, store_run(finished, run.notebook_run, run.retrainings)), decisions)
    weaker = is_weaker(report, old) if old is not None else ""
    if old is not None and weaker and not task.options.replace:
        raise GraderError(f"{folder}: the earlier run was kept, {graded_points(old)}: {weaker}; {REPLACE}")
    save_findings(finished, exercise, run.findings)
    store_drawings(finished, run.drawings, exercise, rubric)
    write_pages(finished, report, run.drawings, run.notebook_run.execution, written_names(exercise, rubric), folder)
    put_in_place(folder, finished, keep_as=kept_name(folder, old) if weaker or not same_text else "")
    return report


def _run_and_grade(task: _Task, say: Say) -> _GradedRun:
    """Runs and grades the submission.

    Raises:
        GraderError: the box failed.
    """
    rubric, exercise, options = task.rubric, task.exercise, task.options
    with box_pool(exercise, rubric.limits, exercise.prepare(say), options.isolation, task.private) as boxes:
        say("starting the sandbox")
        boxes.ensure_waiting(1)
        templates = load_templates(task.rubric_path, rubric)
        reference_code = reference_definitions(task.rubric_path, rubric)
        seed = options.seed or secrets.token_hex(16)
        case = case_of(task.submission.notebook, templates, rubric, exercise, seed, boxes, task.live)
        with Preloading(*exercise.to_preload(), load_pages) as preloading:
            notebook_run = run_submission(case, say, parts=options.parts, preloading=preloading)
        refuse_broken(notebook_run)
        say("grading the answers")
        findings = FindingCache()
        with ThreadPoolExecutor(1) as pool:
            drawing = pool.submit(draw, notebook_run, exercise, rubric, templates)
            retrainings = retrain_affected_parts(notebook_run.evidence, {}, reference_code, case, findings, say)
            items = verdicts(notebook_run.evidence, retrainings, case.rubric, exercise, findings)
            for line in outcomes_with_correct_code(retrainings, items):
                say(line)
            drawings = drawing.result()
    key = run_key(rubric, exercise, templates, options.parts, options.isolation)
    return _GradedRun(case, seed, notebook_run, retrainings, items, findings, drawings, key)


def _report(task: _Task, run: _GradedRun, evidence_checksum: str) -> GradeReport:
    """Returns the report on the run, whose evidence has this checksum.

    Raises:
        GraderError: nothing of the submission could be graded.
    """
    submission, rubric, restored, notebook_run = task.submission, task.rubric, run.case.restored, run.notebook_run
    checksums = {
        "notebook": submission.sha256,
        "rubric": rubric.sha256,
        "grader": grader_checksum(),
        "questions": questions_checksum(run.case.questions),
        "run": run.key,
        EVIDENCE_CHECKSUM: evidence_checksum,
    }
    output_remarks = compare_saved(submission.notebook, restored, notebook_run.notebook, notebook_run.execution.cells)
    tampering = tampering_remarks(notebook_run.evidence, run.case.given_definitions, task.exercise.parts)
    gpu_remarks = unused_gpu(notebook_run, task.exercise, run.case.boxes)
    remarks = (*task.options.remarks, *submission.remarks, *restored.remarks, *output_remarks, *tampering, *gpu_remarks)
    reasons = task.exercise.reasons_for_person(notebook_run.evidence)
    execution = notebook_run.execution
    report = make_report(submission.name, run.items, rubric, execution, remarks, reasons, run.seed, checksums)
    report = replace(report, template=restored.template)
    if not any(fault.blame is Blame.MACHINE for fault in notebook_run.evidence.faults.values()):
        refuse_undecided(report)
    return report


def kept_name(folder: Path, old: GradeReport | None) -> str:
    """Returns the name that keeps the folder's run when a run of another text replaces it; empty without a run."""
    if old is None:  # damaged, or of another version: it may still be a grade
        return f"unreadable-{_time_for_folder(datetime.now(UTC).isoformat())}" if any(files_of_run(folder)) else ""
    return _time_for_folder(old.created)


def _time_for_folder(created: str) -> str:
    """A time as part of a folder's name, "2026-11-23T10-15-00"."""
    return re.sub(r"[^0-9T]", "-", created[:19]) or "undated"


def refuse_unknown_parts(parts: Collection[str] | None, exercise: Exercise) -> None:
    """Refuses parts that the exercise does not have.

    Raises:
        GraderError: for an unknown part, with the nearest name.
    """
    for part in parts or ():
        if part not in exercise.parts:
            raise GraderError(f"--parts: unknown part {part[:40]!r}{nearest(part, exercise.parts)}")


def retrain_affected_parts(
    evidence: Evidence,
    earlier: Mapping[str, Retraining],
    reference_code: str,
    case: Case,
    findings: FindingCache,
    say: Say,
) -> dict[str, Retraining]:
    """Trains again, with correct code, each part that has an item affected by an earlier one; returns part -> answers.

    If the `earlier` run has the answers for the same items and the same correct code, the part is not trained again.
    """
    rubric, exercise = case.rubric, case.exercise
    titles = {item.id: item.title for item in rubric.items}
    retrainings: dict[str, Retraining] = {}
    items = item_verdicts(evidence, rubric, exercise.checks, findings)
    for part, replacement in due_replacements(items, rubric, exercise).items():
        correct_parts = (replacement.names, exercise, rubric.interface.names, reference_code)
        previous, key = earlier.get(part), correct_code_key(*correct_parts)
        if previous is not None and (previous.replacement, previous.key) == (replacement, key):
            retrainings[part] = previous
            continue
        replaced_titles = ", ".join(titles[item] for item in replacement.items)
        say(f"training {part.upper()} again with correct code for: {replaced_titles}")
        evidence_again = retrain(case, part, correct_code_questions(*correct_parts), say)
        retrainings[part] = Retraining(replacement, key, as_stored(evidence_again))
    return retrainings


def outcomes_with_correct_code(retrainings: Collection[str], items: Sequence[ItemVerdict]) -> Iterator[str]:
    """The outcome of training each part again with correct code, in a line each."""
    for part in retrainings:
        of_part = [item for item in items if item.part == part]
        gained = sum(item.gained_milli for item in of_part)
        if gained:
            yield f"{part.upper()} with correct code: points given back: {points_text(gained)}"
        elif any(item.lost_in and item.outcome is Outcome.NEEDS_REVIEW for item in of_part):
            yield f"{part.upper()} with correct code: could not be graded automatically; needs manual review"
        else:
            yield f"{part.upper()} with correct code: did not help; the points stay lost"


def make_report(
    name: str,
    items: tuple[ItemVerdict, ...],
    rubric: Rubric,
    execution: Execution,
    remarks: tuple[Remark, ...],
    reasons: Sequence[str],
    seed: str,
    checksums: dict[str, str],
) -> GradeReport:
    """Returns the report on these verdicts; `reasons` are review reasons."""
    box_faults = [event for event in execution.events if event.startswith(BOX_SAYS)]
    remarks += tuple(Remark("look", reason, needs_person=True) for reason in (*box_faults, *reasons))
    return GradeReport(
        submission=name,
        points_milli=sum(item.points_milli for item in items),
        max_points_milli=rubric.points_milli,
        device=execution.device,
        status=execution.status,
        isolation=execution.isolation,
        needs_person=needs_person(items, remarks, execution.status, execution.isolation),
        items=items,
        remarks=remarks,
        events=execution.events,
        seed=seed,
        checksums=checksums,
        versions=versions(),
        wall_s=execution.wall_s,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def refuse_broken(notebook_run: NotebookRun) -> None:
    """Refuses a run whose box has failed: it gives no points.

    Raises:
        BoxError: the box has failed; the line gives the cause, if it is known, and the command that shows more.
    """
    execution = notebook_run.execution
    if execution.status is not Status.BOX_ERROR:
        return
    cause = one_line(execution.events[-1] if execution.events else "the sandbox failed", MAX_CAUSE)
    log = execution.log_tail.strip()
    if log and not execution.cells:  # no cell has run yet, so the notebook cannot have written this
        cause += f": {one_line(log.splitlines()[-1], MAX_CAUSE)}"
    raise BoxError(f"{OURS}: {cause}; `python -m grader doctor` checks this machine")


def refuse_undecided(report: GradeReport) -> None:
    """Refuses a run in which no check could be graded: there are no points to report, not even zero.

    Raises:
        GraderError: no check could be graded.
    """
    undecided = [item for item in report.items if item.outcome is Outcome.NEEDS_REVIEW]
    if not undecided or any(is_graded(item) for item in report.items):
        return
    check = next(check for item in undecided for check in item.checks if check.outcome is Outcome.NEEDS_REVIEW)
    raise GraderError(f"{OURS}: {one_line(check.message, MAX_CAUSE)}; `python -m grader doctor` checks this machine")
