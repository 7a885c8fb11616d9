"""What every stage keeps to: a table of stages with what they do to a list of items, and the
contract that each of them must pass. A new stage is one more row."""

import contextlib
import gc
import os
import random
import tempfile
import threading
import time
import weakref
from typing import NamedTuple

import numpy as np
import pytest

import spanflow as sf


def chunks_of(items, n, drop_last=False):
    groups = [items[i : i + n] for i in range(0, len(items), n)]
    return [g for g in groups if len(g) == n or not drop_last]


class Row(NamedTuple):
    """A stage, what it makes of a list of Python numbers, and whether it looks at order."""

    name: str
    add: object  # pipeline -> pipeline
    model: object  # list -> list


def fresh_path():
    return os.path.join(tempfile.mkdtemp(), "items")  # pytest empties the folder


class Pairs:
    """Items two by two; the last one alone."""

    def __init__(self):
        self.held = []

    def __call__(self, item):
        self.held.append(item)
        if len(self.held) == 2:
            pair, self.held = tuple(self.held), []
            return [pair]
        return None

    def finish(self):
        return [(item, None) for item in self.held]


def pairs_of(xs):
    return [(xs[i], xs[i + 1] if i + 1 < len(xs) else None) for i in range(0, len(xs), 2)]


NUMBERS = [
    Row("map", lambda p: p.map(lambda x: x * 2), lambda xs: [x * 2 for x in xs]),
    Row("filter", lambda p: p.filter(lambda x: x % 3 == 0), lambda xs: [x for x in xs if x % 3 == 0]),
    Row("flat_map", lambda p: p.flat_map(lambda x: [x] * (x % 4)),
        lambda xs: [x for x in xs for _ in range(x % 4)]),
    Row("tap", lambda p: p.tap(lambda x: None), lambda xs: xs),
    Row("enumerate", lambda p: p.enumerate(5), lambda xs: list(enumerate(xs, 5))),
    Row("take", lambda p: p.take(13), lambda xs: xs[:13]),
    Row("take_0", lambda p: p.take(0), lambda xs: []),
    Row("skip", lambda p: p.skip(13), lambda xs: xs[13:]),
    Row("batch", lambda p: p.batch(7).map(lambda b: b.tolist()), lambda xs: chunks_of(xs, 7)),
    Row("batch_drop", lambda p: p.batch(7, drop_last=True).map(lambda b: b.tolist()),
        lambda xs: chunks_of(xs, 7, True)),
    Row("unbatch", lambda p: p.map(lambda x: [x, -x]).unbatch(),
        lambda xs: [y for x in xs for y in (x, -x)]),
    Row("rebatch", lambda p: p.map(lambda x: np.full(x % 5, x)).rebatch(6).map(lambda a: a.tolist()),
        lambda xs: chunks_of([x for x in xs for _ in range(x % 5)], 6) or [[]] * bool(xs)),
    Row("shard", lambda p: p.shard(2, 3), lambda xs: xs[2::3]),
    Row("sample", lambda p: p.sample(1.0), lambda xs: xs),
    Row("window", lambda p: p.window(4, 2).map(lambda b: b.tolist()),
        lambda xs: [xs[i : i + 4] for i in range(0, len(xs) - 3, 2)]),
    Row("transform", lambda p: p.transform(Pairs), pairs_of),
    Row("zip", lambda p: p.zip(range(10**6)), lambda xs: list(zip(xs, range(10**6), strict=False))),
    Row("concat", lambda p: sf.Pipeline([1, 2]).map(str).concat(p), lambda xs: ["1", "2", *xs]),
    Row("interleave", lambda p: p.interleave([-1, -2]),
        lambda xs: [*(y for pair in zip(xs, [-1, -2], strict=False) for y in pair), *xs[2:], *[-1, -2][len(xs):]]),
    Row("branch_in_branch", lambda p: p.zip(sf.Pipeline(range(10**6)).zip(range(10**6))),
        lambda xs: [(x, (i, i)) for i, x in enumerate(xs)]),
    Row("cache", lambda p: p.cache(), lambda xs: xs),
    Row("prefetch", lambda p: p.prefetch(0), lambda xs: xs),
    Row("cast", lambda p: p.cast("f8"), lambda xs: [float(x) for x in xs]),
    Row("normalize", lambda p: p.normalize(1, 2, dtype="f8"), lambda xs: [(x - 1) / 2 for x in xs]),
    Row("decode", lambda p: p.map(lambda x: x.to_bytes(8, "little")).decode("<i8").map(lambda a: a.tolist()),
        lambda xs: [[x] for x in xs]),
    Row("tee", lambda p: p.tee(sf.Pipeline(), sf.Pipeline().map(str).skip(2)),
        lambda xs: list(zip(xs, map(str, xs[2:]), strict=False))),
    Row("cache_file", lambda p: p.cache(fresh_path()), lambda xs: xs),
    Row("mixed", lambda p: p.skip(2).batch(3).unbatch().take(20).filter(lambda x: x % 2 == 0),
        lambda xs: [x for x in xs[2:][:20] if x % 2 == 0]),
]  # fmt: skip
stages = pytest.mark.parametrize("row", NUMBERS, ids=lambda row: row.name)


def plain(items):
    return [
        item.item() if isinstance(item, sf.Array) and item.ndim == 0 else item for item in items
    ]


@stages
@pytest.mark.parametrize("threads", [1, 2, 4])
@pytest.mark.parametrize("n", [0, 1, 12, 13, 14, 200])
def test_results_and_order(row, threads, n):
    for source in (range(n), iter(list(range(n)))):
        pipe = row.add(sf.Pipeline(source))
        assert plain(pipe.run(threads=threads)) == row.model(list(range(n)))


@stages
def test_capacity_of_one(row):
    pipe = row.add(sf.Pipeline(range(100))).prefetch(0)
    for threads in (1, 3):
        assert plain(pipe.run(threads=threads, memory=10_000)) == row.model(list(range(100)))


@stages
def test_an_error_of_an_item_comes_in_its_turn(row):
    def source():
        yield from range(30)
        raise ZeroDivisionError

    expected = row.model(list(range(30)))
    for threads in (1, 2, 4):
        seen = []
        run = row.add(sf.Pipeline(source())).run(threads=threads)
        if expected == row.model(list(range(1000))):  # it had enough before
            assert plain(run) == expected
            continue
        with pytest.raises(ZeroDivisionError):
            seen.extend(run)
        assert plain(seen) == expected[: len(seen)]
        assert len(seen) >= len(expected) - 1  # all but what was held back for the next item


@stages
def test_a_consumer_that_stops_early(row):
    before = threading.active_count()
    for stop in (0, 1, 3):
        with row.add(sf.Pipeline(range(10_000))).run(threads=3) as run:
            for _, _item in zip(range(stop), run, strict=False):
                pass
        run.close()
        run.cancel()
        run.cancel()
    assert threading.active_count() == before


@stages
def test_a_run_that_nobody_has_any_more(row):
    class Item(int):
        pass

    run = row.add(sf.Pipeline(range(100_000))).run(threads=2)
    next(run, None)
    gone = weakref.ref(run)
    del run
    gc.collect()
    assert gone() is None


@stages
def test_cancelled_from_another_thread(row):
    def slow():
        for i in range(10_000):
            time.sleep(0.001)
            yield i

    run = row.add(sf.Pipeline(slow())).run(threads=2)
    timer = threading.Timer(0.05, run.cancel)
    timer.start()
    began = time.monotonic()
    with contextlib.suppress(sf.PipelineError):
        list(run)
    timer.join()
    with run:
        pass
    assert time.monotonic() - began < 5


@stages
def test_descriptions_can_run_again(row):
    pipe = row.add(sf.Pipeline(range(50)))
    expected = row.model(list(range(50)))
    assert plain(pipe) == plain(pipe) == expected
    assert plain(pipe.run(threads=2)) == expected
    kind = row.name.removesuffix("_0").removesuffix("_drop").removesuffix("_file")
    assert f"{kind}(" in repr(pipe) or kind in ("mixed", "branch_in_branch")


# ---- shuffle ----


def test_shuffle_is_an_order_of_the_same_items():
    pipe = sf.Pipeline(range(1000))
    for buffer in (1, 10, 999, 5000):
        shuffled = list(pipe.shuffle(buffer, seed=3))
        assert sorted(shuffled) == list(range(1000)) and shuffled != list(range(1000))
        for i, item in enumerate(shuffled):
            assert item <= i + buffer  # nothing comes out before it came in
        for threads in (1, 2, 5):
            assert list(pipe.shuffle(buffer, seed=3).run(threads=threads)) == shuffled
        assert list(pipe.shuffle(buffer, seed=4)) != shuffled
    assert list(pipe.shuffle(50)) != list(pipe.shuffle(50))
    assert list(sf.Pipeline(range(3)).shuffle(1, seed=0)) in (
        [0, 1, 2],
        [1, 0, 2],
        [0, 2, 1],
        [1, 2, 0],
    )
    assert list(sf.Pipeline([]).shuffle(5)) == []


def test_a_full_shuffle_is_uniform():
    counts = np.zeros((4, 4), int)
    for seed in range(3000):
        for place, item in enumerate(sf.Pipeline(range(4)).shuffle(4, seed=seed)):
            counts[place, item] += 1
    assert np.all(np.abs(counts - 750) < 5 * np.sqrt(750))


def test_shuffle_of_chunks_keeps_their_rows():
    a, w = np.arange(1000.0), np.arange(1000.0) * 3
    pipe = sf.Pipeline(sf.read(a, rows=10)).shuffle(20, seed=1).map(sf.multiply, sf.aligned(w))
    found = np.asarray(pipe.collect())
    assert sorted(found) == sorted(a * w) and not np.array_equal(found, a * w)


def test_what_is_held_back_must_fit_the_memory():
    a = np.zeros(100_000)
    with pytest.raises(
        ValueError, match=r"shuffle\(90\) holds back .* but the run may hold 300000"
    ):
        sf.Pipeline(sf.read(a, rows=1000)).shuffle(90).run(memory=300_000).__next__()
    with pytest.raises(ValueError, match=r"batch\(90\) holds back"):
        list(sf.Pipeline(sf.read(a, rows=1000)).batch(90).run(memory=300_000))
    with pytest.raises(ValueError, match=r"rebatch\(90000\) holds back"):
        list(sf.Pipeline(sf.read(a, rows=1000)).rebatch(90_000).run(memory=300_000))
    pipe = sf.Pipeline(sf.read(a, rows=1000)).shuffle(20).rebatch(2000)
    with pipe.run(memory=300_000, threads=2) as run:
        assert sum(len(x) for x in run) == 100_000
        assert run.stats()["nbytes_peak"] <= 300_000 + 3 * 16_000


# ---- batch, rebatch, unbatch ----


def test_batches_of_arrays_are_stacked():
    a = np.arange(24.0).reshape(12, 2)
    pipe = sf.Pipeline(sf.read(a, rows=1)).map(sf.multiply, 2).batch(5)
    shapes = [x.shape for x in pipe]
    assert shapes == [(5, 1, 2), (5, 1, 2), (2, 1, 2)]
    np.testing.assert_array_equal(np.concatenate([np.asarray(x) for x in pipe])[:, 0], a * 2)
    rows = list(sf.Pipeline(list(a)).batch(5, drop_last=True))
    assert [type(x) for x in rows] == [sf.Array] * 2
    np.testing.assert_array_equal(np.concatenate(rows), a[:10])
    pairs = list(sf.Pipeline([(row, i, {"k": str(i)}) for i, row in enumerate(a)]).batch(12))
    images, labels, names = pairs[0]
    np.testing.assert_array_equal(images, a)
    assert labels.tolist() == list(range(12)) and labels.dtype == sf.int64
    assert names == {"k": [str(i) for i in range(12)]}
    tuples = list(sf.Pipeline(sf.read((a, a[:, 0]), rows=2)).batch(2))
    assert [tuple(p.shape for p in t) for t in tuples] == [((2, 2, 2), (2, 2))] * 3
    for items, error in (
        ([np.zeros(3), np.zeros(4)], "one shape and dtype"),
        ([np.zeros(3), np.zeros(3, "f4")], "one shape and dtype"),
    ):
        with pytest.raises(ValueError, match=error):
            list(sf.Pipeline(items).batch(2))
    with pytest.raises(ValueError, match=r"one dtype and shape: got float64 \(7,\) and then"):
        list(sf.Pipeline(sf.read(np.zeros(10), rows=7)).batch(2))


@pytest.mark.parametrize("seed", range(10))
def test_rebatch_cuts_anew(seed):
    rng = random.Random(seed)
    rows = rng.randrange(1, 400)
    a = np.arange(rows * 3, dtype="i4").reshape(rows, 3)
    b = a[:, 0] * 10
    for source in (a, (a, b), (a[::-1], b[::-1])):
        pipe = sf.Pipeline(sf.read(source, rows=rng.randrange(1, 90)))
        wanted = rng.randrange(1, 90)
        for drop_last in (False, True):
            found = list(pipe.rebatch(wanted, drop_last=drop_last).run(threads=rng.randrange(1, 4)))
            parts = [f if isinstance(f, tuple) else (f,) for f in found]
            expected = source if isinstance(source, tuple) else (source,)
            for k, array in enumerate(expected):
                cut = [array[i : i + wanted] for i in range(0, rows, wanted)]
                if drop_last and len(cut[-1]) < wanted:
                    cut.pop()
                assert len(cut) == len(parts)
                for ours, theirs in zip(parts, cut, strict=True):
                    np.testing.assert_array_equal(np.asarray(ours[k]), theirs)


def test_rebatch_copies_only_where_pieces_meet():
    a = sf.array(np.arange(100.0))
    found = list(sf.Pipeline(sf.read(a, rows=50)).rebatch(10))
    assert [x.address for x in found] == [a.address + 80 * i for i in range(10)]
    found = list(sf.Pipeline(sf.read(a, rows=30)).rebatch(30))
    assert found[0].address == a.address
    found = list(sf.Pipeline(sf.read(a, rows=15)).rebatch(20))
    assert found[0].address != a.address and found[0].tolist() == list(range(20))
    w = np.arange(100.0)
    pipe = sf.Pipeline(sf.read(a, rows=15)).rebatch(20).map(sf.multiply, sf.aligned(w))
    assert pipe.collect().tolist() == (w * w).tolist()
    assert [len(x) for x in sf.Pipeline(sf.read(a, rows=7)).rebatch(nbytes=160)] == [20] * 5
    assert [len(x) for x in sf.Pipeline(sf.read(a, rows=7)).rebatch(nbytes="1B")] == [1] * 100
    assert sf.Pipeline(sf.read(a[:0])).rebatch(10).collect().shape == (0,)


def test_unbatch_gives_views_of_rows():
    a = sf.array(np.arange(12.0).reshape(4, 3))
    rows = list(sf.Pipeline(sf.read(a, rows=3)).unbatch())
    assert [r.address for r in rows] == [a.address + 24 * i for i in range(4)]
    assert list(sf.Pipeline(sf.read(a[:, 0], rows=3)).unbatch()) == [0.0, 3.0, 6.0, 9.0]
    pairs = list(sf.Pipeline(sf.read((a, a[:, 0]), rows=3)).unbatch())
    assert [(p[0].tolist(), p[1]) for p in pairs] == [(r.tolist(), r[0]) for r in np.asarray(a)]
    assert list(sf.Pipeline(["ab", "c"]).unbatch()) == ["a", "b", "c"]
    assert sf.Pipeline(sf.read(a)).unbatch().batch(2).collect().tolist() == a.tolist()
    assert sf.Pipeline([np.arange(3), np.arange(2)]).unbatch().map(sf.add, 1).collect().tolist() == [
        1, 2, 3, 1, 2,
    ]  # fmt: skip
    with pytest.raises(TypeError, match="not iterable"):
        list(sf.Pipeline([1]).unbatch())
    with pytest.raises(ValueError, match="0-d"):
        list(sf.Pipeline([1]).map(sf.add, 1).unbatch())


# ---- expressions ----


def test_expressions_over_records():
    n = 10_000
    records = np.zeros(n, [("t", "f4"), ("k", ">i4"), ("name", "S3")])
    records["t"], records["k"] = np.random.default_rng(0).random(n), np.arange(n)
    t, k = records["t"], records["k"]
    pipe = sf.Pipeline(sf.read(records, rows=999))
    for threads in (1, 3):
        run = pipe.map(sf.col("t") * 1.8 + sf.col("k")).collect(threads=threads)
        np.testing.assert_array_equal(np.asarray(run), t * np.float32(1.8) + k)
        kept = pipe.filter(sf.col("t") > 0.5).collect(threads=threads)
        np.testing.assert_array_equal(np.asarray(kept), records[t > 0.5])
    assert pipe.map(sf.col("k").sum()).reduce(sf.sum) == k.sum()
    total = pipe.filter(sf.col("k") % 2 == 0).map(sf.col("t")[sf.col("t") > 0.25]).reduce(sf.sum)
    assert total == pytest.approx(t[(k % 2 == 0) & (t > 0.25)].sum(), rel=1e-5)
    with pipe.map(sf.col("t") * 2).run(threads=2) as run:
        list(run)
        assert run.stats()["attached"] == 0
    w = np.arange(n)
    aligned = pipe.map(sf.col("t") * 2).map(sf.multiply, sf.aligned(w)).collect()
    np.testing.assert_array_equal(np.asarray(aligned), t * np.float32(2) * w)
    with pytest.raises(ValueError, match="aligned"):
        pipe.map(sf.col("t")[sf.col("t") > 0.5]).map(sf.multiply, sf.aligned(w)).collect()


def test_expressions_over_arrays_side_by_side():
    a, b = np.arange(100.0), np.arange(100.0)[::-1].copy()
    pipe = sf.Pipeline(sf.read((a, b), rows=30))
    np.testing.assert_array_equal(np.asarray(pipe.map(sf.col("x") - sf.col("y")).collect()), a - b)
    left, right = pipe.filter(sf.col("x") > sf.col("y")).collect()
    np.testing.assert_array_equal(np.asarray(left), a[a > b])
    np.testing.assert_array_equal(np.asarray(right), b[a > b])
    one = sf.Pipeline(sf.read(a, rows=7)).map((sf.col("x") - sf.col("x").mean()) * 2)
    parts = [a[i : i + 7] for i in range(0, 100, 7)]
    np.testing.assert_allclose(
        np.asarray(one.collect()), np.concatenate([(p - p.mean()) * 2 for p in parts])
    )
    kept = sf.Pipeline(sf.read(a, rows=50)).filter(sf.col("x").max() > 60).collect()
    np.testing.assert_array_equal(np.asarray(kept), a[50:])
    weights = sf.lazy(np.arange(10.0))
    assert (
        sf.Pipeline(sf.read(a, rows=10)).map(sf.col("x") * weights).reduce(sf.sum)
        == (a.reshape(10, 10) * np.arange(10.0)).sum()
    )


def test_bad_expressions():
    a = np.arange(10.0)
    records = np.zeros(3, [("t", "f4")])
    for items, add, error, words in [
        (a, lambda p: p.map(sf.col("x") + sf.col("y")), ValueError, "columns x, y, but the chunk has 1 array"),
        (records, lambda p: p.map(sf.col("q")), ValueError, "no field of name 'q'.*'t'"),
        (a, lambda p: p.filter(sf.col("x") + 1), TypeError, "true or false, but the expression gives float64"),
        ("a", lambda p: p.map(sf.col("x")), TypeError, "str"),
        (a, lambda p: p.map(sf.col("x").astype("i4") << 1.5), TypeError, "left_shift"),
    ]:  # fmt: skip
        unknown = add(sf.Pipeline([items]))  # its type shows when it runs
        with pytest.raises(error, match=words):
            unknown.collect()
        if not isinstance(items, str):
            with pytest.raises(error, match=words):
                add(sf.Pipeline(items))
    with pytest.raises(TypeError, match="takes no other arguments"):
        sf.Pipeline(sf.read(a)).map(sf.col("x"), 3).collect()


# ---- arguments ----


def test_bad_arguments():
    pipe = sf.Pipeline(range(3))
    for call, error, words in [
        (lambda: pipe.take(-1), ValueError, "take must be at least 0, got -1"),
        (lambda: pipe.skip(1.5), TypeError, "skip must be an integer, got 1.5"),
        (lambda: pipe.batch(0), ValueError, "batch must be at least 1"),
        (lambda: pipe.shuffle(0), ValueError, "buffer must be at least 1"),
        (lambda: pipe.shuffle(3, seed="a"), TypeError, "seed must be an integer"),
        (lambda: pipe.rebatch(), TypeError, "either rows or nbytes="),
        (lambda: pipe.rebatch(3, nbytes=4), TypeError, "either rows or nbytes="),
        (lambda: pipe.rebatch(nbytes="many"), ValueError, "nbytes must be bytes or a size"),
        (lambda: pipe.flat_map(3), TypeError, "flat_map.. needs a callable, got 3"),
        (lambda: pipe.map(3), TypeError, "map.. needs an operation, an expression or a callable"),
        (lambda: pipe.tap(sf.col("x")), TypeError, "tap.. needs a callable"),
        (lambda: pipe.for_each(3), TypeError, "for_each"),
    ]:  # fmt: skip
        with pytest.raises(error, match=words):
            call()


def test_for_each_and_tap():
    seen, tapped = [], []
    assert sf.Pipeline(range(100)).tap(tapped.append).for_each(seen.append, threads=3) == 100
    assert seen == tapped == list(range(100))
    with pytest.raises(ZeroDivisionError):
        sf.Pipeline(range(5)).for_each(lambda x: 1 // (x - 3))


def test_take_ends_an_endless_source():
    def endless():
        i = 0
        while True:
            yield i
            i += 1

    for threads in (1, 2, 4):
        assert list(sf.Pipeline(endless()).map(lambda x: x * 2).take(5).run(threads=threads)) == [
            0, 2, 4, 6, 8,
        ]  # fmt: skip

    def fails():
        yield from range(5)
        raise ZeroDivisionError

    for threads in (1, 2, 4):
        for _ in range(30):
            pipe = sf.Pipeline(fails()).map(lambda x: x).take(5).batch(2)
            assert [b.tolist() for b in pipe.run(threads=threads)] == [[0, 1], [2, 3], [4]]
    big = np.broadcast_to(np.float32(1), (1 << 40,))
    assert [x.shape for x in sf.Pipeline(sf.read(big, rows=10)).take(3)] == [(10,)] * 3


def test_what_a_dropped_rest_leaves():
    pipe = sf.Pipeline(sf.read(np.array([9.0, 1, 2, 9, 9]), rows=1)).filter(sf.col("x") < 5)
    assert list(pipe.rebatch(3, drop_last=True)) == []
    assert [len(a) for a in pipe.rebatch(3)] == [2]
    none = sf.Pipeline(sf.read(np.full(5, 9.0), rows=1)).filter(sf.col("x") < 5)
    assert none.rebatch(3, drop_last=True).collect().shape == (0,)


def test_rebatch_keeps_the_dtype():
    pipe = sf.Pipeline(sf.read(np.arange(5, dtype=">i4"), rows=2)).rebatch(4)
    assert [(a.dtype, a.tolist()) for a in pipe] == [(">i4", [0, 1, 2, 3]), (">i4", [4])]


def test_rows_that_an_expression_moves_are_not_aligned():
    rows = np.arange(4.0)
    pipe = sf.Pipeline(sf.read(rows, rows=4)).map(sf.col("a") + np.zeros((4, 1)))
    with pytest.raises(ValueError, match="no longer|still stand"):
        pipe.map(lambda x, w: x, sf.aligned(rows)).collect()
    kept = sf.Pipeline(sf.read(np.ones((6, 3)), rows=4)).map(sf.col("a") * np.arange(3.0))
    found = kept.map(
        lambda x, w: np.asarray(x) + np.asarray(w)[:, None], sf.aligned(np.arange(6.0))
    )
    np.testing.assert_array_equal(found.collect(), np.arange(3.0) + np.arange(6.0)[:, None])


def test_take_of_nothing_ends_nothing_before_it():
    class Last:
        def __call__(self, item):
            return [item]

        def finish(self):
            return ["last"]

    seen = []
    pipe = sf.Pipeline(range(5)).transform(Last).tap(seen.append).take(0).transform(Last)
    for threads in (1, 3):
        assert pipe.take(3).collect(threads=threads) == ["last"]
        assert pipe.take(0).map(str).take(0).collect(threads=threads) == []
    assert seen == []


def test_take_of_nothing_does_not_ask():
    items = iter([1, 2])
    assert sf.Pipeline(items).take(0).collect() == []
    assert list(items) == [1, 2]
    assert sf.Pipeline(1 / 0 for _ in [1]).map(lambda x: x).take(0).collect() == []
    assert sf.Pipeline(sf.read(np.arange(9.0), rows=2)).take(0).collect() == []


def test_what_all_stages_hold_back_counts_together():
    big = np.zeros((64, 131072))  # rows of 1 MiB
    read = sf.Pipeline(sf.read(big, rows=1))
    for pipe in [
        read.shuffle(9).shuffle(9),
        read.shuffle(9).batch(9),
        read.enumerate().batch(40),
        read.map(sf.add, 1).enumerate().shuffle(40),
    ]:
        with pytest.raises(ValueError, match="holds back .* bytes.*the run may hold 10485760"):
            for _ in pipe.run(memory="10MiB", threads=1):
                pass
    assert len(read.shuffle(4).batch(4).run(memory="10MiB", threads=1).__next__()) == 4


@pytest.mark.parametrize(
    "items",
    [
        [1, None, 3],
        [1, "x"],
        [None, 1],
        [2**70],
        [2**63, -1],
        [np.array(["a", "b"]), np.array(["c", "d"])],
        [np.datetime64(0, "s")],
        [np.ma.masked_array([1, 2], [True, False])],
        ["a", b"b"],
    ],
    ids=str,
)
def test_batches_of_what_is_no_array(items):
    (found,) = sf.Pipeline(items).batch(5)
    assert isinstance(found, list) and all(a is b for a, b in zip(found, items, strict=True))


def test_batches_of_numbers():
    (found,) = sf.Pipeline([np.int8(1), np.int8(2)]).batch(2)
    assert found.dtype == sf.int8 and found.tolist() == [1, 2]
    (found,) = sf.Pipeline([1, 2.5, True]).batch(3)
    assert found.dtype == sf.float64 and found.tolist() == [1, 2.5, 1]


@pytest.mark.parametrize(
    "items", [[{"a": 1}, {"a": 1, "b": 2}], [{"a": 1, "b": 2}, {"a": 1}], [{}, 1]]
)
def test_batches_of_dicts_want_the_same_keys(items):
    with pytest.raises(ValueError, match="dicts with the same keys") as caught:
        sf.Pipeline(items).batch(2).collect()
    assert any("stacking of batch(2)" in note for note in caught.value.__notes__)


def test_collect_of_what_is_no_array_is_a_list():
    for item in [np.zeros(3, "g"), np.zeros(2, [("a", "O")]), np.ma.masked_array([1.0], [True])]:
        found = sf.Pipeline([item]).map(lambda x: x).collect()
        assert len(found) == 1 and found[0] is item


def test_shuffle_leaves_the_global_generator_alone():
    random.seed(0)
    wanted = random.random()
    random.seed(0)
    sf.Pipeline([1]).shuffle(2).collect()
    assert random.random() == wanted


# ---- one item to many: in parts ----


def peak_of(run, consume=lambda item: None):
    with run:
        for item in run:
            consume(item)
    return run.stats()["nbytes_peak"]


@pytest.mark.parametrize("threads", [1, 2, 4])
@pytest.mark.parametrize("pause", [0, 0.002])
def test_what_grows_keeps_to_the_memory(threads, pause):
    """An item that becomes 40 times as much as the run may hold."""
    mib = np.ones(131072)
    pipe = sf.Pipeline(range(4)).flat_map(lambda i: (mib + i for _ in range(160)))
    limit = 4 << 20
    seen = []
    run = pipe.run(memory=limit, threads=threads)
    peak = peak_of(run, lambda a: (seen.append(float(a[0])), time.sleep(pause)))
    assert seen == [1.0 + i for i in range(4) for _ in range(160)]
    assert peak <= limit + threads * (1 << 20)


@pytest.mark.parametrize("threads", [1, 3])
def test_growth_behind_growth(threads):
    """Parts of parts, with stages in order between and behind them."""

    pipe = (
        sf.Pipeline(range(50))
        .flat_map(lambda x: range(x * 10, x * 10 + x % 7))
        .enumerate()
        .map(str)
        .flat_map(lambda text: (text + mark for mark in "ab"))
        .batch(3)
        .unbatch()
        .flat_map(lambda text: [text] * 200)
        .skip(5)
    )
    pairs = enumerate([y for x in range(50) for y in range(x * 10, x * 10 + x % 7)])
    wanted = [str(pair) + mark for pair in pairs for mark in "ab" for _ in range(200)][5:]
    assert list(pipe.run(threads=threads)) == wanted
    assert list(pipe.prefetch(0).run(threads=threads, memory=1)) == wanted


def test_many_rows_do_not_lie_in_memory_together():
    run = sf.Pipeline(sf.read(np.arange(1 << 20), rows=1 << 19)).unbatch().run(threads=2)
    with run:
        for i, row in enumerate(run):
            assert row == i
            if i == 3000:
                break
    made = run.stats()["stages"][1]["items_out"]
    assert 3000 <= made < 20_000


def test_items_before_an_error_come_out():
    def some(x):
        yield from range(100)
        if x == 2:
            raise ValueError("broken")

    for threads in (1, 3):
        got = []
        with pytest.raises(ValueError, match="broken"):
            for item in sf.Pipeline(range(9)).flat_map(some).run(threads=threads):
                got.append(item)
        assert got == list(range(100)) * 3
        got = []
        with pytest.raises(ZeroDivisionError) as caught:
            for item in (
                sf.Pipeline([5]).flat_map(some).map(lambda x: 1 // (70 - x)).run(threads=threads)
            ):
                got.append(item)
        assert len(got) == 70 and "item 0" in caught.value.__notes__[0]


@pytest.mark.parametrize("threads", [1, 2])
def test_endless_iterators_end_with_the_run(threads):
    closed = threading.Event()

    def endless(x):
        try:
            while True:
                time.sleep(0.001)
                yield x
        finally:
            closed.set()

    assert sf.Pipeline([1, 2]).flat_map(endless).take(5).collect(threads=threads) == [1] * 5
    assert closed.wait(2)
    closed.clear()
    run = sf.Pipeline([1, 2]).flat_map(endless).run(threads=threads)
    assert next(run) == 1
    begun = time.perf_counter()
    run.cancel()
    with pytest.raises(sf.PipelineError):
        next(run)
    del run
    gc.collect()
    assert time.perf_counter() - begun < 0.5
    assert closed.wait(2)


def test_slow_iterators_are_not_waited_for():
    def slow(x):
        for i in range(20):
            time.sleep(0.02)
            yield i

    begun = time.perf_counter()
    run = sf.Pipeline([1]).flat_map(slow).run(threads=2)
    assert next(run) == 0
    assert time.perf_counter() - begun < 0.2
    run.cancel()


def test_unbatch_of_what_other_stages_made():
    pairs = [(np.zeros(3), np.ones(3)), (np.full(2, 5.0), np.full(2, 6.0))]
    assert sf.Pipeline(pairs).unbatch().collect() == [(0.0, 1.0)] * 3 + [(5.0, 6.0)] * 2
    words = np.array(["a", "b"], object)
    assert sf.Pipeline([words]).unbatch().collect() == ["a", "b"]
    assert sf.Pipeline([1]).flat_map(lambda x: words).collect() == ["a", "b"]
    days = np.array([1, 2], "M8[D]")
    assert sf.Pipeline([days]).unbatch().collect() == list(days)


# ---- options of runs ----


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_out_of_order_loses_nothing(threads):
    def uneven(x):
        time.sleep(0.02 if x % 50 == 0 else 0)
        return x

    pipe = sf.Pipeline(range(400)).map(uneven)
    found = list(pipe.run(threads=threads, ordered=False))
    assert sorted(found) == list(range(400))
    growing = sf.Pipeline(range(30)).flat_map(lambda x: [x] * 200).batch(3).unbatch()
    assert sorted(growing.run(threads=threads, ordered=False)) == [
        x for x in range(30) for _ in range(200)
    ]
    assert growing.collect(threads=threads, ordered=False) is not None
    assert sf.Pipeline([]).collect(ordered=False) == []


def test_out_of_order_does_not_wait_for_the_slow():
    gate = threading.Event()

    def slow_first(x):
        if x == 0:
            gate.wait(10)
        return x

    pipe = sf.Pipeline(range(50)).map(slow_first).prefetch(8)
    run = pipe.run(threads=3, ordered=False, timeout=60)  # so the consumer does none of the work
    seen = [next(run) for _ in range(8)]
    assert 0 not in seen
    gate.set()
    assert sorted([*seen, *run]) == list(range(50))


@pytest.mark.parametrize("threads", [1, 3])
def test_out_of_order_keeps_to_the_memory(threads):
    chunks = sf.Pipeline(sf.read(np.ones((200, 131072)), rows=1)).map(sf.add, 1)
    limit = 6 << 20
    run = chunks.run(memory=limit, threads=threads, ordered=False)
    assert peak_of(run, lambda a: time.sleep(0.0005)) <= limit + threads * (1 << 20)
    grown = sf.Pipeline(range(8)).flat_map(lambda i: (np.ones(131072) for _ in range(40)))
    run = grown.run(memory=limit, threads=threads, ordered=False)
    assert peak_of(run, lambda a: time.sleep(0.0005)) <= limit + threads * (1 << 20)


def test_errors_out_of_order():
    def fails(x):
        if x == 40:
            raise ValueError("forty")
        return x

    for threads in (1, 4):
        seen = []
        run = sf.Pipeline(range(1000)).map(fails).run(threads=threads, ordered=False)
        with pytest.raises(ValueError, match="forty"):
            seen.extend(run)
        assert set(range(40)) <= set(seen) and 40 not in seen and len(seen) == len(set(seen))
        assert next(run, None) is None


def test_items_larger_than_the_memory():
    big = np.ones((5, 131072))  # rows of 1 MiB
    pipe = sf.Pipeline(sf.read(big, rows=1)).map(sf.add, 1)
    with pytest.raises(ValueError, match="one item needs 1048576 bytes, .* may hold 65536"):
        pipe.collect(memory="64KiB")
    found = []
    run = pipe.run(memory="64KiB", oversize="alone", threads=2)
    assert peak_of(run, lambda a: found.append(float(a[0, 0]))) <= (3 << 20)
    assert found == [2.0] * 5
    with pytest.raises(ValueError, match="oversize must be .error. or .alone., got 'big'"):
        pipe.run(oversize="big")
