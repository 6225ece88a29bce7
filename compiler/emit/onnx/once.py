"""Moves what depends on the sources alone from the graph that steps into the one that runs once: keys and values of
cross-attention, layer by layer.

Only values that the program itself knows are handed over, under their names there. What was made of them for one
operator's sake (a shape, a transposed copy) stays where it is read.
"""

from collections.abc import Iterable
from dataclasses import replace

from compiler.emit.onnx.prune import prune
from compiler.emit.onnx.sheet import Sheet


def move(encode: Sheet, decode: Sheet) -> None:
    """`encode.outputs` are inputs of `decode`, under the same names, before and after."""
    made = _movable(decode, encode.outputs)
    moved = set(made.values())
    stays, handed = set(range(len(decode.lines))) - moved, dict[str, str]()
    open_ = [value for i in stays for value in decode.lines[i].inputs]
    while open_:
        value = open_.pop()
        if value in decode.known and value in made and decode.known[value][1].dtype == "float":
            handed[value] = decode.known[value][0]
        elif value in made and made[value] not in stays:
            stays.add(made[value])
            open_ += decode.lines[made[value]].inputs
    names = _copied(encode, decode, sorted(moved))
    for value in sorted(handed, key=lambda value: made[value]):
        public, type_ = decode.known[value]
        encode.outputs[public] = (names[value], type_)
        decode.inputs[public] = type_
    decode.lines[:] = [
        replace(line, inputs=tuple(handed.get(value, value) for value in line.inputs))
        for i, line in enumerate(decode.lines)
        if i in stays
    ]
    read = {value for line in decode.lines for value in (*line.inputs, *_inner(line.attrs))}
    for name in [name for name in encode.outputs if name not in read]:
        del encode.outputs[name], decode.inputs[name]
    prune(encode)
    prune(decode)


def _movable(decode: Sheet, given: Iterable[str]) -> dict[str, int]:
    """Values that depend on `given` and weights alone, each with the line that makes it. Loops are left alone."""
    ready, made = set(given), dict[str, int]()
    fixed = {"", *decode.weights, *decode.tables, *decode.constants}
    for i, line in enumerate(decode.lines):
        if "body" not in line.attrs and not ready.isdisjoint(line.inputs) and not set(line.inputs) - ready - fixed:
            ready.update(line.outputs)
            made.update(dict.fromkeys(line.outputs, i))
    return made


def _copied(encode: Sheet, decode: Sheet, moved: Iterable[int]) -> dict[str, str]:
    """Appends these lines to `encode`; returns what values of `decode` are called there."""
    names = {"": ""} | {public: value for public, (value, _) in encode.outputs.items()}

    def of(name: str) -> str:
        if name in names:
            return names[name]
        if name in decode.weights:
            names[name] = encode.weight(decode.weights[name])
        elif name in decode.constants:
            names[name] = encode.constant(decode.constants[name])
        elif name in decode.tables:
            names[name] = encode.table(f"of decode: {name}", decode.tables[name])
        else:
            names[name] = encode.fresh(name)
        return names[name]

    for i in moved:
        line = decode.lines[i]
        encode.lines.append(replace(line, inputs=tuple(map(of, line.inputs)), outputs=tuple(map(of, line.outputs))))
    return names


def _inner(attrs: object) -> set[str]:
    """What the loop of a line reads from outside."""
    return attrs["body"].reads() if isinstance(attrs, dict) and "body" in attrs else set()
