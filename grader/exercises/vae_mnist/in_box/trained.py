"""Questions for the trained model."""

import numpy as np
import torch

from .asking import NoAnswer, latent_dim, named, tensor
from .interface import actual
from .real_steps import counting


def ask_trained(part, student, given):
    """The trained model's parameters and buffers, flattened; asked before any question about pictures is known."""
    model = named(student, part.trained)
    if not isinstance(model, torch.nn.Module):
        raise NoAnswer(f"`{actual(part.trained)}` is not a model")
    state = {
        key: value
        for key, value in getattr(model, actual("decoder")).state_dict().items()
        if isinstance(value, torch.Tensor)
    }
    return {"decoder/" + key: value for key, value in state.items()}


def ask_history(part, student, given):
    """The loss curve of the notebook's own training."""
    try:
        return {"history": np.array([float(v) for v in named(student, part.history)][:1000], dtype=np.float32)}
    except (TypeError, ValueError):
        raise NoAnswer(f"`{actual(part.history)}` is not a list of numbers") from None


def ask_steps(part, student, given):
    """How the notebook's own training made its steps: the mean learning rate against the given one, and the lines."""
    count = counting().of(named(student, part.trained))
    if count is None:
        raise NoAnswer(f"no step of an optimizer of `{actual(part.trained)}` was seen")
    steps, rates, lines = count
    return {"mean_rate": np.float32(rates / steps), "lines": np.array(sorted(lines), dtype=np.int64)}


def ask_device(part, student, given):
    """Where the trained model lives."""
    parameter = next(iter(named(student, part.trained).parameters()))
    return {"cuda": int(parameter.is_cuda)}


def batches(*arrays):
    """500 rows of each array after the other."""
    for start in range(0, len(arrays[0]), 500):
        yield [array[start : start + 500] for array in arrays]


def ask_encode(part, student, given):
    """The codes of the hidden images, in eval mode, one batch after the other."""
    encoder = getattr(named(student, part.trained).eval(), actual("encoder"))
    with torch.no_grad():
        pairs = [
            [head.cpu() for head in part.encode(encoder, x, y, student)] for x, y in batches(given["x"], given["y"])
        ]
    mus, logvars = zip(*pairs, strict=True)
    return {"mu": torch.cat(mus), "logvar": torch.cat(logvars)}


def ask_samples(part, student, given):
    """New images from the trained model, by the student's sampling function, in a few calls."""
    model = named(student, part.trained).eval()
    torch.manual_seed(int(given["draw_seed"]))
    asked = batches(given["labels"])
    images = [part.draw(student, model, len(labels), labels).detach().cpu().float() for (labels,) in asked]
    return {"images": torch.cat(images)}


def decode(decoder, part, student, codes, labels):
    """Images of the codes, in eval mode."""
    decoder.eval()
    with torch.no_grad():
        images = [part.decode(decoder, z, y, student).cpu() for z, y in batches(codes, labels)]
    return {"images": torch.cat(images)}


def ask_decode(part, student, given):
    """Images of given codes by a freshly built decoder that holds the trained numbers and has seen no image."""
    codes = given["codes"]
    decoder = part.build(student, part.decoder, codes.shape[1])
    prefix = "decoder/"
    state = {key[len(prefix) :]: tensor(v, student) for key, v in given.items() if key.startswith(prefix)}
    try:
        decoder.load_state_dict(state)
    except RuntimeError as error:
        raise NoAnswer(f"the trained numbers do not fit a freshly built {actual(part.decoder)}: {error}") from None
    return decode(decoder, part, student, codes, given["labels"])


def ask_here(part, student, given):
    """Reconstructions by the trained model itself, codes slightly moved: used only where `ask_decode` cannot be."""
    model, size = named(student, part.trained), latent_dim(student)
    mu = ask_encode(part, student, given)["mu"]
    if mu.shape != (len(given["x"]), size):
        raise NoAnswer(f"expected codes of shape {(len(given['x']), size)}, got {tuple(mu.shape)}")
    codes = mu.numpy() + given["noise"][:, :size]
    return decode(getattr(model, actual("decoder")), part, student, codes, given["y"])
