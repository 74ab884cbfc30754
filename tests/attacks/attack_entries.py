"""The attacks as they are in this folder's YAML files, one entry per attack, and the rows that must have one.

An entry says what a student would write and exactly what must come of it. It is checked when it is read: an unknown
key, outcome, place or row is an error, not an attack that never ran.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from _pytest.mark import ParameterSet

FOLDER = Path(__file__).parent
FAMILIES = {
    "a": "taking_over_the_check",
    "b": "reading_secrets",
    "c": "writing",
    "d": "eating",
    "e": "gaming",
    "f": "honest_trouble",
}
OUTCOMES = ("scored", "student_fault", "limit", "tamper", "bad_input", "ours")
# Wrong in its first item and right in all else; all right; unfinished; right, but too small and hardly trained.
BASES = ("half", "right", "template", "weak")
EXERCISES = ("toy", "vae")
ISOLATIONS = ("bubblewrap", "user")


@dataclass(frozen=True)
class Attack:
    """One entry: the submission, and its required result."""

    name: str
    family: str
    row: str  # of rows.yaml
    story: str  # one line: what the student hopes for
    outcome: str  # one of OUTCOMES
    code: dict[str, str] = field(default_factory=dict)  # place -> source; see `attack_notebooks`
    file: str = ""  # instead, or after it: what is done to the file; a function of `attack_files`
    says: str = ""  # a fragment of what the student reads, or of the line that refuses the file
    change: int = 0  # points in thousandths against the same notebook without the attack: never above 0
    exercise: str = "toy"
    base: str = "half"
    train: bool = False  # the whole run with its second box; else the components alone
    part: str = ""  # the only part that is trained, of those that there are
    follow: bool = False  # with follow-through
    times: int = 1  # how often it is submitted, into the same folder
    limits: dict[str, float] = field(default_factory=dict)  # instead of the toy's
    stopped_by: list[str] = field(default_factory=list)  # layers of the box: all must fall before it wins
    isolation: str = "bubblewrap"  # one of ISOLATIONS: what it is graded in
    same_user: bool = False  # needs what is root's where the box has a user of its own: the runner's pipes, the home
    long: bool = False  # not in the fast form
    gpu: bool = False  # means nothing without one


@cache
def rows(family: str) -> tuple[str, ...]:
    """The rows of a family: each must have an entry."""
    known: dict[str, list[str]] = yaml.safe_load((FOLDER / "rows.yaml").read_text(encoding="utf-8"))
    return tuple(known.get(family, []))


@cache
def attacks(family: str) -> tuple[Attack, ...]:
    """A family's entries; none where its file is not written yet.

    Raises:
        ValueError: for an entry that makes no sense.
    """
    path = FOLDER / f"{family}_{FAMILIES[family]}.yaml"
    if not path.exists():
        return ()
    written: dict[str, dict[str, Any]] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return tuple(_checked(path, Attack(name, family, **entry)) for name, entry in written.items())


def parameters(family: str) -> list[ParameterSet]:
    """A family's entries as a test's parameters."""
    return [
        pytest.param(attack, id=attack.name, marks=pytest.mark.long if attack.long or _trains(attack) else ())
        for attack in attacks(family)
    ]


def _trains(attack: Attack) -> bool:
    return attack.train and attack.exercise == "vae"


def _checked(path: Path, attack: Attack) -> Attack:
    where = f"{path.name}: {attack.name}"
    wrong = [
        (attack.row not in rows(attack.family), f"unknown row {attack.row!r}; add it to rows.yaml"),
        (attack.outcome not in OUTCOMES, f"outcome {attack.outcome!r}: expected one of {', '.join(OUTCOMES)}"),
        (attack.exercise not in EXERCISES, f"exercise {attack.exercise!r}: expected one of {', '.join(EXERCISES)}"),
        (
            attack.isolation not in ISOLATIONS,
            f"isolation {attack.isolation!r}: expected one of {', '.join(ISOLATIONS)}",
        ),
        (attack.isolation == "user" and bool(attack.stopped_by), "layers are taken away from bubblewrap's box alone"),
        (attack.base not in BASES, f"base {attack.base!r}: expected one of {', '.join(BASES)}"),
        (attack.base == "weak" and attack.exercise != "vae", "the toy has no weak solution"),
        (attack.change > 0, "an attack that gains points is a hole, not an entry"),
        (not attack.code and not attack.file, "has neither code nor file"),
        ("\n" in attack.story.strip(), "the story has more than one line"),
        (attack.outcome in {"bad_input", "limit", "student_fault"} and not attack.says, "nothing says what happened"),
        (attack.family == "f" and attack.change != 0, "honest trouble never costs points"),
    ]
    for is_wrong, what in wrong:
        if is_wrong:
            raise ValueError(f"{where}: {what}")
    return attack
