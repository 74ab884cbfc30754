"""Writes the tables of docs/costs.md from runs/audit/audit.csv: the points that each mistake costs in its own item.

`make costs` runs it after `make audit`.
"""

from __future__ import annotations

import csv
from pathlib import Path

from grader.audit import corpus
from grader.report.text import points_text
from grader.rubric import load_rubric

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "costs.md"
AUDIT = ROOT / "runs" / "audit" / "audit.csv"
MARK = "<!-- what follows is written by `make costs` -->"


def table(item: str, rows: list[dict[str, str]]) -> list[str]:
    """The lines of a table with one row per mistake that costs points in the item, most expensive first."""
    mistakes = [
        (float(row[item]), row["story"], checks)
        for row in rows
        if row["kind"] == "wrong" and row[item] not in {"", "0"} and not corpus.entry(row["solution"]).ceilings
        if (checks := [name.rpartition(".")[2] for name in row["checks_lost"].split() if name.startswith(f"{item}.")])
    ]
    lines = ["| costs | mistake | checks that lose points |", "| ---: | --- | --- |"]
    ordered = sorted(mistakes, key=lambda one: (-one[0], one[1]))
    return (
        lines + [f"| {lost:g} | {story} | {', '.join(checks)} |" for lost, story, checks in ordered] if mistakes else []
    )


def main() -> None:
    """Replaces the page's tables by those of the last audit."""
    rubric, _ = load_rubric(ROOT / "rubric.yaml")
    with AUDIT.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    lines = [MARK]
    for item in rubric.items:
        if table_lines := table(item.id, rows):
            lines += ["", f"## {item.title} ({item.id}, {points_text(item.points_milli)} points)", "", *table_lines]
    head = PAGE.read_text(encoding="utf-8").partition(MARK)[0]
    PAGE.write_text(head + "\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
