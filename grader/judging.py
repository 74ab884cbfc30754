"""The small contract between the judge and an exercise's checks."""

from __future__ import annotations

from collections.abc import Callable

from grader.records import Fault, Finding

Check = Callable[..., Finding]  # check(evidence, part, *, numbers...) -> Finding


class NotAnswered(Exception):
    """A check has nothing to judge; `fault` says whose fault that is and why."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.message)
        self.fault = fault
