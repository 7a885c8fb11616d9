"""Who calls the function of a pipeline's stage, how many calls at once, and what errors do."""

from __future__ import annotations

import functools
import importlib
import math
import operator
import sys
from collections.abc import Callable
from typing import Any, Final, Literal, NamedTuple

from spanflow._core import Array, get_num_threads

_KINDS: Final = ("thread", "interpreter", "process", "async")
_STOPPABLE: Final = ("process", "async")
_TASKS: Final = 32  # coroutines at once, if nothing is said
_MOST: Final = 1024
_MOST_TUNED: Final = 64  # threads or coroutines that "auto" goes up to


class DeadLetter(NamedTuple):
    """An item that a stage gave up: its number at the source, why, and the item if it is small."""

    number: int
    exception: Exception
    item: Any


class Workers:
    """Who calls the function of a stage, and what its errors do: `map(f, workers=Workers(…))`.

    `kind` says where the function runs: "thread", in an "interpreter" with its own GIL (Python 3.12
    and later), in a "process", or as coroutines of an event loop ("async"). `n` is how many calls
    there are at once; by default as many as `get_num_threads()`, and 32 for "async". "auto" begins
    with one and grows while the stage is what limits the run and more calls make it faster: to at
    most 64 threads or coroutines, or `get_num_threads()` interpreters or processes. What it found
    is in the run's statistics and its report. `workers="auto"` means Workers("thread", "auto").

    `timeout` is how many seconds a call may take: a process is then ended and replaced, a coroutine
    cancelled, and the item fails with TimeoutError. Threads and interpreters cannot be stopped from
    outside, so there it is a ValueError. A call that fails with an Exception is made again up to
    `retries` times, `backoff` seconds later at first and twice as much each further time.
    `errors="skip"` drops items that fail for good and keeps them in `run.dead_letters`, as long as
    they are no more than `limit`: a number of items, or as a float below 1 a share of the items so
    far, rounded up. `errors="raise"` ends the run.
    """

    __slots__ = ("backoff", "errors", "kind", "limit", "n", "retries", "timeout")

    def __init__(
        self,
        kind: str = "thread",
        n: int | Literal["auto"] | None = None,
        *,
        timeout: float | None = None,
        retries: int = 0,
        backoff: float = 0.1,
        errors: str = "raise",
        limit: float | None = None,
    ):
        self.kind = _one_of("kind", kind, _KINDS)
        self.n = n if n is None or n == "auto" else _count("n", n, 1, _MOST)
        self.timeout = None if timeout is None else _seconds("timeout", timeout)
        self.retries = _count("retries", retries, 0)
        self.backoff = _seconds("backoff", backoff, zero=True)
        self.errors = _one_of("errors", errors, ("raise", "skip"))
        self.limit = None if limit is None else _limit(limit)
        if limit is not None and errors != "skip":
            raise ValueError(
                'limit= says how many items may be skipped: it goes with errors="skip"'
            )
        if timeout is not None and kind not in _STOPPABLE:
            raise ValueError(
                f'timeout= cannot be kept with kind "{kind}": a running function cannot be stopped '
                'there. "process" ends its process, "async" cancels its coroutine'
            )
        if kind == "interpreter" and sys.version_info < (3, 12):
            raise ValueError(
                "interpreters have a GIL of their own from Python 3.12 on, this is "
                f'{sys.version_info[0]}.{sys.version_info[1]}: "process" runs Python code in '
                'parallel on any version, "thread" on free-threaded builds'
            )

    @property
    def places(self) -> int:
        """How many calls there are at once, at most."""
        if self.n == "auto":
            return _MOST_TUNED if self.kind in ("thread", "async") else get_num_threads()
        if self.n is not None:
            return self.n
        return _TASKS if self.kind == "async" else get_num_threads()

    def __repr__(self) -> str:
        words = [repr(self.kind)] + ([] if self.n is None else [repr(self.n)])
        usual = {"timeout": None, "retries": 0, "errors": "raise", "limit": None}
        for name, value in usual.items():
            if getattr(self, name) != value:
                words.append(f"{name}={getattr(self, name)!r}")
        if self.retries:
            words.append(f"backoff={self.backoff!r}")
        return f"Workers({', '.join(words)})"


class Named:
    """A function by its name, "module:name", imported where it is called."""

    def __init__(self, where: str):
        module, _, name = where.partition(":")
        if not module or not all(part.isidentifier() for part in name.split(".")):
            raise ValueError(f'a function by name is "module:name", got {where!r}')
        self.module = module
        self.__name__ = name

    def find(self) -> Callable[..., Any]:
        found: Any = importlib.import_module(self.module)
        for name in self.__name__.split("."):
            found = getattr(found, name)
        if not callable(found):
            raise TypeError(f"{self!r} is no function but {found!r}")
        function: Callable[..., Any] = found
        return function

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError  # only for callable(): what is called is what find() gives

    def __repr__(self) -> str:
        return f"{self.module}:{self.__name__}"


class _Rows:
    """Stands for the rows of the next `aligned` argument."""


class Bound:
    """A stage's function with its arguments: called with an item and the rows of aligned arrays."""

    __slots__ = ("args", "function", "kwargs", "lists")

    def __init__(self, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], lists: bool):
        self.function = function
        self.args = args
        self.kwargs = kwargs
        self.lists = lists  # any iterable that comes back is read here, not by the run

    def ready(self) -> Bound:
        """The same with a function that was imported by its name."""
        if not isinstance(self.function, Named):
            return self
        return Bound(self.function.find(), self.args, self.kwargs, self.lists)

    def direct(self) -> Callable[..., Any]:
        """The function itself, where nothing is added to it: that saves a quick call 0.4 µs."""
        return self if self.args or self.kwargs or self.lists else self.function

    def __call__(self, item: Any, *rows: Any) -> Any:
        result = self.start(item, *rows)
        return listed(result) if self.lists else result

    def start(self, item: Any, *rows: Any) -> Any:
        """What the function returns, which may be a coroutine."""
        if not rows:
            return self.function(item, *self.args, **self.kwargs)
        rest = iter(rows)
        args = [next(rest) if arg is _Rows else arg for arg in self.args]
        return self.function(item, *args, **self.kwargs)


def listed(result: Any) -> Any:
    """An iterable as a list; arrays, whose rows the run makes, as they are."""
    if isinstance(result, (list, tuple, str, Array)) or hasattr(result, "__array_interface__"):
        return result
    if isinstance(result, (bytes, bytearray, memoryview)):
        return result
    return list(result)


class Attempts:
    """Calls a function, and again when it fails."""

    def __init__(self, function: Callable[..., Any], calls: Any, workers: Workers):
        self.function = function
        self.calls = calls
        self.retries = workers.retries
        self.delays = functools.partial(delay, workers.backoff)
        if hasattr(function, "close"):
            self.close = function.close

    def __call__(self, *values: Any) -> Any:
        for attempt in range(self.retries):
            try:
                return self.function(*values)
            except Exception:
                if not self.calls.sleep(self.delays(attempt)):
                    raise
                self.calls.retried()
        return self.function(*values)


def delay(backoff: float, attempt: int) -> float:
    """Seconds before a call is made again."""
    return math.ldexp(backoff, min(attempt, 60))


def handler_of(calls: Any, function: Callable[..., Any], workers: Workers) -> Callable[..., Any]:
    """What a server calls: the function, made again when it fails."""
    return function if workers.retries == 0 else Attempts(function, calls, workers)


def check(verb: str, function: Any, workers: Any) -> tuple[Any, Workers]:
    """The function and the workers of a stage, if they can be what they are asked to be."""
    if isinstance(workers, str):
        workers = Workers("thread", "auto") if workers == "auto" else Workers(workers)
    if not isinstance(workers, Workers):
        raise TypeError(f'workers must be a kind such as "process" or Workers(…), got {workers!r}')
    if isinstance(function, str):
        function = Named(function)
    if not callable(function):
        raise TypeError(f'{verb}(workers=…) needs a callable or "module:name", got {function!r}')
    if verb == "tap" and workers.n not in (None, 1, "auto"):
        raise ValueError(f"tap() calls in order, one item at a time: n must be 1, got {workers.n}")
    if workers.kind in ("process", "interpreter"):
        _check_importable(verb, function, workers.kind)
    if workers.kind == "async" and isinstance(function, Named):
        function = function.find()
    if isinstance(function, Named):
        return function, workers  # what it is shows where it runs
    if _is_coroutine_function(function) != (workers.kind == "async"):
        raise TypeError(
            f'{verb}(): a coroutine function (async def) and workers="async" go together, got '
            f"{_name_of(function)} and {workers!r}"
        )
    return function, workers


def _check_importable(verb: str, function: Any, kind: str) -> None:
    if isinstance(function, Named):
        return
    why = ""
    module = getattr(function, "__module__", None)
    if kind == "interpreter" and module == "__main__":
        why = "it is defined in __main__, which other interpreters do not have"
    else:
        import pickle

        try:
            pickle.dumps(function)
        except Exception as error:
            why = str(error)
    if why:
        raise TypeError(
            f'{verb}(workers="{kind}") needs a function that can be imported, and '
            f"{_name_of(function)} cannot: {why}. Define it with def at the top of a module, or "
            'give it as "module:name"'
        )


def _is_coroutine_function(function: Any) -> bool:
    import inspect  # here, because few need it

    call = getattr(type(function), "__call__", None)  # noqa: B004
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(call)


def rows_of(args: tuple[Any, ...], is_rows: Callable[[Any], bool]) -> tuple[Any, ...]:
    """Arguments with a mark in place of each aligned one."""
    return tuple(_Rows if is_rows(arg) else arg for arg in args)


def dead_letter(number: int, exception: Exception, item: Any) -> DeadLetter:
    """What a run keeps of an item: not what the function's frames had in their hands."""
    import traceback

    traceback.clear_frames(exception.__traceback__)
    return DeadLetter(number, exception, item)


def _name_of(function: Any) -> str:
    return getattr(function, "__qualname__", None) or repr(function)


def _one_of(name: str, value: Any, allowed: tuple[str, ...]) -> str:
    if value not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, allowed))}, got {value!r}")
    return str(value)


def _count(name: str, value: Any, least: int, most: int = 2**31 - 1) -> int:
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be an integer, got {value!r}") from None
    if not least <= number <= most:
        raise ValueError(f"{name} must be from {least} to {most}, got {number}")
    return number


def _seconds(name: str, value: Any, *, zero: bool = False) -> float:
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        raise TypeError(f"{name} must be a number of seconds, got {value!r}") from None
    if not (0 < seconds < math.inf or (zero and seconds == 0)):
        raise ValueError(f"{name} must be a positive number of seconds, got {value!r}")
    return seconds


def _limit(value: Any) -> int | float:
    if not isinstance(value, float):
        return _count("limit", value, 0)
    if not 0 <= value < 1:
        raise ValueError(f"limit as a share must be at least 0.0 and below 1.0, got {value!r}")
    return value
