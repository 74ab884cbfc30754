"""The current state of what training depends on: the data, PyTorch's optimizers, the model's weights."""

import os

import numpy as np
import torch

from .checksums import SUMS, sums
from .notebook_objects import notebook_object

DATA = ("train_images", "train_labels", "test_images", "test_labels")  # from a provided cell, not from the interface
LOADER = ("train_batches", ("images", "labels"))
OPTIMIZERS = ("Adam", "AdamW", "SGD", "RMSprop")
MOST_WEIGHTS = 400


def data_sums(student):
    """`sums` of the training data, the test data and the loader's data, `(6, SUMS)`; zeros for missing data."""
    loader = student.get(LOADER[0])
    arrays = [*(student.get(name) for name in DATA), *(getattr(loader, name, None) for name in LOADER[1])]
    rows = np.zeros((len(arrays), SUMS))
    for row, array in enumerate(arrays):
        if isinstance(array, torch.Tensor) and array.ndim and 0 < array.numel() <= 10**8:
            rows[row] = sums(array.detach()[:].cpu().numpy())
    return np.nan_to_num(rows).astype(np.float32)


def is_genuine(kind):
    """Whether an optimizer class and its `step` are PyTorch's own."""
    step = getattr(kind, "step", None)
    code, home = getattr(step, "__code__", None), os.path.dirname(torch.__file__)
    owner = getattr(step, "__qualname__", "").partition(".")[0]
    is_pytorchs = (
        code is not None and code.co_filename.startswith(home) and owner in {base.__name__ for base in kind.__mro__}
    )
    return bool(is_pytorchs and kind.__module__.startswith("torch.optim"))


def ask_training_integrity(part, student, questions):
    """Checksums of the data, and whether each name in `OPTIMIZERS` still refers to PyTorch's own class."""
    kinds = {name: getattr(torch.optim, name, None) for name in OPTIMIZERS}
    genuine = [isinstance(k, type) and k.__name__ == name and is_genuine(k) for name, k in kinds.items()]
    return {"data": data_sums(student), "genuine": np.array(genuine, dtype=np.int64)}


def ask_weights(part, student, questions):
    """The sum of values and of magnitudes of each of the trained model's parameters, in order: `(parameters, 2)`."""
    rows = []
    for parameter in list(torch.nn.Module.parameters(notebook_object(student, part.trained)))[:MOST_WEIGHTS]:
        flat = parameter.detach().double().cpu().reshape(-1).numpy()
        rows.append([flat.sum(), np.abs(flat).sum()])
    return {"sums": np.nan_to_num(np.array(rows).reshape(-1, 2)).astype(np.float32)}
