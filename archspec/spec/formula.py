"""Formulas: numbers written as text, `"=4*d_model"`. Parsed by a whitelist and walked; no code is ever run.

`+ - * / **`, parentheses, `sqrt exp log min max round floor`, and names looked up in an environment. `log` is natural,
`round` goes half to even, and a division of whole numbers that comes out even stays whole.
"""

import ast
import math
import operator
import re
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from functools import lru_cache
from typing import NoReturn

Value = int | float

MAX_CHARACTERS = 300
MAX_DIGITS = 40  # no intermediate value above 1e40: a spec cannot make the reader compute for ever
_LARGEST = 10**MAX_DIGITS
_ALLOWED_CHARACTERS = re.compile(r"[A-Za-z0-9_+\-*/(),. ]*")


class FormulaError(ValueError):
    """The formula does not parse, uses an unknown name, or has no finite value."""


_FUNCTIONS: Mapping[str, tuple[Callable[..., Value], int, int | None]] = {  # name -> call, fewest, most arguments
    "sqrt": (math.sqrt, 1, 1),
    "exp": (math.exp, 1, 1),
    "log": (math.log, 1, 1),
    "min": (lambda *values: min(values), 1, None),
    "max": (lambda *values: max(values), 1, None),
    "round": (round, 1, 1),
    "floor": (math.floor, 1, 1),
}


def is_formula(value: object) -> bool:
    return isinstance(value, str) and value.startswith("=")


def evaluate(text: str, env: Mapping[str, Value]) -> Value:
    """The value of `text` (with or without its leading `=`), names taken from `env`; raises FormulaError."""
    try:
        return _compiled(text)(env)
    except (ZeroDivisionError, OverflowError, ValueError) as error:
        if isinstance(error, FormulaError):
            raise
        raise FormulaError(f"{text!r} has no value: {error}") from None


@lru_cache(maxsize=4096)
def names(text: str) -> frozenset[str]:
    """The names that a formula uses."""
    tree = parse(text)
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    return frozenset(n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and id(n) not in called)


@lru_cache(maxsize=4096)
def parse(text: str) -> ast.expr:
    """The checked syntax tree of a formula; raises FormulaError at whatever is not on the whitelist."""
    body = text.removeprefix("=").strip()
    if len(body) > MAX_CHARACTERS:
        raise FormulaError(f"formula of {len(body)} characters; at most {MAX_CHARACTERS} are allowed")
    bad = body[_ALLOWED_CHARACTERS.match(body).end() :]  # type: ignore[union-attr]
    if bad:
        raise FormulaError(f"{text!r} does not parse: {bad[0]!r} is not allowed in a formula")
    try:
        tree = ast.parse(body, mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        raise FormulaError(f"{text!r} does not parse as a formula") from None
    _check(tree, text)
    return tree


def _check(node: ast.expr, text: str) -> None:
    match node:
        case ast.BinOp(left=left, op=ast.Add() | ast.Sub() | ast.Mult() | ast.Div() | ast.Pow(), right=right):
            _check(left, text)
            _check(right, text)
        case ast.UnaryOp(op=ast.USub() | ast.UAdd(), operand=operand):
            _check(operand, text)
        case ast.Name():
            pass
        case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
            _bounded(value, text)
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]):
            if name not in _FUNCTIONS:
                raise FormulaError(f"{text!r}: unknown function {name!r}; allowed: {' '.join(_FUNCTIONS)}")
            _, fewest, most = _FUNCTIONS[name]
            if len(args) < fewest or (most is not None and len(args) > most):
                raise FormulaError(f"{text!r}: {name} takes {fewest} argument{'s' if most is None else ''}")
            for arg in args:
                _check(arg, text)
        case _:
            raise FormulaError(
                f"{text!r}: {type(node).__name__} is not allowed; allowed: + - * / **, {' '.join(_FUNCTIONS)}, names"
            )


@lru_cache(maxsize=4096)
def _compiled(text: str) -> Callable[[Mapping[str, Value]], Value]:
    """The formula as a function of its names; a formula by head and layer is evaluated thousands of times."""
    return _function(parse(text))


def _function(node: ast.expr) -> Callable[[Mapping[str, Value]], Value]:
    match node:
        case ast.Constant(value=number):
            return lambda env: number  # type: ignore[return-value]
        case ast.Name(id=name):
            return lambda env: env[name] if name in env else _unknown(name, env)
        case ast.UnaryOp(op=op, operand=operand):
            inner = _function(operand)
            return (lambda env: -inner(env)) if isinstance(op, ast.USub) else inner
        case ast.Call(func=ast.Name(id=name), args=args):
            call, parts = _FUNCTIONS[name][0], [_function(arg) for arg in args]
            return lambda env: _bounded(call(*[part(env) for part in parts]), name)
        case ast.BinOp(left=left, op=op, right=right):
            one, other, combine = _function(left), _function(right), _COMBINE[type(op)]
            return lambda env: _bounded(combine(one(env), other(env)), "formula")
    raise AssertionError(node)


def _unknown(name: str, env: Mapping[str, Value]) -> NoReturn:
    raise FormulaError(unknown_name(name, env))


def _divide(a: Value, b: Value) -> Value:
    return a // b if isinstance(a, int) and isinstance(b, int) and b and a % b == 0 else a / b


def _power(a: Value, b: Value) -> Value:
    if abs(a) > 1 and b * math.log10(abs(a)) > MAX_DIGITS:
        raise FormulaError(f"{a}**{b} has more than {MAX_DIGITS} digits")
    if abs(b) > 10_000 and isinstance(a, int):
        a = float(a)  # 1 and -1 to a large power: no long loop over whole numbers
    power = a**b
    if isinstance(power, complex):
        raise FormulaError(f"{a}**{b} is not a real number")
    return power


_COMBINE: Mapping[type[ast.operator], Callable[[Value, Value], Value]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: _divide, ast.Pow: _power,
}  # fmt: skip


def _bounded(value: Value, text: str) -> Value:
    if not abs(value) <= _LARGEST:  # also refuses nan
        raise FormulaError(f"{text}: the value is not a finite number below 1e{MAX_DIGITS}")
    return value


def unknown_name(name: str, known: Mapping[str, Value]) -> str:
    near = get_close_matches(name, list(known), 1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"unknown name {name!r} in a formula{hint} (known here: {', '.join(known)})"
