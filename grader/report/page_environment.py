"""What every page of a run has in common: escaping, formats, one style in the page itself, and the page's policy.

Every string passes `plain` and then the template's own escaping; what slipped through would meet the policy.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from functools import cache
from importlib.resources import files

from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup

from grader.report.plain import plain
from grader.report.points import of_points, points_text
from grader.report.student_text import told
from grader.report.words import (
    LONGEST,
    OUTCOME_MARKS,
    OUTCOME_WORDS,
    STATUS_WORDS,
    by_part,
    follow_notes,
    is_left_out,
    is_lost,
    item_points,
    judged_milli,
    judged_points,
    sentence,
    shown_outcome,
    undecided_milli,
)

_POLICY = "default-src 'none'; img-src data:; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"


@cache
def page_style(*names: str) -> tuple[Markup, str]:
    """The style sheets beside this file as one, and the policy that allows it and pictures of its own."""
    style = "".join(_file(name) for name in names)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return Markup(style), _POLICY.format(digest=digest)


@cache
def page_template(name: str) -> Template:
    """The template beside this file."""
    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    filters: dict[str, Callable[..., object]] = {
        "capitalized": lambda text: text[:1].upper() + text[1:],
        "data_uri": lambda png: "data:image/png;base64," + base64.b64encode(png).decode(),
        "made_here": lambda html: Markup(html),  # pieces that `grader.report` itself has made safe
        "plain": lambda text, kind="message": plain(text, LONGEST[kind]),
        "points": points_text,
        "seconds": _seconds,
        "sentence": sentence,
        "told": told,
    }
    environment.filters |= filters
    environment.globals |= {
        "LONGEST": LONGEST,
        "MARKS": OUTCOME_MARKS,
        "STATUS": STATUS_WORDS,
        "WORDS": OUTCOME_WORDS,
        "by_part": by_part,
        "follow_notes": follow_notes,
        "is_left_out": is_left_out,
        "is_lost": is_lost,
        "item_points": item_points,
        "judged_points": judged_points,
        "judged": judged_milli,
        "shown_outcome": shown_outcome,
        "of_points": of_points,
        "undecided": undecided_milli,
    }
    return environment.from_string(_file(name))


def _file(name: str) -> str:
    return files("grader.report").joinpath(name).read_text(encoding="utf-8")


def _seconds(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s"
