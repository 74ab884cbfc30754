"""`report.json`: the whole report for machines, written so that it can be read back for a regrade."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

from pydantic import TypeAdapter, ValidationError

from grader.errors import GraderError, one_line
from grader.records import CheckVerdict, GradeReport, ItemVerdict, Measured, Override, Remark
from grader.report.text import milli_of, points_number
from grader.report.words import counted_milli, is_judged, isolation_warning, judged_milli, trained_parts
from grader.store.bounded import Unreadable, json_value

FORMAT = 2  # raised when an old reader would misread a new file
READABLE = (1, FORMAT)  # in the first, `max_points` were the rubric's, also of what was not judged
MAX_BYTES = 200_000_000
MAX_VALUES = 1_000_000
_MILLI = "_milli"  # ends the names of numbers in thousandths

_REPORT: TypeAdapter[GradeReport] = TypeAdapter(GradeReport)


def report_json(report: GradeReport) -> dict[str, Any]:
    """The report as plain JSON values; points are exact numbers with at most three decimals.

    `counted_points` are the points without what handing in late costs.

    `max_points` is what was judged, of the report and of each item; `rubric_points` is all that there is. An item of
    which nothing was judged has no points: null.
    """
    return {
        "format": FORMAT,
        "submission": report.submission,
        "points": points_number(report.points_milli),
        "max_points": points_number(judged_milli(report.items)),
        "rubric_points": points_number(report.max_points_milli),
        "trained": sorted(trained_parts(report)),
        "device": report.device,
        "status": str(report.status),
        "isolation": report.isolation,
        "warnings": [warning] if (warning := isolation_warning(report)) else [],
        "needs_person": report.needs_person,
        "items": [_item(item) for item in report.items],
        "remarks": [_remark(remark) for remark in report.remarks],
        "events": list(report.events),
        "seed": report.seed,
        "checksums": dict(report.checksums),
        "versions": dict(report.versions),
        "wall_s": report.wall_s,
        "created": report.created,
        "template": report.template,
        "late": None if report.late is None else asdict(report.late),
        "counted_points": points_number(counted_milli(report)),
    }


def dump(report: GradeReport) -> bytes:
    """The bytes of `report.json`: pure ASCII, so that showing the file can do nothing to a terminal.

    Raises:
        ValueError: `wall_s` is not finite.
    """
    return dump_json(report_json(report))


def dump_json(values: Mapping[str, Any]) -> bytes:
    """JSON values as indented ASCII with a newline at the end.

    Raises:
        ValueError: a number is not finite.
    """
    return (json.dumps(values, indent=2, allow_nan=False, ensure_ascii=True) + "\n").encode("ascii")


def read_report_json(data: bytes) -> GradeReport:
    """The report that `dump` wrote; numbers that were not finite come back as strings.

    Raises:
        GraderError: the bytes are not a report of this format.
    """
    try:
        if len(data) > MAX_BYTES:
            raise Unreadable(f"larger than {MAX_BYTES / 1e6:g} MB")
        values = json_value(data, most_values=MAX_VALUES)
        if not isinstance(values, dict) or values.get("format") not in READABLE:
            raise GraderError(f"report.json: expected an object with format {FORMAT}; grade the submission again")
        items = [
            _with_points(_judged(item), "gained")
            | {"checks": [_with_points(check, "points", "max_points") for check in item["checks"]]}
            | {"override": None if (was := item.get("override")) is None else _with_points(was, "points", "was")}
            for item in values["items"]
        ]
        report = _REPORT.validate_python(_judged(values) | {"items": items})
    except Unreadable as reason:
        raise GraderError(f"report.json: not a report ({one_line(str(reason), 120)}); grade again") from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise GraderError(f"report.json: {one_line(where, 100)}: {one_line(first['msg'], 150)}") from error
    except KeyError as error:
        raise GraderError(f"report.json: {one_line(str(error), 80)} is missing; grade the submission again") from error
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise GraderError(f"report.json: not a report ({type(error).__name__}); grade again") from error
    _refuse_impossible(report)
    return report


def _refuse_impossible(report: GradeReport) -> None:
    """Refuses what the records allow, but no grader writes."""
    if not math.isfinite(report.wall_s):
        raise GraderError("report.json: wall_s is not finite; grade the submission again")
    for item in report.items:
        if not 0 <= item.points_milli <= item.max_points_milli:
            raise GraderError(f"report.json: {one_line(item.id, 80)}: more points than there are, or less than none")
    if report.points_milli != sum(item.points_milli for item in report.items):
        raise GraderError("report.json: the items' points do not add up to the report's; grade the submission again")


def _item(item: ItemVerdict) -> dict[str, Any]:
    override = item.override
    return _fields_of(item) | {
        "points": points_number(item.points_milli) if is_judged(item) else None,
        "max_points": points_number(judged_milli([item])),
        "rubric_points": points_number(item.max_points_milli),
        "checks": [_check(check) for check in item.checks],
        "lost_in": list(item.lost_in),
        "override": None if override is None else _fields_of(override),
    }


def _remark(remark: Remark) -> dict[str, Any]:
    return asdict(remark) | {"diff": list(remark.diff), "beside": [asdict(row) for row in remark.beside]}


def _check(check: CheckVerdict) -> dict[str, Any]:
    level = None if check.level is None else _finite(asdict(check.level))
    return _fields_of(check) | {"measured": _finite(check.measured), "level": level}


def _fields_of(record: ItemVerdict | CheckVerdict | Override) -> dict[str, Any]:
    """The record's fields by their names; those in thousandths as points."""
    values = {field.name: getattr(record, field.name) for field in fields(record)}
    return {
        name.removesuffix(_MILLI): points_number(value) if name.endswith(_MILLI) else value
        for name, value in values.items()
    }


def _finite(measured: Measured) -> dict[str, float | int | str]:
    numbers: dict[str, float | int | str] = {}
    for name, value in measured.items():
        if isinstance(value, str | int):
            numbers[name] = value
        else:
            number = float(value)  # also a numpy scalar
            numbers[name] = number if math.isfinite(number) else str(number)
    return numbers


def _with_points(values: Mapping[str, Any], *points: str) -> dict[str, Any]:
    """The values, with these points in thousandths."""
    rest = {name: value for name, value in values.items() if name not in points}
    return rest | {f"{name}{_MILLI}": milli_of(values[name]) for name in points}


def _judged(values: Mapping[str, Any]) -> dict[str, Any]:
    """The same of a report or an item, where a dash for points is none and the rubric's are all that there are."""
    points = 0 if values["points"] is None else values["points"]
    judged_values = {**values, "points": points, "max_points": values.get("rubric_points", values["max_points"])}
    return _with_points(judged_values, "points", "max_points")
