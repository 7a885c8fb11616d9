"""Whole quotients, shifts, powers and transcendental functions at their edges, against NumPy."""

import math

import pytest

import spanflow as sf

np = pytest.importorskip("numpy")
from tests.bindings.operations import UNARY, same, sample, tolerance  # noqa: E402
from tests.bindings.samples import NUMERIC, quiet  # noqa: E402, F401

FLOATS = ["float16", "float32", "float64"]


@pytest.mark.parametrize("dtype", [d for d in NUMERIC if "int" in d])
def test_whole_quotients_and_shifts_at_the_edges(dtype):
    info = np.iinfo(dtype)
    edges = [info.min, info.max, 0, 1, 2, 7, info.bits - 1, info.bits, info.bits + 1, 100]
    edges += [-1, -2, -7] if info.min else []
    a, b = (side.ravel() for side in np.meshgrid(np.array(edges, dtype), np.array(edges, dtype)))
    for target in sf.simd.targets():
        with sf.simd.use(target):
            for name in ("floor_divide", "remainder", "fmod", "left_shift", "right_shift"):
                same(getattr(sf, name)(a, b), getattr(np, name)(a, b))


@pytest.mark.parametrize("dtype", FLOATS)
def test_whole_quotients_of_floats_at_the_edges(dtype):
    big = float(np.finfo(dtype).max)
    edges = [
        0.0,
        -0.0,
        1,
        -1,
        0.1,
        -0.1,
        2.5,
        -2.5,
        3,
        big,
        -big,
        2.0**-14,
        np.inf,
        -np.inf,
        np.nan,
    ]
    a, b = (side.ravel() for side in np.meshgrid(np.array(edges, dtype), np.array(edges, dtype)))
    for target in sf.simd.targets():
        with sf.simd.use(target):
            for name in ("floor_divide", "remainder", "fmod", "copysign"):
                same(getattr(sf, name)(a, b), getattr(np, name)(a, b))


def test_fma_rounds_once():
    a = sf.full(9, 1 + 2.0**-30, "f8")
    exact = 2.0**-60  # of (1 + 2**-30)**2 - (1 + 2**-29)
    for target in sf.simd.targets():
        with sf.simd.use(target):
            assert sf.fma(a, a, -(1 + 2.0**-29)).tolist() == [exact] * 9
    assert sf.fma([1, 2], 3, 4).tolist() == [7.0, 10.0]


def test_second_names():
    for alias in ("conj", "mod", "bitwise_not", "bitwise_left_shift", "pow", "asin", "atan2"):
        ours, theirs = getattr(sf, alias), getattr(np, alias)
        assert ours.__name__ == theirs.__name__
        assert ours is getattr(sf, theirs.__name__)


# Transcendental functions.

TRANSCENDENTAL = [name for name in UNARY if tolerance(name, "f8")]


def edges(dtype):
    """Zeros, infinities, NaN, the smallest and largest numbers, and some that are ordinary."""
    limits = np.finfo(dtype)
    values = [0.0, 0.25, 0.5, 1.0, 1.5, 3.0, 88.0, 710.0, 1e4, np.inf]
    values += [limits.max, limits.tiny, limits.smallest_subnormal, limits.eps]
    signed = np.array([*values, *(-np.array(values, dtype)), np.nan], dtype)
    return np.repeat(signed, 3)


@pytest.mark.parametrize("name", TRANSCENDENTAL)
@pytest.mark.parametrize("dtype", FLOATS)
def test_special_values(dtype, name):
    values = edges(dtype)
    expected = getattr(np, name)(values)
    for target in sf.simd.targets():
        with sf.simd.use(target):
            same(getattr(sf, name)(values), expected, tolerance(name, dtype))


@pytest.mark.parametrize("name", ["power", "arctan2", "hypot"])
@pytest.mark.parametrize("dtype", FLOATS)
def test_special_pairs(dtype, name):
    a, b = (side.ravel() for side in np.meshgrid(edges(dtype)[::3], edges(dtype)[::3]))
    expected = getattr(np, name)(a, b)
    for target in sf.simd.targets():
        with sf.simd.use(target):
            same(getattr(sf, name)(a, b), expected, tolerance(name, dtype))


@pytest.mark.parametrize("name", ["sin", "cos", "tan"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_angles_of_any_size(dtype, name):
    angles = np.array([m * 2.0**e for e in range(0, 120, 3) for m in (1, -1.3, 1.7)], dtype)
    exact = [getattr(math, name)(float(angle)) for angle in angles]
    same(getattr(sf, name)(angles), np.array(exact, dtype), 4)


def test_functions_of_our_own():
    x = sample("float64")
    finite = x[np.isfinite(x)]
    same(sf.erf(finite), np.array([math.erf(v) for v in finite]), 4)
    same(sf.sigmoid(x), 1 / (1 + np.exp(-x)), 8)
    same(sf.rsqrt(x), 1 / np.sqrt(x), 4)
    same(sf.relu(x), np.maximum(x, 0), zero_signs=False)
    same(sf.relu(sf.array([-3, 4], "i2")), np.array([0, 4], "i2"))
    assert sf.erf([np.inf, -np.inf]).tolist() == [1, -1]
    assert sf.sigmoid([np.inf, -np.inf, -745.0]).tolist() == [1, 0, math.exp(-745)]


# Powers.


@pytest.mark.parametrize("dtype", [d for d in NUMERIC if "int" in d])
def test_integer_powers(dtype):
    bases = sample(dtype)
    for exponent in range(9):
        same(sf.asarray(bases) ** exponent, bases**exponent)
        same(exponent ** sf.asarray(np.abs(bases) % 7), exponent ** (np.abs(bases) % 7))
    same(sf.power(bases, bases % 5), np.power(bases, bases % 5))


def test_integers_take_no_power_below_zero():
    message = "Integers to negative integer powers are not allowed"
    array = sf.array([1, 2, 3], "i4")
    for refuse in (
        lambda: array**-1,
        lambda: 2 ** sf.array([0, -1]),
        lambda: sf.power(array, sf.array([1, -2, 3], "i1")),
        lambda: list(sf.Pipeline(sf.read(array, rows=1)).map(sf.power, -1)),
    ):
        with pytest.raises(ValueError, match=message):
            refuse()
    assert (array**-1.0).tolist() == [1.0, 0.5, 1 / 3]
    assert (sf.zeros(0, "i4") ** sf.zeros(0, "i4")).tolist() == []
    with pytest.raises(TypeError):
        pow(array, 2, 3)
    with pytest.raises(OverflowError):
        sf.ones(2, "u1") ** -1
    array **= 2
    assert array.tolist() == [1, 4, 9] and array.dtype == "int32"
