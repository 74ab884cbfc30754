"""Pruning keeps points, removing a student removes every trace, and an anonymous copy of a class names no student."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from assistants_folder import SEED, Silent, World, class_again, decide, make_world, quiet, whole_class

from grader.batch import retention as pruning
from grader.batch.class_grading import ClassOptions, grade_class
from grader.batch.history import read_history
from grader.batch.regrading import RegradeResult, regrade_class
from grader.batch.release import release_class
from grader.batch.released_points import read_released
from grader.batch.retention import export_anonymous, forget, prune_class
from grader.errors import GraderError

OUT = Path("runs/class")
EVIDENCE = "evidence.safetensors"


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    graded_world = make_world(tmp_path, monkeypatch)
    whole_class(None)(graded_world)
    return graded_world


def points(rows: object) -> dict[str, int | None]:
    return {row.key: row.points_milli for row in rows}  # type: ignore[attr-defined]


def everything(folder: Path) -> str:
    """The names and the contents of all that lies in the folder."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return "\n".join([str(path) for path in files] + [path.read_bytes().decode("latin-1") for path in files])


def with_rubric(world: World, old: str, new: str) -> RegradeResult:
    text = world.rubric.read_text()
    assert old in text
    path = world.rubric.with_name("other.yaml")
    path.write_text(text.replace(old, new, 1))
    return regrade_class(OUT, path, "", 1, quiet)


def test_a_pruned_class_keeps_points_and_pages_and_can_be_regraded(world: World) -> None:
    before = points(class_again(world).rows)  # type: ignore[attr-defined]
    result = prune_class(OUT, quiet)
    assert (result.count, result.left) == (3, ())
    assert result.freed_bytes > 0
    assert not list(OUT.rglob(EVIDENCE))
    again = class_again(world)
    assert (points(again.rows), again.failures) == (before, ())  # type: ignore[attr-defined]
    decide(world)
    assert points(class_again(world).rows)["ben"] == 8000  # type: ignore[attr-defined]
    assert points(whole_class(None)(world).rows)["ada"] == 9000  # type: ignore[attr-defined]
    assert not list(OUT.rglob(EVIDENCE))  # nothing was run again for lack of it
    assert prune_class(OUT, quiet).freed_bytes == 0


def test_checks_that_need_the_evidence_say_that_it_was_pruned(world: World) -> None:
    prune_class(OUT, quiet)
    for path in OUT.rglob("findings.json"):
        path.unlink()
    again = class_again(world)
    assert len(again.failures) == 3  # type: ignore[attr-defined]
    assert all("the evidence, which was pruned on 20" in line for line in again.failures)  # type: ignore[attr-defined]
    assert points(again.rows) == {"ada": 9000, "ben": 4000, "cleo": 9000}  # type: ignore[attr-defined]


def test_a_resubmitted_notebook_has_evidence_again(world: World) -> None:
    prune_class(OUT, quiet)
    world.versions["ada"] += 1
    world.write("ada")
    whole_class(None)(world)
    assert [path.parent.name for path in OUT.rglob(EVIDENCE)] == ["ada"]
    assert not (OUT / "submissions/ada/pruned.json").exists()
    assert (OUT / "submissions/ben/pruned.json").exists()


def test_pruning_continues_after_a_kill_and_nothing_is_half_pruned(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = pruning.prune
    count = 0

    def dying(folder: Path) -> int:
        nonlocal count
        count += 1
        if count == 2:
            raise KeyboardInterrupt
        return real(folder)

    with monkeypatch.context() as patched:
        patched.setattr(pruning, "prune", dying)
        with pytest.raises(KeyboardInterrupt):
            prune_class(OUT, quiet)
    assert points(class_again(world).rows) == {"ada": 9000, "ben": 4000, "cleo": 9000}  # type: ignore[attr-defined]
    assert prune_class(OUT, quiet).count == 2  # the first one was pruned before
    assert not list(OUT.rglob(EVIDENCE))


def test_a_removed_student_is_in_no_file_and_does_not_come_back(world: World) -> None:
    (world.folder / "roster.csv").write_text("id,name\nada,Ada L\nben,Ben\ncleo,Cleo\ndora,Dora\n")

    def graded() -> object:
        options = ClassOptions(world.rubric, OUT, Path("roster.csv"), seed=SEED)
        return grade_class(world.folder / "class", options, Silent(), quiet).rows  # type: ignore[arg-type]

    graded()
    release_class(OUT)
    removal = forget(OUT, "ada")
    contents = everything(OUT)
    assert "Ada L" not in contents
    assert "/ada" not in contents
    assert '"ada"' not in contents
    assert "ada" not in read_released(OUT)
    assert any("class: the download" in line for line in removal.left)
    assert {event.submission for event in read_history(OUT)} == {removal.pseudonym, "ben", "cleo"}
    forget(OUT, "dora")  # who has no submission
    assert set(points(graded())) == {"ben", "cleo"}
    assert "Dora" not in everything(OUT)
    with pytest.raises(GraderError, match="no such student or submission"):
        forget(OUT, "ada")


def test_entries_written_by_staff_must_be_removed_first(world: World) -> None:
    decide(world)
    class_again(world)
    with pytest.raises(GraderError, match=r"overrides\.yaml: has an entry for ben; remove that entry first"):
        forget(OUT, "ben")
    assert (OUT / "submissions/ben").exists()
    (OUT / "overrides.yaml").write_text("")
    (OUT / "late.yaml").write_text("deadline: 2026-11-20\nstudents: {ben: {excused: true, reason: ill, by: T}}\n")
    with pytest.raises(GraderError, match=r"late\.yaml: has an entry for ben"):
        forget(OUT, "ben")
    with pytest.raises(GraderError, match="no such student or submission; did you mean 'cleo'"):
        forget(OUT, "clea")


def test_an_anonymous_copy_has_points_and_no_names(world: World) -> None:
    decide(world)
    class_again(world)
    files = export_anonymous(OUT, Path("shown"))
    assert {path.name for path in files} == {"class.html", "gradebook.csv"}
    contents = everything(Path("shown"))
    for name in ("ada", "ben", "cleo", "A. Turing", "typo in the worksheet", SEED, str(world.folder)):
        assert name not in contents
    lines = list(csv.DictReader((Path("shown") / "gradebook.csv").read_text().splitlines()))
    assert sorted(line["points"] for line in lines) == ["8", "9", "9"]
    assert sorted(line["key"] for line in lines) == ["s1", "s2", "s3"]
    with pytest.raises(GraderError, match="expected a new folder"):
        export_anonymous(OUT, Path("shown"))


def test_the_order_of_an_anonymous_copy_is_random(world: World) -> None:
    seen = set()
    for number in range(12):
        export_anonymous(OUT, Path(f"shown{number}"))
        lines = csv.DictReader((Path(f"shown{number}") / "gradebook.csv").read_text().splitlines())
        seen.add(json.dumps([line["points"] for line in sorted(lines, key=lambda line: line["key"])]))
    assert len(seen) > 1
