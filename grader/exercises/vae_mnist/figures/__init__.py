"""Pictures for the report, drawn on the trusted side from stored evidence; they do not affect points.

One module per kind of picture. No picture shows a threshold: they compare with the reference notebook.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from grader.errors import GraderError
from grader.evidence import NotAnswered
from grader.exercises.vae_mnist.checks.answers import not_trained
from grader.exercises.vae_mnist.figures.codes import code_map
from grader.exercises.vae_mnist.figures.drawing import NOT_TRAINED
from grader.exercises.vae_mnist.figures.losses import loss_curve
from grader.exercises.vae_mnist.figures.plane import code_plane
from grader.exercises.vae_mnist.figures.reconstructions import first_reconstructions, worst_reconstructions
from grader.exercises.vae_mnist.figures.samples import (
    digits_on_request,
    digits_read,
    nearest_training_images,
    new_images,
    strip,
)
from grader.records import Evidence, Figure

__all__ = ["PICTURES", "draw", "strip"]
Picture = Callable[[Evidence, str], Figure]

PICTURES: dict[str, tuple[Picture, ...]] = {
    "vae": (
        *(loss_curve, first_reconstructions, worst_reconstructions, new_images),
        *(code_map, nearest_training_images, code_plane),
    ),
    "cvae": (
        *(loss_curve, first_reconstructions, worst_reconstructions, digits_on_request, digits_read),
        *(code_map, nearest_training_images, code_plane),
    ),
}


def draw(evidence: Evidence) -> list[Figure]:
    """Every picture that the evidence allows, VAE first.

    Raises:
        GraderError: if the evidence, MNIST or the classifier cannot be read.
    """
    return [
        figure
        for part, pictures in PICTURES.items()
        for picture in pictures
        if (figure := _figure(picture, evidence, part))
    ]


def _figure(picture: Picture, evidence: Evidence, part: str) -> Figure | None:
    try:
        figure = picture(evidence, part)
        if not_trained(evidence, part):
            return replace(figure, caption=f"{NOT_TRAINED} {figure.caption}", alt=f"{NOT_TRAINED} {figure.alt}")
        return figure
    except NotAnswered:
        return None
    except GraderError:
        raise
    except Exception:  # a submission's answers may be anything, and must not make the whole report fail
        return None
