"""`self_check("vae.encoder")` tries one task and prints what it found: it never raises, and leaves all as it was."""

import contextlib as _contextlib
import io as _io
import random as _random
import signal as _signal
import threading as _threading
import time as _time
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
# Then a task is stopped, so that an endless loop does not stop the notebook. What counts is the time that the processor
# works on it, in one thread: other programs, and machines with many cores or few, change little about that.
_LONGEST_S = 20
_PATIENCE_S = 240  # of waiting, on a machine that is busy with something else: then nothing is said
_USUAL_S = 0.1  # of the processor's time for what `_yardstick_s` does; a machine that takes 5 times as long is slow


class _TooSlow(BaseException):
    """Not an Exception, so that the notebook's own `except Exception` does not swallow it."""


class _NoVerdict(_TooSlow):
    """It took long for a reason that may lie with the machine."""


def self_check(item: str) -> None:
    """Prints what the notebook's code of that task does, for instance `self_check("vae.encoder")`."""
    part, _, task = item.partition(".")
    if task not in _TASKS.get(part, ()):
        print("self_check knows", ", ".join(f"{part}.{task}" for part in _TASKS for task in _TASKS[part]))
        return
    lines: list[_Line] = []
    open_still = ""
    try:
        with _as_it_was(), _quiet(), _stopped_after(_LONGEST_S, _PATIENCE_S):
            for line in getattr(_SelfCheck(globals(), part), task)():
                lines.append(line)
    except (NotImplementedError, _NotFilled) as reason:
        open_still = f"– not filled yet: {_one_line(reason)}"
    except _NoVerdict as reason:
        open_still = f"– not tried to its end: {reason}"
    except _TooSlow:
        lines.append((False, "running it", f"an end after at most {_LONGEST_S} s of work", "it was stopped"))
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
    threads = _torch.get_num_threads()
    with _torch.random.fork_rng(cuda), _torch.enable_grad():
        try:
            _torch.set_num_threads(1)
            for seed in (_random.seed, _numpy.random.seed, _torch.manual_seed):
                seed(0)
            yield
        finally:
            _torch.set_num_threads(threads)
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
def _stopped_after(work_s: float, wait_s: float) -> _Iterator[None]:
    """Raises _TooSlow when the time is over; does nothing where Python has no alarm, as on Windows."""
    if not hasattr(_signal, "setitimer") or _threading.current_thread() is not _threading.main_thread():
        yield
        return

    def worked(*_: _Any) -> None:
        slow = _yardstick_s() > 5 * _USUAL_S
        raise _NoVerdict(f"it had worked for {work_s} s on a slow machine") if slow else _TooSlow

    def waited(*_: _Any) -> None:
        raise _NoVerdict(f"it had waited for {wait_s} s; is the machine busy, or does the code wait for something?")

    alarms = (
        (_signal.SIGPROF, _signal.ITIMER_PROF, work_s, worked),
        (_signal.SIGALRM, _signal.ITIMER_REAL, wait_s, waited),
    )
    before = [_signal.signal(kind, act) for kind, _, _, act in alarms]
    for _, timer, seconds, _ in alarms:
        _signal.setitimer(timer, seconds)
    try:
        yield
    finally:
        for (kind, timer, _, _), handler in zip(alarms, before, strict=True):
            _signal.setitimer(timer, 0)
            _signal.signal(kind, handler)


def _yardstick_s() -> float:
    """How long the processor works on a little arithmetic that is always the same."""
    start = _time.process_time()
    square = _torch.ones(400, 400)
    for _ in range(40):
        square = square @ square / 400
    return _time.process_time() - start


def _where(error: BaseException) -> str:
    """The innermost line of the notebook's own code that the error came through."""
    ours = self_check.__code__.co_filename
    for frame in reversed(_traceback.extract_tb(error.__traceback__)):
        if ("ipykernel" in frame.filename or "ipython-input" in frame.filename) and frame.filename != ours:
            return f" (in {frame.name}: {frame.line})"
    return ""


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200]
