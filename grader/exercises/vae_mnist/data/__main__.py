"""`python -m grader.exercises.vae_mnist.data` fetches and verifies MNIST, or prints one line that says why not."""

from __future__ import annotations

import sys

from grader.exercises.vae_mnist.data.mnist import ensure_mnist
from grader.exercises.vae_mnist.data.sources import DataError


def main() -> int:
    """The exit code: 0 if MNIST is there, 2 after one line on standard error."""
    try:
        ensure_mnist(lambda line: print(line, flush=True))
    except DataError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
