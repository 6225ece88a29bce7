"""What the writers fill: nodes as plain records, constants, weights and caches by name. Knows nothing of protobuf."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from compiler.ir.program import Program
from compiler.ir.types import TensorType

Array = NDArray[Any]
NUMPY: dict[str, np.dtype[Any]] = {
    "int": np.dtype(np.int64), "int32": np.dtype(np.int32), "bool": np.dtype(np.bool_), "fp64": np.dtype(np.float64),
    "fp32": np.dtype(np.float32), "fp16": np.dtype(np.float16), "bf16": np.dtype(ml_dtypes.bfloat16),
}  # fmt: skip
ABSENT = TensorType("absent", ())
LOCAL = "\0"  # starts the name of a value inside a block that is written once and instantiated for each call


@dataclass(frozen=True, slots=True)
class Line:
    """One ONNX node. An absent input is the empty string."""

    op: str
    domain: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attrs: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Body:
    """The graph inside a Scan: its inputs (fp32), lines and outputs. It may read any value made before the Scan."""

    inputs: tuple[str, ...]
    lines: tuple[Line, ...]
    outputs: tuple[str, ...]

    def reads(self) -> set[str]:
        """Values that it takes from outside."""
        inner = {name for line in self.lines for name in line.outputs} | set(self.inputs)
        return {name for line in self.lines for name in line.inputs}.union(self.outputs) - inner


@dataclass(frozen=True, slots=True)
class Weight:
    """A parameter as an initializer: its path (a template inside a block), stored as it is or transposed.

    beside: path of another parameter of the same shape, whose rows (axis 1) follow those of the first in turns.
    """

    path: str
    shape: tuple[int, ...]
    transposed: bool = False
    beside: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """A large constant, worked out when it is written: its values come in float64, `dtype` is how they are stored."""

    shape: tuple[int, ...]
    dtype: str
    values: Callable[[], Array]


@dataclass(frozen=True, slots=True)
class Cache:
    """Keys (B, heads, T, width) and values of one attention, carried between steps: value names before and after."""

    heads: int
    key_width: int
    value_width: int
    past: tuple[str, str]
    present: tuple[str, str]


@dataclass(frozen=True, slots=True)
class Kept:
    """A state other than keys and values, carried between steps: value names before and after. It starts with zeros.

    An axis named "P_..." grows from none: after the step it is "T_...".
    """

    name: str
    type: TensorType
    past: str
    present: str


@dataclass
class Sheet:
    """One model being written. `stepping`: it takes past keys and values, and positions go on from them."""

    program: Program
    stepping: bool
    inputs: dict[str, TensorType] = field(default_factory=dict)
    lines: list[Line] = field(default_factory=list)
    weights: dict[str, Weight] = field(default_factory=dict)
    constants: dict[str, Array] = field(default_factory=dict)
    tables: dict[str, Table] = field(default_factory=dict)
    caches: list[Cache] = field(default_factory=list)
    kept: list[Kept] = field(default_factory=list)
    notes: dict[str, None] = field(default_factory=dict)  # why a fused operator was not used, in order
    shared: dict[str, tuple[str, ...]] = field(default_factory=dict)
    outputs: dict[str, tuple[str, TensorType]] = field(default_factory=dict)  # public name -> value, type
    known: dict[str, tuple[str, TensorType]] = field(default_factory=dict)  # value -> the program's name for it, type
    slots: set[str] = field(default_factory=set)  # values that hold each token's slot number
    plain: set[str] = field(default_factory=set)  # paths of weights that something reads untransposed
    taken: set[str] = field(default_factory=set)

    def fresh(self, name: str) -> str:
        """`name`, or with a number behind it where it is taken."""
        count = 2
        wanted = name
        while name in self.taken:
            name, count = f"{wanted}_{count}", count + 1
        self.taken.add(name)
        return name

    def constant(self, value: Array) -> str:
        """An initializer with this value, each value once."""
        key = f"constant {value.dtype} {value.shape} {sha256(value.tobytes()).hexdigest()}"
        if key not in self.shared:
            name = self.fresh(f"constant/{len(self.constants)}")
            self.constants[name] = value
            self.shared[key] = (name,)
        return self.shared[key][0]

    def table(self, key: str, table: Table) -> str:
        """The initializer of a table, each `key`, which must name all that its values depend on, once."""
        key = f"table {table.dtype} {key}"
        if key not in self.shared:
            name = self.fresh(f"table/{len(self.tables)}")
            self.tables[name] = table
            self.shared[key] = (name,)
        return self.shared[key][0]

    def weight(self, weight: Weight) -> str:
        """The initializer of a parameter, each (path, orientation) once."""
        key = f"weight {weight.path} {weight.transposed} {weight.beside}"
        if key not in self.shared:
            kind = "/transposed" if weight.transposed else "/interleaved" if weight.beside else ""
            name = self.fresh(weight.path + kind)
            self.weights[name] = weight
            self.shared[key] = (name,)
        return self.shared[key][0]
