"""The page of the calibration: the rule, one row a check, and for each defective model which checks catch it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from grader.audit.calibration import Measurement, Threshold
from grader.audit.corpus import Solution
from grader.records import ItemVerdict, Outcome, Rubric
from grader.versions import versions

COMMAND = "make calibrate"
_LOST = (Outcome.FAILED, Outcome.PARTIAL)


@dataclass(frozen=True)
class Defect:
    """A defective model, and the checks that it loses points in: those of the code and those of the pictures."""

    model: str
    story: str
    components: tuple[str, ...]
    pictures: tuple[str, ...]


def defect(
    solution: Solution, parts: Sequence[str], items: Iterable[ItemVerdict], trained_checks: frozenset[str]
) -> Defect:
    """What the verdicts of a defective model say, in the parts that it trained."""
    lost = [
        (f"{item.id}: {check.id}", check.id in trained_checks)
        for item in items
        if item.id.partition(".")[0] in parts
        for check in item.checks
        if check.outcome in _LOST
    ]
    components = tuple(name for name, trained in lost if not trained)
    return Defect(solution.name, solution.story, components, tuple(name for name, trained in lost if trained))


def page(rows: Sequence[Threshold], found: Sequence[Measurement], defects: Sequence[Defect], rubric: Rubric) -> str:
    """The page as Markdown; its pictures lie in `calibration/` beside it."""
    known = ", ".join(f"{name} {number}" for name, number in versions().items())
    models = {group: len({m.model for m in found if m.group in names}) for group, names in _GROUPS.items()}
    sizes = ", ".join(f"{count} {name}" for name, count in rubric.sizes.items() if name in _COUNTED)
    lines = [
        "# Calibration of the quality checks",
        "",
        f"Made by `{COMMAND}` with {known}; {sizes}. "
        + ", ".join(f"{count} {group}" for group, count in models.items())
        + ". Values of every model: `calibration_models.csv`; this table with the overlaps: `calibration.csv`.",
        "",
        *_RULE,
        "",
        "| check | worst honest | best defect | rule: zero at, full at | rubric | margin | standard error | overlaps |",
        "| --- | --- | --- | --- | --- | ---: | ---: | ---: |",
    ]
    for row in rows:
        lines.append(
            f"| {row.item}: {row.check} | {row.honest_worst:.3g} {row.honest_worst_model} "
            f"| {row.best_defect:.3g} {row.best_defect_model} | {row.zero_at:g}, {row.full_at:g} "
            f"| {row.rubric_zero_at:g}, {row.rubric_full_at:g} | {row.margin.gap:.2g} | {row.standard_error:.2g} "
            f"| {len(row.overlaps)} |"
        )
    lines += ["", "## What catches each defective model", "", *_OVERLAPS, ""]
    lines += ["| model | what it is | lost in its code | lost in its pictures |", "| --- | --- | --- | --- |"]
    for one in defects:
        cells = [", ".join(names) or "nothing" for names in (one.components, one.pictures)]
        lines.append(f"| {one.model} | {one.story} | {cells[0]} | {cells[1]} |")
    lines += ["", "## One picture a check", ""]
    for row in rows:
        lines.append(f"![{row.item}: {row.check}](calibration/{row.item}.{row.check}.png)")
    return "\n".join([*lines, ""])


_GROUPS = {
    "honest models": {"honest"},
    "honest ones with other constants": {"varied"},
    "defective ones": {"caught", "other"},
}
_COUNTED = ("reconstructions", "samples", "prior_samples")
_RULE = (
    "The rule, in the direction in which a number gets better: with `H` the worst honest model that has the given",
    "constants and `B` the best of the defects that the check is there to catch, `full_at` lies half way from `B` to",
    "`H` and `zero_at` a tenth of the way. The margin is the distance from `full_at` to `H`; the standard error (the",
    "largest of an honest model's) stays below a fifth of it. Overlaps are other defective models above `zero_at`.",
)
_OVERLAPS = (
    "A check of pictures cannot see every defect: what overlaps with honest models in one check has to be lost in",
    "another, of its code if it can be. What changes only given cells (other data, other constants) loses little here",
    "and nothing in a grade, since given cells are put back before a notebook runs.",
)
