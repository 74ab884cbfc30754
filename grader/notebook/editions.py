"""Which template a submission comes from: the one that is handed out now, or one that was handed out earlier."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from grader.notebook.format import checksum, is_code, is_task, load_notebook, source_of
from grader.notebook.restore import Restored, restore_given
from grader.records import Notebook, Remark, Rubric

Templates = Mapping[str, Notebook]  # by path, as the rubric has it; the one that is handed out now comes first


def load_templates(rubric_path: Path, rubric: Rubric) -> Templates:
    """The templates that the rubric names.

    Raises:
        GraderError: where one of them cannot be read.
    """
    names = (rubric.template, *rubric.earlier_templates)
    return {name: load_notebook(rubric_path.parent / name) for name in names}


def restored(submission: Notebook, templates: Templates) -> Restored:
    """The submission with the given code of the template that it comes from put back.

    It comes from the one of which it has most cells that students do not change; in doubt from the first.

    Raises:
        GraderError: when one is not a template of ours.
    """
    there = _checksums(filter(is_code, submission["cells"]))
    given = {
        name: _checksums(cell for cell in filter(is_code, template["cells"]) if not is_task(cell))
        for name, template in templates.items()
    }
    now, *_ = names = list(templates)
    name = max(names, key=lambda name: len(given[name] & there))
    came = replace(restore_given(submission, templates[name]), template=Path(name).name)
    if name == now or any(remark.kind == "not_from_template" for remark in came.remarks):
        return came
    told = f"comes from {came.template}, handed out earlier; that one's given code was put back, its constants hold"
    return replace(came, remarks=(Remark("earlier_template", f"The notebook {told}"), *came.remarks))


def _checksums(cells: Iterable[Mapping[str, Any]]) -> frozenset[str]:
    return frozenset(checksum(source_of(cell)) for cell in cells)
