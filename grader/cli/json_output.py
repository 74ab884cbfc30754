"""The JSON that commands print with `--json`. Points are exact numbers, or null if there are none.

`grade`, `check`, `regrade` of a single run: the keys of `report.json`

`grade-class`: out, rows, remarks, all_sure
    a row: key, state, students (id and name), points, max_points (of what was graded), counted_points (points after the
        late penalty), late (as in `report.json`), reason, folder
    a state: graded, look, refused, failed, waiting or missing

`grade-class --plan`: layout, submissions, missing (id and name), remarks, all_sure
    a submission: key, state (to grade, graded already or refused), students, matched_by, file, why, left_out, doubts,
        handed_in (null if unknown), late (according to the download), refused

`regrade` of a class: out, submissions, changes, not_regraded, remarks, all_sure

`regrade --dry-run`: out, set, submissions, not_regraded, remarks
    a submission: submission, reported_points (its report's), old_points, new_points, old_penalty, new_penalty, items,
        why, undecided; the old points are those of the rubric without the numbers of `set`

`release`: out, released, held, left_out (rows as above), new (keys), files, remarks

`prune`: out, pruned, freed_bytes, left
`forget`: out, pseudonym, left
`export`: files

`history`: changes
    a change: when, who, what, submission, old_points, new_points, old_penalty, new_penalty, items, why, rubric, grader
    items: by id, those whose points changed: [old, new]

`doctor`: fit, conclusion, promises
    a promise: title, state (holds, weak or broken), found, fix

`audit`: sound, summary, troubles, remarks, solutions, files
    a trouble: kind, subject, text
    a solution: name, kind, `foretold`, lost (by item, in points)

`audit --seeds`: same, solutions (by name, seed and item: points), faults, files
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from grader.audit.command import CorpusTrial, SeedComparison
    from grader.batch.class_grading import ClassResult
    from grader.batch.class_records import GradebookRow, Student
    from grader.batch.dry_run import DryRun
    from grader.batch.history import HistoryEvent
    from grader.batch.plan import ClassPlan
    from grader.batch.regrading import RegradeResult
    from grader.batch.release import Release
    from grader.batch.retention import PruneResult
    from grader.doctor.promises import Promise

Values = dict[str, Any]


def class_values(result: ClassResult) -> Values:
    """The results of a class."""
    return {
        "out": str(result.out),
        "rows": [_row(row) for row in result.rows],
        "remarks": list(result.remarks),
        "all_sure": result.all_sure,
    }


def plan_values(plan: ClassPlan) -> Values:
    """The submissions that would be graded, with their students and the reasons."""
    from grader.batch.plan import doubts, state

    return {
        "layout": plan.layout,
        "submissions": [
            {
                "key": submission.key,
                "state": state(submission, plan.done),
                "students": _people(submission.students),
                "matched_by": submission.by,
                "file": submission.shown,
                "why": submission.why,
                "left_out": list(submission.left_out),
                "doubts": doubts(submission),
                "handed_in": submission.when.isoformat() if submission.when else None,
                "late": any(remark.kind == "late" for remark in submission.remarks),
                "refused": submission.refused,
            }
            for submission in plan.submissions
        ],
        "missing": _people(plan.missing),
        "remarks": list(plan.remarks),
        "all_sure": plan.all_sure,
    }


def regrade_values(out: Path, result: RegradeResult) -> Values:
    """The changes that a regrade made."""
    return {
        "out": str(out),
        "submissions": len(result.rows),
        "changes": [_event(event) for event in result.events],
        "not_regraded": list(result.failures),
        "remarks": list(result.remarks),
        "all_sure": result.all_sure,
    }


def dry_run_values(out: Path, result: DryRun) -> Values:
    """The changes that a regrade would make."""
    return {
        "out": str(out),
        "set": [str(change) for change in result.changes],
        "submissions": [
            {
                "submission": shift.submission,
                "reported_points": _number(shift.reported_milli),
                "old_points": _number(shift.old_milli),
                "new_points": _number(shift.new_milli),
                "old_penalty": _number(shift.old_milli - shift.old_counted_milli),
                "new_penalty": _number(shift.new_milli - shift.new_counted_milli),
                "items": _items(shift.event.items) if shift.event else {},
                "why": shift.event.why if shift.event else "",
                "undecided": shift.undecided,
            }
            for shift in result.shifts
        ],
        "not_regraded": list(result.failures),
        "remarks": list(result.remarks),
    }


def release_values(out: Path, result: Release) -> Values:
    """The submissions that were released, and those that were not."""
    return {
        "out": str(out),
        "released": [_row(row) for row in result.released],
        "held": [_row(row) for row in result.held],
        "left_out": [_row(row) for row in result.left_out],
        "new": [row.key for row in result.new],
        "files": [str(path) for path in result.files],
        "remarks": list(result.remarks),
    }


def prune_values(out: Path, result: PruneResult) -> Values:
    """The evidence that was removed."""
    return {"out": str(out), "pruned": result.count, "freed_bytes": result.freed_bytes, "left": list(result.left)}


def history_values(events: Iterable[HistoryEvent]) -> Values:
    """The changes of points, oldest first."""
    return {"changes": [_event(event) for event in events]}


def doctor_values(promises: Sequence[Promise]) -> Values:
    """The checks of this machine, and whether it can grade."""
    from grader.doctor.promises import PromiseState, conclusion

    rows = [{"title": p.title, "state": str(p.state), "found": p.found, "fix": p.fix} for p in promises]
    fit = not any(promise.state is PromiseState.BROKEN for promise in promises)
    return {"fit": fit, "conclusion": conclusion(promises), "promises": rows}


def audit_values(trial: CorpusTrial) -> Values:
    """Whether the audit passed, and what each solution lost."""
    from grader.audit.result import summary

    audit = trial.audit
    return {
        "sound": audit.has_no_problems,
        "summary": summary(audit),
        "troubles": [{"kind": t.kind, "subject": t.subject, "text": t.text} for t in audit.problems],
        "remarks": list(audit.remarks),
        "solutions": [
            {
                "name": row.name,
                "kind": row.kind,
                "foretold": list(row.expected_items),
                "lost": {result.item: _number(result.lost_milli) for result in row.item_results if result.lost_milli},
            }
            for row in audit.rows
        ],
        "files": [str(path) for path in trial.files],
    }


def seeds_values(comparison: SeedComparison) -> Values:
    """The points of each solution by seed."""
    return {
        "same": not comparison.faults,
        "solutions": {
            solution.name: {
                seed: {item: _number(milli) for item, milli in points} for seed, points in solution.by_seed.items()
            }
            for solution in comparison.solutions
        },
        "faults": comparison.faults,
        "files": [str(comparison.table)],
    }


def _row(row: GradebookRow) -> Values:
    return {
        "key": row.key,
        "state": str(row.state),
        "students": _people(row.students),
        "points": _number(row.points_milli),
        "max_points": _number(row.graded_milli),
        "counted_points": _number(row.counted_milli),
        "late": asdict(row.report.late) if row.report and row.report.late else None,
        "reason": row.reason,
        "folder": str(row.folder) if row.folder else None,
    }


def _people(students: Iterable[Student]) -> list[Values]:
    return [{"id": student.id, "name": student.name} for student in students]


def _event(event: HistoryEvent) -> Values:
    return {
        "when": event.when,
        "who": event.who,
        "what": event.what,
        "submission": event.submission,
        "old_points": _number(event.old_milli),
        "new_points": _number(event.new_milli),
        "old_penalty": _number(event.old_penalty_milli),
        "new_penalty": _number(event.new_penalty_milli),
        "items": _items(event.items),
        "why": event.why,
        "rubric": event.rubric,
        "grader": event.grader,
    }


def _items(moved: Mapping[str, tuple[int, int]]) -> dict[str, list[int | float | None]]:
    return {item: [_number(was), _number(now)] for item, (was, now) in moved.items()}


def _number(milli: int | None) -> int | float | None:
    from grader.report.text import points_number

    return None if milli is None else points_number(milli)
