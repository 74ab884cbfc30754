"""Everyday oddities around the reference: what editors, platforms and people do to a notebook that is right.

Each kind is one edit of the solved notebook. `PERSON` are those after which a person may be called, for this machine
lacks what the student's own had; all others must cost nothing and call nobody.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any

from whole_notebook import cell_of, code_of, solved

from grader.notebook.format import source_of
from grader.records import Notebook

Edit = Callable[[Notebook, random.Random], None]


def fresh(source: str, **fields: Any) -> dict[str, Any]:
    """A code cell of the student's own that ran without a word."""
    cell = {"cell_type": "code", "metadata": {}, "source": source, "outputs": [], "execution_count": 1}
    return {**cell, "id": f"own-{abs(hash(source)) % 10**8}", **fields}


def anywhere(source: str) -> Edit:
    """A cell of one's own, somewhere."""

    def put(notebook: Notebook, rng: random.Random) -> None:
        notebook["cells"].insert(rng.randrange(3, len(notebook["cells"]) + 1), fresh(source))

    return put


def first(source: str) -> Edit:
    """A cell of one's own at the top."""
    return lambda notebook, _: notebook["cells"].insert(1, fresh(source))


def last(source: str) -> Edit:
    """A cell of one's own at the end."""
    return lambda notebook, _: notebook["cells"].append(fresh(source))


def above(source: str) -> Edit:
    """Lines at the head of the cell of some task."""

    def put(notebook: Notebook, rng: random.Random) -> None:
        cell = cell_of(notebook, rng.choice(tasks_of(notebook)))
        cell["source"] = f"{source}\n{source_of(cell)}"

    return put


def within(identity: str, old: str, new: str) -> Edit:
    """Other text in one cell; the cell may have changed before."""

    def put(notebook: Notebook, _: random.Random) -> None:
        for cell in notebook["cells"]:
            if cell["id"] == identity:
                cell["source"] = source_of(cell).replace(old, new)

    return put


def tasks_of(notebook: Notebook) -> list[str]:
    """The ids of the cells that students fill."""
    return [c["id"] for c in code_of(notebook) if c["metadata"].get("grader", {}).get("role") == "task"]


def kernel(**spec: str) -> Edit:
    """Another kernel's name and language."""

    def put(notebook: Notebook, _: random.Random) -> None:
        notebook["metadata"] = {"kernelspec": {"display_name": "x", **spec}}

    return put


def as_text(kind: str, *, keeps_id: bool = True, fence: bool = False) -> Edit:
    """A task's cell has become text."""

    def put(notebook: Notebook, rng: random.Random) -> None:
        cell = cell_of(notebook, rng.choice(tasks_of(notebook)))
        cell["cell_type"] = kind
        cell.pop("outputs")
        cell.pop("execution_count")
        if fence:
            cell["source"] = f"```python\n{source_of(cell)}\n```"
        if not keeps_id:
            cell["id"], cell["metadata"] = "text-of-mine", {}

    return put


def ids_gone(notebook: Notebook, _: random.Random) -> None:
    """Identities and metadata are an editor's own."""
    for number, cell in enumerate(notebook["cells"]):
        cell["id"], cell["metadata"] = f"{number:08x}", {"vscode": {"languageId": "python"}}


def cleared(notebook: Notebook, _: random.Random) -> None:
    """No outputs, no counts."""
    for cell in code_of(notebook):
        cell["outputs"], cell["execution_count"] = [], None


def windows(notebook: Notebook, _: random.Random) -> None:
    """All lines end as on Windows."""
    for cell in notebook["cells"]:
        cell["source"] = source_of(cell).replace("\n", "\r\n")


def split(notebook: Notebook, rng: random.Random) -> None:
    """The first imports stand in a cell of their own."""
    cells = notebook["cells"]
    at = next(n for n, cell in enumerate(cells) if cell["id"] == "setup")
    lines = source_of(cells[at]).split("\n")
    border = rng.randrange(1, 5)
    cells[at : at + 1] = [fresh("\n".join(lines[:border])), {**cells[at], "source": "\n".join(lines[border:])}]


def note_above(notebook: Notebook, rng: random.Random) -> None:
    """A remark of one's own above a task."""
    cell = cell_of(notebook, rng.choice(tasks_of(notebook)))
    cell["source"] = f"# Jürgen 😀, 3. Versuch\n\n{source_of(cell)}\n\n# bis hier"


def module_of_ones_own(notebook: Notebook, _: random.Random) -> None:
    """The networks stand in a module that a cell writes."""
    cell = cell_of(notebook, "encoder")
    source = source_of(cell)
    cell["source"] = f"%%writefile my_networks.py\nimport torch\nfrom torch import nn\n\n{source}"
    at = notebook["cells"].index(cell)
    notebook["cells"].insert(at + 1, fresh("from my_networks import Encoder"))


MAGICS = {
    "time": above("%%time"),
    "capture": above("%%capture"),
    "prun": above("%%prun -q"),
    "timeit": above("%%timeit -n1 -r1"),
    "timeit of one's own": anywhere("%%timeit -n 2 -r 1\nsum(range(100))"),
    "line timeit": anywhere("%timeit -n 2 -r 1 sum(range(100))"),
    "matplotlib": first("%matplotlib inline\n%config InlineBackend.figure_format = 'retina'"),
    "matplotlib with a window": first("%matplotlib notebook"),
    "autoreload": first("%load_ext autoreload\n%autoreload 2"),
    "tensorboard": anywhere("%load_ext tensorboard"),
    "unknown extension": anywhere("%load_ext lab_black"),
    "unknown magic": anywhere("%nothing_like_it"),
    "pip": first("!pip install -q torchinfo einops\n%pip install lightning"),
    "shell": anywhere("!nvidia-smi\n!ls -la && df -h\nfiles = !ls"),
    "bash": anywhere("%%bash\nfor i in 1 2 3; do echo $i; done"),
    "html": anywhere("%%html\n<b>Results</b>"),
    "javascript": anywhere("%%javascript\nIPython.OutputArea.auto_scroll_threshold = 9999"),
    "latex": anywhere("%%latex\n$x^2$"),
    "writefile": anywhere("%%writefile notes.txt\nremember: beta = 1"),
    "help": anywhere("torch.randn?\nnn.Linear??"),
    "who": anywhere("%who\n%whos\n%history -n"),
    "env": first("%env CUDA_LAUNCH_BLOCKING=1\n%cd .\n%pwd"),
    "own module": module_of_ones_own,
}
DISPLAYS = {
    "clear and print": anywhere(
        "from IPython.display import clear_output\nfor i in range(5):\n    clear_output(wait=True)\n    print(i)"
    ),
    "clear much": anywhere(
        "from IPython.display import clear_output\nfor i in range(30):\n    print('x' * 400_000)\n    clear_output()"
    ),
    "live display": anywhere("shown = display('a', display_id=True)\nshown.update('b')"),
    "html table": anywhere(
        "from IPython.display import HTML, display\ndisplay(HTML('<table><tr><td>1</td></tr></table>'))"
    ),
    "markdown": anywhere("from IPython.display import Latex, Markdown\ndisplay(Markdown('# a'), Latex('$x$'))"),
    "image": anywhere("from IPython.display import Image\nplt.savefig('a.png')\ndisplay(Image('a.png'))"),
    "figures left open": anywhere("for i in range(25):\n    plt.figure()\n    plt.plot([1, 2, i])"),
    "animation": anywhere(
        "from matplotlib import animation\nfig, ax = plt.subplots()\nline, = ax.plot([0, 1])\n"
        "moving = animation.FuncAnimation(fig, lambda i: (line,), frames=2)\nhtml = moving.to_jshtml()"
    ),
    "style": first("import matplotlib.pyplot as plt\nplt.style.use('ggplot')\nplt.rcParams['figure.figsize'] = (4, 3)"),
    "interactive": anywhere("plt.ion()\nplt.plot([1, 2])\nplt.pause(0.01)\nplt.ioff()"),
    "tqdm": anywhere("from tqdm import tqdm, trange\nfor i in tqdm(range(2000)):\n    pass"),
    "tqdm in a notebook": anywhere("from tqdm.notebook import tqdm\nfor i in tqdm(range(50)):\n    pass"),
    "tqdm as it likes": anywhere("from tqdm.auto import tqdm\nbar = tqdm(total=10)\nbar.update(3)"),
    "logging": first(
        "import logging\nlogging.basicConfig(level=logging.DEBUG)\nlogging.getLogger('mine').info('hello')"
    ),
    "warnings": first("import warnings\nwarnings.warn('old')\nwarnings.filterwarnings('ignore')"),
    "data frame": anywhere("import pandas as pd\npd.DataFrame({'loss': [1.0, 0.5]}).style.highlight_min()"),
    "seaborn": anywhere("import seaborn as sns\nsns.set_theme()\nsns.lineplot(x=[1, 2], y=[2, 1])"),
    "plotly": anywhere("import plotly.express as px\npx.line(x=[1, 2], y=[2, 1]).show()"),
    "rich": anywhere("from rich import print as rprint\nrprint('[bold]hello[/bold]')"),
    "summary": anywhere("from torchinfo import summary\nsummary(nn.Linear(3, 4), (2, 3))"),
    "tensorboard log": anywhere(
        "from torch.utils.tensorboard import SummaryWriter\nlog = SummaryWriter()\n"
        "log.add_scalar('loss', 1.0, 0)\nlog.close()"
    ),
    "metrics": anywhere("import torchmetrics\ntorchmetrics.MeanMetric()(torch.ones(3))"),
    "einops": anywhere("from einops import rearrange\nrearrange(torch.zeros(2, 3), 'a b -> b a')"),
}
WIDGETS = {
    "slider": anywhere("import ipywidgets as widgets\nwidgets.IntSlider(value=3)"),
    "interact": anywhere("from ipywidgets import interact\ninteract(lambda n: n, n=(0, 9));"),
    "output": anywhere("import ipywidgets as widgets\nout = widgets.Output()\nwith out:\n    print('x')\nout"),
    "progress": anywhere("import ipywidgets\nbar = ipywidgets.IntProgress(max=3)\ndisplay(bar)\nbar.value = 2"),
}
COLAB = {
    "drive": first("from google.colab import drive\ndrive.mount('/content/drive')"),
    "auth": first("from google.colab import auth\nauth.authenticate_user()"),
    "tables": first("from google.colab import data_table\ndata_table.enable_dataframe_formatter()"),
    "files": anywhere("from google.colab import files\nfiles.download('model.pt')\nfiles.upload()"),
    "runtime": last("from google.colab import runtime\nruntime.unassign()"),
    "secrets": first("from google.colab import userdata\nuserdata.get('WANDB_API_KEY')"),
    "widgets": first("from google.colab import widgets\nwith widgets.Grid(2, 2).output_to(0, 0):\n    print(1)"),
    "output": first("from google.colab import output\noutput.enable_custom_widget_manager()"),
    "tpu": first("try:\n    import torch_xla\nexcept ImportError:\n    torch_xla = None"),
    "restart": first("import os\nos.kill(os.getpid(), 9)"),
    "form": above("#@title My solution { run: 'auto' }"),
    "content": anywhere(
        "import os\nos.makedirs('/content/out', exist_ok=True)\nopen('/content/out/a.txt', 'w').write('a')"
    ),
}
KERNELS = {
    "environment": kernel(name="julias-env", language="python"),
    "conda": kernel(name="conda-base-py"),
    "named as R": kernel(name="ir", language="python"),
    "named as R alone": kernel(name="ir"),
    "spark": kernel(name="pysparkkernel", language="python"),
    "nothing": lambda notebook, _: notebook.update(metadata={}),
    "colab": lambda notebook, _: notebook.update(metadata={"colab": {"toc_visible": True}, "accelerator": "TPU"}),
}
EDITORS = {
    "ids gone": ids_gone,
    "cleared": cleared,
    "windows": windows,
    "split": split,
    "note above": note_above,
    "markdown": as_text("markdown"),
    "raw": as_text("raw"),
    "fenced": as_text("markdown", fence=True),
    "raw without its id": as_text("raw", keeps_id=False),
}
PROMPTS = {
    "input": anywhere("name = input('Your name? ')\nprint(name)"),
    "password": anywhere("from getpass import getpass\nkey = getpass('key: ')"),
    "breakpoint": anywhere("breakpoint()\nx = 1"),
    "set trace": anywhere("import pdb\npdb.set_trace()\nx = 1"),
    "debug": anywhere("%debug"),
}
SETTINGS = {
    "seeds": first("import random, numpy as np, torch\nrandom.seed(1)\nnp.random.seed(1)\ntorch.manual_seed(1)"),
    "threads": first("import torch\ntorch.set_num_threads(1)"),
    "precision": first(
        "import torch\ntorch.set_float32_matmul_precision('high')\ntorch.backends.cudnn.benchmark = True"
    ),
    "printing": first(
        "import torch, numpy as np\ntorch.set_printoptions(precision=2)\nnp.set_printoptions(suppress=True)"
    ),
    "mps": anywhere("device = 'mps' if torch.backends.mps.is_available() else DEVICE\nprint(device)"),
    "anomalies": anywhere("torch.autograd.set_detect_anomaly(True)\ntorch.autograd.set_detect_anomaly(False)"),
    "names of Python's": last("list = [1]\nsum = 3\nprint = str\ntype = 'a'"),
    "names of mine": last("x = y = z = model = optimizer = loss = i = 3"),
}
LAST = {
    "no gradients": last("torch.set_grad_enabled(False)"),
    "inference": last("mode = torch.inference_mode()\nmode.__enter__()"),
    "warnings are errors": last("import warnings\nwarnings.simplefilter('error')"),
    "numpy raises": last("import numpy\nnumpy.seterr(all='raise')"),
    "closed streams": last("import sys\nsys.stdout.close()\nsys.stderr.close()"),
    "no streams": last("import sys\nsys.stdout = sys.stderr = None"),
    "closed descriptors": last("import os\nos.close(1)\nos.close(2)"),
    "full disk": last(
        "import os\nfor folder in (os.path.expanduser('~'), '/tmp'):\n"
        "    try:\n        with open(folder + '/big', 'wb') as big:\n"
        "            while True:\n                big.write(bytes(1 << 22))\n    except OSError:\n        pass"
    ),
    "broken display": last("get_ipython().display_pub = None\nget_ipython().display_formatter = None"),
    "broken hook": last("import sys\nsys.displayhook = sys.excepthook = None"),
    "backend": last("plt.switch_backend('pdf')"),
    "elsewhere": last("import os\nos.chdir('/')"),
    "no data": last("import shutil\nshutil.rmtree('data', ignore_errors=True)\ndel train_images, test_images"),
    "no environment": last("import os\nos.environ.clear()"),
    "no garbage": last("import gc\ngc.disable()\ngc.freeze()"),
    "exit": last("exit()"),
    "quit": last("quit"),
    "really exit": last("import os\nos._exit(0)"),
    "system exit": last("import sys\nsys.exit(0)"),
    "reset": last("%reset -f"),
    "alarm": last("import signal\nsignal.signal(signal.SIGALRM, signal.SIG_IGN)"),
    "many threads": last("torch.set_num_threads(64)"),
    "double": last("torch.set_default_dtype(torch.float64)"),
    "half of it": last("raise KeyboardInterrupt"),
    "syntax": last("this is where I stopped"),
    "thread left": last(
        "import threading, time\nthreading.Thread(target=time.sleep, args=(3600,), daemon=True).start()"
    ),
    "no modules": last(
        "import sys\nfor name in [n for n in sys.modules if n.startswith('torch.utils')]:\n    del sys.modules[name]"
    ),
    "low recursion": last("import sys\nsys.setrecursionlimit(90)"),
    "no events": last("get_ipython().events.reset_all()"),
}
LIBRARIES = "('numpy', 'torch', 'random', 'json', 'safetensors', 'signal', 'io', 'zlib', 'types', 'ast')"
NAMED_LIKE_LIBRARIES = f"for name in {LIBRARIES}:\n    open(name + '.py', 'w').write({{!r}})"
LAST |= {
    "files named like libraries": last(NAMED_LIKE_LIBRARIES.format("raise RuntimeError('mine')")),
    "empty files named like libraries": last(NAMED_LIKE_LIBRARIES.format("")),
}
IMPORTS = {
    "missing for a plot": anywhere("import lets_plot_nothing as lp"),
    "missing with others": first("import not_there_at_all\nimport math\nimport numpy as np"),
    "missing in one line": first("import math, not_there_at_all, numpy as np"),
    "unused network": anywhere("import requests\nrequests.get('https://example.invalid/a', timeout=2)"),
    "unused file": anywhere("picture = plt.imread('my_cat.png')"),
    "future": above("from __future__ import annotations"),
    "star": first("from math import *\nfrom random import *"),
    "guarded": first("try:\n    import wandb_not_here\nexcept ImportError:\n    wandb = None"),
}
CUDA = {
    "sampling on the GPU": within("sample", "device=DEVICE", 'device="cuda"'),
    "training on the GPU": within(
        "train", "x_hat, mu, logvar = model(x)", "x = x.cuda()\n            x_hat, mu, logvar = model(x)"
    ),
    "a model on the GPU": above("probe = nn.Linear(2, 2).cuda()"),
    "a helper beside the notebook": above("from my_helpers import show_all"),
    "a package of the course's cluster": above("from cluster_tools import Base\nclass Own(Base):\n    pass"),
    "weights from the network": above(
        "import urllib.request\nurllib.request.urlopen('https://example.invalid/w', timeout=2)"
    ),
    "constants from a file": above("SCALE = float(open('scale.txt').read())"),
}
FAMILIES: Mapping[str, Mapping[str, Edit]] = {
    "magics": MAGICS,
    "displays": DISPLAYS,
    "widgets": WIDGETS,
    "colab": COLAB,
    "kernels": KERNELS,
    "editors": EDITORS,
    "prompts": PROMPTS,
    "settings": SETTINGS,
    "last": LAST,
    "imports": IMPORTS,
    "not here": CUDA,
}
LATE = ("magics", "editors", "kernels")  # a cell's magic is its first line; and what saves the file comes last
PERSON = "not here"  # the family that may need manual review


def kinds() -> dict[str, Edit]:
    """Every kind by `family: name`."""
    return {f"{family}: {name}": edit for family, edits in FAMILIES.items() for name, edit in edits.items()}


def single(kind: str) -> Notebook:
    """The solved notebook with one oddity."""
    notebook = solved()
    kinds()[kind](notebook, random.Random(kind))
    return notebook


def drawn(seed: int) -> tuple[Notebook, list[str]]:
    """A notebook with one to four oddities of different families, and which; each kind comes up in its turn."""
    rng = random.Random(seed)
    known = sorted(kinds())
    chosen = [known[seed % len(known)]]
    others = [family for family in sorted(FAMILIES) if not chosen[0].startswith(f"{family}:")]
    chosen += [f"{family}: {rng.choice(sorted(FAMILIES[family]))}" for family in rng.sample(others, rng.randint(0, 3))]
    chosen.sort(key=lambda kind: LATE.index(kind.partition(":")[0]) if kind.partition(":")[0] in LATE else -1)
    notebook = solved()
    for kind in chosen:
        kinds()[kind](notebook, rng)
    return notebook, chosen


__all__ = ["FAMILIES", "PERSON", "drawn", "kinds", "single"]
