"""Checks of the training loop, tried with toy networks, a toy loss and a recording optimizer.

Each recorded step is compared with what a right loop would have done from the same parameters on the same batch: see
`steps`.
"""

from __future__ import annotations

import numpy as np

from grader.exercises.vae_mnist.checks.reading import answer, between, number, verdict
from grader.exercises.vae_mnist.checks.steps import LOSSES, first_only, recorded_steps, share_right
from grader.judging import check
from grader.records import Address, Evidence, Finding


def _source(part: str) -> Address:
    return Address.of("components", part, "training")


@check()
def steps_follow_the_gradient(
    evidence: Evidence, part: str, *, min_cosine: float, zero_at: float, full_at: float
) -> Finding:
    """Each step follows the gradient of its own batch's loss."""
    steps = recorded_steps(evidence, part)
    if not len(steps.grads):
        return Finding(0.0, "the optimizer never made a step", "Which three calls turn a loss into a step?")
    shares = {name: share_right(steps, loss, min_cosine) for name, loss in LOSSES.items()}
    best = max(shares, key=lambda name: shares[name])
    share = shares[best]
    only_first = share < 1 and share_right(first_only(steps), LOSSES[best], min_cosine) == 1
    message = "every step follows its batch's gradient"
    if not np.abs(steps.grads).max() > 0:
        message = "steps are made with gradients that are zero or missing"
    elif only_first:
        message = "the first step is right, later ones also contain the gradients of earlier batches"
    elif share < 1:
        message = f"{share:.0%} of the steps follow the gradient of their batch's loss"
    hint = "" if share == 1 else "What does backward() do with gradients that are already there?"
    return Finding(between(share, zero_at=zero_at, full_at=full_at), message, hint, {"share of right steps": share})


@check()
def every_batch_is_used(evidence: Evidence, part: str, *, zero_at: float, full_at: float) -> Finding:
    """Every epoch makes a step on every batch."""
    steps = recorded_steps(evidence, part)
    counts = np.bincount(steps.batch, minlength=len(steps.batches))
    share = float(np.minimum(counts, steps.epochs).sum() / (steps.epochs * len(steps.batches)))
    return Finding(
        between(share, zero_at=zero_at, full_at=full_at),
        f"{share:.0%} of the batches of {steps.epochs} epochs were used for a step",
        "" if share == 1 else "Count the optimizer's steps in one epoch, and compare with len(loader).",
        {"share of batches": share, "steps": len(steps.batch)},
    )


@check()
def given_optimizer_moves_the_model(evidence: Evidence, part: str) -> Finding:
    """The optimizer that is passed in moves the model's parameters."""
    start, end = answer(evidence, _source(part), "start", "end")
    steps = len(recorded_steps(evidence, part).batch)
    moved = start.shape == end.shape and bool(np.abs(end - start).max() > 0)
    no = "the parameters are the same after training"
    if moved and not steps:
        no = "the parameters moved, but not by the optimizer that was passed in"
    return verdict(
        moved and steps > 0,
        "the given optimizer moves the parameters",
        no,
        "Which object makes the step, and is it the function's argument?",
        {"steps": steps},
    )


@check()
def trains_in_train_mode(evidence: Evidence, part: str) -> Finding:
    """The model is in training mode while it learns."""
    (modes,) = answer(evidence, _source(part), "modes")
    if not modes.size:
        return Finding(0.0, "the optimizer never made a step", "The loop must train the model it is given.")
    share = float((modes != 0).mean())
    return verdict(
        share > 0.5,
        "the model trains in training mode",
        "the model is in eval mode while it trains",
        "Which mode does your loop leave the model in?",
        {"share of steps in training mode": share},
    )


@check()
def reported_loss_is_the_mean(evidence: Evidence, part: str, *, tolerance: float) -> Finding:
    """The function returns one number an epoch, in proportion to the mean loss."""
    (history,) = answer(evidence, _source(part), "history")
    steps = recorded_steps(evidence, part)
    if history.shape != (steps.epochs,):
        return Finding(
            0.0,
            f"expected a list of {steps.epochs} numbers, got {history.size}",
            "What does the function return after the last epoch?",
        )
    if len(steps.batch) != steps.epochs * len(steps.batches):
        return Finding(0.0, "the mean loss of an epoch needs all of its batches", "Make a step on every batch first.")
    sizes = np.array([len(steps.batches[int(index)][0]) for index in steps.batch], dtype=np.float64)
    errors = []
    for loss in LOSSES.values():
        values = np.array([steps.right(step, loss)[1] for step in range(len(steps.batch))])
        for weights in (sizes, np.ones_like(sizes)):
            means = (values * weights).reshape(steps.epochs, -1).sum(1)
            ratio = history / means
            if ratio.min() > 0:
                errors.append(float(ratio.max() / ratio.min() - 1))
    error = min(errors, default=float("inf"))
    return verdict(
        error <= tolerance,
        "the reported losses are the means of the epochs",
        "the reported losses are not the mean losses of the epochs",
        "Over which batches should the number of an epoch be averaged?",
        {"relative error": error},
    )


@check()
def labels_reach_the_model(evidence: Evidence, part: str) -> Finding:
    """Each batch's labels reach the model together with its images."""
    (labels,) = answer(evidence, _source(part), "labels")
    steps = recorded_steps(evidence, part)
    taken = [steps.batches[int(index)][1] for index in steps.batch]
    expected = np.concatenate(taken) if taken else np.zeros(0, dtype=np.int64)
    right = expected.size > 0 and labels.shape == expected.shape and bool((labels == expected).all())
    if not right and expected.size:  # pieces called by hand pass labels twice, or not through the model itself
        right = any(share_right(steps, loss, 0.999) == 1 for loss in LOSSES.values())
    count = min(len(labels), len(expected))
    equal = int((labels[:count] == expected[:count]).sum())
    return verdict(
        right,
        "the labels reach the model",
        f"of {expected.size} labels expected, {equal} reached the model in order",
        "What does the conditional model need besides the images?",
        {"batches served": number(evidence, _source(part), "batches_served")},
    )
