"""The notebook's self-checks: no false alarms, most mistakes found, and no side effects."""

from __future__ import annotations

import itertools
import random
import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from self_checked import ASKS, ITEMS, REFERENCE, ROOT, flagged, self_check_output, variables
from whole_notebook import cell_of, handed_in, solved, template

from grader.audit import corpus
from grader.notebook.format import is_code, load_notebook, source_of
from grader.notebook.solution_regions import replace_regions, strip_markers

UNSEEN = {  # why -> wrong solutions that a self-check of a second, with nothing to compare with, does not see
    "right in form, wrong in size": (
        *("logvar_taken_for_log_sigma", "kl_without_half", "kl_turned_down", "reconstruction_alone_is_trained"),
        *("first_image_of_a_batch", "centred_uniform_prior", "noise_added_to_samples", "kl_times_ten_in_the_loop"),
        *("kl_subtracted_in_the_loop", "kl_of_detached_heads", "nonsense_loss_of_a_billionth"),
        *("nonsense_gradient_of_a_billionth", "nonsense_clipped_to_nothing", "nonsense_only_a_penalty_is_trained_on"),
        *("nonsense_label_hardly_counts", "nonsense_label_hardly_counts_in_the_encoder"),
        *("nonsense_label_hardly_counts_in_the_decoder", "pictures_cut_at_a_half", "best_of_several"),
        "nonsense_compared_with_noise",
    ),
    "only many epochs show it": (
        *("first_epochs_state_loaded_back", "best_state_is_the_worst", "learning_rate_halved_every_batch"),
        *("scheduler_stepped_every_batch", "learning_rate_divided_by_the_steps"),
    ),
    "single pixels and units are not tried": (
        *("logvar_is_mu_reversed", "logvar_is_a_cube_of_mu", "nonsense_one_pixel_and_one_unit", "nonsense_one_unit"),
        *("nonsense_one_unit_deep", "nonsense_encoder_one_pixel", "nonsense_encoder_one_unit"),
        *("nonsense_encoder_linear_tanh", "nonsense_decoder_one_unit", "conditional_nonsense_one_unit"),
        *("conditional_nonsense_encoder_one_unit", "conditional_nonsense_encoder_linear_tanh"),
        *("conditional_nonsense_decoder_one_unit", "logvar_is_a_parabola_of_mu", "logvar_is_a_running_sum_of_mu"),
        *("most_pixels_stand_still", "second_half_has_the_noise_of_the_first", "half_of_the_code_is_zero"),
    ),
    "the way from the heads to the images is not tried": (
        *("encoder_without_gradient_in_the_loop", "code_detached_in_the_loop", "variance_of_one_in_the_loop"),
        "code_without_noise_in_the_loop",
    ),
}


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def sound() -> dict[str, Any]:
    return variables(corpus.build(corpus.REFERENCE))


def with_regions(**regions: str) -> dict[str, Any]:
    return variables(strip_markers(replace_regions(REFERENCE, regions)))


@pytest.mark.parametrize("item", ITEMS)
def test_the_reference_passes_quickly_with_a_single_line(sound: dict[str, Any], item: str) -> None:
    start = time.process_time()
    text = self_check_output(sound, item)
    assert time.process_time() - start < 2
    assert re.fullmatch(rf"{item}: \d+ passed\n", text)


@pytest.mark.parametrize("name", corpus.names("honest"))
def test_a_correct_solution_passes(name: str) -> None:
    assert flagged(name) == []


def of_code() -> list[str]:
    """The wrong solutions that lose points without any training."""
    trained = {"reconstruction", "generation"}
    drawn = {"vae.generation", "cvae.generation"}
    names = []
    for name in corpus.names("wrong"):
        entry = corpus.entry(name)
        sampling = set(entry.loses) <= drawn and any(region.startswith("sample") for region in entry.regions)
        if sampling or not {item.partition(".")[2] for item in entry.loses} & trained:
            names.append(name)
    return names


@pytest.mark.parametrize("name", of_code())
def test_a_mistake_in_the_code_is_found(name: str) -> None:
    assert bool(flagged(name)) == (name not in itertools.chain(*UNSEEN.values()))


UNWRITTEN = ("Encoder.__init__", "Decoder.__init__", "VAE.reparameterize", "vae_loss", "train_vae", "sample_vae")


def test_an_unwritten_task_prints_one_line_that_names_its_own_code() -> None:
    names = variables(template())
    for item, function in zip(ITEMS, UNWRITTEN, strict=False):
        assert self_check_output(names, item) == f"{item}: – not written yet: {function}\n"
    for item in ITEMS[len(UNWRITTEN) :]:
        (line,) = self_check_output(names, item).splitlines()
        assert line.startswith(f"{item}: – not written yet: ")
    nothing = with_regions(**{"VAE.reparameterize": "pass", "vae_loss": "pass"})
    assert self_check_output(nothing, "vae.reparameterization") == (
        "vae.reparameterization: – not written yet: reparameterize returns nothing\n"
    )
    assert self_check_output(nothing, "vae.loss") == "vae.loss: – not written yet: vae_loss returns nothing\n"


def test_a_task_that_needs_unwritten_or_undefined_code_says_which() -> None:
    unwritten = with_regions(vae_loss="raise NotImplementedError('vae_loss is not implemented yet: see The loss')")
    assert self_check_output(unwritten, "vae.training") == (
        "vae.training: – not checked: it needs vae_loss, which is not written yet\n"
    )
    names = variables(corpus.build(corpus.REFERENCE))
    del names["vae_loss"]
    assert (
        self_check_output(names, "vae.training")
        == "vae.training: – not checked: it needs vae_loss, which is not defined\n"
    )
    assert self_check_output(names, "vae.loss") == (
        "vae.loss: – not checked: vae_loss is not defined. Run its cell, and fix any error that it shows.\n"
    )
    del names["Encoder"]
    assert (
        self_check_output(names, "vae.training")
        == "vae.training: – not checked: it needs Encoder, which is not defined\n"
    )
    own = with_regions(vae_loss="raise NotImplementedError('later')")
    assert self_check_output(own, "vae.loss") == "vae.loss: – not written yet: vae_loss\n"


def test_a_kl_term_that_is_not_smallest_at_the_prior_names_the_place() -> None:
    wrong = "reconstruction = F.binary_cross_entropy(x_hat, x, reduction='sum') / len(x)\n"
    wrong += "kl = 0.5 * (mu.pow(2) + logvar).sum() / len(x)\nreturn reconstruction + kl, reconstruction, kl"
    output = self_check_output(with_regions(vae_loss=wrong), "vae.loss")
    assert "0, at mu = 0, logvar = 0; yours is lower (-4) at mu = 0, logvar = -1: compare every term" in output


def test_each_task_is_checked_without_the_unwritten_ones(sound: dict[str, Any]) -> None:
    for name, item in {"VAE.reparameterize": "vae.reparameterization", "vae_loss": "vae.loss"}.items():
        source = cell_of(corpus.build(corpus.REFERENCE), "vae" if "." in name else "loss")
        names = variables(template())
        exec(source_of(source), names)
        assert "✗" not in self_check_output(names, item)
        assert "–" not in self_check_output(names, item)


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("raise ValueError('no\\nway')", "✗ ValueError: no way, in reparameterize, line "),
        (
            "import sys; sys.exit(3)",
            "vae.reparameterization: not checked to the end: your code stopped\n  ✗ SystemExit: 3",
        ),
        ("return 7", "expected shape (512, 8) for z for 512 rows of mu and logvar, got int"),
        ("return mu.double()", "✗"),
        ("return mu.long()", "got (512, 8) of torch.int64"),
    ],
)
def test_any_error_in_the_code_is_shown_in_a_single_line(code: str, says: str) -> None:
    assert says in self_check_output(with_regions(**{"VAE.reparameterize": code}), "vae.reparameterization")


MISTAKES = {  # region, wrong code, item, and what its one line says
    "heads": (
        {"Encoder.forward": "h = self.hidden(x)\nreturn self.mu(h), self.mu(h)"},
        *("vae.encoder", "mu and logvar are identical or proportional"),
    ),
    "same image": (
        {"Encoder.forward": "h = self.hidden(0 * x)\nreturn self.mu(h), self.logvar(h)"},
        *("vae.encoder", "mu is the same for different images"),
    ),
    "unregistered": (
        {
            "Decoder.__init__": "self.layers_ = [nn.Linear(latent_dim, 64), nn.ReLU(), nn.Linear(64, 784)]",
            "Decoder.forward": "for f in self.layers_:\n    z = f(z)\nreturn z.sigmoid().reshape(-1, 1, 28, 28)",
        },
        *("vae.decoder", "self.layers_ is not registered, so no optimizer can train it: use nn.ModuleList"),
    ),
    "fixed size": (
        {"Decoder.__init__": "self.layers = nn.Sequential(nn.Linear(8, 784), nn.Sigmoid())"},
        *("vae.decoder", "with latent_dim = 11, the decoder stops with RuntimeError: "),
    ),
    "optimizer": (
        {"train_vae": "x_hat, mu, logvar = model(x)\nloss, _, _ = vae_loss(x_hat, x, mu, logvar)\nloss.backward()"},
        *("vae.training", "expected 20 optimizer steps in 5 epochs of 4 batches, got 0"),
    ),
}


@pytest.mark.parametrize(("regions", "item", "says"), MISTAKES.values(), ids=MISTAKES)
def test_a_failed_check_is_one_plain_line_and_passed_ones_are_only_counted(
    regions: dict[str, str], item: str, says: str
) -> None:
    first, *failures = self_check_output(with_regions(**regions), item).splitlines()
    assert re.fullmatch(rf"{item}: \d+ passed, {len(failures)} failed", first)
    assert any(line.startswith(f"  ✗ {says}") for line in failures), failures


def test_an_endless_loop_is_stopped() -> None:
    names = with_regions(train_vae="while True:\n    pass")
    names["_LONGEST_S"] = 0.5
    assert "✗ took longer than 0.5 s and was stopped: an endless loop, or a busy machine" in self_check_output(
        names, "vae.training"
    )


def test_a_slow_machine_is_not_a_failed_check() -> None:
    names = with_regions(train_vae="while True:\n    pass")
    names.update(_LONGEST_S=0.5, _USUAL_S=1e-6)
    output = self_check_output(names, "vae.training")
    assert "vae.training: – not checked to the end: this machine is slow, and 0.5 s were not enough" in output


def test_a_busy_machine_is_not_a_failed_check() -> None:
    names = with_regions(train_vae="import time\nwhile True:\n    time.sleep(1)")
    names["_PATIENCE_S"] = 0.5
    output = self_check_output(names, "vae.training")
    assert "vae.training: – not checked to the end: no result after 0.5 s" in output
    assert "✗" not in output


def test_checks_use_one_thread_and_restore_the_number_of_threads(
    sound: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.set_num_threads(2)
    seen: set[int] = set()
    loss = sound["vae_loss"]

    def counted(*given: Any) -> Any:
        seen.add(torch.get_num_threads())
        return loss(*given)

    monkeypatch.setitem(sound, "vae_loss", counted)
    self_check_output(sound, "vae.loss")
    assert seen == {1}
    assert torch.get_num_threads() == 2


def test_an_unknown_item_prints_the_known_ones(sound: dict[str, Any]) -> None:
    assert self_check_output(sound, "vae.los").strip() == "self_check does not know 'vae.los'; it knows " + ", ".join(
        ASKS.values()
    )


def test_random_states_and_grad_mode_are_restored(sound: dict[str, Any]) -> None:
    def state() -> tuple[Any, ...]:
        numpy: Any = np.random.get_state()
        return random.getstate(), numpy[1].tolist(), numpy[2:], torch.get_rng_state().tolist()

    torch.manual_seed(5)
    before = state()
    with torch.no_grad():
        for item in ITEMS:
            self_check_output(sound, item)
            assert not torch.is_grad_enabled()
    assert state() == before


def test_the_same_code_gives_the_same_output_twice(sound: dict[str, Any]) -> None:
    for item in ("vae.encoder", "cvae.training"):
        assert self_check_output(sound, item) == self_check_output(sound, item)


def test_output_of_the_code_is_hidden(capfd: pytest.CaptureFixture[str]) -> None:
    names = with_regions(vae_loss="print('loss 3')\nraise NotImplementedError")
    assert "loss 3" not in self_check_output(names, "vae.loss") + "".join(capfd.readouterr())


def test_only_self_check_is_a_public_name(sound: dict[str, Any]) -> None:
    names: dict[str, Any] = {}
    exec(source_of(cell_of(template(), "self-check")), names)
    assert {name for name in names if not name.startswith("_")} == {"self_check"}


def test_no_entry_of_the_corpus_changes_the_self_checks() -> None:
    given = source_of(cell_of(template(), "self-check"))
    for name in [*corpus.names("honest"), *corpus.names("wrong"), *corpus.names("models")]:
        assert source_of(cell_of(corpus.build(name), "self-check")) == given, name
    assert source_of(cell_of(corpus.narrow(corpus.build(corpus.REFERENCE)), "self-check")) == given


def test_each_task_has_its_check_in_the_next_cell() -> None:
    cells = [cell for cell in template()["cells"] if is_code(cell)]
    roles = [cell["metadata"]["grader"]["role"] for cell in cells]
    asked = []
    for n, role in enumerate(roles):
        assert (role == "task") == (roles[min(n + 1, len(roles) - 1)] == "check")
        asked += [source_of(cells[n])] if role == "check" else []
    assert asked == [f'self_check("{item}")' for item in ITEMS]


def without_checks(cell: dict[str, Any]) -> bool:
    return not cell["id"].startswith("check-")


@pytest.mark.parametrize(
    "damage",
    [
        lambda cells: [cell for cell in cells if without_checks(cell)],
        lambda cells: [cell if without_checks(cell) else {**cell, "source": "print(3)"} for cell in cells],
        lambda cells: [twin for cell in cells for twin in ([cell] if without_checks(cell) else [cell, cell])],
        lambda cells: [
            cell if without_checks(cell) else {**cell, "outputs": [{"output_type": "error", "ename": "No"}]}
            for cell in cells
        ],
    ],
    ids=["deleted", "changed", "twice", "outputs"],
)
def test_changes_to_the_self_check_calls_are_not_reported(
    damage: Callable[[list[dict[str, Any]]], list[dict[str, Any]]], tmp_path: Any
) -> None:
    notebook = solved()
    notebook["cells"] = damage(notebook["cells"])
    _, restored = handed_in(notebook, tmp_path)
    assert restored.remarks == ()


def test_the_long_cell_is_folded_in_editors() -> None:
    metadata = cell_of(load_notebook(ROOT / "student_template" / "vae_mnist.ipynb"), "self-check")["metadata"]
    assert metadata["cellView"] == "form"
    assert metadata["jupyter"] == {"source_hidden": True}
