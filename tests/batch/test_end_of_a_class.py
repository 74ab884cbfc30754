"""The progress of a class and the table at its end; how many are graded at a time; the refusal of a full disk."""

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

from grader.batch import class_grading
from grader.batch import progress as progress_module
from grader.batch.class_records import GradebookRow, JobResult, StudentState
from grader.batch.local import WorkerBound, reason_for_one, too_many
from grader.batch.progress import Progress
from grader.batch.regrading import regrade_class
from grader.batch.tables import MOST, class_table
from grader.errors import GraderError
from grader.records import Lateness


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    return make_world(tmp_path, monkeypatch)


def shown(rows: list[GradebookRow]) -> list[str]:
    console = Console(width=150, file=io.StringIO())
    console.print(class_table(rows))
    return console.file.getvalue().splitlines()  # type: ignore[attr-defined]


def test_the_table_shows_points_states_and_reasons() -> None:
    lines = shown(
        [
            row("ada", StudentState.GRADED, ADA, FULL),
            row("zoe", StudentState.LOOK, ZOE, LESS),
            replace(row("eve", StudentState.REFUSED, None), reason="no notebook"),
            GradebookRow("105", StudentState.MISSING, replace(ADA, id="105", name="Noor")),
        ]
    )
    assert [" ".join(line.split()) for line in lines] == [
        "submission student points state",
        "105 Noor – no submission",
        "ada Ada Lovelace 9 / 9 graded",
        "eve not on the roster – not gradable: no notebook",
        "zoe Zoë Müller 8.25 / 9 needs manual review: a given name was taken",
    ]


def test_points_after_lateness_have_a_column_if_a_submission_was_late() -> None:
    late = row("ada", StudentState.GRADED, ADA, FULL)
    assert late.report
    late = replace(late, report=replace(late.report, late=Lateness("2026-11-22T10:00", "2026-11-20T10:00", 2, 20.0)))
    lines = shown([late])
    assert "after lateness" in lines[0]
    assert "7.2" in lines[1]


def test_the_table_of_a_large_class_shows_only_submissions_that_need_attention() -> None:
    rows = [row(f"s{number:03}", StudentState.GRADED, None, FULL) for number in range(MOST)]
    lines = shown([*rows, row("zoe", StudentState.LOOK, ZOE, LESS)])
    assert len([line for line in lines if line.startswith(("s0", "zoe"))]) == 1
    assert f"{MOST} more" in lines[-1]


def test_the_progress_line_shows_every_worker_and_the_time_left_after_ten_submissions(tmp_path: Path) -> None:
    console = Console(file=io.StringIO(), width=200)
    with Progress(14, 10, console, tmp_path / "log") as progress:
        for number in range(10):
            progress.started(str(number))
        assert "10 running" in progress.summary()
        assert len(progress._bars.tasks) == 11
        for number in range(13):
            progress.ended(JobResult(str(number), StudentState.GRADED, points_milli=1, max_points_milli=1))
            assert ("left" in progress.summary()) == (number >= 9)
        progress.ended(JobResult("13", StudentState.GRADED))
        assert "left" not in progress.summary()


def test_the_time_left_counts_the_part_of_each_running_submission_that_is_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr(progress_module.time, "monotonic", lambda: now[0])
    with Progress(6, 2, Console(file=io.StringIO()), tmp_path / "log") as progress:
        progress.started("a")
        progress.started("b")
        now[0] = 200.0
        progress.ended(JobResult("a", StudentState.GRADED, seconds=200))
        progress.started("c")
        assert "left" not in progress.summary()
        now[0] = 300.0  # "b" is as good as over, and half of "c": 2.5 of 6 in 300 s
        assert progress.summary().endswith("about 7 min 0 s left")


def test_after_a_resume_the_totals_count_the_submissions_that_were_done_before(tmp_path: Path) -> None:
    console = Console(file=io.StringIO(), width=200)
    with Progress(188, 2, console, tmp_path / "log", before=12) as progress:
        progress.ended(JobResult("a", StudentState.GRADED, points_milli=1, max_points_milli=2))
        assert progress.summary().startswith("13 of 200 done, mean 50 % in this run")
    assert "188 to grade (2 at a time), 12 up to date" in console.file.getvalue()  # type: ignore[attr-defined]


def test_the_first_line_says_how_many_are_graded_at_a_time_and_why_if_it_is_one(tmp_path: Path) -> None:
    console = Console(file=io.StringIO(), width=200)
    with Progress(5, 1, console, tmp_path / "log", why="1 core"):
        pass
    assert "5 to grade (1 at a time: 1 core), 0 up to date" in console.file.getvalue()  # type: ignore[attr-defined]


def test_the_tightest_bound_is_the_reason_for_one_at_a_time() -> None:
    bounds = [
        WorkerBound(1, "12 GB of memory available, 8 GB per submission"),
        WorkerBound(4, "4 cores", of_memory=False),
    ]
    assert reason_for_one(None, 1, bounds) == "12 GB of memory available, 8 GB per submission"
    assert reason_for_one(1, 1, bounds) == "--workers 1"
    assert reason_for_one(None, 2, bounds) == ""


def test_more_workers_than_memory_allows_cause_a_warning() -> None:
    bounds = [
        WorkerBound(2, "16 GB of memory available, 8 GB per submission"),
        WorkerBound(1, "1 core", of_memory=False),
    ]
    assert too_many(6, bounds) == (
        "--workers 6: memory allows 2 (16 GB of memory available, 8 GB per submission); more may run out of memory"
    )
    assert too_many(2, bounds) == too_many(None, bounds) == ""


def test_a_long_reason_is_cut_between_two_words() -> None:
    lines = shown([replace(row("eve", StudentState.REFUSED, None), reason="several words " * 30)])
    assert "".join(lines).rstrip().endswith(("several…", "words…"))


def test_a_full_disk_is_refused_with_its_path_before_anything_runs(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(".")
    monkeypatch.setattr(class_grading.shutil, "disk_usage", lambda _: usage._replace(free=10_000_000))
    with pytest.raises(GraderError, match=r"runs/class: 0\.0 GB of disk space free, expected 0\.2; free some"):
        whole_class(None)(world)
    assert not list(Path("runs").rglob("report.json"))
    monkeypatch.setattr(class_grading.shutil, "disk_usage", lambda _: usage)
    whole_class(None)(world)
    monkeypatch.setattr(class_grading.shutil, "disk_usage", lambda _: usage._replace(free=10_000_000))
    whole_class(None)(world)  # nothing is left to run, so it needs no room


def test_the_commands_on_a_page_name_the_notebook_the_folder_and_the_rubric(world: World) -> None:
    whole_class(None)(world)
    page = unescape(Path("runs/class/submissions/ada/report.html").read_text())
    assert "regrade runs/class/submissions/ada<" in page
    assert "SUBMISSION=class/ada/vae_mnist.ipynb" in page
    assert "--rubric" not in page  # the project's own is what the command takes by itself
    other = world.rubric.with_name("other.yaml")
    other.write_text(world.rubric.read_text().replace("title: Two numbers", "title: Another"))
    regrade_class(Path("runs/class"), other, "", 1, lambda _: None)
    assert "--rubric other.yaml" in unescape(Path("runs/class/submissions/ada/report.html").read_text())
    class_again(world)
