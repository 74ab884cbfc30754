"""The same solution graded several times, each time with other questions: its points must not depend on the seed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from grader.audit.quick import quick_results
from grader.audit.runs import planned, run_all
from grader.files import csv_bytes
from grader.records import ItemVerdict

Points = tuple[tuple[str, int], ...]  # (item, thousandths)


@dataclass(frozen=True)
class Repeated:
    """What one solution got with each seed, or why it got nothing."""

    name: str
    by_seed: Mapping[str, Points]
    broken: Mapping[str, str]

    @property
    def faults(self) -> list[str]:
        """What is wrong, one sentence each: items whose points differ, and runs that failed."""
        found = [f"{self.name}: seed {int(seed, 16)}: {why}" for seed, why in self.broken.items()]
        items = dict.fromkeys(item for points in self.by_seed.values() for item, _ in points)
        for item in items:
            got = sorted({dict(points).get(item, 0) for points in self.by_seed.values()})
            if len(got) > 1:
                told = ", ".join(f"{milli / 1000:g}" for milli in got)
                found.append(f"{self.name}: {item}: {told} points, depending on the seed")
        return found


def repeat(
    names: Sequence[str], seeds: int, rubric_path: Path, jobs: int, say: Callable[[str], None], *, full: bool
) -> list[Repeated]:
    """Each solution's points under the seeds 1 to `seeds`; in full, or its components alone."""
    wanted = [f"{seed:032x}" for seed in range(1, seeds + 1)]
    points: dict[str, dict[str, Points]] = {name: {} for name in names}
    broken: dict[str, dict[str, str]] = {name: {} for name in names}
    if full:
        runs = [replace(planned(name), seed=seed) for name in names for seed in wanted]
        for result in run_all(runs, rubric_path, jobs, say):
            if result.error:
                broken[result.wanted.name][result.wanted.seed] = result.error
            else:
                points[result.wanted.name][result.wanted.seed] = _points(result.items)
    for seed in [] if full else wanted:
        quick = quick_results(names, rubric_path, jobs=jobs, seed=seed, say=say)
        for name in names:
            if name in quick.results:
                points[name][seed] = _points(quick.results[name])
            else:
                broken[name][seed] = quick.broken[name]
    return [Repeated(name, points[name], broken[name]) for name in names]


def repeat_csv(found: Sequence[Repeated]) -> bytes:
    """One row a solution and seed, its points by item."""
    rows = [
        {"solution": one.name, "seed": int(seed, 16)} | {item: milli / 1000 for item, milli in points}
        for one in found
        for seed, points in sorted(one.by_seed.items())
    ]
    return csv_bytes(rows)


def _points(items: Sequence[ItemVerdict]) -> Points:
    return tuple((item.id, item.points_milli) for item in items)
