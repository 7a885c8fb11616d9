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

__all__ = [
    "Array",
    "Expression",
    "Operation",
    "Pipeline",
    "PipelineError",
    "Run",
    "__version__",
    "abs",
    "absolute",
    "add",
    "aligned",
    "all",
    "any",
    "arange",
    "array",
    "asarray",
    "bfloat16",
    "bitwise_and",
    "bitwise_invert",
    "bitwise_left_shift",
    "bitwise_not",
    "bitwise_or",
    "bitwise_right_shift",
    "bitwise_xor",
    "bool_",
    "ceil",
    "clip",
    "col",
    "compile",
    "complex64",
    "complex128",
    "compute",
    "conj",
    "conjugate",
    "copysign",
    "count_nonzero",
    "divide",
    "dtype",
    "empty",
    "equal",
    "evaluate",
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
    "imag",
    "int8",
    "int16",
    "int32",
    "int64",
    "invert",
    "isfinite",
    "isinf",
    "isnan",
    "lazy",
    "left_shift",
    "less",
    "less_equal",
    "logical_and",
    "logical_not",
    "logical_or",
    "logical_xor",
    "max",
    "maximum",
    "mean",
    "memory_stats",
    "min",
    "minimum",
    "mod",
    "multiply",
    "negative",
    "not_equal",
    "ones",
    "open",
    "positive",
    "read",
    "real",
    "reciprocal",
    "remainder",
    "right_shift",
    "rint",
    "save",
    "set_num_threads",
    "sign",
    "signbit",
    "simd",
    "sqrt",
    "square",
    "std",
    "subtract",
    "sum",
    "trim_memory",
    "true_divide",
    "trunc",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "var",
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
