"""ThreadPool: an executor like the standard library's, on threads of our own."""

import concurrent.futures
import contextvars
import gc
import itertools
import os
import subprocess
import sys
import sysconfig
import threading
import time
import weakref
from concurrent.futures.thread import BrokenThreadPool

import pytest

import spanflow as sf
from tests.crash import process

FREE_THREADED = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))
forks = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")


def until(condition, seconds=10):
    """Whether the condition comes true in time."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.001)
    return True


def threads_named(name):
    """How many threads of the process there are whose name begins like this."""
    count = 0
    for thread in os.listdir("/proc/self/task"):
        try:
            with open(f"/proc/self/task/{thread}/comm", encoding="ascii") as file:
                count += file.read().startswith(name)
        except OSError:  # it has just ended
            pass
    return count


@pytest.fixture
def held():
    """A pool of one worker that is kept busy, and what lets it go on."""
    pool, release = sf.ThreadPool(1), threading.Event()
    begun = threading.Event()

    def hold():
        begun.set()
        release.wait(20)

    pool.submit(hold)
    assert begun.wait(10)
    yield pool, release
    release.set()
    pool.shutdown()


# ---- submit


def test_it_is_an_executor():
    with sf.ThreadPool(2) as pool:
        assert isinstance(pool, concurrent.futures.Executor)
        future = pool.submit(divmod, 17, b := 5)
        assert type(future) is concurrent.futures.Future
        assert future.result(10) == divmod(17, b)
        assert pool.submit(dict, fn=1, self=2).result(10) == {"fn": 1, "self": 2}


def test_an_exception_keeps_its_traceback():
    def fail():
        raise KeyError("inside")

    with sf.ThreadPool(2) as pool:
        error = pool.submit(fail).exception(10)
        assert isinstance(error, KeyError)
        assert "fail" in [frame.name for frame in _frames(error)]
        assert isinstance(pool.submit(sys.exit, 3).exception(10), SystemExit)
        assert pool.submit(int, "5").result(10) == 5  # the worker goes on


def _frames(error):
    import traceback

    return traceback.extract_tb(error.__traceback__)


@pytest.mark.parametrize("workers", [1, 2, 8])
def test_every_task_is_done_once(workers):
    done = list(itertools.repeat(0, 2000))

    def work(i):
        done[i] += 1
        return i

    with sf.ThreadPool(workers) as pool:
        futures = [pool.submit(work, i) for i in range(len(done))]
        assert [future.result(20) for future in futures] == list(range(len(done)))
    assert set(done) == {1}


def test_one_worker_keeps_the_order_of_submission():
    order = []
    with sf.ThreadPool(1) as pool:

        def outer():
            for i in range(100, 200):
                pool.submit(order.append, i)

        for i in range(100):
            pool.submit(order.append, i)
        pool.submit(outer).result(10)
        assert until(lambda: len(order) == 200)
    assert order == list(range(200))


def test_threads_start_when_needed_and_no_more_than_asked_for():
    pool = sf.ThreadPool(3, "counted")
    assert threads_named("counted") == 0
    assert pool.stats() == {"threads": 0, "queued": 0, "workers": []}
    barrier = threading.Barrier(3)
    futures = [pool.submit(barrier.wait, 10) for _ in range(3)]
    assert sorted(future.result(10) for future in futures) == [0, 1, 2]
    list(pool.map(time.sleep, [0.001] * 30))
    assert threads_named("counted") == 3
    pool.shutdown()
    assert until(lambda: threads_named("counted") == 0)


def test_the_system_shows_their_name():
    def name():
        with open("/proc/thread-self/comm") as file:
            return file.read().strip()

    with sf.ThreadPool(1, "loader") as pool:
        assert pool.submit(name).result(10) == "loader-1"


def test_eight_threads_submit_at_once():
    totals = []

    def client(pool):
        futures = [pool.submit(lambda x: x + 1, i) for i in range(300)]
        totals.append(sum(future.result(20) for future in futures))

    with sf.ThreadPool(4) as pool:
        clients = [threading.Thread(target=client, args=(pool,)) for _ in range(8)]
        for thread in clients:
            thread.start()
        for thread in clients:
            thread.join()
    assert totals == [sum(range(1, 301))] * 8


def test_as_completed_and_wait_work_with_its_futures():
    with sf.ThreadPool(2) as pool:
        futures = {pool.submit(pow, 2, n): n for n in range(10)}
        seen = {
            future.result(): futures[future]
            for future in concurrent.futures.as_completed(futures, 10)
        }
        assert seen == {2**n: n for n in range(10)}
        slow, fast = pool.submit(time.sleep, 0.2), pool.submit(int)
        done, left = concurrent.futures.wait([slow, fast], return_when="FIRST_COMPLETED")
        assert fast in done and slow in left


def test_the_context_of_the_caller_is_carried():
    var = contextvars.ContextVar("var", default="nobody")

    def work():
        seen = var.get()
        var.set("changed inside")
        return seen

    with sf.ThreadPool(2) as pool:
        var.set("caller")
        assert pool.submit(work).result(10) == "caller"
        assert var.get() == "caller"
        assert list(pool.map(lambda _: var.get(), range(3))) == ["caller"] * 3
        assert contextvars.Context().run(pool.submit, work).result(10) == "nobody"


# ---- map


def test_map_keeps_the_order():
    with sf.ThreadPool(3) as pool:
        assert list(pool.map(pow, range(50), itertools.repeat(2))) == [n * n for n in range(50)]
        for chunksize, buffersize in itertools.product([1, 3, 100], [None, 1, 2, 7]):
            got = pool.map(lambda x: -x, range(20), chunksize=chunksize, buffersize=buffersize)
            assert list(got) == [-x for x in range(20)]
        assert list(pool.map(int, [])) == []


@pytest.mark.parametrize("chunksize", [1, 2])
def test_map_with_a_buffer_takes_no_more_than_it_may(chunksize):
    seen = 0

    def source():
        nonlocal seen
        while True:
            yield seen
            seen += 1

    with sf.ThreadPool(2) as pool:
        results = pool.map(lambda x: x, source(), chunksize=chunksize, buffersize=4)
        assert seen <= 4
        assert list(itertools.islice(results, 100)) == list(range(100))
        assert seen <= 100 + 4 + chunksize
        results.close()


def test_map_gives_the_error_in_its_place_and_cancels_the_rest():
    ran = []

    def work(i):
        ran.append(i)
        if i == 3:
            raise ValueError("three")
        time.sleep(0.002)
        return i

    for chunksize in (1, 2):
        ran.clear()
        with sf.ThreadPool(1) as pool:
            results = pool.map(work, range(1000), chunksize=chunksize)
            assert [next(results) for _ in range(3)] == [0, 1, 2]
            with pytest.raises(ValueError, match="three"):
                next(results)
            assert list(results) == []
        assert len(ran) < 500


def test_map_times_out():
    with sf.ThreadPool(1) as pool:
        results = pool.map(time.sleep, [0, 0.5, 0], timeout=0.1)
        assert next(results) is None
        with pytest.raises(TimeoutError):
            next(results)


def test_map_fails_where_an_iterable_does():
    def broken():
        yield 1
        raise OSError("no more")

    with sf.ThreadPool(1) as pool, pytest.raises(OSError, match="no more"):
        pool.map(int, broken())


# ---- shutdown


def test_shutdown_waits_for_what_is_pending():
    done = []
    pool = sf.ThreadPool(1)
    for i in range(20):
        pool.submit(lambda i=i: (time.sleep(0.002), done.append(i)))
    pool.shutdown()
    pool.shutdown()
    assert done == list(range(20))
    assert pool.stats()["threads"] == 0
    with pytest.raises(RuntimeError, match="after shutdown"):
        pool.submit(int)
    with pytest.raises(RuntimeError, match="after shutdown"):
        pool.map(int, [1])


def test_shutdown_without_waiting_still_does_what_is_pending(held):
    pool, release = held
    future = pool.submit(int, 7)
    pool.shutdown(wait=False)
    assert not future.done()
    release.set()
    assert future.result(10) == 7


def test_shutdown_can_cancel_what_has_not_begun(held):
    pool, _ = held
    futures = [pool.submit(int) for _ in range(5)]
    assert pool.stats()["queued"] == 5
    pool.shutdown(wait=False, cancel_futures=True)
    assert all(future.cancelled() for future in futures)
    done, left = concurrent.futures.wait(futures, timeout=5)
    assert len(done) == 5 and not left
    assert pool.stats()["queued"] == 0


def test_cancelled_futures_are_not_called(held):
    pool, release = held
    ran = []
    first, second = pool.submit(ran.append, 1), pool.submit(ran.append, 2)
    assert first.cancel()
    release.set()
    assert second.result(10) is None
    assert ran == [2]


def test_a_worker_cannot_wait_for_its_own_pool():
    pool = sf.ThreadPool(1)
    with pytest.raises(RuntimeError, match="own pool"):
        pool.submit(pool.shutdown).result(10)
    pool.shutdown()


def test_an_abandoned_pool_does_what_is_pending_and_ends():
    done = []
    pool = sf.ThreadPool(2, "abandoned")
    for i in range(10):
        pool.submit(lambda i=i: (time.sleep(0.005), done.append(i)))
    gone = weakref.ref(pool)
    del pool
    gc.collect()
    assert gone() is None
    assert until(lambda: len(done) == 10 and threads_named("abandoned") == 0)


def test_a_broken_initializer_breaks_the_pool():
    release = threading.Event()

    def start(name):
        release.wait(10)
        raise LookupError(name)

    pool = sf.ThreadPool(1, initializer=start, initargs=("nothing there",))
    futures = [pool.submit(int) for _ in range(3)]
    release.set()
    for future in futures:
        error = future.exception(10)
        assert isinstance(error, BrokenThreadPool)
        assert isinstance(error.__cause__, LookupError)
    with pytest.raises(BrokenThreadPool):
        pool.submit(int)
    assert "broken" in repr(pool)
    pool.shutdown()


def test_the_initializer_runs_on_every_worker():
    local = threading.local()
    barrier = threading.Barrier(3)

    def start(value):
        local.value = value

    def work():
        barrier.wait(10)
        return local.value

    with sf.ThreadPool(3, initializer=start, initargs=(9,)) as pool:
        assert [f.result(10) for f in [pool.submit(work) for _ in range(3)]] == [9, 9, 9]


@pytest.mark.parametrize(
    "kwargs, error, said",
    [
        ({"max_workers": 0}, ValueError, "from 1 to 1024, got 0"),
        ({"max_workers": 1025}, ValueError, "got 1025"),
        ({"max_workers": 1.5}, TypeError, "max_workers must be an int, got 1.5"),
        ({"thread_name_prefix": 5}, TypeError, "thread_name_prefix must be a str"),
        ({"initializer": 5}, TypeError, "initializer must be callable"),
    ],
)
def test_wrong_arguments(kwargs, error, said):
    with pytest.raises(error, match=said):
        sf.ThreadPool(**kwargs)


@pytest.mark.parametrize(
    "kwargs, error, said",
    [
        ({"chunksize": 0}, ValueError, "chunksize must be 1 or more, got 0"),
        ({"chunksize": "x"}, TypeError, "chunksize must be an int"),
        ({"buffersize": -1}, ValueError, "buffersize must be 1 or more, got -1"),
        ({"buffersize": 2.0}, TypeError, "buffersize must be an int"),
    ],
)
def test_wrong_arguments_of_map(kwargs, error, said):
    with sf.ThreadPool(1) as pool:
        with pytest.raises(error, match=said):
            pool.map(int, [1], **kwargs)
        with pytest.raises(TypeError, match="fn must be callable"):
            pool.map(3, [1])


# ---- what the pool says of itself


def test_stats():
    with sf.ThreadPool(2) as pool:
        stolen = threading.Event()

        def outer():  # waits for a task of its own, which only the other worker can do
            pool.submit(stolen.set)
            assert stolen.wait(10)
            time.sleep(0.05)

        pool.submit(outer).result(10)
        time.sleep(0.02)
        stats = pool.stats()
    assert stats["threads"] == len(stats["workers"]) == 2
    assert sum(worker["done"] for worker in stats["workers"]) == 2
    assert sum(worker["stolen"] for worker in stats["workers"]) == 1
    assert 0.04 < sum(worker["busy"] for worker in stats["workers"]) < 5
    assert sum(worker["idle"] for worker in stats["workers"]) > 0.02


def test_idle_workers_use_no_time():
    with sf.ThreadPool(4) as pool:
        list(pool.map(int, range(100)))
        time.sleep(0.05)
        before = time.process_time()
        time.sleep(0.3)
        assert time.process_time() - before < 0.05


# ---- together with native work


def test_native_work_inside_runs_without_the_gil():
    block = sf.ones(1 << 20, "f4")
    with sf.ThreadPool(4) as pool:
        assert set(pool.map(sf.sum, [block] * 40)) == {1 << 20}


def test_waiting_tasks_do_not_hold_up_native_work():
    big = sf.ones(8 << 20, "f4")
    release = threading.Event()
    with sf.ThreadPool(8) as pool:
        futures = [pool.submit(release.wait, 20) for _ in range(8)]
        begin = time.monotonic()
        assert float(sf.sum(big)) == 8 << 20
        assert time.monotonic() - begin < 5
        assert not any(future.done() for future in futures)
        release.set()


# ---- fork, exit, interpreters


@forks
def test_a_forked_child_has_a_pool_that_works():
    pool = sf.ThreadPool(2)
    shut = sf.ThreadPool(1)
    shut.shutdown()
    assert pool.submit(int, 1).result(10) == 1
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            ok = [f.result(10) for f in [pool.submit(pow, 2, n) for n in range(5)]]
            pool.shutdown()
            try:
                shut.submit(int)
            except RuntimeError:
                code = 0 if ok == [1, 2, 4, 8, 16] and sf.parallel_map(abs, [-1]) == [1] else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert pool.submit(int, 2).result(10) == 2
    pool.shutdown()


def test_a_child_forked_inside_of_a_task_ends():
    process.check(
        """
        import os, warnings, spanflow as sf
        warnings.simplefilter("ignore")
        def work():
            return os.fork()
        with sf.ThreadPool(1) as pool:
            pid = pool.submit(work).result(20)
        assert pid > 0
        assert os.waitpid(pid, 0) == (pid, 0)
        print("parent")
        """,
        timeout=30,
    )


def test_pending_work_is_done_at_the_end_of_the_program():
    done = process.check(
        """
        import time, spanflow as sf
        pool = sf.ThreadPool(2)
        for i in range(6):
            pool.submit(lambda i=i: (time.sleep(0.05), print("done", i)))
        def late():
            time.sleep(0.1)
            try:
                pool.submit(print, "never")
            except RuntimeError as error:
                print(error)
        pool.submit(late)
        """
    )
    assert done.stdout.count("done") == 6
    assert "cannot schedule new futures after" in done.stdout
    assert "never" not in done.stdout and done.stderr == ""


@pytest.mark.parametrize(
    "ending, code",
    [("sys.exit(3)", 3), ("raise SystemExit(4)", 4), ("os._exit(5)", 5), ("1 / 0", 1)],
)
def test_exit_with_work_in_flight(ending, code):
    process.check(
        f"""
        import os, sys, time, spanflow as sf
        pools = [sf.ThreadPool(2) for _ in range(3)]
        for pool in pools:
            for _ in range(10):
                pool.submit(time.sleep, 0.01)
                pool.submit(sf.sum, sf.ones(1 << 20))
        {ending}
        """,
        code=code,
    )


def test_exit_with_daemon_threads_that_submit():
    # A daemon thread that writes a traceback while the program ends may hang free-threaded Python
    # 3.13 itself, with concurrent.futures as well: it keeps the lock of the stream for ever.
    for _ in range(5):
        process.check(
            """
            import threading, time, spanflow as sf
            pool = sf.ThreadPool(2)
            def forever():
                try:
                    while True:
                        pool.submit(int).result()
                except RuntimeError:  # no traceback: see above
                    pass
            for _ in range(3):
                threading.Thread(target=forever, daemon=True).start()
            time.sleep(0.05)
            """
        )


def test_ctrl_c_while_waiting_for_a_result():
    ended = process.interrupt(
        """
        import spanflow as sf
        pool = sf.ThreadPool(1)
        future = pool.submit(time.sleep, 1)
        ready()
        try:
            future.result()
        except KeyboardInterrupt:
            caught()
        """
    )
    assert ended.returncode == 0 and 0 <= ended.seconds < 0.1, ended


def test_ctrl_c_in_shutdown():
    ended = process.interrupt(
        """
        import spanflow as sf
        pool = sf.ThreadPool(1)
        pool.submit(time.sleep, 1)
        ready()
        try:
            pool.shutdown()
        except KeyboardInterrupt:
            caught()
        """
    )
    assert ended.returncode == 0 and 0 <= ended.seconds < 0.1, ended


INTERPRETER = """
import time
import spanflow as sf
pool = sf.ThreadPool(2)
assert list(pool.map(lambda x: x * x, range(50))) == [x * x for x in range(50)]
assert sf.parallel_reduce(lambda a, b: a + b, range(100), threads=3) == 4950
try:
    sf.parallel_for(lambda i: 1 // (i - 7), 20, threads=3)
except ZeroDivisionError:
    pass
"""


def in_interpreters(endings, after):
    script = (
        "from tests.interp import interpreters\n"
        "import spanflow\n"
        f"for ending in {endings!r}:\n"
        "    interpreter = interpreters.create()\n"
        f"    interpreters.run(interpreter, {INTERPRETER!r} + ending)\n"
        f"    {after}\n"
    )
    process.check(script, env={"PYTHONPATH": os.getcwd()})


def test_sub_interpreters():
    in_interpreters(["pool.shutdown()"] * 4, "interpreters.destroy(interpreter)")


# Up to 3.12 CPython cannot end an interpreter that has other threads; up to 3.13.1 a thread must
# not join it while the last one leaves.
many_threads = pytest.mark.skipif(sys.version_info < (3, 13), reason="CPython cannot before 3.13")
AT_WORK = [
    "time.sleep(0.05)",
    "pool.submit(time.sleep, 0.1)\ntime.sleep(0.05)",
    "for _ in range(20): pool.submit(time.sleep, 0.01)",
    "pool.submit(time.sleep, 0.1); del pool; time.sleep(0.05)",
]


@many_threads
def test_sub_interpreters_end_with_pools_at_work():
    in_interpreters(AT_WORK, "interpreters.destroy(interpreter)")


@many_threads
def test_exit_with_pools_in_interpreters_that_are_alive():
    in_interpreters(AT_WORK, "pass")


# ---- nothing stays behind


def test_many_pools_leave_nothing():
    def round_of_pools():
        for n in range(20):
            pool = sf.ThreadPool(1 + n % 3, "many", initializer=len, initargs=([],))
            assert sum(pool.map(int, range(10), chunksize=3)) == 45
            pool.submit(int, "x").exception(10)
            if n % 2:
                pool.shutdown()

    class Thing:
        pass

    things = weakref.WeakSet()

    def hold(thing):
        things.add(thing)

    round_of_pools()
    with sf.ThreadPool(2, "many") as pool:
        for _ in range(50):
            pool.submit(hold, Thing()).result(10)
    gc.collect()
    assert until(lambda: threads_named("many") == 0)
    assert until(lambda: len(things) == 0)
    if not FREE_THREADED:
        gc.collect()
        blocks = []
        for _ in range(4):
            round_of_pools()
            assert until(lambda: threads_named("many") == 0)
            sf.ThreadPool(1).shutdown()
            gc.collect()
            blocks.append(sys.getallocatedblocks())
        assert blocks[-1] - blocks[1] < 100, blocks


def test_it_is_loaded_when_first_used():
    code = (
        "import sys, spanflow as sf; assert 'concurrent.futures' not in sys.modules;"
        "sf.ThreadPool; assert 'concurrent.futures' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
