"""BLAS threads, which belong to the whole process: shared by calls that overlap."""

from threadpoolctl import threadpool_info

from minibert.devices import BLAS_THREADS, blas_threads


def threads_now():
    """The BLAS threads of NumPy's library."""
    (blas,) = (pool for pool in threadpool_info() if pool["user_api"] == "blas")
    return blas["num_threads"]


def test_the_lowest_limit_of_overlapping_calls_counts():
    before = threads_now()
    with blas_threads(3):
        assert threads_now() == 3
        with blas_threads(1):
            assert threads_now() == 1
            with blas_threads(2):
                assert threads_now() == 1
        assert threads_now() == 3
    assert threads_now() == before


def test_calls_may_end_in_any_order():
    before = threads_now()
    BLAS_THREADS.enter(1)
    BLAS_THREADS.enter(3)
    BLAS_THREADS.enter(2)
    BLAS_THREADS.leave(1)
    assert threads_now() == 2
    BLAS_THREADS.leave(3)
    assert threads_now() == 2
    BLAS_THREADS.leave(2)
    assert threads_now() == before
