"""What a notebook of this exercise defines, and how the questions are asked inside the box.

A question is a function `(student, arrays) -> {name: numbers}`: `student` holds the notebook's variables, `arrays`
those of its stage in `questions.py`, where what it may answer stands, too. The recorder reads `STAGES`, `NoAnswer` and
`interface`.
"""

# A course with other names or orders says so in its rubric's `interface`.
NAMES = ("STEPS", "RATE", "mean_squared_error", "fit", "line")
ARGUMENTS = {"mean_squared_error": ("y_hat", "y"), "fit": ("x", "y", "steps", "rate")}
RETURNS = {"fit": ("slope", "intercept")}


def ask_loss(student, arrays):
    """The loss of our predictions."""
    return {"loss": call(student, "mean_squared_error", arrays["y_hat"], arrays["y"])}


def ask_fit(student, arrays):
    """The line through points of ours, with the notebook's own steps and rate."""
    settings = named(student, "STEPS"), named(student, "RATE")
    return by_name("fit", call(student, "fit", arrays["x_fresh"], arrays["y_fresh"], *settings))


def ask_line(student, arrays):
    """The line that the notebook has trained."""
    return by_name("fit", named(student, "line"))


STAGES = {
    "components.line": {"loss": ask_loss, "fit": ask_fit},
    "trained.line": {"line": ask_line},
}

# Below here nothing is about lines.

# Filled in the box by the recorder, from the rubric; empty means that everything is as above.
interface: dict[str, dict[str, object]] = {"names": {}, "arguments": {}, "returns": {}, "options": {}}


class NoAnswer(Exception):
    """The notebook gave something that is no answer; the message is for the student and says what was expected."""


def named(student, name):
    """What the notebook calls by that name of the interface."""
    actual = interface["names"].get(name, name)
    if actual not in student:
        raise NoAnswer(f"`{actual}` is not defined")
    return student[actual]


def call(student, name, *arguments):
    """What the notebook's function returns for these arguments, passed in the notebook's order."""
    by_argument = dict(zip(ARGUMENTS[name], arguments, strict=True))
    order = interface["arguments"].get(name, ARGUMENTS[name])
    return named(student, name)(*(by_argument[key] for key in order))


def by_name(name, values):
    """The values that the notebook's function of that name returned, by their names."""
    order = interface["returns"].get(name, RETURNS[name])
    try:
        return dict(zip(order, values, strict=True))
    except (TypeError, ValueError):
        raise NoAnswer(f"expected {interface['names'].get(name, name)} to return {', '.join(order)}") from None
