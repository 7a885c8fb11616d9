"""What a pipeline costs for each item, apart from the work that the item is."""

import spanflow as sf
from bench.measure import Row, medians

ITEMS = 50_000


def rows(options):
    a = sf.zeros((ITEMS, 16), "f4")

    def run(stages):
        pipe = sf.Pipeline(sf.read(a, rows=1))
        for _ in range(stages):
            pipe = pipe.map(sf.negative)
        return pipe.reduce(sf.sum)

    peers = {"1 stage": lambda: run(1), "5 stages": lambda: run(5)}
    seconds = medians(peers, options.slow_rounds)
    stage = (seconds["5 stages"] - seconds["1 stage"]) / 4 / ITEMS
    note = f"whole run with one stage and a sum: {seconds['1 stage'] / ITEMS * 1e6:.2f} µs an item"
    yield Row("pipeline", "native stage, per item", "µs", stage * 1e6, 1.0, False, seconds, note)
