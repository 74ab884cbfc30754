"""Submitter lists that are too large or invalid match no student, take little time, and are reported in one line."""

from __future__ import annotations

import resource
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from downloads import NOTEBOOK, write

from grader.batch.students import gradescope_export
from grader.batch.students.discovery import find
from grader.batch.students.gradescope_export import MAX_BYTES, Submitter, read_submitters
from grader.store.bounded import Unreadable

GOOD = """---
submission_5001:
  :submitters:
  - :name: &1 Ada Lovelace
    :sid: 00101
    :email:
  :created_at: &2 2026-11-01 10:00:00.000000000 Z
  :score: 3.5
  :results: {tests: [{name: a, score: *2}, {name: b}], output: "x"}
  :history:
  - :created_at: *2
    :submitters: [{":name": Nobody}]
submission_5002:
  :submitters:
  - :name: *1
    :sid: ~
    :email: "zoe@uni.example"
  - {":name": 12345678901234567890, ":sid": null}
submission_5003:
  :submitters: []
"""


def read(text: str | bytes, tmp_path: Path) -> dict[str, tuple[Submitter, ...]]:
    path = tmp_path / "submission_metadata.yml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return read_submitters(path)


def test_submitters_are_read_as_texts_and_the_rest_is_skipped(tmp_path: Path) -> None:
    assert read(GOOD, tmp_path) == {
        "submission_5001": (Submitter("00101", "", "Ada Lovelace", datetime(2026, 11, 1, 10, tzinfo=UTC)),),
        "submission_5002": (
            Submitter("", "zoe@uni.example", "Ada Lovelace"),
            Submitter("", "", "12345678901234567890"),
        ),
    }


LAUGHS = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 30)
)
SMALL = {  # harmless once it is read as a stream: nothing grows
    "a billion laughs": LAUGHS,
    "laughs for submitters": LAUGHS + "submission_1:\n  submitters: *a29\n",
    "a number of a million digits": "submission_1:\n  submitters:\n  - sid: " + "9" * 1_000_000,
    "a base 60 number": "submission_1:\n  submitters:\n  - sid: " + "59:" * 100_000 + "1",
    "a text of a megabyte": "submission_1:\n  submitters:\n  - name: '" + "x " * 500_000 + "'",
    "merge keys": "a: &a {b: c}\nsubmission_1: {<<: [*a, *a, *a]}\n",
    "many documents": "a: b\n---\n" * 100_000,
}
REFUSED = {
    "nested lists": ("[" * 1_000_000, "nested deeper"),
    "nested blocks": ("\n".join(" " * n + "a:" for n in range(2000)), "nested deeper"),
    "nested keys": ("? " * 100_000, "nested deeper"),
    "too many values": ("[" + "a," * 150_000 + "]", "holds more than"),
    "too many entries": ("a: b\n" * 80_000, "holds more than"),
    "too many anchors": ("".join(f"- &a{n} b\n" for n in range(150_000)), "holds more than"),
    "directives": ("".join(f"%TAG !a{n}! b\n" for n in range(100_000)), "begins with %"),
    "no YAML": ("a: [", "is not valid YAML"),
    "control characters": (b"a: \x01\x02", "is not valid YAML"),
    "an alias of nothing": ("- *a: b: c", "is not valid YAML"),
    "nothing": ("", "is empty"),
    "too large": ("#" * (MAX_BYTES + 1), "expected at most"),
}


@pytest.mark.parametrize("case", SMALL)
def test_yaml_that_would_expand_stays_small(case: str, tmp_path: Path) -> None:
    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    for people in read(SMALL[case], tmp_path).values():
        assert all(len(text) <= 200 for one in people for text in (one.sid, one.email, one.name))
    assert time.process_time() - began < 5
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # kB


@pytest.mark.parametrize("case", REFUSED)
def test_a_list_that_is_too_large_or_invalid_has_one_reason(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text, says = REFUSED[case]
    monkeypatch.setattr(gradescope_export, "MAX_EVENTS", 100_000)
    began = time.process_time()
    with pytest.raises(Unreadable, match=says) as error:
        read(text, tmp_path)
    assert "\n" not in str(error.value)
    assert time.process_time() - began < 15


def test_an_unreadable_list_matches_no_student_and_is_reported(tmp_path: Path) -> None:
    files = {"submission_metadata.yml": "submission_1: [" * 100, "submission_1/vae.ipynb": NOTEBOOK}
    discovery = find(write(tmp_path / "all", files), tmp_path / "unpacked", None, max_mb=1)
    assert [one.key for one in discovery.submissions] == ["submission_1"]
    assert len(discovery.remarks) == 1
    assert discovery.remarks[0].startswith("submission_metadata.yml: ")
    assert discovery.remarks[0].endswith("so its students are unknown")


def test_a_list_of_other_submissions_is_no_export(tmp_path: Path) -> None:
    files = {"submission_metadata.yml": GOOD, "ada.ipynb": NOTEBOOK, "zoe.ipynb": NOTEBOOK}
    discovery = find(write(tmp_path / "all", files), tmp_path / "unpacked", None, max_mb=1)
    assert [one.key for one in discovery.submissions] == ["ada", "zoe"]
