"""Asks the toy's questions inside the box; the recorder reads `STAGES`, `NoAnswer` and `interface`."""

import numpy as np

interface = {"names": {}}


class NoAnswer(Exception):
    """The student's code gave something that is not an answer."""


def named(student, name):
    """The notebook's object of that interface name."""
    actual = interface["names"].get(name, name)
    if actual not in student:
        raise NoAnswer(f"`{actual}` is not defined")
    return student[actual]


def _function(name):
    return lambda student, arrays: {"y": named(student, name)(arrays["x"])}


def _state(part):
    return lambda student, arrays: {"decoder/weight": named(student, part)["weight"]}


def _history(part):
    return lambda student, arrays: {"history": np.array(named(student, part)["history"], dtype=np.float32)}


def _apply(part):
    return lambda student, arrays: {"y": named(student, part)["weight"] * arrays["x"]}


def _decode(student, arrays):
    return {"y": arrays["decoder/weight"] * arrays["x"]}


STAGES = {}
for _part, _name in (("one", "double"), ("two", "triple")):
    STAGES[f"components.{_part}"] = {"function": _function(_name)}
    STAGES[f"trained.{_part}"] = {"state": _state(_part), "history": _history(_part)}
    STAGES[f"quality.{_part}"] = {"apply": _apply(_part)}
    STAGES[f"decode.{_part}"] = {"apply": _decode}
