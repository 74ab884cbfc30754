"""The student's own model, and the stand-ins for a model that an earlier mistake has broken.

The student's code runs with a fresh model of their own class. If that fails, another item may be at fault: a throwaway
box then runs the code with a model of the same class whose networks compute what a toy's networks compute, and with the
toy alone, which lacks methods and attributes that the student added to their model. No other box receives the toys.
"""

import contextlib
import copy
import sys
import types
from pathlib import Path

import torch

from .interface import ATTRIBUTES, actual, as_notebook, call, in_our_order
from .notebook_objects import NoAnswer, device_of, latent_dim, notebook_object

NETWORKS = ("encoder", "decoder")
SHOWN = {  # names of stand-ins, which mean nothing to a student, and what is shown instead
    "ToyModel": "test model",
    "ToyEncoder": "test encoder",
    "ToyDecoder": "test decoder",
    "'Loader'": "'test loader'",
    "'RecordingOptimizer'": "'test optimizer'",
}


@contextlib.contextmanager
def rebound(variables, values):
    """A context in which the variables have these values."""
    before = {name: variables[name] for name in values if name in variables}
    variables.update(values)
    try:
        yield
    finally:
        for name in values:
            variables.pop(name, None)
        variables.update(before)


class ToyModel(torch.nn.Module):
    """A VAE or CVAE with toy networks and a reparameterization without noise."""

    def __init__(self, part, stand_in, size, seed):
        super().__init__()
        self.latent_dim, self.num_classes, self.conditional = size, 10, part.conditional
        self.encoder, self.decoder = stand_in.networks(size, part.conditional, seed)
        for network, name in ((self.encoder, part.encoder), (self.decoder, part.decoder)):
            vars(network)["forward"] = as_notebook(network.forward, name)
        vars(self)["reparameterize"] = as_notebook(stand_in.noiseless, "reparameterize")
        for name in ATTRIBUTES:
            if actual(name) != name:
                setattr(self, actual(name), getattr(self, name))

    def forward(self, *args, **kwargs):
        return forward_of(self, self.conditional)(*args, **kwargs)


def forward_of(model, conditional):
    """The `forward` of a VAE or CVAE with the model's own parts, to be called by the notebook's code."""
    prefix = "Conditional" if conditional else ""

    def reconstruct(x, y=None):
        condition = (y,) if conditional else ()
        values = call(getattr(model, actual("encoder")), f"{prefix}Encoder", x, *condition)
        mu, logvar = in_our_order(f"{prefix}Encoder", values)
        z = call(getattr(model, actual("reparameterize")), "reparameterize", mu, logvar)
        return call(getattr(model, actual("decoder")), f"{prefix}Decoder", z, *condition), mu, logvar

    return as_notebook(reconstruct, "CVAE" if conditional else "VAE")


def toy_of(part, student, questions, seed):
    """A toy model on the notebook's device; its networks come from the source code in `questions`."""
    name = f"{__package__}.stand_in"
    stand_in = sys.modules[name] = types.ModuleType(name)
    source = bytes(questions["stand_in"]).decode()
    exec(compile(source, str(Path(__file__).with_name("stand_in.py")), "exec"), vars(stand_in))
    return ToyModel(part, stand_in, latent_dim(student), seed).to(device_of(student))


def own_model(part, student):
    """A fresh model of the student's own class, copied since it may share objects with the trained models."""
    model = part.build(student, part.model, latent_dim(student))
    try:
        return copy.deepcopy(model)
    except Exception:  # it holds something that cannot be copied, such as a result with a gradient
        return model


def built(part, student, size, networks):
    """A model of the student's own class; contains `networks` if it cannot be built with its own."""
    try:
        return part.build(student, part.model, size)
    except Exception:
        stand_ins = {actual(getattr(part, name)): _always(networks[name]) for name in NETWORKS}
    with rebound(student, stand_ins):
        return part.build(student, part.model, size)


def _always(module):
    return lambda *args, **kwargs: module


def bare(part, student, size):
    """An instance of the student's class whose `__init__` was not run; only its sizes are set."""
    cls = notebook_object(student, part.model)
    model = cls.__new__(cls)
    torch.nn.Module.__init__(model)
    setattr(model, actual("latent_dim"), size)
    setattr(model, actual("num_classes"), 10)
    return model


def around(part, student, toy, *, noise):
    """A model of the student's own class that computes what the toy computes, and also has the toy's parameters.

    Only the `forward` of the networks and of the model is replaced, and the reparameterization unless `noise`; layers,
    attributes and other methods are the student's.
    """
    networks = {name: getattr(toy, name) for name in NETWORKS}
    memo = {id(network): network for network in networks.values()}
    model = built(part, student, toy.latent_dim, networks)
    model = copy.deepcopy(model, memo)  # it may share objects with the trained models
    for name in NETWORKS:
        network, toy_network = getattr(model, actual(name)), getattr(toy, name)
        if network is not toy_network:
            for key, parameter in toy_network.linear.named_parameters():
                network.register_parameter(f"test_{key}", parameter)
            vars(network)["forward"] = toy_network.forward
    vars(model)["forward"] = forward_of(model, part.conditional)
    if not noise:
        vars(model)[actual("reparameterize")] = toy.reparameterize
    return model


def stand_in_answer(ask, questions):
    """The answer to a question that is asked again with a stand-in, because the student's own model was inconclusive.

    Raises:
        NoAnswer: with `ours` if it is only known that the code does not work with the stand-in; else without, and the
            fault with the student's own model stands.
    """
    try:
        return ask()
    except Exception as error:
        own_error = bytes(questions["own_error"]).decode()  # the exception's kind with their own model
        if own_error and names_stand_in(error) and type(error).__name__ != own_error:
            raise needs_review(error, "and your own model cannot show whether it is right") from None
        raise NoAnswer(f"{type(error).__name__}: {error}") from None


def passed_on(function, args, kwargs):
    """Calls the student's function; arguments that it does not take are a mistake of its caller, the student's code."""
    try:
        return function(*args, **kwargs)
    except TypeError as error:
        if error.__traceback__.tb_next is None:
            raise NoAnswer(f"TypeError: {error}") from None
        raise


def names_stand_in(error):
    """Whether the error is about one of our objects; with the student's own object it might not have occurred."""
    kind = type(getattr(error, "obj", None)).__module__
    return kind.startswith(f"{__package__}.") or any(name in str(error) for name in SHOWN)


def needs_review(error, reason):
    """The NoAnswer for code that fails because of a stand-in; `reason` says why their own model is inconclusive."""
    why = f"{type(error).__name__}: {error}"
    for name, words in SHOWN.items():
        why = why.replace(name, words)
    if isinstance(error, AttributeError) and names_stand_in(error):
        why = f"it has no attribute {error.name}"
    return NoAnswer(
        f"your code does not work with the grader's small test model ({why[:150]}), {reason}. This does not count "
        "against you: it needs manual review",
        ours=True,
    )
