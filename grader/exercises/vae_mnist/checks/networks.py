"""Functions that the checks of encoders and decoders share."""

from __future__ import annotations

import numpy as np

from grader.exercises.vae_mnist.checks.answers import answer, give_up, shape_text
from grader.records import Address, Array, Evidence, Finding

ROWS = 7
IMAGE = (1, 28, 28)
MORE_THAN_CHANCE = 1.25  # 784 pixels' mean noise varies by far less; a batch statistic over two latents reaches 1.5
LEAST_GRADIENT = 1e-12  # a gradient below this, relative to the largest one, has no meaningful direction
BATCH_HINT = "Which operation in forward combines different rows of the batch?"
LINEAR_HINT = "Several linear layers in a row are together one linear layer: what is between yours?"


def differs(first: Array, second: Array, tolerance: float) -> bool:
    """Whether two answers to the same question differ by more than rounding, or have other shapes."""
    if first.size != second.size:
        return True
    scale = float(np.abs(first).max(initial=0)) + 1e-6
    return bool(np.abs(first.reshape(-1) - second.reshape(-1)).max(initial=0) > tolerance * scale)


def row_by_row(
    network: str, together: Array, again: Array, alone: Array, reordered: Array, tolerance: float
) -> tuple[str, str]:
    """What differs between several answers for the same rows, and a hint; `reordered` is back in the original order."""
    row = "image" if network == "encoder" else "code"
    if differs(together, again, tolerance):
        wrong = f"in eval mode, the {network} gives different outputs for the same {row}"
        return wrong, "Is anything random in forward, or does forward change the module?"
    if differs(together, alone, tolerance):
        return f"the {network}'s output for one {row} depends on the rest of the batch", BATCH_HINT
    if differs(together, reordered, tolerance):
        return f"the {network}'s output for one {row} depends on its position in the batch", BATCH_HINT
    return "", ""


def back_in_order(array: Array, order: Array) -> Array:
    """The rows of the array in the question's order; `array[i]` answers the question's row `order[i]`."""
    return array[np.argsort(order)] if len(array) == len(order) else array


def one_direction(gradients: Array, least_rank: float) -> bool:
    """Whether several outputs depend on the input through a single number, as with one hidden unit.

    `gradients` `(outputs, points, inputs)`: at every point all outputs then change in the same direction, so that the
    second singular value is negligible. False where there is one output, one input, or no gradient.
    """
    if min(gradients.shape[0], gradients.shape[2]) < 2:
        return False
    scales = np.linalg.svd(gradients.swapaxes(0, 1).astype(np.float64), compute_uv=False)  # (points, ...)
    large = scales[:, 0] > LEAST_GRADIENT * (scales.max() + 1e-300)
    return bool(large.any() and scales.max() > 0 and (scales[large, 1] / scales[large, 0]).max() < least_rank)


def same_direction(gradients: Array, min_angle: float) -> bool | None:
    """Whether each output's gradient has the same direction everywhere, or None where there is no gradient.

    This holds for a single linear map, also if a function is applied to each of its outputs.
    `gradients` `(outputs, points, inputs)`.
    """
    if gradients.shape[2] < 2 or gradients.shape[1] < 2:
        return None
    norms = np.linalg.norm(gradients.astype(np.float64), axis=2)
    largest = float(norms.max(initial=0))
    angles = []
    for rows, sizes in zip(gradients.astype(np.float64), norms, strict=True):
        large = sizes > 1e-6 * largest
        if largest > 0 and large.sum() >= 2:
            units = rows[large] / sizes[large, None]
            angles.append(float(1 - np.abs(units[1:] @ units[0]).min()))
    return max(angles) <= min_angle if angles else None


def curvature(values: Array) -> float:
    """How far f(a + b) is from f(a) + f(b) - f(0), relative to the size of the changes; values `(4, ...)`."""
    if len(values) != 4:
        give_up(f"expected four rows for four inputs, got shape {shape_text(values)}")
    zero, a, b, both = values.reshape(4, -1).astype(np.float64)
    change = np.abs(a - zero).mean() + np.abs(b - zero).mean()
    return float(np.abs(both - a - b + zero).mean() / (change + 1e-12))


def can_learn(evidence: Evidence, part: str, network: str, min_reached_share: float) -> tuple[str, str, dict[str, int]]:
    """What keeps the network's parameters from being trained, a hint, and the parameter counts."""
    (counts,) = answer(evidence, Address.of("components", part, f"{network}_parameters"), "counts")
    if counts.size != 3:
        give_up("the parameters could not be counted")
    registered, reached, strangers = (int(n) for n in counts)
    wrong, hint = "", ""
    if strangers:
        wrong = f"the {network} uses {strangers:,} weights that parameters() does not list"
        hint = "Layers must be attributes of the module, or in a ModuleList."
    elif registered == 0:
        wrong = f"the {network} has no parameters"
        hint = "A network learns by changing the parameters of its layers: which layers does yours have?"
    elif reached < min_reached_share * registered:
        wrong = f"the gradient reaches {reached:,} of the {network}'s {registered:,} parameters"
        hint = "Which layers does forward not use, and what may cut the gradient?"
    return wrong, hint, {"registered": registered, "reached": reached, "strangers": strangers}


def uses_label(rows: Array, repeated: Array, output: str, by_others: float, min_change: float) -> Finding:
    """The finding for an output that should differ between labels more than between calls with the same label.

    `min_change` is a share of `by_others`, the change that the other input causes.
    """
    if len(rows) != 10 or len(repeated) != 10:
        give_up(f"expected one output per label, got {len(rows)} for 10 labels")
    chance = float(np.abs(repeated[1:] - repeated[:1]).max())
    distance = np.abs(rows[:, None] - rows[None]).max(axis=2)
    np.fill_diagonal(distance, np.inf)
    least = min_change * by_others
    threshold = max(least, MORE_THAN_CHANCE * chance)
    alike = [label for label in range(10) if distance[label].min() <= threshold]
    groups = {tuple(j for j in range(10) if j == i or distance[i, j] <= threshold) for i in alike}
    listed = ", ".join(f"[{', '.join(map(str, group))}]" for group in sorted(groups))
    message = f"the {output} is different for every label"
    if alike:
        labels = "all labels" if min(map(len, groups)) == 10 else f"labels {listed}"
        message = f"the {output} is the same for {labels}"
    if alike and chance > least:
        message = f"the {output} changes between labels no more than between two calls with the same label"
    return Finding(
        1 - len(alike) / 10,
        message,
        "" if not alike else "Follow y through forward: does it reach the output?",
        {"smallest change": float(distance.min()), "for the same label": chance, "by the other input": by_others},
    )
