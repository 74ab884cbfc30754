"""Pictures of a calibration: one a check, with every model as a dot and both ends of partial credit."""

from __future__ import annotations

import io
from collections.abc import Sequence

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from grader.audit.calibration import Measurement, Threshold

GROUPS = (
    ("honest", "honest", "#1b7837", "o"),
    ("varied", "honest, other constants", "#5aae61", "D"),
    ("other", "other defects", "#b8860b", "s"),
    ("caught", "defects to catch", "#b2182b", "X"),
)


def strip_plot(row: Threshold, found: Sequence[Measurement]) -> bytes:
    """PNG: one line of dots for each group of models, `zero_at` and `full_at` drawn through all of them."""
    figure = Figure(figsize=(9, 2.9), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    rising = row.rubric_full_at > row.rubric_zero_at
    for height, (group, label, colour, marker) in enumerate(reversed(GROUPS)):
        values = sorted((m.value, m.model) for m in found if m.group == group)
        axes.scatter([v for v, _ in values], [height] * len(values), c=colour, marker=marker, s=34, alpha=0.65, lw=0)
        beside = axes.get_yaxis_transform()
        axes.text(-0.01, height, f"{label} ({len(values)})", transform=beside, ha="right", va="center")
        worst, best = (values[:1], values[-1:]) if rising else (values[-1:], values[:1])
        for value, model in worst if group in {"honest", "varied"} else best:  # the one that the thresholds look at
            axes.annotate(model, (value, height), xytext=(0, 6), textcoords="offset points", ha="center", fontsize=7)
    ends = ((row.rubric_zero_at, "zero at", ":", rising), (row.rubric_full_at, "full at", "-", not rising))
    for value, text, style, left in ends:
        axes.axvline(value, color="#333333", linestyle=style, lw=1.2)
        side, shift = ("right", -3) if left else ("left", 3)
        top, words = (value, len(GROUPS) - 0.42), f"{text} {value:g}"
        axes.annotate(words, top, xytext=(shift, 0), textcoords="offset points", ha=side, va="bottom", fontsize=8)
    axes.set_ylim(-0.5, len(GROUPS) - 0.4)
    axes.set_yticks([])
    axes.set_xlabel("larger is better" if rising else "smaller is better")
    axes.set_title(f"{row.item}: {row.check}", fontsize=10, pad=16)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    stream = io.BytesIO()
    figure.savefig(stream, format="png", metadata={"Software": None})
    return stream.getvalue()
