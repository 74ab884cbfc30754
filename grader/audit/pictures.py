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
    for height, (group, label, colour, marker) in enumerate(reversed(GROUPS)):
        values = sorted((m.value, m.model) for m in found if m.group == group)
        axes.scatter([v for v, _ in values], [height] * len(values), c=colour, marker=marker, s=34, alpha=0.65, lw=0)
        beside = axes.get_yaxis_transform()
        axes.text(-0.01, height, f"{label} ({len(values)})", transform=beside, ha="right", va="center")
        for value, model in dict.fromkeys(values[:1] + values[-1:]):
            axes.annotate(model, (value, height), xytext=(0, 6), textcoords="offset points", ha="center", fontsize=7)
    for value, text, style in ((row.rubric_zero_at, "zero at", ":"), (row.rubric_full_at, "full at", "-")):
        axes.axvline(value, color="#333333", linestyle=style, lw=1.2)
        axes.text(value, len(GROUPS) - 0.42, f"{text} {value:g}", ha="center", va="bottom", fontsize=8)
    axes.set_ylim(-0.5, len(GROUPS) - 0.4)
    axes.set_yticks([])
    axes.set_xlabel("larger is better" if row.rubric_full_at > row.rubric_zero_at else "smaller is better")
    axes.set_title(f"{row.item}: {row.check}", fontsize=10, pad=16)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    stream = io.BytesIO()
    figure.savefig(stream, format="png", metadata={"Software": None})
    return stream.getvalue()
