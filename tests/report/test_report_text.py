"""Points are exact, and text from a submission comes out harmless."""

from __future__ import annotations

import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader.errors import GraderError
from grader.report.text import milli_of, of_points, plain, points_number, points_text, without_paths

ANY_TEXT = st.text(st.characters(), max_size=300) | st.text("\x1b[]0;m\x07\x9b\\ \n<>&'\"a\u0301\u202e", max_size=300)


@given(st.integers(-1_000_000, 1_000_000_000))
def test_points_survive_json_to_the_thousandth(milli: int) -> None:
    assert milli_of(points_number(milli)) == milli
    assert float(points_text(milli)) == milli / 1000
    assert repr(points_number(milli)) == points_text(milli)


def test_points_are_trimmed() -> None:
    assert [points_text(m) for m in (0, 20_000, 87_500, 1, -1500)] == ["0", "20", "87.5", "0.001", "-1.5"]
    assert of_points(87_500, 100_000) == "87.5 / 100"


@pytest.mark.parametrize("wrong", [None, "5", True, 0.0001, float("nan"), float("inf"), 10**400, 1e300])
def test_invalid_points_are_refused(wrong: object) -> None:
    with pytest.raises(GraderError, match="at most 3 decimals"):
        milli_of(wrong)


@given(ANY_TEXT, st.integers(1, 80))
def test_plain_text_is_one_short_visible_line(text: str, limit: int) -> None:
    line = plain(text, limit)
    assert len(line) <= limit
    assert all(unicodedata.category(c) not in {"Cc", "Cf", "Cs", "Zl", "Zp"} for c in line)
    assert plain(line, limit) == line
    line.encode("utf-8")


def test_escape_sequences_go_as_a_whole() -> None:
    assert plain("a\x1b[31mb\x1b]0;title\x07c\x1b]8;;http://x\x1b\\d\x9b2Je", 80) == "abcde"
    assert plain("an open one \x1b]52;c;stays readable", 80) == "an open one 52;c;stays readable"


def test_ordinary_writing_stays() -> None:
    for text in ("Zoë Łukasz 李明", "x < y && z > 0.5", "loss = reconstruction + kl", "e\u0301te\u0301"):
        assert plain(text, 80) == text


def test_cut_text_says_so() -> None:
    assert plain("abcdef", 4) == "abc…"
    assert plain("\x1b" * 1000 + "hidden", 10) == "…"


def test_a_flood_costs_no_time() -> None:
    started = time.perf_counter()
    for flood in ("\x1b]", "\x9b0", "\x1b[", "a\u0301", "/a"):
        assert len(plain(without_paths(flood * 500_000), 10_000)) <= 10_000
    assert time.perf_counter() - started < 5


def test_paths_lose_their_folders() -> None:
    assert without_paths("File /srv/runs/7/box/cell.py, line 3") == "File cell.py, line 3"
    assert without_paths(r"in C:\Users\x\a.ipynb and ~/course/b.py") == "in a.ipynb and b.py"
    for text in ("1 / 2", "3/4", "a/b", "https://pytorch.org/docs/stable", "(N, 1, 28, 28)"):
        assert without_paths(text) == text
