"""Finds similar solutions in a class, for staff to look at; similarity never changes points.

Regions are compared by winnowed fingerprints of their tokens (Schleimer, Wilkerson and Aiken, "Winnowing: Local
Algorithms for Document Fingerprinting", 2003), without names, comments, strings and layout, which are easy to
change. Code from the template, and code that many of a class share, is ignored. Two notebooks with the same code in
every cell are always a pair. Code is read, never run. The result is cached until a notebook changes.
"""

from __future__ import annotations

import ast
import hashlib
import io
import keyword
import tokenize
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, islice
from pathlib import Path

from pydantic import TypeAdapter

from grader.batch.manifest import Manifest
from grader.errors import GraderError
from grader.exercise import Exercise, implemented_names
from grader.notebook.format import is_code, load_notebook, source_of
from grader.notebook.read import read_submission
from grader.notebook.statements import read_code
from grader.records import Notebook, Rubric
from grader.store.json_files import read_cached, store_cached

NAME = "similar.json"
GRAM = 10  # tokens per fingerprint: one or two lines
WINDOW = 4  # neighbouring fingerprints of which one is kept
MAX_TOKENS = 5000  # per region; ten times the largest region of the reference
MAX_SOURCE = 40_000  # characters per region
LEAST_RARE = 8  # rare fingerprints that a pair must share; fewer may be common idioms
ALIKE = 0.7  # share of the shorter region's rare fingerprints that a pair must share
COMMON = 0.08  # share of the class: a fingerprint of more submissions is not rare
MOST_SHARE = 40  # submissions; the limit in large classes, since pairs grow with its square
SMALL = 12  # submissions; in a smaller class, 2 may share a rare fingerprint, not 3
MOST = 200  # pairs reported
WHOLE = ""  # the item of a pair of notebooks with the same code in every cell


@dataclass(frozen=True, slots=True)
class SimilarPair:
    """Two submissions whose solutions of one item are nearly the same."""

    first: str
    second: str
    item: str  # or WHOLE
    similarity: float  # in [0, 1]: the share of the shorter one's rare fingerprints that the other has
    sources: tuple[str, str]
    lines: tuple[frozenset[int], frozenset[int]]  # the lines of each that the other has too, from 0


_PAIRS: TypeAdapter[list[SimilarPair]] = TypeAdapter(list[SimilarPair])


@dataclass(frozen=True, slots=True)
class _TokenizedRegion:
    source: str
    lines: Sequence[int]  # of its tokens
    fingerprints: Mapping[int, Sequence[int]]  # by fingerprint: the tokens at which it begins


def similar_work(out: Path, manifest: Manifest, rubric: Rubric, exercise: Exercise) -> list[SimilarPair]:
    """The pairs of similar submissions; unreadable notebooks are left out."""
    digest = hashlib.sha256(Path(__file__).read_bytes())
    for submission in manifest.handed_in:
        try:
            status = submission.path.stat()
        except OSError:
            continue
        digest.update(f"{submission.key}\0{status.st_size}\0{status.st_mtime_ns}\0".encode("utf-8", "surrogateescape"))
    made_of = {"submissions": digest.hexdigest()}
    if (cached := read_cached(out / NAME, _PAIRS, made_of)) is not None:
        return cached
    names = {
        item: [
            ".".join(rubric.interface.names.get(piece, piece) for piece in name.split(".")) for name in names_of_item
        ]
        for item, names_of_item in implemented_names(exercise).items()
    }
    template = asked_source(load_notebook(manifest.rubric.parent / rubric.template), names)
    sources: dict[str, dict[str, str]] = {}  # the only code kept in memory
    checksums: dict[str, str] = {}
    limits = rubric.limits
    for submission in manifest.handed_in:
        try:
            if not submission.refused:
                readable = read_submission(submission.path, max_mb=limits.notebook_mb, max_cells=limits.cells)
                own_source = asked_source(readable.notebook, names)
                sources[submission.key] = own_source
                if own_source != template:
                    checksums[submission.key] = _checksum(readable.notebook)
        except GraderError:
            continue
    same = same_notebooks(checksums)
    are_same = {(pair.first, pair.second) for pair in same}
    others = [pair for pair in similar_pairs(sources, template) if (pair.first, pair.second) not in are_same]
    pairs = [*same, *others][:MOST]
    store_cached(out / NAME, _PAIRS, pairs, made_of)
    return pairs


def same_notebooks(checksums: Mapping[str, str]) -> list[SimilarPair]:
    """The pairs of submissions with the same checksum: even in a small class, that is not a coincidence."""
    keys_with: dict[str, list[str]] = defaultdict(list)
    for key in sorted(checksums):
        keys_with[checksums[key]].append(key)
    nothing: frozenset[int] = frozenset()
    all_pairs = (pair for keys in keys_with.values() for pair in combinations(keys, 2))
    return [SimilarPair(*pair, WHOLE, 1.0, ("", ""), (nothing, nothing)) for pair in islice(all_pairs, MOST)]


def _checksum(notebook: Notebook) -> str:
    """The SHA-256 of the code of all cells, without outputs."""
    sources = "\0".join(source_of(cell).strip() for cell in filter(is_code, notebook["cells"]))
    return hashlib.sha256(sources.encode("utf-8", "surrogatepass")).hexdigest()


def most_sharing(count: int) -> int:
    """The largest number of submissions that may share a rare fingerprint, in a class of `count`.

    In a class of four, code that three share is probably what everyone writes, so 3 may share it only from 12 on.

    >>> most_sharing(4), most_sharing(12), most_sharing(100), most_sharing(1000)
    (2, 3, 8, 40)
    """
    return max(3 if count >= SMALL else 2, min(MOST_SHARE, int(COMMON * count)))


def asked_source(notebook: Notebook, implements: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Item -> the source of the item's names in the notebook, `Class.method` for a method; the last one counts."""
    asked_names = {name for names in implements.values() for name in names}
    owners = {name.partition(".")[0] for name in asked_names}
    defined: dict[str, str] = {}
    for cell in filter(is_code, notebook["cells"]):
        source = source_of(cell)
        if not any(owner in source for owner in owners):
            continue
        code = read_code(source)
        for statement in code.statements or ():
            if statement.kind in {"class", "function"}:
                defined |= dict.fromkeys(statement.binds & owners, code.text_of(statement))
    pieces = {name: defined.get(name, "") for name in asked_names if "." not in name}
    for owner in owners:
        methods = {name.partition(".")[2] for name in asked_names if name.startswith(f"{owner}.")}
        sources = _methods(defined.get(owner, ""), methods) if methods else {}
        pieces |= {f"{owner}.{method}": source for method, source in sources.items()}
    return {item: "\n".join(filter(None, map(pieces.get, names)))[:MAX_SOURCE] for item, names in implements.items()}


def similar_pairs(sources: Mapping[str, Mapping[str, str]], template: Mapping[str, str]) -> list[SimilarPair]:
    """The pairs of similar solutions, most similar first.

    `sources` has the result of `asked_source` for each submission, `template` its result for the template.
    """
    pairs: list[SimilarPair] = []
    for item, source in template.items():
        regions = {key: _region(source_of_item[item]) for key, source_of_item in sources.items()}
        pairs += _pairs(item, regions, set(_region(source).fingerprints))
    return sorted(pairs, key=lambda pair: (-pair.similarity, pair.first, pair.second, pair.item))[:MOST]


def _pairs(
    item: str, regions: Mapping[str, _TokenizedRegion], template_fingerprints: set[int]
) -> Iterator[SimilarPair]:
    users = Counter(fingerprint for region in regions.values() for fingerprint in region.fingerprints)
    most = most_sharing(len(regions))
    rare = {
        key: {
            fingerprint
            for fingerprint in region.fingerprints
            if fingerprint not in template_fingerprints and users[fingerprint] <= most
        }
        for key, region in regions.items()
    }
    keys_with: dict[int, list[str]] = defaultdict(list)
    for key in sorted(rare):
        for fingerprint in rare[key]:
            keys_with[fingerprint].append(key)
    shared = Counter(pair for keys in keys_with.values() for pair in combinations(keys, 2))
    for (first, second), count in shared.items():
        least = min(len(rare[first]), len(rare[second]))
        if count >= LEAST_RARE and count / least >= ALIKE:
            both = rare[first] & rare[second]
            yield SimilarPair(
                first,
                second,
                item,
                round(count / least, 3),
                (regions[first].source, regions[second].source),
                (_lines(regions[first], both), _lines(regions[second], both)),
            )


def _lines(region: _TokenizedRegion, fingerprints: set[int]) -> frozenset[int]:
    starts = (at for fingerprint in fingerprints for at in region.fingerprints[fingerprint])
    return frozenset(line for at in starts for line in region.lines[at : at + GRAM])


def _methods(source: str, names: Collection[str]) -> dict[str, str]:
    """The sources of a class's methods with these names; empty if it cannot be parsed."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return {}
    lines, sources = source.split("\n"), dict[str, str]()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.name in names and node.name not in sources:
            sources[node.name] = "\n".join(lines[node.lineno - 1 : node.end_lineno])
    return sources


def _region(source: str) -> _TokenizedRegion:
    tokens = list(_tokens(source))
    grams = [(_hash(" ".join(text for text, _ in tokens[at : at + GRAM])), at) for at in range(len(tokens) - GRAM + 1)]
    fingerprints: dict[int, list[int]] = {}
    for start in range(max(1, len(grams) - WINDOW + 1)) if grams else ():
        fingerprint, at = min(grams[start : start + WINDOW])
        starts = fingerprints.setdefault(fingerprint, [])
        if not starts or starts[-1] != at:  # neighbouring windows often choose the same one
            starts.append(at)
    return _TokenizedRegion(source, [line for _, line in tokens], fingerprints)


def _tokens(source: str) -> Iterator[tuple[str, int]]:
    """Tokens with their lines, from 0, with placeholders for names and strings; stops at the first error."""
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
