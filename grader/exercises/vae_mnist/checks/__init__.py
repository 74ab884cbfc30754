"""Every check of the exercise, by name."""

from __future__ import annotations

from grader.checks import Check, checks_of
from grader.exercises.vae_mnist.checks import decoder, encoder, functions, networks, quality, sampling, training

CHECKS: dict[str, Check] = checks_of(encoder, decoder, networks, functions, training, sampling, quality)
