"""The class page shows every student with points and reasons, escapes all text, and can be read without its script."""

from __future__ import annotations

import html
import re
from dataclasses import replace

import made_up_class
from made_up_class import pairs, rows, rubric

from grader.batch import page as class_pages
from grader.batch.class_records import GradebookRow, Student, StudentState
from grader.batch.page import class_page

ROWS = rows(60)
PAGE = class_page(ROWS, rubric(), "VAE <b>", pairs(), {"s0000": b"RIFF"}, ("gradebook.csv",))


def test_every_student_has_a_row_and_the_histogram_counts_every_graded_submission() -> None:
    assert len(re.findall(r"<tbody id=\"s-", PAGE)) == 60
    graded = [row.report for row in ROWS if row.report]
    assert sum(bar.count for bar in class_pages.histogram(ROWS, rubric())) == len(graded)
    assert sum(count for _, count in class_pages.counts(ROWS)) == 60
    spread = class_pages.spread(ROWS)
    assert spread["lowest"] <= spread["lower quartile"] <= spread["median"] <= spread["highest"]


def test_the_most_costly_checks_come_first_with_the_number_of_graded_submissions() -> None:
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


def test_all_text_is_escaped_and_nothing_is_loaded_from_elsewhere() -> None:
    assert "<script>alert" not in PAGE
    assert "&lt;script&gt;alert" in PAGE
    assert "\u202e" not in PAGE
    assert "X" * 200 not in PAGE
    assert not re.findall(r"(?:src|href)=\"(?!data:image/webp|#|submissions/|gradebook)", PAGE)
    assert "default-src 'none'" in html.unescape(PAGE)


def test_submissions_that_need_attention_are_listed_first_with_the_reason() -> None:
    looks = PAGE[PAGE.index('id="look"') : PAGE.index('id="everybody"')]
    for row in ROWS:
        assert (f'"#s-{row.key}"' in looks) == (
            row.state in {StudentState.LOOK, StudentState.FAILED, StudentState.REFUSED}
        )
    assert "a given name was taken" in looks
    assert "the sandbox did not start" in looks


def test_points_of_two_rubrics_in_one_class_are_warned_about() -> None:
    first = next(row for row in ROWS if row.report)
    assert first.report is not None
    other = replace(first, report=replace(first.report, checksums={"rubric": "ef" * 32, "grader": "cd" * 32}))
    assert "2 versions of the rubric" in class_page([other, *ROWS[1:]], rubric(), "VAE")
    assert 'class="loud"' not in PAGE


def test_a_class_without_submissions_has_a_page() -> None:
    missing = [row for row in made_up_class.rows(200) if row.state is StudentState.MISSING]
    page = class_page(missing, rubric(), "VAE")
    assert "no submission" in page
    assert "histogram" not in page.partition("</style>")[2]


def named(first: str, last: str, key: str) -> GradebookRow:
    student = Student(key, f"{first} {last}", columns={"First name": first, "Last name": last})
    return replace(next(row for row in ROWS if row.report), key=key, student=student, state=StudentState.GRADED)


def test_students_are_in_the_order_of_their_last_names_whatever_the_accents() -> None:
    names = [("Zoe", "Abel"), ("Jan", "Łukasz"), ("Ada", "Lund"), ("Bo", "Öst"), ("Al", "Østby"), ("Cy", "Otto")]
    page = class_page([named(*name, f"k{n}") for n, name in enumerate(reversed(names))], rubric(), "VAE")
    found = re.findall(r"report\.html\">(\w+ \w+)</a>", page)
    assert found == ["Zoe Abel", "Jan Łukasz", "Ada Lund", "Bo Öst", "Al Østby", "Cy Otto"]


def test_a_submission_of_no_student_on_the_roster_says_so_and_needs_attention() -> None:
    stranger = replace(named("Max", "Muster", "max"), student=None)
    page = class_page([stranger, named("Ada", "Lund", "ada")], rubric(), "VAE")
    assert "1 needs your attention" in page
    assert page.count("<small>not on the roster</small>") == 1
    assert "not on the roster" not in class_page([stranger], rubric(), "VAE")  # without a roster


def test_the_page_links_to_each_report_and_feedback_and_to_the_gradebooks() -> None:
    page = class_page([named("Ada", "Lund", "ada")], rubric(), "VAE", files=("gradebook.csv", "gradebook-moodle.csv"))
    assert {"submissions/ada/report.html", "submissions/ada/feedback.html"} <= set(re.findall('href="([^"]+)"', page))
    assert 'href="gradebook-moodle.csv"' in page


def test_the_axes_of_the_histogram_have_whole_numbers_of_students() -> None:
    assert class_pages.ticks(3, whole=True) == [0, 1, 2, 3]
    assert class_pages.ticks(0, whole=True) == [0, 1]
    assert class_pages.ticks(100) == [0, 20, 40, 60, 80, 100]
    assert class_pages.ticks(7.5) == [0, 2, 4, 6, 8]
