"""Whole-array arithmetic and reductions, float32, against NumPy."""

import numpy as np

import spanflow as sf
from bench.measure import Row, medians


def rows(options):
    n = options.elements
    random = np.random.default_rng(1)
    na, nb = (random.random(n, dtype=np.float32) for _ in range(2))
    nout = np.empty_like(na)
    a, b, out = sf.asarray(na), sf.asarray(nb), sf.asarray(nout)
    heap = sf.empty(n, "f4")
    heap[:] = a

    yield ratio(
        "a + b into out", 0.85, lambda: np.add(na, nb, out=nout), lambda: sf.add(a, b, out=out)
    )
    yield ratio("a * 2.5 + b, new array", 0.75, lambda: na * 2.5 + nb, lambda: a * 2.5 + b)
    yield ratio("exp into out", 0.6, lambda: np.exp(na, out=nout), lambda: sf.exp(a, out=out))
    yield ratio("sum", 0.6, na.sum, a.sum)
    yield ratio("max", 0.6, na.max, a.max)
    if options.all:
        yield ratio("mean", None, na.mean, a.mean)
        yield ratio("std", None, na.std, a.std)
        yield ratio("a < b", None, lambda: na < nb, lambda: a < b)
        yield ratio(
            "sqrt into out", None, lambda: np.sqrt(na, out=nout), lambda: sf.sqrt(a, out=out)
        )
        yield ratio("log into out", None, lambda: np.log(na, out=nout), lambda: sf.log(a, out=out))
        yield ratio("sin into out", None, lambda: np.sin(na, out=nout), lambda: sf.sin(a, out=out))
        yield ratio("a // b", None, lambda: na // nb, lambda: a // b)
        yield ratio("clip", None, lambda: na.clip(0.2, 0.8), lambda: a.clip(0.2, 0.8))
        yield ratio("where", None, lambda: np.where(na < nb, na, nb), lambda: sf.where(a < b, a, b))
        yield ratio("a[a > 0.5]", None, lambda: na[na > 0.5], lambda: a[a > 0.5])
        yield ratio("astype(float64)", None, lambda: na.astype("f8"), lambda: a.astype("f8"))


def ratio(work, asked, numpy, spanflow):
    seconds = medians({"numpy": numpy, "spanflow": spanflow})
    return Row("array", work, "x", seconds["spanflow"] / seconds["numpy"], asked, seconds=seconds)
