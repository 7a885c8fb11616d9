"""Comparisons that need more than a kernel: Python ints of any size, bytes and records."""

import operator

import pytest

import spanflow as sf

np = pytest.importorskip("numpy")

# Python ints compare by value, however large.

EDGES = {
    "u8": [0, 1, 2**64 - 1],
    "i8": [-(2**63), 0, 2**63 - 1],
    "u1": [0, 255],
    "?": [False, True],
}
INTS = [0, 1, -1, 255, 256, 2**63, -(2**63), -(2**63) - 1, 2**64 - 1, 2**64, -(2**64), 10**400]


@pytest.mark.parametrize("dtype", EDGES)
@pytest.mark.parametrize(
    "value", INTS, ids=lambda value: f"{value:.1e}" if value < 2**99 else "big"
)
def test_comparisons_with_any_int(dtype, value):
    theirs = np.array(EDGES[dtype], dtype)
    ours = sf.asarray(theirs)
    for compare in (operator.lt, operator.le, operator.eq, operator.ne, operator.gt, operator.ge):
        wanted = [compare(int(x), value) for x in EDGES[dtype]]
        assert compare(ours, value).tolist() == wanted
        assert compare(value, ours).tolist() == [compare(value, int(x)) for x in EDGES[dtype]]


def test_comparisons_of_two_large_ints():
    assert sf.less(2**64, 2**65) is True and sf.less(2**65, 2**64) is False
    assert sf.equal(2**70, 2**70) is True and sf.equal(2**70, 2**70 + 1) is False
    assert sf.greater_equal(-(10**400), 10**400) is False


# Bytes and records have no arithmetic, but they are equal or not.


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (np.array([b"a", b"bc", b""]), np.array([b"a", b"bcd", b""])),
        (np.array([b"a", b"bc", b""]), b"a"),
        (np.array([[b"a"], [b"b"]]), np.array([b"a", b"b", b"c"])[::2]),
        (np.zeros((0, 2), "S3"), np.zeros((1, 2), "S1")),
        (np.array(b"abc"), b"abc"),
        (
            np.array([(1, [1, 2], b"x"), (2, [3, 4], b"y")], [("a", "i4"), ("b", ">f4", 2), ("c", "S1")]),
            np.array([(1, [1, 2], b"x"), (2, [3, 5], b"y")], [("a", ">i2"), ("b", "f8", 2), ("c", "S3")]),
        ),
    ],
    ids=["bytes", "scalar", "broadcast", "empty", "0-d", "records"],
)  # fmt: skip
def test_bytes_and_records_are_equal_or_not(left, right):
    ours = sf.asarray(left)
    other = sf.asarray(right) if isinstance(right, np.ndarray) else right
    wanted = (left == right).tolist()
    equal, unequal = ours == other, ours != other
    if not left.ndim:
        assert (equal, unequal) == (wanted, not wanted)
        return
    assert equal.dtype == "bool" and equal.tolist() == (other == ours).tolist() == wanted
    assert unequal.tolist() == (left != right).tolist()
    out = sf.zeros(equal.shape, "?")
    assert sf.equal(ours, other, out=out) is out and out.tolist() == wanted


def test_records_equal_a_tuple():
    records = sf.array([(1, 2.5), (3, 4.5)], [("x", "i4"), ("y", "f4")])
    assert (records == (3, 4.5)).tolist() == [False, True]
    assert (records == [(1, 2.5), (1, 2.5)]).tolist() == [True, False]
    assert (3, 4.5) in records and (3, 4) not in records


def test_items_that_do_not_compare():
    records = sf.zeros(2, [("x", "i4")])
    for left, right in (
        (records, sf.zeros(2, [("y", "i4")])),
        (records, sf.zeros(2, [("x", "i4", 2)])),
        (records, sf.zeros(2, "S2")),
        (sf.zeros(2, "S2"), 1),
    ):
        with pytest.raises(TypeError, match="do not compare"):
            _ = left == right
    with pytest.raises(TypeError, match="S2"):
        _ = sf.zeros(2, "S2") < sf.zeros(2, "S2")
