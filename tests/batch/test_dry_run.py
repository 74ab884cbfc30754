"""A dry run shows what re-grading would change in a class, a run or a folder of runs, and writes nothing."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from assistants_folder import SEED, World, decide, make_world, quiet, whole_class
from small_exercise import running

from grader.batch.dry_run import DryRun, dry_run, graded_folders, parse_change, summary, with_changes
from grader.batch.regrading import regrade_class
from grader.batch.release import release_class
from grader.batch.retention import prune_class
from grader.cli import main
from grader.errors import GraderError
from grader.grading.grade import Options, grade
from grader.grading.regrade import regrade

OUT = Path("runs/class")
STRICT = "one.training.training_lowers_the_loss.full_at=0.002"
NARROW = "one.training.training_lowers_the_loss.zero_at=0.01"
REFUSED = {
    "one.funktion.function_multiplies.tolerance=0.5": "item 'one.funktion' is unknown; did you mean 'one.function'?",
    "one.function.function_multiply.tolerance=0.5": "did you mean 'function_multiplies'?",
    "one.function.function_multiplies.tolerence=0.5": "did you mean 'tolerance'?",
    "one.function.function_multiplies.tolerance=high": "expected a number, got 'high'",
    "one.function.function_multiplies.tolerance=nan": "expected a number, got 'nan'",
    "tolerance=0.5": "expected <item>.<check>.<number>=<value>",
}


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """A class of three: Ada and Cleo have all nine points, Ben has four."""
    graded_world = make_world(tmp_path, monkeypatch)
    whole_class(None)(graded_world)
    return graded_world


def everything(folder: Path) -> dict[Path, tuple[bytes, int]]:
    """Every file with its content and the time when it was written."""
    return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.rglob("*") if path.is_file()}


def tried(world: World, *numbers: str, root: Path = OUT, rubric: Path | None = None) -> DryRun:
    """The dry run, which has written nothing."""
    before = everything(world.folder)
    result = dry_run(root, rubric or world.rubric, numbers, 1, quiet)
    assert everything(world.folder) == before
    return result


def shown(result: DryRun) -> dict[str, tuple[int, int]]:
    return {shift.submission: (shift.old_milli, shift.new_milli) for shift in result.shifts}


@pytest.mark.parametrize("text", REFUSED)
def test_an_unknown_number_is_refused_with_the_nearest_name(text: str) -> None:
    with pytest.raises(GraderError) as refused:
        parse_change(text, running.rubric())
    assert REFUSED[text] in str(refused.value)
    assert "\n" not in str(refused.value)


def test_only_the_named_number_changes_and_zero_at_and_full_at_keep_their_order() -> None:
    before = running.rubric()
    after = with_changes(before, [parse_change("two.training.training_lowers_the_loss.full_at=0.5", before)])
    assert after.items[3].checks[0].params == {"zero_at": 1.0, "full_at": 0.5}
    assert after.items[:3] == before.items[:3]
    assert before == running.rubric()
    for number in ("full_at=2", "full_at=1"):
        with pytest.raises(GraderError, match="in the same order"):
            with_changes(before, [parse_change(f"two.training.training_lowers_the_loss.{number}", before)])
    both = [parse_change(f"two.training.training_lowers_the_loss.{n}", before) for n in ("full_at=2", "zero_at=3")]
    assert with_changes(before, both).items[3].checks[0].params == {"zero_at": 3.0, "full_at": 2.0}


def test_gains_and_losses_are_listed_largest_loss_first(world: World) -> None:
    result = tried(world, STRICT, NARROW)
    assert list(shown(result).items()) == [("ada", (9000, 8000)), ("cleo", (9000, 8000)), ("ben", (4000, 4000))]
    assert [(event.submission, dict(event.items)) for event in result.events] == [
        ("ada", {"one.training": (4000, 3000)}),
        ("cleo", {"one.training": (4000, 3000)}),
    ]
    assert summary(result.shifts) == "0 of 3 would gain, 2 would lose, 1 would not change. Nothing was written."


def test_without_numbers_it_says_what_a_regrade_would_change(world: World) -> None:
    assert tried(world).events == []
    decide(world)
    (OUT / "late.yaml").write_text(
        "deadline: 2026-11-20\npercent_a_day: 10\n"
        "students: {ada: {handed_in: 2026-11-22 10:00, reason: by e-mail, by: T}}\n"
    )
    result = tried(world)
    events = {event.submission: event for event in result.events}
    assert shown(result) == {"ada": (9000, 9000), "ben": (4000, 8000), "cleo": (9000, 9000)}
    assert "A. Turing: a typo in the worksheet" in events["ben"].why
    assert (events["ada"].old_penalty_milli, events["ada"].new_penalty_milli) == (0, 1800)
    again = regrade_class(OUT, None, "", 1, quiet)
    assert {e.submission: (e.new_milli, e.items, e.why) for e in again.events} == {
        name: (event.new_milli, event.items, event.why) for name, event in events.items()
    }
    assert tried(world).events == []


def test_overrides_apply_under_another_number(world: World) -> None:
    (OUT / "overrides.yaml").write_text("ada:\n  one.training: {points: 4, reason: seen, by: T}\n")
    regrade_class(OUT, None, "", 1, quiet)
    assert shown(tried(world, STRICT, NARROW))["ada"] == (9000, 9000)


def test_a_report_of_an_older_rubric_is_noticed(world: World) -> None:
    other = world.rubric.with_name("other.yaml")
    other.write_text(world.rubric.read_text().replace("zero_at: 1.0, full_at: 0.1", "zero_at: 0.01, full_at: 0.002", 1))
    result = tried(world, "one.function.function_multiplies.tolerance=0.1", rubric=other)
    assert shown(result)["ada"] == (8000, 8000)
    assert result.remarks == ("2 of 3 reports are out of date under the current rubric; regrade them first",)
    assert shown(tried(world, rubric=other))["ada"] == (9000, 8000)


def test_released_points_that_would_fall_are_named(world: World) -> None:
    release_class(OUT)
    assert tried(world, STRICT, NARROW).remarks == tuple(
        f"{name}: 9 points were released, 8 would be left; a regrade needs --lower with a --reason"
        for name in ("ada", "cleo")
    )


def test_a_run_or_a_folder_of_runs_is_tried_under_its_own_decisions(world: World) -> None:
    grade(world.file("ben"), world.rubric, Path("runs/single"), Options(SEED), quiet)
    decide(world)
    Path("runs/single/overrides.yaml").write_text("vae_mnist:\n  one.training: {points: 1, reason: half, by: T}\n")
    assert shown(tried(world, root=Path("runs/single"))) == {"runs/single": (4000, 5000)}
    result = tried(world, root=Path("runs"))
    assert shown(result) == {
        "class/submissions/ada": (9000, 9000),
        "class/submissions/ben": (4000, 8000),
        "class/submissions/cleo": (9000, 9000),
        "single": (4000, 5000),
    }
    assert shown(tried(world, root=OUT / "submissions/ben")) == {"runs/class/submissions/ben": (4000, 8000)}
    assert regrade(Path("runs/single"), world.rubric).points_milli == 5000


def test_wrong_overrides_stop_their_class_and_are_a_note_beside_other_runs(world: World) -> None:
    (OUT / "overrides.yaml").write_text("ada:\n  one.trainig: {points: 4, reason: seen, by: T}\n")
    with pytest.raises(GraderError, match=r"one\.trainig"):
        tried(world)
    result = tried(world, root=Path("runs"))
    assert len(result.shifts) == 3
    assert result.remarks[0].endswith("the overrides of the stored reports are used instead")


def test_a_run_that_cannot_be_regraded_is_listed_and_none_at_all_is_refused(world: World) -> None:
    prune_class(OUT, quiet)
    assert len(tried(world).shifts) == 3  # what was found is remembered
    (OUT / "submissions/ada/findings.json").unlink()
    (line,) = tried(world).failures
    assert line.startswith("ada: not re-graded: ")
    for name in ("ben", "cleo"):
        (OUT / "submissions" / name / "findings.json").unlink()
    with pytest.raises(GraderError, match="the evidence, which was pruned"):
        tried(world)


def test_a_folder_without_graded_runs_is_refused(tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text("{}")
    with pytest.raises(GraderError, match="found none"):
        graded_folders(tmp_path)


def command(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], *words: str) -> tuple[object, str, str]:
    """The exit code, the output and the errors without the progress."""
    monkeypatch.setattr(sys, "argv", ["grader", *words])
    capfd.readouterr()
    with pytest.raises(SystemExit) as ended:
        main()
    out, err = capfd.readouterr()
    return ended.value.code, out, "\n".join(line for line in err.splitlines() if line[:1] != "[")


def test_the_command_prints_text_and_json(
    world: World, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    before = everything(world.folder)
    words = ("regrade", str(OUT), "--dry-run", "--set", STRICT, "--set", NARROW)
    code, out, err = command(monkeypatch, capfd, *words)
    assert (code, err) == (0, "")
    assert [line.strip() for line in out.splitlines()[:2]] == [
        f"With {STRICT}, {NARROW}:",
        "3 submissions, 2 would change",
    ]
    assert "one.training 4 → 3" in out
    assert out.endswith("0 of 3 would gain, 2 would lose, 1 would not change. Nothing was written.\n")
    values = json.loads(command(monkeypatch, capfd, *words, "--json")[1])
    assert values["set"] == [STRICT, NARROW]
    assert values["submissions"][0] == {
        "submission": "ada",
        "reported_points": 9,
        "old_points": 9,
        "new_points": 8,
        "old_penalty": 0,
        "new_penalty": 0,
        "items": {"one.training": [4, 3]},
        "why": "",
        "undecided": False,
    }
    assert command(monkeypatch, capfd, *words, "--quiet")[1] == f"{summary(tried(world, STRICT, NARROW).shifts)}\n"
    assert everything(world.folder) == before


def test_set_needs_dry_run_and_the_old_option_names_the_new_command(
    world: World, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert command(monkeypatch, capfd, "regrade", str(OUT), "--set", STRICT) == (
        2, "", "not graded: --set: works only with --dry-run; add it, or change the number in the rubric"
    )  # fmt: skip
    for old in (("--what-if", STRICT), ("--graded", "runs")):
        code, out, err = command(monkeypatch, capfd, "audit", *old)
        assert (code, out) == (2, "")
        assert err == (f"not graded: {old[0]}: was removed; use python -m grader regrade DIR --dry-run --set CHANGE")
