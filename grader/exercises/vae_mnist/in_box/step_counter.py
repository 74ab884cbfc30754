"""Counts the steps of the notebook's own training: how many, with which learning rates, and from which lines.

Also records the optimizer's class and, at some steps, the data: both may differ from those before and after training.
"""

import sys
import weakref
import zlib

import torch
from torch.optim.optimizer import register_optimizer_step_pre_hook

import __main__

from .training_integrity import data_sums, is_genuine

MOST_LINES = 20
LOOKS = (1, 60, 500)  # steps at which checksums of the data are recorded
COUNTER = "_steps_counter"


class Counter:
    """The record of each optimizer that still exists: `(steps, sum of rates / initial rate, lines)`.

    `looks` holds, for the same optimizers, whether the class was PyTorch's own at every step, and checksums of the data
    at some steps.
    """

    def __init__(self):
        self.counts = weakref.WeakKeyDictionary()
        self.looks = weakref.WeakKeyDictionary()

    def __call__(self, optimizer, args, kwargs):
        steps, rates, lines = self.counts.get(optimizer, (0, 0.0, frozenset()))
        rate = float(optimizer.defaults.get("lr", 0)) or 1.0
        if len(lines) < MOST_LINES:
            lines |= {line_of_the_notebook()}
        self.counts[optimizer] = steps + 1, rates + float(optimizer.param_groups[0].get("lr", rate)) / rate, lines
        genuine, data = self.looks.get(optimizer, (True, []))
        if steps + 1 in LOOKS:
            data = [*data, data_sums(vars(__main__))]
        self.looks[optimizer] = genuine and is_genuine(type(optimizer)), data

    def of(self, model):
        """The record, looks and initial rate of the optimizer with the most steps on the model, or None."""
        parameters = {id(parameter) for parameter in model.parameters()}
        counts = [
            (*count, *self.looks[optimizer], float(optimizer.defaults.get("lr", 0)))
            for optimizer, count in self.counts.items()
            if any(id(parameter) in parameters for group in optimizer.param_groups for parameter in group["params"])
        ]
        return max(counts, default=None, key=lambda count: count[0])


def counting():
    """The counter of this process; the first call starts counting the steps of every optimizer."""
    variables = vars(torch.optim)  # survives this package, which is loaded again for each stage
    if COUNTER not in variables:
        variables[COUNTER] = Counter()
        register_optimizer_step_pre_hook(variables[COUNTER])
    return variables[COUNTER]


def line_of_the_notebook():
    """A number that identifies the innermost running line of the notebook, stable across runs; 0 if there is none."""
    frame = sys._getframe(1)
    while frame is not None:
        name = frame.f_code.co_filename
        if "ipykernel_" in name or name.startswith("<ipython"):
            cell = name.rpartition("/")[2]  # the folder differs between processes
            return zlib.crc32(f"{cell}:{frame.f_lineno}".encode())
        frame = frame.f_back
    return 0
