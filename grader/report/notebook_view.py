"""A student's executed notebook as a page shows it: safe HTML for each cell, and the cells that comments belong to.

Text, outputs and pictures come from a submission. Only a short list of forms is shown: escaped text, a few tags of
Markdown, formulas, PNG and JPEG; HTML outputs are never shown. Markdown is rendered with HTML disabled, and the result
is sanitised once more.

A page is limited by the size of its contents and not by time, so that the same notebook always gets the same page. If
something is cut, the page says so. A cut costs no points: a notebook that ran is graded.
"""

from __future__ import annotations

import base64
import binascii
import html
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from grader.notebook.format import is_code, normalise, source_of
from grader.records import CellRun, CellStatus, Notebook
from grader.report.text import without_paths
from grader.report.tracebacks import Place, place_of_error, without_file

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.rules_inline import StateInline
    from markdown_it.token import Token

_UNDEFINED = re.compile(r"NameError: name '(?P<name>\w{1,80})' is not defined.*", re.DOTALL)
MOST_CELLS = 400
MOST_OUTPUTS = 200  # of a cell
MOST_TEXT = 6000  # characters of an output
MOST_SOURCE = 20_000  # characters of a cell that are coloured, or shown of one that is not rendered
MOST_LINE = 500  # characters of a line in coloured code, and
MOST_BLANK = 20  # blank lines in a row: the time for colouring grows with the square of both
MOST_MARKDOWN = 8000  # characters of a cell that is rendered: the renderer's time grows with their square
MOST_TOKENS = 10_000  # of the renderer, in a cell: a wide table of few characters has many cells
MOST_FORMULA = 800  # characters
MOST_TITLE = 120  # characters of a folded cell's first line
MOST_IMAGE = 2_000_000  # bytes
IMAGES = ("image/png", "image/jpeg")
CALL = "()"  # at the end of a name: the cell that calls it is meant, not the cell that defines it
_LOOKED_AT = 4  # times MOST_TEXT: so many characters of an output are processed
_ESCAPE = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b[^\[]|[\x00-\x08\x0b-\x1f\x7f]")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
_LONG_LINE = re.compile(rf"[^\n]{{{MOST_LINE + 1}}}")
_LONG_GAP = re.compile(rf"\n(?:[ \t\f\v]{{0,{MOST_LINE}}}\n){{{MOST_BLANK + 1}}}")
_TROUBLES = {
    CellStatus.ERROR: "This cell stopped with an error: {}",
    CellStatus.TIMEOUT: "This cell took longer than the time limit and was interrupted",
    CellStatus.DIED: "This cell ended the Python process; the cells after it ran in a new process",
    CellStatus.SKIPPED: "This cell was not run",
}


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why a cell did not run to its end, and the line that raised an error, if it is known."""

    message: str
    error: str = ""  # "TypeError: ..."; empty if no error was raised
    place: Place | None = None
    after: int | None = None  # the cell that stopped before it defined a name that this cell needs


@dataclass(frozen=True, slots=True)
class NotebookView:
    """A notebook's cells as safe HTML, the cells of each item's comments, and the cells that failed."""

    cells: tuple[str, ...]
    kinds: tuple[str, ...]  # of the cells: code, markdown or raw
    places: Mapping[str, tuple[int, ...]]
    troubles: Mapping[int, Trouble]
    titles: tuple[str, ...]  # of the cells: the heading of a text, the first line of code
    provided: tuple[int, ...]  # provided cells that are unchanged
    written: Mapping[int, str]  # the source of the student's own code cells, cut


def make_view(
    notebook: Notebook,
    names: Mapping[str, Sequence[str]],
    runs: Sequence[CellRun],
    provided_sources: Collection[str] = (),
) -> NotebookView:
    """The notebook as its page shows it; an item's comments are shown at the cells of its `names`.

    `provided_sources` are the normalised sources of the cells that the template provides.
    """
    cells = notebook["cells"]
    provided = {n: True for n, cell in enumerate(cells) if normalise(source_of(cell)) in provided_sources}
    written = {
        n: _CONTROL.sub("", source_of(cell))[:MOST_SOURCE]
        for n, cell in enumerate(cells[:MOST_CELLS])
        if is_code(cell) and n not in provided
    }
    return NotebookView(
        cells_html(notebook),
        kinds=tuple(str(cell["cell_type"]) for cell in cells),
        places=places(notebook, names),
        troubles=troubles(runs, cells, written),
        titles=tuple(map(own_title, cells)),
        provided=tuple(provided),
        written=written,
    )


def own_title(cell: Mapping[str, Any]) -> str:
    """The first heading of a text, else its first line; the first line of code, or the title in its comment."""
    lines = [line.strip() for line in source_of(cell)[:MOST_MARKDOWN].splitlines() if line.strip()]
    if is_code(cell):
        lines = [line for line in lines if not line.startswith(("%", "import ", "from ", "@"))] or lines
        return re.sub(r"^#\s*(@title)?\s*", "", lines[0])[:MOST_TITLE].rstrip(":") if lines else "empty cell"
    heading = next((line for line in lines if line.startswith("#")), lines[0] if lines else "empty cell")
    return re.sub(r"^#+\s*|[*_`$]", "", heading)[:MOST_TITLE]


def places(notebook: Notebook, names: Mapping[str, Sequence[str]]) -> dict[str, tuple[int, ...]]:
    """The cell of each of an item's names: the last that defines the name or, for `name()`, the last that calls it.

    The source is searched for words, so that a cell that does not parse is found, too. A name that is nowhere gets the
    first cell found for the item; an item without any cell is left out.
    """
    sources = {index: source_of(cell) for index, cell in enumerate(notebook["cells"]) if is_code(cell)}
    places_of_items = {}
    for item, item_names in names.items():
        cells = [_last_cell(sources, name) for name in item_names]
        first = next((cell for cell in cells if cell is not None), None)
        if first is not None:
            places_of_items[item] = tuple(first if cell is None else cell for cell in cells)
    return places_of_items


def troubles(runs: Sequence[CellRun], cells: Sequence[Mapping[str, Any]], own: Collection[int]) -> dict[int, Trouble]:
    """Why each cell that stopped did not run to its end, by the cell's index, in words for the student."""
    trouble_of: dict[int, Trouble] = {}
    for run in runs:
        if run.status in _TROUBLES:
            error = without_file(run.error or "an error") if run.status is CellStatus.ERROR else ""
            missing = _UNDEFINED.fullmatch(error)
            after = _stopped_before(missing["name"], trouble_of, cells) if missing else None
            if missing and after is not None:
                message = (
                    f"Stopped: this cell needs {missing['name']}, and cell {after + 1} stopped before defining it."
                )
                trouble_of[run.index] = Trouble(message, after=after)
                continue
            place = place_of_error(cells, run.index, own) if error and run.index < len(cells) else None
            trouble_of[run.index] = Trouble(_TROUBLES[run.status].format(error), error, place)
    return trouble_of


def _stopped_before(name: str, stopped: Collection[int], cells: Sequence[Mapping[str, Any]]) -> int | None:
    """The last of the stopped cells that defines the name at its top level; None if there is none."""
    word = re.escape(name)
    defines = re.compile(
        rf"^(?:(?:[\w ,]*,[ \t]*)?{word}(?:[ \t]*,[\w ,]*)?[ \t]*=[^=]|(?:def|class)[ \t]+{word}\b)", re.M
    )
    sources = {index: source_of(cells[index])[:MOST_SOURCE] for index in stopped if index < len(cells)}
    return next((index for index, source in reversed(sources.items()) if defines.search(source)), None)


def _last_cell(sources: Mapping[int, str], name: str) -> int | None:
    owner, _, attribute = name.removesuffix(CALL).partition(".")
    definition = rf"^[ \t]*(?:(?:async[ \t]+)?def|class)[ \t]+{re.escape(owner)}\b"
    if name.endswith(CALL):
        pattern, excluded = rf"(?<![\w.]){re.escape(owner)}[ \t]*\(", rf"^[ \t]*(?:def|class)[ \t]+{re.escape(owner)}\b"
    else:
        pattern, excluded = rf"{definition}|^{re.escape(owner)}[ \t]*(?::[^=\n]*)?=[^=]", ""
    cells = [
        index
        for index, source in sources.items()
        if owner in source
        and re.search(pattern, source, re.MULTILINE)
        and not (excluded and re.search(excluded, source, re.MULTILINE))
        and (not attribute or re.search(rf"\b{re.escape(attribute)}\b", source))
    ]
    return cells[-1] if cells else None


@dataclass
class Budget:
    """How much may still be shown. Rendering all of it takes a few seconds at most, and the page opens on a phone."""

    picture_bytes: int = 6_000_000
    pictures: int = 500
    outputs: int = 3000
    text: int = 2_000_000  # characters of outputs, and of text that is not rendered
    coloured: int = 120_000  # characters of code
    markdown: int = 50_000  # characters that are rendered

    def take(self, kind: str, size: int = 1) -> bool:
        """Takes this much of the room for a kind; returns False, and takes nothing, if there is less."""
        room: int = getattr(self, kind)
        if size > room:
            return False
        setattr(self, kind, room - size)
        return True


def cells_html(notebook: Notebook) -> tuple[str, ...]:
    """A piece of safe HTML for each cell, in order; after the 400th, only a line that says so."""
    budget, cells = Budget(), notebook["cells"]
    pieces = [_cell_html(cell, budget) for cell in cells[:MOST_CELLS]]
    rest = _cut(f"the notebook has too many cells; the first {MOST_CELLS} are shown")
    return (*pieces, *[rest] * (len(cells) - len(pieces)))


def _cell_html(cell: Mapping[str, Any], budget: Budget) -> str:
    source = _CONTROL.sub("", source_of(cell))
    if cell["cell_type"] == "code":
        outputs = "".join(_outputs(cell, budget))
        code = f'<div class="source">{_code_html(source, budget)}</div>'
        if "jupyter" in cell.get("metadata", {}):  # folded in Colab or Jupyter, too
            summary = html.escape(_summary(source))
            code = f'<details class="folded"><summary>{summary}</summary>{code}</details>'
        return code + (f'<div class="outputs">{outputs}</div>' if outputs else "")
    attachments = cell.get("attachments")
    if cell["cell_type"] == "markdown":
        text = markdown_html(source, attachments if isinstance(attachments, dict) else {}, budget)
    else:
        text = _text_html(source, budget)
    return f'<div class="prose">{text}</div>'


def _summary(source: str) -> str:
    """The folded cell's own title, else its first line, and its number of lines."""
    lines = source.strip().splitlines() or [""]
    title = re.sub(r"^#\s*(@title)?\s*", "", lines[0])[:MOST_TITLE] or "A folded cell"
    return f"{title} ({len(lines)} lines)"


def _code_html(source: str, budget: Budget) -> str:
    """The code in colours, or plain if the highlighter could take long, as on long lines and gaps."""
    slow = len(source) > MOST_SOURCE or _LONG_LINE.search(source) or _LONG_GAP.search(f"\n{source}\n")
    if slow or not budget.take("coloured", len(source)):
        return f"<pre>{html.escape(source)}</pre>"
    from ipython_pygments_lexers import IPython3Lexer
    from pygments import highlight
    from pygments.formatters import HtmlFormatter

    return str(highlight(source, IPython3Lexer(stripnl=False), HtmlFormatter(classprefix="py-")))


def _outputs(cell: Mapping[str, Any], budget: Budget) -> Iterator[str]:
    """Pieces of HTML: text that is escaped and cut, PNG and JPEG pictures, and nothing else."""
    outputs = cell.get("outputs", ())
    for number, output in enumerate(outputs):
        if number >= MOST_OUTPUTS or not budget.take("outputs"):
            yield _cut(f"{len(outputs) - number:,} more outputs of this cell")
            return
        data = output.get("data") if isinstance(output.get("data"), dict) else {}
        if (picture := _picture(data, budget)) is not None:
            yield picture
        elif output.get("output_type") == "stream":
            yield _output_text(_joined(output.get("text")), budget)
        elif output.get("output_type") == "error":  # only the error itself: the report shows its line
            error = f"{_joined(output.get('ename'))}: {_joined(output.get('evalue'))}"
            yield f'<pre class="error">{_escaped(error[:1000])}</pre>'
        elif "text/plain" in data:
            yield _output_text(_joined(data["text/plain"]), budget)


def _picture(data: Mapping[str, Any], budget: Budget) -> str | None:
    for kind in IMAGES:
        if isinstance(content := data.get(kind), str | list):
            return _image_html(kind, _joined(content), "output of this cell", budget)
    return None


def _output_text(text: str, budget: Budget) -> str:
    if not text.strip():
        return ""
    if not budget.take("text", min(len(text), _LOOKED_AT * MOST_TEXT)):
        return _cut(f"an output of {len(text):,} characters; the notebook has shown too much above")
    return f"<pre>{_escaped(text)}</pre>"


def _escaped(text: str) -> str:
    """The text escaped, cut, without colours, and without paths of the machine on which the notebook ran."""
    lines = text[: _LOOKED_AT * MOST_TEXT].replace("\r\n", "\n").split("\n")
    # Of a line that a progress bar has redrawn many times, only the last version, as on a terminal.
    lines = [line.rstrip("\r").rpartition("\r")[2] for line in lines]
    clean = "\n".join(without_paths(line) for line in _ESCAPE.sub("", "\n".join(lines)).splitlines())
    is_cut = len(clean) > MOST_TEXT or len(text) > _LOOKED_AT * MOST_TEXT
    return html.escape(clean[:MOST_TEXT]) + (f"\n… cut: the output has {len(text):,} characters" if is_cut else "")


def _joined(value: Any) -> str:
    if isinstance(value, list):
        value = "".join(part for part in value if isinstance(part, str))
    return value if isinstance(value, str) else ""


def _text_html(text: str, budget: Budget) -> str:
    """The text, not rendered, and cut if it is long."""
    if not budget.take("text", min(len(text), MOST_SOURCE)):
        return _cut(f"a cell of {len(text):,} characters; the notebook has shown too much above")
    more = _cut(f"the cell has {len(text):,} characters") if len(text) > MOST_SOURCE else ""
    return f"<pre>{html.escape(text[:MOST_SOURCE])}</pre>{more}"


def _cut(reason: str) -> str:
    """A line of HTML that says what was left out here."""
    return f'<p class="left-out">cut: {html.escape(reason)}.</p>'


def _image_html(kind: str, content: str, alt: str, budget: Budget) -> str:
    """The picture of this kind, given as base64; empty if it is not one."""
    size = len(content) * 3 // 4
    if size > MOST_IMAGE + 100 or size > budget.picture_bytes or not budget.take("pictures"):
        return _cut("a picture; it is too large, or there are too many above")
    try:
        picture = base64.b64decode("".join(content.split()), validate=True)
    except (binascii.Error, ValueError):
        return ""
    if kind not in IMAGES or not picture.startswith((b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")):
        return ""
    budget.take("picture_bytes", size)
    address = f"data:{kind};base64,{base64.b64encode(picture).decode()}"
    return f'<img src="{address}" alt="{html.escape(alt[:300], quote=True)}">'


_TEXT_TAGS = frozenset(
    {"p", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "li", "em", "strong", "s", "code", "pre", "blockquote"}
    | {"hr", "br", "table", "thead", "tbody", "tr", "th", "td", "div", "img"}
)
_MATH_TAGS = frozenset(
    {"math", "menclose", "mfrac", "mi", "mn", "mo", "mover", "mpadded", "mphantom", "mroot", "mrow", "mspace", "msqrt"}
    | {"mstyle", "msub", "msubsup", "msup", "mtable", "mtd", "mtext", "mtr", "munder", "munderover"}
)
_MATH_ATTRIBUTES = frozenset(
    {"accent", "columnalign", "columnlines", "columnspacing", "depth", "display", "displaystyle", "fence", "form"}
    | {"height", "linebreak", "linethickness", "lspace", "mathbackground", "mathcolor", "mathsize", "mathvariant"}
    | {"maxsize", "minsize", "movablelimits", "notation", "rowlines", "rowspacing", "rspace", "scriptlevel"}
    | {"separator", "stretchy", "voffset", "width"}
)
_ATTRIBUTES = {"img": {"src", "alt"}, "div": {"class", "tabindex"}, **dict.fromkeys(_MATH_TAGS, _MATH_ATTRIBUTES)}
_ENTITY = re.compile(r"&amp;(#x[0-9A-Fa-f]{1,6};|[lg]t;)")
_OTHER_MATH = re.compile(
    r"\\\\\((?P<inline>.+?)\\\\\)|\\\\\[(?P<block>.+?)\\\\\]"
    r"|(?P<environment>\\begin\{(?P<name>[a-z]*\*?)\}.+?\\end\{(?P=name)\})",
    re.DOTALL,
)
_DATA_ADDRESS = re.compile(r"\(data:(image/(?:png|jpeg));base64,([A-Za-z0-9+/=]+)\)")


def markdown_html(text: str, attachments: Mapping[str, Any] | None = None, budget: Budget | None = None) -> str:
    """The Markdown as HTML with only a few tags; formulas as MathML, pictures only if they are in the text.

    HTML tags in the text are shown as text. A text that exceeds the budget is shown as it is written. Links become
    plain text, because the page loads and opens nothing.
    """
    budget = budget or Budget()
    text, pictures = _without_pictures(text)
    if len(text) > MOST_MARKDOWN or not budget.take("markdown", len(text)):
        return _text_html(text, budget)
    import nh3

    markdown, env = _renderer(), {"pictures": {**(attachments or {}), **pictures}, "budget": budget}
    try:
        tokens = markdown.parse(text, env)
        if len(tokens) > MOST_TOKENS:
            return _text_html(text, budget)
        rendered = markdown.renderer.render(tokens, markdown.options, env)
    except Exception:  # a text that the renderer fails on can still be read
        return f"<pre>{html.escape(text)}</pre>"
    return nh3.clean(
        rendered,
        tags=_TEXT_TAGS | _MATH_TAGS,
        attributes=_ATTRIBUTES,
        clean_content_tags=set(),
        url_schemes={"data"},
        link_rel=None,
    )


def _without_pictures(text: str) -> tuple[str, dict[str, dict[str, str]]]:
    """The text with its embedded pictures as attachments: to the renderer, they would be very long words."""
    pictures: dict[str, dict[str, str]] = {}

    def attached(address: re.Match[str]) -> str:
        name = f"within-{len(pictures)}"
        pictures[name] = {address[1]: address[2]}
        return f"(attachment:{name})"

    return _DATA_ADDRESS.sub(attached, text), pictures


@cache
def _renderer() -> MarkdownIt:
    """A renderer of Markdown as in Jupyter: CommonMark with tables and formulas, but without HTML."""
    from markdown_it import MarkdownIt
    from mdit_py_plugins.amsmath import amsmath_plugin
    from mdit_py_plugins.dollarmath import dollarmath_plugin

    def image(tokens: Sequence[Token], index: int, options: Any, env: Mapping[str, Any]) -> str:
        token = tokens[index]
        name = unquote(str(token.attrGet("src"))).removeprefix("attachment:")
        picture = env["pictures"].get(name, {})
        kind = next((kind for kind in IMAGES if kind in picture), "")
        piece = _image_html(kind, _joined(picture[kind]), token.content, env["budget"]) if kind else ""
        return piece or html.escape(token.content)

    renderer = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])
    renderer.use(dollarmath_plugin, allow_labels=False, double_inline=True).use(amsmath_plugin)
    renderer.inline.ruler.before("escape", "other_math", _other_math)
    rules = renderer.renderer.rules  # type: ignore[attr-defined]
    rules["image"] = image
    rules["math_inline"] = lambda tokens, index, *_: _formula_html(tokens[index].content, block=False)
    for name in ("math_inline_double", "math_block", "amsmath"):
        rules[name] = lambda tokens, index, *_: _formula_html(tokens[index].content, block=True)
    return renderer


def _other_math(state: StateInline, silent: bool) -> bool:
    """Parses the formulas that Jupyter allows without dollars: double backslashes with brackets, and environments."""
    if (match := _OTHER_MATH.match(state.src, state.pos)) is None:
        return False
    if not silent:
        token = state.push("math_inline" if match["inline"] else "math_inline_double", "math", 0)
        token.content = match["inline"] or match["block"] or match["environment"]
    state.pos = match.end()
    return True


def _formula_html(tex: str, *, block: bool) -> str:
    """The formula as MathML, which browsers draw by themselves; as code if it is too long or cannot be parsed."""
    from xml.etree.ElementTree import tostring

    from latex2mathml.converter import convert_to_element

    tex = tex.strip()
    formula = f"<code>{html.escape(tex[:MOST_FORMULA])}</code>"
    if len(tex) <= MOST_FORMULA:
        try:
            element = convert_to_element(tex, display="block" if block else "inline")
        except Exception:  # a student's formula may be anything
            pass
        else:  # it writes some characters as `&#x2212;`
            formula = _ENTITY.sub(r"&\1", tostring(element, encoding="unicode"))
    return f'<div class="formula" tabindex="0">{formula}</div>' if block else formula
