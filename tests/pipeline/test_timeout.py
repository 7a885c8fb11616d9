"""run(timeout=seconds): TimeoutError that says what was waited for, and nothing left behind."""

import gc
import threading
import time
import weakref

import numpy as np
import pytest

import spanflow as sf

A = np.arange(40_000, dtype="f4").reshape(-1, 10)


def native_threads():
    with open("/proc/self/status", encoding="ascii") as status:
        return int(next(line for line in status if line.startswith("Threads:")).split()[1])


def threads_end(most):
    end = time.monotonic() + 5
    while native_threads() > most:
        assert time.monotonic() < end, "threads of the run are left"
        time.sleep(0.005)


@pytest.fixture
def gate():
    """A function that waits inside of item 3 until the test is over."""
    event = threading.Event()

    def stuck(x):
        if x == 3:
            event.wait(10)
        return x

    stuck.event = event
    yield stuck
    event.set()


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_a_stage_that_is_stuck(gate, threads):
    before = native_threads()
    run = sf.Pipeline(range(10)).map(gate).run(threads=threads, timeout=0.2)
    begun = time.monotonic()
    seen = []
    with pytest.raises(TimeoutError, match=r"did not end within timeout=0.2 seconds") as caught:
        seen.extend(run)
    assert 0.15 < time.monotonic() - begun < 0.5
    assert caught.value.__notes__ == ["it was waiting for item 3 inside map(stuck)"]
    assert list(run) == []
    gate.event.set()
    threads_end(before)


def test_a_source_that_is_stuck():
    event = threading.Event()

    def source():
        yield 1
        event.wait(10)

    before = native_threads()
    run = sf.Pipeline(source()).run(timeout=0.1)
    assert next(run) == 1
    with pytest.raises(TimeoutError) as caught:
        next(run)
    assert caught.value.__notes__ == ["it was waiting for item 1 of iterate(generator)"]
    event.set()
    threads_end(before)


def test_a_turn_that_does_not_come(gate):
    run = sf.Pipeline(range(3, 9)).tap(gate).run(threads=3, timeout=0.1)
    with pytest.raises(TimeoutError) as caught:
        list(run)
    assert caught.value.__notes__ == ["it was waiting for item 0 inside tap(stuck)"]


def test_a_slow_consumer():
    run = sf.Pipeline(range(10)).run(timeout=0.05)
    assert next(run) == 0
    time.sleep(0.1)
    with pytest.raises(TimeoutError) as caught:
        next(run)
    assert caught.value.__notes__ == ["it was waiting for the consumer to take item 1"]


@pytest.mark.parametrize("verb", ["collect", "reduce", "native", "for_each"])
def test_every_verb(verb, gate):
    pipe = sf.Pipeline(range(10)).map(gate)
    with pytest.raises(TimeoutError, match=r"timeout=0\.1 "):
        {
            "collect": lambda: pipe.collect(timeout=0.1),
            "reduce": lambda: pipe.reduce(max, timeout=0.1),
            "native": lambda: pipe.reduce(sf.sum, timeout=0.1),
            "for_each": lambda: pipe.for_each(abs, timeout=0.1),
        }[verb]()


def test_what_ends_in_time_is_not_touched():
    pipe = sf.Pipeline(sf.read(A, rows=100)).map(sf.multiply, 2)
    for timeout in (60, 60.5, 1e9, None):
        assert np.array_equal(pipe.collect(timeout=timeout), A * 2)
    run = sf.Pipeline([1, 2]).run(timeout=0.05)
    assert list(run) == [1, 2]
    time.sleep(0.1)
    assert list(run) == []  # it had ended
    with pytest.raises(ZeroDivisionError):
        sf.Pipeline([0]).map(lambda x: 1 / x).collect(timeout=60)


def test_an_error_before_the_end_of_time_comes_first(gate):
    def broken(x):
        if x == 5:
            raise ValueError("five")
        return x

    run = sf.Pipeline(range(10)).map(broken).run(timeout=60)
    with pytest.raises(ValueError, match="five"):
        list(run)


def test_what_was_borrowed_is_let_go():
    before = native_threads()
    a = sf.asarray(np.zeros(1000))
    item = threading.Event()
    run = sf.Pipeline(sf.read(a, rows=10)).map(lambda x: item.wait(10)).run(timeout=0.05)
    with pytest.raises(TimeoutError):
        list(run)
    with pytest.raises(BufferError, match="1 running pipeline"):  # until the item in hand is done
        a.close()
    item.set()
    threads_end(before)
    with run:
        pass
    a.close()
    item.clear()

    class Item:
        pass

    kept = Item()
    gone = weakref.ref(kept)
    run = sf.Pipeline([kept] * 3).map(lambda x: item.wait(10)).run(timeout=0.05)
    del kept
    begun = time.monotonic()
    with pytest.raises(TimeoutError), run:
        list(run)
    del run
    assert time.monotonic() - begun < 1 and gone() is not None  # nobody waits for the function
    item.set()
    threads_end(before)
    gc.collect()
    sf.Pipeline([1]).collect()  # what a thread let go is dropped by the next one who comes
    assert gone() is None


@pytest.mark.parametrize(
    "timeout, error",
    [(0, ValueError), (-1, ValueError), (float("nan"), ValueError), (float("inf"), ValueError),
     (1e10, ValueError), ("1", TypeError), ([], TypeError)],
)  # fmt: skip
def test_wrong_times(timeout, error):
    with pytest.raises(error, match="timeout must be"):
        sf.Pipeline([1]).run(timeout=timeout)
