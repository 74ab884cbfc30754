"""The published weights: which file, how wide, which checksum. The training command prints them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent / "weights"


@dataclass(frozen=True, slots=True)
class Weights:
    """One trained network: its shape and the SHA-256 its file must have."""

    file: str
    widths: tuple[int, int, int]
    sha256: str


PUBLISHED = {
    "judge": Weights(
        "judge.safetensors", (24, 48, 96), "37c152cc94e093969c3bb7d5745205addd8175cfaddc1d5afd72d1a5f6c5f292"
    ),
    # Narrower, other seed, other augmentation, no label smoothing: for cross checks, never for points alone.
    "judge_b": Weights(
        "judge_b.safetensors", (16, 32, 64), "3d999d3380ad50f421523d4805be8e34b23cc549463fa6e562bb956f61ccef2e"
    ),
}
