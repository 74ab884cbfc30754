"""A class of made-up students with made-up reports, for pages and tables; nothing is run."""

from __future__ import annotations

import random
from pathlib import Path

from grader.batch.class_records import ClassSubmission, GradebookRow, Student, StudentState
from grader.batch.similar import SimilarPair
from grader.records import CheckVerdict, GradeReport, ItemVerdict, Outcome, Override, Remark, Rubric, Status
from grader.rubric import load_rubric

SHIPPED = Path(__file__).parents[2] / "rubric.yaml"
NAMES = ("Ada Lovelace", "Zoë Müller", "Jean-Luc O'Neil", "李伟", "عمر حسن", "<script>alert(1)</script>")
NAMES += ("X" * 300, "\u202egnp.exe")


def rubric() -> Rubric:
    """The shipped one."""
    return load_rubric(SHIPPED)[0]


def report(rng: random.Random, of: Rubric, *, look: bool) -> GradeReport:
    """Points here and there lost, with reasons."""
    items = []
    for number, item in enumerate(of.items):
        checks = []
        for spec in item.checks:
            lost = rng.random() < 0.12
            points = spec.points_milli // 2 // 250 * 250 if lost else spec.points_milli
            outcome = Outcome.PARTIAL if lost and points else Outcome.FAILED if lost else Outcome.PASSED
            message = "expected 2 things, got <b>1</b>" if lost else "fine"
            title = spec.check.replace("_", " ")
            checks.append(
                CheckVerdict(
                    spec.check, title, outcome, points, spec.points_milli, message, borderline=rng.random() < 0.01
                )
            )
        total = sum(check.points_milli for check in checks)
        outcome = Outcome.PASSED if total == item.points_milli else Outcome.PARTIAL
        decided = Override(total, "checked by hand", "A. Turing") if look and not number else None
        items.append(
            ItemVerdict(item.id, item.title, outcome, total, item.points_milli, tuple(checks), override=decided)
        )
    remark = (Remark("shadow", "a given name was taken by a cell of the student's", needs_person=True),) if look else ()
    return GradeReport(
        submission="x",
        points_milli=sum(item.points_milli for item in items),
        max_points_milli=of.points_milli,
        device="cpu",
        status=Status.OK,
        isolation="bubblewrap",
        needs_person=look,
        items=tuple(items),
        remarks=remark,
        events=(),
        seed="0" * 32,
        checksums={"rubric": "ab" * 32, "grader": "cd" * 32},
        versions={},
        wall_s=rng.uniform(60, 140),
        created="2026-11-01T10:00:00+00:00",
    )


def rows(count: int) -> list[GradebookRow]:
    """A class of this size: some refused, some failed, some without a submission."""
    rng, of = random.Random(1), rubric()
    gradebook = []
    for number in range(count):
        name = NAMES[number] if number < len(NAMES) else f"Student {rng.choice('ABCDEFGH')}{number:03d}"
        student = Student(f"{10000 + number}", name, f"s{number}@uni.example")
        state = rng.choices(
            [StudentState.GRADED, StudentState.LOOK, StudentState.REFUSED, StudentState.FAILED, StudentState.MISSING],
            [85, 7, 3, 2, 3],
        )[0]
        key = f"s{number:04d}"
        submission = (
            None
            if state is StudentState.MISSING
            else ClassSubmission(key, Path("x.ipynb"), f"{key}/vae.ipynb", student)
        )
        graded = state in {StudentState.GRADED, StudentState.LOOK}
        grade_report = report(rng, of, look=state is StudentState.LOOK) if graded else None
        reason = {StudentState.REFUSED: "is not JSON", StudentState.FAILED: "the sandbox did not start"}.get(state, "")
        gradebook.append(
            GradebookRow(key, state, student, submission, grade_report, Path(key) if submission else None, reason)
        )
    return gradebook


def pairs() -> list[SimilarPair]:
    """Two that are nearly the same."""
    source = "class Encoder(nn.Module):\n    def forward(self, x):\n        return '<script>alert(1)</script>'"
    return [
        SimilarPair("s0000", "s0001", "vae.encoder_decoder", 0.93, (source, source), (frozenset({1}), frozenset({1})))
    ]
