"""A team has one run and a row per member, whether the download or the roster names its members."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from pathlib import Path

import pytest
from downloads import NOTEBOOK, write
from test_matching import PLAIN, discover
from toy_reports import ADA, FULL, RUBRIC, ZOE, row

from grader.batch.class_records import StudentState
from grader.batch.gradebooks import GradebookSettings, gradebooks
from grader.batch.page import class_page
from grader.batch.students.discovery import find
from grader.batch.students.roster import LARGEST_TEAM, read_roster
from grader.grading.overrides import names_of

TEAMS = (
    "Student ID,First name,Last name,Email,Team\n301,Emmy,Noether,emmy@u.example,Rings\n"
    "302,Lise,Meitner,meitner@u.example,Fission 4\n303,Zoë,Müller,zm7@u.example,Rings\n"
)
SUBMITTERS = "submission_9:\n  :submitters:\n" + "".join(
    f"  - :name: {name}\n    :sid: '{sid}'\n" for name, sid in (("Zoë Müller", 303), ("Emmy Noether", 301))
)
MOODLE = "{}_assignsubmission_file_/vae.ipynb"


@pytest.mark.parametrize(
    ("roster", "name"),
    [
        (TEAMS, MOODLE.format("Rings_77")),
        (TEAMS, MOODLE.format("Rings_302")),  # a group's number, which is Lise's id
        (TEAMS, "Rings_77_assignsubmission_file_vae.ipynb"),
        (TEAMS, "rings/vae.ipynb"),
        (TEAMS, "Rings.ipynb"),
        (TEAMS.replace(",Team", ",Groupes"), MOODLE.format("Rings_77")),
        (TEAMS.replace("Rings", '"Monday, Rings"'), MOODLE.format("Rings_77")),
        (TEAMS.replace("Rings", "4"), MOODLE.format("4_77")),
        (TEAMS.replace("Rings", "4"), "Team 4/vae.ipynb"),
        (PLAIN, "submission_9/vae.ipynb"),
    ],
)
def test_one_notebook_is_all_its_members(roster: str, name: str, tmp_path: Path) -> None:
    discovery = discover(tmp_path, roster, {name: NOTEBOOK, "submission_metadata.yml": SUBMITTERS})
    (one,) = discovery.submissions
    assert sorted(student.id for student in one.students) == ["301", "303"]
    assert [student.id for student in discovery.missing] == ["302"]
    assert not any(remark.needs_person for remark in one.remarks)


def test_the_key_of_a_team_is_the_same_whoever_is_first(tmp_path: Path) -> None:
    other = "submission_9:\n  :submitters:\n  - :sid: '301'\n  - :sid: '303'\n"
    keys = [
        [
            one.key
            for one in discover(
                tmp_path / str(n), PLAIN, {"submission_9/v.ipynb": NOTEBOOK, "submission_metadata.yml": submitters}
            ).submissions
        ]
        for n, submitters in enumerate((SUBMITTERS, other))
    ]
    assert keys == [["301-303"]] * 2


def test_an_unmatched_member_is_listed_and_the_others_have_rows(tmp_path: Path) -> None:
    submitters = SUBMITTERS.replace("Emmy Noether", "Eve Adams").replace("301", "666")
    discovery = discover(tmp_path, PLAIN, {"submission_9/v.ipynb": NOTEBOOK, "submission_metadata.yml": submitters})
    assert [student.id for student in discovery.submissions[0].students] == ["303"]
    assert discovery.remarks == ("no student, or more than one, on the roster for 1: Eve Adams",)


def test_a_member_who_also_submitted_alone_keeps_that_and_it_needs_review(tmp_path: Path) -> None:
    discovery = discover(
        tmp_path, TEAMS, {MOODLE.format("Rings_77"): NOTEBOOK, MOODLE.format("Emmy Noether_12"): NOTEBOOK}
    )
    own = {one.key: [student.id for student in one.students] for one in discovery.submissions}
    assert own == {"301": ["301"], "303": ["303"]}
    assert [r.message for one in discovery.submissions for r in one.remarks if r.needs_person] == [
        "student uncertain: also submitted alone: Emmy Noether"
    ]


def test_a_section_of_the_course_is_no_team(tmp_path: Path) -> None:
    people = "".join(f"{400 + number},Person {chr(97 + number)},Monday\n" for number in range(LARGEST_TEAM + 1))
    (tmp_path / "roster.csv").write_text(f"Student ID,Name,Group\n{people}501,Ben Lee,A\n502,Cy Lee,A\n")
    assert read_roster(tmp_path / "roster.csv").team("Monday") == ()
    discovery = discover(
        tmp_path, (tmp_path / "roster.csv").read_text(), {"A/vae.ipynb": NOTEBOOK, "401.ipynb": NOTEBOOK}
    )
    assert [len(one.students) for one in discovery.submissions] == [1, 0]


def test_a_team_s_folder_with_work_of_several_people_needs_review(tmp_path: Path) -> None:
    discovery = discover(
        tmp_path, TEAMS, {"Rings/mine.ipynb": NOTEBOOK, "Rings/yours.ipynb": NOTEBOOK, "302.ipynb": NOTEBOOK}
    )
    (team,) = [one for one in discovery.submissions if one.team]
    assert any("maybe the work of several people" in remark.message for remark in team.remarks)


def test_each_member_has_the_points_in_every_gradebook_and_the_page_names_both() -> None:
    team = replace(row("101-103", StudentState.GRADED, ADA, FULL), team=(ZOE,))
    books = gradebooks([team], RUBRIC, GradebookSettings())
    for name, content in books.files.items():
        text = content.decode()
        lines = list(csv.DictReader(io.StringIO(text)))
        assert (
            sum(
                "9" in line.values()
                for line in lines
                if "Points Possible" not in text or line["Student"].strip() != "Points Possible"
            )
            == 2
        ), name
    lines = list(csv.DictReader(io.StringIO(books.files["gradebook.csv"].decode())))
    assert [(line["student id"], line["team"]) for line in lines] == [("101", "Zoë Müller"), ("103", "Ada Lovelace")]
    page = class_page([team], RUBRIC, "toy")
    assert page.count("Ada Lovelace, Zoë Müller") >= 2
    assert "1 in the class" in page


def test_a_decision_may_name_any_member() -> None:
    names = names_of({"101-103": ["101", "103"], "104": ["104"]})
    assert (names["101"], names["103"], names["101-103"]) == ("101-103",) * 3


def test_gradescope_s_own_list_is_a_roster_where_none_is_given(tmp_path: Path) -> None:
    files = {"submission_9/v.ipynb": NOTEBOOK, "submission_metadata.yml": SUBMITTERS}
    discovery = find(write(tmp_path / "all", files), tmp_path / "unpacked", None, max_mb=1)
    assert [(student.id, student.name) for student in discovery.submissions[0].students] == [
        ("303", "Zoë Müller"),
        ("301", "Emmy Noether"),
    ]
    assert discovery.missing == ()
