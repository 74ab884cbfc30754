"""The problems of a rubric in one sentence each, with advice for each kind, and the limits of an audit.

Feedback must be short and about the student's work, without grader internals, and must not give away the solution.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType

from grader.audit.corpus import MUTANT, VARIANT
from grader.audit.pairs import Pair
from grader.audit.result import CheckLoss, ItemCoverage, Problem, SolutionResult, SolutionState, exact_mutants
from grader.notebook.solution_regions import solution_regions
from grader.records import ItemVerdict, Notebook, Rubric
from grader.report.text import points_text
from grader.report.words import LONGEST

TOTAL_MILLI = 100_000  # points of the rubric in thousandths; all parts are worth the same
NAMED_SHARE = 0.98  # of the wrong solutions with named checks, the share that must lose points in exactly those

MOST_SENTENCES = 3
SHORTEST_LINE = 14  # characters; feedback may contain shorter lines of the solution, such as `x = x`
INTERNAL = re.compile(
    r"\b(?:components|sampling|trained|quality|decode|replace)\.(?:vae|cvae)\b|\bgrader\.|\bin_box\b|\bevidence\b"
    r"|safetensors|\bTraceback\b|\bnp\.|\bnumpy\.|zero_at|full_at|\bthreshold|\bseed \d|site-packages"
    r"|(?<![\w.])/(?:usr|home|opt|tmp)/|\b[0-9a-f]{32}\b|<(?:class|function|bound)\b| object at 0x",
    re.IGNORECASE,
)
OWN_LINE = re.compile(r", in your line `.*`")  # a quotation of the student's own code
_END = re.compile(r"[.!?](?=\s+[A-Z“(]|$)")

HEADINGS: Mapping[str, str] = MappingProxyType(
    {
        "points": "Points that do not add up",
        "broken": "Solutions that could not be graded",
        "undecided": "Verdicts that need manual review",
        "honest": "Correct solutions that lost points",
        "survivor": "Wrong solutions that kept all points",
        "kept": "Items that should have lost points",
        "unexpected": "Unexpected losses",
        "ceiling": "Nonsense that earned too much",
        "imprecise": "Wrong solutions that lost points in other checks than expected",
        "untrue": "Feedback that states a wrong cause",
        "untested_item": "Items without a wrong solution",
        "untested_check": "Checks without a wrong solution",
        "margin": "Thresholds too close to correct models",
        "wording": "Feedback that is too long, shows grader internals or gives away the solution",
        "pair": "Second mistakes that would gain points",
    }
)
ADVICE: Mapping[str, str] = MappingProxyType(
    {
        "points": "Correct `points` in the rubric.",
        "broken": "Read the error: the entry in corpus/ or the grader is at fault.",
        "undecided": "Correct the check, so that it decides.",
        "honest": "Loosen the check or its threshold: it is unfair to this way of solving the task.",
        "survivor": "Add a check or make one stricter; if the solution is correct, move it to corpus/honest/.",
        "kept": "Make a check of the item stricter, or correct `loses` of the entry in corpus/wrong/.",
        "unexpected": "Make the check independent of this mistake; if the loss is deserved, add the item to `loses`.",
        "ceiling": "Let checks presuppose others, or give fewer points to those that nonsense passes.",
        "imprecise": "Correct the check, or `checks` of the entry in corpus/wrong/.",
        "untrue": "Let the feedback say only what was measured, or add the cause to the entry in corpus/wrong/.",
        "untested_item": "Add a wrong solution to corpus/wrong/ that must lose points here.",
        "untested_check": "Add a wrong solution to corpus/wrong/ that must lose points here.",
        "margin": "Move `full_at`, or measure again with `make calibrate`.",
        "wording": "Reword the text in the check.",
        "pair": "Raise `follow_through.min_cost` or `min_earned`, or add a check that sees the first mistake.",
    }
)


def problems_of(
    rows: Sequence[SolutionResult],
    items: Sequence[ItemCoverage],
    results: Mapping[str, Sequence[ItemVerdict]],
    rubric: Rubric,
    failures: Mapping[str, str],
    *,
    whole: bool,
    answers: Collection[str] = (),
    causes: Collection[str] = (),
) -> tuple[Problem, ...]:
    """All problems, in the order of `HEADINGS`.

    Items and checks that no solution tests are problems only if the `whole` corpus was graded. `answers` are the
    lines of the solution; `causes` are texts that feedback may state only for solutions that name them.
    """
    problems = [
        *_points(rubric, results),
        *(Problem("broken", name, why) for name, why in failures.items()),
        *(problem for row in rows for problem in _of_row(row)),
        *_imprecise(rows),
        *_untrue(rows, causes, whole=whole),
        *(_untested(items) if whole else ()),
        *_margins(items),
        *(Problem("wording", name, why) for name, why in wording_faults(results, answers)),
    ]
    order = list(HEADINGS)
    return tuple(sorted(problems, key=lambda problem: order.index(problem.kind)))


def audit_remarks(
    rows: Sequence[SolutionResult], items: Sequence[ItemCoverage], *, whole: bool, calibrated: bool
) -> tuple[str, ...]:
    """The limits of this audit, one sentence each."""
    remarks = []
    if not whole:
        remarks.append("Only some solutions of the corpus were graded, so untested items and checks are not reported.")
    ungraded = [use.id for use in items if rows and not any(_was_graded(row, use.id) for row in rows)]
    if ungraded:
        remarks.append(f"Not graded, because no model was trained: {', '.join(ungraded)}.")
    untrained = [row.name for row in rows if row.kind == MUTANT and not row.was_graded]
    if untrained:
        remarks.append(f"Wrong only after training, so not tested here: {', '.join(untrained)}.")
    exact, named = exact_mutants(rows)
    if exact < named:
        remarks.append(
            f"The corpus names the expected checks of {named} wrong solutions; {exact} ({100 * exact / named:.1f} %) "
            f"lost points in exactly these, expected at least {100 * NAMED_SHARE:.0f} %."
        )
    elif not named and any(row.kind == MUTANT for row in rows):
        remarks.append("No wrong solution names the checks that must lose points, so only items are compared.")
    if not calibrated:
        remarks.append("The quality thresholds have not been calibrated, so their margins are not checked.")
    return tuple(remarks)


def pair_problems(pairs: Iterable[Pair]) -> tuple[Problem, ...]:
    """Pairs in which a second mistake would gain points, except those that `pair_remarks` reports."""
    return tuple(
        Problem(
            "pair",
            f"{pair.worse} + {pair.other}",
            f"{pair.part}: {points_text(pair.together_milli)} points together, {points_text(pair.alone_milli)} alone",
        )
        for pair in pairs
        if not pair.unseen
    )


def pair_remarks(pairs: Iterable[Pair]) -> tuple[str, ...]:
    """A remark on solutions whose mistake only their pictures show, so that a second mistake would gain points."""
    unseen = sorted({pair.worse for pair in pairs if pair.unseen})
    if not unseen:
        return ()
    why = "Only the pictures of these solutions are poor, so a second mistake would replace the part by a correct one"
    return (f"{why}: {', '.join(unseen)}.",)


def _points(rubric: Rubric, results: Mapping[str, Sequence[ItemVerdict]]) -> Iterator[Problem]:
    parts: dict[str, int] = {}
    for item in rubric.items:
        part = item.part
        parts[part] = parts.get(part, 0) + item.points_milli
        total = sum(spec.points_milli for spec in item.checks)
        if total != item.points_milli:
            of = points_text(item.points_milli)
            yield Problem("points", item.id, f"expected {of} points, its checks add up to {points_text(total)}")
    if sum(parts.values()) != TOTAL_MILLI:
        total_text = points_text(sum(parts.values()))
        yield Problem("points", "total", f"expected {points_text(TOTAL_MILLI)} points, got {total_text}")
    for part, milli in parts.items():
        if milli * len(parts) != TOTAL_MILLI:
            share = points_text(TOTAL_MILLI // len(parts))
            yield Problem("points", part, f"expected {share} points, got {points_text(milli)}")
    for name, verdicts in results.items():
        for verdict in verdicts:
            total = sum(check.points_milli for check in verdict.checks) + verdict.gained_milli
            if total != verdict.points_milli or not 0 <= total <= verdict.max_points_milli:
                text = f"{verdict.id}: checks and follow-through give {points_text(total)}"
                yield Problem("points", name, f"{text} points, but the item has {points_text(verdict.points_milli)}")


def _of_row(row: SolutionResult) -> Iterator[Problem]:
    for loss in row.undecided:
        yield Problem("undecided", row.name, f"{loss.item}: {loss.check}: {loss.message}")
    if row.kind == VARIANT:
        unfair = (loss for loss in row.losses if loss.component or not row.weak)
        yield from (Problem("honest", row.name, _loss_text(loss)) for loss in unfair)
        return
    if row.survives:
        yield Problem("survivor", row.name, f"lost no points on {', '.join(row.expected_items)}: {row.story}")
    for result in row.item_results:
        if result.state is SolutionState.KEPT and not row.survives:
            yield Problem("kept", row.name, f"lost no points on {result.item}")
        if result.state is SolutionState.UNEXPECTED:
            item_losses = [loss for loss in row.losses if loss.item == result.item]
            yield from (Problem("unexpected", row.name, _loss_text(loss)) for loss in item_losses)
    for item, most in row.ceilings.items():
        if (points := row.earned_milli.get(item, 0) / 1000) > most:
            yield Problem("ceiling", row.name, f"{item}: got {points:g} points, expected at most {most:g}")


def _loss_text(loss: CheckLoss) -> str:
    return f"{loss.item}: {loss.check} lost {points_text(loss.lost_milli)}: {loss.message}"


def _imprecise(rows: Sequence[SolutionResult]) -> Iterator[Problem]:
    named = [row for row in rows if row.exact is not None]
    missed = [row for row in named if not row.exact]
    if len(named) - len(missed) >= NAMED_SHARE * len(named):
        return
    for row in missed:
        lost_names = ", ".join(dict.fromkeys(loss.check for loss in row.losses if loss.component)) or "nothing"
        yield Problem("imprecise", row.name, f"expected {', '.join(row.named_checks)}, got {lost_names}")


def _untrue(rows: Sequence[SolutionResult], causes: Collection[str], *, whole: bool) -> Iterator[Problem]:
    stated = {
        (row.name, cause): loss for row in rows for loss in row.losses for cause in causes if cause in loss.message
    }
    for row in rows:
        for cause in causes:
            if (loss := stated.get((row.name, cause))) is not None and cause not in row.causes:
                yield Problem("untrue", row.name, _loss_text(loss))
    for cause in dict.fromkeys(causes) if whole else ():
        if any(cause == other for _, other in stated):
            continue
        yield Problem("untrue", "causes", f"no feedback states {cause!r}")


def _untested(items: Sequence[ItemCoverage]) -> Iterator[Problem]:
    for item in items:
        if item.graded and not item.lost_by:
            yield Problem(
                "untested_item",
                item.id,
                f"{item.title}: graded {item.graded} {'time' if item.graded == 1 else 'times'}, never lost points",
            )
        for check in item.checks:
            if check.graded and not check.lost_by:
                yield Problem("untested_check", f"{item.id}: {check.id}", check.title)


def _margins(items: Sequence[ItemCoverage]) -> Iterator[Problem]:
    for item in items:
        for check in item.checks:
            if check.margin is not None and check.margin.fault:
                yield Problem("margin", f"{item.id}: {check.id}", check.margin.fault)


def _was_graded(row: SolutionResult, item: str) -> bool:
    return any(result.item == item and result.state is not SolutionState.UNGRADED for result in row.item_results)


def wording_faults(results: Mapping[str, Iterable[ItemVerdict]], answers: Collection[str]) -> Iterator[tuple[str, str]]:
    """Yields solution and sentence for each text that breaks a rule; each text is reported once, for the first one."""
    texts = set()
    for name, verdicts in results.items():
        for item in verdicts:
            for check in item.checks:
                for kind, text in (("title", check.title), ("message", check.message), ("hint", check.hint)):
                    if text in texts:
                        continue
                    texts.add(text)
                    for why in faults_of(text, answers):
                        yield name, f"{item.id}: {check.id}: the {kind} {why}: {text[:200]}"


def faults_of(text: str, answers: Collection[str] = ()) -> Iterator[str]:
    """The faults of a text, each as the end of a sentence that starts "the message"."""
    sentences = len(_END.findall(text.strip() + ("" if text.rstrip().endswith((".", "!", "?")) else ".")))
    if text and sentences > MOST_SENTENCES:
        yield f"has {sentences} sentences, expected at most {MOST_SENTENCES}"
    if len(text) > LONGEST["message"]:
        yield f"has {len(text)} characters, expected at most {LONGEST['message']}"
    if internal := INTERNAL.search(text):
        yield f"shows grader internals ({internal.group()!r})"
    squeezed = "".join(OWN_LINE.sub("", text).split())
    if solution_line := next((line for line in answers if line in squeezed), None):
        yield f"gives away the solution ({solution_line!r})"


def answers_of(reference: Notebook) -> frozenset[str]:
    """The lines of the solution that feedback must not contain, without spaces."""
    lines = (line for region in solution_regions(reference).values() for line in region.source.splitlines())
    squeezed = ("".join(line.partition("#")[0].split()) for line in lines)
    return frozenset(line for line in squeezed if len(line) >= SHORTEST_LINE and re.search(r"[(=]", line))
