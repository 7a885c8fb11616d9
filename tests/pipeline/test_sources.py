"""Where items come from: files, named columns, other pipelines, event loops; and where they go."""

import asyncio
import gc
import os
import pickle
import random
import threading
import time

import numpy as np
import pytest

import spanflow as sf


@pytest.fixture
def files(tmp_path):
    """Four .npy files of 5, 0, 7 and 1 rows."""
    counts = [5, 0, 7, 1]
    arrays = [np.arange(n * 3, dtype="f4").reshape(n, 3) + 100 * i for i, n in enumerate(counts)]
    for i, array in enumerate(arrays):
        np.save(tmp_path / f"part-{i}.npy", array)
    return tmp_path, np.concatenate(arrays)


@pytest.mark.parametrize("threads", [1, 3])
def test_file_sets(files, threads):
    folder, whole = files
    names = sorted(folder.glob("part-*.npy"))
    for source in (f"{folder}/part-*.npy", names, list(map(str, names)), (n for n in names)):
        pipe = sf.Pipeline(sf.read(source, rows=2))
        np.testing.assert_array_equal(pipe.collect(threads=threads), whole)
    pipe = sf.Pipeline(sf.read(names, rows=2))
    assert [len(a) for a in pipe] == [2, 2, 1, 2, 2, 2, 1, 1]
    assert all(a.storage == "mapped" for a in pipe)
    assert pipe.reduce(sf.sum, threads=threads) == whole.sum()
    np.testing.assert_array_equal(pipe.map(sf.multiply, 2).rebatch(4).collect(), whole * 2)
    assert "read(4 files: " in repr(pipe)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(pipe)).collect(), whole)


def test_one_file_is_read_like_an_array(files):
    folder, whole = files
    pipe = sf.Pipeline(sf.read(folder / "part-2.npy", rows=3))
    assert "float32 (7, 3)" in repr(pipe)
    np.testing.assert_array_equal(pipe.collect(), whole[5:12])
    (folder / "raw").write_bytes(whole.tobytes())
    raw = sf.Pipeline(sf.read(folder / "raw", rows=4, dtype="f4", shape=(13, 3)))
    np.testing.assert_array_equal(raw.collect(), whole)


def test_byte_ranges(tmp_path):
    data = random.Random(1).randbytes(10_000)
    path = tmp_path / "data"
    path.write_bytes(data)
    pipe = sf.Pipeline(sf.read_bytes(path, 1024, start=100, stop=9000))
    assert [len(a) for a in pipe] == [1024] * 8 + [8900 - 8192]
    assert b"".join(map(bytes, pipe)) == data[100:9000]
    assert bytes(sf.Pipeline(sf.read_bytes(path, "4kB")).collect()) == data


def test_files_that_are_not_there(tmp_path, files):
    folder, whole = files
    with pytest.raises(FileNotFoundError, match="no file matches '.*none-"):
        sf.read(f"{tmp_path}/none-*.npy")
    with pytest.raises(FileNotFoundError):
        sf.read(tmp_path / "none.npy")
    seen = []
    pipe = sf.Pipeline(sf.read([folder / "part-0.npy", folder / "none.npy"], rows=5))
    with pytest.raises(FileNotFoundError) as caught:
        for chunk in pipe:
            seen.append(np.asarray(chunk))
    np.testing.assert_array_equal(np.concatenate(seen), whole[:5])
    assert "in the pipeline's read(2 files" in caught.value.__notes__[0]
    (folder / "short.npy").write_bytes((folder / "part-2.npy").read_bytes()[:-4])
    with pytest.raises(ValueError):
        sf.Pipeline(sf.read([folder / "part-0.npy", folder / "short.npy"])).collect()
    with pytest.raises(TypeError, match=r"a pipeline over a file is sf.Pipeline\(sf.read"):
        sf.Pipeline(folder / "part-0.npy")
    with pytest.raises(TypeError, match=r"sf.Pipeline\(sf.read"):
        sf.Pipeline(str(folder / "part-0.npy"))
    with pytest.raises(TypeError, match="read.. of arrays takes no dtype"):
        sf.read(np.zeros(3), dtype="f4")


def test_named_columns():
    columns = {"delay": np.arange(10.0), "hour": np.arange(10) % 3}
    pipe = sf.Pipeline(sf.read(columns, rows=4))
    first = next(iter(pipe))
    assert list(first) == ["delay", "hour"]
    np.testing.assert_array_equal(first["hour"], [0, 1, 2, 0])
    found = pipe.map(sf.col("hour") * 10 + sf.col("delay")).collect()
    np.testing.assert_array_equal(found, columns["hour"] * 10 + columns["delay"])
    late = pipe.filter(sf.col("delay") > 6.5).collect()
    np.testing.assert_array_equal(late["hour"], columns["hour"][7:])
    assert {name: a.shape for name, a in pipe.rebatch(10).collect().items()} == {
        "delay": (10,),
        "hour": (10,),
    }
    assert [row["delay"] for row in pipe.unbatch()] == list(range(10))
    with pytest.raises(ValueError, match=r"map\(.*nothing.*no column 'nothing'; .* delay, hour"):
        pipe.map(sf.col("nothing") + 1)
    from_python = sf.Pipeline([columns]).map(sf.col("hour") + 1)
    np.testing.assert_array_equal(from_python.collect(), columns["hour"] + 1)
    with pytest.raises(ValueError, match="no column 'nothing'"):
        sf.Pipeline([columns]).map(sf.col("nothing") + 1).collect()
    with pytest.raises(TypeError, match="names that are strings"):
        sf.read({1: np.zeros(3)})
    with pytest.raises(ValueError, match="same number of rows"):
        sf.read({"a": np.zeros(3), "b": np.zeros(4)})
    with pytest.raises(ValueError, match="at least one array"):
        sf.read({})
    both = pickle.loads(pickle.dumps(pipe)).to_numpy()
    assert isinstance(both["delay"], np.ndarray)


# ---- pipelines of pipelines ----


def test_zip_lengths():
    short, long = sf.Pipeline(range(3)), sf.Pipeline(range(5)).map(lambda x: x)
    assert short.zip(long).collect() == long.zip(short).collect() == [(i, i) for i in range(3)]
    for pair in (short.zip(long, strict=True), long.zip(short, strict=True)):
        with pytest.raises(ValueError, match=r"zip\(\) argument"):
            pair.collect()
    assert short.zip(short, long).map(lambda t: sum(t)).collect() == [0, 3, 6]


def test_branches_want_sources():
    pipe = sf.Pipeline([1])
    for verb in (pipe.zip, pipe.concat, pipe.interleave):
        with pytest.raises(TypeError, match="at least one other pipeline"):
            verb()
        with pytest.raises(TypeError, match="with a source, got a chain"):
            verb(sf.Pipeline().map(str))
        with pytest.raises(TypeError, match="needs sf.read"):
            verb(3)


@pytest.mark.parametrize("threads", [1, 4])
def test_errors_of_branches_come_in_their_turn(threads):
    def fails(x):
        if x == 7:
            raise ValueError("seven")
        return x

    bad = sf.Pipeline(range(100)).map(fails)
    for pipe, before in [
        (bad.zip(range(100)), 7),
        (sf.Pipeline([0] * 5).concat(bad), 12),
        (bad.interleave([-1] * 50), 14),
        (bad.repeat(3), 7),
        (bad.cache(), 7),
    ]:
        seen = []
        with pytest.raises(ValueError, match="seven") as caught:
            for item in pipe.run(threads=threads):
                seen.append(item)
        assert len(seen) == before
        assert any("map(fails), item 7" in note for note in caught.value.__notes__)


def test_all_capacities_at_one():
    one = sf.Pipeline(range(50)).map(lambda x: x).prefetch(0)
    pipe = one.zip(one.interleave(one.skip(1)).prefetch(0)).concat(one.zip(one)).prefetch(0)
    twice = [y for x in range(50) for y in (x, x + 1)][:50]
    wanted = list(zip(range(50), twice, strict=True)) + [(i, i) for i in range(50)]
    for threads in (1, 2):
        assert list(pipe.run(threads=threads, memory=64)) == wanted


def test_branches_share_the_memory():
    big = np.zeros((40, 131072))  # rows of 1 MiB
    pipe = sf.Pipeline(sf.read(big, rows=1)).map(sf.add, 1)
    run = pipe.zip(pipe).run(memory="30MiB", threads=2)
    assert run.stats()["memory"] == 10 << 20
    with run:
        assert sum(float(a[0, 0] + b[0, 0]) for a, b in run) == 80


def test_repeat():
    pipe = sf.Pipeline(range(6)).shuffle(6, seed=3)
    epochs = pipe.repeat(4).collect(threads=2)
    split = [epochs[i : i + 6] for i in range(0, 24, 6)]
    assert all(sorted(epoch) == list(range(6)) for epoch in split)
    assert len({tuple(epoch) for epoch in split}) > 2
    assert split[0] == pipe.collect() and epochs == pipe.repeat(4).collect(threads=1)
    assert sf.Pipeline([1, 2]).repeat().take(5).collect() == [1, 2, 1, 2, 1]
    assert sf.Pipeline([]).repeat().collect() == sf.Pipeline([1]).repeat(0).collect() == []
    with pytest.raises(TypeError, match=r"repeat\(\) cannot read .* again"):
        sf.Pipeline(iter([1])).repeat()
    with pytest.raises(ValueError, match="repeat must be at least 0"):
        sf.Pipeline([1]).repeat(-1)


def test_cache():
    calls = []
    pipe = sf.Pipeline(iter(range(5))).map(lambda x: calls.append(x) or np.full(3, x)).cache()
    assert len(list(pipe.take(2))) == 2  # did not come to its end: nothing is kept
    calls.clear()
    pipe = sf.Pipeline(range(5)).map(lambda x: calls.append(x) or np.full(3, x)).cache()
    first = [np.asarray(a).tolist() for a in pipe]
    second = [np.asarray(a).tolist() for a in pipe.run(threads=3)]
    assert first == second and sorted(calls) == list(range(5))
    assert "cache(5 items)" in repr(pipe)
    native = sf.Pipeline(sf.read(np.ones((64, 1024)), rows=1)).map(sf.add, 1).cache()
    for _ in range(2):
        run = native.run(memory="64KiB")
        assert sum(float(a[0, 0]) for a in run) == 128
    assert pickle.loads(pickle.dumps(native)).collect().shape == (64, 1024)


# ---- asynchronous iterables ----


class Ticks:
    """An asynchronous iterable that says when it was closed."""

    def __init__(self, count, error=None):
        self.count = count
        self.error = error
        self.closed = threading.Event()

    async def __aiter__(self):
        try:
            for i in range(self.count):
                await asyncio.sleep(0.001)
                yield i
            if self.error is not None:
                raise self.error
        finally:
            self.closed.set()


@pytest.mark.parametrize("threads", [1, 3])
def test_asynchronous_sources(threads):
    ticks = Ticks(20)
    pipe = sf.Pipeline(ticks).map(lambda x: x * 2)
    assert pipe.collect(threads=threads) == list(range(0, 40, 2))
    assert ticks.closed.is_set()
    ticks = Ticks(10**6)
    assert sf.Pipeline(ticks).take(3).collect(threads=threads) == [0, 1, 2]
    gc.collect()
    assert ticks.closed.wait(2)
    with pytest.raises(LookupError, match="gone"):
        sf.Pipeline(Ticks(3, LookupError("gone"))).collect(threads=threads)


# ---- sinks ----


@pytest.mark.parametrize("dtype", ["f4", ">i8", "?", "c16", [("a", "i4"), ("b", ">f8")]])
def test_write_npy(tmp_path, dtype):
    array = np.zeros((23, 2), dtype)
    array.view("u1")[...] = np.arange(array.nbytes).reshape(23, -1) % 2
    pipe = sf.Pipeline(sf.read(array, rows=5))
    assert pipe.write(tmp_path / "a.npy") == [tmp_path / "a.npy"]
    found = np.load(tmp_path / "a.npy")
    assert found.dtype == array.dtype and found.tobytes() == array.tobytes()
    assert sf.open(tmp_path / "a.npy").shape == (23, 2)
    assert pipe.write(tmp_path / "a.raw") == [tmp_path / "a.raw"]
    assert (tmp_path / "a.raw").read_bytes() == array.tobytes()
    shards = pipe.write(tmp_path / "s-{:03}.npy", rows=10, threads=2)
    assert [p.name for p in shards] == ["s-000.npy", "s-001.npy", "s-002.npy"]
    assert [len(np.load(p)) for p in shards] == [10, 10, 3]
    assert b"".join(np.load(p).tobytes() for p in shards) == array.tobytes()
    assert sorted(os.listdir(tmp_path)) == sorted(["a.npy", "a.raw", *(p.name for p in shards)])


def test_write_of_views_and_no_rows(tmp_path):
    array = np.arange(24.0).reshape(4, 6)
    sf.Pipeline([array.T, array[:, ::-1].T]).write(tmp_path / "v.npy")
    np.testing.assert_array_equal(
        np.load(tmp_path / "v.npy"), np.concatenate([array.T, array[:, ::-1].T])
    )
    none = sf.Pipeline(sf.read(array, rows=2)).filter(sf.col("x") > 99)
    none.write(tmp_path / "n.npy")
    assert np.load(tmp_path / "n.npy").shape[0] == 0


def test_a_write_that_fails_leaves_nothing(tmp_path):
    path = tmp_path / "a.npy"
    path.write_bytes(b"as it was")

    def fails(a):
        if a[0] > 50:
            raise ValueError("late")
        return a

    pipe = sf.Pipeline(sf.read(np.arange(100.0), rows=10)).map(fails)
    with pytest.raises(ValueError, match="late"):
        pipe.write(path)
    assert path.read_bytes() == b"as it was"
    with pytest.raises(ValueError, match="late"):
        pipe.write(tmp_path / "s{}.npy", rows=20)
    assert sorted(os.listdir(tmp_path)) == ["a.npy", "s0.npy", "s1.npy", "s2.npy"]
    for items, words in [
        ([np.zeros(3), np.zeros((3, 2))], "first axis only, got float64 .* and then float64"),
        ([np.zeros(3), np.zeros(3, "f4")], "first axis only"),
        ([1, 2], "a 0-d array has no rows"),
        ([], "got no items"),
    ]:
        with pytest.raises(ValueError, match=words):
            sf.Pipeline(items).write(path)
    assert path.read_bytes() == b"as it was"
    with pytest.raises(ValueError, match="a place for the number of the file"):
        pipe.write(path, rows=3)
    with pytest.raises(ValueError, match="rows must be at least 1"):
        pipe.write(path, rows=0)
    with pytest.raises(OSError):
        pipe.write(tmp_path / "nowhere" / "a.npy")
    assert sorted(os.listdir(tmp_path)) == ["a.npy", "s0.npy", "s1.npy", "s2.npy"]


def test_a_ring_of_buffers():
    ring = [sf.zeros((4, 2)) for _ in range(3)]
    array = np.arange(36.0).reshape(18, 2)
    views = []
    for i, part in enumerate(sf.Pipeline(sf.read(array, rows=4)).into(ring)):
        assert part.address == ring[i % 3].address
        np.testing.assert_array_equal(part, array[4 * i : 4 * i + 4])
        views.append(part)
    assert [len(view) for view in views] == [4, 4, 4, 4, 2]
    np_ring = [np.zeros(())]
    assert [float(x) for x in sf.Pipeline([1, 2, 3]).into(np_ring)] == [1, 2, 3]
    with pytest.raises(ValueError, match="at least one buffer"):
        list(sf.Pipeline([1]).into([]))
    with pytest.raises(ValueError, match=r"a buffer of float64 \(4, 2\), the item is"):
        list(sf.Pipeline(sf.read(array, rows=5)).into(ring))


def test_to_numpy():
    array = np.arange(10.0)
    found = sf.Pipeline(sf.read(array, rows=3)).map(sf.add, 1).to_numpy()
    assert isinstance(found, np.ndarray)
    np.testing.assert_array_equal(found, array + 1)
    pair = sf.Pipeline(sf.read((array, array), rows=3)).to_numpy()
    assert all(isinstance(a, np.ndarray) for a in pair)


# ---- stages that choose ----


def test_sample_depends_on_its_seed_alone():
    pipe = sf.Pipeline(range(10_000)).sample(0.3, seed=5)
    found = pipe.collect(threads=1)
    assert found == pipe.collect(threads=4) and 2800 < len(found) < 3200
    assert sf.Pipeline(range(10_000)).sample(0.3, seed=6).collect() != found
    assert sf.Pipeline(range(100)).sample(0).collect() == []
    for share in (-0.1, 1.5, "a", None, float("nan")):
        with pytest.raises(ValueError, match="a share from 0 to 1"):
            sf.Pipeline([1]).sample(share)


def test_shards_are_all_there_is():
    pipe = sf.Pipeline(sf.read(np.arange(100), rows=3))
    parts = [np.asarray(pipe.shard(i, 4).collect()) for i in range(4)]
    assert sorted(np.concatenate(parts).tolist()) == list(range(100))
    with pytest.raises(ValueError, match="i must be at most 3, got 4"):
        pipe.shard(4, 4)


def test_transform_wants_something_to_call():
    with pytest.raises(TypeError, match="transform.. needs a callable"):
        sf.Pipeline([1]).transform(3)
    with pytest.raises(TypeError, match="the factory gives 3, which is not callable"):
        sf.Pipeline([1]).transform(lambda: 3).collect()

    class Late:
        def __call__(self, item):
            return None

        def finish(self):
            time.sleep(0)
            yield from range(1000)

    assert sf.Pipeline(range(9)).transform(Late).batch(7).unbatch().collect() == list(range(1000))
