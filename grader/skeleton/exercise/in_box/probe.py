"""Asks the questions inside the box. The recorder reads `STAGES`, `NoAnswer` and `interface`.

A question is a function `(student, given) -> {name: numbers}`: `student` holds the notebook's variables, `given` the
arrays of its stage in `questions.py`. What it may answer stands in `evidence_spec.py`.
"""

from .interface import NoAnswer, by_name, call, interface, named

__all__ = ["STAGES", "NoAnswer", "interface"]


def ask_loss(student, given):
    """The loss of our predictions."""
    return {"loss": call(student, "mean_squared_error", given["y_hat"], given["y"])}


def ask_fit(student, given):
    """The line through points of ours, with the notebook's own steps and rate."""
    settings = named(student, "STEPS"), named(student, "RATE")
    return by_name("fit", call(student, "fit", given["x_fresh"], given["y_fresh"], *settings))


def ask_line(student, given):
    """The line that the notebook has trained."""
    return by_name("fit", named(student, "line"))


STAGES = {
    "components.line": {"loss": ask_loss, "fit": ask_fit},
    "trained.line": {"line": ask_line},
}
