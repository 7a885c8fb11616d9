"""astype, byteswap, affine and the rules of casts against NumPy."""

import itertools
import math

import pytest

import spanflow as sf

np = pytest.importorskip("numpy")
from tests.bindings.samples import NUMERIC, quiet  # noqa: E402, F401

INTEGERS = [name for name in NUMERIC if "int" in name]
RULES = ["no", "equiv", "safe", "same_kind", "unsafe"]
POINTS = np.dtype([("x", "i4"), ("y", "f4")])
OTHER_RECORDS = [
    np.dtype([("x", ">i4"), ("y", "f4")]),
    np.dtype([("x", "i8"), ("y", "f2")]),
    np.dtype([("y", "f4"), ("x", "i4")]),
    np.dtype({"names": ["x", "y"], "formats": ["i4", "f4"], "offsets": [0, 8]}),
]


def sample(dtype, count=600, seed=0):
    """Values of all sizes, limits of integers and their neighbours among them."""
    rng = np.random.default_rng(seed)
    dtype = np.dtype(dtype)
    if dtype.kind == "b":
        return rng.random(count) < 0.5
    if dtype.kind in "iu":
        return np.frombuffer(rng.bytes(count * dtype.itemsize), dtype).copy()
    values = rng.standard_normal(count) * 2.0 ** rng.integers(-4, 70, count)
    limits = [np.iinfo(name) for name in INTEGERS]
    edges = [float(edge) for limit in limits for edge in (limit.min, limit.max)]
    edges += [edge + step for edge in edges for step in (-1, -0.5, 0.5, 1)]
    special = [0.0, -0.0, -0.5, -0.99, math.nan, math.inf, -math.inf, *edges]
    values[: len(special)] = special
    if dtype.kind == "c":
        return (values + 1j * values[::-1]).astype(dtype)
    return values.astype(dtype)


def layouts(values):
    yield values
    yield values[::-1]
    yield np.repeat(values, 2)[::2]
    yield values.astype(values.dtype.newbyteorder())
    yield values[: values.size // 6 * 6].reshape(2, -1, 3)
    yield np.asfortranarray(values[: values.size // 4 * 4].reshape(4, -1))
    yield np.broadcast_to(values[5:6], (3, 5))
    yield values[:1]
    yield values[:0]


def same(ours, theirs):
    assert ours.dtype == theirs.dtype and ours.shape == theirs.shape
    np.testing.assert_array_equal(np.asarray(ours), theirs)


# What casts to what.


@pytest.mark.parametrize("rule", RULES)
def test_rules_of_numbers(rule):
    codes = [np.dtype(name).newbyteorder(order) for name in NUMERIC for order in "<>"]
    for source, target in itertools.product(codes, codes):
        allowed = np.can_cast(source, target, rule)
        assert sf.can_cast(source, target, rule) == allowed, (source, target)
        if source.itemsize > 1:
            array = sf.zeros(3, source)
            if allowed:
                assert array.astype(target, casting=rule).dtype == target
            else:
                with pytest.raises(TypeError, match=f"under the rule '{rule}'"):
                    array.astype(target, casting=rule)


def test_rules_of_bytes_and_records():
    for source, target, rule in itertools.product(("S3", "S5"), ("S3", "S5"), RULES):
        assert sf.can_cast(source, target, rule) == np.can_cast(source, target, rule)
    for target, rule in itertools.product([POINTS, *OTHER_RECORDS], RULES):
        assert sf.can_cast(POINTS, target, rule) == np.can_cast(POINTS, target, rule), target
    for source, target in [("S3", "i4"), ("f4", "S3"), (POINTS, "f4"), (POINTS, [("z", "i4")])]:
        assert not sf.can_cast(source, target, "unsafe")


def test_arrays_say_what_they_cast_to():
    assert sf.can_cast(np.zeros(3, "i2"), "f4")
    assert not sf.can_cast(sf.zeros(3, "i4"), "f4")
    assert sf.can_cast("bfloat16", "f4") and not sf.can_cast("f4", "bfloat16")
    with pytest.raises(TypeError, match="not the Python number 3"):
        sf.can_cast(3, "i4")
    with pytest.raises(ValueError, match=r"casting must be one of 'no', .* got 'maybe'"):
        sf.can_cast("i4", "i8", "maybe")
    with pytest.raises(ValueError, match="casting must be one of"):
        sf.zeros(2).astype("f4", casting=3)


def test_promotion():
    for a, b in itertools.product(NUMERIC, NUMERIC):
        common = np.promote_types(a, b)
        assert sf.promote_types(a, b) == common, (a, b)
        assert sf.promote_types(np.dtype(a).newbyteorder(), b) == common
        assert sf.result_type(np.zeros(2, a), b) == common
    assert sf.promote_types("S3", "S7") == np.dtype("S7")
    assert sf.promote_types(POINTS, POINTS) == POINTS
    with pytest.raises(TypeError, match="no dtype holds both"):
        sf.promote_types("S3", "i4")
    with pytest.raises(TypeError, match="no dtype holds both"):
        sf.result_type("S3", 1.5)


def test_result_types_of_numbers():
    for operands in [(3,), (2.5,), (1j,), (True,), (3, 2.5), (True, 3)]:
        assert sf.result_type(*operands) == np.result_type(*operands)
        for dtype in NUMERIC:
            assert sf.result_type(*operands, dtype) == np.result_type(*operands, np.dtype(dtype))
    assert sf.result_type(np.float32(1), "i2", sf.zeros(2, "u1")) == np.dtype("f4")
    assert sf.result_type(np.float32, int) == np.result_type(np.float32, int)
    with pytest.raises(TypeError, match="at least one"):
        sf.result_type()
    with pytest.raises(TypeError):
        sf.result_type(object())


# astype.


@pytest.mark.parametrize("source", NUMERIC)
@pytest.mark.parametrize("target", NUMERIC)
def test_saturating_casts(source, target):
    for values in layouts(sample(source)):
        native = values.astype(values.dtype.newbyteorder("="))
        real = native.real if native.dtype.kind == "c" and np.dtype(target).kind in "iu" else native
        if np.dtype(target).kind not in "iu":
            expected = native.astype(target)
        else:
            limits = np.iinfo(target)
            numbers = [0 if x != x else x for x in real.ravel().tolist()]
            cut = [int(min(max(x, limits.min), limits.max)) for x in numbers]
            expected = np.array(cut, target).reshape(real.shape)
        same(sf.astype(values, target, saturate=True), expected)
        same(sf.asarray(values).astype(np.dtype(target).newbyteorder(), saturate=True),
             expected.astype(np.dtype(target).newbyteorder()))  # fmt: skip


def test_saturation_of_long_arrays_and_records():
    values = np.random.default_rng(1).standard_normal(300_001).astype("f4") * 200
    same(sf.astype(values, "u1", saturate=True), np.clip(values, 0, 255).astype("u1"))
    brain = sf.asarray([1e30, -3.7, math.nan]).astype("bfloat16")
    assert brain.astype("i4", saturate=True).tolist() == [2**31 - 1, -3, 0]
    records = np.array([(300, 1e9), (-5, math.nan)], POINTS)
    found = sf.astype(records, [("x", "u1"), ("y", "i2")], saturate=True)
    assert found.tolist() == [(255, 32767), (0, 0)]


def test_copies_of_the_same_dtype():
    a = sf.arange(6)
    assert a.astype("i8", copy=False) is a
    assert a.astype("i8", copy=False, saturate=True, casting="no") is a
    b = a.astype("i8")
    b[0] = 9
    assert a[0] == 0
    assert sf.astype(sf.ones((3, 4)).T, "f4").strides == (4, 16)
    with pytest.raises(TypeError, match="numbers convert to numbers"):
        a.astype("S3", casting="unsafe")
    with pytest.raises(TypeError, match="cannot cast from float64 to int32 under the rule 'same_k"):
        sf.astype([1.5], "i4", casting="same_kind")
    with pytest.raises(TypeError, match="'same_kind' allows it"):
        sf.astype([1.5], "f4", casting="safe")
    a.close()
    with pytest.raises(ValueError, match="closed"):
        a.astype("f4")


# byteswap.


@pytest.mark.parametrize("dtype", [*NUMERIC, ">i4", ">c16", "S5", POINTS, OTHER_RECORDS[0]])
def test_byteswap(dtype):
    raw = np.random.default_rng(2).bytes(60 * np.dtype(dtype).itemsize)
    values = np.frombuffer(raw, dtype)
    if np.dtype(dtype).kind == "b":
        values = np.frombuffer(bytes(byte & 1 for byte in raw), dtype)
    for array in (values, values[::-1], values[::3], values.reshape(5, 12).T):
        found = sf.asarray(array).byteswap()
        assert found.dtype == array.dtype and found.shape == array.shape
        assert found.tobytes() == array.byteswap().tobytes()
    own = sf.array(values)
    assert own[::2].byteswap(inplace=True).tobytes() == values[::2].byteswap().tobytes()
    assert own[1::2].tobytes() == values[1::2].tobytes()


def test_byteswap_in_place():
    a = sf.array([1, 256, 65536], "i4")
    assert a.byteswap(True) is a
    assert a.tolist() == [1 << 24, 1 << 16, 1 << 8]
    with pytest.raises(ValueError, match="read-only"):
        sf.asarray(b"12").byteswap(inplace=True)


# affine.


@pytest.mark.parametrize("source", [name for name in NUMERIC if "complex" not in name])
def test_affine_is_what_three_steps_give(source):
    values = sample(source)
    if np.dtype(source).kind in "iu":
        values = values >> (values.dtype.itemsize * 8 - 8)
    for array in layouts(values):
        native = array.astype(array.dtype.newbyteorder("="))
        for target in ("f4", "f8"):
            scale, offset = np.dtype(target).type(1 / 255), np.dtype(target).type(-0.4)
            expected = native.astype(target) * scale + offset
            same(sf.affine(array, 1 / 255, -0.4, target), expected)
        expected = native.astype("f4") * np.float32(0.3) + np.float32(2)
        same(sf.affine(array, 0.3, 2, "f2"), expected.astype("f2"))
    assert sf.affine([1, 2]).tolist() == [1, 2] and sf.affine(np.uint8(3), 2) == 6


def test_affine_out():
    pixels = np.random.default_rng(3).integers(0, 256, (300, 400, 3), "u1")
    expected = pixels.astype("f4") * np.float32(1 / 255) + np.float32(0.5)
    out = np.empty((3, 300, 400), "f4")
    assert sf.affine(pixels.transpose(2, 0, 1), 1 / 255, 0.5, out=out) is out
    np.testing.assert_array_equal(out, expected.transpose(2, 0, 1))
    swapped = sf.empty(pixels.shape, ">f8")
    same(sf.affine(pixels, 2, out=swapped), (pixels * 2.0).astype(">f8"))
    floats = sf.array(expected)
    sf.affine(floats, 2, 1, out=floats)
    same(floats, expected * np.float32(2) + np.float32(1))
    row = sf.array(np.arange(5000, dtype="f4"))
    sf.affine(row[:-1], 2, 1, out=row[1:])
    assert row.tolist() == [0, *(2.0 * i + 1 for i in range(4999))]
    large = np.arange(20_000_000, dtype="u4").astype("u1")
    assert sf.affine(large, 2, 1)[-5:].tolist() == (large[-5:] * 2.0 + 1).tolist()


def test_bad_affine():
    with pytest.raises(TypeError, match="complex64, it takes bool, integers, floats"):
        sf.affine(sf.zeros(2, "c8"))
    with pytest.raises(TypeError, match="computes in floats: its result is .*, not int32"):
        sf.affine([1, 2], dtype="i4")
    with pytest.raises(TypeError, match="out holds float64, but dtype is float32"):
        sf.affine([1, 2], dtype="f4", out=sf.empty(2, "f8"))
    with pytest.raises(ValueError, match=r"out has shape \(3,\), but the result has shape \(2,\)"):
        sf.affine([1, 2], out=sf.empty(3, "f4"))
    with pytest.raises(TypeError):
        sf.affine([1, 2], "2")
    with pytest.raises(TypeError):
        sf.affine([1, 2], 1, 0, "f4", sf.empty(2, "f4"))
    with pytest.raises(ValueError, match="read-only"):
        sf.affine([1.0], out=sf.asarray(bytes(4)).view("f4"))


@pytest.mark.parametrize("kinds", ["?", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8"])
def test_three_dtypes_in_any_order(kinds):
    """Promotion pair by pair depends on the order; that of all together must not."""
    names = ["?", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8", "c8", "c16"]
    for second, third in itertools.product(names, repeat=2):
        for order in itertools.permutations((kinds, second, third)):
            assert sf.result_type(*order) == np.result_type(*order), order


def test_three_operands_promote_together():
    x, low, high = np.ones(3, "i1"), np.zeros(3, "u1"), np.full(3, 2, "f2")
    assert sf.clip(x, low, high).dtype == np.clip(x, low, high).dtype
