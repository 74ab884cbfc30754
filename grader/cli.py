"""The command line: `python -m grader grade x.ipynb`.

Exit codes: 0 graded, 1 graded but a person must look, 2 not graded.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from grader.errors import GraderError

app = typer.Typer(add_completion=True, no_args_is_help=True, pretty_exceptions_enable=False, help=__doc__)

GRADED, LOOK, NOT_GRADED = 0, 1, 2


@app.callback()
def _verbs() -> None:
    """Grades notebooks, keeping student code away from the code that grades it."""


@app.command()
def grade(
    submission: Annotated[Path, typer.Argument(help="the notebook, for instance reference/vae_mnist.ipynb")],
    rubric: Annotated[Path, typer.Option(help="the rubric")] = Path("rubric.yaml"),
    out: Annotated[Path | None, typer.Option(help="the run's folder; runs/<name of the notebook> if not given")] = None,
    seed: Annotated[str | None, typer.Option(help="a run's seed from its report, to repeat its questions")] = None,
    components_only: Annotated[
        bool, typer.Option("--components-only", help="no training: code alone, in seconds")
    ] = False,
    isolation: Annotated[
        str, typer.Option(help="bubblewrap, container, or none: student code then runs as you")
    ] = "bubblewrap",
) -> None:
    """Grades one notebook. Example: python -m grader grade reference/vae_mnist.ipynb"""
    from rich.console import Console

    from grader.pipeline import Options, grade
    from grader.report.terminal import print_report

    _refuse_bad_seed(seed)
    options = Options(seed=seed, isolation=isolation, parts=() if components_only else None)
    report, folder = grade(submission, rubric, out, options, _Progress())
    print_report(report, Console(), folder)
    raise typer.Exit(LOOK if report.needs_person else GRADED)


@app.command("grade-class")
def grade_class(
    submissions: Annotated[Path, typer.Argument(help="a folder or a zip: flat, a folder a student, or a download")],
    rubric: Annotated[Path, typer.Option(help="the rubric")] = Path("rubric.yaml"),
    out: Annotated[Path | None, typer.Option(help="the class's folder; runs/<name of the submissions>")] = None,
    roster: Annotated[
        Path | None, typer.Option(help="a CSV of the students, for instance a gradebook's export")
    ] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="submissions at once; as many as fit if not given")] = None,
    executor: Annotated[str, typer.Option(help="local or slurm", envvar="EXECUTOR")] = "local",
    cluster: Annotated[Path, typer.Option(help="with slurm: partition, time, memory")] = Path("slurm.yaml"),
    seed: Annotated[str | None, typer.Option(help="of everybody's questions; a new class draws one")] = None,
    components_only: Annotated[bool, typer.Option("--components-only", help="no training: code alone")] = False,
    isolation: Annotated[str, typer.Option(help="as for grade")] = "bubblewrap",
) -> None:
    """Grades a class; run again, only what is missing or changed. Example: python -m grader grade-class submissions"""
    from rich.console import Console

    from grader.batch.grading import Wishes, grade_class

    _refuse_bad_seed(seed)
    parts = () if components_only else None
    wishes = Wishes(rubric, out, roster, workers, isolation, parts, seed, executor, cluster)
    graded = grade_class(submissions, wishes, Console(stderr=True), _Progress())
    _tell_class(graded.out, graded.remarks)
    raise typer.Exit(GRADED if graded.all_sure else LOOK)


@app.command()
def regrade(
    out: Annotated[Path, typer.Argument(help="a class's folder, or a single run's")],
    rubric: Annotated[Path | None, typer.Option(help="the rubric; for a class, the one it was graded with")] = None,
    reason: Annotated[str, typer.Option(help="why, for the history")] = "",
    workers: Annotated[int, typer.Option(min=1, help="processes at once")] = 2,
) -> None:
    """Judges again, from stored evidence, running nothing. Example: python -m grader regrade runs/submissions"""
    from rich.console import Console

    from grader.batch.regrading import moves_table, regrade_class

    console = Console()
    if not (out / "class.json").exists():
        from grader.pipeline import regrade as regrade_one
        from grader.report.terminal import print_report

        report = regrade_one(out, rubric or Path("rubric.yaml"))
        print_report(report, console, out)
        raise typer.Exit(LOOK if report.needs_person else GRADED)
    again = regrade_class(out, rubric, reason, workers, _Progress())
    console.print(moves_table(again))
    _tell_class(out, again.remarks)
    raise typer.Exit(GRADED if again.all_sure else LOOK)


@app.command()
def gradescope(
    rubric: Annotated[Path, typer.Option(help="the rubric")] = Path("rubric.yaml"),
    out: Annotated[Path, typer.Option(help="the zip to upload")] = Path("runs/gradescope/autograder.zip"),
    isolation: Annotated[str, typer.Option(help="bubblewrap, or none where the platform allows no box")] = "bubblewrap",
    pip_options: Annotated[str, typer.Option(help="for pip at set-up, for instance where a CPU build lies")] = "",
) -> None:
    """Writes the autograder for Gradescope. Example: python -m grader gradescope"""
    from grader.gradescope.bundle import write_bundle

    bundle = write_bundle(rubric, out, isolation=isolation, pip_options=pip_options)
    typer.echo(f"{bundle.path}: {bundle.size / 1e6:.1f} MB, {len(bundle.files)} files")


@app.command()
def audit(
    only: Annotated[list[str] | None, typer.Option(help="a solution of corpus/; may be repeated")] = None,
    out: Annotated[Path, typer.Option(help="the folder for the page and the tables")] = Path("runs/audit"),
    rubric: Annotated[Path, typer.Option(help="the rubric")] = Path("rubric.yaml"),
    jobs: Annotated[int, typer.Option(min=1, help="processes at once")] = 2,
    what_if: Annotated[
        list[str] | None, typer.Option(help="<item>.<check>.<number>=<value>: who would gain or lose; may be repeated")
    ] = None,
    graded: Annotated[Path, typer.Option(help="with --what-if: the folder of graded submissions")] = Path("runs"),
    full: Annotated[bool, typer.Option("--full", help="train every solution: hours the first time")] = False,
    seeds: Annotated[int, typer.Option(min=0, help="judge each solution with so many seeds instead")] = 0,
) -> None:
    """Tries the rubric on right and wrong solutions. Example: python -m grader audit --only uniform_prior"""
    from rich.console import Console

    from grader.audit.command import ask_what_if, audit_components, audit_in_full, audit_seeds

    if what_if:
        ask_what_if(what_if, graded, rubric, out, Console())
        return
    if seeds:
        same = audit_seeds(only or [], seeds, rubric, out, jobs, Console(), _Progress(), full=full)
        raise typer.Exit(GRADED if same else LOOK)
    form = audit_in_full if full else audit_components
    sound = form(only or [], rubric, out, jobs, Console(), _Progress())
    raise typer.Exit(GRADED if sound else LOOK)


@app.command()
def doctor(
    rubric: Annotated[Path, typer.Option(help="the rubric")] = Path("rubric.yaml"),
    isolation: Annotated[str, typer.Option(help="the isolation to examine")] = "bubblewrap",
) -> None:
    """Says whether this machine can grade untrusted notebooks. Example: python -m grader doctor"""
    from rich.console import Console

    from grader.doctor.examination import examine
    from grader.doctor.findings import State
    from grader.doctor.screen import show

    found = examine(rubric, isolation, _Progress())
    show(found, Console())
    raise typer.Exit(NOT_GRADED if any(one.state is State.BROKEN for one in found) else GRADED)


@app.command()
def calibrate(
    rubric: Annotated[Path, typer.Option(help="the rubric")] = Path("rubric.yaml"),
    jobs: Annotated[int, typer.Option(min=1, help="boxes at once, a core each")] = 2,
    stored: Annotated[bool, typer.Option("--stored", help="only models that were run before")] = False,
) -> None:
    """Measures honest and defective models and writes docs/calibration*. Example: python -m grader calibrate"""
    from grader.audit.calibrate import calibrate as measure

    faults = measure(rubric, jobs, _Progress(), stored=stored)
    for fault in faults:
        typer.echo(fault)
    raise typer.Exit(LOOK if faults else GRADED)


def _refuse_bad_seed(seed: str | None) -> None:
    if seed is not None and (len(seed) != 32 or any(digit not in "0123456789abcdef" for digit in seed)):
        raise GraderError(f"--seed: expected the 32 hexadecimal digits of a report's seed, got {seed[:40]!r}")


def _tell_class(out: Path, remarks: Sequence[str]) -> None:
    """Where the results lie, and what a person should know of them."""
    from grader.report.plain import plain

    for remark in remarks:
        typer.echo(f"note: {plain(remark, 300)}")
    typer.echo(f"{out}/class.html, gradebook.csv")


class _Progress:
    """Says on standard error what is running, with the seconds since the start."""

    def __init__(self) -> None:
        self._started = time.monotonic()

    def __call__(self, text: str) -> None:
        from grader.report.plain import plain

        with contextlib.suppress(OSError):  # nobody listens, or the disk of a log is full
            typer.echo(f"[{time.monotonic() - self._started:5.0f} s] {plain(text, 100)}", err=True)


def main() -> None:
    """Runs the command line; whatever goes wrong becomes one line and exit code 2."""
    try:
        app()
    except GraderError as error:
        _not_graded(str(error))
    except KeyboardInterrupt:
        _not_graded("interrupted")
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        _not_graded(f"{where}{error.strerror or error}; no points were given; make room or rights, and grade again")
    except Exception as error:  # whatever it is, exit code 1 would say that there is a grade
        if os.environ.get("VAE_GRADER_TRACEBACK"):
            raise
        what = f"{type(error).__name__}: {error}"
        _not_graded(f"a fault of the grader's own, not the submission's: {what}; VAE_GRADER_TRACEBACK=1 shows where")


def _not_graded(reason: str) -> NoReturn:
    from grader.report.plain import plain

    with contextlib.suppress(OSError):
        typer.echo(f"not graded: {plain(reason, 600)}", err=True)
    sys.exit(NOT_GRADED)


if __name__ == "__main__":
    main()
