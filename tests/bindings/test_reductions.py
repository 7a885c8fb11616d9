"""Reductions against NumPy: all dtypes, layouts, axes, keepdims, ddof, out=."""

import itertools
import math
import random

import pytest

import spanflow as sf

np = pytest.importorskip("numpy")
from tests.bindings.samples import NUMERIC, quiet  # noqa: E402, F401

NAMES = [
    operation.__name__
    for operation in vars(sf).values()
    if isinstance(operation, sf.Operation) and operation.kind == "reduction"
]
PLACES = ("argmin", "argmax")  # along one axis, or of all elements
NEED_ELEMENTS = ("min", "max", "ptp", "argmin", "argmax")
NAN_NAMES = [name for name in NAMES if name.startswith("nan")]


def sample(dtype, shape, seed=0):
    rng = np.random.default_rng(seed)
    count = math.prod(shape)
    dtype = np.dtype(dtype)
    if dtype == bool:
        return (rng.random(count) < 0.6).reshape(shape)
    if dtype.kind in "iu":
        info = np.iinfo(dtype)
        return rng.integers(max(info.min, -100), min(info.max, 100), shape).astype(dtype)
    values = rng.standard_normal(count).reshape(shape)
    if dtype.kind == "c":
        values = values + 1j * rng.standard_normal(shape)
    return values.astype(dtype)


def norm(values, axis=None, keepdims=False):
    """np.linalg.norm for any number of axes."""
    wide = values.astype("c16" if values.dtype.kind == "c" else "f8")
    squares = np.sum(np.abs(wide) ** 2, axis, keepdims=keepdims)
    return np.sqrt(squares).astype(np.linalg.norm(values.reshape(-1)[:1]).dtype)


def shape_moments(name, values, axis=None, keepdims=False):
    """Skewness and excess kurtosis, as in SciPy."""
    nan = name.startswith("nan")
    mean = np.nanmean if nan else np.mean
    wide = values.astype("f8")
    distance = wide - mean(wide, axis, keepdims=True)
    variance = mean(distance**2, axis, keepdims=keepdims)
    if name.endswith("skew"):
        result = mean(distance**3, axis, keepdims=keepdims) / variance**1.5
    else:
        result = mean(distance**4, axis, keepdims=keepdims) / variance**2 - 3
    return result.astype(values.dtype if values.dtype.kind == "f" else "f8")


def count(name, values, axis=None, keepdims=False):
    chosen = ~np.isnan(values) if name == "nancount" else np.ones(values.shape, bool)
    return np.sum(chosen, axis, keepdims=keepdims)


def run(name, values, **how):
    if name == "norm":
        return norm(values, **how)
    if name.endswith(("skew", "kurtosis")):
        return shape_moments(name, values, **how)
    if name.endswith("count"):
        return count(name, values, **how)
    return getattr(np, name)(values, **how)


def supported(name, dtype, axis=None):
    """Whether NumPy has it too; extremes of complex numbers, which it compares by parts, are not
    ours."""
    if isinstance(axis, tuple) and name in PLACES:
        return False
    kind = np.dtype(dtype).kind
    if kind == "c":
        return name.removeprefix("nan") not in (*NEED_ELEMENTS, "skew", "kurtosis")
    return not (kind == "b" and name == "ptp")


def result_dtype(name, values):
    """NumPy's dtype; where NumPy rounds f16 on the way, ours is only more exact."""
    return np.asarray(run(name, values)).dtype


def same(ours, theirs, values, name):
    theirs = np.asarray(theirs)
    if not isinstance(ours, sf.Array):
        assert theirs.ndim == 0
        assert isinstance(ours, (bool, int, float, complex))
        ours = sf.array(ours, str(theirs.dtype))
    else:
        assert theirs.ndim > 0
    assert ours.shape == theirs.shape
    assert ours.dtype == theirs.dtype
    mine = np.asarray(ours)
    if theirs.dtype.kind not in "fc":
        np.testing.assert_array_equal(mine, theirs)
        return
    # Sums differ by the order of additions: bounded by the sum of magnitudes.
    eps = float(np.finfo(theirs.dtype).eps)
    scale = float(np.abs(values.astype("c16")).max(initial=1))
    if name in ("sum", "nansum"):
        scale *= max(values.size, 1) ** 0.5 * 4
    if name.endswith(("skew", "kurtosis")):  # quotients of differences
        eps *= 16
    np.testing.assert_allclose(mine, theirs, rtol=64 * eps, atol=16 * eps * scale)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", NUMERIC)
def test_all_elements(dtype, name):
    for shape in [(1,), (2,), (7,), (64,), (1000,), (3, 5), (2, 3, 4), ()]:
        values = sample(dtype, shape)
        ours = sf.asarray(values)
        if not supported(name, dtype):
            with pytest.raises(TypeError, match=name):
                getattr(sf, name)(ours)
            return
        expected = run(name, values)
        same(getattr(sf, name)(ours), expected, values, name)
        if name not in NAN_NAMES:
            same(getattr(ours, name)(), expected, values, name)
        same(getattr(sf, name)(values), expected, values, name)
        same(
            getattr(sf, name)(values.tolist()), run(name, np.asarray(values.tolist())), values, name
        )


def all_axes(ndim):
    """Every set of axes, some of them counted from the end."""
    for count in range(ndim + 1):
        for axes in itertools.combinations(range(ndim), count):
            yield tuple(a - ndim if i % 2 else a for i, a in enumerate(axes))
    yield from range(-ndim, ndim)
    yield None


LAYOUTS = {
    "C": lambda a: a,
    "F": np.asfortranarray,
    "reversed": lambda a: np.ascontiguousarray(a[::-1, ::-1])[::-1, ::-1],
    "strided": lambda a: np.repeat(np.repeat(a, 2, 0), 3, 2)[::2, :, ::3],
    "moved": lambda a: np.ascontiguousarray(np.moveaxis(a, 1, 0)).swapaxes(0, 1),
    "swapped": lambda a: a.astype(a.dtype.newbyteorder()),
    "broadcast": lambda a: np.broadcast_to(a[:, :1], a.shape),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    "dtype", ["bool", "int16", "uint8", "float16", "float32", "float64", "complex64"]
)
def test_axes(dtype, layout):
    values = LAYOUTS[layout](sample(dtype, (3, 4, 5)))
    ours = sf.asarray(values)
    for axis in all_axes(3):
        for name in NAMES:
            if not supported(name, dtype, axis):
                continue
            for keepdims in (False, True):
                how = {"axis": axis, "keepdims": keepdims}
                expected = run(name, values.astype(values.dtype.newbyteorder("=")), **how)
                same(getattr(sf, name)(ours, **how), expected, values, name)


@pytest.mark.parametrize("shape", [(0,), (0, 3), (3, 0), (2, 0, 4)], ids=str)
def test_empty(shape):
    values = np.zeros(shape, "f4")
    ours = sf.asarray(values)
    for name in ("sum", "any", "all", "count_nonzero"):
        same(getattr(sf, name)(ours), run(name, values), values, name)
        for axis in range(len(shape)):
            same(getattr(sf, name)(ours, axis), run(name, values, axis=axis), values, name)
    for name in NEED_ELEMENTS:
        with pytest.raises(ValueError, match=name):
            getattr(sf, name)(ours)
        for axis in range(len(shape)):
            if shape[axis]:
                same(getattr(sf, name)(ours, axis), run(name, values, axis=axis), values, name)
            elif math.prod(shape[:axis] + shape[axis + 1 :]):
                with pytest.raises(ValueError, match=name):
                    getattr(sf, name)(ours, axis)
    for name in ("mean", "var", "std"):
        assert math.isnan(getattr(sf, name)(ours))


@pytest.mark.parametrize("ddof", [0, 1, 2, 0.5])
@pytest.mark.parametrize("dtype", ["int32", "float32", "float64", "complex128"])
def test_ddof(dtype, ddof):
    values = sample(dtype, (5, 7))
    for name in ("var", "std"):
        for axis in (None, 0, 1):
            expected = run(name, values, ddof=ddof, axis=axis)
            same(getattr(sf, name)(values, axis, ddof=ddof), expected, values, name)
            same(getattr(sf.asarray(values), name)(axis, ddof=ddof), expected, values, name)
    for name in ("var", "std"):  # as many degrees of freedom as elements, and more
        for degrees in (35, 36):
            mine = getattr(sf, name)(values, ddof=degrees)
            expected = float(run(name, values, ddof=degrees))
            assert mine == expected or (math.isnan(mine) and math.isnan(expected))


def test_nan_and_infinity():
    for dtype in ("f2", "f4", "f8"):
        for count in (3, 17, 100, 5000):
            for at in {0, 1, count // 2, count - 1}:
                values = np.arange(count).astype(dtype)
                values[at] = np.nan
                for name in ("min", "max", "sum", "mean", "var", "std"):
                    assert math.isnan(getattr(sf, name)(values)), (name, count, at)
                assert sf.count_nonzero(values) == np.count_nonzero(values)
                values[at] = -np.inf
                assert sf.min(values) == -np.inf
                assert sf.sum(values) == np.sum(values) == -np.inf
    grid = np.arange(12.0).reshape(3, 4)
    grid[1, 2] = np.nan
    for axis in (0, 1):
        np.testing.assert_array_equal(np.asarray(sf.max(grid, axis)), np.max(grid, axis))
        np.testing.assert_array_equal(np.asarray(sf.min(grid, axis)), np.min(grid, axis))


def test_integers_do_not_overflow_their_sum():
    for dtype, total in (("i1", "i8"), ("u1", "u8"), ("i4", "i8"), ("u4", "u8")):
        info = np.iinfo(dtype)
        values = np.full(100_000, info.max, dtype)
        assert sf.sum(values) == 100_000 * info.max
        assert sf.sum(values, axis=0, keepdims=True).dtype == total
        assert sf.mean(values) == info.max
    assert sf.sum(np.full(3, 2**63 - 1)) == np.full(3, 2**63 - 1).sum()  # wraps, as in NumPy
    assert sf.sum(np.full(2, 2**64 - 1, "u8")) == 2**64 - 2


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
def test_sums_are_exact_enough(dtype):
    """Pairwise or better: the error does not grow with the number of elements."""
    count = 1_000_000
    values = np.full(count, 0.1, dtype)
    exact = float(values[0]) * count
    eps = float(np.finfo(dtype).eps)
    for layout in (values, values[::-1], values.reshape(1000, 1000).T):
        if dtype != "f2":
            assert abs(sf.sum(layout) - exact) <= 50 * eps * exact
        assert abs(sf.mean(layout) - float(values[0])) <= 50 * eps * 0.1
    wide = sf.asarray(values).reshape(1000, 1000)
    for axis in (0, 1):
        assert sf.max(sf.absolute(sf.mean(wide, axis) - values[0])) <= 50 * eps * 0.1


def test_var_survives_a_large_mean():
    for dtype, offset in (("f8", 1e8), ("f4", 1e3)):
        values = (np.tile([1.0, 2.0, 3.0], 1000) + offset).astype(dtype)
        assert sf.var(values) == pytest.approx(2 / 3, rel=1e-3)
        grid = values.reshape(60, 50)
        np.testing.assert_allclose(np.asarray(sf.var(grid, 0)), np.var(grid, 0), rtol=1e-3)
        np.testing.assert_allclose(np.asarray(sf.var(grid, 1)), np.var(grid, 1), rtol=1e-3)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", ["int32", "float32", "float64", "uint8"])
def test_large(dtype, name):
    values = sample(dtype, (600, 700))
    for array in (values, values.T, values[::2, ::3], values[::-1]):
        ours = sf.asarray(array)
        for axis in (None, 0, 1, (0, 1)):
            if supported(name, dtype, axis):
                same(getattr(sf, name)(ours, axis), run(name, array, axis=axis), array, name)


def test_results_do_not_depend_on_the_number_of_threads():
    before = sf.get_num_threads()
    rng = np.random.default_rng(3)
    values = rng.standard_normal((1200, 700)).astype("f4")
    try:
        found = set()
        for threads in (1, 2, 3, 8):
            sf.set_num_threads(threads)
            assert sf.get_num_threads() == threads
            whole = tuple(getattr(sf, n)(values) for n in ("sum", "mean", "var", "min"))
            rows = tuple(sf.sum(values, axis).tobytes() for axis in (0, 1))
            found.add((whole, rows))
        assert len(found) == 1
    finally:
        sf.set_num_threads(before)
    for bad in (0, -1, 100_000):
        with pytest.raises(ValueError, match=str(bad)):
            sf.set_num_threads(bad)


def test_random_shapes_and_axes():
    rng = random.Random("reductions")
    for i in range(200):
        shape = tuple(rng.choice([1, 2, 3, 5, 9]) for _ in range(rng.randint(1, 5)))
        dtype = rng.choice(NUMERIC)
        values = sample(dtype, shape, seed=i)
        if rng.random() < 0.5:
            values = values.transpose(rng.sample(range(len(shape)), len(shape)))
        axes = tuple(rng.sample(range(len(shape)), rng.randint(0, len(shape))))
        name = rng.choice([n for n in NAMES if supported(n, dtype, axes)])
        keepdims = rng.random() < 0.5
        expected = run(name, values, axis=axes, keepdims=keepdims)
        found = getattr(sf, name)(values, axes, keepdims=keepdims)
        same(found, expected, values, name)


# Elements that do not count: NaN, and where=.


def with_nan(dtype, shape, seed=0):
    values = sample(dtype, shape, seed)
    values[np.random.default_rng(seed).random(shape) < 0.2] = np.nan
    if len(shape) > 1:
        values[0] = np.nan  # nothing else there
    return values


@pytest.mark.parametrize("name", NAN_NAMES)
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "complex64", "complex128"])
def test_nan_left_out(dtype, name):
    if not supported(name, dtype):
        return
    for shape in [(1,), (7,), (50,), (3, 40), (3, 300), (4, 5, 6)]:
        values = with_nan(dtype, shape)
        whole = np.where(np.isnan(values), 0, values)
        for axis in (None, *range(len(shape))):
            for array in (values, values.T, values[::-1]):
                expected = run(name, array, axis=axis)
                same(getattr(sf, name)(array, axis), expected, whole, name)


def masks(shape):
    rng = np.random.default_rng(5)
    yield np.True_
    yield rng.random(shape) < 0.5
    yield np.asfortranarray(rng.random(shape) < 0.9)[..., ::-1]
    yield rng.random(shape[-1:]) < 0.5
    yield rng.random((shape[0],) + (1,) * (len(shape) - 1)) < 0.5
    yield np.zeros(shape, bool)


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int32", "float16", "float32", "complex128"])
def test_where(dtype):
    for shape in [(5,), (3, 40), (300, 7), (4, 5, 6)]:
        values = sample(dtype, shape)
        for array in (values, values[::-1], np.asfortranarray(values)):
            for mask in masks(shape):
                for axis in (None, *range(len(shape)), tuple(range(len(shape)))):
                    for name in ("sum", "prod", "min", "max", "any", "all", "mean", "var", "std"):
                        if not supported(name, dtype):
                            continue
                        how = {"axis": axis, "where": mask}
                        if name in ("min", "max"):
                            how["initial"] = dtype == "bool" or 1
                        expected = run(name, array, **how)
                        same(getattr(sf, name)(array, **how), expected, values, name)


def test_where_over_several_grains():
    values = sample("float32", (3, 70_001))
    mask = sample("bool", (3, 70_001), seed=1)
    for array, chosen in ((values, mask), (values.T, mask.T), (values, mask[1])):
        for axis in (None, 0, 1):
            for name in ("sum", "std", "count_nonzero"):
                found = getattr(sf, name)(array, axis, where=chosen)
                expected = run(name, np.where(chosen, array, 0), axis=axis)
                if name == "std":
                    expected = run(name, array, axis=axis, where=chosen)
                same(found, expected, array, name)


def test_bad_where():
    ours = sf.zeros((3, 4))
    with pytest.raises(ValueError, match="'min' does not have an identity.*'initial'"):
        sf.min(ours, where=np.ones((3, 4), bool))
    with pytest.raises(ValueError, match=r"\(3,\).*\(3, 4\)"):
        sf.sum(ours, where=np.ones(3, bool))
    with pytest.raises(TypeError, match="int64"):
        sf.sum(ours, where=np.ones(4, int))


def test_out_that_is_the_mask():
    mask = sf.array([[True, False], [True, True]])
    sf.any(sf.zeros((2, 2)), 0, where=mask, out=mask[0])
    assert mask.tolist() == [[False, False], [True, True]]


@pytest.mark.parametrize("name", ["sum", "prod", "min", "max", "nansum", "nanprod"])
@pytest.mark.parametrize("dtype", ["int8", "float32", "float64"])
def test_initial(dtype, name):
    values = sample(dtype, (3, 7))
    for axis in (None, 0, 1):
        for initial in (0, -200 if name in ("sum", "nansum") else 2):
            how = {"axis": axis, "initial": initial}
            same(getattr(sf, name)(values, **how), run(name, values, **how), values, name)
            empty = values[:0]
            same(getattr(sf, name)(empty, **how), run(name, empty, **how), values, name)


def test_initial_only_where_it_means_something():
    for name in set(NAMES) - {"sum", "prod", "min", "max", "nansum", "nanprod"}:
        with pytest.raises(TypeError, match=name):
            getattr(sf, name)(sf.ones(3), initial=1)
    with pytest.raises(OverflowError):
        sf.min(sf.ones(3, "i1"), initial=1000)


# Places.


@pytest.mark.parametrize("name", PLACES)
def test_places_count_in_c_order(name):
    values = np.zeros((4, 5, 6), "f4")
    values[1, 2, 3] = values[3, 0, 0] = 1
    values[2, 2, 2] = values[3, 4, 5] = -1
    for array in (values, values.T, values[::-1], np.asfortranarray(values), values[:, ::-2]):
        assert getattr(sf, name)(array) == run(name, array)
        for axis in (0, 1, -1):
            for keepdims in (False, True):
                how = {"axis": axis, "keepdims": keepdims}
                same(getattr(sf, name)(array, **how), run(name, array, **how), array, name)
    big = np.random.default_rng(1).integers(0, 50, (3, 100_000)).astype("i2")
    for array in (big, big.T, big[:, ::-1]):
        for axis in (None, 0, 1):
            same(getattr(sf, name)(array, axis), run(name, array, axis=axis), array, name)
    big = big.astype("f4")
    big[2, 7] = big[1, 90_000] = np.nan
    assert getattr(sf, name)(big) == run(name, big) == 190_000
    assert getattr(sf, name)(big.T) == run(name, big.T)


def test_places_are_along_one_axis():
    for name in PLACES:
        with pytest.raises(TypeError, match="tuple"):
            getattr(sf, name)(sf.zeros((2, 3)), (0, 1))
        with pytest.raises(ValueError, match=f"attempt to get {name} of an empty sequence"):
            getattr(sf, name)(sf.zeros((0, 3)))


def test_correction_is_ddof():
    values = sample("float64", (5, 7))
    for name in ("var", "std", "nanvar", "nanstd"):
        same(
            getattr(sf, name)(values, 0, correction=1),
            run(name, values, axis=0, ddof=1),
            values,
            name,
        )
    with pytest.raises(ValueError, match="ddof and correction"):
        sf.var(values, ddof=1, correction=1)


# out=


def test_out():
    values = sample("float32", (3, 4, 5))
    ours = sf.asarray(values)
    for axis, shape in ((0, (4, 5)), ((0, 2), (4,)), (None, ()), (1, (3, 5))):
        for dtype in ("f4", "f8", ">f4", "c8"):
            out = sf.empty(shape, dtype)
            assert sf.sum(ours, axis, out=out) is out
            np.testing.assert_allclose(
                np.asarray(out), np.sum(values, axis).astype(dtype), rtol=1e-5
            )
        theirs = np.empty(shape, "f4")
        assert sf.max(ours, axis, out=theirs) is theirs
        np.testing.assert_array_equal(theirs, np.max(values, axis))
    strided = sf.zeros((4, 10), "f8")[:, ::2]
    sf.sum(ours, 0, out=strided)
    np.testing.assert_allclose(np.asarray(strided), values.sum(0), rtol=1e-5)
    kept = sf.empty((3, 1, 5), "f4")
    sf.min(ours, 1, out=kept, keepdims=True)
    np.testing.assert_array_equal(np.asarray(kept), values.min(1, keepdims=True))


def test_out_that_overlaps():
    values = sample("float64", (6, 6))
    ours = sf.array(values)
    sf.sum(ours, 0, out=ours[2])
    expected = values.copy()
    expected[2] = values.sum(0)
    np.testing.assert_allclose(np.asarray(ours), expected, rtol=1e-13)
    ours = sf.array(values)
    sf.max(ours, 1, out=ours[:, 0])
    expected = values.copy()
    expected[:, 0] = values.max(1)
    np.testing.assert_array_equal(np.asarray(ours), expected)


def test_bad_out():
    ours = sf.zeros((3, 4), "f4")
    with pytest.raises(ValueError, match=r"\(3,\).*\(4,\)"):
        sf.sum(ours, 0, out=sf.empty(3, "f4"))
    with pytest.raises(ValueError, match="shape"):
        sf.sum(ours, 0, out=sf.empty((1, 4), "f4"))
    with pytest.raises(TypeError, match="int32"):
        sf.sum(ours, 0, out=sf.empty(4, "i4"))
    with pytest.raises(ValueError, match="read-only"):
        sf.sum(ours, 0, out=sf.frombuffer(bytes(16), "f4"))
    with pytest.raises(TypeError, match="list"):
        sf.sum(ours, 0, out=[0] * 4)


# Axes that are none.


@pytest.mark.parametrize("axis", [2, -3, (0, 2), (0, 0), (0, -2), 10**30])
def test_bad_axes(axis):
    with pytest.raises((ValueError, IndexError, OverflowError)):
        sf.sum(sf.zeros((2, 3)), axis)


@pytest.mark.parametrize("axis", [1.5, "0", [0.5], object()])
def test_axes_of_wrong_type(axis):
    with pytest.raises(TypeError):
        sf.sum(sf.zeros((2, 3)), axis)


def test_axis_errors_name_the_numbers():
    with pytest.raises((ValueError, IndexError), match="axis 5.*2"):
        sf.sum(sf.zeros((2, 3)), 5)


def test_0d_and_no_axes():
    assert sf.sum(sf.full((), 5)) == 5
    assert sf.sum(5) == 5 and sf.mean([1, 2]) == 1.5
    values = sample("float32", (2, 3))
    np.testing.assert_array_equal(np.asarray(sf.sum(values, ())), values)
    kept = sf.sum(values, keepdims=True)
    assert kept.shape == (1, 1)
    assert sf.max(sf.full((), 5), axis=()) == 5


def test_results_are_python_numbers():
    assert type(sf.sum(sf.ones(3, "i2"))) is int
    assert type(sf.sum(sf.ones(3, "f4"))) is float
    assert type(sf.sum(sf.ones(3, "c8"))) is complex
    assert type(sf.any(sf.ones(3))) is bool
    assert type(sf.count_nonzero(sf.ones(3))) is int


def test_bfloat16():
    values = sf.array([1.0, 2.5, -3.0, 0.0], "bfloat16")
    assert values.sum() == 0.5 and values.min() == -3 and values.max() == 2.5
    assert values.mean() == 0.125
    assert sf.count_nonzero(values) == 3 and values.any() and not values.all()
    assert sf.sum(values.reshape(2, 2), 0).dtype == "bfloat16"


def test_records_and_bytes_are_refused():
    with pytest.raises(TypeError, match="field"):
        sf.sum(sf.zeros(2, [("x", "f4")]))
    with pytest.raises(TypeError, match="S3"):
        sf.max(sf.zeros(2, "S3"))
    with pytest.raises(TypeError):
        sf.sum()
    with pytest.raises(TypeError):
        sf.argmax(sf.zeros(2), where=1, initial=2)


def test_keepdims_and_ddof_are_checked():
    with pytest.raises(TypeError):
        sf.var(sf.zeros(2), ddof="one")

    class Broken:
        def __bool__(self):
            raise LookupError("neither")

    with pytest.raises(LookupError, match="neither"):
        sf.sum(sf.zeros(2), keepdims=Broken())


@pytest.mark.parametrize("target", sf.simd.targets())
def test_every_simd_target(target):
    with sf.simd.use(target):
        for dtype in NUMERIC:
            values = sample(dtype, (7, 53))
            for name in NAMES:
                if supported(name, dtype):
                    for axis in (None, 0, 1):
                        found = getattr(sf, name)(values, axis)
                        same(found, run(name, values, axis=axis), values, name)


@pytest.mark.parametrize("axis", [0, -1, None, ()])
def test_axes_of_a_0d_array(axis):
    ours, theirs = sf.array(5), np.array(5)
    assert ours.sum(axis=axis) == theirs.sum(axis=axis) == 5
    assert sf.max(ours, axis=axis) == 5
    for wrong in (1, -2, (0,)):
        with pytest.raises(ValueError):
            ours.sum(axis=wrong)
