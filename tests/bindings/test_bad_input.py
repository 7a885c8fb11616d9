"""Bad input: each gets a clear exception that names what was given, and nothing is lost."""

import ctypes
import os
import struct
import subprocess
import sys
import textwrap
import threading

import pytest

import spanflow as sf

# Files that are not what they should be.


def npy(header, data=b"", version=(1, 0), length=None):
    text = header if isinstance(header, bytes) else header.encode("utf-8")
    size = len(text) if length is None else length
    return (
        b"\x93NUMPY"
        + bytes(version)
        + struct.pack("<H" if version[0] < 2 else "<I", size)
        + text
        + data
    )


def header(descr="'<f8'", order="False", shape="(2,)"):
    return f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}\n"


DATA = bytes(16)
BAD_FILES = {
    "empty": (b"", ValueError, "empty"),
    "text": (b"hello, this is no array", ValueError, "not a .npy"),
    "zip": (b"PK\x03\x04" + bytes(40), ValueError, "npz"),
    "magic only": (b"\x93NUMPY", ValueError, "header"),
    "half a magic": (b"\x93NUM", ValueError, "not a .npy"),
    "version cut": (b"\x93NUMPY\x01", ValueError, "header"),
    "length cut": (b"\x93NUMPY\x01\x00\x10", ValueError, "header"),
    "version 4": (npy(header(), DATA, (4, 0)), ValueError, "4.0"),
    "version 1.7": (npy(header(), DATA, (1, 7)), ValueError, "1.7"),
    "version 0": (npy(header(), DATA, (0, 0)), ValueError, r"0\.0"),
    "header cut": (npy(header(), b"", length=500), ValueError, "header"),
    "huge header length": (npy(header(), DATA, (2, 0), length=2**32 - 1), ValueError, "header"),
    "data cut": (npy(header(), DATA[:-1]), ValueError, "16 bytes.*15"),
    "no data": (npy(header(), b""), ValueError, "16 bytes"),
    "lying shape": (npy(header(shape="(1000000,)"), DATA), ValueError, "8000000 bytes"),
    "overflowing shape": (npy(header(shape="(4611686018427387904, 4)"), DATA), ValueError, None),
    "shape of many digits": (npy(header(shape="(99999999999999999999999,)"), DATA), ValueError, None),
    "negative shape": (npy(header(shape="(-1,)"), DATA), ValueError, "-1"),
    "negative zero product": (npy(header(shape="(-2, 0)"), DATA), ValueError, "-2"),
    "huge times zero": (npy(header(shape="(4611686018427387904, 4, 0)"), DATA), ValueError, None),
    "shape of floats": (npy(header(shape="(2.0,)"), DATA), ValueError, None),
    "shape of strings": (npy(header(shape="('2',)"), DATA), ValueError, "shape"),
    "shape a number": (npy(header(shape="2"), DATA), ValueError, "shape"),
    "shape a list": (npy(header(shape="[2]"), DATA), ValueError, "shape"),
    "shape nested": (npy(header(shape="((2,),)"), DATA), ValueError, "shape"),
    "shape of bools": (npy(header(shape="(True,)"), DATA), ValueError, None),
    "65 dimensions": (npy(header(shape="(" + "1," * 65 + ")"), DATA), ValueError, "65"),
    "order a number": (npy(header(order="0"), DATA), ValueError, "fortran_order"),
    "order a string": (npy(header(order="'False'"), DATA), ValueError, "fortran_order"),
    "no descr": (npy("{'fortran_order': False, 'shape': (2,)}", DATA), ValueError, "descr"),
    "no shape": (npy("{'descr': '<f8', 'fortran_order': False}", DATA), ValueError, "shape"),
    "extra key": (npy(header()[:-3] + "'x': 1}", DATA), ValueError, "x"),
    "double key": (npy(header()[:-3] + "'descr': '<i8'}", DATA), ValueError, "descr"),
    "no dict": (npy("('<f8', False, (2,))", DATA), ValueError, "dict"),
    "no literal": (npy("__import__('os').system('true')", DATA), ValueError, None),
    "expression": (npy(header(shape="(1+1,)"), DATA), ValueError, None),
    "power": (npy(header(shape="(10**10**10,)"), DATA), ValueError, None),
    "unclosed": (npy("{'descr': '<f8', 'fortran_order': False, 'shape': (2,)", DATA), ValueError, None),
    "unclosed string": (npy("{'descr': '<f8, 'fortran_order': False}", DATA), ValueError, None),
    "two dicts": (npy(header() + header(), DATA), ValueError, None),
    "zero byte": (npy(header()[:-1] + "\0", DATA), ValueError, "zero byte"),
    "no utf-8": (npy(b"{'descr': '<f8\xff'}", DATA, (3, 0)), ValueError, "UTF-8"),
    "empty header": (npy("", DATA), ValueError, None),
    "spaces": (npy(" " * 60, DATA), ValueError, None),
    "deeply nested": (npy("[" * 60_000, DATA), ValueError, None),
    "deeply nested dicts": (npy("{'descr':" * 6_000, DATA), ValueError, None),
    "objects": (npy(header("'|O'"), DATA), TypeError, "pickled"),
    "object field": (npy(header("[('x', '|O')]"), DATA), TypeError, "pickled"),
    "unicode": (npy(header("'<U4'"), DATA), TypeError, "U4"),
    "dates": (npy(header("'<M8[s]'"), DATA), TypeError, r"M8"),
    "time spans": (npy(header("'<m8[ns]'"), DATA), TypeError, "m8"),
    "void": (npy(header("'|V8'"), DATA), TypeError, "V8"),
    "long double": (npy(header("'<f16'"), DATA), TypeError, "long double"),
    "unknown dtype": (npy(header("'<q9'"), DATA), TypeError, "q9"),
    "empty dtype": (npy(header("''"), DATA), TypeError, None),
    "descr a number": (npy(header("8"), DATA), ValueError, "descr"),
    "descr a tuple": (npy(header("('<f8', 2)"), DATA), ValueError, "descr"),
    "descr None": (npy(header("None"), DATA), ValueError, None),
    "field without dtype": (npy(header("[('x',)]"), DATA), ValueError, "field"),
    "field name a number": (npy(header("[(1, '<f8')]"), DATA), ValueError, "field"),
    "field twice": (npy(header("[('x', '<f4'), ('x', '<f4')]"), DATA), ValueError, "x"),
    "field shape negative": (npy(header("[('x', '<f4', (-1,))]"), DATA), ValueError, None),
    "field shape huge": (npy(header("[('x', '<f8', (1099511627776, 1099511627776))]"), DATA), ValueError, None),
    "field sizes overflow": (
        npy(header("[('x', '|S9223372036854775807'), ('y', '|S9223372036854775807')]"), DATA),
        ValueError,
        None,
    ),
    "huge itemsize": (npy(header("'|S9223372036854775807'", shape="(3,)"), DATA), ValueError, None),
    "too wide": (npy(header("'|S2147483648'", shape="(0,)"), b""), ValueError, "2147483647"),
    "no bytes but too many": (npy(header("'|S0'", shape="(4611686018427387904, 3)"), b""), ValueError, "too large"),
    "padding that overflows": (npy(header("[('', '|V4', (4611686018427387904, 3))]"), DATA), ValueError, "too large"),
    "huge number in a code": (npy(header("'|S99999999999999999999999'"), DATA), TypeError, None),
    "nested records": (npy(header("[('x', " * 3000 + "'<f8'" + ")]" * 3000), DATA), ValueError, None),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_FILES)
@pytest.mark.parametrize("mode", ["r", "r+", "c"])
def test_bad_npy_files(name, mode, tmp_path):
    content, error, word = BAD_FILES[name]
    path = tmp_path / "bad.npy"
    path.write_bytes(content)
    with pytest.raises(error, match=word) as caught:
        sf.open(path, mode)
    assert "bad.npy" in str(caught.value)  # every message says which file
    assert path.read_bytes() == content
    assert os.listdir(tmp_path) == ["bad.npy"]


@pytest.mark.parametrize("cut", range(0, 128, 7))
def test_every_truncation(cut, tmp_path):
    path = tmp_path / "a.npy"
    sf.save(path, sf.arange(8))
    content = path.read_bytes()
    path.write_bytes(content[: len(content) - 1 - cut])
    with pytest.raises(ValueError, match="a.npy"):
        sf.open(path)


def test_random_damage(tmp_path):
    """Any byte of the header changed: an array, or one of the documented errors."""
    path = tmp_path / "a.npy"
    dtype = [("x", "f4"), ("n", "i2", (2,))]
    sf.save(path, sf.zeros(4, dtype))
    content = bytearray(path.read_bytes())
    for at in range(128):
        for value in (0, 10, 0x27, 0x28, 0x30, 0x39, 0x5B, 0x7D, 0xFF):
            damaged = bytearray(content)
            damaged[at] = value
            path.write_bytes(damaged)
            try:
                array = sf.open(path)
            except (ValueError, TypeError):
                continue
            assert array.nbytes <= len(content)
            array.tolist()
            array.close()


# Paths that are no files.


def test_missing_file(tmp_path):
    for how in ({}, {"dtype": "f4"}, {"mode": "r+"}, {"mode": "c"}):
        with pytest.raises(FileNotFoundError) as caught:
            sf.open(tmp_path / "no.npy", **how)
        assert caught.value.filename == str(tmp_path / "no.npy")
        assert caught.value.errno == 2
    with pytest.raises(FileNotFoundError):
        sf.save(tmp_path / "no folder" / "a.npy", sf.zeros(3))
    with pytest.raises(FileNotFoundError):
        sf.open(tmp_path / "no folder" / "a.npy", "w+", dtype="f4", shape=3)
    with pytest.raises(OSError):
        sf.open("")
    with pytest.raises(OSError):
        sf.save("", sf.zeros(3))
    assert os.listdir(tmp_path) == []


def test_directory(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    for how in ({}, {"dtype": "f4"}, {"mode": "r+"}, {"mode": "w+", "dtype": "f4", "shape": 3}):
        with pytest.raises(OSError) as caught:
            sf.open(folder, **how)
        assert caught.value.errno in (21, 20, 22, 13)
    with pytest.raises(OSError):
        sf.save(folder, sf.zeros(3))
    assert folder.is_dir() and os.listdir(tmp_path) == ["folder"]
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(NotADirectoryError):
        sf.open(tmp_path / "file" / "a.npy")


@pytest.mark.timeout(10)
def test_fifo(tmp_path):
    """A pipe has no bytes to map; asking for it must not hang."""
    path = tmp_path / "fifo"
    os.mkfifo(path)
    for how in ({}, {"dtype": "f4"}, {"mode": "r+"}, {"mode": "c", "dtype": "u1"}):
        with pytest.raises((OSError, ValueError), match="fifo|regular"):
            sf.open(path, **how)
    with pytest.raises((OSError, ValueError)):
        sf.open("/dev/zero", dtype="u1")
    with pytest.raises((OSError, ValueError)):
        sf.open("/dev/null")


def test_no_permission(tmp_path):
    if os.geteuid() == 0:
        pytest.skip("root may do everything")
    path = tmp_path / "a.npy"
    sf.save(path, sf.arange(3))
    os.chmod(path, 0o400)
    with pytest.raises(PermissionError):
        sf.open(path, "r+")
    assert sf.open(path, "c").tolist() == [0, 1, 2]
    os.chmod(path, 0)
    with pytest.raises(PermissionError):
        sf.open(path)


def test_name_too_long(tmp_path):
    for call in (
        lambda p: sf.open(p),
        lambda p: sf.save(p, sf.zeros(2)),
        lambda p: sf.open(p, "w+", dtype="f4", shape=2),
    ):
        with pytest.raises(OSError):
            call(tmp_path / ("n" * 300))
    assert os.listdir(tmp_path) == []


# Raw files: sizes and offsets.


@pytest.mark.parametrize(
    ("how", "word"),
    [
        ({"offset": 101}, "101.*100"),
        ({"offset": -1}, "-1"),
        ({"offset": 2**62}, "100"),
        ({"dtype": "f8"}, "multiple"),
        ({"offset": 1, "dtype": "f4"}, "multiple"),
        ({"shape": 101}, "101"),
        ({"shape": (10, 11)}, "110"),
        ({"shape": 100, "offset": 1}, "99"),
        ({"shape": (-1,)}, "-1"),
        ({"shape": (2**40, 2**40)}, None),
        ({"shape": (2**62, 2, 0)}, None),
        ({"dtype": "S0"}, None),
        ({"shape": (1,) * 65}, "64"),
    ],
)
def test_raw_sizes(how, word, tmp_path):
    path = tmp_path / "a.raw"
    path.write_bytes(bytes(100))
    with pytest.raises(ValueError, match=word):
        sf.open(path, **{"dtype": "u1", **how})


@pytest.mark.parametrize(
    "how", [{"shape": "3"}, {"shape": 1.5}, {"offset": "1"}, {"offset": 1.5}, {"dtype": "O"}]
)
def test_raw_types(how, tmp_path):
    path = tmp_path / "a.raw"
    path.write_bytes(bytes(100))
    with pytest.raises(TypeError):
        sf.open(path, **{"dtype": "u1", **how})


def test_numbers_beyond_64_bits(tmp_path):
    path = tmp_path / "a.raw"
    path.write_bytes(bytes(100))
    for how in ({"shape": 2**70}, {"shape": (1, -(2**70))}, {"offset": 2**64}):
        with pytest.raises((ValueError, OverflowError)):
            sf.open(path, dtype="u1", **how)


def test_zero_byte_raw_file(tmp_path):
    path = tmp_path / "a.raw"
    path.write_bytes(b"")
    assert sf.open(path, dtype="f4").shape == (0,)
    assert sf.open(path, dtype="f4", shape=(0, 3)).shape == (0, 3)
    with pytest.raises(ValueError):
        sf.open(path, dtype="f4", shape=1)


# Shapes.

BAD_SHAPES = [
    (-1, (ValueError,), "-1"),
    ((2, -3), (ValueError,), "-3"),
    ((-1, 0), (ValueError,), "-1"),
    ((2**62, 4), (ValueError, MemoryError), None),
    ((2**32, 2**32), (ValueError, MemoryError), None),
    ((0, 2**62, 2**62), (ValueError, MemoryError), None),
    (2**60, (ValueError, MemoryError), None),
    (2**70, (ValueError, OverflowError), None),
    ((1,) * 65, (ValueError,), "64"),
    (1.5, (TypeError,), None),
    ("3", (TypeError,), None),
    ((2, "3"), (TypeError,), None),
    (None, (TypeError,), None),
    ([[2]], (TypeError,), None),
]


@pytest.mark.parametrize(("shape", "errors", "word"), BAD_SHAPES, ids=str)
def test_bad_shapes(shape, errors, word):
    before = sf.memory_stats()["live_bytes"]
    for make in (sf.empty, sf.zeros, sf.ones, lambda s: sf.full(s, 1)):
        with pytest.raises(errors, match=word):
            make(shape)
    assert sf.memory_stats()["live_bytes"] == before


@pytest.mark.parametrize(
    ("shape", "error"),
    [
        ((5, 3), ValueError),
        ((-1, -1), ValueError),
        ((-2, 6), ValueError),
        ((-1, 5), ValueError),
        ((0, -1), ValueError),
        ((2**62, 2**62), ValueError),
        ((2**32, 2**32), ValueError),
        ("12", TypeError),
        ((3, 4.0), TypeError),
    ],
    ids=str,
)
def test_bad_reshapes(shape, error):
    array = sf.arange(12)
    with pytest.raises(error):
        array.reshape(shape)
    with pytest.raises(error):
        array.reshape(3, 4).T.reshape(shape)


def test_bad_transposes_and_views():
    array = sf.zeros((2, 3), "f4")
    for axes in [(0,), (0, 0), (0, 2), (-3, 0), (0, 1, 2)]:
        with pytest.raises((ValueError, IndexError)):
            array.transpose(axes)
    with pytest.raises(TypeError):
        array.transpose("ab")
    with pytest.raises(ValueError, match="multiple"):
        array.view("f8")
    with pytest.raises(ValueError, match="contiguous"):
        array.T.view("u1")
    with pytest.raises(ValueError):
        array.view("S0")
    with pytest.raises(ValueError):
        sf.zeros(()).view("u1")
    assert array[:, :2].view("f8").shape == (2, 1)
    with pytest.raises(ValueError):
        sf.zeros((2, 0)).view([])


# Saving.


def test_save_refuses_and_keeps_the_old_file(tmp_path):
    path = tmp_path / "a.npy"
    sf.save(path, sf.arange(3))
    before = path.read_bytes()
    closed = sf.zeros(3)
    closed.close()
    for value, error in [
        (None, TypeError),
        ("text", TypeError),
        ([[1], [1, 2]], ValueError),
        (sf.zeros(3, "bfloat16"), TypeError),
        (closed, ValueError),
        (object(), TypeError),
    ]:
        with pytest.raises(error):
            sf.save(path, value)
        assert path.read_bytes() == before
        assert os.listdir(tmp_path) == ["a.npy"]


def test_sub_arrays_of_too_many_dimensions():
    inner = ctypes.c_int
    for _ in range(65):
        inner = inner * 1
    record = type("Record", (ctypes.Structure,), {"_fields_": [("x", inner)]})
    with pytest.raises((TypeError, ValueError), match="64"):
        sf.asarray((record * 2)())
    with pytest.raises(ValueError, match="200 dimensions; at most 64"):
        sf.dtype([("x", "i4", (1,) * 200)])


def test_save_refuses_what_open_would(tmp_path):
    path = tmp_path / "a.npy"
    sf.save(path, sf.arange(3))
    for fields in ([(f"f{i}", "u1") for i in range(4097)], [("x" * 2**20, "u1")]):
        with pytest.raises(ValueError, match="at most"):
            sf.save(path, sf.zeros(2, fields))
    assert sf.open(path).tolist() == [0, 1, 2]


FULL_DISK = """
    import os, resource, signal, sys
    import spanflow as sf

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    path, verb = sys.argv[1:]
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, 1 << 16))
    try:
        if verb == "save":
            sf.save(path, sf.ones(1 << 16))
        elif verb == "save strided":
            sf.save(path, sf.ones((1 << 9, 1 << 9))[:, ::2])
        else:
            sf.open(path, "w+", dtype="f8", shape=1 << 16)
    except OSError as error:
        print(error.errno, error.filename)
        sys.exit(7)
"""


@pytest.mark.parametrize("verb", ["save", "save strided", "w+"])
def test_full_disk(verb, tmp_path):
    """A limit on the size of files stands for a disk without room: EFBIG instead of ENOSPC."""
    path = tmp_path / "a.npy"
    sf.save(path, sf.arange(3))
    before = path.read_bytes()
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(FULL_DISK), path, verb],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 7, done.stderr
    assert done.stdout.split()[0] in ("27", "28")
    assert str(tmp_path) in done.stdout
    assert path.read_bytes() == before  # the old file is whole
    assert os.listdir(tmp_path) == ["a.npy"]  # and no rest of the new one


def test_really_full_disk(tmp_path):
    """On a small file system of our own, where we may make one."""
    small = tmp_path / "small"
    small.mkdir()
    if (
        os.geteuid() != 0
        or subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=256k", "none", small],
            capture_output=True,
            check=False,
        ).returncode
    ):
        pytest.skip("cannot mount a file system here")
    try:
        path = small / "a.npy"
        sf.save(path, sf.arange(3))
        before = path.read_bytes()
        for call in (
            lambda: sf.save(path, sf.ones(1 << 16)),
            lambda: sf.save(path, sf.ones((1 << 9, 1 << 9))[:, ::2]),
            lambda: sf.open(path, "w+", dtype="f8", shape=1 << 16),
        ):
            with pytest.raises(OSError) as caught:
                call()
            assert caught.value.errno == 28
            assert path.read_bytes() == before
            assert os.listdir(small) == ["a.npy"]
        assert sf.open(path).tolist() == [0, 1, 2]
    finally:
        subprocess.run(["umount", small], check=True)


def test_concurrent_saves(tmp_path):
    """Two threads save to one path: each file that anybody sees is whole."""
    path = tmp_path / "a.npy"
    sf.save(path, sf.zeros(5000))
    wrong = []
    stop = threading.Event()

    def write(value):
        array = sf.full(5000, value)
        while not stop.is_set():
            sf.save(path, array)

    threads = [threading.Thread(target=write, args=(v,)) for v in (1.0, 2.0)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(100):
            with sf.open(path) as array:
                if array.shape != (5000,) or array.min() != array.max():
                    wrong.append(array.tolist())
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert not wrong
    assert os.listdir(tmp_path) == ["a.npy"]
