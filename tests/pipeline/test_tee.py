"""tee: one run of a pipeline for several chains of stages."""

import threading
import time

import numpy as np
import pytest

import spanflow as sf


def count(x, calls):
    calls.append(x)
    return x


@pytest.mark.parametrize("threads", [1, 3])
def test_the_pipeline_runs_once(threads):
    calls = []
    pipe = sf.Pipeline(range(100)).map(count, calls)
    teed = pipe.tee(sf.Pipeline(), sf.Pipeline().map(lambda x: -x), sf.Pipeline().map(str))
    assert list(teed.run(threads=threads)) == [(x, -x, str(x)) for x in range(100)]
    assert sorted(calls) == list(range(100))


def test_arrays_are_shared():
    a = sf.arange(24.0).reshape(8, 3)
    pipe = sf.Pipeline(sf.read(a, rows=2)).map(sf.negative)
    items = list(pipe.tee(sf.Pipeline(), sf.Pipeline(), sf.Pipeline().map(sf.sum)))
    for i, (x, y, total) in enumerate(items):
        assert np.shares_memory(np.asarray(x), np.asarray(y))
        assert total == -np.asarray(a)[2 * i : 2 * i + 2].sum()


def test_chains_at_different_rates():
    pipe = sf.Pipeline(range(60))
    slow, fast = sf.Pipeline().batch(20).map(lambda b: b.tolist()), sf.Pipeline()
    for chains in ((slow, fast), (fast, slow)):
        items = list(pipe.tee(*chains).run(threads=2))
        assert len(items) == 3
    # Each ends by itself, and with the first of them all do.
    assert len(list(pipe.tee(sf.Pipeline().take(5), sf.Pipeline()))) == 5
    assert list(pipe.tee(sf.Pipeline().filter(lambda x: False), sf.Pipeline())) == []


def test_all_capacities_at_one():
    """Nobody waits for another chain, so nothing can get stuck, however small the room."""
    chain = sf.Pipeline().map(lambda x: x + 1).prefetch(0)
    inner = sf.Pipeline(range(200)).prefetch(0).tee(chain, sf.Pipeline().prefetch(0), chain)
    outer = inner.prefetch(0).tee(sf.Pipeline().prefetch(0), sf.Pipeline().batch(1).prefetch(0))
    for threads in (1, 3):
        items = list(outer.run(threads=threads, memory=1_000_000))
        assert [x for x, _ in items] == [(i + 1, i, i + 1) for i in range(200)]


def test_too_far_apart():
    a = np.zeros((1000, 1000))
    rare = sf.Pipeline().enumerate().filter(lambda pair: pair[0] % 900 == 899)
    pipe = sf.Pipeline(sf.read(a, rows=1)).tee(sf.Pipeline(), rare)
    with pytest.raises(ValueError, match="wait for chain 0; 100000 items and 1333332 bytes"):
        list(pipe.run(memory=4_000_000, threads=2))
    assert len(list(pipe.run(memory=200_000_000))) == 1


def test_a_fast_chain_waits_for_a_slow_one():
    """Items that both take at the same rate fit into little memory, whoever is faster."""

    def slow(x):
        time.sleep(0.001)
        return x

    a = np.zeros((300, 1000))
    for chains in (
        (sf.Pipeline(), sf.Pipeline().map(slow)),
        (sf.Pipeline().map(slow), sf.Pipeline()),
    ):
        pipe = sf.Pipeline(sf.read(a, rows=1)).tee(*chains)
        assert len(list(pipe.run(memory=200_000, threads=3))) == 300


def test_errors():
    def fail(x):
        if x == 30:
            raise KeyError("thirty")
        return x

    for pipe in (
        sf.Pipeline(range(90)).map(fail).tee(sf.Pipeline(), sf.Pipeline().map(str)),
        sf.Pipeline(range(90)).tee(sf.Pipeline(), sf.Pipeline().map(fail)),
    ):
        seen = []
        with pytest.raises(KeyError, match="thirty"):
            seen.extend(pipe.run(threads=2))
        assert [x[0] for x in seen] == list(range(len(seen)))
        assert len(seen) <= 30
    pipe = sf.Pipeline(range(3))
    for bad in ((), (abs,), (sf.Pipeline(range(3)),), ("x",)):
        with pytest.raises(TypeError, match=r"tee\(\) needs"):
            pipe.tee(*bad)
    with pytest.raises(TypeError, match="with a source"):
        sf.Pipeline().tee(sf.Pipeline())


def test_an_end_that_comes_early():
    before = threading.active_count()

    def slow(x):
        time.sleep(0.01)
        return x

    for stop in (0, 3):
        pipe = sf.Pipeline(iter(range(10**9))).map(slow).tee(sf.Pipeline(), sf.Pipeline().map(slow))
        begun = time.monotonic()
        with pipe.run(threads=2) as run:
            for _, _item in zip(range(stop), run, strict=False):
                pass
        assert time.monotonic() - begun < 5
    assert threading.active_count() == before


def test_an_end_while_the_pipeline_waits():
    """Whoever leaves wakes a side that waits for an item that does not come."""
    go = threading.Event()

    def stuck():
        yield from range(8)
        go.wait(20)

    pipe = sf.Pipeline(stuck()).tee(sf.Pipeline(), sf.Pipeline().batch(3))
    run = pipe.run(threads=2)
    assert next(run)[0] == 0
    begun = time.monotonic()
    threading.Timer(0.3, go.set).start()  # the item in hand
    with run:
        pass
    assert time.monotonic() - begun < 5


def test_items_that_wait_are_not_held_up():
    """A chain gets what waits for it while another one waits for the next item."""
    release = threading.Event()

    def items():
        yield from range(10)
        release.wait(20)
        yield 10

    seen = []

    def note(x):
        seen.append(x)
        if len(seen) == 10:
            release.set()
        return x

    chains = (sf.Pipeline().batch(11), sf.Pipeline().map(note).batch(11))
    begun = time.monotonic()
    assert len(list(sf.Pipeline(items()).tee(*chains).run(threads=2))) == 1
    assert time.monotonic() - begun < 10
