"""Where the seconds of one grade go, from the lines that its command writes while it works."""

from __future__ import annotations

import re
import statistics
from collections.abc import Iterable, Mapping, Sequence

Line = tuple[float, str]  # seconds since the command was started, and what it wrote
START, CELLS, TRAINING = "start, to the first cell", "other cells", "training cells"
COMPONENTS, TRAINED = "asking about components", "asking about what was trained"
SECOND, JUDGING, PAGES = "the fresh box", "judging", "pages and the end"
PHASES = (START, CELLS, TRAINING, COMPONENTS, TRAINED, SECOND, JUDGING, PAGES)
_MARKS: Sequence[tuple[str, str]] = (
    (r"cell \d+ of \d+: .*[Tt]rain", TRAINING),
    (r"cell \d+ of \d+:", CELLS),
    (r"asking about components", COMPONENTS),
    (r"asking about (sampling|trained|quality)", TRAINED),
    (r"decoding in a fresh box", SECOND),
    (r"judging the answers", JUDGING),
    (r"writing the report", PAGES),
)


def phases(lines: Iterable[Line], total: float) -> dict[str, float]:
    """Seconds of each phase of one grade that took `total` seconds."""
    spent = dict.fromkeys(PHASES, 0.0)
    now, since = START, 0.0
    for at, text in lines:
        following = next((phase for mark, phase in _MARKS if re.search(mark, text)), None)
        if following is None or (now == SECOND and following not in {JUDGING, PAGES}):
            continue
        spent[now] += at - since
        now, since = following, at
    spent[now] += total - since
    return spent


def medians(rounds: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Of each phase, over the rounds."""
    return {phase: statistics.median(one[phase] for one in rounds) for phase in PHASES}
