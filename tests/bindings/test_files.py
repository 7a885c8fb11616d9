"""open() and save(): every .npy that NumPy writes, raw files, modes, mappings and their files."""

import io
import os
import pathlib
import signal
import stat
import struct
import sys

import pytest

import spanflow as sf
from tests.bindings import harness

np = pytest.importorskip("numpy")

DTYPES = [
    "|b1", "|i1", "|u1", "<i2", ">i2", "<u2", "<i4", ">i4", "<u4", "<i8", ">i8", "<u8", ">u8",
    "<f2", ">f2", "<f4", ">f4", "<f8", ">f8", "<c8", ">c8", "<c16", ">c16", "|S1", "|S7",
]  # fmt: skip
SHAPES = [(), (1,), (5,), (3, 4), (2, 3, 4), (0,), (0, 3), (2, 0, 4), (1, 1, 1, 1, 1, 1, 1, 2)]


def sample(dtype, shape):
    rng = np.random.default_rng(1)
    dtype = np.dtype(dtype)
    count = int(np.prod(shape))
    if dtype.names or dtype.kind == "S":
        raw = rng.integers(65, 90, count * dtype.itemsize, "u1").tobytes()
        return np.frombuffer(raw, dtype).reshape(shape).copy()
    return rng.integers(0, 2 if dtype == bool else 100, shape).astype(dtype)


def fortran(array):
    """The same array in Fortran order (numpy.asfortranarray makes a 0-d array 1-d)."""
    return array.copy(order="F")


def write_npy(path, array, version=(1, 0)):
    with open(path, "wb") as file:
        np.lib.format.write_array(file, array, version)


def same_file(ours, theirs):
    assert ours.dtype == theirs.dtype
    assert ours.shape == theirs.shape
    assert ours.tobytes() == theirs.tobytes()


# Reading what NumPy writes.


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)], ids=str)
@pytest.mark.parametrize("dtype", DTYPES)
def test_numpys_files(dtype, version, tmp_path):
    path = tmp_path / "a.npy"
    for shape in SHAPES:
        theirs = sample(dtype, shape)
        for order in (theirs, fortran(theirs)):
            write_npy(path, order, version)
            with sf.open(path) as ours:
                same_file(ours, theirs)
                assert ours.storage == "mapped"
                assert ours.readonly
                assert ours.f_contiguous or not order.flags.f_contiguous
                assert ours.c_contiguous or not order.flags.c_contiguous


RECORDS = [
    np.dtype([("x", "<f4"), ("y", ">i8")]),
    np.dtype([("a", "u1"), ("b", "<f8"), ("c", "S3")], align=True),
    np.dtype([("v", "<f4", (3,)), ("m", "<i2", (2, 2))]),
    np.dtype([("outer", [("p", "<f8"), ("q", "?")]), ("z", "<c8")]),
    np.dtype({"names": ["a", "b"], "formats": ["<i4", "<f8"], "offsets": [4, 16], "itemsize": 32}),
    np.dtype([("größe", "<f4"), ("長さ", "<i4")]),
    np.dtype([(("a title", "name"), "<f4"), ("other", "<i2")]),
]


@pytest.mark.parametrize("dtype", RECORDS, ids=str)
def test_records(dtype, tmp_path):
    path = tmp_path / "a.npy"
    theirs = sample(dtype, (4,))
    version = (1, 0) if str(dtype).isascii() else (3, 0)
    write_npy(path, theirs, version)
    ours = sf.open(path)
    assert ours.shape == (4,)
    assert ours.itemsize == dtype.itemsize
    assert ours.dtype.names == dtype.names
    for name in dtype.names:
        assert ours[name].tobytes() == theirs[name].tobytes() or dtype[name].names
        assert ours.dtype.fields[name][1] == dtype.fields[name][1]
    # And back.
    sf.save(tmp_path / "b.npy", ours)
    again = np.load(tmp_path / "b.npy")
    assert again.dtype.names == dtype.names
    for name in dtype.names:
        assert again[name].tobytes() == theirs[name].tobytes() or dtype[name].names


def test_a_header_longer_than_64_kib(tmp_path):
    dtype = np.dtype([(f"field_{i:05d}", "<f4") for i in range(4000)])
    theirs = np.zeros(2, dtype)
    theirs["field_03999"] = [1, 2]
    write_npy(tmp_path / "a.npy", theirs, (2, 0))
    ours = sf.open(tmp_path / "a.npy")
    assert ours["field_03999"].tolist() == [1, 2]
    sf.save(tmp_path / "b.npy", ours)
    back = np.load(tmp_path / "b.npy", max_header_size=1 << 20)
    assert back["field_03999"].tolist() == [1, 2]


def npy_bytes(header, data=b"", version=(1, 0)):
    text = header.encode("utf-8" if version >= (3, 0) else "latin1")
    size = struct.pack("<H" if version == (1, 0) else "<I", len(text))
    return b"\x93NUMPY" + bytes(version) + size + text + data


@pytest.mark.parametrize(
    "header",
    [
        "{'descr': '<f8', 'fortran_order': False, 'shape': (2,), }\n",
        "{'descr':'<f8','fortran_order':False,'shape':(2,)}",
        '{"descr": "<f8", "fortran_order": False, "shape": (2,)}',
        "{'shape': (2,), 'fortran_order': False, 'descr': '<f8'}",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (2L,), }",
        "  {'descr': '<f8', 'fortran_order': False, 'shape': (2,)}   ",
        "{'descr': 'f8', 'fortran_order': False, 'shape': (2,)}",
        "{'descr': '=f8', 'fortran_order': False, 'shape': (2,)}",
    ],
)
def test_other_spellings_of_a_header(header, tmp_path):
    path = tmp_path / "a.npy"
    path.write_bytes(npy_bytes(header, np.array([1.5, 2.5]).tobytes()))
    assert sf.open(path).tolist() == [1.5, 2.5]


def test_unaligned_data(tmp_path):
    path = tmp_path / "a.npy"
    for pad in range(16):
        header = "{'descr': '<f8', 'fortran_order': False, 'shape': (100,)}" + " " * pad
        path.write_bytes(npy_bytes(header, np.arange(100.0).tobytes()))
        ours = sf.open(path)
        assert ours.sum() == 4950
        assert (ours * 2)[99] == 198
        assert ours.max() == 99


def test_bytes_after_the_data_are_left_alone(tmp_path):
    path = tmp_path / "a.npy"
    write_npy(path, np.arange(3))
    with open(path, "ab") as file:
        file.write(b"more")
    assert sf.open(path).tolist() == [0, 1, 2]
    assert path.read_bytes().endswith(b"more")


# Writing what NumPy reads.


@pytest.mark.parametrize("dtype", DTYPES)
def test_saved_files(dtype, tmp_path):
    path = tmp_path / "a.npy"
    for shape in SHAPES:
        theirs = sample(dtype, shape)
        sources = [theirs, fortran(theirs)]
        if theirs.ndim >= 2:
            sources += [theirs.T, theirs[::-1], theirs[:, ::2]]
        for source in sources:
            sf.save(path, source)
            back = np.load(path)
            assert back.dtype == source.dtype and back.shape == source.shape
            np.testing.assert_array_equal(back, source)
            with sf.open(path) as ours:
                same_file(ours, source)
                assert ours.size == 0 or ours.address % 64 == 0
        # Fortran order is kept as it is.
        columns = fortran(theirs)
        sf.save(path, columns)
        with open(path, "rb") as file:
            version = np.lib.format.read_magic(file)
            shape_read, is_fortran, _ = np.lib.format.read_array_header_1_0(file)
            assert version == (1, 0) and shape_read == shape
            assert is_fortran is (columns.flags.f_contiguous and not columns.flags.c_contiguous)
            assert file.tell() % 64 == 0


def test_large_strided_saves(tmp_path):
    theirs = np.arange(1_000_000, dtype="i4").reshape(1000, 1000)
    for source in (theirs, theirs.T, theirs[::3, ::2], theirs[::-1, ::-1], theirs[:, 5]):
        sf.save(tmp_path / "a.npy", source)
        np.testing.assert_array_equal(np.load(tmp_path / "a.npy"), source)


def test_save_takes_what_asarray_takes(tmp_path):
    path = tmp_path / "a.npy"
    for value in (
        [1, 2, 3],
        5,
        b"bytes",
        bytearray(b"abc"),
        memoryview(b"abc")[::-1],
        [[1.5], [2]],
    ):
        sf.save(path, value)
        assert np.load(path).tolist() == sf.asarray(value).tolist()


def test_paths(tmp_path, monkeypatch):
    array = sf.arange(3)
    monkeypatch.chdir(tmp_path)

    class Path(os.PathLike):
        def __fspath__(self):
            return "fs.npy"

    for path in (
        "plain.npy",
        pathlib.Path("path.npy"),
        b"bytes.npy",
        Path(),
        "größe 長さ.npy",
        "no-suffix",
    ):
        sf.save(path, array)
        assert sf.open(path).tolist() == [0, 1, 2]
        assert os.path.exists(path)  # exactly this name
    os.symlink("plain.npy", "link.npy")
    sf.save("link.npy", sf.arange(5))
    assert os.path.islink("link.npy") and sf.open("plain.npy").shape == (5,)
    with pytest.raises(TypeError):
        sf.open(3)
    with pytest.raises(TypeError):
        sf.save(None, array)
    with pytest.raises(ValueError, match="null"):
        sf.open("a\0b.npy")


def test_names_that_are_no_utf8(tmp_path):
    path = os.fsencode(tmp_path) + b"/\xff\xfe.npy"
    try:
        sf.save(path, sf.arange(3))
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    assert sf.open(path).tolist() == [0, 1, 2]
    with pytest.raises(FileNotFoundError) as caught:
        sf.open(path + b"x")
    assert os.fsencode(caught.value.filename) == path + b"x"


def test_save_keeps_permissions_and_leaves_no_files(tmp_path):
    path = tmp_path / "a.npy"
    sf.save(path, sf.arange(3))
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~umask
    os.chmod(path, 0o640)
    sf.save(path, sf.arange(4))
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert os.listdir(tmp_path) == ["a.npy"]


def test_save_over_the_mapped_file_itself(tmp_path):
    path = tmp_path / "a.npy"
    sf.save(path, sf.arange(1000))
    mapped = sf.open(path)
    sf.save(path, mapped[::-1])
    assert mapped[:3].tolist() == [0, 1, 2]  # the old file, as long as it is mapped
    assert sf.open(path)[:3].tolist() == [999, 998, 997]


def test_names_that_no_format_can_spell(tmp_path):
    """PEP 3118 ends a name at the next colon: consumers get bytes, not other fields."""
    path = tmp_path / "a.npy"
    np.save(path, np.array([(1, 2.5)], [("a:x", "<i4"), ("c", "<f8")]))
    ours = sf.open(path)
    assert ours["a:x"].tolist() == [1]
    assert ours.dtype.names == ("a:x", "c")
    assert memoryview(ours).format == "12s"
    assert sf.asarray(memoryview(ours)).tobytes() == ours.tobytes()
    sf.save(path, ours)
    assert np.load(path).dtype.names == ("a:x", "c")


def test_padding_with_a_shape(tmp_path):
    path = tmp_path / "a.npy"
    values = np.arange(8, dtype="<i4")
    text = "{'descr': [('a','<i4'),('','|V4',(2,)),('b','<i4')], 'fortran_order': False, 'shape': (2,)}"
    path.write_bytes(npy_bytes(text, values.tobytes()))
    assert sf.open(path)["b"].tolist() == np.load(path)["b"].tolist() == [3, 7]
    dtype = sf.dtype([("a", "<i4"), ("", "|V4", (2,)), ("b", "<i4")])
    assert dtype == sf.open(path).dtype and dtype.itemsize == 16


def test_a_dangling_link_is_followed(tmp_path):
    os.symlink("target.npy", tmp_path / "link.npy")
    sf.save(tmp_path / "link.npy", sf.arange(3))
    assert (tmp_path / "link.npy").is_symlink()
    assert sf.open(tmp_path / "target.npy").tolist() == [0, 1, 2]


class InterruptError(Exception):
    pass


def test_an_interrupted_save_keeps_the_old_file(tmp_path):
    path = tmp_path / "a.npy"
    sf.save(path, sf.arange(3))
    large = np.broadcast_to(np.arange(1 << 10), (1 << 15, 1 << 10))  # 256 MiB, of 8 KiB

    def interrupt(*_):
        raise InterruptError

    old = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.02)
        with pytest.raises(InterruptError):
            sf.save(path, large)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)
    assert sf.open(path).tolist() == [0, 1, 2]
    assert os.listdir(tmp_path) == ["a.npy"]


# Modes.


def test_mode_r_cannot_be_written(tmp_path):
    path = tmp_path / "a.npy"
    sf.save(path, sf.arange(4))
    ours = sf.open(path)
    before = path.read_bytes()
    with pytest.raises(ValueError, match=r"read-only.*r\+"):
        ours[0] = 1
    with pytest.raises(BufferError), harness.buffer(ours, harness.WRITABLE):
        pass
    assert path.read_bytes() == before


def test_mode_r_plus_writes_to_the_file(tmp_path):
    path = tmp_path / "a.npy"
    sf.save(path, sf.arange(4, dtype="f4"))
    with sf.open(path, "r+") as ours:
        assert not ours.readonly
        ours[1] = -5
        ours.flush()
        assert np.load(path).tolist() == [0, -5, 2, 3]
        ours *= 2
    assert np.load(path).tolist() == [0, -10, 4, 6]


def test_mode_c_keeps_changes_to_itself(tmp_path):
    path = tmp_path / "a.npy"
    sf.save(path, sf.arange(4))
    with sf.open(path, "c") as ours, sf.open(path) as other:
        ours[1] = -5
        assert ours.tolist() == [0, -5, 2, 3]
        assert other.tolist() == [0, 1, 2, 3]
        ours.flush()
    assert np.load(path).tolist() == [0, 1, 2, 3]


def test_mode_w_plus_makes_a_file_of_zeros(tmp_path):
    path = tmp_path / "a.npy"
    for order in "CF":
        with sf.open(path, "w+", dtype=">f4", shape=(3, 5), order=order) as ours:
            assert ours.tobytes() == bytes(60)
            assert ours.address % 64 == 0
            assert ours.f_contiguous is (order == "F")
            ours[2, 4] = 1.5
        theirs = np.load(path)
        assert theirs.dtype == ">f4" and theirs.shape == (3, 5)
        assert theirs[2, 4] == 1.5 and theirs.sum() == 1.5
        assert theirs.flags.f_contiguous is (order == "F")
    with sf.open(path, "w+", dtype=[("x", "f4"), ("n", "i8")], shape=4) as ours:
        ours["n"] = [1, 2, 3, 4]
    assert np.load(path)["n"].tolist() == [1, 2, 3, 4]
    with sf.open(path, "w+", dtype="u1", shape=(0, 3)) as ours:
        assert ours.shape == (0, 3)
    assert np.load(path).shape == (0, 3)
    assert os.listdir(tmp_path) == ["a.npy"]


def test_shared_mappings_see_each_other(tmp_path):
    path = tmp_path / "a.npy"
    sf.save(path, sf.zeros(1000))
    with sf.open(path, "r+") as writer, sf.open(path) as reader:
        writer[500] = 7
        assert reader[500] == 7
        assert writer.address != reader.address


@pytest.mark.parametrize("mode", ["rw", "w", "a", "", "R", "rb", 5, "r\0", "\udc80"])
def test_wrong_modes(mode, tmp_path):
    path = tmp_path / "a.npy"
    sf.save(path, sf.arange(4))
    with pytest.raises((ValueError, TypeError), match="mode"):
        sf.open(path, mode)
    assert np.load(path).tolist() == [0, 1, 2, 3]


def test_w_plus_needs_everything(tmp_path):
    path = tmp_path / "a.npy"
    sf.save(path, sf.arange(4))
    for how in ({}, {"dtype": "f4"}, {"shape": 3}, {"dtype": "f4", "shape": 3, "offset": 8}):
        with pytest.raises(ValueError, match="dtype and shape"):
            sf.open(path, "w+", **how)
    for shape in (-1, (2, -3), (2**40, 2**40)):
        with pytest.raises((ValueError, OverflowError)):
            sf.open(path, "w+", dtype="f4", shape=shape)
    with pytest.raises(TypeError):
        sf.open(path, "w+", dtype="bfloat16", shape=3)
    with pytest.raises(ValueError, match="order"):
        sf.open(path, "w+", dtype="f4", shape=3, order="X")
    assert np.load(path).tolist() == [0, 1, 2, 3]  # the old file is untouched
    assert os.listdir(tmp_path) == ["a.npy"]


def test_shape_and_offset_belong_to_raw_files(tmp_path):
    path = tmp_path / "a.npy"
    sf.save(path, sf.arange(4))
    for how in ({"shape": 4}, {"offset": 8}):
        with pytest.raises(ValueError, match="dtype"):
            sf.open(path, **how)


# Raw files.


@pytest.mark.parametrize("offset", [0, 1, 3, 64, 100, 4095, 4096, 4097])
def test_raw_files(offset, tmp_path):
    path = tmp_path / "a.raw"
    values = np.arange(3000, dtype="<u2")
    path.write_bytes(b"x" * offset + values.tobytes())
    with sf.open(path, dtype="<u2", offset=offset) as ours:
        np.testing.assert_array_equal(np.asarray(ours.copy()), values)
        assert ours.sum() == values.sum()
    with sf.open(path, dtype=">u2", shape=(10, 20), offset=offset) as ours:
        np.testing.assert_array_equal(
            np.asarray(ours.copy()), values[:200].view(">u2").reshape(10, 20)
        )
    with sf.open(path, "r+", dtype="u2", offset=offset) as ours:
        ours[2999] = 77
    content = path.read_bytes()
    assert content[:offset] == b"x" * offset and content[-2:] == b"M\0"
    with sf.open(path, dtype="u1", shape=0, offset=offset) as ours:
        assert ours.shape == (0,)
    with sf.open(path, dtype="u1", offset=len(content)) as ours:
        assert ours.shape == (0,)


def test_raw_records(tmp_path):
    path = tmp_path / "a.raw"
    dtype = np.dtype([("t", "<f8"), ("v", ">i4")])
    theirs = np.zeros(5, dtype)
    theirs["v"] = np.arange(5)
    path.write_bytes(theirs.tobytes())
    ours = sf.open(path, dtype=dtype)
    assert ours["v"].tolist() == [0, 1, 2, 3, 4]
    assert ours.dtype == dtype


def test_files_that_grow_or_shrink(tmp_path):
    path = tmp_path / "a.raw"
    path.write_bytes(bytes(100))
    ours = sf.open(path, dtype="u1")
    with open(path, "ab") as file:
        file.write(b"more")
    assert ours.shape == (100,)
    # (what happens when it shrinks stands in tests/crash)


def test_the_file_is_closed_with_the_array(tmp_path):
    if not sys.platform.startswith("linux"):
        pytest.skip("looks into /proc")

    def descriptors():
        return sum(1 for n in os.listdir("/proc/self/fd") if _target(n).startswith(str(tmp_path)))

    def _target(name):
        try:
            return os.readlink(f"/proc/self/fd/{name}")
        except OSError:
            return ""

    def mapped():
        with open("/proc/self/maps") as file:
            return str(tmp_path) in file.read()

    sf.save(tmp_path / "a.npy", sf.arange(100))
    assert descriptors() == 0
    ours = sf.open(tmp_path / "a.npy")
    assert mapped()
    view = ours[10:]
    del ours
    assert mapped()
    view.close()
    assert not mapped() and descriptors() == 0
    ours = sf.open(tmp_path / "a.npy")
    del ours
    assert not mapped() and descriptors() == 0
    for _ in range(3):
        with pytest.raises(ValueError):
            sf.open(tmp_path / "a.npy", dtype="u1", offset=10**6)
    assert descriptors() == 0


def test_flush_of_what_is_no_mapping():
    sf.zeros(3).flush()
    sf.asarray(bytearray(3)).flush()


def test_operations_on_mappings(tmp_path):
    theirs = np.random.default_rng(0).random((500, 300))
    np.save(tmp_path / "a.npy", theirs)
    ours = sf.open(tmp_path / "a.npy")
    np.testing.assert_allclose(np.asarray(ours.sum(axis=0)), theirs.sum(0))
    np.testing.assert_array_equal(np.asarray(ours * 2 + 1), theirs * 2 + 1)
    np.testing.assert_array_equal(np.asarray(ours[::-1, ::3].copy()), theirs[::-1, ::3])
    out = sf.open(tmp_path / "b.npy", "w+", dtype="f8", shape=(500, 300))
    sf.multiply(ours, ours, out=out)
    out.close()
    np.testing.assert_array_equal(np.load(tmp_path / "b.npy"), theirs * theirs)


def test_files_written_through_a_stream_are_read(tmp_path):
    stream = io.BytesIO()
    np.save(stream, np.arange(5))
    (tmp_path / "a.npy").write_bytes(stream.getvalue())
    assert sf.open(tmp_path / "a.npy").tolist() == [0, 1, 2, 3, 4]


# The order of the elements.


def test_raw_files_in_fortran_order(tmp_path):
    theirs = np.arange(12, dtype="i4").reshape(3, 4)
    path = tmp_path / "raw"
    path.write_bytes(bytes(8) + theirs.tobytes("F"))
    ours = sf.open(path, dtype="i4", shape=(3, 4), offset=8, order="F")
    assert ours.tolist() == theirs.tolist()
    assert ours.f_contiguous and not ours.c_contiguous
    for order in (None, "C"):
        ours = sf.open(path, dtype="i4", shape=(4, 3), offset=8, order=order)
        assert ours.tolist() == theirs.T.tolist()
    with pytest.raises(ValueError, match="order"):
        sf.open(path, dtype="i4", order="K")


def test_an_order_that_is_not_the_files(tmp_path):
    for order, other in (("C", "F"), ("F", "C")):
        path = tmp_path / f"{order}.npy"
        np.save(path, np.zeros((3, 4), order=order))
        assert sf.open(path, order=order).shape == (3, 4)
        with pytest.raises(ValueError, match=f"{path.name}.*order '{other}'"):
            sf.open(path, order=other)
    np.save(path, np.zeros(5))
    for order in ("C", "F", None):
        assert sf.open(path, order=order).shape == (5,)
