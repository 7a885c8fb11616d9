"""Inner products, running folds, quantiles, exact sums and summaries against NumPy."""

import math

import pytest

import spanflow as sf

np = pytest.importorskip("numpy")
from tests.bindings.samples import NUMERIC, layouts, plain, quiet  # noqa: E402, F401

TOLERANCE = {"float16": 2e-2, "float32": 1e-5, "complex64": 1e-5}
METHODS = [
    "inverted_cdf", "averaged_inverted_cdf", "closest_observation", "interpolated_inverted_cdf",
    "hazen", "weibull", "linear", "median_unbiased", "normal_unbiased", "lower", "higher",
    "midpoint", "nearest",
]  # fmt: skip


def same(ours, theirs, tolerance, check_dtype=True):
    theirs = np.asarray(theirs)
    if check_dtype and isinstance(ours, sf.Array):
        assert ours.dtype == theirs.dtype
    mine = np.asarray(ours)
    assert mine.shape == theirs.shape
    if theirs.dtype.kind in "fc":
        np.testing.assert_allclose(mine, theirs, rtol=tolerance, atol=tolerance)
    else:
        np.testing.assert_array_equal(mine, theirs)


# Inner products.


@pytest.mark.parametrize("dtype", NUMERIC)
def test_inner_products(dtype):
    for count in (0, 1, 7, 300, 5000):
        a, b = plain(dtype, count), plain(dtype, count, seed=1)
        tolerance = TOLERANCE.get(dtype, 1e-12) * max(count, 1) ** 0.5
        for left, right in ((a, b), (a[::-1], b), (np.repeat(a, 3)[::3], b[::-1])):
            same(sf.dot(left, right), np.dot(left, right), tolerance)
            same(sf.vdot(left, right), np.vdot(left, right), tolerance)


def test_inner_products_of_two_dtypes_and_out():
    a, b = plain("int16", 100), plain("float32", 100)
    out = sf.empty((), "f8")
    assert sf.dot(a, b, out) is out
    same(out, np.dot(a, b).astype("f8"), 1e-5)
    assert type(sf.dot([1, 2], [3, 4])) is int
    large = np.full(1 << 20, 0.1, "f4")
    assert sf.dot(large, large) == pytest.approx(float(large[0]) ** 2 * large.size, rel=1e-6)


def test_inner_products_need_two_vectors():
    with pytest.raises(ValueError, match=r"shapes \(3,\) and \(4,\) not aligned"):
        sf.dot([1, 2, 3], [1, 2, 3, 4])
    with pytest.raises(ValueError, match="one dimension"):
        sf.dot(sf.ones((2, 2)), sf.ones((2, 2)))
    with pytest.raises(TypeError, match="S3"):
        sf.dot(sf.zeros(2, "S3"), sf.ones(2))
    with pytest.raises(TypeError, match="same_kind"):
        sf.dot([1.5], [2.0], sf.empty((), "i8"))


# Running folds.

FOLDS = {
    "cumsum": np.cumsum,
    "cumprod": np.cumprod,
    "cummin": np.minimum.accumulate,
    "cummax": np.maximum.accumulate,
}


@pytest.mark.parametrize("name", FOLDS)
@pytest.mark.parametrize("dtype", NUMERIC)
def test_running_folds(dtype, name):
    if np.dtype(dtype).kind == "c" and name in ("cummin", "cummax"):
        with pytest.raises(TypeError, match=name):
            getattr(sf, name)(np.ones(3, dtype))
        return
    tolerance = TOLERANCE.get(dtype, 1e-12) * 20
    for shape in [(0,), (1,), (20,), (3, 5), (4, 3, 7), (40, 20), (0, 3)]:
        for values in layouts(plain(dtype, shape)):
            native = values.astype(values.dtype.newbyteorder("="))
            for axis in range(-1, len(shape)):
                expected = FOLDS[name](native, axis=axis)
                same(getattr(sf, name)(values, axis), expected, tolerance)
                same(getattr(sf.asarray(values), name)(axis), expected, tolerance)
            same(getattr(sf, name)(values), FOLDS[name](native.ravel()), tolerance)


def test_long_running_sums():
    for shape in [(300_000,), (3, 100_000), (100_000, 3), (700, 900)]:
        values = plain("float64", shape)
        for array in (values, values.T):
            for axis in range(len(shape)):
                same(sf.cumsum(array, axis), np.cumsum(array, axis), 1e-9)
    values = np.full(1_000_000, 0.1, "f4")
    assert sf.cumsum(values)[-1] == pytest.approx(1e5, rel=1e-6)


def test_running_folds_with_nan():
    values = np.array([3, 1, np.nan, 0, 5])
    for name, fold in FOLDS.items():
        same(getattr(sf, name)(values), fold(values), 1e-12)


def test_out_of_running_folds():
    values = plain("int32", (4, 6))
    out = sf.empty((4, 6), "f8")
    assert sf.cumsum(values, 1, out=out) is out
    same(out, np.cumsum(values, 1).astype("f8"), 1e-12)
    ours = sf.array(values.astype("i8"))
    assert ours.cumsum(0, out=ours) is ours
    same(ours, np.cumsum(values, 0), 0)
    ours = sf.array(values.astype("i8"))
    ours.cummax(0, out=ours[::-1])
    same(ours[::-1], np.maximum.accumulate(values, 0).astype("i8"), 0)
    with pytest.raises(ValueError, match=r"\(24,\)"):
        sf.cumsum(values, out=out)
    with pytest.raises(TypeError, match="same_kind"):
        sf.cumsum(values.astype("f4"), 0, out=sf.empty((4, 6), "i4"))
    for axis in (2, -3):
        with pytest.raises((ValueError, IndexError), match="axis"):
            sf.cumsum(values, axis)


# Quantiles.


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", ["uint8", "int32", "float16", "float32", "float64"])
def test_quantiles(dtype, method):
    shares = [0, 0.1, 0.25, 0.5, 0.77, 1]
    for shape in [(1,), (2,), (5,), (20,), (3, 7), (4, 5, 6)]:
        for values in layouts(plain(dtype, shape)):
            native = values.astype(values.dtype.newbyteorder("="))
            for axis in (None, *range(len(shape)), tuple(range(len(shape)))):
                how = {"axis": axis, "method": method, "keepdims": axis == 0}
                found = sf.quantile(values, shares, **how)
                expected = np.quantile(native, shares, **how)
                same(found, expected, TOLERANCE.get(dtype, 1e-12) * 4, check_dtype=False)


def test_quantiles_have_the_dtype_of_floats():
    for dtype, wanted in (("i4", "f8"), ("?", "f8"), ("f2", "f2"), ("f4", "f4"), ("f8", "f8")):
        assert sf.quantile(np.ones((2, 3), dtype), 0.3, 0).dtype == wanted
        assert sf.median(np.ones((2, 3), dtype), 0).dtype == wanted


def test_medians_and_percentiles():
    for dtype in ("int16", "float32", "float64"):
        values = plain(dtype, (30, 41))
        for axis in (None, 0, 1, (0, 1)):
            same(sf.median(values, axis), np.median(values, axis), 1e-6)
            same(sf.percentile(values, 30, axis), np.percentile(values, 30, axis), 1e-5)
            found = sf.percentile(values, [5, 95], axis, keepdims=True)
            same(found, np.percentile(values, [5, 95], axis, keepdims=True), 1e-5, False)
    assert sf.median([1, 2, 3, 10]) == 2.5
    large = np.random.default_rng(0).permutation(300_001)
    assert sf.median(large) == 150_000


def test_quantiles_and_nan():
    values = plain("float32", (6, 50))
    values[np.random.default_rng(1).random(values.shape) < 0.2] = np.nan
    values[2] = np.nan
    for axis in (None, 0, 1):
        same(sf.median(values, axis), np.median(values, axis), 1e-6)
        same(sf.nanmedian(values, axis), np.nanmedian(values, axis), 1e-6)
        same(sf.nanquantile(values, 0.3, axis), np.nanquantile(values, 0.3, axis), 1e-5)
        found = sf.nanpercentile(values, [10, 90], axis)
        same(found, np.nanpercentile(values, [10, 90], axis), 1e-5, False)
    assert math.isnan(sf.median([])) and math.isnan(sf.nanmedian([math.nan]))
    assert np.isnan(np.asarray(sf.median(np.zeros((0, 3)), 0))).all()


def test_bad_quantiles():
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        sf.quantile([1, 2], 1.5)
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        sf.percentile([1, 2], [50, math.nan])
    with pytest.raises(ValueError, match="'middle' is not a valid method"):
        sf.quantile([1, 2], 0.5, method="middle")
    with pytest.raises(TypeError, match="complex64"):
        sf.median(sf.zeros(3, "c8"))
    with pytest.raises(ValueError, match=r"\(2,\)"):
        sf.median(sf.zeros((3, 4)), 0, out=sf.empty(2))
    out = sf.empty((2, 4), "f8")
    assert sf.quantile(sf.ones((3, 4), "f4"), [0.1, 0.2], 0, out=out) is out
    assert out.tolist() == [[1.0] * 4] * 2


# Exact sums.


def test_precise_sums_are_those_of_fsum():
    rng = np.random.default_rng(2)
    for count in (1, 2, 50, 3000, 200_000):
        values = rng.standard_normal(count) * 2.0 ** rng.integers(-900, 900, count)
        values = np.concatenate([values, -values[: count // 2], [1e-300]])
        for array in (values, values[::-1], np.repeat(values, 2)[::2]):
            assert sf.sum(array, precise=True) == math.fsum(array)
    single = rng.standard_normal(5000).astype("f4")
    assert sf.sum(single, precise=True) == np.float32(math.fsum(single))
    pairs = values + 1j * values[::-1]
    assert sf.sum(pairs, precise=True) == complex(math.fsum(pairs.real), math.fsum(pairs.imag))


def test_precise_sums_along_axes():
    values = np.random.default_rng(3).standard_normal((40, 30))
    for axis, rows in ((0, values.T), (1, values)):
        assert sf.sum(values, axis, precise=True).tolist() == [math.fsum(row) for row in rows]
    kept = sf.asarray(values).sum((0, 1), keepdims=True, precise=True)
    assert kept.tolist() == [[math.fsum(values.ravel())]]
    assert sf.sum(values, precise=True, initial=1) == pytest.approx(math.fsum(values.ravel()) + 1)
    assert sf.sum([1, 2], precise=True) == 3 and sf.sum(np.zeros(0), precise=True) == 0
    assert sf.sum(np.zeros((0, 2)), 0, precise=True).tolist() == [0, 0]


def test_only_sums_are_precise():
    with pytest.raises(TypeError, match="mean"):
        sf.mean([1.0], precise=True)
    with pytest.raises(TypeError, match="where"):
        sf.sum([1.0], where=[True], precise=True)


# Summaries.


def test_stats():
    found = sf.stats([1, 2, 3, math.nan, 10])
    assert found[:5] == (4, 1, 1, 10, 4)
    assert found.std == pytest.approx(math.sqrt(12.5))
    assert sf.stats([1, 2, 3, 10], ddof=1).std == pytest.approx(math.sqrt(50 / 3))
    assert repr(found).startswith("Stats(count=4, nulls=1, min=1.0, max=10.0, mean=4.0, std=")
    for dtype in ("bool", "int8", "uint64", "float16", "float32", "float64"):
        values = plain(dtype, (70, 1000))
        found = sf.stats(values.T)
        wide = values.astype("f8")
        scaled = (wide - wide.mean()) / wide.std()
        assert (found.count, found.nulls) == (values.size, 0)
        assert (found.min, found.max) == (values.min(), values.max())
        tolerance = TOLERANCE.get(dtype, 1e-9)
        expected = (wide.mean(), wide.std(), (scaled**3).mean(), (scaled**4).mean() - 3)
        assert found[4:] == pytest.approx(expected, rel=tolerance, abs=tolerance)
    with pytest.raises(TypeError, match="complex"):
        sf.stats(sf.zeros(3, "c8"))
    with pytest.raises(ValueError):
        sf.stats([])


def test_minmax():
    values = plain("float32", (30, 40))
    assert sf.minmax(values) == (values.min(), values.max())
    for axis in (0, 1, (0, 1)):
        low, high = sf.minmax(values, axis, keepdims=True)
        same(low, values.min(axis, keepdims=True), 0)
        same(high, values.max(axis, keepdims=True), 0)
    values[3, 4] = np.nan
    assert all(map(math.isnan, sf.minmax(values)))
    with pytest.raises(ValueError):
        sf.minmax([])
