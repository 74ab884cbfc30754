"""The seconds of each phase of one grade, from the progress lines of its command.

`python -m benchmarks.phases OTHER-CHECKOUT` grades the reference with this checkout and with another one in turn, and
prints both, to show what a change has gained or lost.
"""

from __future__ import annotations

import re
import statistics
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from benchmarks.timing import Line, Run, alternate

ROOT = Path(__file__).parents[1]
ROUNDS = 3
START, CELLS, TRAINING = "start, before the first cell", "other cells", "training cells"
COMPONENTS, TRAINED = "questions about components", "questions about what was trained"
SECOND, JUDGING, PAGES = "decoding in the second box", "grading the answers, and drawing", "writing pages"
PHASES = (START, CELLS, TRAINING, COMPONENTS, TRAINED, SECOND, JUDGING, PAGES)
_MARKS: Sequence[tuple[str, str]] = (
    (r"cell \d+ of \d+: .*[Tt]raining", TRAINING),
    (r"cell \d+ of \d+:", CELLS),
    (r"testing (the components of \w+|\w+ \(components\))", COMPONENTS),  # the second form is that of older checkouts
    (r"testing the trained models in|testing in a fresh sandbox", SECOND),
    (r"testing (the (trained|sampling code of) \w+|\w+ \((sampling|trained|quality)\))", TRAINED),
    (r"grading the answers", JUDGING),
    (r"writing the report", PAGES),
)
_LAST = ("testing the trained CVAE", "testing cvae (quality)")


def phases(lines: Iterable[Line], total: float) -> dict[str, float]:
    """Seconds per phase of a grade of the reference that took `total` seconds."""
    spent = dict.fromkeys(PHASES, 0.0)
    now, since, trained = START, 0.0, False
    for at, text in lines:
        following = next((phase for mark, phase in _MARKS if re.search(mark, text)), None)
        if trained and following == CELLS:
            following = SECOND  # cells after the last question run in the second box
        trained = trained or text.endswith(_LAST)
        if following is None or (now == SECOND and following not in {JUDGING, PAGES}):
            continue
        spent[now] += at - since
        now, since = following, at
    spent[now] += total - since
    return spent


def medians(rounds: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The median seconds of each phase over the rounds."""
    return {phase: statistics.median(one[phase] for one in rounds) for phase in PHASES}


def main(others: Sequence[str]) -> None:
    """Prints the seconds per phase, one column per checkout, this one last."""
    checkouts = [*map(Path, others), ROOT]
    with tempfile.TemporaryDirectory() as folder:
        runs = {
            str(number): Run(
                [sys.executable, "-m", "grader", "grade", "reference/vae_mnist.ipynb", "--out", f"{folder}/{number}"],
                checkout,
            )
            for number, checkout in enumerate(checkouts)
        }
        measurements = alternate(runs, ROUNDS)
    columns = [medians([phases(*one) for one in measured.rounds]) for measured in measurements.values()]
    columns = [
        {**column, "all": measured.median} for column, measured in zip(columns, measurements.values(), strict=True)
    ]
    for phase in (*PHASES, "all"):
        print(f"{phase:34}" + "".join(f"{column[phase]:8.1f}" for column in columns))


if __name__ == "__main__":
    main(sys.argv[1:])
