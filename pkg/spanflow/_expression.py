"""Expressions: several results in one pass, and formulas as text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from spanflow._core import _compute, lazy


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
