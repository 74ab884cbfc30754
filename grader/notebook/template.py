"""Makes the student template from the reference notebook: solutions become TODOs, and outputs are removed.

`python -m grader.notebook.template REFERENCE TEMPLATE [--check]` writes the template, or with `--check` says
whether the one on disk is stale. Refuses to make a template that leaks a line of the solution.

`--notebook-url URL` puts an "Open in Colab" badge for this address at the top of the template; `--notebook-url ""`
removes it. Without the option, the template on disk keeps its badge, or has none.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from grader.errors import GraderError, one_line
from grader.notebook.format import cell_title, checksum, dump_notebook, is_code, load_notebook, normalise, source_of
from grader.notebook.roles import CODE, PROVIDED, Role, grader_metadata
from grader.notebook.solution_regions import Region, solution_regions
from grader.notebook.statements import read_code
from grader.records import Notebook
from grader.store.files import write_atomically

UNWRITTEN = "NotImplementedError"  # what the functions of a template raise
_LEAK_CHARS = 20  # a solution line longer than this in the template is no coincidence
# Storing an argument under its own name solves nothing, and provided cells do the same.
_BOILERPLATE = re.compile(r"self\.(\w+) = \1")
COLAB = "https://colab.research.google.com/"
BADGE = f"{COLAB}assets/colab-badge.svg"
_GITHUB = "https://github.com/"
_ADDRESS = re.compile(r"https://[\w.~%/#?=&+:@-]+")
_BADGE = re.compile(rf"\[!\[Open in Colab\]\({re.escape(BADGE)}\)\]\((?P<url>[^)\s]+)\)\n\n")
_FOLDED = ("cellView", "jupyter")  # with these keys, Colab and Jupyter show a long provided cell as one line
_METADATA: Mapping[str, Any] = {
    "accelerator": "GPU",
    "colab": {"provenance": []},
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def make_template(reference: Notebook, colab_url: str = "") -> Notebook:
    """The notebook that students start from: every solution region is a TODO, and there are no outputs.

    Its first text cell begins with a badge that opens `colab_url`, if there is one.

    Raises:
        GraderError: malformed markers, a code cell without role or id, or a solution that would leak.
    """
    cells: Sequence[Mapping[str, Any]] = reference["cells"]
    regions = solution_regions(reference)
    template_cells = []
    for index, cell in enumerate(cells):
        own_regions = {name: region for name, region in regions.items() if region.cell == index}
        source = normalise(_with_todos(source_of(cell), own_regions, cell_title(cells, index)))
        template_cells.append(_template_cell(index, cell, source, has_regions=bool(own_regions)))
    if colab_url:
        _add_badge(template_cells, colab_url)
    template = {"cells": template_cells, "metadata": dict(_METADATA), "nbformat": 4, "nbformat_minor": 5}
    _refuse_leaks(template_cells, regions)
    return template


def colab_address(url: str) -> str:
    """The address at which Colab opens the notebook at `url`, which is on GitHub or in Colab.

    >>> colab_address("https://github.com/course/vae/blob/main/vae_mnist.ipynb")
    'https://colab.research.google.com/github/course/vae/blob/main/vae_mnist.ipynb'

    Raises:
        GraderError: any other address.
    """
    if _ADDRESS.fullmatch(url) and url.startswith(COLAB):
        return url
    if _ADDRESS.fullmatch(url) and url.startswith(_GITHUB) and "/blob/" in url and url.endswith(".ipynb"):
        return f"{COLAB}github/{url.removeprefix(_GITHUB)}"
    raise GraderError(
        f"--notebook-url: expected {_GITHUB}OWNER/REPOSITORY/blob/BRANCH/NAME.ipynb or an address that begins with "
        f"{COLAB}, got {one_line(url)!r}"
    )


def _add_badge(cells: list[dict[str, Any]], colab_url: str) -> None:
    first = next((cell for cell in cells if not is_code(cell)), None)
    if first is None:
        raise GraderError("--notebook-url: the reference has no text cell for the badge; add one at the top")
    first["source"] = f"[![Open in Colab]({BADGE})]({colab_url})\n\n{first['source']}"


def _badge_address(template: Path) -> str:
    """The address that the badge of the template on disk opens; empty if it has none."""
    if not template.is_file():
        return ""
    first = next((source_of(cell) for cell in load_notebook(template)["cells"] if not is_code(cell)), "")
    badge = _BADGE.match(first)
    return badge["url"] if badge else ""


def _with_todos(source: str, regions: Mapping[str, Region], title: str) -> str:
    lines = source.split("\n")
    for name, region in reversed(list(regions.items())):
        message = f"{name} is not implemented yet: see '{title}'"
        todo = [
            f"# TODO {name}: replace the next line with your code",
            f"raise {UNWRITTEN}({json.dumps(message, ensure_ascii=False)})",
        ]
        lines[region.start : region.end + 1] = [region.indent + line for line in todo]
    return "\n".join(lines)


def _template_cell(index: int, cell: Mapping[str, Any], source: str, *, has_regions: bool) -> dict[str, Any]:
    where = f"cell {index + 1}"
    marks = dict(grader_metadata(cell))
    if not cell.get("id"):
        raise GraderError(f"{where}: expected a cell id, got none; save the reference as nbformat 4.5")
    template_cell: dict[str, Any] = {"cell_type": cell["cell_type"], "id": cell["id"], "source": source}
    if is_code(cell):
        role = marks.get("role")
        if role not in CODE:
            raise GraderError(f"{where}: expected metadata.grader.role in {', '.join(CODE)}; got {role!r}")
        if has_regions and role != Role.TASK:
            raise GraderError(
                f"{where}: only cells of role 'task' hold solution regions, got {role!r}; make its role 'task'"
            )
        if role == Role.TASK and not has_regions:
            raise GraderError(
                f"{where}: a cell of role 'task' needs a solution region, got none; "
                "put its solution between '# BEGIN SOLUTION name' and '# END SOLUTION'"
            )
        if role == Role.TRAIN and not (isinstance(marks.get("part"), str) and marks["part"]):
            raise GraderError(
                f"{where}: a cell of role 'train' needs metadata.grader.part, one of the exercise's parts, "
                f"got {marks.get('part')!r}"
            )
        if read_code(source).statements is None:
            raise GraderError(f"{where}: does not parse once its solution is taken out; move the markers")
        marks["id"] = cell["id"]
        marks.pop("files", None)  # see `included`; the text itself is here
        # Names that only the solution defines: without them, the student's cell could not be recognised.
        names = read_code(source_of(cell)).binds - read_code(source).binds
        if names:
            marks["names"] = sorted(names)
        if role in PROVIDED:
            marks["sha256"] = checksum(source)  # nothing reads it; without it the templates would have other bytes
        template_cell |= {"execution_count": None, "outputs": []}
    template_cell["metadata"] = {key: value for key, value in cell.get("metadata", {}).items() if key in _FOLDED}
    template_cell["metadata"] |= {"grader": marks} if marks else {}
    return template_cell


def _refuse_leaks(cells: Sequence[Mapping[str, Any]], regions: Mapping[str, Region]) -> None:
    for index, cell in enumerate(cells):
        text = _squeeze(source_of(cell))
        if "SOLUTION" in text:
            raise GraderError(f"cell {index + 1}: the word SOLUTION is left in the template; reword or fix the marker")
        for name, region in regions.items():
            for line in map(_squeeze, region.source.split("\n")):
                if len(line) > _LEAK_CHARS and line in text and not _BOILERPLATE.fullmatch(line):
                    raise GraderError(
                        f"cell {index + 1}: the template still shows a line of the solution of '{name}': "
                        f"{one_line(line)!r}; reword one of the two"
                    )


def _squeeze(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 0: the template is written or fresh; 1: stale (`--check`); 2: the reference is wrong."""
    parser = argparse.ArgumentParser(prog="python -m grader.notebook.template", description=main.__doc__)
    parser.add_argument("reference", type=Path)
    parser.add_argument("template", type=Path)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when the template is stale")
    parser.add_argument(
        "--notebook-url",
        metavar="URL",
        help='where students find the template, on GitHub or in Colab: adds an "Open in Colab" badge; "" removes it',
    )
    options = parser.parse_args(arguments)
    try:
        url = options.notebook_url
        colab_url = _badge_address(options.template) if url is None else url and colab_address(url)
        text = _template_text(options.reference, colab_url)
        if options.check:
            fresh = options.template.is_file() and options.template.read_bytes() == text.encode("utf-8")
            if not fresh:
                print(f"{options.template}: stale, {options.reference} makes another one; run without --check")
            return 0 if fresh else 1
        write_atomically(options.template, text.encode("utf-8"))
    except GraderError as error:
        print(error, file=sys.stderr)
        return 2
    except OSError as error:
        print(f"{options.template}: {error.strerror or error}", file=sys.stderr)
        return 2
    return 0


def _template_text(path: Path, colab_url: str) -> str:
    """The template that the reference in `path` makes.

    Raises:
        GraderError: one line that begins with the path.
    """
    reference = load_notebook(path)
    try:
        return dump_notebook(make_template(reference, colab_url))
    except GraderError as error:
        raise GraderError(f"{path}: {error}") from None


if __name__ == "__main__":
    sys.exit(main())
