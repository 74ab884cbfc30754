"""The exercise as the engine uses it: an implementation of `grader.exercise.Exercise`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path

import numpy as np

from grader.checks import Check
from grader.evidence import AnswerSpec
from grader.exercise import InterfaceSpec, ItemSpec, Pictured, Questions, Reading, Say
from grader.exercises.vae_mnist import figures, questions, stand_in_answers, training_integrity
from grader.exercises.vae_mnist.checks import CHECKS, real_digits
from grader.exercises.vae_mnist.checks.image_measures import (
    black_and_white,
    digit_deviations,
    digit_moments,
    draws_without_its_weights,
    fresh_decoder_answered,
    ink_moments,
    untrained,
    wrong_width,
)
from grader.exercises.vae_mnist.classifier import classify
from grader.exercises.vae_mnist.data.mnist import ensure_mnist, raw_folder
from grader.exercises.vae_mnist.evidence_spec import answer_specs
from grader.exercises.vae_mnist.in_box import interface
from grader.exercises.vae_mnist.plane import plane_questions
from grader.exercises.vae_mnist.stand_in_answers import TRAINING
from grader.records import Address, Array, Evidence, Figure, Stage


def _drawn(part: str, cell: str) -> ItemSpec:
    """An item about the images that a trained model draws; any mistake in an earlier item may affect it."""
    earlier = (f"{part}.encoder_decoder", f"{part}.reparameterization", "vae.loss", f"{part}.training")
    return ItemSpec(annotate_at=(cell,), depends_on=earlier)


def _networks(encoder: str, decoder: str) -> ItemSpec:
    """An item about two networks, each with its own checks."""
    return ItemSpec(implements=(encoder, decoder), names_by_check={"encoder_": encoder, "decoder_": decoder})


MNIST = "/box/mnist"  # the raw files in a box, which sees nothing else of the cache; BOX_MNIST in in_box/prelude.py
STAND_IN = Path(__file__).parent / "stand_in.py"  # sent as text to a throwaway box, never imported here
ITEMS = {
    "vae.encoder_decoder": _networks("Encoder", "Decoder"),
    "vae.reparameterization": ItemSpec(implements=("VAE.reparameterize",)),
    "vae.loss": ItemSpec(implements=("vae_loss",)),
    "vae.training": ItemSpec(implements=("train_vae",)),
    "vae.reconstruction": _drawn("vae", "train_vae()"),
    "vae.generation": _drawn("vae", "sample_vae"),
    "cvae.encoder_decoder": _networks("ConditionalEncoder", "ConditionalDecoder"),
    "cvae.reparameterization": ItemSpec(implements=("CVAE.reparameterize",)),
    "cvae.training": ItemSpec(implements=("train_cvae",)),
    "cvae.reconstruction": _drawn("cvae", "train_cvae()"),
    "cvae.generation": _drawn("cvae", "sample_cvae"),
}


STEPS_PER_EPOCH = 10  # fewer need review: batches of 6,000 images; the reference makes 469


class VaeMnist(Pictured):
    """See `grader.exercise.Exercise`."""

    parts: tuple[str, ...] = questions.PARTS
    interface: InterfaceSpec = InterfaceSpec(
        names=(*interface.NAMES, *interface.ATTRIBUTES),
        train_functions={"vae": "train_vae", "cvae": "train_cvae"},
        arguments=interface.ARGUMENTS,
        returns=interface.RETURNS,
        options=interface.OPTIONS,
        imports=("torch", "torchvision", "matplotlib.pyplot"),
        steps="steps",
    )
    items: Mapping[str, ItemSpec] = ITEMS
    sizes: tuple[str, ...] = (
        *("draws", "draw_rows", "train_batch", "train_batches", "train_epochs", "toy_samples"),
        *("reconstructions", "samples", "prior_samples"),
    )
    checks: Mapping[str, Check] = CHECKS
    in_box: Path = Path(__file__).parent / "in_box"

    def to_preload(self) -> Sequence[Callable[[], object]]:
        """Functions that load scikit-learn, matplotlib, the classifier, measures of real digits and the copy index."""
        measures = (real_digits.mean_image, digit_moments, digit_deviations, ink_moments, real_digits.training_bank)
        learn = [partial(import_module, f"sklearn.{name}") for name in ("metrics", "neighbors", "decomposition")]
        draw = [partial(import_module, f"matplotlib.{name}") for name in ("backends.backend_agg", "figure")]
        # scikit-learn brings its own BLAS, which must also use one thread
        return (*learn, _one_thread_each, lambda: classify(real_digits.digits()[0][:1]), *measures, *draw)

    def prepare(self, say: Say) -> Mapping[str, Path]:
        """Fetches MNIST if it is missing; returns its raw folder by its path in the box, where it is read-only."""
        return {MNIST: raw_folder(ensure_mnist(say))}

    def questions(self, rng: np.random.Generator, sizes: Mapping[str, int]) -> Questions:
        """See `questions.make_questions`."""
        return questions.make_questions(rng, sizes, real_digits.mnist())

    def answer_specs(self, sizes: Mapping[str, int]) -> Mapping[Address, AnswerSpec]:
        """See `evidence_spec`."""
        return answer_specs(sizes)

    def second_questions(self, evidence: Evidence, states: Mapping[str, Mapping[str, Array]]) -> Questions:
        """The questions that need the answers to the first ones, all for fresh boxes.

        Codes to decode with the trained decoder, slightly moved ones and ones from the prior; images and codes for an
        untrained model; stand-ins for code that could not be graded with the student's own model; and a plane of codes
        for the student to look at.
        """
        stages: Questions = {}
        for part, state in states.items():
            codes = evidence.answers.get(Address.of("quality", part, "encode").array("mu"))
            x = evidence.questions[Stage.of("quality", part).array("x")]
            fits = codes is not None and codes.ndim == 2 and len(codes) == len(x)
            if codes is None or not fits or wrong_width(evidence, part) or not state:
                continue
            quality = Stage.of("quality", part).arrays(evidence.questions)
            decoder = {name: array for name, array in state.items() if name.startswith("decoder/")}
            stages[Stage.of("decode", part)] = questions.decode_questions(codes, quality, decoder)
            stages[Stage.of("untrained", part)] = questions.untrained_questions(quality)
        toys = stand_in_answers.questions(evidence, STAND_IN.read_bytes())
        return stages | toys | plane_questions(evidence, stages)  # last, so that no other question loses time to it

    def stage_words(self) -> Mapping[str, str]:
        """Descriptions of the stages that only fresh boxes receive."""
        return {
            "untrained": "comparing with an untrained model",
            "training_by_toys": "testing the training loop with the grader's networks",
            "plane": "drawing the map of codes",
        }

    def figures(self, evidence: Evidence) -> list[Figure]:
        """See `figures`."""
        return figures.draw(evidence)

    def strip(self, evidence: Evidence, item: str, columns: int) -> Array:
        """See `figures.strip`."""
        return figures.strip(evidence, item, columns)

    def readings(self, samples: Mapping[str, Array]) -> list[Reading]:
        """See `classifier.second_reader`; an empty list if there are no samples."""
        from grader.exercises.vae_mnist.classifier.second_reader import SecondReader

        reader = SecondReader(real_digits.mnist()) if samples else None
        return [reader.reading(name, images) for name, images in samples.items()] if reader else []

    def reasons_for_person(self, evidence: Evidence) -> list[str]:
        """Review reasons: decoders that could not be tested separately or cannot result from training, and training
        with unexpected lines, data or optimizers."""
        reasons = []
        for part in self.parts:
            reasons += [*_other_lines(evidence, part), *_few_steps(evidence, part)]
            reasons += training_integrity.integrity_reasons(evidence, part)
            if draws_without_its_weights(evidence, part):
                reasons.append(
                    f"{part}: with nearly all of its trained weights replaced by new ones, the decoder still draws "
                    "digits; check that its pictures come from training, and not from a table of images"
                )
            trained_decoder, decode = Address.of("quality", part, "here"), Address.of("decode", part, "decode")
            if fresh_decoder_answered(evidence, part) and black_and_white(evidence.answers[decode.array("images")]):
                reasons.append(
                    f"{part}: in eval mode the decoder draws only black and white pixels, through which no gradient "
                    "can flow; it may have drawn other pictures during training"
                )
            if fresh_decoder_answered(evidence, part) and untrained(evidence, part) is None:
                why = f" ({evidence.fault(Address.of('untrained', part, 'untrained'), 'drawn').message})"
                reasons.append(
                    f"{part}: no untrained model could be tested{why}, so the trained model has nothing to be compared "
                    "with; check that its pictures come from training"
                )
            if trained_decoder.array("images") in evidence.answers and not fresh_decoder_answered(evidence, part):
                why = f" ({evidence.fault(decode, 'images').message})"
                reasons.append(
                    f"{part}: the trained decoder could not be rebuilt in a new box{why}; its reconstructions were "
                    "made in the process of the encoder, so it could have remembered the images that the encoder saw"
                )
        return reasons


def _other_lines(evidence: Evidence, part: str) -> list[str]:
    """A review reason if the notebook's training made steps in lines that made none in the tested loop, else []."""
    loop_lines, notebook_lines = (
        evidence.answers.get(address.array("lines"))
        for address in (TRAINING.with_own_model(part), Address.of("trained", part, "steps"))
    )
    if loop_lines is None or notebook_lines is None or not loop_lines.size or np.isin(notebook_lines, loop_lines).all():
        return []
    return [
        f"{part}: during the notebook's own training, steps are made in lines that made none when the loop was tested "
        "with a few batches; read the loop: it may do something else in the notebook than what was checked"
    ]


def _few_steps(evidence: Evidence, part: str) -> list[str]:
    """A review reason if the notebook's training made far fewer steps than its loss curve has epochs, else []."""
    count, history = (
        evidence.answers.get(Address.of("trained", part, about).array(name))
        for about, name in (("steps", "count"), ("history", "history"))
    )
    if count is None or history is None or count.size != 1:
        return []
    steps = int(count.reshape(-1)[0])
    if steps >= STEPS_PER_EPOCH * history.size:
        return []
    return [
        f"{part}: number of steps in the notebook's own training of {history.size} epochs: {steps}; read the loop: it "
        "may do something else in the notebook than what was checked"
    ]


def _one_thread_each() -> None:
    """Limits BLAS to one thread: checks and pictures run in parallel, and more threads would wait for each other."""
    from threadpoolctl import threadpool_limits

    threadpool_limits(1, user_api="blas")
