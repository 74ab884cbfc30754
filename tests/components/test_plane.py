"""The plane of a student's code space: the codes that are asked for, and how each kind of answer is handled."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
import torch
from answers_in_process import answers_of
from PIL import Image

from grader.evidence import NotAnswered, Rejected, read_answer
from grader.exercises.vae_mnist import figures
from grader.exercises.vae_mnist.checks.answers import NO_STEP
from grader.exercises.vae_mnist.evidence_spec import answer_specs
from grader.exercises.vae_mnist.figures import plane as plane_figure
from grader.exercises.vae_mnist.figures.plane import code_plane
from grader.exercises.vae_mnist.plane import DIGITS, SIDES, count_of_images, plane_of, plane_questions
from grader.exercises.vae_mnist.plugin import VaeMnist
from grader.records import Address, Array, Blame, Evidence, Fault, Stage
from grader.report.plane import MOST_BYTES, plane_views

PARTS = ("vae", "cvae")
COUNT, SIZE = 300, 8
NUMBERS = np.random.default_rng(5)
LABELS = NUMBERS.integers(0, 10, COUNT)
MEANS = NUMBERS.normal(size=(10, SIZE))
CODES = (MEANS[LABELS] + 0.5 * NUMBERS.normal(size=(COUNT, SIZE))).astype(np.float32)
SIZES = VaeMnist.sizes


def evidence(part: str, images: Array | None, mu: Array = CODES, **more: Array) -> Evidence:
    questions = {f"quality.{part}/y": LABELS, f"components.{part}/x": np.zeros((1, 1, 28, 28), np.float32)}
    answers: dict[str, Array] = {f"quality.{part}/encode/mu": mu, **more}
    return Evidence(questions, answers if images is None else {**answers, f"plane.{part}/plane/images": images}, {})


def ramps(part: str) -> Array:
    """Each tile has the grey level of its own number."""
    count = count_of_images(part)
    return np.ones((count, 1, 28, 28), np.float32) * np.linspace(0, 1, count, dtype=np.float32).reshape(-1, 1, 1, 1)


def noise(part: str) -> Array:
    return np.random.default_rng(0).random((count_of_images(part), 1, 28, 28), dtype=np.float32)


def sheet_of(png: bytes) -> Array:
    with Image.open(io.BytesIO(png)) as picture:
        return np.asarray(picture.convert("L")).astype(np.int64)


# Which plane


@pytest.mark.parametrize("part", PARTS)
def test_the_plane_lies_through_the_mean_code_and_reaches_three_deviations(part: str) -> None:
    plane = plane_of(part, CODES, LABELS)
    assert plane is not None
    assert plane.directions @ plane.directions.T == pytest.approx(np.eye(2), abs=1e-9)
    assert plane.middle == pytest.approx(CODES.mean(axis=0), abs=1e-3)
    places = plane.coordinates(CODES)
    assert plane.reach == pytest.approx(3 * places.std(axis=0).max(), rel=1e-3)
    grid = plane.grid(5)
    corner = plane.middle + plane.reach * (plane.directions[1] - plane.directions[0])
    assert grid[0] == pytest.approx(corner, abs=1e-5)  # the first tile is that of the upper left corner
    assert grid[12] == pytest.approx(plane.middle, abs=1e-5)


def test_digits_lie_further_apart_on_the_plane_than_on_that_of_the_largest_variance() -> None:
    wide = CODES.copy()
    wide[:, 0] += 5 * NUMBERS.normal(size=COUNT)  # varies most, and tells nothing about digits
    by_digit, by_codes = plane_of("vae", wide, LABELS), plane_of("cvae", wide, LABELS)
    assert by_digit is not None
    assert by_codes is not None
    assert abs(by_codes.directions[0, 0]) > 0.95
    assert abs(by_digit.directions[0, 0]) < 0.95


def test_two_numbers_are_the_plane_themselves() -> None:
    plane = plane_of("vae", CODES[:, :2] + 1, LABELS)
    assert plane is not None
    assert (plane.middle == 0).all()
    assert (plane.directions == np.eye(2)).all()


@pytest.mark.parametrize(
    "mu",
    [
        *(CODES[:, :1], CODES[:10], CODES.reshape(-1), CODES[:, :, None], np.full_like(CODES, np.nan)),
        *(np.full_like(CODES, 3e38), CODES[:0]),
    ],
    ids=["one number", "too few", "flat", "three dimensions", "NaN", "infinite", "none"],
)
def test_codes_without_a_plane_have_none_and_are_not_asked_about(mu: Array) -> None:
    assert plane_of("vae", mu, LABELS) is None
    assert plane_questions(evidence("vae", None, mu), {Stage.of("decode", "vae"): {}}) == {}
    assert figures.draw(evidence("vae", ramps("vae"), mu)) == [] or mu.ndim == 2


def test_codes_that_are_all_the_same_have_the_plane_that_new_codes_come_from() -> None:
    plane = plane_of("vae", np.zeros_like(CODES), LABELS)
    assert plane is not None
    assert plane.reach == 2.5
    assert np.isfinite(plane.grid(5)).all()


@pytest.mark.parametrize("part", PARTS)
def test_half_precision_which_large_evidence_is_stored_in_moves_nothing(part: str) -> None:
    before, after = plane_of(part, CODES, LABELS), plane_of(part, CODES.astype(np.float16), LABELS)
    assert before is not None
    assert after is not None
    assert (before.grid(3) == after.grid(3)).all()


# What is asked


@pytest.mark.parametrize("part", PARTS)
def test_every_point_is_asked_about_once_for_each_digit_with_the_trained_numbers(part: str) -> None:
    decode = {"decoder/w": np.ones(3), "codes": CODES, "labels": LABELS}
    questions = plane_questions(evidence(part, None), {Stage.of("decode", part): decode})
    asked = questions[Stage.of("plane", part)]
    assert set(asked) == {"decoder/w", "codes", "labels"}
    assert asked["codes"].shape == (count_of_images(part), SIZE)
    assert asked["codes"].dtype == np.float32
    assert list(np.bincount(asked["labels"])) == [SIDES[part] ** 2] * DIGITS[part]
    assert (asked["codes"][: SIDES[part] ** 2] == asked["codes"][-(SIDES[part] ** 2) :]).all()


def test_nothing_is_asked_without_trained_numbers_or_of_a_part_with_correct_parts() -> None:
    assert plane_questions(evidence("vae", None), {}) == {}
    retrained = Evidence({"quality.vae/y": LABELS}, {"quality.vae/encode/mu": CODES}, {})
    assert plane_questions(retrained, {Stage.of("decode", "vae"): {}}) == {}


def test_the_plane_is_asked_about_last_and_no_random_number_is_drawn_for_it() -> None:
    exercise = VaeMnist()
    quality = {
        "x": np.zeros((COUNT, 1, 28, 28), np.float32),
        "noise": np.zeros((COUNT, 512), np.float32),
        "prior": np.zeros((20, 512), np.float32),
        "prior_labels": np.zeros(20, np.int64),
        "fresh_x": np.zeros((2, 1, 28, 28), np.float32),
        "fresh_y": np.zeros(2, np.int64),
    }
    one = evidence("vae", None)
    arrays = {**one.questions, **{f"quality.vae/{name}": array for name, array in quality.items()}}
    arrays["sampling.vae/sample_counts"] = np.array([2])
    stages = exercise.second_questions(Evidence(arrays, one.answers, {}), {"vae": {"decoder/w": np.ones(3)}})
    assert list(stages)[-1] == Stage.of("plane", "vae")
    assert [stage.kind for stage in stages].count("plane") == 1


class Decoder(torch.nn.Module):
    def __init__(self, latent_dim: int) -> None:
        super().__init__()
        self.out = torch.nn.Linear(latent_dim, 784)

    def forward(self, z: Any) -> Any:
        assert not self.training
        assert not torch.is_grad_enabled()
        return torch.sigmoid(self.out(z)).view(-1, 1, 28, 28)


def test_the_box_answers_with_the_trained_decoder_in_eval_mode() -> None:
    trained = Decoder(SIZE)
    state = {f"decoder/{name}": value.numpy() for name, value in trained.state_dict().items()}
    stage = Stage.of("plane", "vae")
    asked = plane_questions(evidence("vae", None), {Stage.of("decode", "vae"): state})[stage]
    answers, faults = answers_of(stage, "plane", {"Decoder": Decoder, "DEVICE": "cpu"}, asked)
    assert not faults
    with torch.no_grad():
        expected = trained.eval()(torch.from_numpy(asked["codes"])).numpy()
    assert answers["plane.vae/plane/images"] == pytest.approx(expected, abs=1e-6)


def test_more_images_than_were_asked_for_are_no_answer() -> None:
    from safetensors.numpy import save

    spec = answer_specs(dict.fromkeys(SIZES, 10))[Address.of("plane", "vae", "plane")]
    assert read_answer(save({"images": ramps("vae")}), spec)
    with pytest.raises(Rejected):
        read_answer(save({"images": np.zeros((count_of_images("vae") + 1, 784), np.float32)}), spec)
    with pytest.raises(Rejected):
        read_answer(save({"images": np.zeros((10, 784), np.int64)}), spec)


# What is drawn


@pytest.mark.parametrize("part", PARTS)
def test_each_tile_of_the_sheet_is_the_picture_of_its_point(part: str) -> None:
    figure = code_plane(evidence(part, ramps(part)), part)
    assert figure.plane is not None
    side, per_row = figure.plane.side, figure.plane.per_row
    assert side == SIDES[part]
    tiles = sheet_of(figure.png)
    assert tiles.shape == (28 * side * -(-DIGITS[part] // per_row), 28 * side * per_row)
    for number in (0, 1, side, side**2 - 1, count_of_images(part) - 1):
        digit, rest = divmod(number, side**2)
        row, column = digit // per_row * side + rest // side, digit % per_row * side + rest % side
        tile = tiles[28 * row : 28 * row + 28, 28 * column : 28 * column + 28]
        assert np.ptp(tile) == 0
        assert tile[0, 0] / 255 == pytest.approx(1 - number / (count_of_images(part) - 1), abs=0.04)
    assert figure.plane.choices == (() if part == "vae" else tuple("0123456789"))


def test_the_map_shows_hidden_images_at_their_codes() -> None:
    plane = plane_of("vae", CODES, LABELS)
    figure = code_plane(evidence("vae", ramps("vae")), "vae")
    assert figure.plane is not None
    assert plane is not None
    x, y, label = figure.plane.dots[0]
    assert (x, y) == pytest.approx(tuple(plane.coordinates(CODES)[0]))
    assert label == str(LABELS[0])


def test_noise_that_cannot_be_packed_gets_fewer_points_and_a_page_stays_below_its_limit() -> None:
    drawn = [code_plane(evidence(part, noise(part)), part) for part in PARTS]
    assert [figure.plane.side for figure in drawn if figure.plane] == [9, 5]
    assert all(len(figure.png) <= plane_figure.MOST_BYTES[figure.id.split("-")[0]] for figure in drawn)
    assert len(plane_views(drawn)) == 2
    assert MOST_BYTES < 300_000


FLAWS = {
    "NaN": lambda array: np.full_like(array, np.nan),
    "infinite": lambda array: np.full_like(array, np.inf),
    "huge": lambda array: array * np.float32(3e38),
    "negative": lambda array: -array,
    "another shape": lambda array: array.reshape(1, -1),
    "flat": lambda array: array.reshape(-1),
    "too little": lambda array: array[:5],
    "nothing": lambda array: array[:0],
}


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("flaw", FLAWS)
def test_a_flawed_answer_is_drawn_in_range_or_left_out(flaw: str, part: str) -> None:
    try:
        figure = code_plane(evidence(part, FLAWS[flaw](ramps(part))), part)
    except NotAnswered:
        assert flaw in {"too little", "nothing"}
        return
    assert sheet_of(figure.png).max() <= 255
    assert len(figure.png) <= plane_figure.MOST_BYTES[part]


@pytest.mark.parametrize("part", PARTS)
def test_a_run_without_an_answer_has_no_section(part: str) -> None:
    """So have runs of before the question, runs of components alone, and decoders that hang or fail."""
    without = evidence(part, None)
    assert not any(figure.plane for figure in figures.draw(without))
    failed = Evidence(without.questions, without.answers, {f"plane.{part}/plane": Fault(*_fault())})
    assert not any(figure.plane for figure in figures.draw(failed))


def _fault() -> tuple[Any, str]:
    from grader.records import Blame

    return Blame.STUDENT, "did not finish within 60 s"


def test_no_check_looks_at_the_plane() -> None:
    from pathlib import Path

    import grader.exercises.vae_mnist.checks as checks

    folder = Path(checks.__file__).parent
    assert not [path for path in folder.glob("*.py") if '"plane"' in path.read_text()]


def test_a_model_that_was_not_trained_has_no_plane() -> None:
    untrained = evidence("vae", ramps("vae"))
    fault = Fault(Blame.STUDENT, f"{NO_STEP} on vae")
    with pytest.raises(NotAnswered, match="not trained"):
        code_plane(Evidence(untrained.questions, untrained.answers, {"trained.vae/steps": fault}), "vae")
