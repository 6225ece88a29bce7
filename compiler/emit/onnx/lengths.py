"""Sizes that follow from the lengths of inputs, as ONNX nodes: "floor((S+1)/2)"."""

import ast
from collections.abc import Callable

from archspec.spec.formula import parse

OPERATORS = {ast.Add: "Add", ast.Sub: "Sub", ast.Mult: "Mul"}


def is_formula(size: str) -> bool:
    """Whether this size is worked out from symbols, not one itself."""
    return not size.isidentifier()


def write(size: str, op: Callable[..., str], number: Callable[[int], str], length: Callable[[str], str]) -> str:
    """A vector of one. op appends a node, number and length give constants and symbols as vectors of one.

    ValueError for what whole numbers cannot say.
    """

    def of(node: ast.expr) -> str:
        match node:
            case ast.Constant(value=int(value)):
                return number(value)
            case ast.Name(id=symbol):
                return length(symbol)
            case ast.BinOp(left=left, op=sign, right=right) if type(sign) in OPERATORS:
                return op(OPERATORS[type(sign)], of(left), of(right))
            case ast.Call(func=ast.Name(id="floor"), args=[ast.BinOp(left=left, op=ast.Div(), right=right)]):
                return op("Div", of(left), of(right))  # of whole numbers that are not negative: rounds down
        raise ValueError(size)

    return of(parse(size))
