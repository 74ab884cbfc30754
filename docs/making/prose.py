"""`python -m docs.making.prose [FILE ...]`: runs the prose linter on all text of the project that people read.

proselint finds what is wrong in any English text; `phrases.yaml` beside this module lists phrases of this project that
readers stumbled over, each with a better one. Both read the Markdown pages, the pages' templates, the notebooks' text,
and in Python files the docstrings, comments, quoted texts and names of tests. Code is blanked out first, so that each
finding keeps its line.
"""

from __future__ import annotations

import io
import re
import subprocess
import sys
import tokenize
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import nbformat
import yaml
from proselint.checks import __register__ as PROSELINT
from proselint.registry import CheckRegistry
from proselint.tools import LintFile

from docs.making.reading import ROOT

PHRASES = Path(__file__).with_name("phrases.yaml")
TESTS = Path("tests/test_prose.py")  # full of such phrases
# proselint's other checks are matters of taste, or take code and figures for prose.
CHECKS = ("archaism", "lexical_illusions", "malapropisms", "needless_variants", "nonwords", "redundancy", "spelling")
_KINDS = frozenset({".md", ".py", ".j2", ".ipynb", ".yaml", ".js", ".css", ".sh", "Makefile"})
_FENCE = re.compile(r"^( *)(`{3,}|~{3,}).*?^\1\2`*~*$", re.M | re.S)
_NOT_PROSE = re.compile(r"`+[^`]*`+|\b[A-Za-z]\w*_\w*\b|\]\([^)]*\)|https?://\S+|<[^>\n]*>")
_FILLED = re.compile(r"\{\{.*?\}\}|\{%.*?%\}|<style.*?</style>|<script.*?</script>|<[^>]*>", re.S)
_PLACEHOLDER = re.compile(r"\{[^{}\n]*\}")
_QUOTES = re.compile(r"^[A-Za-z]{0,2}(\"\"\"|'''|\"|')(.*)\1$", re.S)
_STORED = re.compile(r"^.*# as stored$", re.M)  # marks a word that is stored in files of older versions
_SPACE = r"(?:[^\S\n]+\n?[^\S\n]*|\n[^\S\n]*)"  # also the end of a line, but not of a paragraph
_TEST = re.compile(r"^\s*(?:async )?def test_(\w+)", re.M)


@dataclass(frozen=True)
class Phrase:
    """A phrase of this project's list, as `phrases.yaml` has it."""

    avoid: re.Pattern[str]  # a space also matches the end of a line
    use: str
    example: str


@dataclass(frozen=True)
class Finding:
    """A phrase in a file."""

    path: Path
    line: int  # from 1
    words: str  # as in the file
    advice: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: “{self.words}”: {self.advice}"


@cache
def phrases() -> tuple[Phrase, ...]:
    """The project's own list."""
    entries = yaml.safe_load(PHRASES.read_text())
    return tuple(
        Phrase(re.compile(entry["avoid"].replace(" ", _SPACE), re.I), entry["use"], entry["example"])
        for entry in entries
    )


def findings(text: str, path: Path) -> Iterator[Finding]:
    """All findings in a file's text, in the order of their lines."""
    prose = prose_of(_blanked(text, _STORED), path)
    matches = [
        (m.start(), m.group(), f"write {phrase.use}") for phrase in phrases() for m in phrase.avoid.finditer(prose)
    ]
    if path.suffix == ".md":  # proselint expects paragraphs
        matches += list(_proselint(prose))
    for start, words, advice in sorted(matches):
        yield Finding(path, prose.count("\n", 0, start) + 1, " ".join(words.split()), advice)


def _proselint(prose: str) -> Iterator[tuple[int, str, str]]:
    registry = CheckRegistry()
    if not registry.checks:
        registry.register_many(PROSELINT)
    for result in LintFile("text", prose).lint({"checks": dict.fromkeys(CHECKS, True), "max_errors": 1000}):
        start, end = (place - 1 for place in result.check_result.span)  # proselint puts a line end before the text
        words = prose[max(start, 0) : end]
        if "\n\n" not in words:  # a heading and the paragraph below it are not one sentence
            yield max(start, 0), words, result.check_result.message


def prose_of(text: str, path: Path) -> str:
    """The text with all that is not prose blanked out; every line keeps its number."""
    if path.suffix == ".py":
        return _python(text, quoted="tests" not in path.parts)
    if path.suffix == ".j2":
        return _blanked(text, _FILLED)
    if path.suffix == ".ipynb":
        return _notebook(text)
    if path.suffix == ".md":
        return _blanked(_blanked(text, _FENCE), _NOT_PROSE, "·")  # keeps the words around code apart
    return _blanked(text, _NOT_PROSE)


def _blanked(text: str, pattern: re.Pattern[str], mark: str = " ") -> str:
    return pattern.sub(lambda match: re.sub(r"[^\n]", mark, match.group()), text)


def _python(text: str, quoted: bool) -> str:
    """Docstrings, comments and the names of tests; where `quoted`, also the texts in quotes that have a space."""
    lines = [[" "] * len(line) for line in text.split("\n")]
    beginning = True  # of a statement: a string there is a docstring
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            _place(lines, token.start, token.string.replace("#", " "))
        elif token.type in _STRINGS and (quoted or beginning):
            _place(lines, token.start, _content(token.string))
        if token.type not in _LAYOUT:
            beginning = False
        elif token.type != tokenize.COMMENT:
            beginning = True
    for match in _TEST.finditer(text):
        start = match.start(1)
        place = (text.count("\n", 0, start) + 1, start - text.rfind("\n", 0, start) - 1)
        _place(lines, place, match.group(1).replace("_", " "))
    return "\n".join("".join(line) for line in lines)


_STRINGS = {
    tokenize.STRING,
    getattr(tokenize, "FSTRING_MIDDLE", tokenize.STRING),
}  # f-strings are in parts from 3.12 on
_LAYOUT = {tokenize.NEWLINE, tokenize.NL, tokenize.INDENT, tokenize.DEDENT, tokenize.COMMENT, tokenize.ENCODING}


def _content(string: str) -> str:
    """A string without its quotes, placeholders and code, in its length; empty if it is a single word."""
    match = _QUOTES.match(string)
    text = match.group(2) if match else string
    if " " not in text.strip():
        return ""
    start = match.start(2) if match else 0
    return " " * start + _blanked(_blanked(text, _PLACEHOLDER), _NOT_PROSE)


def _place(lines: list[list[str]], start: tuple[int, int], text: str) -> None:
    row, column = start[0] - 1, start[1]
    for number, line in enumerate(text.split("\n")):
        offset = column if number == 0 else 0
        room = lines[row + number]
        room[offset : offset + len(line)] = line[: len(room) - offset]


def _notebook(text: str) -> str:
    """The cells of text and the comments of the code, one after the other: lines are counted over all cells."""
    cells = nbformat.reads(text, as_version=4).cells
    kinds = {"markdown": Path("cell.md"), "code": Path("cell.py")}
    prose = []
    for cell in cells:
        try:
            prose.append(prose_of(cell.source, kinds.get(cell.cell_type, Path("cell.md"))))
        except (tokenize.TokenError, IndentationError):  # a magic: no Python
            prose.append("\n" * cell.source.count("\n"))
    return "\n".join(prose)


def files() -> list[Path]:
    """Every file of the repository with text for people; not the list of phrases, its tests, or earlier templates."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True).stdout.split(
        "\n"
    )
    paths = [Path(line) for line in listed if line]
    left_out = {PHRASES.relative_to(ROOT), TESTS, *(path for path in paths if "earlier" in path.parts)}
    return [path for path in paths if (path.suffix or path.name) in _KINDS and path not in left_out]


def lint(paths: Iterable[Path]) -> list[Finding]:
    """The findings in files, named from the repository's root."""
    return [finding for path in paths for finding in findings((ROOT / path).read_text(), path)]


def main(arguments: Sequence[str]) -> int:
    """Prints one line per finding; returns 1 if there is any."""
    paths = [Path(name).resolve().relative_to(ROOT) for name in arguments] or files()
    lint_findings = lint(paths)
    for finding in lint_findings:
        print(finding)
    if lint_findings:
        print(f"{len(lint_findings)} phrases to reword; the list with its reasons: {PHRASES.relative_to(ROOT)}")
    return int(bool(lint_findings))


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
