"""The command line: `python -m grader grade x.ipynb`.

Exit codes: 0 graded, 1 graded but at least one submission needs attention, 2 not graded.
"""

from grader.cli.entry import main, program

__all__ = ["main", "program"]
