"""Runs in a fresh kernel before the notebook, so that what Colab and a keyboard would give is harmless and quick.

`input()` answers with an empty line instead of failing, `exit()` ends nothing (the kernel would end a moment later, in
the middle of another cell), and `google.colab` is a folder of stand-ins, found last on the
path.
"""

import os
import sys
import warnings

ipython = get_ipython()  # type: ignore[name-defined]  # noqa: F821  # IPython puts it there
ipython.kernel.raw_input = lambda prompt="": (print(prompt), "")[1]
ipython.kernel.getpass = lambda prompt="", stream=None: ""
ipython.ask_exit = lambda: None
sys.path.append(os.environ["BOX_ENGINE"] + "/stubs")
warnings.filterwarnings("ignore", message=".*multi-threaded, use of fork.*")
