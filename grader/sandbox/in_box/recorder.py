"""Executed in the student's kernel by the runner: asks a stage's questions and writes down the answers.

It records answers and grades nothing. A question that raises an exception stays unanswered, and the exception is
written down as the reason. An exception in the probe's own code is marked as a grader fault, according to the frame
that raised it. The runner defines the names `student` (the notebook's variables) and `request` here.
"""

import builtins
import contextlib
import importlib
import importlib.util
import io
import os
import random
import signal
import sys
import threading
import traceback
import types
import warnings

STUDENT = student  # type: ignore[name-defined]  # noqa: F821
REQUEST = request  # type: ignore[name-defined]  # noqa: F821
WRITABLE = tuple(f"{folder}/" for folder in REQUEST["writable"])
MAX_MESSAGE = 400
MAX_LINE = 100  # characters of a line of the notebook


class Damaged(Exception):
    """The notebook's code has changed the grader's files, filled their disk, or hidden a library."""


@contextlib.contextmanager
def _libraries_alone():
    """Makes imports find libraries, instead of the notebook's files of the same names."""
    path = sys.path[:]
    sys.path[:] = [folder for folder in path if not _is_written(os.path.abspath(folder) + "/")]
    try:
        yield
    finally:
        sys.path[:] = path


def _is_written(name):
    """Whether the file lies in a folder that a notebook can write to, and outside Python's own folders."""
    return name.startswith(WRITABLE) and not name.startswith((sys.prefix, sys.base_prefix))


for _name in ("json", "numpy", "safetensors", "torch"):
    if _is_written(str(getattr(sys.modules.get(_name), "__file__", ""))):
        raise Damaged(f"{_name} is your own file, not the library")

with _libraries_alone():
    import json

    import numpy as np
    from safetensors import SafetensorError
    from safetensors.numpy import load_file, save


class TooSlow(BaseException):
    """A question took too long; not an Exception, so that `except Exception` does not catch it."""


def _alarm(*_):
    raise TooSlow(f"did not finish within {REQUEST['question_s']:.0f} s")


class NotNumbers(Exception):
    """The student's code returned a value that is not numeric."""


@contextlib.contextmanager
def _our_files():
    try:
        yield
    except (OSError, SafetensorError) as error:
        why = getattr(error, "strerror", None) or "not what was put there"
        raise Damaged(f"the disk is full, or your code has changed the grader's files ({why})") from error


def _plain(value):
    """A contiguous numpy array from a tensor, number or array."""
    kind = type(value).__name__
    try:
        if hasattr(value, "detach"):
            value = value.detach().cpu()
            value = (value.float() if value.is_floating_point() else value).numpy()  # numpy has no bfloat16
        value = np.array(value, order="C")
    except Exception as error:
        raise NotNumbers(f"expected numbers, got {kind} ({error})") from error
    if value.dtype.kind == "f":
        value = value.astype(np.float32)
    elif value.dtype.kind in "iub":
        value = value.astype(np.int64)
    else:
        raise NotNumbers(f"expected numbers, got {kind} of {value.dtype}")
    return value


def _write(name, data):
    folder = os.path.join(REQUEST["folder"], "answers")
    partial = os.path.join(folder, "." + name)
    with _our_files():
        try:
            with builtins.open(partial, "wb") as stream:
                stream.write(data)
        except OSError:
            os.remove(partial)  # an answer that did not fit must not take space from the next one
            raise
        os.replace(partial, os.path.join(folder, name))


def _unanswered(question, error, ours):
    _write(question + ".json", json.dumps({"error": error[:MAX_MESSAGE], "ours": ours}).encode())


def _raised_in_student_code(error):
    """Whether the innermost frame that belongs to the notebook or to the probe belongs to the notebook."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if frame.filename.endswith("/stand_in.py"):
            continue  # the fault of the code that calls the stand-in, as with any library
        if frame.filename.startswith(REQUEST["probe"]):
            return False
        if _is_their_own(frame):
            return True
    return False


def _is_their_own(frame):
    """Whether the frame belongs to a cell, also under `%%time`, or to a module that the notebook has written."""
    name = frame.filename
    if "ipykernel_" in name or name.startswith(("<ipython", "<timed")):
        return True
    return _is_written(name)


def _own_line(error):
    """The notebook's innermost line in the error's traceback, as the end of a message; empty if there is none."""
    lines = (frame.line for frame in reversed(traceback.extract_tb(error.__traceback__)) if _is_their_own(frame))
    line = next(lines, None)
    return f", in your line `{line.strip()[:MAX_LINE]}`" if line else ""


def _load_probe():
    """Imports the exercise's `in_box` folder as a package under a name of its own."""
    folder = REQUEST["probe"]
    spec = importlib.util.spec_from_file_location(
        "exercise_probe", folder + "/__init__.py", submodule_search_locations=[folder]
    )
    package = importlib.util.module_from_spec(spec)
    sys.modules["exercise_probe"] = package
    spec.loader.exec_module(package)
    probe = importlib.import_module("exercise_probe.probe")
    probe.interface.update(REQUEST["interface"])
    return probe


def _ask(question, function, questions, no_answer):
    arguments = {key: value.copy() for key, value in questions.items()}  # the student's code may change its arguments
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            answer = function(STUDENT, arguments)
        _write(question + ".safetensors", save({key: _plain(value) for key, value in answer.items()}))
    except (no_answer, TooSlow, NotNumbers, Damaged) as error:
        _unanswered(question, str(error), getattr(error, "ours", False) is True)
    except BaseException as error:
        interrupted = isinstance(error, KeyboardInterrupt) and not error.args  # the runner does so at the stage's limit
        text = f"{type(error).__name__}: {error}"[: MAX_MESSAGE - MAX_LINE - 20] + _own_line(error)
        text = "did not finish in time" if interrupted else text
        _unanswered(question, text, not interrupted and not _raised_in_student_code(error))


@contextlib.contextmanager
def _apart():
    """Restores the state of the notebook's random numbers after the questions, which set seeds.

    Meanwhile, settings for the whole process that a cell has changed, such as gradients off or warnings as errors, are
    reset: they are not a property of the code that is tested.
    """
    torch = sys.modules.get("torch")
    python, numpy = random.getstate(), np.random.get_state()
    fork = getattr(getattr(torch, "random", None), "fork_rng", contextlib.nullcontext)
    with fork(), _usual_settings(torch), np.errstate(all="warn"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy)


@contextlib.contextmanager
def _usual_settings(torch):
    if torch is None:
        yield
        return
    with torch.inference_mode(False), torch.enable_grad(), _settings_as_first_asked(torch):
        yield


@contextlib.contextmanager
def _settings_as_first_asked(torch):
    """Gives a stage that is asked again after the last cell the default dtype and device that it had the first time."""
    first = sys.modules.setdefault("settings_as_first_asked", types.ModuleType("settings_as_first_asked")).__dict__
    now = torch.get_default_dtype(), torch.get_default_device()
    then = first.setdefault(REQUEST.get("stage", ""), now)
    if then == now:
        yield
        return
    torch.set_default_dtype(then[0])
    torch.set_default_device(then[1])
    try:
        yield
    finally:
        torch.set_default_dtype(now[0])
        torch.set_default_device(now[1])


def _replace(arrays):
    """Replaces the named functions and classes by the reference's; the others that these call stay the student's."""
    texts = {key: bytes(value).decode() for key, value in arrays.items()}
    replaced = json.loads(texts["replaced"])
    correct = dict(STUDENT)
    exec(compile(texts["source"], "<correct code>", "exec"), correct)
    owners = {name.partition(".")[0] for name in replaced}
    # Before the loop below, which restores the student's class if only a method of the class is replaced.
    parts = {owner: correct[owner] for owner in owners}
    for name in json.loads(texts["interface"]):
        if name not in replaced and name in STUDENT:
            correct[name] = STUDENT[name]
    for name in replaced:
        owner, _, method = name.partition(".")
        if method and isinstance(STUDENT.get(owner), type):
            setattr(STUDENT[owner], method, getattr(parts[owner], method))
        else:
            STUDENT[owner] = parts[owner]


def _given_now():
    """Returns the current values of the names that provided cells define."""
    spec = importlib.util.spec_from_file_location("fingerprints", REQUEST["in_box"] + "/fingerprints.py")
    prints = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(prints)
    given = REQUEST["given"]
    return {
        "constants": np.array([prints.number_of(STUDENT, name) for name in given["constants"]], dtype=np.float32),
        "codes": np.array([prints.fingerprint_of(STUDENT, path) for path in given["codes"]], dtype=np.int64),
    }


def record():
    """Writes an answer, or why there is none, for every question of the stage that is not to be skipped."""
    with _our_files():
        questions = load_file(os.path.join(REQUEST["folder"], "questions.safetensors"))
    if REQUEST["kind"] == "replace":
        try:
            _replace(questions)
        except BaseException as error:
            _unanswered("replaced", f"{type(error).__name__}: {error}", True)
        return
    if REQUEST["given"] and "given" not in REQUEST["skip"]:
        _write("given.safetensors", save(_given_now()))
    with _libraries_alone():
        probe = _load_probe()
    in_main_thread = threading.current_thread() is threading.main_thread()
    for question, function in probe.STAGES[REQUEST["stage"]].items():
        if question in REQUEST["skip"]:
            continue
        with _our_files(), builtins.open(os.path.join(REQUEST["folder"], "asking"), "w") as stream:
            stream.write(question)
        if in_main_thread:
            signal.signal(signal.SIGALRM, _alarm)
            signal.setitimer(signal.ITIMER_REAL, REQUEST["question_s"])
        try:
            _ask(question, function, questions, probe.NoAnswer)
        except TooSlow as error:  # the alarm came after the answer, before the timer was stopped
            _unanswered(question, str(error), False)
        finally:
            if in_main_thread:
                signal.setitimer(signal.ITIMER_REAL, 0)


with _apart():
    record()
