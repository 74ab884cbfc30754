"""Released points never fall silently, and the feedback archives have the systems' formats."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import random
import re
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import nbformat
import pytest
from assistants_folder import SEED, Silent, World, hand_in_again, make_world, quiet, whole_class
from toy_reports import ADA, FULL, LESS, RUBRIC, ZOE, row

from grader.batch.class_grading import ClassOptions, grade_class
from grader.batch.class_records import StudentState
from grader.batch.gradebooks import GradebookOptions, GradebookSettings, gradebooks
from grader.batch.history import read_history
from grader.batch.manifest import read_manifest
from grader.batch.regrading import RegradeResult, regrade_class
from grader.batch.release import ALL, CANVAS, MOODLE, Release, release_class, write_feedback
from grader.batch.released_points import NAME, WouldLower, read_released
from grader.batch.results import read_rows
from grader.errors import GraderError

OUT = Path("runs/class")
LOWER = "ada:\n  one.training: {points: 1, reason: copied, by: T}\n"


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    return make_world(tmp_path, monkeypatch)


def regraded(reason: str = "", *, lower: bool = False, **options: Any) -> RegradeResult:
    return regrade_class(OUT, None, reason, 1, quiet, GradebookOptions(**options), lower=lower)


def counted() -> dict[str, int | None]:
    return {one.key: one.counted_milli for one in read_rows(OUT, read_manifest(OUT))}


def uploaded() -> dict[str, str]:
    """What nbgrader's file gives out, by the submission's key: no roster is needed for it."""
    lines = csv.DictReader((OUT / "gradebook-nbgrader.csv").read_text().splitlines())
    return {line["student_id"]: line["score"] for line in lines}


def released(world: World) -> Release:
    whole_class(None)(world)
    return release_class(OUT)


def test_a_release_records_the_points_and_packs_the_feedback(world: World) -> None:
    release = released(world)
    assert {one.key for one in release.released} == {one.key for one in release.new} == {"ada", "ben", "cleo"}
    assert {key: one.counted_milli for key, one in read_released(OUT).items()} == counted()
    with zipfile.ZipFile(OUT / ALL) as archive:
        assert archive.namelist() == ["ada/feedback.html", "ben/feedback.html", "cleo/feedback.html"]
        assert archive.read("ada/feedback.html") == (OUT / "submissions/ada/feedback.html").read_bytes()
    assert [event.what for event in read_history(OUT)][-3:] == ["released"] * 3
    before = (OUT / NAME).read_bytes(), (OUT / ALL).read_bytes()
    assert release_class(OUT).new == ()
    assert before == ((OUT / NAME).read_bytes(), (OUT / ALL).read_bytes())


def test_a_regrade_that_would_lower_lists_who_and_changes_nothing(world: World) -> None:
    released(world)
    (OUT / "overrides.yaml").write_text(LOWER)
    before = {path: path.read_bytes() for path in OUT.rglob("*") if path.is_file() and path.name != ".lock"}
    with pytest.raises(WouldLower, match=r"1 submission would have fewer points .* --lower with a --reason") as error:
        regraded("a reason alone")
    assert [(fall.key, fall.released_milli, fall.now_milli) for fall in error.value.falls] == [("ada", 9000, 6000)]
    assert before == {path: path.read_bytes() for path in OUT.rglob("*") if path.is_file() and path.name != ".lock"}
    with pytest.raises(GraderError, match="--lower: expected a --reason"):
        regraded(lower=True)
    rows = regraded("copied from Zoë", lower=True).rows
    assert not any(one.held for one in rows)
    assert read_released(OUT)["ada"].counted_milli == 6000
    assert "copied from Zoë" in read_history(OUT)[-1].why


def test_points_may_rise_and_are_released_the_next_time(world: World) -> None:
    released(world)
    (OUT / "overrides.yaml").write_text("ben:\n  one.training: {points: 4, reason: a slip of ours, by: T}\n")
    regraded()
    assert uploaded()["ben"] == "8"
    assert [one.key for one in release_class(OUT).new] == ["ben"]


def test_lateness_after_the_release_lowers_no_points_silently(world: World) -> None:
    released(world)
    (OUT / "late.yaml").write_text(
        "deadline: 2026-11-20\npercent_a_day: 10\n"
        "students: {ada: {handed_in: 2026-11-22 10:00, reason: by e-mail, by: T}}\n"
    )
    with pytest.raises(WouldLower):
        regraded()
    rows = {one.key: one for one in whole_class(None)(world).rows}  # type: ignore[attr-defined]
    assert rows["ada"].held
    assert "9 points were released, but it has 7.2 now" in rows["ada"].reason
    assert uploaded() == {"ada": "", "ben": "4", "cleo": "9"}


def test_a_worse_notebook_submitted_later_needs_review(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    released(world)
    world.file("cleo").write_text(world.file("ben").read_text())
    graded = whole_class(None)(world)
    (cleo,) = [one for one in graded.rows if one.held]  # type: ignore[attr-defined]
    assert (cleo.key, cleo.state, cleo.points_milli) == ("cleo", StudentState.LOOK, 4000)
    assert not graded.all_sure  # type: ignore[attr-defined]
    assert uploaded()["cleo"] == ""
    assert "9 points were released" in (OUT / "class.html").read_text()
    again = regraded()  # it lowers nobody further, so it may
    assert [one.key for one in again.rows if one.held] == ["cleo"]
    assert [one.key for one in release_class(OUT).held] == ["cleo"]
    with zipfile.ZipFile(OUT / ALL) as archive:
        assert "cleo/feedback.html" not in archive.namelist()
    settled = regraded("handed in again, and worse", lower=True)
    assert not any(one.held for one in settled.rows)
    assert [(event.submission, event.what) for event in settled.events] == [("cleo", "lowered")]
    assert "handed in again, and worse" in read_history(OUT)[-1].why
    assert uploaded()["cleo"] == "4"
    assert [one.key for one in release_class(OUT).new] == ["cleo"]  # who has not been shown the four points


def test_a_student_missing_from_a_later_download_gets_no_zero(world: World) -> None:
    (world.folder / "roster.csv").write_text("id,name\nada,Ada\nben,Ben\ncleo,Cleo\n")
    commands = partial_class(world)
    commands()
    release_class(OUT)
    world.file("cleo").unlink()
    world.file("cleo").parent.rmdir()
    (cleo,) = [one for one in commands(missing_is_zero=True).rows if one.key == "cleo"]
    assert (cleo.held, cleo.report) == (True, None)
    lines = csv.DictReader((OUT / "gradebook-moodle.csv").read_text().splitlines())
    assert "Cleo" not in [line["Full name"] for line in lines]
    (gone,) = [one for one in regraded("withdrew", lower=True, missing_is_zero=True).rows if one.key == "cleo"]
    assert (gone.state, gone.held) == (StudentState.MISSING, False)
    assert "withdrew" in read_history(OUT)[-1].why


def partial_class(world: World) -> Callable[..., Any]:
    def command(**options: Any) -> Any:
        class_options = ClassOptions(
            world.rubric, OUT, Path("roster.csv"), seed=SEED, gradebook=GradebookOptions(**options)
        )
        return grade_class(world.folder / "class", class_options, Silent(), quiet)  # type: ignore[arg-type]

    return command


def test_a_damaged_note_of_what_was_released_stops_everything(world: World) -> None:
    released(world)
    (OUT / NAME).write_text("{")
    for command in (regraded, lambda: whole_class(None)(world), lambda: release_class(OUT)):
        with pytest.raises(GraderError, match="restore it from a backup"):
            command()


STEPS = (
    "late",
    "more time",
    "decide",
    "take back",
    "regrade",
    "release",
    "hand in again",
    "grade-class",
    "lower",
    "team",
)
WRITING = (
    "regrade",
    "release",
    "grade-class",
    "lower",
)  # the steps after which the class's files are as they should be
ROSTER = "login,name,team\nada,Ada,{}\nben,Ben,{}\ncora,Cora,cleo\ncarl,Carl,cleo\n"  # Cleo's folder is a team's


@pytest.mark.parametrize("seed", range(25))
def test_points_and_penalties_never_mix_and_released_points_never_fall_silently(seed: int, world: World) -> None:
    chance = random.Random(seed)
    Path("roster.csv").write_text(ROSTER.format("", ""))
    partial_class(world)()
    release_class(OUT)
    for step in chance.choices(STEPS, k=14):
        before = read_released(OUT)
        shown = {student: one.counted_milli for one in before.values() for student in one.students}
        may_fall = step == "lower"
        with contextlib.suppress(WouldLower):
            carry_out(step, world, chance)
        for one in read_rows(OUT, read_manifest(OUT)):
            if one.report is not None:
                assert one.report.points_milli == sum(item.points_milli for item in one.report.items)
                assert 0 <= one.counted_milli <= one.points_milli  # type: ignore[operator]
        if step in WRITING:
            rows = read_rows(OUT, read_manifest(OUT))
            assert sorted(s.id for one in rows for s in one.students) == ["ada", "ben", "carl", "cora"]
            scores = moodle_scores()
            assert len({scores.get(name) for name in ("Cora", "Carl")}) == 1  # a team's members have the same
            for student, score in uploaded().items():
                if score and not may_fall:
                    assert float(score) * 1000 >= shown[student], (seed, step, student)
        now = read_released(OUT)
        assert may_fall or all(now[key].counted_milli >= one.counted_milli for key, one in before.items()), (seed, step)


def moodle_scores() -> dict[str, str]:
    """What Moodle's file gives each student, by name."""
    lines = csv.DictReader((OUT / "gradebook-moodle.csv").read_text().splitlines())
    return {line["Full name"]: line["Two numbers"] for line in lines}


def carry_out(step: str, world: World, chance: random.Random) -> None:
    who = chance.choice(["ada", "ben", "cleo", "carl"])
    if step == "team":  # Ada and Ben are said to be one, and are not: each has handed in alone
        Path("roster.csv").write_text(ROSTER.format(*chance.choice([("", ""), ("Rings", "Rings"), ("Rings", "")])))
    elif step == "late":
        times = f"{{handed_in: 2026-11-{chance.randint(19, 26)} 10:00, reason: r, by: b}}"
        (OUT / "late.yaml").write_text(f"deadline: 2026-11-20\npercent_a_day: 15\nstudents: {{{who}: {times}}}\n")
    elif step == "more time":
        given = chance.choice(["excused: true", "extended_to: 2026-12-01"])
        (OUT / "late.yaml").write_text(f"deadline: 2026-11-01\nstudents: {{{who}: {{{given}, reason: r, by: b}}}}\n")
    elif step == "decide":
        entry = f"{{points: {chance.randint(0, 4)}, reason: r, by: b}}"
        (OUT / "overrides.yaml").write_text(f"{who}:\n  one.training: {entry}\n")
    elif step == "take back":
        (OUT / "overrides.yaml").write_text("")
    elif step == "regrade":
        regraded()
    elif step == "release":
        release_class(OUT)
    elif step == "hand in again":
        hand_in_again(world)
    elif step == "grade-class":
        partial_class(world)()
    else:
        regraded("so it was decided", lower=True)


# What the systems' importers make of a name: the student's number and the name of the feedback; None: ignored.


def by_moodle(name: str) -> tuple[str, str] | None:
    """As importziplib.php reads it: the first folder, parted at its underscores."""
    first, _, rest = name.partition("/")
    pieces = first.split("_", 4)
    if len(pieces) < 5 or not pieces[1].isdigit() or pieces[2:4] != ["assignsubmission", "file"]:
        return None
    return pieces[1], pieces[4] + rest


def by_canvas(name: str) -> tuple[str, str] | None:
    """As `infer_comment_context_from_filename` reads it: the first two numbers between underscores."""
    pieces = [piece for piece in name.split("_") if piece != "LATE"]
    if pieces[0] == "anon":
        return pieces[1], pieces[2]
    numbers = [piece for piece in pieces if piece.isdigit()]
    return (numbers[0], numbers[1]) if len(numbers) > 1 else None


def packed(folder: Path, shown: Mapping[str, str]) -> dict[str, list[str]]:
    """The names in each archive for rows with these places in their download."""
    rows = []
    for key, place in shown.items():
        gradebook_row = row(key, StudentState.GRADED, ADA, FULL)
        (folder / key).mkdir(parents=True)
        (folder / key / "feedback.html").write_text(f"<p>{key}</p>")
        assert gradebook_row.submission
        rows.append(
            replace(gradebook_row, folder=folder / key, submission=replace(gradebook_row.submission, shown=place))
        )
    zips = write_feedback(folder, rows)
    return {path.name: zipfile.ZipFile(path).namelist() for path in zips.paths}


def test_moodle_s_archive_goes_to_the_participants_of_the_download(tmp_path: Path) -> None:
    archives = packed(
        tmp_path,
        {
            "a": "Ada Lovelace_7001_assignsubmission_file_/vae.ipynb",
            "b": "Monday/Jean-Luc ONeil_7002_assignsubmission_file/work.zip: vae.ipynb",
            "c": "Zoë Müller_7003_assignsubmission_file_my_vae.ipynb",
            "d": "Team 4_77_assignsubmission_file/vae.ipynb",
            "e": "Participant_7005_assignsubmission_onlinetext/onlinetext.html",
        },
    )
    assert [by_moodle(name) for name in archives[MOODLE]] == [
        (number, "feedback.html") for number in ("7001", "7002", "7003", "77", "7005")
    ]
    assert CANVAS not in archives


def test_canvas_s_archive_names_the_submitted_file_and_has_its_format(tmp_path: Path) -> None:
    archives = packed(
        tmp_path,
        {
            "a": "lovelaceada_4001_900001_vae.ipynb",
            "b": "oneiljeanluc_LATE_4002_900002_my_vae-1.ipynb",
            "c": "LATE_anon_a1b2c_900003_vae.ipynb",
            "d": "muellerzoe_4003_900004_work.zip: work/vae.ipynb",
            "e": "muellerzoe_4003_text.html",
        },
    )
    assert [by_canvas(name) for name in archives[CANVAS]] == [
        ("4001", "900001"), ("4002", "900002"), ("a1b2c", "900003"), ("4003", "900004"),
    ]  # fmt: skip
    with zipfile.ZipFile(tmp_path / CANVAS) as archive:
        notebook = nbformat.reads(archive.read("lovelaceada_4001_900001_vae.ipynb").decode(), as_version=4)
        nbformat.validate(notebook)
        assert "Full points" in notebook.cells[0].source or "earned full points" in notebook.cells[0].source
        inner = zipfile.ZipFile(io.BytesIO(archive.read("muellerzoe_4003_900004_work.zip")))
        assert inner.read("feedback.html") == b"<p>d</p>"


def test_a_worksheet_tells_the_participants_where_the_download_does_not(tmp_path: Path) -> None:
    person = replace(ZOE, columns={"Identifier": "Participant 7003", "Full name": "Zoë Müller"})
    (tmp_path / "feedback.html").write_text("x")
    one = replace(row("103", StudentState.GRADED, person, LESS), folder=tmp_path)
    assert [path.name for path in write_feedback(tmp_path, [one]).paths] == [ALL, MOODLE]
    assert zipfile.ZipFile(tmp_path / MOODLE).namelist() == ["Zoë Müller_7003_assignsubmission_file_/feedback.html"]


def test_nothing_that_a_student_wrote_ends_the_block_in_canvas_s_notebook(tmp_path: Path) -> None:
    evil = replace(row("a", StudentState.GRADED, ADA, LESS), folder=tmp_path)
    assert evil.report
    item = replace(evil.report.items[0], title="~~~~~~ <img src=x> ```")
    evil = replace(evil, report=replace(evil.report, items=(item, *evil.report.items[1:])))
    assert evil.submission
    evil = replace(evil, submission=replace(evil.submission, shown="lovelaceada_4001_900001_vae.ipynb"))
    write_feedback(tmp_path, [evil])
    source = json.loads(zipfile.ZipFile(tmp_path / CANVAS).read("lovelaceada_4001_900001_vae.ipynb"))["cells"][0][
        "source"
    ]
    fence = re.match("~+", source)
    assert fence
    assert source.count(fence[0]) == 2


def test_a_row_that_is_held_is_left_out_of_every_upload() -> None:
    rows = [replace(row("101", StudentState.LOOK, ADA, LESS), held=True), row("103", StudentState.GRADED, ZOE, FULL)]
    files = {name: text.decode() for name, text in gradebooks(rows, RUBRIC, GradebookSettings()).files.items()}
    assert "Ada Lovelace" not in files["gradebook-moodle.csv"]
    assert "Lovelace" not in files["gradebook-canvas.csv"]
