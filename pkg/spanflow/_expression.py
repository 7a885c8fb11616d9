"""Expressions: several results in one pass, compiled functions of columns, and formulas as text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from spanflow._core import Expression, _compute, lazy


def compute(
    *expressions: Any,
    out: Iterable[Any] | None = None,
    columns: Mapping[str, Any] | None = None,
    threads: int | None = None,
) -> Any:
    """Compute several expressions together: one pass over the data, common parts only once.

    Takes expressions, and returns a tuple with the result of each; or one dict of expressions, and
    returns a dict of results. A result is a new array, a Python number where it is 0-d, or its
    entry of `out`, which has one entry for each expression (None: a new array). `columns` maps the
    names of `col()` to arrays. `threads` says how many may work; results do not depend on it.

    Raises TypeError and ValueError as `Expression.compute` does.
    """
    if len(expressions) == 1 and isinstance(expressions[0], dict):
        named = expressions[0]
        return dict(
            zip(
                named,
                compute(*named.values(), out=out, columns=columns, threads=threads),
                strict=True,
            )
        )
    return _compute(expressions, out, columns, threads)


class Compiled:
    """A function of columns: what `compile` returns."""

    __slots__ = ("_expressions", "_names", "columns")

    def __init__(self, expressions: Any):
        self._names = tuple(expressions) if isinstance(expressions, dict) else None
        if isinstance(expressions, dict):
            expressions = tuple(expressions.values())
        is_one = isinstance(expressions, Expression)
        self._expressions = expressions if is_one else tuple(expressions)
        each = (expressions,) if is_one else self._expressions
        for expression in each:
            if not isinstance(expression, Expression):
                raise TypeError(
                    f"compile() takes expressions (see lazy() and col()), "
                    f"got {type(expression).__name__}"
                )
        self.columns = tuple(dict.fromkeys(name for e in each for name in e.columns))

    def __call__(self, *arrays: Any, out: Any = None, threads: int | None = None, **named: Any):
        """The results for these columns: arrays by position or by name, or one record array."""
        columns = self._bind(arrays, named)
        if isinstance(self._expressions, Expression):
            return self._expressions.compute(out, columns=columns, threads=threads)
        results = _compute(self._expressions, out, columns, threads)
        return results if self._names is None else dict(zip(self._names, results, strict=True))

    def _bind(self, arrays: tuple[Any, ...], named: dict[str, Any]) -> dict[str, Any]:
        if len(arrays) == 1 and not named and _fields(arrays[0]).issuperset(self.columns):
            return {name: arrays[0][name] for name in self.columns} if self.columns else {}
        if len(arrays) > len(self.columns):
            raise TypeError(
                f"this expression has {len(self.columns)} columns {self.columns}, "
                f"{len(arrays)} arrays were given"
            )
        columns = dict(zip(self.columns, arrays, strict=False))
        for name, array in named.items():
            if name in columns:
                raise TypeError(f"column {name!r} is given twice")
            if name not in self.columns:
                raise TypeError(f"there is no column {name!r}; there are {self.columns}")
            columns[name] = array
        return columns

    def __repr__(self) -> str:
        return f"<spanflow compiled expression of {', '.join(self.columns) or 'no columns'}>"


def _fields(array: Any) -> set[str]:
    """The names of a record array's fields; none for anything else."""
    return set(getattr(getattr(array, "dtype", None), "names", None) or ())


def compile(expressions: Any) -> Compiled:
    """A function that computes an expression, a sequence or a dict of them for given columns.

    Its arguments are the columns, by position in the order of their first use (`.columns`), by
    name, or as one record array with fields of these names. It returns one result, a tuple, or a
    dict, as `compute` does. It may be called by any number of threads.
    """
    return Compiled(expressions)


def evaluate(
    formula: str,
    names: Mapping[str, Any],
    *,
    out: Any = None,
    threads: int | None = None,
) -> Any:
    """Compute a formula such as ``"clip((a - 0.5) * 3.46, -1, 1)"`` over named arrays and numbers.

    A formula is a Python expression of names, numbers, operators, comparisons and calls of
    spanflow's operations and reductions (``sqrt(x)``, ``where(x > 0, x, 0)``, ``sum(x, axis=0)``).
    Nothing else is allowed, and nothing is ever executed as Python code. As in NumPy, ``&`` and
    ``|`` bind more tightly than comparisons.

    Raises ValueError for anything else than such a formula and for names that are not given, and
    TypeError and ValueError as `Expression.compute` does.
    """
    from spanflow._formula import expression_of  # brings the parser, which few programs need

    return lazy(expression_of(formula, names)).compute(out, threads=threads)
