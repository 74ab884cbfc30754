"""`docs/benchmarks.md` and its picture, from the rows of `docs/benchmarks.csv`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

HEADINGS = {
    "whole": "The whole notebook: alone, graded here, graded by others",
    "profile": "Where the seconds of this grader's grade go",
    "short": "What takes no training",
    "class": "A class of eight",
    "data": "Serving one epoch of MNIST, the data side alone",
    "growth": "How cost grows",
    "starts": "What starting takes",
}
NOTES = {
    "whole": "Alternating, in one run. The other graders run eleven public tests, one for each item of the rubric, in "
    "the student's own process: with the quality of reconstructions and samples scored as here, by the same classifier "
    "on as many pictures; and, in a single round afterwards, with shapes and ranges in its place. They have no box, no "
    "second process that decodes anew, no pictures and no pages; their environments are their own.",
    "profile": "From the lines that the same grades write while they work. The notebook alone spends the same on "
    "its training cells, and about seven seconds on starting, importing and reading MNIST.",
    "short": "Each is a process of its own, so the interpreter's start and the imports are in it.",
    "class": "One at a time means with all cores for each; side by side each keeps to one core.",
    "starts": "What could stand in the place of a kernel. A grade starts its kernels while it makes the questions.",
    "data": "The notebook's own `Batches` against torchvision's `DataLoader` with `ToTensor` in one process.",
    "growth": "Scoring is what `cvae.generation` costs, which looks at most; reading is reading a notebook with saved "
    "outputs, restoring what was given and comparing the outputs with the run's. Both are straight lines or better. "
    "What a class costs beside its submissions: `make bench-class`.",
}
HEAD = """# Benchmarks

`make bench` measures, writes `benchmarks.csv` beside this page, and draws it; `make bench PARTS="short data"` measures
again only some.

Under each table stands when and on what it was taken. Read the ratios: times of a shared machine differ from hour to
hour, and compare within a table.

![All of it](benchmarks.svg)"""
BASES = {"whole": "the notebook alone", "class": "8 submissions, one at a time", "data": "DataLoader"}
Row = Mapping[str, str]


def write_up(rows: Sequence[Row], docs: Path) -> None:
    """The page and the picture show the rows."""
    lines = [HEAD]
    for part, heading in HEADINGS.items():
        of_part = [row for row in rows if row["part"] == part]
        if of_part:
            lines += ["", f"## {heading}", "", NOTES[part], "", *_table(part, of_part)]
    (docs / "benchmarks.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    _picture(rows, docs / "benchmarks.svg")
    _curves([row for row in rows if row["part"] == "growth"], docs / "benchmarks_growth.svg")


def ratios(part: str, rows: Sequence[Row]) -> dict[str, float]:
    """What each row took against its part's base; empty where there is none."""
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
        lines += ["", "![Seconds against pictures scored, and against megabytes of outputs](benchmarks_growth.svg)"]
    taken = sorted({f"{row['when']} on {row['machine']}" for row in rows})
    more = " MB: the peak of the process itself." if memory else ""
    return [*lines, "", f"Taken on {'; and on '.join(taken)}.{more}"]


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
    """A panel for each thing that grows: seconds against how much of it there is."""
    from matplotlib import rcParams
    from matplotlib.figure import Figure

    if not rows:
        return
    rcParams["svg.hashsalt"] = "benchmarks"
    told = [row["what"].partition(" ") for row in rows]
    kinds = list(dict.fromkeys(what for _, _, what in told))
    figure = Figure(figsize=(8, 2.8), layout="constrained")
    for axes, kind in zip(figure.subplots(1, len(kinds), squeeze=False)[0], kinds, strict=True):
        points = [
            (float(n), float(row["median_s"])) for (n, _, what), row in zip(told, rows, strict=True) if what == kind
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
