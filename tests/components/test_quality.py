"""Quality checks: what a level earns near a threshold, which set decides, and what each check catches."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader.checks import BORDERLINE, CLOSE, Measurement, needing_training, score_measurement, score_of
from grader.evidence import NotAnswered
from grader.exercises.vae_mnist.checks import CHECKS, image_measures, real_digits
from grader.exercises.vae_mnist.copies import copy_bank
from grader.records import Array, Blame, Evidence, Finding, MeasuredValue

COUNT = 200
ENDS = {"zero_at": 0.2, "full_at": 0.8}
DOWNWARD = {"zero_at": 0.8, "full_at": 0.2}


@pytest.mark.parametrize(
    ("value", "score", "borderline"),
    [
        (0.95, 1.0, False),
        (0.82, 1.0, True),  # full by itself, and near the limit
        (0.80, 1.0, True),
        (0.77, 1.0, True),  # full by the rule
        (0.74, 0.9, False),
        (0.50, 0.5, False),
        (0.23, 2 * 0.02 / 0.6, True),  # no less than a worse value earns
        (0.20, 2 * 0.02 / 0.6, True),
        (0.18, 0.02 / 0.6, True),
        (0.15, 0.0, False),
        (-3.0, 0.0, False),
    ],
)
@pytest.mark.parametrize("downward", [False, True])
def test_a_value_near_a_threshold_gets_the_better_result(
    value: float, score: float, borderline: bool, downward: bool
) -> None:
    value = 1 - value if downward else value
    grade = score_of(MeasuredValue("share", value, 0.02, **(DOWNWARD if downward else ENDS)))
    assert grade == (pytest.approx(score, abs=1e-9), borderline)


@pytest.mark.parametrize(("value", "score"), [(0.8, 1.0), (0.2, 0.0), (0.35, 0.25)])
def test_without_an_error_nothing_is_borderline(value: float, score: float) -> None:
    assert score_of(MeasuredValue("share", value, 0.0, **ENDS)) == (pytest.approx(score), False)
    assert score_of(MeasuredValue("share", 1 - value, 0.0, **DOWNWARD)) == (pytest.approx(score), False)


@given(st.floats(-1, 2), st.floats(0, 0.5), st.floats(0, 0.6), st.booleans())
def test_a_better_value_never_earns_less(value: float, more: float, error: float, downward: bool) -> None:
    ends = {name: -end for name, end in ENDS.items()} if downward else ENDS
    sign = -1 if downward else 1
    worse, better = (score_of(MeasuredValue("share", sign * v, error, **ends)) for v in (value, value + more))
    assert 0 <= worse[0] <= better[0] + 1e-12 <= 1 + 2e-12
    if value + BORDERLINE * error < ENDS["zero_at"]:
        assert worse == (0.0, False)


def test_a_message_holds_no_number_and_says_that_it_was_close() -> None:
    for value in np.linspace(0, 1, 41):
        finding = score_measurement(Measurement("share", float(value), 0.02, "they differ", "Look."), **ENDS)
        assert not re.search(r"\d", finding.message)
        assert (CLOSE in finding.message) is finding.borderline
        assert bool(finding.hint) is (finding.score != 1)


def test_a_measurement_has_its_own_words_for_what_is_lost() -> None:
    words = {"poor": "they are the same", "fair": "they hardly differ"}
    messages = [
        score_measurement(Measurement("share", value, 0.0, "they differ", "Look.", **more), **ENDS).message
        for more in (words, {})
        for value in (0.0, 0.5, 1.0)
    ]
    assert messages[:3] == ["they are the same", "they hardly differ", "they differ"]
    assert messages[3:] == [
        "expected: they differ; not achieved",
        "expected: they differ; partly achieved",
        "they differ",
    ]


def test_checks_whose_number_is_better_when_smaller_are_marked() -> None:
    marked = {name for name, check in CHECKS.items() if check.smaller_is_better}
    assert marked == {
        "samples_resemble_digits",
        "samples_spread_their_ink_as_digits_do",
        "samples_are_new",
        "samples_are_the_decoders_own",
    }


@pytest.fixture(autouse=True)
def _nothing_cached() -> Iterator[None]:
    image_measures._cache.clear()
    yield
    image_measures._cache.clear()


def digits(start: int = 0) -> tuple[Array, Array]:
    """Real digits, as a very good model would draw them."""
    images, labels = real_digits.digits()
    return images[start : start + COUNT], labels[start : start + COUNT]


def evidence(
    samples: Array | None = None, prior: Array | None = None, *, decoded: bool = True, fresh: Array | None = None
) -> Evidence:
    """A model whose reconstructions are perfect; it draws real digits where nothing else is given."""
    images, labels = digits()
    prior_digits, other_labels = digits(COUNT)
    x, y = digits(2 * COUNT)
    questions = {"x": x, "y": y, "labels": labels, "prior_labels": other_labels, "prior": np.zeros((COUNT, 2))}
    questions["fresh_x"] = x[:64]
    answers = {"quality.cvae/samples/images": images if samples is None else samples, "quality.cvae/here/images": x}
    if decoded:
        answers["decode.cvae/decode/images"] = np.concatenate([x, prior_digits if prior is None else prior])
    if fresh is not None:
        answers["untrained.cvae/untrained/reconstructions"] = fresh[:64]
        answers["untrained.cvae/untrained/drawn"] = fresh
    return Evidence({f"quality.cvae/{name}": array for name, array in questions.items()}, answers)


def finding_of(name: str, evidence: Evidence, **numbers: float) -> Finding:
    return CHECKS[name](evidence, "cvae", **numbers)


GREY = np.full((COUNT, 1, 28, 28), 0.5, np.float32)  # what an untrained decoder draws
LEVELS: list[tuple[str, dict[str, float]]] = [
    ("reconstructions_come_from_training", ENDS),
    ("samples_come_from_training", ENDS),
    ("samples_are_sharp", {"zero_at": 0.2, "full_at": 0.7}),
    ("reconstructions_resemble_the_images", ENDS),
    ("reconstructions_keep_their_digit", ENDS),
    ("samples_resemble_digits", DOWNWARD),
    ("samples_spread_their_ink_as_digits_do", DOWNWARD),
    ("samples_show_all_digits", ENDS),
    ("samples_differ", ENDS | {"tolerance": 0.005}),
    ("samples_show_the_requested_digit", ENDS | {"enough_spread": 0.6}),
    ("every_digit_can_be_requested", ENDS),
    ("samples_of_a_digit_differ", ENDS),
    ("samples_are_new", DOWNWARD | {"copy_ratio": 0.4, "examined": 50}),
    ("samples_are_the_decoders_own", DOWNWARD),
]


@pytest.fixture
def _small_bank(monkeypatch: pytest.MonkeyPatch) -> None:
    bank = copy_bank(real_digits.mnist().train_images[:400])
    monkeypatch.setattr(real_digits, "training_bank", lambda: bank)


@pytest.mark.usefixtures("_small_bank")
def test_real_digits_pass_every_check_and_each_states_its_level_and_its_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_measures, "RESAMPLES", 5)
    quality_checks = needing_training(CHECKS)
    assert {name for name, _ in LEVELS} == quality_checks
    first = {name: finding_of(name, evidence(fresh=GREY), **numbers) for name, numbers in LEVELS}
    for name, finding in first.items():
        assert finding.score == 1, name
        assert finding.level is not None
        assert finding.measured[finding.level.name] == finding.level.value
        assert 0 <= finding.level.standard_error < 0.2
        assert not finding.borderline
    image_measures._cache.clear()
    assert first == {name: finding_of(name, evidence(fresh=GREY), **numbers) for name, numbers in LEVELS}


@pytest.mark.usefixtures("_small_bank")
def test_copies_of_training_images_are_not_new() -> None:
    copies = real_digits.mnist().train_images[:COUNT, None].astype(np.float32) / 255
    assert finding_of("samples_are_new", evidence(copies), **dict(LEVELS)["samples_are_new"]).score == 0


def test_samples_from_elsewhere_are_not_the_decoders_own() -> None:
    name, limits = "samples_are_the_decoders_own", {"zero_at": 0.3, "full_at": 0.2}
    assert finding_of(name, evidence(1 - digits()[0]), **limits).score == 0
    draws = (np.random.default_rng(1).random(digits()[0].shape) < digits()[0]).astype(np.float32)
    assert finding_of(name, evidence(draws), **limits).score == 1  # black and white is compared with black and white
    alone = finding_of(name, evidence(1 - digits()[0], decoded=False), **limits)
    assert (alone.score, alone.level) == (1.0, None)
    assert "could not be tested separately" in alone.message


def test_digits_all_in_one_corner_have_their_ink_elsewhere() -> None:
    corner = np.roll(digits()[0], (7, 7), axis=(2, 3))
    limits = {"zero_at": 0.4, "full_at": 0.2}
    assert finding_of("samples_spread_their_ink_as_digits_do", evidence(corner), **limits).score == 0
    assert finding_of("samples_spread_their_ink_as_digits_do", evidence(), **limits).score == 1


def test_the_worse_of_two_sets_decides_and_the_error_is_its_own() -> None:
    images, labels = digits()
    wrong = images[(labels == 3).nonzero()[0][:1].repeat(COUNT)]
    for samples, prior in ((wrong, None), (None, wrong)):
        model = evidence(samples, prior)
        requested = finding_of("samples_show_the_requested_digit", model, **ENDS, enough_spread=0.6)
        decisive_labels = labels if prior is None else digits(COUNT)[1]
        assert requested.level is not None
        assert requested.level.value == 0  # always the same picture
        assert requested.measured["share of requested digits"] == pytest.approx(float((decisive_labels == 3).mean()))
        assert finding_of("samples_of_a_digit_differ", model, **ENDS).score == 0
        assert finding_of("samples_show_all_digits", model, **ENDS).score == 0
        far = finding_of("samples_resemble_digits", model, **DOWNWARD)
        assert far.score == 0
        assert far.level is not None
        assert far.level.standard_error < 0.02  # one picture, drawn again, is the same one: labels alone vary


def test_pictures_that_an_untrained_model_also_draws_earn_no_points() -> None:
    table = digits(2 * COUNT)[0]
    for name in ("reconstructions_come_from_training", "samples_come_from_training"):
        assert finding_of(name, evidence(fresh=table), **ENDS).score == 0, name
        assert finding_of(name, evidence(fresh=GREY), **ENDS).score == 1, name
        unasked = finding_of(name, evidence(), **ENDS)
        assert (unasked.score, unasked.level) == (1.0, None)
        assert "no untrained model" in unasked.message


def test_blur_is_not_sharp_and_noise_does_not_help() -> None:
    from scipy import ndimage

    images = digits()[0]
    blurred = ndimage.gaussian_filter(images, (0, 0, 1.5, 1.5)).astype(np.float32)
    levels = [finding_of("samples_are_sharp", evidence(samples), **ENDS).level for samples in (blurred, images)]
    assert [level is not None for level in levels] == [True, True]
    low, high = (level.value for level in levels if level is not None)
    assert low < 0.5 < 0.75 < high
    noisy = np.clip(images + 0.3 * np.random.default_rng(0).standard_normal(images.shape), 0, 1).astype(np.float32)
    assert finding_of("samples_resemble_digits", evidence(noisy), **DOWNWARD).score == 0  # sharp, and no digits


@pytest.mark.parametrize(("shift", "share"), [(0, 1.0), (1, 0.0)])
def test_a_wrong_label_is_as_far_as_another_digit(shift: int, share: float) -> None:
    images, labels = digits()
    order = np.argsort((labels + shift) % 10, kind="stable")
    shifted_images = np.empty_like(images)
    shifted_images[np.argsort(labels, kind="stable")] = images[order[:COUNT]]
    far = finding_of("samples_resemble_digits", evidence(shifted_images), zero_at=0.5, full_at=0.2)
    assert far.level is not None
    assert far.level.name == "Fréchet joint distance"
    assert far.score == share


def test_a_requested_digit_counts_as_far_as_its_handwriting_varies() -> None:
    images, labels = digits()
    tame = (0.3 * images + 0.7 * np.stack([images[labels == k].mean(0) for k in range(10)])[labels]).astype(np.float32)
    numbers = ENDS | {"enough_spread": 0.6}
    full, less = (
        finding_of("samples_show_the_requested_digit", evidence(samples, decoded=False), **numbers)
        for samples in (images, tame)
    )
    assert full.level is not None
    assert less.level is not None
    spread = float(less.measured["spread within a digit"])
    assert less.level.value == pytest.approx(float(less.measured["share of requested digits"]) * spread / 0.6)
    assert less.level.value < 0.7 < full.level.value


def test_codes_wider_than_the_notebooks_own_earn_no_pictures() -> None:
    model = evidence()
    for width, right in ((8, True), (484, False)):
        codes = {"quality.cvae/encode/mu": np.zeros((COUNT, width), np.float32)}
        components = {"components.cvae/encoder/latent_dim": np.array(8)}
        wide = Evidence(model.questions, {**model.answers, **codes, **components})
        assert (image_measures.wrong_width(wide, "cvae") == "") is right
        for name in ("reconstructions_resemble_the_images", "samples_differ"):
            numbers = dict(LEVELS)[name]
            if right:
                assert finding_of(name, wide, **numbers).score == 1
            else:
                with pytest.raises(NotAnswered, match="LATENT_DIM = 8 numbers, got 484"):
                    finding_of(name, wide, **numbers)


@pytest.mark.parametrize(("fresh_width", "blame"), [(8, Blame.OURS), (484, Blame.STUDENT)])
def test_codes_that_become_wider_in_training_need_review(fresh_width: int, blame: Blame) -> None:
    model = evidence()
    codes = {"quality.cvae/encode/mu": np.zeros((COUNT, 484), np.float32)}
    components = {
        "components.cvae/encoder/latent_dim": np.array(8),
        "components.cvae/encoder/mu": np.zeros((3, 7, fresh_width), np.float32),
    }
    wide = Evidence(model.questions, {**model.answers, **codes, **components})
    with pytest.raises(NotAnswered, match="in LATENT_DIM = 8 numbers, got 484") as refusal:
        finding_of("samples_differ", wide, **dict(LEVELS)["samples_differ"])
    assert refusal.value.fault.blame is blame


def test_black_and_white_draws_are_graded_by_the_decoders_images() -> None:
    draws = (np.random.default_rng(1).random(digits()[0].shape) < digits()[0]).astype(np.float32)
    assert finding_of("samples_resemble_digits", evidence(draws), **DOWNWARD).score == 1  # the decoder's images are
    alone = finding_of("samples_are_sharp", evidence(draws, decoded=False), **ENDS)
    assert alone.level is not None
    assert alone.level.value > 0.8  # where there is nothing else to look at


def test_a_set_of_pictures_is_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    counts: list[int] = []
    classify = image_measures.classify

    def counting(images: Array, **more: str) -> image_measures.Prediction:
        counts.append(len(images))
        return classify(images, **more)

    monkeypatch.setattr(image_measures, "classify", counting)
    for _ in range(2):
        for name in ("samples_resemble_digits", "samples_are_the_decoders_own"):
            finding_of(name, evidence(), **DOWNWARD)
    assert counts == [COUNT, COUNT]
