"""The terminal's report reads well in 80 columns, in a pipe and with hostile names."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pytest
from report_samples import borderline, empty, hostile, middling, perfect
from rich.console import Console

from grader.records import GradeReport
from grader.report.terminal import print_report


def printed(report: GradeReport, folder: Path | None = None, width: int = 80) -> str:
    file = io.StringIO()
    print_report(report, Console(file=file, width=width), folder)
    return file.getvalue()


@pytest.mark.parametrize(
    ("sample", "last"),
    [(perfect, "100 / 100"), (middling, "79.5 / 100"), (empty, "0 / 100"), (hostile, "0 / 1.234")],
)
@pytest.mark.parametrize("width", [5, 40, 80, 200])
def test_the_last_line_is_the_points(sample: Callable[[], GradeReport], last: str, width: int) -> None:
    assert printed(sample(), Path("runs/x"), width).endswith(f"\n{last}\n")


def test_a_reader_finds_what_was_lost_and_why() -> None:
    told = printed(middling(), Path("runs/mustermann_erika"))
    flat = " ".join(told.split())
    for part in ("3.5 / 5", "needs review", "A person has to look", "No isolation", "Device: cpu",
                 "Files: runs/mustermann_erika", "cell 4: A given cell", "Cell 12 raised"):  # fmt: skip
        assert part in flat
    assert max(map(len, told.splitlines())) <= 80


def test_a_borderline_mark_is_shown() -> None:
    assert "borderline: The KL term matches" in " ".join(printed(borderline(), width=200).split())
    assert "borderline" not in printed(middling())


def test_hostile_text_is_neither_markup_nor_escape() -> None:
    told = printed(hostile())
    assert "[bold red]markup[/]" in told
    assert not set("\x1b\x9b\u202e\x00\r\x07") & set(told)
    assert len(told) < 60_000


def test_a_poor_encoding_is_no_reason_to_stop() -> None:
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
