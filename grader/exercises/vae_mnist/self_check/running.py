"""`self_check("vae.encoder")` checks one task and prints the result: it never raises and changes nothing."""

import contextlib as _contextlib
import inspect as _inspect
import io as _io
import random as _random
import signal as _signal
import threading as _threading
import time as _time
import warnings as _warnings
from collections.abc import Iterator as _Iterator
from typing import Any as _Any

import numpy as _numpy
import torch as _torch

from grader.exercises.vae_mnist.self_check.functions import _SelfCheck
from grader.exercises.vae_mnist.self_check.networks import _error_text, _Line, _NotFilled, _one_line

_TASKS = {
    "vae": ("encoder", "decoder", "reparameterization", "loss", "training", "sampling"),
    "cvae": ("encoder", "decoder", "reparameterization", "training", "sampling"),
}
# A check is stopped after so much processor time, in one thread, so that an endless loop does not stop the notebook.
# Processor time depends little on other programs and on the number of cores.
_LONGEST_S = 20
_PATIENCE_S = 240  # of waiting on a busy machine; then the check ends without a result
_USUAL_S = 0.1  # of processor time for `_yardstick_s`; a machine that takes 5 times as long is slow


class _TooSlow(BaseException):
    """Not an Exception, so that the notebook's own `except Exception` does not swallow it."""


class _NoVerdict(_TooSlow):
    """It took too long, perhaps only because of the machine."""


def self_check(item: str) -> None:
    """Prints how many checks of a task's code pass and what fails, for instance `self_check("vae.encoder")`."""
    part, _, task = item.partition(".")
    if task not in _TASKS.get(part, ()):
        known = ", ".join(f"{part}.{task}" for part in _TASKS for task in _TASKS[part])
        print(f"self_check does not know {item!r}; it knows {known}")
        return
    lines: list[_Line] = []
    unfinished = ""
    try:
        with _as_it_was(), _quiet(), _stopped_after(_LONGEST_S, _PATIENCE_S):
            for line in getattr(_SelfCheck(globals(), part), task)():
                lines.append(line)
    except (NotImplementedError, _NotFilled) as reason:
        unfinished = _unfinished(reason, part, task)
    except _NoVerdict as reason:
        unfinished = f"– not checked to the end: {reason}"
    except _TooSlow:
        lines.append((False, f"took longer than {_LONGEST_S} s and was stopped: an endless loop, or a busy machine"))
    except KeyboardInterrupt:
        raise  # the student stops the cell
    except BaseException as error:
        missing = getattr(error, "name", None) if isinstance(error, NameError) else None
        if missing in _written(part) and missing not in globals() and missing not in _own(part, task):
            unfinished = f"– not checked: it needs {missing}, which is not defined"
        else:
            unfinished = "not checked to the end: your code stopped"
            lines.append((False, _error_text(error)))
    failures = [message for passes, message in lines if not passes]
    count = f"{len(lines) - len(failures)} passed" + (f", {len(failures)} failed" if failures else "")
    print(f"{item}: {unfinished or count}")
    for message in failures:
        print(f"  ✗ {message}")


def _own(part: str, task: str) -> tuple[str, ...]:
    """The functions and methods that the task is to write, by name."""
    kind = "Conditional" if part == "cvae" else ""
    networks = {name.lower(): f"{kind}{name}" for name in ("Encoder", "Decoder")}
    if task in networks:
        return networks[task], f"{networks[task]}.__init__", f"{networks[task]}.forward"
    names = {"loss": ("vae_loss",), "training": (f"train_{part}",), "sampling": (f"sample_{part}",)}
    return names.get(task, (part.upper(), f"{part.upper()}.reparameterize", "reparameterize"))


def _written(part: str) -> set[str]:
    """The functions and classes that students write, as far as the part needs them."""
    return {"vae_loss", *(name for task in _TASKS[part] for name in _own(part, task) if "." not in name)}


def _unfinished(reason: Exception, part: str, task: str) -> str:
    """Why there is nothing to check: what is missing, the task's own code first."""
    own = _own(part, task)
    text = _one_line(reason)
    name, what = reason.args if isinstance(reason, _NotFilled) else (text.partition(" is not implemented yet")[0], "")
    if name not in own:
        name, what = next(((mine, "") for mine in own if _is_stub(mine)), (name, what))
    if what == "is not defined":
        if name in own:
            return f"– not checked: {name} is not defined. Run its cell, and fix any error that it shows."
        return f"– not checked: it needs {name}, which is not defined"
    if name in own or name == text:  # the code's own words, or none
        return f"– not written yet: {name or task}" + (f" {what}" if what else "")
    return f"– not checked: it needs {name}, which {what or 'is not written yet'}"


def _is_stub(name: str) -> bool:
    """Whether the function or method still has the line that the template put in place of its code."""
    head, _, method = name.partition(".")
    owner: _Any = globals().get(head)
    function: _Any = getattr(owner, method, None) if method else owner
    code = getattr(_inspect.unwrap(function), "__code__", None)
    return code is not None and "NotImplementedError" in code.co_names


@_contextlib.contextmanager
def _as_it_was() -> _Iterator[None]:
    """Restores all random states afterwards; meanwhile, the random numbers are always the same."""
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
    """Hides what the notebook's code prints, warns of or shows as a progress bar."""
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
    """Raises _TooSlow when the time is up; does nothing where Python has no alarm, as on Windows."""
    if not hasattr(_signal, "setitimer") or _threading.current_thread() is not _threading.main_thread():
        yield
        return

    def worked(*_: _Any) -> None:
        slow = _yardstick_s() > 5 * _USUAL_S
        raise _NoVerdict(f"this machine is slow, and {work_s} s were not enough") if slow else _TooSlow

    def waited(*_: _Any) -> None:
        raise _NoVerdict(f"no result after {wait_s} s: is the machine busy, or does the code wait for something?")

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
    """The processor time of a small, fixed computation."""
    start = _time.process_time()
    square = _torch.ones(400, 400)
    for _ in range(40):
        square = square @ square / 400
    return _time.process_time() - start
