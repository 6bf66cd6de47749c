"""Work in threads: the same results in the same order, and what is raised is raised."""

from __future__ import annotations

import threading
import time
from contextvars import ContextVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import dagir
from dagir import layers, ops
from dagir.equivalence import oracle
from dagir.equivalence.oracle import Oracle
from dagir.support import threads


@pytest.fixture(params=[1, 3])
def workers(request, monkeypatch):
    monkeypatch.setattr(threads, "workers", lambda: request.param)
    threads._pool.cache_clear()
    yield request.param
    threads._pool.cache_clear()


def test_work_in_threads_raises_what_it_raises(monkeypatch):
    monkeypatch.setattr(threads, "workers", lambda: 3)
    monkeypatch.setattr(threads, "SMALL", 0)
    threads._pool.cache_clear()
    done = []

    def work(item):
        if item == 4:
            raise ZeroDivisionError("four")
        threads.for_each(done.append, [item], 1)

    with pytest.raises(ZeroDivisionError, match="four"):
        threads.for_each(work, range(6), 1)
    assert set(done) >= {0, 3, 2, 5}
    threads._pool.cache_clear()


@given(st.lists(st.integers(-3, 9)), st.integers(1, 5))
def test_results_come_in_the_order_of_the_items(items, count):
    def work(item):
        time.sleep(0.001 * max(item % 3, 0))
        if item < 0:
            raise ZeroDivisionError(str(item))
        return 2 * item

    found = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threads, "workers", lambda: count)
        try:
            for each in threads.in_order(work, items):
                found.append(each)
        except ZeroDivisionError as error:
            assert str(error) == str(next(item for item in items if item < 0))
    good = next((place for place, item in enumerate(items) if item < 0), len(items))
    assert found == [2 * item for item in items[:good]]


def test_an_iterator_that_is_closed_begins_no_further_item(workers):
    begun, goes_on = [], threading.Event()

    def work(item):
        begun.append(item)
        if item:
            goes_on.wait(10)
        return item

    found = threads.in_order(work, range(100))
    assert next(found) == 0
    found.close()
    goes_on.set()
    time.sleep(0.05)
    assert begun == list(range(len(begun)))
    assert len(begun) <= workers + 1


def test_while_an_item_is_waited_for_something_is_done_and_the_context_is_the_callers(monkeypatch):
    monkeypatch.setattr(threads, "workers", lambda: 2)
    word, waited = ContextVar("word", default=""), threading.Event()
    word.set("caller")

    def work(item):
        assert waited.wait(10)
        return word.get(), threading.current_thread() is threading.main_thread()

    assert list(threads.in_order(work, [0, 1], waited.set)) == [("caller", False)] * 2


def test_a_verification_in_threads_is_the_same(monkeypatch):
    """The report has the same numbers, and the progress is told in order, in the thread of the caller."""
    x = dagir.Input(("time", 6), name="x")
    y = layers.LayerNormalization()(layers.Dense(5, activation="gelu")(x))
    model = dagir.Model(x, ops.softmax(layers.Dense(4)(y)))
    reports, told = [], []

    def progress(stage, done, total):
        assert threading.current_thread() is threading.main_thread()
        told.append((stage, done, total))

    for count in (1, 4):
        monkeypatch.setattr(threads, "workers", lambda: count)  # noqa: B023
        reports.append(dagir.verify(model, "numpy", progress=progress))
    one, other = ({**report.to_dict(), "seconds": 0} for report in reports)
    assert one == other
    begins = [place for place, at in enumerate(told) if at[0] == "case 1 of 4" and at[1] == 0]
    in_threads = told[begins[-1] :]
    stages, done, totals = zip(*in_threads, strict=True)
    assert list(dict.fromkeys(stages)) == [f"case {n} of 4" for n in range(1, 5)]
    assert list(done) == sorted(done)
    assert done[-1] == totals[-1] == 4 * (2 + reports[-1].samples)


def test_cases_of_a_network_of_many_weights_come_one_after_another(monkeypatch):
    monkeypatch.setattr(threads, "workers", lambda: 4)
    x = dagir.Input((6,), name="x")
    model = dagir.Model(x, layers.Dense(5)(x))
    seen = []
    call = Oracle.__call__
    monkeypatch.setattr(
        Oracle, "__call__", lambda *given, **more: seen.append(threading.current_thread()) or call(*given, **more)
    )
    assert dagir.verify(model, "numpy").ok
    assert threading.main_thread() not in seen
    seen.clear()
    monkeypatch.setattr(oracle, "_HEAVY", 34)
    assert dagir.verify(model, "numpy").ok
    assert set(seen) == {threading.main_thread()}


def test_inputs_that_no_memory_holds_are_told_in_threads(monkeypatch):
    monkeypatch.setattr(threads, "workers", lambda: 2)
    x = dagir.Input((4,), name="x")
    model = dagir.Model(x, layers.Dense(2)(x))
    with pytest.raises(dagir.ArgumentError, match="not enough memory to verify at batch=1000000000"):
        dagir.verify(model, ["numpy"], sizes=[{"batch": 1}, {"batch": 10**9}])
    assert dagir.verify(model, ["numpy"], sizes=[{"batch": 1}, {"batch": 2}]).ok
    assert np.geterr()["over"] == "warn"
