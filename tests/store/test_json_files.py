"""One reader and one writer for the grader's own JSON: within bounds, of the right types, and in the same bytes."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from grader.batch.history import NAME, append, read_history
from grader.errors import GraderError
from grader.report.report_json import dump, read_report_json
from grader.store.bounded import Unreadable
from grader.store.json_files import json_line, parse_json, read_cached, read_json, store_cached, write_json

EARLIER = Path(__file__).parent / "earlier"  # what a version wrote whose readers and writers were each its own


@dataclass(frozen=True)
class Pair:
    """Something to store."""

    name: str
    numbers: tuple[int, ...] = ()


PAIR: TypeAdapter[Pair] = TypeAdapter(Pair)


def test_a_report_of_an_earlier_version_is_read_and_written_in_the_same_bytes() -> None:
    content = (EARLIER / "report.json").read_bytes()
    report = read_report_json(content)
    assert (report.points_milli, report.items[1].override is not None, report.late is not None) == (4750, True, True)
    assert dump(report) == content


@pytest.mark.parametrize(
    ("record", "names"),
    [
        (lambda values: values, ("format", "points", "max_points", "items", "seed", "checksums")),
        (lambda values: values["items"][1], ("id", "points", "max_points", "gained", "checks", "outcome")),
        (lambda values: values["items"][1]["checks"][0], ("id", "points", "max_points", "message")),
        (lambda values: values["items"][1]["override"], ("points", "was", "reason", "by")),
    ],
)
def test_a_report_that_lacks_something_is_refused_by_its_name(
    record: Callable[[dict[str, Any]], dict[str, Any]], names: tuple[str, ...]
) -> None:
    for name in names:
        values = json.loads((EARLIER / "report.json").read_bytes())
        del record(values)[name]
        with pytest.raises(GraderError, match=rf"^report\.json: .*{name}.*; grade the submission again$"):
            read_report_json(json.dumps(values).encode())


def test_a_history_of_an_earlier_version_is_read_and_written_in_the_same_bytes(tmp_path: Path) -> None:
    events = read_history(EARLIER)
    assert [(event.old_milli, event.new_milli) for event in events] == [(None, 8250), (8250, 9000)]
    append(tmp_path, events)
    assert (tmp_path / NAME).read_bytes() == (EARLIER / NAME).read_bytes()


def test_values_are_read_back_as_written(tmp_path: Path) -> None:
    pair = Pair("ada \udcff", (1, 2))
    write_json(tmp_path / "pair.json", PAIR, Pair("ada", (1, 2)))
    assert read_json(tmp_path / "pair.json", PAIR) == Pair("ada", (1, 2))
    line = json_line(PAIR, pair)
    assert (line.isascii(), line.count(b"\n")) == (True, 1)
    assert parse_json(json_line(PAIR, Pair("Zoë\n", (3,))), PAIR) == Pair("Zoë\n", (3,))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b'{"name": 3}', "name: expected text, got 3"),
        (b'{"numbers": [1]}', "name: is missing"),
        (b'{"name": "a", "numbers": [1, "x"]}', r"numbers\[1\]: expected a whole number, got 'x'"),
        (b'{"name": "a", "numbers": [NaN]}', "not finite"),
        (b"[]", "expected a table, got a list"),
        (b"[" * 5000, "nested too deep"),
        (b"\xff", "not UTF-8"),
        (json.dumps({"name": "a", "numbers": list(range(20_000))}).encode(), "too many"),
    ],
)
def test_anything_else_is_refused_with_its_place(content: bytes, says: str) -> None:
    with pytest.raises(Unreadable, match=says):
        parse_json(content, PAIR, most_values=10_000)


def test_a_larger_file_than_is_read_is_refused(tmp_path: Path) -> None:
    write_json(tmp_path / "pair.json", PAIR, Pair("a" * 100))
    with pytest.raises(Unreadable, match="expected at most"):
        read_json(tmp_path / "pair.json", PAIR, most_bytes=50)


def test_a_cache_gives_its_value_for_the_same_source_alone(tmp_path: Path) -> None:
    path = tmp_path / "cache.json"
    store_cached(path, PAIR, Pair("a"), {"notebook": "1"})
    assert read_cached(path, PAIR, {"notebook": "1"}) == Pair("a")
    assert read_cached(path, PAIR, {"notebook": "2"}) is None
    path.write_bytes(b"{")
    assert read_cached(path, PAIR, {"notebook": "1"}) is None
