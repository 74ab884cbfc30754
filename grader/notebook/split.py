"""Student code taken out of the cell it was put in: additions to given code, training beside definitions."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

from grader.notebook.match import TemplateCell
from grader.notebook.statements import Code, Statement


def additions(code: Code, part: TemplateCell) -> list[Statement]:
    """The student's statements in a given cell that bind names which the given code does not."""
    given = set(part.code.keys or ())
    return [s for s in code.statements or () if s.key not in given and s.binds - part.code.binds]


def cut_training(code: Code, parts: Sequence[TemplateCell]) -> list[tuple[str, TemplateCell | None]]:
    """Sources, each with the train cell it is (None: other code), cut where training begins and ends.

    Definitions can then be probed before anything is trained. One piece when there is nothing to cut.
    """
    trainers = [part for part in parts if part.role == "train"]
    statements = code.statements or ()
    runs = list(_runs(statements, trainers))
    lines = code.source.split("\n")
    starts = [0, *(start for _, start in runs[1:])]
    ends = [*starts[1:], len(lines)]
    only_training = all(trainer for trainer, _ in runs)
    shared_line = any(after.start < before.stop for before, after in itertools.pairwise(statements))
    if not trainers or only_training or shared_line:
        return [(code.source, None)]
    return [
        ("\n".join(lines[start:stop]), trainer) for (trainer, _), start, stop in zip(runs, starts, ends, strict=True)
    ]


def _runs(
    statements: Sequence[Statement], trainers: Sequence[TemplateCell]
) -> Iterator[tuple[TemplateCell | None, int]]:
    """(trainer or None, first line) wherever a run of training or of other statements begins."""
    last: tuple[TemplateCell | None] | None = None
    for statement in statements:
        trainer = next((t for t in trainers if _belongs(statement, t)), None)
        if last is None or last[0] is not trainer:
            yield trainer, statement.start
        last = (trainer,)


def _belongs(statement: Statement, trainer: TemplateCell) -> bool:
    return bool(statement.calls & trainer.trains) or statement.key in (trainer.code.keys or ())
