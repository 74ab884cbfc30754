"""Preloading: its errors are dropped, and each value is computed once for all callers."""

from __future__ import annotations

import os
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from grader.exercises.vae_mnist.checks import image_measures
from grader.grading.preloading import BEHIND, Preloading


def fails() -> None:
    raise ValueError("unheard")


def until(met: threading.Event) -> None:
    assert met.wait(20)


def test_a_fault_of_the_work_is_dropped_and_the_next_is_done() -> None:
    done = threading.Event()
    Preloading(fails, done.set).go()
    until(done)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere niceness is a whole process's")
def test_only_the_preloading_thread_has_a_lower_priority() -> None:
    niceness: list[int] = []
    done = threading.Event()

    def look() -> None:
        niceness.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))

    own = os.getpriority(os.PRIO_PROCESS, 0)
    Preloading(look, done.set).go()
    until(done)
    assert niceness == [max(own, BEHIND)]
    assert os.getpriority(os.PRIO_PROCESS, 0) == own


@pytest.fixture
def _nothing_cached() -> None:
    image_measures._cache.clear()


@pytest.mark.usefixtures("_nothing_cached")
def test_a_value_requested_twice_at_once_is_computed_once() -> None:
    calls: list[int] = []

    def make() -> int:
        calls.append(1)
        time.sleep(0.1)
        return 7

    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(image_measures.cached, "number", make, np.zeros(3)) for _ in range(8)]
    assert [one.result() for one in asked] == [7] * 8
    assert calls == [1]


@pytest.mark.usefixtures("_nothing_cached")
def test_a_value_that_failed_is_computed_again_and_both_callers_get_the_error() -> None:
    began = threading.Event()

    def make() -> int:
        began.set()
        time.sleep(0.1)
        raise KeyError("no")

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(image_measures.cached, "number", make)
        until(began)
        second = pool.submit(image_measures.cached, "number", make)
        for one in (first, second):
            with pytest.raises(KeyError, match="no"):
                one.result()
    assert image_measures.cached("number", lambda: 8) == 8


@pytest.mark.usefixtures("_nothing_cached")
def test_values_are_computed_even_if_older_ones_are_dropped_from_memory() -> None:
    for number in range(3 * image_measures.MOST):
        assert image_measures.cached(f"number {number}", lambda number=number: number) == number  # type: ignore[misc]
    assert len(image_measures._cache) <= image_measures.MOST


def test_tasks_wait_while_paused() -> None:
    first, second, third = threading.Event(), threading.Event(), threading.Event()
    paused = threading.Event()

    def work() -> None:
        first.set()
        until(paused)

    preloading = Preloading(work, fails, second.set, third.set)
    assert not first.wait(0.1), "nothing begins by itself"
    preloading.go()
    until(first)
    preloading.pause()
    paused.set()
    assert not second.wait(0.2), "what is being done goes on, the next waits"
    preloading.go()
    until(third)
    preloading.go()  # once more is no harm
    assert second.is_set()


def test_leaving_the_block_finishes_the_running_task_and_starts_no_other() -> None:
    first, last, never = threading.Event(), threading.Event(), threading.Event()
    with Preloading(first.set, last.set) as preloading:
        preloading.go()
        until(first)
        preloading.pause()
    until(last)
    with Preloading(never.set):
        pass
    assert not never.wait(0.1)
