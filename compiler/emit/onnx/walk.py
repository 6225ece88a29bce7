"""Writes a program: the main graph in order, every distinct block once, its lines instantiated for each layer."""

from dataclasses import dataclass, replace

from compiler import ops
from compiler.emit.onnx.sheet import ABSENT, LOCAL, Body, Cache, Kept, Line, Sheet, Weight
from compiler.emit.onnx.target import Target
from compiler.emit.onnx.writer import Writer
from compiler.ir.graph import Graph, Node
from compiler.ir.program import Program, calls, fill, of_call
from compiler.ir.types import TensorType


@dataclass(frozen=True)
class Stencil:
    """A block, written once: local names, and what has to be filled in for each call."""

    lines: list[Line]
    weights: dict[str, Weight]
    caches: list[Cache]
    kept: list[Kept]
    outputs: tuple[str, ...]
    known: dict[str, tuple[str, TensorType]]


def write_program(program: Program, target: Target, *, stepping: bool) -> tuple[Sheet, tuple[str, ...]]:
    """The filled sheet and the names of the program's outputs. InputError names an operator that ONNX cannot say."""
    sheet = Sheet(program, stepping, dict(program.main.inputs))
    sheet.taken.update(sheet.inputs)
    writer = Writer(sheet, target, sheet.lines, local=False)
    values = {"": "", **{name: name for name in sheet.inputs}}
    stencils: dict[tuple[str, ...], Stencil] = {}
    for node in program.main.nodes:
        if node.op == "repeat":
            made = _region(writer, node, values, stencils)
        else:
            made = write_node(writer, program.main, node, values)
        values.update(zip(node.outputs, made, strict=True))
    sheet.known.update({values[v]: (v, program.main.types[v]) for node in program.main.nodes for v in node.outputs})
    return sheet, tuple(values[v] for v in program.main.outputs)


def write_node(w: Writer, graph: Graph, node: Node, values: dict[str, str]) -> tuple[str, ...]:
    """Names of the node's outputs, written by its operator."""
    w.node, w.at = node, node.name
    w.inputs = tuple(values[v] for v in node.inputs)
    w.types = tuple(graph.types[v] if v else ABSENT for v in node.inputs)
    module = ops.write(node.op, "onnx")
    if module is None:
        w.refuse("this operator has no ONNX form yet")
    _check_fields(w, node, module.FIELDS)
    made = module.write(w, node)
    return (made,) if isinstance(made, str) else tuple(made)


def _check_fields(w: Writer, node: Node, known: tuple[str, ...]) -> None:
    """Refuse a field that the operator declares and its ONNX form does not read: a silent miss is a wrong model."""
    defaults = ops.get(node.op).fields
    for name, value in node.attrs.items():
        if name not in known and value != defaults[name]:
            w.refuse(f"field {name} = {value!r} has no ONNX form yet")


def _region(w: Writer, node: Node, values: dict[str, str], stencils: dict[tuple[str, ...], Stencil]) -> tuple[str, ...]:
    n_carried = len(node.outputs)
    carried = tuple(values[v] for v in node.inputs[:n_carried])
    captured = tuple(values[v] for v in node.inputs[n_carried:])
    for call in calls(node):
        block = w.sheet.program.blocks[call.block]
        nodes = tuple(of_call(inner, call) for inner in block.nodes)
        key = (call.block, call.prefix if nodes != block.nodes else "", *captured)
        if key not in stencils:
            stencils[key] = _stencil(w, replace(block, nodes=nodes), n_carried, captured)
        carried = _instantiate(w.sheet, stencils[key], carried, call.prefix)
    return carried


def _stencil(outer: Writer, block: Graph, n_carried: int, captured: tuple[str, ...]) -> Stencil:
    """The block's lines. Carried streams are named by number; captured values are the main graph's own."""
    w = Writer(outer.sheet, outer.target, [], local=True)
    given = (*(f"{LOCAL}carried.{i}" for i in range(n_carried)), *captured)
    values = {"": "", **dict(zip(block.inputs, given, strict=True))}
    for node in block.nodes:
        values.update(zip(node.outputs, write_node(w, block, node, values), strict=True))
    known = {values[v]: (v, block.types[v]) for node in block.nodes for v in node.outputs}
    return Stencil(w.lines, w.weights, w.caches, w.kept, tuple(values[v] for v in block.outputs), known)


def _instantiate(sheet: Sheet, stencil: Stencil, carried: tuple[str, ...], prefix: str) -> tuple[str, ...]:
    """Append the stencil's lines for the layer `prefix`; returns the new carried values."""
    names = {f"{LOCAL}carried.{i}": value for i, value in enumerate(carried)}
    for name, weight in stencil.weights.items():
        path, beside = fill(weight.path, prefix), fill(weight.beside, prefix)
        names[name] = sheet.weight(Weight(path, weight.shape, weight.transposed, beside))
    for cache in stencil.caches:
        number = len(sheet.caches)
        past = (f"past_key_values.{number}.key", f"past_key_values.{number}.value")
        names.update(zip(cache.past, past, strict=True))
        present = tuple(sheet.fresh(f"{prefix}/{name.removeprefix(LOCAL)}") for name in cache.present)
        names.update(zip(cache.present, present, strict=True))
        sheet.caches.append(Cache(cache.heads, cache.key_width, cache.value_width, past, (present[0], present[1])))
    for kept in stencil.kept:
        names[kept.past] = f"past_state.{len(sheet.kept)}.{kept.name}"
        names[kept.present] = sheet.fresh(f"{prefix}/{kept.present.removeprefix(LOCAL)}")
        sheet.kept.append(Kept(kept.name, kept.type, names[kept.past], names[kept.present]))

    def of(name: str) -> str:
        if name.startswith(LOCAL) and name not in names:
            names[name] = sheet.fresh(f"{prefix}/{name.removeprefix(LOCAL)}")
        return names.get(name, name)

    def copied(line: Line) -> Line:
        attrs = line.attrs
        if "body" in attrs:
            body = attrs["body"]
            inputs, lines = tuple(map(of, body.inputs)), tuple(map(copied, body.lines))
            attrs = {**attrs, "body": Body(inputs, lines, tuple(map(of, body.outputs)))}
        return Line(line.op, line.domain, tuple(map(of, line.inputs)), tuple(map(of, line.outputs)), attrs)

    sheet.lines += map(copied, stencil.lines)
    sheet.known.update({of(value): (f"{prefix}.{name}", type_) for value, (name, type_) in stencil.known.items()})
    return tuple(map(of, stencil.outputs))
