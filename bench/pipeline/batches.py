"""Batches of 1 MiB: clip((a - 0.5) * 3.46, -1, 1) of each, summed."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np

import spanflow as sf
from bench.measure import beside, medians
from bench.pipeline.contenders import THREADS, all_of_them

BATCH = 1 << 18  # float32


def rows(options):
    peers, missing = all_of_them()
    a = np.random.default_rng(3).random((options.batches, BATCH), dtype=np.float32)
    batches = list(a)
    item = sf.col("item")
    work = sf.clip((item - 0.5) * 3.46, -1, 1).sum()
    pipe = sf.Pipeline(sf.read(sf.asarray(a).reshape(-1), rows=BATCH)).map(work)
    check(list(pipe.run()), [cold(batch) for batch in batches])
    calls = {
        "spanflow": lambda: list(pipe.run()),
        "executor + NumPy, warm": lambda: over_threads(batches),
        "loop + NumPy, cold": lambda: [cold(batch) for batch in batches],
    }
    if "SPDL" in peers:
        calls["SPDL + NumPy, warm"] = lambda: peers["SPDL"](batches, [warm])
    missing = [name for name in missing if name == "SPDL"]
    found = medians(calls, options.slow_rounds)
    seconds = {name: time / len(batches) for name, time in found.items()}
    yield beside("1 MiB clipped, scaled, summed, per batch", "µs", 40, seconds, missing)


_own = threading.local()


def warm(batch):
    """Into a buffer that the thread keeps."""
    if not hasattr(_own, "buffer"):
        _own.buffer = np.empty(BATCH, np.float32)
    out = np.subtract(batch, np.float32(0.5), out=_own.buffer)
    np.multiply(out, np.float32(3.46), out=out)
    return np.clip(out, -1, 1, out=out).sum()


def cold(batch):
    """As it is written: a new array for each step."""
    return np.clip((batch - np.float32(0.5)) * np.float32(3.46), -1, 1).sum()


def over_threads(batches):
    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(warm, batches))


def check(ours, theirs):
    if not np.allclose(ours, theirs, rtol=1e-3, atol=1.0):
        raise AssertionError("spanflow and NumPy do not find the same sums")
