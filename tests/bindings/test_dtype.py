"""dtypes: names, codes, equality with NumPy's, records, and what is refused."""

import copy
import pickle

import pytest

import spanflow as sf

NUMERIC = {
    "bool": (sf.bool_, "|b1", "?", 1, "b"),
    "int8": (sf.int8, "|i1", "b", 1, "i"),
    "uint8": (sf.uint8, "|u1", "B", 1, "u"),
    "int16": (sf.int16, "<i2", "h", 2, "i"),
    "uint16": (sf.uint16, "<u2", "H", 2, "u"),
    "int32": (sf.int32, "<i4", "i", 4, "i"),
    "uint32": (sf.uint32, "<u4", "I", 4, "u"),
    "int64": (sf.int64, "<i8", "l", 8, "i"),
    "uint64": (sf.uint64, "<u8", "L", 8, "u"),
    "float16": (sf.float16, "<f2", "e", 2, "f"),
    "float32": (sf.float32, "<f4", "f", 4, "f"),
    "float64": (sf.float64, "<f8", "d", 8, "f"),
    "complex64": (sf.complex64, "<c8", "Zf", 8, "c"),
    "complex128": (sf.complex128, "<c16", "Zd", 16, "c"),
}


@pytest.mark.parametrize("name", NUMERIC)
def test_what_a_dtype_says(name):
    dtype, code, fmt, itemsize, kind = NUMERIC[name]
    assert dtype.name == name
    assert dtype.str == code
    assert dtype.format == fmt
    assert dtype.itemsize == itemsize
    assert dtype.kind == kind
    assert dtype.isnative
    assert dtype.names is None and dtype.fields is None
    assert str(dtype) == name
    assert name in repr(dtype)
    assert sf.dtype(repr(dtype).split("'")[1]) == dtype


@pytest.mark.parametrize("name", NUMERIC)
def test_equality_with_everything_that_reads_as_a_dtype(name):
    np = pytest.importorskip("numpy")
    dtype, code, *_ = NUMERIC[name]
    same = [name, code, code[1:], "=" + code[1:], np.dtype(name), np.dtype(name).type, dtype]
    for other in same:
        assert dtype == other, other
        assert not dtype != other  # noqa: SIM202  (both operators)
        assert sf.dtype(other) == dtype
    assert np.dtype(name) == dtype  # NumPy asks for dtype.dtype
    for other in ("S3", ">i2" if name != "int16" else ">i4", np.dtype("S1"), None, 7, object()):
        assert dtype != other and not dtype == other  # noqa: SIM201  (both operators)


@pytest.mark.parametrize("name", NUMERIC)
def test_byte_order(name):
    np = pytest.importorskip("numpy")
    dtype = sf.dtype(name)
    swapped = dtype.newbyteorder()
    if dtype.itemsize == 1:
        assert swapped == dtype and dtype.byteorder == "|"
        return
    assert swapped != dtype
    assert swapped == np.dtype(name).newbyteorder()
    assert swapped.byteorder == ">" and dtype.byteorder == "="
    assert not swapped.isnative
    assert swapped.str == ">" + dtype.str[1:]
    assert swapped.newbyteorder() == dtype
    assert hash(swapped) == hash(sf.dtype(swapped.str))


def test_hash_agrees_with_equality():
    assert len({sf.float32, sf.dtype("f4"), sf.dtype("<f4"), sf.dtype(">f4")}) == 2
    assert {sf.float32: 1}[sf.dtype("f4")] == 1


PYTHON_TYPES = {bool: "bool", int: "int64", float: "float64", complex: "complex128"}


@pytest.mark.parametrize("type_", PYTHON_TYPES, ids=lambda t: t.__name__)
def test_python_types(type_):
    assert sf.dtype(type_) == PYTHON_TYPES[type_]
    assert sf.zeros(2, type_).dtype == PYTHON_TYPES[type_]


def test_every_numpy_scalar_type():
    np = pytest.importorskip("numpy")
    for char in "?bBhHiIlLqQefdFD":
        expected = np.dtype(char)
        assert sf.dtype(expected) == expected
        assert sf.dtype(expected.type) == expected, expected.type
        assert sf.dtype(char).str == expected.str
    for alias in ("half", "single", "double", "intp", "uintp"):
        assert sf.dtype(alias) == np.dtype(alias)


def test_bytes_dtypes():
    dtype = sf.dtype("S10")
    assert (dtype.itemsize, dtype.kind, dtype.str, dtype.format) == (10, "S", "|S10", "10s")
    assert dtype == sf.dtype("|S10") != sf.dtype("S11")
    np = pytest.importorskip("numpy")
    assert dtype == np.dtype("S10")


def test_bfloat16():
    dtype = sf.bfloat16
    assert dtype == "bfloat16" and dtype.itemsize == 2
    assert dtype != "float16" and dtype != "u2" and dtype != "i2"
    array = sf.array([1.0, -2.5, 3.140625], "bfloat16")
    assert array.tolist() == [1.0, -2.5, 3.140625]
    assert array.view("u2").tolist() == [0x3F80, 0xC020, 0x4049]
    # Round to nearest, ties to even.
    values = sf.array([1 + 2**-8, 1 + 3 * 2**-8, 1 + 2**-8 + 2**-20], "f4").astype("bfloat16")
    assert values.view("u2").tolist() == [0x3F80, 0x3F82, 0x3F81]


RECORDS = [
    [("x", "<f4"), ("y", "<i8")],
    [("a", "|u1"), ("b", ">f8"), ("c", "|S3")],
    [("v", "<f4", (3,)), ("m", "<i2", (2, 2))],
    [("outer", [("p", "<f8"), ("q", "|b1")]), ("z", "<c8")],
]


@pytest.mark.parametrize("spec", RECORDS, ids=str)
def test_records_are_numpys(spec):
    np = pytest.importorskip("numpy")
    theirs, ours = np.dtype(spec), sf.dtype(spec)
    assert ours == theirs
    assert ours == sf.dtype(theirs) == spec
    assert ours.itemsize == theirs.itemsize
    assert ours.names == theirs.names
    assert ours.kind == "V"
    for name in theirs.names:
        dtype, offset, shape = ours.fields[name]
        assert dtype == theirs[name].base
        assert (offset, shape) == (theirs.fields[name][1], theirs[name].shape)
    assert hash(ours) == hash(sf.dtype(theirs))
    assert sf.dtype(np.dtype(spec).newbyteorder()) == ours.newbyteorder()
    aligned = np.dtype(spec, align=True)
    assert sf.dtype(aligned) == aligned
    assert np.asarray(sf.zeros(2, aligned)).dtype == aligned


def test_record_equality_looks_at_everything():
    base = sf.dtype([("x", "f4"), ("y", "i4")])
    others = [
        [("x", "f4"), ("z", "i4")],
        [("y", "i4"), ("x", "f4")],
        [("x", "f4"), ("y", ">i4")],
        [("x", "f4"), ("y", "u4")],
        [("x", "f4"), ("y", "i4"), ("z", "i4")],
        [("x", "f4"), ("y", "i4", (1,))],
        {"names": ["x", "y"], "formats": ["f4", "i4"], "offsets": [0, 4], "itemsize": 12},
        {"names": ["x", "y"], "formats": ["f4", "i4"], "offsets": [4, 0]},
    ]
    for spec in others:
        assert base != sf.dtype(spec), spec
        assert base != spec


def test_unnamed_fields():
    np = pytest.importorskip("numpy")
    for spec in ([("", "<f4"), ("x", "<i4")], [("", "|S8"), ("x", "<i4")], [("", "|u1")]):
        assert sf.dtype(spec) == np.dtype(spec), spec
    padded = np.dtype([("a", "u1"), ("b", "f8")], align=True)
    assert sf.dtype(padded.descr) == padded  # "|V7" without a name is padding


def test_records_from_a_dict():
    np = pytest.importorskip("numpy")
    spec = {"names": ["a", "b"], "formats": ["<i4", "<f8"], "offsets": [8, 0], "itemsize": 24}
    assert sf.dtype(spec) == np.dtype(spec)
    assert sf.dtype(spec).fields == {"a": (sf.int32, 8, ()), "b": (sf.float64, 0, ())}


def test_dtypes_are_copied_and_pickled():
    for dtype in [*(v[0] for v in NUMERIC.values()), sf.bfloat16, sf.dtype(">f4"), sf.dtype("S7")]:
        for protocol in (2, 5):
            assert pickle.loads(pickle.dumps(dtype, protocol)) == dtype
        assert copy.copy(dtype) == copy.deepcopy(dtype) == dtype
    record = sf.dtype({"names": ["a"], "formats": [">i4"], "offsets": [3], "itemsize": 9})
    assert pickle.loads(pickle.dumps(record)) == record
    nested = sf.dtype([("x", "f4"), ("grid", ">i2", (3, 2)), ("in", [("s", "S3", (4,))])])
    assert pickle.loads(pickle.dumps(nested)) == copy.deepcopy(nested) == nested
    spec = {"names": ["g"], "formats": [("i2", (3,))], "offsets": [2], "itemsize": 8}
    assert sf.dtype(spec) == pytest.importorskip("numpy").dtype(spec)
    assert sf.dtype(spec).fields["g"] == (sf.int16, 2, (3,))


# What is refused names what was given.

REFUSED = [
    ("float128", TypeError, "float128"),
    ("object", TypeError, "object"),
    ("O", TypeError, "O"),
    ("U5", TypeError, "U5"),
    ("<U5", TypeError, "<U5"),
    ("M8[s]", TypeError, r"M8\[s\]"),
    ("datetime64", TypeError, "datetime64"),
    ("timedelta64[ns]", TypeError, "timedelta64"),
    ("f3", TypeError, "f3"),
    ("i16", TypeError, "i16"),
    ("", TypeError, "dtype"),
    ("<", TypeError, "<"),
    ("S-1", TypeError, "S-1"),
    ("S99999999999999999999", TypeError, "S9999"),
    ("float32 ", TypeError, "float32 "),
    ("f4\0", TypeError, "f4"),
    (7, TypeError, "7"),
    (None, TypeError, "None"),
    (str, TypeError, "str"),
    (object, TypeError, "object"),
    (list, TypeError, "list"),
    ({}, TypeError, "names"),
    ({"names": ["a"]}, TypeError, "formats"),
    ({"names": ["a", "b"], "formats": ["f4"]}, ValueError, "equally long"),
    ({"names": ["a"], "formats": ["f4"], "offsets": [-1]}, ValueError, "a"),
    ({"names": ["a"], "formats": ["f4"], "offsets": [0], "itemsize": 2}, ValueError, "a"),
    ({"names": ["a"], "formats": ["f4"], "offsets": [1 << 70]}, OverflowError, None),
    ({"names": ["a"], "formats": ["f4"], "offsets": [2**63 - 2]}, ValueError, "large"),
    ([("x", "f4"), ("x", "i4")], ValueError, "x"),
    ([("x",)], TypeError, "x"),
    (["x"], TypeError, "x"),
    ([("x", "f4", -1)], ValueError, "negative"),
    ([("x", "f4", (2, -1))], ValueError, "negative"),
    ([("x", "O")], TypeError, "O"),
    ([("x", "f8", (1 << 40, 1 << 40))], ValueError, None),
    ([("", "|V")], TypeError, None),
    ([("", "|Vx")], TypeError, None),
    ([("", "|V99999999999999999999999")], (TypeError, ValueError), None),
    ([("", "|V-8"), ("x", "f4")], (TypeError, ValueError), None),
    ([("", "|V-8")], (TypeError, ValueError), None),
    ([("x", "f4"), ("", "|V-4"), ("y", "i4")], (TypeError, ValueError), None),
    ([("", "|"), ("x", "f4")], (TypeError, ValueError), None),
    ([(3, "f4")], TypeError, None),
]


@pytest.mark.parametrize(("spec", "error", "word"), REFUSED, ids=lambda x: str(x)[:40])
def test_refused(spec, error, word):
    with pytest.raises(error, match=word):
        sf.dtype(spec)
    with pytest.raises(error, match=word):
        sf.empty(0, spec) if spec is not None else sf.dtype(None)


def test_numpy_dtypes_that_we_have_not_are_named():
    np = pytest.importorskip("numpy")
    for bad in ("O", "U3", "M8[ms]", "m8[D]", "V5"):
        theirs = np.dtype(bad)
        with pytest.raises(TypeError, match="dtype"):
            sf.dtype(theirs)
    if np.dtype("longdouble").itemsize > 8:
        with pytest.raises(TypeError, match="float128|longdouble|long double"):
            sf.dtype(np.dtype("longdouble"))


def test_nesting_is_bounded():
    spec = "f4"
    for _ in range(2000):
        spec = [("x", spec)]
    with pytest.raises((ValueError, RecursionError, TypeError)):
        sf.dtype(spec)


def test_dtypes_cannot_be_changed():
    for name in ("name", "itemsize", "str", "fields", "new"):
        with pytest.raises((AttributeError, TypeError)):
            setattr(sf.float32, name, 1)
    with pytest.raises(TypeError):
        sf.dtype.name = "x"
    with pytest.raises(TypeError):
        sf.dtype()
    with pytest.raises(TypeError):
        sf.float32 < sf.float64  # noqa: B015


def test_swapped_bfloat16_pickles():
    swapped = sf.dtype(">bf2")
    assert pickle.loads(pickle.dumps(swapped)) == swapped
    record = sf.dtype([("x", ">bf2"), ("y", "bf2")])
    assert pickle.loads(pickle.dumps(record)) == record


def test_alignment_is_not_ignored():
    spec = {"names": ["a", "b"], "formats": ["i1", "i4"], "aligned": True}
    with pytest.raises(ValueError, match="offsets.*itemsize"):
        sf.dtype(spec)
    assert sf.dtype(spec | {"aligned": False}).itemsize == 5
    np = pytest.importorskip("numpy")
    given = sf.dtype(spec | {"offsets": [0, 4], "itemsize": 8})
    assert given == np.dtype(spec)


@pytest.mark.parametrize(
    "spec",
    [
        "f4", ">i2", "S3", "?", "c16", [("x", "f4"), ("y", ">i2", (3,))],
        {"names": ["a"], "formats": ["i4"], "offsets": [4], "itemsize": 12},
        [("outer", [("inner", "f4")])],
    ],
    ids=str,
)  # fmt: skip
def test_numpy_takes_our_dtypes(spec):
    np = pytest.importorskip("numpy")
    dtype = sf.dtype(spec)
    assert np.dtype(dtype) == np.dtype(spec)
    assert np.zeros(2, dtype).dtype == np.dtype(spec)
    assert dtype.dtype == np.dtype(spec)


def test_numpy_has_no_bfloat16():
    np = pytest.importorskip("numpy")
    with pytest.raises(TypeError):
        np.dtype(sf.bfloat16)
