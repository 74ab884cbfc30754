"""The terminal's report reads well in 80 columns, in a pipe and with hostile names."""

from __future__ import annotations

import io
import unicodedata
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from report_samples import borderline, empty, hostile, middling, perfect
from rich.console import Console

from grader.records import Comparison, GradeReport, Remark
from grader.report.terminal import print_report


def printed(report: GradeReport, folder: Path | None = None, width: int = 80) -> str:
    file = io.StringIO()
    print_report(report, Console(file=file, width=width), folder)
    return file.getvalue()


@pytest.mark.parametrize(
    ("sample", "last"),
    [(perfect, "100 / 100"), (middling, "79.5 / 91"), (empty, "0 / 100"), (hostile, "0 / 1.234")],
)
@pytest.mark.parametrize("width", [5, 40, 80, 200])
def test_the_last_line_is_the_points(sample: Callable[[], GradeReport], last: str, width: int) -> None:
    assert printed(sample(), Path("runs/x"), width).endswith(f"\n{last}\n")


def test_a_reader_finds_what_was_lost_and_why() -> None:
    text = printed(middling(), Path("runs/mustermann_erika"))
    flat = " ".join(text.split())
    for part in ("3.5 / 5", "needs review", "Needs manual review", "Device: cpu",
                 "Files: runs/mustermann_erika", "cell 5: A given cell", "Cell 12 raised"):  # fmt: skip
        assert part in flat
    assert max(map(len, text.splitlines())) <= 80


def test_a_run_without_isolation_is_reported_first_and_again_before_the_points() -> None:
    text = printed(middling())
    assert text.startswith("Graded without isolation: ")
    assert text.count("Graded without isolation: ") == 2
    assert "Graded without isolation" not in printed(perfect())


def test_a_cell_is_named_once_and_counted_as_people_count() -> None:
    remarks = (Remark("k", "Cell 5 ('Data') is changed.", 4), Remark("k", "Something is changed.", 4))
    text = printed(replace(perfect(), remarks=remarks))
    assert "- Cell 5 ('Data') is changed." in text
    assert "- cell 5: Something is changed." in text


def test_no_control_or_bidi_character_reaches_the_terminal() -> None:
    evil = "".join(chr(code) for code in range(0x11000) if unicodedata.category(chr(code)) in {"Cc", "Cf"})
    word = f"\x1b[31mred\x1b[0m \x1b]0;title\x07 \x1b]8;;https://x.invalid\x1b\\link {evil} end"
    remark = Remark(word, word, 1, False, (f"+{word}",), (Comparison(word, word, word),))
    report = replace(hostile(), submission=word, device=word, remarks=(remark,), events=(word,))
    text = printed(report, Path(word.replace("\0", "")))
    assert [c for c in text if unicodedata.category(c) in {"Cc", "Cf"} and c != "\n"] == []


def test_a_borderline_mark_is_shown() -> None:
    assert "borderline: The KL term matches" in " ".join(printed(borderline(), width=200).split())
    assert "borderline" not in printed(middling())


def test_hostile_text_is_neither_markup_nor_escape() -> None:
    text = printed(hostile())
    assert "[bold red]markup[/]" in text
    assert not set("\x1b\x9b\u202e\x00\r\x07") & set(text)
    assert len(text) < 60_000


def test_characters_that_an_encoding_lacks_do_not_stop_the_output() -> None:
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding="ascii", errors="strict", write_through=True)
    print_report(hostile(), Console(file=file, width=80))
    assert raw.getvalue().endswith(b"\n0 / 1.234\n")


def test_colours_appear_only_where_they_are_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    def on_a_terminal() -> str:
        file = io.StringIO()
        print_report(middling(), Console(file=file, width=80, force_terminal=True, color_system="standard"))
        return file.getvalue()

    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b[31m" in on_a_terminal()
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[31m" not in on_a_terminal()
