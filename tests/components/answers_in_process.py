"""The probe's questions, asked in this process of a notebook's variables."""

from __future__ import annotations

from typing import Any

import numpy as np

from grader.exercises.vae_mnist.in_box.notebook_objects import NoAnswer
from grader.exercises.vae_mnist.in_box.probe import STAGES
from grader.records import Address, Array, Blame, Fault, Stage


def answers_of(
    stage: Stage, question: str, student: dict[str, Any], questions: dict[str, Any]
) -> tuple[dict[str, Array], dict[str, Fault]]:
    """The answer's arrays by their names in evidence, and the fault in their place; one of the two is empty."""
    address = Address(stage.question(question))
    try:
        answer = STAGES[stage][question](student, {name: np.array(array) for name, array in questions.items()})
        arrays = {address.array(name): _plain(value) for name, value in answer.items()}
    except NoAnswer as error:
        return {}, {address: Fault(Blame.OURS if error.ours else Blame.STUDENT, str(error))}
    except Exception as error:
        return {}, {address: Fault(Blame.STUDENT, f"{type(error).__name__}: {error}")}
    return arrays, {}


def _plain(value: Any) -> Array:
    if hasattr(value, "detach"):  # as the recorder does: numpy knows no bfloat16
        value = value.detach().cpu()
        value = (value.float() if value.is_floating_point() else value).numpy()
    array = np.array(value)
    return array.astype(np.float32 if array.dtype.kind == "f" else np.int64)
