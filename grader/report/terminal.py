"""The report on a terminal or in a pipe: a table of items, remarks and events, and the points last."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from grader.records import GradeReport, ItemVerdict, Outcome, Remark
from grader.report.lost_points import item_losses
from grader.report.text import plain
from grader.report.totals import LOOKED_AT, shown_outcome
from grader.report.words import (
    LONGEST,
    OUTCOME_WORDS,
    STATUS_WORDS,
    graded_points,
    isolation_remark,
    isolation_warning,
    item_points,
    item_remarks,
    override_remarks,
    reasons_for_person,
    summary,
)

_STYLES = {
    Outcome.PASSED: "green",
    Outcome.PARTIAL: "yellow",
    Outcome.FAILED: "red",
    Outcome.SKIPPED: "dim",
    Outcome.NEEDS_REVIEW: "bold magenta",
}
_MOST = 40  # remarks or events shown; all of them are in report.json
_LONGEST = 300  # characters of a message; half of what the page shows
_Line = tuple[str, str]  # text and style


def print_report(report: GradeReport, console: Console, folder: Path | None = None) -> None:
    """Prints the report; its last line is the points, for instance `87.5 / 100`, and nothing else.

    Colours follow the console (none in a pipe or with NO_COLOR); text is never read as markup, and a
    character that the console's encoding lacks becomes a question mark.
    """
    name = plain(report.submission, LONGEST["name"])
    warning = isolation_warning(report)
    if warning:
        console.print(_text(warning, "bold red", console))
    console.print(_text(name, "bold", console), _text(summary(report), "", console), sep="\n")
    console.print()
    console.print(_table(report, console))
    console.print()
    for text, style in _remarks(report):
        console.print(_text(text, style, console))
    if folder is not None:  # unwrapped, so that it can be copied
        console.print(_text(f"Files: {plain(str(folder), 1000)}", "", console), soft_wrap=True)
    console.print(Text(graded_points(report)), soft_wrap=True)


def _table(report: GradeReport, console: Console) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    widest = max(16, (console.width - 16) * 2 // 5)
    table.add_column("Item", overflow="fold", max_width=widest)
    table.add_column("Points", justify="right", no_wrap=True)
    table.add_column("Why", overflow="fold")
    for item in report.items:
        title = _text(plain(item.title, LONGEST["title"]), "", console)
        table.add_row(
            title.append_text(_text(f"\n{plain(item.id, LONGEST['id'])}", "dim", console)),
            _text(item_points(item), _STYLES[shown_outcome(item)], console),
            _why(item, report.items, console),
        )
    return table


def _why(item: ItemVerdict, items: Sequence[ItemVerdict], console: Console) -> Text:
    """The outcome, then each reason once: one exception fails many checks."""
    outcome = shown_outcome(item)
    lines = [Text(OUTCOME_WORDS[outcome], style=_STYLES[outcome])]
    lines += [_text(plain(remark, _LONGEST), "cyan", console) for remark in item_remarks(item, items)]
    for loss in item_losses(item):
        count = f" ({len(loss.checks)} checks)" if len(loss.checks) > 1 else ""
        line = f", in `{plain(loss.raised.line, _LONGEST)}`" if loss.raised and loss.raised.line else ""
        reason = _text(f"{plain(loss.message, _LONGEST)}{line}{count}", "", console)
        lines.append(Text("- ", style=_STYLES[loss.outcome]).append_text(reason))
    for check in item.checks:
        if check.borderline:
            title = _text(f": {plain(check.title or check.id, _LONGEST)}", "", console)
            lines.append(Text("borderline", style="cyan").append_text(title))
    return Text("\n").join(lines)


def _remarks(report: GradeReport) -> Iterator[_Line]:
    others = [_remark(r) for r in report.remarks if not r.needs_person and r.kind != LOOKED_AT]
    yield from _listed("Decided by staff:", override_remarks(report), "bold magenta")
    if report.needs_person:
        yield from _listed("Needs manual review:", reasons_for_person(report), "bold magenta")
    yield from _listed("Remarks:", others, "bold")
    yield from _listed("Events:", report.events, "bold")
    if warning := isolation_warning(report):  # again, because the first line may have scrolled away
        yield warning, "bold red"
    if remark := isolation_remark(report):
        yield remark, ""
    yield f"Notebook {STATUS_WORDS[report.status]}. Device: {plain(report.device, LONGEST['title'])}.", ""


def _listed(heading: str, entries: Sequence[str], style: str) -> Iterator[_Line]:
    if entries:
        yield heading, style
    for entry in entries[:_MOST]:
        yield f"- {plain(entry, _LONGEST)}", ""
    if len(entries) > _MOST:
        yield f"- and {len(entries) - _MOST} more in report.json", ""


def _remark(remark: Remark) -> str:
    named = remark.cell is None or remark.message.startswith(f"Cell {remark.cell + 1} ")
    return remark.message if named else f"cell {(remark.cell or 0) + 1}: {remark.message}"


def _text(text: str, style: str, console: Console) -> Text:
    return Text(text.encode(console.encoding, "replace").decode(console.encoding), style=style)
