"""Checks of the reparameterization and of the loss, by their statistics and gradients."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from grader.checks import check
from grader.exercises.vae_mnist.checks.answers import all_or_nothing, answer, equal_shares, expect_shape
from grader.exercises.vae_mnist.checks.steps import best_factor, cosine
from grader.records import Address, Array, Evidence, Finding, Stage

BATCHES = ("random", "digits", "shifted", "small")
SAME = 0.99  # correlation of two equal draws; cosine of two equal gradients
SOME = 0.5  # a gradient with a smaller cosine is unrelated to the right one; an absolute error reaches 0.8
LOGITS = "binary cross-entropy of logits"
STILL_HINT = "What is random in z, and does every number of z get its own random value?"


# Reparameterization


def _noise(evidence: Evidence, part: str) -> Array:
    """The standardized draws (z - mu) / sigma, `(draws, rows, D)`."""
    address = Address.of("components", part, "reparameterize")
    draws, z = answer(evidence, address, "draws", "z")
    stage = Stage.of("components", part)
    mu, logvar = (evidence.questions[stage.array(name)] for name in ("mu", "logvar"))
    size = z.shape[-1]
    count = int(evidence.questions[stage.array("draws")])
    draws = expect_shape(draws, (count, len(mu), size), "z")
    noise: Array = (draws - mu[:, :size]) / np.exp(logvar[:, :size] / 2)
    return noise


@check()
def gradient_reaches_mu_and_logvar(evidence: Evidence, part: str, *, max_error: float) -> Finding:
    """The correct gradient flows through z to mu and to logvar."""
    address = Address.of("components", part, "reparameterize")
    z, grad_mu, grad_logvar = answer(evidence, address, "z", "grad_mu", "grad_logvar")
    size = z.shape[-1]
    mu = evidence.questions[Stage.of("components", part).array("mu")][:, :size]
    weights = evidence.questions[Stage.of("components", part).array("weights")][:, :size]
    error_mu = _relative_error(grad_mu, weights)
    error_logvar = _relative_error(grad_logvar, weights * (z - mu) / 2)
    noisy = float(np.abs(z - mu).max()) > 1e-6
    results = {
        "mu": "" if error_mu <= max_error else _gradient_fault("mu", grad_mu),
        "logvar": "" if error_logvar <= max_error and noisy else _gradient_fault("logvar", grad_logvar),
    }
    return equal_shares(
        results,
        "the gradient of z with respect to mu and logvar is correct",
        " ".join(_gradient_hints(results)),
        {"error for mu": error_mu, "error for logvar": error_logvar},
    )


def _gradient_fault(name: str, gradient: Array) -> str:
    if not np.abs(gradient).max() > 0:
        return f"no gradient reaches {name}"
    return f"the gradient of z with respect to {name} is wrong"


def _gradient_hints(results: Mapping[str, str]) -> Iterator[str]:
    """Yields a hint for missing gradients and a hint for wrong gradients."""
    if any(text.startswith("no gradient") for text in results.values()):
        yield "Is z computed from mu and logvar by operations that autograd can follow?"
    if wrong := [name for name, text in results.items() if text.endswith("wrong")]:
        yield f"Differentiate z by hand with respect to {' and '.join(wrong)} and compare."


def _relative_error(gradient: Array, expected: Array) -> float:
    if gradient.shape != expected.shape:
        return float("inf")
    return float(np.linalg.norm(gradient - expected) / (np.linalg.norm(expected) + 1e-12))


@check()
def mean_is_mu(evidence: Evidence, part: str, *, max_error: float) -> Finding:
    """The mean of many draws is mu."""
    error = float(np.sqrt((_noise(evidence, part).mean(axis=0) ** 2).mean()))
    return all_or_nothing(
        error <= max_error,
        "draws are centred on mu",
        "the mean of many draws of z is not mu",
        "What should z be when the noise happens to be zero?",
        {"error of the mean, in sigmas": error},
    )


@check()
def spread_is_sigma(evidence: Evidence, part: str, *, max_error: float) -> Finding:
    """The standard deviation of many draws is sigma."""
    spread = _noise(evidence, part).std(axis=0)
    error = float(np.sqrt(((spread - 1) ** 2).mean()))
    is_still = bool(spread.min() < 1e-6)
    return all_or_nothing(
        error <= max_error,
        "the standard deviation of the draws is sigma",
        _still(spread) if is_still else "the standard deviation of many draws of z is not sigma",
        STILL_HINT if is_still else "logvar is the logarithm of the variance: how do you get sigma from it?",
        {"error of the spread, in sigmas": error},
    )


def _still(spread: Array) -> str:
    """The message for draws in which all or some numbers never change."""
    return f"{'all' if spread.max() < 1e-6 else 'some'} numbers of z are the same in every draw"


@check(presupposes=(gradient_reaches_mu_and_logvar,))
def noise_is_normal(evidence: Evidence, part: str, *, max_kurtosis_error: float) -> Finding:
    """The noise is normally distributed."""
    noise = _noise(evidence, part)
    spread = noise.std(axis=0)
    if spread.min() < 1e-6:
        return Finding(0.0, _still(spread), STILL_HINT)
    standard = (noise - noise.mean(axis=0)) / spread
    kurtosis = float((standard**4).mean())
    return all_or_nothing(
        abs(kurtosis - 3) <= max_kurtosis_error,
        "the noise is normal",
        f"the noise has a kurtosis of {kurtosis:.1f}; normal noise has 3",
        "Which distribution does your noise come from, and which one does the notebook ask for?",
        {"kurtosis (normal: 3, uniform: 1.8)": kurtosis},
    )


@check(presupposes=(gradient_reaches_mu_and_logvar,))
def draws_are_independent(evidence: Evidence, part: str, *, max_correlation: float) -> Finding:
    """Every number of every code gets its own noise, in every call."""
    noise = _noise(evidence, part)
    noise = noise - noise.mean(axis=0)
    spread = noise.std(axis=0)
    if spread.min() < 1e-6:
        return Finding(0.0, _still(spread), STILL_HINT)
    noise = noise / spread
    rows, columns = _most_related(noise), _most_related(noise.swapaxes(1, 2))
    wrong = f"two codes of a batch get {_alike(rows)} noise" if rows > max_correlation else ""
    if columns > max_correlation:
        wrong = f"two numbers of a code get {_alike(columns)} noise"
    measured = {"correlation between rows": rows, "correlation between latents": columns}
    right = "every number of every code gets its own noise"
    hint = "How many random numbers does a batch of codes need, and how many does your code draw?"
    return all_or_nothing(not wrong, right, wrong, hint, measured)


def _most_related(noise: Array) -> float:
    """The largest absolute correlation of two entries of the middle axis; standardized noise `(draws, K, M)`."""
    flat = noise.swapaxes(0, 1).reshape(noise.shape[1], -1)
    related = np.abs(flat @ flat.T) / flat.shape[1]
    np.fill_diagonal(related, 0.0)
    return float(related.max())


def _alike(correlation: float) -> str:
    return "the same" if correlation > SAME else "correlated"


# Loss. Gradients are compared up to a positive factor, since the loss may be a mean or a sum.


def _loss_batch(evidence: Evidence, batch: str) -> dict[str, Array]:
    names = ("grad_x_hat", "grad_mu", "grad_logvar", "parts")
    arrays = answer(evidence, Address.of("components", "vae", "loss"), *(f"{batch}_{name}" for name in names))
    values = dict(zip(names, arrays, strict=True))
    for name in ("x_hat", "x", "mu", "logvar"):
        values[name] = evidence.questions[Stage.of("components", "vae").array(f"{batch}_{name}")]
    return values


def _expected_reconstruction(batch: dict[str, Array]) -> dict[str, Array]:
    difference = batch["x_hat"] - batch["x"]
    return {
        "binary cross-entropy": difference / (batch["x_hat"] * (1 - batch["x_hat"])),
        "squared error": difference,
        LOGITS: 1 / (1 + np.exp(-batch["x_hat"])) - batch["x"],
    }


def _decoder_gives_logits(evidence: Evidence) -> bool:
    """Whether the notebook's decoder leaves the sigmoid to the loss; another check requires values in [0, 1]."""
    far = evidence.answers.get(Address.of("components", "vae", "decoder").array("far"))
    return far is not None and far.size > 0 and bool(far.min() < -0.01 and far.max() > 1.01)


def _reconstruction_kind(evidence: Evidence) -> tuple[str, float]:
    """The form of the reconstruction term whose gradient fits best, and its cosine in the worst batch."""
    kinds = ["binary cross-entropy", "squared error"]
    if _decoder_gives_logits(evidence):
        kinds.append(LOGITS)
    batches = [_loss_batch(evidence, name) for name in BATCHES]
    worst = {
        kind: min(cosine(batch["grad_x_hat"], _expected_reconstruction(batch)[kind]) for batch in batches)
        for kind in kinds
    }
    best = max(kinds, key=lambda kind: worst[kind])
    return best, worst[best]


@check()
def reconstruction_compares_the_images(evidence: Evidence, part: str, *, min_cosine: float) -> Finding:
    """The reconstruction term is a binary cross-entropy or a squared error of x_hat and x."""
    kind, cosine = _reconstruction_kind(evidence)
    return all_or_nothing(
        cosine >= min_cosine,
        f"the reconstruction term is a {kind}",
        "the gradient with respect to x_hat is neither that of a binary cross-entropy nor that of a squared error",
        "Which two images does your reconstruction term compare, in which order and with which sign?",
        {"cosine with the right gradient": cosine},
    )


def _kl_cosines(evidence: Evidence) -> dict[str, float]:
    """The cosine with the closed form's gradients in the worst batch, for mu, for logvar and for both together."""
    cosines = {"mu": 1.0, "logvar": 1.0, "both": 1.0}
    for name in BATCHES:
        batch = _loss_batch(evidence, name)
        expected = {"mu": batch["mu"], "logvar": (np.exp(batch["logvar"]) - 1) / 2}
        gradients = {"mu": batch["grad_mu"], "logvar": batch["grad_logvar"]}
        for key in ("mu", "logvar"):
            cosines[key] = min(cosines[key], cosine(gradients[key], expected[key]))
        joint_cosine = cosine(
            np.stack([gradients["mu"], gradients["logvar"]]), np.stack([expected["mu"], expected["logvar"]])
        )
        cosines["both"] = min(cosines["both"], joint_cosine)
    return cosines


@check()
def kl_matches_closed_form(evidence: Evidence, part: str, *, min_cosine: float) -> Finding:
    """The KL term is the KL divergence of N(mu, sigma^2) from N(0, 1)."""
    cosines = _kl_cosines(evidence)
    wrong = [key for key in ("mu", "logvar") if cosines[key] < min_cosine]
    no = f"your KL term depends on {' and '.join(wrong)} in the wrong way"
    if not wrong:
        no = "the parts of your KL term with mu and with logvar are not in the right proportion"
    return all_or_nothing(
        cosines["both"] >= min_cosine,
        "the KL term matches the closed form",
        no,
        "The closed form contains both sigma^2 and log sigma^2. Compare each term with your line: is one missing, "
        "doubled or of the wrong sign?",
        {f"cosine for {key}": value for key, value in cosines.items()},
    )


@check(presupposes=(reconstruction_compares_the_images,))
def terms_are_in_proportion(
    evidence: Evidence, part: str, *, tolerance: float, squared_error_low: float, squared_error_high: float
) -> Finding:
    """Both terms are summed per image, and both are averaged over the batch (or neither)."""
    if _kl_cosines(evidence)["mu"] < SAME:
        message = "the two terms cannot be compared while your KL term depends on mu in the wrong way"
        return Finding(0.0, message, "Correct the KL term first.")
    kind, _ = _reconstruction_kind(evidence)
    ratios = []
    for name in BATCHES:
        batch = _loss_batch(evidence, name)
        reconstruction = best_factor(batch["grad_x_hat"], _expected_reconstruction(batch)[kind])
        ratios.append(reconstruction / (best_factor(batch["grad_mu"], batch["mu"]) or 1e-30))
    low, high = min(ratios), max(ratios)
    allowed = (1.0, 1.0) if "cross-entropy" in kind else (squared_error_low, squared_error_high)
    right = allowed[0] * (1 - tolerance) <= low and high <= allowed[1] * (1 + tolerance)
    steady = high / low <= 1 + tolerance  # both terms have the right sign here
    no = "the reconstruction term is too large compared with the KL term"
    if not steady:
        no = "the proportion of the two terms changes with the batch size"
    elif high < allowed[0]:
        no = "the reconstruction term is too small compared with the KL term"
    return all_or_nothing(
        right and steady,
        "the two terms are in the right proportion",
        no,
        "For each term: over which dimensions is it summed, and over which is it averaged?",
        {"smallest proportion": low, "largest proportion": high, "form": kind},
    )


@check()
def parts_add_up(evidence: Evidence, part: str, *, tolerance: float) -> Finding:
    """The loss is returned together with its two terms and is their sum."""
    reconstruction_cosine, kl_cosine = _reconstruction_kind(evidence)[1], _kl_cosines(evidence)["both"]
    if reconstruction_cosine < SOME or max(reconstruction_cosine, kl_cosine) < SAME:
        message = "the two terms are too far from correct for their sum to earn points"
        return Finding(0.0, message, "Correct the two terms first.")
    batches = {name: _loss_batch(evidence, name) for name in BATCHES}
    if sizes := {batch["parts"].size for batch in batches.values()} - {3}:
        message = f"expected three numbers (loss, reconstruction, kl), got {min(sizes)}"
        return Finding(0.0, message, "Compare what you return with the docstring.")
    worst = 0.0
    for batch in batches.values():
        loss, reconstruction, kl = (float(v) for v in batch["parts"])
        worst = max(worst, abs(loss - reconstruction - kl) / (abs(loss) + 1e-6))
    # `random` and `shifted` share their images: only the KL term may differ between them
    first, second = batches["random"]["parts"], batches["shifted"]["parts"]
    order = abs(float(first[1] - second[1])) / (abs(float(first[0] - second[0])) + 1e-6)
    results = {
        "sum": "" if worst <= tolerance else "the loss is not the sum of the two terms that are returned",
        "order": "" if order <= 10 * tolerance else "the returned reconstruction term changes with mu and logvar",
    }
    measured = {"largest relative difference": worst, "change of the reconstruction part": order}
    hint = "Compare the values that you return, and their order, with the docstring."
    return equal_shares(results, "loss = reconstruction + kl", hint, measured)
