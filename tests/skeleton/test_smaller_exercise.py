"""Without the lines that its comments mark, the new exercise has one part or no second box, and can still be graded."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from grader.grading.grade import Options, grade
from grader.notebook.format import dump_notebook, load_notebook
from grader.notebook.template import main as write_template
from grader.skeleton.write import write_skeleton

PART, BOX = "# second part", "# second box"
RUBRIC = {  # what the guide says to change in the rubric: old and new text
    PART: [("{one: 6, two: 3}", "{one: 6}"), (", two.function: 0.3", "")],
    BOX: [("    points: 4\n", "    points: 2\n"), ("{one: 6", "{one: 4")],
}
FULL = {"one.function": 2000, "one.training": 4000, "two.function": 2000, "two.training": 1000}
SMALLER = {
    "one_part": ([PART], {"one.function": 2000, "one.training": 4000}),
    "one_box": ([BOX], {**FULL, "one.training": 2000}),
    "one_part_and_box": ([PART, BOX], {"one.function": 2000, "one.training": 2000}),
}


def without(code: str, mark: str) -> str:
    """The code without the lines that end with the mark; without the whole function, for a line that begins one."""
    lines = code.splitlines(keepends=True)
    deleted = {number for number, line in enumerate(lines, 1) if line.rstrip().endswith(f"  {mark}")}
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.FunctionDef) and node.lineno in deleted:
            first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
            deleted |= set(range(first, (node.end_lineno or first) + 1))
    return "".join(line for number, line in enumerate(lines, 1) if number not in deleted)


def make_smaller(course: Path, mark: str) -> None:
    """Deletes in each file what the guide lists for the second part or the second box."""
    for path in (course / course.name).rglob("*.py"):
        text = without(path.read_text(encoding="utf-8"), mark)
        if mark == PART and path.name == "plugin.py":
            text = "".join(line for line in text.splitlines(keepends=True) if not line.strip().startswith('"two.'))
        path.write_text(text, encoding="utf-8")
    rubric = course / "rubric.yaml"
    text = rubric.read_text(encoding="utf-8")
    for old, new in RUBRIC[mark]:
        assert text.count(old) == 1
        text = text.replace(old, new)
    if mark == PART:
        text = text.partition("  - id: two.")[0]
    lines = text.splitlines(keepends=True)
    rubric.write_text("".join(line for line in lines if not line.rstrip().endswith(f"  {mark}")), encoding="utf-8")
    if mark == PART:
        reference = load_notebook(course / "reference.ipynb")
        ids = [cell["id"] for cell in reference["cells"]]
        reference["cells"] = reference["cells"][: ids.index("triple-text")]
        (course / "reference.ipynb").write_text(dump_notebook(reference), encoding="utf-8")
        assert write_template([str(course / "reference.ipynb"), str(course / "template.ipynb")]) == 0


def test_a_mark_on_a_function_stands_for_all_of_it() -> None:
    code = "a = 1\nb = 2  # second box\n\n\n@c\ndef d(e):  # second box\n    return e\n\n\nf = 3\n"
    assert without(code, BOX) == "a = 1\n\n\n\n\nf = 3\n"
    assert without(code, PART) == code


@pytest.mark.parametrize("name", SMALLER)
def test_the_smaller_exercise_gives_the_reference_all_points_and_the_template_none(name: str, tmp_path: Path) -> None:
    marks, full = SMALLER[name]
    write_skeleton(tmp_path, name)
    course = tmp_path / name
    for mark in marks:
        make_smaller(course, mark)
    unused = [sys.executable, "-m", "ruff", "check", "--isolated", "--no-cache", "--select", "F", str(course / name)]
    assert subprocess.run(unused, capture_output=True, check=False).returncode == 0
    for notebook, points in (("reference", full), ("template", dict.fromkeys(full, 0))):
        run = tmp_path / "runs" / notebook
        report, _ = grade(course / f"{notebook}.ipynb", course / "rubric.yaml", run, Options(), lambda _: None)
        assert {item.id: item.points_milli for item in report.items} == points
