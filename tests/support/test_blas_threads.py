"""BLAS's threads are shared out among those that multiply at once, and are all there again after them."""

from __future__ import annotations

import pytest
from threadpoolctl import ThreadpoolController

from dagir.support import threads
from dagir.support.blas_threads import shared_by


def of_blas():
    return [library.num_threads for library in ThreadpoolController().select(user_api="blas").lib_controllers]


@pytest.mark.parametrize("callers", [1, 2, 3, 64])
def test_each_caller_has_its_share(callers):
    whole = of_blas()
    with shared_by(callers):
        assert of_blas() == [max(1, each // callers) for each in whole]
    assert of_blas() == whole


def test_the_most_callers_decide_and_the_last_to_leave_sets_what_was_there():
    whole = of_blas()
    first, second = shared_by(2), shared_by(64)
    first.__enter__()
    second.__enter__()
    assert of_blas() == [1] * len(whole)
    first.__exit__(None, None, None)
    assert of_blas() == [1] * len(whole)
    second.__exit__(None, None, None)
    assert of_blas() == whole


def test_work_that_fails_or_is_given_up_leaves_blas_as_it_was(monkeypatch):
    monkeypatch.setattr(threads, "workers", lambda: 3)
    whole = of_blas()
    begun = threads.in_order(lambda number: number, range(9))
    assert next(begun) == 0
    begun.close()
    assert of_blas() == whole
    with pytest.raises(ZeroDivisionError):
        list(threads.in_order(lambda number: 1 // number, [1, 0, 1]))
    assert of_blas() == whole


def test_several_at_once_have_one_thread_each():
    seen = list(threads.in_order(lambda _: of_blas(), range(threads.workers())))
    assert threads.workers() == 1 or all(found <= 1 for each in seen for found in each)
