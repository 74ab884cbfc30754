"""What is wrong with a rubric, said in one sentence each, and what an audit could not see.

What students read of a verdict is held to the rules of feedback: short, about their work, and never the answer.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType

from grader.audit.corpus import MUTANT, VARIANT
from grader.audit.pairs import Pair
from grader.audit.result import CheckLoss, ItemCoverage, Problem, SolutionResult, SolutionState
from grader.notebook.template import solution_regions
from grader.records import ItemVerdict, Notebook, Rubric
from grader.report.text import points_text
from grader.report.words import LONGEST

TOTAL_MILLI = 100_000  # the whole sheet; its parts are worth the same
NAMED_SHARE = 0.98  # of the mutants that name their checks, how many must lose exactly those

MOST_SENTENCES = 3
SHORTEST_LINE = 14  # characters of a line of the solution; shorter ones, as `x = x`, anybody may say
INTERNAL = re.compile(
    r"\b(?:components|sampling|trained|quality|decode|replace)\.(?:vae|cvae)\b|\bgrader\.|\bin_box\b|\bevidence\b"
    r"|safetensors|\bTraceback\b|\bnp\.|\bnumpy\.|zero_at|full_at|\bthreshold|\bseed \d|site-packages"
    r"|(?<![\w.])/(?:usr|home|opt|tmp)/|\b[0-9a-f]{32}\b|<(?:class|function|bound)\b| object at 0x",
    re.IGNORECASE,
)
OWN_LINE = re.compile(r", in your line `.*`")  # which the student wrote
_END = re.compile(r"[.!?](?=\s+[A-Z“(]|$)")

HEADINGS: Mapping[str, str] = MappingProxyType(
    {
        "points": "Points that do not add up",
        "broken": "Solutions that could not be judged",
        "undecided": "Verdicts that need a person",
        "honest": "Honest solutions that lose points",
        "survivor": "Wrong solutions that survive",
        "kept": "Items that a wrong solution should have lost",
        "unexpected": "Points lost on items that should not be touched",
        "ceiling": "Nonsense that earns too much",
        "imprecise": "Solutions that do not lose the checks named for them",
        "untrue": "Feedback that states a cause which is not there",
        "untested_item": "Items that no wrong solution loses",
        "untested_check": "Checks that no wrong solution loses",
        "margin": "Thresholds without their margin",
        "wording": "Feedback that is too long, names an internal or gives the solution",
        "pair": "Mistakes that would pay beside another one",
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
    """Everything that is wrong, in the order of `HEADINGS`.

    What no solution loses is only wrong where the `whole` corpus was tried; `answers` are the lines of the solution,
    and `causes` the texts that feedback says only of solutions that name them.
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


def notes_of(
    rows: Sequence[SolutionResult], items: Sequence[ItemCoverage], *, whole: bool, calibrated: bool
) -> tuple[str, ...]:
    """What the audit could not see, and how precise the corpus is, one sentence each."""
    notes = []
    if not whole:
        notes.append("Only some solutions of the corpus were tried, so nothing is said about what no solution loses.")
    unjudged = [use.id for use in items if rows and not any(_was_judged(row, use.id) for row in rows)]
    if unjudged:
        notes.append(f"Not judged here, because no model was trained: {', '.join(unjudged)}.")
    untrained = [row.name for row in rows if row.kind == MUTANT and not row.was_judged]
    if untrained:
        notes.append(f"Wrong only once they are trained, and not tried here: {', '.join(untrained)}.")
    named = [row for row in rows if row.to_the_check is not None]
    mutants = sum(row.kind == MUTANT for row in rows)
    if named:
        exact = sum(bool(row.to_the_check) for row in named)
        share = 100 * exact / len(named)
        notes.append(
            f"Caught to the check: {exact} of {len(named)} wrong solutions that name their checks ({share:.1f} %; "
            f"at least {100 * NAMED_SHARE:.0f} % are expected); {mutants - len(named)} name none that was judged here."
        )
    elif mutants:
        notes.append("No wrong solution names the checks that it must lose, so none is held to the check.")
    if not calibrated:
        notes.append("The quality thresholds have not been calibrated yet, so nothing is said about their margins.")
    return tuple(notes)


def pair_problems(pairs: Iterable[Pair]) -> tuple[Problem, ...]:
    """Where a second mistake would pay, unless the first one is of those that `pair_notes` names."""
    return tuple(
        Problem(
            "pair",
            f"{pair.worse} + {pair.other}",
            f"{pair.part}: {points_text(pair.together_milli)} points together, {points_text(pair.alone_milli)} alone",
        )
        for pair in pairs
        if not pair.unseen
    )


def pair_notes(pairs: Iterable[Pair]) -> tuple[str, ...]:
    """Whose poor pictures come from code that no check of the code sees, so that breaking it visibly would pay."""
    unseen = sorted({pair.worse for pair in pairs if pair.unseen})
    if not unseen:
        return ()
    why = "Only pictures show what is wrong in these, so that a slip beside it would bring a sound part"
    return (f"{why}: {', '.join(unseen)}.",)


def _points(rubric: Rubric, results: Mapping[str, Sequence[ItemVerdict]]) -> Iterator[Problem]:
    parts: dict[str, int] = {}
    for item in rubric.items:
        part = item.id.partition(".")[0]
        parts[part] = parts.get(part, 0) + item.points_milli
        total = sum(spec.points_milli for spec in item.checks)
        if total != item.points_milli:
            of = points_text(item.points_milli)
            yield Problem("points", item.id, f"its checks add up to {points_text(total)}, the item has {of}")
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
                yield Problem("points", name, f"{text}, the item {points_text(verdict.points_milli)}")


def _of_row(row: SolutionResult) -> Iterator[Problem]:
    for loss in row.undecided:
        yield Problem("undecided", row.name, f"{loss.item}: {loss.check}: {loss.message}")
    if row.kind == VARIANT:
        unfair = (loss for loss in row.losses if loss.component or not row.weak)
        yield from (Problem("honest", row.name, _told(loss)) for loss in unfair)
        return
    if row.survives:
        yield Problem("survivor", row.name, f"loses nothing on {', '.join(row.foretold)}: {row.story}")
    for square in row.squares:
        if square.state is SolutionState.KEPT and not row.survives:
            yield Problem("kept", row.name, f"keeps every point of {square.item}")
        if square.state is SolutionState.UNEXPECTED:
            item_losses = [loss for loss in row.losses if loss.item == square.item]
            yield from (Problem("unexpected", row.name, _told(loss)) for loss in item_losses)
    for item, most in row.ceilings.items():
        if (points := row.earned_milli.get(item, 0) / 1000) > most:
            yield Problem("ceiling", row.name, f"{item}: {points:g} points, at most {most:g} are deserved")


def _told(loss: CheckLoss) -> str:
    return f"{loss.item}: {loss.check} loses {points_text(loss.lost_milli)}: {loss.message}"


def _imprecise(rows: Sequence[SolutionResult]) -> Iterator[Problem]:
    named = [row for row in rows if row.to_the_check is not None]
    missed = [row for row in named if not row.to_the_check]
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
                yield Problem("untrue", row.name, _told(loss))
    for cause in set(causes) - {cause for _, cause in stated} if whole else ():
        yield Problem("untrue", "causes", f"no feedback says {cause!r}")


def _untested(items: Sequence[ItemCoverage]) -> Iterator[Problem]:
    for item in items:
        if item.judged and not item.lost_by:
            yield Problem("untested_item", item.id, f"{item.title}: judged {item.judged} times, never lost")
        for check in item.checks:
            if check.judged and not check.lost_by:
                yield Problem("untested_check", f"{item.id}: {check.id}", check.title)


def _margins(items: Sequence[ItemCoverage]) -> Iterator[Problem]:
    for item in items:
        for check in item.checks:
            if check.margin is not None and check.margin.fault:
                yield Problem("margin", f"{item.id}: {check.id}", check.margin.fault)


def _was_judged(row: SolutionResult, item: str) -> bool:
    return any(square.item == item and square.state is not SolutionState.UNJUDGED for square in row.squares)


def wording_faults(results: Mapping[str, Iterable[ItemVerdict]], answers: Collection[str]) -> Iterator[tuple[str, str]]:
    """Solution and sentence for each text that breaks a rule; a text is named once, by the first who reads it."""
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
    """What is wrong with the text, each as the end of "the message ..."."""
    sentences = len(_END.findall(text.strip() + ("" if text.rstrip().endswith((".", "!", "?")) else ".")))
    if text and sentences > MOST_SENTENCES:
        yield f"has {sentences} sentences, expected at most {MOST_SENTENCES}"
    if len(text) > LONGEST["message"]:
        yield f"has {len(text)} characters, expected at most {LONGEST['message']}"
    if internal := INTERNAL.search(text):
        yield f"names an internal ({internal.group()!r})"
    squeezed = "".join(OWN_LINE.sub("", text).split())
    if solution_line := next((line for line in answers if line in squeezed), None):
        yield f"gives the solution ({solution_line!r})"


def answers_of(reference: Notebook) -> frozenset[str]:
    """The lines of the solution that no feedback may hold, without their spaces."""
    lines = (line for region in solution_regions(reference).values() for line in region.source.splitlines())
    squeezed = ("".join(line.partition("#")[0].split()) for line in lines)
    return frozenset(line for line in squeezed if len(line) >= SHORTEST_LINE and re.search(r"[(=]", line))
