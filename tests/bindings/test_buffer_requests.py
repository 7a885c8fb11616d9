"""Every request of PEP 3118 against every kind of storage, format and layout.

The rules are CPython's own (verify_getbuf of its test_buffer); tests/bindings/harness.py computes
them from the parameters of construction.
"""

import ctypes
import struct
import sys

import pytest

import spanflow as sf
from tests.bindings import harness
from tests.bindings.harness import DTYPES, LAYOUTS, NATIVE, buffer, mismatches

COUNT = 12


def heap(fmt, raw, tmp_path):
    flat = sf.empty(COUNT, DTYPES[fmt])
    ctypes.memmove(flat.address, raw, len(raw))
    return flat, False


def mapped_read_only(fmt, raw, tmp_path):
    path = tmp_path / "a.raw"
    path.write_bytes(raw)
    return sf.open(path, dtype=DTYPES[fmt]), True


def mapped_copy_on_write(fmt, raw, tmp_path):
    path = tmp_path / "a.raw"
    path.write_bytes(raw)
    return sf.open(path, "c", dtype=DTYPES[fmt]), False


def mapped_in_the_middle(fmt, raw, tmp_path):
    path = tmp_path / "a.raw"
    path.write_bytes(b"xyz" + raw)
    return sf.open(path, "r+", dtype=DTYPES[fmt], offset=3), False


def from_bytes(fmt, raw, tmp_path):
    return sf.frombuffer(raw, DTYPES[fmt]), True


def from_bytearray(fmt, raw, tmp_path):
    return sf.frombuffer(bytearray(raw), DTYPES[fmt]), False


STORAGES = [
    heap,
    mapped_read_only,
    mapped_copy_on_write,
    mapped_in_the_middle,
    from_bytes,
    from_bytearray,
]


@pytest.mark.parametrize("storage", STORAGES, ids=lambda f: f.__name__)
@pytest.mark.parametrize("fmt", DTYPES)
def test_every_request(fmt, storage, tmp_path):
    raw = harness.raw_items(fmt, COUNT)
    flat, readonly = storage(fmt, raw, tmp_path)
    assert (flat.shape, flat.readonly) == ((COUNT,), readonly)
    wrong = []
    for name, layout in LAYOUTS.items():
        array = layout.of(flat)
        truth = harness.truth_of(fmt, layout, flat.address, raw, readonly)
        assert array.address == truth.address, name
        view = memoryview(array)
        wrong += [f"{name}: {line}" for line in mismatches(array, truth)]
        wrong += [
            f"memoryview of {name}: {line}" for line in mismatches(view, truth, strict_scalar=False)
        ]
    assert not wrong, "\n".join(wrong[:20])


@pytest.mark.parametrize("fmt", DTYPES)
def test_attributes_say_what_the_buffer_says(fmt):
    raw = harness.raw_items(fmt, COUNT)
    flat, _ = from_bytes(fmt, raw, None)
    for layout in LAYOUTS.values():
        array = layout.of(flat)
        truth = harness.truth_of(fmt, layout, flat.address, raw, True)
        assert array.shape == truth.shape
        assert array.strides == truth.strides
        assert array.ndim == truth.ndim
        assert array.itemsize == truth.itemsize
        assert array.nbytes == truth.nbytes
        assert array.size * array.itemsize == truth.nbytes
        assert array.format == truth.fmt
        assert array.readonly is True
        assert array.c_contiguous is truth.c_contiguous
        assert array.f_contiguous is truth.f_contiguous
        assert array.contiguous is (truth.c_contiguous or truth.f_contiguous)
        assert array.tolist() == truth.tolist()
        for order in "CF":
            assert array.tobytes(order) == truth.tobytes(order)
        assert array.tobytes("A") == truth.tobytes("F" if only_f(truth) else "C")


def only_f(truth):
    return truth.f_contiguous and not truth.c_contiguous


@pytest.mark.parametrize("fmt", NATIVE)
def test_memoryview_reads_the_same_elements(fmt):
    raw = harness.raw_items(fmt, COUNT)
    flat, _ = from_bytearray(fmt, raw, None)
    for layout in LAYOUTS.values():
        array = layout.of(flat)
        truth = harness.truth_of(fmt, layout, flat.address, raw, False)
        view = memoryview(array)
        assert view.obj is array
        assert view.format == fmt
        assert view.tobytes() == truth.tobytes()
        if fmt != "e" or hasattr(array, "__buffer__"):  # memoryview reads 'e' since 3.12
            assert view.tolist() == truth.tolist()
            assert view == array
        with view.toreadonly() as readonly:
            assert readonly.readonly and readonly.tobytes() == truth.tobytes()


@pytest.mark.parametrize("fmt", NATIVE)
def test_writes_through_a_memoryview_are_the_arrays(fmt):
    if fmt == "e" and not hasattr(sf.empty(1), "__buffer__"):
        pytest.skip("memoryview writes 'e' since 3.12")
    array = sf.zeros(4, DTYPES[fmt])
    (value,) = struct.unpack(fmt, harness.raw_items(fmt, 1, seed=3))
    view = memoryview(array)
    view[1] = value
    assert array[1] == value
    assert array.tobytes() == struct.pack(f"4{fmt}", 0, value, 0, 0)


# Zero-size arrays: contiguous in both orders, length 0, never a null address.

EMPTY = [(0,), (0, 3), (3, 0), (2, 0, 2), (0, 0)]


@pytest.mark.parametrize("shape", EMPTY, ids=str)
@pytest.mark.parametrize("dtype", ["u1", "f8", ">i4"])
@pytest.mark.parametrize("make", ["heap", "foreign", "slice", "transposed", "mapped"])
def test_zero_size(make, dtype, shape, tmp_path):
    itemsize = sf.dtype(dtype).itemsize
    strides = harness.c_strides(shape, itemsize)
    readonly = False
    if make == "heap":
        array = sf.empty(shape, dtype)
    elif make == "foreign":
        array = sf.frombuffer(b"", dtype).reshape(shape)
        readonly = True
    elif make == "slice":
        whole = sf.empty([max(n, 1) for n in shape], dtype)
        array = whole[tuple(slice(0, n) for n in shape)]
        strides = array.strides
    elif make == "transposed":
        array = sf.empty(shape[::-1], dtype).T
        strides = harness.c_strides(shape[::-1], itemsize)[::-1]
    else:
        array = sf.open(tmp_path / "a.npy", "w+", dtype=dtype, shape=shape)
    fmt = sf.dtype(dtype).format
    truth = harness.Truth(fmt, itemsize, shape, strides, 0, readonly, b"", 0)
    assert array.strides == strides
    assert array.c_contiguous and array.f_contiguous and array.contiguous
    wrong = mismatches(array, truth) + mismatches(memoryview(array), truth)
    assert not wrong, "\n".join(wrong)
    with buffer(array, harness.FULL_RO) as view:
        assert harness.is_contiguous(view, b"C") and harness.is_contiguous(view, b"F")
    assert array.tolist() == truth.tolist()
    assert bytes(array) == b""


# Sizes at the edges of the protocol.


@pytest.mark.parametrize("ndim", [32, 33, 64])
def test_many_dimensions(ndim):
    array = sf.arange(6, dtype="i2").reshape((1,) * (ndim - 2) + (2, 3))
    assert array.ndim == ndim
    truth = harness.Truth(
        "h",
        2,
        (1,) * (ndim - 2) + (2, 3),
        harness.c_strides(array.shape, 2),
        array.address,
        False,
        array.tobytes(),
        array.address,
    )
    wrong = mismatches(array, truth) + mismatches(memoryview(array), truth)
    assert not wrong, "\n".join(wrong)
    again = sf.asarray(memoryview(array))
    assert (again.shape, again.address) == (array.shape, array.address)


@pytest.mark.parametrize(
    "make",
    [
        lambda: sf.empty((1,) * 65),
        lambda: sf.zeros((1,) * 64)[None],
        lambda: sf.zeros((1,) * 64)[..., None],
        lambda: sf.zeros(1).reshape((1,) * 65),
        lambda: sf.asarray(harness.Strided(None, 64, "<f8", (1,) * 65)),
    ],
    ids=["empty", "newaxis", "newaxis last", "reshape", "interface"],
)
def test_more_than_64_dimensions_are_refused(make):
    with pytest.raises((ValueError, IndexError), match="64"):
        make()


# All masks, sensible or not: an answer that follows the rules, or BufferError; never a crash.


@pytest.mark.parametrize("layout", ["0-d", "1-d", "C", "F", "transposed slice", "size 1"])
@pytest.mark.parametrize("readonly", [False, True])
def test_all_masks(layout, readonly):
    raw = harness.raw_items("i", COUNT)
    flat, _ = (from_bytes if readonly else from_bytearray)("i", raw, None)
    array = LAYOUTS[layout].of(flat)
    truth = harness.truth_of("i", LAYOUTS[layout], flat.address, raw, readonly)
    wrong = []
    for flags in range(0x400):
        if flags in (harness.PYBUF_READ, harness.PYBUF_WRITE):
            continue  # below
        known = flags & 0x1FD  # bits that no request has change nothing
        what = harness.mismatch(array, truth, flags)
        if known == 0 and flags != 0 and what is not None:
            continue  # an unknown bit alone may be refused, too
        if what is not None:
            wrong.append(f"{flags:#x}: {what}")
    assert not wrong, "\n".join(wrong[:20])
    assert not array.closed


@pytest.mark.parametrize("flags", [harness.PYBUF_READ, harness.PYBUF_WRITE])
def test_access_modes_are_no_requests(flags):
    array = sf.zeros(3)
    with pytest.raises((SystemError, BufferError)), buffer(array, flags):
        pass
    array.close()  # nothing is borrowed


@pytest.mark.parametrize("flags", harness.REQUESTS)
def test_null_py_buffer(flags):
    array = sf.zeros((3, 4))
    with pytest.raises(BufferError):
        harness.get_buffer(array, None, flags)
    array.close()


def test_null_view_from_c():
    _testcapi = pytest.importorskip("_testcapi")
    with pytest.raises(BufferError):
        _testcapi.getbuffer_with_null_view(sf.zeros(3))


@pytest.mark.parametrize("flags", [harness.FULL_RO, harness.SIMPLE])
def test_a_copy_of_the_py_buffer_may_be_released(flags):
    """Consumers may move a Py_buffer; nothing may hang on its address."""
    array = sf.zeros((3, 4))
    first, second = harness.PyBuffer(), harness.PyBuffer()
    harness.get_buffer(array, first, flags)
    ctypes.memmove(ctypes.byref(second), ctypes.byref(first), ctypes.sizeof(first))
    ctypes.memset(ctypes.byref(first), 0xA5, ctypes.sizeof(first))
    harness.release_buffer(second)
    assert not second.obj
    harness.release_buffer(second)  # a second release of the same buffer does nothing
    array.close()


def test_what_a_buffer_points_to_stays_while_it_is_held():
    array = sf.zeros((3, 4), "i2")[::2]
    with buffer(array, harness.FULL_RO) as first:
        with buffer(array, harness.FULL_RO) as second:
            assert ctypes.addressof(first.shape.contents) == ctypes.addressof(second.shape.contents)
        assert first.shape[:2] == [2, 4]
        assert first.strides[:2] == [16, 2]
        assert first.format == b"h"
        # A buffer keeps its array, and with it the strings and numbers that it points to.
        del array
        sf.zeros((7, 7), "f8")
        assert (first.shape[:2], first.strides[:2], first.format) == ([2, 4], [16, 2], b"h")


def test_refused_requests_leave_nothing_behind():
    array = sf.zeros((3, 4))[:, ::2]
    before = sys.getrefcount(array)
    for _ in range(100):
        for flags in harness.REQUESTS:
            view = harness.PyBuffer()
            try:
                harness.get_buffer(array, view, flags)
            except BufferError:
                assert view.obj is None
            else:
                harness.release_buffer(view)
    assert sys.getrefcount(array) == before
    array.close()


# The oracle itself, against CPython's own exporter.


@pytest.mark.parametrize("fmt", [*NATIVE, ">i"])
def test_the_oracle_agrees_with_cpython(fmt):
    _testbuffer = pytest.importorskip("_testbuffer")
    raw = harness.raw_items(fmt, COUNT)
    items = [value for (value,) in struct.iter_unpack(fmt, raw)]
    for writable in (0, _testbuffer.ND_WRITABLE):
        for name, layout in LAYOUTS.items():
            size = struct.calcsize(fmt)
            if not layout.shape:
                control = _testbuffer.ndarray(items[5], shape=[], format=fmt, flags=writable)
                layout = harness.LayoutCase((), (), 0, None)
                data = raw[5 * size : 6 * size]
            else:
                control = _testbuffer.ndarray(
                    items,
                    shape=layout.shape,
                    strides=[s * size for s in layout.strides],
                    offset=layout.offset * size,
                    format=fmt,
                    flags=writable,
                )
                data = raw
            with buffer(control, harness.FULL_RO) as view:
                base = view.buf - layout.offset * size
            truth = harness.truth_of(fmt, layout, base, data, not writable)
            assert control.tobytes() == truth.tobytes(), name
            assert not mismatches(control, truth, strict_scalar=False), name
            view = memoryview(control)
            assert not mismatches(view, truth, strict_scalar=False), name
