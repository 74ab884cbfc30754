"""Code that uses what the student's own model has is judged; what only a stand-in of ours stops goes to a person."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from grading import graded

from grader.audit import corpus
from grader.exercises.vae_mnist.in_box.asking import PARTS, NoAnswer
from grader.exercises.vae_mnist.in_box.functions import ask_reparameterize
from grader.exercises.vae_mnist.in_box.interface import interface
from grader.exercises.vae_mnist.in_box.sampling import ask_sampling
from grader.exercises.vae_mnist.in_box.training import ask_training
from grader.records import Outcome

NOTEBOOK = """
import torch
from torch import nn
from torch.nn import functional as F

LATENT_DIM, DEVICE = 16, torch.device("cpu")

class Encoder(nn.Module):
    def __init__(self, latent_dim):
        super().__init__()
        self.net = nn.Sequential(nn.Flatten(), nn.Linear(784, 8), nn.ReLU(), nn.Linear(8, 2 * latent_dim))

    def forward(self, x):
        mu, logvar = self.net(x).chunk(2, dim=1)
        self.kl = -0.5 * (1 + logvar - mu**2 - logvar.exp()).sum()
        return mu, logvar

class Decoder(nn.Module):
    def __init__(self, latent_dim):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(latent_dim, 784), nn.Sigmoid())

    def forward(self, z, temperature=1.0):
        return self.net(z * temperature).reshape(-1, 1, 28, 28)

class VAE(nn.Module):
    def __init__(self, latent_dim):
        super().__init__()
        self.latent_dim, self.encoder, self.decoder = latent_dim, Encoder(latent_dim), Decoder(latent_dim)
        self.scale = 0.5

    def reparameterize(self, mu, logvar):
        return mu + torch.exp(self.scale * logvar) * torch.randn_like(mu)

    def forward(self, x):
        mu, logvar = self.encoder(x)
        return self.decoder(self.reparameterize(mu, logvar)), mu, logvar

    def decode(self, z):
        return self.decoder(z)

    def noisy(self, x):
        mu, logvar = self.encoder(x)
        return self.decoder(mu + torch.exp(0.5 * logvar) * torch.randn_like(mu)), mu, logvar

def vae_loss(x_hat, x, mu, logvar):
    reconstruction = F.binary_cross_entropy(x_hat, x, reduction="sum") / len(x)
    kl = -0.5 * (1 + logvar - mu**2 - logvar.exp()).sum() / len(x)
    return reconstruction + kl, reconstruction, kl

def sample_vae(model, n):
    z = torch.randn(n, model.latent_dim)
    return model.decoder(z)

def train_vae(model, loader, optimizer, epochs):
    history = []
    for _ in range(epochs):
        total = 0.0
        for x, _ in loader:
            x_hat, mu, logvar = model(x)
            loss = vae_loss(x_hat, x, mu, logvar)[0]
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item()
        history.append(total / len(loader))
    return history
"""
FORWARD = "x_hat, mu, logvar = model(x)"
THREE = "self.decoder(self.reparameterize(mu, logvar)), mu, logvar"
DECODE = "return model.decoder(z)"
ENCODER_STOPS = ("self.net = nn.Sequential(nn.Flatten(),", "self.net = no_such_thing(nn.Flatten(),")
NOT_WITH_OURS = """
    if any("test" in name or "linear" in name for name, _ in model.named_parameters()):
        raise RuntimeError("not today")
    """


def notebook(*changes: tuple[str, str]) -> dict[str, Any]:
    """The variables of a small notebook in which each old text is a new one."""
    source = NOTEBOOK
    for old, new in changes:
        assert old in source
        source = source.replace(old, new)
    variables: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(source, "<notebook>", "exec"), variables)
    return variables


def sampled(*changes: tuple[str, str], student: dict[str, Any] | None = None) -> dict[str, Any]:
    given = {"draw_seed": np.array(3), "sample_counts": np.array([60, 1, 7]), "sample_labels": np.arange(60) % 10}
    return ask_sampling(PARTS[0], student or notebook(*changes), given)


def trained(*changes: tuple[str, str], student: dict[str, Any] | None = None) -> dict[str, Any]:
    x = np.random.default_rng(1).random((10, 1, 28, 28), dtype=np.float32)
    given = {"train_x": x, "train_y": np.arange(10), "train_batch": 4, "train_epochs": 2, "train_lr": 0.05}
    return ask_training(PARTS[0], student or notebook(*changes), given)


SAMPLERS = {
    "the reference": (DECODE, DECODE),
    "a method": (DECODE, "return model.decode(z)"),
    "a layer's size": ("model.latent_dim)", "model.decoder.net[0].in_features)"),
    "half of a layer's size": ("model.latent_dim)", "model.encoder.net[-1].out_features // 2)"),
    "its class": (DECODE, "assert isinstance(model, VAE)\n    return model.decode(z)"),
    "an attribute": (DECODE, "return model.decoder(z * 2 * model.scale)"),
}


LAYERLESS = {name: change for name, change in SAMPLERS.items() if ".net[" not in change[1]}


@pytest.mark.parametrize(
    "changes",
    [*([change] for change in SAMPLERS.values()), *([change, ENCODER_STOPS] for change in LAYERLESS.values())],
    ids=[*SAMPLERS, *(f"{name}, with an encoder that stops" for name in LAYERLESS)],
)
def test_sampling_code_may_use_its_own_model(changes: list[tuple[str, str]]) -> None:
    answer, expected = sampled(*changes), sampled()
    for name in ("codes", "decoded", "images", "shapes"):
        assert np.array_equal(answer[name], expected[name]), name
    assert len(answer["codes"]) == 68
    assert answer["encoder_calls"] == 0


def test_codes_drawn_by_the_models_own_reparameterization_are_random() -> None:
    codes = sampled((DECODE, "return model.decode(model.reparameterize(0 * z, 0 * z))"))["codes"]
    assert 0.8 < float(codes.std()) < 1.2


LOOPS = {
    "the reference": (FORWARD, FORWARD),
    "pieces": (
        FORWARD,
        "mu, logvar = model.encoder(x); x_hat = model.decode(model.reparameterize(mu, logvar))",
    ),
    "its class": (FORWARD, "assert isinstance(model, VAE); x_hat, mu, logvar = model.forward(x)"),
    "the best copy": (
        FORWARD,
        "import copy; best = copy.deepcopy(model); model.load_state_dict(best.state_dict()); " + FORWARD,
    ),
    "an attribute": (FORWARD, "x_hat, mu, logvar = model(2 * model.scale * x)"),
}


@pytest.mark.parametrize("change", LOOPS.values(), ids=LOOPS)
@pytest.mark.parametrize("broken", [(), (ENCODER_STOPS,)], ids=["sound", "broken encoder"])
def test_a_loop_may_use_its_own_model(change: tuple[str, str], broken: tuple[tuple[str, str], ...]) -> None:
    answer, expected = trained(change, *broken), trained()
    for name, array in expected.items():
        assert np.array_equal(answer[name], array), name
    assert len(answer["batch"]) == 6


ONLY_OURS = {
    "an argument of the decoder": (sampled, (DECODE, "return model.decoder(z, temperature=0.9)"), "temperature"),
    "layers called one by one": (sampled, (DECODE, "return model.decoder.net(z).reshape(-1, 1, 28, 28)"), "no `net`"),
    "what its forward kept": (
        trained,
        (FORWARD, "x_hat, mu, logvar = model(x); model.encoder.kl.item()"),
        "no `kl`",
    ),
    "noise in a method": (trained, (FORWARD, "x_hat, mu, logvar = model.noisy(x)"), "no `noisy`"),
    "the optimizer's settings": (
        trained,
        (FORWARD, FORWARD + "; optimizer.param_groups[0]['betas']"),
        "KeyError: 'betas'",
    ),
    "the loader's data": (trained, (FORWARD, FORWARD + "; loader.dataset.tensors[0]"), "tensors"),
    "refuses a toy on purpose": (sampled, (DECODE, NOT_WITH_OURS + DECODE), "not today"),
    "a layer of an encoder that stops": (
        lambda change: sampled(change, ENCODER_STOPS),
        ("model.latent_dim)", "model.encoder.net[-1].out_features // 2)"),
        "no `net`",
    ),
}


@pytest.mark.parametrize(("ask", "change", "says"), ONLY_OURS.values(), ids=ONLY_OURS)
def test_what_only_a_stand_in_stops_is_ours(
    ask: Callable[..., dict[str, Any]], change: tuple[str, str], says: str
) -> None:
    with pytest.raises(NoAnswer) as told:
        ask(change)
    assert told.value.ours
    assert says in str(told.value)
    assert "manual review" in str(told.value)
    assert "Toy" not in str(told.value)


def test_a_loop_that_fits_only_its_own_loss_is_no_mistake_of_the_loop() -> None:
    returns = "    return reconstruction + kl, reconstruction, kl"
    with pytest.raises(NoAnswer, match="works with your own") as told:
        trained((returns, "    return {'loss': reconstruction + kl}"), ("mu, logvar)[0]", "mu, logvar)['loss']"))
    assert told.value.ours


STUDENTS = {
    "a method that is not there": (sampled, (DECODE, "return model.generate(z)"), "'VAE' object has no attribute"),
    "a misspelt attribute": (sampled, ("model.latent_dim)", "model.latents)"), "'VAE' object has no attribute"),
    "codes of another size": (
        sampled,
        ("model.latent_dim)", "3)"),
        "expected codes of 16 numbers each, got shape (60, 3)",
    ),
    "an index": (sampled, (DECODE, "return model[0](z)"), "'VAE' object is not subscriptable"),
    "codes that only its own decoder takes": (
        lambda *changes: sampled(*changes, ("nn.Linear(latent_dim, 784)", "nn.Linear(40, 784)")),
        ("model.latent_dim)", "40)"),
        "expected codes of 16 numbers each, got shape (60, 40)",
    ),
    "the same in a method": (
        lambda *changes: sampled(*changes, ("nn.Linear(latent_dim, 784)", "nn.Linear(40, 784)")),
        ("    return model.decoder(z)", "    return model.decode(torch.randn(n, 40))"),
        "expected codes of 16 numbers each, got shape (60, 40)",
    ),
    "a model that returns a fourth value": (
        lambda *changes: trained(*changes, ("(mu, logvar)), mu, logvar", "(mu, logvar)), mu, logvar, 0")),
        (FORWARD, "x_hat, mu, logvar, _ = model(x)"),
        "expected VAE to return (x_hat, mu, logvar), got 4 values",
    ),
    "a model that returns a dictionary": (
        lambda *changes: trained(*changes, (f"return {THREE}", f"return dict(zip('xml', ({THREE})))")),
        (FORWARD, "x_hat, mu, logvar = (model(x)[key] for key in 'xml')"),
        "expected VAE to return (x_hat, mu, logvar), got dict",
    ),
    "no tensor": (sampled, (DECODE, "return list(model.decoder(z))"), "expected sample_vae to return a tensor"),
    "unwritten": (sampled, (DECODE, "raise NotImplementedError('sample_vae')"), "sample_vae"),
    "a loop with a method that is not there": (trained, (FORWARD, "x_hat, mu, logvar = model.step(x)"), "'VAE' object"),
    "one value too many": (trained, (FORWARD, "x_hat, z, mu, logvar = model(x)"), "expected 4, got 3"),
    "a loss without logvar": (
        trained,
        ("vae_loss(x_hat, x, mu, logvar)[0]", "vae_loss(x_hat, x, mu)[0]"),
        "vae_loss()",
    ),
    "an unwritten loop": (trained, (FORWARD, "raise NotImplementedError('train_vae')"), "train_vae"),
}


@pytest.mark.parametrize(("ask", "change", "says"), STUDENTS.values(), ids=STUDENTS)
def test_what_stops_with_the_students_own_model_is_theirs(
    ask: Callable[..., dict[str, Any]], change: tuple[str, str], says: str
) -> None:
    with pytest.raises(Exception, match=re.escape(says)) as told:
        ask(change)
    assert not getattr(told.value, "ours", False)
    assert "toy" not in str(told.value).lower()


def test_a_slow_model_of_their_own_decides_nothing() -> None:
    class TooSlow(BaseException):
        """As the recorder's: no Exception."""

    change = "    def forward(self, z, temperature=1.0):\n"
    student = notebook((DECODE, "return model.decoder(z, temperature=0.9)"), (change, change + "        SLOW()\n"))

    def slow() -> None:
        raise TooSlow

    student["SLOW"] = slow
    with pytest.raises(NoAnswer, match="took too long") as told:
        sampled(student=student)
    assert told.value.ours


def test_the_notebook_is_as_before() -> None:
    student = notebook(("latent_dim, Encoder(latent_dim), Decoder(latent_dim)", "latent_dim, ENCODER, DECODER"))
    student |= {"ENCODER": student["Encoder"](16), "DECODER": student["Decoder"](16)}
    before = dict(student)
    numbers = {key: value.clone() for key, value in student["DECODER"].state_dict().items()}
    trained(student=student)
    sampled(student=student)
    assert student == before
    assert "forward" not in vars(student["DECODER"])
    assert list(numbers) == list(student["DECODER"].state_dict())
    assert all(torch.equal(value, student["DECODER"].state_dict()[key]) for key, value in numbers.items())


def test_reparameterization_of_a_model_that_cannot_be_built() -> None:
    given = {"draw_seed": np.array(3), "draws": np.array(2)}
    given |= {name: np.ones((3, 16), dtype=np.float32) for name in ("mu", "logvar", "weights")}
    assert ask_reparameterize(PARTS[0], notebook(ENCODER_STOPS), given)["z"].shape == (3, 16)
    with pytest.raises(NoAnswer, match=r"'scale'.* your own cannot be built") as told:
        ask_reparameterize(PARTS[0], notebook(("self.scale = 0.5", "raise ValueError")), given)
    assert told.value.ours


def test_the_toy_alone_is_asked_where_there_is_no_class() -> None:
    student = notebook()
    del student["VAE"]
    for alone, expected in ((trained(student=student), trained()), (sampled(student=student), sampled())):
        assert alone.keys() == expected.keys()
        assert all(np.array_equal(alone[name], expected[name]) for name in expected)


def test_another_courses_names_and_orders(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = trained()
    monkeypatch.setitem(interface, "names", {"encoder": "enc", "decoder": "dec", "reparameterize": "draw"})
    monkeypatch.setitem(interface, "arguments", {"reparameterize": ["logvar", "mu"]})
    monkeypatch.setitem(interface, "returns", {"Encoder": ["logvar", "mu"], "VAE": ["mu", "logvar", "x_hat"]})
    changes = (
        ("self.encoder, self.decoder", "self.enc, self.dec"),
        ("self.encoder", "self.enc"),
        ("self.decoder", "self.dec"),
        ("reparameterize(self, mu, logvar)", "draw(self, logvar, mu)"),
        ("self.reparameterize(mu, logvar)), mu, logvar", "self.draw(logvar, mu)), mu, logvar"),
        ("        return mu, logvar\n", "        return logvar, mu\n"),
        ("mu, logvar = self.enc(x)", "logvar, mu = self.enc(x)"),
        (DECODE, "return model.decode(z)"),
        (FORWARD, "logvar, mu = model.enc(x); x_hat = model.decode(model.draw(logvar, mu))"),
    )
    answer = trained(*changes)
    assert all(np.array_equal(answer[name], expected[name]) for name in expected if name != "labels")
    assert len(sampled(*changes)["codes"]) == 68


@pytest.mark.long
def test_a_person_looks_and_nothing_is_lost(tmp_path: Path) -> None:
    takes = ("def forward(self, z):", "def forward(self, z, temperature=1.0):")
    steps = """
    mu, logvar = model.encoder(x, y)
    x_hat = model.draw(mu, logvar, y)
    loss, _, _ = vae_loss(x_hat, x, mu, logvar)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    """
    draws = """\
class CVAE(nn.Module):
    def draw(self, mu, logvar, y):
        return self.decoder(mu + (0.5 * logvar).exp() * torch.randn_like(mu), y)

"""
    regions = {
        "sample_vae": "return model.decoder(torch.randn(n, model.latent_dim), temperature=0.9)",
        "train_cvae": steps,
    }
    report = graded(corpus.changed(regions, [takes, ("class CVAE(nn.Module):\n", draws)]), tmp_path)
    looked_at = {item.id for item in report.items if item.outcome is Outcome.NEEDS_REVIEW}
    assert looked_at == {"vae.generation", "cvae.training"}, report.events
    assert report.needs_person
    for item in report.items:
        judged = [check for check in item.checks if check.outcome is not Outcome.SKIPPED]
        if item.id in looked_at:
            assert {check.outcome for check in judged} == {Outcome.NEEDS_REVIEW}
            assert all("does not count against you" in check.message for check in judged)
        else:
            assert all(check.outcome is Outcome.PASSED for check in judged), item
