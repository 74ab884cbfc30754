"""The downloads of each system are read in that system's format: student, attempt and time."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from downloads import NOTEBOOK, packed, write, write_zip
from small_exercise import notebook

from grader.batch.students.discovery import Discovery, find
from grader.batch.students.roster import read_roster
from grader.errors import GraderError

OLDER = json.dumps(notebook.submission(double="def double(x):\n    return x + x + x"))
PLAIN = "Student ID,First name,Last name,Email\n101,Ada,Lovelace,ada@u.example\n102,Jean-Luc,O'Neil,jlo@u.example\n"
CLASSROOM = '"identifier","github_username","github_id","name"\n"101","ada-l","7","Ada Lovelace"\n"102","jlo","8",""\n'
BLIND = "Identifier,Status,Grade\nParticipant 7001,Submitted for grading,\nParticipant 7002,No submission,\n"


@dataclass(frozen=True)
class Case:
    """A download, its roster, and who hands in what."""

    files: Mapping[str, str | bytes]
    expected: Mapping[str, list[str]]  # the file that is graded -> its students
    words: str
    roster: str = PLAIN


CASES = {
    "nbgrader's exchange": Case(
        {
            "inbound/ada+vae+2026-11-01 10:00:00.123456 UTC+aB3-_xyz0123/vae.ipynb": OLDER,
            "inbound/ada+vae+2026-11-02 09:00:00.000001 UTC+aB3-_xyz0124/vae.ipynb": NOTEBOOK,
            "inbound/jlo+vae+2026-11-01 10:00:00 UTC/vae.ipynb": NOTEBOOK,
        },
        {
            "ada+vae+2026-11-02 09:00:00.000001 UTC+aB3-_xyz0124/vae.ipynb": ["101"],
            "jlo+vae+2026-11-01 10:00:00 UTC/vae.ipynb": ["102"],
        },
        "nbgrader's exchange",
    ),
    "Blackboard": Case(
        {
            "VAE_lab_1_ada_attempt_2026-11-01-10-00-00_vae.ipynb": OLDER,
            "VAE_lab_1_ada_attempt_2026-11-01-10-00-00.txt": "Name: Ada Lovelace (ada)\n",
            "VAE_lab_1_ada_attempt_2026-11-02-10-00-00_vae.ipynb": NOTEBOOK,
            "VAE_lab_1_ada_attempt_2026-11-02-10-00-00.txt": "Name: Ada Lovelace (ada)\n",
            "VAE_lab_1_102_attempt_2026-11-02-10-00-00_my_vae.ipynb": NOTEBOOK,
        },
        {
            "VAE_lab_1_ada_attempt_2026-11-02-10-00-00_vae.ipynb": ["101"],
            "VAE_lab_1_102_attempt_2026-11-02-10-00-00_my_vae.ipynb": ["102"],
        },
        "Blackboard's download",
    ),
    "Blackboard, without a notebook": Case(
        {
            "VAE_ada_attempt_2026-11-01-10-00-00.txt": "Name: Ada Lovelace (ada)\n",
            "VAE_jlo_attempt_2026-11-01-10-00-00_vae.ipynb": NOTEBOOK,
        },
        {
            "VAE_ada_attempt_2026-11-01-10-00-00.txt": ["101"],
            "VAE_jlo_attempt_2026-11-01-10-00-00_vae.ipynb": ["102"],
        },
        "Blackboard's download",
    ),
    "Brightspace": Case(
        {
            "397063-2557369 - Ada Lovelace - Nov 1, 2026 926 PM/vae.ipynb": OLDER,
            "397064-2557369 - Ada Lovelace - Nov 2, 2026 1026 AM/vae.ipynb": NOTEBOOK,
            "397063-2557370 - Jean-Luc O'Neil - Nov 1, 2026 926 PM/my - vae.ipynb": NOTEBOOK,
            "index.html": "<html>",
        },
        {
            "397064-2557369 - Ada Lovelace - Nov 2, 2026 1026 AM/vae.ipynb": ["101"],
            "397063-2557370 - Jean-Luc O'Neil - Nov 1, 2026 926 PM/my - vae.ipynb": ["102"],
        },
        "Brightspace's download",
    ),
    "Brightspace, flat": Case(
        {
            "397063-2557369 - Ada Lovelace - Nov 1, 2026 926 PM - vae.ipynb": NOTEBOOK,
            "397063-2557370 - Jean-Luc O'Neil - Nov 1, 2026 926 PM - a - b.ipynb": NOTEBOOK,
        },
        {
            "397063-2557369 - Ada Lovelace - Nov 1, 2026 926 PM - vae.ipynb": ["101"],
            "397063-2557370 - Jean-Luc O'Neil - Nov 1, 2026 926 PM - a - b.ipynb": ["102"],
        },
        "Brightspace's download",
    ),
    "Blackboard, attempts with different names": Case(
        {
            "VAE_ada_attempt_2026-11-01-10-00-00_vae.ipynb": OLDER,
            "VAE_ada_attempt_2026-11-02-10-00-00_my, vae.ipynb": NOTEBOOK,
            "VAE_jlo_attempt_2026-11-02-10-00-00_vae.zip": packed({"my_vae.ipynb": NOTEBOOK}),
            "VAE_jlo_attempt_2026-11-01-10-00-00_vae.ipynb": OLDER,
            "VAE_103_attempt_2026-11-01-10-00-00_vae.ipynb": NOTEBOOK,
        },
        {
            "VAE_ada_attempt_2026-11-02-10-00-00_my, vae.ipynb": ["101"],
            "VAE_jlo_attempt_2026-11-02-10-00-00_vae.zip: my_vae.ipynb": ["102"],
            "VAE_103_attempt_2026-11-01-10-00-00_vae.ipynb": ["103"],
        },
        "Blackboard's download",
        PLAIN + "103,Emmy,Noether,en@u.example\n",
    ),
    "Microsoft Teams": Case(
        {
            "Student Work/Submitted files/Ada Lovelace/VAE/Version 9/vae.ipynb": OLDER,
            "Student Work/Submitted files/Ada Lovelace/VAE/Version 10/vae_new.ipynb": NOTEBOOK,
            "Student Work/Working files/Ada Lovelace/VAE/vae.ipynb": OLDER,
            "Student Work/Submitted files/Jean-Luc O'Neil/VAE/Version 1/vae.ipynb": NOTEBOOK,
            "Student Work/Working files/Emmy Noether/VAE/vae.ipynb": NOTEBOOK,
        },
        {
            "Submitted files/Ada Lovelace/VAE/Version 10/vae_new.ipynb": ["101"],
            "Submitted files/Jean-Luc O'Neil/VAE/Version 1/vae.ipynb": ["102"],
        },
        "Microsoft Teams' folders of student work",
    ),
    "Google Drive, copies in other languages": Case(
        {
            "Ada Lovelace - Kopie von vae_mnist.ipynb": NOTEBOOK,
            "Jean-Luc O'Neil - Copia de vae_mnist.ipynb": NOTEBOOK,
            "Emmy Noether - Copie de Copie de vae_mnist.ipynb": NOTEBOOK,
            "Jan van Dijk - Kopie van vae_mnist.ipynb": NOTEBOOK,
            "Wernher von Braun - Copia di vae_mnist (1).ipynb": NOTEBOOK,
            "Ana Lima - Cópia de vae_mnist.ipynb": NOTEBOOK,
        },
        {
            "Ada Lovelace - Kopie von vae_mnist.ipynb": ["101"],
            "Jean-Luc O'Neil - Copia de vae_mnist.ipynb": ["102"],
            "Emmy Noether - Copie de Copie de vae_mnist.ipynb": ["103"],
            "Jan van Dijk - Kopie van vae_mnist.ipynb": ["104"],
            "Wernher von Braun - Copia di vae_mnist (1).ipynb": ["105"],
            "Ana Lima - Cópia de vae_mnist.ipynb": ["106"],
        },
        "one file per student",
        PLAIN + "103,Emmy,Noether,en@u.example\n104,Jan,van Dijk,jd@u.example\n105,Wernher,von Braun,wb@u.example\n"
        "106,Ana,Lima,al@u.example\n",
    ),
    "GitHub Classroom": Case(
        {
            "vae-mnist-submissions/vae-mnist-ada-l/vae.ipynb": NOTEBOOK,
            "vae-mnist-submissions/vae-mnist-ada-l/.git/config": "x",
            "vae-mnist-submissions/vae-mnist-ada-l/README.md": "x",
            "vae-mnist-submissions/vae-mnist-jlo/vae.ipynb": NOTEBOOK,
        },
        {"vae-mnist-ada-l/vae.ipynb": ["101"], "vae-mnist-jlo/vae.ipynb": ["102"]},
        "one folder per student",
        CLASSROOM,
    ),
    "Google Drive": Case(
        {
            "VAE-20261101T101010Z-1-001/VAE/Ada Lovelace - vae_mnist.ipynb": NOTEBOOK,
            "VAE-20261101T101010Z-1-001/VAE/Jean-Luc O'Neil - Copy of vae_mnist.ipynb": NOTEBOOK,
        },
        {
            "Ada Lovelace - vae_mnist.ipynb": ["101"],
            "Jean-Luc O'Neil - Copy of vae_mnist.ipynb": ["102"],
        },
        "one file per student",
    ),
    "Sakai": Case(
        {
            "VAE lab/grades.csv": '"VAE lab","SCORE_GRADE_TYPE"\n',
            "VAE lab/Lovelace, Ada(ada)/Submission attachment(s)/vae.ipynb": NOTEBOOK,
            "VAE lab/Lovelace, Ada(ada)/timestamp.txt": "20261101",
            "VAE lab/O'Neil, Jean-Luc(jlo)/Submission attachment(s)/vae.ipynb": NOTEBOOK,
        },
        {
            "Lovelace, Ada(ada)/Submission attachment(s)/vae.ipynb": ["101"],
            "O'Neil, Jean-Luc(jlo)/Submission attachment(s)/vae.ipynb": ["102"],
        },
        "one folder per student",
    ),
    "ILIAS": Case(
        {"Lovelace_Ada_ada_4711/vae.ipynb": NOTEBOOK, "ONeil_JeanLuc_jlo_4712/vae.ipynb": NOTEBOOK},
        {"Lovelace_Ada_ada_4711/vae.ipynb": ["101"], "ONeil_JeanLuc_jlo_4712/vae.ipynb": ["102"]},
        "one folder per student",
    ),
    "Moodle 5": Case(
        {
            "Ada Lovelace_7001_assignsubmission_file/vae.ipynb": NOTEBOOK,
            "Jean-Luc ONeil_7002_assignsubmission_file/vae.ipynb": NOTEBOOK,
        },
        {
            "Ada Lovelace_7001_assignsubmission_file/vae.ipynb": ["101"],
            "Jean-Luc ONeil_7002_assignsubmission_file/vae.ipynb": ["102"],
        },
        "Moodle's download",
    ),
    "Moodle, blind": Case(
        {"Participant_7001_assignsubmission_file/vae.ipynb": NOTEBOOK},
        {"Participant_7001_assignsubmission_file/vae.ipynb": ["Participant 7001"]},
        "Moodle's download",
        BLIND,
    ),
    "Moodle before 4.1, groups": Case(
        {
            "Rings-Ada Lovelace_7001_assignsubmission_file_/vae.ipynb": NOTEBOOK,
            "Rings-Jean-Luc O'Neil_7002_assignsubmission_file_/vae.ipynb": NOTEBOOK,
        },
        {"Rings-Ada Lovelace_7001_assignsubmission_file_/vae.ipynb": ["101", "102"]},
        "Moodle's download",
    ),
    "Moodle before 4.1, two groups of one name's beginning": Case(
        {
            "Rings-Ada Lovelace_7001_assignsubmission_file_/vae.ipynb": NOTEBOOK,
            "Fields-Jean-Luc O'Neil_7002_assignsubmission_file_/vae.ipynb": NOTEBOOK,
        },
        {
            "Rings-Ada Lovelace_7001_assignsubmission_file_/vae.ipynb": ["101"],
            "Fields-Jean-Luc O'Neil_7002_assignsubmission_file_/vae.ipynb": ["102"],
        },
        "Moodle's download",
    ),
    "Canvas, groups": Case(
        {"rings_4001_900001_vae.ipynb": NOTEBOOK},
        {"rings_4001_900001_vae.ipynb": ["101", "102"]},
        "Canvas's download",
        "Student,ID,SIS User ID,SIS Login ID,Section,Group\n"
        '"Lovelace, Ada",4001,101,ada,CV,Rings\n"O\'Neil, Jean-Luc",4002,102,jlo,CV,Rings\n',
    ),
    "Canvas, anonymous and late": Case(
        {"LATE_anon_a1b2c_900001_vae.ipynb": NOTEBOOK, "anon_d3e4f_900002_vae.ipynb": NOTEBOOK},
        {"LATE_anon_a1b2c_900001_vae.ipynb": [], "anon_d3e4f_900002_vae.ipynb": []},
        "Canvas's download",
    ),
}


def discover(case: Case, tmp_path: Path, *, zipped: bool) -> Discovery:
    tmp_path.mkdir(exist_ok=True)
    (tmp_path / "roster.csv").write_text(case.roster, encoding="utf-8")
    there = write_zip(tmp_path / "all.zip", case.files) if zipped else write(tmp_path / "all", case.files)
    return find(there, tmp_path / "unpacked", read_roster(tmp_path / "roster.csv"), max_mb=1)


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_each_file_is_its_students(name: str, zipped: bool, tmp_path: Path) -> None:
    case = CASES[name]
    discovery = discover(case, tmp_path, zipped=zipped)
    shown = {one.shown: sorted(student.id for student in one.students) for one in discovery.submissions}
    assert shown == {re.sub(":(?! )", "_", name) if zipped else name: whose for name, whose in case.expected.items()}
    assert discovery.layout == case.words
    assert not [remark for one in discovery.submissions for remark in one.remarks if remark.needs_person]


def test_a_mac_zip_of_a_class_is_read_past_what_the_mac_added(tmp_path: Path) -> None:
    files = {"week 7/ada.ipynb": NOTEBOOK, "week 7/jlo.ipynb": NOTEBOOK}
    litter = {"__MACOSX/week 7/._ada.ipynb": b"x", "week 7/.DS_Store": b"x"}
    (tmp_path / "all.zip").write_bytes(packed({**files, **litter}))
    (tmp_path / "roster.csv").write_text(PLAIN)
    discovery = find(tmp_path / "all.zip", tmp_path / "unpacked", read_roster(tmp_path / "roster.csv"), max_mb=1)
    assert [[student.id for student in one.students] for one in discovery.submissions] == [["101"], ["102"]]


def test_parts_of_a_drive_download_are_one_class(tmp_path: Path) -> None:
    (tmp_path / "all").mkdir()
    for number, name in ((1, "Ada Lovelace"), (2, "Jean-Luc O'Neil")):
        write_zip(tmp_path / f"all/VAE-20261101T101010Z-1-00{number}.zip", {f"VAE/{name} - vae.ipynb": NOTEBOOK})
    (tmp_path / "roster.csv").write_text(PLAIN)
    discovery = find(tmp_path / "all", tmp_path / "unpacked", read_roster(tmp_path / "roster.csv"), max_mb=1)
    assert [[student.id for student in one.students] for one in discovery.submissions] == [["101"], ["102"]]


def discover_files(files: Mapping[str, str | bytes], tmp_path: Path) -> Discovery:
    return discover(Case(files, {}, ""), tmp_path, zipped=False)


def test_a_working_file_in_teams_is_no_submission(tmp_path: Path) -> None:
    files = {f"Working files/{name}/VAE/vae.ipynb": NOTEBOOK for name in ("Ada Lovelace", "Jean-Luc O'Neil")}
    submitted = "Submitted files/Ada Lovelace/VAE/Version 1/vae.ipynb"
    discovery = discover_files({**files, submitted: OLDER}, tmp_path / "1")
    assert [one.shown for one in discovery.submissions] == [submitted]
    assert [student.id for student in discovery.missing] == ["102"]
    assert discovery.remarks == ("working files are not submissions; no submitted files by Jean-Luc O'Neil",)
    with pytest.raises(GraderError, match="found none; working files are not submissions; no submitted files by Ada"):
        discover_files(files, tmp_path / "2")


def test_a_folder_called_submitted_files_need_not_be_from_teams(tmp_path: Path) -> None:
    files = {"Submitted files/ada.ipynb": NOTEBOOK, "Submitted files/jlo.ipynb": NOTEBOOK}
    discovery = discover_files(files, tmp_path)
    assert [[student.id for student in one.students] for one in discovery.submissions] == [["101"], ["102"]]


def test_a_last_attempt_of_another_name_needs_review_but_is_graded(tmp_path: Path) -> None:
    files = {f"VAE_{login}_attempt_2026-11-01-10-00-00_vae.ipynb": OLDER for login in ("ada", "jlo")}
    discovery = discover_files({**files, "VAE_ada_attempt_2026-11-02-10-00-00_other.ipynb": NOTEBOOK}, tmp_path)
    (ada,) = [one for one in discovery.submissions if one.student and one.student.id == "101"]
    assert ada.shown == "VAE_ada_attempt_2026-11-02-10-00-00_other.ipynb"
    assert ada.why == "submitted last"
    assert [remark.needs_person for remark in ada.remarks] == [True]


def test_a_later_submission_to_brightspace_may_only_add_a_file(tmp_path: Path) -> None:
    at = "397063-2557369 - {} - Nov {}, 2026 926 PM/{}"
    files = {at.format(name, 1, "vae.ipynb"): OLDER for name in ("Ada Lovelace", "Jean-Luc O'Neil")}
    discovery = discover_files({**files, at.format("Ada Lovelace", 2, "plots.ipynb"): NOTEBOOK}, tmp_path)
    assert at.format("Ada Lovelace", 1, "vae.ipynb") in [one.shown for one in discovery.submissions]
