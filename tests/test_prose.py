"""The prose linter finds each phrase of the list wherever people read, and takes no code for prose."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from docs.making.prose import findings, phrases

ODD = "One row an image is likewise told."


def lines(text: str, name: str) -> list[int]:
    return [finding.line for finding in findings(text, Path(name))]


@pytest.mark.parametrize("phrase", phrases(), ids=lambda phrase: phrase.example)
def test_each_phrase_is_found_in_its_example(phrase):
    assert phrase.avoid.search(phrase.example)
    assert phrase.use


def test_a_phrase_is_found_across_lines_and_named_with_its_line():
    (finding,) = findings("# Title\n\nThe page has one\nrow an image.\n", Path("page.md"))
    assert (finding.line, finding.words) == (3, "one row an image")
    assert str(finding).startswith("page.md:3: “one row an image”: write “per”")


def test_code_in_a_page_is_not_prose():
    assert lines(f"`{ODD}`\n\n```sh\n{ODD}\n```\n\n[likewise](likewise.md)\n", "page.md") == [7]


def test_docstrings_comments_texts_and_names_of_tests_are_prose():
    module = (
        '"""A table likewise."""\n\nlikewise = 1  # likewise\nMESSAGE = f"{likewise} rows likewise"\nKEY = "likewise"\n'
    )
    assert lines(module, "grader/module.py") == [1, 3, 4]
    assert lines("def test_it_is_likewise_one():\n    assert 'so likewise one'\n", "tests/test_it.py") == [1]


def test_a_text_in_several_parts_is_one_text():
    assert lines('TEXT = (\n    "one row "\n    "an image"\n)\n', "grader/module.py") == [2]


def test_a_template_is_read_without_its_tags_and_code():
    tags = "<style>likewise {}</style>\n{% if likewise %}<b class='likewise'>Also</b>{% endif %}\n"
    page = tags + "<p>likewise {{ likewise }}</p>\n"
    assert lines(page, "page.html.j2") == [3]


def test_a_notebook_is_read_cell_by_cell():
    cells = [
        ("markdown", "Text `likewise`\n\nlikewise"),
        ("code", "%%magic likewise (\n"),
        ("code", "x = 1  # likewise"),
    ]
    notebook = {
        "cells": [
            {"cell_type": kind, "source": source, "metadata": {}, "id": str(number)}
            | ({"outputs": [], "execution_count": None} if kind == "code" else {})
            for number, (kind, source) in enumerate(cells)
        ],
        "metadata": {},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    assert len(lines(json.dumps(notebook), "x.ipynb")) == 2


def test_general_errors_of_english_are_found_too():
    assert lines("The the page.\n", "page.md") == [1]
