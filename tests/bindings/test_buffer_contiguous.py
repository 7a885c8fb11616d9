"""Contiguous copies in both orders, there and back, by CPython's own functions."""

import ctypes

import pytest

import spanflow as sf
from tests.bindings import harness
from tests.bindings.harness import LAYOUTS, buffer

FORMATS = ["?", "B", "h", "i", "l", "e", "d", ">i", ">d"]
COUNT = 12


def make(fmt, layout, readonly):
    raw = harness.raw_items(fmt, COUNT)
    flat = sf.frombuffer(raw if readonly else bytearray(raw), harness.DTYPES[fmt])
    return layout.of(flat), harness.truth_of(fmt, layout, flat.address, raw, readonly)


def order_of(truth, order):
    """'A' keeps Fortran order where there is one, else it is C."""
    if order != "A":
        return order
    return "F" if truth.f_contiguous and not truth.c_contiguous else "C"


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("fmt", FORMATS)
def test_to_contiguous(fmt, layout):
    array, truth = make(fmt, LAYOUTS[layout], True)
    for order in "CFA":
        expected = truth.tobytes(order_of(truth, order))
        out = ctypes.create_string_buffer(truth.nbytes)
        with buffer(array, harness.FULL_RO) as view:
            assert harness.to_contiguous(out, view, truth.nbytes, order.encode()) == 0
        assert out.raw == expected
        if truth.ndim:
            assert memoryview(array).tobytes(order) == expected


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("fmt", FORMATS)
def test_from_contiguous(fmt, layout):
    """Bytes in C or Fortran order land on the right elements, and on no others."""
    for order in "CF":
        array, truth = make(fmt, LAYOUTS[layout], False)
        values = harness.raw_items(fmt, COUNT, seed=5)[: truth.nbytes]
        with buffer(array, harness.FULL) as view:
            assert harness.from_contiguous(view, values, truth.nbytes, order.encode()) == 0
        assert array.tobytes(order) == values
        inside = {truth.offset(index) // truth.itemsize for index in truth.indices()}
        memory = ctypes.string_at(truth.base, len(truth.raw))
        for i in set(range(COUNT)) - inside:
            here = slice(i * truth.itemsize, (i + 1) * truth.itemsize)
            assert memory[here] == truth.raw[here]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("fmt", FORMATS)
def test_is_contiguous_and_pointers(fmt, layout):
    array, truth = make(fmt, LAYOUTS[layout], True)
    with buffer(array, harness.FULL_RO) as view:
        assert bool(harness.is_contiguous(view, b"C")) is truth.c_contiguous
        assert bool(harness.is_contiguous(view, b"F")) is truth.f_contiguous
        either = truth.c_contiguous or truth.f_contiguous
        assert bool(harness.is_contiguous(view, b"A")) is either
        if truth.ndim:
            for index in truth.indices():
                c_index = (ctypes.c_ssize_t * truth.ndim)(*index)
                address = harness.get_pointer(view, c_index)
                assert address == truth.base + truth.offset(index)


@pytest.mark.parametrize("readonly", [False, True], ids=["rw", "ro"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_memoryview_get_contiguous(layout, readonly):
    array, truth = make("i", LAYOUTS[layout], readonly)
    fits = {
        "C": truth.c_contiguous,
        "F": truth.f_contiguous,
        "A": truth.c_contiguous or truth.f_contiguous,
    }
    for order in "CFA":
        view = harness.get_contiguous(array, harness.PYBUF_READ, order.encode())
        assert view.tolist() == truth.tolist()
        if fits[order]:
            assert view.obj is array
        if readonly or not fits[order]:
            with pytest.raises(BufferError):
                harness.get_contiguous(array, harness.PYBUF_WRITE, order.encode())
        else:
            view = harness.get_contiguous(array, harness.PYBUF_WRITE, order.encode())
            assert view.obj is array and not view.readonly


@pytest.mark.parametrize("fmt", FORMATS)
def test_testbuffer_agrees(fmt):
    _testbuffer = pytest.importorskip("_testbuffer")
    for layout in LAYOUTS.values():
        array, truth = make(fmt, layout, True)
        control = _testbuffer.ndarray(array, getbuf=_testbuffer.PyBUF_FULL_RO)
        assert control.tolist() == truth.tolist()
        if truth.c_contiguous or truth.f_contiguous:
            assert _testbuffer.cmp_contig(array, control)
        for order in "CF":
            assert _testbuffer.is_contiguous(array, order) is getattr(
                truth, f"{order.lower()}_contiguous"
            )
        for order in "CFA":
            expected = truth.tobytes(order_of(truth, order))
            found = _testbuffer.py_buffer_to_contiguous(array, order, harness.FULL_RO)
            assert found == expected
            contiguous = _testbuffer.get_contiguous(array, harness.PYBUF_READ, order)
            assert contiguous.tobytes() == truth.tobytes()
        for index in truth.indices():
            expected = truth.tolist()
            for i in index:
                expected = expected[i]
            assert _testbuffer.get_pointer(array, index) == expected
