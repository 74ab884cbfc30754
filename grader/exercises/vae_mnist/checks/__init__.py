"""Every check of the exercise, by name: the public functions of these modules that take evidence."""

from __future__ import annotations

import inspect

from grader.exercises.vae_mnist.checks import functions, modules, quality, sampling, training
from grader.judging import Check

CHECKS: dict[str, Check] = {
    name: function
    for module in (modules, functions, training, sampling, quality)
    for name, function in vars(module).items()
    if inspect.isfunction(function)
    and function.__module__ == module.__name__
    and list(inspect.signature(function).parameters)[:2] == ["evidence", "part"]
    and inspect.signature(function, eval_str=False).return_annotation == "Finding"
}
