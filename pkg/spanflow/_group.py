"""Group-by: reductions of the elements that have the same key."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from spanflow import _core
from spanflow._expression import compute
from spanflow._statistics import minmax

_MOST_GROUPS = 1 << 16


class GroupBy:
    """Elements grouped by a key; group_by() makes it, agg() says what of each group is wanted."""

    def __init__(self, key: Any) -> None:
        self._key = key

    def __repr__(self) -> str:
        return f"group_by({self._key!r})"

    def agg(
        self, wanted: Mapping[str, Any] | None = None, /, *, ddof: float = 0, **more: Any
    ) -> dict[str, Any]:
        """Reduces the values of each group: agg(total=(price, sf.sum), n=sf.count).

        A result is named by a keyword, or by a string in a mapping, and is a pair (values,
        reduction), or sf.count alone. Values are arrays or expressions of the key's shape;
        reductions are operations such as sf.mean, or their names, but no places (argmin). ddof is
        that of var and std.

        Returns a dictionary: under "key" the keys that occur, ascending, in the key's dtype, and
        under each name an array with one element for each of them. Everything is read in one
        pass; elements of a group are folded in C order, and results do not depend on the number of
        threads. Raises TypeError for keys that are not bool or integers and for reductions that
        the dtype does not have, ValueError for other shapes, for the name "key", and for keys that
        span more than 65,536 numbers.
        """
        named = {**(wanted or {}), **more}
        if "key" in named:
            raise ValueError("the name 'key' is that of the keys; choose another")
        key, columns, places = self._columns(named)
        keys, counts, results = reduced(key, columns, ddof)
        found: dict[str, Any] = {"key": keys}
        for name, place in places.items():
            found[name] = counts if place is None else results[place[0]][place[1]]
        return found

    def _columns(self, named: Mapping[str, Any]) -> tuple[Any, Any, Any]:
        """The key, the columns as (values, operations), and where each name's result lies: None
        for the counts, else (column, operation). The same values are read once."""
        sources: list[Any] = []
        operations: list[list[Any]] = []
        places: dict[str, tuple[int, int] | None] = {}
        for name, entry in named.items():
            pair = pair_of(name, entry)
            if pair is None:
                places[name] = None
                continue
            values, operation = pair
            at = next((i for i, one in enumerate(sources) if one is values), len(sources))
            if at == len(sources):
                sources.append(values)
                operations.append([])
            places[name] = (at, len(operations[at]))
            operations[at].append(operation)
        key, *arrays = _computed([self._key, *sources])
        return key, list(zip(arrays, operations, strict=True)), places


def group_by(key: Any) -> GroupBy:
    """Groups elements by a key of bool or of small integers: group_by(day).agg(mean=(t, sf.mean)).

    key is an array, what asarray() takes, or an expression. Nothing is read before agg().
    """
    return GroupBy(key)


def pair_of(name: str, entry: Any) -> tuple[Any, Any] | None:
    """(values, operation) of an entry; None for counts."""
    if entry is _core.count or (isinstance(entry, str) and entry == "count"):
        return None
    if not isinstance(entry, tuple) or len(entry) != 2:
        raise TypeError(f"{name!r} must be (values, reduction) or spanflow.count, got {entry!r}")
    values, operation = entry
    if isinstance(operation, str):
        operation = getattr(_core, operation, operation)
    if not isinstance(operation, _core.Operation) or operation.kind != "reduction":
        raise TypeError(f"{name!r} needs a reduction such as spanflow.mean, got {operation!r}")
    return values, operation


def _computed(sources: list[Any]) -> list[Any]:
    """Arrays of what is given; all expressions are computed in one pass."""
    lazy = [one for one in sources if isinstance(one, _core.Expression)]
    done = iter(compute(*lazy) if lazy else ())
    return [
        _core.asarray(next(done) if isinstance(one, _core.Expression) else one) for one in sources
    ]


def reduced(
    key: Any, columns: Iterable[tuple[Any, Sequence[Any]]], ddof: float = 0
) -> tuple[Any, Any, list[list[Any]]]:
    """The keys that occur, ascending, how many elements each has, and for each column (values,
    reductions) what each reduction gives."""
    if key.dtype.kind not in "biu":
        raise TypeError(f"group_by() takes keys that are bool or integers, not {key.dtype}")
    pairs = []
    for values, operations in columns:
        if values.shape != key.shape:
            raise ValueError(f"the values have shape {values.shape}, the keys {key.shape}")
        pairs.append((values.reshape(-1), operations))
    low, groups = _range_of(key)
    signed = low - (1 << 64) if low >> 63 == 1 else low  # keys are taken as int64
    counts, results = _core._group_reduce(key.reshape(-1), signed, groups, pairs, ddof)
    occurs = counts > 0
    found = [[whole[occurs] for whole in column] for column in results]
    return _keys(key, low, groups)[occurs], counts[occurs], found


def _range_of(key: Any) -> tuple[int, int]:
    """The smallest key, and how many numbers there are from it to the largest one."""
    if key.size == 0:
        return 0, 1
    low, high = (int(one) for one in minmax(key))
    if high - low >= _MOST_GROUPS:
        raise ValueError(
            f"the keys span {high - low + 1:,} numbers, from {low} to {high}; group_by() takes at "
            f"most {_MOST_GROUPS:,}. spanflow.unique(key, return_inverse=True) gives small ones"
        )
    return low, high - low + 1


def _keys(key: Any, low: int, groups: int) -> Any:
    if key.dtype.kind == "b":
        return _core.arange(low, low + groups) > 0
    native = key.dtype if key.dtype.isnative else key.dtype.newbyteorder()
    return _core.arange(groups).astype(native) + _core.asarray(low, native)
