"""Chooses the notebook to grade: not the unchanged template, preferably with the exercise's name, and the newest.

If another notebook may be the right one, the choice needs manual review.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grader.batch.students.course_words import COPY_OF
from grader.batch.students.files import File, composed
from grader.batch.students.layouts import Owner
from grader.notebook.format import checksum, is_code, source_of
from grader.notebook.roles import is_task
from grader.records import Remark
from grader.report.text import listed, plain
from grader.store.bounded import Unreadable, file_bytes, json_value

MAX_READ = 20  # notebooks of one student that are read
MAX_VALUES = 2_000_000
SAME_TIME_S = 60.0  # files unpacked together differ by less
_COPIED = re.compile(
    rf"^(?:{COPY_OF}[ _])+|(?:[ _-]*(?:\(\d+\)|copy ?\d*|kopie ?\d*))+(?=\.ipynb$)",
    re.IGNORECASE,
)

Code = tuple[str, ...]  # the checksums of a notebook's code cells


@dataclass(frozen=True, slots=True)
class Work:
    """A notebook of one student."""

    file: File
    owner: Owner
    place: str  # its place in the download, for display
    file_name: str  # as the student named it


@dataclass(frozen=True, slots=True)
class _Candidate:
    work: Work
    code: Code | None  # None if it cannot be read
    changed: int  # code cells that are not the template's; 0 if no task was changed
    likeness: int  # 2: the exercise's name, or a copy's; 1: contains it; 0: another name

    @property
    def newest(self) -> tuple[int, float, tuple[str, ...]]:
        return self.work.owner.order, self.work.file.changed, self.work.file.path_parts


@dataclass(frozen=True, slots=True)
class TemplateCode:
    """The code of the template, the notebook that students got."""

    code: frozenset[str] = frozenset()  # the checksums of its code cells
    tasks: frozenset[str] = frozenset()  # those of the cells to fill in

    def changed(self, code: Code | None) -> int:
        """The number of a notebook's code cells that are not the template's; 0 if every task is unchanged.

        A scratch cell or a comment beside unchanged tasks solves nothing.
        """
        cells = set(code or ())
        return 0 if self.tasks and self.tasks <= cells else len(cells - self.code)


def template_code(path: Path, max_mb: float) -> TemplateCode:
    """The template's code; empty if it cannot be read."""
    cells = _code_cells(path, max_mb) or []
    return TemplateCode(frozenset(_checksums(cells)), frozenset(_checksums(filter(is_task, cells))))


def code_of(path: Path, max_mb: float) -> Code | None:
    """The checksums of the notebook's non-empty code cells; None if it cannot be read."""
    cells = _code_cells(path, max_mb)
    return None if cells is None else _checksums(cells)


def _code_cells(path: Path, max_mb: float) -> list[dict[str, Any]] | None:
    try:
        raw = json_value(file_bytes(path, int(max_mb * 1e6)), most_values=MAX_VALUES, lenient=True)
    except Unreadable:
        return None
    cells = raw.get("cells") if isinstance(raw, dict) else None
    if not isinstance(cells, list):
        return None
    return [cell for cell in cells if isinstance(cell, dict) and is_code(cell)]


def _checksums(cells: Iterable[dict[str, Any]]) -> Code:
    return tuple(checksum(source) for source in map(source_of, cells) if source.strip())


def plain_name(name: str) -> str:
    """The name without the additions of a copy, in lower case: `vae.ipynb` for "Copy of vae (1).ipynb"."""
    return _COPIED.sub("", composed(name)).lower()


def is_solved(file: File, template: TemplateCode, max_mb: float) -> bool:
    """Whether a task in the notebook was changed."""
    return file.path is not None and template.changed(code_of(file.path, max_mb)) > 0


@dataclass(frozen=True, slots=True)
class Choice:
    """The notebook to grade, and the reason for the choice."""

    work: Work
    why: str = "the only notebook"
    left_out: tuple[str, ...] = ()  # the other notebooks, some with the reason why not
    doubtful: bool = False  # another notebook may be the right one

    @property
    def remarks(self) -> list[Remark]:
        """The remark on the choice, for staff."""
        if not self.left_out:
            return []
        text = f"{plain(self.work.file.name, 80)} was graded; not graded: {listed(self.left_out)}"
        text += "; check whether this is the right one" if self.doubtful else ""
        return [Remark("other_notebook", text, needs_person=self.doubtful)]


def choose(works: Sequence[Work], usual: str, template: TemplateCode, max_mb: float) -> Choice:
    """Chooses the notebook to grade: of the solved ones, that with the best name, or else the newest."""
    if len(works) == 1:
        return Choice(works[0])
    ordered = sorted(
        works,
        key=lambda work: (
            -work.owner.attempt,
            -_likeness(work, usual),
            -work.owner.order,
            -work.file.changed,
            work.place,
        ),
    )
    candidates = [_read(work, usual, template, max_mb) for work in ordered[:MAX_READ]]
    solved = (
        [candidate for candidate in candidates if candidate.changed]
        or [candidate for candidate in candidates if candidate.code is not None]
        or candidates
    )
    last = max(candidate.work.owner.attempt for candidate in solved)
    of_last = [candidate for candidate in solved if candidate.work.owner.attempt == last]
    best = max(candidate.likeness for candidate in of_last)
    pool = [candidate for candidate in of_last if candidate.likeness == best]
    winner = max(pool, key=lambda candidate: candidate.newest)
    rest = [candidate for candidate in candidates if candidate is not winner]
    others = [_described(candidate) for candidate in rest] + [plain(work.place, 80) for work in ordered[MAX_READ:]]
    doubtful = len(ordered) > MAX_READ or _is_doubtful(
        winner, [candidate for candidate in solved if candidate is not winner], candidates
    )
    return Choice(winner.work, _why(winner, solved, pool), tuple(sorted(others)), doubtful)


def _why(winner: _Candidate, solved: Sequence[_Candidate], pool: Sequence[_Candidate]) -> str:
    """Why this notebook was chosen: the only solved one, the best name, or the newest."""
    if len(solved) == 1:
        return "the only one with solved tasks" if winner.changed else "the only one that can be read"
    is_attempt = any(candidate.work.owner.attempt < winner.work.owner.attempt for candidate in solved)
    if len(pool) == 1 and not is_attempt:
        return "it has the exercise's name" if winner.likeness == 2 else "its name contains the exercise's"
    by = "submitted last" if winner.work.owner.order else "the newest"
    return by + ("", " whose name contains the exercise's", " with the exercise's name")[winner.likeness]


def _likeness(work: Work, usual: str) -> int:
    name = plain_name(work.file_name)
    return 2 if name == usual else int(bool(usual) and usual.removesuffix(".ipynb") in name)


def _read(work: Work, usual: str, template: TemplateCode, max_mb: float) -> _Candidate:
    code = code_of(work.file.path, max_mb) if work.file.path else None
    return _Candidate(work, code, template.changed(code), _likeness(work, usual))


def _described(candidate: _Candidate) -> str:
    why = " (cannot be read)" if candidate.code is None else "" if candidate.changed else " (nothing solved)"
    return plain(candidate.work.place, 80) + why


def _is_doubtful(winner: _Candidate, others: Sequence[_Candidate], candidates: Sequence[_Candidate]) -> bool:
    """Whether another solved notebook, or an unreadable one, may be the right one."""
    if not winner.changed:
        return any(candidate.code is None for candidate in candidates) and len(candidates) > 1
    for candidate in others:
        if candidate.code == winner.code:
            continue
        if candidate.work.owner.attempt < winner.work.owner.attempt and candidate.likeness > winner.likeness == 0:
            return True  # the last attempt may hold another notebook only
        ordered = candidate.work.owner.order or winner.work.owner.order
        apart = candidate.work.file.section != winner.work.file.section
        apart = apart or candidate.work.file.twin or winner.work.file.twin
        near = apart or (not ordered and abs(candidate.work.file.changed - winner.work.file.changed) < SAME_TIME_S)
        same_name = plain_name(candidate.work.file_name) == plain_name(winner.work.file_name)
        earlier = candidate.work.owner.attempt < winner.work.owner.attempt
        again = earlier or (ordered and same_name)  # an earlier attempt
        unlike = not winner.likeness and not again
        if candidate.likeness == winner.likeness and (near or unlike or candidate.changed > winner.changed):
            return True
        if candidate.likeness == 1 and winner.likeness == 2 and candidate.newest > winner.newest:
            return True
    return False
