"""The parts of a cell that can be run without the rest."""

from __future__ import annotations

import pytest

from grader.notebook.statements import definitions_of


@pytest.mark.parametrize(
    ("source", "left"),
    [
        ("import os; os.kill(os.getpid(), 9)", "import os"),
        ("!pip install x\nimport numpy as np\nget_ipython().kernel.do_shutdown(True)", "import numpy as np"),
        ("N = 5; M = [1, {'a': -2.5}]\nmodel = train(N)\nN += 1", "N = 5\nM = [1, {'a': -2.5}]"),
        ("@cached\ndef f(x):\n    return x  # told\nf(1)", "@cached\ndef f(x):\n    return x"),
        ("class A:\n    n: int = 3\nA()", "class A:\n    n: int = 3"),
        ("rate: float = 0.1\nlater: int\nfile = open('x')", "rate: float = 0.1"),
        ("%%time\nfrom math import pi\nprint(pi)", "from math import pi"),
        ("%%bash\nls", ""),
        ("def f(:", ""),
        ("x = " + "[" * 5000, ""),
        ("x = " + "-" * 90_000 + "1", ""),
        ("", ""),
    ],
)
def test_imports_functions_classes_and_plain_values_are_left(source: str, left: str) -> None:
    assert definitions_of(source) == left
