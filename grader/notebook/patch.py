"""Cells that hold given code and a student's own: given code put back statement by statement, student code taken out.

Taken out are additions to given code, and training beside definitions.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from grader.notebook.match import TemplateCell, likeness
from grader.notebook.statements import Code, Statement

_ALIKE = 0.5  # likeness at which a statement that binds nothing is taken for a changed given one


def mended(code: Code, parts: Sequence[TemplateCell], present: Mapping[str, int], given: Collection[str]) -> str | None:
    """The source with each given statement of `parts` that the notebook lacks put back in its place.

    `present` counts the statements of the whole notebook by their keys, `given` are those of the template's given
    code. What the student wrote in the place of a given statement goes; everything else stays. None where the
    source cannot be cut between its statements, or has no place for what is missing.
    """
    statements = code.statements
    if statements is None or any(after.start < before.stop for before, after in itertools.pairwise(statements)):
        return None
    mending = _Mending(code, [statement for statement in statements if statement.key not in given])
    return mending.source() if all(mending.put_back(part, present) for part in parts) else None


def lacking(part: Code, present: Mapping[str, int]) -> Counter[str]:
    """How many of each of the part's statements are missing among those present; takes no longer than the part is."""
    wanted = Counter(part.keys or ())
    return Counter({key: count - present.get(key, 0) for key, count in wanted.items() if count > present.get(key, 0)})


@dataclass
class _Mending:
    code: Code
    mine: list[Statement]  # the student's own that still stand
    dropped: set[int] = field(default_factory=set)  # lines
    added: dict[int, list[str]] = field(default_factory=dict)  # what is put before a line

    def put_back(self, part: TemplateCell, present: Mapping[str, int]) -> bool:
        """Whether every missing statement of the part has found a place."""
        places = {statement.key: statement for statement in self.code.statements or ()}
        missing = lacking(part.code, present)
        waiting: list[str] = []  # what comes before the part's first statement that has a place here
        at: int | None = None  # the line before which the next missing statement goes
        for given in part.code.statements or ():
            if missing[given.key] <= 0:
                if (place := places.get(given.key)) is not None:
                    self._add(place.start, waiting)
                    waiting, at = [], place.stop
                continue
            missing[given.key] -= 1
            text = part.code.source.split("\n")[given.start : given.stop]
            instead = self._instead_of(given, "\n".join(text), part)
            if instead:
                self._drop(instead)
                self._add(instead[0].start, [*waiting, *text])
                waiting, at = [], instead[0].stop
            elif at is None:
                waiting += text
            else:
                self._add(at, text)
        return not waiting

    def source(self) -> str:
        """The cell as it is now."""
        lines = self.code.source.split("\n")
        made = []
        for number in range(len(lines) + 1):
            made += self.added.get(number, [])
            made += [lines[number]] if number < len(lines) and number not in self.dropped else []
        return "\n".join(made)

    def _add(self, line: int, text: list[str]) -> None:
        if text:
            self.added.setdefault(line, []).extend(text)

    def _drop(self, statements: Sequence[Statement]) -> None:
        for statement in statements:
            self.dropped.update(range(statement.start, statement.stop))
            self.mine.remove(statement)

    def _instead_of(self, given: Statement, text: str, part: TemplateCell) -> list[Statement]:
        """The student's statements that stand where the given one did: they bind its names, or look like it."""
        if given.binds:
            return [s for s in self.mine if s.binds & given.binds and s.binds <= part.code.binds]
        lines = self.code.source.split("\n")
        scored = [(likeness(text, "\n".join(lines[s.start : s.stop])), s) for s in self.mine if not s.binds]
        score, nearest = max(scored, key=lambda entry: entry[0], default=(0.0, None))
        return [nearest] if nearest is not None and score >= _ALIKE else []


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
        belongs = (t for t in trainers if statement.calls & t.trains or statement.key in (t.code.keys or ()))
        trainer = next(belongs, None)
        if last is None or last[0] is not trainer:
            yield trainer, statement.start
        last = (trainer,)
