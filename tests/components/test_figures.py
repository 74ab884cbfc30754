"""Pictures for the report: their content for known evidence, and that no answer of a box prevents them."""

from __future__ import annotations

import contextlib
import inspect
import io
import re

import numpy as np
import pytest
from PIL import Image

from grader.errors import EvidenceError
from grader.evidence import NotAnswered
from grader.exercises.vae_mnist import figures
from grader.exercises.vae_mnist.checks import real_digits
from grader.exercises.vae_mnist.checks.answers import NO_STEP
from grader.exercises.vae_mnist.copies import copy_bank
from grader.exercises.vae_mnist.figures import codes, drawing, losses, reconstructions, samples
from grader.exercises.vae_mnist.figures.drawing import reference
from grader.exercises.vae_mnist.in_box import trained
from grader.records import Array, Blame, Evidence, Fault, Figure

COUNT = 120
IDS = {
    "vae": ["vae-loss", "vae-reconstructions", "vae-worst", "vae-samples", "vae-codes", "vae-nearest"],
    "cvae": [
        *("cvae-loss", "cvae-reconstructions", "cvae-worst", "cvae-samples", "cvae-requests", "cvae-codes"),
        "cvae-nearest",
    ],
}
NUMBERS = np.random.default_rng(3)


@pytest.fixture(autouse=True)
def _small_bank(monkeypatch: pytest.MonkeyPatch) -> None:
    bank = copy_bank(real_digits.mnist().train_images[:200])
    monkeypatch.setattr(real_digits, "training_bank", lambda: bank)


def evidence(*parts: str, count: int = COUNT) -> Evidence:
    """Models that draw real digits as asked and reconstruct well."""
    images, labels = real_digits.digits()
    questions: dict[str, Array] = {}
    answers: dict[str, Array] = {}
    for part in parts or figures.PICTURES:
        questions |= {f"quality.{part}/x": images[:count], f"quality.{part}/y": labels[:count]}
        questions[f"quality.{part}/labels"] = labels[count : 2 * count]
        answers[f"trained.{part}/history/history"] = np.linspace(150, 105, 10, dtype=np.float32)
        answers[f"quality.{part}/here/images"] = images[:count] * np.float32(0.9)
        answers[f"quality.{part}/samples/images"] = images[count : 2 * count]
        answers[f"quality.{part}/encode/mu"] = NUMBERS.normal(size=(count, 16)).astype(np.float32)
    return Evidence(questions, answers, {})


def with_answer(evidence: Evidence, name: str, array: Array) -> Evidence:
    return Evidence(evidence.questions, {**evidence.answers, name: array}, evidence.faults)


def with_question(evidence: Evidence, name: str, array: Array) -> Evidence:
    return Evidence({**evidence.questions, name: array}, evidence.answers, evidence.faults)


def by_id(evidence: Evidence) -> dict[str, Figure]:
    return {figure.id: figure for figure in figures.draw(evidence)}


def pixels(figure: Figure) -> Array:
    with Image.open(io.BytesIO(figure.png)) as picture:
        return np.asarray(picture.convert("RGB")).astype(np.int64)


def orange(figure: Figure) -> int:
    """How many pixels are of the colour that frames what is wrong."""
    colour = [int(drawing.WRONG[at : at + 2], 16) for at in (1, 3, 5)]
    return int((np.abs(pixels(figure) - colour).max(axis=-1) < 12).sum())


def test_every_picture_is_drawn_small_says_what_it_shows_and_is_shown_to_the_right_people() -> None:
    pictures = figures.draw(evidence())
    assert [figure.id for figure in pictures] == [*IDS["vae"], *IDS["cvae"]]
    assert sum(len(figure.png) for figure in pictures) < 500_000
    assert {figure.id for figure in pictures if figure.for_staff} == {"vae-nearest", "cvae-nearest"}
    in_strip = {figure.id for figure in pictures if figure.in_strip}
    assert in_strip == {f"{part}-{kind}" for part in IDS for kind in ("reconstructions", "samples")}
    for figure in pictures:
        assert figure.title
        assert figure.caption.endswith(".")
        assert len(figure.alt) > 40
        assert 500 <= pixels(figure).shape[1] <= 800  # half of it is a phone's width


def missed_percent(figure: Figure) -> int:
    """The share of samples, in percent, in which the caption says that the classifier sees another digit."""
    return int(figure.caption.split("): ")[1].split(" %")[0])


def test_a_misread_sample_is_framed_and_counted() -> None:
    good = evidence("cvae")
    labels = good.questions["quality.cvae/labels"]
    before = by_id(good)["cvae-samples"]
    missed = missed_percent(before)
    assert missed < 10
    swapped = np.where(labels == 3, 5, np.where(labels == 5, 3, labels))
    after = by_id(with_question(good, "quality.cvae/labels", swapped))
    now = missed + 100 * float(np.isin(labels, (3, 5)).mean())
    assert abs(missed_percent(after["cvae-samples"]) - now) <= 2 * missed + 1
    assert orange(after["cvae-samples"]) > orange(before) + 1000
    assert "Most frequent confusion" in after["cvae-requests"].caption


def test_requested_digits_have_another_colour_than_other_digits() -> None:
    shares = np.zeros((10, 10))
    shares[0, 0] = shares[0, 9] = shares[7, 7] = 0.5
    colours = samples.shaded(shares)
    assert colours.shape == (10, 10, 3)
    assert colours.min() >= 0
    assert colours.max() <= 1
    blue, red = colours[0, 0], colours[0, 9]
    assert blue[2] > blue[0]
    assert red[0] > red[2]


def test_the_worst_reconstruction_of_each_digit_is_found() -> None:
    good = evidence("vae")
    x, y = good.questions["quality.vae/x"], good.questions["quality.vae/y"]
    spoilt = x.copy()
    rows = {digit: int(np.flatnonzero(y == digit)[-1]) for digit in range(10)}
    for row in rows.values():
        spoilt[row] = 1 - x[row]
    assert reconstructions.worst_rows(reconstructions.errors_of(x, spoilt), y) == rows
    assert reconstructions.errors_of(x, x).max() == 0
    even = np.broadcast_to(real_digits.mean_image(), x.shape)
    assert reconstructions.errors_of(x, even) == pytest.approx(1, abs=1e-4)
    assert "an error of 9.99" in by_id(with_answer(good, "quality.vae/here/images", 1 - x))["vae-worst"].alt


def test_explained_variance_below_zero_is_said_without_a_number() -> None:
    good = evidence("vae")
    caption = by_id(good)["vae-reconstructions"].caption
    assert re.search(rf"Explained variance over {COUNT} images: 9\d %; reference 6\d %\.$", caption)
    inverted = with_answer(good, "quality.vae/here/images", 1 - good.questions["quality.vae/x"])
    assert by_id(inverted)["vae-reconstructions"].caption.endswith(
        "Explained variance below 0 (worse than always showing the mean image); reference 68 %."
    )


def test_pictures_of_a_model_that_was_not_trained_say_so_first() -> None:
    good = evidence("vae", "cvae")
    answers = {name: array for name, array in good.answers.items() if name != "trained.vae/history/history"}
    fault = Fault(Blame.STUDENT, f"{NO_STEP} on vae")
    pictures = by_id(Evidence(good.questions, answers, {"trained.vae/steps": fault}))
    assert [*pictures] == [*IDS["vae"][1:], *IDS["cvae"]]
    for name, figure in pictures.items():
        assert figure.caption.startswith(drawing.NOT_TRAINED) is name.startswith("vae")
        assert figure.alt.startswith(drawing.NOT_TRAINED) is name.startswith("vae")
    without_optimizer = by_id(Evidence(good.questions, good.answers, {"trained.vae/steps": fault}))
    unknown = by_id(Evidence(good.questions, answers, {}))
    for figure in (*without_optimizer.values(), *unknown.values()):
        assert drawing.NOT_TRAINED not in figure.caption
    assert NO_STEP in inspect.getsource(trained)


def test_copies_are_framed_above_their_originals() -> None:
    good = evidence("cvae")
    copies = real_digits.mnist().train_images[:COUNT, None].astype(np.float32) / 255
    copied = by_id(with_answer(good, "quality.cvae/samples/images", copies))["cvae-nearest"]
    assert f": {COUNT} of {COUNT} samples." in copied.caption
    assert orange(copied) > 1000
    noise = np.random.default_rng(1).random(copies.shape, dtype=np.float32)
    new = by_id(with_answer(good, "quality.cvae/samples/images", noise))["cvae-nearest"]
    assert orange(new) < orange(copied)


@pytest.mark.parametrize(
    ("scale", "same"), [(1.0, True), (0.7, True), (4.0, True), (0.3, False), (1 / 784, False), (128.0, False)]
)
def test_the_reference_is_drawn_with_a_loss_of_the_same_scale(scale: float, same: bool) -> None:
    usual = np.array(reference("vae").loss)
    assert losses.comparable(usual * scale, usual) is same
    figure = by_id(with_answer(evidence("vae"), "trained.vae/history/history", usual * scale))["vae-loss"]
    assert ("reference" in figure.caption) is same
    assert ("reference" in figure.alt) is same


def test_the_reference_has_a_level_for_everything_that_is_drawn() -> None:
    for part in IDS:
        levels = reference(part)
        assert len(levels.loss) == 7
        assert levels.loss[-1] < levels.loss[0]
        assert len(levels.worst) == 10
        assert 0.6 < levels.kept < 1
        assert 0.3 < levels.nearest < 0.7
    share = reference("cvae").read_as_asked
    assert share is not None
    assert 0.5 < share < 1


def test_codes_are_turned_to_where_they_vary_most() -> None:
    mu = NUMBERS.normal(size=(200, 6)) * np.array([0.1, 5, 0.1, 2, 0.1, 0.1]) + 3
    points, centre, share = codes.flat(mu)
    assert points.std(axis=0) == pytest.approx([5, 2], rel=0.25)
    assert share > 0.98
    assert np.abs(points).max() < 40
    assert points.mean(axis=0) == pytest.approx([0, 0], abs=1e-9)
    assert np.linalg.norm(centre) == pytest.approx(np.hypot(3, 3), rel=0.2)
    plane = mu[:, :2]
    assert (codes.flat(plane)[0] == plane).all()
    with pytest.raises(NotAnswered, match="all the same"):
        codes.flat(np.ones((5, 4)))


def test_large_digits_do_not_overlap() -> None:
    together = codes.apart(np.zeros((10, 2)), 1.0)
    between = np.hypot(*(together[:, None] - together[None]).transpose(2, 0, 1)) + 10 * np.eye(10)
    assert between.min() > 0.9
    assert np.abs(together).max() < 4
    wide = np.arange(20.0).reshape(10, 2) * 3
    assert codes.apart(wide, 1.0) == pytest.approx(wide, abs=1e-2)


def flawed(array: Array, value: float) -> Array:
    values = array.astype(np.float32, copy=True)
    values.reshape(-1)[::7] = value
    return values


FLAWS = {
    "NaN here and there": lambda array: flawed(array, np.nan),
    "infinities": lambda array: flawed(array, np.inf),
    "nothing but NaN": lambda array: np.full_like(array, np.nan),
    "huge numbers": lambda array: flawed(array, 3e38),
    "all the same": lambda array: np.full_like(array, 0.5),
    "zeros": np.zeros_like,
    "another shape": lambda array: array.reshape(1, -1),
    "too little": lambda array: array[: len(array) // 2],
    "nothing": lambda array: array[:0],
}


@pytest.mark.parametrize("flaw", FLAWS)
def test_a_picture_of_flawed_answers_is_drawn_or_left_out(flaw: str) -> None:
    good = evidence("cvae")
    flawed_ones = {name: FLAWS[flaw](array) for name, array in good.answers.items()}
    for picture in figures.PICTURES["cvae"]:
        with contextlib.suppress(NotAnswered):
            assert picture(Evidence(good.questions, flawed_ones, {}), "cvae").png


def test_a_picture_that_fails_costs_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_: object) -> Figure:
        raise ZeroDivisionError

    monkeypatch.setitem(figures.PICTURES, "vae", (failing, losses.loss_curve))
    monkeypatch.setitem(figures.PICTURES, "cvae", (failing,))
    assert list(by_id(evidence("vae"))) == ["vae-loss"]


def test_a_class_that_is_missing_and_a_few_samples_are_drawn_as_they_are() -> None:
    good = evidence("cvae")
    labels = good.questions["quality.cvae/labels"].copy()
    labels[labels == 4] = 9
    y = good.questions["quality.cvae/y"].copy()
    y[y == 4] = 9
    pictures = by_id(with_question(with_question(good, "quality.cvae/labels", labels), "quality.cvae/y", y))
    assert list(pictures) == IDS["cvae"]
    assert "of 9 digits" in pictures["cvae-worst"].alt
    assert list(by_id(evidence("cvae", count=5))) == IDS["cvae"]
    assert list(by_id(evidence("vae", count=5))) == IDS["vae"]
    assert figures.draw(evidence("vae", count=1))


def test_figures_without_answers_are_left_out() -> None:
    good = evidence("vae")
    assert figures.draw(Evidence({}, {}, {})) == []
    assert figures.draw(Evidence({}, dict(good.answers), {})) != []  # the loss needs no question
    without = {name: array for name, array in good.answers.items() if "encode" not in name}
    assert "vae-codes" not in by_id(Evidence(good.questions, without, {}))


def test_evidence_that_cannot_be_read_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreadable(*_: object) -> Figure:
        raise EvidenceError("evidence.safetensors: changed meanwhile")

    monkeypatch.setitem(figures.PICTURES, "vae", (unreadable,))
    with pytest.raises(EvidenceError):
        figures.draw(evidence())
