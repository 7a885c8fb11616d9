"""What runs in the interpreters of a stage: the function, imported there."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from spanflow._core import Array
from spanflow._crossing import pack, unpack
from spanflow._workers import Bound, Workers, handler_of


def described(bound: Bound, workers: Workers) -> tuple[list[str], bytes, list[Array]]:
    """A stage for another interpreter, where its modules are found as they are here."""
    return (list(sys.path), *pack((bound, workers)))


def handler(calls: Any, description: tuple[list[str], bytes, list[Array]]) -> Callable[..., Any]:
    """What a server calls. The path comes first, as making the function imports its module."""
    path, data, arrays = description
    sys.path[:] = path
    bound, workers = unpack(data, arrays)
    return handler_of(calls, bound.ready(), workers)
