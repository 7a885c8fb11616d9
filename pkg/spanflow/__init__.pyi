"""The names of the package, for type checkers; __init__.py collects the same ones when it runs."""
# ruff: noqa: F403, F405  (the star takes what _core.pyi declares)

from typing import Final

from spanflow import lab as lab
from spanflow import simd as simd
from spanflow._core import *
from spanflow._core import Operation
from spanflow._core import __version__ as __version__
from spanflow._description import aligned as aligned
from spanflow._description import read as read
from spanflow._description import read_bytes as read_bytes
from spanflow._expression import compute as compute
from spanflow._expression import evaluate as evaluate
from spanflow._group import GroupBy as GroupBy
from spanflow._group import group_by as group_by
from spanflow._order import argwhere as argwhere
from spanflow._order import compress as compress
from spanflow._order import digitize as digitize
from spanflow._order import extract as extract
from spanflow._order import flatnonzero as flatnonzero
from spanflow._order import histogram as histogram
from spanflow._order import put as put
from spanflow._order import take as take
from spanflow._order import take_along_axis as take_along_axis
from spanflow._parallel import parallel_for as parallel_for
from spanflow._parallel import parallel_map as parallel_map
from spanflow._parallel import parallel_reduce as parallel_reduce
from spanflow._pipeline import Pipeline as Pipeline
from spanflow._rounding import divmod as divmod
from spanflow._rounding import round as round
from spanflow._statistics import Stats as Stats
from spanflow._statistics import median as median
from spanflow._statistics import minmax as minmax
from spanflow._statistics import nanmedian as nanmedian
from spanflow._statistics import nanpercentile as nanpercentile
from spanflow._statistics import nanquantile as nanquantile
from spanflow._statistics import percentile as percentile
from spanflow._statistics import quantile as quantile
from spanflow._statistics import stats as stats
from spanflow._threads import ThreadPool as ThreadPool
from spanflow._windows import diff as diff
from spanflow._windows import downsample as downsample
from spanflow._windows import flip as flip
from spanflow._windows import moving_max as moving_max
from spanflow._windows import moving_mean as moving_mean
from spanflow._windows import moving_min as moving_min
from spanflow._windows import moving_sum as moving_sum
from spanflow._windows import roll as roll
from spanflow._workers import DeadLetter as DeadLetter
from spanflow._workers import Workers as Workers

__all__ = [
    "Array",
    "Compiled",
    "DeadLetter",
    "Expression",
    "GroupBy",
    "Operation",
    "Pipeline",
    "PipelineError",
    "Run",
    "Stats",
    "ThreadPool",
    "Workers",
    "__version__",
    "abs",
    "absolute",
    "acos",
    "acosh",
    "add",
    "affine",
    "aligned",
    "all",
    "angle",
    "any",
    "arange",
    "arccos",
    "arccosh",
    "arcsin",
    "arcsinh",
    "arctan",
    "arctan2",
    "arctanh",
    "argmax",
    "argmin",
    "argpartition",
    "argsort",
    "argwhere",
    "array",
    "asarray",
    "asin",
    "asinh",
    "astype",
    "atan",
    "atan2",
    "atanh",
    "bfloat16",
    "bincount",
    "bitwise_and",
    "bitwise_invert",
    "bitwise_left_shift",
    "bitwise_not",
    "bitwise_or",
    "bitwise_right_shift",
    "bitwise_xor",
    "bool_",
    "can_cast",
    "cbrt",
    "ceil",
    "clip",
    "col",
    "compile",
    "complex64",
    "complex128",
    "compress",
    "compute",
    "conj",
    "conjugate",
    "copysign",
    "cos",
    "cosh",
    "count",
    "count_nonzero",
    "cummax",
    "cummin",
    "cumprod",
    "cumsum",
    "diff",
    "digitize",
    "divide",
    "divmod",
    "dot",
    "downsample",
    "dtype",
    "empty",
    "equal",
    "erf",
    "evaluate",
    "exp",
    "exp2",
    "expm1",
    "extract",
    "flatnonzero",
    "flip",
    "float16",
    "float32",
    "float64",
    "floor",
    "floor_divide",
    "fma",
    "fmax",
    "fmin",
    "fmod",
    "frombuffer",
    "full",
    "get_num_threads",
    "greater",
    "greater_equal",
    "group_by",
    "histogram",
    "hypot",
    "imag",
    "int8",
    "int16",
    "int32",
    "int64",
    "invert",
    "isfinite",
    "isin",
    "isinf",
    "isnan",
    "kurtosis",
    "lab",
    "lazy",
    "left_shift",
    "less",
    "less_equal",
    "log",
    "log1p",
    "log2",
    "log10",
    "logical_and",
    "logical_not",
    "logical_or",
    "logical_xor",
    "max",
    "maximum",
    "mean",
    "median",
    "memory_stats",
    "min",
    "minimum",
    "minmax",
    "mod",
    "moving_max",
    "moving_mean",
    "moving_min",
    "moving_sum",
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
    "nonzero",
    "norm",
    "not_equal",
    "ones",
    "open",
    "parallel_for",
    "parallel_map",
    "parallel_reduce",
    "partition",
    "percentile",
    "positive",
    "pow",
    "power",
    "prod",
    "promote_types",
    "ptp",
    "put",
    "quantile",
    "read",
    "read_bytes",
    "real",
    "reciprocal",
    "relu",
    "remainder",
    "result_type",
    "right_shift",
    "rint",
    "roll",
    "round",
    "rsqrt",
    "save",
    "searchsorted",
    "set_num_threads",
    "shared_empty",
    "sigmoid",
    "sign",
    "signbit",
    "simd",
    "sin",
    "sinh",
    "skew",
    "sort",
    "sqrt",
    "square",
    "stats",
    "std",
    "subtract",
    "sum",
    "take",
    "take_along_axis",
    "tan",
    "tanh",
    "topk",
    "trim_memory",
    "true_divide",
    "trunc",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "unique",
    "var",
    "vdot",
    "where",
    "zeros",
]

abs: Final[Operation]
true_divide: Final[Operation]
conj: Final[Operation]
mod: Final[Operation]
bitwise_not: Final[Operation]
bitwise_invert: Final[Operation]
bitwise_left_shift: Final[Operation]
bitwise_right_shift: Final[Operation]
acos: Final[Operation]
acosh: Final[Operation]
asin: Final[Operation]
asinh: Final[Operation]
atan: Final[Operation]
atan2: Final[Operation]
atanh: Final[Operation]
pow: Final[Operation]
