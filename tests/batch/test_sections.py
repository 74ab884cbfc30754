"""A class in sections, packed twice or beside its archive is read correctly."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from downloads import packed, write, write_zip
from small_exercise import notebook

from grader.batch.students.discovery import Discovery, find
from grader.batch.students.roster import read_roster

ROSTER = (
    "Student ID,First name,Last name,Email\n201,Ida,Noddack,ida@u.example\n202,Max,Born,born@u.example\n"
    "203,Åsa,Öberg,asa@u.example\n"
)
EXPORT = "submission_1:\n  :submitters:\n  - :name: Ida Noddack\n    :sid: '201'\n"


def work(text: str = "x = 1") -> str:
    return json.dumps(notebook.submission([text]))


def discover(files: Mapping[str, Any], tmp_path: Path, *, zipped: bool = False, template: str = "") -> Discovery:
    (tmp_path / "roster.csv").write_text(ROSTER, encoding="utf-8")
    there = write_zip(tmp_path / "all.zip", files) if zipped else write(tmp_path / "all", files)
    given = tmp_path / "vae_mnist.ipynb"
    given.write_text(template)
    roster = read_roster(tmp_path / "roster.csv")
    return find(there, tmp_path / "unpacked", roster, max_mb=1, template=given if template else None)


def whose(discovery: Discovery) -> dict[str, str]:
    """Each one's key or id, and whose number the notebook itself says."""
    return {
        one.student.id if one.student else f"({one.key})": "" if one.refused else says(one.path.read_text())
        for one in discovery.submissions
    }


def says(content: str) -> str:
    """Whose number is in the notebook."""
    (line,) = re.findall(r"owner = (\w+)", content)
    return str(line)


def files(*places: str) -> dict[str, str]:
    """A notebook at each place, `place=owner`; the owner is the last number in it where none is given."""
    notebooks = {}
    for place in places:
        where, _, whom = place.partition("=")
        notebooks[where] = work(f"owner = {whom}")
    return notebooks


MOODLE = {
    number: f"{name}_{number[-1]}_assignsubmission_file_/vae.ipynb={number}"
    for name, number in (("Ida Noddack", "201"), ("Max Born", "202"), ("Åsa Öberg", "203"))
}
ALL = {"201": "201", "202": "202", "203": "203"}
CLASS = files("201/vae.ipynb=201", "202/vae.ipynb=202", "203/vae.ipynb=203")
CASES: dict[str, tuple[dict[str, Any], dict[str, str]]] = {
    "one alone in a section": (files("A/201/v.ipynb=201", "A/202/v.ipynb=202", "B/203/v.ipynb=203"), ALL),
    "files in sections": (files("Mon/ida.ipynb=201", "Mon/born.ipynb=202", "Tue/asa.ipynb=203"), ALL),
    "one alone in each section": (files("A/201/v.ipynb=201", "B/202/v.ipynb=202", "C/asa.ipynb=203"), ALL),
    "a zip of unknown name for each": (
        {f"{at}.zip": packed(files(f"{whom}/v.ipynb={whom}")) for at, whom in zip("xyz", ALL, strict=True)},
        ALL,
    ),
    "longer names": (
        files("Mon/vae_mnist_Ida_Noddack.ipynb=201", "Mon/vae_mnist_Max_Born.ipynb=202", "Tue/203.ipynb=203"),
        ALL,
    ),
    "strangers in a section": (
        files("A/201/v.ipynb=201", "A/202/v.ipynb=202", "B/eve/v.ipynb=1", "B/mallory/v.ipynb=2"),
        {"201": "201", "202": "202", "(eve)": "1", "(mallory)": "2"},
    ),
    "strangers of one name in two sections": (
        files("A/201/v.ipynb=201", "A/202/v.ipynb=202", "A/eve/v.ipynb=1", "B/203/v.ipynb=203", "B/eve/v.ipynb=2"),
        {**ALL, "(eve-A)": "1", "(eve-B)": "2"},
    ),
    "each section in itself": (
        files("Mon/Mon/201/v.ipynb=201", "Mon/Mon/202/v.ipynb=202", "Tue/Tue/203/v.ipynb=203"),
        ALL,
    ),
    "Moodle's in sections": (files(f"A/{MOODLE['201']}", f"A/{MOODLE['202']}", f"B/{MOODLE['203']}"), ALL),
    "one who sent a PDF": (
        {**files("A/201/v.ipynb=201", "A/202/v.ipynb=202"), "B/203/v.pdf": "%PDF"},
        {"201": "201", "202": "202", "203": ""},
    ),
    "packed twice": ({"class.zip": packed({f"class/{k}": v for k, v in CLASS.items()})}, ALL),
    "packed three times": ({"in/a.zip": packed({"b.zip": packed(CLASS)})}, ALL),
    "with the roster": ({"class.zip": packed(CLASS), "roster.csv": ROSTER, "notes.txt": "x"}, ALL),
    "Moodle's zip": ({"CV101-VAE-12345.zip": packed(files(*MOODLE.values()))}, ALL),
    "two of Moodle's zips": (
        {"mon.zip": packed(files(MOODLE["201"], MOODLE["202"])), "tue.zip": packed(files(MOODLE["203"]))},
        ALL,
    ),
    "Canvas's and Gradescope's zips": (
        {
            "canvas.zip": packed(files("bornmax_4002_900002_vae.ipynb=202", "obergasa_4003_900003_vae.ipynb=203")),
            "export.zip": packed(
                {
                    "assignment_7_export/submission_metadata.yml": EXPORT,
                    **files("assignment_7_export/submission_1/vae.ipynb=201"),
                }
            ),
        },
        ALL,
    ),
    "a zip for each in sections": (
        {
            f"{section}/{number}.zip": packed(files(f"vae.ipynb={number}"))
            for section, number in zip("AAB", ALL, strict=True)
        },
        ALL,
    ),
    "beside its own zip": (
        {
            **{f"class/{k}": v for k, v in CLASS.items()},
            "class.zip": packed({f"class/{k}": v for k, v in CLASS.items()}),
        },
        ALL,
    ),
    "beside a zip without the folder": ({**{f"c/{k}": v for k, v in CLASS.items()}, "c.zip": packed(CLASS)}, ALL),
    "beside a solution": (
        {**{f"class/{k}": v for k, v in CLASS.items()}, **files("solution.ipynb=0")},
        {**ALL, "(solution)": "0"},
    ),
    "beside a sheet": ({**{f"class/{k}": v for k, v in CLASS.items()}, "task.pdf": "%PDF"}, ALL),
}


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_each_student_has_their_own(case: str, zipped: bool, tmp_path: Path) -> None:
    there, right = CASES[case]
    assert whose(discover(there, tmp_path, zipped=zipped)) == right


def test_work_of_a_student_in_two_sections_needs_review(tmp_path: Path) -> None:
    there = files("class/201/v.ipynb=201", "class/202/v.ipynb=202", "late/202/v.ipynb=20202")
    discovery = discover(there, tmp_path)
    assert set(whose(discovery)) == {"201", "202"}
    (born,) = [one for one in discovery.submissions if one.key == "202"]
    (remark,) = [remark for remark in born.remarks if remark.needs_person]
    assert "class/202/v.ipynb" in remark.message or "late/202/v.ipynb" in remark.message


def test_a_class_without_a_roster_beside_its_own_zip(tmp_path: Path) -> None:
    names = {f"class/{name}/v.ipynb": work(f"owner = {name}") for name in ("eve", "mallory")}
    write(tmp_path / "all", names | {"class.zip": packed(names)})
    discovery = find(tmp_path / "all", tmp_path / "unpacked", None, max_mb=1)
    assert [one.key for one in discovery.submissions] == ["eve", "mallory"]


TASK = {"grader": {"role": "task", "task": "t"}}


def test_the_template_belongs_to_no_student(tmp_path: Path) -> None:
    template = notebook.submission(["owner = 0"])
    (task,) = [cell for cell in template["cells"] if cell["source"] == "owner = 0"]
    task["metadata"] = TASK
    there = {**{f"class/{k}": v for k, v in CLASS.items()}, "vae_mnist.ipynb": json.dumps(template)}
    discovery = discover(there, tmp_path, template=json.dumps(template))
    assert whose(discovery) == ALL
    assert discovery.remarks == ("ignored, since no submission: vae_mnist.ipynb",)
    (tmp_path / "flat").mkdir()
    flat = {"201.ipynb": work("owner = 201"), "vae_mnist.ipynb": work("owner = 5")}
    assert set(whose(discover(flat, tmp_path / "flat", template=json.dumps(template)))) == {"201", "(vae_mnist)"}


OWN = {
    "several students' folders": files("201/v.ipynb=6", "203/v.ipynb=6"),
    "and a notebook": files("201/v.ipynb=6", "203/v.ipynb=6", "v.ipynb=6"),
    "files": files("ida.ipynb=6", "asa.ipynb=6"),
    "Moodle's": files(MOODLE["201"].replace("=201", "=6"), MOODLE["203"].replace("=203", "=6")),
    "Canvas's": files("noddackida_4001_900001_vae.ipynb=6", "obergasa_4003_900003_vae.ipynb=6"),
    "sections": files("A/201/v.ipynb=6", "A/203/v.ipynb=6", "B/x/v.ipynb=6"),
}
OTHERS = {
    "beside students": (files("201/v.ipynb=201", "203/v.ipynb=203"), "202"),
    "beside files": (files("201.ipynb=201", "203.ipynb=203"), "born"),
    "beside strangers": (files("u1/v.ipynb=1", "u3/v.ipynb=3"), "u2"),
    "beside strangers' files": (files("u1.ipynb=1", "u3.ipynb=3", "u4.ipynb=4"), "u2"),
    "beside numbered files": (files("submission 1.ipynb=1", "submission 2.ipynb=2"), "submission 3"),
    "beside a stranger and one in a folder": (files("u1/v.ipynb=1", "u3/201/v.ipynb=201"), "u2"),
    "beside strangers with folders": (files("u1/mine/v.ipynb=1", "u3/src/v.ipynb=3"), "u2"),
    "in a section": (files("A/201/v.ipynb=201", "A/203/v.ipynb=203", "B/x/v.ipynb=3", "B/y/v.ipynb=4"), "B/202"),
    "alone in a section": (files("A/201/v.ipynb=201", "A/203/v.ipynb=203"), "B/eve"),
    "in Moodle's": (files(MOODLE["201"], MOODLE["203"]), MOODLE["202"].partition("/")[0]),
    "in nbgrader's": (files("submitted/ida/vae/v.ipynb=201", "submitted/asa/vae/v.ipynb=203"), "submitted/born/vae"),
}


@pytest.mark.parametrize("as_archive", [False, True])
@pytest.mark.parametrize("own", OWN)
@pytest.mark.parametrize("others", OTHERS)
def test_nothing_in_ones_own_folder_is_another_students(
    others: str, own: str, as_archive: bool, tmp_path: Path
) -> None:
    there, folder = OTHERS[others]
    inside: dict[str, Any] = {f"{folder}/{name}": content for name, content in OWN[own].items()}
    if as_archive:
        inside = {f"{folder}{'/x' if '/' in folder or '_' in folder else ''}.zip": packed(OWN[own])}
    owners = whose(discover({**there, **inside}, tmp_path))
    assert {key: says for key, says in owners.items() if key in ALL and says == "6"}.keys() <= {"202"}
    assert set(owners.values()) - {"6"} == {says(content) for content in there.values()}


@pytest.mark.parametrize("own", OWN)
def test_the_only_archive_of_canvas_is_one_students(own: str, tmp_path: Path) -> None:
    owners = whose(discover({"bornmax_4002_900002_hw.zip": packed(OWN[own])}, tmp_path))
    assert owners == {"202": "6"}


def test_an_archive_with_a_year_in_its_name_may_hold_a_class(tmp_path: Path) -> None:
    assert whose(discover({"ws_2025_2026_all.zip": packed(CLASS)}, tmp_path)) == ALL


def test_an_archive_of_archives_ends(tmp_path: Path) -> None:
    inner = packed(CLASS)
    for _ in range(12):
        inner = packed({"a.zip": inner})
    discovery = discover({"a.zip": inner}, tmp_path)
    assert [one.refused != "" for one in discovery.submissions] == [True]


def test_a_students_own_archives_are_opened_within_limits(tmp_path: Path) -> None:
    many = packed({f"{number}.ipynb": "{}" for number in range(501)})
    there = {"201/a.zip": many, **{f"202/{number}.zip": packed(files("v.ipynb=202")) for number in range(21)}}
    ida, born = discover({**there, **files("203/v.ipynb=203")}, tmp_path).submissions[:2]
    assert "holds more than 500 notebooks" in ida.refused
    assert any("only the first 20" in remark.message and remark.needs_person for remark in born.remarks)


def test_an_archive_beside_its_folder_is_unpacked_only_up_to_the_folders_size(tmp_path: Path) -> None:
    names = [f"{number}.ipynb" for number in range(40)]
    there = {
        "hw.zip": packed(dict.fromkeys(names, b" " * 900_000)),
        **{f"hw/{name}": work("owner = 6") for name in names},
    }
    discover({**CLASS, **there}, tmp_path)
    tried = list((tmp_path / "unpacked").glob("download-*/*/*"))
    assert 0 < len(tried) < 20


def test_a_folder_called_submitted_takes_no_students_row_unreported(tmp_path: Path) -> None:
    there = files("201/v.ipynb=201", "202/v.ipynb=202", "submitted/201/v.ipynb=6", "submitted/203/v.ipynb=6")
    discovery = discover(there, tmp_path)
    (ida,) = [one for one in discovery.submissions if one.key == "201"]
    assert [remark.needs_person for remark in ida.remarks] == [True]


BESIDE = {
    "the folders of the course": files("template/vae.ipynb=0", "solution/vae.ipynb=0", "reference/vae.ipynb=0"),
    "a late one": files("late/eve/vae.ipynb=0"),
    "its data": {"data/train.csv": "1", "README.md": "x", "slides.pdf": "%PDF"},
}


@pytest.mark.parametrize("beside", BESIDE)
def test_a_class_beside_files_without_an_owner_is_opened(beside: str, tmp_path: Path) -> None:
    discovery = discover({**{f"class/{k}": v for k, v in CLASS.items()}, **BESIDE[beside]}, tmp_path)
    assert {key: number for key, number in whose(discovery).items() if key in ALL} == ALL


OTHERS_WITHOUT = {
    "two notebooks each": files("u1/a.ipynb=1", "u1/b.ipynb=1", "u3/c.ipynb=3", "u3/d.ipynb=3"),
    "PDFs": {"u1.pdf": "%PDF", "u3.pdf": "%PDF"},
    "PDFs in folders": {"u1/v.pdf": "%PDF", "u3/v.pdf": "%PDF"},
    "numbered folders": files("submission 1/v.ipynb=1", "submission 3/v.ipynb=3"),
    "damaged archives": {"u1.zip": "x", "u3.zip": "x"},
}


@pytest.mark.parametrize("others", OTHERS_WITHOUT)
@pytest.mark.parametrize("packed_", [False, True])
def test_beside_others_of_any_kind_ones_own_folder_takes_no_row(others: str, packed_: bool, tmp_path: Path) -> None:
    folder = "submission 4" if "numbered" in others else "u2"
    own = files("201/v.ipynb=6", "203/v.ipynb=6")
    inside = {f"{folder}.zip": packed(own)} if packed_ else {f"{folder}/{k}": v for k, v in own.items()}
    discovery = discover({**OTHERS_WITHOUT[others], **inside}, tmp_path)
    assert not [one for one in discovery.submissions if one.student]
