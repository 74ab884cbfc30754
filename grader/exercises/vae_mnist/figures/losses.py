"""A picture of the loss during the notebook's own training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from grader.exercises.vae_mnist.checks.answers import answer, give_up
from grader.exercises.vae_mnist.figures.drawing import NAMES, OWN, QUIET, SMALL, figure, reference, short, write
from grader.records import Address, Array, Evidence, Figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

# A different loss or average has a different scale and cannot be compared with the reference: squared errors are a
# third of cross-entropies, while a correct cross-entropy never falls to half of the reference's. Even a bad model's
# cross-entropy stays within five times the reference's.
COMPARABLE = (0.5, 5.0)
LOOKS: dict[str, dict[str, Any]] = {
    "this run": {"color": OWN, "linewidth": 3, "marker": "o", "markersize": 8, "zorder": 3},
    "reference": {"color": QUIET, "linewidth": 2, "linestyle": (0, (5, 4))},
}
LINE = 0.1  # height of a text line, as a share of the axes'


def loss_curve(evidence: Evidence, part: str) -> Figure:
    """The mean loss of each epoch, with the reference notebook's curve if the scale is the same."""
    (history,) = answer(evidence, Address.of("trained", part, "history"), "history")
    values = history.reshape(-1).astype(np.float64)
    finite = values[np.isfinite(values)]
    if not finite.size:
        give_up("no epoch has a loss")
    usual = np.array(reference(part).loss)
    has_reference = comparable(finite, usual)

    lines = {"this run": values} | ({"reference": usual} if has_reference else {})

    def paint(canvas: Canvas) -> None:
        from matplotlib.ticker import MaxNLocator

        axes = canvas.add_axes((0.11, 0.21, 0.71, 0.74))
        for name, line in lines.items():
            axes.plot(range(1, line.size + 1), line, **LOOKS[name])
        low, high = axes.get_ylim()
        ends = {name: (line[np.isfinite(line)][-1] - low) / (high - low) for name, line in lines.items()}
        for name, end in _apart(ends).items():
            look = {"color": LOOKS[name]["color"], "ha": "left", "transform": axes.transAxes}
            write(axes, (1.02, end), name, size=SMALL, **look)
        axes.set_xlabel("epoch", size=SMALL, color=QUIET)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.yaxis.set_major_locator(MaxNLocator(5))
        axes.tick_params(labelsize=SMALL, length=0, colors=QUIET)
        axes.grid(axis="y", color="#e6eaee")
        axes.spines[:].set_visible(False)
        axes.set_axisbelow(True)

    way = f"goes from {short(finite[0])} to {short(finite[-1])}" if finite.size > 1 else f"is {short(finite[0])}"
    epochs = f"{values.size} epoch{'s' if values.size != 1 else ''}"
    return figure(
        f"{part}-loss",
        f"{NAMES[part]}: training loss",
        caption="The mean loss of each epoch, as the notebook reported it"
        + (", and in grey that of the reference notebook." if has_reference else "."),
        alt=f"A curve of {epochs}: the loss {way}."
        + (f" The reference notebook's goes from {short(usual[0])} to {short(usual[-1])}." if has_reference else ""),
        size=(720, 340),
        paint=paint,
    )


def comparable(losses: Array, usual: Array) -> bool:
    """Whether two loss curves seem to have the same scale."""
    low, high = (bound * float(np.median(usual)) for bound in COMPARABLE)
    return low <= float(np.median(losses)) <= high


def _apart(ends: dict[str, float]) -> dict[str, float]:
    """The heights of the labels at the lines' ends, moved apart where they would overlap."""
    if len(ends) < 2 or abs(ends["this run"] - ends["reference"]) >= LINE:
        return ends
    middle = sum(ends.values()) / 2
    above = 1 if ends["this run"] > ends["reference"] else -1
    return {"this run": middle + above * LINE / 2, "reference": middle - above * LINE / 2}
