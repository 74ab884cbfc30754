"""In any download, no file gets another student's name, no student is lost, and doubtful matches are listed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from any_download import Download, download, same_names, write_any

from grader.batch.students.discovery import Discovery, find
from grader.batch.students.roster import read_roster
from grader.errors import GraderError


def discover(sample: Download, folder: Path, seed: int) -> Discovery | None:
    folder.mkdir(exist_ok=True)
    path = folder / "roster.csv"
    path.write_text(sample.roster, encoding="utf-8")
    roster = read_roster(path) if seed % 5 else None
    where = write_any(sample, folder, seed)
    try:
        discovery = find(where, folder / "unpacked", roster, max_mb=5)
    except GraderError:
        assert not sample.files or set(sample.files) == {"submission_metadata.yml"} or not roster
        return None
    assert find(where, folder / "unpacked", roster, max_mb=5) == discovery
    return discovery


def owners_of(shown: str, sample: Download) -> set[str]:
    """The numbers of those whose file this is; a folder around a single file may have been taken for its author's."""
    path = shown.partition(": ")[0]
    while path not in sample.truth and path.partition("/")[0] in sample.notes:
        path = path.partition("/")[2]
    below = {place.partition("/")[2]: numbers for place, numbers in sample.truth.items()} if in_sections(sample) else {}
    return sample.truth.get(path) or below[path]  # a single section is taken away as a wrapper is


def in_sections(sample: Download) -> bool:
    return "sections" in sample.layout


def certain(sample: Download) -> set[str]:
    """The numbers of those whom layout and roster tell beyond doubt."""
    by_name = {person.number for person in sample.people} - same_names(sample.people)
    everybody = {person.number for person in sample.people}
    if sample.layout == "gradescope" and sample.columns != "logins":
        return everybody
    if (sample.layout, sample.columns) in {("nbgrader", "names"), ("folders by id", "logins"), ("files", "names")}:
        return set()
    if sample.layout in {"nbgrader", "folders by id"}:
        return everybody
    return by_name if sample.layout in {"moodle", "moodle flat", "canvas", "folders by name"} else set()


def check(seed: int, folder: Path) -> None:
    sample = download(seed)
    discovery = discover(sample, folder, seed)
    description = (
        f"seed {seed}: {sample.layout}, {sample.columns}, {sample.notes}, {sorted(sample.files)}\n"
        f"{sample.roster}{discovery}"
    )
    if discovery is None:
        return
    ids = {p.login if sample.columns == "logins" else p.number: p for p in sample.people if p.enrolled}
    there = set()
    for one in discovery.submissions:
        owners = owners_of(one.shown, sample)
        there |= owners
        if one.student:
            assert ids[one.student.id].number in owners, description
        if not one.refused:
            number = re.search(r"owner = '(\d+)'", one.path.read_text(encoding="utf-8"))
            assert number, description
            assert number[1] in owners, description
        elif one.student is None and seed % 5:
            assert any(remark for remark in discovery.remarks), description
    if in_sections(sample) and [one for one in discovery.submissions if not one.student]:
        pass  # a section of strangers may be one person's folder
    elif not any("taken for one submission" in remark for remark in discovery.remarks):
        assert there == set().union(*sample.truth.values()), description
    assert len({one.key.casefold() for one in discovery.submissions}) == len(discovery.submissions), description
    rows = {one.student.id for one in discovery.submissions if one.student}
    assert not rows & {student.id for student in discovery.missing}, description
    if seed % 5:
        sure = {key for key, person in ids.items() if person.number in certain(sample) & there}
        assert sure <= rows, description
        assert bool([one for one in discovery.submissions if not one.student]) <= bool(discovery.remarks), description


@pytest.mark.parametrize("seed", range(60))
def test_a_download_puts_nothing_under_another_name(seed: int, tmp_path: Path) -> None:
    check(seed, tmp_path)


@pytest.mark.long
def test_a_thousand_downloads_put_nothing_under_another_name(tmp_path: Path) -> None:
    for seed in range(60, 1060):
        check(seed, tmp_path / str(seed))
