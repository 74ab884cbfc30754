"""Notebooks that once cost the grader's own process minutes or gigabytes, and their kin: small files, much work."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from hostile_shapes import PNG
from small_exercise import notebook as toy

from grader.records import Notebook

Make = Callable[[], Notebook]
READ = "read"


def with_code(sources: Iterable[str]) -> Notebook:
    """The toy's notebook with cells of the student's own below it."""
    notebook = toy.submission()
    notebook["cells"] += [toy.code_cell(source, f"q{number}") for number, source in enumerate(sources)]
    return notebook


def with_outputs(*outputs: dict[str, Any], source: str = "x = 1", cells: int = 1) -> Notebook:
    """The toy's notebook with cells that were submitted with these outputs."""
    notebook = with_code(f"{source}  # {number}" for number in range(cells))
    for cell in notebook["cells"][-cells:]:
        cell["outputs"], cell["execution_count"] = list(outputs), 1
    for number, cell in enumerate(notebook["cells"][: -cells or None]):  # the reader shows outputs at other cells
        cell["outputs"] = list(outputs) if number < cells else []
    return notebook


def text(kind: str, content: Any, times: int = 1) -> list[dict[str, Any]]:
    return [{"output_type": "display_data", "data": {kind: content}, "metadata": {}}] * times


def stream(content: str) -> dict[str, Any]:
    return {"output_type": "stream", "name": "stdout", "text": content}


def prose(source: str, cells: int = 1, kind: str = "markdown") -> Notebook:
    notebook = toy.submission()
    for number in range(cells):
        notebook["cells"].append({"cell_type": kind, "id": f"m{number}", "metadata": {}, "source": source})
    return notebook


def chain(cells: int, each: int) -> list[str]:
    """Cells in which each name needs the next one."""
    return ["\n".join(f"n{c * each + i}=n{c * each + i + 1}" for i in range(each)) for c in range(cells)]


def tokens(cells: int) -> list[str]:
    """Cells that cannot be parsed and have thousands of pairs of tokens that no other cell has."""
    return ["$" + " ".join(f"{c:x}{i:x}" for i in range(1600))[:7900] for c in range(cells)]


def merged(cells: int) -> list[str]:
    """Cells in which several given cells stand, changed, beside many statements of the student's own."""
    given = "import os\nSTEPS = 4\none = {'weight': 1.0}\ntrain_one(one, 7)\nprint('weight', two['weight'])"
    return [f"{given}\n" + "\n".join(f"f({c}, {i})" for i in range(15)) for c in range(cells)]


HONEST = (
    "# How does the loss look with another learning rate?\n"
    "rates = [1e-4, 3e-4, 1e-3]\nresults = {}\n"
    "for rate in rates:\n    model = {'weight': 1.0, 'rate': rate}\n    train_one(model, STEPS)\n"
    "    results[rate] = model['history'][-1]\n    print(f'{rate}: {results[rate]:.3f}')\n"
)

# name -> the notebook, and what the reader says of it
CODE: dict[str, tuple[Make, str]] = {
    "short statements": (lambda: with_code(["a\n" * 49_995] * 9), "20,000 statements"),
    "short statements in more cells": (lambda: with_code(["a\n" * 49_995] * 16), "1,000,000 characters"),
    "statements on one line": (lambda: with_code(["x=1;" * 24_990] * 9), "20,000 statements"),
    "statements that are magics": (lambda: with_code(["%a\n" * 33_000] * 9), "20,000 statements"),
    "statements in cells of fifty": (lambda: with_code(["a\n" * 50] * 900), "20,000 statements"),
    "one list": (lambda: with_code(["x=[" + "a," * 45_000 + "]"] * 10), "200,000 names, numbers and operators"),
    "blocks": (lambda: with_code(["if 1:\n" + " a;b\n" * 18_000] * 10), "200,000 names, numbers and operators"),
    "lambdas": (lambda: with_code(["x=[" + "lambda x:x," * 9000 + "]"] * 9), "200,000 names, numbers and operators"),
    "no Python": (lambda: with_code(["@a\n" * 30_000] * 10), READ),
    "no Python except for magics": (lambda: with_code(["%a\n@a\n" * 14_000] * 9), READ),
    "as many statements as there may be": (lambda: with_code(["a\n" * 1800] * 11), READ),
    "nearly a thousand honest cells": (lambda: with_code([HONEST] * 985), READ),
    "a chain of names": (lambda: with_code(chain(900, 20)), READ),
    "a chain of names above the template": (
        lambda: {**toy.submission(), "cells": with_code(chain(900, 20))["cells"][::-1]},
        READ,
    ),
    "tokens that no other cell has": (lambda: with_code(tokens(120)), READ),
    "given cells merged hundreds of times": (lambda: with_code(merged(500)), READ),
    "given cells copied hundreds of times": (
        lambda: with_code([toy.template()["cells"][n % 8]["source"] for n in range(900)]),
        READ,
    ),
    "a function of thousands of equal lines": (
        lambda: toy.submission(double="def double(x):\n" + " a.b(1)\n" * 11_000),
        READ,
    ),
    "blank lines below a call": (lambda: with_code(["train_one(one)" + "\n" * 99_000] * 3), READ),
    "blanks below a definition": (lambda: with_code(["train_one(one)\n" + " \n" * 49_000] * 3), READ),
    "attributes in one line": (lambda: with_code([("a.b" * 6600)[:-2]] * 20), READ),
    "blank lines in short cells": (lambda: with_code(["x=1" + "\n" * 19_000 + "y=1"] * 20), READ),
    "short names in short lines": (lambda: with_code(["a.b;c\n" * 500] * 12), READ),
}
PAGES: dict[str, tuple[Make, str]] = {
    "long words as text": (lambda: with_outputs(*text("text/plain", "x" * 24_000, 60)), READ),
    "long words as a stream": (lambda: with_outputs(*[stream("x" * 24_000)] * 60), READ),
    "long words in lines of a list": (lambda: with_outputs(*text("text/plain", ["y" * 12_000] * 2, 60)), READ),
    "carriage returns": (lambda: with_outputs(*[stream("\r" * 24_000), stream("ab\r" * 8000)] * 30), READ),
    "escapes without end": (lambda: with_outputs(*[stream("\x1b[0" * 8000), stream("\x1b[" + "0" * 23_999)] * 9), READ),
    "paths": (lambda: with_outputs(*[stream("/a" * 12_000), stream("@/" * 12_000), stream("+/a" * 8000)] * 20), READ),
    "thousands of outputs": (lambda: with_outputs(*text("text/plain", "x", 4000), cells=4), READ),
    "thousands of pictures": (lambda: with_outputs(*text("image/png", PNG, 4000), cells=4), READ),
    "outputs in hundreds of cells": (lambda: with_outputs(*text("text/plain", "x" * 50, 8), cells=800), READ),
    "losses without end": (lambda: with_outputs(stream(("loss=1e5 " * 33 + "\n") * 1000), cells=40), READ),
    "losses in many outputs": (lambda: with_outputs(*[stream("loss 1.5 kl 2.5\n" * 2000)] * 10, cells=30), READ),
    "blanks before each number": (lambda: with_outputs(stream((" " * 290 + "1.0\n") * 1000), cells=60), READ),
    "backslashes in Markdown": (lambda: prose("\\\\[" * 6600, 20), READ),
    "emphasis in Markdown": (lambda: prose("**a *b " * 2800, 20), READ),
    "tables in Markdown": (lambda: prose("a|b\n-|-\n\n" * 2000, 20), READ),
    "short cells of Markdown": (lambda: prose("\\\\[" * 2600, 100), READ),
    "formulas": (lambda: prose(("$" + "{" * 780 + "$ ") * 10, 30), READ),
    "pictures in Markdown": (lambda: prose(f"![](data:image/png;base64,{PNG}{'A' * 1_000_000})" * 5, 8), READ),
    "text that is not rendered": (lambda: prose("<&>\"'" * 200_000, 40, "raw"), READ),
    "empty headings": (lambda: prose("# \n" * 6600, 300), READ),
}  # fmt: skip
CASES = {name: make for name, (make, _) in (CODE | PAGES).items()}
