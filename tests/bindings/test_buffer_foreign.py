"""Arrays over foreign exporters: what goes in comes out again, for every request.

`_testbuffer.ndarray` is CPython's complete exporter; where it is missing, __array_interface__
gives the same layouts.
"""

import array as array_module
import ctypes
import mmap
import struct
import sys

import pytest

import spanflow as sf
from tests.bindings import harness
from tests.bindings.harness import LAYOUTS, Strided, buffer, mismatches

COUNT = 12

# Every format that memoryview knows, and what other exporters write for the same things.
FOREIGN = {
    **{fmt: sf.dtype(name) for fmt, name in harness.DTYPES.items()},
    "q": sf.int64,
    "Q": sf.uint64,
    "n": sf.int64,
    "N": sf.uint64,
    "P": sf.uint64,
    "@i": sf.int32,
    "@d": sf.float64,
    "=i": sf.int32,
    "<i": sf.int32,
    "<q": sf.int64,
    "=l": sf.int32,
    "<L": sf.uint32,
    "!h": sf.dtype(">i2"),
    ">l": sf.dtype(">i4"),
    "<e": sf.float16,
    "<d": sf.float64,
    "<?": sf.bool_,
    ">B": sf.uint8,
}


def control(fmt, layout, raw, readonly):
    """CPython's exporter over 12 elements, and the truth about it."""
    _testbuffer = pytest.importorskip("_testbuffer")
    items = [value for (value,) in struct.iter_unpack(fmt, raw)]
    size = struct.calcsize(fmt)
    flags = 0 if readonly else _testbuffer.ND_WRITABLE
    if not layout.shape:
        exporter = _testbuffer.ndarray(items[0], shape=[], format=fmt, flags=flags)
        raw = raw[:size]
        layout = harness.LayoutCase((), (), 0, None)
    else:
        exporter = _testbuffer.ndarray(
            items,
            shape=layout.shape,
            strides=[s * size for s in layout.strides],
            offset=layout.offset * size,
            format=fmt,
            flags=flags,
        )
    with buffer(exporter, harness.FULL_RO) as view:
        base = view.buf - layout.offset * size
    return exporter, harness.truth_of(fmt, layout, base, raw, readonly)


@pytest.mark.parametrize("readonly", [False, True], ids=["rw", "ro"])
@pytest.mark.parametrize("fmt", FOREIGN)
def test_every_request_to_a_wrapped_exporter(fmt, readonly):
    raw = harness.raw_items(fmt, COUNT)
    wrong = []
    for name, layout in LAYOUTS.items():
        exporter, truth = control(fmt, layout, raw, readonly)
        array = sf.asarray(exporter, copy=False)
        assert array.storage == "foreign"
        assert array.dtype == FOREIGN[fmt]
        assert array.address == truth.address
        assert array.tolist() == truth.tolist()
        assert array.format == fmt
        wrong += [f"{name}: {line}" for line in mismatches(array, truth)]
        view = memoryview(array)
        wrong += [
            f"memoryview of {name}: {line}" for line in mismatches(view, truth, strict_scalar=False)
        ]
        again = sf.asarray(view, copy=False)
        wrong += [f"array of memoryview of {name}: {line}" for line in mismatches(again, truth)]
    assert not wrong, "\n".join(wrong[:20])


def test_chars_stay_chars():
    array = sf.asarray(memoryview(b"abc").cast("c"))
    assert array.dtype == "S1"
    assert array.tolist() == [b"a", b"b", b"c"]
    assert memoryview(array).format == "c"
    assert memoryview(array).tolist() == [b"a", b"b", b"c"]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("code", ["|u1", "<i4", ">i4", "<f8", "<f2", "|b1", "<u8"])
def test_every_request_to_a_wrapped_array_interface(code, layout):
    dtype = sf.dtype(code)
    raw = harness.raw_items(dtype.format, COUNT)
    owner = bytearray(raw)
    for readonly in (False, True):
        truth = harness.truth_of(
            dtype.format, LAYOUTS[layout], harness.address_of(owner), raw, readonly
        )
        exporter = Strided(owner, truth.address, code, truth.shape, truth.strides, readonly)
        array = sf.asarray(exporter, copy=False)
        assert (array.address, array.readonly) == (truth.address, readonly)
        assert array.tolist() == truth.tolist()
        wrong = mismatches(array, truth)
        wrong += mismatches(memoryview(array), truth, strict_scalar=False)
        assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("shape", [(0,), (3, 0), (0, 3), (2, 0, 2)], ids=str)
@pytest.mark.parametrize("fmt", ["B", "d", ">h"])
def test_empty_exporters(fmt, shape):
    _testbuffer = pytest.importorskip("_testbuffer")
    exporter = _testbuffer.ndarray([1, 2, 3, 4], shape=shape, format=fmt)
    array = sf.asarray(exporter)
    size = struct.calcsize(fmt)
    truth = harness.Truth(fmt, size, shape, exporter.strides, array.address, True, b"", 0)
    assert array.shape == shape
    assert not mismatches(array, truth)
    assert array.tolist() == exporter.tolist()


# Exporters of the standard library keep their address; nothing is copied.

STANDARD = {
    "bytes": (lambda: b"spanflow-123", "B", True),
    "bytearray": (lambda: bytearray(b"spanflow-123"), "B", False),
    "array d": (lambda: array_module.array("d", [1.5, -2.0]), "d", False),
    "array q": (lambda: array_module.array("q", [1, -2]), "q", False),
    "array H": (lambda: array_module.array("H", [1, 2, 65535]), "H", False),
    "ctypes": (lambda: (ctypes.c_int32 * 4)(1, 2, 3, -4), "<i", False),
    "ctypes 2-d": (lambda: (ctypes.c_double * 2 * 3)((1, 2), (3, 4), (5, 6)), "<d", False),
    "mmap": (lambda: mmap.mmap(-1, 16), "B", False),
    "memoryview": (lambda: memoryview(bytearray(b"0123456789ab")).cast("i"), "i", False),
    "memoryview 2-d": (lambda: memoryview(bytes(range(12))).cast("B", (3, 4)), "B", True),
    "memoryview reversed": (lambda: memoryview(b"spanflow")[::-2], "B", True),
}


@pytest.mark.parametrize("name", STANDARD)
def test_standard_exporters(name):
    make, fmt, readonly = STANDARD[name]
    exporter = make()
    truth = harness.truth_from(exporter)
    assert (truth.fmt, truth.readonly) == (fmt, readonly)
    array = sf.asarray(exporter, copy=False)
    assert array.address == truth.address
    assert (array.shape, array.strides) == (truth.shape, truth.strides)
    assert array.readonly is readonly
    assert array.storage == "foreign"
    assert array.format == fmt
    assert array.tobytes() == memoryview(exporter).tobytes()
    wrong = mismatches(array, truth)
    assert not wrong, "\n".join(wrong)
    array.close()
    if name == "mmap":
        exporter.close()  # nothing holds it any more


def test_a_write_is_seen_on_both_sides():
    exporter = array_module.array("d", [1, 2, 3])
    array = sf.asarray(exporter)
    array[1] = -5
    assert exporter[1] == -5
    exporter[2] = 7
    assert array[2] == 7


def test_the_exporter_lives_as_long_as_a_view():
    class Exporter(bytearray):
        pass

    exporter = Exporter(b"0123456789")
    before = sys.getrefcount(exporter)
    array = sf.asarray(exporter)
    view = array[2:][::2]
    assert sys.getrefcount(exporter) > before
    del array
    with pytest.raises(BufferError):
        exporter.append(1)  # locked by the view
    assert bytes(view) == b"2468"
    del view
    assert sys.getrefcount(exporter) == before
    exporter.append(1)


# Suboffsets: rows behind pointers cannot be wrapped, only copied.


def test_suboffsets_are_copied_and_said():
    _testbuffer = pytest.importorskip("_testbuffer")
    exporter = _testbuffer.ndarray(list(range(12)), shape=[3, 4], flags=_testbuffer.ND_PIL)
    array = sf.asarray(exporter)
    assert array.tolist() == exporter.tolist()
    assert array.storage == "heap"
    with pytest.raises(ValueError, match="suboffsets"):
        sf.asarray(exporter, copy=False)
    assert sf.asarray(exporter, copy=True).tolist() == exporter.tolist()
    assert sf.asarray(exporter[::-1, 1:]).tolist() == exporter[::-1, 1:].tolist()


def test_all_negative_suboffsets_are_none():
    _testbuffer = pytest.importorskip("_testbuffer")
    exporter = _testbuffer.ndarray(list(range(12)), shape=[3, 4], flags=_testbuffer.ND_PIL)[1]
    array = sf.asarray(exporter, copy=False)
    assert array.tolist() == [4, 5, 6, 7]
    with buffer(array, harness.FULL_RO) as view:
        assert not view.suboffsets


# Formats that spanflow does not have are refused by name, and nothing stays locked.


@pytest.mark.parametrize(
    ("ctype", "word"),
    [
        (ctypes.c_longdouble, "long double"),
        (ctypes.py_object, "Python objects"),
        (ctypes.c_wchar, "unicode"),
        (ctypes.c_char_p, "z"),
        (ctypes.POINTER(ctypes.c_int), "&"),
        (ctypes.CFUNCTYPE(None), "X"),
    ],
    ids=lambda x: getattr(x, "__name__", x),
)
def test_unknown_formats_are_named(ctype, word):
    exporter = (ctype * 2)()
    before = sys.getrefcount(exporter)
    for make in (sf.asarray, sf.array, memoryview_first):
        with pytest.raises(TypeError, match=word):
            make(exporter)
    assert sys.getrefcount(exporter) == before


def memoryview_first(exporter):
    return sf.asarray(memoryview(exporter))


def test_a_refused_exporter_is_released():
    numpy = pytest.importorskip("numpy")
    longs = numpy.zeros(3, numpy.longdouble)
    if longs.itemsize == 8:
        pytest.skip("long double is double here")
    before = sys.getrefcount(longs)
    for _ in range(5):
        with pytest.raises(TypeError, match="long double"):
            sf.asarray(longs)
    assert sys.getrefcount(longs) == before
    objects = numpy.array([object()])
    with pytest.raises(TypeError, match="objects?"):
        sf.asarray(objects)
