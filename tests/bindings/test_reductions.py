"""Reductions against NumPy: all dtypes, layouts, axes, keepdims, ddof, out=."""

import itertools
import math
import random
import warnings

import pytest

import spanflow as sf

np = pytest.importorskip("numpy")

NUMERIC = [
    "bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64",
    "float16", "float32", "float64", "complex64", "complex128",
]  # fmt: skip
NAMES = ["sum", "min", "max", "any", "all", "count_nonzero", "mean", "var", "std"]


@pytest.fixture(autouse=True)
def quiet():
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


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


def run(name, values, **how):
    return getattr(np, name)(values, **how)


def supported(name, dtype):
    return not (np.dtype(dtype).kind == "c" and name in ("min", "max"))


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
    if name == "sum":
        scale *= max(values.size, 1) ** 0.5 * 4
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
            if not supported(name, dtype):
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
    for name in ("min", "max"):
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
            same(getattr(ours, name)(axis=axis), run(name, array, axis=axis), array, name)


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
        name = rng.choice([n for n in NAMES if supported(n, dtype)])
        keepdims = rng.random() < 0.5
        expected = run(name, values, axis=axes, keepdims=keepdims)
        found = getattr(sf, name)(values, axes, keepdims=keepdims)
        same(found, expected, values, name)


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
        sf.sum(sf.zeros(2), where=True)


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
