"""Checks of the training loop, run with the student's own model, our loss and a recording optimizer: see `steps`."""

from __future__ import annotations

from collections import Counter

import numpy as np

from grader.checks import check
from grader.exercises.vae_mnist.checks.answers import all_or_nothing, answer, between, give_up, number, percent
from grader.exercises.vae_mnist.checks.steps import LOSSES, Steps, recorded_steps, steps_address
from grader.records import Address, Evidence, Finding

HINT = "On which value is backward() called, and how was that value computed?"
WAY = "Follow a batch from the encoder to x_hat: what is passed to each call?"
ELSE = "What changes the parameters between two calls of step()?"
BETWEEN = "What happens to the loss and to the gradients before step() is called?"
WRONG = {  # what a pass shows -> the message, the share of the points that it keeps, and the hint
    "its batch": ("the steps are not made on the whole batch", 0.0, "Which images enter the loss of a step?"),
    "another loss": (
        "the gradients are not those of the loss function",
        0.0,
        "Which arguments does the loss function get, and on which value is backward() called?",
    ),
    "uphill": ("the steps increase the loss: its gradient has the wrong sign", 0.0, HINT),
    "hardly any size": ("the loss is scaled down so far that nothing is learned", 0.0, HINT),
    "an enormous size": ("the loss is scaled up far too much before its gradient is computed", 0.0, HINT),
    "no KL term": ("the KL term has no effect on the steps", 0.5, HINT),
    "mu itself is decoded": ("the decoder is given mu itself; no code is drawn", 0.5, WAY),
    "other heads are drawn from": ("the code is not drawn from the encoder's mu and logvar", 0.5, WAY),
    "nothing comes back": (
        "no gradient flows back from the reconstructions to the encoder",
        0.0,
        "Follow a batch from the encoder to x_hat: what may cut the gradient?",
    ),
    "another KL term": ("the KL term in the steps is not that of the loss function", 0.5, HINT),
}
HEAPED = 0.3  # share of the points if every gradient is right and only earlier gradients are not cleared


@check()
def given_optimizer_moves_the_model(evidence: Evidence, part: str) -> Finding:
    """The optimizer that is passed in updates the model's parameters."""
    steps = recorded_steps(evidence, part)
    moves = bool(np.abs(steps.end - steps.start).max(initial=0) > 0)
    no, hint = "the parameters are the same after training", "Which optimizer makes the steps?"
    if moves and not len(steps):
        no = "the parameters changed, but not through the optimizer that was passed in"
    elif len(steps):
        hint = f"The optimizer made {len(steps)} steps: with which gradients, and what changed the parameters back?"
    return all_or_nothing(
        moves and len(steps) > 0,
        "the optimizer updates the parameters",
        no,
        hint,
        {"steps": len(steps)},
    )


@check(presupposes=(given_optimizer_moves_the_model,))
def steps_follow_the_gradient(
    evidence: Evidence, part: str, *, min_cosine: float, zero_at: float, full_at: float
) -> Finding:
    """Each step follows the gradient of its own batch's loss and starts where the previous step ended."""
    steps = _made_steps(evidence, part)
    if not steps.passes:
        return Finding(0.0, "no step uses a gradient that came back through the model's reconstructions", HINT)
    wrong, share_of_passes = _passes(steps, min_cosine)
    fits = (steps.clear >= min_cosine) & steps.goes_on & ~steps.faint
    share = float(fits.mean())
    measured = {"share of right steps": share, "share of right passes": share_of_passes}
    if share == 1 and not wrong:
        return Finding(1.0, "every step follows the gradient of its own batch", "", measured)
    if wrong:
        message, keeps, hint = WRONG[wrong]
        return Finding(keeps * between(share, zero_at=zero_at, full_at=full_at), message, hint, measured)
    if not steps.goes_on.all():
        message = "between steps, something other than the optimizer changes the parameters"
        return Finding(between(share, zero_at=zero_at, full_at=full_at), message, ELSE, measured)
    if steps.faint.any():
        message = "the gradients are so small that nothing is learned"
        return Finding(between(share, zero_at=zero_at, full_at=full_at), message, BETWEEN, measured)
    if steps.repeated.any():
        message = "some steps use the gradient of an earlier step again"
        return Finding(
            between(share, zero_at=zero_at, full_at=full_at), message, "How often is step() called per batch?", measured
        )
    if steps.heaped:
        message = "the steps also contain the gradients of earlier batches"
        return Finding(HEAPED, message, "What does backward() do with gradients that are already there?", measured)
    message = f"only {percent(share)} of the steps follow the gradient of their own batch's loss"
    return Finding(between(share, zero_at=zero_at, full_at=full_at), message, BETWEEN, measured)


def _made_steps(evidence: Evidence, part: str) -> Steps:
    """The recorded steps; ends the check if there are none."""
    steps = recorded_steps(evidence, part)
    if not len(steps):
        give_up("the optimizer never made a step")
    return steps


def _passes(steps: Steps, min_cosine: float) -> tuple[str, float]:
    """The most common mistake of the passes under the loss that fits best, and the share of correct passes."""
    best, fault, right = -1.0, "", 1.0
    for loss in LOSSES.values():
        counts = Counter(step_pass.deviation(loss, min_cosine) for step_pass in steps.passes.values())
        share = counts[""] / counts.total()
        kind = next((kind for kind, _ in counts.most_common() if kind), "")
        # A missing term explains more than "another loss" does.
        rank = share if kind in ("another loss", "its batch") else (1 + share) / 2
        if rank > best:
            best, fault, right = rank, kind, share
    return fault, right


@check(presupposes=(steps_follow_the_gradient,))
def every_batch_is_used(evidence: Evidence, part: str, *, zero_at: float, full_at: float) -> Finding:
    """Every epoch makes a step on every batch."""
    steps = _made_steps(evidence, part)
    images = sum(len(x) for x, _ in steps.batches)
    counts = np.bincount(np.concatenate([np.unique(rows) for rows in steps.rows]), minlength=images)
    share = float(np.minimum(counts, steps.epochs).sum() / (steps.epochs * images))
    return Finding(
        between(share, zero_at=zero_at, full_at=full_at),
        "every batch is used in every epoch"
        if share == 1
        else f"only {percent(share)} of the images are used for a step",
        "" if share == 1 else "Count the optimizer's steps in one epoch and compare with len(loader).",
        {"share of images": share, "steps": len(steps)},
    )


@check(presupposes=(steps_follow_the_gradient,))
def trains_in_train_mode(evidence: Evidence, part: str) -> Finding:
    """The model is in training mode while it trains."""
    _made_steps(evidence, part)
    (modes,) = answer(evidence, steps_address(evidence, part), "modes")
    share = float((modes != 0).mean())
    return all_or_nothing(
        share > 0.5,
        "the model trains in training mode",
        "the model is in eval mode while it trains",
        "Which calls change the mode of the model, and when?",
        {"share of steps in training mode": share},
    )


@check(presupposes=(steps_follow_the_gradient,))
def what_is_learnt_is_kept(evidence: Evidence, part: str, *, min_rate: float) -> Finding:
    """The model keeps the parameters of its last or best epoch, and the learning rate does not shrink to nothing."""
    steps = _made_steps(evidence, part)
    (history,) = answer(evidence, steps_address(evidence, part), "history")
    ends = [len(steps) - 1]
    per_epoch = len(steps) // steps.epochs
    if history.size == steps.epochs and per_epoch:
        ends.append(per_epoch * (int(np.argmin(history)) + 1) - 1)
    rate = _rate_in_the_notebook(evidence, part)
    if rate is None:
        rate = float(steps.rates.sum() / (len(steps) * max(float(steps.rates[0]), 1e-30)))
    wrong, hint = "", "Compare the parameters after the last step with those at the end of the function."
    if not any(steps.ends_in(step) for step in ends):
        wrong = "at the end, the model has neither the parameters of the last epoch nor those of the best one"
    elif rate < min_rate:
        wrong = f"the learning rate shrinks until nothing is learned: its average is {rate:.2g} times the initial one"
        hint = "Print the learning rate at the first step, after one epoch and at the last step: what changes it?"
    return all_or_nothing(
        not wrong,
        "the model keeps what it has learned",
        wrong,
        hint,
        {"mean learning rate against the given": rate},
    )


def _rate_in_the_notebook(evidence: Evidence, part: str) -> float | None:
    """The mean learning rate of the notebook's own training, as a share of the given one; None where it is unknown.

    A schedule can look harmless over our few batches and yet reach its end after 1 % of the notebook's own batches.
    """
    rate = evidence.answers.get(Address.of("trained", part, "steps").array("mean_rate"))
    return None if rate is None or rate.size != 1 else float(rate.reshape(-1)[0])


@check(presupposes=(steps_follow_the_gradient,))
def reported_loss_is_the_mean(evidence: Evidence, part: str, *, tolerance: float) -> Finding:
    """The function returns the mean loss of each epoch."""
    (history,) = answer(evidence, steps_address(evidence, part), "history")
    steps = recorded_steps(evidence, part)
    if history.shape != (steps.epochs,):
        return Finding(
            0.0,
            f"expected a list of {steps.epochs} losses, one per epoch, got {history.size}",
            "What does the function return after the last epoch?",
        )
    if len(steps) != steps.epochs * len(steps.batches):
        message = f"expected one step per batch, {steps.epochs * len(steps.batches)} in all, got {len(steps)}"
        return Finding(0.0, f"{message}, so the reported means cannot be checked", "Make one step per batch first.")
    sizes = np.array([len(rows) for rows in steps.rows], dtype=np.float64)
    errors = []
    for values in steps.losses.T:
        for weights in (sizes, np.ones_like(sizes)):
            means = (values * weights).reshape(steps.epochs, -1).sum(1)
            if not np.abs(means).min() > 0:
                continue
            ratio = history / means
            if np.isfinite(ratio).all() and ratio.min() > 0:
                errors.append(float(ratio.max() / ratio.min() - 1))
    error = min(errors, default=float("inf"))
    return all_or_nothing(
        error <= tolerance,
        "the reported losses are the mean losses of the epochs",
        "the reported losses are not the mean losses of the epochs",
        "Over which batches is the loss of an epoch averaged, and when does the average start again?",
        {"relative error": error},
    )


@check(presupposes=(steps_follow_the_gradient,))
def labels_reach_the_model(evidence: Evidence, part: str) -> Finding:
    """Each batch's labels reach the model together with its images."""
    steps = _made_steps(evidence, part)
    every = np.concatenate([labels for _, labels in steps.batches])
    expected = np.concatenate([every[rows] for rows in steps.rows])
    equal = expected.size
    for labels in answer(evidence, steps_address(evidence, part), "labels", "encoder_labels"):
        count = min(len(labels), len(expected))
        same = int((labels[:count] == expected[:count]).sum())
        equal = min(equal, same if labels.shape == expected.shape else min(same, expected.size - 1))
    right = equal == expected.size
    return all_or_nothing(
        right,
        "the labels reach the model with their images",
        f"only {equal} of {expected.size} labels reached the model with the image that they belong to",
        "Follow y from the loader to the model: which label goes with which image?",
        {"batches served": number(evidence, steps_address(evidence, part), "batches_served")},
    )
