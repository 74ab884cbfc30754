"""Names with accents are the same in folders and archives, whether macOS (decomposed) or another system wrote them."""

from __future__ import annotations

import io
import json
import os
import tarfile
import unicodedata
from collections.abc import Mapping
from pathlib import Path

import pytest
from downloads import NOTEBOOK, packed, write
from small_exercise import notebook

from grader.batch.students.archives import list_files, unpack
from grader.batch.students.discovery import Discovery, alone, find
from grader.batch.students.roster import read_roster

ROSTER = "Student ID,First name,Last name,Email\n101,Ada,Lovelace,ada@u.example\n102,Jürgen,Größl,jg@u.example\n"
ROSTER += "103,Zoë,Müller,zoe@u.example\n"
OTHER = json.dumps(notebook.submission(double="def double(x):\n    return x + x + x"))
UNSOLVED = json.dumps(notebook.submission(double="def double(x):\n    raise NotImplementedError"))
F = "_assignsubmission_file"
LAYOUTS: dict[str, dict[str, str]] = {
    "Canvas": {
        "müllerzoë_4003_900003_vae.ipynb": NOTEBOOK,
        "größljürgen_LATE_4002_900002_vae.ipynb": NOTEBOOK,
        "lovelaceada_4001_900001_vae.ipynb": NOTEBOOK,
    },
    "Moodle": {f"{name}_700{n}{F}/vae.ipynb": NOTEBOOK for n, name in enumerate(("Ada Lovelace", "Jürgen Größl"))},
    "Moodle, flat": {f"{name}_700{n}{F}_vae.ipynb": NOTEBOOK for n, name in enumerate(("Zoë Müller", "Jürgen Größl"))},
    "Brightspace": {
        f"1-2 - {name} - Nov 1, 2026 926 PM/vae.ipynb": NOTEBOOK for name in ("Zoë Müller", "Ada Lovelace")
    },
    "Drive": {f"{name} - Übung.ipynb": NOTEBOOK for name in ("Zoë Müller", "Jürgen Größl")},
    "ILIAS": {
        "Übung 3/Abgaben/größl_jürgen_jg_4712/vae.ipynb": NOTEBOOK,
        "Übung 3/Abgaben/müller_zoë_zoe_4713/Lösung/vae.ipynb": NOTEBOOK,
    },
    "Sakai": {
        f"{name}/Submission attachment(s)/vae.ipynb": NOTEBOOK for name in ("Größl, Jürgen(jg)", "Müller, Zoë(zoe)")
    },
    "Teams": {f"Submitted files/{name}/Übung/Version 1/vae.ipynb": NOTEBOOK for name in ("Jürgen Größl", "Zoë Müller")},
    "by hand": {"Größl, Jürgen/vae.ipynb": NOTEBOOK, "vae Müller Zoë/vae.ipynb": NOTEBOOK},
    "by hand, flat": {"Größl_Jürgen.ipynb": NOTEBOOK, "Müller Zoë (1).ipynb": NOTEBOOK},
}


def decomposed(text: str) -> str:
    return unicodedata.normalize("NFD", text)


def packed_tar(files: Mapping[str, str | bytes]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        for name, content in files.items():
            data = content.encode() if isinstance(content, str) else content
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return stream.getvalue()


def discover(files: Mapping[str, str | bytes], tmp_path: Path, kind: str = "folder", roster: str = ROSTER) -> Discovery:
    tmp_path.mkdir(exist_ok=True)
    (tmp_path / "roster.csv").write_text(roster, encoding="utf-8")
    there = tmp_path / f"all.{kind}"
    if kind == "folder":
        write(there, files)
    else:
        there.write_bytes(packed(files) if kind == "zip" else packed_tar(files))
    template = write(tmp_path / "t", {decomposed("Übung.ipynb"): UNSOLVED})
    usual = next(template.iterdir())
    return find(there, tmp_path / "unpacked", read_roster(tmp_path / "roster.csv"), max_mb=1, template=usual)


def whose(discovery: Discovery) -> dict[str, str]:
    return {one.shown: one.student.id if one.student else "" for one in discovery.submissions}


@pytest.mark.parametrize("kind", ["folder", "zip", "tar.gz"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_decomposed_names_are_matched_and_shown_as_composed_ones(layout: str, kind: str, tmp_path: Path) -> None:
    files = LAYOUTS[layout]
    usual = discover(files, tmp_path / "1", kind)
    mac = discover({decomposed(name): content for name, content in files.items()}, tmp_path / "2", kind)
    assert whose(mac) == whose(usual)
    assert (mac.layout, mac.remarks) == (usual.layout, usual.remarks)
    assert all(whose(mac).values())
    assert all(one.path.is_file() and one.shown == unicodedata.normalize("NFC", one.shown) for one in mac.submissions)


def test_a_roster_may_be_decomposed_as_well(tmp_path: Path) -> None:
    files = {decomposed(name): content for name, content in LAYOUTS["Canvas"].items()}
    discovery = discover(files, tmp_path, roster=decomposed(ROSTER))
    assert sorted(whose(discovery).values()) == ["101", "102", "103"]


def both(name: str, tmp_path: Path, first: str | bytes = NOTEBOOK, second: str | bytes = OTHER) -> Discovery:
    """The class in which this name occurs twice: composed, and an hour later decomposed."""
    folder = write(tmp_path / "all.folder", {name: first, decomposed(name): second})
    if len(list(folder.iterdir())) == 1 and "/" not in name:
        pytest.skip("this file system does not tell the two names apart")
    os.utime(folder / name, (1_700_000_000, 1_700_000_000))
    os.utime(folder / decomposed(name), (1_700_003_600, 1_700_003_600))
    return discover({"Ada Lovelace/Übung.ipynb": NOTEBOOK}, tmp_path)


def test_two_folders_of_one_look_are_one_students_and_need_review(tmp_path: Path) -> None:
    discovery = both("Größl, Jürgen/Übung.ipynb", tmp_path)
    (one,) = [one for one in discovery.submissions if one.student and one.student.id == "102"]
    (remark,) = one.remarks
    assert remark.needs_person
    assert "Größl, Jürgen/Übung (2).ipynb" in remark.message + one.shown
    assert "Größl, Jürgen/Übung.ipynb" in remark.message + one.shown


def test_two_files_of_one_look_are_both_left_to_a_person(tmp_path: Path) -> None:
    discovery = both("Größl, Jürgen.ipynb", tmp_path)
    mine = {one.shown: one.path.read_text() for one in discovery.submissions if "Größl" in one.shown}
    assert set(mine) == {"Größl, Jürgen.ipynb", "Größl, Jürgen (2).ipynb"}
    assert set(mine.values()) == {NOTEBOOK, OTHER}
    assert not [one for one in discovery.submissions if "Größl" in one.shown and one.student]


def test_two_archives_of_one_look_are_both_opened(tmp_path: Path) -> None:
    first, second = packed({"vae.ipynb": NOTEBOOK}), packed({"vae.ipynb": OTHER})
    discovery = both("Größl, Jürgen.zip", tmp_path, first, second)
    assert {one.path.read_text() for one in discovery.submissions if "Größl" in one.shown} == {NOTEBOOK, OTHER}


@pytest.mark.parametrize("form", [packed, packed_tar])
def test_members_of_one_look_are_both_unpacked(form: object, tmp_path: Path) -> None:
    assert callable(form)
    archive = tmp_path / "work.zip"
    archive.write_bytes(form({"Ü/vae.ipynb": NOTEBOOK, decomposed("Ü/vae.ipynb"): OTHER}))
    files = unpack(archive, tmp_path / "into", max_mb=1, total_mb=10, nested=False)
    assert [file.place for file in files] == ["Ü/vae.ipynb", "Ü/vae (2).ipynb"]
    assert [file.path.read_text() for file in files if file.path] == [NOTEBOOK, OTHER]
    assert [file.path_parts for file in list_files(archive, total_mb=10)] == [file.path_parts for file in files]


def test_a_single_submission_has_composed_names_too(tmp_path: Path) -> None:
    folder = write(tmp_path / "one", {decomposed("Lösung/Übung.ipynb"): NOTEBOOK, "Übung 2.ipynb": OTHER})
    one = alone(folder, tmp_path / "unpacked", max_mb=1, usual="Übung.ipynb")
    assert one.shown == "Lösung/Übung.ipynb"
    assert one.path.read_text() == NOTEBOOK
