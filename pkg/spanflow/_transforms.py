"""Stages that are written in Python: objects that are called with each item."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from spanflow._core import frombuffer


class Factory:
    """Makes the object of a run; it can be pickled."""

    def __init__(self, kind: type, arguments: tuple[Any, ...], name: str):
        self.kind = kind
        self.arguments = arguments
        self.__name__ = name

    def __call__(self) -> Any:
        return self.kind(*self.arguments)


def arguments_of(factory: Any, kind: type) -> tuple[Any, ...] | None:
    """What a factory of such objects makes them of; None for any other."""
    return factory.arguments if isinstance(factory, Factory) and factory.kind is kind else None


class Window:
    """Items with those before them: `n` at a time, `step` further each time."""

    @staticmethod
    def factory(n: int, step: int, collate: Callable[[list[Any]], Any]) -> Factory:
        return Factory(Window, (n, step, collate), f"window({n}, step={step})")

    def __init__(self, n: int, step: int, collate: Callable[[list[Any]], Any]):
        self.n = n
        self.step = step
        self.collate = collate
        self.items: deque[Any] = deque(maxlen=n)
        self.until = n  # items until the next window is full

    def __call__(self, item: Any) -> Iterable[Any]:
        self.items.append(item)
        self.until -= 1
        if self.until > 0:
            return ()
        self.until = self.step
        return (self.collate(list(self.items)),)


class Decoder:
    """Bytes as arrays of one dtype and shape, without a copy."""

    def __init__(self, dtype: Any, shape: tuple[int, ...]):
        self.dtype = dtype
        self.shape = shape
        self.__name__ = f"decode({dtype.name}, {shape})"

    def __call__(self, item: Any) -> Any:
        return frombuffer(item, self.dtype).reshape(self.shape)
