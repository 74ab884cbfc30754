"""Follow-through: a later item that an earlier mistake spoilt is judged once more with the broken part replaced.

A sound part is given only for one of which enough was earned, and a mistake that spoilt something costs at least what
the rubric says. The second judging never takes points away, and nothing of its run but the points reaches a student:
beside the sound parts their code could print, draw or raise whatever those hold.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from grader.evidence import overlay, read_later
from grader.exercise import Exercise, ItemSpec
from grader.grading.finding_cache import FindingCache
from grader.grading.judge import judge, stepped
from grader.grading.plan import UNWRITTEN
from grader.records import Evidence, ItemVerdict, Outcome, Rubric, Stage

UNDEFINED = "is not defined"  # what verdicts say, beside UNWRITTEN, of code that is not there
SPOILT_STAGES = ("trained", "quality", "decode")  # whose answers depend on what was trained


Second = tuple[tuple[str, ...], Mapping[str, ItemVerdict]]  # ids of replaced items; the verdicts by item, with those


@dataclass(frozen=True, slots=True)
class Replaced:
    """The items of which something is replaced, and the interface's names that are: of an item, what is wrong of it."""

    items: tuple[str, ...]
    names: tuple[str, ...]


@dataclass(frozen=True)
class CarriedForward:
    """A part that was trained once more with sound parts in the place of some of the student's."""

    replaced: Replaced
    key: str  # of the sound parts: see `sound_parts.replacement_key`
    evidence: Evidence  # the answers of the stages that depend on training


def to_replace(items: Sequence[ItemVerdict], rubric: Rubric, exercise: Exercise) -> dict[str, Replaced]:
    """Part -> what to replace of earlier items, for each part where they may have spoilt a later one.

    Of an item with two networks only the wrong one goes: the sound one of the two stays the student's own.
    """
    settings = rubric.follow_through
    by_id = {item.id: item for item in items}
    found: dict[str, Replaced] = {}
    for item in items if settings.enabled else ():
        earlier = [by_id[name] for name in _spoilt_by(item, exercise) if name in by_id]
        lost = sorted((other for other in earlier if _spoils(other, exercise)), key=share)
        earned = [other for other in lost if share(other) >= settings.min_earned.get(other.id, 0.0)]
        replaced = earned[: settings.max_replaced]
        rest = [other for other in lost if other not in replaced]
        if replaced and _spoilt(item, exercise) and not any(map(_unwritten, rest)):
            names = tuple(name for other in replaced for name in _wrong_names(other, exercise))
            found[item.id.partition(".")[0]] = Replaced(tuple(other.id for other in replaced), names)
    return found


def verdicts(
    evidence: Evidence,
    followed: Mapping[str, CarriedForward],
    rubric: Rubric,
    exercise: Exercise,
    findings: FindingCache,
) -> tuple[ItemVerdict, ...]:
    """The verdicts on a run's evidence, and on what its parts answered when they were trained once more.

    Raises:
        EvidenceError: where the evidence is only read now, and cannot be.
    """
    items = judge(evidence, rubric, exercise.checks, findings)
    return with_followed(items, rubric, exercise, evidence, followed, findings)


def with_followed(
    items: Sequence[ItemVerdict],
    rubric: Rubric,
    exercise: Exercise,
    evidence: Evidence,
    followed: Mapping[str, CarriedForward],
    findings: FindingCache | None = None,
) -> tuple[ItemVerdict, ...]:
    """The verdicts, and what the second judging gives back where it applies under this rubric.

    Where a moved number makes a second judging due that was never run, a person decides: that is no student's fault.
    """

    def second(part: str) -> Second | None:
        run = followed.get(part)
        wrong = {item.id: _wrong_names(item, exercise) for item in items if _lost(item)}
        names = {name for one in wrong.values() for name in one}
        if run is None or not (set(run.replaced.items) <= wrong.keys() and set(run.replaced.names) <= names):
            return None
        overlaid = read_later(partial(_overlaid, evidence, run.evidence, part))
        prefixed = findings.with_prefix(f"{part} once more/") if findings else None
        return run.replaced.items, {i.id: i for i in judge(overlaid, rubric, exercise.checks, prefixed)}

    return with_second(items, rubric, exercise, second)


def with_second(
    items: Sequence[ItemVerdict], rubric: Rubric, exercise: Exercise, second: Callable[[str], Second | None]
) -> tuple[ItemVerdict, ...]:
    """The verdicts, with what the second judging of each part gives back; where there is none, a person decides.

    second: part -> its second judging, or None.
    """
    made = {item.id: item for item in items}
    for part, due in to_replace(items, rubric, exercise).items():
        spoilt = [item for item in items if item.id.startswith(f"{part}.") and _spoilt(item, exercise)]
        judged = second(part)
        if judged is None:
            made |= {item.id: replace(item, outcome=Outcome.NEEDS_REVIEW, lost_in=due.items) for item in spoilt}
            continue
        replaced, verdicts_again = judged
        owed = sum(_owed(made[name], rubric) for name in replaced)
        for own in spoilt:
            made[own.id], owed = _given_back(own, verdicts_again[own.id], replaced, rubric, owed)
    return tuple(made.values())


def share(item: ItemVerdict) -> float:
    """How much of the item was earned, from 0 to 1."""
    return item.points_milli / item.max_points_milli


def _owed(item: ItemVerdict, rubric: Rubric) -> int:
    """What a mistake that spoilt later items costs beyond what it cost where it was made, in thousandths."""
    return max(0, rubric.follow_through.min_cost_milli - (item.max_points_milli - item.points_milli))


def _given_back(
    own: ItemVerdict, second: ItemVerdict, replaced: tuple[str, ...], rubric: Rubric, owed: int
) -> tuple[ItemVerdict, int]:
    """The verdict with what the second judging gives, and what is still `owed` of what the mistakes cost."""
    if second.outcome is Outcome.NEEDS_REVIEW:
        return replace(own, outcome=Outcome.NEEDS_REVIEW, lost_in=replaced), owed
    worth = stepped(rubric.follow_through.share * second.points_milli, rubric.points_step_milli)
    gained = max(0, worth - own.points_milli)
    kept = min(owed, gained)
    gained -= kept
    if not gained:  # what it would give is what the mistake costs at least
        return replace(own, lost_in=replaced if kept else ()), owed - kept
    points = own.points_milli + gained
    outcome = Outcome.PASSED if points == own.max_points_milli else Outcome.PARTIAL
    return replace(own, points_milli=points, gained_milli=gained, lost_in=replaced, outcome=outcome), owed - kept


def _overlaid(first: Evidence, second: Evidence, part: str) -> Evidence:
    """The first run's evidence with the second's word on everything that depends on training."""

    spoilt = [Stage.of(kind, part) for kind in SPOILT_STAGES]

    def kept(source: str) -> bool:
        return not any(stage.holds(source) for stage in spoilt)

    return Evidence(
        first.questions,
        overlay(first.answers, second.answers, kept),
        overlay(first.faults, second.faults, kept),
    )


def _lost(item: ItemVerdict) -> bool:
    return item.outcome in {Outcome.FAILED, Outcome.PARTIAL}


def _spoils(item: ItemVerdict, exercise: Exercise) -> bool:
    """Whether the item lost something that can have spoilt a later one.

    A sound part is worth a whole item; it is not to be had for a slip that costs half a point and spoils nothing.
    """
    return bool(_wrong_names(item, exercise))


def _wrong_names(item: ItemVerdict, exercise: Exercise) -> tuple[str, ...]:
    """The names that the item asks for in whose code something was lost that can have spoilt a later item."""
    spec = exercise.items.get(item.id, ItemSpec())
    lost = [check.id for check in item.checks if check.outcome in {Outcome.FAILED, Outcome.PARTIAL}]
    meant = {name for check in lost if exercise.checks[check].affects_later for name in spec.meant_by(check)}
    return tuple(name for name in spec.implements if name in meant) if _lost(item) else ()


def _unwritten(item: ItemVerdict) -> bool:
    """Whether the student left it open: then nothing is trained, whatever else is replaced."""
    told = [check.message for check in item.checks]
    return item.points_milli == 0 and all(one.startswith(UNWRITTEN) or one.endswith(UNDEFINED) for one in told)


def _spoilt_by(item: ItemVerdict, exercise: Exercise) -> tuple[str, ...]:
    return exercise.items.get(item.id, ItemSpec()).depends_on


def _spoilt(item: ItemVerdict, exercise: Exercise) -> bool:
    """Whether the item lost something in a check that depends on what was trained."""
    lost = {Outcome.FAILED, Outcome.PARTIAL}
    trained = [check for check in item.checks if exercise.checks[check.id].needs_training]
    return bool(_spoilt_by(item, exercise)) and any(check.outcome in lost for check in trained)
