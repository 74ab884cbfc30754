"""A class ends with a table; its line of progress knows the time that is left and every worker; a full disk is told."""

from __future__ import annotations

import io
import shutil
from dataclasses import replace
from html import unescape
from pathlib import Path

import pytest
from assistants_folder import World, class_again, make_world, whole_class
from rich.console import Console
from toy_reports import ADA, FULL, LESS, ZOE, row

from grader.batch import grading
from grader.batch.class_records import GradebookRow, JobResult, StudentState
from grader.batch.progress import MOST, Progress, class_table
from grader.batch.regrading import regrade_class
from grader.errors import GraderError
from grader.records import Lateness


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    return make_world(tmp_path, monkeypatch)


def shown(rows: list[GradebookRow]) -> list[str]:
    console = Console(width=150, file=io.StringIO())
    console.print(class_table(rows))
    return console.file.getvalue().splitlines()  # type: ignore[attr-defined]


def test_the_table_has_points_and_why_somebody_must_look() -> None:
    lines = shown(
        [
            row("ada", StudentState.GRADED, ADA, FULL),
            row("zoe", StudentState.LOOK, ZOE, LESS),
            replace(row("eve", StudentState.REFUSED, None), reason="no notebook"),
            GradebookRow("105", StudentState.MISSING, replace(ADA, id="105", name="Noor")),
        ]
    )
    assert [" ".join(line.split()) for line in lines] == [
        "submission whose points state",
        "105 Noor – nothing handed in",
        "ada Ada Lovelace 9 / 9 graded",
        "eve – not gradable: no notebook",
        "zoe Zoë Müller 8.25 / 9 needs a look: a given name was taken",
    ]


def test_what_counts_has_a_column_where_somebody_was_late() -> None:
    late = row("ada", StudentState.GRADED, ADA, FULL)
    assert late.report
    late = replace(late, report=replace(late.report, late=Lateness("2026-11-22T10:00", "2026-11-20T10:00", 2, 20.0)))
    lines = shown([late])
    assert "count" in lines[0]
    assert "7.2" in lines[1]


def test_of_a_large_class_only_those_are_shown_whom_somebody_must_see() -> None:
    rows = [row(f"s{number:03}", StudentState.GRADED, None, FULL) for number in range(MOST)]
    lines = shown([*rows, row("zoe", StudentState.LOOK, ZOE, LESS)])
    assert len([line for line in lines if line.startswith(("s0", "zoe"))]) == 1
    assert f"{MOST} more" in lines[-1]


def test_the_line_of_progress_never_loses_the_time_left_nor_a_worker(tmp_path: Path) -> None:
    console = Console(file=io.StringIO(), width=200)
    with Progress(12, 10, console, tmp_path / "log") as progress:
        for number in range(10):
            progress.started(str(number))
        assert "10 running" in progress.summary()
        assert "time left not known yet" in progress.summary()
        assert len(progress._bars.tasks) == 11
        for number in range(11):
            progress.ended(JobResult(str(number), StudentState.GRADED, points_milli=1, max_points_milli=1))
            assert "left" in progress.summary()
        progress.ended(JobResult("11", StudentState.GRADED))
        assert "left" not in progress.summary()


def test_a_full_disk_is_told_with_the_path_before_anything_runs(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(".")
    monkeypatch.setattr(grading.shutil, "disk_usage", lambda _: usage._replace(free=10_000_000))
    with pytest.raises(GraderError, match=r"runs/class: 0\.0 GB are free there; make room"):
        whole_class(None)(world)
    assert not list(Path("runs").rglob("report.json"))
    monkeypatch.setattr(grading.shutil, "disk_usage", lambda _: usage)
    whole_class(None)(world)
    monkeypatch.setattr(grading.shutil, "disk_usage", lambda _: usage._replace(free=10_000_000))
    whole_class(None)(world)  # nothing is left to run, so it needs no room


def test_the_commands_on_a_page_name_the_notebook_the_folder_and_the_rubric(world: World) -> None:
    whole_class(None)(world)
    page = unescape(Path("runs/class/submissions/ada/report.html").read_text())
    assert "regrade runs/class/submissions/ada<" in page
    assert "SUBMISSION=class/ada/vae_mnist.ipynb" in page
    assert "--rubric" not in page  # the project's own is what the command takes by itself
    other = world.rubric.with_name("other.yaml")
    other.write_text(world.rubric.read_text().replace("title: Toy", "title: Another"))
    regrade_class(Path("runs/class"), other, "", 1, lambda _: None)
    assert "--rubric other.yaml" in unescape(Path("runs/class/submissions/ada/report.html").read_text())
    class_again(world)
