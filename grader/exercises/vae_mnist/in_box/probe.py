"""Answers the supervisor's questions about the student's VAE and CVAE inside the box: records arrays, grades nothing.

Each question is a function `(part, student, questions) -> {name: array}`: `student` holds the notebook's variables,
`questions` the stage's question arrays. The recorder imports this folder as a package of its own and reads `STAGES`."""

from .functions import ask_loss, ask_reparameterize
from .interface import interface
from .modules import ask_decoder, ask_decoder_parameters, ask_encoder, ask_encoder_parameters, ask_other_sizes
from .notebook_objects import PARTS, NoAnswer
from .sampling import ask_sampling, ask_sampling_alone, ask_sampling_in_own_model
from .trained import (
    ask_decode,
    ask_device,
    ask_encode,
    ask_here,
    ask_history,
    ask_nearly_new,
    ask_samples,
    ask_steps,
    ask_trained,
    ask_untrained,
)
from .training import ask_training, ask_training_alone, ask_training_in_own_model
from .training_integrity import ask_training_integrity, ask_weights

__all__ = ["STAGES", "NoAnswer", "interface"]


def _bound(function, part):
    return lambda student, questions: function(part, student, questions)


STAGES = {}
for _part in PARTS:
    for _stage, _questions in {
        "components": {
            "encoder": ask_encoder,
            "decoder": ask_decoder,
            "sizes": ask_other_sizes,
            "encoder_parameters": ask_encoder_parameters,
            "decoder_parameters": ask_decoder_parameters,
            "reparameterize": ask_reparameterize,
            "training": ask_training,
            "footing": ask_training_integrity,
        },
        "ended": {"weights": ask_weights},
        "sampling": {"sampling": ask_sampling},
        "trained": {"state": ask_trained, "history": ask_history, "steps": ask_steps, "device": ask_device}
        | {"footing": ask_training_integrity, "weights": ask_weights},
        "quality": {"encode": ask_encode, "samples": ask_samples, "here": ask_here},
        "decode": {"decode": ask_decode, "nearly_new": ask_nearly_new},
        "untrained": {"untrained": ask_untrained},
        "plane": {"plane": ask_decode},
        "training_by_toys": {"in_own_model": ask_training_in_own_model, "alone": ask_training_alone},
        "sampling_by_toys": {"in_own_model": ask_sampling_in_own_model, "alone": ask_sampling_alone},
    }.items():
        STAGES[f"{_stage}.{_part.name}"] = {key: _bound(f, _part) for key, f in _questions.items()}
STAGES["components.vae"]["loss"] = ask_loss
