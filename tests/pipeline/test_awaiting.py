"""Runs in an event loop: `async for` and `async with`."""

import asyncio
import threading
import time

import pytest

import spanflow as sf


def slow(x):
    time.sleep(0.01)
    return x


@pytest.mark.parametrize("threads", [1, 2])
def test_all_items_in_order(threads):
    async def main():
        async with sf.Pipeline(range(500)).map(abs).run(threads=threads) as run:
            return [x async for x in run]

    assert asyncio.run(main()) == list(range(500))


def test_others_go_on_while_no_item_is_ready():
    async def tick(ticks):
        while True:
            ticks.append(time.monotonic())
            await asyncio.sleep(0.001)

    async def main():
        ticks = []
        ticking = asyncio.create_task(tick(ticks))
        async with sf.Pipeline(range(20)).map(slow).run(threads=1) as run:
            items = [x async for x in run]
        ticking.cancel()
        return items, ticks

    items, ticks = asyncio.run(main())
    assert items == list(range(20))
    assert len(ticks) > 20


def test_others_go_on_while_all_items_are_ready():
    async def main():
        ticks = []
        async with sf.Pipeline(range(200_000)).run(threads=2) as run:
            asyncio.get_running_loop().call_soon(ticks.append, 1)
            async for x in run:
                if ticks:
                    return x
        return -1

    assert asyncio.run(main()) >= 0


def test_errors():
    def fail(x):
        if x == 3:
            raise KeyError("three")
        return x

    async def main():
        seen = []
        with pytest.raises(KeyError, match="three"):
            async with sf.Pipeline(range(9)).map(fail).run() as run:
                async for x in run:
                    seen.append(x)
        return seen

    assert asyncio.run(main()) == [0, 1, 2]


def test_a_cancelled_task_loses_nothing():
    go = threading.Event()

    def wait(x):
        go.wait()
        return x

    async def main():
        with sf.Pipeline(range(3)).map(wait).run(threads=1) as run:
            items = run.__aiter__()
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(items.__anext__(), 0.05)
            go.set()
            return [x async for x in items]

    assert asyncio.run(main()) == [0, 1, 2]


def test_several_tasks_share_the_items():
    async def take(items, seen):
        async for x in items:
            seen.append(x)

    async def main():
        seen = []
        async with sf.Pipeline(range(40)).map(slow).run(threads=2) as run:
            items = run.__aiter__()
            await asyncio.gather(*(take(items, seen) for _ in range(3)))
        return seen

    assert sorted(asyncio.run(main())) == list(range(40))


def test_leaving_early():
    async def main():
        begun = time.monotonic()
        async with sf.Pipeline(iter(range(10**9))).map(slow).run(threads=2) as run:
            async for x in run:
                if x == 3:
                    break
        assert time.monotonic() - begun < 5
        with pytest.raises((StopAsyncIteration, sf.PipelineError)):
            await run.__aiter__().__anext__()

    asyncio.run(main())


@pytest.mark.parametrize("threads", [1, 3])
def test_an_asynchronous_source_inside_a_running_loop(threads):
    """Whose items are asked for, or let go, by the thread of another loop."""
    closed = []

    async def numbers():
        try:
            for n in range(100):
                await asyncio.sleep(0)
                yield n
        finally:
            closed.append(1)

    async def read():
        for _ in range(20):
            run = sf.Pipeline(numbers()).map(abs).run(threads=threads)
            assert next(run) == 0
            del run
        return list(sf.Pipeline(numbers()).take(3).run(threads=threads))

    assert asyncio.run(read()) == [0, 1, 2]
    assert len(closed) == 21


def test_items_of_which_nothing_comes():
    """Whoever finds only such is to wake the threads that may go on."""

    async def read():
        for _ in range(300):
            pipe = sf.Pipeline(iter(range(100))).batch(10).batch(1).filter(lambda x: x[0, 0] > 80)
            run = pipe.prefetch(1).run(threads=2)
            assert [item[0, 0] async for item in run] == [90]

    asyncio.run(asyncio.wait_for(read(), 60))
