"""Tests whether a second, deliberate mistake could gain points, by combining the verdicts on two mutants.

For each check, the lower verdict counts. Follow-through is applied to the combined verdicts; if correct parts replace
everything that the two solutions changed, it uses the reference's pictures.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import combinations

from grader.audit.corpus import BOTH
from grader.exercise import Exercise
from grader.grading.follow_through import GradedAgain, due_replacements, with_points_back
from grader.records import ItemVerdict, Outcome, Rubric

Items = Sequence[ItemVerdict]


@dataclass(frozen=True)
class Pair:
    """Two mutants that earn more together, in one part of the exercise, than the worse one alone."""

    part: str
    worse: str
    other: str
    alone_milli: int
    together_milli: int
    unseen: bool  # whether the worse one loses points only for pictures: no check of the code finds its mistake


def paying_pairs(
    results: Mapping[str, Items],
    regions: Mapping[str, Collection[str]],
    rubric: Rubric,
    exercise: Exercise,
    reference: str,
) -> Iterator[Pair]:
    """Pairs in which a student with one mistake would gain points by making the other as well.

    regions: solution -> the regions that it changes; solutions that change the same region cannot be combined.
    reference: the name of the reference solution.
    """
    for part in exercise.parts:
        reference_items = _of_part(results[reference], part)
        verdicts_of = {name: _of_part(results[name], part) for name in regions}
        trained = {name: items for name, items in verdicts_of.items() if not any(map(_is_left_out, items))}
        for names in combinations(trained, 2):
            if set(regions[names[0]]).isdisjoint(regions[names[1]]):
                combined = _combined([trained[name] for name in names])
                again = partial(
                    _second, combined, reference_items, [(trained[n], regions[n]) for n in names], rubric, exercise
                )
                together = with_points_back(combined, rubric, exercise, again)
                yield from _paying(part, {name: trained[name] for name in names}, together, exercise)


def pairs_that_paid(results: Mapping[str, Items], exercise: Exercise) -> Iterator[Pair]:
    """The trained pairs "a+b" that earned more than the worse of the two alone."""
    for name, items in results.items():
        singles = name.split(BOTH)
        if len(singles) != 2 or not all(single in results for single in singles):
            continue
        for part in exercise.parts:
            alone = {single: _of_part(results[single], part) for single in singles}
            together = _of_part(items, part)
            if any(map(_is_left_out, [*together, *(item for each in alone.values() for item in each)])):
                continue
            yield from _paying(part, alone, together, exercise)


def _paying(part: str, alone: Mapping[str, Items], together: Items, exercise: Exercise) -> Iterator[Pair]:
    """Yields the two solutions of `alone` as a pair if they earn more together than the worse one alone."""
    worse, other = sorted(alone, key=lambda name: _total(alone[name]))
    worse_points, combined_points = _total(alone[worse]), _total(together)
    if combined_points > worse_points:
        yield Pair(part, worse, other, worse_points, combined_points, not _loses_code(alone[worse], exercise))


def _second(
    combined: Items,
    reference_items: Items,
    changes: Sequence[tuple[Items, Collection[str]]],
    rubric: Rubric,
    exercise: Exercise,
    part: str,
) -> GradedAgain:
    """The follow-through, with the pictures of solutions that are not fully replaced, or else of the reference."""
    due = due_replacements(combined, rubric, exercise)[part]
    stay = [items for items, regions in changes if not all(_is_in(region, due.names) for region in regions)]
    pictures = _combined(stay) if stay else reference_items
    again = (_with_pictures_of(whole, item, exercise) for whole, item in zip(pictures, combined, strict=True))
    return due.items, {item.id: item for item in again}


def _of_part(items: Items, part: str) -> list[ItemVerdict]:
    return [item for item in items if item.part == part]


def _is_left_out(item: ItemVerdict) -> bool:
    """Whether the item was not graded, because the part was not trained."""
    return item.outcome is Outcome.SKIPPED


def _is_in(region: str, names: Collection[str]) -> bool:
    """Whether the region, such as "Encoder.forward" or "vae_loss", belongs to one of the replacements."""
    return region in names or region.partition(".")[0] in names


def _loses_code(items: Items, exercise: Exercise) -> bool:
    checks = [check for item in items for check in item.checks if not exercise.checks[check.id].needs_training]
    return any(check.points_milli < check.max_points_milli for check in checks)


def _combined(verdict_sets: Sequence[Items]) -> list[ItemVerdict]:
    """The lowest verdict of each check, without points from follow-through."""
    lowest_items = []
    for items in zip(*verdict_sets, strict=True):
        of_each = zip(*(item.checks for item in items), strict=True)
        lowest = tuple(min(checks, key=lambda check: check.points_milli) for checks in of_each)
        lowest_items.append(_of_checks(replace(items[0], checks=lowest, gained_milli=0, lost_in=())))
    return lowest_items


def _with_pictures_of(other: ItemVerdict, item: ItemVerdict, exercise: Exercise) -> ItemVerdict:
    """The item with the other's verdicts in the checks of trained models."""
    pairs = zip(other.checks, item.checks, strict=True)
    return _of_checks(replace(item, checks=tuple(a if exercise.checks[a.id].needs_training else b for a, b in pairs)))


def _of_checks(item: ItemVerdict) -> ItemVerdict:
    points = sum(check.points_milli for check in item.checks)
    return replace(item, points_milli=points, outcome=Outcome.of_points(points, item.max_points_milli))


def _total(items: Items) -> int:
    return sum(item.points_milli for item in items)
