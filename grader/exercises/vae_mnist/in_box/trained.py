"""Questions about the trained model."""

import numpy as np
import torch
from torch.nn import Module
from torch.nn.utils.spectral_norm import SpectralNorm

from .interface import actual
from .notebook_objects import NoAnswer, latent_dim, notebook_object, tensor
from .step_counter import counting

UNTRAINED = 500  # images by a decoder with few trained weights; as `questions.UNTRAINED`
KEPT_WEIGHTS = 0.01  # share of a trained weight's entries that this decoder has

STATISTICS = (torch.nn.modules.batchnorm._NormBase, torch.nn.utils.parametrizations._SpectralNorm)
MOST_BUFFERED = 4096  # numbers: a student's own normalisation has fewer, a table of images has more


def ask_trained(part, student, questions):
    """The trained decoder's parameters and its normalisations' statistics, before any question with images.

    Other buffers are not a result of training: they are included if they are small, else a fresh decoder has its own.
    """
    model = notebook_object(student, part.trained)
    if not isinstance(model, Module):
        raise NoAnswer(f"{actual(part.trained)} is not a model")
    decoder = getattr(model, actual("decoder"))
    state = {k: v for k, v in Module.state_dict(decoder).items() if isinstance(v, torch.Tensor)}
    buffers = set(state) - {name for name, _ in Module.named_parameters(decoder, remove_duplicate=False)}
    for prefix, module in Module.named_modules(decoder):
        if isinstance(module, STATISTICS) or any(
            isinstance(h, SpectralNorm) for h in module._forward_pre_hooks.values()
        ):
            buffers -= {f"{prefix}.{name}".lstrip(".") for name, _ in Module.named_buffers(module, recurse=False)}
    if sum(state[name].numel() for name in buffers) > MOST_BUFFERED:
        state = {name: value for name, value in state.items() if name not in buffers}
    return {"decoder/" + name: value for name, value in state.items()}


def ask_history(part, student, questions):
    """The loss curve of the notebook's own training."""
    try:
        values = [float(value) for value in notebook_object(student, part.history)][:1000]
        return {"history": np.array(values, dtype=np.float32)}
    except (TypeError, ValueError):
        raise NoAnswer(f"{actual(part.history)} is not a list of numbers") from None


def ask_steps(part, student, questions):
    """The steps of the notebook's own training: mean learning rate relative to the initial one, lines and data."""
    count = counting().of(notebook_object(student, part.trained))
    if count is None:
        raise NoAnswer(f"no optimizer made a step on {actual(part.trained)}")
    steps, rates, lines, genuine, looks, rate = count
    return {
        "count": steps,
        "mean_rate": np.float32(rates / steps),
        "lines": np.array(sorted(lines), dtype=np.int64),
        "genuine": int(genuine),
        "rate": np.float32(rate),
        "data": np.array(looks, dtype=np.float32),
    }


def ask_device(part, student, questions):
    """Whether the trained model is on a GPU, and whether a GPU was available."""
    parameter = next(iter(notebook_object(student, part.trained).parameters()))
    return {"cuda": int(parameter.is_cuda), "usable": int(torch.cuda.is_available())}


def batches(*arrays):
    """Yields batches of 500 rows of each array."""
    for start in range(0, len(arrays[0]), 500):
        yield [array[start : start + 500] for array in arrays]


def ask_encode(part, student, questions):
    """mu and logvar of the hidden images, in eval mode, batch by batch."""
    encoder = getattr(notebook_object(student, part.trained).eval(), actual("encoder"))
    with torch.no_grad():
        pairs = [
            [head.cpu() for head in part.encode(encoder, x, y, student)]
            for x, y in batches(questions["x"], questions["y"])
        ]
    mus, logvars = zip(*pairs, strict=True)
    return {"mu": torch.cat(mus), "logvar": torch.cat(logvars)}


def ask_samples(part, student, questions):
    """Images that the student's sampling function draws from the trained model in a few calls."""
    model = notebook_object(student, part.trained).eval()
    torch.manual_seed(int(questions["draw_seed"]))
    label_batches = batches(questions["labels"])
    images = [part.draw(student, model, len(labels), labels).detach().cpu().float() for (labels,) in label_batches]
    return {"images": torch.cat(images)}


def decode(decoder, part, student, codes, labels):
    """Images of the codes, in eval mode."""
    decoder.eval()
    with torch.no_grad():
        images = [part.decode(decoder, z, y, student).cpu() for z, y in batches(codes, labels)]
    return {"images": torch.cat(images)}


def ask_decode(part, student, questions):
    """Images of the codes, by a freshly built decoder with the trained parameters, which never received an image."""
    codes = questions["codes"]
    decoder = part.build(student, part.decoder, codes.shape[1])
    prefix = "decoder/"
    state = {key[len(prefix) :]: tensor(v, student) for key, v in questions.items() if key.startswith(prefix)}
    unfit = f"the trained numbers do not fit a freshly built {actual(part.decoder)}"
    try:
        absent, unknown = Module.load_state_dict(decoder, state, strict=False)
    except RuntimeError as error:
        raise NoAnswer(f"{unfit}: {error}") from None
    parameters = {name for name, _ in Module.named_parameters(decoder, remove_duplicate=False)}
    if misfits := [*unknown, *(key for key in absent if key in parameters)]:
        raise NoAnswer(f"{unfit}: {', '.join(misfits[:5])}")
    return decode(decoder, part, student, codes, questions["labels"])


def ask_nearly_new(part, student, questions):
    """Images of codes from the prior, by a fresh decoder with the trained biases and few of the trained weights.

    Of each weight it has the hundredth that differs most from the others: a switch that a training loop has set without
    learning would be among them.
    """
    codes, labels = questions["codes"][-UNTRAINED:], questions["labels"][-UNTRAINED:]
    decoder = part.build(student, part.decoder, codes.shape[1])
    fresh, prefix = Module.state_dict(decoder), "decoder/"
    state = {key[len(prefix) :]: tensor(v, student) for key, v in questions.items() if key.startswith(prefix)}
    mixed = {name: _mixed(fresh[name], value) for name, value in state.items() if name in fresh}
    Module.load_state_dict(decoder, mixed, strict=False)
    return decode(decoder, part, student, codes, labels)


def _mixed(fresh, trained):
    """The fresh weight with the trained weight's most unusual entries; of anything else, the trained value."""
    if trained.ndim < 2 or fresh.shape != trained.shape or not trained.is_floating_point():
        return trained
    entries, numbers = fresh.clone().reshape(-1), trained.reshape(-1)
    unusual = (numbers - numbers.median()).abs().topk(max(1, int(KEPT_WEIGHTS * numbers.numel()))).indices
    entries[unusual] = numbers[unusual].to(entries)
    return entries.reshape(fresh.shape)


def ask_here(part, student, questions):
    """Reconstructions by the trained model itself, from slightly moved codes; used only if `ask_decode` fails."""
    model, size = notebook_object(student, part.trained), latent_dim(student)
    mu = ask_encode(part, student, questions)["mu"]
    if mu.shape != (len(questions["x"]), size):
        raise NoAnswer(f"expected codes of shape {(len(questions['x']), size)}, got {tuple(mu.shape)}")
    codes = mu.numpy() + questions["noise"][:, :size]
    return decode(getattr(model, actual("decoder")), part, student, codes, questions["y"])


def ask_untrained(part, student, questions):
    """Reconstructions, and images of codes from the prior, by an untrained model."""
    model = part.build(student, part.model, latent_dim(student)).eval()
    encoder, decoder = getattr(model, actual("encoder")), getattr(model, actual("decoder"))
    with torch.no_grad():
        mu, _ = part.encode(encoder, questions["x"], questions["y"], student)
        x_hat = part.decode(decoder, mu.float(), questions["y"], student)
        images = part.decode(decoder, questions["codes"][:, : mu.shape[1]], questions["labels"], student)
    return {"reconstructions": x_hat, "drawn": images}
