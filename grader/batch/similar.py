"""Near-identical solutions among a class: for a person to look at, never a verdict.

Regions are compared by winnowed fingerprints of their tokens (Schleimer, Wilkerson and Aiken, "Winnowing: Local
Algorithms for Document Fingerprinting", 2003), without names, comments, strings and layout, which are what a copier
changes. What the template holds, and what many of a class share, counts for nothing. Code is read and never run.
"""

from __future__ import annotations

import ast
import hashlib
import io
import keyword
import tokenize
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from grader.notebook.format import is_code, source_of
from grader.notebook.statements import read_code
from grader.records import Notebook

GRAM = 10  # tokens in one fingerprint: a line or two
WINDOW = 4  # of neighbouring fingerprints, one is kept
MAX_TOKENS = 20_000  # of a region
MAX_SOURCE = 200_000  # characters of a region
LEAST_RARE = 8  # fingerprints that hardly anybody else has: shorter regions are idioms
ALIKE = 0.7  # of the shorter region's rare fingerprints
COMMON = 0.08  # of the class: what more have is how one writes it
MOST_SHARE = 40  # however large the class: pairs grow with the square of it
MOST = 200  # pairs told


@dataclass(frozen=True, slots=True)
class Alike:
    """Two submissions whose solutions of one item are nearly the same."""

    first: str
    second: str
    item: str
    similarity: float  # in [0, 1]: the share of the shorter one's rare fingerprints that the other has
    sources: tuple[str, str]
    lines: tuple[frozenset[int], frozenset[int]]  # which lines of each the other has, from 0


@dataclass(frozen=True, slots=True)
class _Region:
    source: str
    marks: Mapping[int, frozenset[int]]  # fingerprint -> its lines


def alike(notebooks: Mapping[str, Notebook], template: Notebook, asks_for: Mapping[str, Sequence[str]]) -> list[Alike]:
    """The pairs that a person should look at, most alike first; `asks_for` are the names that each item asks for."""
    found: list[Alike] = []
    for item, names in asks_for.items():
        given = _region(template, names).marks
        regions = {key: _region(notebook, names) for key, notebook in notebooks.items()}
        found += _pairs(item, regions, set(given))
    return sorted(found, key=lambda pair: (-pair.similarity, pair.first, pair.second, pair.item))[:MOST]


def _pairs(item: str, regions: Mapping[str, _Region], given: set[int]) -> Iterator[Alike]:
    users = Counter(mark for region in regions.values() for mark in region.marks)
    most = max(3, min(MOST_SHARE, int(COMMON * len(regions))))
    rare = {
        key: {mark for mark in region.marks if mark not in given and users[mark] <= most}
        for key, region in regions.items()
    }
    having: dict[int, list[str]] = defaultdict(list)
    for key in sorted(rare):
        for mark in rare[key]:
            having[mark].append(key)
    shared = Counter(pair for keys in having.values() for pair in combinations(keys, 2))
    for (first, second), count in shared.items():
        least = min(len(rare[first]), len(rare[second]))
        if count >= LEAST_RARE and count / least >= ALIKE:
            both = rare[first] & rare[second]
            yield Alike(
                first,
                second,
                item,
                round(count / least, 3),
                (regions[first].source, regions[second].source),
                (_lines(regions[first], both), _lines(regions[second], both)),
            )


def _lines(region: _Region, marks: set[int]) -> frozenset[int]:
    return frozenset(line for mark in marks for line in region.marks[mark])


def _region(notebook: Notebook, names: Sequence[str]) -> _Region:
    """What a notebook defines under these names, `Class.method` for a method; the last definition counts."""
    pieces: dict[str, str] = {}
    for cell in filter(is_code, notebook["cells"]):
        source = source_of(cell)
        if len(source) > MAX_SOURCE or not any(name.partition(".")[0] in source for name in names):
            continue
        code = read_code(source)
        lines = code.source.split("\n")
        for statement in code.statements or ():
            text = "\n".join(lines[statement.start : statement.stop])
            for name in names:
                owner, _, method = name.partition(".")
                if statement.kind in {"class", "function"} and owner in statement.binds:
                    pieces[name] = _method(text, method) if method else text
    source = "\n".join(pieces[name] for name in names if name in pieces)[:MAX_SOURCE]
    return _Region(source, _fingerprints(source))


def _method(source: str, name: str) -> str:
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.name == name:
            return ast.get_source_segment(source, node, padded=True) or ""
    return ""


def _fingerprints(source: str) -> dict[int, frozenset[int]]:
    tokens = list(_tokens(source))
    grams = [(_hash(" ".join(text for text, _ in tokens[at : at + GRAM])), at) for at in range(len(tokens) - GRAM + 1)]
    kept: dict[int, frozenset[int]] = {}
    for start in range(max(1, len(grams) - WINDOW + 1)) if grams else ():
        mark, at = min(grams[start : start + WINDOW])
        kept[mark] = kept.get(mark, frozenset()) | {line for _, line in tokens[at : at + GRAM]}
    return kept


def _tokens(source: str) -> Iterator[tuple[str, int]]:
    """Tokens with their lines, without what a copier changes; what cannot be read ends them."""
    after_dot, count = False, 0
    try:
        for token in tokenize.generate_tokens(io.StringIO(source).readline):
            if count >= MAX_TOKENS:
                return
            text = {
                tokenize.NAME: token.string if after_dot or keyword.iskeyword(token.string) else "name",
                tokenize.NUMBER: token.string,
                tokenize.OP: token.string,
                tokenize.STRING: "text",
            }.get(token.type)
            after_dot = token.string == "."
            if text is not None:
                count += 1
                yield text, token.start[0] - 1
    except (tokenize.TokenError, SyntaxError, ValueError, RecursionError):
        return


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest())
