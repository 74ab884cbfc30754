"""Each cell of an executed notebook as a piece of HTML, rendered by nbconvert with a template of ours."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from markupsafe import Markup

from grader.notebook.format import source_of
from grader.records import Notebook
from grader.report.notebook.markdown import IMAGES, Budget, cut, image_html, markdown_html, text_html
from grader.report.text import without_paths

MOST_TEXT = 6000  # characters of an output
MOST_OUTPUTS = 200  # of a cell
MOST_SOURCE = 20_000  # characters of a cell that are coloured, or shown of one that is not code
MOST_LINE = 500  # characters of a line, and
MOST_BLANK = 20  # blank lines in a row: the time for colouring grows with their square
MOST_CELLS = 400
MOST_TITLE = 120  # characters of a folded cell's first line
_LOOKED_AT = 4  # of an output, so many times the characters that are shown are looked at
_ESCAPE = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b[^\[]|[\x00-\x08\x0b-\x1f\x7f]")
_LONG_LINE = re.compile(rf"[^\n]{{{MOST_LINE + 1}}}")
_LONG_GAP = re.compile(rf"\n(?:[ \t\f\v]{{0,{MOST_LINE}}}\n){{{MOST_BLANK + 1}}}")


def cells_html(notebook: Notebook) -> tuple[str, ...]:
    """A piece of safe HTML for each cell, in order; those after the 400th say only that they are there."""
    budget = Budget()
    shown = [_prepared(cell, budget) for cell in notebook["cells"][:MOST_CELLS]]
    from nbformat import from_dict

    told = {"nbformat": 4, "nbformat_minor": 4, "metadata": {}, "cells": shown}
    made, _ = _exporter().from_notebook_node(from_dict(told))  # type: ignore[no-untyped-call]
    pieces = made.split(_BETWEEN)[1:]
    if len(pieces) != len(shown):
        raise AssertionError(f"{len(pieces)} pieces of {len(shown)} cells")
    left = len(notebook["cells"]) - len(shown)
    return (*pieces, *[cut(f"the notebook has too many cells; the first {MOST_CELLS} are shown")] * left)


_BETWEEN = "\x00"  # in no cell: sources and outputs are rid of it first


def _prepared(cell: Mapping[str, Any], budget: Budget) -> dict[str, Any]:
    kind, source = cell["cell_type"], source_of(cell).replace(_BETWEEN, "")
    if kind == "code":
        outputs = [{"output_type": "stream", "name": "stdout", "text": piece} for piece in _outputs(cell, budget)]
        # Colab or Jupyter would show the cell as one line, as `clean` has kept it.
        told: dict[str, Any] = {"folded": _summary(source)} if "jupyter" in cell.get("metadata", {}) else {}
        told["coloured"] = _can_be_coloured(source) and budget.take("coloured", len(source))
        return {"cell_type": kind, "source": source, "metadata": told, "outputs": outputs, "execution_count": None}
    attachments = cell.get("attachments")
    if kind == "markdown":
        text = markdown_html(source, attachments if isinstance(attachments, dict) else None, budget)
    else:
        text = text_html(source, budget)
    return {"cell_type": "markdown", "source": text, "metadata": {}}


def _summary(source: str) -> str:
    """The folded cell's own title, else its first line, and how long it is."""
    lines = source.strip().splitlines() or [""]
    title = re.sub(r"^#\s*(@title)?\s*", "", lines[0])[:MOST_TITLE] or "A folded cell"
    return f"{title} ({len(lines)} lines)"


def _outputs(cell: Mapping[str, Any], budget: Budget) -> Iterator[str]:
    """Pieces of HTML: text that is escaped and cut, PNG and JPEG pictures, and nothing else."""
    outputs = cell.get("outputs", ())
    for number, output in enumerate(outputs):
        if number >= MOST_OUTPUTS or not budget.take("outputs"):
            yield cut(f"{len(outputs) - number:,} more outputs of this cell")
            return
        data = output.get("data") if isinstance(output.get("data"), dict) else {}
        if (picture := _picture(data, budget)) is not None:
            yield picture
        elif output.get("output_type") == "stream":
            yield _text(_joined(output.get("text")), budget)
        elif output.get("output_type") == "error":
            yield _error(output)
        elif "text/plain" in data:
            yield _text(_joined(data["text/plain"]), budget)


def _picture(data: Mapping[str, Any], budget: Budget) -> str | None:
    for kind in IMAGES:
        if isinstance(content := data.get(kind), str | list):
            return image_html(f"data:{kind};base64,{_joined(content).strip()}", "output of this cell", budget) or None
    return None


def _error(output: Mapping[str, Any]) -> str:
    """The last lines of a traceback: what was raised, and where in the notebook."""
    told = f"{_joined(output.get('ename'))}: {_joined(output.get('evalue'))}"
    return f'<pre class="error">{_escaped(told[:1000])}</pre>'


def _text(text: str, budget: Budget) -> str:
    if not text.strip():
        return ""
    if not budget.take("text", min(len(text), _LOOKED_AT * MOST_TEXT)):
        return cut(f"an output of {len(text):,} characters; the notebook has shown too much above")
    return f"<pre>{_escaped(text)}</pre>"


def _escaped(text: str) -> str:
    """Escaped, cut, without colours, and without the paths of the machine on which it ran."""
    lines = text[: _LOOKED_AT * MOST_TEXT].replace("\r\n", "\n").split("\n")
    # What a terminal shows at the end of a line that a progress bar has drawn over and over.
    lines = [line.rstrip("\r").rpartition("\r")[2] for line in lines]
    shown = "\n".join(without_paths(line) for line in _ESCAPE.sub("", "\n".join(lines)).splitlines())
    is_cut = len(shown) > MOST_TEXT or len(text) > _LOOKED_AT * MOST_TEXT
    return html.escape(shown[:MOST_TEXT]) + (f"\n… cut: the output has {len(text):,} characters" if is_cut else "")


def _joined(value: Any) -> str:
    if isinstance(value, list):
        value = "".join(part for part in value if isinstance(part, str))
    return value if isinstance(value, str) else ""


def _can_be_coloured(source: str) -> bool:
    """Whether the highlighter's time is bounded: it looks far ahead on long lines and over many blank ones."""
    return len(source) <= MOST_SOURCE and not (_LONG_LINE.search(source) or _LONG_GAP.search(f"\n{source}\n"))


def _coloured(source: str, wanted: bool) -> Markup:
    if not wanted:
        return Markup("<pre>{}</pre>").format(source)
    from ipython_pygments_lexers import IPython3Lexer
    from pygments import highlight
    from pygments.formatters import HtmlFormatter

    return Markup(highlight(source, IPython3Lexer(stripnl=False), HtmlFormatter(classprefix="py-")))


@cache
def _exporter() -> Any:
    """It escapes nothing by itself: whatever the template shows has passed `_coloured` or was made safe before."""
    from nbconvert.exporters import TemplateExporter

    template = files("grader.report.notebook").joinpath("cells.html.j2").read_text(encoding="utf-8")
    filters = {"coloured": _coloured, "made_here": lambda piece: Markup(piece), "between": lambda _: _BETWEEN}
    return TemplateExporter(  # type: ignore[no-untyped-call]
        raw_template=template, filters=filters, optimistic_validation=True
    )
