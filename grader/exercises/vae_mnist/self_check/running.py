"""`self_check("vae.encoder")` tries one task and prints what it found: it never raises, and leaves all as it was."""

import contextlib as _contextlib
import io as _io
import random as _random
import signal as _signal
import threading as _threading
import traceback as _traceback
import warnings as _warnings
from collections.abc import Iterator as _Iterator
from typing import Any as _Any

import numpy as _numpy
import torch as _torch

from grader.exercises.vae_mnist.self_check.functions import _SelfCheck
from grader.exercises.vae_mnist.self_check.networks import _Line, _NotFilled

_TASKS = {
    "vae": ("encoder", "decoder", "reparameterization", "loss", "training", "sampling"),
    "cvae": ("encoder", "decoder", "reparameterization", "training", "sampling"),
}
_LONGEST_S = 20  # then a task is stopped, so that an endless loop does not stop the notebook


class _TooSlow(BaseException):
    """Not an Exception, so that the notebook's own `except Exception` does not swallow it."""


def self_check(item: str) -> None:
    """Prints what the notebook's code of that task does, for instance `self_check("vae.encoder")`."""
    part, _, task = item.partition(".")
    if task not in _TASKS.get(part, ()):
        print("self_check knows", ", ".join(f"{part}.{task}" for part in _TASKS for task in _TASKS[part]))
        return
    lines: list[_Line] = []
    open_still = ""
    try:
        with _as_it_was(), _quiet(), _stopped_after(_LONGEST_S):
            for line in getattr(_SelfCheck(globals(), part), task)():
                lines.append(line)
    except (NotImplementedError, _NotFilled) as reason:
        open_still = f"– not filled yet: {_one_line(reason)}"
    except _TooSlow:
        lines.append((False, "running it", f"an end within {_LONGEST_S} s", "it was stopped"))
    except KeyboardInterrupt:
        raise  # the student stops the cell
    except BaseException as error:
        got = f"{type(error).__name__}: {_one_line(error)}{_where(error)}"
        lines.append((False, "running it", "no error", got))
    held = sum(holds for holds, *_ in lines)
    print(f"{item}: {open_still or f'{held} of {len(lines)} as expected'}")
    for holds, what, expected, got in lines:
        print(f"  {'✓' if holds else '✗'} {what}: expected {expected}; got {got}")


@_contextlib.contextmanager
def _as_it_was() -> _Iterator[None]:
    """Random numbers go on afterwards as if nothing had been drawn; meanwhile they are always the same."""
    python, numpy = _random.getstate(), _numpy.random.get_state()
    cuda = list(range(_torch.cuda.device_count())) if _torch.cuda.is_available() else []
    with _torch.random.fork_rng(cuda), _torch.enable_grad():
        try:
            for seed in (_random.seed, _numpy.random.seed, _torch.manual_seed):
                seed(0)
            yield
        finally:
            _random.setstate(python)
            _numpy.random.set_state(numpy)


@_contextlib.contextmanager
def _quiet() -> _Iterator[None]:
    """What the notebook's code prints, warns of or shows as a progress bar is left out."""
    with _warnings.catch_warnings(), _captured():
        _warnings.simplefilter("ignore")
        yield


def _captured() -> _Any:
    try:
        from IPython.utils.capture import capture_output
    except ImportError:
        return _contextlib.redirect_stdout(_io.StringIO())
    return capture_output()


@_contextlib.contextmanager
def _stopped_after(seconds: float) -> _Iterator[None]:
    """Raises _TooSlow when the time is over; does nothing where Python has no alarm, as on Windows."""
    if not hasattr(_signal, "setitimer") or _threading.current_thread() is not _threading.main_thread():
        yield
        return

    def stop(*_: _Any) -> None:
        raise _TooSlow

    before = _signal.signal(_signal.SIGALRM, stop)
    _signal.setitimer(_signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        _signal.setitimer(_signal.ITIMER_REAL, 0)
        _signal.signal(_signal.SIGALRM, before)


def _where(error: BaseException) -> str:
    """The innermost line of the notebook's own code that the error came through."""
    ours = self_check.__code__.co_filename
    for frame in reversed(_traceback.extract_tb(error.__traceback__)):
        if ("ipykernel" in frame.filename or "ipython-input" in frame.filename) and frame.filename != ours:
            return f" (in {frame.name}: {frame.line})"
    return ""


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200]
