"""Sphinx's settings: builds a website from the project's pages, without additional pages.

`python -m sphinx -W -c docs/site . build/site` in the project's folder builds it. The pages remain Markdown that code
hosts can show. The README is the first page. `GROUPS` is the navigation, and a page in no group fails the build. The
site loads nothing from other hosts.
"""

from __future__ import annotations

import inspect
import re
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sphinx.application import Sphinx

ROOT = Path(__file__).parents[2]
ARGUMENT = re.compile(r"(\w+): (.+)")
LINK = re.compile(r"\[([^\]]+)\]\(([\w./-]+)\)")
sys.path.insert(0, str(ROOT))

import grader  # noqa: E402, the folder has to be on the path first

GUIDE = ("set-up", "grade-one", "read-a-report", "grade-a-class", "answer-a-complaint", "change-a-number", "late-days")
GUIDE += ("release", "on-gradescope", "on-slurm", "another-notebook", "add-a-check", "add-an-exercise")
OPERATION = ("gradebooks", "gradescope", "slurm", "schedulers", "gpu", "container", "capacity", "privacy")
DESIGN = ("docs/architecture", "docs/wall", "SECURITY", "docs/remembered", "docs/compared")
MEASURED = ("calibration", "costs", "constants", "benchmarks", "measurements")
GROUPS = {
    "Guide": ("docs/guide/README", *(f"docs/guide/{name}" for name in GUIDE)),
    "Reference": (*(f"docs/{name}" for name in OPERATION), "docs/api"),
    "Design": DESIGN,
    "Measured": tuple(f"docs/{name}" for name in MEASURED),
    "Project": ("CONTRIBUTING", "CODE_OF_CONDUCT", "CHANGELOG"),
}

project = "An autograder for a VAE and a CVAE on MNIST"
author = "the VAE autograder's authors"
project_copyright = f"2026, {author}"
release = version = grader.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
root_doc = "README"
include_patterns = ["*.md", "docs/*.md", "docs/guide/*.md"]
exclude_patterns = [".*", "build", "runs", "tests", "corpus", "grader", "reference", "student_template", "examples"]
source_suffix = {".md": "markdown"}
myst_heading_anchors = 4

default_role = "code"  # for `name` in docstrings
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_use_type_comments = False
maximum_signature_line_length = 90

html_theme = "furo"
html_title = f"VAE autograder {release}"
html_copy_source = False
html_show_sphinx = False
templates_path: list[str] = []


def setup(app: Sphinx) -> None:
    """Adds the navigation to the README, and copies the first page to the name that servers expect."""
    app.connect("source-read", _without_folders)
    app.connect("source-read", _navigation)
    app.connect("autodoc-process-docstring", _arguments, priority=400)  # before Napoleon's
    app.connect("build-finished", _index)


def _without_folders(app: Sphinx, docname: str, source: list[str]) -> None:
    """Replaces links to folders by their text: code hosts list a folder's files, but a site has no page for them."""
    here = (Path(app.srcdir) / docname).parent
    source[0] = LINK.sub(lambda link: link[1] if (here / link[2]).is_dir() else link[0], source[0])


def _navigation(_app: Sphinx, docname: str, source: list[str]) -> None:
    if docname == root_doc:
        trees = (
            "\n".join(["```{toctree}", ":hidden:", f":caption: {caption}", "", *pages, "```"])
            for caption, pages in GROUPS.items()
        )
        source[0] += "\n" + "\n\n".join(trees) + "\n"


def _arguments(_app: Sphinx, what: str, _name: str, obj: object, _options: object, lines: list[str]) -> None:
    """Turns lines `argument: text` of docstrings into parameters; a property's first line is not read as a type."""
    if what == "property":
        lines[:0] = ["..", ""]  # otherwise Napoleon takes the text before a colon for the property's type
    elif what in {"function", "method"} and callable(obj):
        taken = inspect.signature(obj).parameters
        for at, line in enumerate(lines):
            if (match := ARGUMENT.fullmatch(line)) and match[1] in taken:
                lines[at] = f":param {match[1]}: {match[2]}"


def _index(app: Sphinx, failed: Exception | None) -> None:
    first = Path(app.outdir) / f"{root_doc}.html"
    if failed is None and first.exists():
        shutil.copyfile(first, first.with_name("index.html"))
