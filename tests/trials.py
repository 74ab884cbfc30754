"""Grades the corpus's marked solutions in full and writes what every quality metric measured, one row a model.

Run by `make trials`. A model whose run folder holds evidence for the same notebook is judged again, not run again, so a
moved threshold costs seconds and an added model only itself.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path
from typing import Any

from grader.notebook.format import dump_notebook
from grader.pipeline import Options, grade, regrade
from grader.records import GradeReport
from tests import corpus_notebooks as corpus

RUNS, TABLE = Path("runs/trials"), Path("docs/trials.csv")
SEEDS = 5


def main() -> None:
    """Every model has a row in the table; names on the command line are graded alone, and no table is written."""
    wanted = sys.argv[1:]
    rows = []
    for name, kind, seed in trials():
        folder = RUNS / name
        if wanted and name not in wanted:
            continue
        report = trial(name, kind, seed, folder)
        print(f"{name:40} {report.points_milli / 1000:g}", flush=True)
        rows.append(row(name, kind, report))
    if wanted:
        return
    columns = list(dict.fromkeys(key for made in rows for key in made))
    TABLE.parent.mkdir(exist_ok=True)
    with TABLE.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def trials() -> list[tuple[str, str, str]]:
    """(name, kind, seed): the reference with several seeds, then every marked solution."""
    made = [(f"reference-{n}", "reference", f"{n:032x}") for n in range(1, SEEDS + 1)]
    for kind in ("honest", "wrong"):
        made += [(name, kind, f"{7:032x}") for name in corpus.names(kind, train=True)]
    return made


def trial(name: str, kind: str, seed: str, folder: Path) -> GradeReport:
    """The report on one model."""
    folder.mkdir(parents=True, exist_ok=True)
    notebook = folder / f"{name}.ipynb"
    text = dump_notebook(corpus.build("reference" if kind == "reference" else name))
    if notebook.exists() and notebook.read_text() == text and (folder / "report.json").exists():
        return regrade(folder, Path("rubric.yaml"))
    notebook.write_text(text)
    report, _ = grade(notebook, Path("rubric.yaml"), folder, Options(seed=seed), lambda _: None)
    return report


def row(name: str, kind: str, report: GradeReport) -> dict[str, Any]:
    """Points by item, then every measured quality."""
    made: dict[str, Any] = {"model": name, "kind": kind, "points": report.points_milli / 1000}
    for item in report.items:
        made[item.id] = item.points_milli / 1000
    for item in report.items:
        if not item.id.endswith(("reconstruction", "generation")):
            continue
        for check in item.checks:
            for key, value in check.measured.items():
                if isinstance(value, float):
                    made[f"{item.id}: {key}"] = f"{value:.4g}"
    return made


if __name__ == "__main__":
    main()
