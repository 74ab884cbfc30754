"""The shipped rubric with one thing wrong at a time: each is refused in one line that names the place."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from grader.errors import RubricError
from grader.rubric import load_rubric

SHIPPED = Path(__file__).parents[2] / "rubric.yaml"
GONE = object()

# Where, by keys and item ids; what is there instead; what the refusal says beside the item.
LOSS, TERMS = "vae.loss", "vae.loss checks terms_are_in_proportion"
MUTATIONS: list[tuple[str, Any, list[str]]] = [
    ("points vae", 49, ["points: vae", "49", "50"]),
    ("points cvae", GONE, ["points: cvae", "0", "50"]),
    ("points_step", 0.3, ["multiple of points_step, 0.3"]),
    ("points_step", "quarter", ["points_step", "quarter"]),
    ("exercise", "grader.exercises.vae_mnits", ["vae_mnits"]),
    ("items", [], ["points: cvae", "got 0"]),
    ("limits memory_mb", -1, ["limits: memory_mb", "-1"]),
    ("limits memory_mb", "8 GB", ["limits.memory_mb", "8 GB"]),
    ("sizes draws", GONE, ["sizes: draws is missing"]),
    ("sizes samples", 0, ["sizes: samples", "0"]),
    ("follow_through share", 0, ["follow_through.share", "0"]),
    ("interface", {"vae_loss": "loss_function"}, ["{names: {vae_loss: loss_function}}"]),
    ("interface", {"names": {"vea_loss": "f"}}, ["names", "'vea_loss'", "did you mean 'vae_loss'?"]),
    ("interface", {"returns": {"vae_loss": ["loss", "kl"]}}, ["returns: vae_loss", "loss, reconstruction, kl"]),
    ("interface", {"returns": {"VAE": ["mu", "logvar", "xhat"]}}, ["VAE", "'xhat'", "did you mean 'x_hat'?"]),
    ("interface", {"arguments": {"vae_los": ["x"]}}, ["arguments", "did you mean 'vae_loss'?"]),
    ("interface", {"labels": "onehot"}, ["labels", "'onehot'", "did you mean 'one_hot'?"]),
    (f"{LOSS} id", "vae.training", ["'vae.training'", "two items have this id"]),
    (f"{LOSS} id", "gan.loss", ["'gan'", "expected one of cvae, vae"]),
    (f"{LOSS} points", 6, ["expected its checks to add up to 6", "got 5"]),
    (f"{LOSS} points", -5, ["items[2].points", "-5"]),
    (f"{LOSS} checks", {}, ["has no checks"]),
    (f"{LOSS} checks kl_match", {"points": 1}, ["'kl_match'", "did you mean 'kl_matches_closed_form'?"]),
    (f"{TERMS} points", 1.6, ["'terms_are_in_proportion'", "multiple", "1.6"]),
    (f"{TERMS} points", GONE, ["'terms_are_in_proportion'", "points are missing"]),
    (f"{TERMS} points", True, ["'terms_are_in_proportion'", "True"]),
    (f"{TERMS} tolerance", GONE, ["'terms_are_in_proportion'", "tolerance is missing"]),
    (f"{TERMS} tolerance", "0.02", ["'terms_are_in_proportion'", "tolerance", "'0.02'"]),
    (f"{TERMS} squared_error_low", 300, ["squared_error_low to be at most squared_error_high", "300"]),
    (f"{TERMS} requires", ["parts_add_up"], ["'terms_are_in_proportion'", "requires", "@check(presupposes=...)"]),
    ("vae.training checks every_batch_is_used zero_at", 1.5, ["zero_at below full_at", "1.5"]),
    ("vae.training checks every_batch_is_used full_at", 0.3, ["zero_at and full_at are both 0.3"]),
    ("vae.generation checks codes_come_from_the_prior min_spread", 9, ["min_spread to be at most max_spread", "9"]),
]


def changed(content: dict[str, Any], place: str, value: object) -> dict[str, Any]:
    """A copy with another value at that place."""
    content = copy.deepcopy(content)
    *way, last = place.split()
    at: Any = content
    for key in way:
        at = next(item for item in content["items"] if item["id"] == key) if "." in key else at[key]
    if value is GONE:
        del at[last]
    else:
        at[last] = value
    return content


@pytest.fixture(scope="module")
def shipped() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(SHIPPED.read_text())
    return content


@pytest.mark.parametrize(
    ("place", "value", "parts"), MUTATIONS, ids=[f"{p}-{n}" for n, (p, _, _) in enumerate(MUTATIONS)]
)
def test_a_single_error_is_refused_with_its_place(
    shipped: dict[str, Any], tmp_path: Path, place: str, value: object, parts: list[str]
) -> None:
    path = tmp_path / "rubric.yaml"
    path.write_text(yaml.safe_dump(changed(shipped, place, value), sort_keys=False))
    with pytest.raises(RubricError) as error:
        load_rubric(path)
    line = str(error.value)
    assert line.startswith("rubric.yaml: ")
    assert "\n" not in line
    item = place.partition(" ")[0]
    if "." in item and not place.endswith((" id", " points")):
        assert f"item '{item}'" in line
    assert [part for part in parts if part not in line] == []


@pytest.mark.parametrize(
    ("identity", "check", "comparison"),
    [
        ("vae.reconstruction", "reconstructions_keep_their_digit", "below full_at, because a larger"),
        ("vae.reconstruction", "reconstructions_resemble_the_images", "below full_at, because a larger"),
        ("vae.generation", "samples_are_new", "above full_at, because a smaller"),
        ("cvae.generation", "samples_are_the_decoders_own", "above full_at, because a smaller"),
        ("vae.training", "steps_follow_the_gradient", "below full_at, because a larger"),  # weighs no level
    ],
)
def test_the_two_ends_of_partial_credit_cannot_be_exchanged(
    shipped: dict[str, Any], tmp_path: Path, identity: str, check: str, comparison: str
) -> None:
    content = copy.deepcopy(shipped)
    item = next(item for item in content["items"] if item["id"] == identity)
    numbers = item["checks"][check]
    numbers["zero_at"], numbers["full_at"] = numbers["full_at"], numbers["zero_at"]
    (tmp_path / "rubric.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    with pytest.raises(RubricError, match=f"zero_at {comparison} number is better"):
        load_rubric(tmp_path / "rubric.yaml")


def test_the_unchanged_rubric_written_in_the_same_way_is_accepted(shipped: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "rubric.yaml").write_text(yaml.safe_dump(shipped, sort_keys=False))
    assert load_rubric(tmp_path / "rubric.yaml")[0].items == load_rubric(SHIPPED)[0].items
