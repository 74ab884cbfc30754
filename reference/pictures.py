"""The pictures in the text of the notebook: the two models, and what good output looks like.

`python -m reference.pictures runs/reference` draws them anew, the latter from the evidence of that graded run, and
writes them into the notebook's text, so that Jupyter, Colab and nbconvert show them without a file.
"""

from __future__ import annotations

import base64
import io
import re
import sys
from collections.abc import Callable
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch
from PIL import Image

from grader.evidence import load_evidence
from grader.exercises.vae_mnist.checks import pictures
from grader.notebook.format import dump_notebook, load_notebook, source_of
from grader.records import Array, Evidence

NOTEBOOK = Path(__file__).parent / "vae_mnist.ipynb"
DATA = re.compile(r"\(data:image/png;base64,[^)]*\)")
INK, LABEL, NOISE, LOSS = "#20303c", "#b3541e", "#5b6b78", "#35618e"
GREYS, COLOURS = 16, 48
PIXEL = 2  # of the screen for one of MNIST


def model(*, labelled: bool) -> bytes:
    """The way of an image through the model and back, with both terms of the loss; labels where there are some."""
    matplotlib.rcParams["mathtext.fontset"] = "cm"
    canvas = Figure(figsize=(9.2, 2.4), dpi=140)
    axes = canvas.add_axes((0, 0, 1, 1))
    axes.set_xlim(0, 92)
    axes.set_ylim(3.5, 27.5)
    axes.axis("off")

    def box(x: float, y: float, width: float, title: str, below: str, colour: str, face: str = "#eef3f8") -> None:
        frame = {"boxstyle": "round,pad=0,rounding_size=1", "linewidth": 1.6, "edgecolor": colour, "facecolor": face}
        axes.add_patch(FancyBboxPatch((x, y - 3.2), width, 6.4, **frame))
        axes.text(x + width / 2, y + 0.9, title, ha="center", va="center", fontsize=13, color=colour)
        axes.text(x + width / 2, y - 1.7, below, ha="center", va="center", fontsize=9.5, color=colour)

    def arrow(start: tuple[float, float], end: tuple[float, float], colour: str = INK, style: str = "-") -> None:
        look = {"arrowstyle": "-|>", "color": colour, "linewidth": 1.5, "linestyle": style, "shrinkA": 0, "shrinkB": 0}
        axes.annotate("", end, start, arrowprops=look)

    given = ", y" if labelled else ""
    box(1, 15, 11, "$x$", "(N, 1, 28, 28)", INK, "white")
    box(17, 15, 14, "encoder", rf"$q_\phi(z \mid x{given})$", LOSS)
    box(36, 15, 13, r"$\mu,\ \log\sigma^2$", "(N, D) each", INK, "white")
    box(54, 15, 7, "$z$", "(N, D)", INK, "white")
    box(66, 15, 12, "decoder", rf"$p_\theta(x \mid z{given})$", LOSS)
    box(81, 15, 10, r"$\hat{x}$", "(N, 1, 28, 28)", INK, "white")
    for start, end in ((12, 17), (31, 36), (49, 54), (61, 66), (78, 81)):
        arrow((start, 15), (end, 15))
    axes.text(58.5, 24.4, r"noise  $\varepsilon \sim \mathcal{N}(0, I)$", ha="center", fontsize=11, color=NOISE)
    arrow((57.5, 23.4), (57.5, 18.4), NOISE)
    axes.text(40, 24.4, r"KL term: near $\mathcal{N}(0, I)$?", ha="center", fontsize=11, color=LOSS)
    arrow((42.5, 18.4), (42.5, 23.4), LOSS, ":")
    axes.text(46, 5.6, r"reconstruction term: does $\hat{x}$ look like $x$?", ha="center", fontsize=11, color=LOSS)
    for x, side in ((6.5, -17), (86, 17)):
        axes.plot([x, x], [11.6, 6.3], color=LOSS, linewidth=1.5, linestyle=":")
        arrow((x, 6.3), (46 + side, 6.3), LOSS, ":")
    for x in (24, 72) if labelled else ():
        axes.text(x, 24.4, "label  $y$", ha="center", fontsize=11, color=LABEL)
        arrow((x, 23.4), (x, 18.4), LABEL)
    buffer = io.BytesIO()
    canvas.savefig(buffer, format="png", facecolor="white")
    buffer.seek(0)
    return _png(Image.open(buffer).convert("RGB"), COLOURS)


def vae_output(evidence: Evidence) -> bytes:
    """Ten test images, their reconstructions below, and twenty new images."""
    x, x_hat = pictures.reconstructions(evidence, "vae")
    samples, _ = pictures.samples(evidence, "vae")
    return _digits([x[:10], x_hat[:10]], [samples[:10], samples[10:20]])


def cvae_output(evidence: Evidence) -> bytes:
    """Four new images of each digit, a digit a column."""
    images, labels = pictures.samples(evidence, "cvae")
    of = [images[labels == digit] for digit in range(10)]
    return _digits([np.stack([several[n] for several in of]) for n in range(4)])


def _digits(*blocks: list[Array]) -> bytes:
    """Blocks of rows of images, black on white, with a gap between two blocks."""
    rows: list[Array] = []
    for block in blocks:
        rows += [np.zeros((8, 280), np.float32)] if rows else []
        rows += [row.reshape(10, 28, 28).transpose(1, 0, 2).reshape(28, 280) for row in block]
    page = np.uint8(255 * (1 - np.concatenate(rows).clip(0, 1)))
    return _png(Image.fromarray(page.repeat(PIXEL, 0).repeat(PIXEL, 1)), GREYS)


def _png(image: Image.Image, colours: int) -> bytes:
    buffer = io.BytesIO()
    image.quantize(colours, dither=Image.Dither.NONE).save(buffer, format="png", optimize=True)
    return buffer.getvalue()


def main(run: Path) -> None:
    """The notebook's text shows the pictures of that run."""
    evidence = load_evidence(run / "evidence.safetensors")
    drawn: dict[str, Callable[[], bytes]] = {
        "vae-text": lambda: model(labelled=False),
        "reconstruction-text": lambda: vae_output(evidence),
        "cvae-text": lambda: model(labelled=True),
        "conditional-sampling-text": lambda: cvae_output(evidence),
    }
    notebook = load_notebook(NOTEBOOK)
    for cell in notebook["cells"]:
        if cell["id"] in drawn:
            picture = drawn[cell["id"]]()
            data = f"(data:image/png;base64,{base64.b64encode(picture).decode()})"
            cell["source"], count = DATA.subn(data, source_of(cell))
            print(f"{cell['id']}: {len(picture)} bytes in {count} place")
    NOTEBOOK.write_text(dump_notebook(notebook), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
