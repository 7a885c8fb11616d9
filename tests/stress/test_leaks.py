"""A thousand runs of mixed kinds in one process leave nothing behind: threads, descriptors, bytes, objects.

Those with processes, and each kind of workers by itself: test_worker_life.py.
"""

import pytest

from tests.crash.process import check

SCRIPT = """
import asyncio, collections, concurrent.futures, gc, os, sys, threading, time
import spanflow as sf

def raises(x):
    if x == 7:
        raise ValueError(x)
    return x

def slow(x):
    time.sleep(0.0005)
    return x

array = sf.arange(4000.0).reshape(1000, 4)
numbers = list(range(60))
pipe = sf.Pipeline(numbers)
chunks = sf.Pipeline(sf.read(array, rows=25))

def fails(kind, call):
    try:
        call()
    except kind:
        return
    raise AssertionError("did not fail")

def complete(i):
    assert pipe.map(abs).batch(7).collect(threads=1 + i % 3).tolist() == numbers
def native(i):
    assert chunks.map(sf.add, 1).reduce(sf.max, threads=1 + i % 3) == 4000
def out_of_order(i):
    assert sorted(pipe.map(abs).run(ordered=False, threads=3)) == numbers
def workers(i):
    assert list(pipe.map(abs, workers=("thread", "auto")[i % 2]).run(threads=2)) == numbers
def broken_off(i):
    for item in chunks.map(sf.sqrt).map(len).run(threads=1 + i % 3):
        break
def left(i):
    with pipe.map(slow, workers="thread").run(threads=2) as run:
        next(run)
def dropped(i):
    run = sf.Pipeline(x for x in numbers).map(slow).shuffle(5).run(threads=3)
    next(run)
def in_a_cycle(i):
    ring = [sf.Pipeline(numbers).map(slow).run(threads=2)]
    ring.append(ring)
def failed(i):
    fails(ValueError, lambda: pipe.map(raises).collect(threads=1 + i % 3))
def failed_in_a_worker(i):
    fails(ValueError, lambda: pipe.map(raises, workers="thread").collect(threads=2))
def skipped(i):
    run = pipe.map(raises, workers=sf.Workers("thread", 2, errors="skip")).run()
    assert len(list(run)) == 59 and len(run.dead_letters) == 1
def cancelled(i):
    run = pipe.map(slow).run(threads=3)
    next(run)
    run.cancel()
    fails(sf.PipelineError, lambda: list(run))
def cancelled_by_another(i):
    run = pipe.map(slow).run(threads=2)
    thread = threading.Thread(target=run.cancel)
    thread.start()
    try:
        list(run)
    except sf.PipelineError:
        pass
    thread.join()
def timed_out(i):
    fails(TimeoutError, lambda: pipe.map(slow).collect(timeout=1e-6))
def asynchronous(i):
    async def read():
        async with pipe.map(slow if i % 2 else abs).run(threads=2) as run:
            async for item in run:
                if item == i % 60:
                    break
    loop.run_until_complete(read())
def asynchronous_source(i):
    async def items():
        for x in numbers:
            yield x
    found = list(sf.Pipeline(items()).map(abs).run(threads=2).__iter__())
    assert found == numbers
def coroutines(i):
    async def same(x):
        return x
    assert list(pipe.map(same, workers=sf.Workers("async", 3))) == numbers
def combined(i):
    zipped = pipe.zip(pipe.map(abs), numbers).concat(pipe.tee(sf.Pipeline(), sf.Pipeline().map(str)))
    assert len(list(zipped.run(threads=2) if i % 2 else zipped.take(90))) in (90, 120)
def repeated(i):
    assert len(list(pipe.cache().shuffle(9).repeat(3).run(threads=2))) == 180
def grouped(i):
    found = sf.Pipeline(sf.read({"k": keys, "v": array[:, 0]}, rows=90)).group_by("k").agg(n=sf.count)
    assert found["n"].sum() == 1000
def gone_on(i):
    with pipe.map(abs).run(threads=2) as run:
        next(run)
        state = run.state_dict()
    assert len(list(pipe.map(abs).load_state_dict(state))) == 59
def traced(i):
    run = pipe.map(abs).run(trace=True, threads=2)
    list(run)
    run.report(), run.stats()
def into_an_array(i):
    chunks.collect(out=out, threads=2)

keys = sf.array([i % 7 for i in range(1000)])
out = sf.zeros((1000, 4))
KINDS = [complete, native, out_of_order, workers, broken_off, left, dropped, in_a_cycle, failed,
         failed_in_a_worker, skipped, cancelled, cancelled_by_another, timed_out, asynchronous,
         asynchronous_source, coroutines, combined, repeated, grouped, gone_on, traced, into_an_array]

def threads():
    return len(os.listdir("/proc/self/task"))

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

def settle(calm):
    end = time.monotonic() + 20
    while time.monotonic() < end:
        if gc.collect() == 0 and threads() <= calm:
            break
        time.sleep(0.005)

def state(calm):
    settle(calm)
    stats = sf.memory_stats()
    types = collections.Counter(f"{type(x).__module__}.{type(x).__name__}" for x in gc.get_objects())
    shared = {"numbers": numbers, "array": array, "pipe": pipe, "slow": slow, "raises": raises, "abs": abs}
    return {
        "threads": threads(),
        "descriptors": len(os.listdir("/proc/self/fd")),
        "blocks": stats["live_blocks"],
        "bytes": stats["live_bytes"],
        **{f"objects of {name}": count for name, count in types.items()},
        **{f"references of {name}": sys.getrefcount(x) for name, x in shared.items()},
    }, resident()

def repeat(count):
    for i in range(count):
        KINDS[i % len(KINDS)](i)

loop = asyncio.new_event_loop()
loop.set_default_executor(concurrent.futures.ThreadPoolExecutor(1))
repeat(1000)  # after a few hundred the allocators have what these runs need
gc.collect()
time.sleep(0.5)  # threads of the runs above end
calm = threads()
# What allocators still take up at first differs from one thousand to the next; a leak does not.
for _ in range(3):
    before, resident_before = state(calm)
    repeat(RUNS)
    after, resident_after = state(calm)
    grown = {name: (before.get(name, 0), after.get(name, 0)) for name in {**before, **after}
             if after.get(name, 0) - before.get(name, 0) > ALLOWED}
    print(f"{RUNS} runs: {resident_after - resident_before} bytes resident, {calm} threads")
    assert not grown, grown
    for name in ("threads", "descriptors", "blocks", "bytes"):
        assert after[name] == before[name], (name, before[name], after[name])
    if resident_after - resident_before < 4 << 20:
        break
else:
    raise AssertionError(f"{resident_after - resident_before} bytes more, and so each time")
"""


@pytest.mark.timeout(200)
def test_nothing_stays_after_a_thousand_runs():
    # Caches of the interpreter may take up a few objects; one object left by each run of one kind
    # would be more than forty.
    done = check(SCRIPT.replace("RUNS", "1000").replace("ALLOWED", "10"), timeout=180)
    print(done.stdout)
