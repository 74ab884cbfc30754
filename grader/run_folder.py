"""What a run leaves in its folder, and the verdicts on it: all that judging again needs; nothing runs here."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from grader.errors import GraderError
from grader.evidence import load_evidence, save_evidence
from grader.exercise import Exercise
from grader.following import Followed, with_followed
from grader.judge import judge
from grader.notebook.format import dump_notebook
from grader.records import Evidence, ItemVerdict, Rubric
from grader.report.files import write_atomically
from grader.report.report_json import dump_json
from grader.running import Ran

EVIDENCE = "evidence.safetensors"
FOLLOWED = "followed.json"  # part -> the items that were replaced; staff only


def store_run(folder: Path, ran: Ran) -> None:
    """The folder holds the run's evidence, executed notebook and execution record, and nothing of an older run's."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in (folder / FOLLOWED, *folder.glob("followed-*.safetensors")):
        old.unlink(missing_ok=True)
    write_atomically(folder / EVIDENCE, save_evidence(ran.evidence))
    write_atomically(folder / "executed.ipynb", dump_notebook(ran.notebook).encode())
    write_atomically(folder / "execution.json", dump_json(asdict(ran.execution)))


def stored_evidence(folder: Path) -> Evidence:
    """The run's evidence.

    Raises:
        GraderError: where the folder holds none.
    """
    return load_evidence(folder / EVIDENCE)


def store_followed(folder: Path, part: str, followed: Followed) -> None:
    """The folder holds what the part answered with sound parts in the place of some items."""
    write_atomically(folder / f"followed-{part}.safetensors", save_evidence(followed.evidence))
    known = _followed_items(folder) | {part: list(followed.replaced)}
    write_atomically(folder / FOLLOWED, dump_json(known))


def stored_followed(folder: Path) -> dict[str, Followed]:
    """Part -> what it answered when it was trained once more; empty where nothing was.

    Raises:
        GraderError: where what stands there is not what `store_followed` wrote.
    """
    return {
        part: Followed(tuple(items), load_evidence(folder / f"followed-{part}.safetensors"))
        for part, items in _followed_items(folder).items()
    }


def verdicts(folder: Path, rubric: Rubric, exercise: Exercise) -> tuple[ItemVerdict, ...]:
    """The verdicts on the folder's stored evidence under the rubric; no notebook runs.

    Raises:
        GraderError: where the folder holds no finished run.
    """
    evidence = stored_evidence(folder)
    items = judge(evidence, rubric, exercise.checks)
    return with_followed(items, rubric, exercise, evidence, stored_followed(folder))


def _followed_items(folder: Path) -> dict[str, list[str]]:
    try:
        known = json.loads((folder / FOLLOWED).read_bytes())
    except FileNotFoundError:
        return {}
    except ValueError:
        raise GraderError(f"{folder / FOLLOWED}: not what the grader wrote; grade the notebook again") from None
    return {str(part): [str(item) for item in items] for part, items in known.items()}
