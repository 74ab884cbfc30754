"""Separates provided code from a student's own code in one cell.

Missing provided statements are restored. Additions to provided code, and training beside definitions, are separated.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from grader.notebook.match import TemplateCell, likeness
from grader.notebook.roles import Role
from grader.notebook.statements import Code, Statement

_ALIKE = 0.5  # likeness from which a statement that binds nothing counts as a changed provided one


def patched_source(
    code: Code, parts: Sequence[TemplateCell], key_counts: Mapping[str, int], given_keys: Collection[str]
) -> str | None:
    """Returns the source with each provided statement of `parts` that the notebook lacks put back where it was.

    `key_counts` counts the statements of the whole notebook by their keys, `given_keys` are the keys of the template's
    provided code. The student's replacements of provided statements are removed; everything else stays. Returns None if
    the source cannot be cut between its statements, or if a missing statement has no place in it.
    """
    statements = code.statements
    if statements is None or _share_a_line(statements):
        return None
    patch = _CellPatch(code, [statement for statement in statements if statement.key not in given_keys])
    return patch.source() if all(patch.put_back(part, key_counts) for part in parts) else None


def missing_statements(part: Code, key_counts: Mapping[str, int]) -> Counter[str]:
    """Counts the part's statements that `key_counts` lacks, by key; linear in the length of the part."""
    counts = Counter(part.keys or ())
    return Counter(
        {key: count - key_counts.get(key, 0) for key, count in counts.items() if count > key_counts.get(key, 0)}
    )


@dataclass
class _CellPatch:
    code: Code
    own_statements: list[Statement]  # the student's, without replaced ones
    dropped_lines: set[int] = field(default_factory=set)
    added_lines: dict[int, list[str]] = field(default_factory=dict)  # line number -> lines to insert before it

    def put_back(self, part: TemplateCell, key_counts: Mapping[str, int]) -> bool:
        """Restores the missing statements of the part; returns whether each of them had a place."""
        places = {statement.key: statement for statement in self.code.statements or ()}
        missing_counts = missing_statements(part.code, key_counts)
        waiting_lines: list[str] = []  # restored lines before the part's first statement that has a place
        line: int | None = None  # the next missing statement is inserted before this line
        for given_statement in part.code.statements or ():
            if missing_counts[given_statement.key] <= 0:
                if (place := places.get(given_statement.key)) is not None:
                    self._add(place.start, waiting_lines)
                    waiting_lines, line = [], place.stop
                continue
            missing_counts[given_statement.key] -= 1
            text = part.code.text_of(given_statement)
            replaced_statements = self._replaced_by(given_statement, text, part)
            if replaced_statements:
                self._drop(replaced_statements)
                self._add(replaced_statements[0].start, [*waiting_lines, *text.split("\n")])
                waiting_lines, line = [], replaced_statements[0].stop
            elif line is None:
                waiting_lines += text.split("\n")
            else:
                self._add(line, text.split("\n"))
        return not waiting_lines

    def source(self) -> str:
        """The patched source of the cell."""
        lines = self.code.source.split("\n")
        new_lines = []
        for number in range(len(lines) + 1):
            new_lines += self.added_lines.get(number, [])
            new_lines += [lines[number]] if number < len(lines) and number not in self.dropped_lines else []
        return "\n".join(new_lines)

    def _add(self, line: int, new_lines: list[str]) -> None:
        if new_lines:
            self.added_lines.setdefault(line, []).extend(new_lines)

    def _drop(self, statements: Sequence[Statement]) -> None:
        for statement in statements:
            self.dropped_lines.update(range(statement.start, statement.stop))
            self.own_statements.remove(statement)

    def _replaced_by(self, given_statement: Statement, text: str, part: TemplateCell) -> list[Statement]:
        """The student's statements in place of the provided one: they bind its names, or resemble it."""
        if given_statement.binds:
            return [
                statement
                for statement in self.own_statements
                if statement.binds & given_statement.binds and statement.binds <= part.code.binds
            ]
        candidates = [
            (likeness(text, self.code.text_of(statement)), statement)
            for statement in self.own_statements
            if not statement.binds
        ]
        score, nearest = max(candidates, key=lambda entry: entry[0], default=(0.0, None))
        return [nearest] if nearest is not None and score >= _ALIKE else []


def additions(code: Code, part: TemplateCell) -> list[Statement]:
    """The student's statements in a provided cell that bind names which the provided code does not bind."""
    given_keys = set(part.code.keys or ())
    return [
        statement
        for statement in code.statements or ()
        if statement.key not in given_keys and statement.binds - part.code.binds
    ]


def cut_training(code: Code, parts: Sequence[TemplateCell]) -> list[tuple[str, TemplateCell | None]]:
    """Cuts the source where training begins and ends; returns the pieces, each with its train cell (None: other code).

    Definitions can then be probed before anything is trained. There is one piece if there is nothing to cut.
    """
    trainers = [part for part in parts if part.role is Role.TRAIN]
    statements = code.statements or ()
    runs = list(_runs(statements, trainers))
    lines = code.source.split("\n")
    starts = [0, *(start for _, start in runs[1:])]
    ends = [*starts[1:], len(lines)]
    is_only_training = all(trainer for trainer, _ in runs)
    if not trainers or is_only_training or _share_a_line(statements):
        return [(code.source, None)]
    return [
        ("\n".join(lines[start:stop]), trainer) for (trainer, _), start, stop in zip(runs, starts, ends, strict=True)
    ]


def _share_a_line(statements: Sequence[Statement]) -> bool:
    return any(following.start < preceding.stop for preceding, following in itertools.pairwise(statements))


def _runs(
    statements: Sequence[Statement], trainers: Sequence[TemplateCell]
) -> Iterator[tuple[TemplateCell | None, int]]:
    """(trainer or None, first line) wherever a run of training or of other statements begins."""
    last_trainer: tuple[TemplateCell | None] | None = None
    for statement in statements:
        owners = (
            trainer
            for trainer in trainers
            if statement.calls & trainer.trains or statement.key in (trainer.code.keys or ())
        )
        trainer = next(owners, None)
        if last_trainer is None or last_trainer[0] is not trainer:
            yield trainer, statement.start
        last_trainer = (trainer,)
