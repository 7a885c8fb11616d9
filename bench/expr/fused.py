"""Expressions: several operations in one pass, float32, against NumPy doing them one by one."""

import numpy as np

import spanflow as sf
from bench.measure import Row, medians


def rows(options):
    a = np.random.default_rng(2).random(options.elements, dtype=np.float32)
    b = a[::-1].copy()
    x, y = sf.lazy(a), sf.lazy(b)
    half, scale = np.float32(0.5), np.float32(3.46)

    def chain(v, out=None):
        return np.clip((v - half) * scale, -1, 1, out=out)

    lazy = ((x - 0.5) * 3.46).clip(-1, 1)
    statistics = (x.min(), x.max(), x.mean(), x.std())
    yield ratio(
        "clip((a - 0.5) * 3.46, -1, 1).sum()", None, lambda: chain(a).sum(), lazy.sum().compute
    )
    yield ratio("a * 2.5 + b, new array", None, lambda: a * 2.5 + b, (x * 2.5 + y).compute)
    yield ratio(
        "min, max, mean, std in one pass",
        None,
        lambda: (a.min(), a.max(), a.mean(), a.std()),
        lambda: sf.compute(*statistics),
    )
    yield ratio("mean of a[a > 0.5]", None, lambda: a[a > half].mean(), x[x > 0.5].mean().compute)
    small = a[: 1 << 16]
    cached = ((sf.lazy(small) - 0.5) * 3.46).clip(-1, 1).sum()
    yield ratio("the first on 64 Ki elements", None, lambda: chain(small).sum(), cached.compute)


def ratio(work, asked, numpy, spanflow):
    seconds = medians({"numpy": numpy, "spanflow": spanflow})
    return Row("expr", work, "x", seconds["spanflow"] / seconds["numpy"], asked, seconds=seconds)
