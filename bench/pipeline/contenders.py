"""The ways in which Python users send items through functions today, each with the same signature.

    run(items, stages) -> the number of items that came out

`stages` are functions of one item. Each contender is set up and taken down inside of its time, as a
pipeline is. SPDL and Grain come with the extra `peers`.
"""

import importlib
import logging
import queue
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import reduce

THREADS = 2
WAITING = 64  # items in a queue, where a contender has one
_END = object()


def load(name):
    """A module, or None where it is not installed."""
    logging.disable(logging.WARNING)  # Grain tells what it could load as well and does not need
    try:
        return importlib.import_module(name)
    except ImportError:
        return None
    finally:
        logging.disable(logging.NOTSET)


def executor(items, stages):
    """Executor.map: one call for each item, which goes through all stages."""
    with ThreadPoolExecutor(THREADS) as pool:
        through = pool.map(lambda item: reduce(lambda x, stage: stage(x), stages, item), items)
        return sum(1 for _ in through)


def queues(items, stages):
    """A thread for each stage, a queue.Queue before each and behind the last."""
    ways = [queue.Queue(WAITING) for _ in range(len(stages) + 1)]

    def feed():
        for item in items:
            ways[0].put(item)
        ways[0].put(_END)

    def work(stage, before, behind):
        while (item := before.get()) is not _END:
            behind.put(stage(item))
        behind.put(_END)

    places = list(zip(stages, ways, ways[1:], strict=False))
    threads = [threading.Thread(target=work, args=place, daemon=True) for place in places]
    threads.append(threading.Thread(target=feed, daemon=True))
    for thread in threads:
        thread.start()
    count = 0
    while ways[-1].get() is not _END:
        count += 1
    for thread in threads:
        thread.join()
    return count


def spdl(builder):
    def run(items, stages):
        built = builder().add_source(items)
        for stage in stages:
            built = built.pipe(stage, concurrency=THREADS, output_order="input")
        pipeline = built.add_sink(WAITING).build(num_threads=THREADS)
        with pipeline.auto_stop():
            return sum(1 for _ in pipeline)

    return run


def grain(module, threads):
    """`threads` 0: in line, on the thread that takes the items."""
    waiting = WAITING if threads else 0
    options = module.ReadOptions(num_threads=threads, prefetch_buffer_size=waiting)

    def run(items, stages):
        described = module.MapDataset.source(items)
        for stage in stages:
            described = described.map(stage)
        return sum(1 for _ in described.to_iter_dataset(options))

    return run


def all_of_them():
    """(contenders by name, names of those that are not installed)."""
    found = {"executor.map": executor, "queue.Queue": queues}
    missing = []
    if module := load("spdl.pipeline"):
        found["SPDL"] = spdl(module.PipelineBuilder)
    else:
        missing.append("SPDL")
    if module := load("grain"):
        found["Grain in line"] = grain(module, 0)
        found["Grain threads"] = grain(module, THREADS)
    else:
        missing.append("Grain")
    return found, missing
