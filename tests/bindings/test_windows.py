"""Differences, moving windows, blocks, flips and rolls against NumPy."""

import functools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

import spanflow as sf

np = pytest.importorskip("numpy")
from tests.bindings.samples import NUMERIC, layouts, plain, quiet  # noqa: E402, F401

windows_of = np.lib.stride_tricks.sliding_window_view

TOLERANCE = {"float16": 1e-3, "float32": 1e-6, "complex64": 1e-6}
sample = functools.partial(plain, most=100)
SHAPES = [(1,), (20,), (3, 50), (50, 3), (9, 2, 40)]


def native(values):
    return values.astype(values.dtype.newbyteorder("="))


def same(ours, theirs, tolerance=0.0):
    theirs = np.asarray(theirs)
    if isinstance(ours, sf.Array):
        assert ours.dtype == theirs.dtype
    mine = np.asarray(ours)
    assert mine.shape == theirs.shape
    if tolerance and theirs.dtype.kind in "fc":
        np.testing.assert_allclose(mine, theirs, rtol=tolerance, atol=tolerance * 30)
    else:
        np.testing.assert_array_equal(mine, theirs)


# Moving windows.


def fold(name, values, window, axis):
    """NumPy's, with sums and means of small floats in float64."""
    dtype = values.dtype
    wide = values.astype(np.result_type(dtype, "f8")) if dtype.kind in "fc" else values
    found = getattr(windows_of(wide, window, axis), name)(axis=-1)
    return found.astype(dtype) if dtype.kind in "fc" else found


@pytest.mark.parametrize("name", ["sum", "mean", "min", "max"])
@pytest.mark.parametrize("dtype", NUMERIC)
def test_moving_folds(name, dtype):
    moving = getattr(sf, f"moving_{name}")
    if np.dtype(dtype).kind == "c" and name in ("min", "max"):
        with pytest.raises(TypeError, match=f"moving_{name} is not defined for {dtype}"):
            moving(np.ones(3, dtype), 2)
        return
    tolerance = TOLERANCE.get(dtype, 1e-12)
    for shape in SHAPES:
        for values in layouts(sample(dtype, shape)):
            for axis in range(-1, len(shape)):
                extent = shape[axis]
                for window in {1, 2, 7, extent} & {*range(1, extent + 1)}:
                    expected = fold(name, native(values), window, axis)
                    same(moving(values, window, axis), expected, tolerance)


@pytest.mark.parametrize("window", [64, 511, 512, 513, 1500, 2500])
@pytest.mark.parametrize("dtype", ["uint8", "int64", "float32", "float64", "complex64"])
def test_long_windows(window, dtype):
    line = sample(dtype, 30_000)
    names = ["sum", "mean"] if dtype == "complex64" else ["sum", "mean", "max"]
    for values, axis in [
        (line[:3000], 0),
        (line[:2900][::-1], 0),
        (line.reshape(5000, 6)[:2600], 0),
        (line[:15_600].reshape(3, 2600, 2), 1),
        (line[:5600].reshape(2, 2800).T, 0),
    ]:
        for name in names:
            expected = fold(name, values, window, axis)
            same(getattr(sf, f"moving_{name}")(values, window, axis), expected, 1e-5)


def test_threads_do_not_change_a_bit():
    values = sample("float64", (40, 30_000))
    before = sf.get_num_threads()
    for array, axis, window in [(values, 1, 100), (values.T, 0, 3000), (values, 0, 7)]:
        found = []
        for threads in (1, before):
            sf.set_num_threads(threads)
            found.append(sf.moving_sum(array, window, axis).tobytes())
        sf.set_num_threads(before)
        assert found[0] == found[1]


@pytest.mark.parametrize("window", [3, 32, 600])
def test_what_left_a_window_leaves_no_trace(window):
    for bad in (math.nan, math.inf, -math.inf, 1e300):
        values = np.ones(3000)
        values[1000] = bad
        for name in ("sum", "mean", "min", "max"):
            moving = getattr(sf, f"moving_{name}")
            for array in (values, np.stack([values] * 3, 1)):
                found = np.asarray(moving(array, window, 0)).reshape(3001 - window, -1)
                inside = np.zeros(3001 - window, bool)
                inside[1001 - window : 1001] = True
                plain = window if name == "sum" else 1
                assert (found[~inside] == plain).all()
                if name != "min" or bad != math.inf:
                    seen = {"min": min, "max": max}.get(name, lambda x, _: x)(bad, 1.0)
                    hit = found[inside]
                    assert (
                        np.isnan(hit) if bad != bad else np.isclose(hit, seen, 1) | (hit == seen)
                    ).all()


def test_sums_are_rounded_once():
    values = np.full(100_000, 0.1, "f4")
    wide = float(values[0])
    for window in (10, 500, 50_000):
        assert (
            np.abs(np.asarray(sf.moving_sum(values, window)) - wide * window).max()
            <= wide * window * 1e-7
        )
    assert sf.moving_sum(np.full(300, 200, "u1"), 300).tolist() == [60_000]
    assert sf.moving_mean(np.full(5, 2**63 - 1, "i8"), 5).tolist() == [float(2**63)]


def test_without_nan():
    values = sample("float32", (5, 60))
    values[np.random.default_rng(1).random(values.shape) < 0.3] = np.nan
    values[2, 10:20] = np.nan
    for name in ("sum", "mean", "min", "max"):
        for axis, window in ((1, 6), (0, 2)):
            windows = windows_of(values.astype("f8"), window, axis)
            count = (~np.isnan(windows)).sum(-1)
            for least in (1, window):
                expected = getattr(np, f"nan{name}")(windows, -1)
                expected = np.where(count >= least, expected, np.nan).astype("f4")
                found = getattr(sf, f"moving_{name}")(values, window, axis, min_count=least)
                same(found, expected, 1e-6)
                out = np.empty(expected.shape)
                moved = getattr(sf, f"moving_{name}")(
                    values, window, axis, min_count=least, out=out
                )
                assert moved is out
                np.testing.assert_allclose(out, expected, 1e-6, 1e-5)
    assert sf.moving_sum([1, 2, 3], 2, min_count=1).tolist() == [3, 5]


def test_moving_folds_into_out():
    values = sample("int16", (6, 40))
    out = sf.empty((6, 36), "f8")
    assert sf.moving_sum(values, 5, out=out) is out
    same(out, fold("sum", values, 5, 1).astype("f8"))
    ours = sf.array(values)
    assert sf.moving_max(ours, 3, out=ours[:, 1:-1]).shape == (6, 38)
    same(ours[:, 1:-1], fold("max", values, 3, 1))
    same(ours[:, 0], values[:, 0])
    backwards = sf.empty((6, 38), ">i8")
    sf.moving_sum(values, 3, out=backwards[::-1, ::-1])
    same(backwards, fold("sum", values, 3, 1)[::-1, ::-1].astype(">i8"))


def test_empty_and_bad_windows():
    assert sf.moving_sum(sf.zeros((0, 5)), 3).shape == (0, 3)
    for window in (0, -1, 4, 2**62):
        with pytest.raises(ValueError, match=rf"window of {window} does not fit axis 0 of 3"):
            sf.moving_mean([1, 2, 3], window)
    with pytest.raises(ValueError, match="does not fit axis 1 of 0"):
        sf.moving_min(sf.zeros((3, 0)), 1)
    with pytest.raises(TypeError, match="window must be an integer, got 2.0"):
        sf.moving_sum([1, 2], 2.0)
    with pytest.raises(ValueError, match="at least one dimension"):
        sf.moving_sum(3, 1)
    with pytest.raises(ValueError, match="axis 1 is out of bounds"):
        sf.moving_sum([1, 2], 1, 1)
    with pytest.raises(ValueError, match="min_count must be from 1 to the window of 2, got 3"):
        sf.moving_sum([1.0, 2.0], 2, min_count=3)
    with pytest.raises(ValueError, match=r"out has shape \(3,\), but the result has shape \(2,\)"):
        sf.moving_sum([1, 2, 3], 2, out=sf.empty(3))
    with pytest.raises(TypeError, match="same_kind"):
        sf.moving_mean([1, 2, 3], 2, out=sf.empty(2, "i8"))
    with pytest.raises(TypeError, match="S3"):
        sf.moving_max(sf.zeros(3, "S3"), 2)
    closed = sf.zeros(4)
    closed.close()
    with pytest.raises(ValueError, match="closed"):
        sf.moving_sum(closed, 2)


@given(
    st.lists(st.integers(-1000, 1000), min_size=1, max_size=80).flatmap(
        lambda values: st.tuples(st.just(values), st.integers(1, len(values)))
    ),
    st.sampled_from([1, -1, 2, -3]),
)
def test_moving_folds_of_anything(case, step):
    values, window = case
    array = np.repeat(np.array(values, "i4"), abs(step))[::step]
    for name in ("sum", "min", "max"):
        same(getattr(sf, f"moving_{name}")(array, window), fold(name, array, window, 0))


# Differences.


@pytest.mark.parametrize("dtype", NUMERIC)
def test_differences(dtype):
    for shape in [(0,), (1,), (20,), (3, 5), (4, 3, 7), (2, 0)]:
        for values in layouts(sample(dtype, shape)):
            for axis in range(-1, len(shape)):
                for n in (1, 2, 6):
                    same(sf.diff(values, n, axis), np.diff(native(values), n, axis))


def test_differences_with_ends():
    values = sample("int32", (4, 5))
    for axis in (0, 1):
        for more in (
            {"prepend": 3},
            {"append": np.zeros((4, 5), "f4")},
            {"prepend": values, "append": 2.5},
        ):
            same(sf.diff(values, axis=axis, **more), np.diff(values, axis=axis, **more))
    with pytest.raises(ValueError, match="may differ along axis 0 only"):
        sf.diff(values, axis=0, prepend=np.zeros((1, 4)))
    assert sf.diff(values, 0).tolist() == values.tolist()
    with pytest.raises(ValueError, match="got -1"):
        sf.diff(values, -1)
    with pytest.raises(ValueError, match="at least one dimension"):
        sf.diff(3)
    with pytest.raises(ValueError, match="axis 2"):
        sf.diff(values, axis=2)
    with pytest.raises(TypeError, match="n must be an integer"):
        sf.diff(values, 1.5)


# Blocks.


@pytest.mark.parametrize("how", ["mean", "sum", "min", "max"])
@pytest.mark.parametrize("dtype", ["bool", "uint8", "int32", "float32", "float64"])
def test_blocks(dtype, how):
    for shape, factors in [((12,), 3), ((8, 12), (2, 4)), ((8, 12), (1, 6)), ((4, 6, 10), (2, 3, 5)),
                           ((4, 6, 10), 2), ((4, 6), 1), ((0, 6), 3), ((5,), 5)]:  # fmt: skip
        each = factors if isinstance(factors, tuple) else (factors,) * len(shape)
        split = [
            n for extent, size in zip(shape, each, strict=True) for n in (extent // size, size)
        ]
        inner = tuple(range(1, 2 * len(shape), 2))
        for values in layouts(sample(dtype, shape)):
            if 0 in shape and values.shape != shape:
                continue
            expected = getattr(native(values).reshape(split), how)(axis=inner)
            same(sf.downsample(values, factors, how), expected, TOLERANCE.get(dtype, 1e-12))


def test_blocks_that_do_not_divide():
    values = sample("float64", (7, 11))
    expected = values[:6, :8].reshape(3, 2, 2, 4).mean((1, 3))
    same(sf.downsample(values, (2, 4), boundary="trim"), expected, 1e-12)
    out = np.empty((3, 2), "f8")
    assert sf.downsample(values, (2, 4), "max", boundary="trim", out=out) is out
    same(out, values[:6, :8].reshape(3, 2, 2, 4).max((1, 3)))
    with pytest.raises(ValueError, match=r"blocks of \(2, 4\) do not divide the shape \(7, 11\)"):
        sf.downsample(values, (2, 4))
    with pytest.raises(
        ValueError, match="how must be one of 'mean', 'sum', 'min', 'max', got 'std'"
    ):
        sf.downsample(values, 1, "std")
    with pytest.raises(ValueError, match="boundary must be 'exact' or 'trim'"):
        sf.downsample(values, 1, boundary="pad")
    for factors in (0, (2,), (2, -1), (1, 1, 1)):
        with pytest.raises(ValueError, match="one for each of 2 axes"):
            sf.downsample(values, factors)
    with pytest.raises(TypeError, match="a factor must be an integer"):
        sf.downsample(values, 1.5)


# Elements that move.


@pytest.mark.parametrize("dtype", ["uint8", "float32", "complex128", "S3", "i4,f8"])
def test_flips_and_rolls(dtype):
    values = np.arange(120).astype("i4" if dtype == "i4,f8" else dtype).reshape(4, 5, 6)
    if dtype == "i4,f8":
        records = np.zeros(values.shape, dtype)
        records["f0"], records["f1"] = values, values
        values = records
    for array in (values, values.T, values[::-1, ::2]):
        for axis in (None, 0, -1, (0, 2), (1,), ()):
            found = sf.flip(array, axis)
            assert found.tolist() == np.flip(array, axis).tolist()
        for shift, axis in [(3, None), (-1, 0), (2, 1), (100, 2), ((1, -2), (0, 1)), (1, (0, 2)),
                            ((1, 2), 0), (0, 1), ((1, 2), None), ((3, 1, 1), (0, 0, 2))]:  # fmt: skip
            found = sf.roll(array, shift, axis)
            assert found.tolist() == np.roll(array, shift, axis).tolist()


def test_flips_are_views_and_rolls_are_not():
    a = sf.arange(6).reshape(2, 3)
    sf.flip(a)[0, 0] = 9
    assert a[1, 2] == 9
    sf.roll(a, 1)[0, 0] = 7
    assert a.tolist() == [[0, 1, 2], [3, 4, 9]]
    assert sf.roll(sf.zeros((0, 3)), 2, 0).shape == (0, 3)
    assert sf.flip(sf.asarray(3.0)) == 3 and sf.roll(sf.asarray(3.0), 1).tolist() == 3
    with pytest.raises(ValueError, match="repeated axis"):
        sf.flip(a, (0, -2))
    with pytest.raises(ValueError, match="axis 2 is out of bounds"):
        sf.roll(a, 1, 2)
    with pytest.raises(ValueError, match="2 shifts do not go with 3 axes"):
        sf.roll(a, (1, 2), (0, 1, 1))
    with pytest.raises(TypeError, match="shift must be an integer"):
        sf.roll(a, 1.5)


def test_windows_that_no_memory_holds():
    """A broadcast array may be longer than any memory; its scratch must not wrap around."""
    for power in (45, 58, 59, 60, 61, 62):
        endless = np.broadcast_to(np.ones(1, "u1"), (2**power,))
        with pytest.raises(MemoryError):
            sf.moving_sum(endless, 2**power - 5)
    with pytest.raises(ValueError, match="does not fit"):
        sf.moving_sum(np.ones(3), 2**70)


def test_no_difference_at_all():
    assert sf.diff(np.array([1, 2, 4], "u1"), n=0, prepend=[5]).tolist() == [1, 2, 4]


def test_blocks_of_an_array_of_every_axis():
    a = sf.ones((1,) * 64, "f4")
    assert sf.downsample(a, 1).shape == a.shape
    assert sf.downsample(a, 1, "sum").dtype == sf.float32
