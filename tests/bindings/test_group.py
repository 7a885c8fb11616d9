"""Group-by against NumPy doing one group after the other."""

import pytest

import spanflow as sf

np = pytest.importorskip("numpy")

REDUCTIONS = ("sum", "prod", "min", "max", "any", "all", "mean", "var", "std", "count_nonzero", "norm",
              "skew", "nansum", "nanmean", "nanmax")  # fmt: skip


def expected(key, values, reduction):
    """By our own reductions of each group, which other tests compare with NumPy's."""
    return [getattr(sf, reduction)(sf.array(values[key == k])) for k in np.unique(key)]


def check(key, values, reductions=REDUCTIONS, **options):
    found = sf.group_by(key).agg(
        {name: (values, getattr(sf, name)) for name in reductions}, n=sf.count, **options
    )
    keys, counts = np.unique(key, return_counts=True)
    assert found["key"].dtype == sf.dtype(key.dtype.newbyteorder("="))
    assert found["key"].tolist() == keys.tolist()
    assert found["n"].tolist() == counts.tolist()
    for name in reductions:
        want = np.array(expected(key, values, name))
        assert found[name].dtype == getattr(sf, name)(sf.array(values[:1]), keepdims=True).dtype
        got = np.asarray(found[name].astype("f8"))
        np.testing.assert_allclose(got, want.astype("f8"), rtol=1e-5, atol=1e-6, err_msg=name)


@pytest.mark.parametrize("dtype", ["?", "i1", "u1", "<i2", ">i4", "u4", "i8", ">u8"])
def test_keys(dtype):
    rng = np.random.default_rng(1)
    key = rng.integers(0, 2 if dtype == "?" else 9, 1000).astype(dtype)
    if key.dtype.kind == "i":
        key -= 4
    check(key, rng.random(1000))


@pytest.mark.parametrize("dtype", ["?", "i1", "u8", "f2", "f4", ">f4", "f8", ">i2"])
def test_values(dtype):
    rng = np.random.default_rng(2)
    values = (
        (rng.random(5000) * 3 - 1).astype(dtype)
        if dtype != "u8"
        else rng.integers(0, 9, 5000, "u8")
    )
    with np.errstate(all="ignore"):
        names = [n for n in REDUCTIONS if n != "prod"]
        check(rng.integers(0, 7, 5000), values, names)


def test_complex_values():
    rng = np.random.default_rng(3)
    values = rng.random(100) + 1j * rng.random(100)
    key = rng.integers(0, 3, 100)
    found = sf.group_by(key).agg(total=(values, sf.sum), m=(values, "mean"))
    np.testing.assert_allclose(found["total"], [values[key == k].sum() for k in range(3)])
    np.testing.assert_allclose(found["m"], [values[key == k].mean() for k in range(3)])


@pytest.mark.parametrize("groups", [1, 2, 300, 65536])
def test_many_grains_and_threads(groups):
    rng = np.random.default_rng(4)
    key = rng.integers(0, groups, 400_000)
    key[:2] = 0, groups - 1
    values = rng.random(400_000, dtype="f4")
    threads = sf.get_num_threads()
    found = []
    try:
        for count in (1, 2, 5):
            sf.set_num_threads(count)
            found.append(sf.group_by(key).agg(s=(values, sf.sum), m=(values, sf.max), n=sf.count))
    finally:
        sf.set_num_threads(threads)
    for name in found[0]:
        assert len({one[name].tobytes() for one in found}) == 1
    np.testing.assert_allclose(found[0]["s"], np.bincount(key, values)[found[0]["key"]], rtol=1e-6)
    assert found[0]["n"].tolist() == np.unique(key, return_counts=True)[1].tolist()


def test_layouts_and_shapes():
    rng = np.random.default_rng(5)
    key = rng.integers(0, 5, (40, 60))
    values = rng.random((40, 60))
    for k, v in [(key.T, values.T), (key[::-1, ::2], values[::-1, ::2]), (key[:, 3], values[:, 3])]:
        check(k, v, ("sum", "mean", "min"))
    check(np.broadcast_to(key[0], (40, 60)), values, ("sum",))


def test_expressions():
    rng = np.random.default_rng(6)
    a, b = rng.integers(0, 100, 3000), rng.random(3000)
    x = sf.lazy(b)
    found = sf.group_by(sf.lazy(a) % 7).agg(twice=(x * 2, sf.sum), m=(x, sf.mean), std=(b, "std"))
    key = a % 7
    np.testing.assert_allclose(found["twice"], np.bincount(key, b * 2))
    np.testing.assert_allclose(found["m"], np.bincount(key, b) / np.bincount(key))
    np.testing.assert_allclose(found["std"], [b[key == k].std() for k in range(7)])
    one = sf.group_by(a).agg(twice=(x * 2, sf.sum))  # a single expression
    np.testing.assert_allclose(one["twice"], np.bincount(a, b * 2))


def test_ddof():
    key, values = np.array([0, 0, 0, 4]), np.array([1.0, 2, 4, 9])
    found = sf.group_by(key).agg(v=(values, sf.var), ddof=1)
    assert found["v"].tolist()[0] == pytest.approx(np.var(values[:3], ddof=1))
    assert np.isnan(found["v"].tolist()[1])


def test_the_ends_of_integers():
    for key in (
        np.array([-128, 127, -128], "i1"),
        np.array([2**64 - 1, 2**64 - 3], "u8"),
        np.array([-(2**63), -(2**63) + 5], "i8"),
        np.array([2**63 - 1, 2**63], "u8"),
    ):
        found = sf.group_by(key).agg(n=sf.count)
        keys, counts = np.unique(key, return_counts=True)
        assert (found["key"].tolist(), found["n"].tolist()) == (keys.tolist(), counts.tolist())


def test_nothing():
    found = sf.group_by(sf.empty(0, "i2")).agg(n=sf.count, m=(sf.empty(0, "f4"), sf.min))
    assert [found[name].shape for name in ("key", "n", "m")] == [(0,)] * 3
    assert found["key"].dtype == sf.int16 and found["m"].dtype == sf.float32


@pytest.mark.parametrize(
    "key, wanted, error, words",
    [
        ([0.5], {"n": sf.count}, TypeError, "bool or integers, not float64"),
        ([1, 2], {"s": ([1.0], sf.sum)}, ValueError, r"shape \(1,\), the keys \(2,\)"),
        ([1, 70000], {"n": sf.count}, ValueError, "span 70,000 numbers, from 1 to 70000"),
        ([1], {"key": sf.count}, ValueError, "'key' is that of the keys"),
        ([1], {"s": sf.sum}, TypeError, r"must be \(values, reduction\)"),
        ([1, 2], {"s": np.array([1, 2])}, TypeError, r"must be \(values, reduction\)"),
        ([1], {"s": ([1], sf.add)}, TypeError, "needs a reduction"),
        ([1], {"s": ([1], "median")}, TypeError, "needs a reduction"),
        ([1], {"s": ([1], sf.argmin)}, TypeError, "argmin says a place"),
        ([1], {"s": ([1j], sf.min)}, TypeError, "min"),
        ([1], {"s": ("x", sf.sum)}, TypeError, "cannot make an array of str"),
    ],
)
def test_bad_input(key, wanted, error, words):
    with pytest.raises(error, match=words):
        sf.group_by(key).agg(wanted)


def test_a_key_that_changes_is_refused():
    """What lies outside of the range must not be written to."""
    with pytest.raises(ValueError, match="outside of the range"):
        sf._core._group_reduce(sf.array([3, 9]), 3, 2, [], 0)
    with pytest.raises(ValueError, match="outside of the range"):
        sf._core._group_reduce(sf.array([2, 3]), 3, 2, [(sf.array([1, 2]), [sf.sum])], 0)


def test_repr():
    assert repr(sf.group_by([1, 2])) == "group_by([1, 2])"
