"""Tiny items: what a pipeline costs apart from the work, beside what Python users have for it."""

import numpy as np

import spanflow as sf
from bench.measure import beside, medians
from bench.pipeline.contenders import all_of_them

# Contenders that take 30 to 500 µs an item get fewer items, so that a round takes a second at most.
# What they spend once, on their threads and loops, is then spread over fewer items.
FEWER = {"SPDL": 20, "Grain in line": 4, "Grain threads": 4}


def rows(options):
    peers, missing = all_of_them()
    table = np.zeros((options.items, 16), np.float32)
    ours = sf.asarray(table)
    for stages in (1, 3):
        yield from native(ours, list(table), stages, peers, missing, options)
    yield from identity(list(range(options.items)), peers, missing, options)


def native(ours, items, stages, peers, missing, options):
    pipe = sf.Pipeline(sf.read(ours, rows=1))
    for _ in range(stages):
        pipe = pipe.map(sf.negative)
    runs = {"to a sum": lambda: pipe.reduce(sf.sum), "to a loop": lambda: exhaust(pipe)}
    seconds, of_peers = per_item(runs, peers, items, [np.negative] * stages, options)
    words = f"{stages} native stage{'s'[: stages > 1]}, 64 B"
    each = seconds["to a sum"] / stages
    shared = {name: time / stages for name, time in of_peers.items()}
    work = f"{words}, to a native sum: per item and stage"
    yield beside(work, "µs", 0.15, {"spanflow": each, **shared}, missing)
    work = f"{words}, to a Python loop: per item"
    yield beside(work, "µs", 1.0, {"spanflow": seconds["to a loop"], **of_peers}, missing)


def identity(items, peers, missing, options):
    same = sf.Pipeline(items).map(lambda item: item)
    own = sf.Pipeline(items).map(lambda item: item, workers="thread")
    runs = {"run": lambda: exhaust(same), "own": lambda: exhaust(own)}
    seconds, of_peers = per_item(runs, peers, items, [lambda item: item], options)
    for key, where in (("run", "on the run's threads"), ("own", 'on workers="thread"')):
        work = f"x -> x in Python {where}, per item"
        yield beside(work, "µs", 2.0, {"spanflow": seconds[key], **of_peers}, missing)


def exhaust(pipe):
    with pipe.run() as run:
        for _ in run:
            pass


def per_item(runs, peers, items, stages, options):
    """Seconds for an item of our runs, and of each contender; all take turns."""
    shares = {name: items[: max(len(items) // FEWER.get(name, 1), 1)] for name in peers}

    def call(name):
        count = peers[name](shares[name], stages)
        if count != len(shares[name]):
            raise AssertionError(f"{name}: {count} of {len(shares[name])} items came out")

    calls = {name: lambda n=name: call(n) for name in peers}
    found = medians({**runs, **calls}, options.slow_rounds)
    ours = {name: found[name] / len(items) for name in runs}
    return ours, {name: found[name] / len(shares[name]) for name in peers}
