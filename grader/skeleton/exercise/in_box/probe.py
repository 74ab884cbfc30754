"""The names that a notebook of this exercise defines, and how the questions are asked inside the box.

A question is a function `(student, arrays) -> {name: numbers}`: `student` holds the notebook's variables, `arrays` the
arrays of its stage in `questions.py`, which also specifies the allowed answers. The recorder reads `STAGES`,
`NoAnswer` and `interface`.
"""

# A course with other names or orders sets them in its rubric's `interface`.
NAMES = ("STEPS", "RATE", "mean_squared_error", "fit", "line")
ARGUMENTS = {"mean_squared_error": ("y_hat", "y"), "fit": ("x", "y", "steps", "rate")}
RETURNS = {"fit": ("slope", "intercept")}


def ask_loss(student, arrays):
    """The notebook's loss for given predictions."""
    return {"loss": call(student, "mean_squared_error", arrays["y_hat"], arrays["y"])}


def ask_fit(student, arrays):
    """The line that the notebook fits to given points, with its own steps and rate."""
    settings = named(student, "STEPS"), named(student, "RATE")
    return by_name("fit", call(student, "fit", arrays["x_fresh"], arrays["y_fresh"], *settings))


def ask_line(student, arrays):
    """The line that the notebook trained."""
    return by_name("fit", named(student, "line"))


STAGES = {
    "components.line": {"loss": ask_loss, "fit": ask_fit},
    "trained.line": {"line": ask_line},
}

# The rest does not depend on the exercise.

# The recorder fills this in the box from the rubric; empty means the names and orders above.
interface: dict[str, dict[str, object]] = {"names": {}, "arguments": {}, "returns": {}, "options": {}}


class NoAnswer(Exception):
    """The notebook gave no valid answer; the message tells the student what was expected."""


def named(student, name):
    """The notebook's object for this name of the interface."""
    actual = interface["names"].get(name, name)
    if actual not in student:
        raise NoAnswer(f"`{actual}` is not defined")
    return student[actual]


def call(student, name, *arguments):
    """Calls the notebook's function with these arguments, in the notebook's order."""
    by_argument = dict(zip(ARGUMENTS[name], arguments, strict=True))
    order = interface["arguments"].get(name, ARGUMENTS[name])
    return named(student, name)(*(by_argument[key] for key in order))


def by_name(name, values):
    """The values that the notebook's function returned, by name."""
    order = interface["returns"].get(name, RETURNS[name])
    try:
        return dict(zip(order, values, strict=True))
    except (TypeError, ValueError):
        raise NoAnswer(f"expected {interface['names'].get(name, name)} to return {', '.join(order)}") from None
