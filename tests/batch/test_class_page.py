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
from grader.batch.similar import WHOLE, SimilarPair
from grader.records import LEFT_OUT, CheckVerdict, ItemVerdict, Outcome, Override, Remark

ROWS = rows(60)
PAGE = class_page(ROWS, rubric(), "VAE <b>", pairs(), {"s0000": b"RIFF"}, {"gradebook.csv": True})


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


def lost(item: ItemVerdict, *, remarks: tuple[Remark, ...] = ()) -> GradebookRow:
    """A graded submission with only this item."""
    row = next(row for row in ROWS if row.report)
    assert row.report is not None
    return replace(row, report=replace(row.report, items=(item,), remarks=remarks))


def verdict(name: str, outcome: Outcome, points: int, most: int, message: str = "") -> CheckVerdict:
    return CheckVerdict(name, name.replace("_", " "), outcome, points, most, message)


WRONG = verdict("gives_a_loss", Outcome.PARTIAL, 750, 1000)
AFTER = verdict("parts_add_up", Outcome.SKIPPED, 0, 2000, "not graded, because an earlier check failed: gives a loss")
TRAINED = verdict("samples_are_new", Outcome.FAILED, 0, 4000)


def test_a_check_that_another_one_kept_from_being_graded_counts_with_that_one() -> None:
    item = ItemVerdict("vae.loss", "loss", Outcome.PARTIAL, 750, 3000, (WRONG, AFTER))
    (failed,) = class_pages.failed_most([lost(item)])
    assert (failed.check, failed.mean_lost_milli) == ("gives_a_loss", 2250)


def test_points_that_were_given_back_are_not_lost() -> None:
    item = ItemVerdict("vae.samples", "samples", Outcome.PASSED, 4000, 4000, (TRAINED,), gained_milli=4000)
    assert class_pages.failed_most([lost(item)]) == []
    (failed,) = class_pages.failed_most([lost(replace(item, points_milli=3000, gained_milli=3000))])
    assert failed.mean_lost_milli == 1000


def test_checks_that_were_left_out_cost_nothing_and_points_set_by_hand_blame_no_check() -> None:
    left_out = verdict("samples_are_new", Outcome.SKIPPED, 0, 4000, LEFT_OUT)
    item = ItemVerdict("vae.samples", "samples", Outcome.SKIPPED, 0, 4000, (left_out,))
    assert class_pages.failed_most([lost(item)]) == []
    by_hand = replace(item, points_milli=1000, override=Override(1000, "seen", "A. Turing"))
    (failed,) = class_pages.failed_most([lost(by_hand)])
    assert (failed.title, failed.mean_lost_milli) == ("points that were set by hand", 3000)


def test_the_lost_points_of_a_class_add_up_to_what_the_checks_cost() -> None:
    graded = [row.report for row in ROWS if row.report]
    costs = sum(check.count * check.mean_lost_milli for check in class_pages.failed_most(ROWS))
    assert round(costs) == sum(item.max_points_milli - item.points_milli for r in graded for item in r.items)


def test_the_average_loss_has_two_decimals_and_says_whose_average_it_is() -> None:
    item = ItemVerdict("vae.loss", "loss", Outcome.PARTIAL, 750, 1000, (WRONG,))
    page = class_page([lost(item)], rubric(), "VAE")
    assert "points lost by each of them, on average" in page
    assert '<td class="points">0.25</td>' in page


def test_a_note_that_most_of_a_class_has_is_said_once_and_is_no_filter() -> None:
    cleared = Remark("outputs_missing", "37 of 37 code cells were submitted without outputs.")
    item = ItemVerdict("vae.loss", "loss", Outcome.PARTIAL, 750, 1000, (WRONG,))
    rows = [replace(lost(item, remarks=(cleared,)), key=f"k{number}") for number in range(3)]
    page = class_page(rows, rubric(), "VAE")
    assert page.count("All 3 graded submissions have no outputs in most of their code cells") == 1
    assert not re.search(r'data-flags="[^"]*remark', page)
    one = class_page([*rows[:1], lost(item), lost(item)], rubric(), "VAE")
    assert "have no outputs" not in one
    assert re.search(r'data-flags="[^"]*remark', one)


def test_the_section_on_similar_work_says_how_many_may_share_code_and_that_a_class_is_small() -> None:
    assert "at most 4 submissions of" in PAGE
    assert "In a class as small as this" not in PAGE
    same = SimilarPair("a", "b", WHOLE, 1.0, ("", ""), (frozenset(), frozenset()))
    small = class_page([named("Ada", "Lund", "a"), named("Bo", "Öst", "b")], rubric(), "VAE", [same])
    assert "at most 2 submissions of" in small
    assert "In a class as small as this" in small
    assert "the same code in every cell" in small


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
    order = re.findall(r"report\.html\">(\w+ \w+)</a>", page)
    assert order == ["Zoe Abel", "Jan Łukasz", "Ada Lund", "Bo Öst", "Al Østby", "Cy Otto"]


def test_a_submission_of_no_student_on_the_roster_says_so_and_needs_attention() -> None:
    stranger = replace(named("Max", "Muster", "max"), student=None)
    page = class_page([stranger, named("Ada", "Lund", "ada")], rubric(), "VAE")
    assert "1 needs your attention" in page
    assert page.count("<small>not on the roster</small>") == 1
    assert "not on the roster" not in class_page([stranger], rubric(), "VAE")  # without a roster


def test_the_page_links_to_each_report_and_feedback_and_to_the_gradebooks() -> None:
    files = {"gradebook.csv": True, "gradebook-moodle.csv": False}
    page = class_page([named("Ada", "Lund", "ada")], rubric(), "VAE", files=files)
    assert {"submissions/ada/report.html", "submissions/ada/feedback.html"} <= set(re.findall('href="([^"]+)"', page))
    assert 'href="gradebook-moodle.csv">gradebook-moodle.csv</a> (empty: no points yet)' in page
    without = class_page([replace(named("Ada", "Lund", "ada"), student=None)], rubric(), "VAE", files=files)
    assert "gradebook-moodle.csv</a> (empty: no roster)" in without
    assert "gradebook.csv</a>, " in without


def test_the_axes_of_the_histogram_have_whole_numbers_of_students() -> None:
    assert class_pages.ticks(3, whole=True) == [0, 1, 2, 3]
    assert class_pages.ticks(0, whole=True) == [0, 1]
    assert class_pages.ticks(100) == [0, 20, 40, 60, 80, 100]
    assert class_pages.ticks(7.5) == [0, 2, 4, 6, 8]
