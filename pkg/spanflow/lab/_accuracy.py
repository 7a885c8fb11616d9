"""How far results are from the exact ones, in units in the last place (ULP).

The exact results are those of NumPy's long double (80 bits or more), so NumPy must be there. What
has no function there, or is exact by its nature, has no figure.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import spanflow as sf
from spanflow.lab._kernels import Kernel
from spanflow.lab._operands import numbers

SAMPLES = 1 << 16
# Whose results are bool: there is nothing between true and false.
_EXACT = frozenset(
    [
        "equal",
        "not_equal",
        "less",
        "less_equal",
        "greater",
        "greater_equal",
        "signbit",
        "isnan",
        "isinf",
        "isfinite",
        "logical_and",
        "logical_or",
        "logical_xor",
        "logical_not",
    ]
)
_LEAST_DIGITS = 60  # of a long double that can judge float64


def _sigmoid(np: Any, x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


# Where NumPy has no function of the operation's name.
_OTHERS: dict[str, Callable[..., Any]] = {
    "rsqrt": lambda np, x: 1 / np.sqrt(x),
    "sigmoid": _sigmoid,
}


def has_error(kernel: Kernel, dtype: sf.dtype) -> bool:
    """Whether the kernel's error can be measured for the dtype here."""
    return (
        kernel.error_bound is not None
        and kernel.name not in _EXACT
        and dtype.name in ("float32", "float64")
        and _reference(kernel.name) is not None
        and _judges(dtype)
    )


def errors(kernel: Kernel, dtype: sf.dtype) -> dict[str, float]:
    """The largest error in ULP over a sample of the kernel's range: of spanflow, of NumPy where it
    has the operation, and of each registered function."""
    import numpy as np

    given = [numbers(dtype, SAMPLES, kernel.range_of(dtype), seed) for seed in range(kernel.nin)]
    wide = [np.asarray(a).astype(np.longdouble) for a in given]
    reference = _reference(kernel.name)
    assert reference is not None
    with np.errstate(all="ignore"):
        exact = reference(np, *wide)
        unit = np.spacing(np.abs(exact.astype(dtype.name))).astype(np.longdouble)

        def worst(result: Any) -> float:
            distance = np.abs(np.asarray(result).astype(np.longdouble) - exact) / unit
            return float(np.max(distance[np.isfinite(exact)], initial=0.0))

        found = {"spanflow": worst(kernel.call(*given, out=sf.empty(SAMPLES, dtype)))}
        if hasattr(np, kernel.name):
            found["numpy"] = worst(getattr(np, kernel.name)(*(np.asarray(a) for a in given)))
        for name, peer in kernel.peers.items():
            out = sf.zeros(SAMPLES, dtype)
            peer(*given, out)
            found[name] = worst(out)
    return found


def _reference(name: str) -> Callable[..., Any] | None:
    """The operation for long doubles, or None."""
    try:
        import numpy as np
    except ImportError:
        return None
    if name in _OTHERS:
        return _OTHERS[name]
    function = getattr(np, name, None)
    if not isinstance(function, np.ufunc) or name == "fma":
        return None
    return lambda _, *operands: function(*operands)


def _judges(dtype: sf.dtype) -> bool:
    import numpy as np

    digits = np.finfo(np.longdouble).nmant
    return dtype.itemsize == 4 or digits >= _LEAST_DIGITS


def shown(error: float | None) -> str:
    """A column's text."""
    if error is None or math.isnan(error):
        return ""
    return f"{error:.2f}"
