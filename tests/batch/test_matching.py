"""Numbers match only their own column; a submission whose clues disagree stays unmatched and is listed."""

from __future__ import annotations

from pathlib import Path

import pytest
from downloads import NOTEBOOK, write

from grader.batch.students.discovery import Discovery, find
from grader.batch.students.roster import read_roster

PLAIN = (
    "Student ID,First name,Last name,Email\n301,Emmy,Noether,emmy@u.example\n302,Lise,Meitner,meitner@u.example\n"
    "303,Zoë,Müller,zm7@u.example\n"
)
OF_CANVAS = (
    "Student,ID,SIS User ID,SIS Login ID,Section\n    Points Possible,,,,\n"
    '"Noether, Emmy",302,301,emmy,A\n"Meitner, Lise",303,302,lise,A\n"Müller, Zoë",301,303,zm7,A\n'
)
OF_MOODLE = (
    "Identifier,Full name,Email address,ID number\nParticipant 302,Emmy Noether,emmy@u.example,301\n"
    "Participant 303,Lise Meitner,lise@u.example,302\nParticipant 301,Zoë Müller,zm7@u.example,303\n"
)
EXPORT = "submission_9:\n  :submitters:\n  - :name: {}\n    :sid: '{}'\n    :email: {}\n"


def discover(tmp_path: Path, roster: str, files: dict[str, str]) -> Discovery:
    tmp_path.mkdir(exist_ok=True)
    (tmp_path / "roster.csv").write_text(roster, encoding="utf-8")
    return find(write(tmp_path / "all", files), tmp_path / "unpacked", read_roster(tmp_path / "roster.csv"), max_mb=1)


def student(tmp_path: Path, roster: str, name: str, more: dict[str, str] | None = None) -> str | None:
    """The owner of the only file; if it has none, staff must decide."""
    discovery = discover(tmp_path, roster, {name: NOTEBOOK, **(more or {})})
    (one,) = [one for one in discovery.submissions if one.shown == name]
    if one.student is None:
        assert any("or more than one, on the roster for" in remark for remark in discovery.remarks)
    return one.student.id if one.student else None


@pytest.mark.parametrize(
    ("roster", "name", "expected"),
    [
        # Moodle's number of a participant
        (PLAIN, "Emmy Noether_302_assignsubmission_file_/vae.ipynb", "301"),
        (PLAIN, "Emmy A. Noether_302_assignsubmission_file_/vae.ipynb", None),
        (PLAIN, "Group 1_302_assignsubmission_file_/vae.ipynb", None),
        (PLAIN, "Participant_303_assignsubmission_file_/vae.ipynb", None),
        (PLAIN, "Default group_assignsubmission_file_/vae.ipynb", None),
        (OF_MOODLE, "Emmy Noether_302_assignsubmission_file_/vae.ipynb", "301"),
        (OF_MOODLE, "Emmy A. Noether_302_assignsubmission_file_/vae.ipynb", "301"),
        (OF_MOODLE, "Participant_302_assignsubmission_file_/vae.ipynb", "301"),
        (OF_MOODLE, "Group 1_302_assignsubmission_file_/vae.ipynb", None),
        (OF_MOODLE, "Emmy Noether_301_assignsubmission_file_/vae.ipynb", None),
        (OF_MOODLE, "Emmy Noether_999_assignsubmission_file_/vae.ipynb", None),
        (OF_CANVAS, "Eve Adams_302_assignsubmission_file_/vae.ipynb", None),
        # Canvas's number of a user, and of a file
        (PLAIN, "noetheremmy_302_900001_vae.ipynb", "301"),
        (PLAIN, "adamseve_302_900001_vae.ipynb", None),
        (PLAIN, "adamseve_4001_302_vae.ipynb", None),
        (PLAIN, "adamseve_4001_900001_302.ipynb", None),
        (PLAIN, "anon_a1b2c_302_vae.ipynb", None),
        (PLAIN, "LATE_anon_12345_302_vae.ipynb", None),
        (OF_CANVAS, "noetheremmy_302_900001_vae.ipynb", "301"),
        (OF_CANVAS, "noetheremmyamalie_LATE_302_900001_vae.ipynb", "301"),
        (OF_CANVAS, "groupa_302_900001_vae.ipynb", None),
        (OF_CANVAS, "noetheremmy_301_900001_vae.ipynb", None),
        (OF_CANVAS, "noetheremmy_999_900001_vae.ipynb", None),
        (OF_MOODLE, "adamseve_302_900001_vae.ipynb", None),
        # What a person called a file or a folder
        (PLAIN, "vae_noether_301.ipynb", "301"),
        (PLAIN, "vae_noether_302.ipynb", None),
        (PLAIN, "vae_mueller_302.ipynb", None),
        (PLAIN, "vae_mueller_303.ipynb", "303"),
        (PLAIN, "Emmy Noether 303.ipynb", None),
        (PLAIN, "301_302.ipynb", None),
        (PLAIN, "30_1.ipynb", None),
        (PLAIN, "emmy_302/vae.ipynb", None),
        (PLAIN, "emmy_meitner.ipynb", None),
        (PLAIN, "emmy_adams.ipynb", None),
        (PLAIN, "Emmy Noether Adams.ipynb", None),
        (PLAIN, "noether-emmy-hw3.ipynb", "301"),
        (PLAIN, "zm7_vae.ipynb", "303"),
        (PLAIN, "301_final_v2.ipynb", "301"),
        (PLAIN, "My solution (301).ipynb", "301"),
        (OF_CANVAS, "302/vae.ipynb", "302"),
        (OF_MOODLE, "302.ipynb", "302"),
        (OF_MOODLE, "vae_303_2.ipynb", "303"),
    ],
)
def test_a_number_is_compared_with_its_own_column(roster: str, name: str, expected: str | None, tmp_path: Path) -> None:
    assert student(tmp_path, roster, name) == expected


@pytest.mark.parametrize(
    ("roster", "texts", "expected"),
    [
        (PLAIN, ("Emmy Noether", "301", "emmy@u.example"), "301"),
        (PLAIN, ("Em", "301", "private@mail.example"), "301"),
        (PLAIN, ("Emmy Noether", "", "private@mail.example"), "301"),
        (PLAIN, ("Lise Meitner", "301", ""), None),
        (PLAIN, ("Emmy Noether", "302", "emmy@u.example"), None),
        (PLAIN, ("Emmy Noether", "999", ""), None),
        (OF_CANVAS, ("Adams", "301", ""), "301"),  # 301 is also Canvas's own number of another student
        (OF_MOODLE, ("Adams", "999", "lise@u.example"), "302"),
    ],
)
def test_each_text_of_gradescope_is_compared_with_its_own_column(
    roster: str, texts: tuple[str, str, str], expected: str | None, tmp_path: Path
) -> None:
    more = {"submission_metadata.yml": EXPORT.format(*texts)}
    assert student(tmp_path, roster, "submission_9/vae.ipynb", more) == expected


@pytest.mark.parametrize(
    "names",
    [
        ["Lise Meitner_7_assignsubmission_file_/vae.ipynb", "Lise Meitner_8_assignsubmission_file_/vae.ipynb"],
        ["meitnerlise_4001_900001_vae.ipynb", "meitnerlise_4002_900002_vae.ipynb"],
        ["Lise Meitner.ipynb", "Meitner Lise.ipynb"],
        ["Lise Meitner_7_assignsubmission_file_/vae.ipynb", "Lise Meitner_8_assignsubmission_file_/vae.pdf"],
    ],
)
def test_two_submissions_of_one_name_match_no_student_if_the_roster_has_the_name_once(
    names: list[str], tmp_path: Path
) -> None:
    discovery = discover(tmp_path, PLAIN, dict.fromkeys(names, NOTEBOOK))
    assert [one.student for one in discovery.submissions] == [None, None]
    assert [[remark.needs_person for remark in one.remarks] for one in discovery.submissions] == [[True], [True]]
    assert sum("2 submissions could be this student's; left unmatched" in remark for remark in discovery.remarks) == 2


def test_two_students_of_one_name_are_distinguished_by_canvas_s_number(tmp_path: Path) -> None:
    roster = OF_CANVAS + '"Meitner, Lise",304,305,lm2,A\n'
    files = {f"meitnerlise_{number}_900001_vae.ipynb": NOTEBOOK for number in (303, 304)}
    discovery = discover(tmp_path, roster, files)
    assert {one.shown[12:15]: one.student.id for one in discovery.submissions if one.student} == {
        "303": "302",
        "304": "305",
    }
    assert (
        student(tmp_path / "two", PLAIN + "304,Lise,Meitner,lm2@u.example\n", "meitnerlise_303_900001_vae.ipynb")
        is None
    )


def test_a_match_by_the_number_alone_is_listed_and_needs_review(tmp_path: Path) -> None:
    discovery = discover(
        tmp_path, PLAIN, {"hopper_301.ipynb": NOTEBOOK, "302.ipynb": NOTEBOOK, "vae_mueller_303.ipynb": NOTEBOOK}
    )
    assert [one.student.id for one in discovery.submissions if one.student] == ["301", "302", "303"]
    assert discovery.remarks == ("hopper_301: matched by the number alone; Emmy Noether",)
    assert [(r.kind, r.needs_person) for one in discovery.submissions for r in one.remarks] == [("whose", True)]


def test_a_remark_with_a_submission_names_no_other_student(tmp_path: Path) -> None:
    discovery = discover(tmp_path, PLAIN, {"vae_noether_302.ipynb": NOTEBOOK})
    (one,) = discovery.submissions
    assert not any(name in remark.message for remark in one.remarks for name in ("Lise", "Meitner", "Emmy", "Noether"))


@pytest.mark.parametrize(
    ("roster", "files"),
    [
        ("id,username,name\n7,x,Emmy Noether\n8,7,Lise Meitner\n", ["7/vae.ipynb"]),  # one's id is another's login
        ("id,username,name\n7,x,Emmy Noether\n8,7,Lise Meitner\n", ["x/vae.ipynb", "7/vae.ipynb"]),
        ("id,name\nA1,Emmy Noether\na1,Lise Meitner\n", ["Emmy Noether.ipynb", "Lise Meitner.ipynb", "A1.ipynb"]),
        ("id,name\nEmmy-Noether,Lise Meitner\n", ["Emmy Noether.ipynb", "Emmy_Noether.ipynb", "Emmy-Noether.ipynb"]),
    ],
)
def test_no_two_people_share_a_key_nor_have_a_students(roster: str, files: list[str], tmp_path: Path) -> None:
    discovery = discover(tmp_path, roster, dict.fromkeys(files, NOTEBOOK))
    keys = [one.key.casefold() for one in discovery.submissions]
    assert len(keys) == len(files) == len(set(keys))
    absent = {student.id.casefold() for student in discovery.missing}
    assert not absent & set(keys)


@pytest.mark.parametrize(
    "files",
    [
        ["ida_schmidt.ipynb", "ida_schmidt_data.csv", "ida_noddack.ipynb"],
        ["ida_miller.ipynb", "ida_miller_v2.ipynb"],
        ["ida_miller.ipynb", "tom_miller.ipynb"],
        ["ida_miller.ipynb", "hopper_miller.ipynb", "miller.ipynb"],
    ],
)
def test_a_surname_in_several_files_still_matches_its_student(files: list[str], tmp_path: Path) -> None:
    roster = "Student ID,First name,Last name,Email\n201,Ida,Noddack,ida@u.example\n202,Tom,Hopper,tom@u.example\n"
    discovery = discover(tmp_path, roster, dict.fromkeys(files, NOTEBOOK))
    whose = {one.shown: one.student.id if one.student else None for one in discovery.submissions}
    assert {shown: student for shown, student in whose.items() if "miller" in shown or "schmidt" in shown} == {
        shown: None for shown in whose if "miller" in shown or "schmidt" in shown
    }
    assert whose.get("ida_noddack.ipynb", "201") == "201"


def test_words_beside_whole_names_of_several_students_are_the_exercises(tmp_path: Path) -> None:
    roster = "Student ID,First name,Last name\n201,Ida,Noddack\n202,Tom,Hopper\n"
    discovery = discover(
        tmp_path, roster, dict.fromkeys(["ida_noddack_deep_dive.ipynb", "tom_hopper_deep_dive.ipynb"], NOTEBOOK)
    )
    assert [one.student.id if one.student else None for one in discovery.submissions] == ["201", "202"]


@pytest.mark.parametrize("name", ["max.ipynb", "vae_max.ipynb", "max_b.ipynb", "Max/vae.ipynb"])
def test_a_login_that_is_another_students_name_matches_no_student(name: str, tmp_path: Path) -> None:
    roster = "Student ID,Name,Email\n201,Maximilian Planck,max@u.example\n202,Max Born,mborn@u.example\n"
    discovery = discover(tmp_path, roster, dict.fromkeys([name, "Maximilian Planck.ipynb"], NOTEBOOK))
    whose = {one.shown: one.student.id if one.student else None for one in discovery.submissions}
    assert whose == {name: None, "Maximilian Planck.ipynb": "201"}


@pytest.mark.parametrize(
    "others",
    [
        ["202/a.ipynb", "203/a.ipynb"],
        ["Ben Otto_7002_assignsubmission_file_/a.ipynb", "Cleo Park_7003_assignsubmission_file_/a.ipynb"],
        ["202.ipynb", "203.ipynb"],
        ["submitted/202.ipynb", "submitted/203/ps1/a.ipynb"],
    ],
)
def test_a_folder_called_submitted_hides_no_student(others: list[str], tmp_path: Path) -> None:
    roster = "Student ID,Name\n201,Ada Lovelace\n202,Ben Otto\n203,Cleo Park\n"
    discovery = discover(tmp_path, roster, dict.fromkeys(["submitted/201/old/a.ipynb", *others], NOTEBOOK))
    assert sorted(one.student.id for one in discovery.submissions if one.student) == ["201", "202", "203"]
    assert discovery.missing == ()


@pytest.mark.parametrize("name", ["2024-301", "Lab 301", "group_301", "2024-301_assignment", "v_301"])
def test_a_number_that_may_count_something_else_matches_no_student(name: str, tmp_path: Path) -> None:
    files = {f"{name}/vae.ipynb": NOTEBOOK, "Emmy Noether/vae.ipynb": NOTEBOOK, "Lise Meitner/vae.ipynb": NOTEBOOK}
    discovery = discover(tmp_path, PLAIN, files)
    whose = {one.shown.partition("/")[0]: one.student.id if one.student else None for one in discovery.submissions}
    assert whose == {name: None, "Emmy Noether": "301", "Lise Meitner": "302"}
    assert any("its number may not be a student's" in remark for remark in discovery.remarks)


def test_a_short_number_beside_an_id_does_not_make_it_doubtful(tmp_path: Path) -> None:
    files = dict.fromkeys(["301_2/vae.ipynb", "Emmy Noether/vae.ipynb", "Lise Meitner/vae.ipynb"], NOTEBOOK)
    discovery = discover(tmp_path, PLAIN, files)
    whose = {one.shown.partition("/")[0]: one.student.id if one.student else None for one in discovery.submissions}
    assert whose == {"301_2": "301", "Emmy Noether": None, "Lise Meitner": "302"}  # 301 is Emmy Noether's own number
    assert "Emmy Noether: 2 submissions could be this student's; left unmatched" in discovery.remarks


@pytest.mark.parametrize(
    "files",
    [
        ["class/301/a.ipynb", "class/302/a.ipynb", "class/303/a.ipynb", "sheet.pdf"],
        ["class/301/a.ipynb", "class/302/a.ipynb", "class/303/a.ipynb", "solution_2.ipynb"],
        ["Monday/301/a.ipynb", "Monday/302/a.ipynb", "Tuesday/303/a.ipynb", "Tuesday/Lise Meitner/b.ipynb"],
        ["all/A/301.ipynb", "all/A/302.ipynb", "all/B/303.ipynb", "all/B/Zoë Müller.ipynb"],
    ],
)
def test_a_class_in_sections_or_beside_other_files_is_not_one_student(files: list[str], tmp_path: Path) -> None:
    discovery = discover(tmp_path, PLAIN, dict.fromkeys(files, NOTEBOOK))
    assert {one.student.id for one in discovery.submissions if one.student} == {"301", "302", "303"}


@pytest.mark.parametrize("beside", [["301/a.ipynb"], ["work_of_lise/a.ipynb"], ["302.ipynb"], ["x.ipynb"]])
@pytest.mark.parametrize("inside", ["{}/a.ipynb", "{}.ipynb", "{}_7_assignsubmission_file_/a.ipynb"])
def test_one_students_folder_is_no_section(inside: str, beside: list[str], tmp_path: Path) -> None:
    hostile = [f"hw_by_mallory/{inside.format(who)}" for who in ("Emmy Noether", "Zoë Müller")]
    discovery = discover(tmp_path, PLAIN, {**dict.fromkeys(hostile, NOTEBOOK), **dict.fromkeys(beside, NOTEBOOK + " ")})
    assert not [one for one in discovery.submissions if one.student and "mallory" in str(one.path)]
