"""The items of one run for several that read them, each at its own pace."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any, Final

from spanflow._core import PipelineError

_END: Final = object()
_NOBODY: Final = -1
_MANY: Final = 1000  # items that may wait where another chain is slower
_MOST: Final = 100_000  # and at all, as objects need memory of which nobody knows


class Split:
    """Sides over the same items; what one has taken waits for the others.

    Whoever finds nothing that waits for it takes the next item, for all. A side that is far ahead
    waits for the others, unless the consumer waits for this side at the moment: the others may then
    be waiting for the consumer. So they cannot wait for each other in a circle. What bounds a side
    that the consumer waits for is an error, once more than `limit` bytes wait for the slowest. That
    is more than what a side can have in its own hands.
    """

    def __init__(self, items: Iterator[Any], sides: int, limit: int):
        self._items = items
        self._limit = limit
        # What follows is under the lock of `_changed`, which nobody keeps while he waits for items.
        self._changed = threading.Condition()
        self._waiting: list[deque[Any]] = [deque() for _ in range(sides)]
        self._nbytes = [0] * sides  # of what waits
        self._idle = 0  # sides that have nothing to do
        self._taking = False  # a side waits for the next item
        self._wanted = _NOBODY
        self._error: BaseException | None = None

    def join(self, sides: Sequence[Iterator[Any]]) -> Iterator[tuple[Any, ...]]:
        """Tuples of what comes out of each."""
        while True:
            row = []
            for i, side in enumerate(sides):
                self._want(i)
                item = next(side, _END)
                if item is _END:
                    return
                row.append(item)
            self._want(_NOBODY)
            yield tuple(row)

    def side(self, i: int) -> Iterator[Any]:
        while True:
            found = self._next_of(i)
            if found is None:
                self._take()
            elif found[0] is _END:
                return
            else:
                yield found[0]

    def close(self) -> None:
        """Wakes whoever waits; nothing is taken any more."""
        with self._changed:
            self._fail(PipelineError("the run that reads from here has ended"))

    def _want(self, i: int) -> None:
        with self._changed:
            self._wanted = i
            self._tell()

    def _next_of(self, i: int) -> tuple[Any] | None:
        """What waits for this side; None if it shall take the next item."""
        waiting = self._waiting[i]
        with self._changed:
            self._idle += 1
            while not (waiting or self._may_take(i)):
                self._changed.wait()
            self._idle -= 1
            if not waiting and self._error is not None:
                raise self._error
            if not waiting:
                self._taking = True
                return None
            item, nbytes = waiting.popleft()
            self._nbytes[i] -= nbytes
            self._tell()
            return (item,)

    def _may_take(self, i: int) -> bool:
        if self._error is not None:
            return True  # to hear of it
        is_ahead = max(self._nbytes) * 2 > self._limit or max(map(len, self._waiting)) >= _MANY
        return not self._taking and (self._wanted == i or not is_ahead)

    def _take(self) -> None:
        try:
            item = next(self._items, _END)
        except BaseException as error:
            with self._changed:
                self._fail(error)
        else:
            with self._changed:
                self._share(item)

    def _share(self, item: Any) -> None:
        nbytes = nbytes_of(item)
        self._taking = False
        for i, waiting in enumerate(self._waiting):
            self._nbytes[i] += nbytes
            waiting.append((item, nbytes))
            if len(waiting) > _MOST or (self._nbytes[i] > self._limit and len(waiting) > 1):
                self._fail(ValueError(self._excess(i)))
        self._tell()

    def _excess(self, i: int) -> str:
        return (
            f"tee(): {len(self._waiting[i])} items of {self._nbytes[i]} bytes wait for chain {i}; "
            f"{_MOST} items and {self._limit} bytes of the memory are the most. Chains that take "
            "as many items for each of their own keep together; more memory= helps"
        )

    def _fail(self, error: BaseException) -> None:
        """Each side hears of the first one, behind what waits for it."""
        self._taking = False
        self._error = self._error or error
        self._tell()

    def _tell(self) -> None:
        if self._idle:
            self._changed.notify_all()


def nbytes_of(item: Any) -> int:
    """What the arrays of an item hold."""
    if isinstance(item, tuple):
        return sum(map(nbytes_of, item))
    if isinstance(item, dict):
        return sum(map(nbytes_of, item.values()))
    nbytes = getattr(item, "nbytes", 0)
    return nbytes if isinstance(nbytes, int) else 0
