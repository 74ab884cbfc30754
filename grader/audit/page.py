"""The audit as one page for the instructor: no script, nothing loaded from elsewhere, every word escaped."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import groupby
from pathlib import Path

from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup

from grader.audit.problems import HEADINGS
from grader.audit.records import (
    MARKS,
    MEANINGS,
    Audit,
    ItemUse,
    State,
    Trouble,
    caught,
    square_text,
    summary,
    tried,
    unharmed,
)
from grader.report.plain import plain
from grader.report.points import points_text

_POLICY = "default-src 'none'; img-src data:; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
_MOST_PICTURE = 2_000_000  # bytes
_LONGEST = 400


@dataclass(frozen=True, slots=True)
class LevelShown:
    """What the levels of one check of pictures look like."""

    item: str
    title: str
    points_milli: int
    picture: str  # as a `data:` address


def levels_of(items: Sequence[ItemUse], folder: Path) -> list[LevelShown]:
    """The checks of which the calibration has left strips in the folder."""
    found = []
    for item in items:
        for check in item.checks:
            path = folder / f"{item.id}.{check.id}.strips.png"
            if path.is_file() and path.stat().st_size <= _MOST_PICTURE:
                picture = "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()
                found.append(LevelShown(item.id, check.title, check.points_milli, picture))
    return found


def audit_html(audit: Audit, levels: Sequence[LevelShown] = ()) -> str:
    """One self-contained page: what is wrong, what levels look like, the matrix, and each item with what tries it."""
    style = _file("grader.report", "page.css") + _file("grader.audit", "audit.css")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    wrong, honest = audit.of_kind("wrong"), audit.of_kind("honest")
    return _template().render(
        a=audit,
        style=Markup(style),  # ours, from beside the templates
        policy=_POLICY.format(digest=digest),
        summary=summary(audit),
        wrong=wrong,
        honest=honest,
        harmed=[row for row in honest if row.losses or row.undecided],
        caught=caught(wrong),
        tried=len(tried(wrong)),
        unharmed=unharmed(honest),
        troubles=_by_kind(audit.troubles),
        parts=_parts(audit.items),
        levels=levels,
        legend=[state for state in State if MARKS[state]],
    )


def _by_kind(troubles: Sequence[Trouble]) -> list[tuple[str, list[Trouble]]]:
    return [(HEADINGS[kind], list(found)) for kind, found in groupby(troubles, key=lambda trouble: trouble.kind)]


def _parts(items: Sequence[ItemUse]) -> list[tuple[str, list[tuple[str, str]]]]:
    """Each part with its items: (id, short name)."""
    named = [(item.id, *item.id.partition(".")[::2]) for item in items]
    return [(part, [(id_, name) for id_, _, name in found]) for part, found in groupby(named, key=lambda n: n[1])]


@cache
def _template() -> Template:
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    environment.filters |= {"points": points_text, "plain": _plain, "number": _number, "square": square_text}
    environment.globals |= {"MARKS": MARKS, "MEANINGS": MEANINGS, "numbers": _numbers}
    return environment.from_string(_file("grader.audit", "audit.html.j2"))


def _file(package: str, name: str) -> str:
    return files(package).joinpath(name).read_text(encoding="utf-8")


def _plain(text: object) -> str:
    return plain(str(text), _LONGEST)


def _number(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else _plain(value)


def _numbers(values: Mapping[str, object]) -> list[tuple[str, str]]:
    return [(_plain(name), _number(value)) for name, value in values.items()]
