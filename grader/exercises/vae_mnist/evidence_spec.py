"""Which arrays each answer of the probe may hold. Shapes are left to the checks, which can say what was expected."""

from __future__ import annotations

from collections.abc import Mapping

from grader.evidence import AnswerSpec, ArraySpec
from grader.records import Address

PIXELS = 784
LATENTS = 512


def _floats(max_elements: int, *names: str) -> dict[str, ArraySpec]:
    return {name: ArraySpec("float", max_elements) for name in names}


def _ints(max_elements: int, *names: str) -> dict[str, ArraySpec]:
    return {name: ArraySpec("int", max_elements) for name in names}


def answer_specs(sizes: Mapping[str, int]) -> dict[Address, AnswerSpec]:
    """The specification of each answer."""
    specs: dict[Address, AnswerSpec] = {}
    for part in ("vae", "cvae"):
        conditional = part == "cvae"
        heads = (
            "mu",
            "logvar",
            "mu_again",
            "logvar_again",
            "mu_single",
            "logvar_single",
            "moved_mu",
            "moved_logvar",
        )
        lines = ("line_mu", "line_logvar", "train_mu", "train_logvar")
        labels = ("label_mu", "label_logvar") if conditional else ()
        encoder = _floats(100 * LATENTS, *heads, *lines, *labels) | _ints(1, "latent_dim")
        images = ("x_hat", "far", "again", "single", "line", "train", *(("by_label",) if conditional else ()))
        decoder = _floats(100 * PIXELS, *images) | _ints(1, "latent_dim")
        decoder |= _floats(2 * (LATENTS + 1) * PIXELS, "still", "moves")
        draws = sizes["draw_rows"] * LATENTS
        steps = 4 * sizes["train_epochs"] * sizes["train_batches"]
        count = 3 * sizes["toy_samples"]
        samples, reconstructions = sizes["samples"], sizes["reconstructions"]
        specs |= {
            Address.of("components", part, "encoder"): encoder,
            Address.of("components", part, "decoder"): decoder,
            Address.of("components", part, "sizes"): _floats(100 * PIXELS, "mu", "logvar", "x_hat") | _ints(1, "size"),
            Address.of("components", part, "parameters"): _ints(3, "encoder", "decoder"),
            Address.of("components", part, "reparameterize"): _floats(draws, "z", "grad_mu", "grad_logvar")
            | _floats(draws * sizes["draws"], "draws"),
            Address.of("components", part, "training"): _floats(2000, "start", "end")
            | _floats(2000 * steps, "before", "grads")
            | _floats(1000, "history")
            | _ints(10_000, "batch", "batches_served", "modes", "labels"),
            Address.of("sampling", part, "sampling"): _floats(count * LATENTS, "codes")
            | _floats(count * PIXELS, "decoded", "images")
            | _ints(count, "labels", "encoder_calls")
            | _ints(16, "shapes"),
            Address.of("trained", part, "history"): _floats(1000, "history"),
            Address.of("trained", part, "device"): _ints(1, "cuda"),
            Address.of("quality", part, "encode"): _floats(reconstructions * LATENTS, "mu", "logvar"),
            Address.of("quality", part, "here"): _floats(reconstructions * PIXELS, "images"),
            Address.of("quality", part, "samples"): _floats(samples * PIXELS, "images"),
            Address.of("decode", part, "decode"): _floats(
                (reconstructions + sizes["prior_samples"]) * PIXELS, "images"
            ),
        }
    gradients = [
        f"{batch}_{what}"
        for batch in ("random", "digits", "shifted", "small")
        for what in ("grad_x_hat", "grad_mu", "grad_logvar", "parts")
    ]
    specs[Address.of("components", "vae", "loss")] = _floats(10 * PIXELS, *gradients)
    return specs
