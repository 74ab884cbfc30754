"""What the notebook contains in addition to the tasks: the rubric's points, pictures, and the text of Python files."""

from __future__ import annotations

import ast
import base64
import io
import itertools
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image
from self_checked import REFERENCE, variables
from whole_notebook import ROOT, cell_of, template

from grader.errors import GraderError
from grader.notebook.format import is_code, load_notebook, source_of
from grader.notebook.included import main, one_text, with_files
from grader.notebook.solution_regions import strip_markers

RUBRIC = yaml.safe_load((ROOT / "rubric.yaml").read_text(encoding="utf-8"))
HEADINGS = {  # cell with the heading -> item
    "encoder-text": "vae.encoder_decoder",
    "reparameterize-text": "vae.reparameterization",
    "loss-text": "vae.loss",
    "train-text": "vae.training",
    "reconstruction-text": "vae.reconstruction",
    "sampling-text": "vae.generation",
    "conditional-encoder-text": "cvae.encoder_decoder",
    "conditional-reparameterize-text": "cvae.reparameterization",
    "conditional-train-text": "cvae.training",
    "conditional-reconstruction-text": "cvae.reconstruction",
    "conditional-sampling-text": "cvae.generation",
}
POINTS = {item["id"]: item["points"] for item in RUBRIC["items"]}
SEPARATE = {
    "a correct gradient": ["gradient_reaches_mu_and_logvar"],
    "mean and standard deviation": ["mean_is_mu", "spread_is_sigma"],
    "normal noise": ["noise_is_normal"],
    "separate noise for every number": ["draws_are_independent"],
}
OUTPUTS = {  # of the networks of both parts
    "outputs that depend on the whole image and the whole code": [
        "encoder_uses_the_image",
        "decoder_uses_every_latent",
    ],
    "separate mu and logvar, positive and negative": ["encoder_heads_are_free"],
    "pixel values in range and independent": ["decoder_values_are_in_range", "decoder_pixels_are_free"],
    "no influence of the rest of the batch": ["encoder_sees_each_image_alone", "decoder_sees_each_code_alone"],
    "shapes, also with another `latent_dim`": [
        "encoder_gives_mu_and_logvar",
        "decoder_gives_images",
        "latent_size_is_obeyed",
    ],
}
SPLITS = {  # item -> what its text calls a group of checks -> the checks
    "vae.encoder_decoder": {
        "nonlinear networks": ["encoder_is_nonlinear", "decoder_is_nonlinear"],
        "layers that can learn": ["encoder_can_learn", "decoder_can_learn"],
        **OUTPUTS,
    },
    "vae.reparameterization": SEPARATE,
    "vae.loss": {
        "KL term": ["kl_matches_closed_form"],
        "proportion of the two terms": ["terms_are_in_proportion"],
        "reconstruction term": ["reconstruction_compares_the_images"],
        "loss returned with its two terms": ["parts_add_up"],
    },
    "vae.training": {
        "steps that follow the gradient": ["steps_follow_the_gradient"],
        "use of the given optimizer": ["given_optimizer_moves_the_model"],
        "use of every batch": ["every_batch_is_used"],
        "trained weights that are kept": ["what_is_learnt_is_kept"],
        "training mode": ["trains_in_train_mode"],
        "reported mean loss": ["reported_loss_is_the_mean"],
    },
    "vae.reconstruction": {
        "likeness to the test images": ["reconstructions_resemble_the_images"],
        "recognisable digits": ["reconstructions_keep_their_digit"],
        "results that come from training": ["reconstructions_come_from_training"],
    },
    "vae.generation": {
        "codes from the prior": ["codes_come_from_the_prior"],
        "images that look like digits and are sharp": [
            "samples_resemble_digits",
            "samples_are_sharp",
            "samples_spread_their_ink_as_digits_do",
        ],
        "images that are the decoder's own": ["samples_are_decoded", "samples_are_the_decoders_own"],
        "variety": ["samples_show_all_digits", "samples_differ"],
        "images that come from training and are not copies": ["samples_come_from_training", "samples_are_new"],
    },
    "cvae.encoder_decoder": {
        "nonlinear networks": ["encoder_is_nonlinear", "decoder_is_nonlinear"],
        "layers that can learn": ["encoder_can_learn", "decoder_can_learn"],
        "outputs that depend on the label": ["encoder_uses_the_label", "decoder_uses_the_label"],
        **OUTPUTS,
    },
    "cvae.training": {
        "steps that follow the gradient": ["steps_follow_the_gradient"],
        "use of the given optimizer": ["given_optimizer_moves_the_model"],
        "labels that reach the model": ["labels_reach_the_model"],
        "trained weights that are kept": ["what_is_learnt_is_kept"],
        "use of every batch": ["every_batch_is_used"],
        "training mode": ["trains_in_train_mode"],
        "reported mean loss": ["reported_loss_is_the_mean"],
    },
    "cvae.reconstruction": {
        "likeness to the test images": ["reconstructions_resemble_the_images"],
        "recognisable digits": ["reconstructions_keep_their_digit"],
        "results that come from training": ["reconstructions_come_from_training"],
    },
    "cvae.generation": {
        "the requested digits": ["samples_show_the_requested_digit", "every_digit_can_be_requested"],
        "codes from the prior": ["codes_come_from_the_prior"],
        "images that look like digits and are sharp": [
            "samples_resemble_digits",
            "samples_are_sharp",
            "samples_spread_their_ink_as_digits_do",
        ],
        "labels that reach the decoder": ["labels_reach_the_decoder"],
        "images that are the decoder's own": ["samples_are_decoded", "samples_are_the_decoders_own"],
        "variety within a digit": ["samples_of_a_digit_differ"],
        "images that come from training and are not copies": ["samples_come_from_training", "samples_are_new"],
    },
}
PICTURE = re.compile(r"!\[([^\]]*)\]\(data:image/png;base64,([^)]*)\)")


def test_every_item_has_a_heading_with_its_points() -> None:
    assert {identity: POINTS[item] for identity, item in HEADINGS.items()} == {
        identity: int(re.search(r"^## .*\((\d+) points\)$", source_of(cell_of(template(), identity)), re.MULTILINE)[1])  # type: ignore[index]
        for identity in HEADINGS
    }
    assert set(HEADINGS.values()) == set(POINTS)


@pytest.mark.parametrize("item", SPLITS)
def test_the_text_of_a_task_says_how_the_rubric_splits_its_points(item: str) -> None:
    checks = next(entry["checks"] for entry in RUBRIC["items"] if entry["id"] == item)
    assert sorted(itertools.chain(*SPLITS[item].values())) == sorted(checks)
    identity = next(cell for cell, heading in HEADINGS.items() if heading == item)
    text = " ".join(source_of(cell_of(template(), identity)).split())
    groups = [f"{words}: {sum(checks[name]['points'] for name in names):g}" for words, names in SPLITS[item].items()]
    assert f"*How the {POINTS[item]} points are split:* {'; '.join(groups)}." in text


def test_only_the_second_reparameterization_refers_to_the_first() -> None:
    assert set(POINTS) - set(SPLITS) == {"cvae.reparameterization"}
    checks = {entry["id"]: entry["checks"] for entry in RUBRIC["items"]}
    assert checks["cvae.reparameterization"] == checks["vae.reparameterization"]
    assert "split as in Part 1" in source_of(cell_of(template(), "conditional-reparameterize-text"))


TRIED = re.compile(r"This should print (.*):\n\n```python\n(.*)\n```")


def test_each_line_to_try_prints_what_the_text_promises() -> None:
    names = variables(strip_markers(REFERENCE))
    promised = {cell["id"]: TRIED.search(source_of(cell)) for cell in template()["cells"] if cell["id"][:4] == "try-"}
    assert len(promised) == 9
    for identity, match in promised.items():
        assert match is not None, identity
        expected, line = match.groups()
        assert f"`{eval(line, names)!r}`" in expected, identity


def test_the_table_at_the_top_is_the_rubric() -> None:
    rows = re.findall(r"^\|(.*)\|(.*)\|(.*)\|(.*)\|$", source_of(cell_of(template(), "title")), re.MULTILINE)[2:]
    for column, part in ((0, "vae"), (2, "cvae")):
        listed = {row[column].strip(): row[column + 1].strip() for row in rows if row[column].strip()}
        expected = {item["title"]: str(item["points"]) for item in RUBRIC["items"] if item["id"].startswith(f"{part}.")}
        assert listed == expected | {"**Sum**": f"**{RUBRIC['points'][part]}**"}


def test_every_todo_names_the_points_of_its_item() -> None:
    cells = template()["cells"]
    todo = 0
    item = ""
    for cell in cells:
        item = HEADINGS.get(cell["id"], item)
        lines = source_of(cell).split("\n") if is_code(cell) else []
        for above, line in itertools.pairwise(lines):
            if "# TODO" in line:
                todo += 1
                assert re.findall(r"\d+", above.partition("(")[2]) == [str(POINTS[item])], line
    assert todo == 15


def test_the_pictures_in_the_text_are_small_and_described() -> None:
    pictures = [picture for cell in template()["cells"] for picture in PICTURE.findall(source_of(cell))]
    assert len(pictures) == 2
    assert sum(len(data) for _, data in pictures) < 60_000
    for described, data in pictures:
        assert len(described) > 60
        assert base64.b64decode(data, validate=True).startswith(b"\x89PNG")


def comparison() -> dict[str, Any]:
    """The literals of the cell that holds the reference solution's pictures and numbers."""
    statements = ast.parse(source_of(cell_of(template(), "comparison"))).body
    tables = [one for one in statements if isinstance(one, ast.Assign) and isinstance(one.value, ast.Dict)]
    return {ast.unparse(one.targets[0]): ast.literal_eval(one.value) for one in tables}


def test_the_text_states_the_rubrics_thresholds_for_reconstructions() -> None:
    for part, (reference, *ends) in comparison()["EXPLAINED_VARIANCE"].items():
        item = next(item for item in RUBRIC["items"] if item["id"] == f"{part.lower()}.reconstruction")
        check = item["checks"]["reconstructions_resemble_the_images"]
        assert ends == [check["zero_at"], check["full_at"]], "run `make reference` and `make template`"
        assert check["full_at"] < reference < 1


def test_the_reference_solutions_pictures_are_small_and_whole() -> None:
    pictures = {name: base64.b64decode(data, validate=True) for name, data in comparison()["REFERENCE"].items()}
    rows = {name: Image.open(io.BytesIO(data)).size for name, data in pictures.items()}
    assert rows == {
        "VAE reconstructions": (280, 28),
        "CVAE reconstructions": (280, 28),
        "VAE samples": (280, 84),
        "CVAE samples": (280, 112),
    }
    assert sum(map(len, pictures.values())) < 20_000


def test_the_notebook_holds_its_files_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(ROOT / "reference" / "vae_mnist.ipynb"), "--check"]) == 0
    notebook = load_notebook(ROOT / "reference" / "vae_mnist.ipynb")
    cell = next(cell for cell in notebook["cells"] if "files" in cell.get("metadata", {}).get("grader", {}))
    text = source_of(cell)
    for name in cell["metadata"]["grader"]["files"]:
        file = (ROOT / "reference" / name).read_text(encoding="utf-8")
        assert file.partition("\n\n\nclass ")[2].rstrip() in text
    assert "files" not in cell_of(template(), cell["id"])["metadata"]["grader"]


def test_several_files_become_one_text_without_the_imports_between_them() -> None:
    one = '"""What it is for."""\n\nimport sys\nfrom typing import (\n    Any,\n)\n\nLEAST = 2\n'
    two = '"""More."""\n\nimport sys\nimport abc\n\nfrom grader.one import LEAST\n\n\ndef most():\n    return LEAST\n'
    expected = "import abc\nimport sys\nfrom typing import Any\n\n\nLEAST = 2\n\n\ndef most():\n    return LEAST"
    assert one_text([one, two]) == expected


def test_a_stale_cell_is_reported_and_written_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "part.py").write_text("X = 1\n")
    path = tmp_path / "some.ipynb"
    path.write_text(
        '{"cells": [{"cell_type": "code", "id": "a", "metadata": {"grader": {"role": "given", "files": ["part.py"]}},'
        ' "source": "# Given.\\nX = 0", "outputs": []}], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}'
    )
    assert main([str(path), "--check"]) == 1
    assert "run without --check" in capsys.readouterr().out
    assert main([str(path)]) == 0
    assert main([str(path), "--check"]) == 0
    assert source_of(load_notebook(path)["cells"][0]).split() == ["#", "Given.", "X", "=", "1"]
    (tmp_path / "part.py").unlink()
    assert main([str(path)]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    with pytest.raises(GraderError, match=r"part\.py"):
        with_files(load_notebook(path), tmp_path)
