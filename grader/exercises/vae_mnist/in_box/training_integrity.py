"""The present state of what training depends on: the data, PyTorch's optimizers, the model's weights."""

import os

import numpy as np
import torch

from .checksums import SUMS, sums
from .notebook_objects import notebook_object

DATA = ("train_images", "train_labels", "test_images", "test_labels")  # of a given cell; not of the interface
LOADER = ("train_batches", ("images", "labels"))
OPTIMIZERS = ("Adam", "AdamW", "SGD", "RMSprop")
MOST_WEIGHTS = 400


def data_sums(student):
    """`sums` of the training and test data and of what the loader serves, zeros for what is not there; `(6, SUMS)`."""
    loader = student.get(LOADER[0])
    arrays = [*(student.get(name) for name in DATA), *(getattr(loader, name, None) for name in LOADER[1])]
    rows = np.zeros((len(arrays), SUMS))
    for row, array in enumerate(arrays):
        if isinstance(array, torch.Tensor) and array.ndim and 0 < array.numel() <= 10**8:
            rows[row] = sums(array.detach()[:].cpu().numpy())
    return np.nan_to_num(rows).astype(np.float32)


def is_genuine(kind):
    """Whether the class of optimizers is PyTorch's own, and its steps are."""
    step = getattr(kind, "step", None)
    code, home = getattr(step, "__code__", None), os.path.dirname(torch.__file__)
    owner = getattr(step, "__qualname__", "").partition(".")[0]
    is_pytorchs = (
        code is not None and code.co_filename.startswith(home) and owner in {base.__name__ for base in kind.__mro__}
    )
    return bool(is_pytorchs and kind.__module__.startswith("torch.optim"))


def ask_training_integrity(part, student, questions):
    """The data, and whether PyTorch's optimizers are still PyTorch's own under their own names."""
    kinds = {name: getattr(torch.optim, name, None) for name in OPTIMIZERS}
    genuine = [isinstance(k, type) and k.__name__ == name and is_genuine(k) for name, k in kinds.items()]
    return {"data": data_sums(student), "genuine": np.array(genuine, dtype=np.int64)}


def ask_weights(part, student, questions):
    """Sums over the parameters of the trained model, in their order: `(parameters, 2)`."""
    rows = []
    for parameter in list(torch.nn.Module.parameters(notebook_object(student, part.trained)))[:MOST_WEIGHTS]:
        flat = parameter.detach().double().cpu().reshape(-1).numpy()
        rows.append([flat.sum(), np.abs(flat).sum()])
    return {"sums": np.nan_to_num(np.array(rows).reshape(-1, 2)).astype(np.float32)}
