"""Items and their checks, bound to the exercise's functions: names, numbers, directions and points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from grader.checks import Check
from grader.errors import RubricError, nearest
from grader.records import CheckSpec, RubricItem
from grader.report.points import points_text
from grader.rubric.file import FileItem

HUGE = 1e15  # no number of a rubric is larger; infinity and "not a number" are not smaller either
RESERVED = frozenset({"points", "measured"})


def bound_item(item: FileItem, checks: Mapping[str, Check], step_milli: int) -> RubricItem:
    """The item, whose checks exist, have their numbers, and add up to its points.

    Raises:
        RubricError: one line that begins with the item.
    """
    where = f"item {item.id!r}"
    if not item.checks:
        raise RubricError(f"{where}: has no checks")
    specs: list[CheckSpec] = []
    for name, settings in item.checks.items():
        if name not in checks:
            raise RubricError(f"{where}: unknown check {name!r}{nearest(name, checks)}")
        spec = _check(f"{where}: check {name!r}", settings, checks[name], item, [spec.check for spec in specs])
        if spec.points_milli % step_milli:
            raise RubricError(
                f"{where}: check {name!r}: expected a multiple of points_step, {points_text(step_milli)}, "
                f"got {points_text(spec.points_milli)} points"
            )
        specs.append(spec)
    points = milli(item.points, where)
    total = sum(spec.points_milli for spec in specs)
    if total != points:
        raise RubricError(
            f"{where}: expected its checks to add up to {points_text(points)} points, got {points_text(total)}"
        )
    return RubricItem(id=item.id, title=item.title, points_milli=points, checks=tuple(specs))


def milli(points: object, where: str) -> int:
    """Points as whole thousandths.

    Raises:
        RubricError: for what is no positive number of points, or finer than a thousandth.
    """
    if isinstance(points, bool) or not isinstance(points, int | float) or not 0 < points < 10_000:
        raise RubricError(f"{where}: expected a positive number of points, got {points!r:.60}")
    thousandths = Decimal(str(points)) * 1000
    if thousandths != int(thousandths):
        raise RubricError(f"{where}: expected at most three decimals, got {points!r} points")
    return int(thousandths)


def _check(where: str, settings: Mapping[str, Any], check: Check, item: FileItem, earlier: list[str]) -> CheckSpec:
    if "points" not in settings:
        raise RubricError(f"{where}: points are missing")
    if "requires" in settings:
        raise RubricError(
            f"{where}: requires stands in no rubric; the check says it, `@check(presupposes=...)`; leave it out here"
        )
    params = {key: value for key, value in settings.items() if key not in RESERVED}
    _numbers(where, params, check.numbers)
    _directions(where, params, check)
    measured = settings.get("measured", {})
    if not isinstance(measured, dict):
        raise RubricError(f"{where}: measured: expected a mapping from model to number, got {measured!r:.60}")
    presupposes = _presupposed(where, check, item, earlier)
    return CheckSpec(check.name, milli(settings["points"], where), params, presupposes, measured)


def _presupposed(where: str, check: Check, item: FileItem, earlier: list[str]) -> tuple[str, ...]:
    """The checks that this one presupposes in the item; one that the item does not have is not presupposed there."""
    here = tuple(other.name for other in check.presupposes if other.name in item.checks)
    for name in here:
        if name not in earlier:
            raise RubricError(f"{where}: presupposes {name!r}, which stands below it; put that one first")
    return here


def _numbers(where: str, params: Mapping[str, Any], takes: Sequence[str]) -> None:
    for key, value in params.items():
        if key not in takes:
            raise RubricError(f"{where}: takes no number {key!r}{nearest(str(key), [*takes, *RESERVED])}")
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < HUGE:
            raise RubricError(f"{where}: {key}: expected a number, got {value!r:.60}")
    for key in takes:
        if key not in params:
            raise RubricError(f"{where}: {key} is missing; write `{key}: <number>` beside its points")


def _directions(where: str, params: Mapping[str, Any], check: Check) -> None:
    """No pair of numbers stands the wrong way round."""
    if {"zero_at", "full_at"} <= params.keys():
        zero, full = params["zero_at"], params["full_at"]
        if zero == full:
            raise RubricError(f"{where}: zero_at and full_at are both {zero}; expected two different numbers")
        if (zero > full) is not check.smaller_is_better:
            order = "above full_at, because a smaller" if check.smaller_is_better else "below full_at, because a larger"
            raise RubricError(f"{where}: expected zero_at {order} number is better, got {zero} and {full}")
    for low, value in params.items():
        high = "max_" + low[4:] if low.startswith("min_") else low[:-4] + "_high" if low.endswith("_low") else low
        if high in params and value > params[high]:
            raise RubricError(f"{where}: expected {low} not to be above {high}, got {value} and {params[high]}")
