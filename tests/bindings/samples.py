"""What tests against NumPy share: the numeric dtypes, plain samples of them, and memory layouts."""

import warnings

import numpy as np
import pytest

NUMERIC = [
    "bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64",
    "float16", "float32", "float64", "complex64", "complex128",
]  # fmt: skip


@pytest.fixture(autouse=True)
def quiet():
    """For a module that imports it: NumPy's warnings are not what it tests."""
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def plain(dtype, shape, seed=0, most=5):
    """Integers up to `most` in size, and normal floats."""
    rng = np.random.default_rng(seed)
    kind = np.dtype(dtype).kind
    if kind == "b":
        return rng.random(shape) < 0.5
    if kind in "iu":
        return rng.integers(0 if kind == "u" else -most, most + 1, shape).astype(dtype)
    values = rng.standard_normal(shape)
    if kind == "c":
        values = values + 1j * rng.standard_normal(shape)
    return values.astype(dtype)


def layouts(values):
    """The same numbers in other orders, strides and byte orders."""
    yield values
    yield np.asfortranarray(values)
    yield values[::-1]
    yield np.repeat(values, 2, -1)[..., ::2]
    yield values.astype(values.dtype.newbyteorder())
    yield np.broadcast_to(values[:1], values.shape)
