"""Reads a code cell without running it: its top-level statements, and the names that they bind and call.

The source may be hostile or broken: reading is bounded and never raises. If a cell is not Python, or too long to
parse, `statements` is None, and its names are guessed from the beginnings of its lines. IPython's magics and shell
lines are understood as far as necessary. Only names and checksums of the syntax tree are kept, because a tree takes
hundreds of bytes per name.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import re
import threading
import warnings
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field

from grader.notebook.format import normalise

MAX_PARSED_CHARS = 100_000  # one cell
# Reading costs up to 60 us a statement and 12 us a node of its syntax tree. The reference has 112 and 8,485.
MAX_STATEMENTS = 20_000  # at the top level of a notebook's cells
MAX_NODES = 200_000  # of the syntax trees of a notebook's cells
_KEPT_SIZE = 4 * (MAX_STATEMENTS + MAX_NODES)  # statements and nodes of the codes in the cache
_HARMLESS_CELL_MAGICS = ("%%time", "%%capture", "%%prun")  # they run the cell in the notebook's own namespace
_MAGIC_LINE = re.compile(r"^([ \t]*)([%!?].*)$")
_HELP_LINE = re.compile(r"^([ \t]*)([\w.]+\?{1,2})[ \t]*$")
_MAGIC_VALUE = re.compile(r"^([^=]*=[ \t]*)([!%].*)$")
_LINE_DEFINES = re.compile(r"^(?:class|def)[ \t]+(\w+)|^(\w+)[ \t]*=(?!=)", re.MULTILINE)
_LINE_CALLS = re.compile(r"^(?:\w+[ \t]*=[ \t]*)?(\w+)\(", re.MULTILINE)
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


@dataclass(frozen=True, slots=True)
class Statement:
    """One top-level statement; equal `key`s mean the same code up to comments, docstrings and layout."""

    key: str
    start: int  # first line, 0-based
    stop: int  # one past the last line
    binds: frozenset[str]
    calls: frozenset[str]  # plain names called when the cell runs, not inside a function's body
    reads: frozenset[str]  # global names used anywhere in it, also inside a function's body
    changes: frozenset[str]  # names of which an item or attribute is assigned
    imports: frozenset[tuple[str, str]]  # (name bound, what it stands for) of each import in it
    kind: str  # class | function | import | other
    value: str | None  # the right-hand side of `NAME = ...`


@dataclass(frozen=True, slots=True)
class Code:
    """A code cell's normalised source, and the statements and names read from it."""

    source: str
    statements: tuple[Statement, ...] | None  # None: not Python, or not parsable
    binds: frozenset[str]
    calls: frozenset[str]
    count: int = 0  # its top-level statements, also if they are too many to be read
    nodes: int = 0  # nodes of its syntax tree; 0 if the code cannot be parsed

    @property
    def keys(self) -> tuple[str, ...] | None:
        """The keys of the statements in order; equal for cells that mean the same; None if `statements` is None."""
        return None if self.statements is None else tuple(s.key for s in self.statements)

    def text_of(self, statement: Statement) -> str:
        """The lines of one of its statements."""
        return "\n".join(_lines(self.source)[statement.start : statement.stop])

    def means_same_as(self, other: Code) -> bool:
        """Whether the two differ at most in comments, docstrings, blank lines and formatting."""
        return self.source == other.source or (self.keys is not None and self.keys == other.keys)


@functools.lru_cache(maxsize=4)  # statements of the same source are read one after another
def _lines(source: str) -> list[str]:
    return source.split("\n")


@dataclass
class _CodeCache:
    """The codes that were read last: matching, restoring and planning read the same cells."""

    codes: OrderedDict[str, Code] = field(default_factory=OrderedDict)
    size: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def get(self, source: str) -> Code | None:
        with self.lock:
            if (code := self.codes.get(source)) is not None:
                self.codes.move_to_end(source)
            return code

    def put(self, source: str, code: Code) -> None:
        with self.lock:
            if source not in self.codes:
                self.codes[source] = code
                self.size += _size(code)
            while self.size > _KEPT_SIZE and len(self.codes) > 1:
                self.size -= _size(self.codes.popitem(last=False)[1])


_CODES = _CodeCache()


def read_code(source: str) -> Code:
    """The cell's statements and names; nothing is run and nothing is raised."""
    if (code := _CODES.get(source)) is None:
        code = _read(normalise(source))
        _CODES.put(source, code)
    return code


def _size(code: Code) -> int:
    return 1 + len(code.source) // 10 + code.count + code.nodes


def _read(source: str) -> Code:
    python = _without_cell_magic(source)
    if python is None:
        return Code(source, None, frozenset(), frozenset())
    count = nodes = 0
    if len(python) <= MAX_PARSED_CHARS:
        for text in dict.fromkeys((python, _without_magics(python))):
            try:
                tree = _tree(text)
                count = len(tree.body)
                nodes = _strip_docstrings(tree) if count <= MAX_STATEMENTS else 0
                if count > MAX_STATEMENTS or nodes > MAX_NODES:  # more than a whole notebook may have
                    break
                statements = tuple(_statements(tree))
            except (SyntaxError, ValueError, RecursionError, MemoryError):
                continue
            binds = frozenset[str]().union(*(s.binds for s in statements))
            calls = frozenset[str]().union(*(s.calls for s in statements))
            return Code(source, statements, binds, calls, count, nodes)
    head = python[:MAX_PARSED_CHARS]
    names = frozenset(name for pair in _LINE_DEFINES.findall(head) for name in pair if name)
    return Code(source, None, names, frozenset(_LINE_CALLS.findall(head)), count, nodes)


def definitions_of(source: str) -> str:
    """Returns the parts of a cell that can be run without the rest: imports, functions, classes and plain values.

    Empty if there are none, or if the cell cannot be parsed.
    """
    python = _without_cell_magic(normalise(source))
    if python is None or len(python) > MAX_PARSED_CHARS:
        return ""
    for text in (python, _without_magics(python)):
        try:
            definitions = [node for node in _tree(text).body if _kind(node) != "other" or _is_plain(node)]
            return "\n".join(ast.unparse(node) for node in definitions)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
    return ""


def _is_plain(node: ast.stmt) -> bool:
    """Whether the statement assigns a number, a text, or a list or dictionary of them to a name."""
    if not isinstance(node, ast.Assign | ast.AnnAssign) or node.value is None:
        return False
    try:
        ast.literal_eval(node.value)
    except (ValueError, TypeError, RecursionError, MemoryError):
        return False
    return True


def _without_cell_magic(source: str) -> str | None:
    """The source with a harmless cell magic blanked out; None if another magic makes it another language."""
    lines = source.split("\n")
    for number, line in enumerate(lines):
        if line.startswith("%%"):
            if line.split()[0] not in _HARMLESS_CELL_MAGICS:
                return None
            lines[number] = ""
            return "\n".join(lines)
        if line.strip():
            break
    return source


def _without_magics(source: str) -> str:
    """The source with magics and shell lines as strings: it can be parsed, and a changed magic is still a change."""
    lines = []
    is_continued = False
    for line in source.split("\n"):
        match = _MAGIC_LINE.match(line) or _HELP_LINE.match(line) or _MAGIC_VALUE.match(line)
        if is_continued or not match:
            lines.append("" if is_continued else line)
        else:
            lines.append(match[1] + repr(match[2]))
        is_continued = (is_continued or bool(match)) and line.endswith("\\")
    return "\n".join(lines)


def _tree(python: str) -> ast.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # student code may have invalid escapes
        return ast.parse(python)


def _statements(tree: ast.Module) -> Iterator[Statement]:
    sets: dict[frozenset[str], frozenset[str]] = {}

    def shared(names: frozenset[str]) -> frozenset[str]:
        return sets.setdefault(names, names)  # thousands of statements use the same few names

    for node in tree.body:
        first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", []))])
        names = list(_names(node))
        reads, changes, imports = _uses(node)
        yield Statement(
            key=hashlib.sha256(ast.dump(node).encode("utf-8", "replace")).hexdigest(),
            start=first - 1,
            stop=node.end_lineno or node.lineno,
            binds=shared(frozenset(name for name, is_bound in names if is_bound)),
            calls=shared(frozenset(name for name, is_bound in names if not is_bound)),
            reads=shared(reads),
            changes=shared(changes),
            imports=imports,
            kind=_kind(node),
            value=_value(node),
        )


def _strip_docstrings(tree: ast.Module) -> int:
    """Removes the docstrings and returns the number of nodes; stops above `MAX_NODES`: such a tree is not used."""
    nodes = 0
    for node in ast.walk(tree):
        nodes += 1
        if nodes > MAX_NODES:
            break
        if isinstance(node, _DEFINITIONS) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    return nodes


def _names(statement: ast.stmt) -> Iterator[tuple[str, bool]]:
    """Pairs (name, True when bound, False when called) of what runs at the top level."""
    todo: list[tuple[ast.AST, bool]] = [(statement, True)]
    while todo:
        node, binding = todo.pop()
        if isinstance(node, _DEFINITIONS):
            yield node.name, True
            continue
        if isinstance(node, ast.Lambda):
            continue
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from ((alias.asname or alias.name.split(".")[0], True) for alias in node.names)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and binding:
            yield node.id, True
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            yield node.func.id, False
        binding = binding and not isinstance(node, ast.comprehension)
        todo.extend((child, binding) for child in ast.iter_child_nodes(node))


def _uses(statement: ast.stmt) -> tuple[frozenset[str], frozenset[str], frozenset[tuple[str, str]]]:
    """Returns the names that the statement reads, changes and imports, in one walk."""
    reads: set[str] = set()
    changes: set[str] = set()
    imports: set[tuple[str, str]] = set()
    # A function's own names are not global; a function inside another counts as part of it.
    todo: list[tuple[ast.AST, frozenset[str] | None]] = [(statement, None)]
    while todo:
        node, local = todo.pop()
        if isinstance(node, ast.Name):
            if isinstance(node.ctx, ast.Load) and not (local and node.id in local):
                reads.add(node.id)
            continue
        if isinstance(node, ast.Attribute | ast.Subscript) and not isinstance(node.ctx, ast.Load):
            base: ast.AST = node
            while isinstance(base, ast.Attribute | ast.Subscript):
                base = base.value
            if isinstance(base, ast.Name):
                changes.add(base.id)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            imports.update(_imports(node))
        elif local is None and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            local = frozenset(_own_names(node))
        todo.extend((child, local) for child in ast.iter_child_nodes(node))
    return frozenset(reads), frozenset(changes), frozenset(imports)


def _own_names(function: ast.AST) -> Iterator[str]:
    for node in ast.walk(function):
        if isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id


def _imports(node: ast.Import | ast.ImportFrom) -> Iterator[tuple[str, str]]:
    if isinstance(node, ast.ImportFrom):
        origin = "." * node.level + (node.module or "")
        yield from ((alias.asname or alias.name, f"{origin}.{alias.name}") for alias in node.names)
        return
    for alias in node.names:  # `import a.b` binds `a` itself, whatever follows the dot
        whole = alias.name if alias.asname else alias.name.split(".")[0]
        yield alias.asname or whole, whole


def _kind(node: ast.stmt) -> str:
    if isinstance(node, ast.ClassDef):
        return "class"
    if isinstance(node, ast.Import | ast.ImportFrom):
        return "import"
    return "function" if isinstance(node, _DEFINITIONS) else "other"


def _value(node: ast.stmt) -> str | None:
    if isinstance(node, ast.Assign) and len(node.targets) == 1:
        target, value = node.targets[0], node.value
    elif isinstance(node, ast.AnnAssign) and node.value is not None:
        target, value = node.target, node.value
    else:
        return None
    return ast.unparse(value) if isinstance(target, ast.Name) else None
