"""Group-by over a pipeline: each item is reduced by itself, what comes out is merged."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from spanflow import _core
from spanflow._collate import concatenate
from spanflow._core import Array, Expression, asarray, col
from spanflow._description import expression_text
from spanflow._group import pair_of, reduced

if TYPE_CHECKING:
    from spanflow._pipeline import Pipeline

_MOST_PARTS: Final = 64  # that wait to be merged


class Groups(NamedTuple):
    """Groups of some items: their keys, ascending, and for each of them how many elements there
    are, and what each reduction needs (see _Rule)."""

    key: Array
    counts: Array
    parts: tuple[tuple[Array, ...], ...]


class _Rule(NamedTuple):
    """How a reduction is put together of those of several items."""

    parts: tuple[Any, ...]  # the reductions of an item
    merge: Callable[[Merging, tuple[Array, ...]], tuple[Array, ...]]
    finish: Callable[[Array, tuple[Array, ...], float], Array]


class Merging:
    """Groups behind one another, of which those with the same key become one."""

    def __init__(self, key: Array, count: Array):
        self.key = key
        self.count = count
        self.keys, _, ((self.counts,),) = reduced(key, [(count, [_core.sum])])

    def reduce(self, values: Array, operation: Any) -> Array:
        """A reduction of the values of each key."""
        _, _, ((result,),) = reduced(self.key, [(values, [operation])])
        return result

    def again(self, parts: tuple[Array, ...], operations: tuple[Any, ...]) -> tuple[Array, ...]:
        """The parts by the reductions that gave them, in their dtypes."""
        return tuple(
            self.reduce(part, operation).astype(part.dtype)
            for part, operation in zip(parts, operations, strict=True)
        )

    def moments(self, parts: tuple[Array, ...]) -> tuple[Array, ...]:
        """Means and squared deviations, by Chan, Golub and LeVeque (1979)."""
        mean, squares = parts
        means = self.reduce(mean * self.count, _core.sum) / self.counts
        away = mean - means[_core.searchsorted(self.keys, self.key)]
        return means, self.reduce(squares + self.count * away * away, _core.sum)


def _same(*operations: Any) -> _Rule:
    return _Rule(
        operations,
        lambda merging, parts: merging.again(parts, operations),
        lambda count, parts, ddof: parts[0],
    )


def _moments(finish: Callable[[Array, tuple[Array, ...], float], Array]) -> _Rule:
    return _Rule((_core.mean, _core.var), Merging.moments, finish)


def _variance(count: Array, parts: tuple[Array, ...], ddof: float) -> Array:
    left = count - ddof
    nan = float("nan")
    return _core.where(left > 0, parts[1] / _core.where(left > 0, left, 1.0), nan)


_RULES: Final[dict[str, _Rule]] = {
    **{name: _same(getattr(_core, name)) for name in ("sum", "prod", "min", "max", "any", "all")},
    "mean": _moments(lambda count, parts, ddof: parts[0]),
    "var": _moments(_variance),
    "std": _moments(lambda count, parts, ddof: _core.sqrt(_variance(count, parts, ddof))),
}


class _PartOf:
    """What one item adds: called on the run's threads."""

    def __init__(self, expressions: list[Any], operations: list[tuple[Any, ...]]):
        self.compiled = _core.compile(expressions)
        self.operations = operations

    def __call__(self, item: Any) -> Groups:
        key, *columns = self.columns_of(item)
        keys, counts, results = reduced(key, zip(columns, self.operations, strict=True))
        parts = []
        for operations, found in zip(self.operations, results, strict=True):
            if operations == _RULES["mean"].parts:  # variances as sums of squared deviations
                found = [found[0].astype("f8"), found[1].astype("f8") * counts]
            parts.append(tuple(found))
        return Groups(keys, counts, tuple(parts))

    def columns_of(self, item: Any) -> Iterable[Array]:
        if isinstance(item, Mapping):
            missing = [name for name in self.compiled.columns if name not in item]
            if missing:
                raise ValueError(
                    f"there is no column {missing[0]!r}; the arrays are {', '.join(item)}"
                )
            return self.compiled(*(item[name] for name in self.compiled.columns), threads=1)
        arrays = item if isinstance(item, tuple) else (asarray(item),)
        return self.compiled(*arrays[: len(self.compiled.columns)], threads=1)


class GroupedPipeline:
    """A pipeline whose elements are grouped by a key; Pipeline.group_by() makes it."""

    def __init__(self, pipe: Pipeline, key: Any, options: Mapping[str, Any]):
        self._pipe = pipe
        self._key = _expression_of("the key", key)
        self._options = options

    def __repr__(self) -> str:
        return f"{self._pipe!r}\n└─ group_by({expression_text(self._key)})"

    def agg(
        self, wanted: Mapping[str, Any] | None = None, /, *, ddof: float = 0, **more: Any
    ) -> dict[str, Any]:
        """Runs the pipeline to its end and reduces the values of each group, in one pass.

        As agg() of spanflow.group_by: a result is named by a keyword, or by a string in a mapping,
        and is a pair (values, reduction), or spanflow.count alone. Values are names of columns or
        expressions of them, with the shape of the key; reductions are sum, prod, min, max, any,
        all, mean, var (with ddof) and std, as operations or names.

        Returns a dictionary: under "key" the keys that occur, ascending, in the key's dtype, and
        under each name an array with one element for each of them. It does not depend on the number
        of threads. What is kept of the items are their groups. Raises TypeError for keys that are
        not bool or integers and for other reductions, ValueError for columns that are not there,
        and for keys that span more than 65,536 numbers.
        """
        named = {**(wanted or {}), **more}
        if "key" in named:
            raise ValueError("the name 'key' is that of the keys; choose another")
        pairs = {name: pair_of(name, entry) for name, entry in named.items()}
        rules = {name: _rule_of(name, pair[1]) for name, pair in pairs.items() if pair}
        values = [_expression_of(repr(name), pair[0]) for name, pair in pairs.items() if pair]
        part = _PartOf([self._key, *values], [rule.parts for rule in rules.values()])
        groups = self._reduce(part, list(rules.values()))
        parts = dict(zip(rules, groups.parts, strict=True))
        found: dict[str, Any] = {"key": groups.key}
        for name in pairs:
            rule = rules.get(name)
            found[name] = rule.finish(groups.counts, parts[name], ddof) if rule else groups.counts
        return found

    def _reduce(self, part: _PartOf, rules: list[_Rule]) -> Groups:
        waiting: list[Groups] = []
        with self._pipe.map(part).run(**self._options) as run:
            for groups in run:
                waiting.append(groups)
                if len(waiting) == _MOST_PARTS:
                    waiting = [_merge(waiting, rules)]
        if not waiting:
            nothing = asarray([], "f8")
            return Groups(
                asarray([], "i8"),
                asarray([], "i8"),
                tuple((nothing,) * len(rule.parts) for rule in rules),
            )
        return _merge(waiting, rules)


def _merge(groups: list[Groups], rules: list[_Rule]) -> Groups:
    if len(groups) == 1:
        return groups[0]
    key = concatenate([one.key for one in groups])
    merging = Merging(key, concatenate([one.counts for one in groups]))
    parts = []
    for i, rule in enumerate(rules):
        columns = zip(*(one.parts[i] for one in groups), strict=True)
        parts.append(rule.merge(merging, tuple(concatenate(list(column)) for column in columns)))
    return Groups(merging.keys, merging.counts, tuple(parts))


def _rule_of(name: str, operation: Any) -> _Rule:
    rule = _RULES.get(operation.__name__)
    if rule is None:
        raise TypeError(
            f"{name!r}: a pipeline's groups have {', '.join(_RULES)}, got {operation!r}"
        )
    return rule


def _expression_of(what: str, values: Any) -> Any:
    if isinstance(values, str):
        return col(values)
    if isinstance(values, Expression):
        return values
    raise TypeError(f"{what} must be the name of a column or an expression of them, got {values!r}")
