"""What more threads give, how long the GIL is held, and what handing over a large array costs."""

import multiprocessing
import pickle
import sys
import time
from statistics import median

import numpy as np

import spanflow as sf
from bench.measure import Row, beside, medians

CHUNK = 1 << 14  # float32: with the result it stays in a core's own cache
CALLS = 64  # of a Python function that takes a millisecond


def rows(options):
    yield native_scaling(options)
    yield python_scaling(options)
    yield gil_held(options)
    yield from handed_over(options)


def speed_up(run, rounds):
    return medians({"1 thread": lambda: run(1), "2 threads": lambda: run(2)}, rounds)


def scaled(work, asked, seconds):
    speed = seconds["1 thread"] / seconds["2 threads"]
    note = ", ".join(f"{name} {value * 1e3:.3g} ms" for name, value in seconds.items())
    return Row("pipeline", work, "x", speed, asked, True, seconds, f"ideal 2; {note}")


def native_scaling(options):
    a = sf.zeros((max(options.batches, 2), CHUNK), "f4") + 0.5
    pipe = sf.Pipeline(sf.read(a, rows=1)).map(sf.sin).map(sf.arctan).map(sf.exp).map(sf.log)
    seconds = speed_up(lambda n: pipe.reduce(sf.sum, threads=n), options.slow_rounds * 3)
    return scaled("4 native stages that compute, 1 to 2 threads", 1.9, seconds)


def python_work(item):
    """A millisecond or two of Python; when it began and ended. Items below 0 wait for others."""
    start = time.perf_counter()
    if item < 0:
        time.sleep(0.1)
    total = item
    for i in range(20_000):
        total = (total * 31 + i) & 0xFFFF
    return start, time.perf_counter()


def python_scaling(options):
    """By threads on free-threaded builds, elsewhere by interpreters, new in Python 3.12."""
    free = not getattr(sys, "_is_gil_enabled", lambda: True)()
    if not free and sys.version_info < (3, 12):
        note = "needs Python 3.12: setup.py bench --python 3.13 --pipeline"
        work = 'Python stage, workers="interpreter", 1 to 2'
        return Row("pipeline", work, "x", float("nan"), note=note)
    kind, asked = ("thread", 1.9) if free else ("interpreter", 1.8)
    calls = max(CALLS * options.batches // 512, 4)
    named = (("1 thread", 1), ("2 threads", 2))
    seconds = {name: median(spans(kind, n, calls, options.slow_rounds)) for name, n in named}
    return scaled(f'Python stage, workers="{kind}", 1 to 2', asked, seconds)


def spans(kind, n, calls, rounds):
    """Seconds from the first call's begin to the last one's end, once all workers have started."""
    pipe = sf.Pipeline([*(-1 for _ in range(n)), *range(calls)])
    pipe = pipe.map(f"{__name__}:python_work", workers=sf.Workers(kind, n))
    for _ in range(rounds):
        called = list(pipe.run(threads=1))[n:]
        yield max(end for _, end in called) - min(start for start, _ in called)


def gil_held(options):
    """Of a run without Python functions that gives one item, by its own statistics."""
    a = sf.zeros((options.batches, 1 << 18), "f4")
    work = sf.clip((sf.col("item") - 0.5) * 3.46, -1, 1).sum()
    pipe = sf.Pipeline(sf.read(a.reshape(-1), rows=1 << 18)).map(work).batch(options.batches)
    shares, starts = [], []
    for _ in range(options.slow_rounds * 3):
        begun = time.perf_counter()
        run = pipe.run()
        starts.append(time.perf_counter() - begun)
        with run:
            list(run)
            shares.append(100 * run.report().gil_share)
    note = f"starting it took {median(starts) * 1e6:.0f} µs more"
    work = f"GIL held by {options.batches} batches of 1 MiB through native stages"
    return Row("pipeline", work, "%", median(shares), 0.1, False, note=note)


def handed_over(options):
    """An array of half the mapped file's size, there and a number back."""
    size = options.mapped_bytes // 2 // 4
    plain = np.ones(size, np.float32)
    pickled = {"pickle": lambda: pickle.loads(pickle.dumps(plain, pickle.HIGHEST_PROTOCOL))}
    peers = medians(pickled, options.slow_rounds)
    peers["mp.Queue"] = through_queue(plain, options.slow_rounds)
    shared = sf.shared_empty(size, "f4")
    shared[...] = plain
    for kind, asked, array in (("interpreter", 50, sf.asarray(plain)), ("process", 200, shared)):
        work = f"{array.nbytes / 2**30:.3g} GiB handed to a function in one {kind}"
        if kind == "interpreter" and sys.version_info < (3, 12):
            note = "needs Python 3.12: setup.py bench --python 3.13 --pipeline"
            yield Row("pipeline", work, "µs", float("nan"), note=note)
        else:
            yield beside(work, "µs", asked, {"spanflow": handing(kind, array, options), **peers})


def handing(kind, array, options):
    """Seconds for one of many calls, the worker's start left out."""
    first, calls = 8, 400 if options.batches >= 512 else 8
    pipe = sf.Pipeline([array] * (first + calls))
    pipe = pipe.map("operator:length_hint", workers=sf.Workers(kind, 1))  # of a light module
    found = []
    for _ in range(options.slow_rounds):
        with pipe.run(threads=1) as run:
            for _ in range(first):
                next(run)
            start = time.perf_counter()
            for _ in run:
                pass
            found.append((time.perf_counter() - start) / calls)
    return median(found)


def answer(asked, answered):
    while (array := asked.get()) is not None:
        answered.put(len(array))


def through_queue(array, rounds):
    context = multiprocessing.get_context("spawn")
    asked, answered = context.Queue(), context.Queue()
    process = context.Process(target=answer, args=(asked, answered))
    process.start()

    def call():
        asked.put(array)
        return answered.get()

    try:
        return medians({"mp.Queue": call}, rounds)["mp.Queue"]
    finally:
        asked.put(None)
        process.join()
