"""Builds one graph node by node: names values, declares parameters, infers types as it goes."""

from collections.abc import Mapping
from typing import Any

from compiler import ops
from compiler.ir.graph import Graph, GraphError, Node
from compiler.ir.program import Param
from compiler.ir.types import TensorType


class Builder:
    """`params` is shared by all builders of one program."""

    def __init__(self, name: str, params: dict[str, Param]) -> None:
        self.name, self.params = name, params
        self.inputs: dict[str, TensorType] = {}
        self.types: dict[str, TensorType] = {}
        self.nodes: list[Node] = []

    def input(self, name: str, type_: TensorType) -> str:
        """Declare a graph input (asking again for the same one is fine)."""
        if name in self.types and self.types[name] != type_:
            raise GraphError(
                f"the input {name} is read as {self.types[name]} and as {type_}: give one of the two a name of its own"
            )
        self.inputs[name] = self.types[name] = type_
        return name

    def node(
        self,
        op: str,
        *inputs: str,
        at: str,
        params: Mapping[str, str] | None = None,
        kind: str = "linear",
        outputs: tuple[str, ...] = (),
        **attrs: Any,
    ) -> str:
        """Append a node whose values are named after `at`; returns its first output.

        params: role -> parameter path for every role that the operator declares; `kind` is their storage kind.
        outputs: suffixes where the operator makes several values.
        """
        declared = ops.get(op)
        given = [self.types[v] if v else TensorType("absent", ()) for v in inputs]
        if wrong := declared.check(given, attrs):
            raise GraphError(f"{self.name}, {at} ({op}): {wrong}")
        for role, shape in declared.params(given, attrs).items():
            self.declare((params or {})[role], shape, kind)
        made = declared.infer(given, attrs)
        names = tuple(self.fresh(f"{at}.{s}") for s in outputs) if outputs else (self.fresh(at),)
        if len(made) != len(names):
            raise GraphError(f"{self.name}, {at} ({op}): makes {len(made)} values, {len(names)} named")
        self.types.update(zip(names, made, strict=True))
        self.nodes.append(Node(op, tuple(inputs), names, attrs, dict(params or {})))
        return names[0]

    def append(self, node: Node, types: tuple[TensorType, ...]) -> None:
        """Append a node made elsewhere (a repeat)."""
        self.types.update(zip(node.outputs, types, strict=True))
        self.nodes.append(node)

    def declare(self, path: str, shape: tuple[int, ...], kind: str) -> None:
        """Declare a parameter; a shared one must come with the same shape each time."""
        before = self.params.setdefault(path, Param(shape, kind))
        if before.shape != shape:
            raise GraphError(f"parameter {path} has shape {before.shape} in one place and {shape} in another")

    def fresh(self, name: str) -> str:
        if name not in self.types:
            return name
        return next(f"{name}_{i}" for i in range(2, 10**6) if f"{name}_{i}" not in self.types)

    def graph(self, *outputs: str) -> Graph:
        return Graph(self.name, dict(self.inputs), tuple(self.nodes), outputs, dict(self.types))
