import copy
import json
import re
from pathlib import Path

import pytest
from toy_notebook import Notebook, cell_of, toy_reference

from grader.errors import GraderError
from grader.notebook.format import checksum, dump_notebook
from grader.notebook.solution_regions import replace_regions, solution_regions, strip_markers
from grader.notebook.template import colab_address, main, make_template


def with_source(identity: str, old: str, new: str) -> Notebook:
    reference = toy_reference()
    cell = cell_of(reference, identity)
    assert old in cell["source"]
    cell["source"] = cell["source"].replace(old, new)
    return reference


def test_regions_are_found_dedented_and_in_order() -> None:
    regions = solution_regions(toy_reference())
    assert list(regions) == ["Model.__init__", "Model.forward", "train", "sample"]
    assert regions["Model.forward"].source == "return sum(w * x for w in self.weight)"
    assert regions["Model.forward"].indent == " " * 8


def test_template_keeps_instructions_and_no_solution() -> None:
    template = make_template(toy_reference())
    source = cell_of(template, "model")["source"]
    assert "# Store what you need.\n        # TODO Model.__init__: replace the next line" in source
    assert 'raise NotImplementedError("Model.forward is not implemented yet' in source
    assert "implemented yet: see 'Model'\")" in source
    text = dump_notebook(template)
    assert "SOLUTION" not in text
    assert "0.25" not in text
    scope: dict[str, type] = {}
    exec(compile(source, "model", "exec"), scope)
    with pytest.raises(NotImplementedError, match="not implemented yet"):
        scope["Model"](3)


def test_the_template_signs_provided_cells_and_clears_outputs() -> None:
    reference = toy_reference()
    cell_of(reference, "data")["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "x"}]
    template = make_template(reference)
    data = cell_of(template, "data")
    assert data["outputs"] == []
    assert data["execution_count"] is None
    assert data["metadata"]["grader"] == {"role": "given", "id": "data", "sha256": checksum(data["source"])}
    assert "sha256" not in cell_of(template, "model")["metadata"]["grader"]
    assert template["metadata"]["accelerator"] == "GPU"


def test_template_bytes_do_not_depend_on_how_the_reference_was_saved() -> None:
    reference = toy_reference()
    saved = copy.deepcopy(reference)
    for cell in saved["cells"]:
        cell["source"] = [line + " \r\n" for line in cell["source"].split("\n")]
        cell["source"] = "".join(cell["source"]).replace(" \r\n", "\n").splitlines(keepends=True)
    assert dump_notebook(make_template(reference)) == dump_notebook(make_template(saved))


@pytest.mark.parametrize(
    ("identity", "old", "new", "says"),
    [
        ("train", "        # END SOLUTION\n", "", "never closed"),
        ("model", "        # END SOLUTION\n\n", "", "begins in 'Model.__init__'"),
        ("train", "BEGIN SOLUTION train", "BEGIN SOLUTION Model.forward", "use each name once"),
        ("train", "        # BEGIN SOLUTION train\n", "", "END SOLUTION without"),
        ("train", "END SOLUTION", "END SOLUTION trian", "END SOLUTION without"),
        ("train", "# BEGIN SOLUTION train", "# begin solution train", "alone on the line"),
        ("train", "    history = []", "    history = []  # the SOLUTION follows", "SOLUTION is left"),
        (
            "train-model",
            "print(history)",
            "# loss = model.forward(epoch) ** 2",
            "line of the solution of 'train'",
        ),
        ("data-text", "Given.", "`return sum(w * x  for w in self.weight)`", "line of the solution"),
        (
            "setup",
            "import math\n",
            "# BEGIN SOLUTION s\nimport math\n# END SOLUTION\n",
            "only cells of role 'task' hold solution regions, got 'given'; make its role 'task'",
        ),
        ("data-text", "Given.", "# BEGIN SOLUTION s", "outside a code cell"),
        ("sample", "# END SOLUTION", "# END SOLUTION\n)", "does not parse"),
    ],
)
def test_malformed_references_are_refused(identity: str, old: str, new: str, says: str) -> None:
    with pytest.raises(GraderError, match=says) as caught:
        make_template(with_source(identity, old, new))
    assert "\n" not in str(caught.value)


def test_a_task_without_a_solution_region_is_refused() -> None:
    reference = strip_markers(toy_reference())
    with pytest.raises(GraderError, match=r"^cell 7: a cell of role 'task' needs a solution region, got none; put "):
        make_template(reference)


@pytest.mark.parametrize("part", [None, "", 1])
def test_a_training_cell_without_a_part_is_refused(part: object) -> None:
    reference = toy_reference()
    marks = cell_of(reference, "train-model")["metadata"]["grader"]
    del marks["part"]
    if part is not None:
        marks["part"] = part
    says = "^cell 9: a cell of role 'train' needs metadata.grader.part, one of the exercise's parts, got "
    with pytest.raises(GraderError, match=says + re.escape(repr(part))):
        make_template(reference)


def test_replaced_regions_are_indented_and_markers_stay() -> None:
    wrong = replace_regions(toy_reference(), {"train": "loss = 0\n\nif loss:\n    pass", "Model.forward": ""})
    assert solution_regions(wrong)["train"].source == "loss = 0\n\nif loss:\n    pass"
    assert solution_regions(wrong)["Model.forward"].source == "pass"
    assert solution_regions(wrong)["sample"] == solution_regions(toy_reference())["sample"]
    assert "SOLUTION" not in dump_notebook(strip_markers(wrong))


def test_unknown_region_is_refused_with_a_near_miss() -> None:
    with pytest.raises(GraderError, match=r"did you mean 'Model\.forward'"):
        replace_regions(toy_reference(), {"Model.foward": "pass"})


def test_command_writes_checks_and_refuses(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    reference, template = tmp_path / "reference.ipynb", tmp_path / "template.ipynb"
    reference.write_text(json.dumps(toy_reference()))
    arguments = [str(reference), str(template)]
    assert main([*arguments, "--check"]) == 1
    assert "stale" in capsys.readouterr().out
    assert main(arguments) == 0
    assert main([*arguments, "--check"]) == 0
    reference.write_text(json.dumps(with_source("train", "# END SOLUTION", "# END")))
    assert main(arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"{reference}: cell 8")


def test_a_line_about_a_file_names_it_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    reference, template = tmp_path / "reference.ipynb", tmp_path / "none" / "template.ipynb"
    assert main([str(reference), str(template)]) == 2
    assert capsys.readouterr().err == f"{reference}: expected a notebook: no such file; check the path\n"
    reference.write_text(json.dumps(toy_reference()))
    assert main([str(reference), str(template)]) == 2
    assert capsys.readouterr().err == f"{template}: No such file or directory\n"


GITHUB = "https://github.com/course/vae/blob/main/notebooks/vae_mnist.ipynb"
COLAB = "https://colab.research.google.com/github/course/vae/blob/main/notebooks/vae_mnist.ipynb"


def written(tmp_path: Path, *options: str) -> str:
    """The first cell of the template that `main` writes with these options."""
    reference = tmp_path / "reference.ipynb"
    reference.write_text(json.dumps(toy_reference()))
    assert main([str(reference), str(tmp_path / "template.ipynb"), *options]) == 0
    cells = json.loads((tmp_path / "template.ipynb").read_text())["cells"]
    return "".join(next(cell["source"] for cell in cells if cell["cell_type"] == "markdown"))


def test_without_an_address_there_is_no_badge(tmp_path: Path) -> None:
    assert "colab" not in written(tmp_path).lower()


def test_an_address_gives_a_badge_at_the_top_that_stays_until_it_is_removed(tmp_path: Path) -> None:
    plain = written(tmp_path)
    badge = "[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)]"
    assert written(tmp_path, "--notebook-url", GITHUB) == f"{badge}({COLAB})\n\n{plain}"
    assert written(tmp_path, "--check") == f"{badge}({COLAB})\n\n{plain}"
    assert written(tmp_path) == f"{badge}({COLAB})\n\n{plain}"
    assert written(tmp_path, "--notebook-url", "") == plain


@pytest.mark.parametrize(
    "url",
    [
        "https://example.org/vae.ipynb",
        "https://github.com/course/vae",
        "http://github.com/course/vae/blob/main/vae.ipynb",
        "https://github.com/course/vae/blob/main/vae.ipynb) [x](https://example.org",
        "vae.ipynb",
    ],
)
def test_an_address_that_colab_cannot_open_is_refused(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "reference.ipynb").write_text(json.dumps(toy_reference()))
    assert main([str(tmp_path / "reference.ipynb"), str(tmp_path / "t.ipynb"), "--notebook-url", url]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "--notebook-url: expected https://github.com/OWNER/REPOSITORY/blob/BRANCH/NAME.ipynb" in line
    assert not (tmp_path / "t.ipynb").exists()


def test_an_address_in_colab_is_used_as_it_is() -> None:
    assert colab_address("https://colab.research.google.com/drive/abc-123") == (
        "https://colab.research.google.com/drive/abc-123"
    )
