"""Pipelines of native stages against NumPy: what map, filter, reduce and collect give."""

import numpy as np
import pytest

import spanflow as sf

RNG = np.random.default_rng(7)
TABLE = RNG.integers(-50, 50, (103, 4)).astype("f4")
ROWS = (1, 7, 50, 103, 1000)
THREADS = (1, 2, 5)


def same(ours, theirs):
    theirs = np.asarray(theirs)
    assert isinstance(ours, sf.Array)
    assert (ours.shape, np.dtype(ours.dtype.str)) == (theirs.shape, theirs.dtype)
    np.testing.assert_array_equal(np.asarray(ours), theirs)


def test_chunks_are_views_of_the_source():
    chunks = list(sf.Pipeline(sf.read(TABLE, rows=40)))
    assert [chunk.shape for chunk in chunks] == [(40, 4), (40, 4), (23, 4)]
    assert [chunk.address - TABLE.ctypes.data for chunk in chunks] == [0, 640, 1280]
    assert all(chunk.storage == "foreign" for chunk in chunks)


def test_an_array_is_read_in_chunks_of_about_a_mebibyte():
    big = sf.zeros((3000, 256), "f4")
    chunks = list(sf.Pipeline(big))
    assert sum(map(len, chunks)) == 3000
    assert 2 <= len(chunks) <= 6


@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize("threads", THREADS)
def test_map_collect(rows, threads):
    pipe = sf.Pipeline(sf.read(TABLE, rows=rows)).map(sf.multiply, 2).map(sf.add, 1)
    same(pipe.collect(threads=threads), TABLE * np.float32(2) + np.float32(1))
    pipe = sf.Pipeline(sf.read(TABLE, rows=rows)).map(sf.mean, axis=1)
    same(pipe.collect(threads=threads), TABLE.mean(axis=1))


@pytest.mark.parametrize(
    "source",
    [
        TABLE[::-2],
        TABLE[:, 1:3],
        TABLE.astype(">f8"),
        TABLE.astype("i2"),
        TABLE > 0,
        TABLE.astype("c16"),
        np.asfortranarray(TABLE),
        TABLE.reshape(103, 2, 2),
        TABLE[:, 0],
    ],
    ids=["reversed", "columns", "big-endian", "int16", "bool", "complex", "Fortran", "3-d", "1-d"],
)
def test_every_layout_and_dtype(source):
    native = source.astype(source.dtype.newbyteorder("="))
    same(sf.Pipeline(sf.read(source, rows=10)).map(sf.add, 1).collect(threads=2), native + 1)
    total = sf.Pipeline(sf.read(source, rows=10)).reduce(sf.sum)
    assert total == native.sum(dtype="c16" if native.dtype.kind == "c" else None)


def test_types_follow_numpy():
    bytes_ = np.arange(10, dtype="u1")
    same(sf.Pipeline(sf.read(bytes_, rows=3)).map(sf.add, 1).collect(), bytes_ + 1)
    same(sf.Pipeline(sf.read(bytes_, rows=3)).map(sf.add, 1.5).collect(), bytes_ + 1.5)
    same(sf.Pipeline(sf.read(bytes_, rows=3)).map(sf.divide, 2).collect(), bytes_ / 2)
    same(sf.Pipeline(sf.read(bytes_, rows=3)).map(sf.less, 300).collect(), bytes_ < 300)
    with pytest.raises(OverflowError, match="300 is out of bounds for uint8") as caught:
        sf.Pipeline([bytes_]).map(sf.add, 300).collect()
    assert "map(add), item 0" in caught.value.__notes__[0]
    with pytest.raises(OverflowError, match=r"map\(add, 300\) of uint8 .*300 is out of bounds"):
        sf.Pipeline(sf.read(bytes_, rows=3)).map(sf.add, 300)


@pytest.mark.parametrize("rows", ROWS)
def test_filter(rows):
    column = TABLE[:, 0].copy()
    pipe = sf.Pipeline(sf.read(column, rows=rows)).filter(sf.greater, 3)
    same(pipe.collect(threads=2), column[column > 3])
    same(pipe.map(sf.negative).collect(threads=2), -column[column > 3])
    blocks = [column[i : i + rows] for i in range(0, len(column), rows)]
    whole = sf.Pipeline(sf.read(column, rows=rows)).filter(sf.all)
    kept = [block for block in blocks if block.all()]
    if kept:
        same(whole.collect(), np.concatenate(kept))
    else:
        assert whole.collect() == []


def test_filter_needs_truth():
    for source in (TABLE, [TABLE]):
        with pytest.raises(TypeError, match="add gives float32"):
            sf.Pipeline(source).filter(sf.add, 1).collect()


@pytest.mark.parametrize("name", ["sum", "mean", "min", "max", "any", "all", "var", "std"])
@pytest.mark.parametrize("rows", [1, 50, 1000])
def test_reduce(name, rows):
    data = TABLE.astype("f8")
    ours = sf.Pipeline(sf.read(data, rows=rows)).reduce(getattr(sf, name), threads=2)
    assert type(ours) is (bool if name in ("any", "all") else float)
    assert ours == pytest.approx(getattr(data, name)(), rel=1e-13)


def test_reduce_by_name_in_one_pass():
    names = {"low": sf.min, "high": sf.max, "n": sf.count_nonzero, "spread": sf.std}
    stats = sf.Pipeline(sf.read(TABLE, rows=9)).reduce(names, ddof=1)
    assert list(stats) == list(names)
    assert (stats["low"], stats["high"]) == (TABLE.min(), TABLE.max())
    assert stats["n"] == np.count_nonzero(TABLE)
    assert stats["spread"] == pytest.approx(TABLE.astype("f8").std(ddof=1), rel=1e-6)


def test_reduce_gives_the_same_bits_for_any_number_of_threads():
    data = RNG.standard_normal(200_000).astype("f4")
    pipe = sf.Pipeline(sf.read(data, rows=1000)).map(sf.multiply, 3)
    totals = {pipe.reduce(sf.sum, threads=n) for n in (1, 2, 3, 8) for _ in range(5)}
    assert len(totals) == 1


def test_reduce_refuses():
    pipe = sf.Pipeline(TABLE)
    with pytest.raises(TypeError, match="len"):
        pipe.reduce({"n": len})
    with pytest.raises(ValueError, match="at least one"):
        pipe.reduce({})
    with pytest.raises(TypeError, match="initial"):
        pipe.reduce(sf.sum, 0)
    with pytest.raises(ValueError, match="max which has no identity"):
        sf.Pipeline(TABLE[:0]).reduce(sf.max)
    with pytest.raises(TypeError, match="one dtype"):
        sf.Pipeline([np.zeros(3), np.zeros(3, "f4")]).reduce(sf.sum)
    with pytest.raises(TypeError, match="records"):
        sf.Pipeline(np.zeros(3, [("x", "f4")])).reduce(sf.sum)


def test_an_empty_source():
    empty = sf.Pipeline(sf.read(TABLE[:0], rows=5))
    assert empty.reduce(sf.sum) == 0
    assert empty.collect().shape == (0, 4)
    assert empty.map(sf.mean, axis=1).collect().shape == (0,)
    assert list(empty) == []


def test_several_arrays_side_by_side():
    left, right = TABLE, TABLE[::-1].astype("f8")
    source = sf.read((left, right), rows=10)
    chunk = next(iter(sf.Pipeline(source)))
    assert isinstance(chunk, tuple) and [part.shape for part in chunk] == [(10, 4), (10, 4)]
    same(sf.Pipeline(source).map(sf.subtract).collect(threads=2), left - right)
    first, second = sf.Pipeline(source).collect(threads=2)
    same(first, left)
    same(second, right)
    same(
        sf.Pipeline(sf.read((left > 0, left))).map(sf.where, 0).collect(),
        np.where(left > 0, left, 0),
    )


def test_aligned_operands():
    weights = RNG.random(103)
    pipe = sf.Pipeline(sf.read(TABLE, rows=10)).map(sf.mean, axis=1)
    expected = TABLE.mean(axis=1) * weights
    same(pipe.map(sf.multiply, sf.aligned(weights)).collect(threads=2), expected)
    passed = pipe.map(lambda chunk, rows: chunk * rows, sf.aligned(weights))
    same(passed.collect(threads=2), expected)
    long = sf.aligned(np.concatenate([weights, weights]))
    same(pipe.map(sf.multiply, long).collect(threads=2), expected)


def test_aligned_refuses():
    column = sf.Pipeline(sf.read(TABLE[:, 0], rows=10))
    with pytest.raises(ValueError, match="has 50 rows, but the chunk stands for rows 50 to 60"):
        column.map(sf.add, sf.aligned(np.zeros(50))).collect()
    dropped = column.filter(sf.greater, 0)
    with pytest.raises(ValueError, match="a stage before this one dropped or reduced rows"):
        dropped.map(sf.add, sf.aligned(np.zeros(103))).collect()
    with pytest.raises(ValueError, match="0-d"):
        sf.aligned(3.0)
    with pytest.raises(TypeError, match="by position"):
        column.map(sf.add, x=sf.aligned(np.zeros(103)))


def test_wrong_operands_name_the_stage():
    pipe = sf.Pipeline(sf.read(TABLE, rows=10))
    cases = [
        (lambda: pipe.map(sf.add), TypeError, "takes 2 operands; the chunk brings 1"),
        (lambda: pipe.map(sf.sqrt, 1), TypeError, r"map\(sqrt\) takes at most 0 operands"),
        (lambda: pipe.map(sf.add, 1, where=2), TypeError, "no keyword arguments"),
        (lambda: pipe.map(sf.add, "x"), TypeError, "cannot make an array of str"),
        (lambda: pipe.map(sf.sum, axis=5), ValueError, "axis 5 is out of bounds"),
        (lambda: pipe.map(sf.sum, nope=5), TypeError, "nope"),
        (lambda: pipe.map(sf.add, np.ones(3)), ValueError, "could not be broadcast"),
        (lambda: pipe.map(sf.clip), ValueError, "lower or an upper"),
    ]
    for make, error, text in cases:
        with pytest.raises(error, match=text):
            make().collect()


def test_clip():
    pipe = sf.Pipeline(sf.read(TABLE, rows=10))
    same(pipe.map(sf.clip, -5, 5).collect(), TABLE.clip(-5, 5))
    same(pipe.map(sf.clip, None, 5).collect(), TABLE.clip(None, 5))
    same(pipe.map(sf.clip, -5).collect(), TABLE.clip(-5, None))


def test_the_source_is_never_written():
    before = TABLE.copy()
    sf.Pipeline(sf.read(TABLE, rows=10)).map(sf.negative).map(sf.add, 1).collect(threads=2)
    np.testing.assert_array_equal(TABLE, before)


def test_what_the_consumer_keeps_stays_as_it_was():
    pipe = sf.Pipeline(sf.read(TABLE, rows=5)).map(sf.add, 1).map(sf.multiply, 2)
    kept = list(pipe.run(threads=3))
    np.testing.assert_array_equal(np.concatenate(kept), (TABLE + 1) * 2)


def test_a_pipeline_is_a_value():
    base = sf.Pipeline(sf.read(TABLE, rows=10))
    doubled, halved = base.map(sf.multiply, 2), base.map(sf.multiply, 0.5)
    for _ in range(2):
        same(doubled.collect(), TABLE * 2)
        same(halved.collect(), TABLE * np.float32(0.5))
    assert base.reduce(sf.sum) == TABLE.sum()
    text = repr(doubled.map(sf.sum, axis=1).filter(sf.greater, 0).prefetch(3))
    assert text.splitlines() == [
        "Pipeline",
        "├─ read(float32 (103, 4), rows=10)  parallel  float32 (≤10, 4)",
        "├─ map(multiply, 2)                 parallel  float32 (≤10, 4)",
        "├─ map(sum, axis=1)                 parallel  float32 (≤10,)",
        "├─ filter(greater, 0)               parallel  float32 (n,)",
        "└─ prefetch(3)",
    ]


def test_a_mapped_file(tmp_path):
    sf.save(tmp_path / "a.npy", TABLE)
    with sf.open(tmp_path / "a.npy") as mapped:
        pipe = sf.Pipeline(sf.read(mapped, rows=10))
        assert pipe.reduce(sf.sum, threads=2) == TABLE.sum()
        assert {chunk.storage for chunk in pipe} == {"mapped"}
    with pytest.raises(ValueError, match="closed"):
        pipe.reduce(sf.sum)


def test_read_refuses():
    cases = [
        (lambda: sf.read(TABLE, rows=0), ValueError, "at least 1, got 0"),
        (lambda: sf.read(TABLE, rows=2.5), TypeError, "must be an integer, got 2.5"),
        (lambda: sf.read(5), ValueError, "0-d"),
        (lambda: sf.read(()), ValueError, "at least one array"),
        (lambda: sf.read((TABLE, TABLE[1:])), ValueError, "same number of rows"),
        (lambda: sf.read(object()), TypeError, "object"),
        (lambda: sf.Pipeline(5), TypeError, "got 5"),
        (lambda: sf.Pipeline(TABLE).map(None), TypeError, "callable, got None"),
    ]
    for call, error, text in cases:
        with pytest.raises(error, match=text):
            call()


def test_chunks_that_do_not_fit_together():
    with pytest.raises(ValueError, match="differ in their first axis only"):
        sf.Pipeline([np.zeros((2, 3)), np.zeros((2, 4))]).map(sf.add, 1).collect()


@pytest.mark.parametrize("dtype", ["f4", "i2", "?", "c8", ">f8", "f2", "bfloat16"])
def test_cast(dtype):
    a = np.arange(60.0).reshape(20, 3)
    expected = np.asarray(sf.astype(a, dtype).astype("c16"))
    pipe = sf.Pipeline(sf.read(a, rows=7)).cast(dtype)
    whole = pipe.collect(threads=2)
    assert whole.dtype.name == sf.empty(0, dtype).dtype.name
    assert whole.dtype.isnative
    assert np.array_equal(whole.astype("c16"), expected)
    for form in ((a, a[::-1]), {"x": a, "y": a[::-1]}):
        items = list(sf.Pipeline(sf.read(form, rows=7)).cast(dtype).run(threads=3))
        assert type(items[0]) is type(form)
        for item in items:
            x, y = item.values() if isinstance(item, dict) else item
            assert x.dtype == y.dtype == whole.dtype
    assert sf.Pipeline([1, 2]).cast("f4").collect().dtype == "f4"


def test_normalize():
    a = np.arange(120, dtype="u1").reshape(20, 2, 3)
    mean, std = (10, 20, 30), np.array([1, 2, 4])
    pipe = sf.Pipeline(sf.read(a, rows=7))
    found = pipe.normalize(mean, std).collect()
    assert found.dtype == "f4"
    assert np.array_equal(found, ((a - np.float32(mean)) / np.float32(std)).astype("f4"))
    assert np.array_equal(pipe.normalize(1, 4, dtype="f8").collect(), (a - 1.0) / 4)
    assert np.array_equal(pipe.normalize().collect(), a.astype("f4"))
    rows = pipe.normalize(1).map(sf.add, sf.aligned(a))  # rows stay rows
    assert np.array_equal(rows.collect(), (a - 1.0) + a)
    assert "float32 (≤7, 2, 3)" in repr(pipe.normalize(mean))
    with pytest.raises(ValueError, match=r"normalize\(.*of uint8 .*broadcast"):
        pipe.normalize(np.zeros(4))
    with pytest.raises(TypeError):
        sf.Pipeline(sf.read(np.zeros(3, [("a", "i4")]))).cast("f4")
    with pytest.raises(TypeError):
        pipe.cast("nothing")
    with pytest.raises(TypeError) as caught:
        list(sf.Pipeline(["text"]).cast("f4"))
    assert "item 0" in caught.value.__notes__[0]


def test_decode():
    a = np.arange(24, dtype="<f4")
    sources = (
        [a.tobytes()],
        [bytearray(a.tobytes())],
        [memoryview(a).cast("B")],
        [sf.frombuffer(a, "u1")],
    )
    for source in sources:
        (item,) = sf.Pipeline(source).decode("<f4", (2, -1, 3))
        assert np.array_equal(item, a.reshape(2, 4, 3))
        assert np.shares_memory(np.asarray(item), np.frombuffer(source[0], "u1"))
    assert np.array_equal(next(iter(sf.Pipeline([a.tobytes()]).decode(">i2"))), a.view(">i2"))
    assert np.array_equal(next(iter(sf.Pipeline([a.tobytes()]).decode("u1", 96))), a.view("u1"))
    for bad in (b"abc", b"abcd" * 5):
        with pytest.raises(ValueError, match=r".") as caught:
            list(sf.Pipeline([bad]).decode("f4", (2, -1)))
        assert "decode(float32, (2, -1))" in caught.value.__notes__[0]
    with pytest.raises(TypeError):
        sf.Pipeline([b""]).decode("nothing")


def test_collect_into_an_array():
    a = np.arange(60.0).reshape(20, 3)
    out = np.zeros((30, 3), "f4")
    pipe = sf.Pipeline(sf.read(a, rows=7))
    found = pipe.collect(out=out, threads=2)
    assert found.shape == (20, 3)
    assert np.shares_memory(found, out)
    assert np.array_equal(out, np.concatenate([a, np.zeros((10, 3))]))
    numbers = sf.empty(20)
    assert np.array_equal(sf.Pipeline(range(20)).collect(out=numbers), np.arange(20.0))
    assert np.array_equal(pipe.map(sf.sum, axis=1).collect(out=numbers), a.sum(1))
    assert pipe.unbatch().collect(out=out).shape == (20, 3)
    for bad, words in (
        (np.zeros((19, 3)), "does not fit behind its first 14 rows"),
        (np.zeros((20, 4)), r"float64 \(20, 4\); an item of float64 \(7, 3\)"),
        (np.zeros(60), "does not fit"),
        (np.zeros((20, 3, 1)), "does not fit"),
    ):
        with pytest.raises(ValueError, match=words):
            pipe.collect(out=bad)
    with pytest.raises((ValueError, TypeError, BufferError), match="read-only"):
        pipe.collect(out=np.broadcast_to(np.float64(1), (20, 3)))


# ---- items that become arrays ----

DROPS = {
    "skip": (lambda pipe: pipe.skip(3), [2.5]),
    "take": (lambda pipe: pipe.skip(1).take(1), [1]),
    "shard": (lambda pipe: pipe.shard(1, 2), [1, 2.5]),
    "filter": (lambda pipe: pipe.filter(lambda x: x != "text"), [1, 2.5]),
    "served": (lambda pipe: pipe.filter(lambda x: x != "text", workers="thread"), [1, 2.5]),
}


@pytest.mark.parametrize("name", DROPS)
@pytest.mark.parametrize("source", [list, iter], ids=["list", "iterator"])
def test_what_is_dropped_need_not_be_an_array(name, source):
    drops, kept = DROPS[name]
    pipe = drops(sf.Pipeline(source(["text", 1, "text", 2.5])))
    assert list(pipe.map(sf.add, 1)) == [x + 1 for x in kept]


def test_functions_see_the_objects_whatever_follows():
    seen = []
    items = [1, [2, 3], np.arange(3), sf.arange(2)]
    pipe = sf.Pipeline(items).tap(seen.append).shuffle(2, seed=1).map(sf.multiply, 2)
    found = sorted(np.asarray(x).tolist() for x in map(np.atleast_1d, pipe))
    assert [type(x) for x in seen] == [int, list, np.ndarray, sf.Array]
    assert found == [[0, 2], [0, 2, 4], [2], [4, 6]]


def test_an_item_that_is_no_array_says_which_it_is():
    pipe = sf.Pipeline([1, 2, "x"]).skip(1).map(sf.add, 1)
    with pytest.raises(TypeError, match="cannot make an array of str") as info:
        list(pipe)
    assert info.value.__notes__ == ["in the pipeline's asarray, item 2"]
    assert list(pipe.take(1)) == [3]
