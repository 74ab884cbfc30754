"""Follow-through: a later item that an earlier mistake affects is graded again, with correct code.

The rubric's key is `follow_through`. Code is replaced only in items that earned enough points, and a mistake that
affects a later item costs at least what the rubric says. Follow-through never takes points away, and a student sees
only its points: in that run their code could print, draw or raise parts of the correct code.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from grader.evidence import overlay, read_later
from grader.exercise import Exercise, ItemSpec
from grader.grading.finding_cache import FindingCache
from grader.grading.verdicts import item_verdicts, round_to_step
from grader.notebook.template import UNWRITTEN
from grader.records import Evidence, ItemVerdict, Outcome, Rubric, Stage

UNDEFINED = "is not defined"  # in verdicts on missing code, as is UNWRITTEN
AFFECTED_STAGES = ("trained", "quality", "decode")  # their answers depend on training
LOSING_OUTCOMES = frozenset({Outcome.FAILED, Outcome.PARTIAL})

# The ids of the replaced items, and the verdicts by item with correct code for them.
GradedAgain = tuple[tuple[str, ...], Mapping[str, ItemVerdict]]


@dataclass(frozen=True, slots=True)
class Replacement:
    """The items with replaced code, and the replaced names of the interface: of each item, only the wrong ones."""

    items: tuple[str, ...]
    names: tuple[str, ...]


@dataclass(frozen=True)
class Retraining:
    """A part that was trained again, with correct code for some of the student's."""

    replacement: Replacement
    key: str  # of the correct code: see `correct_code.correct_code_key`
    evidence: Evidence  # the answers of the stages that depend on training


def due_replacements(items: Sequence[ItemVerdict], rubric: Rubric, exercise: Exercise) -> dict[str, Replacement]:
    """Returns, for each part in which an earlier item may affect a later one, what to replace.

    Of an item with two networks only the wrong one is replaced: the correct one stays the student's.
    """
    settings = rubric.follow_through
    by_id = {item.id: item for item in items}
    replacements: dict[str, Replacement] = {}
    for item in items if settings.enabled else ():
        earlier = [by_id[name] for name in _dependencies(item, exercise) if name in by_id]
        wrong = sorted((cause for cause in earlier if _affects_later(cause, exercise)), key=share)
        candidates = [cause for cause in wrong if share(cause) >= settings.min_earned.get(cause.id, 0.0)]
        to_replace = candidates[: settings.max_replaced]
        remaining = [cause for cause in wrong if cause not in to_replace]
        if to_replace and _is_affected(item, exercise) and not any(map(_is_unwritten, remaining)):
            names = tuple(name for cause in to_replace for name in _wrong_names(cause, exercise))
            replacements[item.part] = Replacement(tuple(cause.id for cause in to_replace), names)
    return replacements


def verdicts(
    evidence: Evidence,
    retrainings: Mapping[str, Retraining],
    rubric: Rubric,
    exercise: Exercise,
    findings: FindingCache,
) -> tuple[ItemVerdict, ...]:
    """The verdicts on a run's evidence, and on the answers of parts that were trained again.

    Raises:
        EvidenceError: the evidence is read lazily, and cannot be read.
    """
    items = item_verdicts(evidence, rubric, exercise.checks, findings)
    return with_follow_through(items, rubric, exercise, evidence, retrainings, findings)


def with_follow_through(
    items: Sequence[ItemVerdict],
    rubric: Rubric,
    exercise: Exercise,
    evidence: Evidence,
    retrainings: Mapping[str, Retraining],
    findings: FindingCache | None = None,
) -> tuple[ItemVerdict, ...]:
    """Returns the verdicts, with the points that follow-through gives back under this rubric.

    If a changed rubric requires a follow-through that was never run, the items need manual review: that is not the
    student's fault.
    """

    def grade_again(part: str) -> GradedAgain | None:
        carried = retrainings.get(part)
        wrong = {item.id: _wrong_names(item, exercise) for item in items if _lost_points(item)}
        wrong_names = {name for names in wrong.values() for name in names}
        if carried is None:
            return None
        if not (set(carried.replacement.items) <= wrong.keys() and set(carried.replacement.names) <= wrong_names):
            return None
        both_runs = read_later(partial(_overlay_evidence, evidence, carried.evidence, part))
        own_findings = findings.with_prefix(f"{part} once more/") if findings else None
        second_verdicts = item_verdicts(both_runs, rubric, exercise.checks, own_findings)
        return carried.replacement.items, {verdict.id: verdict for verdict in second_verdicts}

    return with_points_back(items, rubric, exercise, grade_again)


def with_points_back(
    items: Sequence[ItemVerdict],
    rubric: Rubric,
    exercise: Exercise,
    graded_again: Callable[[str], GradedAgain | None],
) -> tuple[ItemVerdict, ...]:
    """Returns the verdicts, with the points that each part's follow-through gives back; if it is missing, for review.

    graded_again: part -> its verdicts with correct code, or None.
    """
    verdicts_by_id = {item.id: item for item in items}
    for part, replacement in due_replacements(items, rubric, exercise).items():
        affected = [item for item in items if item.part == part and _is_affected(item, exercise)]
        again = graded_again(part)
        if again is None:
            undecided = [replace(item, outcome=Outcome.NEEDS_REVIEW, lost_in=replacement.items) for item in affected]
            verdicts_by_id |= {item.id: item for item in undecided}
            continue
        replaced_items, second_verdicts = again
        cost_left = sum(_cost_beyond(verdicts_by_id[name], rubric) for name in replaced_items)
        for first in affected:
            second = second_verdicts[first.id]
            verdicts_by_id[first.id], cost_left = _with_points_back(first, second, replaced_items, rubric, cost_left)
    return tuple(_with_reasons(item, verdicts_by_id, rubric, exercise) for item in verdicts_by_id.values())


def _with_reasons(
    item: ItemVerdict, verdicts_by_id: Mapping[str, ItemVerdict], rubric: Rubric, exercise: Exercise
) -> ItemVerdict:
    """The verdict with the earlier items whose mistakes may affect it, but which earned too little to be replaced.

    Code that was not written is left out: reports name it in another place.
    """
    settings = rubric.follow_through
    if not settings.enabled or not _is_affected(item, exercise) or not _lost_points(item):
        return item
    causes = [verdicts_by_id[name] for name in _dependencies(item, exercise) if name in verdicts_by_id]
    too_low = {
        cause.id: settings.min_earned[cause.id]
        for cause in causes
        if share(cause) < settings.min_earned.get(cause.id, 0.0)
        and _affects_later(cause, exercise)
        and not _is_unwritten(cause)
    }
    return replace(item, not_replaced=too_low) if too_low else item


def share(item: ItemVerdict) -> float:
    """The share of the item's points that was earned, from 0 to 1."""
    return item.points_milli / item.max_points_milli


def _cost_beyond(item: ItemVerdict, rubric: Rubric) -> int:
    """Returns the cost of a mistake for later items, beyond the points lost in its own item, in thousandths."""
    return max(0, rubric.follow_through.min_cost_milli - (item.max_points_milli - item.points_milli))


def _with_points_back(
    first: ItemVerdict, second: ItemVerdict, replaced_items: tuple[str, ...], rubric: Rubric, cost_left: int
) -> tuple[ItemVerdict, int]:
    """Returns the verdict with the points of the follow-through, and the remaining cost of the mistakes."""
    if second.outcome is Outcome.NEEDS_REVIEW:
        return replace(first, outcome=Outcome.NEEDS_REVIEW, lost_in=replaced_items), cost_left
    second_points = round_to_step(rubric.follow_through.share * second.points_milli, rubric.points_step_milli)
    gained = max(0, second_points - first.points_milli)
    cost = min(cost_left, gained)
    gained -= cost
    if not gained:  # the gain is not above the least cost of the mistake
        return replace(first, lost_in=replaced_items if cost else ()), cost_left - cost
    points = first.points_milli + gained
    outcome = Outcome.of_points(points, first.max_points_milli)
    return replace(
        first, points_milli=points, gained_milli=gained, lost_in=replaced_items, outcome=outcome
    ), cost_left - cost


def _overlay_evidence(first: Evidence, second: Evidence, part: str) -> Evidence:
    """The first run's evidence, with the second run's for everything that depends on training."""

    affected = [Stage.of(kind, part) for kind in AFFECTED_STAGES]

    def is_unaffected(address: str) -> bool:
        return not any(stage.holds(address) for stage in affected)

    return Evidence(
        first.questions,
        overlay(first.answers, second.answers, is_unaffected),
        overlay(first.faults, second.faults, is_unaffected),
    )


def _lost_points(item: ItemVerdict) -> bool:
    return item.outcome in LOSING_OUTCOMES


def _affects_later(item: ItemVerdict, exercise: Exercise) -> bool:
    """Whether the item lost points in a check that can affect a later item.

    Correct code is worth a whole item; it is not given for a slip that costs half a point and affects nothing.
    """
    return bool(_wrong_names(item, exercise))


def _wrong_names(item: ItemVerdict, exercise: Exercise) -> tuple[str, ...]:
    """The names of the item whose code lost points in a check that can affect a later item."""
    spec = exercise.items.get(item.id, ItemSpec())
    failed_checks = [check.id for check in item.checks if check.outcome in LOSING_OUTCOMES]
    causes = [check for check in failed_checks if exercise.checks[check].affects_later]
    names = {name for check in causes for name in spec.meant_by(check)}
    return tuple(name for name in spec.implements if name in names) if _lost_points(item) else ()


def _is_unwritten(item: ItemVerdict) -> bool:
    """Whether the student did not write it: then nothing can be trained, whatever else is replaced."""
    messages = [check.message for check in item.checks]
    not_there = [message.startswith(UNWRITTEN) or message.endswith(UNDEFINED) for message in messages]
    return item.points_milli == 0 and all(not_there)


def _dependencies(item: ItemVerdict, exercise: Exercise) -> tuple[str, ...]:
    return exercise.items.get(item.id, ItemSpec()).depends_on


def _is_affected(item: ItemVerdict, exercise: Exercise) -> bool:
    """Whether the item lost points in a check that depends on training."""
    training_checks = [check for check in item.checks if exercise.checks[check.id].needs_training]
    return bool(_dependencies(item, exercise)) and any(check.outcome in LOSING_OUTCOMES for check in training_checks)
