"""Pipeline.group_by: groups of all items, against those of the whole arrays."""

import numpy as np
import pytest

import spanflow as sf

RNG = np.random.default_rng(8)
N = 5000
V = RNG.normal(100, 3, N)
REDUCTIONS = ("sum", "prod", "min", "max", "mean", "var", "std")


def whole_and_stream(key, values, rows, **options):
    names = {name: (values, name) for name in REDUCTIONS}
    whole = sf.group_by(key).agg(names, n=sf.count)
    pipe = sf.Pipeline(sf.read({"k": key, "v": values}, rows=rows))
    names = {name: ("v", name) for name in REDUCTIONS}
    return whole, pipe.group_by("k", **options).agg(names, n=sf.count)


@pytest.mark.parametrize("kind", ["?", "i1", "u1", "i4", "i8", "u8", ">i2"])
@pytest.mark.parametrize("rows", [1, 64, 10_000])
def test_keys(kind, rows):
    n = 200 if rows == 1 else N
    key = RNG.integers(0, 2 if kind == "?" else 100, n).astype(kind)
    if kind in ("i1", "i4", "i8", ">i2"):
        key -= 50
    if kind == "i1":
        key[:2] = -128, 127
    if kind == "u8":
        key += np.uint64(2**64 - 200)
    if kind == "i8":
        key += np.int64(-(2**62))
    whole, found = whole_and_stream(key, V[:n] / 100, rows, threads=2)
    assert list(found) == ["key", *REDUCTIONS, "n"]
    assert np.array_equal(found["key"], whole["key"])
    assert found["key"].dtype == whole["key"].dtype
    assert np.array_equal(found["n"], whole["n"])
    for name in REDUCTIONS:
        np.testing.assert_allclose(found[name], whole[name], rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("kind", ["f4", "i4", "u1", "?"])
def test_values(kind):
    key = RNG.integers(0, 9, N)
    values = (V > 100) if kind == "?" else V.astype(kind)
    pipe = sf.Pipeline(sf.read((key, values), rows=100))
    ks, vs = sf.col("k"), sf.col("v")
    found = pipe.group_by(ks).agg(
        total=(vs, sf.sum), mean=(vs, sf.mean), any=(vs > 100, sf.any), all=(vs > 80, "all")
    )
    for k in range(9):
        mine = values[key == k]
        np.testing.assert_allclose(found["total"][k], mine.sum(dtype="f8"), rtol=1e-6)
        np.testing.assert_allclose(found["mean"][k], mine.mean(dtype="f8"), rtol=1e-6)
        assert found["any"][k] == (mine > 100).any()
        assert found["all"][k] == (mine > 80).all()


def test_many_items_and_threads():
    """More than what is merged at once; the same bits for any number of threads."""
    key = RNG.integers(0, 500, 100_000)
    values = RNG.random(100_000)
    results = [whole_and_stream(key, values, 500, threads=n) for n in (1, 2, 4)]
    for name in REDUCTIONS:
        np.testing.assert_allclose(results[0][1][name], results[0][0][name], rtol=1e-9)
        for _, found in results[1:]:
            assert np.array_equal(found[name], results[0][1][name])


def test_variances_far_from_zero():
    key = np.zeros(N, "i4")
    values = V + 1e9
    _, found = whole_and_stream(key, values, 10)
    np.testing.assert_allclose(found["std"], [values.std()], rtol=1e-6)
    pipe = sf.Pipeline(sf.read({"k": key, "v": values}, rows=10))
    np.testing.assert_allclose(
        pipe.group_by("k").agg(s=("v", "var"), ddof=1)["s"], [values.var(ddof=1)], rtol=1e-6
    )
    one = sf.Pipeline(sf.read({"k": key[:1], "v": values[:1]})).group_by("k")
    assert np.isnan(one.agg(s=("v", "var"), ddof=1)["s"][0])


def test_records_expressions_and_filters():
    table = np.zeros(N, [("hour", "i2"), ("delay", "f4")])
    table["hour"] = RNG.integers(0, 2400, N)
    table["delay"] = V
    table["delay"][::7] = np.nan
    pipe = sf.Pipeline(sf.read(table, rows=333)).filter(sf.isfinite(sf.col("delay")))
    found = pipe.group_by(sf.col("hour") // 100).agg(
        n=sf.count, m=("delay", sf.mean), late=(sf.maximum(sf.col("delay"), 100), sf.max)
    )
    known = table[np.isfinite(table["delay"])]
    assert np.array_equal(found["key"], np.unique(known["hour"] // 100))
    for i, hour in enumerate(found["key"]):
        mine = known["delay"][known["hour"] // 100 == hour]
        assert found["n"][i] == len(mine)
        np.testing.assert_allclose(found["m"][i], mine.mean(dtype="f8"), rtol=1e-6)
        assert found["late"][i] == max(mine.max(), 100)


def test_no_items():
    found = sf.Pipeline([]).group_by("k").agg(n=sf.count, m=("v", sf.mean))
    assert {name: len(array) for name, array in found.items()} == {"key": 0, "n": 0, "m": 0}
    empty = sf.Pipeline(sf.read({"k": np.zeros(0, "i4"), "v": np.zeros(0)})).group_by("k")
    assert len(empty.agg(m=("v", sf.mean))["m"]) == 0


def test_bad_input():
    pipe = sf.Pipeline(sf.read({"k": np.arange(9), "v": V[:9]}, rows=4))
    with pytest.raises(TypeError, match="name of a column or an expression of them, got 3"):
        pipe.group_by(3)
    groups = pipe.group_by("k")
    assert "group_by(k)" in repr(groups)
    for wanted, error, words in (
        ({"m": 3}, TypeError, "values, reduction"),
        ({"m": ("v", "argmin")}, TypeError, "groups have sum, prod"),
        ({"m": ("v", "nothing")}, TypeError, "needs a reduction"),
        ({"m": (V, sf.mean)}, TypeError, "name of a column"),
        ({"key": sf.count}, ValueError, "choose another"),
        ({"m": ("w", sf.mean)}, ValueError, "no column 'w'; the arrays are k, v"),
    ):
        with pytest.raises(error, match=words):
            groups.agg(wanted)
    with pytest.raises(TypeError, match="bool or integers, not float64"):
        pipe.group_by("v").agg(n=sf.count)
    with pytest.raises(ValueError, match="span"):
        sf.Pipeline(sf.read({"k": np.array([0, 10**6])}, rows=1)).group_by("k").agg(n=sf.count)
    with pytest.raises(ValueError, match="the values have shape"):
        sf.Pipeline(sf.read((np.arange(4), np.ones((4, 2))))).group_by(sf.col("a")).agg(
            n=(sf.col("b"), sf.sum)
        )
