"""Exports are counted: nothing is closed, resized or unmapped while somebody looks at the bytes."""

import ctypes
import gc
import mmap
import pickle
import sys
import threading
import weakref

import pytest

import spanflow as sf
from tests.bindings import harness


def heap(tmp_path):
    return sf.zeros((4, 4), "u1")


def mapped(tmp_path):
    path = tmp_path / "a.raw"
    path.write_bytes(bytes(16))
    return sf.open(path, "r+", dtype="u1", shape=(4, 4))


def created(tmp_path):
    return sf.open(tmp_path / "a.npy", "w+", dtype="u1", shape=(4, 4))


def foreign(tmp_path):
    return sf.asarray(bytearray(16)).reshape(4, 4)


def foreign_mmap(tmp_path):
    return sf.asarray(mmap.mmap(-1, 16)).reshape(4, 4)


def interface(tmp_path):
    owner = ctypes.create_string_buffer(16)
    return sf.asarray(harness.Strided(owner, ctypes.addressof(owner), "|u1", (4, 4)))


STORAGES = [heap, mapped, created, foreign, foreign_mmap, interface]


class CtypesHolder:
    """ctypes.from_buffer keeps the export as long as its object lives."""

    def __init__(self, array):
        self.held = (ctypes.c_ubyte * 16).from_buffer(array)

    def release(self):
        self.held = None
        gc.collect()


class RawHolder:
    """A Py_buffer as C code holds it."""

    def __init__(self, array):
        self.view = harness.PyBuffer()
        harness.get_buffer(array, self.view, harness.FULL_RO)

    def release(self):
        harness.release_buffer(self.view)


class Reexported:
    """An array over a memoryview over the array."""

    def __init__(self, array):
        self.array = sf.asarray(memoryview(array))

    def release(self):
        self.array.close()


class Dropped:
    """Released by its last reference, not by a call."""

    def __init__(self, array):
        self.view = memoryview(array)

    def release(self):
        del self.view


CONSUMERS = {
    "memoryview": memoryview,
    "memoryview dropped": Dropped,
    "slice of memoryview": lambda a: memoryview(a)[1:],
    "cast": lambda a: memoryview(a).cast("B").cast("I"),
    "read-only": lambda a: memoryview(a).toreadonly(),
    "ctypes": CtypesHolder,
    "PickleBuffer": pickle.PickleBuffer,
    "Py_buffer": RawHolder,
    "array of memoryview": Reexported,
}


@pytest.mark.parametrize("storage", STORAGES, ids=lambda f: f.__name__)
@pytest.mark.parametrize("consumer", CONSUMERS)
def test_close_waits_for_consumers(storage, consumer, tmp_path):
    array = storage(tmp_path)
    view = array[1:]
    held = CONSUMERS[consumer](array)
    more = CONSUMERS[consumer](array)
    for closer in (array, view):
        with pytest.raises(BufferError, match="exported buffer"):
            closer.close()
    with pytest.raises(BufferError), array:
        pass  # leaving the block closes
    assert not array.closed
    array[0, 0] = 7  # all goes on as before
    assert array[0, 0] == 7
    held.release()
    with pytest.raises(BufferError, match="by 1 exported buffer;"):
        array.close()
    more.release()
    del held, more
    gc.collect()
    array.close()
    assert array.closed and view.closed
    array.close()  # a second time does nothing
    view.close()


def test_the_message_counts():
    array = sf.zeros(8, "u1")
    held = [memoryview(array) for _ in range(3)]
    with pytest.raises(BufferError, match="3 exported buffers"):
        array.close()
    held.pop().release()
    with pytest.raises(BufferError, match="2 exported buffers"):
        array[::2].close()
    del held
    array.close()


CLOSED_ACCESS = {
    "shape": lambda a: a.shape,
    "strides": lambda a: a.strides,
    "dtype": lambda a: a.dtype,
    "ndim": lambda a: a.ndim,
    "size": lambda a: a.size,
    "nbytes": lambda a: a.nbytes,
    "itemsize": lambda a: a.itemsize,
    "format": lambda a: a.format,
    "readonly": lambda a: a.readonly,
    "c_contiguous": lambda a: a.c_contiguous,
    "f_contiguous": lambda a: a.f_contiguous,
    "address": lambda a: a.address,
    "T": lambda a: a.T,
    "interface": lambda a: a.__array_interface__,
    "len": len,
    "iter": lambda a: list(a),
    "bool": bool,
    "item": lambda a: a.item(0, 0),
    "tolist": lambda a: a.tolist(),
    "tobytes": lambda a: a.tobytes(),
    "copy": lambda a: a.copy(),
    "astype": lambda a: a.astype("f4"),
    "view": lambda a: a.view("i1"),
    "reshape": lambda a: a.reshape(16),
    "transpose": lambda a: a.transpose(),
    "fill": lambda a: a.fill(0),
    "flush": lambda a: a.flush(),
    "index": lambda a: a[0, 0],
    "row": lambda a: a[0],
    "slice": lambda a: a[1:],
    "mask": lambda a: a[[True, False, True, False]],
    "take": lambda a: a[[0, 1]],
    "assign": lambda a: a.__setitem__((0, 0), 1),
    "assign slice": lambda a: a.__setitem__(slice(None), 1),
    "assign take": lambda a: a.__setitem__([0, 1], 1),
    "neg": lambda a: -a,
    "pos": lambda a: +a,
    "add": lambda a: a + 1,
    "radd": lambda a: 1 + a,
    "iadd": lambda a: a.__iadd__(1),
    "eq": lambda a: a == a,
    "sum": lambda a: a.sum(),
    "sum function": lambda a: sf.sum(a, axis=0),
    "out": lambda a: sf.add(sf.zeros((4, 4), "u1"), 1, out=a),
    "clip": lambda a: a.clip(0, 1),
    "where": lambda a: sf.where(a, 1, 2),
    "memoryview": memoryview,
    "bytes": bytes,
    "enter": lambda a: a.__enter__(),
    "asarray": lambda a: sf.asarray(a, "f8"),
    "array": sf.array,
    "full": lambda a: sf.full((4, 4), a),
    "pickle": pickle.dumps,
    "save": lambda a: sf.save("unused.npy", a),
}


@pytest.mark.parametrize("name", CLOSED_ACCESS)
@pytest.mark.parametrize("storage", [heap, mapped, foreign], ids=lambda f: f.__name__)
def test_every_access_to_a_closed_array_raises(storage, name, tmp_path):
    array = storage(tmp_path)
    array.close()
    with pytest.raises(ValueError, match="closed"):
        CLOSED_ACCESS[name](array)


@pytest.mark.parametrize("storage", STORAGES, ids=lambda f: f.__name__)
def test_what_a_closed_array_still_says(storage, tmp_path):
    array = storage(tmp_path)
    kind = array.storage
    assert not array.closed
    array.close()
    assert array.closed and array.storage == kind
    assert "closed" in repr(array) and "closed" in str(array)


@pytest.mark.parametrize("flags", harness.REQUESTS)
def test_no_buffer_of_a_closed_array(flags):
    array = sf.zeros(4, "u1")
    array.close()
    view = harness.PyBuffer()
    view.obj = 0x1
    with pytest.raises((ValueError, BufferError)):
        harness.get_buffer(array, view, flags)
    assert view.obj is None


def test_with_closes():
    with sf.zeros(4) as array:
        assert not array.closed
    assert array.closed
    with pytest.raises(ZeroDivisionError), sf.zeros(4) as array:
        _ = 1 / 0
    assert array.closed


def test_closing_a_view_closes_the_bytes():
    array = sf.zeros((4, 4))
    row, column = array[1], array.T[2]
    row.close()
    assert array.closed and column.closed


def test_a_copy_is_not_closed():
    array = sf.zeros(4)
    copy, cast = array.copy(), array.astype("i4")
    array.close()
    assert copy.tolist() == [0, 0, 0, 0] and cast.tolist() == [0, 0, 0, 0]


# The lock on a foreign exporter.


def test_a_bytearray_cannot_be_resized_under_an_array():
    owner = bytearray(16)
    array = sf.asarray(owner)
    for resize in (lambda: owner.append(1), owner.clear, lambda: owner.extend(b"x")):
        with pytest.raises(BufferError):
            resize()
    array.close()
    owner.append(1)
    assert len(owner) == 17


def test_an_mmap_cannot_be_closed_under_an_array():
    owner = mmap.mmap(-1, 4096)
    array = sf.asarray(owner)
    with pytest.raises(BufferError):
        owner.close()
    array[0] = 5
    array.close()
    assert owner[0] == 5
    owner.close()


def test_a_memoryview_cannot_be_released_under_an_array():
    owner = memoryview(bytearray(16))
    array = sf.asarray(owner)
    with pytest.raises(BufferError):
        owner.release()
    array.close()
    owner.release()


def test_the_exporter_is_released_exactly_once():
    array_class = pytest.importorskip("_testbuffer").ndarray
    exporter = array_class([1, 2, 3], shape=[3])
    before = sys.getrefcount(exporter)
    array = sf.asarray(exporter)
    views = [array[1:], array.reshape(3, 1), array.view("i1")]
    assert sys.getrefcount(exporter) == before + 1
    array.close()
    assert sys.getrefcount(exporter) == before
    del array, views
    gc.collect()
    assert sys.getrefcount(exporter) == before


def test_views_hold_one_lease_not_a_chain():
    owner = bytearray(64)
    first = sf.asarray(owner)
    alive = weakref.ref(first)
    view = first
    for _ in range(50):
        view = view[:]
    del first
    gc.collect()
    assert alive() is None  # the first array is gone, the bytes are not
    view[0] = 9
    assert owner[0] == 9


def test_close_from_another_thread_is_seen():
    array = sf.zeros(1000)
    thread = threading.Thread(target=array.close)
    thread.start()
    thread.join()
    with pytest.raises(ValueError, match="closed"):
        array.sum()


def test_an_export_outlives_the_array_object():
    array = sf.arange(4, dtype="u1")
    view = memoryview(array)
    del array
    gc.collect()
    assert view.tolist() == [0, 1, 2, 3]
    assert isinstance(view.obj, sf.Array)


def test_an_export_outlives_every_other_reference_to_a_mapping(tmp_path):
    array = mapped(tmp_path)
    view = memoryview(array[2:])
    del array
    gc.collect()
    assert view.tobytes() == bytes(8)
    view.release()


def test_more_exports_than_can_be_counted():
    array = sf.zeros(2)
    view = harness.PyBuffer()
    most = 2**21 - 1
    try:
        for _ in range(most):
            harness.get_buffer(array, view, harness.SIMPLE)
        with pytest.raises(BufferError, match=f"exported {most} times"):
            memoryview(array)
        with pytest.raises(BufferError, match=f"{most} exported buffers"):
            array.close()
    finally:
        for _ in range(most):
            view.obj = id(array)
            harness.release_buffer(view)
    array.close()
