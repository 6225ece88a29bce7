"""The builder that an operator's `write_onnx.py` calls: `write(w, node) -> output value name(s)`.

A writer stands in one graph, the main one or a block. What a block does with captured values alone (masks, rotary
tables, lengths) is written into the main graph once with `shared`, not once a layer.
"""

import json
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import numpy as np

from archspec.errors import InputError
from compiler.emit.onnx import lengths
from compiler.emit.onnx.sheet import LOCAL, NUMPY, Array, Body, Cache, Kept, Line, Sheet, Table, Weight
from compiler.emit.onnx.target import FUSED, Target
from compiler.ir.graph import Node
from compiler.ir.types import TensorType
from compiler.ops.base import Attrs

FLOATS = ("alpha", "epsilon", "scale", "softcap")  # attributes that a spec may give as whole numbers


class Writer:
    """`lines`, `weights` and `caches` collect what this graph writes; the sheet holds the main graph and constants."""

    def __init__(self, sheet: Sheet, target: Target, lines: list[Line], *, local: bool) -> None:
        self.sheet, self.target, self.lines, self.local = sheet, target, lines, local
        self.weights: dict[str, Weight] = {}  # local name -> weight, inside a block
        self.caches: list[Cache] = []
        self.kept: list[Kept] = []
        self.taken: set[str] = set()
        self.routed: dict[str, tuple[str, Attrs]] = {}  # a router's weights -> its logits and fields
        self.node: Node | None = None
        self.at = "main"
        self.inputs: tuple[str, ...] = ()  # value names of the current node's inputs, "" where absent
        self.types: tuple[TensorType, ...] = ()

    # Nodes ---------------------------------------------------------------------------------------------------------

    def op(self, op: str, *inputs: str, domain: str = "", **attrs: Any) -> str:
        """Append a standard node with one output; returns its name."""
        return self.many(op, *inputs, outputs=1, domain=domain, **attrs)[0]

    def fused(self, op: str, *inputs: str, **attrs: Any) -> str:
        """Append a node of ONNX Runtime's own with one output."""
        return self.many(op, *inputs, outputs=1, domain=FUSED[op][0], **attrs)[0]

    def many(
        self, op: str, *inputs: str, outputs: int | Sequence[bool], domain: str = "", **attrs: Any
    ) -> tuple[str, ...]:
        """Append a node; `outputs`: how many, or which ones are wanted (an unwanted one is named "")."""
        assert self.local or not any(name.startswith(LOCAL) for name in inputs), f"{self.at} reads a block's value"
        wanted = [True] * outputs if isinstance(outputs, int) else outputs
        names = tuple(self._fresh(f"{self.at}/{op}") if want else "" for want in wanted)
        given = {k: float(v) if k in FLOATS else v for k, v in attrs.items() if v is not None}
        self.lines.append(Line(op, domain, inputs, names, given))
        return names

    def _fresh(self, name: str) -> str:
        if not self.local:
            return self.sheet.fresh(name)
        count, wanted = 2, name
        while name in self.taken:
            name, count = f"{wanted}_{count}", count + 1
        self.taken.add(name)
        return LOCAL + name

    # Constants -----------------------------------------------------------------------------------------------------

    def ints(self, *values: int) -> str:
        """A vector of whole numbers: shapes, axes, positions."""
        return self.sheet.constant(np.array(values, np.int64))

    def whole(self, value: int, dtype: str = "int") -> str:
        """One whole number, without axes."""
        return self.sheet.constant(np.array(value, NUMPY[dtype]))

    def number(self, value: float) -> str:
        """One number of the program's float type, without axes."""
        return self.numbers(value)

    def numbers(self, values: Any, dtype: str = "") -> str:
        """Constant numbers in the program's float type, or in `dtype`."""
        return self.sheet.constant(np.asarray(values).astype(NUMPY[dtype or self.target.dtype]))

    def single(self, values: Any) -> str:
        """Constant numbers in fp32, whatever the program's float type."""
        return self.numbers(values, "fp32")

    def table(self, key: str, shape: tuple[int, ...], values: Callable[[], Array]) -> str:
        """Many constant numbers in the program's float type, worked out when the file is written."""
        return self.sheet.table(key, Table(shape, self.target.dtype, values))

    def float(self, x: str) -> str:
        """x in the program's float type."""
        return self.op("Cast", x, to=self.target.dtype)

    def cast(self, x: str, to: str) -> str:
        """x as "int" (64 bit), "int32", "bool", "fp64", "fp32", "fp16" or "bf16"."""
        return self.op("Cast", x, to=to)

    # Parameters ----------------------------------------------------------------------------------------------------

    def param(self, role: str, *, transposed: bool = False) -> str:
        """The initializer of the current node's parameter."""
        assert self.node is not None
        path = self.node.params[role]
        shape = self.sheet.program.params[path].shape
        weight = Weight(path, shape[::-1] if transposed else shape, transposed)
        if not transposed:
            self.sheet.plain.add(path)
        return self._weight(weight, f"{LOCAL}{path}{' transposed' if transposed else ''}")

    def interleaved(self, role: str, other: str) -> str:
        """One initializer of two parameters of the current node, (E, F, ...) each: their rows in turns (E, 2F, ...)."""
        assert self.node is not None
        path, beside = self.node.params[role], self.node.params[other]
        experts, rows, *rest = self.sheet.program.params[path].shape
        weight = Weight(path, (experts, 2 * rows, *rest), beside=beside)
        return self._weight(weight, f"{LOCAL}{path} and {beside}")

    def _weight(self, weight: Weight, local: str) -> str:
        if not self.local:
            return self.sheet.weight(weight)
        self.weights[local] = weight
        return local

    def is_plain(self, role: str) -> bool:
        """Does something already read this parameter untransposed?"""
        assert self.node is not None
        return self.node.params[role] in self.sheet.plain

    # Lengths and shared values ---------------------------------------------------------------------------------------

    def shared(self, key: str, build: Callable[["Writer"], str]) -> str:
        """A value of the main graph, written once for each `key`, which must name all that it depends on."""
        if key not in self.sheet.shared:
            main = Writer(self.sheet, self.target, self.sheet.lines, local=False)
            main.at, main.node = f"shared/{key.split(' ', 1)[0]}", self.node
            self.sheet.shared[key] = (build(main),)
        return self.sheet.shared[key][0]

    def length(self, symbol: Any) -> str:
        """The size of a symbol (or a number) at run time, as a vector of one."""
        if isinstance(symbol, int):
            return self.ints(symbol)
        if symbol == "T" and not self.sheet.stepping:
            symbol = "S"
        found = next(((n, t.shape.index(symbol)) for n, t in self.sheet.inputs.items() if symbol in t.shape), None)
        if found is None and lengths.is_formula(symbol):
            return self.shared(f"length {symbol}", lambda m: m._worked_out(symbol))
        if found is None:
            self.refuse(f"no input has the length {symbol}")
        name, axis = found
        return self.shared(f"length {symbol}", lambda m: m.op("Shape", name, start=axis, end=axis + 1))

    def _worked_out(self, size: str) -> str:
        try:
            return lengths.write(size, self.op, self.ints, self.length)
        except ValueError:
            self.refuse(f"the length {size}")

    def key_length(self, type_: TensorType, axis: int = 2) -> Any:
        """Symbol for the number of keys: those of a self-attention grow with the past."""
        symbol = type_.shape[axis]
        return "T" if symbol == "S" and self.sheet.stepping else symbol

    def scalar(self, x: str, dtype: str = "int") -> str:
        """A vector of one as a number without axes."""
        y = self.op("Squeeze", x)
        return y if dtype == "int" else self.cast(y, dtype)

    @property
    def max_length(self) -> int:
        """Longest sequence that the spec speaks of; 0 where it does not say."""
        return int(self.sheet.program.meta.get("max_length") or 0)

    # State -----------------------------------------------------------------------------------------------------------

    def past(self) -> tuple[str, str]:
        """Names for this attention's past keys and values; ("", "") where the model does not step."""
        if not self.sheet.stepping:
            return "", ""
        number = len(self.caches)
        return f"{LOCAL}past.{number}.key", f"{LOCAL}past.{number}.value"

    def keep(self, past: tuple[str, str], present: tuple[str, str], heads: int, key: int, value: int) -> None:
        """Declare what is carried to the next step."""
        if past[0]:
            self.caches.append(Cache(heads, key, value, past, present))

    def before(self, name: str, type_: TensorType) -> str:
        """A state as the last step left it: zeros at the start, and nothing along an axis that grows. See `after`."""
        if self.sheet.stepping and self.local:
            return self._fresh(f"{self.at}/{name}")
        if self.sheet.stepping:
            past = f"past_state.{len(self.sheet.kept)}.{name}"
            self.sheet.kept.append(Kept(name, type_, past, ""))  # `after` says what it becomes
            return past
        return self.shared(key_of("zeros", list(type_.shape), type_.dtype), lambda m: m.zeros(type_))

    def after(self, name: str, type_: TensorType, past: str, present: str) -> None:
        """Declare what the state that `before` gave becomes."""
        if self.sheet.stepping and self.local:
            self.kept.append(Kept(name, type_, past, present))
        elif self.sheet.stepping:
            number = next(i for i, kept in enumerate(self.sheet.kept) if kept.past == past)
            self.sheet.kept[number] = Kept(name, type_, past, present)

    def zeros(self, type_: TensorType) -> str:
        """A tensor of zeros."""
        sizes = self.op("Concat", *(self.length(d) for d in type_.shape), axis=0)
        return self.op("Expand", self.numbers(0, "" if type_.dtype == "float" else type_.dtype), sizes)

    # Loops -----------------------------------------------------------------------------------------------------------

    def scan(
        self,
        build: Callable[["Writer", tuple[str, ...], tuple[str, ...]], tuple[tuple[str, ...], tuple[str, ...]]],
        states: Sequence[str],
        rows: Sequence[str],
        outputs: int = 1,
        axis: int = 1,
    ) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """One pass along `axis` of `rows`: the last states, and the outputs put together along the same axis.

        build(writer of the body, states, slices of rows without the axis) -> new states, outputs. All in fp32.
        """
        inside = Writer(self.sheet, self.target, [], local=self.local)
        inside.weights, inside.taken, inside.node, inside.at = self.weights, self.taken, self.node, f"{self.at}/each"
        given = tuple(inside._fresh(f"{inside.at}/given") for _ in (*states, *rows))
        ends, made = build(inside, given[: len(states)], given[len(states) :])
        # An output of the body must be a value of its own: two may be the same value, or an input.
        results = tuple(inside.op("Identity", value) for value in (*ends, *made))
        got = self.many(
            "Scan", *states, *rows, outputs=len(states) + outputs, body=Body(given, tuple(inside.lines), results),
            num_scan_inputs=len(rows), scan_input_axes=[axis] * len(rows), scan_output_axes=[axis] * outputs,
        )  # fmt: skip
        return got[: len(states)], got[len(states) :]

    # Refusals --------------------------------------------------------------------------------------------------------

    def note(self, text: str) -> None:
        """Say in the report why a fused operator was not used."""
        self.sheet.notes.setdefault(text)

    def refuse(self, reason: str) -> NoReturn:
        """This node cannot be said in ONNX."""
        op = self.node.op if self.node else self.at
        where = self.node.name if self.node else self.at
        raise InputError(f"the ONNX target cannot write {op} ({where}): {reason}", source=self.sheet.program.name)


def key_of(*parts: Any) -> str:
    """A key for `shared` from anything that is JSON."""
    return " ".join(part if isinstance(part, str) else json.dumps(part, sort_keys=True) for part in parts)
