"""The methods of the model class as text: `forward` with all inputs by name, and what the runtime's classes call."""

from collections.abc import Sequence
from dataclasses import dataclass

from compiler.emit.torch.inputs import Argument
from compiler.emit.torch.names import quoted

ENCODED = "encoded: tuple[Tensor | None, ...]"
STATE = "state: State | None = None, last: int | None = None"


@dataclass(frozen=True)
class Signature:
    """The arguments of one pass: its rows first, their padding and their positions where it has them, all others."""

    arguments: Sequence[Argument]

    @property
    def head(self) -> list[Argument]:
        """The first argument, and the first mask and positions."""
        kinds = ("ids", "mask", "positions")
        found = (next((a for a in self.arguments if a.kind == kind), None) for kind in kinds)
        return [a for a in found if a is not None]

    @property
    def others(self) -> list[Argument]:
        """All others: handed over by name."""
        return [a for a in self.arguments if a not in self.head]

    def called(self) -> str:
        """The pass called with its own arguments."""
        return ", ".join(f"{a.name}={a.name}" for a in self.arguments)


def declared(head: Sequence[str], by_name: Sequence[Argument]) -> str:
    """A parameter list: `head`, then those that are handed over by name."""
    named = [f"{a.name}: {a.annotation}{'' if a.required else ' = None'}" for a in by_name]
    return ", ".join(["self", *head, *(["*", *named] if named else [])])


def in_order(arguments: Sequence[Argument]) -> list[str]:
    """Parameters that may be given by place. Behind one that may be absent Python wants a default for each."""
    optional, out = False, []
    for a in arguments:
        optional = optional or not a.required
        out.append(f"{a.name}: {'Tensor | None = None' if optional else 'Tensor'}")
    return out


def told(arguments: Sequence[Argument]) -> list[str]:
    """The docstring's lines on them."""
    return [f"{a.name}: {a.told}{'' if a.required else ', or None'}." for a in arguments]


def method(name: str, parameters: str, result: str, doc: Sequence[str], body: Sequence[str]) -> list[str]:
    """A method; the first line of `doc` stands alone."""
    lines = [f"    def {name}({parameters}) -> {result}:"]
    if len(doc) == 1:
        lines.append(f'        """{doc[0]}"""')
    elif doc:
        lines += [f'        """{doc[0]}', "", *(f"        {line}" for line in doc[1:]), '        """']
    return [*lines, *(f"        {line}" for line in body), ""]


def forward(source: Signature | None, own: Signature, result: str, body: Sequence[str] = ()) -> list[str]:
    """All rows at once, every input under its name. body: of a model whose only pass this is."""
    doc = f"All rows at once -> {result}."
    if source is None:
        head, others = own.head, own.others
        lines = list(body) or [f"return self.run({own.called()})"]
    else:
        head, others = [*source.head[:2], *own.head], [*source.head[2:], *source.others, *own.others]
        lines = [f"encoded = self.encode({source.called()})", f"return self.run(encoded, {own.called()})"]
    return method("forward", declared(in_order(head), others), "Tensor", [doc, *told([*head, *others])], lines)


def encode(source: Signature, body: Sequence[str], crossing: str) -> list[str]:
    doc = ["Run the source stacks once; the result goes to `new_state`."]
    others = [*source.head[2:], *source.others]
    lines = [*body, f"return {crossing}"]
    return method("encode", declared(in_order(source.head[:2]), others), "tuple[Tensor | None, ...]", doc, lines)


def run(own: Signature, crossing: str, stepping: bool, body: Sequence[str]) -> list[str]:
    """The output pass. One that steps takes rows, mask and positions by place, as the runtime hands them over."""
    head = [*([ENCODED] if crossing else []), *in_order(own.head), *([STATE] if stepping else [])]
    unpacked = [f"{crossing} = encoded"] if crossing else []
    return method("run", declared(head, own.others), "Tensor", (), [*unpacked, *body])


def told_places(arguments: Sequence[Argument]) -> list[Argument]:
    """Positions that a caller must give: nobody knows them of tokens that are not there yet."""
    return [a for a in arguments if a.kind == "places" or (a.kind == "positions" and a.required)]


def table(arguments: Sequence[Argument]) -> list[str]:
    """The class attribute that tells the shapes of all inputs but masks, and positions that may be absent."""
    rows = []
    for a in arguments:
        if a.kind in ("ids", "other") or a in told_places(arguments):
            shape = ", ".join(quoted(d) if isinstance(d, str) else str(d) for d in a.shape)
            rows.append(f"        {quoted(a.name)}: (({shape}), {a.below}),")
    return ["    inputs = {", *rows, "    }"]
