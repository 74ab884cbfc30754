"""The steps of the guide from a system's download to the feedback archive, for four systems."""

from __future__ import annotations

import csv
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from scratch_project import copy_project, run

from grader.audit.practice import write_class

pytestmark = pytest.mark.whole
PEOPLE = {"ada": ("Ada Lovelace", "101"), "grace": ("Grace Hopper", "102"), "nobody": ("Noor Nobody", "103")}


@dataclass(frozen=True)
class Form:
    """A system's names for the submissions of Ada and Grace, and its roster."""

    names: tuple[str, str]
    roster: str
    feedback: Mapping[str, tuple[str, str]]  # a system's archive -> the names of Ada's and Grace's feedback
    beside: Mapping[str, str] = field(default_factory=dict)


PLAIN = "Student ID,Name,Email\n" + "".join(f"{sid},{name},{key}@u.example\n" for key, (name, sid) in PEOPLE.items())
FORMS = {
    "Moodle": Form(
        ("Ada Lovelace_7001_assignsubmission_file/vae.ipynb", "Grace Hopper_7002_assignsubmission_file/vae.ipynb"),
        "Identifier,Full name,Email address,Grade,Maximum grade\n"
        + "".join(
            f"Participant 700{n},{name},{key}@u.example,,100.00\n"
            for n, (key, (name, _)) in enumerate(PEOPLE.items(), 1)
        ),
        {
            "feedback-moodle.zip": (
                "Ada Lovelace_7001_assignsubmission_file_/feedback.html",
                "Grace Hopper_7002_assignsubmission_file_/feedback.html",
            )
        },
    ),
    "Canvas": Form(
        ("lovelaceada_4001_900001_vae.ipynb", "hoppergrace_LATE_4002_900002_vae-1.ipynb"),
        "Student,ID,SIS User ID,SIS Login ID,Section,VAE and CVAE (77)\n    Points Possible,,,,,100.00\n"
        + "".join(f"{name},400{n},{sid},{key},CV,\n" for n, (key, (name, sid)) in enumerate(PEOPLE.items(), 1)),
        {"feedback-canvas.zip": ("lovelaceada_4001_900001_vae.ipynb", "hoppergrace_LATE_4002_900002_vae-1.ipynb")},
    ),
    "Gradescope": Form(
        ("assignment_7_export/submission_51/vae.ipynb", "assignment_7_export/submission_52/vae.ipynb"),
        PLAIN,
        {},
        {
            "assignment_7_export/submission_metadata.yml": "".join(
                f"submission_5{n}:\n  :submitters:\n  - :name: {PEOPLE[key][0]}\n    :sid: '{PEOPLE[key][1]}'\n"
                "  :created_at: 2026-11-01 10:00:00.000000000 Z\n"
                for n, key in enumerate(("ada", "grace"), 1)
            )
        },
    ),
    "plain": Form(("week 7/ada.ipynb", "week 7/grace.ipynb"), PLAIN, {}),
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project, with the practice class."""
    folder = tmp_path_factory.mktemp("walk") / "project"
    copy_project(folder)
    write_class(folder / "build" / "practice")
    return folder


@pytest.mark.parametrize("system", FORMS)
def test_the_steps_work_as_the_guide_says(system: str, project: Path) -> None:
    form, name = FORMS[system], system.lower()
    with zipfile.ZipFile(project / f"{name}.zip", "w") as archive:
        for key, place in zip(("ada", "grace"), form.names, strict=True):
            archive.write(project / "build" / "practice" / f"{key}.ipynb", place)
        for place, text in form.beside.items():
            archive.writestr(place, text)
    (project / f"{name}.csv").write_text(form.roster, encoding="utf-8")
    options = f"--roster {name}.csv --components-only --upload-partial --out runs/{name}"

    completed = run(
        ["make", "grade-class", f"SUBMISSIONS={name}.zip", f"OPTIONS={options} --plan --json --quiet"], project
    )
    plan = json.loads(completed.stdout[completed.stdout.index("{\n") :])
    assert [[one["name"] for one in each["students"]] for each in plan["submissions"]] == [
        ["Ada Lovelace"],
        ["Grace Hopper"],
    ]
    assert [one["name"] for one in plan["missing"]] == ["Noor Nobody"]
    assert not plan["remarks"]
    assert not (project / "runs" / name).exists()

    completed = run(["make", "grade-class", f"SUBMISSIONS={name}.zip", f"OPTIONS={options}"], project)
    assert completed.returncode == 0, completed.stdout
    completed = run(["make", "release", f"CLASS=runs/{name}"], project)
    assert completed.returncode == 0, completed.stdout
    out = project / "runs" / name
    book = list(csv.DictReader((out / "gradebook.csv").read_text(encoding="utf-8").splitlines()))
    assert [line["name"] for line in book] == ["Grace Hopper", "Ada Lovelace", "Noor Nobody"]  # by last name
    assert book[1]["points"] == "76"
    for archive_name, names in {**form.feedback, "feedback.zip": None}.items():
        with zipfile.ZipFile(out / archive_name) as archive:
            assert archive.testzip() is None
            assert names is None or tuple(sorted(archive.namelist())) == tuple(sorted(names))
            assert len(archive.namelist()) == 2
    assert {path.name for path in out.glob("feedback*.zip")} == {*form.feedback, "feedback.zip"}
