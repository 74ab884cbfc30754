"""The student's own model around a toy's networks, and whose fault it is where their code works with no toy.

A toy has none of the methods and attributes that a student gave to their model. So the student's code is first tried
with a model of their own class whose networks compute what those of the toy do, and then with the toy alone. Where
both raise, the student's own model decides: what works with it is no mistake.
"""

import contextlib
import copy

import torch

from .asking import NoAnswer, latent_dim, named
from .interface import RETURNS, actual, interface, returned_order

NETWORKS = ("encoder", "decoder")
SHOWN = {  # names of stand-ins, which mean nothing to a student, and what is shown instead
    "ToyModel": "test model",
    "ToyEncoder": "test encoder",
    "ToyDecoder": "test decoder",
    "toy_loss": "test loss",
    "'Loader'": "'test loader'",
    "'Recorder'": "'test optimizer'",
}


class PastTheToy(Exception):
    """The student's code went past the toy's networks, so nothing of it was recorded."""


@contextlib.contextmanager
def rebound(variables, values):
    """Some variables hold these values for a while."""
    before = {name: variables[name] for name in values if name in variables}
    variables.update(values)
    try:
        yield
    finally:
        for name in values:
            variables.pop(name, None)
        variables.update(before)


def built(part, student, toy):
    """A model of the student's own class; the toy's networks are in it where their own cannot be built."""
    size = toy.latent_dim
    try:
        return part.build(student, part.model, size)
    except Exception:
        toys = {actual(getattr(part, name)): _always(getattr(toy, name)) for name in NETWORKS}
    with rebound(student, toys):
        return part.build(student, part.model, size)


def _always(module):
    return lambda *args, **kwargs: module


def bare(part, student, size):
    """An instance of the student's class whose `__init__` was not run: it has the given sizes and nothing else."""
    cls = named(student, part.model)
    model = cls.__new__(cls)
    torch.nn.Module.__init__(model)
    setattr(model, actual("latent_dim"), size)
    setattr(model, actual("num_classes"), 10)
    return model


def around(part, student, toy, *, noise):
    """A model of the student's own class that computes what the toy does, with the toy's parameters among its own.

    Only `forward` is replaced, in the networks and in the model, and without `noise` the reparameterization; layers,
    attributes and methods are the student's.
    """
    ours = {id(getattr(toy, name)): getattr(toy, name) for name in NETWORKS}
    model = copy.deepcopy(built(part, student, toy), ours)  # what it holds may be shared with models that they train
    for name in NETWORKS:
        own, ours = getattr(model, actual(name)), getattr(toy, name)
        if own is not ours:
            for key, parameter in ours.linear.named_parameters():
                own.register_parameter(f"test_{key}", parameter)
            vars(own)["forward"] = ours.forward
    vars(model)["forward"] = toy.forward
    if not noise:
        vars(model)[actual("reparameterize")] = toy.reparameterize
    return model


def first_answer(part, student, toys, own):
    """What the first of our toys gives that the student's code works with.

    `toys` are functions without arguments that answer; `own` are functions that try the same code with a fresh model
    of the student's, which is thrown away.

    Raises:
        NoAnswer: as ours, where the code works with the student's own model, or their model cannot show whose fault
            it is.
        Exception: what the student's code raised with the student's own model, or was told with it.
    """
    errors, theirs = [], []
    for ask in toys:
        try:
            return ask()
        except Exception as error:
            errors.append(error)
    for ask in own:
        try:
            model = _as_handed_out(part, student)
        except Exception:
            break
        try:
            ask(model)
        except (Exception, SystemExit) as error:
            theirs.append(error)
        except BaseException as error:  # the time for the question is over
            raise needs_review(errors[-1], "and it took too long with your own") from error
        else:
            raise needs_review(errors[-1], "but it works with your own")
    raise _fault(errors, theirs)


def _as_handed_out(part, student):
    """A fresh model of the student's that raises where it is not used as in the notebook that was handed out.

    There it returns three values, and a code has LATENT_DIM numbers: who changes that cannot blame a toy for it.
    """
    size = latent_dim(student)
    model = copy.deepcopy(part.build(student, part.model, size))
    order = interface["arguments"].get(part.decoder, ("z", "y"))

    def takes(decoder, args, kwargs):
        z = {**dict(zip(order, args, strict=False)), **kwargs}.get("z")
        if isinstance(z, torch.Tensor) and z.numel() != len(z) * size:
            raise NoAnswer(f"expected codes of {size} numbers each, got shape {tuple(z.shape)}")

    def gives(model, args, values):
        if not isinstance(values, tuple | list) or len(values) != len(RETURNS[part.model]):
            wanted = ", ".join(returned_order(part.model))
            got = f"{len(values)} values" if isinstance(values, tuple | list) else type(values).__name__
            raise NoAnswer(f"expected {actual(part.model)} to return ({wanted}), got {got}")

    decoder = getattr(model, actual("decoder"), None)
    if isinstance(decoder, torch.nn.Module):
        decoder.register_forward_pre_hook(takes, with_kwargs=True)
    model.register_forward_hook(gives)
    return model


def _fault(errors, theirs):
    """The student's error; ours where a stand-in raised one and the student's model none that is like any of ours."""
    by_toys = [error for error in errors if names_stand_in(error)]
    alike = {NoAnswer, *map(type, errors)}
    if by_toys and not any(type(error) in alike for error in theirs):
        return needs_review(by_toys[-1], "and it could not be tried to its end with your own")
    return next((error for error in theirs if not names_stand_in(error)), (theirs or errors)[-1])


def names_stand_in(error):
    """Whether the error tells of one of our objects: a student's own might have done what was asked."""
    kind = type(getattr(error, "obj", None)).__module__
    return kind.startswith(f"{__package__}.") or any(name in str(error) for name in SHOWN)


def needs_review(error, own):
    """The answer that is missing because of a stand-in; `own` says how the student's own model fared."""
    why = f"{type(error).__name__}: {error}"
    for name, shown in SHOWN.items():
        why = why.replace(name, shown)
    if isinstance(error, AttributeError) and names_stand_in(error):
        why = f"it has no `{error.name}`"
    return NoAnswer(
        f"your code does not work with the grader's small test model ({why[:150]}), {own}. This does not count "
        "against you: it needs manual review",
        ours=True,
    )
