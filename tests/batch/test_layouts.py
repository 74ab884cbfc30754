"""Only the root of a download says what it is; wrappers come off, and a single submission's own folder stays."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from downloads import NOTEBOOK, write, write_zip

from grader.batch.students.discovery import Discovery, find
from grader.batch.students.roster import read_roster

ROSTER = (
    "Student ID,First name,Last name,Email\n201,Ida,Noddack,ida@u.example\n202,Max,Born,born@u.example\n"
    "203,Åsa,Öberg,asa@u.example\n"
)
EXPORT = "submission_1:\n  :submitters:\n  - :name: Ida Noddack\n    :sid: '201'\n"
MOODLE = {
    f"{name}_{number}_assignsubmission_file_/vae.ipynb": NOTEBOOK
    for name, number in (("Ida Noddack", 7), ("Max Born", 8))
}
THREE = {f"{number}/vae.ipynb": NOTEBOOK for number in (201, 202, 203)}


def discover(where: Path, tmp_path: Path, roster: str | None = ROSTER, template: Path | None = None) -> Discovery:
    path = tmp_path / "roster.csv"
    path.write_text(roster or "", encoding="utf-8")
    return find(where, tmp_path / "unpacked", read_roster(path) if roster else None, max_mb=1, template=template)


def whose(discovery: Discovery) -> dict[str, str]:
    """The path of each file, and its owner: a student's id, or the key of a file without an owner."""
    return {one.shown: one.student.id if one.student else f"({one.key})" for one in discovery.submissions}


HIJACKS = {
    "an export's list": {"submission_metadata.yml": EXPORT},
    "one deeper": {"work/data/submission_metadata.yml": EXPORT, "work/data/submission_1/vae.ipynb": NOTEBOOK},
    "a time stamp": {"timestamp.txt": "2026-11-01"},
    "a folder of nbgrader's": {"submitted/201/vae/vae.ipynb": NOTEBOOK},
    "a folder of Moodle's": {"Ida Noddack_7_assignsubmission_file_/vae.ipynb": NOTEBOOK},
    "a file of Canvas's": {"noddackida_4001_900001_vae.ipynb": NOTEBOOK},
    "a folder of another's number": {"201/vae.ipynb": NOTEBOOK},
}
LAYOUTS = {
    "Moodle": (MOODLE, "Max Born_8_assignsubmission_file_"),
    "nbgrader": ({f"submitted/{login}/vae/vae.ipynb": NOTEBOOK for login in ("ida", "born")}, "submitted/born/vae"),
    "folders": ({"201/vae.ipynb": NOTEBOOK, "202/vae.ipynb": NOTEBOOK}, "202"),
}


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("trick", HIJACKS)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_no_students_file_affects_the_owner_of_another(layout: str, trick: str, zipped: bool, tmp_path: Path) -> None:
    files, own = LAYOUTS[layout]
    files = files | {f"{own}/{name}": content for name, content in HIJACKS[trick].items()}
    there = write_zip(tmp_path / "all.zip", files) if zipped else write(tmp_path / "all", files)
    discovery = discover(there, tmp_path)
    assert sorted(one.student.id for one in discovery.submissions if one.student) == ["201", "202"]
    assert {one.shown.startswith(own) for one in discovery.submissions if one.student and one.student.id == "202"} == {
        True
    }
    assert [student.id for student in discovery.missing] == ["203"]


def test_a_list_in_a_students_zip_is_ignored(tmp_path: Path) -> None:
    folder = write(tmp_path / "all", {"201.ipynb": NOTEBOOK})
    write_zip(folder / "202.zip", {"submission_metadata.yml": EXPORT, "submission_1/vae.ipynb": NOTEBOOK})
    assert whose(discover(folder, tmp_path)) == {"201.ipynb": "201", "202.zip: submission_1/vae.ipynb": "202"}


LITTER = {".DS_Store": "x", "__MACOSX/._x": "x"}
WRAPPED: dict[str, tuple[Mapping[str, str], list[str]]] = {
    "a Mac's zip": (
        {**{f"class/{k}": v for k, v in THREE.items()}, "__MACOSX/class/201/._vae.ipynb": "x"},
        ["201", "202", "203"],
    ),
    "twice, litter at each": (
        {**{f"a/a/{k}": v for k, v in THREE.items()}, "a/.DS_Store": "x", **LITTER},
        ["201", "202", "203"],
    ),
    "with the roster beside": ({**{f"x/{k}": v for k, v in THREE.items()}, "grades.csv": "a"}, ["201", "202", "203"]),
    "around files": ({"x/201.ipynb": NOTEBOOK, "x/202.ipynb": NOTEBOOK}, ["201", "202"]),
    "around an export": (
        {"e/submission_metadata.yml": EXPORT, "e/submission_1/vae.ipynb": NOTEBOOK, "e/submission_2/v.ipynb": NOTEBOOK},
        ["201", "submission_2"],
    ),
    "around nbgrader's": (
        {"course/submitted/ida/vae/vae.ipynb": NOTEBOOK, "course/source/vae/vae.ipynb": "{}"},
        ["201"],
    ),
    "around Moodle's": ({f"x/y/{k}": v for k, v in MOODLE.items()}, ["201", "202"]),
    "one of Moodle's": (dict([next(iter(MOODLE.items()))]), ["201"]),
    "around one of Moodle's": ({f"late/{k}": v for k, v in list(MOODLE.items())[:1]}, ["201"]),
    "one student": ({"201/vae.ipynb": NOTEBOOK}, ["201"]),
    "one student, deeper": ({"class/201/mine/vae.ipynb": NOTEBOOK}, ["201"]),
    "one student with two": ({"born/vae.ipynb": NOTEBOOK, "born/other.ipynb": NOTEBOOK}, ["202"]),
    "one student's file": ({"class/born.ipynb": NOTEBOOK}, ["202"]),
    "one whom nobody knows": ({"class/Eve/vae.ipynb": NOTEBOOK}, ["Eve"]),
    "one whom nobody knows, and copies": ({"Eve/vae.ipynb": NOTEBOOK, "Eve/Copy of vae (1).ipynb": NOTEBOOK}, ["Eve"]),
}


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("case", WRAPPED)
def test_a_wrapper_comes_off_and_a_submissions_folder_stays(case: str, zipped: bool, tmp_path: Path) -> None:
    files, keys = WRAPPED[case]
    there = write_zip(tmp_path / "all.zip", files) if zipped else write(tmp_path / "all", files)
    assert [one.key for one in discover(there, tmp_path).submissions] == keys


def test_without_a_roster_the_innermost_folder_is_the_students(tmp_path: Path) -> None:
    discovery = discover(write_zip(tmp_path / "all.zip", {"class/eve/vae.ipynb": NOTEBOOK}), tmp_path, None)
    assert [one.key for one in discovery.submissions] == ["eve"]
    two = {"class/eve/vae.ipynb": NOTEBOOK, "class/mallory/vae.ipynb": NOTEBOOK}
    assert [one.key for one in discover(write(tmp_path / "two", two), tmp_path, None).submissions] == ["eve", "mallory"]


OTHERS = {
    "Canvas": [
        "bornmax_4002_900002_vae.pdf",
        "bornmax_LATE_4002_900002_vae.py",
        "bornmax_4002_text.html",
        "bornmax_4002_link.html",
    ],
    "Moodle": ["Max Born_8_assignsubmission_file_/vae.docx", "Max Born_8_assignsubmission_onlinetext_/onlinetext.html"],
    "Moodle flat": ["Max Born_8_assignsubmission_file_vae.ipynb.txt"],
    "files": ["202.pdf", "born.py", "Max Born.ipynb.txt", "202.txt", "Born, Max.html", "202.ipynb.json"],
    "folders": ["202/vae.html", "born/.ipynb_checkpoints/vae-checkpoint.ipynb"],
}
FIRST = {
    "Canvas": "noddackida_4001_900001_vae.ipynb",
    "Moodle": "Ida Noddack_7_assignsubmission_file_/vae.ipynb",
    "Moodle flat": "Ida Noddack_7_assignsubmission_file_vae.ipynb",
    "files": "201.ipynb",
    "folders": "201/vae.ipynb",
}


@pytest.mark.parametrize(("layout", "name"), [(layout, name) for layout, names in OTHERS.items() for name in names])
def test_a_file_that_is_not_a_notebook_is_not_gradable_and_not_missing(layout: str, name: str, tmp_path: Path) -> None:
    discovery = discover(write(tmp_path / "all", {FIRST[layout]: NOTEBOOK, name: "x"}), tmp_path)
    (one,) = [one for one in discovery.submissions if one.refused]
    assert one.student
    assert one.student.id == "202"
    assert one.refused.startswith("no readable notebook (.ipynb) was submitted; found: ")
    assert name.rpartition("/")[2] in one.refused
    assert [student.id for student in discovery.missing] == ["203"]


def test_files_of_staff_are_listed_and_belong_to_no_student(tmp_path: Path) -> None:
    discovery = discover(write(tmp_path / "all", {"201.ipynb": NOTEBOOK, "grades.csv": "a", "todo.txt": "b"}), tmp_path)
    assert whose(discovery) == {"201.ipynb": "201"}
    assert discovery.remarks == ("ignored, since no submission: grades.csv, todo.txt",)


class Unflagged(zipfile.ZipInfo):
    """A name in UTF-8 without the flag that says so, as macOS writes it."""

    def _encodeFilenameFlags(self) -> tuple[bytes, int]:
        return self.filename.encode("cp437"), self.flag_bits & ~0x800


@pytest.mark.parametrize(
    ("name", "encoding", "student"),
    [
        ("Åsa Öberg", "utf-8", "203"),  # composed
        ("A\u030asa O\u0308berg", "utf-8", "203"),  # as macOS keeps names
        ("Åsa Öberg", "cp437", "203"),
        ("Åsa Öberg 王", "utf-8", None),
    ],
)
def test_names_in_a_zip_are_read_with_and_without_the_flag(
    name: str, encoding: str, student: str | None, tmp_path: Path
) -> None:
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        for one in (name, "Max Born"):
            entry = Unflagged(f"{one}/vae.ipynb".encode(encoding).decode("cp437"))
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, NOTEBOOK)
    discovery = discover(tmp_path / "all.zip", tmp_path)
    (one,) = [one for one in discovery.submissions if "Born" not in one.shown]
    assert (one.student.id if one.student else None) == student
    if not student:
        assert "王" in one.shown
