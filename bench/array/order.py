"""Sorting, searching and counting, float32, against NumPy."""

import numpy as np

import spanflow as sf
from bench.array.elementwise import ratio


def rows(options):
    random = np.random.default_rng(2)
    n = max(options.elements // 8, 1)
    na = random.random(n, dtype=np.float32)
    nbytes = random.integers(0, 256, options.elements, dtype=np.uint8)
    a, bytes_ = sf.asarray(na), sf.asarray(nbytes)

    yield ratio("argsort", 0.3, lambda: np.argsort(na), lambda: sf.argsort(a))
    yield ratio("bincount of uint8", 0.25, lambda: np.bincount(nbytes), lambda: sf.bincount(bytes_))
    if not options.all:
        return
    ordered, wanted = np.sort(na), random.random(max(n // 8, 1), dtype=np.float32)
    few = wanted[:1000]
    table, our_table = na[: n // 32 * 32].reshape(-1, 32), a[: n // 32 * 32].reshape(-1, 32)
    nwide, wide = na.astype("f8"), a.astype("f8")
    middle = n // 2
    k = min(100, n)
    yield ratio("sort", None, lambda: np.sort(na), lambda: sf.sort(a))
    yield ratio("argsort, float64", None, lambda: np.argsort(nwide), lambda: sf.argsort(wide))
    yield ratio("sort rows of 32", None, lambda: np.sort(table), lambda: sf.sort(our_table))
    yield ratio(
        "partition", None, lambda: np.partition(na, middle), lambda: sf.partition(a, middle)
    )
    yield ratio("topk of 100", None, lambda: np.partition(na, n - k), lambda: sf.topk(a, k))
    yield ratio("unique", None, lambda: np.unique(na), lambda: sf.unique(a))
    yield ratio(
        "searchsorted",
        None,
        lambda: np.searchsorted(ordered, wanted),
        lambda: sf.searchsorted(ordered, wanted),
    )
    yield ratio("isin of 1,000", None, lambda: np.isin(na, few), lambda: sf.isin(a, few))
    yield ratio(
        "histogram of 100 bins", None, lambda: np.histogram(na, 100), lambda: sf.histogram(a, 100)
    )
