"""Adding a second mistake on purpose: what two solutions would earn together."""

from __future__ import annotations

import random
from dataclasses import replace
from types import SimpleNamespace
from typing import cast

from audit_samples import EXERCISE, rubric, verdicts, wrong

from grader.audit import corpus
from grader.audit.comparison import audit
from grader.audit.corpus import REFERENCE
from grader.audit.pairs import Pair, pairs_that_paid, paying_pairs
from grader.audit.result import Audit
from grader.exercise import Exercise, ItemSpec
from grader.records import FollowThrough, ItemVerdict

FOLLOWED = replace(rubric(), follow_through=FollowThrough(enabled=True, max_replaced=1, share=1.0))
ITEMS = {
    "one.turn": ItemSpec(implements=("Turner",)),
    "one.draw": ItemSpec(depends_on=("one.turn",)),
    "two.turn": ItemSpec(),
    "two.draw": ItemSpec(),
}
DRAWN = cast(Exercise, SimpleNamespace(checks=EXERCISE.checks, parts=("one",), items=ITEMS))
REGIONS = {"weak": ["Turner.left"], "slip": ["Turner.right"], "far": ["walk"]}
SOUND = verdicts(trained=True)
WEAK = verdicts({"one.draw: draws_well": 15_000}, trained=True)  # correct code with poor pictures


def earned(losses: dict[str, int], gained: int = 0) -> tuple[ItemVerdict, ...]:
    """Trained verdicts on a solution whose pictures are affected, and given back where something is `gained`."""
    turn, draw, *others = verdicts({**losses, "one.draw: draws_well": 20_000}, trained=True)
    return turn, replace(draw, points_milli=draw.points_milli + gained, gained_milli=gained), *others


SLIP = earned({"one.turn: turns_left": 1_000}, gained=20_000)
OTHER = earned({"one.turn: turns_right": 2_000}, gained=20_000)


def pairs(min_cost: int = 0, **results: tuple[ItemVerdict, ...]) -> list[Pair]:
    rules = replace(FOLLOWED, follow_through=replace(FOLLOWED.follow_through, min_cost_milli=min_cost))
    return list(paying_pairs({REFERENCE: SOUND, **results}, REGIONS, rules, DRAWN, REFERENCE))


def test_two_mistakes_together_cost_what_both_cost() -> None:
    assert pairs(weak=SLIP, slip=OTHER, far=SOUND) == []


def test_a_second_mistake_that_replaces_a_poor_part_by_a_correct_one_gains_points() -> None:
    assert pairs(weak=WEAK, slip=SLIP, far=SOUND) == [Pair("one", "weak", "slip", 35_000, 49_000, unseen=True)]
    assert pairs(min_cost=15_000, weak=WEAK, slip=SLIP, far=SOUND) == []


def test_a_second_mistake_elsewhere_does_not_replace_the_poor_part() -> None:
    assert pairs(weak=SOUND, slip=SLIP, far=WEAK) == []


def test_two_solutions_that_change_the_same_lines_are_no_pair() -> None:
    regions = {"weak": ["Turner.left"], "slip": ["Turner.right", "Turner.left"]}
    every = {REFERENCE: SOUND, "weak": WEAK, "slip": SLIP}
    assert list(paying_pairs(every, regions, FOLLOWED, DRAWN, REFERENCE)) == []


def test_a_trained_pair_is_compared_with_what_each_earns_alone() -> None:
    combined = earned({"one.turn: turns_left": 1_000, "one.turn: turns_right": 2_000}, gained=20_000)
    alone = {"slip": SLIP, "far": OTHER}
    assert list(pairs_that_paid({**alone, "slip+far": combined}, DRAWN)) == []
    assert list(pairs_that_paid({"slip": SLIP, "slip+far": SOUND}, DRAWN)) == []  # nothing to compare with
    assert list(pairs_that_paid({**alone, "slip+far": SOUND}, DRAWN)) == [
        Pair("one", "far", "slip", 48_000, 50_000, unseen=False)
    ]


def test_two_solutions_in_one_notebook() -> None:
    (name,) = corpus.pairs(1, random.Random(1))
    first, second = (corpus.entry(single) for single in name.split(corpus.BOTH))
    combined = corpus.entry(name)
    assert combined.regions == first.regions | second.regions
    assert set(combined.loses) == {*first.loses, *second.loses}
    assert corpus.build(name) == corpus.build(first.name, second.name)


def audited(weak: tuple[ItemVerdict, ...]) -> Audit:
    entries = {name: replace(wrong(name, "one.turn"), regions={REGIONS[name][0]: ""}) for name in ("weak", "slip")}
    results = {REFERENCE: SOUND, "weak": weak, "slip": SLIP}
    return audit(results, FOLLOWED, DRAWN, lambda _: ("one",), entries=entries)


def test_the_audit_reports_pairs_that_gain_points_and_notes_mistakes_without_a_check() -> None:
    (remark,) = [remark for remark in audited(WEAK).remarks if "correct one" in remark]
    assert remark.endswith(": weak.")
    assert not any(problem.kind == "pair" for problem in audited(WEAK).problems)
    turn, *others = WEAK
    with_slip = (replace(turn, checks=verdicts({"one.turn: turns_right": 500})[0].checks, points_milli=29_500), *others)
    (problem,) = [problem for problem in audited(with_slip).problems if problem.kind == "pair"]
    assert (problem.subject, problem.text) == ("weak + slip", "one: 48.5 points together, 34.5 alone")
