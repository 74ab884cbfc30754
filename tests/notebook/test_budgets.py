"""Reading, matching and restoring take memory and steps in proportion to a notebook, and give the same as before."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable

import pytest
from handed_in_notebook import TEMPLATE, handed_in
from toy_notebook import Notebook, code_cell

from grader.notebook import statements
from grader.notebook.match import likeness
from grader.notebook.restore import restore_given
from grader.notebook.statements import MAX_NODES, MAX_STATEMENTS, read_code


def peak_mb(work: Callable[[], object]) -> float:
    """The most memory that the work had at once, in megabytes."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1] / 1e6
    finally:
        tracemalloc.stop()


def seconds(work: Callable[[], object]) -> float:
    """The processor time of the work, the better of two: the rest of a loaded machine does not count."""
    taken = []
    for _ in range(2):
        statements._CODES.codes.clear()
        began = time.process_time()
        work()
        taken.append(time.process_time() - began)
    return min(taken)


def below(*sources: str) -> Notebook:
    notebook = handed_in()
    notebook["cells"] += [code_cell(source, f"own-{number}") for number, source in enumerate(sources)]
    return notebook


@pytest.mark.parametrize(
    ("source", "count"),
    [
        ("a\n" * MAX_STATEMENTS, MAX_STATEMENTS),
        ("a\n" * (MAX_STATEMENTS + 1), MAX_STATEMENTS + 1),
        ("a;" * 30_000, 30_000),
        ("%a\n" * 30_000, 30_000),
    ],
)
def test_statements_are_counted_even_if_they_are_too_many_to_be_read(source: str, count: int) -> None:
    code = read_code(source)
    assert code.count == count
    assert (code.statements is None) == (count > MAX_STATEMENTS)


@pytest.mark.parametrize("source", ["x = [" + "a," * 30_000 + "]", "x = 1" + " + 1" * 700, "f(" + "a=b," * 9000 + ")"])
def test_nodes_are_counted(source: str) -> None:
    assert 1000 < read_code(source).nodes <= MAX_NODES


def test_equal_names_are_kept_once() -> None:
    kept = read_code("a.b(c)\n" * 2000).statements or ()
    assert len(kept) == 2000
    assert len({id(statement.reads) for statement in kept}) == 1


@pytest.mark.parametrize("source", ["alpha = beta\n" * 40, "alpha;" * 90, "alpha.beta = gamma(delta)\n" * 30])
def test_codes_that_are_read_once_do_not_fill_the_memory(source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = statements._CodeCache()
    monkeypatch.setattr(statements, "_CODES", kept)
    monkeypatch.setattr(statements, "_KEPT_SIZE", 3000)
    for number in range(60):
        read_code(f"{source}# {number}")
        assert kept.size == sum(map(statements._size, kept.codes.values())) <= 3000
    assert 2 < len(kept.codes) < 60
    assert kept.get(f"{source}# 59") is read_code(f"{source}# 59")  # the last ones are still there


def test_likeness_is_that_of_all_token_pairs() -> None:
    assert likeness("a b c d", "a b c d") == 1.0
    assert likeness("a b a b a b", "a b") == 2 * 2 / (6 + 2)  # ("", a) and (a, b) once each
    assert likeness("a b", "c d") == likeness("", "") == 0.0


def test_comparing_cells_keeps_little_of_them() -> None:
    sources = ["$" + " ".join(f"{c:x}{i:x}" for i in range(1600))[:7900] for c in range(120)]
    assert peak_mb(lambda: restore_given(below(*sources), TEMPLATE)) < 120


GIVEN = "\n".join(cell["source"] for cell in TEMPLATE["cells"][:6] if cell["cell_type"] == "code")


@pytest.mark.parametrize(
    "cells",
    [
        [f"n{c * 20 + i}=n{c * 20 + i + 1}" for c in range(300) for i in [0]],
        ["\n".join(f"n{c * 20 + i}=n{c * 20 + i + 1}" for i in range(20)) for c in range(300)],
        ["\n".join(f"m{c}_{i}=n{c + 1}_{i}" for i in range(20)) for c in range(300)],
    ],
)
def test_the_names_that_cells_need_are_found_in_bounded_memory(cells: list[str]) -> None:
    notebook = below(*cells)
    notebook["cells"].reverse()
    assert peak_mb(lambda: restore_given(notebook, TEMPLATE)) < 60


@pytest.mark.parametrize(
    "added",
    [lambda c: "\n".join(f"f({c}, {i})" for i in range(15)), lambda c: f"x{c} = 1", lambda c: f"x{c}()\n" * 15],
)
def test_fixing_merged_cells_takes_no_square(added: Callable[[int], str]) -> None:
    def merged(count: int) -> Notebook:
        return below(*(GIVEN.replace("'cpu'", "'tpu'") + "\n" + added(c) for c in range(count)))

    few, many = merged(30), merged(240)
    once = seconds(lambda: restore_given(few, TEMPLATE))
    assert seconds(lambda: restore_given(many, TEMPLATE)) < 8 * once * 2.5 + 0.5
