"""Questions about the reparameterization and the loss."""

import numpy as np
import torch

from .interface import actual, call, in_our_order, returned_order
from .notebook_objects import NoAnswer, checked_tensor, latent_dim, notebook_object, tensor
from .own_model import NETWORKS, bare, built, needs_review


def ask_reparameterize(part, student, questions):
    """Many draws for a few rows, and the gradients of one draw; with a bare model if the student's cannot be built."""
    size = latent_dim(student)
    notebook_object(student, part.model)
    whole = True
    try:
        model = built(part, student, size, {name: torch.nn.Identity() for name in NETWORKS})
    except Exception:
        model, whole = bare(part, student, size), False
    model.train()
    method = actual("reparameterize")
    if not hasattr(model, method):
        raise NoAnswer(f"{actual(part.model)} has no method {method}")
    name = f"{actual(part.model)}.{method}"

    def draw(mu, logvar):
        try:
            return checked_tensor(call(getattr(model, method), "reparameterize", mu, logvar), name)
        except AttributeError as error:
            if whole or error.obj is not model:
                raise
            raise needs_review(error, "and your own model cannot be built") from None

    torch.manual_seed(int(questions["draw_seed"]))
    mu, logvar = tensor(questions["mu"][:, :size], student), tensor(questions["logvar"][:, :size], student)
    draws = torch.stack([draw(mu.clone(), logvar.clone()).detach().cpu() for _ in range(int(questions["draws"]))])
    mu, logvar = mu.clone().requires_grad_(), logvar.clone().requires_grad_()
    z = draw(mu * 1.0, logvar * 1.0)
    weights = tensor(questions["weights"][:, :size], student)
    if z.shape != weights.shape:
        raise NoAnswer(f"expected {name} to return shape {tuple(weights.shape)}, got {tuple(z.shape)}")
    grads = [None, None]
    if z.requires_grad:
        grads = torch.autograd.grad((z * weights).sum(), (mu, logvar), allow_unused=True)
    grad_mu, grad_logvar = (torch.zeros_like(mu) if grad is None else grad for grad in grads)
    return {"draws": draws, "z": z, "grad_mu": grad_mu, "grad_logvar": grad_logvar}


def ask_loss(student, questions):
    """The values and gradients of the loss on four batches."""
    vae_loss = notebook_object(student, "vae_loss")
    answer = {}
    for batch in ("random", "digits", "shifted", "small"):
        x_hat, x, mu, logvar = (tensor(questions[f"{batch}_{key}"], student) for key in ("x_hat", "x", "mu", "logvar"))
        inputs = [t.clone().requires_grad_() for t in (x_hat, mu, logvar)]
        value = call(vae_loss, "vae_loss", inputs[0] * 1.0, x.clone(), inputs[1] * 1.0, inputs[2] * 1.0)
        parts = in_our_order("vae_loss", value if isinstance(value, tuple | list) else [value])
        if not parts:
            order = ", ".join(returned_order("vae_loss"))
            raise NoAnswer(f"expected {actual('vae_loss')} to return ({order}), got nothing")
        loss = checked_tensor(parts[0], actual("vae_loss"))
        if loss.numel() != 1:
            raise NoAnswer(f"expected the loss to be one number, got shape {tuple(loss.shape)}")
        numbers = [float(p) for p in parts[:3] if torch.as_tensor(p).numel() == 1]
        grads = [None] * 3
        if loss.requires_grad:
            grads = torch.autograd.grad(loss.reshape(()), inputs, allow_unused=True)
        for key, source, grad in zip(("x_hat", "mu", "logvar"), inputs, grads, strict=True):
            answer[f"{batch}_grad_{key}"] = torch.zeros_like(source) if grad is None else grad
        answer[f"{batch}_parts"] = np.array(numbers, dtype=np.float32)
    return answer
