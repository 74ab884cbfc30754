"""The published weights: which file, how wide, which checksum. The training command prints them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent / "weights"


@dataclass(frozen=True, slots=True)
class Weights:
    """One trained network: its channels at 28, 14 and 7 pixels, and the SHA-256 its file must have."""

    file: str
    widths: tuple[int, int, int]
    sha256: str


PUBLISHED = {
    "judge": Weights("judge.onnx", (24, 48, 96), "32acc61af84b1af4de5aad67ada08a514be5943f21735dadd36a04dce5a27a95"),
    # Narrower, other seed, other augmentation, no label smoothing: for cross checks, never for points alone.
    "judge_b": Weights(
        "judge_b.onnx", (16, 32, 64), "796dd070dbae14942fdac7edded401aad9edc4530ee82b558aa8f6ba831e7944"
    ),
}
