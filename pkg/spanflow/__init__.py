"""Zero-copy arrays and pipelines for Python data work.

import spanflow as sf

a = sf.asarray(ndarray)      # wraps any buffer, copies nothing
m = sf.open("big.npy")       # maps a file that may be larger than memory
(a * 2 + 1).mean(axis=0)     # NumPy's verbs, on SIMD kernels, with the GIL released
sf.Pipeline(sf.read(m, rows=4096)).map(sf.mean, axis=1).reduce(sf.sum)
"""

import os as _os

from spanflow import simd  # noqa: F401
from spanflow._core import *  # noqa: F403  (the operations come from one table in C++)
from spanflow._core import __version__, bool_  # noqa: F401
from spanflow._description import aligned, read, read_bytes  # noqa: F401
from spanflow._expression import compute, evaluate  # noqa: F401
from spanflow._group import GroupBy, group_by  # noqa: F401
from spanflow._order import (  # noqa: F401
    argwhere,
    compress,
    digitize,
    extract,
    flatnonzero,
    histogram,
    put,
    take,
    take_along_axis,
)
from spanflow._pipeline import Pipeline  # noqa: F401
from spanflow._rounding import divmod, round  # noqa: F401
from spanflow._statistics import (  # noqa: F401
    Stats,
    median,
    minmax,
    nanmedian,
    nanpercentile,
    nanquantile,
    percentile,
    quantile,
    stats,
)
from spanflow._windows import (  # noqa: F401
    diff,
    downsample,
    flip,
    moving_max,
    moving_mean,
    moving_min,
    moving_sum,
    roll,
)
from spanflow._workers import DeadLetter, Workers  # noqa: F401

# NumPy's second names.
_ALIASES = {
    "abs": "absolute",
    "acos": "arccos",
    "acosh": "arccosh",
    "asin": "arcsin",
    "asinh": "arcsinh",
    "atan": "arctan",
    "atan2": "arctan2",
    "atanh": "arctanh",
    "pow": "power",
    "true_divide": "divide",
    "conj": "conjugate",
    "mod": "remainder",
    "bitwise_not": "invert",
    "bitwise_invert": "invert",
    "bitwise_left_shift": "left_shift",
    "bitwise_right_shift": "right_shift",
}
globals().update({alias: globals()[name] for alias, name in _ALIASES.items()})

_SETTINGS = {"SPANFLOW_SIMD_TARGET", "SPANFLOW_NUM_THREADS", "SPANFLOW_PIN_THREADS"}
if not _SETTINGS.isdisjoint(_os.environ):
    from spanflow import _settings

    _settings.warn()

# What __getattr__ loads when it is first used: most programs do without it.
_LAZY = {
    "lab": None,
    "ThreadPool": "spanflow._threads",
    "parallel_for": "spanflow._parallel",
    "parallel_map": "spanflow._parallel",
    "parallel_reduce": "spanflow._parallel",
}

__all__ = [name for name in dir() if not name.startswith("_")] + ["__version__"]
__all__ += _LAZY


def __getattr__(name: str) -> object:
    if name in _LAZY:
        import importlib

        module = importlib.import_module(_LAZY[name] or f"spanflow.{name}")
        if _LAZY[name] is None:
            return module
        value = getattr(module, name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'spanflow' has no attribute {name!r}")
