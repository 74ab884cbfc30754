"""The corpus: wrong and correct solutions, made from the reference notebook, one entry per solution.

A wrong solution (in code: mutant) has one deliberate mistake, which the rubric must find. A correct one (variant) is
written differently and must lose no points. `corpus/wrong/` and `corpus/honest/` hold them by subject; `corpus/models/`
holds models that only calibration needs: other seeds, other constants, and defects that no single region causes. An
entry is validated when it is loaded: an unknown region or item, or a text that no cell contains, is an error, since
the entry would otherwise be the reference itself.
`corpus/settings.yaml` names the reference and the part that each region belongs to.
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
from grader.notebook.solution_regions import replace_regions, solution_regions, strip_markers
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
    loses: list[str] = field(default_factory=list)  # exactly the items that must lose points
    checks: list[str] = field(default_factory=list)  # exactly the component checks that must lose points
    train: bool = False  # of a variant: it changes the trained model, so `make calibrate` measures it
    everyday: bool = False  # graded alone in the everyday tests; the others are marked long
    parts: list[str] = field(default_factory=list)  # the parts that it changes; by default derived from the regions
    seeds: int = 1  # number of training seeds in the calibration
    group: str = ""  # one of GROUPS; for a variant empty or weak
    causes: list[str] = field(
        default_factory=list
    )  # of a mutant: the `causes` of the settings that its feedback may state
    ceilings: dict[str, float] = field(
        default_factory=dict
    )  # of nonsense code: item -> the most points that it may earn
    ladder: str = ""  # of a defective model: its ladder, whose rungs get worse in the order of the file
    spoils: list[str] = field(default_factory=list)  # of a defective model: the items whose pictures are affected
    most: float = 1.0  # the largest share of their picture points that it may earn


@cache
def solutions() -> dict[str, Solution]:
    """Every entry by name.

    Raises:
        GraderError: for a malformed file, or an entry that does not fit the reference or the rubric.
    """
    entries: dict[str, Solution] = {}
    for kind in KINDS:
        for path in sorted((CORPUS / kind).glob("*.yaml")):
            for name, entry in _table(path).items():
                if name in entries or name == REFERENCE:
                    raise GraderError(f"{path}: {name}: another entry has this name; choose a different one")
                entries[name] = _checked(path, _solution(path, name, kind, entry))
    return entries


def entry(name: str) -> Solution:
    """The entry of that name. The reference is a variant without changes; "a+b" is both solutions in one notebook.

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
    """Whether the two solutions change different regions."""
    return entry(first).regions.keys().isdisjoint(entry(second).regions)


def pairs(count: int, draw: random.Random) -> list[str]:
    """`count` random pairs "a+b" of realistic wrong solutions that change the same part."""
    mutants = [name for name in names(MUTANT) if not entry(name).ceilings and not entry(name).replace]
    possible = [
        f"{first}{BOTH}{second}"
        for first, second in combinations(mutants, 2)
        if set(parts_of(first)) & set(parts_of(second)) and can_be_combined(first, second)
    ]
    return draw.sample(possible, min(count, len(possible)))


def parts_of(name: str) -> tuple[str, ...]:
    """The parts whose trained model the entry may change; for the others, the reference's verdicts hold."""
    solution, belongs = entry(name), _settings()["parts"]
    heads = {region.partition(".")[0] for region in solution.regions}
    parts = [part for part, names in belongs.items() if solution.replace or heads & set(names)]
    return tuple(solution.parts or parts)


def names(kind: str, *, train: bool = False) -> list[str]:
    """The names of one kind; with `train`, only those of entries marked with `train`."""
    return [name for name, solution in solutions().items() if solution.kind == kind and (solution.train or not train)]


def build(*selection: str) -> Notebook:
    """The notebook, without outputs, of a student with these solutions; "reference" changes nothing."""
    entries = [entry(name) for name in selection]
    regions = {name: code for entry in entries for name, code in entry.regions.items()}
    return changed(regions, [pair for entry in entries for pair in entry.replace])


def filled(template: Notebook) -> Notebook:
    """The template, or an earlier version of it, with the reference's solutions instead of its TODOs."""
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
    """The notebook with narrower hidden layers: still correct, but trained in half the time."""
    old, new = _settings()["narrow"]
    substitute(notebook, old, new)
    return notebook


def changed(regions: Mapping[str, str], replace: Iterable[Sequence[str]] = ()) -> Notebook:
    """The reference with some regions and texts replaced, without markers and outputs."""
    notebook = strip_markers(replace_regions(_original(), regions))
    for cell in filter(is_code, notebook["cells"]):
        cell["outputs"], cell["execution_count"] = [], None
    for old, new in replace:
        substitute(notebook, old, new)
    return notebook


def substitute(notebook: Notebook, old: str, new: str) -> None:
    """Replaces `old` by `new` in every code cell.

    Raises:
        GraderError: if no code cell contains `old`.
    """
    cells = [cell for cell in filter(is_code, notebook["cells"]) if old in source_of(cell)]
    if not cells:
        raise GraderError(f"no code cell contains {old!r}")
    for cell in cells:
        cell["source"] = source_of(cell).replace(old, new)


def practice() -> dict[str, list[str]]:
    """Made-up student -> the solutions in their notebook; an empty list for a file that is not a notebook."""
    students: dict[str, list[str]] = _settings()["practice"]
    return students


def level_words() -> dict[str, str]:
    """Check of pictures -> a sentence for one of its levels, with `{value}` or `{percent}`."""
    words: dict[str, str] = _settings()["levels"]
    return words


def causes() -> tuple[str, ...]:
    """Texts that state a cause; feedback may contain one only for solutions that name this cause."""
    return tuple(_settings()["causes"])


def refuse_other_exercise(exercise: str) -> None:
    """Refuses a rubric of another exercise than the corpus's: its solutions are notebooks of that exercise.

    Raises:
        GraderError: it is another one.
    """
    own = yaml.safe_load((ROOT / _settings()["rubric"]).read_text(encoding="utf-8"))["exercise"]
    if exercise != own:
        raise GraderError(f"the solutions of corpus/ belong to the exercise {own}, but the rubric is for {exercise}")


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
        raise GraderError(
            f"{path}: line {line}: not YAML: {error.problem}; put quotes around a text that contains ': '"
        ) from None
    if not isinstance(table, dict):
        raise GraderError(f"{path}: expected a table of entries by name, got {type(table).__name__}")
    return table


def _solution(path: Path, name: str, kind: str, entry: object) -> Solution:
    types = {field.name: field.type for field in fields(Solution)}
    if not isinstance(entry, dict) or "story" not in entry:
        raise GraderError(f"{path}: {name}: expected a table of fields with at least `story`")
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
            raise GraderError(f"{where}: region {name!r}: expected different code from the reference")
    for old, _ in solution.replace:
        if not any(old in source_of(cell) for cell in filter(is_code, _original()["cells"])):
            raise GraderError(f"{where}: no code cell of the reference contains {old!r}")
    if unknown := (set(solution.loses) | set(solution.spoils) | solution.ceilings.keys()) - _items():
        raise GraderError(f"{where}: unknown items: {', '.join(sorted(unknown))}")
    if unknown := set(solution.causes) - set(causes()):
        raise GraderError(f"{where}: unknown causes: {', '.join(sorted(unknown))}; {SETTINGS} lists the known ones")
    if (solution.kind == MUTANT) != bool(solution.loses):
        raise GraderError(f"{where}: expected `loses` for a wrong solution, and none for others")
    if solution.group not in (GROUPS if solution.kind == MODEL else {VARIANT: ("", "weak")}.get(solution.kind, "")):
        raise GraderError(f"{where}: group: expected {' or '.join(GROUPS)} for a model, weak or none otherwise")
    if unknown := set(solution.parts) - {*_settings()["parts"]}:
        raise GraderError(
            f"{where}: unknown parts: {', '.join(sorted(unknown))}; expected some of {', '.join(_settings()['parts'])}"
        )
    return solution
