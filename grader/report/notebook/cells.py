"""Each cell of an executed notebook as a piece of HTML, rendered by nbconvert with a template of ours."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from markupsafe import Markup

from grader.notebook.format import source_of
from grader.records import Notebook
from grader.report.notebook.markdown import IMAGES, MOST_IMAGE, image_html, markdown_html
from grader.report.plain import without_paths

MOST_IMAGES = 6_000_000  # bytes of a notebook's pictures; a page has to open on a phone
MOST_TEXT = 6000  # characters of an output
MOST_SOURCE = 20_000  # characters of a cell that are coloured
MOST_CELLS = 400
MOST_TITLE = 120  # characters of a folded cell's first line
_ESCAPE = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b[^\[]|[\x00-\x08\x0b-\x1f\x7f]")
_OVERWRITTEN = re.compile(r"[^\n]*\r(?!\n)")  # what a progress bar draws over


def cells_html(notebook: Notebook) -> tuple[str, ...]:
    """A piece of safe HTML for each cell, in order; those after the 400th say only that they are there."""
    budget = _Budget(MOST_IMAGES)
    shown = [_prepared(cell, budget) for cell in notebook["cells"][:MOST_CELLS]]
    made, _ = _exporter().from_notebook_node(_notebook(shown))
    pieces = made.split(_BETWEEN)[1:]
    if len(pieces) != len(shown):
        raise AssertionError(f"{len(pieces)} pieces of {len(shown)} cells")
    left = len(notebook["cells"]) - len(shown)
    return (*pieces, *["<p>Not shown: the notebook has too many cells.</p>"] * left)


_BETWEEN = "\x00"  # in no cell: sources and outputs are rid of it first


class _Budget:
    """How many bytes of pictures may still be shown."""

    def __init__(self, left: int) -> None:
        self.left = left

    def take(self, size: int) -> bool:
        if size > min(self.left, MOST_IMAGE):
            return False
        self.left -= size
        return True


def _prepared(cell: Mapping[str, Any], budget: _Budget) -> dict[str, Any]:
    kind, source = cell["cell_type"], source_of(cell).replace(_BETWEEN, "")
    if kind == "code":
        outputs = [{"output_type": "stream", "name": "stdout", "text": piece} for piece in _outputs(cell, budget)]
        told = {"folded": _summary(source)} if _is_folded(cell) else {}
        return {"cell_type": kind, "source": source, "metadata": told, "outputs": outputs, "execution_count": None}
    attachments = cell.get("attachments")
    made = markdown_html(source, attachments if isinstance(attachments, dict) else None)
    text = made if kind == "markdown" else f"<pre>{html.escape(source)}</pre>"
    return {"cell_type": "markdown", "source": text, "metadata": {}}


def _is_folded(cell: Mapping[str, Any]) -> bool:
    """Whether Colab or Jupyter would show the cell as one line, as `clean` has kept it."""
    return "jupyter" in cell.get("metadata", {})


def _summary(source: str) -> str:
    """The folded cell's own title, else its first line, and how long it is."""
    lines = source.strip().splitlines() or [""]
    title = re.sub(r"^#\s*(@title)?\s*", "", lines[0])[:MOST_TITLE] or "A folded cell"
    return f"{title} ({len(lines)} lines)"


def _outputs(cell: Mapping[str, Any], budget: _Budget) -> Iterator[str]:
    """Pieces of HTML: text that is escaped and cut, PNG and JPEG pictures, and nothing else."""
    for output in cell.get("outputs", ()):
        data = output.get("data") if isinstance(output.get("data"), dict) else {}
        if (picture := _picture(data, budget)) is not None:
            yield picture
        elif output.get("output_type") == "stream":
            yield _text(_joined(output.get("text")))
        elif output.get("output_type") == "error":
            yield _error(output)
        elif "text/plain" in data:
            yield _text(_joined(data["text/plain"]))


def _picture(data: Mapping[str, Any], budget: _Budget) -> str | None:
    for kind in IMAGES:
        if isinstance(content := data.get(kind), str | list):
            content = _joined(content)
            if not budget.take(len(content) * 3 // 4):
                return '<p class="left-out">A picture is left out here: it is too large.</p>'
            return image_html(f"data:{kind};base64,{content.strip()}", "output of this cell") or None
    return None


def _error(output: Mapping[str, Any]) -> str:
    """The last lines of a traceback: what was raised, and where in the notebook."""
    told = f"{_joined(output.get('ename'))}: {_joined(output.get('evalue'))}"
    return f'<pre class="error">{_escaped(told[:1000])}</pre>'


def _text(text: str) -> str:
    return f"<pre>{_escaped(text)}</pre>" if text.strip() else ""


def _escaped(text: str) -> str:
    """Escaped, cut, without colours, and without the paths of the machine on which it ran."""
    head = _OVERWRITTEN.sub("", text[: 4 * MOST_TEXT])
    lines = (without_paths(line) for line in _ESCAPE.sub("", head).splitlines())
    shown = "\n".join(lines)
    cut = len(shown) > MOST_TEXT or len(text) > 4 * MOST_TEXT
    return html.escape(shown[:MOST_TEXT]) + ("\n…" if cut else "")


def _joined(value: Any) -> str:
    if isinstance(value, list):
        value = "".join(part for part in value if isinstance(part, str))
    return value if isinstance(value, str) else ""


def _coloured(source: str) -> Markup:
    if len(source) > MOST_SOURCE:
        return Markup("<pre>{}</pre>").format(source)
    from ipython_pygments_lexers import IPython3Lexer
    from pygments import highlight
    from pygments.formatters import HtmlFormatter

    return Markup(highlight(source, IPython3Lexer(stripnl=False), HtmlFormatter(classprefix="py-")))


def _notebook(cells: Sequence[dict[str, Any]]) -> Any:
    from nbformat import from_dict

    return from_dict(  # type: ignore[no-untyped-call]
        {"nbformat": 4, "nbformat_minor": 4, "metadata": {}, "cells": list(cells)}
    )


@cache
def _exporter() -> Any:
    """It escapes nothing by itself: whatever the template shows has passed `_coloured` or was made safe before."""
    from nbconvert.exporters import TemplateExporter

    template = files("grader.report.notebook").joinpath("cells.html.j2").read_text(encoding="utf-8")
    filters = {"coloured": _coloured, "made_here": lambda piece: Markup(piece), "between": lambda _: _BETWEEN}
    return TemplateExporter(  # type: ignore[no-untyped-call]
        raw_template=template, filters=filters
    )
