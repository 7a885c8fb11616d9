"""What the servers of a stage call for each item, in the words of bindings/pipeline_served.h."""

from __future__ import annotations

import contextvars
import functools
from collections.abc import Callable
from typing import Any

from spanflow._workers import Bound, Workers, handler_of


def describe(
    verb: str, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], workers: Workers
) -> tuple[Any, ...]:
    """The workers of a stage for one run; see ServiceFrom."""
    from spanflow import _crossing  # like the others here: most programs do without

    bound = Bound(function, args, kwargs, verb == "flat_map")
    places = 1 if verb == "tap" else workers.places
    context = contextvars.copy_context()
    make: Any
    if workers.kind == "thread":
        make = functools.partial(_in_thread, bound.ready().direct(), workers, context)
    elif workers.kind == "async":
        from spanflow import _coroutines

        make = functools.partial(_coroutines.Loop, bound, workers, places, context)
    elif workers.kind == "process":
        from spanflow import _processes

        make = functools.partial(_processes.handler, _processes.described(bound), workers)
    else:
        from spanflow import _interpreters

        make = _interpreters.described(bound, workers)
    servers = 1 if workers.kind == "async" else places
    skips = workers.errors == "skip"
    count = workers.limit if isinstance(workers.limit, int) else -1
    rate = workers.limit if isinstance(workers.limit, float) else -1.0
    crossing = (_crossing.pack, _crossing.unpack)
    tuned = workers.n == "auto"
    return (workers.kind, servers, places, tuned, make, *crossing, skips, count, rate)


def _in_thread(
    function: Callable[..., Any], workers: Workers, context: contextvars.Context, calls: Any
) -> Callable[..., Any]:
    def call(*values: Any) -> Any:
        # A copy, as a context can be entered by one thread at a time.
        return context.copy().run(function, *values)

    return handler_of(calls, call, workers)
