"""Notebooks whose shape makes work: code, text and outputs in the forms on which readers and renderers take long.

A shape is a few characters that are repeated. Everything is made of a seed, so that a notebook that was too much for
the grader can be made again.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from small_exercise import notebook as toy

from grader.notebook.format import is_code
from grader.records import Notebook

STATEMENTS = (
    *("a\n", "a;", "x=1;", "x=1\n", "...\n", "pass\n", "a:b\n", "x:int=1\n", "import a\n", "del a\n", "yield a\n"),
    *("if 1:\n a\n", "def f():0\n", "class A:0\n", "@a\ndef f():0\n", "with a as b:0\n", "try:\n a\nexcept b:\n c\n"),
    *("for a in b:0\n", "match a:\n case 1:0\n", "lambda:0\n", "(a:=1)\n", "double(one, STEPS)\n", "print(one)\n"),
    *("%a\n", "!a\n", "a?\n", "%%a\n", "x=!a\n", "\n", " \n", "#a\n", "\\\n", "'''\n", "train_one(one)\n", "STEPS=4\n"),
)
EXPRESSIONS = (
    *("a,", "1,", "-", "~", "not ", "lambda:", "lambda x:x,", "a.", "a.b", "a[0].b", '"a"+', '"a" ', 'f"{a}"+'),
    *("f'{f\"{a}\"}'+", 'f"{', "(a:=1),", "a=", "a,b=", "*a,", "a+", "a and ", "a if a else ", "a<", "{a:", "{a:b},"),
    *("[a],", "[a,", "[", "(", "{", "a(", "a(b)(", "await ", "0x", "1e9,", "\\", '"', "'''", "`", "$", "é", "\t", "  "),
)
MARKS = (
    *("word ", "[", "![", "[](", "[a](", "*a ", "**a ", "_a ", "*_", "`", "`` a ", "<", "<a ", "<!--", "&", "&#", "> "),
    *(
        ">",
        "> a\n\n",
        "- ",
        "1. a\n",
        "|a|b|\n|-|-|\n",
        "a|b\n-|-\n",
        "$x$ ",
        "$a ",
        "$$",
        "\\begin{a}",
        "\\\\(",
        "\\\\[",
    ),
    *(
        "${$",
        "~~a ",
        "# a\n",
        "a\n=\n",
        "***\n",
        "\n",
        "[a]: b\n",
        "<div>",
        "    a\n",
        "```\n",
        "> - ",
        "a@b.",
        "http://a ",
    ),
    "(data:image/png;base64,iVBORw0KGgo=) ![](data:image/png;base64,iVBORw0KGgo=)",
)
PRINTED = (
    *("x", "x ", "loss 1.5\n", "loss 1.5 ", "loss=1e5 ", "1.1.1.", "-.", "1e1e", "nan", "kl", "loss " * 59 + "1.0\n"),
    *(
        "\r",
        "a\r",
        "a\r\n",
        "\r\r\n",
        "\n",
        "\x1b[",
        "\x1b[0;31m",
        "\x1b[0",
        "\x1b]0;",
        "\x1b",
        "/",
        "/a",
        "/a/b ",
        "a/",
        "~/",
    ),
    *("<", "&", "\x00", "\u202e", "e\u0301", "\U0001f600", "\t", "C:\\a\\b "),
)
PNG = "iVBORw0KGgo="

Change = Callable[[random.Random, Notebook, int], None]


def repeated(rng: random.Random, shapes: tuple[str, ...], size: int) -> str:
    """One shape, or a few of them, repeated to about so many characters."""
    unit = "".join(rng.choices(shapes, k=rng.choice((1, 1, 1, 2, 3))))
    return (unit * (size // len(unit) + 1))[:size]


def code(rng: random.Random, notebook: Notebook, size: int) -> None:
    """Code in one cell or in many, of statements or in one line, sometimes with names of its own on each."""
    count = rng.choice((1, 1, 3, 40))
    for number in range(count):
        source = repeated(rng, rng.choice((STATEMENTS, EXPRESSIONS)), size // count)
        if rng.random() < 0.2:
            source = "".join(f"n{number}_{n}=n{number}_{n + 1}\n" for n in range(size // count // 14))
        notebook["cells"].insert(rng.randint(0, len(notebook["cells"])), toy.code_cell(source, f"s{number}"))


def code_in_given_cells(rng: random.Random, notebook: Notebook, size: int) -> None:
    """The template's own cells with so much code below them, or one of them among other code."""
    for cell in filter(is_code, notebook["cells"]):
        if rng.random() < 0.5:
            added = repeated(rng, rng.choice((STATEMENTS, EXPRESSIONS)), size // 4)
            cell["source"] += rng.choice(("\n", "\n\n\n", " ")) + added


def copies(rng: random.Random, notebook: Notebook, size: int) -> None:
    """The template's cells hundreds of times: as they are, merged, split, or with a line more."""
    known = [cell["source"] for cell in notebook["cells"] if is_code(cell)]
    for number in range(min(900, size // 100)):
        source = "\n".join(rng.choices(known, k=rng.choice((1, 1, 2))))
        lines = source.split("\n")
        source = rng.choice((source, f"{source}\nx = {number}", "\n".join(lines[: rng.randint(1, len(lines))])))
        notebook["cells"].append(toy.code_cell(source, rng.choice((f"c{number}", "setup", "one"))))


def prose(rng: random.Random, notebook: Notebook, size: int) -> None:
    """Markdown and raw cells."""
    count = rng.choice((1, 5, 40))
    for number in range(count):
        kind = rng.choice(("markdown", "markdown", "markdown", "raw"))
        text = {"cell_type": kind, "id": f"m{number}", "metadata": {}, "source": repeated(rng, MARKS, size // count)}
        notebook["cells"].insert(rng.randint(0, len(notebook["cells"])), text)


def output(rng: random.Random, text: str) -> dict[str, Any]:
    """One output of a random kind that holds the text."""
    shown = {"output_type": "display_data", "metadata": {}}
    return rng.choice(
        (
            {"output_type": "stream", "name": rng.choice(("stdout", "stderr")), "text": text},
            {**shown, "data": {"text/plain": text}},
            {**shown, "data": {"text/plain": [text, text], "text/html": "<b>" * 50 + text}},
            {**shown, "data": {"image/png": PNG, "text/plain": "<Figure>"}},
            {**shown, "data": {"image/svg+xml": f"<svg>{text}</svg>", "application/json": [[text]] * 3}},
            {"output_type": "error", "ename": text, "evalue": text, "traceback": [text] * 3},
        )
    )


def outputs(rng: random.Random, notebook: Notebook, size: int) -> None:
    """Thousands of outputs, or a few large ones, in one cell or in all."""
    cells = [cell for cell in notebook["cells"] if is_code(cell)]
    chosen = rng.choice((cells, [rng.choice(cells)]))
    for cell in chosen:
        count = min(rng.choice((1, 10, 100, 2000)), size // 20) // len(chosen) + 1
        each = max(1, size // len(chosen) // count)
        cell["outputs"] = [output(rng, repeated(rng, PRINTED, each)) for _ in range(count)]
        cell["execution_count"] = rng.randint(1, 99)


CHANGES: tuple[Change, ...] = (code, code_in_given_cells, copies, prose, outputs)


def shaped(seed: int, size: int) -> Notebook:
    """The toy's notebook with one to three hostile changes of about `size` characters each."""
    rng = random.Random(seed)
    notebook = toy.submission()
    for change in rng.choices(CHANGES, k=rng.choice((1, 1, 2, 3))):
        change(rng, notebook, rng.choice((size, size, size // 4)))
    return notebook
