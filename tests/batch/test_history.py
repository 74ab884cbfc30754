"""The history of points: who changed them, when and why; only changes are recorded, and none is lost."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path

from toy_reports import ADA, FULL, LESS, row

from grader.batch.class_records import StudentState
from grader.batch.history import NAME, append, changes, event_line, read_history, snapshots
from grader.records import Override

BEFORE = (row("ada", StudentState.GRADED, ADA, LESS), row("zoe", StudentState.GRADED, None, FULL))


def test_only_changes_are_events(tmp_path: Path) -> None:
    after = (row("ada", StudentState.GRADED, ADA, FULL), BEFORE[1])
    (event,) = changes(snapshots(BEFORE), after, "the threshold was too strict")
    assert (event.submission, event.old_milli, event.new_milli) == ("ada", sum(LESS), sum(FULL))
    assert list(event.items.values()) == [(LESS[0], FULL[0])]
    assert changes(snapshots(BEFORE), BEFORE, "") == []
    append(tmp_path, [event])
    assert read_history(tmp_path) == [event]
    assert "ada" in event_line(event)
    assert "8.25 -> 9" in event_line(event)
    assert event_line(event).endswith("(the threshold was too strict)")


def test_a_first_grade_and_an_override_have_their_own_kinds() -> None:
    first = changes({}, BEFORE, "")
    assert [(event.what, event.old_milli) for event in first] == [("graded", None)] * 2
    assert BEFORE[0].report is not None
    items = list(BEFORE[0].report.items)
    items[0] = replace(items[0], override=Override(LESS[0], "checked by hand", "A. Turing"))
    decided = replace(BEFORE[0], report=replace(BEFORE[0].report, items=tuple(items)))
    (event,) = changes(snapshots(BEFORE), (decided, BEFORE[1]), "")
    assert event.what == "decided"
    assert "A. Turing: checked by hand" in event.why


def test_a_torn_line_is_left_out_and_what_comes_after_it_is_whole(tmp_path: Path) -> None:
    (first, second) = changes({}, BEFORE, "")
    append(tmp_path, [first])
    with (tmp_path / NAME).open("ab") as file:
        file.write(b'{"when": "2026-11')
    append(tmp_path, [second])
    assert read_history(tmp_path) == [first, second]


def test_a_link_instead_of_it_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text("kept\n")
    (tmp_path / NAME).symlink_to("elsewhere")
    with contextlib.suppress(OSError):
        append(tmp_path, changes({}, BEFORE, ""))
    assert (tmp_path / "elsewhere").read_text() == "kept\n"
    assert read_history(tmp_path) == []
