"""cache(path): the items of a pipeline in a file."""

import itertools
import os

import numpy as np
import pytest

import spanflow as sf
from tests.crash.process import check

A = np.arange(300.0).reshape(100, 3)


calls = []


def counted(x):
    calls.append(1)
    return x


def test_the_second_run_reads_the_file(tmp_path):
    calls.clear()
    path = tmp_path / "items"
    pipe = sf.Pipeline(sf.read(A, rows=7)).map(counted).cache(path)
    first = list(pipe)
    assert len(calls) == 15
    second = list(sf.Pipeline(sf.read(A, rows=7)).map(counted).cache(str(path)))
    assert len(calls) == 15
    for x, y in zip(first, second, strict=True):
        assert np.array_equal(x, y)
        assert y.dtype == x.dtype
    assert os.listdir(tmp_path) == ["items"]


@pytest.mark.parametrize(
    "items",
    [
        [],
        [1, "two", None, {"three": 3}],
        [(A[:2], A[2:], "x")],
        [{"x": A[:1], "y": np.arange(3, dtype=">i2")}],
        [A[::2, ::-1], A.T, np.zeros((0, 4)), np.float32(3)],
        [np.array([(1, 2.0)], [("a", "u1"), ("b", "f8")]), b"bytes", np.array(["text"])],
    ],
    ids=["none", "objects", "tuples", "dicts", "layouts", "dtypes"],
)
def test_what_items_may_be(tmp_path, items):
    pipe = sf.Pipeline(items).cache(tmp_path / "items")
    for found in (list(pipe), list(pipe)):
        assert len(found) == len(items)
        for x, y in zip(items, found, strict=True):
            np.testing.assert_equal(plain(y), plain(x))


def plain(item):
    if isinstance(item, (tuple, dict)):
        values = item.values() if isinstance(item, dict) else item
        return [plain(value) for value in values]
    return np.asarray(item) if isinstance(item, (sf.Array, np.ndarray)) else item


def test_arrays_are_mapped_not_copied(tmp_path):
    pipe = sf.Pipeline(sf.read(A, rows=50)).cache(tmp_path / "items")
    list(pipe)
    for item in pipe:
        address = np.asarray(item).__array_interface__["data"][0]
        assert address % 64 == 0
        assert not np.asarray(item).flags.writeable
        with open("/proc/self/maps") as maps:
            assert any(str(tmp_path) in line for line in maps)


def test_only_a_complete_run_leaves_a_file(tmp_path):
    def fail(x):
        if x == 5:
            raise KeyError(x)
        return x

    path = tmp_path / "items"
    with pytest.raises(KeyError):
        list(sf.Pipeline(range(9)).map(fail).cache(path))
    with sf.Pipeline(range(10**6)).cache(path).run() as run:
        assert list(itertools.islice(run, 3)) == [0, 1, 2]
    assert os.listdir(tmp_path) == []


def test_a_killed_process_leaves_no_half_file(tmp_path):
    script = """
import os, sys, spanflow as sf
for x in sf.Pipeline(range(10**6)).cache(sys.argv[1]):
    if x == 50: os.kill(os.getpid(), 9)
"""
    path = tmp_path / "items"
    check(script, str(path), code=-9)
    assert not path.exists()
    assert list(sf.Pipeline(range(3)).cache(path)) == [0, 1, 2]
    assert list(sf.Pipeline(range(3)).cache(path)) == [0, 1, 2]


def test_files_that_are_refused(tmp_path):
    path = tmp_path / "items"
    list(sf.Pipeline(range(3)).cache(path))
    with pytest.raises(
        ValueError, match="cache of another pipeline(.|\n)*range(.|\n)*map"
    ) as caught:
        list(sf.Pipeline(range(3)).map(abs).cache(path))
    assert "in the pipeline's cache(" in caught.value.__notes__[0]
    data = path.read_bytes()
    for bad in (b"", b"x" * 10, b"x" * 100, data[:-1], data[1:], data[:40], data + b"x"):
        path.write_bytes(bad)
        with pytest.raises(ValueError, match="no cache of a pipeline, or not complete|empty"):
            list(sf.Pipeline(range(3)).cache(path))
    with pytest.raises(TypeError, match="PathLike"):
        sf.Pipeline(range(3)).cache(3.5)
    with pytest.raises(OSError, match="No such file"):
        list(sf.Pipeline(range(3)).cache(tmp_path / "not" / "there"))


def test_over_a_cache_in_memory(tmp_path):
    """Which is another text as soon as it has kept something."""
    pipe = sf.Pipeline(range(5)).map(str).cache().cache(tmp_path / "kept")
    assert list(pipe) == list(pipe) == ["0", "1", "2", "3", "4"]


def test_a_disk_that_is_full(tmp_path):
    """A limit on the size of files ends a write as a full disk does."""
    script = """
import os, resource, signal, sys, spanflow as sf
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
pipe = sf.Pipeline(sf.read(sf.zeros(100_000), rows=1000))
for run in (lambda: list(pipe.cache(sys.argv[1] + "/c")), lambda: pipe.write(sys.argv[1] + "/a.npy")):
    try:
        run()
    except OSError as error:
        assert any(sys.argv[1] in note for note in error.__notes__), error.__notes__
    else:
        raise AssertionError
    assert os.listdir(sys.argv[1]) == []
"""
    check(script, str(tmp_path))
