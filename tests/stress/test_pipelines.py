"""Pipelines in many threads at once: whose items arrive once, whose ends are clean, whatever others do."""

import gc
import random
import threading
import time
import traceback
import weakref

import pytest

import spanflow as sf
from tests.stress.crew import THREADS, Crew

ROWS = sf.arange(4000.0).reshape(400, 10)
TOTAL = sum(range(4000))


def odd(chunk):
    return chunk[0, 0] % 20 == 10


def in_thread(function):
    """The thread that runs `function`; what it raised is in `thread.error`."""

    def work():
        try:
            function()
        except BaseException as error:
            thread.error = error

    thread = threading.Thread(target=work)
    thread.error = None
    thread.start()
    return thread


def join(*threads, seconds=20):
    end = time.monotonic() + seconds
    for thread in threads:
        thread.join(max(end - time.monotonic(), 0.01))
        assert not thread.is_alive(), "a thread hangs"
        if thread.error is not None:
            raise thread.error


def test_runs_of_eight_threads_over_one_array():
    pipe = sf.Pipeline(sf.read(ROWS, rows=7))
    weights = sf.ones((400, 1))

    def work(number):
        threads = 1 + number % 3
        assert pipe.reduce(sf.sum, threads=threads) == TOTAL
        assert pipe.map(sf.add, 1).map(sf.min, axis=1).collect(threads=threads)[-1] == 3991
        assert pipe.map(lambda c: float(c[0, 0])).collect(threads=threads) == list(
            range(0, 4000, 70)
        )
        scaled = pipe.map(sf.multiply, sf.aligned(weights)).map(len, *()).map(str)
        assert scaled.collect(threads=threads) == ["7"] * 57 + ["1"]
        kept = [chunk[0, 0] for chunk in pipe.filter(odd).run(threads=threads)]
        assert kept == [first for first in range(0, 4000, 70) if first % 20 == 10]
        large = pipe.filter(sf.greater, 3900).collect(threads=threads)
        assert large.tolist() == [float(x) for x in range(3901, 4000)]
        objects = sf.Pipeline(range(number, 60)).map(str).filter(str.isdigit)
        assert objects.collect(threads=threads) == [str(n) for n in range(number, 60)]

    rounds = Crew().run(work)
    assert min(rounds) > 0


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("kind", ["python", "native", "both"])
def test_each_item_reaches_one_of_eight_consumers(kind, threads):
    if kind == "python":
        run = sf.Pipeline(range(3000)).map(lambda n: n + 1).run(threads=threads)
        expected = list(range(1, 3001))
    else:
        numbers = sf.arange(3000.0)
        pipe = sf.Pipeline(sf.read(numbers, rows=1)).map(sf.max)
        if kind == "both":
            pipe = pipe.map(lambda x: x + 0).prefetch(5)
        run, expected = pipe.run(threads=threads), [float(n) for n in range(3000)]
    seen = [[] for _ in range(THREADS)]

    def work(number):
        seen[number].extend(run)
        return False

    Crew().run(work, seconds=30)
    assert sorted(x for part in seen for x in part) == expected
    assert all(part == sorted(part) for part in seen)  # each gets later items later
    assert run.stats()["delivered"] == 3000
    assert list(run) == []


def test_an_error_reaches_one_of_eight_consumers():
    def fail_at(n):
        if n == 700:
            raise ValueError(n)
        return n

    run = sf.Pipeline(range(2000)).map(fail_at).run(threads=3)
    seen, errors = [], []

    def work(number):
        try:
            seen.extend(run)
        except ValueError as error:
            errors.append(error)
        return False

    Crew().run(work, seconds=30)
    assert sorted(seen) == list(range(700))
    assert [str(error) for error in errors] == ["700"]
    assert "fail_at" in "".join(traceback.format_exception(errors[0]))


def test_statistics_of_a_run_at_work():
    run = sf.Pipeline(sf.read(ROWS, rows=1)).map(sf.sqrt).map(lambda c: c).run(threads=3)
    stop, looks = threading.Event(), []

    def look():
        before = run.stats()
        while not stop.is_set():
            after = run.stats()
            for name in ("delivered", "elapsed", "nbytes_peak", "nbytes_made", "attached"):
                assert after[name] >= before[name], name
            for one, two in zip(before["stages"], after["stages"], strict=True):
                assert all(two[name] >= one[name] for name in ("items", "items_out", "busy"))
                assert two["items"] <= 400
            assert "handed out" in repr(run)
            looks.append(after)
            before = after

    thread = in_thread(look)
    try:
        count = 0
        for _chunk in run:
            count += 1
            time.sleep(0.0002)
        del _chunk  # its bytes count
    finally:
        stop.set()
        join(thread)
    assert count == 400 and looks
    last = run.stats()
    assert [stage["items"] for stage in last["stages"]] == [400] * 3
    assert last["delivered"] == 400 and last["nbytes"] == 0 and last["tokens"] == 0


@pytest.mark.parametrize("end", ["cancel", "close"])
def test_ended_from_another_thread(end):
    """At any moment: what came out before is a piece from the front without a hole."""
    generator = random.Random(7)
    for round_ in range(60):
        run = sf.Pipeline(range(10**9)).map(lambda n: n).run(threads=1 + round_ % 4)
        delay = generator.random() * 0.004
        thread = in_thread(lambda run=run, delay=delay: (time.sleep(delay), getattr(run, end)()))
        seen = []
        try:
            for n in run:
                seen.append(n)
            ended = True
        except sf.PipelineError as error:
            assert "cancelled" in str(error)
            ended = False
        join(thread)
        assert ended == (end == "close")
        assert seen == list(range(len(seen))) and len(seen) < 10**9
        if ended:
            assert run.stats()["tokens"] == 0


@pytest.mark.parametrize("workers", [None, "thread"])
def test_cancel_is_never_taken_for_the_end(workers):
    """At the moment when the last items come: all came out, or an error says that they did not."""
    generator = random.Random(8)
    for _ in range(600):
        run = sf.Pipeline(range(6)).map(abs, workers=workers).tap(lambda n: n).run(threads=3)
        delay = generator.random() * 0.001
        thread = in_thread(lambda run=run, delay=delay: (time.sleep(delay), run.cancel()))
        seen = []
        try:
            seen.extend(run)
        except sf.PipelineError:
            with pytest.raises(sf.PipelineError):
                next(run)
        else:
            assert seen == list(range(6))
        join(thread)


@pytest.mark.parametrize("threads", [1, 3])
def test_cancel_never_waits(threads):
    """The source blocks, on a thread of the run or of the consumer: only the consumer waits for it."""
    go_on, asked = threading.Event(), threading.Event()

    def slow():
        asked.set()
        go_on.wait(20)
        yield 1

    run = sf.Pipeline(slow()).run(threads=threads)

    def consume():
        with pytest.raises(sf.PipelineError, match="cancelled"):
            next(run)

    thread = in_thread(consume)
    assert asked.wait(20)
    run.cancel()
    assert thread.is_alive()  # it came back although nothing has moved
    go_on.set()
    join(thread)


def test_a_block_is_left_while_others_ask():
    for _ in range(20):
        ended = []

        def work(run, ended=ended):
            with pytest.raises(sf.PipelineError):
                while True:
                    next(run)
            ended.append(run)

        with sf.Pipeline(iter(int, 1)).map(lambda n: n).run(threads=3) as run:
            threads = [in_thread(lambda run=run: work(run)) for _ in range(3)]
            time.sleep(0.002)
        join(*threads)
        assert len(ended) == 3


class Cycle:
    """A run that calls what refers to it."""

    def __init__(self, threads):
        self.run = sf.Pipeline(iter(int, 1)).map(self).map(self.again).run(threads=threads)
        next(self.run)

    def __call__(self, item):
        return [item]  # tracked by the collector

    def again(self, items):
        return [*items, type(self)]


def closes(array):
    try:
        array.close()
    except BufferError:
        return False
    return True


def wait_until(condition, seconds=20):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.002)


def test_runs_in_cycles_collected_by_another_thread(run_threads):
    references = []
    gc.disable()
    try:
        for round_ in range(30):
            references.append(weakref.ref(Cycle(1 + round_ % 4)))
            if round_ % 5 == 0:
                join(in_thread(gc.collect))
    finally:
        gc.enable()
    wait_until(lambda: gc.collect() == 0 and not any(r() for r in references))
    wait_until(lambda: run_threads() == 0)


def test_runs_in_cycles_collected_wherever_it_falls(run_threads):
    """Often on a thread of some run: of another one, or of the one that is collected."""
    before = gc.get_threshold()
    gc.set_threshold(25, 2, 2)
    try:
        references = [weakref.ref(Cycle(3)) for _ in range(120)]
    finally:
        gc.set_threshold(*before)
    wait_until(lambda: gc.collect() == 0 and not any(r() for r in references))
    wait_until(lambda: run_threads() == 0)


def test_a_run_collected_on_its_own_thread(run_threads):
    """The first stage collects while nothing but a cycle through the second refers to the run."""
    for _ in range(10):
        box, collected = [], threading.Event()

        def collect(item, box=box, collected=collected):
            while box:
                time.sleep(0.001)  # until the main thread has let go
            gc.collect()
            collected.set()
            return [item]

        class Last:
            def __call__(self, item):
                return item

        last = Last()
        last.run = sf.Pipeline(range(4)).map(collect).map(last).run(threads=3)
        box.append(1)
        reference = weakref.ref(last)
        del last
        box.clear()
        assert collected.wait(20)
        wait_until(lambda r=reference: gc.collect() == 0 and r() is None)
    wait_until(lambda: run_threads() == 0)


def test_a_run_dropped_on_its_own_thread(run_threads):
    for _ in range(10):
        box, dropped = [], threading.Event()

        def drop(item, box=box, dropped=dropped):
            if item == 0:
                wait_until(lambda: box)
                box.clear()
                dropped.set()
            return item

        box.append(sf.Pipeline(range(1000)).map(drop).run(threads=2))
        assert dropped.wait(20)
    wait_until(lambda: run_threads() == 0)


def test_dropped_by_one_thread_and_started_by_another():
    runs, stop = [], threading.Event()

    def dropper():
        while not stop.is_set() or runs:
            if runs:
                runs.pop()
            time.sleep(0.0005)

    thread = in_thread(dropper)
    array = sf.arange(1000.0)

    def work(number):
        run = sf.Pipeline(sf.read(array, rows=3)).map(sf.sqrt).map(lambda c: c).run(threads=2)
        next(run)
        runs.append(run)
        wait_until(lambda: len(runs) < 20)

    try:
        Crew().run(work)
    finally:
        stop.set()
        join(thread)
    array.close()


def test_close_is_refused_while_a_run_reads():
    for round_ in range(25):
        array = sf.arange(3000.0).reshape(300, 10)
        pipe = sf.Pipeline(sf.read(array, rows=2)).map(sf.sqrt)
        if round_ % 2:
            pipe = pipe.map(lambda c: float(c[0, 0]))
        run = pipe.run(threads=1 + round_ % 3)
        next(run)
        refused = threading.Event()

        def close(array=array, refused=refused):
            with pytest.raises(BufferError, match="running pipeline"):
                array.close()  # it has just begun
            refused.set()
            wait_until(lambda: closes(array))

        thread = in_thread(close)
        refused.wait(20)
        if round_ % 4 == 0:
            run.cancel()
            del run
        else:
            assert len(list(run)) == 149
        join(thread)
        assert array.closed
        with pytest.raises(ValueError, match="closed"):
            pipe.run()


def test_run_against_close():
    """Starting a run while another thread closes the array: a whole result, or ValueError."""
    results = []
    for _ in range(40):
        array = sf.ones((300, 10))
        pipe = sf.Pipeline(sf.read(array, rows=3))
        start = threading.Barrier(2)

        def reduce(pipe=pipe, start=start):
            start.wait()
            for _ in range(3):
                try:
                    results.append(pipe.reduce(sf.sum, threads=2))
                except ValueError as error:
                    assert "closed" in str(error)
                    results.append(None)

        thread = in_thread(reduce)
        start.wait()
        while not array.closed:
            try:
                array.close()
            except BufferError:
                time.sleep(0)
        join(thread)
    assert set(results) <= {3000.0, None}


def test_pipelines_inside_stages_of_eight_threads():
    pipe = sf.Pipeline(sf.read(ROWS, rows=50))

    def inner(chunk):
        parts = sf.Pipeline(sf.read(chunk, rows=9))
        return parts.map(lambda c: c).reduce(sf.sum, threads=2)

    def work(number):
        assert sum(pipe.map(inner).run(threads=2)) == TOTAL

    Crew().run(work)


def test_many_runs_at_once_in_one_thread():
    runs = [sf.Pipeline(range(n, n + 50)).map(str).run(threads=2) for n in range(60)]
    for k in range(50):
        for n, run in enumerate(runs):
            assert next(run) == str(n + k)
    assert all(next(run, None) is None for run in runs)


def test_errors_of_eight_threads_stay_apart():
    def work(number):
        def fail(item):
            if item == 20 + number:
                raise ValueError(f"of thread {number}")
            return item

        seen = []
        with pytest.raises(ValueError, match=f"of thread {number}") as caught:
            seen.extend(sf.Pipeline(range(100)).map(fail).run(threads=2))
        assert caught.value.__notes__ == [f"in the pipeline's map(fail), item {20 + number}"]

    Crew().run(work)


def test_collecting_garbage_all_the_time():
    array = sf.arange(2000.0)

    def work(number):
        pipe = sf.Pipeline(sf.read(array, rows=20)).map(lambda c: [c, c.copy()])
        run = pipe.run(threads=2)
        items = [next(run) for _ in range(number)]
        cycle = [run, items]
        cycle.append(cycle)
        references[number].append(weakref.ref(run))
        del run, items, cycle
        if len(references[number]) > 10:  # no more threads than a machine has
            oldest = references[number].pop(0)
            wait_until(lambda: oldest() is None or (gc.collect() < 0))

    references = [[] for _ in range(THREADS)]
    Crew().run(work, lambda: gc.collect() and None)
    # A collection does nothing while another thread is at one.
    wait_until(lambda: gc.collect() >= 0 and closes(array))


def test_memory_is_bounded_for_everybody():
    array = sf.ones((200, 1000))  # 8,000 bytes a row

    def work(number):
        threads = 1 + number % 3
        run = sf.Pipeline(sf.read(array, rows=2)).map(sf.sqrt).run(threads=threads, memory=100_000)
        kept = []
        for chunk in run:
            kept = [*kept[-2:], chunk]
        assert run.stats()["nbytes_peak"] <= 100_000 + threads * 16_000

    Crew().run(work)
