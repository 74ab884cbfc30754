"""Times are read as systems write them, in five languages; other texts are not read as times."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from grader.batch.students.course_words import when_of

TENTH = datetime(2026, 9, 4, 22, 37)
TIMES = {
    # Moodle's worksheet
    "Friday, 4 September 2026, 10:37 PM": TENTH,
    "Friday, September 4, 2026, 10:37 PM": TENTH,
    "Freitag, 4. September 2026, 22:37": TENTH,
    "vendredi 4 septembre 2026, 22:37": TENTH,
    "viernes, 4 de septiembre de 2026, 22:37": TENTH,
    "venerdì, 4 settembre 2026, 22:37": TENTH,
    "Dienstag, 2. März 2027, 08:05": datetime(2027, 3, 2, 8, 5),
    "mardi 2 août 2026, 12:05": datetime(2026, 8, 2, 12, 5),
    # Brightspace, Blackboard
    "Sep 4, 2026 1037 PM": TENTH,
    "Sep 4, 2026 1205 AM": datetime(2026, 9, 4, 0, 5),
    "Tuesday, 21 April 2026 06:34:13 o'clock BST": datetime(2026, 4, 21, 6, 34, 13),
    "Monday, February 5, 2026 1:22:26 PM EST": datetime(2026, 2, 5, 13, 22, 26),
    "2026-09-04-22-37-00": TENTH,
    # Gradescope, nbgrader
    "2026-09-04 22:37:00.938335000 Z": TENTH.replace(tzinfo=UTC),
    "2026-09-04 22:37:00 -0800": TENTH.replace(tzinfo=timezone(timedelta(hours=-8))),
    "2026-09-04 22:37:00.123456 UTC": TENTH.replace(tzinfo=UTC),
    "2026-09-04": datetime(2026, 9, 4),
}


@pytest.mark.parametrize("text", TIMES)
def test_a_time_is_read(text: str) -> None:
    assert when_of(text) == TIMES[text]


@pytest.mark.parametrize(
    "text", ["", "-", "never", "2026-13-01 10:00", "31 November 2026, 10:00", "May 2026", "9" * 5000]
)
def test_a_text_without_a_time_gives_none(text: str) -> None:
    assert when_of(text) is None
