"""Why checks of an item were lost, each reason once, with all the checks that it cost.

One mistake often fails many checks: an exception in a function fails every check that calls it, and checks that
presuppose those are skipped. Every form of the report shows the mistake once and counts the checks.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from grader.notebook.template import UNWRITTEN
from grader.records import CheckVerdict, ItemVerdict, Outcome
from grader.report.notebook_view import NotebookView, Trouble
from grader.report.text import listed, of_points
from grader.report.totals import is_lost
from grader.report.tracebacks import Place, place_of_line, without_file

NOT_YET = "Not written yet"  # how the message on an unwritten function begins
NEEDS_UNWRITTEN = "Needs code that is not written yet"
_KIND = r"[A-Za-z_][\w.]{0,80}"
_RAISED = re.compile(rf"(?P<kind>{_KIND}): ?(?P<text>.*?)(?:, in your line `(?P<line>.*)`)?$", re.DOTALL)
_IS_ERROR = ("Error", "Exception", "Warning", "Interrupt", "Exit", "Iteration")
_STUB = re.compile(r"(?P<name>[\w.]{1,80}) is not (?:implemented|written) yet")
_STUB_LINE = re.compile(rf"^[ \t]*raise {UNWRITTEN}\([\"'](?P<name>[\w.]{{1,80}}) is not implemented yet", re.MULTILINE)
_UNDEFINED = re.compile(r"`?\w{1,80}`? is not defined")
_OF_A_CLASS = (".__init__", ".forward")  # if one of them is not written, the class counts as unwritten
MOST_NAMES = 12
_HINTS: Sequence[tuple[str, str, str]] = (  # kind, words in the message, hint
    ("NameError|UnboundLocalError", "", "Check the spelling, and that the name is defined before this line runs."),
    ("SyntaxError|IndentationError|TabError", "", "Check brackets, colons and indentation here and one line above."),
    ("AttributeError|TypeError", "NoneType", "A value here is None. Does the function that made it return something?"),
    ("AttributeError", "", "Check the type of the object before the dot, and the spelling of the name after it."),
    ("TypeError", "argument", "Compare the call with the parameters of the function that it calls."),
    ("RuntimeError|ValueError|IndexError", "shape|size|dim", "Print the shapes here. Are they those of the task?"),
    ("RuntimeError", "same device|cuda", "Move all tensors of this line to the same device."),
    ("RuntimeError", "dtype|scalar type", "Print the dtypes of the tensors in this line."),
    ("IndexError|KeyError", "", "Print the index or key, and what the object holds."),
    ("ModuleNotFoundError|ImportError", "", "Check the name, and whether the course provides the package."),
)  # fmt: skip
_OTHER_HINT = "Run this line on a small batch, and print the values that it uses."


@dataclass(frozen=True, slots=True)
class Raised:
    """An error that stopped a student's code."""

    error: str  # "TypeError: ..."
    line: str  # of the student's code, cut; empty if it is not known


@dataclass(frozen=True, slots=True)
class LostPoints:
    """One reason, and the checks that were lost for it."""

    outcome: Outcome
    message: str
    hint: str
    checks: tuple[CheckVerdict, ...]
    raised: Raised | None = None
    unwritten: tuple[str, ...] = ()  # functions and classes, as the template names them

    @property
    def points(self) -> str:
        """The points of these checks out of their maximum, for instance "0 / 20"."""
        return of_points(sum(c.points_milli for c in self.checks), sum(c.max_points_milli for c in self.checks))

    @property
    def is_one_mistake(self) -> bool:
        """Whether the reason is shown instead of the checks, which are folded."""
        return self.raised is not None or bool(self.unwritten) or self.message.startswith(NOT_YET)


def losses(checks: Sequence[CheckVerdict]) -> tuple[LostPoints, ...]:
    """The reasons for which some of these checks were lost; a skipped check counts with the one that it presupposes."""
    groups: dict[tuple[str, ...], list[CheckVerdict]] = {}
    key_of_title: dict[str, tuple[str, ...]] = {}
    for check in filter(is_lost, checks):
        dependent = check.outcome in (Outcome.SKIPPED, Outcome.NEEDS_REVIEW)
        cause = next((title for title in key_of_title if dependent and title and check.message.endswith(title)), None)
        key = _key(check) if cause is None else key_of_title[cause]
        groups.setdefault(key, []).append(check)
        key_of_title.setdefault(check.title, key)
    return tuple(map(_loss, groups.values()))


def item_losses(item: ItemVerdict, view: NotebookView | None = None) -> tuple[LostPoints, ...]:
    """The item's losses, where one loss combines all unwritten code and the checks that could not run without it.

    With a `view`, this loss names the functions that the item's own cells leave unwritten; else those that were called
    first.
    """
    all_losses = losses(item.checks)
    error = failed.error if (failed := failed_cell(item, view)) is not None else ""
    unwritten = [loss for loss in all_losses if loss.message.startswith(NOT_YET)]
    called = [name for loss in unwritten for name in loss.unwritten] + [unwritten_name(error) or ""]
    if not unwritten and unwritten_name(error) is None:
        return all_losses
    merged = [loss for loss in all_losses if loss in unwritten or is_consequence(loss)]
    if not merged:
        return all_losses
    own = [name for cell in _cells_of(item, view) for name in stubs(view.written.get(cell, ""))] if view else []
    names = tuple(dict.fromkeys(filter(None, own or called)))
    checks = tuple(check for loss in merged for check in loss.checks)
    cells = _cells_of(item, view)
    nothing_to_write = view is not None and bool(cells) and all(cell in view.provided for cell in cells)
    message = f"{NEEDS_UNWRITTEN}: {listed(names, MOST_NAMES)}" if nothing_to_write else not_written(names)
    whole = LostPoints(merged[0].outcome, message, next(_hints(checks), ""), checks, unwritten=names)
    return (whole, *(loss for loss in all_losses if loss not in merged))


def failed_cell(item: ItemVerdict, view: NotebookView | None) -> Trouble | None:
    """The error in a cell of the item, if the item lost points and the line is known; else None."""
    if view is None or not any(map(is_lost, item.checks)):
        return None
    troubles = (view.troubles.get(cell) for cell in _cells_of(item, view))
    return next((trouble for trouble in troubles if trouble and trouble.error and trouble.place), None)


def unwritten_mark(item: ItemVerdict, view: NotebookView | None) -> str:
    """A mark for an item that earned nothing only because code is not written; empty for any other item."""
    all_losses = item_losses(item, view)
    if not all_losses or item.points_milli or not all(loss.unwritten for loss in all_losses):
        return ""
    return "not ready" if any(loss.message.startswith(NEEDS_UNWRITTEN) for loss in all_losses) else "not written"


def is_affected(loss: LostPoints, item: ItemVerdict, view: NotebookView | None) -> bool:
    """Whether the loss follows from the item's cell that stopped with an error, and is not a separate mistake."""
    failed = failed_cell(item, view)
    if failed is None or view is None or unwritten_name(failed.error) is not None:
        return False
    is_provided = any(view.troubles.get(cell) == failed and cell in view.provided for cell in _cells_of(item, view))
    return is_consequence(loss) or (is_provided and not loss.is_one_mistake)


def cause_elsewhere(item: ItemVerdict, items: Sequence[ItemVerdict], view: NotebookView | None) -> int | None:
    """The index of a provided cell of the item's part that stopped, and so did not train or define what the item needs.

    None if there is no such cell, if a cell of the item itself failed, or if the losses have reasons of their own.
    """
    own_reasons = (loss.is_one_mistake for loss in item_losses(item, view))
    if view is None or failed_cell(item, view) is not None or all(own_reasons):
        return None
    part = item.part
    cells = [cell for other in items if other.part == part for cell in _cells_of(other, view)]
    stopped = (cell for cell in cells if cell in view.provided and cell in view.troubles)
    return next((cell for cell in stopped if unwritten_name(view.troubles[cell].error) is None), None)


def item_cause(item: ItemVerdict, items: Sequence[ItemVerdict], view: NotebookView | None) -> str:
    """A sentence for staff on the stopped cell that cost the item points; empty if there is no such cell."""
    failed, elsewhere = failed_cell(item, view), cause_elsewhere(item, items, view)
    if failed is not None and failed.place is not None:
        place = failed.place
        return f"{failed.error}, in cell {place.cell + 1}, line {place.line}: {place.source}"
    if view is not None and elsewhere is not None:
        return cause_sentence(elsewhere, view)
    return ""


def cause_sentence(cell: int, view: NotebookView) -> str:
    """A sentence on a cell that stopped, as the probable cause of lost points, with the line to look at."""
    trouble = view.troubles[cell]
    if trouble.place is None:
        return f"Probably because of cell {cell + 1}. {trouble.message}"
    place = f"cell {trouble.place.cell + 1}, line {trouble.place.line}"
    return f"Probably because cell {cell + 1} stopped with an error ({place}): {trouble.error}"


def is_consequence(loss: LostPoints) -> bool:
    """Whether the loss only says that a name is not defined: the cell that defines it has not run to its end."""
    return _UNDEFINED.fullmatch(loss.message) is not None


def stubs(source: str) -> list[str]:
    """The functions and classes that this code leaves unwritten, as the template has them."""
    return list(dict.fromkeys(_named(match["name"]) for match in _STUB_LINE.finditer(source)))


def not_written_anywhere(items: Sequence[ItemVerdict], view: NotebookView | None = None) -> str:
    """A sentence on the unwritten functions and classes if they affect several items; else empty."""
    of_items = [[name for loss in item_losses(item, view) for name in loss.unwritten] for item in items]
    names = tuple(dict.fromkeys(name for of_item in of_items for name in of_item))
    return f"{not_written(names)}." if names and sum(map(bool, of_items)) > 1 else ""


def raised(check: CheckVerdict) -> Raised | None:
    """The error that stopped the student's code during the check, from the check's message; None for other outcomes."""
    match = _RAISED.fullmatch(check.message) if check.outcome in (Outcome.FAILED, Outcome.PARTIAL) else None
    if match is None or not (match["line"] or match["kind"].endswith(_IS_ERROR)):
        return None
    return Raised(f"{match['kind']}: {without_file(match['text'])}".rstrip(": "), (match["line"] or "").strip())


def hint_on(error: str) -> str:
    """A hint on where to look, by the kind and the message of an error."""
    kind, _, text = error.partition(":")
    for kinds, words, hint in _HINTS:
        if re.fullmatch(kinds, kind) and re.search(words, text[:1000]):
            return hint
    return _OTHER_HINT


def unwritten_name(error: str) -> str | None:
    """The unwritten function or class, empty if the error does not name it; None for an error of another kind."""
    kind, _, text = error.partition(": ")
    if kind.rstrip(":") != UNWRITTEN:
        return None
    match = _STUB.match(text)
    return _named(match["name"]) if match else ""


def place_of(loss: LostPoints, sources: Mapping[int, str]) -> Place | None:
    """The line in which the error was raised, found by its text in the student's cells."""
    return place_of_line(sources, loss.raised.line) if loss.raised and loss.raised.line else None


def _cells_of(item: ItemVerdict, view: NotebookView | None) -> Sequence[int]:
    return view.places.get(item.id, ()) if view is not None else ()


def _named(name: str) -> str:
    """The function or class that counts as unwritten: `Encoder` for `Encoder.forward` or `Encoder.__init__`."""
    return next((name.removesuffix(end) for end in _OF_A_CLASS if name.endswith(end)), name)


def _key(check: CheckVerdict) -> tuple[str, ...]:
    error = raised(check)
    if error is None:
        return (str(check.outcome), check.message or check.title or check.id)
    name = unwritten_name(error.error)
    return ("error", error.error, error.line) if name is None else ("unwritten", name)


def _loss(checks: Sequence[CheckVerdict]) -> LostPoints:
    first, error = checks[0], raised(checks[0])
    hint = next(_hints(checks), "")
    if error is None:
        return LostPoints(first.outcome, first.message or first.title or first.id, hint, tuple(checks))
    name = unwritten_name(error.error)
    if name is None:
        return LostPoints(first.outcome, error.error, hint or hint_on(error.error), tuple(checks), raised=error)
    names = (name,) if name else ()
    return LostPoints(first.outcome, not_written(names), hint, tuple(checks), unwritten=names)


def _hints(checks: Sequence[CheckVerdict]) -> Iterator[str]:
    return (check.hint for check in checks if check.hint)


def not_written(names: Sequence[str]) -> str:
    """The names that are not written, as the start of a sentence."""
    return NOT_YET + (f": {listed(names, MOST_NAMES)}" if names else "")
