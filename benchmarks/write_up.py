"""`docs/benchmarks.md` and its picture, from the rows of `docs/benchmarks.csv`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

HEADINGS = {
    "whole": "The whole notebook: alone, with this grader, with other graders",
    "profile": "The time of a grade by phase",
    "short": "Commands without training",
    "class": "A class of eight",
    "data": "Loading one epoch of MNIST, without training",
    "growth": "How cost grows",
    "starts": "Start-up times",
}
NOTES = {
    "whole": "Measured alternately, in one run. The other graders run eleven public tests, one per rubric item, in "
    "the student's own process. They score the quality of reconstructions and samples as this grader does, with the "
    "same classifier on as many pictures; in a single round afterwards, they test shapes and ranges instead. They have "
    "no box, no second process that decodes, no pictures and no pages. Each grader has its own environment. The last "
    "two rows are one round each and test only shapes and ranges; differences of this size are noise.",
    "profile": "Taken from the progress lines of the same grades. The notebook alone spends the same time on "
    "its training cells, and about seven seconds on starting, importing and reading MNIST.",
    "short": "Each measurement is a separate process, so it includes the interpreter's start and the imports.",
    "class": "One at a time, each submission uses all cores; side by side, each uses one core.",
    "starts": "Alternatives to a Jupyter kernel. A grade starts its kernels while it draws the questions.",
    "data": "The notebook's own `Batches` compared with torchvision's `DataLoader` with `ToTensor` in one process.",
    "growth": "Scoring is measured with `cvae.generation`, the most expensive item. Reading means reading a notebook "
    "with saved outputs, restoring provided cells and comparing the outputs with the run's. Both grow about "
    "linearly. `make bench-class` measures the cost of a class beyond its submissions.",
}
HEAD = """# Benchmarks

`make bench` measures everything, writes `benchmarks.csv` and this page, and draws the pictures.
`make bench PARTS="short data"` measures only some parts again.

Below each table are the date and the machine of its measurements. Compare ratios within a table: times of a shared
machine differ from hour to hour.

![Bar charts of all measurements on this page, in seconds](benchmarks.svg)"""
BASES = {"whole": "the notebook alone", "class": "8 submissions, one at a time", "data": "DataLoader"}
Row = Mapping[str, str]


def write_up(rows: Sequence[Row], docs: Path) -> None:
    """Writes the page and its pictures from the rows."""
    lines = [HEAD]
    for part, heading in HEADINGS.items():
        of_part = [row for row in rows if row["part"] == part]
        if of_part:
            lines += ["", f"## {heading}", "", NOTES[part], "", *_table(part, of_part)]
    (docs / "benchmarks.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    _picture(rows, docs / "benchmarks.svg")
    _curves([row for row in rows if row["part"] == "growth"], docs / "benchmarks_growth.svg")


def ratios(part: str, rows: Sequence[Row]) -> dict[str, float]:
    """The ratio of each row to its part's base; empty for a part without a base."""
    base = next((float(row["median_s"]) for row in rows if row["what"] == BASES.get(part)), None)
    return {row["what"]: float(row["median_s"]) / base for row in rows} if base else {}


def _table(part: str, rows: Sequence[Row]) -> list[str]:
    against = ratios(part, rows)
    memory = any(row["grader_mb"] for row in rows)
    heads = ["what", "median s", "from, to", "rounds"]
    heads += [*(["ratio"] if against else []), *(["MB"] if memory else []), "note"]
    lines = [f"| {' | '.join(heads)} |", "| --- |" + " ---: |" * (len(heads) - 2) + " --- |"]
    for row in rows:
        cells = [row["what"], row["median_s"], row["spread_s"], row["rounds"]]
        cells += [f"**{against[row['what']]:.2f}**"] if against else []
        cells += [row["grader_mb"]] if memory else []
        lines.append(f"| {' | '.join([*cells, row['note']])} |")
    if part == "growth":
        lines += ["", "![Seconds against scored pictures, and against megabytes of outputs](benchmarks_growth.svg)"]
    taken = sorted({f"{row['when']} on {row['machine']}" for row in rows})
    more = " MB: peak memory of the command's own process, without kernels, boxes and workers." if memory else ""
    return [*lines, "", f"Measured on {'; and on '.join(taken)}.{more}"]


def _picture(rows: Sequence[Row], path: Path) -> None:
    from matplotlib import rcParams
    from matplotlib.figure import Figure

    rcParams["svg.hashsalt"] = "benchmarks"  # the same figures draw the same file
    parts = [
        part for part in HEADINGS if part not in {"growth", "profile"} and any(row["part"] == part for row in rows)
    ]
    counts = [sum(row["part"] == part for row in rows) for part in parts]
    figure = Figure(figsize=(8, 0.42 * sum(counts) + 0.9 * len(parts)), layout="constrained")
    panels = figure.subplots(len(parts), 1, squeeze=False, height_ratios=counts)[:, 0]
    for axes, part in zip(panels, parts, strict=True):
        of_part = [row for row in rows if row["part"] == part][::-1]
        seconds = [float(row["median_s"]) for row in of_part]
        ours = [not row["what"].startswith(("Otter-Grader", "nbgrader", "DataLoader")) for row in of_part]
        axes.barh([row["what"] for row in of_part], seconds, color=["#35618e" if own else "#b9bec6" for own in ours])
        axes.bar_label(axes.containers[0], [f" {row['median_s']} s" for row in of_part], fontsize=8)
        axes.set_title(HEADINGS[part], loc="left", fontsize=9, fontweight="bold")
        axes.spines[["top", "right", "bottom"]].set_visible(False)
        axes.set_xticks([])
        axes.set_xlim(0, max(seconds) * 1.15)
        axes.tick_params(labelsize=8, length=0)
    figure.savefig(path, format="svg", metadata={"Date": None})


def _curves(rows: Sequence[Row], path: Path) -> None:
    """A panel per quantity that grows, with seconds against its size."""
    from matplotlib import rcParams
    from matplotlib.figure import Figure

    if not rows:
        return
    rcParams["svg.hashsalt"] = "benchmarks"
    quantities = [row["what"].partition(" ") for row in rows]
    kinds = list(dict.fromkeys(what for _, _, what in quantities))
    figure = Figure(figsize=(8, 2.8), layout="constrained")
    for axes, kind in zip(figure.subplots(1, len(kinds), squeeze=False)[0], kinds, strict=True):
        points = [
            (float(n), float(row["median_s"]))
            for (n, _, what), row in zip(quantities, rows, strict=True)
            if what == kind
        ]
        axes.plot(*zip(*points, strict=True), marker="o", color="#35618e")
        axes.set_ylim(0)
        axes.set_xlim(0)
        axes.set_xlabel(kind, fontsize=9)
        axes.set_ylabel("seconds", fontsize=9)
        axes.tick_params(labelsize=8)
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.3)
    figure.savefig(path, format="svg", metadata={"Date": None})
