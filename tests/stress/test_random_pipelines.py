"""Thousands of pipelines composed at random, against a plain evaluation; whole ones and broken ones.

SPANFLOW_STRESS=10 runs ten times as many. A case is one number: SPANFLOW_STRESS_CASE=123 runs that one
alone, in each test.
"""

import asyncio
import contextlib
import gc
import json
import os
import random
import signal
import sys
import threading
import time
import warnings
from collections import Counter

import numpy as np
import pytest

import spanflow as sf
from tests.crash.process import run_threads
from tests.stress import composed
from tests.stress.composed import Step, plain

pytestmark = pytest.mark.usefixtures("quick_collections")
TIMES = float(os.environ.get("SPANFLOW_STRESS", "1"))
GROUPS = 8  # a failing one says which case it was
BROKEN = 1_000_000  # where the numbers of broken cases begin


@pytest.fixture
def quick_collections():
    """Nothing but what a test makes is looked at."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


def cases(first, count):
    """Groups of case numbers."""
    if "SPANFLOW_STRESS_CASE" in os.environ:
        return [[int(os.environ["SPANFLOW_STRESS_CASE"])]]
    each = max(int(count * TIMES) // GROUPS, 1)
    return [range(first + i * each, first + (i + 1) * each) for i in range(GROUPS)]


def each_case(seeds, check):
    """Runs the check with a random generator for each case; a failure tells the case."""
    for seed in seeds:
        rng = random.Random(seed)
        told = []  # what the check says of itself
        try:
            check(rng, told.append)
        except BaseException as error:
            error.add_note(f"SPANFLOW_STRESS_CASE={seed}: {' '.join(map(str, told))}")
            raise


def options_of(rng, node):
    options = {"threads": rng.randrange(1, 5), "ordered": rng.random() < 0.8}
    if rng.random() < 0.4:
        options["memory"] = int(node.memory * rng.choice([1, 1.5, 4]))
    return options


def is_same(found, expected, ordered):
    """Items in this order, or in any."""
    found, expected = list(map(plain, found)), list(map(plain, expected))
    if not ordered:
        missing, surplus = Counter(expected) - Counter(found), Counter(found) - Counter(expected)
        assert not missing and not surplus, f"missing: {missing}, too many: {surplus}"
        return
    for i, (one, other) in enumerate(zip(found, expected, strict=False)):
        assert one == other, f"item {i} is {one}, must be {other}"
    assert len(found) == len(expected)


# ---- ends that take all ----


def iterate(rng, node, options):
    run = node.build().run(**options)
    is_same(list(run), node.items, options["ordered"])
    assert run.stats()["delivered"] == len(node.items)


def with_block(rng, node, options):
    with node.build().run(**options) as run:
        is_same(list(run), node.items, options["ordered"])


def collect(rng, node, options):
    if not composed.are_joinable(node.items):
        return iterate(rng, node, options)
    found = node.build().collect(**options)
    if options["ordered"]:
        is_same([found], [np.concatenate(node.items)], True)
    else:
        is_same(list(np.asarray(found)), list(np.concatenate(node.items)), False)


def collect_out(rng, node, options):
    if not composed.are_joinable(node.items):
        return iterate(rng, node, options)
    whole = np.concatenate(node.items)
    out = np.zeros((len(whole) + 2, *whole.shape[1:]), whole.dtype)
    found = node.build().collect(out=out, **options | {"ordered": True})
    is_same([found, out[len(whole) :]], [whole, np.zeros_like(out[:2])], True)


def reduce_numbers(rng, node, options):
    if not composed.are_joinable(node.items) or sum(map(np.size, node.items)) == 0:
        return iterate(rng, node, options)
    whole = np.concatenate(node.items).astype("f8")
    found = node.build().reduce({"low": sf.min, "high": sf.max, "mean": sf.mean}, **options)
    assert (found["low"], found["high"]) == (whole.min(), whole.max())
    np.testing.assert_allclose(found["mean"], whole.mean(), rtol=1e-5)


def fold(rng, node, options):
    def add(texts, item):
        return [*texts, item]

    is_same(node.build().reduce(add, [], **options), node.items, options["ordered"])


def for_each(rng, node, options):
    seen = []
    workers = rng.choice([None, None, "thread", "auto"])
    pipe = node.build()
    count = pipe.for_each(seen.append, workers=workers, **options)
    assert count == len(node.items)
    is_same(seen, node.items, options["ordered"] and workers is None)


def into(rng, node, options):
    if not composed.are_joinable(node.items):
        return iterate(rng, node, options)
    rows = max(map(len, node.items))
    ring = [np.zeros((rows, *node.items[0].shape[1:]), node.items[0].dtype) for _ in range(2)]
    found = [np.array(part) for part in node.build().into(ring, **options)]
    is_same(found, node.items, options["ordered"])


def write(rng, node, options):
    if not composed.are_joinable(node.items) or any(len(x) == 0 for x in node.items):
        return iterate(rng, node, options)
    path = composed.new_path("written.npy")
    assert node.build().write(path, **options | {"ordered": True}) == [path]
    is_same([np.load(path)], [np.concatenate(node.items)], True)
    path.unlink()


def asynchronous(rng, node, options):
    async def read():
        async with node.build().run(**options) as run:
            return [item async for item in run]

    is_same(asyncio.run(read()), node.items, options["ordered"])


def go_on_later(rng, node, options):
    if node.once:
        return iterate(rng, node, options)
    options["ordered"] = True
    count = rng.randrange(len(node.items) + 1)
    with node.build().run(**options) as run:
        first = [next(run) for _ in range(count)]
        state = json.loads(json.dumps(run.state_dict()))
    is_same(first, node.items[:count], True)
    del first
    rest = node.build().load_state_dict(state).run(**options)
    is_same(list(rest), node.items[count:], True)


def twice(rng, node, options):
    """The same pipeline again, and two runs at once."""
    if node.once:
        return iterate(rng, node, options)
    pipe = node.build()
    is_same(list(pipe.run(**options)), node.items, options["ordered"])
    runs = [pipe.run(**options), pipe.run(**options)]
    found = [list(run) for run in runs]
    is_same(found[0], node.items, options["ordered"])
    is_same(found[1], node.items, options["ordered"])


ENDS = [iterate, iterate, with_block, collect, collect, collect_out, reduce_numbers, fold, for_each]
ENDS += [into, write, asynchronous, go_on_later, go_on_later, twice]


def check_whole(rng, say):
    node = composed.node(rng)
    end, options = rng.choice(ENDS), options_of(rng, node)
    say(f"{end.__name__}({node.text}, {options})")
    end(rng, node, options)


@pytest.mark.parametrize("seeds", cases(0, 2000), ids=lambda seeds: f"from-{seeds[0]}")
def test_whole(seeds, run_threads):
    before = held()
    each_case(seeds, check_whole)
    settle(before)


# ---- orders ----


def check_order(rng, say):
    """Orders are the same for any number of threads, also of times that are repeated."""
    base = composed.node(rng, depth=1)
    if base.once:
        base = composed.source("range(40)", lambda: range(40), list(range(40)))
    buffer, seed, times = rng.choice([2, 9, 500]), rng.randrange(10**6), rng.choice([1, 3])
    share = rng.choice([0.5, 1])
    say(f"{base.text}.shuffle({buffer}, seed={seed}).sample({share}).repeat({times})")

    def items(threads):
        pipe = base.build().shuffle(buffer, seed=seed).sample(share, seed=seed).repeat(times)
        return list(map(plain, pipe.run(threads=threads)))

    one, three = items(1), items(3)
    assert one == three
    if not base.drawn:  # times differ otherwise
        assert not Counter(one) - Counter([*map(plain, base.items)] * times)
        assert share != 1 or len(one) == times * len(base.items)


@pytest.mark.parametrize("seeds", cases(2 * BROKEN, 160)[:2], ids=lambda seeds: f"from-{seeds[0]}")
def test_orders(seeds, run_threads):
    each_case(seeds, check_order)


# ---- ends that do not ----


def held():
    gc.collect()
    stats = sf.memory_stats()
    return stats["live_blocks"], stats["live_bytes"]


def settle(before):
    """All threads of runs are gone, and what they held is back."""
    end = time.monotonic() + 10
    while (held() != before or run_threads()) and time.monotonic() < end:
        time.sleep(0.001)
    assert run_threads() == 0
    assert held() == before


class BoomError(Exception):
    pass


class At:
    """A stage that does something when the item of this number comes, numbered by enumerate()."""

    def __init__(self, number, act):
        self.number = number
        self.act = act

    def __call__(self, pair):
        if pair[0] == self.number:
            self.act(pair)
        return pair[1]


def numbered(node, act_at=None, act=None, workers=None):
    """The node, in which something happens at an item."""
    stage = At(act_at, act)
    step = Step(
        f"enumerate().map(act at {act_at}, workers={workers})",
        lambda pipe: pipe.enumerate().map(stage, workers=workers),
        node.items,
    )
    return node.then(step)


def interesting(rng):
    """A node with some items."""
    while True:
        node = composed.node(rng)
        if len(node.items) > 3:
            return node


def raises(rng, say):
    """The items before come out, then this error with a note of where it was."""
    node = interesting(rng)
    k, kind = (
        rng.randrange(len(node.items)),
        rng.choice([BoomError, ValueError, KeyError, StopIteration]),
    )
    more = list(node.items[:k])

    def act(pair):
        raise kind(pair[0])

    workers = rng.choice([None, None, "thread", "auto"])
    broken = numbered(node, k, act, workers)
    nested = rng.choice(["", "", "concat", "cache", "tee"])
    build = {
        "": broken.build,
        "concat": lambda: sf.Pipeline([]).concat(broken.build()),
        "cache": lambda: broken.build().cache(),
        "tee": lambda: broken.build().tee(sf.Pipeline(), sf.Pipeline().map(plain)),
    }[nested]
    if nested == "tee":
        more = [(x, plain(x)) for x in more]
    options = options_of(rng, node)
    options.pop("memory", None)
    say(f"{nested} of {broken.text} raises {kind} at {k}, {options}")
    seen = []
    expected = RuntimeError if kind is StopIteration else kind
    with pytest.raises(expected) as caught:
        for item in build().run(**options):
            seen.append(item)
    error = caught.value.__cause__ if kind is StopIteration else caught.value
    assert type(error) is kind and error.args == (k,)
    assert any("in the pipeline's map(" in note for note in caught.value.__notes__)
    if options["ordered"]:
        is_same(seen, more, True)


def a_slow_item(rng, say):
    node = interesting(rng)
    broken = numbered(node, rng.randrange(len(node.items)), lambda pair: time.sleep(0.03))
    options = options_of(rng, node)
    say(f"{broken.text}, {options}")
    iterate(rng, broken, options)


def a_huge_item(rng, say):
    """Larger than a given memory: an error that names both, or it goes alone."""
    sizes = [rng.randrange(200) for _ in range(30)]
    k, memory = rng.randrange(30), 10_000
    sizes[k] = memory + 1 + rng.randrange(10**6)
    items = [bytes(n) for n in sizes]
    threads, native, alone = rng.randrange(1, 5), rng.random() < 0.5, rng.random() < 0.5
    say(f"{k}: {sizes[k]} bytes, {threads} threads, native={native}, alone={alone}")
    pipe = sf.Pipeline(iter(items))
    pipe = (
        pipe.map(lambda x: np.frombuffer(x, "u1")).map(sf.bitwise_or, 0)
        if native
        else pipe.map(bytes)
    )
    run = pipe.run(threads=threads, memory=memory, oversize="alone" if alone else "error")
    seen = []
    try:
        for item in run:
            seen.append(len(item))
            del item
    except ValueError as error:
        assert not alone and str(sizes[k])[:3] in str(error).replace(",", ""), error
        assert seen == sizes[:k]
    else:
        assert alone and seen == sizes
    peak = run.stats()["nbytes_peak"]
    assert peak <= memory + (threads + 1) * 600 + (2 * sizes[k] if alone else sizes[k])


def is_beginning(seen, node, ordered):
    if ordered:
        is_same(seen, node.items[: len(seen)], True)
    else:
        surplus = Counter(map(plain, seen)) - Counter(map(plain, node.items))
        assert not surplus


def slowed(rng, node):
    """The node with stages that take some time now and then."""

    def act(pair):
        raise AssertionError("there is no such item")

    delay = rng.choice([0, 0.0005])
    node = numbered(node, -1, act, rng.choice([None, None, "thread", "auto"]))
    if delay:
        node = node.then(
            Step("tap(sleep)", lambda p: p.tap(lambda x: time.sleep(delay)), node.items)
        )
    return node


def cancelled(rng, say):
    node = slowed(rng, interesting(rng))
    options, delay = options_of(rng, node), rng.random() * 0.01
    say(f"{node.text}, {options}, after {delay} s")
    run = node.build().run(**options)

    def cancel():
        time.sleep(delay)
        run.cancel()

    other = threading.Thread(target=cancel)
    other.start()
    seen = []
    try:
        for item in run:
            seen.append(item)
        assert len(seen) == len(node.items)
    except sf.PipelineError as error:
        assert "cancelled" in str(error)
    finally:
        other.join()
    is_beginning(seen, node, options["ordered"])


def broken_off(rng, say):
    node = slowed(rng, interesting(rng))
    options, count, block = (
        options_of(rng, node),
        rng.randrange(len(node.items)),
        rng.random() < 0.5,
    )
    say(f"{node.text}, {options}, after {count}, block={block}")
    seen = []
    run = node.build().run(**options)
    with run if block else contextlib.nullcontext():
        if count:
            for item in run:
                seen.append(item)
                if len(seen) == count:
                    break
    if block:
        assert run_threads() == 0
    is_beginning(seen, node, options["ordered"])


def a_consumer_that_fails(rng, say):
    node = slowed(rng, interesting(rng))
    options = options_of(rng, node)
    say(f"{node.text}, {options}")
    end = rng.choice(["for_each", "reduce", "with"])

    def fail(*_):
        raise BoomError

    with pytest.raises(BoomError):
        if end == "for_each":
            node.build().for_each(fail, **options)
        elif end == "reduce":
            node.build().reduce(fail, 0, **options)
        else:
            with node.build().run(**options) as run:
                fail(next(run))


def dropped(rng, say):
    """By its last reference, or in a cycle that the collector finds."""
    node = slowed(rng, interesting(rng))
    options, count, cycle = options_of(rng, node), rng.randrange(4), rng.random() < 0.5
    say(f"{node.text}, {options}, after {count}, cycle={cycle}")
    run = node.build().run(**options)
    for _ in range(count):
        next(run)
    if cycle:
        ring = [run]
        ring.append(ring)
        del ring
    del run
    with without_ignored(ValueError, "generator already executing", cycle):
        gc.collect()


@contextlib.contextmanager
def without_ignored(kind, text, when):
    """Without reports of this one exception from finalizers.

    The collector finalizes what is in a cycle in no order, so that a thread of the run may just have gone
    on with its source.
    """
    hook = sys.unraisablehook

    def report(args):
        if not (args.exc_type is kind and text in str(args.exc_value)):
            hook(args)

    sys.unraisablehook = report if when else hook
    try:
        yield
    finally:
        sys.unraisablehook = hook


def interrupted(rng, say):
    """Ctrl-C at some moment: it comes out, or the run was through before."""
    node = slowed(rng, interesting(rng))
    options, delay = options_of(rng, node), 0.0002 + rng.random() * 0.01
    say(f"{node.text}, {options}, after {delay} s")
    seen = []

    def interrupt(number, frame):
        raise KeyboardInterrupt

    previous = signal.signal(signal.SIGALRM, interrupt)
    hook, sys.unraisablehook = sys.unraisablehook, lambda args: None  # it may strike in a finalizer
    try:
        try:
            signal.setitimer(signal.ITIMER_REAL, delay)
            for item in node.build().run(**options):
                seen.append(item)
            assert len(seen) == len(node.items)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    except KeyboardInterrupt:
        pass
    finally:
        signal.signal(signal.SIGALRM, previous)
        gc.collect()
        sys.unraisablehook = hook
    is_beginning(seen, node, options["ordered"])


def forked(rng, say):
    """The child can use pipelines and refuses the run; the parent goes on."""
    node = slowed(rng, interesting(rng))
    options, count = options_of(rng, node), rng.randrange(3)
    say(f"{node.text}, {options}, after {count}")
    run = node.build().run(**options)
    seen = [next(run) for _ in range(count)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of a process with threads
        pid = os.fork()
    if pid == 0:
        code = 1
        try:
            signal.alarm(30)
            assert sf.Pipeline(range(50)).map(str).collect(threads=3) == [*map(str, range(50))]
            assert sf.Pipeline(np.arange(9.0)).map(sf.add, 1).reduce(sf.sum, threads=2) == 45
            try:
                next(run)
            except sf.PipelineError:
                code = 0
        finally:
            os._exit(code)
    seen += run
    is_same(seen, node.items, options["ordered"])
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


FAULTS = [raises, raises, raises, a_slow_item, a_huge_item, cancelled, cancelled, broken_off]
FAULTS += [broken_off, a_consumer_that_fails, dropped, dropped, interrupted, interrupted, forked]


def check_broken(rng, say):
    fault = rng.choice(FAULTS)
    say(fault.__name__)
    before = held()
    fault(rng, say)
    settle(before)


@pytest.mark.parametrize("seeds", cases(BROKEN, 500), ids=lambda seeds: f"from-{seeds[0]}")
def test_broken(seeds, run_threads):
    composed.read_files(random.Random(0), 0)  # which makes the files
    each_case(seeds, check_broken)
