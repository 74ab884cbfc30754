"""The section `interface`: what a course's notebook does differently, in names, orders and options."""

from __future__ import annotations

import keyword
from collections.abc import Mapping
from typing import Any

from grader.errors import RubricError
from grader.exercise import InterfaceSpec
from grader.records import Interface
from grader.rubric.wording import nearest


def bound_interface(section: Mapping[str, Any], known: InterfaceSpec) -> Interface:
    """The section, whose names, functions, orders and options the exercise knows; what is as there is left out.

    Raises:
        RubricError: for an unknown name, an order that is none, or the flat form without `names`.
    """
    parts = ("names", "arguments", "returns")
    for key, value in section.items():
        if key in known.names and key not in known.options:
            shown = value if isinstance(value, str) else "..."
            raise RubricError(
                f"interface: {key!r} belongs below names; write `interface: {{names: {{{key}: {shown}}}}}`"
            )
        if key not in parts and key not in known.options:
            raise RubricError(f"interface: unknown key {key!r}{nearest(str(key), [*parts, *known.options])}")
        if key in parts and not isinstance(value, dict):
            raise RubricError(f"interface: {key}: expected a mapping, got {value!r:.60}")
    return Interface(
        names=_names(section.get("names", {}), known.names),
        arguments=_orders("arguments", section.get("arguments", {}), known.arguments),
        returns=_orders("returns", section.get("returns", {}), known.returns),
        options=_options({key: value for key, value in section.items() if key not in parts}, known.options),
    )


def _names(values: Mapping[str, Any], known: tuple[str, ...]) -> dict[str, str]:
    for key, value in values.items():
        if key not in known:
            raise RubricError(f"interface: names: unknown name {key!r}{nearest(str(key), known)}")
        if not isinstance(value, str) or not value.isidentifier() or keyword.iskeyword(value):
            raise RubricError(f"interface: names: {key}: expected a Python name, got {value!r:.60}")
    return {key: value for key, value in values.items() if value != key}


def _orders(
    section: str, values: Mapping[str, Any], known: Mapping[str, tuple[str, ...]]
) -> dict[str, tuple[str, ...]]:
    for key, value in values.items():
        where = f"interface: {section}"
        if key not in known:
            raise RubricError(f"{where}: unknown function {key!r}{nearest(str(key), known)}")
        if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
            raise RubricError(f"{where}: {key}: expected a list of {', '.join(known[key])}, got {value!r:.60}")
        for name in value:
            if name not in known[key]:
                raise RubricError(f"{where}: {key}: unknown value {name!r}{nearest(name, known[key])}")
        if sorted(value) != sorted(known[key]):
            raise RubricError(f"{where}: {key}: expected each of {', '.join(known[key])} once, got {', '.join(value)}")
    return {key: tuple(value) for key, value in values.items() if tuple(value) != known[key]}


def _options(values: Mapping[str, Any], known: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    for key, value in values.items():
        if value not in known[key]:
            raise RubricError(f"interface: {key}: unknown value {value!r:.60}{nearest(str(value), known[key])}")
    return {key: value for key, value in values.items() if value != known[key][0]}
