"""The class page says what there is to say, escapes everything, and can be read without its script."""

from __future__ import annotations

import html
import re
from dataclasses import replace

import made_up_class
from made_up_class import pairs, rows, rubric

from grader.batch import page as class_pages
from grader.batch.class_records import StudentState
from grader.batch.page import class_page

ROWS = rows(60)
PAGE = class_page(ROWS, rubric(), "VAE <b>", pairs(), {"s0000": b"RIFF"})


def test_everybody_is_there_and_the_sums_are_right() -> None:
    assert len(re.findall(r"<tbody id=\"s-", PAGE)) == 60
    graded = [row.report for row in ROWS if row.report]
    assert sum(bar.count for bar in class_pages.histogram(ROWS, rubric())) == len(graded)
    assert sum(count for _, count in class_pages.counts(ROWS)) == 60
    spread = class_pages.spread(ROWS)
    assert spread["lowest"] <= spread["lower quartile"] <= spread["median"] <= spread["highest"]


def test_what_failed_most_is_counted_over_the_graded() -> None:
    first, *others = class_pages.failed_most(ROWS)
    graded = [row.report for row in ROWS if row.report]
    counted = sum(
        check.points_milli < check.max_points_milli
        for report in graded
        for item in report.items
        if item.id == first.item
        for check in item.checks
        if check.id == first.check
    )
    assert first.count == counted
    assert all(first.count * first.mean_lost_milli >= other.count * other.mean_lost_milli for other in others)


def test_nothing_is_unescaped_and_nothing_is_loaded() -> None:
    assert "<script>alert" not in PAGE
    assert "&lt;script&gt;alert" in PAGE
    assert "\u202e" not in PAGE
    assert "X" * 200 not in PAGE
    assert not re.findall(r"(?:src|href)=\"(?!data:image/webp|#|submissions/)", PAGE)
    assert "default-src 'none'" in html.unescape(PAGE)


def test_who_needs_a_look_stands_first_with_the_reason() -> None:
    looks = PAGE[PAGE.index('id="look"') : PAGE.index('id="everybody"')]
    for row in ROWS:
        assert (f'"#s-{row.key}"' in looks) == (
            row.state in {StudentState.LOOK, StudentState.FAILED, StudentState.REFUSED}
        )
    assert "a given name was taken" in looks
    assert "the sandbox did not start" in looks


def test_two_rubrics_in_one_class_are_told_loudly() -> None:
    first = next(row for row in ROWS if row.report)
    assert first.report is not None
    other = replace(first, report=replace(first.report, checksums={"rubric": "ef" * 32, "grader": "cd" * 32}))
    assert "2 states of the rubric" in class_page([other, *ROWS[1:]], rubric(), "VAE")
    assert 'class="loud"' not in PAGE


def test_an_empty_class_is_a_page_too() -> None:
    missing = [row for row in made_up_class.rows(200) if row.state is StudentState.MISSING]
    page = class_page(missing, rubric(), "VAE")
    assert "nothing handed in" in page
    assert "histogram" not in page.partition("</style>")[2]
