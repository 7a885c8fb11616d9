"""Expressions against NumPy and against the same operations one by one."""

import contextlib
import gc
import sys
import threading
import warnings
import weakref

import numpy as np
import pytest

import spanflow as sf

DTYPES = ["?", "i1", "u1", "i2", "i4", "u4", "i8", "u8", "f4", "f8", "c8", "c16"]


def same(ours, theirs, rtol=0.0):
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    assert ours.dtype == theirs.dtype
    assert ours.shape == theirs.shape
    np.testing.assert_allclose(ours, theirs, rtol=rtol, equal_nan=True)


# ---- random programs ----

BINARY = ["add", "subtract", "multiply", "minimum", "maximum", "less", "equal", "bitwise_xor"]
UNARY = ["negative", "absolute", "sqrt"]


class Programs:
    """Random expressions, each beside what the operations give one by one."""

    def __init__(self, seed, dtypes):
        self.random = np.random.default_rng(seed)
        self.dtypes = dtypes
        rows, columns = self.random.integers(1, 60, 2)
        self.shapes = [(rows, columns), (1, columns), (rows, 1), (columns,), ()]
        self.values = [self.array() for _ in range(3)]

    def array(self):
        shape = self.shapes[self.random.integers(len(self.shapes))]
        dtype = np.dtype(self.dtypes[self.random.integers(len(self.dtypes))])
        a = np.asarray(self.random.integers(0, 9, shape)).astype(dtype)
        if a.ndim == 2 and self.random.random() < 0.3:
            a = np.asfortranarray(a)
        if a.ndim and self.random.random() < 0.3:
            a = a[::-1]
        if self.random.random() < 0.2:
            a = a.astype(a.dtype.newbyteorder())
        return sf.lazy(a), sf.asarray(a.astype(a.dtype.newbyteorder("=")))

    def pick(self):
        return self.values[self.random.integers(len(self.values))]

    def operand(self):
        if self.random.random() < 0.25:
            number = [2, 0.5, True, -1, 1.5][self.random.integers(5)]
            return number, number
        return self.pick()

    def grow(self):
        """Adds one operation, if the dtypes have it."""
        x, a = self.pick()
        if self.random.random() < 0.3:
            name = UNARY[self.random.integers(len(UNARY))]
            if name == "sqrt" and a.itemsize == 1 and "f2" not in self.dtypes:
                return  # gives float16
            others = ()
        else:
            name = BINARY[self.random.integers(len(BINARY))]
            others = (self.operand(),)
        operation = getattr(sf, name)
        try:
            eager = operation(a, *(other[1] for other in others))
        except (TypeError, OverflowError) as error:
            with pytest.raises(type(error)):
                operation(x, *(other[0] for other in others)).compute()
            return
        lazy = operation(x, *(other[0] for other in others))
        assert isinstance(lazy, sf.Expression)
        # A 0-d result is a Python number, which would be weak in what follows.
        self.values.append((lazy, sf.asarray(eager, lazy.dtype)))


def check_program(seed, dtypes, rtol):
    programs = Programs(seed, dtypes)
    for _ in range(25):
        programs.grow()
    computed = sf.compute(*(x for x, _ in programs.values))
    for (x, eager), result in zip(programs.values, computed, strict=True):
        same(sf.asarray(result, x.dtype), eager, rtol)
        assert x.shape == eager.shape


@pytest.mark.parametrize("seed", range(60))
def test_random_programs(seed):
    check_program(seed, DTYPES, rtol=0)


# Rounded once, where it is stored, instead of after every operation.
@pytest.mark.parametrize("seed", range(20))
def test_random_programs_with_float16(seed):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NumPy's, about overflow
        check_program(seed, ["f2", "u1", "f4", "?"], rtol=2e-2)


# ---- what people write ----


@pytest.fixture
def a():
    return np.random.default_rng(0).random((70, 1000)).astype("f4")


def test_a_chain_and_its_sum(a):
    x = sf.lazy(a)
    chain = (x - 0.5) * 3.46
    wanted = (a - np.float32(0.5)) * np.float32(3.46)
    same(chain.compute(), wanted)
    same(chain.clip(-1, 1).compute(), np.clip(wanted, -1, 1))
    total = sf.clip(chain, -1, 1).sum().compute()
    assert total == pytest.approx(np.clip(wanted, -1, 1).sum(dtype="f8"), rel=1e-5)
    assert total == pytest.approx(sf.sum(sf.clip(sf.asarray(wanted), -1, 1)), rel=1e-6)


def test_operands_of_all_kinds_on_both_sides(a):
    x = sf.lazy(a)
    row = np.arange(1000, dtype="f4")
    for lazy, wanted in [
        (a + x, a + a),
        (row - x, row - a),
        (sf.asarray(row) * x, row * a),
        (2 / x, np.float32(2) / a),
        (np.float64(2) * x, np.float64(2) * a),
        (x > row, a > row),
        (row > x, row > a),
        (-abs(~(x > 0.5)).astype("i4"), -(~(a > 0.5)).astype("i4")),
        (sf.where(x > 0.5, x, 0), np.where(a > 0.5, a, np.float32(0))),
        ([1.0] * x, [1.0] * a),
    ]:
        assert isinstance(lazy, sf.Expression)
        same(lazy.compute(), wanted)


def test_several_results_in_one_pass(a):
    x = sf.lazy(a)
    lo, hi = sf.compute(x.min(), x.max())
    assert (lo, hi) == (a.min(), a.max())
    answer = sf.compute({"mean": x.mean(), "twice": x * 2})
    assert list(answer) == ["mean", "twice"]
    assert answer["mean"] == pytest.approx(a.mean(dtype="f8"), rel=1e-6)
    same(answer["twice"], a * 2)
    assert sf.compute() == ()
    assert sf.compute({}) == {}


def test_results_that_are_used_further(a):
    x = sf.lazy(a)
    array = sf.asarray(a)
    mean, std = np.float32(array.mean()), np.float32(array.std())
    same(((x - x.mean()) / x.std()).compute(), (a - mean) / std)
    means = np.asarray(array.mean(axis=1, keepdims=True))
    same((x - x.mean(axis=1, keepdims=True)).compute(), a - means)
    assert (x * 2).sum(axis=(0, 1)).compute() == pytest.approx(2 * a.sum(dtype="f8"), rel=1e-6)
    same((x * 2).max(axis=0).compute(), (a * 2).max(0))
    assert (x - x.mean()).max().compute() > 0


def test_filters(a):
    x = sf.lazy(a)
    same(x[x > 0.5].compute(), a[a > 0.5])
    same((x[x > 0.5] * 2 + 1).compute(), a[a > 0.5] * np.float32(2) + np.float32(1))
    assert x[a > 0.5].max().compute() == a[a > 0.5].max()
    y = x[x > 0.25]
    same(y[y < 0.5].compute(), a[(a > 0.25) & (a < 0.5)])
    assert y[y < 0.5].count_nonzero().compute() == np.count_nonzero((a > 0.25) & (a < 0.5))
    same(x[x > 2].compute(), a[a > 2])
    assert x[x > 2].sum().compute() == 0
    with pytest.raises(ValueError, match="no identity"):
        x[x > 2].min().compute()
    half = sf.lazy(a.astype("f2"))
    same(half[half > 0.5].compute(), a.astype("f2")[a.astype("f2") > 0.5])
    with pytest.raises(ValueError, match="no shape before"):
        _ = y.shape


def test_places_for_results(a):
    x = sf.lazy(a)
    out = np.empty_like(a)
    assert (x + 1).compute(out) is out
    same(out, a + 1)
    wide = sf.zeros(a.shape, "f8")
    assert (x + 1).compute(out=wide) is wide
    same(wide, (a + np.float32(1)).astype("f8"))
    first, second = np.empty_like(a), None
    results = sf.compute(x + 1, x * 2, out=(first, second))
    assert results[0] is first
    same(results[1], a * 2)
    before = a.copy()
    (x * 2 + x).compute(a)  # over what it reads
    same(a, before * 2 + before)
    total = np.zeros((), "f4")
    assert x.sum().compute(out=total) is total
    assert total == pytest.approx(a.sum(dtype="f8"), rel=1e-4)


def random_view(rng, base, count):
    """A view of `count` elements of a 1-d array: any offset, step and direction."""
    step = int(rng.choice([-3, -2, -1, 1, 2, 3]))
    span = (count - 1) * abs(step) + 1
    first = int(rng.integers(0, len(base) - span + 1))
    view = base[first : first + span : abs(step)]
    return view if step > 0 else view[::-1]


@pytest.mark.parametrize("seed", range(60))
def test_places_that_overlap_what_is_read(seed):
    rng = np.random.default_rng(seed)
    count = int(rng.integers(1, 400))
    base = rng.integers(-50, 50, 1300).astype(rng.choice(["f8", ">f8", "i4", "f4"]))
    reads = [random_view(rng, base, count) for _ in range(2)]
    place = random_view(rng, base, count)
    if count % 4 == 0 and seed % 2:
        shape = (4, count // 4)
        place = (
            place.reshape(shape)
            if place.flags.c_contiguous
            else np.lib.stride_tricks.as_strided(
                place, shape, (place.strides[0] * shape[1], place.strides[0])
            )
        )
        reads = [
            np.lib.stride_tricks.as_strided(r, shape, (r.strides[0] * shape[1], r.strides[0]))
            for r in reads
        ]
        reads[1] = reads[1][:, :1] if seed % 3 else reads[1]
    wanted = (reads[0] * 2 - reads[1]).astype(base.dtype)
    mean = np.mean(reads[0].astype("f8"))
    how = seed % 3
    x, y = sf.lazy(reads[0]), sf.lazy(reads[1])
    if how == 0:
        (x * 2 - y).compute(out=place)
    elif how == 1:
        found = sf.compute(x.astype("f8").mean(), x * 2 - y, out=[None, place])
        np.testing.assert_allclose(found[0], mean, rtol=1e-12)
    else:
        f = sf.compile(sf.col("x") * 2 - sf.col("y"))
        apart = np.zeros_like(wanted)
        f(reads[0], reads[1], out=apart)  # a function that has seen no overlap before
        np.testing.assert_array_equal(apart, wanted)
        f(reads[0], reads[1], out=place)
    np.testing.assert_array_equal(place, wanted)


def test_a_place_in_front_of_what_is_read_backwards():
    x = np.arange(2_000_000.0)
    (sf.lazy(x[::-1]) + 1).compute(out=x)
    np.testing.assert_array_equal(x, np.arange(2_000_000.0)[::-1] + 1)


def test_bad_places_change_nothing(a):
    x = sf.lazy(a)
    out = np.zeros_like(a)
    frozen = out.copy()
    frozen.flags.writeable = False
    for error, text, call in [
        (ValueError, "out has shape", lambda: (x + 1).compute(out=out[:5])),
        (TypeError, "does not cast", lambda: (x + 1).compute(out=np.zeros(a.shape, "i4"))),
        (ValueError, "read-only", lambda: (x + 1).compute(out=frozen)),
        (ValueError, "share memory", lambda: sf.compute(x + 1, x * 2, out=(out, out))),
        (ValueError, "1 outputs were given", lambda: sf.compute(x + 1, x * 2, out=(out,))),
        (TypeError, "must be an array", lambda: (x + 1).compute(out=3)),
        (ValueError, "no size before", lambda: x[x > 0].compute(out=out)),
        (TypeError, "takes no out", lambda: sf.add(x, 1, out=out)),
        (TypeError, "takes no out", lambda: sf.sum(x, out=out)),
        (ValueError, "threads must be", lambda: (x + 1).compute(out, threads=0)),
    ]:
        with pytest.raises(error, match=text):
            call()
    assert not out.any()


def test_whole_quotients_powers_and_shifts():
    theirs = np.arange(-7, 8, dtype="i4")
    x, u = sf.lazy(theirs), sf.lazy(np.arange(15, dtype="u1") % 4)
    for ours, expected in (
        (x // 2, theirs // 2),
        (7 % (x + 8), 7 % (theirs + 8)),
        (x**3, theirs**3),
        (x**u, theirs ** (np.arange(15, dtype="u1") % 4)),
        (2**u, 2 ** (np.arange(15, dtype="u1") % 4)),
        ((x + 8) ** -1.0, (theirs + 8) ** -1.0),
        (x << 2, theirs << 2),
        (1 >> u, 1 >> (np.arange(15, dtype="u1") % 4)),
        (+x, theirs),
        (sf.exp(x), np.exp(theirs)),
    ):
        np.testing.assert_allclose(ours.compute(), expected, rtol=1e-15)
        assert str(ours.dtype) == str(expected.dtype)
    formula = "x // 3 + x % 3 - x ** 2 + (x << 1)"
    assert sf.evaluate(formula, {"x": theirs}).tolist() == eval(formula, {"x": theirs}).tolist()
    with pytest.raises(ValueError, match="negative integer powers"):
        (x**-1).compute()
    with pytest.raises(TypeError, match="unsigned integers as its exponent"):
        (x**x).compute()


def test_bad_expressions(a):
    x = sf.lazy(a)
    for error, text, call in [
        (ValueError, "broadcast", lambda: (x + np.zeros(3)).compute()),
        (TypeError, "bitwise_and is not defined for float32", lambda: (x & x).compute()),
        (
            OverflowError,
            "300 out of bounds for uint8",
            lambda: (sf.lazy(bytearray(4)) + 300).compute(),
        ),
        (OverflowError, "does not fit 64 bits", lambda: x + -(2**70)),
        (TypeError, "no truth value", lambda: bool(x > 0)),
        (TypeError, "no truth value", lambda: 0 < x < 1),
        (TypeError, "indexed by a bool mask", lambda: x[0]),
        (TypeError, "bool mask, not by float32", lambda: x[x].compute()),
        (ValueError, "mask has shape", lambda: x[np.ones(3, bool)].compute()),
        (ValueError, "different masks", lambda: (x[x > 0] + x[x < 0]).compute()),
        (ValueError, "axis", lambda: x.sum(axis=2).compute()),
        (ValueError, "column 't' is not given; pass", lambda: sf.col("t").compute()),
        (ValueError, "given are u", lambda: sf.col("t").compute(columns={"u": a})),
        (TypeError, "takes the name", lambda: sf.col(3)),
        (TypeError, "takes expressions", lambda: sf.compute(a)),
        (TypeError, "hashable", lambda: hash(x)),
        (TypeError, "not of", lambda: sf.lazy(np.zeros(3, [("x", "f4")]))),
        (TypeError, "casts to numbers", lambda: x.astype("S3")),
        (TypeError, "instances", lambda: sf.Expression()),
    ]:
        with pytest.raises(error, match=text):
            call()


def test_integers_compare_by_value():
    u = np.array([0, 255], "u1")
    x = sf.lazy(u)
    for number in (-1, 0, 255, 256, 2**63, 2**64 - 1):
        for name in ("less", "less_equal", "equal", "not_equal", "greater", "greater_equal"):
            operation = getattr(sf, name)
            same(operation(x, number).compute(), operation(sf.asarray(u), number))
            same(operation(number, x).compute(), operation(number, sf.asarray(u)))


# ---- columns ----


def test_functions_of_columns():
    f = sf.compile(sf.col("t") * 1.8 + sf.col("offset"))
    assert f.columns == ("t", "offset")
    t, offset = np.arange(4.0), np.full(4, 32.0)
    wanted = t * 1.8 + offset
    same(f(t, offset), wanted)
    same(f(offset=offset, t=t), wanted)
    same(f(t, offset=offset), wanted)
    records = np.zeros(4, [("offset", "f8"), ("pad", "u1"), ("t", ">f8")])
    records["t"], records["offset"] = t, offset
    same(f(records), wanted)
    out = np.zeros(4)
    assert f(t, offset, out=out) is out
    for text, call in [
        ("2 columns", lambda: f(t, offset, t)),
        ("given twice", lambda: f(t, t=t)),
        ("there is no column 'q'", lambda: f(q=t)),
    ]:
        with pytest.raises(TypeError, match=text):
            call()
    with pytest.raises(ValueError, match="'offset' is not given"):
        f(t)
    with pytest.raises(TypeError, match="takes expressions"):
        sf.compile([t])
    with pytest.raises(TypeError, match="0 columns"):
        sf.compile(sf.lazy(t) + 1)(t)
    assert gc.is_tracked(f) and f in gc.get_referrers(gc.get_referents(f)[1])


def test_a_function_takes_other_layouts_the_next_time():
    f = sf.compile((sf.col("x") - 1) * 2)
    out = np.empty(1000)
    for x in (
        np.arange(1000.0),
        np.arange(1000),
        np.arange(2000.0)[::2],
        np.arange(3.0),
        5.0,
        np.arange(1000.0).astype(">f8"),
        np.arange(6.0).reshape(2, 3),
    ):
        for _ in range(2):
            np.testing.assert_array_equal(np.asarray(f(x)), (np.asarray(x) - 1) * 2)
            if np.shape(x) == (1000,):
                assert f(x, out=out) is out
                same(out, (np.asarray(x, "f8") - 1) * 2)
    assert f(5.0) == 8.0
    x = np.arange(1000.0)
    f(x, out=x)
    same(x, (np.arange(1000.0) - 1) * 2)
    for target in sf.simd.targets():
        with sf.simd.use(target):
            same(f(x), (x - 1) * 2)


def test_columns_with_the_names_of_arguments():
    a = np.arange(4.0)
    f = sf.compile(sf.col("out") + sf.col("threads"))
    np.testing.assert_array_equal(f(a, a), a + a)
    with pytest.raises(TypeError, match="'out' is a column as well as an argument"):
        f(out=a, threads=a)
    with pytest.raises(ValueError, match="threads must be from 1 to"):
        sf.compile(sf.col("x") + 1)(a, threads=10**30)


def test_divmod_of_expressions():
    quotient, rest = divmod(sf.col("a"), 3)
    found = sf.compute(quotient, rest, columns={"a": np.arange(-5, 6)})
    for ours, theirs in zip(found, divmod(np.arange(-5, 6), 3), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    with pytest.raises(TypeError, match="unsupported operand"):
        divmod(sf.col("a"), "3")


def test_functions_of_several_expressions():
    x = sf.col("x")
    both = sf.compile((x.min(), x.max()))
    assert both(np.arange(5)) == (0, 4)
    named = sf.compile({"lo": x.min(), "hi": x.max()})
    assert named(np.arange(5)) == {"lo": 0, "hi": 4}
    assert named(x=[7.0, 3.0]) == {"lo": 3.0, "hi": 7.0}
    lo, hi = np.zeros(()), sf.zeros(())
    assert both(np.arange(5), out=(None, hi)) == (0, hi) and hi.item() == 4
    assert both(np.arange(5), out=[lo, hi])[0] is lo
    with pytest.raises(ValueError, match="1 outputs were given for 2 expressions"):
        both(np.arange(5), out=(hi,))
    same_twice = sf.compile([x.sum(keepdims=True)] * 2)(np.arange(5.0))
    assert same_twice[0].address != same_twice[1].address
    assert [r.tolist() for r in same_twice] == [[10.0], [10.0]]
    assert sf.compile([])() == () and sf.compile({})() == {}


def test_sums_of_what_is_not_written():
    """A chain that ends in a sum, alone or beside others that read the same or write over it."""
    rng = np.random.default_rng(5)
    for n in (1, 7, 1000, 4096, 70_001, 300_000):
        a, b = rng.normal(size=(2, n)).astype("f4")
        x, y = sf.lazy(a), sf.lazy(b)
        e = sf.clip((x - 0.5) * y, -1, 1)
        value = e.compute()
        eager = sf.sum(value), sf.mean(value)
        assert (e.sum().compute(), e.mean().compute()) == eager
        for threads in (1, 2, 3):
            assert sf.compute(e.sum(), e.mean(), threads=threads) == eager
        total, product, most, out = sf.compute(e.sum(), (x * y).sum(), e.max(), e + 1)
        assert (total, most) == (eager[0], sf.max(value))
        assert product == sf.sum(sf.multiply(a, b))
        same(out, np.asarray(value) + np.float32(1))
        first, second = sf.compute((x + y).sum(), ((x - y) * (x + 1)).mean())
        assert first == sf.sum(sf.add(a, b))
        assert second == sf.mean(sf.multiply(sf.subtract(a, b), sf.add(a, 1)))
        kept = e[x > 0]
        some, everything = sf.compute(kept.sum(), e.sum())
        assert everything == eager[0]
        assert some == pytest.approx(sf.sum(kept.compute()), rel=1e-5, abs=1e-4)


def test_sums_of_chains_keep_to_the_rules_of_sums():
    large = sf.lazy(np.full(10_000, 3e38, "f4"))
    assert (large * 1 - 2.9e38).sum().compute() == sf.sum((large * 1 - 2.9e38).compute())
    assert (large + 0).mean().compute() == np.float32(3e38)
    assert (large + 0).sum().compute() == float("inf")
    nan = np.ones(9000, "f4")
    nan[8000] = np.nan
    assert np.isnan((sf.lazy(nan) * 2).sum().compute())
    assert np.isnan(sf.clip(sf.lazy(nan), 0, 1).sum().compute())
    assert np.isnan(sf.clip(sf.lazy(np.ones(50, "f4")) + 1, np.nan, 5).sum().compute())
    assert sf.lazy(np.ones(0, "f4")).__add__(1).sum().compute() == 0
    assert str((sf.lazy(np.full(4, -0.0)) * 1).sum().compute()) == "-0.0"


# ---- formulas ----


@pytest.mark.parametrize(
    ("formula", "wanted"),
    [
        ("clip((a - 0.5) * 3.46, -1, 1)", lambda a, k: np.clip((a - 0.5) * 3.46, -1, 1)),
        ("a", lambda a, k: a),
        (" a+k ", lambda a, k: a + k),
        ("-a / +k", lambda a, k: -a / k),
        (
            "where((a > 0.5) & ~(a > 0.75), a, k)",
            lambda a, k: np.where((a > 0.5) & ~(a > 0.75), a, k),
        ),
        ("sum(a, axis=0) + max(a)", lambda a, k: a.sum(0) + a.max()),
        ("sqrt(absolute(a))", lambda a, k: np.sqrt(np.abs(a))),
        ("a*2*(1+1)", lambda a, k: a * 4),
    ],
)
def test_formulas(formula, wanted):
    a = np.random.default_rng(1).random((3, 4))
    same(sf.evaluate(formula, {"a": a, "k": 3.0}), wanted(a, 3.0), rtol=1e-12)


def test_formulas_that_are_numbers():
    assert sf.evaluate("1 + 2 * k", {"k": 4}) == 9
    assert sf.evaluate("k", {"k": True}) is True


@pytest.mark.parametrize(
    ("formula", "text"),
    [
        ("", "not valid"),
        ("a +", "not valid"),
        ("a; a", "not valid"),
        ("a.real", "not allowed: 'a.real'"),
        ("a[0]", "not allowed"),
        ("__import__('os').system('true')", "not allowed"),
        ("(lambda: a)()", "not allowed"),
        ("[a for a in a]", "not allowed"),
        ("a if a else a", "not allowed"),
        ("'text'", "not allowed"),
        ("f'{a}'", "not allowed"),
        ("(b := a)", "not allowed"),
        ("0 < a < 1", "join two with &"),
        ("a and a", "use & | ~"),
        ("not a", "use & | ~"),
        ("a is a", "chained|not allowed"),
        ("b + 1", "'b' is not given; given are a"),
        ("print(a)", "no operation 'print'"),
        ("asarray(a)", "no operation 'asarray'"),
        ("_compute(a)", "no operation '_compute'"),
        ("sum(a, axis=a)", "has to be a constant"),
        ("sum(a, **a)", "not allowed"),
        ("(" * 300 + "a" + ")" * 300, "not valid|deeply"),
        ("-" * 100_000 + "a", "not valid|deeply"),
        ("a" + "+a" * 100_000, "not valid|deeply"),
        ("a\0", "not valid|null"),
    ],
)
def test_formulas_that_are_refused(formula, text):
    with pytest.raises(ValueError, match=text):
        sf.evaluate(formula, {"a": np.zeros(3)})


def test_no_formula_does_anything_else():
    random = np.random.default_rng(3)
    tokens = [
        "a",
        "k",
        "(",
        ")",
        "+",
        "-",
        "*",
        "/",
        "<",
        "==",
        "&",
        "~",
        ",",
        "sum",
        "sqrt",
        "1",
        ".5",
        "axis=0",
        "[",
        "]",
        "'",
        "if",
        "lambda",
        ":",
        "not",
        " ",
        "1e999",
        "1j",
        "None",
        "...",
    ]
    names = {"a": np.arange(6.0), "k": 2}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # SyntaxWarning: 'int' object is not callable, and such
        for _ in range(3000):
            formula = "".join(random.choice(tokens, random.integers(1, 12)))
            with contextlib.suppress(ValueError, TypeError, OverflowError):
                sf.evaluate(formula, names)


# ---- life ----


def test_expressions_keep_what_they_read():
    a = bytearray(b"\1\2\3")
    x = sf.lazy(a) + 1
    with pytest.raises(BufferError):
        a.append(1)
    del a
    gc.collect()
    same(x.compute(), np.array([2, 3, 4], "u1"))
    array = sf.asarray(np.arange(3.0))
    y = sf.lazy(array) + 1
    array.close()
    with pytest.raises(ValueError, match="closed"):
        y.compute()


def test_expressions_are_freed_whatever_their_depth():
    class Buffer(bytearray):
        pass

    owner = Buffer(100)
    alive = weakref.ref(owner)
    x = sf.lazy(owner)
    del owner
    for _ in range(10_000):
        x = x + 0
    assert sys.getsizeof(x) < 1000
    same(x.compute(), np.zeros(100, "u1"))
    del x
    gc.collect()
    assert alive() is None


def test_cycles_through_expressions_are_collected():
    class Holder(bytearray):
        pass

    holder = Holder(8)
    holder.expression = sf.lazy(holder) + 1
    alive = weakref.ref(holder)
    del holder
    gc.collect()
    assert alive() is None


def test_threads_share_an_expression(a):
    x = sf.lazy(a)
    e = ((x - 0.5) * 2).clip(-1, 1)
    total = e.sum()
    wanted = total.compute()
    seen = []

    def work():
        for _ in range(20):
            seen.append(total.compute())
            sf.compute(e, e + 1)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [wanted] * 160


def test_explain(a, capsys):
    x = sf.lazy(a)
    assert ((x - 0.5) * 3.46).clip(-1, 1).sum().explain() is None
    text = capsys.readouterr().out
    for line in [
        "pass 1 of 1",
        "over (70, 1000) in blocks of",
        "in0 = float32(70, 1000)",
        " = sum(clip(multiply(subtract(in0, 0.5), 3.46), -1, 1))\n",
        "reads 280,000 bytes, writes 0 bytes\n",
    ]:
        assert line in text
    (x * 2 + 1).max().explain()
    text = capsys.readouterr().out
    for line in [
        "r0 = add(multiply(in0, 2), 1)  float32",
        "max(r0)",
        "reads 280,000 bytes, writes 0 bytes, 1 registers of",
    ]:
        assert line in text
    ((x - x.mean(axis=0)) * sf.col("k"))[x > 0].explain({"k": a.astype("f8")})
    text = capsys.readouterr().out
    assert "pass 2 of 2" in text
    assert "mean of an array along its axes" in text
    assert "cast(" in text
    assert "and what is left" in text
    with pytest.raises(ValueError, match="'k' is not given"):
        sf.col("k").explain()


def test_repr(a):
    x = sf.lazy(a)
    text = repr(((x - 0.5) * 2).clip(-1, 1).sum(axis=0))
    assert text == (
        "<spanflow expression sum(clip((float32(70, 1000) - 0.5) * 2, -1, 1), axis=(0,))>"
    )
    deep = x
    for _ in range(100):
        deep = deep + 1
    assert "…" in repr(deep)
    assert "of t" in repr(sf.compile(sf.col("t") + 1))


def test_places_in_expressions_count_in_c_order():
    values = np.random.default_rng(4).integers(0, 9, (30, 40)).astype("f4")
    for array in (values, values.T, values[::-1]):
        lazy = sf.lazy(array)
        assert (lazy * 2).argmax().compute() == np.argmax(array)
        assert lazy.argmin().compute() == np.argmin(array)
        np.testing.assert_array_equal((lazy + 1).argmax(0).compute(), np.argmax(array, 0))
        assert sf.nanmean(lazy).compute() == pytest.approx(array.mean())


def test_reductions_where(a):
    x = sf.lazy(a)
    mask = a > 0.5
    for where in (mask, x > 0.5, sf.asarray(mask), mask.tolist()):
        assert x.sum(where=where).compute() == x[x > 0.5].sum().compute()
        assert sf.mean(x * 2, where=where).compute() == (x * 2)[x > 0.5].mean().compute()
    assert x.std(correction=1, where=mask).compute() == x[x > 0.5].std(ddof=1).compute()
    assert x.sum(where=True).compute() == x.sum().compute()
    with pytest.raises(TypeError, match="for all elements only"):
        x.sum(axis=0, where=mask)
    with pytest.raises(TypeError, match="for all elements only"):
        x.sum(keepdims=True, where=mask)
    for place in (x.argmin, x.argmax):
        with pytest.raises(TypeError, match="takes no where: it says a place"):
            place(where=mask)
    with pytest.raises(ValueError, match="the mask has shape"):
        x.sum(where=mask[:3]).compute()
    for bad in (3, a):
        with pytest.raises((TypeError, ValueError), match="mask"):
            x.sum(where=bad).compute()
    with pytest.raises(TypeError, match="no initial and precise"):
        sf.sum(x, initial=3)
