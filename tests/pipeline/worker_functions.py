"""Functions that workers of every kind can import; the coroutines are what "async" calls."""

import asyncio
import os
import signal
import time

import spanflow as sf


def double(x):
    return x * 2


def identity(x):
    return x


def even(x):
    return x % 2 == 0


def high(chunk):
    return chunk > 6


def times(x):
    return (x for _ in range(x))


def rows_twice(chunk):
    return sf.asarray(chunk)


def fails_at_three(x):
    if x >= 3:
        raise ValueError(f"no {x}")
    return x


def fails_at_every_fifth(x):
    if x % 5 == 3:
        raise ValueError(x)
    return x


def fails_at_first(x, folder):
    """Once for each item; `folder` remembers."""
    try:
        os.close(os.open(f"{folder}/{x}", os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return x
    raise OSError(f"not yet {x}")


def scaled(chunk, weight, factor, *, shift=0):
    return (chunk * weight * factor + shift).tolist()


def where(array):
    return array.address, array.shape, array.strides, array.readonly, float(array.sum())


def when(x):
    begun = time.monotonic()
    time.sleep(0.05)
    return begun, time.monotonic()


def slowly(x):
    time.sleep(0.002 * (x % 3))
    return x


def appended(x, path):
    with open(path, "a") as file:
        file.write(f"{x}\n")


def fill(array):
    array[...] = 7
    return array


def shared(n):
    array = sf.shared_empty(n)
    array[...] = 3
    return array


def numpy_root(x):
    import numpy

    return float(numpy.sqrt(x))


def unpicklable(x):
    return lambda: x


class OddError(Exception):
    """An exception that pickle cannot make again."""

    def __init__(self, a, b):
        super().__init__(f"{a} and {b}")


def raises_odd(x):
    raise OddError(1, 2)


def interrupts(x):
    raise KeyboardInterrupt


def stops(x):
    raise StopIteration


def killed_at_two(x):
    if x == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return x


def exits_at_two(x):
    if x == 2:
        os._exit(3)
    return x


def hangs_at_two(x):
    if x == 2:
        time.sleep(60)
    return x


def process(x):
    return os.getpid()


def _coroutine(function):
    """The same as a coroutine function."""

    async def call(*args, **kwargs):
        await asyncio.sleep(0)
        return function(*args, **kwargs)

    call.__name__ = function.__name__
    call.__qualname__ = function.__qualname__
    return call


COROUTINES = {
    function: _coroutine(function)
    for function in (
        double,
        identity,
        even,
        high,
        times,
        rows_twice,
        fails_at_three,
        fails_at_every_fifth,
        fails_at_first,
        scaled,
        where,
        raises_odd,
        interrupts,
        stops,
    )
}


async def when_async(x):
    begun = time.monotonic()
    await asyncio.sleep(0.05)
    return begun, time.monotonic()


async def slowly_async(x):
    await asyncio.sleep(0.002 * (x % 3))
    return x


async def appended_async(x, path):
    appended(x, path)


async def hangs_at_two_async(x):
    if x == 2:
        await asyncio.sleep(60)
    return x


COROUTINES |= {
    when: when_async,
    slowly: slowly_async,
    appended: appended_async,
    hangs_at_two: hangs_at_two_async,
}
