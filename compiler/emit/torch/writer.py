"""What an operator's `write_torch.py` talks to: it reads inputs and parameters as expressions and says its line."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from compiler import ops
from compiler.emit.torch.names import attribute, comment, identifier, is_plain, quoted, unique
from compiler.emit.torch.source import helper_names
from compiler.ir.graph import Graph, Node
from compiler.ir.program import Program
from compiler.ir.types import TensorType
from compiler.ops.base import StateTensor

RUNTIME = "compiler.emit.torch.runtime"


def own_path(template: str) -> str | None:
    """The part of a parameter path inside its layer; None where the parameter belongs to the whole model."""
    head, brace, rest = template.partition("}.")
    return rest if brace and head.startswith("{") else None


@dataclass
class File:
    """What the graphs of one file share: helpers used, constants, buffers."""

    program: Program
    helpers: dict[tuple[str, str], None] = field(default_factory=dict)  # (module, name)
    constants: dict[str, str] = field(default_factory=dict)  # name -> expression, at the top of the file
    buffers: dict[str, str] = field(default_factory=dict)  # name -> expression, in the model's __init__
    functions: dict[str, tuple[str, str]] = field(default_factory=dict)  # body -> (name, text), before the layers

    def helper(self, name: str, module: str) -> str:
        self.helpers.setdefault((module, name))
        return name


@dataclass(frozen=True)
class Once:
    """A value that a layer wants computed once before all layers: an expression over main values."""

    hint: str
    template: str  # {0}, {1}, ... stand for the values of `inputs`
    inputs: tuple[str, ...]  # graph inputs of the block


@dataclass(frozen=True)
class ByLayer:
    """Numbers that each layer has for itself: rows of one table of the model."""

    hint: str
    template: str  # what is made of the table before the layers; {0}: the table, a row for each layer, {1}: the stream
    width: int  # of a row
    rows: dict[str, Callable[[Mapping[str, Any]], Sequence[float]]]  # block -> numbers of a call -> its row


@dataclass
class Region:
    """What all blocks of one run of layers are called with, besides the streams."""

    captured: dict[str, str] = field(default_factory=dict)  # graph input -> argument
    onces: dict[str, Once] = field(default_factory=dict)  # argument -> what is computed before the layers
    rows: dict[str, ByLayer] = field(default_factory=dict)  # argument -> the table whose row each layer is handed
    taken: set[str] = field(default_factory=set)  # names that the model's code around the layers uses
    holds: bool = False  # some layer holds keys and values of another stack
    keeps: bool = False  # some layer has a state: all are handed theirs, which may be empty
    holding: "Region | None" = None  # what their `hold`, the method that makes held values, is called with

    @property
    def arguments(self) -> list[str]:
        return [*self.captured.values(), *self.onces, *self.rows]


class Writer:
    """Writes the body of one graph. `steps`: it runs with a state, so operators count on from it.

    owner: expression of the module that holds the parameters. region: what a layer is called with; None in the main
    graph, where a value that is computed once is a line like any other.
    """

    def __init__(self, file: File, graph: Graph, owner: str, steps: bool, region: Region | None = None) -> None:
        self.file, self.graph, self.owner, self.steps, self.region = file, graph, owner, steps, region
        self.lines: list[str] = []
        self.names: dict[str, str] = {}  # value -> variable
        self.caches: list[tuple[Node, StateTensor]] = []  # this block's state, `past[i]` in its code
        self.kept: dict[str, tuple[list[str], str]] = {}  # attention -> its state, variable of all its keys so far
        self.held: list[str] = []  # values made from other stacks, `held[i]` in its code
        self.mains: dict[str, Once] = {}  # values computed once, in the main graph
        self.counters: list[str] = []  # integers (B, 1) that a state carries besides the caches
        self.inputs_given: dict[str, str] = {}  # optional model input -> argument
        self.hints: dict[str, str] = {}  # value -> wanted variable
        self.used: set[str] = set()
        self.current: Node | None = None

    @property
    def stream(self) -> str:
        """The value that gives shape, type and device of the tokens: the graph's first input."""
        return next(iter(self.graph.inputs))

    # -- reading

    def read(self, node: Node, index: int) -> str:
        """The variable of input `index`, "None" where it is absent."""
        value = node.inputs[index]
        return self.variable(value) if value else "None"

    def variable(self, value: str) -> str:
        """The variable of a value; a block's captured input becomes one of its arguments."""
        if value not in self.names:
            assert self.region is not None and value in self.graph.inputs, value
            if value not in self.region.captured:
                self.region.captured[value] = self.fresh(value, argument=True)
            self.names[value] = self.region.captured[value]
        return self.names[value]

    def type(self, value: str) -> TensorType:
        return self.graph.types[value] if value in self.graph.types else self.graph.inputs[value]

    def attr(self, node: Node, name: str) -> Any:
        """A field of the node, its default where the node leaves it out."""
        return node.attrs.get(name, ops.get(node.op).fields.get(name))

    def param(self, node: Node, role: str) -> str:
        """An expression for the parameter in this role."""
        path = node.params[role]
        own = own_path(path)
        return self.shared(path) if own is None else self.own(own)

    def own(self, path: str) -> str:
        if not is_plain(path):
            self.helper("at", f"{RUNTIME}.weights")
        return attribute(self.owner, path)

    def shared(self, path: str) -> str:
        """A parameter of the whole model, seen from inside a layer: handed in."""
        if not is_plain(path):
            self.helper("at", f"{RUNTIME}.weights")
        expression = attribute("self", path)
        return expression if self.region is None else self.once(path, expression.replace("{", "{{").replace("}", "}}"))

    # -- writing

    def set(self, node: Node, expression: str, *, keeps: int | None = None, output: int = 0) -> str:
        """`variable = expression  # shape`. keeps: the input whose variable is taken over if this is its last use."""
        value = node.outputs[output]
        name = self.fresh(self.hints.get(value, value))
        wanted = self.hints.get(value) == "x"
        if keeps is not None and not wanted and self.last_use(node, node.inputs[keeps]):
            name = self.names[node.inputs[keeps]]
        self.names[value] = name
        self.used.add(name)
        self.lines.append(f"{name} = {expression}  # {self.shape(value)}")
        return name

    def line(self, text: str, shape: str = "") -> None:
        self.lines.append(f"{text}  # {shape}" if shape else text)

    def local(self, hint: str) -> str:
        """A fresh variable of the operator's own."""
        name = self.fresh(hint)
        self.used.add(name)
        return name

    def helper(self, name: str, module: str = "") -> str:
        """Copy a function into the file: from the operator's own `torch_helpers.py` unless `module` is given."""
        assert module or self.current is not None
        home = module or f"compiler.ops.{self.current.op}.torch_helpers"  # type: ignore[union-attr]
        return self.file.helper(name, home)

    def once(self, hint: str, template: str, *inputs: str) -> str:
        """The variable of a value computed once before all layers; equal templates over equal inputs are one.

        template: an expression, {0}, {1}, ... standing for graph inputs `inputs`; `self` is the model.
        """
        onces = self.mains if self.region is None else self.region.onces
        for name, known in onces.items():
            if (known.template, known.inputs) == (template, inputs):
                return name
        name = self.fresh(hint, argument=True)
        self.used.add(name)
        onces[name] = Once(hint, template, inputs)
        if self.region is None:
            self.lines.append(f"{name} = {template.format(*map(self.variable, inputs))}")
        return name

    def each_layer(
        self, hint: str, template: str, width: int, row: Callable[[Mapping[str, Any]], Sequence[float]]
    ) -> str:
        """The variable of this layer's row of a table (layers, width), made ready before all layers.

        row: the numbers of a call -> its row. template: an expression of the table {0} and the stream {1}, which keeps
        the rows first. Blocks that say the same have their rows in one table.
        """
        assert self.region is not None
        for name, known in self.region.rows.items():
            if (known.template, known.width) == (template, width) and self.graph.name not in known.rows:
                known.rows[self.graph.name] = row
                return name
        name = self.fresh(hint, argument=True)
        self.used.add(name)
        self.region.rows[name] = ByLayer(hint, template, width, {self.graph.name: row})
        return name

    def cache(self, node: Node) -> list[str]:
        """Expressions of the node's state tensors, in the order that its operator declares them."""
        inputs = [self.type(v) if v else TensorType("absent", ()) for v in node.inputs]
        first = len(self.caches)
        tensors = ops.get(node.op).state(inputs, node.attrs)
        self.caches += [(node, tensor) for tensor in tensors]
        return [f"past[{first + i}]" for i in range(len(tensors))]

    def hold(self, node: Node, index: int) -> str:
        """The expression of an input that is made from another stack's output only: computed once and held."""
        self.held.append(node.inputs[index])
        return f"held[{len(self.held) - 1}]"

    def counter(self, hint: str) -> str:
        """The expression of an integer (B, 1) for each row that a state carries, None without a state."""
        self.counters.append(hint)
        return f"(None if state is None else state.counters[{len(self.counters) - 1}])"

    def given(self, name: str) -> str:
        """The argument of an optional model input, "" where the model has none of this name."""
        return self.inputs_given.get(name, "")

    def function(self, hint: str, arguments: tuple[str, ...], result: str) -> str:
        """The name of a function of tensors, written before the layers; equal bodies are one function."""
        if result not in self.file.functions:
            inputs = map(identifier, self.file.program.main.inputs)  # arguments of the model, which would hide it
            name = unique(identifier(hint), {*(n for n, _ in self.file.functions.values()), *inputs, *helper_names()})
            signature = ", ".join(f"{a}: Tensor" for a in arguments)
            text = f"def {name}({signature}) -> Tensor:\n    return {result}"
            self.file.functions[result] = (name, text)
        return self.file.functions[result][0]

    # -- names

    def fresh(self, name: str, argument: bool = False) -> str:
        """A variable that is not in use. argument: it is one outside the layer too."""
        used = {*self.used, *self.names.values(), *helper_names(), *(name for name, _ in self.file.functions.values())}
        if self.region is not None:
            used |= {*self.region.arguments, *(self.region.taken if argument else ())}
        return unique(identifier(name), used)

    def last_use(self, node: Node, value: str) -> bool:
        """Whether nothing after `node` reads `value`."""
        return value not in self.graph.outputs and self.graph.users(value)[-1] is node

    def shape(self, value: str) -> str:
        return comment("(" + ", ".join(map(str, self.type(value).shape)) + ")")

    def write(self, node: Node) -> None:
        """Let the node's operator say its lines."""
        self.current = node
        module = ops.write(node.op, "torch")
        if module is None:
            raise NotImplementedError(f"operator {node.op!r} has no torch writer")
        module.write(self, node)

    def const(self, hint: str, expression: str) -> str:
        """The name of a constant at the top of the file; equal expressions are one constant."""
        for name, known in self.file.constants.items():
            if known == expression:
                return name
        name = unique(identifier(hint).upper(), self.file.constants)
        self.file.constants[name] = expression
        return name

    def buffer(self, hint: str, expression: str) -> str:
        """The attribute of a tensor of the model that is no parameter (float64); equal expressions are one."""
        for name, known in self.file.buffers.items():
            if known == expression:
                return name
        name = unique(identifier(hint), self.file.buffers)
        self.file.buffers[name] = expression
        return name


__all__ = ["RUNTIME", "File", "Once", "Writer", "quoted"]
