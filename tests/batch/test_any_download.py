"""In any download, no file gets another student's name, no student is lost, and doubtful matches are listed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from any_download import Download, download, same_names, write_any

from grader.batch.students.discovery import Discovery, find
from grader.batch.students.roster import read_roster
from grader.errors import GraderError


def found(made: Download, folder: Path, seed: int) -> Discovery | None:
    folder.mkdir(exist_ok=True)
    path = folder / "roster.csv"
    path.write_text(made.roster, encoding="utf-8")
    roster = read_roster(path) if seed % 5 else None
    where = write_any(made, folder, seed)
    try:
        came = find(where, folder / "unpacked", roster, max_mb=5)
    except GraderError:
        assert not made.files or set(made.files) == {"submission_metadata.yml"} or not roster
        return None
    assert find(where, folder / "unpacked", roster, max_mb=5) == came
    return came


def owners_of(shown: str, made: Download) -> set[str]:
    """The numbers of those whose file this is; a folder around a single file may have been taken for its author's."""
    path = shown.partition(": ")[0]
    while path not in made.truth and path.partition("/")[0] in made.notes:
        path = path.partition("/")[2]
    below = {place.partition("/")[2]: numbers for place, numbers in made.truth.items()} if in_sections(made) else {}
    return made.truth.get(path) or below[path]  # a single section is taken away as a wrapper is


def in_sections(made: Download) -> bool:
    return "sections" in made.layout


def certain(made: Download) -> set[str]:
    """The numbers of those whom layout and roster tell beyond doubt."""
    by_name = {person.number for person in made.people} - same_names(made.people)
    everybody = {person.number for person in made.people}
    if made.layout == "gradescope" and made.columns != "logins":
        return everybody
    if (made.layout, made.columns) in {("nbgrader", "names"), ("folders by id", "logins"), ("files", "names")}:
        return set()
    if made.layout in {"nbgrader", "folders by id"}:
        return everybody
    return by_name if made.layout in {"moodle", "moodle flat", "canvas", "folders by name"} else set()


def check(seed: int, folder: Path) -> None:
    made = download(seed)
    came = found(made, folder, seed)
    told = f"seed {seed}: {made.layout}, {made.columns}, {made.notes}, {sorted(made.files)}\n{made.roster}{came}"
    if came is None:
        return
    ids = {p.login if made.columns == "logins" else p.number: p for p in made.people if p.enrolled}
    there = set()
    for one in came.handed_in:
        owners = owners_of(one.shown, made)
        there |= owners
        if one.student:
            assert ids[one.student.id].number in owners, told
        if not one.refused:
            number = re.search(r"owner = '(\d+)'", one.path.read_text(encoding="utf-8"))
            assert number, told
            assert number[1] in owners, told
        elif one.student is None and seed % 5:
            assert any(remark for remark in came.remarks), told
    if in_sections(made) and [one for one in came.handed_in if not one.student]:
        pass  # a section of strangers may be one person's folder
    elif not any("taken for one submission" in remark for remark in came.remarks):
        assert there == set().union(*made.truth.values()), told
    assert len({one.key.casefold() for one in came.handed_in}) == len(came.handed_in), told
    rows = {one.student.id for one in came.handed_in if one.student}
    assert not rows & {student.id for student in came.missing}, told
    if seed % 5:
        sure = {key for key, person in ids.items() if person.number in certain(made) & there}
        assert sure <= rows, told
        assert bool([one for one in came.handed_in if not one.student]) <= bool(came.remarks), told


@pytest.mark.parametrize("seed", range(60))
def test_a_download_puts_nothing_under_another_name(seed: int, tmp_path: Path) -> None:
    check(seed, tmp_path)


@pytest.mark.long
def test_a_thousand_downloads_put_nothing_under_another_name(tmp_path: Path) -> None:
    for seed in range(60, 1060):
        check(seed, tmp_path / str(seed))
