"""`rubric.yaml` -> `Rubric`: every number an instructor may change, refused early and in one line when it is wrong.

The file is checked against the exercise it names: checks that do not exist, numbers that a check does not take or
lacks, and points that do not add up never reach a notebook.
"""

from __future__ import annotations

import difflib
import hashlib
import inspect
from collections.abc import Iterable, Mapping
from dataclasses import fields
from decimal import Decimal
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from grader.errors import RubricError
from grader.exercise import Exercise, load_exercise
from grader.judging import Check
from grader.notebook.format import one_line
from grader.records import CheckSpec, Limits, Rubric, RubricItem

MAX_BYTES = 1_000_000
HUGE = 1e15  # no number of a rubric is larger; infinity and "not a number" are not smaller either
RESERVED = ("points", "requires", "measured")


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _Item(_Strict):
    id: str = Field(pattern=r"^[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*$")
    title: str
    points: float = Field(gt=0)
    checks: dict[str, dict[str, Any]]


class _File(_Strict):
    title: str
    exercise: str
    template: str
    points: dict[str, float]
    limits: dict[str, float]
    sizes: dict[str, int]
    interface: dict[str, str] = {}
    items: list[_Item]


def load_rubric(path: Path) -> tuple[Rubric, Exercise]:
    """The rubric and the exercise it grades.

    Raises:
        RubricError: one line: what, where, expected, got, and the nearest right name.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise RubricError(f"{path.name}: larger than {MAX_BYTES // 1000} kB; is this the rubric?")
        data = path.read_bytes()
        content = yaml.load(data, Loader=_UniqueKeys)
    except OSError as error:
        raise RubricError(f"{path}: cannot be read ({error.strerror}); give the path of a rubric") from None
    except yaml.YAMLError as error:
        mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", "")
        where = f", line {mark.line + 1}" if mark else ""
        raise RubricError(f"{path.name}{where}: not YAML ({one_line(str(problem or error), 100)})") from None
    try:
        file = _File.model_validate(content)
    except ValidationError as error:
        raise RubricError(f"{path.name}: {_first_problem(error)}") from None
    try:
        exercise = load_exercise(file.exercise)
        return _bound(file, exercise, hashlib.sha256(data).hexdigest()), exercise
    except RubricError as error:
        raise RubricError(f"{path.name}: {error}") from None


class _UniqueKeys(yaml.SafeLoader):
    """YAML that refuses a key given twice, where the last one would win in silence."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """The mapping, if its keys are different."""
        seen = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(None, None, "a key that is no name", key.start_mark)
            if key.value in seen:
                raise yaml.constructor.ConstructorError(None, None, f"{key.value!r} is given twice", key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def _first_problem(error: ValidationError) -> str:
    problems = error.errors()
    problem = next(
        (p for p in problems if p["type"] == "extra_forbidden"), problems[0]
    )  # a misspelt key is also missing
    where = ".".join(str(part) for part in problem["loc"]) or "the file"
    if problem["type"] == "extra_forbidden":
        known = (_File if len(problem["loc"]) == 1 else _Item).model_fields
        return f"{where}: unknown key{_nearest(str(problem['loc'][-1]), known)}"
    got = "" if problem["type"] == "missing" else f", got {problem['input']!r:.60}"
    return f"{where}: {problem['msg'].lower()}{got}"


def _nearest(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else f"; expected one of {', '.join(sorted(known))}"


def _bound(file: _File, exercise: Exercise, sha256: str) -> Rubric:
    items = tuple(_item(item, exercise.checks) for item in file.items)
    seen: set[str] = set()
    for item in items:
        if item.id in seen:
            raise RubricError(f"item {item.id!r}: the id is used twice")
        seen.add(item.id)
    sums: dict[str, int] = {}
    for item in items:
        part = item.id.partition(".")[0]
        if part not in exercise.parts:
            raise RubricError(f"item {item.id!r}: unknown part {part!r}{_nearest(part, exercise.parts)}")
        sums[part] = sums.get(part, 0) + item.points_milli
    expected = {part: _milli(points, f"points of {part}") for part, points in file.points.items()}
    if sums != expected:
        for part in sorted(set(sums) | set(expected)):
            if sums.get(part, 0) != expected.get(part, 0):
                raise RubricError(
                    f"points: {part}: expected its items to add up to {_points(expected.get(part, 0))}, "
                    f"got {_points(sums.get(part, 0))}"
                )
    return Rubric(
        title=file.title,
        exercise=file.exercise,
        template=file.template,
        items=items,
        limits=_limits(file.limits),
        names=_names(file.interface, exercise),
        sizes=_sizes(file.sizes, exercise),
        sha256=sha256,
    )


def _item(item: _Item, checks: Mapping[str, Check]) -> RubricItem:
    where = f"item {item.id!r}"
    if not item.checks:
        raise RubricError(f"{where}: has no checks")
    specs: list[CheckSpec] = []
    for name, settings in item.checks.items():
        if name not in checks:
            raise RubricError(f"{where}: unknown check {name!r}{_nearest(name, checks)}")
        specs.append(_check(f"{where}: check {name!r}", name, settings, checks[name], [spec.check for spec in specs]))
    points = _milli(item.points, where)
    total = sum(spec.points_milli for spec in specs)
    if total != points:
        raise RubricError(f"{where}: expected its checks to add up to {_points(points)} points, got {_points(total)}")
    return RubricItem(id=item.id, title=item.title, points_milli=points, checks=tuple(specs))


def _check(where: str, name: str, settings: Mapping[str, Any], check: Check, earlier: list[str]) -> CheckSpec:
    if "points" not in settings:
        raise RubricError(f"{where}: points are missing")
    takes = [p.name for p in inspect.signature(check).parameters.values() if p.kind is p.KEYWORD_ONLY]
    params = {key: value for key, value in settings.items() if key not in RESERVED}
    for key, value in params.items():
        if key not in takes:
            raise RubricError(f"{where}: takes no number {key!r}{_nearest(key, [*takes, *RESERVED])}")
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < HUGE:
            raise RubricError(f"{where}: {key}: expected a number, got {value!r}")
    for key in takes:
        if key not in params:
            raise RubricError(f"{where}: {key} is missing; write `{key}: <number>` beside its points")
    if params.get("zero_at", 0) == params.get("full_at", 1):
        raise RubricError(f"{where}: zero_at and full_at are both {params['zero_at']}; expected two different numbers")
    requires = settings.get("requires", [])
    if not isinstance(requires, list) or not all(isinstance(required, str) for required in requires):
        raise RubricError(f"{where}: requires: expected a list of earlier checks, got {requires!r:.60}")
    for required in requires:
        if required not in earlier:
            raise RubricError(f"{where}: requires {required!r}, which is no earlier check{_nearest(required, earlier)}")
    measured = settings.get("measured", {})
    if not isinstance(measured, dict):
        raise RubricError(f"{where}: measured: expected a mapping from model to number, got {measured!r:.60}")
    return CheckSpec(name, _milli(settings["points"], where), params, tuple(requires), measured)


def _milli(points: object, where: str) -> int:
    """Points as whole thousandths.

    Raises:
        RubricError: for what is no number of points, or finer than a thousandth.
    """
    if isinstance(points, bool) or not isinstance(points, int | float) or not 0 < points < 10_000:
        raise RubricError(f"{where}: expected a positive number of points, got {points!r}")
    milli = Decimal(str(points)) * 1000
    if milli != int(milli):
        raise RubricError(f"{where}: expected at most three decimals, got {points!r} points")
    return int(milli)


def _points(milli: int) -> str:
    return f"{milli / 1000:g}"


def _limits(values: Mapping[str, float]) -> Limits:
    known = {field.name: field.type for field in fields(Limits)}
    for key, value in values.items():
        if key not in known:
            raise RubricError(f"limits: unknown limit {key!r}{_nearest(key, known)}")
        if not 0 <= value < HUGE or (value == 0 and key != "kernel_restarts"):
            raise RubricError(f"limits: {key}: expected a positive number, got {value:g}")
    for key in known:
        if key not in values:
            raise RubricError(f"limits: {key} is missing")
    return Limits(**{key: int(v) if known[key] == "int" else v for key, v in values.items()})  # type: ignore[arg-type]


def _sizes(values: Mapping[str, int], exercise: Exercise) -> Mapping[str, int]:
    for key, value in values.items():
        if key not in exercise.sizes:
            raise RubricError(f"sizes: unknown size {key!r}{_nearest(key, exercise.sizes)}")
        if value < 1:
            raise RubricError(f"sizes: {key}: expected a positive whole number, got {value}")
    for key in exercise.sizes:
        if key not in values:
            raise RubricError(f"sizes: {key} is missing")
    return dict(values)


def _names(values: Mapping[str, str], exercise: Exercise) -> Mapping[str, str]:
    for key, value in values.items():
        if key not in exercise.names:
            raise RubricError(f"interface: unknown name {key!r}{_nearest(key, exercise.names)}")
        if not value.isidentifier():
            raise RubricError(f"interface: {key}: expected a Python name, got {value!r}")
    return dict(values)
