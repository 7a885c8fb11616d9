"""workers=: one contract for threads, interpreters, processes and coroutines."""

import contextvars
import os
import sys
import threading
import time
import traceback

import numpy as np
import pytest

import spanflow as sf
from tests.pipeline import worker_functions as functions
from tests.pipeline.worker_functions import COROUTINES

HAS_INTERPRETERS = sys.version_info >= (3, 12)
KINDS = ["thread", "process", "async"] + ["interpreter"] * HAS_INTERPRETERS
AWAY = ["process"] + ["interpreter"] * HAS_INTERPRETERS


def for_kind(kind, function):
    return COROUTINES[function] if kind == "async" else function


def overlap(spans):
    """How many spans there are at once, at most."""
    edges = sorted([(begun, 1) for begun, _ in spans] + [(ended, -1) for _, ended in spans])
    inside = most = 0
    for _, step in edges:
        inside += step
        most = max(most, inside)
    return most


# ---- what every kind does ----


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("threads", (1, 2))
def test_order_is_kept(kind, threads):
    slowly = for_kind(kind, functions.slowly)
    pipe = sf.Pipeline(range(60)).map(slowly, workers=sf.Workers(kind, 3))
    assert list(pipe.run(threads=threads)) == list(range(60))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("source", ("list", "generator"))
def test_n_calls_at_once_and_no_more(kind, source):
    when = for_kind(kind, functions.when)
    count = 40  # enough for the last interpreter or process to begin meanwhile
    items = range(count) if source == "list" else (x for x in range(count))
    pipe = sf.Pipeline(items).map(when, workers=sf.Workers(kind, 3))
    assert overlap(list(pipe.run(threads=1))) == 3


@pytest.mark.parametrize("kind", KINDS)
def test_verbs(kind):
    def function(name):
        return for_kind(kind, getattr(functions, name))

    pipe = (
        sf.Pipeline(range(6))
        .filter(function("even"), workers=kind)
        .flat_map(function("times"), workers=kind)
        .map(function("double"), workers=kind)
    )
    assert list(pipe) == [4, 4, 8, 8, 8, 8]


@pytest.mark.parametrize("kind", KINDS)
def test_tap_calls_in_order_and_passes_on(kind, tmp_path):
    path = tmp_path / "seen"
    tap = for_kind(kind, functions.appended)
    assert list(sf.Pipeline(range(20)).tap(tap, str(path), workers=kind).run(threads=2)) == list(
        range(20)
    )
    assert path.read_text().split() == [str(x) for x in range(20)]


@pytest.mark.parametrize("kind", KINDS)
def test_for_each_counts(kind):
    assert sf.Pipeline(range(7)).for_each(for_kind(kind, functions.double), workers=kind) == 7


@pytest.mark.parametrize("kind", KINDS)
def test_arguments_and_aligned_rows(kind):
    data, weights = np.arange(10.0), np.arange(10.0) + 1
    pipe = sf.Pipeline(sf.read(data, rows=4)).map(
        for_kind(kind, functions.scaled), sf.aligned(weights), 3, shift=1, workers=kind
    )
    assert [x for chunk in pipe for x in chunk] == (data * weights * 3 + 1).tolist()


@pytest.mark.parametrize("kind", KINDS)
def test_a_mask_selects_rows(kind):
    pipe = sf.Pipeline(sf.read(np.arange(10), rows=4))
    kept = pipe.filter(for_kind(kind, functions.high), workers=kind).collect()
    assert kept.tolist() == [7, 8, 9]


@pytest.mark.parametrize("kind", KINDS)
def test_arrays_of_flat_map_give_rows(kind):
    pipe = sf.Pipeline([np.arange(4.0).reshape(2, 2)])
    rows = list(pipe.flat_map(for_kind(kind, functions.rows_twice), workers=kind))
    assert [row.tolist() for row in rows] == [[0, 1], [2, 3]]


@pytest.mark.parametrize("kind", KINDS)
def test_between_native_stages(kind):
    pipe = (
        sf.Pipeline(sf.read(np.arange(12.0).reshape(6, 2), rows=2))
        .map(sf.add, 1)
        .map(for_kind(kind, functions.double), workers=sf.Workers(kind, 2))
        .map(sf.sum, axis=1)
    )
    assert pipe.collect(threads=2).tolist() == [6, 14, 22, 30, 38, 46]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n", (1, 3))
def test_an_error_takes_its_turn(kind, n):
    fails = for_kind(kind, functions.fails_at_three)
    run = sf.Pipeline(range(20)).map(fails, workers=sf.Workers(kind, n)).run(threads=2)
    assert [next(run) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="no 3") as caught:
        next(run)
    assert caught.value.__notes__[-1] == "in the pipeline's map(fails_at_three), item 3"
    text = "".join(traceback.format_exception(caught.value))
    assert "in fails_at_three" in text and "raise ValueError" in text


@pytest.mark.parametrize("kind", KINDS)
def test_stop_iteration_is_an_error(kind):
    pipe = sf.Pipeline([1]).map(for_kind(kind, functions.stops), workers=kind)
    with pytest.raises(RuntimeError, match="StopIteration"):
        list(pipe)


@pytest.mark.parametrize("kind", KINDS)
def test_keyboard_interrupt_does_not_wait(kind):
    run = sf.Pipeline([1, 2]).map(for_kind(kind, functions.interrupts), workers=kind).run()
    with pytest.raises(KeyboardInterrupt):
        next(run)


@pytest.mark.parametrize("kind", KINDS)
def test_an_early_end(kind):
    slowly = for_kind(kind, functions.slowly)
    pipe = sf.Pipeline(x for x in range(10**9)).map(slowly, workers=sf.Workers(kind, 2))
    with pipe.run() as run:
        assert [next(run) for _ in range(3)] == [0, 1, 2]
    assert list(pipe.take(0)) == []
    with pipe.run(threads=2) as run:
        run.cancel()
        with pytest.raises(sf.PipelineError, match="cancelled"):
            next(run)


@pytest.mark.parametrize("kind", KINDS)
def test_two_runs_at_once(kind):
    pipe = sf.Pipeline(range(30)).map(for_kind(kind, functions.slowly), workers=sf.Workers(kind, 2))
    with pipe.run() as first, pipe.run() as second:
        assert list(zip(first, second, strict=True)) == [(x, x) for x in range(30)]


@pytest.mark.parametrize("kind", KINDS)
def test_memory_of_one_item(kind):
    data = np.arange(4096.0)
    pipe = sf.Pipeline(sf.read(data, rows=512)).map(
        for_kind(kind, functions.identity), workers=sf.Workers(kind, 2)
    )
    run = pipe.run(threads=2, memory=4096)
    assert sum(float(chunk.sum()) for chunk in run) == data.sum()
    assert run.stats()["nbytes_peak"] <= 4096 * (1 + 2 + 2)


@pytest.mark.parametrize("kind", KINDS)
def test_statistics(kind):
    run = (
        sf.Pipeline(range(6)).map(for_kind(kind, functions.when), workers=sf.Workers(kind, 3)).run()
    )
    list(run)
    stage = run.stats()["stages"][1]
    assert stage["name"] == ("map(when_async)" if kind == "async" else "map(when)")
    assert (stage["items"], stage["items_out"]) == (6, 6)
    assert (stage["retried"], stage["skipped"]) == (0, 0)
    assert stage["busy"] >= 6 * 0.05
    assert stage["p50"] >= 0.045
    assert (0 if kind == "thread" else -1) < stage["attached"] < 0.3  # who sleeps gives the GIL up


# ---- functions by name ----


@pytest.mark.parametrize("kind", KINDS)
def test_functions_by_name(kind):
    if kind == "async":
        pipe = sf.Pipeline(range(3)).map(
            "tests.pipeline.worker_functions:slowly_async", workers=kind
        )
        assert list(pipe) == [0, 1, 2]
        return
    pipe = sf.Pipeline(range(3)).map("tests.pipeline.worker_functions:double", workers=kind)
    assert f"map(double, workers=Workers('{kind}'))" in repr(pipe)
    assert list(pipe) == [0, 2, 4]


@pytest.mark.parametrize("kind", ["thread", *AWAY])
def test_a_name_that_is_not_there(kind):
    pipe = sf.Pipeline(range(3)).map("tests.pipeline.worker_functions:nothing", workers=kind)
    with pytest.raises(AttributeError, match="nothing"):
        list(pipe)
    with pytest.raises(ModuleNotFoundError, match="no_such_module"):
        list(sf.Pipeline(range(3)).map("no_such_module:f", workers=kind))


# ---- arrays ----

LAYOUTS = {
    "heap": lambda: sf.arange(20_000.0).reshape(100, 200),
    "strided": lambda: sf.arange(20_000.0).reshape(100, 200)[::-2, 3:],
    "numpy": lambda: sf.asarray(np.arange(20_000.0).reshape(100, 200)),
    "read-only": lambda: sf.asarray(np.arange(3.0).tobytes()).view("f8"),
    "small": lambda: sf.arange(3.0),
    "empty": lambda: sf.zeros((0, 3)),
    "big-endian": lambda: sf.arange(20_000.0).astype(">f8"),
    "float16": lambda: sf.arange(1000.0).astype("f2"),
}


@pytest.mark.skipif(not HAS_INTERPRETERS, reason="needs Python 3.12")
@pytest.mark.parametrize("layout", LAYOUTS)
def test_interpreters_see_the_same_bytes(layout):
    array = LAYOUTS[layout]()
    there = next(iter(sf.Pipeline([array]).map(functions.where, workers="interpreter")))
    assert there == functions.where(array)
    back = next(iter(sf.Pipeline([array]).map(functions.identity, workers="interpreter")))
    assert functions.where(back) == functions.where(array)


@pytest.mark.skipif(not HAS_INTERPRETERS, reason="needs Python 3.12")
def test_numpy_arrays_go_to_interpreters_as_arrays():
    array = np.arange(12.0).reshape(3, 4)
    (there,) = sf.Pipeline([array]).map(functions.where, workers="interpreter")
    assert there[0] == array.ctypes.data
    (back,) = sf.Pipeline([{"a": [array, 1]}]).map(functions.identity, workers="interpreter")
    assert isinstance(back["a"][0], sf.Array) and back["a"][0].address == array.ctypes.data


@pytest.mark.skipif(not HAS_INTERPRETERS, reason="needs Python 3.12")
def test_results_outlive_the_interpreter():
    with sf.Pipeline([1000]).map(functions.shared, workers="interpreter").run() as run:
        array = next(run)
    assert array.sum() == 3000
    (doubled,) = sf.Pipeline([sf.arange(1000.0)]).map(functions.double, workers="interpreter")
    assert doubled.sum() == 999_000
    bytes_of = sf.asarray(bytearray(b"abc"))
    back = next(iter(sf.Pipeline([bytes_of]).map(functions.identity, workers="interpreter")))
    del bytes_of
    assert back.tolist() == [97, 98, 99]


@pytest.mark.skipif(not HAS_INTERPRETERS, reason="needs Python 3.12")
def test_an_array_in_use_elsewhere_is_not_closed():
    foreign = sf.asarray(np.arange(10.0))
    (back,) = sf.Pipeline([foreign]).map(functions.identity, workers="interpreter")
    with pytest.raises(BufferError):
        foreign.close()
    del back
    foreign.close()
    with pytest.raises(ValueError, match="closed"):
        list(sf.Pipeline([foreign]).map(functions.identity, workers="interpreter"))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_processes_get_equal_arrays(layout):
    array = LAYOUTS[layout]()
    (back,) = sf.Pipeline([array]).map(functions.identity, workers="process")
    assert back.dtype == array.dtype and back.shape == array.shape
    np.testing.assert_array_equal(back, array)


def test_processes_share_what_is_shared(tmp_path):
    array = sf.shared_empty((100, 1000))
    assert (array == 0).all() and array.storage == "mapped"
    (back,) = sf.Pipeline([array[1:]]).map(functions.fill, workers="process")
    assert (array[1:] == 7).all() and (array[0] == 0).all()
    back[0, 0] = 5  # what comes back is the same memory once more
    assert array[1, 0] == 5

    sf.save(tmp_path / "a.npy", sf.arange(100_000.0))
    mapped = sf.open(tmp_path / "a.npy")
    back = sf.Pipeline(sf.read(mapped, rows=30_000)).map(functions.identity, workers="process")
    chunks = list(back)
    assert [chunk.storage for chunk in chunks] == ["mapped"] * 4
    assert all(chunk.readonly for chunk in chunks)
    np.testing.assert_array_equal(np.concatenate(chunks), mapped)
    private = sf.open(tmp_path / "a.npy", "c")
    private[0] = -1.0
    assert next(iter(sf.Pipeline([private]).map(functions.identity, workers="process")))[0] == -1


def test_results_outlive_the_process():
    with sf.Pipeline([100_000]).map(functions.shared, workers="process").run() as run:
        array = next(run)
    assert array.sum() == 300_000


def test_other_values_go_to_processes():
    record = sf.zeros(20_000, [("a", "<f4"), ("b", ">i8", (2,))])
    numpy = np.arange(100_000.0).reshape(100, 1000)
    items = [{"numpy": numpy, "list": [record, record[:3], 5, None, "text"]}]
    (back,) = sf.Pipeline(items).map(functions.identity, workers="process")
    assert isinstance(back["numpy"], np.ndarray)
    np.testing.assert_array_equal(back["numpy"], numpy)
    assert [array.dtype for array in back["list"][:2]] == [record.dtype] * 2
    assert back["list"][2:] == [5, None, "text"]
    many = [sf.arange(10_000.0) + i for i in range(250)]  # more than go in one message
    (back,) = sf.Pipeline([many]).map(functions.identity, workers="process")
    assert [array[0] for array in back] == list(range(250))


def test_n_processes():
    pipe = sf.Pipeline(range(40)).map(functions.process, workers=sf.Workers("process", 2))
    there = set(pipe)
    assert len(there) <= 2 and os.getpid() not in there


# ---- what cannot cross ----


@pytest.mark.parametrize("kind", AWAY)
def test_what_cannot_cross(kind):
    with pytest.raises(TypeError, match="a lock cannot go to another interpreter or process"):
        list(sf.Pipeline([threading.Lock()]).map(functions.identity, workers=kind))
    with pytest.raises(TypeError, match="a function cannot go"):
        list(sf.Pipeline([1]).map(functions.unpicklable, workers=kind))
    with pytest.raises(RuntimeError, match="OddError: 1 and 2") as caught:
        list(sf.Pipeline([1]).map(functions.raises_odd, workers=kind))
    assert "in raises_odd" in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("kind", AWAY)
def test_functions_that_cannot_be_imported(kind):
    def inner(x):
        return x

    for function in (lambda x: x, inner):
        with pytest.raises(TypeError, match=f'map.workers="{kind}".*can be imported.*top of a mod'):
            sf.Pipeline([1]).map(function, workers=kind)


@pytest.mark.skipif(not HAS_INTERPRETERS, reason="needs Python 3.12")
def test_numpy_in_an_interpreter():
    try:
        (root,) = sf.Pipeline([4]).map(functions.numpy_root, workers="interpreter")
    except ImportError as error:
        assert any('workers="process"' in note for note in error.__notes__)
    else:
        assert root == 2.0


# ---- context ----

SETTING = contextvars.ContextVar("SETTING", default=0)


@pytest.mark.parametrize("kind", ("thread", "async"))
def test_calls_see_the_context_of_the_run(kind):
    def seen(x):
        before = SETTING.get()
        SETTING.set(x)
        return before

    async def seen_async(x):
        return seen(x)

    pipe = sf.Pipeline(range(1, 5)).map(seen if kind == "thread" else seen_async, workers=kind)
    token = SETTING.set(7)
    try:
        run = pipe.run()
    finally:
        SETTING.reset(token)
    assert list(run) == [7] * 4
    assert SETTING.get() == 0


# ---- bad input ----


@pytest.mark.parametrize(
    ("words", "error", "match"),
    [
        ({"kind": "threads"}, ValueError, "kind must be one of 'thread', 'interpreter', 'process'"),
        ({"n": 0}, ValueError, "n must be from 1 to 1024, got 0"),
        ({"n": 2000}, ValueError, "n must be from 1 to 1024"),
        ({"n": 1.5}, TypeError, "n must be an integer"),
        ({"timeout": 1}, ValueError, '"process" ends its process, "async" cancels'),
        ({"kind": "process", "timeout": 0}, ValueError, "positive number of seconds"),
        ({"kind": "process", "timeout": "x"}, TypeError, "number of seconds"),
        ({"kind": "process", "timeout": float("nan")}, ValueError, "positive"),
        ({"retries": -1}, ValueError, "retries must be from 0"),
        ({"backoff": -1}, ValueError, "backoff must be a positive"),
        ({"errors": "ignore"}, ValueError, "errors must be one of 'raise', 'skip'"),
        ({"limit": 3}, ValueError, 'goes with errors="skip"'),
        ({"errors": "skip", "limit": 1.0}, ValueError, "below 1.0"),
        ({"errors": "skip", "limit": -1}, ValueError, "limit must be from 0"),
        ({"errors": "skip", "limit": "1%"}, TypeError, "limit must be an integer"),
    ],
)
def test_bad_workers(words, error, match):
    with pytest.raises(error, match=match):
        sf.Workers(**words)


@pytest.mark.skipif(HAS_INTERPRETERS, reason="before Python 3.12")
def test_interpreters_need_a_newer_python():
    with pytest.raises(ValueError, match='from Python 3.12 on.*"process".*"thread"'):
        sf.Pipeline([1]).map(functions.double, workers="interpreter")


def test_bad_stages():
    pipe = sf.Pipeline([1])
    with pytest.raises(TypeError, match="goes with Python functions: add is native"):
        pipe.map(sf.add, 1, workers="thread")
    with pytest.raises(TypeError, match="goes with Python functions"):
        pipe.filter(sf.col("a") > 1, workers="thread")
    with pytest.raises(TypeError, match="workers must be a kind"):
        pipe.map(abs, workers=3)
    with pytest.raises(TypeError, match="needs a callable"):
        pipe.map(3, workers="thread")
    with pytest.raises(TypeError, match="map.. needs an operation"):
        pipe.map("os:getpid")
    with pytest.raises(ValueError, match='"module:name"'):
        pipe.map("getpid", workers="thread")
    with pytest.raises(ValueError, match="tap.. calls in order"):
        pipe.tap(abs, workers=sf.Workers("thread", 2))
    with pytest.raises(TypeError, match="coroutine function.*go together, got abs"):
        pipe.map(abs, workers="async")
    with pytest.raises(TypeError, match="coroutine function.*go together, got slowly_async"):
        pipe.map(functions.slowly_async, workers="thread")
    with pytest.raises(ValueError, match="kind must be one of"):
        pipe.for_each(abs, workers="fast")


def test_repr():
    assert repr(sf.Workers()) == "Workers('thread')"
    workers = sf.Workers("process", 2, timeout=1.5, retries=3, errors="skip", limit=0.01)
    assert repr(workers) == (
        "Workers('process', 2, timeout=1.5, retries=3, errors='skip', limit=0.01, backoff=0.1)"
    )
    assert "map(abs, workers=Workers('thread'))" in repr(
        sf.Pipeline([1]).map(abs, workers="thread")
    )


def test_keywords_still_go_to_the_function():
    def call(x, *, n, timeout, errors):
        return x, n, timeout, errors

    pipe = sf.Pipeline([1]).map(call, n=2, timeout=3, errors="x", workers="thread")
    assert list(pipe) == [(1, 2, 3, "x")]


# ---- as many as help ----


def test_auto_grows_while_it_helps():
    def wait(x):
        time.sleep(0.005)
        return x

    with sf.Pipeline(range(2500)).map(wait, workers="auto").run(threads=1) as run:
        assert list(run) == list(range(2500))
        (stage,) = [s for s in run.stats()["stages"] if s["name"] == "map(wait)"]
    assert stage["workers_most"] == 64
    assert stage["workers"] >= 8  # 64, if nothing else disturbed the measurements
    assert f"found {stage['workers']} of up to 64 calls at once best" in str(run.report()) or (
        stage["workers"] == 64
    )
    assert run.stats()["elapsed"] < 2500 * 0.005 / 4


def test_auto_stays_where_the_stage_is_not_the_limit():
    with sf.Pipeline(range(50)).map(abs, workers="auto").run(threads=1) as run:
        for _ in run:
            time.sleep(0.002)
        assert run.stats()["stages"][1]["workers"] == 1


@pytest.mark.parametrize("kind", KINDS)
def test_auto_of_every_kind(kind):
    function = for_kind(kind, functions.double)
    workers = sf.Workers(kind, "auto")
    assert repr(workers) == f"Workers('{kind}', 'auto')"
    pipe = sf.Pipeline(range(300)).map(function, workers=workers)
    assert list(pipe.run(threads=2)) == [2 * x for x in range(300)]
    assert list(pipe.tap(for_kind(kind, functions.double), workers=workers)) == list(pipe)


def test_auto_ends_while_threads_wait_for_their_turn():
    before = threading.active_count()
    with sf.Pipeline(iter(range(10**9))).map(lambda x: x, workers="auto").run() as run:
        assert next(run) == 0
    del run
    assert threading.active_count() == before


# ---- quick calls of threads ----


@pytest.mark.parametrize("n", (1, 2))
@pytest.mark.parametrize("threads", (1, 2))
def test_quick_calls_are_started_several_at_a_time(n, threads):
    alone = 2 * (n + threads) + 2  # tokens of a run whose calls are slow
    pipe = sf.Pipeline(range(20_000)).map(str, workers=sf.Workers("thread", n))
    with pipe.run(threads=threads) as run:
        assert list(run) == list(map(str, range(20_000)))
    stats = run.stats()
    assert stats["tokens_peak"] > alone
    assert 0 < stats["stages"][1]["attached"] <= stats["elapsed"] * n


def test_slow_calls_are_not():
    pipe = sf.Pipeline(range(60)).map(functions.slowly, workers=sf.Workers("thread", 2))
    with pipe.run(threads=1) as run:
        assert list(run) == list(range(60))
    assert run.stats()["tokens_peak"] <= 2 * (2 + 1) + 2


def test_errors_amid_quick_calls():
    def not_sevens(x):
        if x % 7 == 0:
            raise ValueError(x)
        return x

    workers = sf.Workers("thread", 2, errors="skip")
    run = sf.Pipeline(range(5000)).map(not_sevens, workers=workers).run()
    assert list(run) == [x for x in range(5000) if x % 7]
    assert [letter.number for letter in run.dead_letters] == list(range(0, 5000, 7))
    run = sf.Pipeline(range(1, 5000)).map(not_sevens, workers=sf.Workers("thread", 2)).run()
    assert [next(run) for _ in range(6)] == [1, 2, 3, 4, 5, 6]
    with pytest.raises(ValueError, match="7"):
        next(run)


def test_quick_calls_let_others_have_the_gil():
    """A function of C never gives it up by itself."""
    pipe = sf.Pipeline([[1, 2, 3]] * 200_000).map(len, workers=sf.Workers("thread", 2))
    begun, turns = time.monotonic(), 0
    stop = threading.Event()

    def count():
        nonlocal turns
        while not stop.is_set():
            turns += 1
            time.sleep(0.001)

    other = threading.Thread(target=count)
    other.start()
    total = sum(pipe.run())
    spent = time.monotonic() - begun
    stop.set()
    other.join()
    assert total == 600_000
    assert turns > spent * 20  # of some 900 a second where nobody else wants to run
