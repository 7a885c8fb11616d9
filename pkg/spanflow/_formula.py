"""Formulas: the text of an expression, read as a syntax tree and never run."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Any, Final

import spanflow._core as _core
from spanflow._core import Operation, lazy

_BINARY: Final = {
    ast.Add: "add",
    ast.Sub: "subtract",
    ast.Mult: "multiply",
    ast.Div: "divide",
    ast.FloorDiv: "floor_divide",
    ast.Mod: "remainder",
    ast.Pow: "power",
    ast.LShift: "left_shift",
    ast.RShift: "right_shift",
    ast.BitAnd: "bitwise_and",
    ast.BitOr: "bitwise_or",
    ast.BitXor: "bitwise_xor",
}
_UNARY: Final = {ast.USub: "negative", ast.Invert: "invert"}
_COMPARE: Final = {
    ast.Eq: "equal",
    ast.NotEq: "not_equal",
    ast.Lt: "less",
    ast.LtE: "less_equal",
    ast.Gt: "greater",
    ast.GtE: "greater_equal",
}


def expression_of(formula: str, names: Mapping[str, Any]) -> Any:
    """What the formula says: an expression, or a number where it has no arrays.

    Raises ValueError for anything else than a formula and for names that are not given.
    """
    try:
        tree = ast.parse(formula.strip(), mode="eval")
        return _Reader(formula, names).read(tree.body)
    except SyntaxError as error:
        raise ValueError(f"the formula is not valid: {error.msg}: {formula!r}") from None
    except (RecursionError, MemoryError):
        raise ValueError("the formula is nested too deeply") from None


class _Reader:
    """Builds the expression of a formula's syntax tree."""

    def __init__(self, formula: str, names: Mapping[str, Any]):
        self._formula = formula
        self._names = names

    def read(self, node: ast.expr) -> Any:
        match node:
            case ast.Constant(value=bool() | int() | float() | complex() as value):
                return value
            case ast.Name(id=name):
                return self._named(name)
            case ast.UnaryOp(op=ast.UAdd(), operand=operand):
                return self.read(operand)
            case ast.UnaryOp(op=op, operand=operand) if type(op) in _UNARY:
                return self._apply(_UNARY[type(op)], [self.read(operand)])
            case ast.BinOp(op=op, left=left, right=right) if type(op) in _BINARY:
                return self._apply(_BINARY[type(op)], [self.read(left), self.read(right)])
            case ast.Compare(ops=[op], left=left, comparators=[right]) if type(op) in _COMPARE:
                return self._apply(_COMPARE[type(op)], [self.read(left), self.read(right)])
            case ast.Compare():
                raise self._error("chained comparisons are not defined; join two with &", node)
            case ast.BoolOp() | ast.UnaryOp(op=ast.Not()):
                raise self._error("use & | ~ instead of and, or, not", node)
            case ast.Call(func=ast.Name(id=name), args=args, keywords=keywords):
                options = {k.arg: self._literal(k.value) for k in keywords if k.arg is not None}
                if len(options) != len(keywords):
                    raise self._error("** is not allowed", node)
                return self._apply(name, [self.read(arg) for arg in args], **options)
        raise self._error("this is not allowed", node)

    def _named(self, name: str) -> Any:
        try:
            value = self._names[name]
        except KeyError:
            known = ", ".join(sorted(map(str, self._names))) or "none"
            raise ValueError(f"the name {name!r} is not given; given are {known}") from None
        return value if isinstance(value, (bool, int, float, complex)) else lazy(value)

    def _apply(self, name: str, operands: list[Any], **options: Any) -> Any:
        operation = getattr(_core, name, None)
        if not isinstance(operation, Operation):
            raise ValueError(f"there is no operation {name!r} in spanflow")
        if operation.kind == "reduction":
            operands = [lazy(operand) for operand in operands]
        return operation(*operands, **options)

    def _literal(self, node: ast.expr) -> Any:
        try:
            return ast.literal_eval(node)
        except ValueError:
            raise self._error("an option has to be a constant", node) from None

    def _error(self, what: str, node: ast.expr) -> ValueError:
        text = ast.get_source_segment(self._formula.strip(), node) or self._formula
        return ValueError(f"{what}: {text!r} in the formula {self._formula!r}")
