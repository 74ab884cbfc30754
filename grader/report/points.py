"""Points as people and machines read them, made exactly from integer thousandths."""

from __future__ import annotations

from decimal import Decimal

from grader.errors import GraderError

_MOST = 10**9  # far above any rubric, far below where a float stops being exact to a thousandth


def points_text(milli: int) -> str:
    """The shortest exact decimal: `87500` is "87.5" and `20000` is "20".

    >>> points_text(87500), points_text(20000), points_text(-1)
    ('87.5', '20', '-0.001')
    """
    whole, rest = divmod(abs(milli), 1000)
    sign = "-" if milli < 0 else ""
    return f"{sign}{whole}" + (f".{rest:03d}".rstrip("0") if rest else "")


def points_number(milli: int) -> int | float:
    """The number that JSON writes as `points_text` does: an int where whole, else at most 3 decimals."""
    return milli // 1000 if milli % 1000 == 0 else float(points_text(milli))


def milli_of(number: object) -> int:
    """The thousandths of a number that `points_number` made.

    Raises:
        GraderError: it is no number, or finer than a thousandth.
    """
    if type(number) in (int, float) and -_MOST < number < _MOST:  # type: ignore[operator]  # narrowed by the line
        milli = Decimal(repr(number)) * 1000
        if milli == milli.to_integral_value():
            return int(milli)
    raise GraderError(f"points: expected a number with at most 3 decimals, got {repr(number)[:40]}")


def of_points(milli: int, max_milli: int) -> str:
    """Points and their maximum in one phrase, "87.5 / 100"."""
    return f"{points_text(milli)} / {points_text(max_milli)}"
