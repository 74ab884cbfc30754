"""The cost of grading, compared with the notebook alone and other graders; `make bench` writes docs/benchmarks.md.

The graders that are compared alternate in one run. Medians and spreads are reported. Compare ratios, since a
shared machine is slower at some times than at others.
"""

from __future__ import annotations

import csv
import json
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import psutil
import torch

from benchmarks import data_path, growth, starts
from benchmarks.other_graders import nbgrader, otter, passed
from benchmarks.phases import PHASES, phases
from benchmarks.public_tests import SCORED, SEEN
from benchmarks.timing import Measured, Run, alternate
from benchmarks.write_up import HEADINGS, write_up
from grader.audit import corpus
from grader.batch.class_records import ClassSubmission
from grader.batch.manifest import Manifest, write_manifest
from grader.exercises.vae_mnist.data.mnist import ensure_mnist
from grader.notebook.format import load_notebook
from grader.records import Notebook

ROOT = Path(__file__).parents[1]
RUBRIC = ROOT / "rubric.yaml"
EARLIER = ROOT / "student_template" / "earlier" / "vae_mnist-b8e69a72.ipynb"  # an earlier version of the template
PYTHON = [sys.executable, "-m"]
GRADER = [*PYTHON, "grader"]
PARTS = ("whole", "short", "class", "data", "growth", "starts")
WRITES = {"whole": ("whole", "profile")}  # part -> the tables that it writes, if not only its own
CLASS = 8
UNSCORED = ", quality not scored"
COLUMNS = ("part", "what", "median_s", "spread_s", "rounds", "grader_mb", "note", "when", "machine")
STORED = 200
Rows = list[tuple[str, Measured, str]]


def main(chosen: Sequence[str]) -> None:
    """Measures the chosen parts, or all; other parts keep the figures of their last run."""
    for part in chosen:
        if part not in PARTS:
            raise SystemExit(f"unknown part {part!r}: expected some of {', '.join(PARTS)}")
    table = ROOT / "docs" / "benchmarks.csv"
    rows = _known(table)
    with tempfile.TemporaryDirectory(dir=ROOT / "build") as temporary:
        folder = Path(temporary)
        for part in chosen or PARTS:
            if measured := _measured(part, folder):
                rows = [row for row in rows if row["part"] not in WRITES.get(part, (part,))] + measured
    if not rows:
        return
    rows.sort(key=lambda row: list(HEADINGS).index(row["part"]))
    with table.open("w", newline="") as written:
        writer = csv.DictWriter(written, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    write_up(rows, ROOT / "docs")


def machine() -> str:
    """One line about the machine."""
    memory = psutil.virtual_memory().total / 1e9
    cpu = next((line.partition(":")[2].strip() for line in _cpuinfo() if line.startswith("model name")), "unknown CPU")
    card = torch.cuda.get_device_name(0) if torch.cuda.is_available() else "no GPU"
    hardware = (
        f"{len(os.sched_getaffinity(0))} cores of {cpu}, {memory:.0f} GB, {card}, Python {platform.python_version()}"
    )
    return f"{hardware}, torch {torch.__version__}"


def _measured(part: str, folder: Path) -> list[dict[str, str]]:
    when = datetime.now(UTC).date().isoformat()
    works: dict[str, Callable[[Path], Rows | dict[str, Rows]]] = {
        **{"whole": _whole, "short": _short, "class": _class, "data": _data},
        **{"growth": _growth, "starts": _starts},
    }
    results = works[part](folder)
    return [
        {
            "part": name,
            "what": what,
            "median_s": f"{one.median:.3f}" if one.median < 1 else f"{one.median:.1f}",
            "spread_s": one.spread,
            "rounds": str(len(one.seconds)),
            "grader_mb": f"{one.peak_mb:.0f}" if one.peak_mb else "",
            "note": note,
            "when": when,
            "machine": machine(),
        }
        for name, rows in (results if isinstance(results, dict) else {part: results}).items()
        for what, one, note in rows
    ]


def _whole(folder: Path) -> dict[str, Rows]:
    """Measures the notebook alone, this project's grade of it by phase, and other graders with public tests."""
    notebook = _finished()
    rivals = {
        f"{rival.name}{how}": rival
        for tests, how in ((SCORED, ""), (SEEN, UNSCORED))
        for make in (otter, nbgrader)
        for rival in [make(notebook, tests, _make_folder(folder / f"{make.__name__}{how}"))]
    }
    bare = _make_folder(folder / "bare")
    (bare / "vae.ipynb").write_text(json.dumps(notebook))
    execute = [*PYTHON, "jupyter", "execute", "--timeout=3000", "--output=ran.ipynb"]
    (earlier := folder / "earlier.ipynb").write_text(json.dumps(corpus.filled(load_notebook(EARLIER))))
    first = _with_mnist(corpus.filled(load_notebook(EARLIER)))
    (_make_folder(folder / "first") / "vae.ipynb").write_text(json.dumps(first))
    runs = {
        "the notebook alone": Run([*execute, "vae.ipynb"], bare),
        "this grader": _grade(_submission(folder), folder / "graded"),
        "an earlier version of the template, alone": Run([*execute, "vae.ipynb"], folder / "first"),
        "this grader, an earlier version of the template": _grade(earlier, folder / "graded first"),
    }
    graded = {
        name: Run(rival.command, rival.folder, environment=_first(Path(rival.command[0]).parent))
        for name, rival in rivals.items()
    }
    unscored = {name: run for name, run in graded.items() if name.endswith(UNSCORED)}
    measurements = alternate(runs | {name: run for name, run in graded.items() if name not in unscored}, 3)
    measurements |= alternate(unscored, 1)
    notes = {
        name: f"{rival.version}, {passed(rival)} of {len(rival.tests)} public tests pass"
        for name, rival in rivals.items()
    }
    notes["this grader"] = "all checks, follow-through, report"
    rounds = [phases(*one_round) for one_round in measurements["this grader"].rounds]
    profile = {phase: Measured([one[phase] for one in rounds]) for phase in PHASES}
    return {
        "whole": [(name, one, notes.get(name, "")) for name, one in measurements.items()],
        "profile": [(phase, one, "") for phase, one in profile.items()],
    }


def _short(folder: Path) -> Rows:
    """Measures commands without training: components, the template, re-grading stored evidence, the help."""
    submission, graded = _submission(folder), folder / "graded"
    if not (graded / "report.json").exists():
        alternate({"one grade": _grade(submission, graded)}, 1)
    template = ROOT / "student_template" / "vae_mnist.ipynb"
    again = [*GRADER, "regrade", str(graded), "--rubric", str(RUBRIC)]

    def forget() -> None:
        for name in ("findings.json", "figures.json", "notebook.json", "evidence.json"):
            (graded / name).unlink(missing_ok=True)

    measurements = alternate(
        {
            "without training": _grade(submission, folder / "components", "--components-only"),
            "the untouched template": _grade(template, folder / "template"),
            "scoring both models from stored evidence": Run([*PYTHON, "benchmarks.scoring", str(graded)], ROOT),
            "re-grading without stored findings": Run(again, ROOT, forget),
            "re-grading with stored findings": Run(again, ROOT),
            "--help": Run([*GRADER, "--help"], ROOT),
        },
        5,
    )
    stored = _stored(graded, folder / "class")
    moved = folder / "moved.yaml"
    text = RUBRIC.read_text().replace("full_at: 0.25", "full_at: 0.26")
    text = text.replace("template: ", f"template: {ROOT}/").replace(
        "reference: reference/", f"reference: {ROOT}/reference/"
    )
    moved.write_text(text)
    line = [*GRADER, "regrade", str(stored), "--workers", "2", "--rubric"]
    rubrics = iter([str(moved), str(RUBRIC)] * 10)
    for _ in range(3):
        once = alternate({"regrade": Run([*line, next(rubrics)], ROOT, codes=(0, 1))}, 1)["regrade"]
        name = f"regrade of {STORED} after a threshold change"
        measurements.setdefault(name, Measured()).seconds += once.seconds
        measurements[name].peak_mb = max(measurements[name].peak_mb, once.peak_mb)
    return [(name, one, "") for name, one in measurements.items()]


def _class(folder: Path) -> Rows:
    """Measures a class: one notebook at a time with all cores, and several at a time."""
    line = _class_line(folder, CLASS)
    runs = {
        f"{CLASS} submissions, one at a time": Run([*line, "--workers", "1", "--out", str(folder / "serial")], ROOT),
        f"{CLASS} submissions side by side": Run([*line, "--out", str(folder / "parallel")], ROOT),
    }
    return [(name, one, "") for name, one in alternate(runs, 1).items()]


def _class_line(folder: Path, size: int) -> list[str]:
    submissions = _make_folder(folder / "submissions")
    for number in range(size):
        (submissions / f"student{number}.ipynb").write_text(json.dumps(_finished(number)))
    return [*GRADER, "grade-class", str(submissions), "--rubric", str(RUBRIC)]


def _data(folder: Path) -> Rows:
    """Measures the batches of one epoch, without training."""
    return [(name, Measured(times), "") for name, times in data_path.measure().items()]


def _starts(folder: Path) -> Rows:
    """Measures alternatives to a kernel."""
    return [(name, Measured(seconds), "") for name, seconds in starts.measure().items()]


def _growth(folder: Path) -> Rows:
    """Measures how cost grows with pictures and outputs."""
    return [(f"{much:g} {what}", Measured([s]), "") for what, points in growth.measure().items() for much, s in points]


def _grade(submission: Path, out: Path, *more: str) -> Run:
    line = [*GRADER, "grade", str(submission), "--rubric", str(RUBRIC), "--out", str(out), *more]
    return Run(line, ROOT, lambda: shutil.rmtree(out, ignore_errors=True))


def _submission(folder: Path) -> Path:
    path = folder / "submission.ipynb"
    path.write_text(json.dumps(corpus.build(corpus.REFERENCE)))
    return path


def _finished(number: int = 0) -> Notebook:
    """The reference as a student submits it, with MNIST from this machine."""
    notebook = corpus.build(corpus.REFERENCE)
    if number:
        corpus.substitute(notebook, "torch.manual_seed(0)", f"torch.manual_seed(0)  # {number}")
        return notebook
    return _with_mnist(notebook)


def _with_mnist(notebook: Notebook) -> Notebook:
    corpus.substitute(notebook, 'datasets.MNIST("data"', f'datasets.MNIST("{ensure_mnist(print)}"')
    return notebook


def _stored(graded: Path, out: Path) -> Path:
    """A class of copies of one run; large files are links to the same bytes."""
    class_submissions = []
    submissions = _make_folder(out.parent / "handed in")
    for number in range(STORED):
        key = f"student{number:04d}"
        run = _make_folder(out / "submissions" / key)
        for path in graded.iterdir():
            (os.link if path.stat().st_size > 1_000_000 else shutil.copy2)(path, run / path.name)
        shutil.copy(graded / "executed.ipynb", submissions / f"{key}.ipynb")
        class_submissions.append(ClassSubmission(key, submissions / f"{key}.ipynb", f"{key}.ipynb"))
    manifest = Manifest(
        "bench", submissions, RUBRIC, "0" * 32, "bubblewrap", None, "flat", tuple(class_submissions), ()
    )
    write_manifest(out, manifest)
    return out


def _make_folder(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _first(programs: Path) -> dict[str, str]:
    return {"PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}


def _cpuinfo() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.exists() else []


def _known(table: Path) -> list[dict[str, str]]:
    if not table.exists():
        return []
    with table.open(newline="") as written:
        return list(csv.DictReader(written))


if __name__ == "__main__":
    main(sys.argv[1:])
