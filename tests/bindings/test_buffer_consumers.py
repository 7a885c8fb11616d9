"""What the standard library does with buffers, done with arrays; and NumPy where it is there."""

import array as array_module
import base64
import binascii
import ctypes
import hashlib
import io
import mmap
import os
import pickle
import re
import socket
import struct
import zlib

import pytest

import spanflow as sf
from tests.bindings import harness

RAW = bytes(range(64, 96))


def heap(tmp_path):
    array = sf.empty(len(RAW), "u1")
    memoryview(array)[:] = RAW
    return array


def mapped(tmp_path):
    path = tmp_path / "a.raw"
    path.write_bytes(RAW)
    return sf.open(path, "r+", dtype="u1")


def foreign(tmp_path):
    return sf.asarray(bytearray(RAW))


@pytest.fixture(params=[heap, mapped, foreign], ids=lambda f: f.__name__)
def array(request, tmp_path):
    return request.param(tmp_path)


READERS = {
    "bytes": bytes,
    "bytearray": bytearray,
    "join": lambda a: b"".join([a, a]),
    "struct": lambda a: struct.unpack("<8I", a),
    "iter_unpack": lambda a: list(struct.iter_unpack("4s", a)),
    "array.array": lambda a: array_module.array("I", bytes(a)).tolist(),
    "frombytes": lambda a: (lambda x: (x.frombytes(a), x.tolist())[1])(array_module.array("H")),
    "sha256": lambda a: hashlib.sha256(a).digest(),
    "crc32": zlib.crc32,
    "compress": lambda a: zlib.decompress(zlib.compress(a)),
    "hexlify": binascii.hexlify,
    "base64": base64.b64encode,
    "regex": lambda a: re.search(rb"[H-J]+", a).group(),
    "from_buffer_copy": lambda a: bytes((ctypes.c_char * 32).from_buffer_copy(a)),
    "int": lambda a: int.from_bytes(a, "little"),
    "BytesIO": lambda a: io.BytesIO(a).read(),
    "BytesIO.write": lambda a: (lambda f: (f.write(a), f.getvalue()))(io.BytesIO()),
    "str": lambda a: str(a, "ascii"),
    "codecs": lambda a: memoryview(a).hex(),
    "PickleBuffer": lambda a: bytes(pickle.PickleBuffer(a).raw()),
    "startswith": lambda a: RAW.startswith(a),
    "equal": lambda a: memoryview(a) == RAW,
}


@pytest.mark.parametrize("name", READERS)
def test_readers(name, array):
    assert READERS[name](array) == READERS[name](RAW)
    array.close()  # none of them keeps a buffer


def test_bytes():
    """bytes() asks for a number first: even one integer must give its bytes."""
    assert bytes(sf.arange(3, dtype="u2")) == b"\0\0\1\0\2\0"
    assert bytes(sf.arange(4, dtype="u1").reshape(2, 2).T) == b"\0\2\1\3"
    assert bytes(sf.zeros((), "i4")) == bytes(4)
    assert bytes(sf.full((), 3, "i4")) == b"\3\0\0\0"


def test_files(array, tmp_path):
    path = tmp_path / "out.bin"
    with open(path, "wb", buffering=0) as file:
        assert file.write(array) == len(RAW)
        file.writelines([array, array[:2]])
    assert path.read_bytes() == RAW + RAW + RAW[:2]
    target = sf.zeros(len(RAW), "u1")
    for opened in (open(path, "rb", buffering=0), open(path, "rb"), io.BytesIO(RAW)):  # noqa: SIM115
        with opened as file:
            target.fill(0)
            assert file.readinto(target) == len(RAW)
            assert target.tobytes() == RAW
    fd = os.open(path, os.O_RDWR)
    try:
        assert os.preadv(fd, [target[:8], target[8:16]], 0) == 16
        assert os.pwritev(fd, [array[::1], array[4:8]], 0) == len(RAW) + 4
    finally:
        os.close(fd)


def test_readinto_needs_writable_contiguous_memory():
    source = io.BytesIO(RAW)
    with pytest.raises(TypeError):
        source.readinto(sf.frombuffer(RAW, "u1"))
    with pytest.raises((TypeError, BufferError)):
        source.readinto(sf.zeros(64, "u1")[::2])


def test_sockets(array):
    left, right = socket.socketpair()
    with left, right:
        left.sendall(array)
        target = sf.zeros(len(RAW), "u1")
        assert right.recv_into(target) == len(RAW)
        assert target.tobytes() == RAW
        left.sendmsg([array[:4], array[4:8]])
        count, *_ = right.recvmsg_into([target[8:12], target[:4]])
        assert count == 8
        assert target[:12].tobytes() == RAW[4:8] + RAW[4:8] + RAW[:4]


def test_struct_pack_into(array):
    struct.pack_into("<I", array, 4, 0xDEADBEEF)
    assert array[4:8].tolist() == [0xEF, 0xBE, 0xAD, 0xDE]
    assert struct.unpack_from("<I", array, 4) == (0xDEADBEEF,)
    with pytest.raises(struct.error):
        struct.pack_into("<I", array, 30, 1)


def test_ctypes(array):
    shared = (ctypes.c_ubyte * 8).from_buffer(array, 8)
    shared[0] = 1
    assert array[8] == 1
    array[9] = 2
    assert shared[1] == 2
    assert ctypes.addressof(shared) == array.address + 8
    with pytest.raises((TypeError, BufferError)):
        (ctypes.c_ubyte * 8).from_buffer(sf.frombuffer(RAW, "u1"))


def test_mmap_and_bytearray(array):
    anonymous = mmap.mmap(-1, 64)
    anonymous[:32] = bytes(array)
    anonymous.write(array)
    assert anonymous[:32] == RAW
    anonymous.close()
    target = bytearray(b"x")
    target.extend(array)
    assert target == b"x" + RAW


def test_memoryview_assignment(array):
    target = memoryview(bytearray(len(RAW)))
    target[:] = array
    assert target.tobytes() == RAW
    memoryview(array)[::-1] = target
    assert array.tobytes() == RAW[::-1]


# Pickle: by value, and out of band without a copy on the way out.


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("dtype", ["f4", ">i2", "c16", "S3", "?", "bfloat16"])
def test_pickle(dtype, protocol):
    original = sf.ones((2, 3), "u1") if dtype == "S3" else sf.ones((2, 3), dtype)
    if dtype == "S3":
        original = sf.array([[b"ab", b"c", b""], [b"abc", b"x", b"y"]])
    for array in (original, original.T, original[:, ::2]):
        loaded = pickle.loads(pickle.dumps(array, protocol))
        assert loaded.dtype == array.dtype and loaded.shape == array.shape
        assert loaded.tobytes() == array.tobytes()
        assert not loaded.readonly


def test_pickle_records():
    dtype = sf.dtype([("x", "f4"), ("n", ">i2"), ("inner", [("s", "S3"), ("z", "c8")])])
    array = sf.zeros(3, dtype)
    array["x"] = [1, 2, 3]
    loaded = pickle.loads(pickle.dumps(array))
    assert loaded.dtype == dtype
    assert loaded.tolist() == array.tolist()


def test_pickle_buffer_out_of_band(array):
    buffers = []
    data = pickle.dumps(pickle.PickleBuffer(array), 5, buffer_callback=buffers.append)
    assert len(data) < 64 and len(buffers) == 1
    with buffers[0].raw() as raw, harness.buffer(raw, harness.SIMPLE) as view:
        assert view.buf == array.address
    back = sf.asarray(pickle.loads(data, buffers=buffers))
    assert back.address == array.address
    back.close()
    buffers[0].release()
    array.close()


# NumPy, both ways, without a copy.

DTYPES = [*harness.DTYPES.values(), "complex64", "complex128", ">c8", "S5"]


@pytest.mark.parametrize("name", harness.LAYOUTS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_numpy_and_back(dtype, name):
    np = pytest.importorskip("numpy")
    raw = harness.raw_items("B", 12 * np.dtype(dtype).itemsize)
    theirs = harness.LAYOUTS[name].of(np.frombuffer(bytearray(raw), dtype))
    ours = sf.asarray(theirs, copy=False)
    assert ours.address == theirs.__array_interface__["data"][0]
    assert ours.dtype == theirs.dtype and ours.shape == theirs.shape
    same_strides(ours.strides, theirs)
    assert ours.readonly is not theirs.flags.writeable
    assert ours.tobytes() == theirs.tobytes()
    for back in (np.asarray(ours), np.array(ours, copy=False), np.asarray(memoryview(ours))):
        assert back.__array_interface__["data"][0] == ours.address
        assert back.dtype == theirs.dtype and back.shape == theirs.shape
        same_strides(back.strides, theirs)
        assert back.tobytes() == theirs.tobytes()
        assert back.flags.writeable


def same_strides(found, theirs):
    """NumPy is free about the strides of dimensions with at most one element."""
    for axis, extent in enumerate(theirs.shape):
        assert extent < 2 or found[axis] == theirs.strides[axis]


def test_numpy_keeps_the_array_open():
    np = pytest.importorskip("numpy")
    ours = sf.arange(6, dtype="f4").reshape(2, 3)
    theirs = np.asarray(ours)
    with pytest.raises(BufferError, match="exported buffer"):
        ours.close()
    theirs[1, 2] = 9
    assert ours[1, 2] == 9
    view = theirs[1:]
    del theirs
    with pytest.raises(BufferError):
        ours.close()
    del view
    ours.close()


def test_numpy_functions_take_arrays():
    np = pytest.importorskip("numpy")
    ours = sf.arange(6, dtype="f8").reshape(2, 3)
    assert np.sum(np.asarray(ours)) == 15
    np.testing.assert_array_equal(np.frombuffer(ours.reshape(6), "f8"), np.arange(6.0))
    np.testing.assert_array_equal(np.stack([ours, ours])[1], np.asarray(ours))
    read_only = sf.frombuffer(bytes(8), "f8")
    assert not np.asarray(read_only).flags.writeable


def test_array_interface():
    np = pytest.importorskip("numpy")
    ours = sf.arange(12, dtype=">i2").reshape(3, 4)[::2, 1:]
    interface = ours.__array_interface__
    assert interface["version"] == 3
    assert interface["shape"] == (2, 3)
    assert interface["typestr"] == ">i2"
    assert interface["strides"] == (16, 2)
    assert interface["data"] == (ours.address, False)

    class OnlyInterface:
        def __init__(self, array):
            self.owner = array
            self.__array_interface__ = array.__array_interface__

    theirs = np.asarray(OnlyInterface(ours))
    np.testing.assert_array_equal(theirs, [[1, 2, 3], [9, 10, 11]])
    again = sf.asarray(OnlyInterface(ours), copy=False)
    assert (again.address, again.strides) == (ours.address, ours.strides)


RECORDS = [
    [("x", "<f4"), ("y", "<i8")],
    [("a", "u1"), ("b", ">f8"), ("c", "S3"), ("d", "<u2")],
    [("v", "<f4", (3,)), ("m", "<i2", (2, 2))],
    [("outer", [("p", "<f8"), ("q", "?")]), ("z", "<c8")],
]


@pytest.mark.parametrize("fields", RECORDS, ids=str)
@pytest.mark.parametrize("aligned", [False, True])
def test_numpy_records(fields, aligned):
    np = pytest.importorskip("numpy")
    dtype = np.dtype(fields, align=aligned)
    raw = bytearray(harness.raw_items("B", dtype.itemsize * 6))
    theirs = np.frombuffer(raw, dtype).reshape(2, 3)
    items = [raw[i : i + dtype.itemsize] for i in range(0, len(raw), dtype.itemsize)]
    places = np.arange(6).reshape(2, 3)
    for source, place in (
        (theirs, places),
        (theirs[::-1, ::2], places[::-1, ::2]),
        (theirs.T, places.T),
    ):
        ours = sf.asarray(source, copy=False)
        assert ours.address == source.__array_interface__["data"][0]
        assert ours.dtype == dtype
        assert ours.itemsize == dtype.itemsize
        back = np.asarray(ours)
        assert back.dtype == dtype
        assert back.__array_interface__["data"][0] == ours.address
        copied = ours.copy()
        for path in leaves(dtype):
            field, expected, copy = ours, source, copied
            for name in path:
                field, expected, copy = field[name], expected[name], copy[name]
            assert field.address == expected.__array_interface__["data"][0]
            assert field.shape == expected.shape
            assert field.tobytes() == copy.tobytes() == expected.tobytes()
        # Padding is copied as it is: no uninitialised memory leaves the process.
        assert ours.tobytes() == b"".join(items[i] for i in place.flat)


def leaves(dtype, path=()):
    """The names that lead to every field without fields of its own."""
    for name in dtype.names:
        inner = dtype[name]
        if inner.names:
            yield from leaves(inner, (*path, name))
        else:
            yield (*path, name)


def test_numpy_dtypes_that_only_the_interface_has():
    """NumPy refuses to export some dtypes as buffers; others only look like plain bytes there."""
    np = pytest.importorskip("numpy")
    overlapping = np.dtype({"names": ["a", "b"], "formats": ["<i4", "<i2"], "offsets": [0, 2]})
    theirs = np.zeros(3, overlapping)
    theirs["a"] = [1, 2, 1 << 20]
    ours = sf.asarray(theirs)
    assert ours["a"].tolist() == [1, 2, 1 << 20]
    assert ours["b"].tolist() == theirs["b"].tolist()
    for bad in ("M8[s]", "m8[ns]", "U4", object):
        array = np.zeros(2, bad)
        with pytest.raises(TypeError):
            sf.asarray(array)
