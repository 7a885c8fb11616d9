"""state_dict and load_state_dict: a run that goes on where another one was."""

import gc
import itertools
import json
import pickle
import weakref

import numpy as np
import pytest

import spanflow as sf

A = np.arange(60.0).reshape(20, 3)


def count(x, calls):
    calls.append(1)
    return x


def values(items):
    """Items that can be compared."""
    return [np.asarray(item).tolist() if isinstance(item, sf.Array) else item for item in items]


def odd(x):
    return int(np.asarray(x).sum()) % 2 == 1


PIPES = {
    "range": lambda: sf.Pipeline(range(20)),
    "read": lambda: sf.Pipeline(sf.read(A, rows=3)),
    "read aligned": lambda: sf.Pipeline(sf.read(A, rows=3)).map(sf.add, sf.aligned(A)),
    "map": lambda: sf.Pipeline(sf.read(A, rows=2)).map(sf.mean, axis=1).map(sf.sqrt),
    "enumerate": lambda: sf.Pipeline(range(5, 25)).enumerate(start=3).enumerate(),
    "batch": lambda: sf.Pipeline(range(20)).batch(3),
    "batch of batch": lambda: sf.Pipeline(range(40)).batch(3, drop_last=True).batch(2),
    "take": lambda: sf.Pipeline(range(90)).map(abs).take(17),
    "skip": lambda: sf.Pipeline(range(30)).skip(4).skip(3),
    "shard": lambda: sf.Pipeline(range(60)).shard(1, 3),
    "window": lambda: sf.Pipeline(range(40)).window(4, step=2),
    "filter": lambda: sf.Pipeline(range(40)).filter(odd).map(float),
    "flat_map": lambda: sf.Pipeline(range(8)).flat_map(range).enumerate(),
    "unbatch": lambda: sf.Pipeline(sf.read(A, rows=7)).unbatch(),
    "rebatch": lambda: sf.Pipeline(sf.read(A, rows=7)).rebatch(2),
    "shuffle": lambda: sf.Pipeline(sf.read(A, rows=1)).shuffle(6).map(sf.negative),
    "shuffle with a seed": lambda: sf.Pipeline(range(30)).shuffle(40, seed=-1).batch(4),
    "sample": lambda: sf.Pipeline(range(60)).sample(0.5),
    "zip": lambda: sf.Pipeline(range(20)).map(str).zip(sf.Pipeline(range(40)).shuffle(9)),
    "concat": lambda: sf.Pipeline(range(9)).concat(range(9)).batch(2),
    "interleave": lambda: sf.Pipeline(range(9)).interleave(range(20)),
    "repeat": lambda: sf.Pipeline(range(7)).shuffle(3).repeat(3),
    "repeat and batch": lambda: sf.Pipeline(sf.read(A, rows=1)).shuffle(30).repeat(2).batch(7),
    "repeat of zip": lambda: sf.Pipeline(range(6)).shuffle(4).zip(range(6)).repeat(3).map(str),
    "repeat of repeat": lambda: sf.Pipeline(range(3)).shuffle(4).repeat(2).repeat(3),
    "cache": lambda: sf.Pipeline(range(20)).shuffle(5, seed=1).cache().map(str),
    "workers": lambda: sf.Pipeline(range(20)).map(abs, workers="thread").batch(2),
}


@pytest.mark.parametrize("name", PIPES)
@pytest.mark.parametrize("threads", [1, 3])
def test_from_every_place(name, threads):
    pipe = PIPES[name]()
    with pipe.run(threads=threads) as run:
        states = [run.state_dict()]
        items = []
        for item in run:
            items.append(item)
            states.append(run.state_dict())
    whole = values(items)
    for n, state in enumerate(states):
        assert state["items"] == n
        resumed = pipe.load_state_dict(json.loads(json.dumps(state)))
        with resumed.run(threads=threads) as run:
            assert run.state_dict() == {**state, "epochs": run.state_dict()["epochs"]}
            assert values(run) == whole[n:]
            assert run.state_dict()["items"] == len(whole)


@pytest.mark.parametrize("name", PIPES)
def test_again_and_again(name):
    """States of runs that were resumed themselves; three items of each."""
    pipe = PIPES[name]()
    whole = None
    state = None
    items = []
    while True:
        with (pipe if state is None else pipe.load_state_dict(state)).run(threads=2) as run:
            if state is None:  # an order without a seed is what this run says
                whole = values(pipe.load_state_dict(run.state_dict()))
            part = list(itertools.islice(run, 3))
            state = run.state_dict()
        if not part:
            break
        items += part
    assert values(items) == whole


def test_sinks_take_what_is_left():
    pipe = sf.Pipeline(sf.read(A, rows=3))
    with pipe.run() as run:
        next(run), next(run)
        rest = pipe.load_state_dict(run.state_dict())
    assert np.array_equal(rest.collect(), A[6:])
    assert rest.reduce(sf.sum) == A[6:].sum()
    with pipe.run() as run:
        list(run)
        empty = pipe.load_state_dict(run.state_dict())
    assert empty.collect().shape == (0, 3)
    assert pickle.loads(pickle.dumps(rest)).reduce(sf.sum) == A[6:].sum()


def test_what_is_left_out_is_not_worked_on():
    calls = []
    pipe = sf.Pipeline(range(1000)).map(count, calls).enumerate().batch(2)
    with pipe.run(threads=1) as run:
        for _ in range(450):
            next(run)
        state = run.state_dict()
    calls.clear()
    assert len(list(pipe.load_state_dict(state))) == 50
    assert len(calls) == 100


def test_numbers_of_items_stay():
    """An error names the item of the source, wherever the run began."""

    def fail(x):
        if x.sum() > 40 * 3:
            raise ValueError("too large")
        return x

    pipe = sf.Pipeline(sf.read(A, rows=1)).map(fail)
    with pipe.run(threads=1) as run:
        for _ in range(10):
            next(run)
        state = run.state_dict()
    with pytest.raises(ValueError, match="too large") as caught:
        list(pipe.load_state_dict(state))
    assert "item 14" in caught.value.__notes__[0]


def test_arrays_are_read_from_there_on():
    pipe = sf.Pipeline(sf.read(A, rows=2)).map(sf.add, 1)
    with pipe.load_state_dict({**next_state(pipe), "items": 4}).run() as run:
        assert len(list(run)) == 6
        assert run.stats()["stages"][0]["items"] == 6


def next_state(pipe):
    with pipe.run() as run:
        return run.state_dict()


def test_bad_input():
    pipe = sf.Pipeline(range(9)).map(abs).shuffle(3)
    state = next_state(pipe)
    with pytest.raises(TypeError, match=r"what Run.state_dict\(\) returned, got 3"):
        pipe.load_state_dict(3)
    with pytest.raises(TypeError, match="what Run"):
        pipe.load_state_dict({"items": 3})
    with pytest.raises(
        ValueError, match=r"range\(\) \| map \| shuffle, this one is range\(\) \| map"
    ):
        sf.Pipeline(range(9)).map(abs).load_state_dict(state)
    with pytest.raises(ValueError, match="items must be at least 0, got -1"):
        pipe.load_state_dict({**state, "items": -1})
    with pytest.raises(ValueError, match="2 seeds"):
        pipe.load_state_dict({**state, "seeds": [1, 2]})
    resumed = pipe.load_state_dict(state)
    for verb in (
        lambda: resumed.map(abs),
        lambda: resumed.zip(range(3)),
        lambda: sf.Pipeline(range(3)).concat(resumed),
        lambda: resumed.repeat(),
        lambda: resumed.cache(),
        lambda: resumed | sf.Pipeline().map(abs),
        lambda: resumed.load_state_dict(state),
    ):
        with pytest.raises(ValueError, match="comes last"):
            verb()
    with pipe.run(ordered=False) as run, pytest.raises(ValueError, match="ordered=False"):
        run.state_dict()
    cached = sf.Pipeline(range(9)).sample(0.5).cache()
    with cached.run() as run, pytest.raises(ValueError, match="give them a seed"):
        run.state_dict()


def test_skipped_by_workers():
    """Items that were given up do not count, so nothing is known of what lies before them."""

    def fail(x):
        if x % 3 == 0:
            raise ValueError(x)
        return x

    pipe = sf.Pipeline(range(30)).map(fail, workers=sf.Workers("thread", 2, errors="skip"))
    with pipe.run() as run:
        first = list(itertools.islice(run, 7))
        state = run.state_dict()
    assert first + list(pipe.load_state_dict(state)) == [x for x in range(30) if x % 3]


def test_a_run_that_has_ended_keeps_nothing_alive():
    a = sf.arange(1000.0).copy()
    gone = weakref.ref(a)
    with sf.Pipeline(sf.read(a, rows=100)).shuffle(3).run() as run:
        del a
        assert len(list(run)) == 10
    gc.collect()
    assert gone() is None
    assert run.state_dict()["items"] == 10
