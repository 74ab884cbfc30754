"""The practice class and single solutions, as notebooks that a student could submit."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_exercise import running

from grader.audit import command, corpus
from grader.audit.practice import write_class, write_solutions
from grader.cli.app import command as command_line
from grader.errors import GraderError
from grader.notebook.format import dump_notebook, load_notebook
from grader.notebook.read import read_submission


def test_the_class_has_correct_wrong_and_unfinished_notebooks_and_another_file(tmp_path: Path) -> None:
    paths = {path.stem: path for path in write_class(tmp_path)}
    solutions = corpus.practice()
    assert list(paths) == list(solutions)
    kinds = {corpus.entry(name).kind for names in solutions.values() for name in names}
    assert kinds == {"honest", "wrong"}
    for student, names in solutions.items():
        if names:
            load_notebook(paths[student])
        else:
            with pytest.raises(GraderError, match="expected a notebook"):
                read_submission(paths[student], max_mb=10, max_cells=100)


def test_a_solution_is_written_under_its_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command_line().main(["practice", str(tmp_path), "kl_without_log", "reference"], standalone_mode=False)
    assert capsys.readouterr().out.splitlines() == [
        str(tmp_path / f"{n}.ipynb") for n in ("kl_without_log", "reference")
    ]
    text = (tmp_path / "kl_without_log.ipynb").read_text(encoding="utf-8")
    assert text == dump_notebook(corpus.build("kl_without_log"))


def test_an_unknown_solution_is_refused_with_the_nearest(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(GraderError, match="did you mean 'kl_without_log'"):
        write_solutions(tmp_path, ["kl_wihtout_log"])
    assert command_line().main(["practice", str(tmp_path), "kl_wihtout_log"], standalone_mode=False) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_rubric_of_another_exercise_is_not_audited_with_this_corpus(tmp_path: Path) -> None:
    rubric = running.write_exercise(tmp_path)
    with pytest.raises(
        GraderError, match=r"belong to the exercise grader\.exercises\.vae_mnist, but the rubric is for"
    ):
        command.audit_corpus([], rubric, tmp_path / "out", 1, print, full=False)
    with pytest.raises(GraderError, match=r"but the rubric is for grader\.skeleton\.exercise"):
        command.audit_seeds([], 2, rubric, tmp_path / "out", 1, print, full=True)
