"""The arrays that each answer may hold. Shapes are left to the checks, which can report what was expected."""

from __future__ import annotations

from collections.abc import Mapping

from grader.evidence import AnswerSpec, ArraySpec
from grader.exercises.vae_mnist.plane import count_of_images
from grader.exercises.vae_mnist.questions import PIXELS, UNTRAINED
from grader.exercises.vae_mnist.stand_in_answers import SAMPLING, TRAINING, StandInQuestion
from grader.records import Address

LATENTS = 512


def _floats(max_elements: int, *names: str) -> dict[str, ArraySpec]:
    return {name: ArraySpec("float", max_elements) for name in names}


def _ints(max_elements: int, *names: str) -> dict[str, ArraySpec]:
    return {name: ArraySpec("int", max_elements) for name in names}


def _with_stand_ins(question: StandInQuestion, part: str, spec: AnswerSpec) -> dict[Address, AnswerSpec]:
    """The same specification for the answers with the student's own model and with stand-ins."""
    return dict.fromkeys((question.with_own_model(part), *question.with_stand_ins(part)), spec)


def answer_specs(sizes: Mapping[str, int]) -> dict[Address, AnswerSpec]:
    """The specification of each answer, by its address."""
    specs: dict[Address, AnswerSpec] = {}
    for part in ("vae", "cvae"):
        conditional = part == "cvae"
        kinds = ["", "again_", "single_", "reordered_", "line_", "moved_", "many_", "train_"]
        kinds += ["label_", "one_label_"] if conditional else []
        heads = [f"{kind}{head}" for kind in kinds for head in ("mu", "logvar")]
        flips = [f"{name}{k}_{head}" for name in ("flip", "copies") for k in (0, 1) for head in ("mu", "logvar")]
        encoder = _floats(100 * LATENTS, *heads) | _floats(PIXELS, *flips) | _floats(32 * PIXELS, "gradients")
        encoder |= _ints(1, "latent_dim")
        images = ["x_hat", "far", "again", "single", "reordered", "line", "train"]
        images += ["by_label", "by_one_label"] if conditional else []
        decoder = _floats(100 * PIXELS, *images) | _ints(1, "latent_dim")
        decoder |= _floats(2 * (LATENTS + 1) * PIXELS, "still", "moves") | _floats(128 * LATENTS, "gradients")
        draws = sizes["draw_rows"] * LATENTS
        steps = 2 * sizes["train_epochs"] * sizes["train_batches"]
        of_step = 4 * sizes["train_batch"]  # most rows of one step; 4 is MOST_BATCHES of in_box/training.py
        rows = of_step * (steps // 6 + 3)
        passes = [f"pass_{name}{head}" for name in ("", "grad_", "path_") for head in ("mu", "logvar")]
        count = 3 * sizes["toy_samples"]
        samples, reconstructions = sizes["samples"], sizes["reconstructions"]
        training = (
            _floats(100, "start", "end")
            | _floats(100 * steps, "before", "after", "used", "came")
            | _floats(10 * steps, "rates", "losses")
            | _floats(1000, "history")
            | _floats(rows * PIXELS, "pass_x_hat", "pass_grad_x_hat")
            | _floats(rows * LATENTS, *passes)
            | _ints(10_000, "batch", "batches_served", "modes", "labels", "encoder_labels", "lines")
            | _ints(10_000, "kept", "pass_rows", "pass_images", "tapped", "way")
            | _ints(of_step * steps, "rows")
        )
        sampling = (
            _floats(count * LATENTS, "codes")
            | _floats(count * PIXELS, "decoded", "images")
            | _ints(count, "labels", "encoder_calls", "as_images")
            | _ints(16, "shapes")
        )
        specs |= {
            Address.of("components", part, "encoder"): encoder,
            Address.of("components", part, "decoder"): decoder,
            Address.of("components", part, "sizes"): _floats(100 * PIXELS, "mu", "logvar", "x_hat") | _ints(1, "size"),
            Address.of("components", part, "encoder_parameters"): _ints(3, "counts"),
            Address.of("components", part, "decoder_parameters"): _ints(3, "counts"),
            Address.of("components", part, "reparameterize"): _floats(draws, "z", "grad_mu", "grad_logvar")
            | _floats(draws * sizes["draws"], "draws"),
            **_with_stand_ins(TRAINING, part, training),
            **_with_stand_ins(SAMPLING, part, sampling),
            Address.of("trained", part, "history"): _floats(1000, "history"),
            Address.of("trained", part, "steps"): _floats(1, "mean_rate", "rate")
            | _floats(1000, "data")
            | _ints(100, "lines")
            | _ints(1, "genuine", "count"),
            **dict.fromkeys(
                (Address.of("components", part, "footing"), Address.of("trained", part, "footing")),
                _floats(100, "data") | _ints(20, "genuine"),
            ),
            **dict.fromkeys(
                (Address.of("ended", part, "weights"), Address.of("trained", part, "weights")), _floats(1000, "sums")
            ),
            Address.of("trained", part, "device"): _ints(1, "cuda", "usable"),
            Address.of("quality", part, "encode"): _floats(reconstructions * LATENTS, "mu", "logvar"),
            Address.of("quality", part, "here"): _floats(reconstructions * PIXELS, "images"),
            Address.of("quality", part, "samples"): _floats(samples * PIXELS, "images"),
            Address.of("decode", part, "decode"): _floats(
                (reconstructions + sizes["prior_samples"]) * PIXELS, "images"
            ),
            Address.of("decode", part, "nearly_new"): _floats(UNTRAINED * PIXELS, "images"),
            Address.of("plane", part, "plane"): _floats(count_of_images(part) * PIXELS, "images"),
            Address.of("untrained", part, "untrained"): _floats(UNTRAINED * PIXELS, "reconstructions", "drawn"),
        }
    gradients = [
        f"{batch}_{name}"
        for batch in ("random", "digits", "shifted", "small")
        for name in ("grad_x_hat", "grad_mu", "grad_logvar", "parts")
    ]
    specs[Address.of("components", "vae", "loss")] = _floats(10 * PIXELS, *gradients)
    return specs
