"""The model class: parameters outside layers, the pass from inputs to logits, and which base class steps it."""

from dataclasses import dataclass, field

from archspec.errors import InputError
from compiler import ops
from compiler.emit.torch.layer import Layer, declared
from compiler.emit.torch.names import comment, identifier, quoted, unique
from compiler.emit.torch.numbers import floats, strings
from compiler.emit.torch.writer import RUNTIME, ByLayer, File, Region, Writer, own_path
from compiler.ir.graph import Node
from compiler.ir.program import Program, calls

# Base class of the model -> the runtime module that it stands in.
HOMES = {"Stepping": "state", "Whole": "whole", "Translating": "translating", "WholeTranslating": "translating"}


@dataclass
class Part:
    """One of the two passes of a model: over the sources (encoders), or over the output stack."""

    nodes: list[Node] = field(default_factory=list)
    inputs: list[str] = field(default_factory=list)  # main inputs that it reads, ids first


def split(program: Program) -> tuple[Part, Part]:
    """The source pass and the output pass: what depends on new tokens (symbols S and T) is the output's."""
    own = {name for name, t in program.main.inputs.items() if {"S", "T"} & {str(d) for d in t.shape}}
    reached = set(own)
    source, output = Part(), Part()
    for node in program.main.nodes:
        late = any(v in reached for v in node.inputs) or len(program.meta["stacks"]) == 1
        part = output if late else source
        part.nodes.append(node)
        reached.update(node.outputs if late else ())
    for part, names in ((output, own), (source, set(program.main.inputs) - own)):
        part.inputs = sorted(names, key=lambda n: (n in program.optional, list(program.main.inputs).index(n)))
    return source, output


def refusal(program: Program, output: Part) -> str | None:
    """Why the model cannot run step by step: the operator and its reason; None where it can."""
    graphs = [program.blocks[b] for node in output.nodes if node.op == "repeat" for b in {c.block for c in calls(node)}]
    for node in [*output.nodes, *(n for graph in graphs for n in graph.nodes)]:
        reason = None if node.op == "repeat" else ops.get(node.op).lookahead(node.attrs)
        if reason is not None:
            return f"{node.op}: {reason}"
    return None


class ModelWriter:
    """Writes the main graph; `layers` fills with the classes of its blocks."""

    def __init__(self, file: File) -> None:
        self.file, self.program = file, file.program
        self.source, self.output = split(self.program)
        self.refusal = refusal(self.program, self.output)
        self.steps = self.refusal is None
        self.layers: dict[str, Layer] = {}
        self.holds: list[str] = []  # expressions of the held values by layer
        self.runs: list[tuple[str, Node]] = []  # attribute that lists the layers, repeat node
        self.crossing = self._crossing()
        self.source_body, self.source_arguments, given = self._part(self.source, steps=False, handed={})
        self.handed = [given[v] for v in self.crossing]
        self.body, self.arguments, names = self._part(
            self.output, steps=self.steps, handed=dict(zip(self.crossing, self.handed, strict=True))
        )
        self.result = names[self.program.main.outputs[0]]

    def _crossing(self) -> list[str]:
        """Values of the source pass that the output pass reads: stacks' outputs and their masks."""
        made = {v for node in self.source.nodes for v in node.outputs} | set(self.source.inputs)
        return list(dict.fromkeys(v for node in self.output.nodes for v in node.inputs if v in made))

    def _part(
        self, part: Part, steps: bool, handed: dict[str, str]
    ) -> tuple[list[str], dict[str, str], dict[str, str]]:
        """Lines, arguments (argument -> annotation and default), and the variable of each value."""
        w = Writer(self.file, self.program.main, "self", steps)
        w.names.update(handed)
        arguments = self._inputs(w, part)
        for node in part.nodes:
            streams = zip(node.inputs, node.outputs, strict=False) if node.op == "repeat" else ()
            w.hints.update({v: "x" for pair in streams for v in pair})
            w.hints.update({v: short(v) for v in node.outputs if v not in w.hints})
        last_region = max((i for i, node in enumerate(part.nodes) if node.op == "repeat"), default=-1)
        for i, node in enumerate(part.nodes):
            if node.op == "repeat":
                self._region(w, node)
            else:
                w.write(node)
                self._check_positions(w, node)
            if steps and i == last_region:
                stream = w.names[node.outputs[0]]
                w.lines += ["if state is not None:", f"    state.length += {stream}.shape[1]"]
                w.lines += ["if last is not None:", f"    {stream} = {stream}[:, -last:]"]
        self.counters = w.counters
        return w.lines, arguments, w.names

    def _inputs(self, w: Writer, part: Part) -> dict[str, str]:
        """Arguments of the pass; checks them and turns masks into `real` tokens."""
        main = self.program.main
        arguments: dict[str, str] = {}
        for name in part.inputs:
            kind = self.program.optional.get(name)
            argument = unique(identifier(name, "input"), {*arguments, *w.names.values()})
            arguments[argument] = "Tensor" if kind is None else "Tensor | None"
            if kind != "ones":
                w.names[name] = argument
                rows = [u.attrs["rows"] for u in main.users(name) if u.op == "embedding"]
                if kind == "zeros":
                    like = w.names[self.program.meta["ids"][name]]
                    w.line(f"{argument} = torch.zeros_like({like}) if {argument} is None else {argument}")
                if rows:
                    w.file.helper("check_ids", f"{RUNTIME}.base")
                    w.line(f"check_ids({argument}, {min(rows)}, {quoted(argument)})")
                continue
            ids = w.names[self.program.meta["ids"][name]]
            real = w.local("real")
            w.names[name] = real
            reader, state = ("real_new_tokens", ", state") if w.steps else ("real_tokens", "")
            w.file.helper(reader, f"{RUNTIME}.{'state' if w.steps else 'base'}")
            w.line(f"{real} = {reader}({argument}, {ids}, {quoted(argument)}{state})", "(B, S), None: no padding")
        for node in part.nodes:
            if node.op == "positions" and node.attrs.get("given"):
                argument = unique(identifier(node.attrs["given"], "input"), {*arguments, *w.names.values()})
                arguments[argument] = "Tensor | None"
                w.inputs_given[node.attrs["given"]] = argument
        if w.steps:
            if not part.inputs:
                raise InputError("the torch target cannot write a stack that steps without an input of its own yet",
                                 source=self.program.name)  # fmt: skip
            ids, real = (
                w.names[part.inputs[0]],
                next((w.names[n] for n in part.inputs if self.program.optional.get(n) == "ones"), "None"),
            )
            w.lines += ["if state is not None:", f"    state.take({ids}, {real})"]
        w.used |= set(arguments)
        return arguments

    def _check_positions(self, w: Writer, node: Node) -> None:
        """Learned positions end somewhere: say so before the table is read."""
        rows = [u.attrs["rows"] - u.attrs.get("offset", 0) for u in w.graph.users(node.name) if u.op == "embedding"]
        if node.op == "positions" and rows:
            w.file.helper("check_ids", f"{RUNTIME}.base")
            w.line(f'check_ids({w.names[node.name]}, {min(rows)}, "a position")')

    def _region(self, w: Writer, node: Node) -> None:
        """One run of layers: what they share is computed first, then each is called."""
        names = list(dict.fromkeys(call.block for call in calls(node)))
        blocks = [self.program.blocks[name] for name in names]
        region = Region(taken={*w.used, *w.names.values()})
        written = [
            Layer(self.file, block, w.steps, region, {layer.name for layer in self.layers.values()} | {"Model"})
            for block in blocks
        ]
        self.layers.update(zip(names, written, strict=True))
        region.keeps = any(layer.caches for layer in written)
        region.holds = any(layer.held for layer in written)
        stack = node.outputs[0].rsplit(".", 1)[0]
        attribute = unique(f"{identifier(stack, 'stack')}_layers", {name for name, _ in self.runs})
        self.runs.append((attribute, node))
        value = dict(zip(blocks[0].inputs, node.inputs, strict=True))  # block input -> main value
        for name, once in region.onces.items():
            w.line(f"{name} = {once.template.format(*(w.variable(value[v]) for v in once.inputs))}")
            w.used.add(name)
        streams = []
        for given, made in zip(node.inputs, node.outputs, strict=False):
            variable = w.names[given]
            if not w.last_use(node, given):
                w.line(f"{(fresh := w.fresh('x'))} = {variable}")
                variable = fresh
            w.names[made] = variable
            streams.append(variable)
        captured = {name: w.variable(value[v]) for v, name in region.captured.items()}
        arguments = [*streams, *captured.values(), *region.onces]
        n_caches, held = max(len(layer.caches) for layer in written), any(layer.held for layer in written)
        loop = [("layer", f"self.{attribute}")]
        for name, table in region.rows.items():
            w.line(f"{name} = {self._table(w, table, node)}", "a row for each layer")
            w.used.add(name)
            here = w.local(f"{name}_here")
            loop.append((here, name))
            arguments.append(here)
        if n_caches:
            w.line(f"caches = [[None] * {n_caches}] * {len(calls(node))} if state is None else state.caches")
            loop.append(("past", "caches"))
            arguments.append("past")
        if held:
            loop.append(("held", self._held(w, attribute, written, value)))
            arguments.append("held")
        variables, sources = (", ".join(names) for names in zip(*loop, strict=True))
        w.line(f"for {variables} in {f'zip({sources}, strict=True)' if len(loop) > 1 else sources}:")
        w.line(f"    {', '.join(streams)} = layer({', '.join(arguments)})", w.shape(node.outputs[0]))

    def _table(self, w: Writer, table: ByLayer, node: Node) -> str:
        """What is made of a table before the layers; a layer of another block has a row of zeros."""
        rows = [table.row(c.numbers[table.key]) if c.block == table.block else [] for c in calls(node)]
        wide = max(map(len, rows))
        flat = [number for row in rows for number in (row or [0.0] * wide)]
        buffer = w.buffer(table.hint, w.const(table.hint, floats(flat)))
        return table.template.format(f"self.{buffer}.view({len(rows)}, {wide})", w.names[node.outputs[0]])

    def _held(self, w: Writer, attribute: str, written: list[Layer], value: dict[str, str]) -> str:
        """The variable of what each layer holds of the sources; `hold` of the model makes it for a state."""
        inputs = list(next(layer.hold_inputs for layer in written if layer.held))
        given = ", ".join(w.variable(value[v]) for v in inputs)
        made = f"[layer.hold({given}) for layer in self.{attribute}]"
        self.holds.append(made)
        w.line(f"all_held = {made} if state is None else state.held" if w.steps else f"all_held = {made}")
        return "all_held"

    def text(self) -> str:
        """The class `Model`."""
        base = "Stepping" if self.steps else "Whole"
        if self.source.nodes:
            base = "Translating" if self.steps else "WholeTranslating"
        self.file.helper(base, f"{RUNTIME}.{HOMES[base]}")
        name = comment(self.program.name)
        lines = [f"class Model({base}):", f'    """{name}: {self._summary()}."""', ""]
        if self.refusal is not None:
            lines += [f"    refusal = {quoted(self.refusal)}", ""]
        else:
            counters = [f"    n_counters = {len(self.counters)}"] if self.counters else []
            lines += ["    end_ids = END_IDS", *counters, ""]
        if self.source.nodes and (names := list(self.source_arguments)[2:]):
            lines[-1:] = [f"    source_names = {strings(names)}", ""]
        lines[-1:] = [f"    layer_lists = {strings([name for name, _ in self.runs])}", ""]
        lines += ["    def __init__(self) -> None:", "        super().__init__()"]
        shapes = {t: self.program.params[t].shape for t in self._shared()}
        lines += declared(shapes)
        for attribute, node in self.runs:
            lines += self._attach(attribute, node)
        for buffer, expression in self.file.buffers.items():
            lines.append(f"        self.table({quoted(buffer)}, {expression})")
        lines += ["", *self._methods()]
        return "\n".join(lines)

    def _summary(self) -> str:
        counts = [f"{len(calls(node))} layers of {comment(node.outputs[0].rsplit('.', 1)[0])}" for _, node in self.runs]
        return ", ".join(counts) or "no layers"

    def _shared(self) -> list[str]:
        """Full paths: parameters of the main graph, and those that several layers share."""
        templates = [t for graph in self.program.graphs() for t in self.program.templates(graph)]
        return list(dict.fromkeys(t for t in templates if own_path(t) is None))

    def _attach(self, attribute: str, node: Node) -> list[str]:
        """The list of layers, each attached at its prefix."""
        self.file.helper("attach", f"{RUNTIME}.weights")
        parts = []
        for run in node.attrs["calls"]:
            kind = self.layers[run[0]].name
            if len(run) == 2:
                parts.append(f"attach(self, {quoted(run[1])}, {kind}()),")
            else:
                first, count = run[2], run[3]
                numbers = f"range({first}, {first + count})" if first else f"range({count})"
                path = quoted(run[1].replace("{", "{{").replace("}", "}}") + ".{}")
                parts.append(f"*(attach(self, {path}.format(i), {kind}()) for i in {numbers}),")
        return [f"        self.{attribute} = [", *(f"            {part}" for part in parts), "        ]"]

    def _methods(self) -> list[str]:
        ids = self.output.inputs[0] if self.output.inputs else "input_ids"
        first = next(iter(self.arguments.items()))
        mask = _one(self.arguments, {_mask_of(self.program, ids)}, "attention_mask")
        positions = _one(self.arguments, self._position_arguments(), "position_ids")
        head = [first, mask, positions]
        crossing = ", ".join(self.handed) if len(self.handed) > 1 else f"({''.join(self.handed)},)"
        others = [item for item in self.arguments.items() if item not in head]
        lines = []
        if self.source.nodes:
            given = ", ".join(
                f"{n}: {t}" + (" = None" if "None" in t else "") for n, t in self.source_arguments.items()
            )
            lines += [f"    def encode(self, {given}) -> tuple[Tensor | None, ...]:"]
            lines += ['        """Run the source stacks once; the result goes to `new_state`."""']
            lines += [f"        {line}" for line in self.source_body]
            lines += [f"        return {crossing}", ""]
        names = ", ".join(f"{n}: {t}" for n, t in head)
        more = "".join(f", {n}: {t} = None" for n, t in others)
        encoded = "encoded: tuple[Tensor | None, ...]" if self.source.nodes else ""
        state = "state: State | None = None, last: int | None = None" if self.steps else ""
        given = ", ".join(part for part in (encoded, names, state, f"*{more}" if more else "") if part)
        lines += [f"    def run(self, {given}) -> Tensor:"]
        if self.source.nodes:
            lines += [f"        {crossing} = encoded"]
        lines += [f"        {line}" for line in returned(self.body, self.result)]
        cached = [(a, n) for a, n in self.runs if any(self.layers[c.block].caches for c in calls(n))]
        if self.steps and self.source.nodes:
            lines += ["", "    def hold(self, encoded: tuple[Tensor | None, ...]) -> list[list[Tensor]]:"]
            if self.holds:
                lines += [f"        {crossing} = encoded"]
            lines += [f"        return {self.holds[0] if self.holds else '[]'}"]
        if self.steps:
            lines += ["", "    def caches(self, batch: int, length: int) -> list[list[Tensor]]:"]
            lines += ["        like = next(self.parameters())"]
            loops = [f"*(layer.caches(batch, length, like) for layer in self.{a})" for a, _ in cached]
            lines += [f"        return [{', '.join(loops)}]"]
        return lines

    def _position_arguments(self) -> set[str]:
        return {
            identifier(n.attrs["given"], "input")
            for n in self.output.nodes
            if n.op == "positions" and n.attrs.get("given")
        }


def returned(body: list[str], result: str) -> list[str]:
    """The body with its result returned: by the last line itself where that makes it."""
    if body and body[-1].startswith(f"{result} = "):
        return [*body[:-1], "return " + body[-1].removeprefix(f"{result} = ")]
    return [*body, f"return {result}"]


def short(value: str) -> str:
    """The end of a value's name that says what it is: "tokens" of "decoder.text.tokens", "then_0" of "head.then.0"."""
    parts = value.split(".")
    return parts[-1] if not parts[-1].isdigit() else "_".join(parts[-2:])


def _one(arguments: dict[str, str], names: set[str], otherwise: str) -> tuple[str, str]:
    """The argument among `names`; a pass that needs none takes one of the usual name all the same."""
    found = [item for item in arguments.items() if item[0] in names]
    return found[0] if found else (otherwise, "Tensor | None")


def _mask_of(program: Program, ids: str) -> str:
    """The argument that says which of these ids are padding."""
    masks = [n for n, kind in program.optional.items() if kind == "ones" and program.meta["ids"].get(n) == ids]
    return identifier(masks[0], "input") if masks else "attention_mask"
