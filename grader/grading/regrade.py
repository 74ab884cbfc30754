"""Re-grades a stored run from its evidence with the current rubric, without running the notebook.

The findings of the checks are stored with the evidence, so that only what has changed is measured again.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

from grader.errors import GraderError
from grader.evidence import read_later
from grader.exercise import Exercise
from grader.grading import follow_through
from grader.grading.cache_keys import FileKind, code_key
from grader.grading.finding_cache import FindingCache, read_findings, write_findings
from grader.grading.folder_choice import class_above, refuse_other_rubric
from grader.grading.overrides import OVERRIDES, decisions_in, decisions_of_folder, with_overrides
from grader.grading.run_files import FINDINGS, finish_swap
from grader.grading.run_pages import write_report
from grader.grading.stored_run import (
    evidence_checksum,
    remember_checksums,
    stored_evidence,
    stored_report,
    stored_retrainings,
)
from grader.records import GradeReport, ItemVerdict, Rubric
from grader.report.totals import with_items
from grader.rubric import load_rubric
from grader.store.versions import grader_checksum, versions


def regrade(folder: Path, rubric_path: Path) -> GradeReport:
    """Re-grades the folder's stored evidence with the current rubric, without running the notebook.

    An instructor's decisions stay in force: those in the folder's own `overrides.yaml`, or else those in the report.

    Raises:
        GraderError: the folder holds no finished run, the rubric is another exercise's, or `overrides.yaml` is wrong.
    """
    rubric, exercise = load_rubric(rubric_path)
    finish_swap(folder)
    old = stored_report(folder)
    refuse_other_rubric(folder, old, rubric, rubric_path)
    report = with_own_decisions(folder, regraded_report(folder, old, rubric, exercise), rubric)
    write_report(folder, report, exercise, rubric)
    return report


def with_own_decisions(folder: Path, report: GradeReport, rubric: Rubric) -> GradeReport:
    """The report with the decisions in the folder's own `overrides.yaml`, if it has one.

    Raises:
        GraderError: the file is wrong, or the run belongs to a class.
    """
    if not (folder / OVERRIDES).exists():
        return report
    if (of_class := class_above(folder)) is not None:
        raise GraderError(
            f"{folder / OVERRIDES}: this run belongs to a class; move the decisions to {of_class / OVERRIDES} "
            "and regrade the class"
        )
    return with_overrides(report, decisions_of_folder(folder, report.submission, rubric))


def regraded_report(
    folder: Path, old: GradeReport, rubric: Rubric, exercise: Exercise, *, keep: bool = True
) -> GradeReport:
    """Returns the report on the folder's evidence with this rubric; decisions are kept.

    Nothing is written, except the findings if `keep`.
    """
    items = verdicts(folder, rubric.for_template(old.template), exercise, keep=keep)
    report = replace(
        with_items(old, items, old.remarks),
        max_points_milli=rubric.points_milli,
        checksums={**old.checksums, "rubric": rubric.sha256, "grader": grader_checksum()},
        versions=versions(),
    )
    return with_overrides(report, decisions_in(old))


def verdicts(folder: Path, rubric: Rubric, exercise: Exercise, *, keep: bool = False) -> tuple[ItemVerdict, ...]:
    """The verdicts on the folder's stored evidence with this rubric.

    Findings stored in the folder are not measured again; if `keep`, new findings are stored.

    Raises:
        GraderError: the folder holds no finished run.
    """
    findings = load_findings(folder, exercise)
    evidence = read_later(partial(stored_evidence, folder))
    items = follow_through.verdicts(evidence, stored_retrainings(folder), rubric, exercise, findings)
    if keep:
        save_findings(folder, exercise, findings)
    return items


def load_findings(folder: Path, exercise: Exercise) -> FindingCache:
    """The findings in the folder; none if they are about other evidence, or made by other code.

    Raises:
        GraderError: the folder holds no evidence.
    """
    return read_findings(folder / FINDINGS, _made_of(folder, exercise))


def save_findings(folder: Path, exercise: Exercise, findings: FindingCache) -> None:
    """Writes the checksums of the folder's evidence, and the findings on it, into the folder."""
    remember_checksums(folder)
    write_findings(folder / FINDINGS, findings, _made_of(folder, exercise))


def _made_of(folder: Path, exercise: Exercise) -> dict[str, str]:
    return {"evidence": evidence_checksum(folder), "code": code_key(FileKind.FIND, exercise.in_box.parent)}
