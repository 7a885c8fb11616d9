"""What workers do about errors: raise, skip within limits, try again, give up after a time."""

import sys
import time
import traceback

import numpy as np
import pytest

import spanflow as sf
from tests.pipeline import worker_functions as functions
from tests.pipeline.test_workers import KINDS, for_kind

STOPPABLE = ("process", "async")


def stage_of(run):
    return run.stats()["stages"][1]


@pytest.mark.parametrize("kind", KINDS)
def test_skipped_items_become_dead_letters(kind):
    fails = for_kind(kind, functions.fails_at_every_fifth)
    workers = sf.Workers(kind, 2, errors="skip")
    run = sf.Pipeline(range(20)).map(fails, workers=workers).run(threads=2)
    assert list(run) == [x for x in range(20) if x % 5 != 3]
    letters = run.dead_letters
    assert [(letter.number, letter.item) for letter in letters] == [(x, x) for x in (3, 8, 13, 18)]
    assert all(isinstance(letter.exception, ValueError) for letter in letters)
    assert letters[1].exception.args == (8,)
    assert stage_of(run)["skipped"] == 4
    assert run.stats()["stages"][2]["name"] == f"errors of map({fails.__name__})"
    assert isinstance(letters[0], sf.DeadLetter)
    letters.clear()
    assert len(run.dead_letters) == 4  # a copy


@pytest.mark.parametrize("kind", KINDS)
def test_dead_letters_keep_the_traceback(kind):
    fails = for_kind(kind, functions.fails_at_three)
    run = sf.Pipeline([5]).map(fails, workers=sf.Workers(kind, errors="skip")).run()
    assert list(run) == []
    text = "".join(traceback.format_exception(run.dead_letters[0].exception))
    assert "in fails_at_three" in text and "no 5" in text


@pytest.mark.parametrize("threads", (1, 2))
@pytest.mark.parametrize(
    ("limit", "ends_at"),
    [
        (None, None),
        (4, None),
        (3, 18),
        (1, 8),
        (0, 3),
        (0.25, None),
        (0.15, 18),
        (0.1, 8),
        (0.0, 3),
    ],
)
def test_limits_end_the_run_at_the_same_item(limit, ends_at, threads):
    workers = sf.Workers("thread", 3, errors="skip", limit=limit)
    run = (
        sf.Pipeline(range(20))
        .map(functions.fails_at_every_fifth, workers=workers)
        .run(threads=threads)
    )
    seen = []
    if ends_at is None:
        seen = list(run)
    else:
        with pytest.raises(ValueError, match=str(ends_at)) as caught:
            for item in run:
                seen.append(item)
        assert "may be skipped (limit=)" in caught.value.__notes__[0]
        assert f"item {ends_at}" in caught.value.__notes__[1]
    assert seen == [x for x in range(ends_at or 20) if x % 5 != 3]
    assert [letter.number for letter in run.dead_letters] == [
        x for x in range(ends_at or 20) if x % 5 == 3
    ]


def test_what_dead_letters_hold():
    large, small = np.zeros(100_000), np.zeros(10)

    def fails(x):
        raise ValueError("always")

    workers = sf.Workers("thread", 2, errors="skip")
    run = sf.Pipeline([large, small, None]).map(fails, workers=workers).run()
    assert list(run) == []
    assert [letter.item is None for letter in run.dead_letters] == [True, False, True]
    frame = run.dead_letters[0].exception.__traceback__.tb_next
    while frame is not None:
        assert not any(value is large for value in frame.tb_frame.f_locals.values())
        frame = frame.tb_next
    run = sf.Pipeline(range(1500)).map(fails, workers=workers).run()
    assert list(run) == []
    assert len(run.dead_letters) == 1000 and stage_of(run)["skipped"] == 1500
    assert sf.Pipeline([1]).map(abs).run().dead_letters == []


@pytest.mark.parametrize("verb", ("filter", "flat_map", "tap"))
def test_every_verb_skips(verb):
    def fails(x):
        if x == 1:
            raise ValueError(x)
        return [x] if verb == "flat_map" else True

    workers = sf.Workers("thread", 1, errors="skip")
    run = getattr(sf.Pipeline(range(4)), verb)(fails, workers=workers).run()
    assert list(run) == [0, 2, 3]
    assert [letter.number for letter in run.dead_letters] == [1]


def test_for_each_skips():
    workers = sf.Workers("thread", 2, errors="skip")
    assert sf.Pipeline(range(20)).for_each(functions.fails_at_every_fifth, workers=workers) == 16


def test_interrupts_are_not_skipped():
    workers = sf.Workers("thread", 2, errors="skip", retries=5)
    with pytest.raises(KeyboardInterrupt):
        list(sf.Pipeline([1]).map(functions.interrupts, workers=workers))


@pytest.mark.parametrize("kind", KINDS)
def test_retries(kind, tmp_path):
    fails = for_kind(kind, functions.fails_at_first)
    workers = sf.Workers(kind, 2, retries=2, backoff=0.01)
    run = sf.Pipeline(range(10)).map(fails, str(tmp_path), workers=workers).run(threads=2)
    assert list(run) == list(range(10))
    assert stage_of(run)["retried"] == 10


@pytest.mark.parametrize("kind", KINDS)
def test_retries_come_to_an_end(kind):
    fails = for_kind(kind, functions.fails_at_three)
    workers = sf.Workers(kind, 1, retries=2, backoff=0.03)
    run = sf.Pipeline([0, 5]).map(fails, workers=workers).run()
    assert next(run) == 0
    with pytest.raises(ValueError, match="no 5"):
        next(run)
    stage = stage_of(run)
    assert stage["retried"] == 2
    assert stage["busy"] >= 0.03 + 0.06  # twice as long each time


def test_backoff_ends_with_the_run():
    begun = time.monotonic()
    workers = sf.Workers("thread", 2, retries=3, backoff=30)
    with sf.Pipeline([5, 5]).map(functions.fails_at_three, workers=workers).run():
        time.sleep(0.1)
    assert time.monotonic() - begun < 2


@pytest.mark.parametrize("kind", STOPPABLE)
def test_timeouts(kind):
    hangs = for_kind(kind, functions.hangs_at_two)
    workers = sf.Workers(kind, 2, timeout=0.2)
    run = sf.Pipeline(range(5)).map(hangs, workers=workers).run()
    assert [next(run), next(run)] == [0, 1]
    with pytest.raises(
        TimeoutError, match=r"took longer than 0.2 s \(timeout=\); its (proc|corou)"
    ):
        next(run)


@pytest.mark.parametrize("kind", STOPPABLE)
def test_timeouts_can_be_skipped(kind):
    hangs = for_kind(kind, functions.hangs_at_two)
    workers = sf.Workers(kind, 1, timeout=0.2, errors="skip")
    run = sf.Pipeline(range(5)).map(hangs, workers=workers).run()
    assert list(run) == [0, 1, 3, 4]
    assert isinstance(run.dead_letters[0].exception, TimeoutError)


def test_a_timeout_of_its_own_is_the_functions_affair():
    async def gives_up(x):
        raise TimeoutError("mine")

    with pytest.raises(TimeoutError, match="^mine"):
        list(sf.Pipeline([1]).map(gives_up, workers=sf.Workers("async", timeout=5)))


def test_the_start_of_a_process_is_no_part_of_the_time():
    workers = sf.Workers("process", 1, timeout=0.15)  # importing alone takes longer
    assert list(sf.Pipeline(range(3)).map(functions.double, workers=workers)) == [0, 2, 4]


@pytest.mark.parametrize(
    ("function", "says"),
    [
        (functions.killed_at_two, r"killed by signal 9 \(SIGKILL\)"),
        (functions.exits_at_two, "ended with exit code 3 during a call"),
    ],
)
def test_a_process_that_dies(function, says):
    run = sf.Pipeline(range(6)).map(function, workers=sf.Workers("process", 2)).run()
    assert [next(run), next(run)] == [0, 1]
    with pytest.raises(sf.PipelineError, match=says) as caught:
        next(run)
    assert caught.value.__notes__ == [f"in the pipeline's map({function.__name__}), item 2"]
    run = (
        sf.Pipeline(range(6))
        .map(function, workers=sf.Workers("process", 1, errors="skip", retries=1, backoff=0.01))
        .run()
    )
    assert list(run) == [0, 1, 3, 4, 5]  # by another process
    assert stage_of(run)["retried"] == 1


@pytest.mark.skipif(sys.version_info < (3, 12), reason="needs Python 3.12")
def test_no_timeouts_in_interpreters():
    with pytest.raises(ValueError, match="cannot be stopped"):
        sf.Workers("interpreter", timeout=1)
