"""Binds the rubric to the exercise that it names.

The section `interface` describes how a course's notebook deviates from the exercise in names, orders and options.
"""

from __future__ import annotations

import keyword
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import fields
from decimal import Decimal
from pathlib import Path
from typing import Any

from grader.checks import THRESHOLDS, Check
from grader.errors import RubricError, nearest
from grader.exercise import Exercise, InterfaceSpec, load_exercise
from grader.records import CheckSpec, FollowThrough, Interface, Limits, Numbers, Rubric, RubricItem
from grader.report.text import points_text
from grader.rubric.file import FileItem, RubricFile, read_file

PACKAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,80}")  # its name for pip, without a version
HUGE = 1e15  # every number of a rubric is smaller in size; infinity and "not a number" are not
RESERVED = frozenset({"points", "measured"})  # keys of a check that are not its numbers


def load_rubric(path: Path) -> tuple[Rubric, Exercise]:
    """The rubric and the exercise it grades.

    Raises:
        RubricError: one line: what, where, expected, got, and the nearest right name.
    """
    file, sha256 = read_file(path)
    try:
        exercise = load_exercise(file.exercise, path.parent)
        return _bind(file, exercise, sha256), exercise
    except RubricError as error:
        raise RubricError(f"{path.name}: {error}") from None


def _bind(file: RubricFile, exercise: Exercise, sha256: str) -> Rubric:
    step = milli(file.points_step, "points_step")
    items = tuple(bind_item(item, exercise.checks, step) for item in file.items)
    ids: set[str] = set()
    for item in items:
        if item.id in ids:
            raise RubricError(f"item {item.id!r}: two items have this id; rename one")
        ids.add(item.id)
    _refuse_wrong_sums(items, file.points, exercise)
    section = file.follow_through
    if section and section.enabled and not file.reference:
        raise RubricError(
            "reference is missing; add the path of the reference notebook, from which follow_through takes correct code"
        )
    return Rubric(
        title=file.title,
        exercise=file.exercise,
        template=file.template,
        earlier_templates=_earlier_templates(file, exercise.checks, step),
        reference=file.reference,
        packages=_packages(file.packages),
        items=items,
        limits=_limits(file.limits),
        interface=bind_interface(file.interface, exercise.interface),
        sizes=_sizes(file.sizes, exercise),
        follow_through=_follow_through(file, items),
        points_step_milli=step,
        sha256=sha256,
    )


def _packages(names: Sequence[str]) -> tuple[str, ...]:
    for name in names:
        if not PACKAGE.fullmatch(name):
            raise RubricError(f"packages: expected the name of a package, got {name!r:.60}")
    return tuple(names)


def _follow_through(file: RubricFile, items: tuple[RubricItem, ...]) -> FollowThrough:
    if (section := file.follow_through) is None:
        return FollowThrough()
    names = [item.id for item in items]
    for item, share in section.min_earned.items():
        where = f"follow_through.min_earned: {item}"
        if item not in names:
            raise RubricError(f"{where}: unknown item{nearest(item, names)}")
        if not 0 <= share <= 1:
            raise RubricError(f"{where}: expected a share of the item's points from 0 to 1, got {share:g}")
    cost = milli(section.min_cost, "follow_through.min_cost") if section.min_cost else 0
    return FollowThrough(section.enabled, section.max_replaced, section.share, cost, section.min_earned)


def _refuse_wrong_sums(items: tuple[RubricItem, ...], points: Mapping[str, float], exercise: Exercise) -> None:
    """Refuses a part whose items do not add up to its points, and an item of an unknown part."""
    sums: dict[str, int] = {}
    for item in items:
        part = item.part
        if part not in exercise.parts:
            raise RubricError(f"item {item.id!r}: unknown part {part!r}{nearest(part, exercise.parts)}")
        sums[part] = sums.get(part, 0) + item.points_milli
    expected = {part: milli(value, f"points of {part}") for part, value in points.items()}
    for part in sorted(set(sums) | set(expected)):
        if sums.get(part, 0) != expected.get(part, 0):
            raise RubricError(
                f"points: {part}: expected its items to add up to {points_text(expected.get(part, 0))}, "
                f"got {points_text(sums.get(part, 0))}"
            )


def _earlier_templates(file: RubricFile, checks: Mapping[str, Check], step: int) -> Mapping[str, Numbers]:
    """Reads the section on earlier templates, whose numbers replace the rubric's in the checks."""
    names = Counter(Path(path).name for path in (file.template, *file.earlier_templates))
    items = {item.id: item for item in file.items}
    for path, numbers in file.earlier_templates.items():
        where = f"earlier_templates: {path}"
        if names[Path(path).name] > 1:
            raise RubricError(f"{where}: another template has the same file name; rename one")
        for item_id, checks_of_item in numbers.items():
            if item_id not in items:
                raise RubricError(f"{where}: unknown item {item_id!r}{nearest(item_id, items)}")
            settings = dict(items[item_id].checks)
            for name, values in checks_of_item.items():
                if name not in settings:
                    raise RubricError(f"{where}: item {item_id!r}: unknown check {name!r}{nearest(name, settings)}")
                if fixed_numbers := sorted(RESERVED & values.keys()):
                    raise RubricError(
                        f"{where}: check {name!r}: {fixed_numbers[0]} is the same for all templates; remove it here"
                    )
                settings[name] = {**settings[name], **values}
            try:
                bind_item(items[item_id].model_copy(update={"checks": settings}), checks, step)
            except RubricError as error:
                raise RubricError(f"{where}: {error}") from None
    return file.earlier_templates


def _limits(values: Mapping[str, float]) -> Limits:
    type_by_name = {field.name: field.type for field in fields(Limits)}
    for key, value in values.items():
        if key not in type_by_name:
            raise RubricError(f"limits: unknown limit {key!r}{nearest(key, type_by_name)}")
        if not 0 <= value < HUGE or (value == 0 and key != "kernel_restarts"):
            raise RubricError(f"limits: {key}: expected a positive number, got {value:g}")
        if type_by_name[key] == "int" and value != int(value):
            raise RubricError(f"limits: {key}: expected a whole number, got {value:g}")
    for key in type_by_name:
        if key not in values:
            raise RubricError(f"limits: {key} is missing; write `{key}: <number>`")
    return Limits(**{key: int(v) if type_by_name[key] == "int" else v for key, v in values.items()})  # type: ignore[arg-type]


def _sizes(values: Mapping[str, int], exercise: Exercise) -> Mapping[str, int]:
    for key, value in values.items():
        if key not in exercise.sizes:
            raise RubricError(f"sizes: unknown size {key!r}{nearest(key, exercise.sizes)}")
        if value < 1:
            raise RubricError(f"sizes: {key}: expected a positive whole number, got {value}")
    for key in exercise.sizes:
        if key not in values:
            raise RubricError(f"sizes: {key} is missing; write `{key}: <number>`")
    return dict(values)


def bind_interface(section: Mapping[str, Any], spec: InterfaceSpec) -> Interface:
    """Reads the section `interface`, if the exercise knows its names and options; omits entries equal to the interface.

    Raises:
        RubricError: an unknown name, an invalid order, or the flat form without `names`.
    """
    parts = ("names", "arguments", "returns")
    for key, value in section.items():
        if key in spec.names and key not in spec.options:
            value_text = value if isinstance(value, str) else "..."
            raise RubricError(
                f"interface: {key!r} belongs below names; write `interface: {{names: {{{key}: {value_text}}}}}`"
            )
        if key not in parts and key not in spec.options:
            raise RubricError(f"interface: unknown key {key!r}{nearest(str(key), [*parts, *spec.options])}")
        if key in parts and not isinstance(value, dict):
            raise RubricError(f"interface: {key}: expected a mapping, got {value!r:.60}")
    return Interface(
        names=_names(section.get("names", {}), spec.names),
        arguments=_orders("arguments", section.get("arguments", {}), spec.arguments),
        returns=_orders("returns", section.get("returns", {}), spec.returns),
        options=_options({key: value for key, value in section.items() if key not in parts}, spec.options),
    )


def _names(values: Mapping[str, Any], interface_names: tuple[str, ...]) -> dict[str, str]:
    for key, value in values.items():
        if key not in interface_names:
            raise RubricError(f"interface: names: unknown name {key!r}{nearest(str(key), interface_names)}")
        if not isinstance(value, str) or not value.isidentifier() or keyword.iskeyword(value):
            raise RubricError(f"interface: names: {key}: expected a Python name, got {value!r:.60}")
    return {key: value for key, value in values.items() if value != key}


def _orders(
    section: str, values: Mapping[str, Any], orders: Mapping[str, tuple[str, ...]]
) -> dict[str, tuple[str, ...]]:
    for key, value in values.items():
        where = f"interface: {section}"
        if key not in orders:
            raise RubricError(f"{where}: unknown function {key!r}{nearest(str(key), orders)}")
        if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
            raise RubricError(f"{where}: {key}: expected a list of {', '.join(orders[key])}, got {value!r:.60}")
        for name in value:
            if name not in orders[key]:
                raise RubricError(f"{where}: {key}: unknown value {name!r}{nearest(name, orders[key])}")
        if sorted(value) != sorted(orders[key]):
            raise RubricError(f"{where}: {key}: expected each of {', '.join(orders[key])} once, got {', '.join(value)}")
    return {key: tuple(value) for key, value in values.items() if tuple(value) != orders[key]}


def _options(values: Mapping[str, Any], values_by_option: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    for key, value in values.items():
        if value not in values_by_option[key]:
            raise RubricError(
                f"interface: {key}: unknown value {value!r:.60}{nearest(str(value), values_by_option[key])}"
            )
    return {key: value for key, value in values.items() if value != values_by_option[key][0]}


def bind_item(item: FileItem, checks: Mapping[str, Check], step_milli: int) -> RubricItem:
    """Returns the item, after checking that its checks exist, have their numbers, and add up to its points.

    Raises:
        RubricError: one line that begins with the item.
    """
    where = f"item {item.id!r}"
    if not item.checks:
        raise RubricError(f"{where}: has no checks; add at least one")
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
        RubricError: not a positive number of points, or finer than a thousandth.
    """
    if isinstance(points, bool) or not isinstance(points, int | float) or not 0 < points < 10_000:
        raise RubricError(f"{where}: expected a positive number of points, got {points!r:.60}")
    thousandths = Decimal(str(points)) * 1000
    if thousandths != int(thousandths):
        raise RubricError(f"{where}: expected at most three decimals, got {points!r} points")
    return int(thousandths)


def _check(where: str, settings: Mapping[str, Any], check: Check, item: FileItem, earlier: list[str]) -> CheckSpec:
    if "points" not in settings:
        raise RubricError(f"{where}: points are missing; write `points: <number>`")
    if "requires" in settings:
        raise RubricError(
            f"{where}: remove `requires`; the check itself declares what it presupposes, `@check(presupposes=...)`"
        )
    params = {key: value for key, value in settings.items() if key not in RESERVED}
    _refuse_wrong_numbers(where, params, check.numbers)
    _refuse_wrong_order(where, params, check)
    measured = settings.get("measured", {})
    if not isinstance(measured, dict):
        raise RubricError(f"{where}: measured: expected a mapping from model to number, got {measured!r:.60}")
    presupposes = _presupposes_here(where, check, item, earlier)
    return CheckSpec(check.name, milli(settings["points"], where), params, presupposes, measured)


def _presupposes_here(where: str, check: Check, item: FileItem, earlier: list[str]) -> tuple[str, ...]:
    """The checks that this one presupposes in the item; one that the item does not have is not presupposed there."""
    names = tuple(check_before.name for check_before in check.presupposes if check_before.name in item.checks)
    for name in names:
        if name not in earlier:
            raise RubricError(f"{where}: presupposes {name!r}, which is listed below it; move {name!r} above")
    return names


def _refuse_wrong_numbers(where: str, params: Mapping[str, Any], check_numbers: Sequence[str]) -> None:
    """Refuses a number that the check does not take, a value that is not a number, and a missing number."""
    for key, value in params.items():
        if key not in check_numbers:
            raise RubricError(f"{where}: unknown number {key!r}{nearest(str(key), [*check_numbers, *RESERVED])}")
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < HUGE:
            raise RubricError(f"{where}: {key}: expected a number, got {value!r:.60}")
    for key in check_numbers:
        if key not in params:
            raise RubricError(f"{where}: {key} is missing; write `{key}: <number>` beside its points")


def _refuse_wrong_order(where: str, params: Mapping[str, Any], check: Check) -> None:
    """Refuses thresholds in the wrong order, and `min_x` above `max_x` or `x_low` above `x_high`."""
    if {*THRESHOLDS} <= params.keys():
        zero, full = (params[name] for name in THRESHOLDS)
        if zero == full:
            raise RubricError(f"{where}: zero_at and full_at are both {zero}; expected two different numbers")
        if (zero > full) is not check.smaller_is_better:
            order = "above full_at, because a smaller" if check.smaller_is_better else "below full_at, because a larger"
            raise RubricError(
                f"{where}: expected zero_at {order} number is better; got zero_at {zero} and full_at {full}"
            )
    for low, value in params.items():
        high = "max_" + low[4:] if low.startswith("min_") else low[:-4] + "_high" if low.endswith("_low") else low
        if high in params and value > params[high]:
            raise RubricError(f"{where}: expected {low} to be at most {high}, got {value} and {params[high]}")
