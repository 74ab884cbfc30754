"""The command `audit`: tests the rubric on the corpus, with or without training.

Nothing is printed here: the functions return results and the paths of their files.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from grader.audit import corpus
from grader.audit.calibration import read_margins
from grader.audit.comparison import audit
from grader.audit.page import audit_csv, audit_html, levels_of
from grader.audit.problems import answers_of
from grader.audit.result import Audit
from grader.audit.runs import SEED, planned, run_all
from grader.audit.without_box import CorpusVerdicts, grade_without_box
from grader.errors import GraderError, nearest
from grader.exercise import Say
from grader.notebook.format import load_notebook
from grader.records import ItemVerdict
from grader.rubric import load_rubric
from grader.store.files import csv_bytes, write_atomically

CALIBRATION = Path("docs/calibration.csv")  # relative to the rubric's folder
PAIRS_SEED = 7
EVERY_S = 2.0  # seconds between progress lines
Points = tuple[tuple[str, int], ...]  # (item, thousandths)


@dataclass(frozen=True)
class CorpusTrial:
    """An audit, and the paths of its page and table."""

    audit: Audit
    files: tuple[Path, ...]


@dataclass(frozen=True)
class SolutionBySeed:
    """The points of one solution per seed, or the error that prevented grading."""

    name: str
    by_seed: Mapping[str, Points]
    broken: Mapping[str, str]

    @property
    def faults(self) -> list[str]:
        """Items whose points differ between seeds, and runs that failed, one sentence each."""
        faults = [f"{self.name}: seed {int(seed, 16)}: {why}" for seed, why in self.broken.items()]
        items = dict.fromkeys(item for points in self.by_seed.values() for item, _ in points)
        for item in items:
            amounts = sorted({dict(points).get(item, 0) for points in self.by_seed.values()})
            if len(amounts) > 1:
                listed = ", ".join(f"{milli / 1000:g}" for milli in amounts)
                faults.append(f"{self.name}: {item}: points depend on the seed: {listed}")
        return faults


@dataclass(frozen=True)
class SeedComparison:
    """Solutions with several seeds each, and the table of their points."""

    solutions: tuple[SolutionBySeed, ...]
    seeds: int
    table: Path

    @property
    def faults(self) -> list[str]:
        """The solutions whose points depend on the seed, one sentence each."""
        return [fault for solution in self.solutions for fault in solution.faults]


def audit_corpus(only: Sequence[str], rubric_path: Path, out: Path, jobs: int, say: Say, *, full: bool) -> CorpusTrial:
    """Grades the corpus, or only the named solutions: with training if `full`, otherwise components only.

    Solutions that were trained before for the same notebook and questions are only re-graded.

    Raises:
        GraderError: for an unknown solution.
    """
    names = chosen(only)
    rubric, exercise = load_rubric(rubric_path)
    (results,) = _by_seed(names, [SEED], rubric_path, jobs, say, full=full).values()
    margins = read_margins(rubric_path.parent / CALIBRATION, rubric)
    answers = answers_of(load_notebook(rubric_path.parent / rubric.reference))
    parts = corpus.parts_of if full else None
    result = audit(
        results.verdicts,
        rubric,
        exercise,
        parts,
        broken=results.broken,
        margins=margins,
        answers=answers,
        causes=corpus.causes(),
    )
    levels = levels_of(result.items, rubric_path.parent / CALIBRATION.with_suffix(""))
    page = _written(out / "audit.html", audit_html(result, levels).encode())
    return CorpusTrial(result, (page, _written(out / "audit.csv", audit_csv(result))))


def audit_seeds(
    only: Sequence[str], seeds: int, rubric_path: Path, out: Path, jobs: int, say: Say, *, full: bool
) -> SeedComparison:
    """Grades each solution with this number of seeds and compares the points.

    Raises:
        GraderError: for an unknown solution.
    """
    names = chosen(only)
    results = _by_seed(names, [f"{seed:032x}" for seed in range(1, seeds + 1)], rubric_path, jobs, say, full=full)
    solutions = tuple(
        SolutionBySeed(
            name,
            {seed: _points(result.verdicts[name]) for seed, result in results.items() if name in result.verdicts},
            {seed: result.broken[name] for seed, result in results.items() if name in result.broken},
        )
        for name in names
    )
    return SeedComparison(solutions, seeds, _written(out / "seeds.csv", repeat_csv(solutions)))


def _by_seed(
    names: Sequence[str], seeds: Sequence[str], rubric_path: Path, jobs: int, say: Say, *, full: bool
) -> dict[str, CorpusVerdicts]:
    """The results of the named entries for each seed of the questions."""
    rubric, exercise = load_rubric(rubric_path)
    corpus.refuse_other_exercise(rubric.exercise)
    if not full:
        return {seed: grade_without_box(names, rubric_path, jobs=jobs, seed=seed, say=say) for seed in seeds}
    exercise.prepare(say)
    runs = [replace(planned(name), seed=seed) for name in names for seed in seeds]
    results = {(result.run.name, result.run.seed): result for result in run_all(runs, rubric_path, jobs, say)}
    return {
        seed: CorpusVerdicts(
            {name: results[name, seed].items for name in names if not results[name, seed].error},
            {name: results[name, seed].error for name in names if results[name, seed].error},
        )
        for seed in seeds
    }


def repeat_csv(solutions: Sequence[SolutionBySeed]) -> bytes:
    """One row per solution and seed, with its points by item."""
    rows = [
        {"solution": solution.name, "seed": int(seed, 16)} | {item: milli / 1000 for item, milli in points}
        for solution in solutions
        for seed, points in sorted(solution.by_seed.items())
    ]
    return csv_bytes(rows)


def _points(items: Sequence[ItemVerdict]) -> Points:
    return tuple((item.id, item.points_milli) for item in items)


def _written(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, content)
    return path


def drawn_pairs(count: int) -> list[str]:
    """The reference, `count` pairs of wrong solutions (always the same ones), and each of these solutions alone."""
    pairs = corpus.pairs(count, random.Random(PAIRS_SEED))
    return [corpus.REFERENCE, *pairs, *dict.fromkeys(name for pair in pairs for name in pair.split(corpus.BOTH))]


def chosen(only: Sequence[str]) -> list[str]:
    """The requested names, or the reference and all correct and wrong solutions.

    Raises:
        GraderError: for an unknown name, with the nearest one.
    """
    names = [corpus.REFERENCE, *corpus.names("honest"), *corpus.names("wrong")]
    for name in only:
        for solution in name.split(corpus.BOTH, 1):
            if solution not in names:
                raise GraderError(f"--only: unknown solution {solution[:80]!r}{nearest(solution, names)}")
        if corpus.BOTH in name and not corpus.can_be_combined(*name.split(corpus.BOTH)):
            raise GraderError(f"--only: {name[:160]}: both solutions change the same region; choose two that do not")
    return list(dict.fromkeys(only)) or names
