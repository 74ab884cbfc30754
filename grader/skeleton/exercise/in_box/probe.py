"""The names that a notebook of this exercise defines, and how the questions are asked inside the box.

A question is a function `(student, arrays) -> {name: numbers}`: `student` holds the notebook's variables, `arrays` the
arrays of its stage in `questions.py`, which also specifies the allowed answers. The recorder reads `STAGES`,
`NoAnswer` and `interface`.

Comments mark the lines of the second part and of the second box, as in `questions.py`.
"""

import numpy as np

# A course with other names, orders or options sets them in its rubric's `interface`.
NAMES = (
    "STEPS",
    "double",
    "train_one",
    "one",
    "triple",  # second part
    "train_two",  # second part
    "two",  # second part
)
ARGUMENTS = {
    "double": ("x",),
    "train_one": ("model", "steps"),
    "triple": ("x",),  # second part
    "train_two": ("model", "steps"),  # second part
}
OPTIONS = {"numbers": ("arrays", "lists")}  # the type that `double` and `triple` get; the first is the default


def _function(name):
    """A question that calls the notebook's function with the stage's numbers."""

    def asked(student, arrays):
        x = arrays["x"]
        return {"y": call(student, name, x.tolist() if interface["options"].get("numbers") == "lists" else x)}

    return asked


def _state(part):  # second box
    """A question for the trained number, which the second box gets."""
    return lambda student, arrays: {"decoder/weight": named(student, part)["weight"]}


def _history(part):
    """A question for the losses that the notebook recorded."""
    return lambda student, arrays: {"history": np.array(named(student, part)["history"], dtype=np.float32)}


def _apply(part):  # second box
    """A question that applies the trained number to the stage's numbers."""
    return lambda student, arrays: {"y": named(student, part)["weight"] * arrays["x"]}


def _apply_in_second_box(student, arrays):  # second box
    """Applies the trained number that the second box received to the first box's answers."""
    return {"y": arrays["decoder/weight"] * arrays["x"]}


FUNCTIONS = {
    "one": "double",
    "two": "triple",  # second part
}
STAGES = {}
for _part, _name in FUNCTIONS.items():
    STAGES[f"components.{_part}"] = {"function": _function(_name)}
    STAGES[f"trained.{_part}"] = {
        "state": _state(_part),  # second box
        "history": _history(_part),
    }
    STAGES[f"quality.{_part}"] = {"apply": _apply(_part)}  # second box
    STAGES[f"decode.{_part}"] = {"apply": _apply_in_second_box}  # second box

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
