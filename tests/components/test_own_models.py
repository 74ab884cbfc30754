"""Code that relies on the student's own model is graded; errors that only our stand-in raises need manual review."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from answers_in_process import answers_of
from grading import graded

from grader.audit import corpus
from grader.exercises.vae_mnist import stand_in_answers
from grader.exercises.vae_mnist.in_box.functions import ask_reparameterize
from grader.exercises.vae_mnist.in_box.interface import interface
from grader.exercises.vae_mnist.in_box.notebook_objects import PARTS, NoAnswer
from grader.exercises.vae_mnist.plugin import STAND_IN
from grader.exercises.vae_mnist.stand_in_answers import SAMPLING, TRAINING, StandInQuestion
from grader.records import Address, Blame, Evidence, Fault, Outcome, Stage

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


def notebook(*changes: tuple[str, str]) -> dict[str, Any]:
    """The variables of a small notebook in which each old text is a new one."""
    source = NOTEBOOK
    for old, new in changes:
        assert old in source
        source = source.replace(old, new)
    variables: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(source, "<notebook>", "exec"), variables)
    return variables


def questions_of(question: StandInQuestion) -> dict[str, np.ndarray]:
    x = np.random.default_rng(1).random((10, 1, 28, 28), dtype=np.float32)
    if question is TRAINING:
        questions = {"train_x": x, "train_y": np.arange(10), "train_batch": np.array(4), "train_epochs": np.array(2)}
    else:
        questions = {"sample_counts": np.array([60, 1, 7]), "sample_labels": np.arange(60) % 10}
        questions["sample_codes"] = np.ones((2, 512), dtype=np.float32)
    return questions | {"draw_seed": np.array(3)}


def answer_of(question: StandInQuestion, student: dict[str, Any]) -> tuple[Address, dict[str, Any], Fault | None]:
    """Which answer is graded, its arrays, and its fault if it has one; asked as the two boxes are."""
    questions = {Stage.of(question.stage, "vae").array(name): array for name, array in questions_of(question).items()}
    stage = Stage.of(question.stage, "vae")
    evidence = Evidence(questions, *answers_of(stage, question.name, student, questions_of(question)))
    for stage, stand_in_questions in stand_in_answers.questions(evidence, STAND_IN.read_bytes()).items():
        for how in stand_in_answers.STAND_INS:
            answers, faults = answers_of(stage, how, student, stand_in_questions)
            evidence = Evidence(questions, {**evidence.answers, **answers}, {**evidence.faults, **faults})
    source = question.decisive(evidence, "vae")
    arrays = {name.rpartition("/")[2]: array for name, array in evidence.answers.items() if source.holds(name)}
    return source, arrays, evidence.faults.get(source)


def sampled(*changes: tuple[str, str], student: dict[str, Any] | None = None) -> dict[str, Any]:
    _, answer, fault = answer_of(SAMPLING, student or notebook(*changes))
    assert fault is None
    return answer


def trained(*changes: tuple[str, str], student: dict[str, Any] | None = None) -> dict[str, Any]:
    _, answer, fault = answer_of(TRAINING, student or notebook(*changes))
    assert fault is None
    return answer


SAMPLERS = {
    "the reference": (DECODE, DECODE),
    "a method": (DECODE, "return model.decode(z)"),
    "a layer's size": ("model.latent_dim)", "model.decoder.net[0].in_features)"),
    "half of a layer's size": ("model.latent_dim)", "model.encoder.net[-1].out_features // 2)"),
    "its class": (DECODE, "assert isinstance(model, VAE)\n    return model.decode(z)"),
    "an attribute": (DECODE, "return model.decoder(z * 2 * model.scale)"),
    "an argument of the decoder": (DECODE, "return model.decoder(z, temperature=0.9)"),
    "a parameter's device": ("model.latent_dim)", "model.latent_dim, device=next(model.parameters()).device)"),
}
LAYERLESS = {name: change for name, change in SAMPLERS.items() if not re.search(r"\.net\[|temper", change[1])}


@pytest.mark.parametrize(
    "changes",
    [*([change] for change in SAMPLERS.values()), *([change, ENCODER_STOPS] for change in LAYERLESS.values())],
    ids=[*SAMPLERS, *(f"{name}, with an encoder that stops" for name in LAYERLESS)],
)
def test_sampling_code_may_use_its_own_model(changes: list[tuple[str, str]]) -> None:
    source, answer, _ = answer_of(SAMPLING, notebook(*changes))
    assert (source == SAMPLING.with_own_model("vae")) is (ENCODER_STOPS not in changes)
    for name in ("codes", "shapes"):
        assert np.array_equal(answer[name], sampled()[name]), name
    assert np.array_equal(answer["decoded"], answer["images"])
    assert len(answer["codes"]) == 68
    assert answer["encoder_calls"] == 0


def test_codes_drawn_by_the_models_own_reparameterization_are_random() -> None:
    codes = sampled((DECODE, "return model.decode(model.reparameterize(0 * z, 0 * z))"))["codes"]
    assert 0.8 < float(codes.std()) < 1.2


LOOPS = {
    "the reference": (FORWARD, FORWARD),
    "pieces": (FORWARD, "mu, logvar = model.encoder(x); x_hat = model.decode(model.reparameterize(mu, logvar))"),
    "its class": (FORWARD, "assert isinstance(model, VAE); x_hat, mu, logvar = model.forward(x)"),
    "the best copy": (
        FORWARD,
        "import copy; best = copy.deepcopy(model.state_dict()); model.load_state_dict(best); " + FORWARD,
    ),
    "an attribute": (FORWARD, "x_hat, mu, logvar = model(2 * model.scale * x)"),
    "the optimizer's settings": (FORWARD, FORWARD + "; optimizer.param_groups[0]['betas']"),
    "the loader's data": (FORWARD, FORWARD + "; assert len(loader.dataset) == 10"),
    "half precision": (
        FORWARD,
        "with torch.autocast('cpu', torch.bfloat16): x_hat, mu, logvar = (one.float() for one in model(x))",
    ),
    "a list of the batches": ("in loader:", "in list(loader):"),
}
OWN_LOOPS = {  # of the student's own class alone
    "what its forward kept": (FORWARD, "x_hat, mu, logvar = model(x); model.encoder.kl.item()"),
    "noise in a method": (FORWARD, "x_hat, mu, logvar = model.noisy(x)"),
}


@pytest.mark.parametrize(
    ("change", "defects"),
    [
        *((change, ()) for change in (LOOPS | OWN_LOOPS).values()),
        *((change, (ENCODER_STOPS,)) for change in LOOPS.values()),
    ],
    ids=[*LOOPS, *OWN_LOOPS, *(f"{name}, with an encoder that stops" for name in LOOPS)],
)
def test_a_loop_may_use_its_own_model(change: tuple[str, str], defects: tuple[tuple[str, str], ...]) -> None:
    source, answer, fault = answer_of(TRAINING, notebook(change, *defects))
    assert fault is None
    assert (source == TRAINING.with_own_model("vae")) is (not defects)
    assert answer["batch"].tolist() == [0, 1, 2, 0, 1, 2]
    assert np.allclose(answer["used"], answer["came"], rtol=1e-4, atol=1e-4)
    assert len(answer["history"]) == 2


def test_errors_that_only_a_stand_in_raises_are_grader_faults() -> None:
    change = (DECODE, "return model.decoder(z, temperature=0.9)")
    _, _, fault = answer_of(SAMPLING, notebook(change, ENCODER_STOPS))
    assert fault is not None
    assert fault.blame is Blame.OURS
    assert "temperature" in fault.message
    assert "manual review" in fault.message
    assert "Toy" not in fault.message


def test_layers_of_the_decoder_called_one_by_one_need_review() -> None:
    _, _, fault = answer_of(SAMPLING, notebook((DECODE, "return model.decoder.net(z).reshape(-1, 1, 28, 28)")))
    assert fault is not None
    assert (fault.blame, "manual review" in fault.message) == (Blame.OURS, True)


def test_a_loop_that_fits_only_its_own_loss_is_tried_with_that() -> None:
    returns = "    return reconstruction + kl, reconstruction, kl"
    changes = (returns, "    return {'loss': reconstruction + kl}"), ("mu, logvar)[0]", "mu, logvar)['loss']")
    answer = trained(*changes)
    assert answer["batch"].tolist() == [0, 1, 2, 0, 1, 2]
    assert not np.array_equal(answer["pass_grad_x_hat"], trained()["pass_grad_x_hat"])


OWN_SHAPE = ("(mu, logvar)), mu, logvar", "(mu, logvar)), mu, logvar, 0")
STUDENTS = {
    "a method that is not there": (SAMPLING, (DECODE, "return model.generate(z)"), "'VAE' object has no attribute"),
    "a misspelt attribute": (SAMPLING, ("model.latent_dim)", "model.latents)"), "'VAE' object has no attribute"),
    "codes of another size": (SAMPLING, ("model.latent_dim)", "3)"), "cannot be multiplied (60x3 and 16x784)"),
    "an index": (SAMPLING, (DECODE, "return model[0](z)"), "'VAE' object is not subscriptable"),
    "no tensor": (SAMPLING, (DECODE, "return list(model.decoder(z))"), "expected sample_vae to return a tensor"),
    "unwritten": (SAMPLING, (DECODE, "raise NotImplementedError('sample_vae')"), "sample_vae"),
    "a method that the loop lacks": (TRAINING, (FORWARD, "x_hat, mu, logvar = model.step(x)"), "'VAE' object"),
    "one value too many": (TRAINING, (FORWARD, "x_hat, z, mu, logvar = model(x)"), "expected 4, got 3"),
    "a loss without logvar": (TRAINING, ("x, mu, logvar)[0]", "x, mu)[0]"), "vae_loss()"),
    "an unwritten loop": (TRAINING, (FORWARD, "raise NotImplementedError('train_vae')"), "train_vae"),
}


@pytest.mark.parametrize(("question", "change", "says"), STUDENTS.values(), ids=STUDENTS)
def test_errors_with_the_students_own_model_are_the_students_faults(
    question: StandInQuestion, change: tuple[str, str], says: str
) -> None:
    source, _, fault = answer_of(question, notebook(change))
    assert source == question.with_own_model("vae")
    assert fault is not None
    assert fault.blame is Blame.STUDENT
    assert says in fault.message
    assert "toy" not in fault.message.lower()


def test_a_model_that_returns_more_is_its_loops_own_matter() -> None:
    assert len(trained(OWN_SHAPE, (FORWARD, "x_hat, mu, logvar, _ = model(x)"))["batch"]) == 6


def test_questions_leave_the_notebooks_variables_unchanged() -> None:
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
    questions = {"draw_seed": np.array(3), "draws": np.array(2)}
    questions |= {name: np.ones((3, 16), dtype=np.float32) for name in ("mu", "logvar", "weights")}
    assert ask_reparameterize(PARTS[0], notebook(ENCODER_STOPS), questions)["z"].shape == (3, 16)
    with pytest.raises(NoAnswer, match=r"'scale'.* your own model cannot be built") as refusal:
        ask_reparameterize(PARTS[0], notebook(("self.scale = 0.5", "raise ValueError")), questions)
    assert refusal.value.ours


def test_the_toy_alone_is_asked_where_there_is_no_class() -> None:
    student = notebook()
    del student["VAE"]
    for question in (TRAINING, SAMPLING):
        source, answer, _ = answer_of(question, student)
        assert source == question.with_stand_ins("vae")[-1]
        assert answer.keys() == answer_of(question, notebook())[1].keys()


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
    for defect in ((), (ENCODER_STOPS,)):
        assert trained(*changes, *defect)["batch"].tolist() == expected["batch"].tolist()
        assert len(sampled(*changes, *defect)["codes"]) == 68


@pytest.mark.whole
def test_code_is_graded_although_the_students_networks_stop(tmp_path: Path) -> None:
    """With networks that stop, loops and sampling code keep their points, in real boxes."""
    stops = "no_such_thing(x)"
    report = graded(corpus.changed({"Encoder.forward": stops, "ConditionalDecoder.forward": stops}), tmp_path)
    lossy_items = {item.id for item in report.items if item.outcome not in {Outcome.PASSED, Outcome.SKIPPED}}
    loops = {"vae.training", "cvae.training"}
    assert not lossy_items & loops, report.events
    messages = {check.message for item in report.items for check in item.checks}
    assert "NameError: name 'no_such_thing' is not defined, in your line `no_such_thing(x)`" in messages
    generation = [c for item in report.items if item.id.endswith(".generation") for c in item.checks]
    assert all(check.outcome in {Outcome.PASSED, Outcome.SKIPPED} for check in generation)
