"""The page is self-contained and escapes all text; the table has one row per solution."""

from __future__ import annotations

import csv
import io
from html import unescape
from pathlib import Path

from audit_samples import EVIL, LEFT, audited, verdicts, wrong
from rich.console import Console

from grader.audit.page import SHORT, audit_csv, audit_html, levels_of, print_audit
from grader.audit.problems import ADVICE, HEADINGS
from grader.audit.result import MARKS, Audit, summary


def sample() -> Audit:
    slips = [wrong("slip", "one.turn"), wrong("blind", "two.turn", story=EVIL)]
    return audited(slips, {"reference": verdicts(), "slip": verdicts(LEFT), "blind": verdicts()})


def test_the_page_loads_nothing_and_escapes_everything() -> None:
    page = audit_html(sample())
    assert EVIL not in page
    assert "&lt;script&gt;" in page
    assert "<script" not in page
    assert "default-src 'none'" in unescape(page)
    assert not [word for word in (" style=", " onload=", "http://", "https://", "url(") if word in page]


def test_every_state_has_a_mark_beside_its_colour() -> None:
    seen = [mark for mark in MARKS.values() if mark]
    assert len(seen) == len(set(seen)) == len(MARKS) - 1


def test_the_table_shows_points_lost_per_item() -> None:
    rows = list(csv.DictReader(io.StringIO(audit_csv(sample()).decode())))
    assert [(row["solution"], row["one.turn"], row["one.draw"]) for row in rows] == [
        ("reference", "0", ""),
        ("slip", "4", ""),
        ("blind", "0", ""),
    ]
    assert rows[2]["not_as_foretold"] == "two.turn:kept"


def test_the_terminal_ends_with_the_summary() -> None:
    console = Console(file=io.StringIO(), width=80)
    print_audit(sample(), console)
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert lines[-1] == summary(sample())
    assert "Without training: 1 of 2 wrong solutions lost points on exactly the expected items; " in lines[-1]


def test_each_kind_of_problem_comes_with_what_to_do() -> None:
    assert list(ADVICE) == list(HEADINGS)
    console = Console(file=io.StringIO(), width=80)
    print_audit(sample(), console)
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    for text in (HEADINGS["survivor"], ADVICE["survivor"]):
        assert text in shown
        assert text in unescape(audit_html(sample()))


def test_a_long_table_is_folded_and_unexpected_results_are_shown_first() -> None:
    slips = [wrong(f"slip_{number}", "one.turn") for number in range(SHORT)]
    blind = wrong("blind", "two.turn")
    results = {slip.name: verdicts(LEFT) for slip in slips}
    assert "Not as expected" not in audit_html(audited(slips, results))
    page = audit_html(audited([*slips, blind], {**results, "blind": verdicts()}))
    first = page[page.index("Not as expected") : page.index("<details>", page.index("Not as expected"))]
    assert first.count('<a href="#s-') == 1
    assert '<a href="#s-blind">' in first


def test_the_page_shows_how_well_each_item_is_tested() -> None:
    page = audit_html(sample())
    assert page.count('<svg class="count"') == 2  # of the items that were graded
    partial = audit_html(audited([wrong("slip", "one.turn")], {"reference": verdicts(), "slip": verdicts(LEFT)}))
    assert partial.count("not tested in this audit") == 1
    assert "1 wrong solution lost points" in partial
    assert "1 of 2" in page[page.index('href="#i-one.turn"') : page.index('href="#i-one.draw"')]


def test_the_page_shows_pictures_of_levels_where_the_calibration_wrote_them(tmp_path: Path) -> None:
    result = sample()
    assert levels_of(result.items, tmp_path / "none") == []
    (tmp_path / "one.draw.draws_well.strips.png").write_bytes(b"\x89PNG")
    (tmp_path / "two.draw.draws_well.strips.png").write_bytes(bytes(3_000_000))  # too large for a page
    (level,) = levels_of(result.items, tmp_path)
    assert (level.item, level.title, level.points_milli) == ("one.draw", "It draws well.", 20_000)
    page = audit_html(result, [level])
    assert 'src="data:image/png;base64,iVBORw=="' in page
    assert "img-src data:" in unescape(page)
    assert "What earns points for pictures" not in audit_html(result)
