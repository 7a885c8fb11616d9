"""The names of the package, for type checkers; __init__.py collects the same ones when it runs."""
# ruff: noqa: F403, F405  (the star takes what _core.pyi declares)

from typing import Final

from spanflow import simd as simd
from spanflow._core import *
from spanflow._core import Operation
from spanflow._core import __version__ as __version__
from spanflow._expression import compile as compile
from spanflow._expression import compute as compute
from spanflow._expression import evaluate as evaluate
from spanflow._pipeline import Pipeline as Pipeline
from spanflow._pipeline import aligned as aligned
from spanflow._pipeline import read as read
from spanflow._statistics import Stats as Stats
from spanflow._statistics import median as median
from spanflow._statistics import minmax as minmax
from spanflow._statistics import nanmedian as nanmedian
from spanflow._statistics import nanpercentile as nanpercentile
from spanflow._statistics import nanquantile as nanquantile
from spanflow._statistics import percentile as percentile
from spanflow._statistics import quantile as quantile
from spanflow._statistics import stats as stats

__all__ = [
    "Array",
    "Expression",
    "Operation",
    "Pipeline",
    "PipelineError",
    "Run",
    "Stats",
    "__version__",
    "abs",
    "absolute",
    "add",
    "aligned",
    "all",
    "any",
    "arange",
    "argmax",
    "argmin",
    "array",
    "asarray",
    "bfloat16",
    "bitwise_and",
    "bitwise_or",
    "bitwise_xor",
    "bool_",
    "clip",
    "col",
    "compile",
    "complex64",
    "complex128",
    "compute",
    "count",
    "count_nonzero",
    "cummax",
    "cummin",
    "cumprod",
    "cumsum",
    "divide",
    "dot",
    "dtype",
    "empty",
    "equal",
    "evaluate",
    "float16",
    "float32",
    "float64",
    "frombuffer",
    "full",
    "get_num_threads",
    "greater",
    "greater_equal",
    "int8",
    "int16",
    "int32",
    "int64",
    "invert",
    "kurtosis",
    "lazy",
    "less",
    "less_equal",
    "max",
    "maximum",
    "mean",
    "median",
    "memory_stats",
    "min",
    "minimum",
    "minmax",
    "multiply",
    "nancount",
    "nankurtosis",
    "nanmax",
    "nanmean",
    "nanmedian",
    "nanmin",
    "nanpercentile",
    "nanprod",
    "nanquantile",
    "nanskew",
    "nanstd",
    "nansum",
    "nanvar",
    "negative",
    "norm",
    "not_equal",
    "ones",
    "open",
    "percentile",
    "prod",
    "ptp",
    "quantile",
    "read",
    "save",
    "set_num_threads",
    "simd",
    "skew",
    "sqrt",
    "stats",
    "std",
    "subtract",
    "sum",
    "trim_memory",
    "true_divide",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "var",
    "vdot",
    "where",
    "zeros",
]

abs: Final[Operation]
true_divide: Final[Operation]
