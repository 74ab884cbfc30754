"""The doctor's one screen."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from grader.doctor.findings import Finding, State
from grader.report.plain import plain

_MARKS = {State.HOLDS: ("holds", "green"), State.WEAK: ("weaker", "yellow"), State.BROKEN: ("BROKEN", "bold red")}


def verdict(found: Sequence[Finding]) -> str:
    """The last line of the screen: whether untrusted notebooks may be graded here."""
    broken = sum(one.state is State.BROKEN for one in found)
    weak = sum(one.state is State.WEAK for one in found)
    if broken:
        return f"do not grade untrusted notebooks here: {broken} of {len(found)} promises are broken"
    if weak:
        return f"this machine can grade untrusted notebooks; {weak} of {len(found)} promises are kept in a weaker way"
    return f"this machine can grade untrusted notebooks: all {len(found)} promises hold"


def show(found: Sequence[Finding], console: Console) -> None:
    """A line a promise, the fixes of those that do not hold below, the verdict last."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    table.add_column("promise", no_wrap=True)
    table.add_column("", no_wrap=True)
    table.add_column("found", overflow="fold")
    for one in found:
        word, style = _MARKS[one.state]
        table.add_row(Text(one.title), Text(word, style), Text(plain(one.found, 300)))
    console.print(table)
    for one in found:
        if one.state is not State.HOLDS:
            console.print(Text(f"{one.title}: {plain(one.fix, 400)}"))
    console.print(Text(verdict(found), "bold"))
