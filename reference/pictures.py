"""The pictures in the notebook: the two models in its text, and what the reference solution draws in a given cell.

`make reference` draws them again, the latter with models that it trains, and writes them into the notebook, so
that Jupyter, Colab and nbconvert show them without a file.
"""

from __future__ import annotations

import base64
import contextlib
import io
import json
import re
import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import torch
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch
from PIL import Image

from grader.exercises.vae_mnist.data.mnist import ensure_mnist, raw_folder
from grader.exercises.vae_mnist.metrics import explained_variance
from grader.notebook.format import dump_notebook, load_notebook, source_of
from grader.records import Array
from grader.rubric import load_rubric

NOTEBOOK = Path(__file__).parent / "vae_mnist.ipynb"
DATA = re.compile(r"\(data:image/png;base64,[^)]*\)")
INK, LABEL, NOISE, LOSS = "#20303c", "#b3541e", "#5b6b78", "#35618e"
GREYS, COLOURS = 16, 48
GIVEN = "comparison"  # the cell
SHOWN = 1000  # test images of which the notebook says the explained variance


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


def trained() -> dict[str, Any]:
    """What the notebook defines when its given code and its solutions have run, models trained, in this process."""
    scope: dict[str, Any] = {}
    matplotlib.use("Agg")
    warnings.filterwarnings("ignore", "FigureCanvasAgg")  # the notebook shows what it draws
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        (Path("data") / "MNIST").mkdir(parents=True)
        (Path("data") / "MNIST" / "raw").symlink_to(raw_folder(ensure_mnist(print)))
        for cell in load_notebook(NOTEBOOK)["cells"]:
            if cell["metadata"]["grader"]["role"] in ("given", "constants", "task", "train") and cell["id"] != GIVEN:
                exec(compile(source_of(cell), cell["id"], "exec"), scope)
    return scope


@torch.no_grad()
def images_of(scope: Mapping[str, Any]) -> dict[str, Array]:
    """What the trained models make of the first test images, as the notebook shows it, and new images."""
    x, y = scope["test_images"][:SHOWN], scope["test_labels"][:SHOWN]
    vae, cvae = scope["vae"], scope["cvae"]
    digits = torch.arange(10, device=y.device)
    made = {
        "VAE reconstructions": vae.decoder(vae.encoder(x)[0]),
        "CVAE reconstructions": cvae.decoder(cvae.encoder(x, y)[0], y),
        "VAE samples": scope["sample_vae"](vae, 30),
        "CVAE samples": scope["sample_cvae"](cvae, digits.repeat(4)),
    }
    return {name: images.cpu().numpy() for name, images in made.items()}


def comparison(scope: Mapping[str, Any]) -> dict[str, str]:
    """The two tables of the notebook's cell `comparison`, as their assignments."""
    images = images_of(scope)
    x = scope["test_images"][:SHOWN].cpu().numpy()
    mean = scope["train_images"].mean(0).cpu().numpy()
    numbers = {
        part: (round(explained_variance(x, images[f"{part} reconstructions"], mean), 2), *ends(part))
        for part in ("VAE", "CVAE")
    }
    pages = {name: _page(several[: len(several) if "samples" in name else 10]) for name, several in images.items()}
    data = {name: base64.b64encode(page).decode() for name, page in pages.items()}
    lines = [f"    {json.dumps(name)}: {json.dumps(text)}," for name, text in data.items()]
    told = ", ".join(f'"{part}": {values}' for part, values in numbers.items())
    return {"EXPLAINED_VARIANCE": f"{{{told}}}", "REFERENCE": "\n".join(["{", *lines, "}"])}


def ends(part: str) -> tuple[float, float]:
    """The explained variance up to which there are no points, and from which there are all, as the rubric says."""
    rubric, _ = load_rubric(NOTEBOOK.parent.parent / "rubric.yaml")
    checks = next(item.checks for item in rubric.items if item.id == f"{part.lower()}.reconstruction")
    params = next(check.params for check in checks if check.check == "reconstructions_resemble_the_images")
    return params["zero_at"], params["full_at"]


def _page(images: Array) -> bytes:
    """Rows of ten images, white on black, in few shades of grey."""
    page = images.reshape(-1, 10, 28, 28).transpose(0, 2, 1, 3).reshape(-1, 280)
    shades = np.round(page.clip(0, 1) * (GREYS - 1)) * (255 // (GREYS - 1))
    buffer = io.BytesIO()
    Image.fromarray(shades.astype(np.uint8)).save(buffer, format="png", optimize=True)
    return buffer.getvalue()


def _png(image: Image.Image, colours: int) -> bytes:
    buffer = io.BytesIO()
    image.quantize(colours, dither=Image.Dither.NONE).save(buffer, format="png", optimize=True)
    return buffer.getvalue()


def main() -> None:
    """The notebook's text shows the models, and its cell `comparison` holds what the reference solution draws now."""
    diagrams = {"vae-text": model(labelled=False), "cvae-text": model(labelled=True)}
    tables = comparison(trained())
    notebook = load_notebook(NOTEBOOK)
    for cell in notebook["cells"]:
        if cell["id"] in diagrams:
            data = f"(data:image/png;base64,{base64.b64encode(diagrams[cell['id']]).decode()})"
            cell["source"] = DATA.sub(data, source_of(cell))
        if cell["id"] == GIVEN:
            for name, value in tables.items():
                assignment = re.compile(rf"^{name} = \{{.*?\}}$", re.MULTILINE | re.DOTALL)
                cell["source"] = assignment.sub(f"{name} = {value}", source_of(cell))
    NOTEBOOK.write_text(dump_notebook(notebook), encoding="utf-8")


if __name__ == "__main__":
    main()
