"""Runs in an event loop: `async with`, `async for`. Whoever waits for an item lets others go on."""

from __future__ import annotations

import asyncio
import time
from typing import Any, Final

from spanflow._core import Run

_NOT_READY: Final = object()
_END: Final = object()
_SECONDS: Final = 0.005  # that items which are all ready may keep the event loop from others


class Items:
    """The items of a run for `async for`; where none is ready, a thread waits for it.

    Cancelling a task that waits loses nothing: the next one that asks gets the item.
    """

    def __init__(self, run: Run):
        self._run = run
        self._one_asks = asyncio.Lock()
        self._coming: asyncio.Future[Any] | None = None  # the item that a thread waits for
        self._others_went_on = time.monotonic()

    def __aiter__(self) -> Items:
        return self

    async def __anext__(self) -> Any:
        async with self._one_asks:
            item = await self._next_ready() if self._coming is None else _NOT_READY
            if item is _NOT_READY:
                item = await self._next_coming()
        if item is _END:
            raise StopAsyncIteration
        return item

    async def _next_ready(self) -> Any:
        if time.monotonic() - self._others_went_on > _SECONDS:
            await asyncio.sleep(0)
            self._others_went_on = time.monotonic()
        try:
            return self._run._next_ready(_NOT_READY)
        except StopIteration:
            return _END

    async def _next_coming(self) -> Any:
        if self._coming is None:
            loop = asyncio.get_running_loop()
            self._coming = loop.run_in_executor(None, next, self._run, _END)
            self._coming.add_done_callback(_look_at)
        await asyncio.wait((self._coming,))
        self._others_went_on = time.monotonic()
        coming, self._coming = self._coming, None
        return coming.result()


def _look_at(coming: asyncio.Future[Any]) -> None:
    """An error that nobody asks for any more, such as that of a cancelled run, needs no log."""
    if not coming.cancelled():
        coming.exception()


async def enter(run: Run) -> Run:
    return run


async def leave(run: Run) -> None:
    """Waits for the end of the run in a thread."""
    run.cancel()
    await asyncio.get_running_loop().run_in_executor(None, run.__exit__, None, None, None)
