"""A class that is graded in shards gets the same results as in one piece, however often a command is killed."""

from __future__ import annotations

import csv
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from assistants_folder import SEED, Killed, Silent, World, make_world, quiet, whole_class
from toy_class import write_kind

from grader.batch.class_grading import ClassOptions, ClassResult, grade_class
from grader.batch.class_records import ClassSubmission, StudentState
from grader.batch.shards import NOT_THERE, Shard, shard_of
from grader.errors import GraderError

SHARDS = 3
TIMES = {"notebook run time (s)", "graded at"}


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    return make_world(tmp_path, monkeypatch)


def graded(world: World, **options: Any) -> ClassResult:
    arguments = {"rubric": world.rubric, "seed": SEED, **options}
    return grade_class(world.folder / "class", ClassOptions(**arguments), Silent(), quiet)  # type: ignore[arg-type]


def folders() -> tuple[Path, ...]:
    return tuple(Path(f"runs/class-part-{number}-of-{SHARDS}") for number in range(1, SHARDS + 1))


def gradebook(out: Path) -> list[dict[str, str]]:
    lines = csv.DictReader((out / "gradebook.csv").read_text().splitlines())
    return [{name: value for name, value in line.items() if name not in TIMES} for line in lines]


@pytest.mark.parametrize("of", [1, 2, 3, 7, 50])
def test_every_submission_is_in_one_shard_and_shards_are_of_a_size(of: int) -> None:
    class_ = [ClassSubmission(f"s{number:03}", Path("x"), "x") for number in range(40)]
    shards = [Shard(number, of).select(random.Random(number).sample(class_, 40)) for number in range(1, of + 1)]
    assert sorted(one.key for shard in shards for one in shard) == [one.key for one in class_]
    assert max(map(len, shards)) - min(map(len, shards)) <= 1


@pytest.mark.parametrize("text", ["0/3", "4/3", "2", "2/", "a/b", "1/99999", "-1/3"])
def test_an_invalid_shard_is_refused(text: str) -> None:
    with pytest.raises(GraderError, match="expected part/parts"):
        shard_of(text)


def test_collected_shards_give_the_class(world: World) -> None:
    (world.folder / "class" / "dora.ipynb").write_text("no notebook")
    whole = graded(world, out=Path("runs/whole"))
    for number in range(1, SHARDS + 1):
        shard = graded(world, shard=Shard(number, SHARDS))
        assert shard.out == folders()[number - 1]
        assert len(shard.rows) in {1, 2}
    first = graded(world, seed=None, collect=folders()[:2])
    assert any(row.state is StudentState.WAITING for row in first.rows)
    assert not first.all_sure
    graded(world, seed=None, collect=folders())
    assert gradebook(Path("runs/class")) == gradebook(whole.out)
    again = graded(world, seed=None)  # nothing is left to do
    assert gradebook(again.out) == gradebook(whole.out)


def test_shards_need_one_seed_and_the_class_has_it_too(world: World) -> None:
    with pytest.raises(GraderError, match=r"all parts need the same seed.*--seed [0-9a-f]{32}"):
        graded(world, seed=None, shard=Shard(1, SHARDS))
    assert not folders()[0].exists()
    graded(world, shard=Shard(1, SHARDS))
    graded(world, shard=Shard(2, SHARDS), seed="1" * 32)
    with pytest.raises(GraderError, match="expected parts with the same seed"):
        graded(world, seed=None, collect=folders()[:2])
    with pytest.raises(GraderError, match="expected parts with the seed of the class"):
        graded(world, seed="2" * 32, collect=folders()[:1])
    with pytest.raises(GraderError, match=r"class\.json"):
        graded(world, collect=(world.folder / "class",))


def test_a_shard_of_another_notebook_or_a_weaker_run_takes_no_place(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(1, SHARDS + 1):
        graded(world, shard=Shard(number, SHARDS))
    world.versions["ada"] += 1
    world.write("ada")
    rows = {row.key: row for row in graded(world, seed=None, collect=folders()).rows}
    assert (rows["ada"].state, rows["cleo"].state) == (StudentState.WAITING, StudentState.GRADED)
    whole_class(None)(world)
    light = tuple(Path(f"{folder}-light") for folder in folders())
    for number, out in enumerate(light, 1):
        graded(world, shard=Shard(number, SHARDS), parts=(), out=out)
    with pytest.raises(GraderError, match="which this run would drop"):
        graded(world, seed=None, collect=light, parts=(), out=Path("runs/class"))


@pytest.mark.parametrize("seed", range(50))
def test_kills_anywhere_give_the_same_gradebook(seed: int, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.chance = random.Random(seed)
    commands: list[dict[str, Any]] = [{"shard": Shard(number, SHARDS)} for number in range(1, SHARDS + 1)]
    commands.append({"collect": folders()})
    for options in commands:
        for killed in (True, world.chance.random() < 0.5, False):
            with monkeypatch.context() as patched:
                if killed:
                    world.kill(patched)
                try:
                    graded(world, **options)
                except Killed:
                    continue
            break
    expected = {"ada": "9", "ben": "4", "cleo": "9"}
    book = gradebook(Path("runs/class"))
    assert {line["key"]: line["points"] for line in book} == expected
    assert {line["state"] for line in book} == {"graded"}
    assert {replace(row, report=None).reason for row in graded(world, seed=None).rows} == {""}


def test_submissions_of_no_shard_are_reported_and_graded_without_collect(world: World) -> None:
    graded(world, shard=Shard(1, SHARDS))
    write_kind(world.folder / "class" / "dora.ipynb", "no_json")
    result = graded(world, seed=None, collect=folders()[:1])
    assert {row.key: row.reason for row in result.rows if row.state is StudentState.WAITING}
    log = (result.out / "grading.log").read_text()
    assert NOT_THERE in log
