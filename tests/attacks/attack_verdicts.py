"""The result of a submission, in the words of the entries: its outcome class, its points, and what a student reads."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grader.records import GradeReport, Outcome, Status

GOT = "got it"  # an attack prints this when it has reached what it wanted
LIMITS = re.compile(
    r"longer than|more than (the )?\d+ (MB|processes|files|bytes)|did not finish|stopped after"
    r"|sent back (?:more|too much)"
    r"|more than can be asked for"
    r"|printed or showed too much|frames\b"
)
# What is ours and of no use to a student: files and modules of the grader, tracebacks, paths in the box.
INTERNALS = re.compile(r"Traceback|/box/|\bsafetensors\b|recorder\.py|runner\.py|\bgrader[./]|0x[0-9a-f]{6,}")


@dataclass(frozen=True)
class AttackResult:
    """What is left of one submission: a report and the folder it lies in, or the line that refused the file."""

    report: GradeReport | None
    refused: str
    folder: Path
    ours: bool = False  # it was not graded for a fault of the grader's

    @property
    def points_milli(self) -> int:
        """Its points; a file that is refused has none."""
        return self.report.points_milli if self.report else 0

    @property
    def printed(self) -> str:
        """Everything that its cells printed or raised in the box."""
        if self.report is None:
            return ""
        executed = json.loads((self.folder / "executed.ipynb").read_text())
        outputs = [output for cell in executed["cells"] for output in cell.get("outputs", [])]
        return "\n".join(str(output.get("text", "")) + str(output.get("evalue", "")) for output in outputs)

    def messages(self) -> dict[str, str]:
        """Item and check -> what the report says of it."""
        items = self.report.items if self.report else ()
        return {f"{item.id}/{check.id}": check.message for item in items for check in item.checks}

    def sentences(self) -> list[str]:
        """Everything that the grader reports, to the student or to staff."""
        if self.report is None:
            return [self.refused]
        texts = [*self.messages().values(), *self.report.events, *(remark.message for remark in self.report.remarks)]
        results: dict[str, Any] = json.loads((self.folder / "results.json").read_text())
        return [*texts, results["output"], *(test["output"] for test in results["tests"])]

    def says(self, fragment: str) -> bool:
        """Whether the report, or the end of the cell's own output, contains the fragment."""
        return any(fragment in sentence for sentence in (*self.sentences(), self.printed))

    def differences(self, without: AttackResult) -> list[str]:
        """What is reported of this submission and not of the other; for the person who reads a failed test."""
        changed = [
            f"{check}: {text}" for check, text in self.messages().items() if text != without.messages().get(check)
        ]
        points = f"{self.points_milli} instead of {without.points_milli}"
        return [points, self.refused, *changed, *(self.report.events if self.report else ()), self.printed[-2000:]]


def outcome_of(result: AttackResult, without: AttackResult) -> str:
    """The outcome class, given the result of the same notebook without the attack."""
    if result.report is None:
        return "ours" if result.ours else "bad_input"
    report = result.report
    if any(item.outcome is Outcome.NEEDS_REVIEW for item in report.items):
        return "ours"
    if report.needs_person:
        return "tamper"
    changed = [text for check, text in result.messages().items() if text != without.messages().get(check)]
    messages = [*report.events, *changed]
    if report.status is Status.TIMEOUT or any(LIMITS.search(text) for text in (*messages, *_cut_off(result))):
        return "limit"
    return "student_fault" if messages else "scored"


def _cut_off(result: AttackResult) -> Iterator[str]:
    """The mark of a cell's output that was dropped."""
    yield result.printed[-1_000_000:]
