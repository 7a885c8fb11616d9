"""parallel_for, parallel_map, parallel_reduce: Python functions on several threads."""

import contextvars
import functools
import itertools
import operator
import threading
import time

import pytest

import spanflow as sf
from tests.crash import process


@pytest.fixture(params=[1, 2, 8])
def threads(request):
    return request.param


# ---- parallel_for


@pytest.mark.parametrize("indices", [0, 1, 1000, range(5, 50, 3), range(10, 0, -1), range(3, 3)])
@pytest.mark.parametrize("grain", [None, 1, 7, 10**9])
def test_every_index_once(indices, grain, threads):
    lock, seen = threading.Lock(), []

    def work(i):
        with lock:
            seen.append(i)

    assert sf.parallel_for(work, indices, grain=grain, threads=threads) is None
    wanted = range(indices) if isinstance(indices, int) else indices
    assert sorted(seen) == sorted(wanted)


def test_so_many_threads_at_once_and_no_more():
    for most in (2, 4):
        barrier = threading.Barrier(most)
        lock, inside, peak = threading.Lock(), 0, 0

        def work(i, barrier=barrier, lock=lock, most=most):
            nonlocal inside, peak
            with lock:
                inside += 1
                peak = max(peak, inside)
            if i < most:
                barrier.wait(10)
            time.sleep(0.001)
            with lock:
                inside -= 1

        sf.parallel_for(work, 40, grain=1, threads=most)
        assert peak == most


def test_slow_calls_are_shared_out():
    ids = set()

    def work(i):
        ids.add(threading.get_ident())
        time.sleep(0.005)

    begin = time.perf_counter()
    sf.parallel_for(work, 100, threads=8)
    assert time.perf_counter() - begin < 0.4  # one after the other: 0.5
    assert len(ids) > 2


def test_calls_may_be_nested(threads):
    lock, count = threading.Lock(), 0

    def inner(_):
        nonlocal count
        with lock:
            count += 1

    sf.parallel_for(
        lambda _: sf.parallel_for(lambda _: sf.parallel_for(inner, 3, threads=threads), 4),
        5,
        grain=1,
        threads=threads,
    )
    assert count == 60


def test_from_eight_threads_at_once():
    results = []

    def client():
        results.append(sum(sf.parallel_map(lambda x: x + 1, range(500), threads=4)))

    clients = [threading.Thread(target=client) for _ in range(8)]
    for thread in clients:
        thread.start()
    for thread in clients:
        thread.join()
    assert results == [sum(range(1, 501))] * 8


def test_native_operations_inside():
    blocks = [sf.full(1 << 18, i, "f4") for i in range(20)]
    assert sf.parallel_map(sf.sum, blocks, threads=4) == [i << 18 for i in range(20)]


# ---- errors


def test_the_first_error_ends_the_loop(threads):
    begun = []

    def work(i):
        begun.append(i)
        if i == 20:
            raise LookupError("twenty")
        time.sleep(0.0005)

    with pytest.raises(LookupError, match="twenty") as caught:
        sf.parallel_for(work, 5000, grain=1, threads=threads)
    assert caught.value.__notes__ == ["in spanflow.parallel_for, index 20"]
    assert caught.traceback[-1].name == "work"
    assert len(begun) < 4000
    assert sf.parallel_map(abs, [-3], threads=threads) == [3]


def test_the_note_names_the_index_of_a_range_and_the_position_of_an_item():
    with pytest.raises(ZeroDivisionError) as caught:
        sf.parallel_for(lambda i: 1 // (i - 30), range(0, 100, 10), threads=2)
    assert caught.value.__notes__ == ["in spanflow.parallel_for, index 30"]
    with pytest.raises(ValueError) as caught:
        sf.parallel_map(int, ["1", "2", "x", "4"], threads=1)
    assert caught.value.__notes__ == ["in spanflow.parallel_map, index 2"]


def test_it_waits_for_calls_that_have_begun():
    release, ended, begun = threading.Event(), [], threading.Event()

    def work(i):
        if i == 0:
            begun.wait(10)
            raise OSError("first")
        begun.set()
        release.wait(0.2)
        ended.append(i)

    with pytest.raises(OSError, match="first"):
        sf.parallel_for(work, 2, grain=1, threads=2)
    assert ended == [1]


def test_errors_that_are_no_exception_wait_for_nobody():
    begun, release = threading.Event(), threading.Event()

    def work(i):
        if threading.current_thread() is threading.main_thread():
            begun.wait(10)
            raise KeyboardInterrupt
        begun.set()
        release.wait(10)

    begin = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        sf.parallel_for(work, 2, grain=1, threads=2)
    assert time.monotonic() - begin < 5
    release.set()


CTRL_C = {
    "python": ("def work(i):\n    while True: pass", 4),
    "on another thread": ("def work(i): time.sleep(0.5 if i else 0.0)", 4),
    "in a call": ("def work(i): time.sleep(1)", 4),
    "native": ("a = sf.ones(1 << 16)\ndef work(i): sf.sum(a)", 10**6),
}


@pytest.mark.parametrize("name", CTRL_C)
def test_ctrl_c(name):
    work, count = CTRL_C[name]
    # Calls that never end would be waited for at the end of the program.
    ending = "import os; os._exit(0)" if name == "python" else ""
    ended = process.interrupt(
        f"""
import spanflow as sf
{work}
ready()
try:
    sf.parallel_for(work, {count}, grain=1, threads=4)
except KeyboardInterrupt:
    caught()
{ending}
"""
    )
    assert ended.returncode == 0 and 0 <= ended.seconds < 0.1, ended


def test_fork_inside_of_a_call():
    """The caller's child goes on with what is left; that of another thread ends with the call."""
    done = process.check(
        """
        import os, threading, time, warnings, spanflow as sf
        warnings.simplefilter("ignore")
        main, parent, children = threading.main_thread(), os.getpid(), []
        both = threading.Barrier(2)
        seen = []
        def work(i):
            seen.append(i)
            if i < 2 and os.getpid() == parent:
                both.wait(20)
                if pid := os.fork():
                    children.append(pid)
                elif threading.current_thread() is not main:
                    print("helper's child", flush=True)
            time.sleep(0.002)
        sf.parallel_for(work, 30, grain=1, threads=2)
        if os.getpid() != parent:
            assert sf.parallel_map(abs, [-1, 2] * 9, threads=3) == [1, 2] * 9
            print("caller's child", sorted(seen)[-1], flush=True)
            os._exit(0)
        codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children]
        assert codes == [0, 0], codes
        assert sorted(seen) == list(range(30))
        print("parent", flush=True)
        """,
        timeout=40,
    )
    assert done.stdout.count("child") == 2 and "caller's child 29" in done.stdout
    assert done.stdout.count("parent\n") == 1


# ---- parallel_map


def test_map_keeps_the_order(threads):
    assert sf.parallel_map(lambda x: x * x, range(1000), threads=threads) == [
        x * x for x in range(1000)
    ]
    assert sf.parallel_map(pow, [2, 3, 4], iter([5, 6]), threads=threads) == [32, 729]
    assert sf.parallel_map(str, [], threads=threads) == []


def test_map_over_the_rows_of_an_array(threads):
    a = sf.asarray([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    rows = sf.parallel_map(lambda row: row, a, threads=threads)
    assert [row.tolist() for row in rows] == a.tolist()
    assert rows[1].address == a[1].address  # nothing is copied
    assert sf.parallel_map(sf.sum, a, threads=threads) == [3, 7, 11]


def test_the_context_of_the_caller_is_carried():
    var = contextvars.ContextVar("var", default=0)
    var.set(5)
    barrier = threading.Barrier(3)

    def work(_):
        barrier.wait(10)
        return var.get()

    assert sf.parallel_map(work, range(3), grain=1, threads=3) == [5, 5, 5]


# ---- parallel_reduce


def test_reduce_joins_neighbours_in_order(threads):
    for n in (1, 2, 3, 127, 128, 129, 1000):
        words = [str(k) for k in range(n)]
        for grain in (None, 1, 10, 5000):
            got = sf.parallel_reduce(operator.add, words, grain=grain, threads=threads)
            assert got == "".join(words)
    assert sf.parallel_reduce(operator.add, ["b", "c"], "a", threads=threads) == "abc"


def test_the_tree_does_not_depend_on_the_threads():
    def join(a, b):
        return f"({a} {b})"

    for n, grain in itertools.product([2, 5, 300], [None, 1, 3]):
        trees = {
            sf.parallel_reduce(join, range(n), grain=grain, threads=threads)
            for threads in (1, 2, 3, 8)
            for _ in range(3)
        }
        assert len(trees) == 1
    assert sf.parallel_reduce(join, range(5), grain=2) == "(((0 1) (2 3)) 4)"
    values = [1 / (k + 1) for k in range(10_000)]
    sums = {sf.parallel_reduce(operator.add, values, threads=threads) for threads in (1, 2, 5)}
    assert len(sums) == 1
    assert sums.pop() == pytest.approx(functools.reduce(operator.add, values), rel=1e-12)


def test_reduce_of_arrays(threads):
    blocks = [sf.full(1000, k) for k in range(50)]
    total = sf.parallel_reduce(sf.add, blocks, threads=threads)
    assert total.tolist() == [1225.0] * 1000


def test_reduce_of_nothing():
    assert sf.parallel_reduce(operator.add, [], 7) == 7
    assert sf.parallel_reduce(operator.add, [], None) is None
    with pytest.raises(TypeError, match="empty iterable with no initial value"):
        sf.parallel_reduce(operator.add, [])


def test_reduce_names_the_group():
    def join(a, b):
        if b == 7:
            raise ValueError("seven")
        return b

    with pytest.raises(ValueError, match="seven") as caught:
        sf.parallel_reduce(join, range(20), grain=4, threads=2)
    assert caught.value.__notes__ == ["in spanflow.parallel_reduce, index 1"]


# ---- wrong arguments


@pytest.mark.parametrize(
    "call, error, said",
    [
        (lambda: sf.parallel_for(3, 5), TypeError, "fn must be callable, got 3"),
        (lambda: sf.parallel_for(abs, "abc"), TypeError, "must be an int or a range, got 'abc'"),
        (lambda: sf.parallel_for(abs, 5, grain=0), ValueError, "grain must be 1 or more, got 0"),
        (lambda: sf.parallel_for(abs, 5, grain=1.5), TypeError, "grain must be an int"),
        (lambda: sf.parallel_for(abs, 5, threads=0), ValueError, "from 1 to 1024, got 0"),
        (lambda: sf.parallel_for(abs, 5, threads="x"), TypeError, "threads must be an int"),
        (lambda: sf.parallel_map(abs), TypeError, "at least one iterable"),
        (lambda: sf.parallel_map(abs, 5), TypeError, "iterable"),
        (lambda: sf.parallel_map(None, []), TypeError, "fn must be callable, got None"),
        (lambda: sf.parallel_reduce(None, [1]), TypeError, "fn must be callable"),
        (lambda: sf.parallel_reduce(abs, 5), TypeError, "iterable"),
        (lambda: sf.parallel_reduce(abs, [1], threads=2000), ValueError, "got 2000"),
    ],
)
def test_wrong_arguments(call, error, said):
    with pytest.raises(error, match=said):
        call()


def test_a_negative_number_of_indices_is_none_like_range():
    sf.parallel_for(lambda i: 1 / 0, -5)
