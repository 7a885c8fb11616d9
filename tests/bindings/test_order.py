"""Sorting, searching, counting and selection against NumPy."""

import itertools
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import spanflow as sf

np = pytest.importorskip("numpy")

REAL = [
    "bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64",
    "float16", "float32", "float64",
]  # fmt: skip
SHAPES = [(0,), (1,), (2,), (20,), (300,), (5000,), (3, 5), (4, 3, 7), (40, 20), (0, 3), (3, 0)]
LONG = 1 << 18  # split over the threads


def sample(dtype, shape, seed=0):
    """Numbers of which some are equal; floats with both zeros, infinities and NaN."""
    rng = np.random.default_rng(seed)
    kind = np.dtype(dtype).kind
    if kind == "b":
        return rng.random(shape) < 0.5
    if kind in "iu":
        info = np.iinfo(dtype)
        wide = rng.integers(info.min, info.max, shape, dtype=dtype, endpoint=True)
        return np.where(rng.random(shape) < 0.3, wide % 7, wide).astype(dtype)
    values = rng.standard_normal(shape) * 10.0 ** rng.integers(-3, 4, shape)
    few = np.array([0.0, -0.0, 1.5, np.inf, -np.inf, np.nan])
    return np.where(rng.random(shape) < 0.3, rng.choice(few, shape), values).astype(dtype)


def layouts(values):
    yield values
    yield np.asfortranarray(values)
    yield values[::-1]
    yield np.repeat(values, 2, -1)[..., ::2]
    yield values.astype(values.dtype.newbyteorder())
    yield np.broadcast_to(values, (2, *values.shape))
    odd = np.zeros(values.nbytes + 1, "u1")[1:].view(values.dtype).reshape(values.shape)
    odd[...] = values
    yield odd


def native(values):
    return values.astype(values.dtype.newbyteorder("="))


def numpy_sort(values, axis=-1):
    """np.sort; of halves as float32, as its AVX-512 code leaves some of them out of order."""
    wide = values.astype("float32") if values.dtype == np.float16 else values
    return np.sort(wide, axis).astype(values.dtype)


def falling(values, axis):
    """NumPy's stable argsort in falling order, NaN last."""
    ranks = np.unique(np.where(values == 0, 0, values), return_inverse=True)[1]
    ranks = -ranks.reshape(values.shape)
    if values.dtype.kind == "f":
        ranks[np.isnan(values)] = 1
    return np.argsort(ranks, axis, kind="stable")


def same(ours, theirs):
    theirs = np.asarray(theirs)
    mine = np.asarray(ours)
    assert mine.dtype == theirs.dtype and mine.shape == theirs.shape
    np.testing.assert_array_equal(mine, theirs)


def same_bits(ours, theirs):
    assert np.asarray(ours).tobytes() == np.asarray(theirs).tobytes()


# Sorting.


@pytest.mark.parametrize("dtype", REAL)
def test_sort_and_argsort(dtype):
    for shape in SHAPES:
        for values in layouts(sample(dtype, shape)):
            plain = native(values)
            for axis in (None, *range(-1, values.ndim)):
                same(sf.sort(values, axis), numpy_sort(values, axis))
                same(sf.argsort(values, axis), np.argsort(plain, axis, kind="stable"))
                flat, along = (plain.ravel(), 0) if axis is None else (plain, axis)
                order = falling(flat, along)
                same(sf.argsort(values, axis, descending=True), order)
                expected = np.take_along_axis(flat, order, along).astype(values.dtype)
                same(sf.sort(values, axis, descending=True), expected)


@pytest.mark.parametrize("dtype", REAL)
def test_long_sorts_do_not_depend_on_the_threads(dtype):
    for seed, shape in enumerate([(LONG + 12_345,), (LONG, 2), (30_000, 12)]):
        values = sample(dtype, shape, seed)
        axis = seed % len(shape)
        sorted_, order = numpy_sort(values, axis), np.argsort(values, axis, kind="stable")
        for threads in (1, 3):
            sf.set_num_threads(threads)
            same(sf.sort(values, axis), sorted_)
            same(sf.argsort(values, axis), order)
        assert np.array_equal(np.asarray(sf.argsort(values, axis, descending=True)),
                              falling(values, axis))  # fmt: skip


@pytest.fixture(autouse=True)
def threads():
    before = sf.get_num_threads()
    yield
    sf.set_num_threads(before)


@pytest.mark.parametrize("target", sf.simd.targets())
def test_every_simd_target_sorts(target):
    with sf.simd.use(target):
        for dtype in REAL:
            for count in (1, 5, 33, 100, 1000, 20_000):
                values = sample(dtype, count, count)
                same(sf.sort(values), numpy_sort(values))
                same(sf.argsort(values), np.argsort(values, kind="stable"))
                same(sf.unique(values), np.unique(values))


def test_stable_sorts_keep_bits():
    nans = np.array([0x7FC00001, 0xFFC00002, 0x7FC00000], "u4").view("f4")
    values = np.concatenate([nans, np.array([0.0, -0.0, 0.0, 1, -0.0], "f4")])
    for descending in (False, True):
        order = falling(values, 0) if descending else np.argsort(values, kind="stable")
        for how in ({"stable": True}, {"kind": "stable"}, {"kind": "mergesort"}):
            same_bits(sf.sort(values, descending=descending, **how), values[order])
            ours = sf.array(values)
            assert ours.sort(descending=descending, **how) is None
            same_bits(ours, values[order])
    assert np.signbit(np.asarray(sf.sort(values))[:4]).tolist() == [True, True, False, False]


def test_keys_too_wide_to_pack_with_their_places():
    """Ties of what does not fit: one far away, and all others close together."""
    rng = np.random.default_rng(4)
    for count in (50, 3000, LONG):
        near = 1 + rng.integers(0, 1 << 12, count) * np.finfo("f8").eps
        near[count // 2] = -np.inf
        near[7] = 1e300
        same(sf.argsort(near), np.argsort(near, kind="stable"))
        integers = rng.integers(0, 40, count) + (1 << 40) * rng.integers(0, 3, count)
        integers[[3, 5]] = np.iinfo("i8").min, np.iinfo("i8").max
        same(sf.argsort(integers), np.argsort(integers, kind="stable"))
        found = sf.unique(integers, return_index=True, return_inverse=True, return_counts=True)
        for ours, theirs in zip(found, np.unique(integers, True, True, True), strict=True):
            same(ours, theirs)


def test_sort_in_place():
    for dtype in ("int16", "float64"):
        for axis in (0, 1, -1):
            base = sample(dtype, (60, 70))
            for view in (lambda x: x, lambda x: x[::2, ::-1], lambda x: x.T):
                ours, theirs = base.copy(), base.copy()
                assert sf.asarray(view(ours)).sort(axis) is None
                view(theirs).sort(axis)
                same(ours, theirs)
    swapped = np.arange(10, 0, -1).astype(">i4")
    sf.asarray(swapped).sort()
    assert swapped.tolist() == list(range(1, 11))


def test_sorts_in_place_while_another_thread_writes():
    """What comes out is not defined then, but nothing outside is touched."""
    everything = np.random.default_rng(3).integers(0, 99, 200_002).astype("i4")
    everything[[0, -1]] = 12345
    inside, stop = everything[1:-1], threading.Event()

    def write():
        while not stop.is_set():
            inside[::7] = 5
            inside[::5] = 77

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(20):
            sf.asarray(inside).sort()
    finally:
        stop.set()
        writer.join()
    assert everything[0] == everything[-1] == 12345
    assert inside.min() >= 0 and inside.max() < 99


def test_bfloat16_sorts_as_its_floats():
    values = sample("float32", 500).astype("f4")
    ours = sf.array(values).astype("bfloat16")
    wide = np.asarray(ours.astype("f4"))
    same(sf.sort(ours).astype("f4"), np.sort(wide))
    same(sf.argsort(ours), np.argsort(wide, kind="stable"))
    same(sf.unique(ours).astype("f4"), np.unique(wide))


@given(st.lists(st.floats(width=32), max_size=200), st.booleans())
@settings(max_examples=100, deadline=None)
def test_any_floats(numbers, descending):
    values = np.array(numbers, "f4")
    order = falling(values, 0) if descending else np.argsort(values, kind="stable")
    same(sf.argsort(values, descending=descending), order)
    same_bits(sf.sort(values, descending=descending, stable=True), values[order])


@pytest.mark.parametrize("dtype", REAL)
def test_partition(dtype):
    values = sample(dtype, (6, 50))
    for array, axis in ((values, -1), (values.T, 0), (values, None)):
        sorted_ = numpy_sort(array, axis)
        along = 0 if axis is None else axis
        for kth in (0, 7, -1, [3, -4]):
            found = np.asarray(sf.partition(array, kth, axis))
            taken = np.take_along_axis(
                array.ravel() if axis is None else array,
                np.asarray(sf.argpartition(array, kth, axis)), along)  # fmt: skip
            for result in (found, taken):
                same(numpy_sort(result, along), sorted_)
                for place in np.atleast_1d(kth):
                    same(np.take(result, place, along), np.take(sorted_, place, along))
                    place = place % result.shape[along]
                    low, _, high = np.split(result, [place, place + 1], along)
                    same(numpy_sort(low, along), np.split(sorted_, [place], along)[0])
                    same(numpy_sort(high, along), np.split(sorted_, [place + 1], along)[1])


@pytest.mark.parametrize("dtype", REAL)
def test_partition_of_long_lines(dtype):
    rng = np.random.default_rng(6)
    for values in (
        sample(dtype, (2, 100_000)),
        numpy_sort(sample(dtype, (1, 50_000))),
        rng.integers(0, 2, (1, 70_000)).astype(dtype),
        np.zeros((1, 40_000), dtype),
    ):
        length = values.shape[1]
        for kth in (0, 5, length // 3, length - 1, [1, length // 2, -1]):
            found = np.asarray(sf.partition(values, kth))
            expected = numpy_sort(values)
            same(numpy_sort(found), expected)
            for place in np.atleast_1d(kth):
                place = place % length
                same(found[:, place], expected[:, place])
                same(numpy_sort(found[:, :place]), expected[:, :place])


def test_kinds_of_kth():
    values = np.arange(9.0)[::-1]
    for kth in (
        3,
        [3],
        (3, 5),
        np.int8(3),
        np.array([3, -1]),
        sf.array([3]),
        sf.array(3),
        range(9),
    ):
        found = np.asarray(sf.partition(values, kth))
        for place in np.atleast_1d(kth):
            assert found[place] == place % 9
    for kth, error in (
        ([1.5], TypeError),
        (1.5, TypeError),
        (9, ValueError),
        ([0, -10], ValueError),
    ):
        with pytest.raises(error):
            sf.partition(values, kth)


@pytest.mark.parametrize("dtype", REAL)
def test_topk(dtype):
    for shape in [(1,), (20,), (3, 5), (4, 3, 7), (40, 20), (9000,)]:
        for values in layouts(sample(dtype, shape)):
            plain = native(values)
            for axis, largest in itertools.product(range(-1, values.ndim), (True, False)):
                order = falling(plain, axis) if largest else np.argsort(plain, axis, kind="stable")
                for k in {0, 1, 3, plain.shape[axis]}:
                    if k > plain.shape[axis]:
                        continue
                    places = np.take(order, range(k), axis)
                    found, indices = sf.topk(values, k, axis, largest=largest)
                    same(indices, places)
                    same(found, np.take_along_axis(values, places, axis))


def test_topk_of_long_lines():
    values = sample("float32", (2, 3 * LONG))
    for array, axis in ((values, 1), (values.T, 0)):
        order = np.take(falling(array, axis), range(50), axis)
        for threads in (1, 2, 4):
            sf.set_num_threads(threads)
            same(sf.topk(array, 50, axis)[1], order)
            same(sf.topk(array, 50, axis)[0], np.take_along_axis(array, order, axis))


def test_bad_order():
    for function in (sf.sort, sf.argsort, sf.unique, lambda a: sf.topk(a, 1)):
        with pytest.raises(TypeError, match="complex64"):
            function(sf.zeros(3, "c8"))
        with pytest.raises(TypeError, match="S3"):
            function(sf.zeros(3, "S3"))
    with pytest.raises((ValueError, IndexError), match="axis 1"):
        sf.sort([1, 2], 1)
    with pytest.raises((ValueError, IndexError), match="axis"):
        sf.sort(3)
    with pytest.raises(ValueError, match="bogosort"):
        sf.sort([1], kind="bogosort")
    with pytest.raises(ValueError, match="not both"):
        sf.argsort([1], kind="stable", stable=True)
    for k in (-1, 4):
        with pytest.raises(ValueError, match=f"k is {k}.* 3 elements"):
            sf.topk([1, 2, 3], k)
    with pytest.raises(ValueError, match="kth is 3"):
        sf.partition([1, 2, 3], 3)
    frozen = np.arange(3)
    frozen.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        sf.asarray(frozen).sort()
    with pytest.raises(TypeError, match="axis"):
        sf.array([2, 1]).sort(None)
    closed = sf.array([2, 1])
    closed.close()
    with pytest.raises(ValueError, match="closed"):
        sf.sort(closed)


# Searching.


@pytest.mark.parametrize("dtype", REAL)
def test_searchsorted(dtype):
    for count in (0, 1, 2, 37, 1000):
        sorted_ = np.sort(sample(dtype, count))
        for shape in [(0,), (1,), (50,), (3, 400), ()]:
            wanted = sample(dtype, shape, seed=1)
            wanted = np.where(np.random.default_rng(2).random(shape) < 0.5, wanted,
                              np.resize(sorted_, shape) if count else wanted)  # fmt: skip
            for side in ("left", "right"):
                expected = np.searchsorted(sorted_, wanted, side)
                same(np.asarray(sf.searchsorted(sorted_, wanted, side)), expected)
                swapped = sorted_.astype(sorted_.dtype.newbyteorder())
                same(np.asarray(sf.searchsorted(swapped, wanted, side)), expected)
                strided = np.repeat(sorted_, 2)[::2]
                same(np.asarray(sf.searchsorted(strided, wanted, side)), expected)


def test_searchsorted_of_other_dtypes_and_orders():
    values = sample("float32", 500)
    order = np.argsort(values)
    wanted = sample("float64", 70, 1)
    same(sf.searchsorted(values, wanted, sorter=order),
         np.searchsorted(values, wanted, sorter=order))  # fmt: skip
    same(sf.searchsorted(np.arange(10), wanted), np.searchsorted(np.arange(10), wanted))
    assert sf.searchsorted([1, 3, 3, 5], 3) == 1 and sf.searchsorted([1, 3, 3, 5], 3, "right") == 3
    long = np.sort(sample("float32", 400_000))
    many = sample("float32", 200_000, 1)
    same(sf.searchsorted(long, many), np.searchsorted(long, many))
    with pytest.raises(ValueError, match="middle"):
        sf.searchsorted([1], 1, "middle")
    with pytest.raises(ValueError, match="one dimension"):
        sf.searchsorted(np.zeros((2, 2)), 1)
    with pytest.raises(ValueError, match="sorter"):
        sf.searchsorted([1, 2], 1, sorter=[0])
    with pytest.raises(IndexError, match="index 5"):
        sf.searchsorted([1, 2], 1, sorter=[0, 5])
    with pytest.raises(TypeError, match="complex128"):
        sf.searchsorted([1.0], 1j)


@pytest.mark.parametrize("dtype", REAL)
def test_unique(dtype):
    names = ("return_index", "return_inverse", "return_counts")
    for shape in [*SHAPES, (LONG + 5,)]:
        for values in layouts(sample(dtype, shape)):
            plain = native(values)
            same(sf.unique(values), np.unique(plain))
            if plain.size > LONG:
                continue
            for flags in itertools.product((False, True), repeat=3):
                how = dict(zip(names, flags, strict=True))
                expected = np.unique(plain, **how)
                found = sf.unique(values, **how)
                if not any(flags):
                    same(found, expected)
                    continue
                assert isinstance(found, tuple) and len(found) == len(expected)
                for ours, theirs in zip(found, expected, strict=True):
                    same(ours, theirs)


@pytest.mark.parametrize("dtype", REAL)
def test_isin(dtype):
    for values in layouts(sample(dtype, (40, 20))):
        for count in (0, 1, 3, 500):
            among = sample(dtype, count, seed=1)
            same(sf.isin(values, among), np.isin(native(values), among))
            same(sf.isin(values, among, invert=True), np.isin(native(values), among, invert=True))
    assert sf.isin(3, [1, 3]) is True
    same(sf.isin([1, 2, 3], [2.0, 7.5]), [False, True, False])
    many = sample("int32", 300_000)
    same(sf.isin(many, many[::3]), np.isin(many, many[::3]))


def test_digitize():
    for dtype in ("int32", "float32", "float64"):
        x = np.nan_to_num(sample(dtype, (30, 20)))
        bins = np.unique(np.nan_to_num(sample(dtype, 9, 1)))
        for edges, right in itertools.product((bins, bins[::-1], bins[:1]), (False, True)):
            same(sf.digitize(x, edges, right), np.digitize(x, edges, right))
    assert sf.digitize(2.5, [1, 2, 3]) == 2
    with pytest.raises(ValueError, match="ascend or descend"):
        sf.digitize([1], [1, 3, 2])
    with pytest.raises(ValueError, match="one dimension"):
        sf.digitize([1], [[1, 2]])


# Counting.


@pytest.mark.parametrize("dtype", [name for name in REAL if not name.startswith("float")])
def test_bincount(dtype):
    top = 2 if dtype == "bool" else 120
    for count in (0, 1, 7, 1000, 300_000):
        numbers = np.random.default_rng(count).integers(0, top, count).astype(dtype)
        plain = numbers.astype("i8")
        weights = sample("float64", count, 3)
        weights[~np.isfinite(weights)] = 1
        variants = layouts(numbers) if 0 < count < 5000 else [numbers]
        for values in itertools.islice(variants, 5):
            expected = native(values).astype("i8")
            same(sf.bincount(values), np.bincount(expected))
            same(sf.bincount(values, minlength=500), np.bincount(expected, minlength=500))
            found = np.asarray(sf.bincount(values, weights))
            same_bits(found, np.bincount(expected, weights))
        single = weights.astype("f4")
        same(sf.bincount(numbers, single), np.bincount(plain, single).astype("f8"))


def test_long_bincounts_do_not_depend_on_the_threads():
    rng = np.random.default_rng(5)
    for numbers in (
        rng.integers(0, 256, 10_000_000).astype("u1"),
        rng.integers(0, 50_000, 3_000_000),
        np.zeros(9_000_000, "u1"),
        rng.integers(0, 100, 3_000_000).astype("u2"),
    ):
        expected = np.bincount(numbers)
        for threads in (1, 2, 5):
            sf.set_num_threads(threads)
            same(sf.bincount(numbers), expected)


def test_few_numbers_and_many_bins():
    found = sf.bincount([5_000_000, 3, 5_000_000])
    assert found.size == 5_000_001 and (found[3], found[-1]) == (1, 2) and sf.sum(found) == 3
    counts, _ = sf.histogram([0.5, 2.5], 3_000_000, (0, 3))
    assert (counts[500_000], counts[2_500_000], sf.sum(counts)) == (1, 1, 2)


def test_bad_bincounts():
    for dtype in ("i1", "i4", "i8"):
        with pytest.raises(ValueError, match="negative"):
            sf.bincount(np.array([1, -1], dtype))
    with pytest.raises(TypeError, match="float64"):
        sf.bincount([1.0])
    with pytest.raises(ValueError, match=r"\(2, 2\)"):
        sf.bincount(np.zeros((2, 2), "i4"))
    with pytest.raises(ValueError, match=r"weights have shape \(3,\)"):
        sf.bincount([1, 2], [1, 2, 3])
    with pytest.raises(ValueError, match="minlength"):
        sf.bincount([1], minlength=-1)
    with pytest.raises(ValueError, match="too large"):
        sf.bincount(np.array([1 << 63], "u8"))
    with pytest.raises((MemoryError, ValueError)):
        sf.bincount([1 << 59])


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int32", "float16", "float32", "float64"])
def test_histogram_of_equal_bins(dtype):
    for seed, count in enumerate((1, 2, 50, 1000, 70_000)):
        values = sample(dtype, count, seed)
        if values.dtype.kind == "f":
            values = np.clip(np.nan_to_num(values), -100, 100).astype(dtype)
        theirs = values.astype("u1") if dtype == "bool" else values
        weights = np.random.default_rng(seed).random(count)
        for bins, limits in itertools.product((1, 3, 10, 256), (None, (0, 1), (-2.5, 7.1), (2, 2))):
            expected, edges = np.histogram(theirs, bins, limits)
            found, ours = sf.histogram(values, bins, limits)
            same(found, expected)
            if dtype != "bool":
                same(ours, edges)
            for w in (weights, weights.astype("f4")):
                found, _ = sf.histogram(values, bins, limits, weights=w)
                expected, _ = np.histogram(theirs, bins, limits, weights=w)
                assert found.dtype == expected.dtype
                np.testing.assert_allclose(np.asarray(found), expected, rtol=1e-4, atol=1e-6)


def test_values_on_edges_of_histograms():
    """Multiples of a tenth, which lie on edges, just below or just above."""
    for dtype in ("float32", "float64"):
        values = (np.arange(1001) / 1000).astype(dtype)
        near = np.concatenate([values, np.nextafter(values, 2), np.nextafter(values, -1)])
        near = near[(near >= 0) & (near <= 1)].astype(dtype)
        for bins in (7, 10, 100, 333, 1000):
            for limits in (None, (0, 1), (0.1, 0.7)):
                same(sf.histogram(near, bins, limits)[0], np.histogram(near, bins, limits)[0])


@pytest.mark.parametrize("dtype", ["uint8", "int32", "float32", "float64"])
def test_histogram_of_given_edges(dtype):
    values = sample(dtype, (50, 40))
    for edges in ([0, 1], [-5, 0, 0, 3, 100], np.linspace(-3, 3, 17), np.array([0, 2.5], "f4")):
        with np.errstate(invalid="ignore"):
            expected, theirs = np.histogram(values, edges)
        for array in layouts(values):
            times = array.size // values.size
            found, ours = sf.histogram(array, edges)
            same(found, expected * times)
            same(ours, theirs)
    weights = np.random.default_rng(0).integers(0, 9, values.shape)
    same(sf.histogram(values, [0, 1, 5], weights=weights)[0],
         np.histogram(values, [0, 1, 5], weights=weights)[0])  # fmt: skip


def test_histogram_density_and_edges_of_nothing():
    values = np.random.default_rng(1).random(1000)
    for bins in (10, [0, 0.1, 0.5, 1]):
        found = np.asarray(sf.histogram(values, bins, density=True)[0])
        np.testing.assert_allclose(found, np.histogram(values, bins, density=True)[0])
    for ours, theirs in zip(sf.histogram([]), np.histogram([]), strict=True):
        same(ours, theirs)
    long = np.random.default_rng(2).random(4_000_000, dtype="f4")
    for threads in (1, 3):
        sf.set_num_threads(threads)
        same(sf.histogram(long, 100)[0], np.histogram(long, 100)[0])


def test_bad_histograms():
    with pytest.raises(ValueError, match="positive"):
        sf.histogram([1], 0)
    with pytest.raises(ValueError, match="ascend"):
        sf.histogram([1], 3, (2, 1))
    with pytest.raises(ValueError, match="ascend"):
        sf.histogram([1], [1, 3, 2])
    with pytest.raises(ValueError, match="finite"):
        sf.histogram([1, np.nan])
    with pytest.raises(ValueError, match="4 bins of a finite width"):
        sf.histogram([1e308, -1e308, 0.0], 4)
    with pytest.raises(ValueError, match="10 bins of a finite width"):
        sf.histogram([1e20] * 3)
    with pytest.raises(TypeError, match="weights are numbers, not bool"):
        sf.histogram([1.0, 2.0], weights=[True, False])
    with pytest.raises(TypeError, match="auto"):
        sf.histogram([1], "auto")
    with pytest.raises(TypeError, match="complex"):
        sf.histogram(sf.zeros(3, "c8"), 3, (0, 1))
    with pytest.raises(ValueError, match="weights"):
        sf.histogram([1, 2], weights=[1])
    with pytest.raises(ValueError, match="weights"):
        sf.histogram([1, 2], [0, 5], weights=[1])


# Selection.


@pytest.mark.parametrize("dtype", [*REAL, "complex64"])
def test_nonzero(dtype):
    for shape in SHAPES:
        for values in layouts((np.random.default_rng(1).random(shape) < 0.4).astype(dtype)):
            for ours, theirs in zip(sf.nonzero(values), np.nonzero(values), strict=True):
                same(ours, theirs)
            same(sf.flatnonzero(values), np.flatnonzero(values))
            same(sf.argwhere(values), np.argwhere(values))
    same(sf.argwhere(3), np.argwhere(3))
    with pytest.raises(ValueError, match="dimension"):
        sf.nonzero(3)


@pytest.mark.parametrize("mode", ["raise", "wrap", "clip"])
def test_take(mode):
    reach = 3 if mode == "raise" else 20
    rng = np.random.default_rng(0)
    for shape in [(3,), (4, 5), (3, 4, 5)]:
        for values in layouts(sample("int32", shape)):
            for axis in (None, *range(-1, values.ndim)):
                low = 0 if mode != "raise" else -2
                for wanted in ((), (1,), (6,), (2, 3)):
                    length = values.size if axis is None else values.shape[axis]
                    indices = rng.integers(low, min(reach, length), wanted)
                    if mode != "raise":
                        indices = indices - 9
                    expected = np.take(native(values), indices, axis, mode=mode)
                    same(np.asarray(sf.take(values, indices, axis, mode=mode), "i4"), expected)
                    out = sf.empty(expected.shape, "i4")
                    assert sf.take(values, indices, axis, mode=mode, out=out) is out
                    same(out, expected)


def test_bools_are_the_places_0_and_1():
    mask = [True, False, True]
    same(sf.take([5, 6, 7], mask), np.take([5, 6, 7], mask))
    values = np.zeros(3, "i4")
    sf.put(values, mask, [1, 2, 3])
    assert values.tolist() == [2, 3, 0]
    with pytest.raises(IndexError, match="integers, not bool"):
        sf.take_along_axis([5, 6, 7], mask)
    with pytest.raises(IndexError, match="integers, not float64"):
        sf.take_along_axis([5, 6, 7], [1.0])


def test_any_dtype_is_selected():
    for values in (
        np.array([b"a", b"bc"]),
        np.zeros(2, [("x", "f4"), ("y", "i1")]),
        np.array([1j, 2]),
    ):
        for found in (sf.take(values, [1]), sf.compress([False, True], values),
                      sf.extract([False, True], values), sf.take_along_axis(values, [1])):  # fmt: skip
            assert np.asarray(found).tolist() == values[1:].tolist()
        sf.put(values, [0], values[1])
        assert values[0] == values[1]
    assert np.asarray(sf.argwhere([0j, 1j])).tolist() == [[1]]
    with pytest.raises(TypeError, match="S1"):
        sf.nonzero(np.array([b"a"]))


def test_bad_takes():
    with pytest.raises(IndexError, match="out of bounds"):
        sf.take([1, 2, 3], 3)
    with pytest.raises((IndexError, TypeError), match="integer"):
        sf.take([1, 2, 3], [1.0])
    with pytest.raises(TypeError, match="float64"):
        sf.take([1, 2, 3], [1.0], mode="clip")
    with pytest.raises(ValueError, match="sideways"):
        sf.take([1], 0, mode="sideways")
    with pytest.raises(ValueError, match=r"\(2,\)"):
        sf.take([1, 2], [0, 0, 1], out=sf.empty(2, "i8"))
    with pytest.raises(ValueError, match="axis 1"):
        sf.take([1, 2], 0, 1)
    with pytest.raises(IndexError):
        sf.take(sf.empty(0), [0], mode="wrap")


@pytest.mark.parametrize("mode", ["raise", "wrap", "clip"])
def test_put(mode):
    base = np.arange(24).reshape(4, 6)
    places = [0, 3, -1, 23, 3] if mode == "raise" else [0, 30, -31, 99, 3]
    for view in (lambda x: x, lambda x: x.T, lambda x: x[::2, ::-1]):
        for values in ([7], [1, 2], [1, 2, 3, 4, 5], 9, [1, 2, 3, 4, 5, 6, 7]):
            ours, theirs = base.copy(), base.copy()
            wanted = [place % 12 if mode == "raise" else place for place in places]
            np.put(view(theirs), wanted, values, mode)
            sf.put(view(ours), wanted, values, mode)
            same(ours, theirs)
    with pytest.raises(IndexError, match="24"):
        sf.put(base, [24], 1)
    with pytest.raises(TypeError, match="float64"):
        sf.put(base, [1.5], 1)
    same(base, np.arange(24).reshape(4, 6))
    one = np.array(5)
    sf.put(one, [0], 3)
    assert one == 3


def test_compress_and_extract():
    values = sample("int16", (4, 6))
    for array in layouts(values):
        plain = native(array)
        mask = plain > 0
        same(sf.extract(mask, array), np.extract(mask, array))
        for axis, condition in ((None, [0, 1, 1]), (-1, [1, 0, 1, 0, 0, 1]), (0, [False, True])):
            expected = np.compress(condition, array, axis)
            same(sf.compress(condition, array, axis), expected)
            out = sf.empty(expected.shape, "i2")
            assert sf.compress(condition, array, axis, out=out) is out
            same(out, native(expected))
    with pytest.raises(IndexError):
        sf.compress([1] * 9, values, 1)
    with pytest.raises(ValueError, match="one dimension"):
        sf.compress([[1]], values)


def test_take_along_axis():
    for shape in [(7,), (4, 6), (3, 4, 5)]:
        for values in layouts(sample("float32", shape)):
            for axis in range(-1, values.ndim):
                order = np.argsort(values, axis)
                same(sf.take_along_axis(values, sf.argsort(values, axis), axis),
                     np.take_along_axis(values, order, axis))  # fmt: skip
    values = sample("float32", (4, 6))
    few = np.array([[5, 0]])
    same(sf.take_along_axis(values, few, 1), np.take_along_axis(values, few, 1))
    same(
        sf.take_along_axis(values, [3, 8], None), np.take_along_axis(values, np.array([3, 8]), None)
    )
    with pytest.raises(IndexError, match="out of bounds"):
        sf.take_along_axis(values, [[6]], 1)
    with pytest.raises(ValueError, match="dimensions"):
        sf.take_along_axis(values, [1], 1)
