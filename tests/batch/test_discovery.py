"""A class is found in every layout that people have, whole or zipped, and each submission is its student's."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

import downloads
import pytest
from downloads import NOTEBOOK, ROSTER, write, write_zip
from small_exercise import notebook

from grader.batch.students.discovery import Discovery, find
from grader.batch.students.roster import read_roster
from grader.errors import GraderError

LAYOUTS: dict[str, tuple[Mapping[str, str], str, list[str]]] = {
    "moodle": (downloads.MOODLE, "Moodle", ["101", "102", "103"]),
    "moodle_flat": (downloads.MOODLE_FLAT, "Moodle", ["101", "103"]),
    "canvas": (downloads.CANVAS, "Canvas", ["101", "103"]),
    "gradescope": (downloads.GRADESCOPE, "Gradescope", ["101", "102-103"]),
    "nbgrader": (downloads.NBGRADER, "nbgrader", ["101", "103"]),
    "flat": (downloads.FLAT, "one file per student", ["101", "103"]),
    "folders": (downloads.FOLDERS, "one folder per student", ["101", "103", "empty"]),
}


def discover(submissions: Path, tmp_path: Path, *, roster: bool = True) -> Discovery:
    path = tmp_path / "roster.csv"
    path.write_text(ROSTER, encoding="utf-8")
    return find(submissions, tmp_path / "unpacked", read_roster(path) if roster else None, max_mb=1)


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_download_is_recognised_and_each_notebook_is_its_students(layout: str, zipped: bool, tmp_path: Path) -> None:
    files, words, keys = LAYOUTS[layout]
    there = write_zip(tmp_path / "all.zip", files) if zipped else write(tmp_path / "all", files)
    discovery = discover(there, tmp_path)
    assert discovery.layout.startswith(words)
    assert [one.key for one in discovery.submissions] == keys
    readable = [one for one in discovery.submissions if not one.refused]
    assert all(one.path.read_text() == NOTEBOOK for one in readable)
    again = discover(there, tmp_path)
    assert again == discovery


def test_a_folder_without_a_notebook_is_refused_with_what_was_found(tmp_path: Path) -> None:
    discovery = discover(write(tmp_path / "all", downloads.FOLDERS), tmp_path)
    (empty,) = [one for one in discovery.submissions if one.refused]
    assert empty.key == "empty"
    assert empty.refused == "no readable notebook (.ipynb) was submitted; found: report.pdf"


def test_the_latest_resubmission_counts_and_the_other_is_named(tmp_path: Path) -> None:
    discovery = discover(write(tmp_path / "all", downloads.CANVAS), tmp_path)
    ada, zoe = discovery.submissions
    assert ada.path.name == "lovelaceada_4001_900007_vae-1.ipynb"
    assert [(r.kind, "900001" in r.message) for r in ada.remarks] == [("other_notebook", True)]
    assert [r.kind for r in zoe.remarks] == ["late"]


def test_of_several_notebooks_the_one_with_the_exercises_name_is_graded(tmp_path: Path) -> None:
    files = {"ada/vae.ipynb": NOTEBOOK, "ada/scratch.ipynb": "{}", "zoe/vae.ipynb": NOTEBOOK, "jl/vae.ipynb": NOTEBOOK}
    folder = write(tmp_path / "all", files)
    os.utime(folder / "ada/scratch.ipynb", (4e9, 4e9))
    ada = discover(folder, tmp_path, roster=False).submissions[0]
    assert ada.path == folder / "ada/vae.ipynb"


def test_a_zip_per_student_is_unpacked(tmp_path: Path) -> None:
    folder = write(tmp_path / "all", {"zoe/vae.ipynb": NOTEBOOK, "ada/readme.txt": ""})
    write_zip(folder / "ada" / "mine.zip", {"work/vae.ipynb": NOTEBOOK, "work/data.bin": "x"})
    ada, _ = discover(folder, tmp_path).submissions
    assert ada.shown == "ada/mine.zip: work/vae.ipynb"
    assert ada.path.read_text() == NOTEBOOK
    assert ada.path.is_relative_to(tmp_path / "unpacked")


def test_missing_and_unmatched_students_are_listed(tmp_path: Path) -> None:
    discovery = discover(write(tmp_path / "all", {"ada.ipynb": NOTEBOOK, "stranger.ipynb": NOTEBOOK}), tmp_path)
    assert [student.name for student in discovery.missing] == ["Jean-Luc O'Neil", "Zoë Müller"]
    assert discovery.remarks == ("no student, or more than one, on the roster for 1: stranger",)


def test_a_link_is_refused_and_never_followed(tmp_path: Path) -> None:
    secret = tmp_path / "secret.ipynb"
    secret.write_text(NOTEBOOK)
    folder = write(tmp_path / "all", {"zoe.ipynb": NOTEBOOK})
    (folder / "ada.ipynb").symlink_to(secret)
    (folder / "folder").symlink_to(tmp_path)
    ada, _ = discover(folder, tmp_path).submissions
    assert "is a symbolic link" in ada.refused


def test_hostile_names_are_harmless_and_keys_stay_apart(tmp_path: Path) -> None:
    names = ["a\nb", "\x1b[31mred", "<script>alert(1)</script>", "ÄÖÜ", "ÄÖU", "x" * 200, "..."]
    folder = write(tmp_path / "all", {f"{name}/vae.ipynb": NOTEBOOK for name in names})
    discovery = discover(folder, tmp_path, roster=False)
    assert len({one.key.casefold() for one in discovery.submissions}) == len(names)
    for one in discovery.submissions:
        assert one.key.isascii()
        assert not set(one.key) & set("/\n<> \x1b")
        assert one.key not in {".", "..", ""}
        assert one.shown.isprintable()


@pytest.mark.parametrize(
    ("name", "says"), [("nowhere", "no such folder"), ("one.ipynb", "make grade"), ("bare", "found none")]
)
def test_a_folder_without_submissions_is_refused(name: str, says: str, tmp_path: Path) -> None:
    write(tmp_path, {"one.ipynb": NOTEBOOK, "bare/notes.txt": ""})
    with pytest.raises(GraderError, match=says) as error:
        discover(tmp_path / name, tmp_path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("key", "files"),
    [
        ("A", ["A/eve/v.ipynb", "A/mallory/v.ipynb", "101/v.ipynb"]),
        ("class", ["class/101/v.ipynb", "class/102/v.ipynb", "103/v.ipynb"]),
        ("class", ["class/101/v.ipynb", "class/102/v.ipynb", "mine/v.ipynb"]),
        ("Monday", ["Monday/zoe_vae.ipynb", "Monday/ada_vae.ipynb", "jl.ipynb"]),
    ],
    ids=["strangers beside a student", "a class beside a student", "beside one of nobody", "files beside a file"],
)
def test_work_of_several_people_in_an_unmatched_folder_needs_review(key: str, files: list[str], tmp_path: Path) -> None:
    discovery = discover(write(tmp_path / "all", dict.fromkeys(files, NOTEBOOK)), tmp_path)
    (one,) = [one for one in discovery.submissions if one.key == key]
    assert one.student is None
    assert [remark.kind for remark in one.remarks if remark.needs_person].count("whose") == 1


def test_two_archives_of_a_student_with_files_of_one_name_stay_apart(tmp_path: Path) -> None:
    folder = write(tmp_path / "all", {"zoe/vae.ipynb": NOTEBOOK, "ada/readme.txt": ""})
    other = json.dumps(notebook.submission(["more = 1"]))
    write_zip(folder / "ada" / "first.zip", {"vae.ipynb": NOTEBOOK})
    write_zip(folder / "ada" / "second.zip", {"vae.ipynb": other})
    ada, _ = discover(folder, tmp_path).submissions
    assert ada.path.read_text() == (other if "second" in ada.shown else NOTEBOOK)
