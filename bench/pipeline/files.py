"""A mapped file, from its path to min, max, mean and std: warm, and with none of it in memory."""

import os
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from statistics import median

import numpy as np

import spanflow as sf
from bench.measure import Row, beside, medians
from bench.memory.mapped import check, write
from bench.pipeline.contenders import THREADS, load

WANTED = {"min": sf.min, "max": sf.max, "mean": sf.mean, "std": sf.std}
PART = 1 << 22  # elements of an executor's call
READ = 8 << 20  # bytes of a plain read

ONE_PASS = """
def run(a):
    low, high = a[0], a[0]
    total = squares = 0.0
    for i in prange(a.size):
        v = a[i]
        low = min(low, v)
        high = max(high, v)
        total += v
        squares += np.float64(v) * v
    mean = total / a.size
    return low, high, mean, np.sqrt(squares / a.size - mean * mean)
"""


def rows(options):
    with tempfile.TemporaryDirectory(dir=options.scratch, prefix="spanflow-bench-") as folder:
        path = os.path.join(folder, "mapped.npy")
        write(path, options.mapped_bytes)
        os.sync()
        yield warm(path, options)
        yield cold(path, options)


def spanflow(path):
    with sf.open(path) as a:
        return sf.Pipeline(sf.read(a, rows=4096)).reduce(WANTED)


def numpy(path):
    a = np.load(path, mmap_mode="r")
    return a.min(), a.max(), a.mean(), a.std()


def over_threads(path):
    a = np.load(path, mmap_mode="r").reshape(-1)

    def part(first):
        b = a[first : first + PART]
        return b.min(), b.max(), b.sum(dtype=np.float64), np.dot(b, b).astype(np.float64)

    with ThreadPoolExecutor(THREADS) as pool:
        low, high, total, squares = zip(*pool.map(part, range(0, a.size, PART)), strict=True)
    mean = sum(total) / a.size
    return min(low), max(high), mean, np.sqrt(sum(squares) / a.size - mean * mean)


def with_numba(numba):
    names = {"np": np, "prange": numba.prange}
    exec(ONE_PASS, names)  # numba needs the loop as Python code
    run = numba.njit(fastmath=True, parallel=True)(names["run"])
    return lambda path: run(np.load(path, mmap_mode="r").reshape(-1).view(np.ndarray))


def with_polars(polars):
    def run(path):
        x = polars.Series("x", np.load(path, mmap_mode="r").reshape(-1))
        col = polars.col("x")
        wanted = [col.min().alias("a"), col.max().alias("b"), col.mean().alias("c")]
        plan = polars.DataFrame(x).lazy().select(*wanted, col.std(ddof=0).alias("d"))
        return plan.collect().row(0)

    return run


def warm(path, options):
    calls = {"spanflow": spanflow, "NumPy": numpy, "executor + NumPy": over_threads}
    missing = []
    for name, make in (("numba", with_numba), ("polars", with_polars)):
        if module := load(name):
            calls[name] = make(module)
        else:
            missing.append(name)
    expected = spanflow(path)
    for name, call in calls.items():
        if name != "spanflow":
            check(call(path), expected)
    bound = {name: lambda call=call: call(path) for name, call in calls.items()}
    seconds = medians(bound, options.slow_rounds)
    work = f"mapped {options.mapped_bytes / 2**30:.3g} GiB, 4 statistics, warm"
    row = beside(work, "s", 0.06, seconds, missing)
    row.note += f"; {options.mapped_bytes / seconds['spanflow'] / 1e9:.1f} GB/s"
    return row


def cold(path, options):
    """How fast the file is read on the way, as a share of what plain reading gives."""
    calls = {"spanflow": spanflow, "reading": plain_read}
    times = {name: [] for name in calls}
    for _ in range(options.slow_rounds):
        for name, call in calls.items():
            forget(path)
            start = time.perf_counter()
            call(path)
            times[name].append(time.perf_counter() - start)
    seconds = {name: median(values) for name, values in times.items()}
    work = "the same, none of it in memory, of plain reading's speed"
    speed = {name: options.mapped_bytes / found / 1e9 for name, found in seconds.items()}
    note = ", ".join(f"{name} {value:.2f} GB/s" for name, value in speed.items())
    share = 100 * seconds["reading"] / seconds["spanflow"]
    return Row("pipeline", work, "%", share, 95, True, seconds, note, "reading")


def forget(path):
    """Drops the file's pages from the page cache."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(descriptor)


def plain_read(path):
    """As dd does it: one buffer, one read after the other."""
    buffer = bytearray(READ)
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_SEQUENTIAL)
        while os.readv(descriptor, [buffer]):
            pass
    finally:
        os.close(descriptor)
