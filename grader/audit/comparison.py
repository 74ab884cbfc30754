"""Tests the rubric by mutation: compares what each solution of the corpus lost with what the corpus expects.

Mutants must lose points on the expected items, variants none. Nothing is run or written here. Items that a run did not
grade (skipped checks) count neither as kept nor as lost.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence

from grader.audit.calibration import Margin
from grader.audit.corpus import BOTH, MUTANT, REFERENCE, VARIANT, Solution, entry, solutions
from grader.audit.pairs import pairs_that_paid, paying_pairs
from grader.audit.problems import audit_remarks, pair_problems, pair_remarks, problems_of
from grader.audit.result import Audit, CheckCoverage, CheckLoss, ItemCoverage, ItemResult, SolutionResult, SolutionState
from grader.exercise import Exercise, ItemSpec
from grader.grading.follow_through import share
from grader.records import CheckSpec, CheckVerdict, ItemVerdict, Outcome, Rubric, RubricItem

Parts = Callable[[str], tuple[str, ...]]


def audit(
    results: Mapping[str, Sequence[ItemVerdict]],
    rubric: Rubric,
    exercise: Exercise,
    parts: Parts | None = None,
    *,
    broken: Mapping[str, str] | None = None,
    margins: Mapping[str, Margin] | None = None,
    entries: Mapping[str, Solution] | None = None,
    answers: Collection[str] = (),
    causes: Collection[str] = (),
) -> Audit:
    """The audit of these results.

    results: entry -> its verdicts; models and unknown names are ignored. parts: entry -> the parts that were trained
    for it, None if only components were graded. broken: entry -> why it has no verdicts. margins: by
    "<item>: <check>", None if nothing was calibrated. answers: the solution's lines, which feedback must not
    contain. causes: texts that feedback may state only for a solution that names them.
    """
    corpus_entries = _audited_entries(solutions() if entries is None else entries)
    corpus_entries |= {name: entry(name) for name in results if BOTH in name}
    rows = tuple(
        _row(corpus_entries[name], results[name], rubric, exercise, parts) for name in results if name in corpus_entries
    )
    items = tuple(_item_coverage(item, rows, results, exercise, margins or {}) for item in rubric.items)
    whole = set(corpus_entries) <= set(results) | set(broken or {})
    problems = problems_of(rows, items, results, rubric, broken or {}, whole=whole, answers=answers, causes=causes)
    remarks = audit_remarks(rows, items, whole=whole, calibrated=margins is not None)
    if parts is not None and REFERENCE in results:
        mutant_regions = {
            r.name: corpus_entries[r.name].regions for r in rows if r.kind == MUTANT and BOTH not in r.name
        }
        pairs = [
            *paying_pairs(results, mutant_regions, rubric, exercise, REFERENCE),
            *pairs_that_paid(results, exercise),
        ]
        problems, remarks = problems + pair_problems(pairs), remarks + pair_remarks(pairs)
    return Audit(rubric.title, parts is not None, rows, items, problems, remarks)


def _audited_entries(entries: Mapping[str, Solution]) -> dict[str, Solution]:
    """The entries that test the rubric: the reference, the variants and the mutants."""
    return {REFERENCE: entry(REFERENCE)} | {
        name: solution for name, solution in entries.items() if solution.kind in {VARIANT, MUTANT}
    }


def graded_checks_of(item: RubricItem, verdict: ItemVerdict) -> list[tuple[CheckSpec, CheckVerdict]]:
    """The graded checks; a check that was skipped because an earlier one failed counts as graded."""
    verdict_of: dict[str, CheckVerdict] = {}
    by_id = {check.id: check for check in verdict.checks}
    for spec in item.checks:
        check = by_id.get(spec.check)
        if check is not None and (
            check.outcome is not Outcome.SKIPPED
            or any(verdict_of[r].points_milli == 0 for r in spec.presupposes if r in verdict_of)
        ):
            verdict_of[spec.check] = check
    return [(spec, verdict_of[spec.check]) for spec in item.checks if spec.check in verdict_of]


def _row(
    solution: Solution,
    verdicts: Sequence[ItemVerdict],
    rubric: Rubric,
    exercise: Exercise,
    parts: Parts | None,
) -> SolutionResult:
    by_id = {verdict.id: verdict for verdict in verdicts}
    trained = parts(solution.name) if parts is not None else exercise.parts
    losses: list[CheckLoss] = []
    undecided: list[CheckLoss] = []
    item_results = []
    earned_by_item: Counter[str] = Counter()
    graded_checks: set[str] = set()
    for item in rubric.items:
        verdict = by_id.get(item.id)
        checks = [] if verdict is None or verdict.outcome is Outcome.SKIPPED else graded_checks_of(item, verdict)
        graded_here = {f"{item.id}.{spec.check}" for spec, _ in checks}
        graded_checks |= graded_here
        for spec, check in checks:
            lost_milli = spec.points_milli - check.points_milli
            loss = CheckLoss(
                item.id, spec.check, lost_milli, check.message, not exercise.checks[spec.check].needs_training
            )
            earned_by_item[item.id] += check.points_milli if loss.component else 0
            if check.outcome is Outcome.NEEDS_REVIEW:
                undecided.append(loss)
            elif lost_milli:
                losses.append(loss)
        of = sum(spec.points_milli for spec, _ in checks)
        gained = verdict.gained_milli if verdict is not None else 0
        lost_milli = max(0, sum(loss.lost_milli for loss in losses if loss.item == item.id) - gained)
        unsure = verdict is not None and verdict.outcome is Outcome.NEEDS_REVIEW
        state = _state(solution, item.id, lost_milli, bool(checks), unsure)
        if state is SolutionState.UNEXPECTED and _is_consequence(
            by_id, item.id, lost_milli, solution, rubric, exercise
        ):
            state = SolutionState.LOST
        if state is SolutionState.UNTOUCHED and item.part not in trained:
            state = SolutionState.UNGRADED  # its verdict is the reference's, which has its own row
        named_here = {f"{item.id}.{spec.check}" for spec in item.checks if _names(solution.checks, item.id, spec.check)}
        if state is SolutionState.KEPT and named_here - graded_here:
            state = SolutionState.UNGRADED  # the loss may show only in a named check that was not graded
        item_results.append(ItemResult(item.id, state, lost_milli, of))
    named = tuple(solution.checks)
    checks_of_expected_items = [check for check in graded_checks if check.rpartition(".")[0] in solution.loses]
    return SolutionResult(
        name=solution.name,
        kind=solution.kind,
        story=solution.story,
        expected_items=tuple(solution.loses),
        item_results=tuple(item_results),
        losses=tuple(losses),
        undecided=tuple(undecided),
        named_checks=named,
        exact=_exact(named, losses, checks_of_expected_items),
        causes=tuple(solution.causes),
        ceilings=solution.ceilings,
        earned_milli=earned_by_item,
        weak=solution.group == "weak",
    )


def _state(solution: Solution, item: str, lost_milli: int, was_graded: bool, unsure: bool) -> SolutionState:
    if unsure:
        return SolutionState.UNDECIDED
    if not was_graded:
        return SolutionState.UNGRADED
    if item in solution.loses:
        return SolutionState.LOST if lost_milli else SolutionState.KEPT
    if not lost_milli:
        return SolutionState.UNTOUCHED
    return SolutionState.UNEXPECTED


def _is_consequence(
    verdicts: Mapping[str, ItemVerdict],
    item: str,
    lost_milli: int,
    solution: Solution,
    rubric: Rubric,
    exercise: Exercise,
) -> bool:
    """Whether an expected mistake in an earlier item explains the loss, by the rubric's rules on follow-through."""
    settings = rubric.follow_through
    if lost_in := verdicts[item].lost_in:
        return set(lost_in) <= set(solution.loses) and lost_milli <= settings.min_cost_milli
    earlier = set(exercise.items.get(item, ItemSpec()).depends_on) & set(solution.loses)
    return any(share(verdicts[name]) < settings.min_earned.get(name, 0.0) for name in earlier)


def _names(named: Collection[str], item: str, check: str) -> bool:
    """Whether a check is named, by its name or as `item.check`."""
    return check in named or f"{item}.{check}" in named


def _exact(named: Collection[str], losses: Sequence[CheckLoss], graded_checks: Collection[str]) -> bool | None:
    """Whether exactly the named component checks lost points, and all named checks of trained models.

    graded_checks: `item.check` of the items that are expected to lose points. None if no named check was graded.
    Affected pictures may lose points in further checks of pictures.
    """
    expected_names = {
        name for name in named if any(full == name or full.endswith(f".{name}") for full in graded_checks)
    }
    lost_names = {name for loss in losses for name in (loss.check, f"{loss.item}.{loss.check}")}
    unnamed = [loss for loss in losses if loss.component and not _names(expected_names, loss.item, loss.check)]
    return expected_names <= lost_names and not unnamed if expected_names else None


def _item_coverage(
    item: RubricItem,
    rows: Sequence[SolutionResult],
    results: Mapping[str, Sequence[ItemVerdict]],
    exercise: Exercise,
    margins: Mapping[str, Margin],
) -> ItemCoverage:
    mutants = [row for row in rows if row.kind == MUTANT]
    graded_counts = Counter(
        spec.check
        for row in mutants
        for verdict in results[row.name]
        if verdict.id == item.id
        for spec, _ in graded_checks_of(item, verdict)
    )
    uses = tuple(
        CheckCoverage(
            id=spec.check,
            title=exercise.checks[spec.check].title,
            points_milli=spec.points_milli,
            numbers=spec.params,
            measured=spec.measured,
            graded=graded_counts[spec.check],
            lost_by=tuple(
                row.name
                for row in mutants
                if any((loss.item, loss.check) == (item.id, spec.check) for loss in row.losses)
            ),
            margin=margins.get(f"{item.id}: {spec.check}"),
        )
        for spec in item.checks
    )
    lost_by = tuple(row.name for row in mutants if any(s.item == item.id and s.lost_milli for s in row.item_results))
    return ItemCoverage(item.id, item.title, item.points_milli, uses, max(graded_counts.values(), default=0), lost_by)
