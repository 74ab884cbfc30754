"""`late.yaml`: a class's deadline, the penalty per day, and extensions; the grader reads it and never writes it.

deadline: 2026-11-20 23:59
timezone: Europe/Berlin      # of times without a zone; default: this machine's
grace_minutes: 15
percent_a_day: 10            # per started day, of the possible points
at_most_percent: 50
students:
  ada: {extended_to: 2026-11-27 23:59, reason: ill, by: A. Turing}
  zoe: {excused: true, reason: a fault of the course's system, by: A. Turing}
  kurt: {handed_in: 2026-11-21 10:00, reason: it came by e-mail, by: A. Turing}

A team's deadline is the latest of its members'. Points are never changed: the late penalty is shown beside them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from grader.batch.class_records import ClassSubmission
from grader.batch.students.course_words import when_of
from grader.errors import GraderError, nearest, one_line, short_path
from grader.records import GradeReport, Lateness
from grader.report.text import listed
from grader.store.yaml_files import as_table, read_yaml, reason_and_author

NAME = "late.yaml"
FIELDS = ("deadline", "timezone", "grace_minutes", "percent_a_day", "at_most_percent", "percent_of", "students")
OF_STUDENT = ("extended_to", "excused", "handed_in", "reason", "by")
PERCENT_OF = ("possible", "earned")
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class LateDecision:
    """The decision for one submission or student."""

    extended_to: datetime | None = None
    submitted_at: datetime | None = None
    excused: bool = False
    note: str = ""


@dataclass(frozen=True, slots=True)
class LatePolicy:
    """The late policy of a class."""

    deadline: datetime  # with a zone
    zone: tzinfo | None  # None: this machine's
    grace: timedelta = timedelta()
    percent_a_day: float = 0.0
    at_most_percent: float = 100.0
    of_earned: bool = False
    decisions: Mapping[str, LateDecision] | None = (
        None  # by the submission's key, or the id of a student without a submission
    )

    def lateness(self, submission: ClassSubmission) -> Lateness | None:
        """How late the submission was, and the penalty; None if the time of submission is unknown."""
        decision = (self.decisions or {}).get(submission.key, LateDecision())
        when = decision.submitted_at or submission.when
        if when is None:
            return None
        submitted_at = _in_zone(when, self.zone)
        deadline = decision.extended_to or self.deadline
        delay = submitted_at.astimezone(UTC) - deadline.astimezone(UTC)  # a change to summer time must not count
        days = 0 if decision.excused or delay <= self.grace else math.ceil(delay / _DAY)
        percent = min(days * self.percent_a_day, self.at_most_percent)
        return Lateness(_time_text(submitted_at), _time_text(deadline), days, percent, self.of_earned, decision.note)

    def is_excused(self, key: str) -> bool:
        """Whether a student without a submission is excused."""
        return (self.decisions or {}).get(key, LateDecision()).excused


def read_policy(path: Path, names: Mapping[str, str]) -> LatePolicy | None:
    """The class's policy; None if there is no such file.

    `names` maps each name that the file may use, a submission's key or a student's id, to its key.

    Raises:
        GraderError: one line: what is wrong, where, and what was expected.
    """
    fields = read_yaml(path)
    if not fields:
        return None
    path_text = short_path(path)
    as_table(fields, path_text, FIELDS)
    zone = _zone(fields.get("timezone"), path_text)
    if "deadline" not in fields:
        raise GraderError(f"{path_text}: deadline: missing; add a time such as 2026-11-20 23:59")
    percent_of = fields.get("percent_of", "possible")
    if percent_of not in PERCENT_OF:
        raise GraderError(
            f"{path_text}: percent_of: expected possible or earned, got {one_line(str(percent_of), 40)!r}"
        )
    deadline = _time(fields["deadline"], f"{path_text}: deadline", zone)
    return LatePolicy(
        deadline=deadline,
        zone=zone,
        grace=timedelta(minutes=_number(fields, "grace_minutes", 0.0, 1e6, path_text)),
        percent_a_day=_number(fields, "percent_a_day", 0.0, 100.0, path_text),
        at_most_percent=_number(fields, "at_most_percent", 100.0, 100.0, path_text),
        of_earned=percent_of == "earned",
        decisions=_students(
            as_table(fields.get("students") or {}, f"{path_text}: students"), names, path_text, deadline
        ),
    )


def with_lateness(report: GradeReport, lateness: Lateness | None) -> GradeReport:
    """The report with this lateness instead of an earlier one."""
    return report if report.late == lateness else replace(report, late=lateness)


def unknown_times(policy: LatePolicy | None, submissions: Sequence[ClassSubmission]) -> tuple[str, ...]:
    """Remarks on submissions whose time of submission is unknown."""
    if policy is None:
        return ()
    unknown = [submission for submission in submissions if policy.lateness(submission) is None]
    late = [submission.key for submission in unknown if any(remark.kind == "late" for remark in submission.remarks)]
    remarks = []
    if unknown:
        remarks.append(
            f"{len(unknown)} of {len(submissions)} submissions have no known submission time and get no late penalty; "
            f"set `handed_in` in {NAME}"
        )
    if late:
        remarks.append(f"late according to the download, by an unknown time: {listed(late, 10)}")
    return tuple(remarks)


def _students(
    entries: Mapping[str, Any], names: Mapping[str, str], path_text: str, deadline: datetime
) -> dict[str, LateDecision]:
    zone = deadline.tzinfo
    decisions: dict[str, LateDecision] = {}
    for name, entry in entries.items():
        where = f"{path_text}: students: {one_line(name, 60)}"
        if name not in names:
            close = nearest(name, names)
            raise GraderError(
                f"{where}: no such student{close if len(close) < 200 else '; gradebook.csv lists them all'}"
            )
        fields = as_table(entry, where, OF_STUDENT)
        reason, by = reason_and_author(fields, where)
        if not isinstance(excused := fields.get("excused", False), bool):
            raise GraderError(f"{where}: excused: expected true or false, got {one_line(str(excused), 40)!r}")
        times = {
            field: _time(fields[field], f"{where}: {field}", zone)
            for field in ("extended_to", "handed_in")
            if field in fields
        }
        if (extended_to := times.get("extended_to")) is not None and extended_to < deadline:
            raise GraderError(
                f"{where}: extended_to: expected a time after the deadline, {deadline:%Y-%m-%d %H:%M}, "
                f"got {extended_to:%Y-%m-%d %H:%M}"
            )
        if (when := times.get("handed_in")) is not None and when > datetime.now(UTC):
            raise GraderError(f"{where}: handed_in: expected a past time, got {when:%Y-%m-%d %H:%M}")
        decision = LateDecision(extended_to, when, excused, f"{reason}, {by}")
        decisions[names[name]] = _most_time(decisions[names[name]], decision) if names[name] in decisions else decision
    return decisions


def _most_time(first: LateDecision, second: LateDecision) -> LateDecision:
    """The decision for a team from the decisions for two of its members: of each field, the more generous value."""

    def later(
        a: datetime | None, b: datetime | None, pick: Callable[[datetime, datetime], datetime]
    ) -> datetime | None:
        return pick(a, b) if a and b else a or b

    return LateDecision(
        later(first.extended_to, second.extended_to, max),
        later(first.submitted_at, second.submitted_at, min),
        first.excused or second.excused,
        "; ".join(dict.fromkeys((first.note, second.note))),
    )


def _zone(value: object, path_text: str) -> tzinfo | None:
    if value is None:
        return None
    try:
        return ZoneInfo(str(value))
    except (ValueError, OSError, KeyError):
        got = one_line(str(value), 60)
        raise GraderError(f"{path_text}: timezone: expected a name such as Europe/Berlin, got {got!r}") from None


def _time(value: object, where: str, zone: tzinfo | None) -> datetime:
    """The time with its zone; a date without a time means the end of that day."""
    when: datetime | None
    if isinstance(value, datetime):
        when = value
    elif isinstance(value, date):
        when = datetime(value.year, value.month, value.day, 23, 59, 59)
    else:
        when = when_of(str(value))
    if when is None:
        raise GraderError(f"{where}: expected a time such as 2026-11-20 23:59, got {one_line(str(value), 60)!r}")
    return _in_zone(when, zone)


def _in_zone(when: datetime, zone: tzinfo | None) -> datetime:
    """The same moment in that zone; a time without a zone is taken to be in it."""
    if when.tzinfo is not None:
        return when.astimezone(zone)
    return when.astimezone() if zone is None else when.replace(tzinfo=zone)


def _time_text(when: datetime) -> str:
    return when.isoformat(timespec="minutes")


def _number(fields: Mapping[str, Any], field: str, default: float, most: float, path_text: str) -> float:
    value = fields.get(field, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most:
        raise GraderError(
            f"{path_text}: {field}: expected a number from 0 to {most:g}, got {one_line(str(value), 40)!r}"
        )
    return float(value)
