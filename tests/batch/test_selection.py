"""Of several notebooks, the latest solved one with the exercise's name is graded; doubtful choices need review."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

import pytest
from downloads import write, write_zip
from small_exercise import notebook

from grader.batch.class_records import ClassSubmission
from grader.batch.students.discovery import alone, find

TEMPLATE = json.dumps(notebook.template())
SOLVED = json.dumps(notebook.submission())
BETTER = json.dumps(notebook.submission(["more = 1"]))
SAVED_AGAIN = json.dumps(
    {
        **notebook.template(),
        "cells": [{**cell, "metadata": {}, "execution_count": 3} for cell in notebook.template()["cells"]],
    }
)
_CELLS = notebook.template()["cells"]
SCRATCH = json.dumps({**notebook.template(), "cells": [*_CELLS, notebook.code_cell("print(1)", "scratch")]})
COMMENT = json.dumps(
    {**notebook.template(), "cells": [{**_CELLS[0], "source": "# mine\n" + _CELLS[0]["source"]}, *_CELLS[1:]]}
)
LESS = json.dumps({**notebook.template(), "cells": notebook.template()["cells"][:-1]})


def of_ada(
    files: Mapping[str, str], tmp_path: Path, *, hours: Mapping[str, int] | None = None, template: bool = True
) -> ClassSubmission:
    """What is graded of the files in the folder `ada`, in a class whose notebook is called vae_mnist.ipynb."""
    folder = write(tmp_path / "all", {f"{who}/vae_mnist.ipynb": SOLVED for who in ("ben", "cleo")})
    write(folder, {f"ada/{name}": content for name, content in files.items()})
    for number, name in enumerate(files):
        time = 1e9 + 3600 * (hours or {}).get(name, 0) + number  # unpacked together: seconds apart
        os.utime(folder / "ada" / name, (time, time))
    path = write(tmp_path, {"handed_out/vae_mnist.ipynb": TEMPLATE}) / "handed_out/vae_mnist.ipynb"
    discovery = find(folder, tmp_path / "unpacked", None, max_mb=1, template=path if template else None)
    return next(one for one in discovery.submissions if one.key == "ada")


@pytest.mark.parametrize(
    "untouched",
    [TEMPLATE, SAVED_AGAIN, LESS, SCRATCH, COMMENT],
    ids=["bytes", "saved again", "a cell less", "a scratch cell", "a comment"],
)
@pytest.mark.parametrize(
    "copy", ["Copy of vae_mnist.ipynb", "vae_mnist (1).ipynb", "vae_mnist-Copy1.ipynb", "mine.ipynb"]
)
def test_the_untouched_template_beside_a_solved_copy_is_left_out(copy: str, untouched: str, tmp_path: Path) -> None:
    ada = of_ada({copy: SOLVED, "vae_mnist.ipynb": untouched}, tmp_path, hours={"vae_mnist.ipynb": 5})
    assert ada.path.name == copy
    (remark,) = ada.remarks
    assert remark.message.endswith("not graded: ada/vae_mnist.ipynb (nothing solved)")
    assert not remark.needs_person


def test_the_untouched_template_alone_is_graded(tmp_path: Path) -> None:
    ada = of_ada({"vae_mnist.ipynb": TEMPLATE}, tmp_path)
    assert (ada.path.name, ada.remarks) == ("vae_mnist.ipynb", ())


def test_a_solution_in_an_archive_beside_the_template_counts(tmp_path: Path) -> None:
    folder = write(tmp_path / "all", {"ada/vae_mnist.ipynb": TEMPLATE, "ben/vae_mnist.ipynb": SOLVED})
    write_zip(folder / "ada/mine.zip", {"vae_mnist.ipynb": SOLVED})
    ada = find(
        folder, tmp_path / "unpacked", None, max_mb=1, template=write(tmp_path, {"t.ipynb": TEMPLATE}) / "t.ipynb"
    )
    assert ada.submissions[0].shown == "ada/mine.zip: vae_mnist.ipynb"
    assert "(nothing solved)" in ada.submissions[0].remarks[0].message


def test_the_autograder_on_gradescope_chooses_the_same_way(tmp_path: Path) -> None:
    folder = write(tmp_path / "one", {"vae_mnist.ipynb": TEMPLATE, "Copy of vae_mnist.ipynb": SOLVED})
    template = write(tmp_path, {"t.ipynb": TEMPLATE}) / "t.ipynb"
    one = alone(folder, tmp_path / "unpacked", max_mb=1, usual="vae_mnist.ipynb", template=template)
    assert one.path.name == "Copy of vae_mnist.ipynb"


@pytest.mark.parametrize(
    ("files", "hours", "graded", "doubt"),
    [
        (["vae_mnist.ipynb", "vae_mnist (1).ipynb"], {"vae_mnist (1).ipynb": 2}, "vae_mnist (1).ipynb", False),
        (["vae_mnist (1).ipynb", "Copy of vae_mnist.ipynb"], {}, "Copy of vae_mnist.ipynb", True),  # the same time
        (["vae_mnist.ipynb", "vae_mnist_final.ipynb"], {"vae_mnist_final.ipynb": 2}, "vae_mnist.ipynb", True),
        (["vae_mnist.ipynb", "scratch.ipynb"], {"scratch.ipynb": 2}, "vae_mnist.ipynb", False),
        (["one.ipynb", "two.ipynb"], {"two.ipynb": 2}, "two.ipynb", True),  # neither has the exercise's name
        (["vae_mnist (2).ipynb", "vae_mnist.ipynb"], {"vae_mnist (2).ipynb": -2}, "vae_mnist.ipynb", False),
    ],
)
@pytest.mark.parametrize("template", [True, False])
def test_of_several_solved_notebooks_the_best_is_graded(
    files: list[str], hours: dict[str, int], graded: str, doubt: bool, template: bool, tmp_path: Path
) -> None:
    ada = of_ada(dict(zip(files, (SOLVED, BETTER), strict=True)), tmp_path, hours=hours, template=template)
    assert ada.path.name == graded
    (remark,) = ada.remarks
    assert remark.needs_person == doubt
    assert ("check whether this is the right one" in remark.message) == doubt


def test_copies_with_the_same_code_need_no_review(tmp_path: Path) -> None:
    ada = of_ada({"vae_mnist.ipynb": SOLVED, "vae_mnist (1).ipynb": SOLVED}, tmp_path)
    assert [remark.needs_person for remark in ada.remarks] == [False]


def test_a_newer_one_with_less_in_it_is_doubtful(tmp_path: Path) -> None:
    files = {"vae_mnist.ipynb": BETTER, "vae_mnist (1).ipynb": SOLVED}
    ada = of_ada(files, tmp_path, hours={"vae_mnist (1).ipynb": 3})
    assert ada.path.name == "vae_mnist (1).ipynb"
    assert ada.remarks[0].needs_person


def test_an_unreadable_notebook_beside_the_template_needs_review(tmp_path: Path) -> None:
    ada = of_ada({"vae_mnist.ipynb": TEMPLATE, "vae_mnist (1).ipynb": "{"}, tmp_path)
    assert ada.path.name == "vae_mnist.ipynb"
    assert ada.remarks[0].needs_person
    assert "(cannot be read)" in ada.remarks[0].message


ID = "lovelaceada_4001"
CLASS = ["ottoben_4002_900010_vae.ipynb", "parkcleo_4003_900011_vae.ipynb"]


@pytest.mark.parametrize(
    ("names", "graded"),
    [
        ([f"{ID}_900001_vae.ipynb", f"{ID}_900009_scratch-20.ipynb"], 0),  # a name of the student's own
        ([f"{ID}_900001_vae-2.ipynb", f"{ID}_900009_scratch-20.ipynb"], 0),  # others have vae.ipynb
        ([f"{ID}_900009_vae-1.ipynb", f"{ID}_900001_vae.ipynb"], 0),
        ([f"{ID}_900009_vae-2.ipynb", f"{ID}_900011_vae-1.ipynb"], 1),  # Canvas numbers files as they come
        ([f"{ID}_900009_mine-1.v2.ipynb", f"{ID}_900002_mine.v2.ipynb"], 0),
        ([f"{ID}_900001_vae.ipynb", f"{ID}_900009_lab-1.ipynb", f"{ID}_900010_lab-2.ipynb"], 0),
        (["lovelaceada_LATE_4001_900001_vae.ipynb", "lovelaceada_LATE_4001_900002_vae-11.ipynb"], 1),
    ],
)
def test_only_what_canvas_adds_to_a_name_is_a_resubmission(
    names: list[str], graded: int | None, tmp_path: Path
) -> None:
    files = {name: json.dumps(notebook.submission([f"n = {number}"])) for number, name in enumerate(names)}
    folder = write(tmp_path / "all", {**files, **dict.fromkeys(CLASS, SOLVED)})
    discovery = find(folder, tmp_path / "unpacked", None, max_mb=1)
    (ada,) = [one for one in discovery.submissions if "lovelaceada" in one.shown]
    assert ada.path.name == names[graded]
    assert len(discovery.submissions) == 3
