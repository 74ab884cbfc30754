"""`report.json`: the whole report for machines, written so that it can be read back for a regrade."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from pydantic import TypeAdapter

from grader.errors import GraderError, one_line
from grader.records import CheckVerdict, GradeReport, ItemVerdict, Override
from grader.report.text import milli_of, points_number
from grader.report.totals import counted_milli, graded_milli, is_graded, trained_parts
from grader.report.words import isolation_warning
from grader.store.bounded import Unreadable
from grader.store.json_files import dump_json, parse_json, validate

FORMAT = 2  # raised when an old reader would misread a new file
READABLE = (1, FORMAT)  # in format 1, `max_points` were the rubric's, including points that were not graded
MAX_BYTES = 200_000_000
MAX_VALUES = 1_000_000
_MILLI = "_milli"  # ends the names of numbers in thousandths

_Object = dict[str, Any]
_REPORT: TypeAdapter[GradeReport] = TypeAdapter(GradeReport)
_OBJECT: TypeAdapter[_Object] = TypeAdapter(_Object)
_OBJECTS: TypeAdapter[list[_Object]] = TypeAdapter(list[_Object])


def report_json(report: GradeReport) -> dict[str, Any]:
    """The report as plain JSON values; points are exact numbers with at most three decimals.

    `counted_points` are the points less the penalty for a late submission.

    `max_points`, of the report and of each item, is the maximum of what was graded; `rubric_points` is the rubric's
    maximum. An item of which nothing was graded has null as its points.
    """
    return {
        "format": FORMAT,
        "submission": report.submission,
        "points": points_number(report.points_milli),
        "max_points": points_number(graded_milli(report.items)),
        "rubric_points": points_number(report.max_points_milli),
        "trained": sorted(trained_parts(report)),
        "device": report.device,
        "status": str(report.status),
        "isolation": report.isolation,
        "warnings": [warning] if (warning := isolation_warning(report)) else [],
        "needs_person": report.needs_person,
        "items": [_item(item) for item in report.items],
        "remarks": _plain(report.remarks),
        "events": list(report.events),
        "seed": report.seed,
        "checksums": dict(report.checksums),
        "versions": dict(report.versions),
        "wall_s": report.wall_s,
        "created": report.created,
        "template": report.template,
        "late": _plain(report.late),
        "counted_points": points_number(counted_milli(report)),
    }


def dump(report: GradeReport) -> bytes:
    """The bytes of `report.json`: pure ASCII, so that the file can be shown on a terminal safely.

    Raises:
        ValueError: `wall_s` is not finite.
    """
    return dump_json(report_json(report))


def read_report_json(data: bytes) -> GradeReport:
    """The report that `dump` wrote; numbers that were not finite come back as strings.

    Raises:
        GraderError: the bytes are not a report of this format.
    """
    try:
        if len(data) > MAX_BYTES:
            raise Unreadable(f"larger than {MAX_BYTES / 1e6:g} MB")
        values = parse_json(data, _OBJECT, MAX_VALUES)
        if values.get("format") not in READABLE:
            raise Unreadable(f"expected format {FORMAT}")
        items = [_item_fields(item) for item in validate(values.get("items"), _OBJECTS, "items")]
        report = validate(_total_fields(values, GradeReport) | {"items": items}, _REPORT)
        _refuse_impossible(report)
    except RecursionError:
        raise GraderError("report.json: is nested too deep; grade the submission again") from None
    except Unreadable as reason:
        raise GraderError(f"report.json: {one_line(str(reason), 250)}; grade the submission again") from None
    return report


def _refuse_impossible(report: GradeReport) -> None:
    """Refuses values that the records allow but that no grader writes."""
    if not math.isfinite(report.wall_s):
        raise Unreadable("wall_s is not finite")
    for item in report.items:
        if not 0 <= item.points_milli <= item.max_points_milli:
            raise Unreadable(f"{one_line(item.id, 80)}: more points than there are, or less than none")
    if report.points_milli != sum(item.points_milli for item in report.items):
        raise Unreadable("the items' points do not add up to the report's")


def _item(item: ItemVerdict) -> _Object:
    values: _Object = _plain(item)
    if not item.not_replaced:
        del values["not_replaced"]  # a report without it has the bytes that earlier versions wrote
    return values | {
        "points": points_number(item.points_milli) if is_graded(item) else None,
        "max_points": points_number(graded_milli([item])),
        "rubric_points": points_number(item.max_points_milli),
    }


def _plain(value: Any) -> Any:
    """The value as plain JSON: records as objects, thousandths as points, numbers that are not finite as strings."""
    if is_dataclass(value):
        record = ((field.name, getattr(value, field.name)) for field in fields(value))
        return {
            name.removesuffix(_MILLI): points_number(entry) if name.endswith(_MILLI) else _plain(entry)
            for name, entry in record
        }
    if isinstance(value, Mapping):
        return {name: _plain(entry) for name, entry in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(entry) for entry in value]
    if value is None or isinstance(value, str | int):
        return value
    number = float(value)  # also a numpy scalar
    return number if math.isfinite(number) else str(number)


def _item_fields(values: _Object) -> _Object:
    """The fields of an `ItemVerdict`."""
    checks = [_fields(check, CheckVerdict) for check in validate(values.get("checks"), _OBJECTS, "checks")]
    override = values.get("override")
    if override is not None:
        override = _fields(validate(override, _OBJECT, "override"), Override)
    return _total_fields(values, ItemVerdict) | {"checks": checks, "override": override}


def _total_fields(values: _Object, record: type[GradeReport | ItemVerdict]) -> _Object:
    """The record's fields, with 0 for points that are null, and with the rubric's points as the maximum."""
    totals: _Object = {}
    if values.get("points", 0) is None:
        totals["points"] = 0
    if {"max_points", "rubric_points"} <= values.keys():
        totals["max_points"] = values["rubric_points"]
    return _fields(values | totals, record)


def _fields(values: _Object, record: type[GradeReport | ItemVerdict | CheckVerdict | Override]) -> _Object:
    """The record's fields, with its points in thousandths.

    Raises:
        Unreadable: some points are missing.
    """
    names = [field.name for field in fields(record) if field.name.endswith(_MILLI)]
    if missing := [name for name in names if name.removesuffix(_MILLI) not in values]:
        raise Unreadable(f"{missing[0].removesuffix(_MILLI)} is missing")
    return {**values, **{name: milli_of(values[name.removesuffix(_MILLI)]) for name in names}}
