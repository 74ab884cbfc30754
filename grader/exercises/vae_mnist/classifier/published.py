"""The published weights: file, layer widths and checksum, which the training command prints."""

from __future__ import annotations

from pathlib import Path

PATH = Path(__file__).parent / "weights" / "classifier.onnx"
WIDTHS = (24, 48, 96)  # the network's channels at 28, 14 and 7 pixels
SHA256 = "32acc61af84b1af4de5aad67ada08a514be5943f21735dadd36a04dce5a27a95"
