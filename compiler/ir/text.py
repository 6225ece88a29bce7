"""The graph as text: prints, parses and prints the same.

program tiny {"optional": ..., "meta": ...}
param {decoder}.attention.qkv.weight [192, 64] linear
recipe {decoder}.attention.qkv.weight {"type": "concat", ...}
graph main(input_ids: int[B, S]) {
  x = embedding(input_ids) {"rows": 97, "width": 64} <weight=decoder.text.tokens.weight>  # float[B, S, 64]
  return x
}

An absent input is `_`. A name that is no plain word is printed as a JSON string.
"""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from archspec.interop.recipe import from_json, to_json
from compiler.ir.check import check
from compiler.ir.graph import Graph, GraphError, Node
from compiler.ir.program import Param, Program
from compiler.ir.types import Dim, TensorType

_WORD = re.compile(r"[\w.{}+*/^%-]+")
_DECODE = json.JSONDecoder().raw_decode
T = TypeVar("T")


def dump(program: Program) -> str:
    """Text of a checked program."""
    head = {"optional": dict(program.optional), "meta": dict(program.meta)}
    lines = [f"program {_name(program.name)} {json.dumps(head)}"]
    lines += [f"param {_name(path)} {json.dumps(list(p.shape))} {_name(p.kind)}" for path, p in program.params.items()]
    lines += [f"recipe {_name(path)} {json.dumps(to_json(recipe))}" for path, recipe in program.recipes.items()]
    for graph in program.blocks.values():
        lines += ["", *graph_lines("block", graph)]
    lines += ["", *graph_lines("graph", program.main)]
    return "\n".join(lines) + "\n"


def graph_lines(kind: str, graph: Graph) -> Iterator[str]:
    """One graph; `kind` is "graph" for the main one, "block" for any other."""
    inputs = ", ".join(f"{_name(name)}: {_type(type_)}" for name, type_ in graph.inputs.items())
    yield f"{kind} {_name(graph.name)}({inputs}) {{"
    for node in graph.nodes:
        comment = "  # " + ", ".join(_type(graph.types[v]) for v in node.outputs) if graph.types else ""
        yield f"  {node_text(node)}{comment}"
    yield f"  return {_names(graph.outputs)}"
    yield "}"


def node_text(node: Node) -> str:
    params = ", ".join(f"{_name(role)}={_name(path)}" for role, path in node.params.items())
    return f"{_names(node.outputs)} = {node.op}({_names(node.inputs)}) {json.dumps(dict(node.attrs))} <{params}>"


def _names(names: tuple[str, ...]) -> str:
    return ", ".join(map(_name, names))


def _name(name: str) -> str:
    plain = _WORD.fullmatch(name) and name != "_"
    return name if plain else json.dumps(name) if name else "_"


def _type(type_: TensorType) -> str:
    return f"{type_.dtype}[{', '.join(_dim(d) for d in type_.shape)}]"


def _dim(dim: Dim) -> str:
    return str(dim) if isinstance(dim, int) else json.dumps(dim) if dim.isdigit() else _name(dim)


def parse(text: str) -> Program:
    """The program that `dump` printed, checked; GraphError names the line that cannot be read."""
    name, head = "", dict[str, Any](optional={}, meta={})
    params: dict[str, Param] = {}
    recipes = {}
    blocks: dict[str, Graph] = {}
    main: Graph | None = None
    lines = enumerate(text.splitlines(), 1)
    for number, line in lines:
        scan = _Line(line, number)
        match scan.word() if line.strip() else "":
            case "":
                continue
            case "program":
                name, head = scan.name(), scan.json()
            case "param":
                path = scan.name()
                params[path] = Param(tuple(scan.json()), scan.name())
            case "recipe":
                path = scan.name()
                recipes[path] = from_json(scan.json())
            case "graph":
                main = _read_graph(scan, lines)
            case "block":
                block = _read_graph(scan, lines)
                blocks[block.name] = block
            case _:
                scan.fail("program, param, recipe, block or graph")
    if main is None:
        raise GraphError("the text has no main graph")
    return check(Program(name, main, blocks, params, head["optional"], head["meta"], recipes))


def parse_graph(text: str) -> Graph:
    """One graph on its own, its values not typed and its operators not checked."""
    lines = enumerate(text.splitlines(), 1)
    number, line = next((n, text) for n, text in lines if text.strip())
    scan = _Line(line, number)
    scan.word()
    return _read_graph(scan, lines)


def _read_graph(scan: "_Line", lines: Iterator[tuple[int, str]]) -> Graph:
    name = scan.name()
    inputs = dict(scan.items("(", ")", lambda: (scan.name(), scan.type_(":"))))
    nodes: list[Node] = []
    for number, line in lines:
        scan = _Line(line, number)
        if line.strip().startswith("return "):
            scan.word()
            outputs = scan.list_(scan.name)
            next(lines)
            return Graph(name, inputs, tuple(nodes), tuple(outputs))
        if line.strip():
            nodes.append(_read_node(scan))
    raise GraphError(f"graph {name} has no return")


def _read_node(scan: "_Line") -> Node:
    outputs = scan.list_(scan.name)
    scan.expect("=")
    op = scan.name()
    inputs = scan.items("(", ")", scan.name)
    attrs = scan.json()
    params = scan.items("<", ">", lambda: (scan.name(), scan.after("=", scan.name)))
    return Node(op, tuple(inputs), tuple(outputs), attrs, dict(params))


class _Line:
    """One line and the place in it that is read next."""

    def __init__(self, text: str, number: int) -> None:
        self.text, self.number, self.at = text, number, 0

    def fail(self, wanted: str) -> None:
        raise GraphError(f"line {self.number}: wanted {wanted} at {self.text[self.at :]!r}")

    def skip(self) -> None:
        while self.text[self.at : self.at + 1] == " ":
            self.at += 1

    def sees(self, mark: str) -> bool:
        self.skip()
        return self.text.startswith(mark, self.at)

    def expect(self, mark: str) -> None:
        if not self.sees(mark):
            self.fail(repr(mark))
        self.at += len(mark)

    def after(self, mark: str, read: Callable[[], T]) -> T:
        self.expect(mark)
        return read()

    def word(self) -> str:
        self.skip()
        match = _WORD.match(self.text, self.at)
        if match is None:
            self.fail("a name")
        assert match is not None
        self.at = match.end()
        return match.group()

    def name(self) -> str:
        if self.sees('"'):
            return str(self.json())
        word = self.word()
        return "" if word == "_" else word

    def json(self) -> Any:
        self.skip()
        try:
            value, self.at = _DECODE(self.text, self.at)
        except json.JSONDecodeError:
            self.fail("JSON")
        return value

    def list_(self, read: Callable[[], T]) -> list[T]:
        out = [read()]
        while self.sees(","):
            self.expect(",")
            out.append(read())
        return out

    def items(self, start: str, stop: str, read: Callable[[], T]) -> list[T]:
        self.expect(start)
        out = [] if self.sees(stop) else self.list_(read)
        self.expect(stop)
        return out

    def type_(self, mark: str) -> TensorType:
        self.expect(mark)
        dtype = self.name()
        return TensorType(dtype, tuple(self.items("[", "]", self.dim)))

    def dim(self) -> Dim:
        if self.sees('"'):
            return self.name()
        word = self.word()
        return int(word) if word.isdigit() else word
