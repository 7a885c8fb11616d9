"""What keeps a run going, and what it holds while it goes."""

import gc
import queue
import threading
import time
import weakref

import pytest

import spanflow as sf


def within(seconds, function):
    """The function's result; fails instead of waiting for ever."""
    results = []
    thread = threading.Thread(target=lambda: results.append(function()), daemon=True)
    thread.start()
    thread.join(seconds)
    assert results, "it does not come to an end"
    return results[0]


def wait_until(condition, seconds=20):
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.002)
    assert condition()


def test_items_that_are_dropped_while_the_consumer_is_away():
    """All that were in flight are taken or dropped in one step: somebody must start more."""
    seen = []

    def tenth(x):
        seen.append(x)
        return x % 10 == 0

    run = sf.Pipeline(range(100)).filter(tenth).prefetch(9).run(threads=1)
    wait_until(lambda: len(seen) == 10)  # as many as may be in flight
    assert within(20, lambda: list(run)) == list(range(0, 100, 10))


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_a_source_that_waits_for_what_becomes_of_its_items(threads):
    """Nothing that it handed out may be held back while it waits for more."""
    requests = queue.SimpleQueue()
    count = 2000
    for n in range(count):
        requests.put(n)

    def consume():
        answers = 0
        for _ in sf.Pipeline(iter(requests.get, None)).map(str).run(threads=threads):
            answers += 1
            if answers == count:
                requests.put(None)
        return answers

    assert within(30, consume) == count


def test_memory_of_an_item_that_a_function_returns():
    """A function that works in place: the bytes are the item's before it and after it."""
    mebi = 1 << 20

    def in_place(x):
        x[0] = 1
        return x

    source = (bytearray(mebi) for _ in range(64))
    run = sf.Pipeline(source).map(in_place).prefetch(60).run(threads=2, memory=4 * mebi)
    wait_until(lambda: run.stats()["nbytes"] >= 4 * mebi)
    time.sleep(0.05)
    assert run.stats()["nbytes"] <= (4 + 2) * mebi
    assert sum(len(x) for x in run) == 64 * mebi
    assert run.stats()["nbytes"] == 0
    assert run.stats()["nbytes_peak"] <= (4 + 2) * mebi


@pytest.mark.parametrize("threads", [3, 6])
@pytest.mark.parametrize("kind", ["list", "generator"])
def test_memory_of_items_that_a_source_brings(threads, kind):
    """Several threads ask one after the other: what the ones before got is counted already."""
    nbytes, limit = 1 << 16, 20 << 16
    items = [bytes(nbytes) for _ in range(200)]
    source = items if kind == "list" else (item for item in items)

    def slowly(x):
        time.sleep(0.001)
        return len(x)

    run = sf.Pipeline(source).map(slowly).run(threads=threads, memory=limit)
    assert sum(run) == 200 * nbytes
    assert run.stats()["nbytes_peak"] <= limit + threads * nbytes


def test_operands_are_borrowed():
    operand = sf.ones(4)
    run = sf.Pipeline(sf.read(sf.ones((100, 4)), rows=1)).map(sf.add, operand).run(threads=2)
    with pytest.raises(BufferError, match="1 running pipeline"):
        operand.close()
    assert len(list(run)) == 100
    operand.close()
    with pytest.raises(ValueError, match="closed array"):
        sf.Pipeline(sf.read(sf.ones((100, 4)), rows=1)).map(sf.add, operand).run()


def test_the_block_waits_for_other_consumers_at_work():
    array = sf.ones(100)
    inside, go_on = threading.Event(), threading.Event()

    def wait(chunk):
        inside.set()
        assert go_on.wait(20)
        return chunk

    with sf.Pipeline(sf.read(array, rows=1)).map(wait).run(threads=1) as run:

        def consume():
            with pytest.raises(sf.PipelineError):
                list(run)

        other = threading.Thread(target=consume)
        other.start()
        assert inside.wait(20)
        threading.Timer(0.1, go_on.set).start()
    array.close()  # nobody is inside any more
    other.join()


class Node(bytearray):
    pass


class Owner:
    def fail(self, x):
        raise ValueError(x)

    def pair(self, x):
        return (self, x)


def over_its_owner():
    owner = Node(100)
    owner.run = sf.Pipeline(sf.read(owner, rows=1)).map(sf.add, 1).run(threads=2)
    next(owner.run)
    return owner


def with_an_error():
    owner = Owner()
    owner.run = sf.Pipeline(range(100)).map(owner.fail).run(threads=2)
    return owner


def with_items_of_its_owner():
    owner = Owner()
    owner.run = sf.Pipeline(range(1000)).map(owner.pair).run(threads=2)
    next(owner.run)
    return owner


@pytest.mark.parametrize("make", [over_its_owner, with_an_error, with_items_of_its_owner])
def test_cycles_through_what_a_run_owns(make):
    reference = weakref.ref(make().run)
    wait_until(lambda: gc.collect() >= 0 and reference() is None)


def test_collected_on_a_thread_of_its_own():
    """Nothing can wait for it there, but what it borrowed comes back."""
    gc.disable()
    try:
        for _ in range(5):
            go_on, collected = threading.Event(), threading.Event()

            def collect(chunk, go_on=go_on, collected=collected):
                assert go_on.wait(20)
                gc.collect()
                collected.set()
                return chunk

            array = sf.arange(100.0)
            cycle = [sf.Pipeline(sf.read(array, rows=1)).map(collect).run(threads=2)]
            cycle.append(cycle)
            del cycle
            go_on.set()
            assert collected.wait(20)
            gc.collect()
            wait_until(lambda a=array: closes(a))
    finally:
        gc.enable()


def closes(array):
    try:
        array.close()
    except BufferError:
        return False
    return True


def test_collected_on_a_thread_that_it_waits_for():
    """A stage of one run waits for another run, on whose thread the collector finds the first."""
    gc.disable()
    started, go_on, ended = threading.Event(), threading.Event(), threading.Event()

    def collect(x):
        started.set()
        assert go_on.wait(20)
        gc.collect()
        return x

    def inner(x):
        result = sf.Pipeline([x] * 20).map(collect).collect(threads=3)
        ended.set()
        return result

    try:
        cycle = [sf.Pipeline(range(3)).map(inner).run(threads=2)]
        cycle.append(cycle)
        assert started.wait(20)
        del cycle
        go_on.set()
        assert ended.wait(20)
    finally:
        gc.enable()
