"""One execution of a pipeline: its life, its limits, its statistics, and that nothing is left."""

import contextlib
import gc
import os
import threading
import time
import weakref

import numpy as np
import pytest

import spanflow as sf

TABLE = np.arange(4000, dtype="f4").reshape(1000, 4)


def run_threads():
    names = []
    for task in os.listdir("/proc/self/task"):
        try:
            with open(f"/proc/self/task/{task}/comm") as file:
                names.append(file.read().strip())
        except OSError:  # it ended meanwhile
            continue
    return names.count("spanflow-run")


def no_threads_within(seconds=5):
    """A thread that was joined is still listed for a moment."""
    end = time.monotonic() + seconds
    while run_threads() and time.monotonic() < end:
        time.sleep(0.005)
    return run_threads() == 0


@pytest.fixture(autouse=True)
def nothing_is_left():
    yield
    gc.collect()
    assert no_threads_within()


def slowly(x):
    time.sleep(0.002)
    return x


def test_leaving_the_block_ends_the_threads():
    with sf.Pipeline(range(10_000)).map(slowly).run(threads=4) as run:
        assert next(run) == 0
        end = time.monotonic() + 5  # a thread has its name a moment after its start
        while run_threads() < 3 and time.monotonic() < end:
            time.sleep(0.001)
        assert run_threads() >= 3
    assert no_threads_within()
    with pytest.raises(sf.PipelineError, match="cancelled"):
        next(run)


def test_reaching_the_end_ends_the_threads_and_the_borrow():
    array = sf.ones((1000, 4), "f4")
    run = sf.Pipeline(sf.read(array, rows=10)).map(sf.add, 1).run(threads=3)
    with pytest.raises(BufferError, match="1 running pipeline"):
        array.close()
    assert len(list(run)) == 100
    assert no_threads_within()
    array.close()
    assert list(run) == []
    assert run.stats()["delivered"] == 100


def test_the_block_ends_the_borrow():
    array, operand = sf.ones((1000, 4), "f4"), sf.ones((1000, 1))
    pipe = sf.Pipeline(sf.read(array, rows=10)).map(sf.add, sf.aligned(operand))
    with pipe.run(threads=3) as run:
        next(run)
    array.close()
    operand.close()
    assert run.stats()["stages"][1]["name"] == "map(add)"


def test_an_error_in_the_block_ends_the_threads():
    with pytest.raises(LookupError), sf.Pipeline(range(10_000)).map(slowly).run(threads=4) as run:
        next(run)
        raise LookupError
    assert no_threads_within()


def test_a_failed_run_ends():
    def fail(x):
        raise ValueError(x)

    array = sf.zeros(100)
    run = sf.Pipeline(sf.read(array, rows=1)).map(fail).run(threads=4)
    with pytest.raises(ValueError, match="0"):
        next(run)
    assert no_threads_within()
    assert list(run) == []
    del run
    array.close()


def test_abandoned_runs_are_collected():
    run = sf.Pipeline(range(10_000)).map(slowly).run(threads=3)
    next(run)
    reference = weakref.ref(run)
    del run
    assert reference() is None
    assert no_threads_within()


def test_a_run_in_a_cycle_is_collected():
    class Holder:
        def __call__(self, x):
            return x

    holder = Holder()
    holder.run = sf.Pipeline(range(10_000)).map(holder).run(threads=3)
    next(holder.run)
    reference = weakref.ref(holder)
    del holder
    # Not while a thread is inside a call; without a consumer the run is soon full, and none is.
    end = time.monotonic() + 20
    while reference() is not None and time.monotonic() < end:
        gc.collect()
        time.sleep(0.005)
    assert reference() is None
    assert no_threads_within()


def test_an_error_that_leads_back_to_its_run_is_collected():
    """The consumer works on later items too: the traceback of one that fails holds its frame."""

    def consume():
        failed = []

        def fail(x):
            if x < 20:
                return x
            failed.append(x)
            raise LookupError(x)

        run = sf.Pipeline(range(1000)).map(fail).run(threads=1)
        while not failed:
            next(run)
        references.append(weakref.ref(run))

    references = []
    for _ in range(50):
        with contextlib.suppress(LookupError):  # the item that was asked for itself
            consume()
    assert references
    gc.collect()
    assert not any(reference() for reference in references)


def test_a_loop_that_breaks():
    for x in sf.Pipeline(range(10_000)).map(slowly):
        if x == 5:
            break
    gc.collect()
    assert no_threads_within()


def test_cancel_from_another_thread():
    started = threading.Event()

    def wait(x):
        started.set()
        time.sleep(0.05)
        return x

    run = sf.Pipeline(range(10_000)).map(wait).run(threads=2)
    thread = threading.Thread(target=lambda: (started.wait(), run.cancel()))
    thread.start()
    with pytest.raises(sf.PipelineError, match="cancelled"):
        list(run)
    thread.join()


def test_close_lets_what_is_in_flight_come_out():
    run = sf.Pipeline(range(10_000)).map(slowly).run(threads=3)
    first = [next(run) for _ in range(5)]
    run.close()
    rest = list(run)
    assert first + rest == list(range(5 + len(rest)))
    assert len(rest) < 300


@pytest.mark.parametrize("threads", [1, 3])
def test_cancel_inside_a_stage(threads):
    ready, box = threading.Event(), []

    def cancel(x):
        ready.wait()
        if x == 3:
            box[0].cancel()
        return x

    box.append(sf.Pipeline(range(10_000)).map(cancel).run(threads=threads))
    ready.set()
    with pytest.raises(sf.PipelineError, match="cancelled"):
        list(box[0])
    box.clear()


def test_next_inside_a_stage_of_the_same_run():
    """Nobody can sensibly want it, but it must not hang."""
    ready, box = threading.Event(), []

    def greedy(x):
        ready.wait()
        if x == 2:
            box[0].cancel()
            with pytest.raises(sf.PipelineError):
                next(box[0])
        return x

    box.append(sf.Pipeline(range(100)).map(greedy).run(threads=2))
    ready.set()
    with pytest.raises(sf.PipelineError):
        list(box[0])
    box.clear()


def test_several_threads_share_one_run():
    run = sf.Pipeline(range(2000)).map(lambda x: x).run(threads=2)
    taken = [[] for _ in range(4)]
    threads = [threading.Thread(target=lambda box=box: box.extend(run)) for box in taken]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(x for box in taken for x in box) == list(range(2000))
    assert all(box == sorted(box) for box in taken)


# ---- limits ----


def test_prefetch_bounds_what_runs_ahead():
    made = []

    def note(x):
        made.append(x)
        return x

    with sf.Pipeline(range(1000)).map(note).prefetch(3).run(threads=2) as run:
        next(run)
        end = time.monotonic() + 5
        while len(made) < 2 and time.monotonic() < end:
            time.sleep(0.001)
        time.sleep(0.05)
        assert 2 <= len(made) <= 1 + 3 + 2
        assert run.stats()["tokens_peak"] <= 3 + 2


def test_prefetch_works_ahead_with_one_thread():
    made = []
    with sf.Pipeline(range(1000)).map(made.append).prefetch(4).run(threads=1) as run:
        deadline = time.monotonic() + 5
        while len(made) < 4 and time.monotonic() < deadline:
            time.sleep(0.005)
        assert 4 <= len(made) <= 5
        assert run.stats()["delivered"] == 0


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_memory_is_a_promise(threads):
    table = sf.ones((4096, 256), "f4")
    chunk = 64 * 256 * 4
    limit = 4 * chunk
    pipe = sf.Pipeline(sf.read(table, rows=64)).map(sf.multiply, 2).map(sf.add, 1)
    with pipe.run(threads=threads, memory=limit) as run:
        for part in run:
            assert part[0, 0] == 3
        stats = run.stats()
    assert stats["memory"] == limit
    assert stats["nbytes_peak"] <= limit + threads * chunk


def test_a_consumer_that_keeps_items_slows_the_run_but_never_stops_it():
    table = sf.ones((4096, 256), "f4")
    pipe = sf.Pipeline(sf.read(table, rows=64)).map(sf.multiply, 2)
    kept = list(pipe.run(threads=2, memory=5 * 64 * 256 * 4))
    assert len(kept) == 64


def test_memory_of_an_item_larger_than_the_limit():
    with pytest.raises(ValueError, match=r"one item needs 16000 bytes.*may hold 10") as caught:
        sf.Pipeline(TABLE).collect(memory=10)
    assert "item 0" in caught.value.__notes__[0]


@pytest.mark.parametrize(
    ("text", "nbytes"),
    [
        ("100", 100),
        ("1kB", 1000),
        ("1.5 MB", 1_500_000),
        ("2GiB", 2 << 30),
        (" 3 mib ", 3 << 20),
        (7, 7),
    ],
)
def test_sizes(text, nbytes):
    with sf.Pipeline([]).run(memory=text) as run:
        assert run.stats()["memory"] == nbytes


def test_bad_options():
    pipe = sf.Pipeline([1])
    cases = [
        ({"threads": 0}, ValueError, "at least 1, got 0"),
        ({"threads": "x"}, TypeError, "must be an integer, got 'x'"),
        ({"threads": 10**30}, ValueError, "at most"),
        ({"memory": "5 parsecs"}, ValueError, "5 parsecs"),
        ({"memory": "1e9"}, ValueError, "1e9"),
        ({"memory": "-1GB"}, ValueError, "-1GB"),
        ({"memory": "1.2.3"}, ValueError, "1.2.3"),
        ({"memory": "MB"}, ValueError, "'MB'"),
        ({"memory": ""}, ValueError, "''"),
        ({"memory": 0}, ValueError, "at least 1"),
        ({"memory": -1}, ValueError, "at least 1"),
        ({"memory": 10**30}, ValueError, "at most"),
        ({"memory": 1e9}, TypeError, "1000000000.0"),
        ({"cores": 1}, TypeError, "cores"),
    ]
    for options, error, text in cases:
        with pytest.raises(error, match=text):
            pipe.run(**options)
    for n, error in ((-1, ValueError), (10**12, ValueError), ("x", TypeError), (1.5, TypeError)):
        with pytest.raises(error, match="prefetch"):
            pipe.prefetch(n)


def test_more_threads_than_anybody_has():
    assert sf.Pipeline(sf.read(TABLE, rows=10)).reduce(sf.sum, threads=64) == TABLE.sum()


# ---- statistics ----


def test_statistics():
    def half(chunk):
        return chunk * 0.5

    pipe = sf.Pipeline(sf.read(TABLE, rows=100)).map(sf.multiply, 2).map(half)
    with pipe.run(threads=2, memory="1MB") as run:
        before = run.stats()
        assert before["delivered"] == 0
        for _ in run:
            pass
    stats = run.stats()
    assert stats["threads"] == 2 and stats["memory"] == 10**6
    assert stats["delivered"] == 10 and stats["tokens"] == 0 and stats["nbytes"] == 0
    assert 0 < stats["nbytes_peak"] <= 10**6
    assert stats["nbytes_made"] == TABLE.nbytes  # the native stage's; half's arrays are Python's
    source, native, python = stats["stages"]
    assert [stage["name"] for stage in (source, native, python)] == [
        "read(rows=100)",
        "map(multiply)",
        "map(half)",
    ]
    for stage in (source, native, python):
        assert (stage["items"], stage["items_out"]) == (10, 10)
    assert source["nbytes"] == native["nbytes"] == TABLE.nbytes
    assert native["attached"] == 0 < python["attached"] <= python["busy"]
    assert stats["attached"] == python["attached"]
    assert 0 <= stats["detached"] < stats["elapsed"] < 10
    again = run.stats()
    assert again["elapsed"] == stats["elapsed"]


def test_native_stages_never_attach():
    pipe = sf.Pipeline(sf.read(TABLE, rows=10)).map(sf.sqrt).filter(sf.all).map(sf.sum, axis=1)
    with pipe.run(threads=2) as run:
        list(run)
        assert run.stats()["attached"] == 0


def test_statistics_from_another_thread():
    run = sf.Pipeline(range(500)).map(slowly).run(threads=2)
    seen, stop = [], threading.Event()

    def watch():
        while not stop.is_set():
            seen.append(run.stats()["delivered"])
            time.sleep(0.005)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        for _ in run:
            time.sleep(0)
    finally:
        stop.set()
        thread.join()
    assert seen == sorted(seen) and seen[-1] <= 500 == run.stats()["delivered"]


def test_repr_and_type():
    run = sf.Pipeline([1, 2]).run()
    next(run)
    assert isinstance(run, sf.Run)
    assert repr(run).startswith("<spanflow.Run: 1 items handed out")
    assert iter(run) is run
    with pytest.raises(TypeError):
        sf.Run()
