"""Blocks on several threads: all done once, errors as a loop raises them, and nothing left behind."""

import contextvars
import os
import threading
import time

import numpy as np
import pytest

from sardonyx.trainer import threads
from sardonyx.trainer.ops import parallel
from sardonyx.trainer.ops.parallel import SHARE, on_threads, run_blocks

THREADS = [1, 2, 3]
LONG = 1000 * SHARE


@pytest.mark.parametrize("count", THREADS)
@pytest.mark.parametrize("blocks", [0, 1, 2, 7, 100])
def test_every_block_is_done_once(count, blocks):
    done = np.zeros(blocks, int)

    def task(i):
        done[i] += 1

    with on_threads(count):
        for _ in range(20):
            run_blocks(task, blocks, LONG)
    np.testing.assert_array_equal(done, 20)


def meeting(count):
    """A task whose first blocks wait for each other: so many threads have to take part."""
    barrier, seen = threading.Barrier(count, timeout=20), set()

    def task(i, *given):
        if i < count:
            barrier.wait()
        seen.add(threading.get_ident())

    return task, seen


@pytest.mark.parametrize("count", THREADS)
def test_blocks_run_side_by_side(count):
    task, seen = meeting(count)
    with on_threads(count):
        run_blocks(task, 2 * count, LONG)
    assert len(seen) == count


@pytest.mark.parametrize(("count", "microseconds"), [(3, 1.9 * SHARE), (1, LONG)])
def test_little_work_stays_where_it_is(count, microseconds):
    seen = set()
    with on_threads(count):
        run_blocks(lambda i: seen.add(threading.get_ident()), 50, microseconds)
        assert threading.active_count() == 1
    assert seen == {threading.get_ident()}


def test_each_thread_has_its_scratch():
    task, _ = meeting(2)
    made, used = [], set()

    def scratch():
        made.append(np.zeros(3))
        return made[-1]

    def kernel(i, work):
        task(i)
        used.add((id(work), threading.get_ident()))

    with on_threads(2):
        run_blocks(kernel, 8, LONG, scratch)
    assert len(made) == len(used) == 2


@pytest.mark.parametrize("count", THREADS)
@pytest.mark.parametrize("failing", [{3}, {3, 4, 5}, {0, 9}, set(range(10))])
def test_the_first_error_is_raised(count, failing):
    def task(i):
        if i in failing:
            raise ValueError(f"block {i}")

    with on_threads(count):
        for _ in range(10):
            with pytest.raises(ValueError, match=f"^block {min(failing)}$"):
                run_blocks(task, 10, LONG)
        done = []
        run_blocks(done.append, 10, LONG)
    assert sorted(done) == list(range(10))


def test_errors_of_scratch_memory_are_raised():
    def scratch():
        raise MemoryError("too large")

    with on_threads(2), pytest.raises(MemoryError, match="too large"):
        run_blocks(lambda i, work: None, 4, LONG, scratch)


def test_an_interrupt_waits_for_the_helper():
    caller, events = threading.get_ident(), []
    barrier = threading.Barrier(2, timeout=20)

    def task(i):
        barrier.wait()
        if threading.get_ident() == caller:
            raise KeyboardInterrupt
        time.sleep(0.05)
        events.append("done")

    with on_threads(2):
        with pytest.raises(KeyboardInterrupt):
            run_blocks(task, 2, LONG)
        assert events == ["done"]


def test_calls_within_blocks_are_plain_loops():
    found = []

    def inner(i):
        found.append(threading.get_ident())

    def task(i):
        barrier.wait()
        run_blocks(inner, 5, LONG)
        run_blocks(inner, 5, LONG)

    barrier = threading.Barrier(2, timeout=20)
    with on_threads(2):
        run_blocks(task, 2, LONG)
    assert len(found) == 20
    assert {found.count(thread) for thread in found} == {10}


def test_settings_of_floating_point_errors_hold_in_blocks():
    task, _ = meeting(2)
    x = np.full(1000, np.float32(3e38))

    def overflow(i):
        task(i)
        np.multiply(x, x)

    with on_threads(2):
        with np.errstate(over="raise"), pytest.raises(FloatingPointError):
            run_blocks(overflow, 2, LONG)
        task, _ = meeting(2)
        with np.errstate(over="ignore"):
            run_blocks(overflow, 2, LONG)


def test_context_variables_are_seen():
    variable, (task, _), found = contextvars.ContextVar("x", default=0), meeting(2), []

    def look(i):
        task(i)
        found.append(variable.get())

    variable.set(5)
    with on_threads(2):
        run_blocks(look, 2, LONG)
    assert found == [5, 5]


def test_several_threads_ask_at_once():
    results, failures = [0] * 4, []

    def user(number):
        done = np.zeros(8, int)

        def task(i):
            done[i] += 1

        try:
            with on_threads(3):
                for _ in range(200):
                    run_blocks(task, 8, LONG)
            results[number] = int(done.sum())
        except BaseException as error:
            failures.append(error)

    users = [threading.Thread(target=user, args=(i,)) for i in range(4)]
    for each in users:
        each.start()
    for each in users:
        each.join(30)
    assert not failures
    assert results == [1600] * 4


def test_threads_end_with_the_context():
    task, _ = meeting(3)
    with on_threads(3):
        run_blocks(task, 3, LONG)
        assert threading.active_count() == 3
        with on_threads(2):
            run_blocks(meeting(2)[0], 2, LONG)
        assert threading.active_count() == 3
    assert threading.active_count() == 1
    seen = set()
    run_blocks(lambda i: seen.add(threading.get_ident()), 10, LONG)
    assert seen == {threading.get_ident()}


def test_arrays_are_let_go_of():
    class Held:
        pass

    import weakref

    held = Held()
    watch = weakref.ref(held)
    with on_threads(2):
        task, _ = meeting(2)
        run_blocks(lambda i, kept=held: task(i), 2, LONG)
        del held
        assert watch() is None


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_children_have_threads_of_their_own():
    with on_threads(2):
        run_blocks(meeting(2)[0], 2, LONG)
        child = os.fork()
        if not child:
            try:
                run_blocks(meeting(2)[0], 2, LONG)
                os._exit(0)
            except BaseException:
                os._exit(1)
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == 0
        run_blocks(meeting(2)[0], 2, LONG)


def test_helpers_take_nothing_from_the_check_of_draws():
    from sardonyx.trainer.core.draws import Draws
    from sardonyx.trainer.core.errors import SymbolicValueError

    with on_threads(2):
        run_blocks(meeting(2)[0], 2, LONG)
        draws = Draws()
        np.random.rand()  # noqa: NPY002 - what the check is for
        with pytest.raises(SymbolicValueError):
            draws.check()


def test_training_uses_the_threads_that_were_set():
    seen = []
    for count, blas in ((3, 1), (1, 1), (3, 2), (3, None)):
        threads.set_threads(count)
        threads.set_blas_threads(blas)
        with threads.limited_threads():
            seen.append(parallel._here.threads)
    threads.set_threads(None)
    threads.set_blas_threads(1)
    assert seen == [3, 1, 1, 1]
    assert parallel._here.threads == 1
