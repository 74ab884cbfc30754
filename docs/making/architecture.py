"""`python -m docs.making.architecture`: draws `docs/architecture.svg`, the packages inside `grader` and their imports.

The rows are those of the contract "rooms" in pyproject.toml; the arrows are the imports in the code. Arrows that follow
from others are left out: if a imports b and b imports c, a may import c as well. The arrow from the sandbox to the
code in the box is always drawn.
"""

from __future__ import annotations

import ast
import html
import sys
import textwrap
import tomllib
from collections.abc import Collection, Mapping, Sequence

import grimp

from docs.making.reading import ROOT

PICTURE = ROOT / "docs" / "architecture.svg"
PACKAGE = ROOT / "grader"
IN_BOX, EXERCISES = "sandbox/in_box", "exercises"
WIDTH, MARGIN = 1080, 20
BOX_WIDTH, BOX_HEIGHT, ROW = 196, 62, 96  # pixels
PURPOSE_CHARACTERS, PURPOSE_LINES = 34, 2
Edge = tuple[str, str]  # importer, imported
STYLE = """
  .room { fill: #eef3f8; stroke: #4a6a86 }
  .exercise { fill: #fdf1e4; stroke: #b06a1b }
  .student { fill: #fbe6e6; stroke: #a83232 }
  path { fill: none; stroke: #52677a; stroke-width: 1.3; opacity: 0.6 } marker path { fill: #52677a; opacity: 1 }
  text { font: 12px sans-serif; fill: #26323d; text-anchor: middle } .name { font-weight: bold; font-size: 14px }
"""


def rows_of_rooms() -> list[list[str]]:
    """The packages row by row from the top: exercises above those that they import, code in the box at the bottom."""
    config = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    contract = next(contract for contract in config["contracts"] if contract["id"] == "rooms")
    rows = [[name.strip() for name in layer.split(":")] for layer in contract["layers"]]
    rows = [row for row in rows if row != ["__main__"]]
    next(row for row in rows if "rubric" in row).insert(0, EXERCISES)
    rows[-1].append(IN_BOX)
    return rows


def imports_between_rooms() -> set[Edge]:
    """The imports between packages, read from the code."""
    graph = grimp.build_graph("grader", exclude_type_checking_imports=True, cache_dir=None)
    modules = [module for module in graph.modules if "." in module and module != "grader.__main__"]
    edges = {(_room(a), _room(b)) for a in modules for b in graph.find_modules_directly_imported_by(a) if "." in b}
    return {(a, b) for a, b in edges if a != b}


def without_implied(edges: Collection[Edge]) -> set[Edge]:
    """The edges that do not follow from others; since the graph has no cycles, nothing is lost."""
    wall = set(edges) & {("sandbox", IN_BOX)}
    return wall | {edge for edge in edges if edge[1] not in _reached(edge[0], set(edges) - {edge})}


def draw(rows: Sequence[Sequence[str]], edges: Collection[Edge], purposes: Mapping[str, str]) -> str:
    """The picture as SVG; equal packages and edges give equal text."""
    places: dict[str, tuple[float, float]] = {}
    for number, row in reversed(list(enumerate(rows))):
        step = (WIDTH - 2 * MARGIN) / len(row)
        for position, room in enumerate(row):
            below = [places[b][0] for a, b in edges if a == room and b in places]
            alone = len(row) == 1 and below  # a single box in a row is placed above the packages that it imports
            x = sum(below) / len(below) if alone else MARGIN + step * (position + 0.5)
            places[room] = (x, MARGIN + number * ROW)
    height = 2 * MARGIN + (len(rows) - 1) * ROW + BOX_HEIGHT
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">',
        "<title>The packages inside grader, and their imports</title>",
        f"<style>{STYLE}</style>",
        '<defs><marker id="head" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0 8 4 0 8z"/></marker></defs>',
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        *(_box(room, place, purposes[room]) for room, place in places.items()),
        *(_arrow(places[a], places[b]) for a, b in sorted(edges)),  # drawn over the boxes, so that each can be followed
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def purpose(room: str) -> str:
    """The first words of the package's docstring, up to its first colon, semicolon or full stop."""
    path = PACKAGE / room / "__init__.py"
    text = ast.get_docstring(ast.parse((path if path.is_file() else path.parent.with_suffix(".py")).read_text())) or ""
    for end in ("\n\n", ":", ";", ". "):
        text = text.partition(end)[0]
    return " ".join(text.split()).rstrip(".")


def picture() -> str:
    """The picture of the current package."""
    rows = rows_of_rooms()
    return draw(rows, without_implied(imports_between_rooms()), {room: purpose(room) for row in rows for room in row})


def _room(module: str) -> str:
    name = module.split(".")[1]
    return IN_BOX if module.startswith("grader.sandbox.in_box") else name


def _reached(start: str, edges: Collection[Edge]) -> set[str]:
    reached: set[str] = set()
    waiting = [start]
    while waiting:
        room = waiting.pop()
        following = {b for a, b in edges if a == room} - reached
        reached |= following
        waiting += following
    return reached


def _arrow(importer: tuple[float, float], imported: tuple[float, float]) -> str:
    (x, y), (to_x, to_y) = importer, imported
    y += BOX_HEIGHT
    bend = max(24, (to_y - y) / 2)
    curve = f"M{x:g} {y:g} C{x:g} {y + bend:g} {to_x:g} {to_y - bend:g} {to_x:g} {to_y:g}"
    return f'<path d="{curve}" marker-end="url(#head)"/>'


def _box(room: str, place: tuple[float, float], words: str) -> str:
    x, y = place
    kind = {IN_BOX: "student", EXERCISES: "exercise"}.get(room, "room")
    wrapped = textwrap.wrap(words, PURPOSE_CHARACTERS, max_lines=PURPOSE_LINES, placeholder=" …")
    texts = [f'<text class="name" x="{x:g}" y="{y + 19:g}">{html.escape(room)}</text>']
    texts += [f'<text x="{x:g}" y="{y + 36 + 15 * n:g}">{html.escape(line)}</text>' for n, line in enumerate(wrapped)]
    left = x - BOX_WIDTH / 2
    box = f'<rect class="{kind}" x="{left:g}" y="{y:g}" width="{BOX_WIDTH}" height="{BOX_HEIGHT}" rx="6"/>'
    return "\n".join([box, *texts])


def main() -> int:
    """Writes the picture."""
    PICTURE.write_text(picture())
    print(PICTURE.relative_to(ROOT))
    return 0


if __name__ == "__main__":
    sys.exit(main())
