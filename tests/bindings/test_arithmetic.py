"""Elementwise operations against NumPy: promotion, values, layouts, out=, overlap."""

import itertools
import operator

import pytest

import spanflow as sf

np = pytest.importorskip("numpy")
from tests.bindings.operations import (  # noqa: E402
    BINARY,
    UNARY,
    is_refused,
    same,
    sample,
    tolerance,
)
from tests.bindings.samples import NUMERIC, quiet  # noqa: E402, F401

# Every pair of dtypes with every operation: the same dtype, the same values, or both refuse.


@pytest.mark.parametrize("name", BINARY)
@pytest.mark.parametrize("left", NUMERIC)
def test_binary_over_all_pairs(left, name):
    a = sample(left, seed=1)
    for right in NUMERIC:
        b = sample(right, seed=2)
        if name == "power" and np.result_type(a, b).kind in "iu":
            b = np.abs(b) % 5
        try:
            expected = getattr(np, name)(a, b)
        except TypeError:
            with pytest.raises(TypeError, match=name):
                getattr(sf, name)(a, b)
            continue
        if is_refused(name, left, right):
            with pytest.raises(TypeError, match=name):
                getattr(sf, name)(a, b)
            continue
        mixed_64 = {left, right} == {"int64", "uint64"}
        if mixed_64 and expected.dtype == bool:
            # NumPy compares these exactly; float64 would not tell neighbours apart.
            same(getattr(sf, name)(a, b), expected)
            continue
        # Which of two equal zeros is the smaller one is not defined.
        signs = name not in ("minimum", "maximum", "fmin", "fmax")
        same(getattr(sf, name)(a, b), expected, tolerance(name, expected.dtype), signs)


@pytest.mark.parametrize("name", UNARY)
@pytest.mark.parametrize("dtype", NUMERIC)
def test_unary_over_all_dtypes(dtype, name):
    a = sample(dtype)
    if name == "reciprocal" and a.dtype.kind in "iu":
        a[a == 0] = 1  # NumPy's answer for zero is that of a cast from infinity
    try:
        expected = getattr(np, name)(a)
    except TypeError:
        expected = None
    if expected is None or is_refused(name, dtype):
        with pytest.raises(TypeError, match=name):
            getattr(sf, name)(a)
        return
    if name == "angle" and dtype == "bool":
        expected = expected.astype("float16")  # NumPy's only function that makes it float64
    same(getattr(sf, name)(a), expected, tolerance(name, expected.dtype))
    same(getattr(sf, name)(sf.asarray(a)), expected, tolerance(name, expected.dtype))


OPERATORS = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
    "**": operator.pow,
    "<<": operator.lshift,
    ">>": operator.rshift,
    "&": operator.and_,
    "|": operator.or_,
    "^": operator.xor,
    "<": operator.lt,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    ">=": operator.ge,
}
SCALARS = [True, 0, 3, -2, 2.5, -0.0, float("nan"), float("inf"), 1 + 2j]


# Python scalars are weak: they take the kind of the array (NEP 50).


@pytest.mark.parametrize("symbol", OPERATORS)
@pytest.mark.parametrize("dtype", NUMERIC)
def test_python_scalars(dtype, symbol):
    operation = OPERATORS[symbol]
    theirs = sample(dtype)
    ours = sf.asarray(theirs)
    for scalar in SCALARS:
        for swapped in (False, True):

            def run(x, scalar=scalar, swapped=swapped):
                return operation(scalar, x) if swapped else operation(x, scalar)

            ordered = symbol in ("<", "<=", ">", ">=")
            is_complex = isinstance(scalar, complex) or theirs.dtype.kind == "c"
            try:
                expected = run(theirs)
            except (TypeError, OverflowError, ValueError) as error:
                with pytest.raises(type(error)):
                    run(ours)
                continue
            if is_complex and (ordered or symbol == "**"):
                with pytest.raises(TypeError):
                    run(ours)
                continue
            ulps = 4 if expected.dtype.kind == "c" and symbol in "*/" else 0
            if symbol == "**":
                ulps = tolerance("power", expected.dtype)
            same(run(ours), expected, ulps)


@pytest.mark.parametrize(
    "dtype", ["bool", "int8", "uint16", "int64", "float16", "float32", "float64"]
)
def test_divmod(dtype):
    left, right = sample(dtype), sample(dtype, seed=1)
    for a, b in ((left, right), (left, 3), (7, right)):
        ours = [sf.asarray(x) if isinstance(x, np.ndarray) else x for x in (a, b)]
        for found, expected in zip(divmod(*ours), (a // b, a % b), strict=True):
            same(found, expected)
    with pytest.raises(TypeError, match="unsupported operand"):
        divmod(sf.asarray(left), "2")
    with pytest.raises(TypeError, match="complex"):
        divmod(sf.ones(2, "c8"), 2)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32", "uint64"])
def test_python_integers_that_do_not_fit(dtype):
    array = sf.ones(3, dtype)
    too_large = 2**70
    for operation in (operator.add, operator.mul, operator.sub, operator.and_):
        with pytest.raises(OverflowError, match=str(too_large)):
            operation(array, too_large)
    theirs = np.ones(3, dtype)
    # Comparisons are by value instead.
    for value in (too_large, -too_large, 300, -1, 2**63, 2**64 - 1):
        for compare in (operator.lt, operator.ge, operator.eq, operator.ne):
            assert compare(array, value).tolist() == compare(theirs, value).tolist()
            assert compare(value, array).tolist() == compare(value, theirs).tolist()


def test_numpy_scalars_are_strong():
    ours = sf.ones(2, "f4")
    assert (ours + np.float64(1)).dtype == "float64"
    assert (ours + np.float32(1)).dtype == "float32"
    assert (sf.ones(2, "i1") + np.int32(1)).dtype == "int32"
    assert (np.asarray(sf.ones(2, "u1")) + ours).dtype == np.float32


def test_bfloat16_promotion():
    half = sf.ones(2, "bfloat16")
    expected = {
        "bool": "bfloat16", "int8": "bfloat16", "uint8": "bfloat16", "bfloat16": "bfloat16",
        "float16": "float32", "float32": "float32", "float64": "float64", "complex64": "complex64",
    }  # fmt: skip
    for other, result in expected.items():
        assert (half + sf.ones(2, other)).dtype == result, other
        assert (sf.ones(2, other) + half).dtype == result, other
    assert (half * 2.5).tolist() == [2.5, 2.5]
    assert (half * 2.5).dtype == "bfloat16"


def test_bfloat16_rounds_once():
    a = sf.array([1.0, 256.0, 3.0], "bfloat16")
    b = sf.array([2**-8, 1.0, 2**-7], "bfloat16")
    # 1 + 2^-8 is a tie and goes to even; 256 + 1 is one as well.
    assert (a + b).tolist() == [1.0, 256.0, 3.0]
    assert (a + b * 2).tolist() == [1 + 2**-7, 258.0, 3 + 2**-6]


# Casts.


@pytest.mark.parametrize("source", NUMERIC)
@pytest.mark.parametrize("target", [*NUMERIC, ">i2", ">u4", ">f4", ">f8", ">c8"])
def test_casts(source, target):
    values = sample(source)
    if np.dtype(source).kind in "fc" and np.dtype(target).kind in "iu":
        # What does not fit has no defined value: only what fits is compared.
        info = np.iinfo(target)
        real = values.real
        fits = np.isfinite(real) & (real >= max(info.min, -1000)) & (real <= min(info.max, 1000))
        values = values[fits]
    expected = values.astype(target)
    same(sf.asarray(values).astype(target), expected)
    backwards = np.ascontiguousarray(values[::-1])[::-1]
    same(sf.asarray(backwards).astype(target), expected)


def test_float_to_integer_is_cut_towards_zero():
    values = sf.array([1.9, -1.9, 0.5, -0.5, 100.99])
    for dtype in ("i1", "i2", "i4", "i8"):
        assert values.astype(dtype).tolist() == [1, -1, 0, 0, 100]


def test_casts_between_bytes():
    array = sf.array([b"abc", b"", b"z"])
    assert array.astype("S2").tolist() == [b"ab", b"", b"z"]
    assert array.astype("S5").tolist() == [b"abc", b"", b"z"]
    for bad in ("f4", "i8", "?"):
        with pytest.raises(TypeError, match="S3"):
            array.astype(bad)
    with pytest.raises(TypeError):
        sf.zeros(3).astype("S3")


def test_astype_copy():
    array = sf.zeros(3, "f4")
    assert array.astype("f4", copy=False) is array
    assert array.astype("f4") is not array
    assert array.astype(">f4", copy=False) is not array


# Layouts: every operand in another one, sizes around the vector length and over threads.

VIEWS = {
    "contiguous": lambda a: a,
    "reversed": lambda a: a[::-1],
    "strided": lambda a: np.repeat(a, 3)[::3],
    "swapped": lambda a: a.astype(a.dtype.newbyteorder()),
    "unaligned": lambda a: np.frombuffer(b"x" + a.tobytes(), a.dtype, offset=1),
    "broadcast": lambda a: np.broadcast_to(a[:1], a.shape),
    "field": lambda a: in_record(a),
}


def in_record(a):
    record = np.zeros(a.shape, [("pad", "u1"), ("x", a.dtype), ("tail", "u2")])
    record["x"] = a
    return record["x"]


@pytest.mark.parametrize("left", VIEWS)
@pytest.mark.parametrize("right", VIEWS)
@pytest.mark.parametrize("dtype", ["float32", "int16", "complex64"])
def test_layouts(left, right, dtype):
    for count in (1, 3, 17, 100):
        a = VIEWS[left](sample(dtype, count + 6)[6:])
        b = VIEWS[right](sample(dtype, count + 6, seed=3)[6:])
        same(sf.asarray(a) + sf.asarray(b), (a + b).astype(dtype))
        same(sf.asarray(a) * b, (a * b).astype(dtype), tolerance("multiply", dtype))
        same(sf.asarray(a) == sf.asarray(b), a == b)


@pytest.mark.parametrize("count", [0, 1, 2, 7, 8, 9, 31, 32, 33, 63, 64, 65, 255, 1023, 4097])
@pytest.mark.parametrize("dtype", ["bool", "int8", "uint16", "int32", "float32", "float64"])
def test_tails(dtype, count):
    a, b = sample(dtype, count + 6)[6:], sample(dtype, count + 6, seed=4)[6:]
    x, y = sf.asarray(a), sf.asarray(b)
    same(sf.add(x, y), np.add(a, b))
    same(sf.minimum(x, y), np.minimum(a, b))
    same(x < y, a < b)
    # Nothing beyond the end is written.
    memory = np.full(count + 64, 0x5A, "u1").repeat(a.itemsize)
    out = memory[32 * a.itemsize : (32 + count) * a.itemsize].view(dtype)
    sf.add(x, y, out=out)
    np.testing.assert_array_equal(out, np.add(a, b))
    assert (memory[: 32 * a.itemsize] == 0x5A).all()
    assert (memory[(32 + count) * a.itemsize :] == 0x5A).all()


def test_large_arrays():
    rng = np.random.default_rng(5)
    a, b = rng.random((2, 1_500_000), dtype="f4")
    same(sf.asarray(a) * 2.5 + sf.asarray(b), a * np.float32(2.5) + b)
    same(
        sf.asarray(a).reshape(1500, 1000).T + b.reshape(1000, 1500),
        a.reshape(1500, 1000).T + b.reshape(1000, 1500),
    )
    same(sf.where(sf.asarray(a) < b, a, b), np.minimum(a, b))


BROADCASTS = [
    ((3, 4), (4,)),
    ((3, 1), (1, 4)),
    ((2, 3, 4), (3, 1)),
    ((), (3,)),
    ((1,), (5, 1)),
    ((0, 3), (1, 3)),
    ((0,), (1,)),
    ((4, 1, 1), (1, 5, 6)),
    ((1, 1, 1), ()),
]


@pytest.mark.parametrize(("left", "right"), BROADCASTS, ids=str)
def test_broadcasting(left, right):
    a = np.arange(np.prod(left), dtype="f4").reshape(left)
    b = np.arange(np.prod(right), dtype="f4").reshape(right) + 1
    same(sf.asarray(a) + sf.asarray(b), a + b)
    same(sf.asarray(b) / sf.asarray(a + 1), b / (a + 1))
    same(sf.where(sf.asarray(a) > 1, b, a), np.where(a > 1, b, a))


@pytest.mark.parametrize(("left", "right"), [((2,), (3,)), ((2, 3), (2,)), ((0,), (2,))], ids=str)
def test_shapes_that_do_not_broadcast(left, right):
    with pytest.raises(ValueError, match=rf"\({left[0]},.*\({right[0]},"):
        sf.zeros(left) + sf.zeros(right)


def test_fortran_operands_give_fortran_results():
    a, b = sf.ones((3, 4), order="F"), sf.zeros((3, 4), order="F")
    assert (a + b).f_contiguous
    assert (a + sf.zeros((3, 4))).c_contiguous
    assert (a * 2).f_contiguous and not (a * 2).c_contiguous


# where, clip.


@pytest.mark.parametrize("dtype", NUMERIC)
def test_where(dtype):
    condition = sample("bool")
    a, b = sample(dtype), sample(dtype, seed=7)
    same(sf.where(condition, a, b), np.where(condition, a, b))
    same(sf.where(sf.asarray(condition)[::-1], a, b), np.where(condition[::-1], a, b))
    # Any condition counts as true where it is not zero.
    number = sample("int16")
    same(sf.where(number, a, b), np.where(number, a, b))
    floats = sample("float64")
    same(sf.where(floats, a, b), np.where(floats, a, b))


def test_where_promotes_only_its_branches():
    condition = sf.array([1.5, 0.0])
    assert sf.where(condition, sf.zeros(2, "i1"), sf.ones(2, "i2")).dtype == "int16"
    assert sf.where(condition, sf.ones(2, "f4"), 2).dtype == "float32"
    assert sf.where(condition, sf.ones(2, "f4"), 2.5).tolist() == [1.0, 2.5]
    assert sf.where(condition, 1, 0).dtype == "int64"
    assert sf.where(True, sf.ones(2, "i4"), 0).tolist() == [1, 1]


@pytest.mark.parametrize("dtype", [d for d in NUMERIC if "complex" not in d and d != "bool"])
def test_clip(dtype):
    a = sample(dtype)
    low, high = (2, 50) if np.dtype(dtype).kind == "u" else (-5, 20)
    same(sf.clip(a, low, high), np.clip(a, low, high))
    same(sf.asarray(a).clip(low), np.clip(a, low, None))
    same(sf.asarray(a).clip(upper=high), np.clip(a, None, high))
    same(sf.asarray(a).clip(low, None), np.clip(a, low, None))
    lows = np.full(a.shape, low, dtype)
    same(sf.clip(a, lows, high), np.clip(a, lows, high))
    # A lower limit above the upper one: the upper one wins, as in NumPy.
    same(sf.clip(a, high, low), np.clip(a, high, low))


def test_clip_needs_a_limit():
    with pytest.raises((ValueError, TypeError)):
        sf.clip(sf.zeros(3))
    with pytest.raises((ValueError, TypeError)):
        sf.zeros(3).clip()
    same(sf.clip(np.array([np.nan, 1.0]), 0, 1), np.array([np.nan, 1.0]))


# NaN in minimum and maximum, signed zeros, integer edges.


def test_nan_wins():
    a = np.array([1, np.nan, np.nan, 2, -np.inf])
    b = np.array([np.nan, 1, np.nan, 3, np.inf])
    for dtype in ("f2", "f4", "f8"):
        for name in ("minimum", "maximum"):
            same(
                getattr(sf, name)(a.astype(dtype), b.astype(dtype)),
                getattr(np, name)(a, b).astype(dtype),
            )


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "c8", "c16", ">f4"])
@pytest.mark.parametrize("count", [1, 5, 40])
def test_nan_equals_nothing(dtype, count):
    """In vectors as in tails, on every SIMD target."""
    a = np.resize(np.array([np.nan, 1, 0, np.inf], dtype), count)
    if np.dtype(dtype).kind == "c":
        a = np.resize(np.array([np.nan + 1j, 1 + np.nan * 1j, 1 + 1j, np.nan], dtype), count)
    for target in sf.simd.targets():
        with sf.simd.use(target):
            ours = sf.asarray(a)
            for compare in (
                operator.eq,
                operator.ne,
                operator.lt,
                operator.le,
                operator.gt,
                operator.ge,
            ):
                if np.dtype(dtype).kind == "c" and compare not in (operator.eq, operator.ne):
                    continue
                same(compare(ours, ours), compare(a, a))
                same(compare(ours, ours[::-1]), compare(a, a[::-1]))


def test_integer_edges():
    for dtype in ("i1", "i2", "i4", "i8"):
        low = np.iinfo(dtype).min
        a = sf.full(5, low, dtype)
        assert (-a).tolist() == [low] * 5  # wraps around, as in NumPy
        assert sf.absolute(a).tolist() == [low] * 5
        assert (a - 1).tolist() == [np.iinfo(dtype).max] * 5
        assert (a * 2).tolist() == [0] * 5
    assert (sf.full(3, 255, "u1") + 1).tolist() == [0, 0, 0]
    assert (sf.ones(2, "i4") / 0).tolist() == [np.inf, np.inf]
    assert (-sf.ones(2, "u2")).tolist() == [65535, 65535]


def test_bools():
    a, b = sf.array([True, True, False]), sf.array([True, False, False])
    assert (a + b).tolist() == [True, True, False] and (a + b).dtype == "bool"
    assert (a * b).tolist() == [True, False, False]
    assert (~a).tolist() == [False, False, True]
    for refuse in (lambda: a - b, lambda: -a):
        with pytest.raises(TypeError, match="bool"):
            refuse()
    # A bool whose byte is neither 0 nor 1 (from foreign memory) counts as true.
    odd = sf.frombuffer(bytes([0, 1, 2, 255]), "?")
    assert odd.tolist() == [False, True, True, True]
    assert (~odd).tolist() == [True, False, False, False]
    assert (odd & True).tolist() == [False, True, True, True]
    assert (odd == True).tolist() == [False, True, True, True]  # noqa: E712
    assert odd.sum() == 3 and sf.count_nonzero(odd) == 3
    assert odd.astype("u1").tolist() == [0, 1, 1, 1]
    assert sf.where(odd, 1, 0).tolist() == [0, 1, 1, 1]


# out=


@pytest.mark.parametrize("dtype", ["f4", ">f8", "f2", "c8", "i4"])
def test_out_takes_any_layout(dtype):
    a, b = sample("int16", 24), sample("int16", 24, seed=9)
    for make in (
        lambda: sf.empty(24, dtype),
        lambda: sf.empty((24, 2), dtype)[:, 1],
        lambda: sf.empty(24, dtype)[::-1],
        lambda: sf.asarray(in_record(np.zeros(24, dtype))),
    ):
        out = make()
        found = sf.add(a, b, out=out)
        assert found is out
        same(out, np.add(a, b, casting="unsafe", dtype=np.dtype("i2")).astype(dtype))
    theirs = np.empty(24, dtype)
    assert sf.add(a, b, out=theirs) is theirs
    np.testing.assert_array_equal(theirs, np.add(a, b).astype(dtype))


def test_out_of_larger_shape_is_broadcast_to():
    out = sf.empty((2, 3), "f8")
    sf.add(sf.arange(3), 1, out=out)
    assert out.tolist() == [[1, 2, 3], [1, 2, 3]]


BAD_OUT = [
    (lambda: sf.empty(4, "i4"), ValueError, r"\(4,\).*\(3,\)"),
    (lambda: sf.empty((3, 1), "f4"), ValueError, "shape"),
    (lambda: sf.empty((), "f4"), ValueError, "shape"),
    (lambda: sf.empty(3, "i8"), TypeError, "float32.*int64|cast"),
    (lambda: sf.empty(3, "?"), TypeError, "bool"),
    (lambda: sf.empty(3, "S4"), TypeError, "S4"),
    (lambda: sf.empty(3, [("x", "f4")]), TypeError, "field"),
    (lambda: sf.frombuffer(bytes(12), "f4"), ValueError, "read-only"),
    (lambda: [0, 0, 0], TypeError, "list"),
    (lambda: 5, TypeError, "int"),
    (lambda: "out", (TypeError, ValueError), "str"),
    (lambda: bytes(12), (TypeError, ValueError), None),
]


@pytest.mark.parametrize(("make", "error", "word"), BAD_OUT)
def test_bad_out(make, error, word):
    a = sf.ones(3, "f4")
    for call in (
        lambda out: sf.add(a, 1.5, out=out),
        lambda out: sf.clip(a, 0, 1, out=out),
        lambda out: sf.multiply(a, a, out=out),
    ):
        out = make()
        before = out.tobytes() if isinstance(out, sf.Array) else out
        with pytest.raises(error, match=word):
            call(out)
        assert before == (out.tobytes() if isinstance(out, sf.Array) else out)


def test_comparison_into_numbers_and_same_kind_casts():
    a = sf.arange(3, dtype="f4")
    out = sf.empty(3, "u1")
    sf.less(a, 2, out=out)
    assert out.tolist() == [1, 1, 0]
    small = sf.empty(3, "f2")
    sf.add(a, 0.5, out=small)
    assert small.tolist() == [0.5, 1.5, 2.5]
    with pytest.raises(TypeError):
        sf.divide(sf.ones(3, "i4"), 2, out=sf.empty(3, "i4"))


# Overlap: the result is as if every input had been read first.


@pytest.mark.parametrize("dtype", ["u1", "f4", "f8"])
@pytest.mark.parametrize("count", [5, 64, 1000, 50_000])
def test_overlapping_out(dtype, count):
    base = (np.arange(count + 4) % 100).astype(dtype)
    cases = [
        (slice(0, count), slice(1, count + 1), slice(2, count + 2)),
        (slice(2, count + 2), slice(1, count + 1), slice(0, count)),
        (slice(0, count), slice(0, count), slice(0, count)),
        (slice(0, count), slice(count - 1, None, -1), slice(0, count)),
        (slice(1, count + 1), slice(1, count + 1), slice(count, 0, -1)),
    ]
    for left, right, target in cases:
        theirs, ours = base.copy(), sf.array(base)
        expected = theirs[left] + theirs[right]
        theirs[target] = expected
        sf.add(ours[left], ours[right], out=ours[target])
        same(ours, theirs)


def test_overlapping_out_of_another_size():
    """The output's elements are wider than the inputs' in the same bytes."""
    memory = np.arange(64, dtype="u1")
    ours = sf.asarray(memory.copy())
    wide = ours[:32].view("u2")
    expected = memory[:16].astype("u2") + memory[16:32]
    sf.add(ours[:16], ours[16:32], out=wide)
    assert wide.tolist() == expected.tolist()
    ours = sf.asarray(memory.copy())
    wide = ours[8:40].view("u2")
    sf.multiply(ours[:16], 2, out=wide)
    assert wide.tolist() == (memory[:16] * 2).tolist()


def test_overlapping_transposed():
    theirs = np.arange(400, dtype="f4").reshape(20, 20)
    ours = sf.array(theirs)
    sf.add(ours, ours.T, out=ours)
    same(ours, theirs + theirs.T)
    theirs = np.arange(90_000, dtype="f4").reshape(300, 300)
    ours = sf.array(theirs)
    sf.subtract(ours.T, ours, out=ours)
    same(ours, theirs.T - theirs)


# In-place operators.


@pytest.mark.parametrize(
    "name",
    [
        "iadd", "isub", "imul", "itruediv", "ifloordiv", "imod", "ilshift", "irshift",
        "iand", "ior", "ixor",
    ],
)  # fmt: skip
@pytest.mark.parametrize("dtype", ["i4", "f4", "f8", "c16", "?", "u1"])
def test_in_place(name, dtype):
    theirs = sample(dtype)
    ours = sf.array(theirs)
    same_object = ours
    operand = sample(dtype, seed=11)
    try:
        expected = getattr(operator, name)(theirs, operand)
    except TypeError:
        with pytest.raises(TypeError):
            getattr(operator, name)(ours, operand)
        return
    ours = getattr(operator, name)(ours, operand)
    assert ours is same_object
    same(ours, expected, tolerance("multiply", dtype) * 2)


def test_in_place_on_a_slice_and_a_mapping(tmp_path):
    array = sf.open(tmp_path / "a.npy", "w+", dtype="f4", shape=(4, 3))
    array += 1
    array[1:3] *= 5
    array[:, 0] -= 1
    assert np.load(tmp_path / "a.npy").tolist() == [[0, 1, 1], [4, 5, 5], [4, 5, 5], [0, 1, 1]]


def test_in_place_refuses_another_kind():
    array = sf.ones(3, "i4")
    with pytest.raises(TypeError, match="int32"):
        array += 0.5
    with pytest.raises(TypeError):
        array /= 2
    with pytest.raises(ValueError, match="broadcast|shape"):
        array += sf.ones((2, 3), "i4")
    assert array.tolist() == [1, 1, 1]


# What operators leave to others.


class Other:
    def __add__(self, other):
        return "other + array"

    def __radd__(self, other):
        return "array + other"

    def __eq__(self, other):
        return "equal"

    __hash__ = None


def test_other_classes_have_their_say():
    array = sf.ones(2)
    assert array + Other() == "array + other"
    assert Other() + array == "other + array"
    assert (array == Other()) == "equal"
    for bad in (None, "text", object(), {}):
        with pytest.raises(TypeError):
            array + bad
        with pytest.raises(TypeError):
            bad + array
    assert (array == None) is False  # noqa: E711
    assert (array == "text") is False
    assert (array != object()) is True


def test_operands_of_all_sorts():
    array = sf.arange(3)
    for other in ([1, 2, 3], (1, 2, 3), np.array([1, 2, 3]), sf.array([1, 2, 3])):
        assert (array + other).tolist() == [1, 3, 5]
    for other in ([1, 2, 3], (1, 2, 3)):
        assert (other + array).tolist() == [1, 3, 5]
    assert (array + bytearray(b"\1\2\3")).tolist() == [1, 3, 5]  # a buffer of uint8
    for text in (b"\1\2\3", "abc"):  # bytes are text, as for NumPy
        with pytest.raises(TypeError):
            array + text
        with pytest.raises(TypeError, match="bytes|str"):
            sf.add(array, text)
        assert (array == text) is False and (array != text) is True
    assert sf.add(1, 2) == 3 and sf.add([1], [2]).tolist() == [3]
    assert sf.add(1.5, 2) == 3.5
    assert sf.sqrt(4) == 2.0
    assert sf.equal(1, 1) is True


def test_0d_results_are_python_numbers():
    scalar = sf.full((), 3, "f4")
    assert scalar + 1 == 4.0 and type(scalar + 1) is float
    assert type(scalar > 1) is bool
    assert type(sf.full((), 3, "i2") * 2) is int
    out = sf.empty((), "f4")
    assert sf.add(scalar, 1, out=out) is out and out.item() == 4


def test_records_and_bytes_have_no_arithmetic():
    with pytest.raises(TypeError, match="field"):
        sf.zeros(2, [("x", "f4")]) + 1
    with pytest.raises(TypeError, match="S3"):
        sf.zeros(2, "S3") + sf.zeros(2, "S3")


def test_operations_as_objects():
    assert repr(sf.add) == "<spanflow operation 'add'>"
    assert sf.add.__name__ == "add" and sf.add.kind == "elementwise"
    assert sf.sum.kind == "reduction"
    assert sf.abs is sf.absolute and sf.true_divide is sf.divide
    with pytest.raises(TypeError):
        type(sf.add)()
    with pytest.raises(TypeError):
        sf.add(1)
    with pytest.raises(TypeError):
        sf.add(1, 2, 3, 4)
    with pytest.raises(TypeError):
        sf.add(1, 2, where=True)
    for operation in (sf.add, sf.where, sf.clip, sf.sum, sf.mean):
        assert operation.__name__ in operation.__doc__


@pytest.mark.parametrize("target", sf.simd.targets())
def test_every_simd_target(target):
    with sf.simd.use(target):
        assert sf.simd.target() == target
        for dtype, name in itertools.product(
            ["int8", "uint16", "int32", "uint64", "float32", "float64", "complex64", "float16"],
            ["add", "multiply", "divide", "equal"],
        ):
            a, b = sample(dtype, 53), sample(dtype, 53, seed=2)
            expected = getattr(np, name)(a, b)
            same(getattr(sf, name)(a, b), expected, tolerance(name, expected.dtype))
        a, b = sample("float32", 53), sample("float32", 53, seed=2)
        same(sf.minimum(a, b), np.minimum(a, b))
        same(sf.sqrt(sf.absolute(a)), np.sqrt(np.abs(a)))
        same(sf.asarray(a) < b, a < b)
    with pytest.raises(ValueError, match="no-such-target"), sf.simd.use("no-such-target"):
        pass


def test_errors_name_the_operation():
    for call, text in (
        (lambda: sf.add(1), r"add\(\) missing required argument: 'x2'"),
        (lambda: sf.sqrt(1, 2, 3), r"sqrt\(\) takes at most 2"),
        (lambda: sf.where(1, 2), r"where\(\) missing"),
        (lambda: sf.mean(), r"mean\(\) missing"),
        (lambda: sf.max([1], which=1), r"max\(\) got an unexpected"),
    ):
        with pytest.raises(TypeError, match=text):
            call()


@pytest.mark.parametrize("name", sf.__all__)
def test_operations_say_what_they_take_and_raise(name):
    operation = getattr(sf, name)
    if not isinstance(operation, type(sf.add)):
        return
    for word in ("dtype", "shape", "Raises", "TypeError", "ValueError", "OSError"):
        assert word in operation.__doc__, name
    assert max(map(len, operation.__doc__.splitlines())) < 110


# Rounding to decimals, and divmod.


@pytest.mark.parametrize("decimals", [-3, -1, 0, 1, 2, 5])
@pytest.mark.parametrize("dtype", ["i1", "u2", "i4", "i8", "f2", "f4", "f8", "c8", "c16"])
def test_round(dtype, decimals):
    rng = np.random.default_rng(1)
    values = rng.uniform(-120, 120, 200)
    values = np.abs(values).astype(dtype) if dtype[0] == "u" else values.astype(dtype)
    expected = np.round(values.astype("f4") if dtype == "f2" else values, decimals).astype(dtype)
    found = sf.round(values, decimals)
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(np.asarray(found), expected)
    out = np.zeros_like(values)
    assert sf.round(values, decimals, out=out) is out
    np.testing.assert_array_equal(out, expected)
    if dtype[0] == "f":
        np.testing.assert_array_equal(sf.round(sf.lazy(values), decimals).compute(), expected)


def test_round_of_numbers_and_bad_input():
    assert [sf.round(x) for x in (0.5, 1.5, -2.5)] == [0.0, 2.0, -2.0]
    assert sf.round(2.675, 2) == np.round(2.675, 2) and sf.round(1234, -2) == 1200
    with pytest.raises(TypeError, match="decimals must be an integer, got 1.5"):
        sf.round([1.0], 1.5)
    with pytest.raises(TypeError, match="takes no out"):
        sf.round(sf.col("x"), out=sf.zeros(3))
    with pytest.raises(TypeError):
        sf.round(np.array([b"a"]))


def test_divmod_function():
    for a, b in (([7, -7, 0], 3), ([7.5, -0.5], -2.0), (7, 0.5), (np.arange(5, dtype="u1"), 2)):
        found, expected = sf.divmod(a, b), np.divmod(a, b)
        for ours, theirs in zip(found, expected, strict=True):
            np.testing.assert_array_equal(np.asarray(ours), theirs)
    quotient, rest = sf.divmod(sf.col("x"), 4)
    assert sf.compute(quotient, rest, columns={"x": 11}) == (2, 3)


@pytest.mark.parametrize("dtype", ["c8", ">c8", "c16", ">c16"])
def test_round_of_complex_numbers(dtype):
    values = (np.linspace(-9, 9, 24).reshape(4, 6) * (1 + 0.37j)).astype(dtype)
    for a in (values, values[::2, ::-1], values.T):
        np.testing.assert_array_equal(sf.round(a, 1), np.round(a, 1))


def test_round_to_the_limits_of_numbers():
    assert sf.round([True], 1).dtype == sf.round([True], -1).dtype == sf.float16
    assert sf.round([True, False], 1).tolist() == [1.0, 0.0]
    assert sf.round(15, -400) == sf.round(15, -308) == 0
    for decimals in (400, -400):
        assert np.isnan(sf.round(1.5, decimals)) and np.isnan(np.round(1.5, decimals))
