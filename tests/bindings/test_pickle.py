"""Pickles and copies of arrays and expressions: mapped files by path, anything else by value."""

import copy
import os
import pickle
import subprocess
import sys

import numpy as np
import pytest

import spanflow as sf

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)
ARRAYS = {
    "plain": np.arange(24.0).reshape(4, 6),
    "fortran": np.asfortranarray(np.arange(24.0).reshape(4, 6)),
    "strided": np.arange(48, dtype="i2").reshape(6, 8)[::2, ::-3],
    "swapped": np.arange(5, dtype=">f8"),
    "records": np.array([(1, b"ab"), (2, b"cd")], [("n", ">i4"), ("s", "S2")]),
    "complex": np.array([1 + 2j, 3]),
    "scalar": np.array(3, "u1"),
    "empty": np.zeros((0, 3), "f4"),
}


def same(ours, theirs):
    ours = np.asarray(ours)
    assert ours.dtype == theirs.dtype and ours.shape == theirs.shape
    assert np.array_equal(ours, theirs)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("name", ARRAYS)
def test_by_value(name, protocol):
    a = sf.asarray(ARRAYS[name])
    again = pickle.loads(pickle.dumps(a, protocol))
    same(again, ARRAYS[name])
    assert again.dtype == a.dtype
    if again.size:
        again.fill(again[(0,) * again.ndim] if again.ndim else 7)  # it is writable
    same(a, ARRAYS[name])


def test_the_order_is_kept():
    a = sf.asarray(ARRAYS["fortran"])
    for protocol in PROTOCOLS:
        again = pickle.loads(pickle.dumps(a, protocol))
        assert again.strides == a.strides


@pytest.mark.parametrize("name", ARRAYS)
def test_buffers_out_of_band(name):
    a = sf.asarray(ARRAYS[name])
    buffers = []
    data = pickle.dumps(a, 5, buffer_callback=buffers.append)
    again = pickle.loads(data, buffers=buffers)
    same(again, ARRAYS[name])
    assert len(data) < 300
    if a.size and name != "strided":
        assert again.address == a.address  # not one byte was copied
    del a
    same(again, ARRAYS[name])


def test_a_buffer_keeps_its_bytes_and_who_may_write():
    locked = np.arange(9.0)
    locked.flags.writeable = False
    buffers = []
    data = pickle.dumps(sf.asarray(locked), 5, buffer_callback=buffers.append)
    del locked
    again = pickle.loads(data, buffers=buffers)
    with pytest.raises(ValueError, match="read-only"):
        again.fill(1)
    same(again, np.arange(9.0))
    again = pickle.loads(data, buffers=[bytearray(72)])
    with pytest.raises(ValueError, match="read-only"):  # as the array was
        again.fill(2)
    data = pickle.dumps(sf.zeros(9), 5, buffer_callback=buffers.append)
    free = bytearray(72)
    pickle.loads(data, buffers=[free]).fill(2)
    assert free != bytearray(72)
    with pytest.raises((TypeError, pickle.UnpicklingError)):
        pickle.loads(data)
    with pytest.raises(ValueError, match=r"reshape|multiple"):
        pickle.loads(data, buffers=[bytearray(7)])


def test_what_was_closed_has_no_pickle():
    a = sf.ones(3)
    a.close()
    for protocol in PROTOCOLS:
        with pytest.raises(ValueError, match="closed"):
            pickle.dumps(a, protocol)


# ---- mapped files ----


@pytest.fixture
def path(tmp_path):
    sf.save(tmp_path / "a.npy", np.arange(6000.0).reshape(100, 60))
    return tmp_path / "a.npy"


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    "view",
    [
        lambda a: a,
        lambda a: a[10:20, 3:],
        lambda a: a[::-2, ::7],
        lambda a: a.T,
        lambda a: a[5, 5:6].reshape(()),
        lambda a: a[:0],
    ],
    ids=["whole", "part", "reversed", "transposed", "scalar", "empty"],
)
def test_by_path(path, view, protocol):
    a = view(sf.open(path))
    data = pickle.dumps(a, protocol)
    assert len(data) < 500 and os.fsencode(path.name) in data
    again = pickle.loads(data)
    same(again, np.asarray(a))
    assert again.strides == a.strides
    with pytest.raises(ValueError, match="read-only"):
        again.fill(1)


def test_by_path_from_another_process_and_folder(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    a = sf.open("a.npy", "r+")
    monkeypatch.chdir("/")
    data = pickle.dumps(a[3])
    code = "import pickle, sys; a = pickle.load(sys.stdin.buffer); print(a.sum()); a.fill(7)"
    done = subprocess.run([sys.executable, "-c", code], input=data, capture_output=True, check=True)
    assert float(done.stdout) == np.arange(180.0, 240).sum()
    same(a[3], np.full(60, 7.0))  # both write to the file
    same(pickle.loads(data), np.full(60, 7.0))


def test_a_raw_file(tmp_path):
    (tmp_path / "raw").write_bytes(bytes(range(100)))
    a = sf.open(tmp_path / "raw", dtype=">u2", shape=(3, 5), offset=7)
    same(pickle.loads(pickle.dumps(a[1:])), np.asarray(a[1:]))


def test_what_only_this_process_has_goes_by_value(path, tmp_path):
    changed = sf.open(path, "c")
    changed.fill(5)
    same(pickle.loads(pickle.dumps(changed)), np.full((100, 60), 5.0))

    a = sf.open(path)
    path.rename(tmp_path / "b.npy")  # found under its new name
    assert len(pickle.dumps(a)) < 500
    same(pickle.loads(pickle.dumps(a)), np.asarray(a))
    (tmp_path / "b.npy").unlink()
    data = pickle.dumps(a)
    assert len(data) > 48_000
    same(pickle.loads(data), np.asarray(a))

    sf.save(path, np.zeros(6000))  # another file of that name
    assert len(pickle.dumps(a)) > 48_000


def test_a_file_that_is_gone_or_too_short(path):
    data = pickle.dumps(sf.open(path))
    os.truncate(path, 1000)
    with pytest.raises(ValueError, match="1000"):
        pickle.loads(data)
    path.unlink()
    with pytest.raises(FileNotFoundError, match="a.npy"):
        pickle.loads(data)


@pytest.mark.parametrize(
    "args, error",
    [
        (("r", "f8", (3,), (8, 8), 0), ValueError),
        (("r", "f8", (-3,), (8,), 0), ValueError),
        (("r", "f8", (3,), (8,), -8), ValueError),
        (("r", "f8", (3,), (-8,), 8), ValueError),
        (("r", "f8", (2**40,), (8,), 0), ValueError),
        (("r", "f8", (2**62, 4), (2**62, 8), 0), ValueError),
        (("r", "f8", (3,), (2**62,), 2**62), ValueError),
        (("r", "no", (3,), (8,), 0), TypeError),
        (("r", "f8", "3", (8,), 0), TypeError),
    ],
)
def test_a_pickle_that_lies(path, args, error):
    with pytest.raises(error):
        sf._core._open_strided(str(path), *args)


def test_copies(path):
    for a in (sf.open(path), sf.asarray(ARRAYS["records"])):
        for twin in (copy.copy(a), copy.deepcopy(a)):
            assert twin.address != a.address
            same(twin, np.asarray(a))
            twin.fill(twin[0] if twin.ndim == 1 else 0)


# ---- expressions ----

A = np.arange(12.0).reshape(3, 4)
FOREIGN = np.arange(4, dtype="f4")
X = sf.lazy(A)
EXPRESSIONS = {
    "array": X,
    "foreign": sf.lazy(FOREIGN) * 2,
    "numbers": (X + 1) * 2.5 - 2**63 * True + (X > 3) ** 2,
    "complex": X * (1 + 2j),
    "reductions": (X - X.mean(axis=0)) / X.std(axis=1, keepdims=True, ddof=1) + X.max(),
    "filter": X[X.mean() < X].sum(),
    "mask": X[A > 3],
    "where": X.sum(where=A > 2),
    "calls": sf.where(X > 3, sf.sqrt(X), sf.clip(X, 1, FOREIGN)) + sf.maximum(X, 2) + -X,
    "clip": X.clip(1, None) + X.clip(None, 3),
    "cast": X.astype("i4") // 3 & 5,
    "place": X.argmax(axis=1),
    "shared": (X + 1) * (X + 1) - (X + 1),
}


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("name", EXPRESSIONS)
def test_expressions(name, protocol):
    x = EXPRESSIONS[name]
    for twin in (pickle.loads(pickle.dumps(x, protocol)), copy.copy(x), copy.deepcopy(x)):
        assert repr(twin) == repr(x)
        ours, theirs = np.asarray(twin.compute()), np.asarray(x.compute())
        assert ours.dtype == theirs.dtype and np.array_equal(ours, theirs)


def test_columns_and_compiled():
    x = sf.col("t") * 1.8 + sf.col("größe")
    twin = pickle.loads(pickle.dumps(x))
    assert twin.columns == x.columns == ("t", "größe")
    columns = {"t": A, "größe": 2 * A}
    assert np.array_equal(twin.compute(columns=columns), x.compute(columns=columns))
    for made in (x, [x, x.sum()], {"x": x, "mean": x.mean()}):
        f = sf.compile(made)
        for again in (pickle.loads(pickle.dumps(f)), copy.deepcopy(f)):
            assert repr(again) == repr(f)
            ours, theirs = again(A, A), f(A, A)
            assert type(ours) is type(theirs)
            if isinstance(made, dict):
                assert list(ours) == list(theirs)
                ours, theirs = ours.values(), theirs.values()
            pairs = [(ours, theirs)] if made is x else zip(ours, theirs, strict=True)
            assert all(np.array_equal(one, other) for one, other in pairs)


def test_nodes_are_pickled_once():
    x = sf.lazy(A)
    for _ in range(200):
        x = x + x  # 2 ** 200 paths
    data = pickle.dumps(x)
    assert len(data) < 20_000
    assert np.array_equal(pickle.loads(data).compute(), x.compute())
    deep = sf.col("x")
    for _ in range(50_000):
        deep = deep + 1
    assert pickle.loads(pickle.dumps(deep)).compute(columns={"x": [1.0]})[0] == 50_001


def test_expressions_of_mapped_files(path):
    x = sf.lazy(sf.open(path)).sum() + 1
    data = pickle.dumps(x)
    assert len(data) < 1000
    assert pickle.loads(data).compute() == x.compute()


def test_expressions_keep_foreign_bytes_out_of_band():
    buffers = []
    data = pickle.dumps(sf.lazy(np.arange(1000.0)) + 1, 5, buffer_callback=buffers.append)
    assert np.array_equal(pickle.loads(data, buffers=buffers).compute(), np.arange(1000.0) + 1)
