"""The corpus: mutants and variants of the reference notebook, one entry a solution.

A mutant is wrong on purpose, in one place, and the rubric must see the mistake; a variant is right and written another
way, and must lose nothing. `corpus/wrong/` holds the mutants and `corpus/honest/` the variants, by subject;
`corpus/models/` holds what only calibration needs: other seeds, constants and defects that no single region makes. An
entry is checked when it is loaded: a region that the reference does not have, a text that no cell holds or an unknown
item is an error, not a silent reference.
`corpus/settings.yaml` names the reference and says which part a region belongs to.
"""

from __future__ import annotations

import random
import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import Any

import yaml

from grader.errors import GraderError, nearest
from grader.notebook.format import is_code, load_notebook, source_of
from grader.notebook.template import replace_regions, solution_regions, strip_markers
from grader.records import Notebook
from grader.store.course import course_folder

ROOT = course_folder()
CORPUS = ROOT / "corpus"
REFERENCE = "reference"
BOTH = "+"  # between the names of two solutions in one notebook
VARIANT, MUTANT, MODEL = KINDS = ("honest", "wrong", "models")  # folders of the corpus
GROUPS = ("ordinary", "weak", "first", "defective")
SETTINGS = "settings.yaml"
_TODO = re.compile(r"(?P<indent> *)# TODO (?P<name>[\w.]+): replace the next line with your code")  # see `template`


@dataclass(frozen=True)
class Solution:
    """One entry of the corpus."""

    name: str
    kind: str  # one of KINDS
    story: str
    regions: dict[str, str] = field(default_factory=dict)  # solution region -> code
    replace: list[list[str]] = field(default_factory=list)  # [old, new]: plain text in the sources of code cells
    loses: list[str] = field(default_factory=list)  # items that lose points, and no other does
    checks: list[str] = field(default_factory=list)  # the component checks that must lose points, and no other does
    train: bool = False  # of a variant: it changes what is learnt, so `make calibrate` measures it
    everyday: bool = False  # graded by itself in the everyday tests; the others are marked long
    parts: list[str] = field(default_factory=list)  # those it changes; worked out from the regions where not given
    seeds: int = 1  # with how many seeds of its training it is calibrated
    group: str = ""  # of a variant: ordinary, weak, or with the constants of the first notebook; or a defective model
    causes: list[str] = field(default_factory=list)  # of a mutant: those of `causes` that its feedback may state
    ceilings: dict[str, float] = field(default_factory=dict)  # of nonsense: item -> the most that its code earns
    ladder: str = ""  # of a defective model: where it stands among others, in the order of the file, each worse
    spoils: list[str] = field(default_factory=list)  # of a defective model: the items whose pictures it spoils
    most: float = 1.0  # of their picture points, the share that it earns at most


@cache
def solutions() -> dict[str, Solution]:
    """Every entry by name.

    Raises:
        GraderError: for a file that is no such table, or an entry that does not fit the reference or the rubric.
    """
    entries: dict[str, Solution] = {}
    for kind in KINDS:
        for path in sorted((CORPUS / kind).glob("*.yaml")):
            for name, entry in _table(path).items():
                if name in entries or name == REFERENCE:
                    raise GraderError(f"{path}: {name}: the name is taken; choose another")
                entries[name] = _checked(path, _solution(path, name, kind, entry))
    return entries


def entry(name: str) -> Solution:
    """The entry of that name; the reference is a variant that changes nothing, and "a+b" is both in one notebook.

    Raises:
        KeyError: for an unknown name.
    """
    if name == REFERENCE:
        whole = [*_settings()["parts"]]
        return Solution(REFERENCE, VARIANT, "the reference itself", parts=whole, seeds=3, group="ordinary")
    if BOTH in name:
        first, second = (entry(single) for single in name.split(BOTH))
        return Solution(
            name,
            MUTANT,
            f"{first.story}; {second.story}",
            regions=first.regions | second.regions,
            replace=first.replace + second.replace,
            loses=list(dict.fromkeys(first.loses + second.loses)),
            causes=first.causes + second.causes,
        )
    return solutions()[name]


def can_be_combined(first: str, second: str) -> bool:
    """Whether no region is changed by both solutions."""
    return entry(first).regions.keys().isdisjoint(entry(second).regions)


def pairs(count: int, draw: random.Random) -> list[str]:
    """So many pairs "a+b" of mutants, each of what a student might hand in, that change the same part."""
    mutants = [name for name in names(MUTANT) if not entry(name).ceilings and not entry(name).replace]
    possible = [
        f"{first}{BOTH}{second}"
        for first, second in combinations(mutants, 2)
        if set(parts_of(first)) & set(parts_of(second)) and can_be_combined(first, second)
    ]
    return draw.sample(possible, min(count, len(possible)))


def parts_of(name: str) -> tuple[str, ...]:
    """The parts whose training the entry may change; the other part's verdicts are the reference's."""
    solution, belongs = entry(name), _settings()["parts"]
    heads = {region.partition(".")[0] for region in solution.regions}
    parts = [part for part, names in belongs.items() if solution.replace or heads & set(names)]
    return tuple(solution.parts or parts)


def names(kind: str, *, train: bool = False) -> list[str]:
    """The names of one kind, of all or only of those marked `train`."""
    return [name for name, solution in solutions().items() if solution.kind == kind and (solution.train or not train)]


def build(*selection: str) -> Notebook:
    """The notebook a student with these solutions would hand in, without outputs; "reference" changes nothing."""
    entries = [entry(name) for name in selection]
    regions = {name: code for entry in entries for name, code in entry.regions.items()}
    return changed(regions, [pair for entry in entries for pair in entry.replace])


def filled(template: Notebook) -> Notebook:
    """A template, also one that was handed out earlier, with the reference's solutions in place of its TODOs."""
    regions = solution_regions(_original())
    cells = []
    for cell in template["cells"]:
        lines: list[str] = []
        for line in source_of(cell).split("\n"):
            if (todo := _TODO.fullmatch(line)) is not None:
                lines += textwrap.indent(regions[todo["name"]].source, todo["indent"]).split("\n")
            elif not line.lstrip().startswith("raise NotImplementedError("):
                lines.append(line)
        cells.append({**cell, "source": "\n".join(lines)})
    return {**template, "cells": cells}


def narrow(notebook: Notebook) -> Notebook:
    """The notebook with narrower hidden layers, an honest choice that trains in half the time."""
    old, new = _settings()["narrow"]
    substitute(notebook, old, new)
    return notebook


def changed(regions: Mapping[str, str], replace: Iterable[Sequence[str]] = ()) -> Notebook:
    """The reference with other code in some regions and other text in its cells, without markers and outputs."""
    notebook = strip_markers(replace_regions(_original(), regions))
    for cell in filter(is_code, notebook["cells"]):
        cell["outputs"], cell["execution_count"] = [], None
    for old, new in replace:
        substitute(notebook, old, new)
    return notebook


def substitute(notebook: Notebook, old: str, new: str) -> None:
    """Every code cell has `new` where it had `old`.

    Raises:
        GraderError: where no code cell holds `old`.
    """
    cells = [cell for cell in filter(is_code, notebook["cells"]) if old in source_of(cell)]
    if not cells:
        raise GraderError(f"no code cell holds {old!r}")
    for cell in cells:
        cell["source"] = source_of(cell).replace(old, new)


def practice() -> dict[str, list[str]]:
    """A made-up student -> the solutions that their notebook is made of; none for a file that is no notebook."""
    students: dict[str, list[str]] = _settings()["practice"]
    return students


def level_words() -> dict[str, str]:
    """Check of pictures -> what a level of it says, with `{value}` or `{percent}` for the level."""
    words: dict[str, str] = _settings()["levels"]
    return words


def causes() -> tuple[str, ...]:
    """What feedback may state as a cause, each a text that it then says: only of a solution that names it."""
    return tuple(_settings()["causes"])


@cache
def _settings() -> dict[str, Any]:
    settings: dict[str, Any] = yaml.safe_load((ROOT / "corpus" / SETTINGS).read_text(encoding="utf-8"))
    return settings


@cache
def _original() -> Notebook:
    return load_notebook(ROOT / _settings()["reference"])


@cache
def _items() -> set[str]:
    rubric: dict[str, Any] = yaml.safe_load((ROOT / _settings()["rubric"]).read_text(encoding="utf-8"))
    return {item["id"] for item in rubric["items"]}


def _table(path: Path) -> dict[str, Any]:
    try:
        table = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        raise GraderError(f"{path}: line {line}: not YAML: {error.problem}; quote a text that holds ': '") from None
    if not isinstance(table, dict):
        raise GraderError(f"{path}: expected a table of entries by name, got {type(table).__name__}")
    return table


def _solution(path: Path, name: str, kind: str, entry: object) -> Solution:
    types = {field.name: field.type for field in fields(Solution)}
    if not isinstance(entry, dict) or "story" not in entry:
        raise GraderError(f"{path}: {name}: expected fields, at least a story")
    for key, value in entry.items():
        if key not in types or key in {"name", "kind"}:
            raise GraderError(f"{path}: {name}: unknown field {key!r}{nearest(str(key), types)}")
        expected_type = str(types[key]).partition("[")[0]
        if type(value).__name__ not in {expected_type, "int" if expected_type == "float" else expected_type}:
            raise GraderError(f"{path}: {name}: {key}: expected {expected_type}, got {value!r:.60}")
    return Solution(name, kind, **entry)


def _checked(path: Path, solution: Solution) -> Solution:
    where = f"{path}: {solution.name}"
    regions = solution_regions(_original())
    for name, code in solution.regions.items():
        if name not in regions:
            raise GraderError(f"{where}: unknown region {name!r}; expected one of {', '.join(regions)}")
        if textwrap.dedent(code).strip() == regions[name].source.strip():
            raise GraderError(f"{where}: region {name!r} is the reference's own")
    for old, _ in solution.replace:
        if not any(old in source_of(cell) for cell in filter(is_code, _original()["cells"])):
            raise GraderError(f"{where}: no code cell of the reference holds {old!r}")
    if unknown := (set(solution.loses) | set(solution.spoils) | solution.ceilings.keys()) - _items():
        raise GraderError(f"{where}: unknown items {sorted(unknown)}")
    if unknown := set(solution.causes) - set(causes()):
        raise GraderError(f"{where}: unknown causes {sorted(unknown)}; {SETTINGS} lists them")
    if (solution.kind == MUTANT) != bool(solution.loses):
        raise GraderError(f"{where}: a wrong solution loses something, an honest one nothing")
    if solution.group not in (GROUPS if solution.kind == MODEL else {VARIANT: ("", "weak")}.get(solution.kind, "")):
        raise GraderError(f"{where}: expected a group of {GROUPS} for a model, perhaps weak for an honest solution")
    if unknown := set(solution.parts) - {*_settings()["parts"]}:
        raise GraderError(f"{where}: unknown parts {sorted(unknown)}; expected some of {[*_settings()['parts']]}")
    return solution
