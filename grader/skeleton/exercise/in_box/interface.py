"""What a notebook of this exercise defines. A course with other names or orders says so in its rubric's `interface`."""

NAMES = ("STEPS", "RATE", "mean_squared_error", "fit", "line")
ARGUMENTS = {"mean_squared_error": ("y_hat", "y"), "fit": ("x", "y", "steps", "rate")}
RETURNS = {"fit": ("slope", "intercept")}

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
    """What the notebook's function returns for these arguments, given in the notebook's order."""
    given = dict(zip(ARGUMENTS[name], arguments, strict=True))
    order = interface["arguments"].get(name, ARGUMENTS[name])
    return named(student, name)(*(given[key] for key in order))


def by_name(name, values):
    """The values that the notebook's function of that name returned, by their names."""
    order = interface["returns"].get(name, RETURNS[name])
    try:
        return dict(zip(order, values, strict=True))
    except (TypeError, ValueError):
        raise NoAnswer(f"expected {interface['names'].get(name, name)} to return {', '.join(order)}") from None
