"""What if: one number changed in memory, stored verdicts compared, nothing written to the runs."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from audit_samples import rubric, verdicts
from rich.console import Console

from grader.audit.page import print_shifts
from grader.audit.whatif import changed, graded_folders, parse_change, shifts, shifts_csv
from grader.errors import GraderError
from grader.records import ItemVerdict, Rubric

REFUSED = {
    "one.drow.draws_well.full_at=0.5": "item 'one.drow' is unknown; did you mean 'one.draw'?",
    "one.draw.draw_well.full_at=0.5": "did you mean 'draws_well'?",
    "one.draw.draws_well.ful_at=0.5": "did you mean 'full_at'?",
    "one.draw.draws_well.full_at=high": "expected a number, got 'high'",
    "one.draw.draws_well.full_at=nan": "expected a number, got 'nan'",
    "full_at=0.5": "expected <item>.<check>.<number>=<value>",
}


@pytest.mark.parametrize("text", REFUSED)
def test_an_unknown_number_is_one_line_with_the_nearest_name(text: str) -> None:
    with pytest.raises(GraderError) as refused:
        parse_change(text, rubric())
    assert REFUSED[text] in str(refused.value)
    assert "\n" not in str(refused.value)


def test_only_the_named_number_changes_and_ends_never_change_places() -> None:
    before = rubric()
    after = changed(before, [parse_change("two.draw.draws_well.full_at=0.5", before)])
    assert after.items[3].checks[0].params == {"zero_at": 0.2, "full_at": 0.5}
    assert after.items[:3] == before.items[:3]
    assert before == rubric()
    for number in ("full_at=0.1", "full_at=0.2"):
        with pytest.raises(GraderError, match="stay on its side"):
            changed(before, [parse_change(f"two.draw.draws_well.{number}", before)])
    both = [parse_change(f"two.draw.draws_well.{n}", before) for n in ("full_at=0.1", "zero_at=0.05")]
    assert changed(before, both).items[3].checks[0].params == {"zero_at": 0.05, "full_at": 0.1}


def test_gains_and_losses_are_listed_by_submission() -> None:
    before = rubric()
    after = changed(before, [parse_change("one.draw.draws_well.full_at=0.9", before)])

    def judged(folder: Path, under: Rubric) -> Sequence[ItemVerdict]:
        strict = under.items[1].checks[0].params["full_at"] == 0.9
        made = verdicts({"one.draw: draws_well": 5_000} if strict and folder.name == "=weak" else {}, trained=True)
        return [replace(item) for item in made]

    folders = {name: Path(name) for name in ("strong", "=weak")}
    found = shifts(folders, before, after, judged, {"strong": 100_000, "=weak": 98_000})
    assert [(shift.submission, shift.gain_milli) for shift in found] == [("=weak", -5_000), ("strong", 0)]
    rows = shifts_csv(found).decode().splitlines()[1:]
    assert rows == ["'=weak,100,95,-5,one.draw 20 -> 15,,98", "strong,100,100,0,,,100"]
    console = Console(file=io.StringIO(), width=80)
    print_shifts(found, [], console)
    told = console.file.getvalue()  # type: ignore[attr-defined]
    assert "- =weak: 100 -> 95 (-5): one.draw 20 -> 15" in told
    assert "1 of 2 reports say other points than the rubric gives now" in told
    assert told.endswith("0 of 2 would gain, 1 would lose, 1 would stay. No report was changed.\n")


def test_a_folder_without_graded_runs_is_refused(tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text("{}")
    with pytest.raises(GraderError, match="found none"):
        graded_folders(tmp_path)
