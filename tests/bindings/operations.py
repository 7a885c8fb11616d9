"""What tests of elementwise operations share: samples, comparison with NumPy, the registry."""

import re

import numpy as np

import spanflow as sf

ELEMENTWISE = [
    name
    for name, value in vars(sf).items()
    if isinstance(value, sf.Operation) and value.kind == "elementwise" and value.__name__ == name
]
# What NumPy has no function for, or another one than an elementwise operation.
OURS = {"clip", "where", "fma", "relu", "rsqrt", "sigmoid", "erf"}
ARITY = {name: getattr(sf, name).__doc__.partition(")")[0].count(",") for name in ELEMENTWISE}
UNARY = [name for name in ELEMENTWISE if ARITY[name] == 1 and name not in OURS]
BINARY = [name for name in ELEMENTWISE if ARITY[name] == 2 and name not in OURS]
# NumPy orders complex numbers by their parts; we say that they have no order.
UNORDERED = {"minimum", "maximum", "fmin", "fmax", "less", "less_equal", "greater", "greater_equal"}


def is_refused(name, *dtypes):
    """Complex numbers in an operation that takes real ones only, which NumPy does more of."""
    takes = getattr(sf, name).__doc__.partition("Operands may be ")[2].partition(".")[0]
    return "complex" in "".join(dtypes) and "complex" not in takes


def sample(dtype, count=48, seed=0):
    """Values with zeros, signs, ties, infinities and NaNs where the dtype has them."""
    rng = np.random.default_rng(seed)
    dtype = np.dtype(dtype)
    if dtype == bool:
        return rng.random(count) < 0.5
    if dtype.kind in "iu":
        info = np.iinfo(dtype)
        values = rng.integers(max(info.min, -60), min(info.max, 60), count).astype(dtype)
        values[:4] = [info.min, info.max, 0, 1]
        return values
    values = (rng.standard_normal(count) * 8).round(2)
    if dtype.kind == "c":
        return (values + 1j * rng.permutation(values)).astype(dtype)
    values[:6] = [0.0, -0.0, np.inf, -np.inf, np.nan, 2.0]
    return values.astype(dtype)


def same(ours, theirs, ulps=0, zero_signs=True):
    """Same shape, dtype and values; NaN equals NaN, and signs of zero count unless told."""
    theirs = np.asarray(theirs)
    if not isinstance(ours, sf.Array):
        ours = sf.array(ours, str(theirs.dtype))
    assert ours.dtype == theirs.dtype, (ours.dtype, theirs.dtype)
    assert ours.shape == theirs.shape
    mine = np.asarray(ours)
    if ulps and theirs.dtype.kind in "fc":
        limits = np.finfo(theirs.dtype)
        atol = ulps * float(limits.smallest_subnormal)
        np.testing.assert_allclose(mine, theirs, ulps * limits.eps, atol, equal_nan=True)
    else:
        np.testing.assert_array_equal(mine, theirs)
    if theirs.dtype.kind == "f" and zero_signs:
        finite = ~np.isnan(theirs)
        np.testing.assert_array_equal(np.signbit(mine[finite]), np.signbit(theirs[finite]))


# Complex numbers are not rounded the same way everywhere.
COMPLEX = {"absolute", "multiply", "divide", "square", "reciprocal", "sign"}


def tolerance(name, dtype):
    """What the docstring states, in ULP, and something for NumPy's own error."""
    stated = re.search(r"at most ([\d.]+) ULP", getattr(sf, name).__doc__)
    if stated and np.dtype(dtype).kind in "fc":
        return float(stated.group(1)) + 4
    complex_parts = np.dtype(dtype).kind == "c" or name == "absolute"
    return 4 if complex_parts and name in COMPLEX else 0
