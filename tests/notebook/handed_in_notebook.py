"""A submitted toy notebook, and short ways to damage, restore and read it."""

import copy

from toy_notebook import Notebook, cell_of, toy_reference

from grader.notebook.restore import RestoredNotebook, restore_given
from grader.notebook.solution_regions import strip_markers
from grader.notebook.template import make_template

TEMPLATE = make_template(toy_reference())


def handed_in() -> Notebook:
    """An honest submission."""
    return strip_markers(toy_reference())


def anonymous(notebook: Notebook) -> Notebook:
    """The notebook after an editor that keeps neither ids nor metadata."""
    for index, cell in enumerate(notebook["cells"]):
        cell["id"] = f"new-{index}"
        cell["metadata"] = {}
    return notebook


def restore(notebook: Notebook) -> RestoredNotebook:
    restored = restore_given(notebook, TEMPLATE)
    assert len(restored.roles) == len(restored.notebook["cells"])
    assert len({cell["id"] for cell in restored.notebook["cells"]}) == len(restored.roles)
    return restored


def kinds(restored: RestoredNotebook) -> list[str]:
    return [remark.kind for remark in restored.remarks]


def sources(restored: RestoredNotebook, role: str) -> list[str]:
    cells = zip(restored.notebook["cells"], restored.roles, strict=True)
    return [cell["source"] for cell, is_ in cells if is_.role == role]


def script(restored: RestoredNotebook) -> str:
    """The code cells in order, as one program."""
    return "\n".join(c["source"] for c in restored.notebook["cells"] if c["cell_type"] == "code")


def merge(notebook: Notebook, *identities: str) -> Notebook:
    """Joins cells into the first of them."""
    first = cell_of(notebook, identities[0])
    first["source"] = "\n\n".join(cell_of(notebook, identity)["source"] for identity in identities)
    notebook["cells"] = [cell for cell in notebook["cells"] if cell["id"] not in identities[1:]]
    return notebook


def edit(notebook: Notebook, identity: str, old: str, new: str) -> Notebook:
    cell = cell_of(notebook, identity)
    assert old in cell["source"]
    cell["source"] = cell["source"].replace(old, new)
    return notebook


def both_ways(notebook: Notebook) -> list[RestoredNotebook]:
    return [restore(copy.deepcopy(notebook)), restore(anonymous(notebook))]
