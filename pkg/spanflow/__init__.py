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
from spanflow._pipeline import Pipeline, aligned, read  # noqa: F401
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

if "SPANFLOW_SIMD_TARGET" in _os.environ or "SPANFLOW_NUM_THREADS" in _os.environ:
    from spanflow import _settings

    _settings.warn()

__all__ = [name for name in dir() if not name.startswith("_")] + ["__version__"]
__all__ += ["lab"]  # noqa: F405  (__getattr__ has it)


def __getattr__(name: str) -> object:
    """The lab is loaded when it is first used: most programs do without it."""
    if name == "lab":
        import importlib

        return importlib.import_module("spanflow.lab")
    raise AttributeError(f"module 'spanflow' has no attribute {name!r}")
