"""Harmless additions cost no points: printed noise, magics, code for Colab, and editors' changes of cells."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from grading import graded, graded_text, lost

from grader.audit import corpus
from grader.notebook.format import dump_notebook, is_code, source_of
from grader.records import GradeReport, Notebook

NOISY = {
    "Encoder.forward": """
        import sys, warnings
        warnings.warn("this encoder is old-fashioned")
        print("debug: encoder got", tuple(x.shape), x.mean())
        print("debug: to stderr", file=sys.stderr)
        h = self.hidden(x)
        return self.mu(h), self.logvar(h)
    """,
    "train_cvae": """
        x_hat, mu, logvar = model(x, y)
        loss, recon, kl = vae_loss(x_hat, x, mu, logvar)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        bar.update(1)
        print(f"\\rbatch {count}: {loss.item():.3f} {recon.item():.3f} {kl.item():.3f}", end="", flush=True)
    """,
}


def cell(source: str) -> dict[str, object]:
    return {
        "cell_type": "code",
        "id": f"own-{abs(hash(source)) % 10**8}",
        "metadata": {},
        "execution_count": None,
        "outputs": [],
        "source": source,
    }


def index_of(notebook: Notebook, text: str) -> int:
    return next(i for i, c in enumerate(notebook["cells"]) if is_code(c) and text in source_of(c))


def test_warnings_prints_bars_and_magics(tmp_path: Path) -> None:
    replace = [
        ("class Decoder(nn.Module):", "%%time\n%matplotlib inline\nclass Decoder(nn.Module):"),
        ("def train_cvae(", "from tqdm import tqdm\nbar = tqdm(total=1000)\n\ndef train_cvae("),
    ]
    notebook = corpus.changed(NOISY, replace)
    first = index_of(notebook, "import torch")
    notebook["cells"].insert(first, cell("%matplotlib inline\n%load_ext autoreload\n%autoreload 2\nimport logging"))
    notebook["cells"].insert(first + 2, cell("%%time\nwarm = torch.randn(3)\nprint(warm)\nwarm"))
    nothing_is_lost(graded(notebook, tmp_path))


def test_habits_from_colab_lose_no_points(tmp_path: Path) -> None:
    notebook = corpus.build("reference")
    corpus.substitute(notebook, 'datasets.MNIST("data"', 'datasets.MNIST("/content/drive/MyDrive/mnist"')
    first = index_of(notebook, "import torch")
    sources = [
        "!pip install torch torchvision\n%pip install -q tqdm\n!nvidia-smi",
        "from google.colab import drive\ndrive.mount('/content/drive')\n%cd /content/drive/MyDrive",
        "from google.colab import files\nuploaded = files.upload()",
        "name = input('Your name: ')\nprint('Hello', name)",
        "mnist_again = datasets.MNIST(root='./another/place', train=False, download=True)\nlen(mnist_again)",
        "torch.save({'x': torch.zeros(2)}, 'model.pt')\nopen('/content/notes.txt', 'w').write('done')",
    ]
    notebook["cells"][first + 1 : first + 1] = [cell(source) for source in sources]
    corpus.substitute(
        notebook, "    loss, _, _ = vae_loss", "    assert x.min() >= 0\n            loss, _, _ = vae_loss"
    )
    nothing_is_lost(graded(notebook, tmp_path))


@pytest.mark.parametrize("newline", ["\r\n", pytest.param("\r", marks=pytest.mark.long)])
def test_cells_changed_by_editors_lose_no_points(newline: str, tmp_path: Path) -> None:
    notebook = corpus.build("reference")
    for name in ("class Encoder", "def vae_loss", "class CVAE", "import torch"):  # cells pasted twice
        at = index_of(notebook, name)
        notebook["cells"].insert(at + 1, dict(notebook["cells"][at]))
    at = index_of(notebook, "def sample_vae")
    notebook["cells"].insert(at, cell("for i in range(3)\n    print(i)"))
    notebook["cells"].insert(0, cell("# Name: 王小明, matriculation number 123\n"))
    notebook["cells"].append(cell("raise SystemExit"))
    for pasted in notebook["cells"]:
        pasted.pop("id", None)
        pasted["metadata"] = {}
        pasted["source"] = (source_of(pasted) + "   \n").replace("\n", newline)
    notebook["metadata"] = {}
    notebook["nbformat_minor"] = 4
    text = json.dumps(notebook, indent=1).replace("\n", "\r\n")
    nothing_is_lost(graded_text("\ufeff" + text, tmp_path))


def test_cells_merged_and_split(tmp_path: Path) -> None:
    notebook = corpus.build("reference")
    cells = notebook["cells"]
    encoder, decoder = index_of(notebook, "class Encoder"), index_of(notebook, "class Decoder")
    cells[encoder]["source"] = source_of(cells[encoder]) + "\n\n\n" + source_of(cells[decoder])
    del cells[decoder]
    train = index_of(notebook, "def train_vae")
    after = index_of(notebook, "vae_history = train_vae")
    cells[train]["source"] = source_of(cells[train]) + "\n\n" + source_of(cells[after])
    del cells[after]
    at = index_of(notebook, "class Batches")
    head, middle, tail = source_of(cells[at]).partition("def load_mnist")
    cells[at]["source"] = head
    cells.insert(at + 1, cell(middle + tail))
    nothing_is_lost(graded_text(dump_notebook(notebook), tmp_path))


def nothing_is_lost(report: GradeReport) -> None:
    assert lost(report) == {}, (report.events, report.remarks)
