"""The graph as text: prints, parses and prints the same.

program tiny {"meta": ...}
param {main}.attention.q.weight [64, 64] linear
graph main(input_ids: int[B, S]) {
  x = embedding(input_ids) {"rows": 97, "width": 64} <weight=decoder.text.tokens.weight>  # float[B, S, 64]
  return x
}
"""

import json
import re
from collections.abc import Iterator

from compiler.ir.check import check
from compiler.ir.graph import Graph, GraphError, Node
from compiler.ir.program import Param, Program
from compiler.ir.types import Dim, TensorType

_NODE = re.compile(
    r"^  (?P<outs>\S.*?) = (?P<op>\w+)\((?P<ins>[^)]*)\) (?P<attrs>\{.*\}) <(?P<params>[^>]*)>(?:  # .*)?$"
)
_GRAPH = re.compile(r"^(?P<kind>graph|block) (?P<name>\S+)\((?P<inputs>.*)\) \{$")
_TYPE = re.compile(r"(?P<name>[^\s:,]+): (?P<dtype>\w+)\[(?P<dims>[^\]]*)\]")


def dump(program: Program) -> str:
    """Text of a checked program."""
    head = {"optional": dict(program.optional), "meta": dict(program.meta)}
    lines = [f"program {program.name} {json.dumps(head)}"]
    lines += [f"param {path} {json.dumps(list(p.shape))} {p.kind}" for path, p in program.params.items()]
    for graph in program.blocks.values():
        lines += ["", *_graph("block", graph)]
    lines += ["", *_graph("graph", program.main)]
    return "\n".join(lines) + "\n"


def _graph(kind: str, graph: Graph) -> Iterator[str]:
    inputs = ", ".join(f"{name}: {type_}" for name, type_ in graph.inputs.items())
    yield f"{kind} {graph.name}({inputs}) {{"
    for node in graph.nodes:
        yield "  " + node_text(node) + _comment(node, graph)
    yield f"  return {', '.join(graph.outputs)}"
    yield "}"


def node_text(node: Node) -> str:
    params = ", ".join(f"{role}={path}" for role, path in node.params.items())
    inputs = ", ".join(v or "_" for v in node.inputs)
    return f"{', '.join(node.outputs)} = {node.op}({inputs}) {json.dumps(dict(node.attrs))} <{params}>"


def _comment(node: Node, graph: Graph) -> str:
    return "  # " + ", ".join(str(graph.types[v]) for v in node.outputs) if graph.types else ""


def parse(text: str) -> Program:
    """The program that `dump` printed; GraphError names the line that cannot be read."""
    lines = iter(enumerate(text.splitlines(), 1))
    _, first = next(lines)
    word, name, head = first.split(" ", 2)
    if word != "program":
        raise GraphError("line 1: a program starts with the word program")
    header = json.loads(head)
    params: dict[str, Param] = {}
    blocks: dict[str, Graph] = {}
    main: Graph | None = None
    for number, line in lines:
        if line.startswith("param "):
            path, rest = line[6:].split(" ", 1)
            shape, kind = rest.rsplit(" ", 1)
            params[path] = Param(tuple(json.loads(shape)), kind)
        elif match := _GRAPH.match(line):
            graph = _read_graph(match["name"], match["inputs"], lines)
            if match["kind"] == "graph":
                main = graph
            else:
                blocks[graph.name] = graph
        elif line:
            raise GraphError(f"line {number}: cannot read {line!r}")
    if main is None:
        raise GraphError("the text has no main graph")
    return check(Program(name, main, blocks, params, header["optional"], header["meta"]))


def _read_graph(name: str, inputs: str, lines: Iterator[tuple[int, str]]) -> Graph:
    types = {m["name"]: TensorType(m["dtype"], tuple(map(_dim, _items(m["dims"])))) for m in _TYPE.finditer(inputs)}
    nodes: list[Node] = []
    for number, line in lines:
        if line.startswith("  return "):
            next(lines)
            return Graph(name, types, tuple(nodes), tuple(_items(line[9:])))
        match = _NODE.match(line)
        if match is None:
            raise GraphError(f"line {number}: cannot read {line!r}")
        ins = tuple("" if v == "_" else v for v in _items(match["ins"]))
        params = dict(item.split("=", 1) for item in _items(match["params"]))
        nodes.append(Node(match["op"], ins, tuple(_items(match["outs"])), json.loads(match["attrs"]), params))
    raise GraphError(f"graph {name} has no return")


def _items(text: str) -> list[str]:
    return [item.strip() for item in text.split(",") if item.strip()]


def _dim(text: str) -> Dim:
    return int(text) if text.isdigit() else text
