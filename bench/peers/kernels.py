"""Kernels and expressions against the best that Python users can install for each work.

Needs the packages of the extra `peers`; one that is not there is left out, and the row says so.
"""

import functools
import importlib

import numpy as np

import spanflow as sf
from bench.measure import Row, medians

PEERS = ("numba", "polars", "numexpr", "bottleneck", "numkong")


def load(name):
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


class Work:
    """The arrays of the rows, and the peers that are installed."""

    def __init__(self, options):
        rng = np.random.default_rng(5)
        self.threads = sf.get_num_threads()
        self.a = rng.random(options.elements, dtype=np.float32)
        self.b = self.a[::-1].copy()
        self.out = np.empty_like(self.a)
        self.short = self.a[: 4 << 20].copy()
        self.cached = self.a[: 1 << 16].copy()
        self.few = self.a[:1000].copy()
        self.numba, self.polars, self.numexpr, self.bottleneck, self.numkong = map(load, PEERS)
        if self.numexpr:
            self.numexpr.set_num_threads(min(self.threads, self.numexpr.ncores))
        if self.numba:
            self.numba.set_num_threads(min(self.threads, self.numba.config.NUMBA_NUM_THREADS))

    def series(self, array):
        return self.polars.Series("x", array) if self.polars else None

    def column(self, function):
        """What polars makes of the column x of `a` and y of `b`."""
        if not self.polars:
            return None
        pl = self.polars
        frame = pl.DataFrame({"x": self.a, "y": self.b})
        plan = frame.lazy().select(function(pl.col("x"), pl.col("y")))
        return plan.collect

    def compiled(self, source, *arguments, **options):
        """A numba function of the given source (an expression of v, summed or stored)."""
        if not self.numba:
            return None
        names = {"np": np, "prange": self.numba.prange}
        exec(source, names)  # numba needs the loop as Python code
        function = self.numba.njit(fastmath=True, **options)(names["run"])
        return functools.partial(function, *arguments)


CLIP_SUM = """
def run(a):
    total = np.float32(0)
    for i in prange(a.size):
        v = (a[i] - np.float32(0.5)) * np.float32(3.46)
        total += min(max(v, np.float32(-1)), np.float32(1))
    return total
"""
NORMALISE = """
def run(a, out):
    for i in prange(a.size):
        out[i] = np.float32(a[i]) * np.float32(0.0078125) - np.float32(1)
"""


def rows(options):
    work = Work(options)
    for part in (arithmetic, fused, casts, reductions, order, small):
        yield from part(work)


def arithmetic(w):
    a, b, out = w.a, w.b, w.out
    yield row("a + b into out", 0.80, lambda: sf.add(a, b, out=out),
              numpy=lambda: np.add(a, b, out=out))  # fmt: skip
    x, y = sf.lazy(a), sf.lazy(b)
    yield row("a * 2.5 + b, new array", 0.75, sf.compile(x * 2.5 + y),
              numpy=lambda: a * np.float32(2.5) + b,
              polars=w.column(lambda x, y: x * np.float32(2.5) + y))  # fmt: skip
    yield row("exp into out", 0.60, lambda: sf.exp(a, out=out), numpy=lambda: np.exp(a, out=out))
    series = w.series(a)
    polars = None if series is None else lambda: series.filter(series > 0.5)
    yield row("a[a > 0.5]", 0.85, lambda: (v := sf.asarray(a))[v > 0.5], polars=polars)
    yield row("the same as an expression", None, sf.compile(x[x > 0.5]), polars=polars)


def fused(w):
    for array, asked, options, name in (
        (w.a, 1.05, {"parallel": True}, "clip((a - 0.5) * 3.46, -1, 1) summed"),
        (w.cached, 1.5, {}, "the same on 64 Ki elements, one thread"),
    ):
        x = sf.lazy(array)
        compiled = sf.compile(sf.clip((x - 0.5) * 3.46, -1, 1).sum())
        yield row(name, asked, compiled, numba=w.compiled(CLIP_SUM, array, **options))
    x = sf.lazy(w.a)
    five = sf.compile([x.min(), x.max(), x.mean(), x.std(), x.sum()])
    polars = w.column(lambda x, _: [
        x.min().alias("a"), x.max().alias("b"), x.mean().alias("c"), x.std().alias("d"),
        x.sum().alias("e"),
    ])  # fmt: skip
    yield row("min, max, mean, std, sum in one pass", 0.15, five, polars=polars)


def casts(w):
    half, swapped = w.a.astype("f2"), w.a.astype(">f4")
    bytes_ = (w.a * 255).astype("u1")
    yield row("float16 summed", 0.06, lambda: sf.sum(half), numpy=half.sum)
    yield row("float16 to float32", 0.10, lambda: sf.asarray(half).astype("f4"),
              numpy=lambda: half.astype("f4"))  # fmt: skip
    yield row("big-endian float32 summed", 0.35, lambda: sf.sum(swapped), numpy=swapped.sum)
    yield row("big-endian float32 to native", 0.60, lambda: sf.asarray(swapped).astype("f4"),
              numpy=lambda: swapped.astype("f4"))  # fmt: skip
    names = {"v": bytes_, "s": np.float32(0.0078125), "o": np.float32(1)}
    numexpr = w.numexpr and (lambda: w.numexpr.evaluate("v * s - o", names, out=w.out))
    yield row("uint8 to scaled float32", 0.20,
              lambda: sf.affine(bytes_, 0.0078125, -1, "f4", out=w.out), numexpr=numexpr,
              numba=w.compiled(NORMALISE, bytes_, w.out, parallel=True))  # fmt: skip


def reductions(w):
    a, b = w.a, w.b
    series = w.series(a)
    polars = series is not None and series.sum
    yield row("sum", 0.55, lambda: sf.sum(a), numpy=a.sum, polars=polars)
    yield row("max", 0.65, lambda: sf.max(a), numpy=a.max)
    x = sf.lazy(a)
    both = sf.compile([sf.nanmean(x), sf.nanstd(x)])
    bn = w.bottleneck
    yield row("nanmean and nanstd", 0.08, both,
              bottleneck=bn and (lambda: (bn.nanmean(a), bn.nanstd(a))))  # fmt: skip
    yield row("every other element summed", 0.80, lambda: sf.sum(a[::2]), numpy=a[::2].sum)
    records = np.zeros(a.size // 4, [("x", "f4"), ("y", "f8"), ("n", "i4")])
    records["x"] = a[: records.size]
    yield row("a column of records summed", 0.80, lambda: sf.sum(records["x"]),
              numpy=records["x"].sum)  # fmt: skip
    nk = w.numkong
    yield row("dot", 1.0, lambda: sf.dot(a, b), numpy=lambda: a @ b,
              numkong=nk and (lambda: nk.dot(a, b)))  # fmt: skip


def order(w):
    short, series = w.short, w.series(w.short)
    yield row(
        "4 Mi sorted", 0.35, lambda: sf.sort(short), polars=series is not None and series.sort
    )
    yield row("4 Mi argsorted", 0.50, lambda: sf.argsort(short),
              polars=series is not None and series.arg_sort)  # fmt: skip
    bytes_ = (w.a * 255).astype("u1")
    yield row("uint8 counted into 256", 0.25, lambda: sf.bincount(bytes_, minlength=256),
              numpy=lambda: np.bincount(bytes_, minlength=256))  # fmt: skip


def small(w):
    few = w.few
    ours, out = sf.asarray(few), np.empty_like(few)
    to = sf.asarray(out)
    yield row("1,000 elements summed", 0.20, lambda: sf.sum(ours), calls=200, numpy=few.sum)
    yield row("1,000 added into out", 0.45, lambda: sf.add(ours, ours, out=to), calls=200,
              numpy=lambda: np.add(few, few, out=out))  # fmt: skip


def row(work, asked, spanflow, calls=1, **peers):
    """Our time as a share of the best peer's. A peer that is not installed is no function."""
    functions = {name: function for name, function in peers.items() if function}
    if not functions:
        return Row("peers", work, "x", float("nan"), None, note=f"needs {', '.join(peers)}")

    def repeated(function):
        return lambda: [function() for _ in range(calls)] if calls > 1 else function()

    seconds = medians({n: repeated(f) for n, f in {"spanflow": spanflow, **functions}.items()})
    best = min(functions, key=lambda name: seconds[name])
    shown = ", ".join(f"{name} {seconds[name] / calls * 1e3:.3g} ms" for name in seconds)
    return Row("peers", work, "x", seconds["spanflow"] / seconds[best], asked, seconds=seconds,
               note=f"of {best} ({shown})")  # fmt: skip
