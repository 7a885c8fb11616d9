"""Pipelines that call Python: iterables, callables, their errors, and how they mix with native ones."""

import itertools
import threading
import time
import traceback

import numpy as np
import pytest

import spanflow as sf

TABLE = np.arange(24, dtype="f4").reshape(12, 2)
THREADS = (1, 2, 4)


@pytest.mark.parametrize("threads", THREADS)
def test_any_objects_in_order(threads):
    pipe = sf.Pipeline(range(200)).map(lambda x: x * x).filter(lambda x: x % 3).map(str)
    assert list(pipe.run(threads=threads)) == [str(x * x) for x in range(200) if x * x % 3]


@pytest.mark.parametrize("threads", THREADS)
def test_slow_items_keep_their_order(threads):
    def slow(x):
        time.sleep(0.02 * (x % 3 == 0))
        return x

    assert list(sf.Pipeline(range(12)).map(slow).run(threads=threads)) == list(range(12))


def test_callables_run_on_several_threads_at_once():
    meeting = threading.Barrier(3, timeout=20)

    def meet(x):
        meeting.wait()
        return threading.get_ident()

    idents = set(sf.Pipeline(range(9)).map(meet).run(threads=3))
    assert len(idents) >= 3


def test_with_one_thread_all_happens_on_the_callers():
    idents = set(sf.Pipeline(range(50)).map(lambda x: threading.get_ident()).run(threads=1))
    assert idents == {threading.get_ident()}


def test_sources_of_every_sort():
    assert list(sf.Pipeline([3, 1, 2])) == [3, 1, 2]
    assert list(sf.Pipeline("abc").map(str.upper)) == ["A", "B", "C"]
    assert list(sf.Pipeline((1, 2))) == [1, 2]
    assert list(sf.Pipeline({"a": 1})) == ["a"]
    assert list(sf.Pipeline(x for x in (1, 2))) == [1, 2]
    assert list(sf.Pipeline([])) == []
    assert list(sf.Pipeline(iter([None, ...]))) == [None, ...]

    class Old:
        def __getitem__(self, index):
            return [5, 6][index]

    with pytest.raises(TypeError, match="iterable"):
        sf.Pipeline(Old)


def test_an_iterator_is_used_up():
    pipe = sf.Pipeline(iter([1, 2]))
    assert list(pipe) == [1, 2]
    assert list(pipe) == []


def test_an_endless_source_is_read_only_as_far_as_needed():
    seen = itertools.count()
    with sf.Pipeline(seen).map(lambda x: x).prefetch(2).run(threads=2) as run:
        assert [next(run) for _ in range(5)] == [0, 1, 2, 3, 4]
    assert next(seen) < 5 + 2 + 2 + 4


def test_arguments_of_callables():
    def call(x, y, *, power=1):
        return (x + y) ** power

    assert list(sf.Pipeline([1, 2]).map(call, 3, power=2)) == [16, 25]
    assert list(sf.Pipeline([1, 2, 3]).filter(lambda x, least: x >= least, 2)) == [2, 3]


def test_callables_between_native_stages():
    def double(chunk):
        assert isinstance(chunk, sf.Array)
        return np.asarray(chunk) * 2

    pipe = sf.Pipeline(sf.read(TABLE, rows=5)).map(sf.add, 1).map(double).map(sf.sum, axis=1)
    joined = pipe.collect(threads=2)
    np.testing.assert_array_equal(joined, (TABLE + 1).sum(axis=1) * 2)
    assert sf.Pipeline(sf.read(TABLE, rows=5)).map(double).reduce(sf.max) == 46


def test_items_become_arrays_where_a_native_stage_needs_them():
    sums = list(sf.Pipeline([b"ab", [1, 2.5], 7, np.float32(3)]).map(sf.sum))
    assert sums == [195, 3.5, 7, 3.0]
    pairs = sf.Pipeline([(np.ones(2), np.ones(2))]).map(sf.add)
    assert [chunk.tolist() for chunk in pairs] == [[2, 2]]


def test_a_mask_from_python_selects_rows():
    def high(chunk):
        return np.asarray(chunk)[:, 0] > 7

    kept = sf.Pipeline(sf.read(TABLE, rows=5)).filter(high).collect()
    np.testing.assert_array_equal(kept, TABLE[TABLE[:, 0] > 7])
    with pytest.raises(IndexError, match="axis 0"):
        sf.Pipeline(sf.read(TABLE, rows=5)).filter(lambda chunk: np.zeros(3, bool)).collect()


def test_a_mask_selects_rows_of_arrays_from_anywhere():
    chunks = [np.arange(4), np.arange(4, 8)]
    kept = sf.Pipeline(chunks).filter(lambda chunk: chunk % 2 == 1)
    assert [chunk.tolist() for chunk in kept] == [[1, 3], [5, 7]]
    assert list(sf.Pipeline(chunks).filter(lambda chunk: chunk.sum() > 6)) == [chunks[1]]


def test_numbers_from_python_go_into_native_stages():
    pipe = sf.Pipeline(sf.read(TABLE, rows=3)).map(lambda chunk: float(chunk[0, 0]))
    for threads in THREADS:
        assert pipe.reduce(sf.sum, threads=threads) == 0 + 6 + 12 + 18


@pytest.mark.parametrize("threads", THREADS)
def test_nothing_is_written_that_python_has_seen(threads):
    seen = []
    pipe = sf.Pipeline(sf.read(TABLE, rows=3)).map(sf.multiply, 2)
    kept = pipe.filter(lambda chunk: seen.append(chunk) or True).map(sf.add, 1).collect()
    np.testing.assert_array_equal(kept, TABLE * 2 + 1)
    np.testing.assert_array_equal(np.concatenate(sorted(seen, key=lambda c: c[0, 0])), TABLE * 2)
    passed = pipe.map(lambda chunk: seen.append(chunk) or chunk).map(sf.add, 1).collect()
    np.testing.assert_array_equal(passed, TABLE * 2 + 1)
    again = sorted(seen[4:], key=lambda c: c[0, 0])
    np.testing.assert_array_equal(np.concatenate(again), TABLE * 2)


def test_rows_go_on_through_python_stages():
    weights = sf.aligned(np.arange(12.0))
    pipe = sf.Pipeline(sf.read(TABLE[:, 0], rows=5))
    for keep in (lambda c: c, np.asarray, lambda c: np.asarray(c) * 1):
        passed = pipe.map(keep).map(sf.multiply, weights).collect(threads=2)
        np.testing.assert_array_equal(passed, TABLE[:, 0] * np.arange(12.0))
        called = pipe.map(keep).map(lambda c, w: np.asarray(c) * np.asarray(w), weights)
        np.testing.assert_array_equal(called.collect(), TABLE[:, 0] * np.arange(12.0))


def test_collect_joins_what_are_arrays_and_lists_the_rest():
    joined = sf.Pipeline(sf.read(TABLE, rows=5)).map(lambda chunk: np.asarray(chunk)[:1]).collect()
    assert isinstance(joined, sf.Array) and joined.shape == (3, 2)
    assert sf.Pipeline([1, "a", None]).collect() == [1, "a", None]
    ragged = sf.Pipeline([2, 3]).map(lambda n: sf.zeros((2, n))).collect()
    assert [part.shape for part in ragged] == [(2, 2), (2, 3)]
    words = sf.Pipeline([1, 2]).map(lambda n: np.array(["a"] * n)).collect()
    assert [len(part) for part in words] == [1, 2]


def test_fold_with_a_function():
    assert sf.Pipeline(range(10)).reduce(lambda x, y: x + y) == 45
    assert sf.Pipeline([]).reduce(lambda x, y: x + y, 5) == 5
    with pytest.raises(TypeError, match="initial value"):
        sf.Pipeline([]).reduce(lambda x, y: x)
    with pytest.raises(TypeError, match="got 3"):
        sf.Pipeline([1]).reduce(3)
    with pytest.raises(TypeError, match="ddof"):
        sf.Pipeline([1]).reduce(lambda x, y: x, ddof=1)
    added = sf.Pipeline(sf.read(TABLE, rows=3)).reduce(sf.add)
    np.testing.assert_array_equal(added, TABLE.reshape(4, 3, 2).sum(axis=0))


# ---- errors ----


def fail_at_seven(x):
    if x == 7:
        raise LookupError("seven")
    return x


@pytest.mark.parametrize("threads", THREADS)
def test_an_error_comes_after_the_items_before_it(threads):
    seen = []
    with pytest.raises(LookupError, match="seven") as caught:
        for x in sf.Pipeline(range(1000)).map(fail_at_seven).run(threads=threads):
            seen.append(x)
    assert seen == list(range(7))
    assert caught.value.__notes__ == ["in the pipeline's map(fail_at_seven), item 7"]
    frames = [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]
    assert frames[-1] == "fail_at_seven"


@pytest.mark.parametrize("threads", THREADS)
def test_the_first_of_several_errors_wins(threads):
    def fail(x):
        time.sleep(0.02 * (x == 5))
        raise ValueError(x) if x >= 5 else LookupError(x) if x == 99 else StopAsyncIteration

    for _ in range(5):
        with pytest.raises(StopAsyncIteration):
            list(sf.Pipeline(range(20)).map(fail).run(threads=threads))
        with pytest.raises(ValueError, match="5"):
            list(sf.Pipeline(range(5, 20)).map(fail).run(threads=threads))


def test_a_source_that_raises_midway():
    def source():
        yield from range(5)
        raise OSError("the disk is gone")

    seen = []
    with pytest.raises(OSError, match="disk") as caught:
        for x in sf.Pipeline(source()).map(lambda x: x + 1).run(threads=2):
            seen.append(x)
    assert seen == [1, 2, 3, 4, 5]
    assert caught.value.__notes__ == ["in the pipeline's iterate(generator), item 5"]


def test_stop_iteration_inside_a_function_is_an_error():
    def stop(x):
        raise StopIteration(x)

    with pytest.raises(RuntimeError, match="StopIteration") as caught:
        list(sf.Pipeline(range(3)).map(stop))
    assert isinstance(caught.value.__cause__, StopIteration)


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GeneratorExit])
@pytest.mark.parametrize("threads", THREADS)
def test_urgent_exceptions_do_not_wait(error, threads):
    def leave(x):
        if x == 3:
            raise error
        return x

    with pytest.raises(error):
        list(sf.Pipeline(range(100)).map(leave).run(threads=threads))


def test_nonsense_for_the_next_stage():
    cases = [(object(), TypeError), (None, TypeError), ("text", TypeError), ([1, [2]], ValueError)]
    for nonsense, error in cases:
        pipe = sf.Pipeline(sf.read(TABLE, rows=5)).map(lambda _, x=nonsense: x)
        with pytest.raises(error) as caught:
            pipe.map(sf.add, 1).collect()
        assert "map(<lambda>), item 0" in caught.value.__notes__[0]
    assert sf.Pipeline(range(3)).map(lambda x: None).collect() == [None] * 3


def test_a_truth_value_that_raises():
    with pytest.raises(ValueError, match="ambiguous"):
        sf.Pipeline(range(3)).filter(lambda x: np.zeros(4)).collect()


def test_a_broken_iterable():
    class Broken:
        def __iter__(self):
            raise LookupError("no iterator today")

    with pytest.raises(LookupError, match="today"):
        sf.Pipeline(Broken()).run()

    class NotIterator:
        def __iter__(self):
            return 5

    with pytest.raises(TypeError):
        sf.Pipeline(NotIterator()).run()


def test_a_pipeline_inside_a_stage():
    def inner(n):
        return sf.Pipeline(range(n)).map(lambda x: x + 1).reduce(lambda x, y: x + y)

    assert list(sf.Pipeline([1, 2, 3]).map(inner).run(threads=2)) == [1, 3, 6]
    nested = sf.Pipeline(sf.Pipeline(range(5)).map(lambda x: x * 2).run()).map(lambda x: x + 1)
    assert list(nested) == [1, 3, 5, 7, 9]


def test_records():
    table = np.zeros(10, [("x", "f4"), ("n", "i4")])
    table["x"] = np.arange(10)
    pipe = sf.Pipeline(sf.read(table, rows=4)).map(lambda chunk: chunk["x"])
    assert pipe.reduce(sf.sum) == 45
