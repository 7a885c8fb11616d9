"""Coroutines as the function of a stage: one event loop on a thread of the run."""

from __future__ import annotations

import asyncio
import contextvars
import os
from typing import Any

from spanflow._workers import Bound, Workers, delay, listed


class Loop:
    """Runs the coroutines of a stage, up to `places` at once."""

    def __init__(
        self,
        bound: Bound,
        workers: Workers,
        places: int,
        context: contextvars.Context,
        calls: Any,
    ):
        self.bound = bound
        self.workers = workers
        self.places = places
        self.context = context
        self.calls = calls
        self.loop = asyncio.new_event_loop()
        self.tasks: set[asyncio.Task[None]] = set()
        self.idle: asyncio.Future[None] | None = None

    def __call__(self, number: int, arguments: tuple[Any, ...]) -> None:
        """Works on this call, and on all that come meanwhile, until there is none."""
        self.loop.run_until_complete(self._until_idle(number, arguments))

    def close(self) -> None:
        """Nothing is left to run: every call was answered, or the run is over."""
        self.loop.run_until_complete(self._finish())
        self.loop.close()

    async def _finish(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        await self.loop.shutdown_asyncgens()

    async def _until_idle(self, number: int, arguments: tuple[Any, ...]) -> None:
        self.idle = self.loop.create_future()
        descriptor = self.calls.fileno()
        self.loop.add_reader(descriptor, self._woken, descriptor)
        try:
            self._begin(number, arguments)
            self._fill()
            await self.idle
        finally:
            self.loop.remove_reader(descriptor)

    def _woken(self, descriptor: int) -> None:
        os.eventfd_read(descriptor)
        self._fill()

    def _fill(self) -> None:
        if self.calls.stopped:
            for task in self.tasks:
                task.cancel()
        while len(self.tasks) < self.places and (call := self.calls.take()) is not None:
            self._begin(*call)

    def _begin(self, number: int, arguments: tuple[Any, ...]) -> None:
        task = self.loop.create_task(self._answer(number, arguments), context=self.context.copy())
        self.tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self.tasks.discard(task)
        self._fill()
        if not self.tasks and self.idle is not None and not self.idle.done():
            self.idle.set_result(None)

    async def _answer(self, number: int, arguments: tuple[Any, ...]) -> None:
        """Never raises: what the coroutine raises, KeyboardInterrupt too, is the run's affair."""
        try:
            result = await self._attempts(arguments)
        except asyncio.CancelledError:
            self.calls.failed(number, RuntimeError("the coroutine was cancelled"))
        except BaseException as error:
            self.calls.failed(number, error)
        else:
            self.calls.done(number, result)

    async def _attempts(self, arguments: tuple[Any, ...]) -> Any:
        for attempt in range(self.workers.retries):
            try:
                return await self._once(arguments)
            except Exception:
                await asyncio.sleep(delay(self.workers.backoff, attempt))
                self.calls.retried()
        return await self._once(arguments)

    async def _once(self, arguments: tuple[Any, ...]) -> Any:
        seconds = self.workers.timeout
        try:
            async with asyncio.timeout(seconds) as limit:
                result = await self.bound.start(*arguments)
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise TimeoutError(
                f"the call took longer than {seconds} s (timeout=); its coroutine was cancelled"
            ) from error
        return listed(result) if self.bound.lists else result
