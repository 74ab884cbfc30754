"""The audit tells apart expected losses, unexpected ones, missing ones, and items that no solution tests."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from audit_samples import EXERCISE, LEFT, audited, rubric, verdicts, wrong

from grader.audit.calibration import Margin
from grader.audit.comparison import audit
from grader.audit.corpus import Solution
from grader.audit.result import Audit, SolutionState
from grader.records import Outcome


@dataclass(frozen=True)
class Named(Solution):
    checks: list[str] = field(default_factory=list)


def subjects(result: Audit) -> dict[str, list[str]]:
    kinds: dict[str, list[str]] = {}
    for problem in result.problems:
        kinds.setdefault(problem.kind, []).append(problem.subject)
    return kinds


def states(result: Audit, name: str) -> dict[str, SolutionState]:
    return {item.item: item.state for row in result.rows if row.name == name for item in row.item_results}


def test_an_expected_loss_is_no_problem_and_skipped_items_do_not_count() -> None:
    result = audited([wrong("slip", "one.turn")], {"slip": verdicts(LEFT)})
    assert states(result, "slip") == {
        "one.turn": SolutionState.LOST,
        "one.draw": SolutionState.UNGRADED,
        "two.turn": SolutionState.UNTOUCHED,
        "two.draw": SolutionState.UNGRADED,
    }
    assert result.rows[0].item_results[0].lost_milli == 4_000
    assert subjects(result) == {}  # not the whole corpus: the reference is missing
    assert result.remarks[0].startswith("Only some solutions of the corpus were graded")


def test_wrong_solutions_that_keep_all_points_or_those_of_one_item_are_reported() -> None:
    slips = [wrong("blind", "one.turn"), wrong("half", "one.turn", "two.turn")]
    result = audited(slips, {"blind": verdicts(), "half": verdicts(LEFT)})
    assert subjects(result) == {"survivor": ["blind"], "kept": ["half"]}


def test_an_item_that_needs_training_does_not_count_as_kept_without_training() -> None:
    entries = [wrong("grey", "one.draw")]
    assert states(audited(entries, {"grey": verdicts()}), "grey")["one.draw"] == SolutionState.UNGRADED
    assert subjects(audited(entries, {"grey": verdicts(trained=True)})) == {"survivor": ["grey"]}


def test_an_item_graded_without_its_named_check_does_not_count() -> None:
    slip = Named("slip", "wrong", "", loses=["one.turn"], checks=["turns_right"])
    first, *others = verdicts()
    unasked = replace(first, checks=(first.checks[0], replace(first.checks[1], outcome=Outcome.SKIPPED)))
    result = audited([slip], {"slip": (unasked, *others)})
    assert states(result, "slip")["one.turn"] == SolutionState.UNGRADED
    assert result.rows[0].exact is None
    assert subjects(audited([slip], {"slip": verdicts()})) == {"survivor": ["slip"], "imprecise": ["slip"]}


def test_unexpected_losses_are_reported() -> None:
    losses = {**LEFT, "two.turn: turns_right": 250}
    slip = wrong("slip", "one.turn")
    result = audited([slip], {"slip": verdicts(losses, trained=True)}, parts=lambda _: ("one",))
    assert subjects(result) == {"unexpected": ["slip"]}
    assert states(result, "slip")["one.draw"] == SolutionState.UNTOUCHED
    assert states(result, "slip")["two.turn"] == SolutionState.UNEXPECTED
    assert states(result, "slip")["two.draw"] == SolutionState.UNGRADED  # the reference's, graded in its own row


def test_losses_of_correct_solutions_undecided_and_missing_verdicts_are_reported() -> None:
    variants = [Solution(name, "honest", "") for name in ("fair", "unsure", "gone")]
    results = {"fair": verdicts(LEFT), "unsure": verdicts(undecided="one.turn: turns_left")}
    result = audited(variants, results, broken={"gone": "it died"})
    assert subjects(result) == {"broken": ["gone"], "undecided": ["unsure"], "honest": ["fair"]}


def test_untested_items_and_checks_are_reported_only_for_the_whole_corpus() -> None:
    result = audited([wrong("slip", "one.turn")], {"reference": verdicts(), "slip": verdicts(LEFT)})
    assert subjects(result) == {
        "untested_item": ["two.turn"],
        "untested_check": ["one.turn: turns_right", "two.turn: turns_left", "two.turn: turns_right"],
    }


def test_a_check_skipped_because_an_earlier_one_failed_counts_as_lost() -> None:
    strict = rubric()
    second = replace(strict.items[0].checks[1], presupposes=("turns_left",))
    strict = replace(
        strict, items=(replace(strict.items[0], checks=(strict.items[0].checks[0], second)), *strict.items[1:])
    )
    first, *others = verdicts({"one.turn: turns_left": 20_000, "one.turn: turns_right": 10_000})
    skipped = replace(first.checks[1], outcome=Outcome.SKIPPED)
    results = {"slip": (replace(first, checks=(first.checks[0], skipped)), *others)}
    result = audit(results, strict, EXERCISE, entries={"slip": wrong("slip", "one.turn")})
    assert [loss.check for loss in result.rows[0].losses] == ["turns_left", "turns_right"]


def test_solutions_with_named_checks_must_lose_exactly_these() -> None:
    def slip(*checks: str) -> Solution:
        return Named("slip", "wrong", "", loses=["one.turn"], checks=list(checks))

    items = verdicts(LEFT)
    for checks, right in {("turns_left",): True, ("one.turn.turns_left",): True, ("turns_right",): False}.items():
        result = audited([slip(*checks)], {"slip": items})
        assert result.rows[0].exact is right
        assert ("imprecise" in subjects(result)) is not right
    assert audited([slip("turns_left", "turns_right")], {"slip": items}).rows[0].exact is False


def test_points_that_do_not_add_up_and_narrow_margins_are_reported() -> None:
    assert subjects(audit({}, rubric(left_milli=19_000), EXERCISE, entries={}))["points"] == ["total", "one", "two"]
    narrow = Margin(zero_at=0.2, full_at=0.6, worst=0.65, total_error=0.03)
    for margin, wide in ((narrow, False), (replace(narrow, worst=0.9), True)):
        result = audit({}, rubric(), EXERCISE, entries={}, margins={"one.draw: draws_well": margin})
        assert ("margin" in subjects(result)) is not wide
    assert replace(narrow, zero_at=0.9, worst=0.65).gap < 0  # smaller is better here


def test_a_cause_that_feedback_states_must_be_named_by_the_solution() -> None:
    slips = [wrong("slip", "one.turn"), replace(wrong("other", "one.turn"), causes=["alert(1)"])]
    results = {slip.name: verdicts(LEFT) for slip in slips}
    assert subjects(audited(slips, results, causes=("alert(1)",))) == {"untrue": ["slip"]}
    assert subjects(audited(slips, results, causes=("never said",))) == {}  # not the whole corpus
    whole = audited(slips, results | {"reference": verdicts()}, causes=("never said", "alert(1)"))
    assert subjects(whole)["untrue"] == ["slip", "causes"]


def test_follow_through_counts_as_kept() -> None:
    first, draw, *others = verdicts({**LEFT, "one.draw: draws_well": 500}, trained=True)
    results = {"slip": (first, replace(draw, gained_milli=500, points_milli=20_000), *others)}
    result = audited([wrong("slip", "one.turn")], results)
    assert states(result, "slip")["one.draw"] == SolutionState.UNTOUCHED
    assert subjects(result) == {}
