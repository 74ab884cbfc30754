"""The common parts of all HTML pages: a template environment with escaping and formats, a base page, style and policy.

Pages of other packages extend `page.html.j2`, or `sheet.html.j2` for a sheet with a margin line, and add a template and
a style sheet of their own. A page is one file that includes its style and scripts. Its content security policy allows
them by their digests, and pictures within the page, and nothing else.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from grader.report.student_text import student_line
from grader.report.text import of_points, plain, points_text
from grader.report.totals import graded_milli, is_graded, is_left_out, is_lost, shown_outcome, undecided_milli
from grader.report.words import (
    LONGEST,
    OUTCOME_MARKS,
    OUTCOME_WORDS,
    STATUS_WORDS,
    by_part,
    graded_points,
    item_points,
    item_remarks,
    late_sentence,
    sentence,
)

STYLE = "grader.report/page.css"  # of every page
SHEET = "grader.report/sheet.css"  # of the pages with a margin line


def html_page(
    template: str, styles: Sequence[str] = (), *, scripts: Sequence[str] = (), policy: str = "", **values: object
) -> str:
    """Renders a template with these values; `styles` follow the style of every page.

    Files are named as `package/file`. Without a `policy`, the page gets the one that is described above.
    """
    style, code = "".join(map(_file, (STYLE, *styles))), "".join(map(_file, scripts))
    return (
        _environment()
        .get_template(template)
        .render(values, style=Markup(style), script=Markup(code), policy=policy or _policy(style, code))
    )


def data_uri(content: bytes, kind: str = "png") -> str:
    """The picture as a `data:` URI, which needs no file."""
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def _policy(style: str, script: str) -> str:
    allowed = f"style-src '{_digest(style)}'" + (f"; script-src '{_digest(script)}'" if script else "")
    return f"default-src 'none'; img-src data:; {allowed}; base-uri 'none'; form-action 'none'"


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


@cache
def _file(name: str) -> str:
    package, _, file = name.partition("/")
    return files(package).joinpath(file).read_text(encoding="utf-8")


@cache
def _environment() -> Environment:
    """Returns an environment that escapes everything except pieces that `made_here` marks as safe."""
    environment = Environment(
        loader=FunctionLoader(_file),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    filters: Mapping[str, object] = {
        "capitalized": lambda text: text[:1].upper() + text[1:],
        "data_uri": data_uri,
        "made_here": Markup,
        "plain": _plain,
        "points": points_text,
        "seconds": _seconds_or_minutes,
        "sentence": sentence,
        "student_line": student_line,
    }
    words: Mapping[str, object] = {
        "MARKS": OUTCOME_MARKS,
        "STATUS": STATUS_WORDS,
        "WORDS": OUTCOME_WORDS,
        "by_part": by_part,
        "item_remarks": item_remarks,
        "is_graded": is_graded,
        "is_left_out": is_left_out,
        "is_lost": is_lost,
        "item_points": item_points,
        "graded_milli": graded_milli,
        "graded_points": graded_points,
        "late_sentence": late_sentence,
        "of_points": of_points,
        "shown_outcome": shown_outcome,
        "undecided": undecided_milli,
    }
    environment.filters.update(filters)
    environment.globals.update(words)
    return environment


def _plain(text: object, kind: str = "message") -> str:
    return plain(str(text), LONGEST[kind])


def _seconds_or_minutes(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s"
