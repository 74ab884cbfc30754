"""Frames: every record is read back as written, invalid bytes are refused, and only `frames.py` writes their names.

The records are found by introspection, so that a new one is tested without being named here.
"""

from __future__ import annotations

import ast
import contextlib
import json
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_exercise import running

from grader.records import Limits
from grader.sandbox import received_frames
from grader.sandbox.in_box import frames
from grader.sandbox.in_box.frames import (
    FROM_BOX,
    LARGE,
    MAX_ADDRESS,
    MAX_CELLS,
    MAX_FRAMES,
    MAX_SECONDS,
    MAX_TEXT,
    READ,
    TO_BOX,
    Address,
    CellRequest,
    CellStatus,
    CellStep,
    Frame,
    Malformed,
    Replay,
    Stage,
    StageStatus,
    StageStep,
    from_box,
    to_box,
)
from grader.sandbox.in_box.wire import MAX_NAME, WireError
from grader.sandbox.received_frames import Inbox

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "wall.md"
RECORDS = [pytest.param(record, id=record.__name__) for record in (*TO_BOX, *FROM_BOX)]
HOSTILE = [pytest.param(record, id=record.__name__) for record in FROM_BOX]

WORDS = st.from_regex(r"[a-z0-9_-]{1,12}", fullmatch=True)
STAGES = st.builds(Stage.of, WORDS, WORDS)
LINES = st.text("abcäß ,.:(){}'\"/\\", max_size=MAX_TEXT).map(lambda text: " ".join(text.split()))
SECONDS = st.integers(0, 10**6).map(lambda thousandths: thousandths / 1000)
CELL_STEPS = st.builds(
    CellStep, st.integers(0, 99), st.text(max_size=30), SECONDS, st.sampled_from(Replay), st.text(max_size=9)
)
STAGE_STEPS = st.builds(StageStep, STAGES, SECONDS, SECONDS, st.booleans())

# By a field's type as it is written: values that a sender may put there.
SENT: dict[str, st.SearchStrategy[Any]] = {
    "Stage": STAGES,
    "Stage | None": st.none() | STAGES,
    "Address": st.builds(Address.of, WORDS, WORDS, WORDS),
    "CellStatus": st.sampled_from(CellStatus),
    "StageStatus": st.sampled_from(StageStatus),
    "CellRequest": st.sampled_from(CellRequest),
    "Replay": st.sampled_from(Replay),
    "Index": st.integers(0, MAX_CELLS - 1),
    "Index | None": st.none() | st.integers(0, MAX_CELLS - 1),
    "Seconds": SECONDS,
    "int": st.integers(0, 10**12),
    "float": SECONDS,
    "bool": st.booleans(),
    "str": LINES,
    "Source": st.text(max_size=30),
    "bytes": st.binary(max_size=300),
    "bytes | None": st.none() | st.lists(LINES, max_size=3).map(lambda one: json.dumps(one).encode()),
    "Mapping[str, Any]": st.dictionaries(WORDS, st.dictionaries(WORDS, st.lists(WORDS, max_size=2))),
    "tuple[str, ...]": st.lists(LINES, max_size=3).map(tuple),
    "tuple[Step, ...]": st.lists(CELL_STEPS | STAGE_STEPS, max_size=3).map(tuple),
}
# And what whoever reads it may rely on.
PREDICATES: dict[str, Callable[[Any], bool]] = {
    "Stage": lambda value: type(value) is Stage and value.isprintable() and len(value) <= MAX_ADDRESS,
    "Stage | None": lambda value: value is None or PREDICATES["Stage"](value),
    "Address": lambda value: type(value) is Address and value.isprintable() and len(value) <= MAX_ADDRESS,
    "CellStatus": lambda value: isinstance(value, CellStatus),
    "StageStatus": lambda value: isinstance(value, StageStatus),
    "CellRequest": lambda value: isinstance(value, CellRequest),
    "Replay": lambda value: isinstance(value, Replay),
    "Index": lambda value: type(value) is int and 0 <= value < MAX_CELLS,
    "Index | None": lambda value: value is None or PREDICATES["Index"](value),
    "Seconds": lambda value: type(value) is float and 0 <= value < MAX_SECONDS,
    "int": lambda value: isinstance(value, int),
    "float": lambda value: isinstance(value, int | float),
    "bool": lambda value: type(value) is bool,
    "str": lambda value: isinstance(value, str) and len(value) <= MAX_TEXT and (not value or value.isprintable()),
    "Source": lambda value: isinstance(value, str),
    "bytes": lambda value: isinstance(value, bytes),
    "bytes | None": lambda value: value is None or isinstance(value, bytes),
    "Mapping[str, Any]": lambda value: isinstance(value, dict),
    "tuple[str, ...]": lambda value: isinstance(value, tuple) and all(map(PREDICATES["str"], value)),
    "tuple[Step, ...]": lambda value: isinstance(value, tuple) and all(map(holds, value)),
}
ODD = [
    *(None, True, False, 0, -1, 5, 10**30, 0.5, -0.5, math.nan, math.inf, 1e300),
    *("", "ok", "x" * 30_000, "a\ud800b", "a\x1b[31m\nb\u202e", "a.b", "a.b/c", "../..", "12", "²", "a.b/c/d"),
    *([], ["ok"], [[[]]], {}, {"ok": 1}, {"stage": "a.b"}, [{"index": 1}], [{"stage": 5}], [None], {"": {"": []}}),
]
ODD_VALUES = st.sampled_from(ODD) | st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
ODD_DATA = [
    *(b"", b"{", b"{}", b"[]", b"7", b"null", b"NaN", b'"a"', b"\xff\xfe", b"\0" * 50, b"\xef\xbb\xbf{}"),
    *(b"[" * 20_000, b'{"a":' * 4000, b'{"cell": 1' + b"0" * 9000 + b"}", b'{"seconds": 1e999, "status": "ok"}'),
    *(b', "outputs": [', b'{"status": "ok", "seconds": 1, "outputs": [', b'{"status": "ok", "outputs": []}'),
]
ODD_ABOUT = ["", "/", "a", "a.b", "a.b/c", "a.b/c/d", "a..b", ".a", "a.b.c/d", "a.b/\n", "ä.ö/ü"]
ODD_ABOUT += ["²", "-1", "007", "9" * 150]


def decoder(record: type[Frame]) -> Callable[[str, bytes], Frame]:
    return to_box if record in TO_BOX else from_box


def honest_records(record: type[Frame]) -> st.SearchStrategy[Frame]:
    """Records as an honest sender makes them."""
    return st.builds(record, **{one.name: SENT[str(one.type)] for one in fields(record)})


def holds(record: Any) -> bool:
    """Whether every field is what its type promises."""
    return all(PREDICATES[str(one.type)](getattr(record, one.name)) for one in fields(record))


def is_believed_or_refused(record: type[Frame], name: str, data: bytes) -> None:
    with contextlib.suppress(Malformed):
        read = decoder(record)(name, data)
        assert holds(read), read
        if read.bound.size is not None:
            assert len(data) <= read.bound.size


def test_every_record_crosses_in_one_direction_under_its_own_name() -> None:
    records = (*TO_BOX, *FROM_BOX)
    assert sorted(map(id, records)) == sorted(map(id, Frame.__subclasses__()))
    assert len({record.kind for record in records}) == len(records)
    assert all(record.__doc__ and record.__doc__.endswith(".") for record in records)


@pytest.mark.parametrize("record", RECORDS)
def test_every_field_has_a_type_that_says_how_it_is_read(record: type[Frame]) -> None:
    named = {one.name: str(one.type) for one in fields(record)}
    assert set(named.values()) <= set(READ) == set(SENT) == set(PREDICATES)
    assert record.about in {"", *named}


@pytest.mark.parametrize("record", RECORDS)
def test_a_record_is_read_as_it_was_written(record: type[Frame]) -> None:
    @given(honest_records(record))
    def holds_for(sent: Frame) -> None:
        name, data = sent.encode()
        assert len(name.encode()) <= MAX_NAME
        assert decoder(record)(name, data) == sent
        other = from_box if record in TO_BOX else to_box
        with pytest.raises(Malformed):  # no frame is taken in the wrong direction
            other(name, data)

    holds_for()


@pytest.mark.parametrize("record", RECORDS)
def test_a_record_with_odd_values_is_refused_or_made_harmless(record: type[Frame]) -> None:
    names = [one.name for one in fields(record) if one.name != record.about]

    @given(
        honest_records(record), st.dictionaries(st.sampled_from([*names, "other"]), ODD_VALUES), st.sampled_from(ODD)
    )
    def holds_for(sent: Frame, odd: dict[str, Any], whole: Any) -> None:
        name, data = sent.encode()
        values = {} if hasattr(sent, "tensors") or not data else json.loads(data)
        is_believed_or_refused(record, name, json.dumps(whole).encode())
        for missing in odd:
            without = {key: value for key, value in values.items() if key != missing}
            is_believed_or_refused(record, name, json.dumps(without).encode())
        is_believed_or_refused(record, name, json.dumps({**values, **odd}).encode())

    holds_for()


@pytest.mark.parametrize("record", RECORDS)
def test_any_bytes_under_any_name_are_refused_or_made_harmless(record: type[Frame]) -> None:
    for about in ODD_ABOUT:
        for name in (f"{record.kind}/{about}", record.kind, f"{record.kind}x/{about}", f"/{record.kind}"):
            for data in ODD_DATA:
                is_believed_or_refused(record, name, data)

    @given(honest_records(record), st.binary(max_size=100), st.integers(0, 400), st.integers(0, 400))
    def holds_for(sent: Frame, junk: bytes, start: int, stop: int) -> None:
        name, data = sent.encode()
        is_believed_or_refused(record, name, data[:start] + junk + data[stop:])
        is_believed_or_refused(record, f"{record.kind}/{junk.decode(errors='replace')}", data)

    holds_for()


@pytest.mark.parametrize("record", RECORDS)
def test_frames_larger_than_their_limit_are_refused(record: type[Frame]) -> None:
    size, limit = record.bound.size, record.bound.limit
    if size is None:
        assert limit in {one.name for one in fields(Limits)}
    elif size < LARGE:  # of the others, the wire takes no more
        name, data = example(record).encode()
        with pytest.raises(Malformed):
            decoder(record)(name, data + b" " * (size + 1 - len(data)))
    assert size is None or not limit


def example(record: type[Frame], number: int = 0) -> Frame:
    """A record about the stage, question or cell of that number."""
    values: dict[str, Any] = {"Stage": Stage(f"s.{number}"), "Address": Address(f"s.t/{number}"), "Index": number}
    values |= {"CellStatus": CellStatus.OK, "StageStatus": StageStatus.OK, "Seconds": 1.0, "str": "said", "int": 1}
    values |= {"tuple[str, ...]": (), "tuple[Step, ...]": (), "Mapping[str, Any]": {}, "bytes": b"", "float": 1.0}
    return record(**{one.name: values[str(one.type)] for one in fields(record) if str(one.type) in values})


def filed(inbox: Inbox) -> int:
    """How many frames are kept."""
    return sum(map(len, (inbox.cells, inbox.answers, inbox.unanswered, inbox.stages, inbox.faults)))


@pytest.mark.parametrize("record", HOSTILE)
def test_no_more_of_a_kind_are_kept_than_its_bound_says(record: type[Frame]) -> None:
    inbox = Inbox(running.rubric().limits)
    for number in range(3000):
        inbox.put(*example(record, number).encode())
    assert filed(inbox) <= min(record.bound.frames, 3000)


@pytest.mark.parametrize("record", HOSTILE)
def test_endless_frames_end_the_run(record: type[Frame], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(received_frames, "MAX_FRAMES", 500)
    inbox = Inbox(running.rubric().limits)
    name, data = example(record).encode()
    for _ in range(500):
        inbox.put(name, data)
    with pytest.raises(WireError, match="frames"):
        inbox.put(name, data)


@pytest.mark.parametrize("record", HOSTILE)
def test_large_frames_use_up_the_available_room(record: type[Frame]) -> None:
    inbox = Inbox(running.rubric(evidence_mb=2, output_mb=1).limits)
    name, data = example(record).encode()
    for _ in range(100):
        if len(data) + 100_000 <= inbox.room_bytes:
            inbox.put(name, data + b" " * 100_000)
    kept = sum(map(len, inbox.answers.values()))
    assert kept <= 2_000_000
    assert inbox.room_bytes <= 2_000_000
    assert filed(inbox) <= 1


@pytest.mark.parametrize(
    "text",
    ["", "a", "a.", ".b", "a.b.c", "a.b/", "a b.c", "a/b.c", "a\n.b", "../..", "a.b\x00", "a." + "b" * MAX_ADDRESS],
)
def test_texts_that_are_not_stages_are_not_addresses_either(text: str) -> None:
    with pytest.raises(Malformed):
        Stage(text)
    for whole in (text, f"{text}/c", f"a.b/{text}/c", f"a.b/{text or '/'}."):
        with pytest.raises(Malformed):
            Address(whole)


@given(WORDS, WORDS, WORDS, WORDS)
def test_an_address_is_its_text_and_gives_its_parts(kind: str, part: str, question: str, name: str) -> None:
    address = Address.of(kind, part, question)
    stage = address.stage
    assert (stage, stage.kind, stage.part, address.question) == (Stage.of(kind, part), kind, part, question)
    assert address == Address(str(address)) == stage.question(question) == f"{kind}.{part}/{question}"
    array = address.array(name)
    assert address.holds(array)
    assert stage.holds(array)
    assert stage.holds(address)
    assert not address.holds(address)
    assert not Address.of(kind, part, f"{question}_").holds(array)
    assert stage.arrays({stage.array(name): 1, array + "x": 2, f"other{array}": 3})[name] == 1


# What the product spells: nothing but the schema.

KINDS_OF_STAGES = "components|sampling|trained|quality|decode|replace"
SPELT = re.compile(rf"^(?:{'|'.join(record.kind for record in (*TO_BOX, *FROM_BOX) if record.about)})/")
ADDRESS = re.compile(rf"^(?:{KINDS_OF_STAGES})\.(?:\w|$)")
PLACES = {"stage", "source", "address", "questions"}
SPLITTING = {"partition", "rpartition", "split", "rsplit", "startswith", "removeprefix"}
# An exercise's probe runs in the student's process, where the schema cannot be imported: there a stage is its text.
PRODUCT = [
    path
    for path in sorted([*(ROOT / "grader").rglob("*.py"), *(ROOT / "benchmarks").rglob("*.py")])
    if path.name != "frames.py" and not ("in_box" in path.parts and path.name == "probe.py")
]


def spelt(path: Path) -> Iterator[str]:
    """What the file spells or splits of a frame's name or an address."""
    tree = ast.parse(path.read_text())
    texts = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}  # docstrings
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in texts:
            if SPELT.match(node.value) or ADDRESS.match(node.value):
                yield f"{node.lineno}: {node.value!r}"
        elif isinstance(node, ast.JoinedStr):
            yield from (f"{node.lineno}: {ast.unparse(node)}" for pair in pairs(node) if is_address(*pair))
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            arguments = [one.value for one in node.args if isinstance(one, ast.Constant) and isinstance(one.value, str)]
            splits = (
                node.func.attr in SPLITTING
                and last_name(node.func.value) in PLACES
                and re.search("[./]", "".join(arguments))
            )
            if splits or (arguments and node.func.attr in {"put", "send", "write_frame"}):
                yield f"{node.lineno}: {ast.unparse(node)}"


def pairs(node: ast.JoinedStr) -> Iterator[tuple[str, str, str]]:
    """The names that the text joins, with what stands between them."""
    for left, between, right in zip(node.values, node.values[1:], node.values[2:], strict=False):
        if isinstance(between, ast.Constant) and isinstance(left, ast.FormattedValue):
            yield last_name(left.value), str(between.value), last_name(getattr(right, "value", None))


def is_address(left: str, between: str, right: str) -> bool:
    return (between == "." and left == "kind" and right == "part") or (between.startswith("/") and left in PLACES)


def last_name(node: object) -> str:
    return str(getattr(node, "attr", getattr(node, "id", "")))


def test_no_other_file_spells_a_frames_name_or_splits_an_address() -> None:
    assert [f"{path.relative_to(ROOT)}:{spelling}" for path in PRODUCT for spelling in spelt(path)] == []


def test_hand_written_addresses_are_found(tmp_path: Path) -> None:
    for source in (
        'f"unanswered/{stage}"',
        '"components.vae/loss"',
        'f"trained.{part}/history"',
        'f"{kind}.{part}"',
        'f"{stage}/{name}"',
        'step.source.partition("/")',
        'channel.send("done")',
        'stage.startswith("replace.")',
    ):
        path = tmp_path / "x.py"
        path.write_text(f"x = {source}\n")
        assert list(spelt(path)), source


# The page.


def row(record: type[Frame]) -> list[str]:
    """What the page says of the record, except for what becomes of a wrong one."""
    name = f"`{record.kind}/<{record.about}>`" if record.about else f"`{record.kind}`"
    inside = [f"`{one.name}`" for one in fields(record) if one.name != record.about]
    way = "to" if record in TO_BOX else "from"
    return [name, way, (record.__doc__ or "").strip().splitlines()[0], ", ".join(inside) or "none", bound(record)]


def bound(record: type[Frame]) -> str:
    """The largest number of frames, if there is one for this kind, and the largest size."""
    count, size = record.bound.frames, record.bound.size
    frames_most = "" if count == MAX_FRAMES else "1 frame" if count == 1 else f"{count:,} frames"
    if size is None:
        return ", ".join(filter(None, (frames_most, f"`{record.bound.limit}` in all")))
    if size == 0:
        return f"{frames_most} without data" if frames_most else "no data"
    return " of ".join(filter(None, (frames_most, f"at most {size:,} bytes")))


def test_the_page_says_what_the_records_say() -> None:
    table = [line.strip("| ").split(" | ") for line in PAGE.read_text().splitlines() if line.startswith("| `")]
    assert [cells[:5] for cells in table] == [row(record) for record in (*TO_BOX, *FROM_BOX)]
    assert all(len(cells) == 6 and cells[5] for cells in table)
    for name, number in (("MAX_FRAMES", MAX_FRAMES), ("MAX_NAME", MAX_NAME), ("MAX_TEXT", MAX_TEXT)):
        assert f"{number} " in PAGE.read_text(), name


def test_the_page_names_code_that_is_there() -> None:
    for module, name in re.findall(r"`(\w+(?:/\w+)*\.py)`, `(\w+)`", PAGE.read_text()):
        text = (ROOT / "grader" / module).read_text()
        assert re.search(rf"\b(def|class) {name}\b|^{name} =", text, re.MULTILINE), f"{module}: {name}"


def test_the_schema_needs_only_the_standard_library() -> None:
    tree = ast.parse(Path(frames.__file__).read_text())
    named = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    named |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert named == {"__future__", "collections.abc", "dataclasses", "enum", "functools", "json", "re", "typing"}
