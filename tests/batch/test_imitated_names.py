"""A file name that a student typed never decides whose work it is, whichever system's form it imitates."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from downloads import NOTEBOOK, write, write_zip
from small_exercise import notebook

from grader.batch.students.discovery import Discovery, find
from grader.batch.students.roster import read_roster

ROSTER = (
    "Student ID,First name,Last name,Email\n101,Ada,Lovelace,ada@u.example\n102,Mallory,Malice,mal@u.example\n"
    "103,Zoe,Mueller,zoe@u.example\n"
)
FAKE = json.dumps(notebook.submission(double="def double(x):\n    return x + x + x"))
FORMS = {  # how each system names an uploaded file: folders where it makes them
    "Moodle, flat": "{name}_{number}_assignsubmission_file_{typed}",
    "Moodle": "{name}_{number}_assignsubmission_file_/{typed}",
    "Moodle 5, groups off": "{name}_assignsubmission_file/{typed}",
    "Canvas": "{canvas}_4{number}_90{number}_{typed}",
    "Canvas, late": "{canvas}_LATE_4{number}_90{number}_{typed}",
    "Blackboard": "vae lab_1_{login}_attempt_2026-11-01-10-00-00_{typed}",
    "Brightspace": "12-34 - {name} - Nov 1, 2026 926 PM/{typed}",
    "Brightspace, flat": "12-34 - {name} - Nov 1, 2026 926 PM - {typed}",
    "nbgrader": "submitted/{login}/vae/{typed}",
    "nbgrader's exchange": "inbound/{login}+vae+2026-11-01 10:00:00 UTC/{typed}",
    "Gradescope": "submission_{number}/{typed}",
    "Sakai": "{name}({login})/Submission attachment(s)/{typed}",
    "ILIAS": "{name}_{login}_4{number}/{typed}",
    "Teams": "Submitted files/{name}/VAE/Version 1/{typed}",
    "GitHub Classroom": "vae-{login}/{typed}",
    "Drive": "{name} - {typed}",
    "by hand": "{name}/{typed}",
}
TYPED = {
    "Moodle's": "Ada Lovelace_101_assignsubmission_file_vae.ipynb",
    "Moodle's, a group's": "x-Ada Lovelace_101_assignsubmission_file_vae.ipynb",
    "Canvas's": "lovelaceada_4101_999999_vae.ipynb",
    "Canvas's, anonymous": "LATE_anon_a1b2c_999999_vae.ipynb",
    "Blackboard's": "vae_ada_attempt_2026-11-25-21-26-00_vae.ipynb",
    "Blackboard's, by number": "vae lab_1_101_attempt_2026-11-25-21-26-00_vae.ipynb",
    "Brightspace's": "12-34 - Ada Lovelace - Nov 25, 2026 926 PM - vae.ipynb",
    "nbgrader's": "ada+vae+2026-11-25 10:00:00 UTC+vae.ipynb",
    "a name": "Ada Lovelace - vae.ipynb",
    "a number": "101.ipynb",
    "a login": "vae_ada_101 (1).ipynb",
}
PEOPLE = {
    "101": {"name": "Ada Lovelace", "login": "ada", "canvas": "lovelaceada"},
    "102": {"name": "Mallory Malice", "login": "mal", "canvas": "malicemallory"},
    "103": {"name": "Zoe Mueller", "login": "zoe", "canvas": "muellerzoe"},
}
EXPORT = "".join(
    f"submission_{number}:\n  :submitters:\n  - :name: {one['name']}\n    :sid: '{number}'\n"
    for number, one in PEOPLE.items()
)


def named(form: str, number: str, typed: str) -> str:
    return FORMS[form].format(number=number, typed=typed, **PEOPLE[number])


def discover(files: Mapping[str, str], tmp_path: Path, *, zipped: bool = False) -> Discovery:
    (tmp_path / "roster.csv").write_text(ROSTER)
    there = write_zip(tmp_path / "all.zip", files) if zipped else write(tmp_path / "all", files)
    return find(there, tmp_path / "unpacked", read_roster(tmp_path / "roster.csv"), max_mb=1)


def graded(discovery: Discovery) -> dict[str, str]:
    """The content that is graded for each matched student."""
    return {one.student.id: one.path.read_text() for one in discovery.submissions if one.student}


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("typed", TYPED)
@pytest.mark.parametrize("form", FORMS)
def test_an_imitation_is_nobody_elses(form: str, typed: str, zipped: bool, tmp_path: Path) -> None:
    files = {named(form, number, "vae.ipynb"): NOTEBOOK for number in ("101", "103")}
    files |= {named(form, "102", TYPED[typed]): FAKE}
    files |= {"submission_metadata.yml": EXPORT} if form == "Gradescope" else {}
    discovery = discover(files, tmp_path, zipped=zipped)
    of = graded(discovery)
    assert of["101"] == of["103"] == NOTEBOOK
    assert of.get("102", FAKE) == FAKE
    if form != "Drive":  # by words alone, another student's name leaves doubt
        assert of["102"] == FAKE


@pytest.mark.parametrize("typed", TYPED)
@pytest.mark.parametrize("form", FORMS)
def test_an_imitation_of_a_student_who_submitted_nothing_is_not_graded_as_hers(
    form: str, typed: str, tmp_path: Path
) -> None:
    files = {named(form, "103", "vae.ipynb"): NOTEBOOK, named(form, "102", TYPED[typed]): FAKE}
    files |= {"submission_metadata.yml": EXPORT} if form == "Gradescope" else {}
    assert "101" not in graded(discover(files, tmp_path))


@pytest.mark.parametrize("typed", TYPED)
@pytest.mark.parametrize("form", FORMS)
def test_nor_is_the_only_submission(form: str, typed: str, tmp_path: Path) -> None:
    files = {named(form, "102", TYPED[typed]): FAKE}
    files |= {"submission_metadata.yml": EXPORT} if form == "Gradescope" else {}
    assert "101" not in graded(discover(files, tmp_path))


@pytest.mark.parametrize("form", ["Moodle, flat", "Canvas", "Blackboard", "Brightspace, flat", "Drive"])
def test_many_imitations_change_nothing(form: str, tmp_path: Path) -> None:
    files = {named(form, number, "vae.ipynb"): NOTEBOOK for number in ("101", "103")}
    files |= {named(form, "102", typed): FAKE for typed in TYPED.values()}
    imitation = TYPED["Blackboard's"]
    files |= {named(form, "102", f"{number}_{imitation}"): FAKE for number in range(9)}
    of = graded(discover(files, tmp_path))
    assert of.get("101", NOTEBOOK) == of.get("103", NOTEBOOK) == NOTEBOOK


@pytest.mark.parametrize("typed", ["101 Lovelace.ipynb", "101.ipynb", "Ada Lovelace 101.ipynb", "vae 101 Ada.ipynb"])
def test_what_a_stranger_typed_after_the_name_is_not_the_name(typed: str, tmp_path: Path) -> None:
    files = {"Ada Lovelace - vae.ipynb": NOTEBOOK, f"Mally M - {typed}": FAKE, "Zoe Mueller - vae.ipynb": NOTEBOOK}
    assert graded(discover(files, tmp_path)) == {"101": NOTEBOOK, "103": NOTEBOOK}


def test_a_title_before_the_name_is_no_stranger(tmp_path: Path) -> None:
    files = {"vae - Ada Lovelace 101.ipynb": NOTEBOOK, "vae - Zoe Mueller 103.ipynb": NOTEBOOK}
    assert set(graded(discover(files, tmp_path))) == {"101", "103"}


@pytest.mark.parametrize("title", ["lab_2026_1", "VAE_lab - final", "x_1_attempt", "1-2 - VAE"])
def test_a_title_that_looks_like_another_system_stays_blackboards(title: str, tmp_path: Path) -> None:
    files = {f"{title}_{login}_attempt_2026-11-01-10-00-00_vae.ipynb": NOTEBOOK for login in ("ada", "zoe")}
    files |= {f"{title}_mal_attempt_2026-11-01-10-00-00_vae_ada_attempt_2026-11-25-21-26-00_vae.ipynb": FAKE}
    assert graded(discover(files, tmp_path)) == {"101": NOTEBOOK, "102": FAKE, "103": NOTEBOOK}
