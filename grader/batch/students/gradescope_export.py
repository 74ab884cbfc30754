"""Gradescope's `submission_metadata.yml`: the submitters of each folder, read within limits.

"Export Submissions" writes this file beside the folders: for each folder `:created_at:` and `:submitters:`, a list of
`:name:`, `:sid:` and `:email:`. Only these texts are kept; results, history and the rest are skipped while
reading. No objects are constructed: a number stays a text, and an alias stands for at most one text, so that memory
cannot grow beyond the file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from grader.batch.students.course_words import when_of
from grader.errors import one_line
from grader.store.bounded import Unreadable, file_bytes

METADATA = "submission_metadata.yml"
_FAST = bool(yaml.__with_libyaml__)  # PyYAML's own parser is 20 times slower than libyaml's
MAX_BYTES = 20_000_000 if _FAST else 500_000
MAX_EVENTS = 2_000_000 if _FAST else 100_000  # takes seconds; a class of 1,000 with results and history has fewer
MAX_DEPTH = 30
MAX_ANCHORS = 100_000
MAX_TEAM = 20
MAX_TEXT = 200
_DIRECTIVE = re.compile(
    "(?:^|[\r\n\x85\u2028\u2029\ufeff])%"
)  # no system writes directives, and many of them would take libyaml minutes
_STEP = {yaml.SequenceStartEvent: 1, yaml.MappingStartEvent: 1, yaml.SequenceEndEvent: -1, yaml.MappingEndEvent: -1}
_NOTHING = {"", "~", "null", "Null", "NULL"}


@dataclass(frozen=True, slots=True)
class Submitter:
    """A submitter of a folder, according to the export."""

    sid: str = ""
    email: str = ""
    name: str = ""
    when: datetime | None = None  # the time of submission


def read_submitters(path: Path) -> dict[str, tuple[Submitter, ...]]:
    """The submitters of each folder; folders without a submitter are left out.

    Raises:
        Unreadable: if the file is not YAML, or exceeds the limits.
    """
    text = file_bytes(path, MAX_BYTES).decode("utf-8", errors="replace")
    if _DIRECTIVE.search(text):
        raise Unreadable("has a line that begins with %, which Gradescope never writes")
    nodes = _Nodes(text)
    submitters_of: dict[str, tuple[Submitter, ...]] = {}
    try:
        for folder, entry in nodes.entries(nodes.first()):
            if people := _submitters(nodes, entry):
                submitters_of[folder] = people
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise Unreadable("is not valid YAML" + (f" (line {mark.line + 1})" if mark else "")) from None
    return submitters_of


def _submitters(nodes: _Nodes, entry: yaml.Event) -> tuple[Submitter, ...]:
    people: list[Submitter] = []
    when = None
    for key, value in nodes.entries(entry):
        if key.removeprefix(":") == "submitters":
            people += _people(nodes, value)
        elif key.removeprefix(":") == "created_at":
            when = when_of(nodes.text(value))
        else:
            nodes.skip(value)
    return tuple(replace(person, when=when) for person in people)


def _people(nodes: _Nodes, value: yaml.Event) -> Iterator[Submitter]:
    for number, item in enumerate(nodes.items(value)):
        fields = {name.removeprefix(":"): nodes.text(node) for name, node in nodes.entries(item)}
        person = Submitter(fields.get("sid", ""), fields.get("email", ""), fields.get("name", ""))
        if number < MAX_TEAM and any((person.sid, person.email, person.name)):
            yield person


class _Nodes:
    """The nodes of the first document, one by one: the receiver of a node's first event must read the whole node."""

    def __init__(self, text: str) -> None:
        loader: Any = yaml.CSafeLoader if _FAST else yaml.SafeLoader
        self._events = yaml.parse(text, Loader=loader)
        self._anchors: dict[str, str] = {}
        self._count = self._depth = 0

    def first(self) -> yaml.Event:
        """The first event of the document's only node."""
        for event in self._events:
            if not isinstance(event, yaml.StreamStartEvent | yaml.DocumentStartEvent):
                return self._counted(event)
        raise Unreadable("is empty")

    def entries(self, event: yaml.Event) -> Iterator[tuple[str, yaml.Event]]:
        """Each key of a mapping with its value's first event; empty for another node."""
        if not isinstance(event, yaml.MappingStartEvent):
            self.skip(event)
            return
        while not isinstance(key := self._next(), yaml.MappingEndEvent):
            name = self.text(key)
            yield name, self._next()

    def items(self, event: yaml.Event) -> Iterator[yaml.Event]:
        """The first event of each item of a sequence; empty for another node."""
        if not isinstance(event, yaml.SequenceStartEvent):
            self.skip(event)
            return
        while not isinstance(item := self._next(), yaml.SequenceEndEvent):
            yield item

    def text(self, event: yaml.Event) -> str:
        """The text on one line; empty for a node without text."""
        if isinstance(event, yaml.AliasEvent):
            return self._anchors.get(event.anchor or "", "")
        if not isinstance(event, yaml.ScalarEvent):
            self.skip(event)
            return ""
        plain = event.style in {None, ""}
        return "" if plain and event.value in _NOTHING else one_line(event.value.strip(), MAX_TEXT)

    def skip(self, event: yaml.Event) -> None:
        """Reads the node to its end."""
        if isinstance(event, yaml.CollectionStartEvent):
            outside = self._depth - 1
            while self._depth > outside:
                self._next()

    def _next(self) -> yaml.Event:
        return self._counted(next(self._events))

    def _counted(self, event: yaml.Event) -> yaml.Event:
        self._count += 1
        self._depth += _STEP.get(type(event), 0)
        if self._count > MAX_EVENTS:
            raise Unreadable(f"holds more than {MAX_EVENTS} keys, values and lists")
        if self._depth > MAX_DEPTH:
            raise Unreadable(f"is nested deeper than {MAX_DEPTH} levels")
        if type(event) is yaml.ScalarEvent and event.anchor and len(self._anchors) < MAX_ANCHORS:
            self._anchors[event.anchor] = one_line(event.value.strip(), MAX_TEXT)
        return event
