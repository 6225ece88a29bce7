"""A program with source stacks as two: what runs once over the sources, and the output stack, which steps.

The whole is one graph (`model.onnx`). Where the output stack can step, `encoder.onnx` and `decoder.onnx` stand beside
it and read the same data file: the first gives what the second takes at each step, beside keys and values of its past
(`compiler.emit.onnx.once` makes that the keys and values of the sources, layer by layer).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from compiler.ir.check import check
from compiler.ir.graph import Graph, Node
from compiler.ir.program import Program, block_runs
from compiler.ir.types import TensorType

ENCODER_FILE = "encoder.onnx"
DECODER_FILE = "decoder.onnx"
Values = tuple[str, ...]
OWN = {"S", "T"}  # lengths of the output stack


@dataclass(frozen=True)
class Divided:
    """Two programs: the outputs of `encode` are inputs of `decode`, under the same names."""

    encode: Program
    decode: Program


def divide(program: Program) -> Divided | None:
    """None where nothing but the output stack runs."""
    main, own = program.main, _own(program.main)
    once = [node for node in main.nodes if own.isdisjoint(node.outputs)]
    each = [node for node in main.nodes if not own.isdisjoint(node.outputs)]
    made = [value for node in once for value in node.outputs]
    read = {value for node in each for value in node.inputs}.union(main.outputs)
    crossing = _named([value for value in made if value in read], main)
    if not crossing:
        return None
    sources = {value: type_ for value, type_ in main.inputs.items() if value not in own}
    encode = _part(program, once, sources, tuple(crossing), crossing)
    given = {crossing[value]: main.types[value] for value in crossing}
    also = {value: type_ for value, type_ in sources.items() if value in read}  # masks of padding in the sources
    inputs = {value: type_ for value, type_ in main.inputs.items() if value in own} | also | given
    decode = _part(program, each, inputs, main.outputs, crossing)
    return Divided(encode, replace(decode, meta={**program.meta, "stacks": [program.meta["output"]]}))


def _own(main: Graph) -> set[str]:
    """Values that depend on the tokens of the output stack, and those that depend on nothing."""
    own = {value for value, type_ in main.inputs.items() if OWN.intersection(map(str, type_.shape))}
    for node in main.nodes:
        if not any(node.inputs) or not own.isdisjoint(node.inputs):
            own.update(node.outputs)
    return own


def _named(values: list[str], main: Graph) -> dict[str, str]:
    """Each value's public name: `<stack>_states`, with a number behind it from the second on."""
    names: dict[str, str] = {}
    for value in values:
        base = f"{value.partition('.')[0]}_states"
        name, count = base, 2
        while name in names.values() or name in main.inputs:
            name, count = f"{base}_{count}", count + 1
        names[value] = name
    return names


def _part(
    program: Program,
    nodes: Iterable[Node],
    inputs: Mapping[str, TensorType],
    outputs: Values,
    rename: Mapping[str, str],
) -> Program:
    def renamed(values: Values) -> Values:
        return tuple(rename.get(value, value) for value in values)

    kept = tuple(node.with_(inputs=renamed(node.inputs), outputs=renamed(node.outputs)) for node in nodes)
    called = {block for node in kept if node.op == "repeat" for block, _ in block_runs(node)}
    part = replace(
        program,
        main=Graph(program.main.name, inputs, kept, renamed(outputs)),
        blocks={name: block for name, block in program.blocks.items() if name in called},
        optional={name: how for name, how in program.optional.items() if name in inputs},
    )
    return check(part)
