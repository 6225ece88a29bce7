"""The model class: parameters outside layers, the pass from inputs to logits, and which base class steps it."""

from collections.abc import Sequence

from compiler.emit.torch import methods
from compiler.emit.torch.inputs import Argument, check_positions, dims, read_inputs, with_usual
from compiler.emit.torch.layer import Layer, declared
from compiler.emit.torch.methods import Signature
from compiler.emit.torch.names import comment, identifier, quoted, unique
from compiler.emit.torch.numbers import floats, strings
from compiler.emit.torch.parts import by_slots, finishing
from compiler.emit.torch.writer import RUNTIME, ByLayer, File, Region, Writer, own_path
from compiler.ir.graph import Node
from compiler.ir.parts import Part, refusal, split
from compiler.ir.program import calls

# Base class of the model -> the runtime module that it stands in.
HOMES = {"Stepping": "state", "Whole": "whole", "Translating": "translating", "WholeTranslating": "translating"}


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
        self.finish: list[str] = []  # the method that ends the pass, where it has one
        self.crossing = self._crossing()
        self.encodes = bool(self.source.inputs)
        self.source_arguments: list[Argument] = []
        self.source_body, self.source_arguments, given = self._part(self.source, steps=False, handed={})
        self.handed = [given[v] for v in self.crossing]
        self.body, self.arguments, names = self._part(
            self.output, steps=self.steps, handed=dict(zip(self.crossing, self.handed, strict=True))
        )
        if self.steps or (self.arguments and self.arguments[0].below):
            self.arguments = with_usual(self.arguments)
        self.result = names[self.program.main.outputs[0]]
        self._join_alike()

    def _join_alike(self) -> None:
        """Blocks that are written the same way are one class, as those that differ only in numbers of their layers."""
        classes: dict[str, Layer] = {}
        for name, layer in self.layers.items():
            one = self.layers[name] = classes.setdefault(layer.code(), layer)
            if one is not layer:
                one.alike.append(name)

    def _crossing(self) -> list[str]:
        """Values of the source pass that the output pass reads: stacks' outputs and their masks."""
        made = {v for node in self.source.nodes for v in node.outputs} | set(self.source.inputs)
        return list(dict.fromkeys(v for node in self.output.nodes for v in node.inputs if v in made))

    def _part(
        self, part: Part, steps: bool, handed: dict[str, str]
    ) -> tuple[list[str], list[Argument], dict[str, str]]:
        """Lines, arguments, and the variable of each value."""
        w = Writer(self.file, self.program.main, "self", steps)
        w.names.update(handed)
        arguments = read_inputs(w, part.inputs, part.nodes, {a.name for a in self.source_arguments})
        w.used |= {a.name for a in arguments}
        rows = arguments[0].name if arguments else ""
        if steps:
            real = next((w.names[n] for n in part.inputs if self.program.optional.get(n) == "ones"), "None")
            w.lines += ["if state is not None:", f"    state.take({rows}, {real})"]
        for node in part.nodes:
            streams = zip(node.inputs, node.outputs, strict=False) if node.op == "repeat" else ()
            w.hints.update({v: "x" for pair in streams for v in pair})
            w.hints.update({v: short(v) for v in node.outputs if v not in w.hints})
        last_region = max((i for i, node in enumerate(part.nodes) if node.op == "repeat"), default=-1)
        ending = finishing(self.program, part.nodes, last_region)
        for i, node in enumerate(part.nodes[: len(part.nodes) - len(ending)]):
            if node.op == "repeat":
                self._region(w, node)
            else:
                w.write(node)
                check_positions(w, node)
            if steps and i == (last_region if last_region >= 0 else len(part.nodes) - 1):
                stream = w.names[node.outputs[0]]
                w.lines += ["if state is not None:", f"    state.length += {rows}.shape[1]"]
                w.lines += ["if last is not None:", f"    {stream} = {stream}[:, -last:]"]
        if ending:
            self._finish(w, ending)
        self.counters = w.counters
        return w.lines, arguments, w.names

    def _finish(self, w: Writer, nodes: Sequence[Node]) -> None:
        """These nodes as a method of their own, which `load(compile=True)` compiles as it does a layer."""
        made = {v for node in nodes for v in node.outputs}
        read = list(dict.fromkeys(v for node in nodes for v in node.inputs if v not in made))
        own = Writer(self.file, self.program.main, "self", False)
        own.names = {v: w.names[v] for v in read}
        own.hints = w.hints
        for node in nodes:
            own.write(node)
        result = self.program.main.outputs[0]
        given = ", ".join(own.names[v] for v in read)
        doc = [f"What the layers made -> {w.shape(result)}."]
        arguments = ", ".join(f"{own.names[v]}: Tensor" for v in read)
        self.finish = methods.method(
            "finish", f"self, {arguments}", "Tensor", doc, returned(own.lines, own.names[result])
        )
        w.names[result] = w.fresh(w.hints.get(result, result))
        w.line(f"{w.names[result]} = self.finish({given})", w.shape(result))

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
            if variable in streams or not w.last_use(node, given):
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
        """What is made of a table before the layers; a layer of a block that has none has a row of zeros."""
        zeros = [0.0] * table.width
        rows = [table.rows[c.block](c.numbers) if c.block in table.rows else zeros for c in calls(node)]
        same = all(row == rows[0] for row in rows)
        flat = [number for row in rows[: 1 if same else None] for number in row]
        given = f"self.{w.buffer(table.hint, w.const(table.hint, floats(flat)))}"
        given += f".expand({len(rows)}, -1)" if same else f".view({len(rows)}, -1)"
        return table.template.format(given, w.names[node.outputs[0]])

    def _held(self, w: Writer, attribute: str, written: list[Layer], value: dict[str, str]) -> str:
        """The variable of what each layer holds of the sources; `hold` of the model makes it for a state."""
        given = ", ".join(w.variable(value[v]) for v in written[0].held_from)
        made = f"[layer.hold({given}) for layer in self.{attribute}]"
        self.holds.append(made)
        w.line(f"all_held = {made} if state is None else state.held" if w.steps else f"all_held = {made}")
        return "all_held"

    def text(self) -> str:
        """The class `Model`."""
        base = "Stepping" if self.steps else "Whole"
        if self.encodes:
            base = "Translating" if self.steps else "WholeTranslating"
        self.file.helper(base, f"{RUNTIME}.{HOMES[base]}")
        name = comment(self.program.name)
        lines = [f"class Model({base}):", f'    """{name}: {self._summary()}."""', ""]
        if self.refusal is not None:
            lines += [f"    refusal = {quoted(self.refusal)}", ""]
        else:
            counters = [f"    n_counters = {len(self.counters)}"] if self.counters else []
            by_slot = ["    by_slot = True"] if by_slots(self.output) else []
            lines += ["    end_ids = END_IDS", *by_slot, *counters, ""]
        if self.encodes:
            lines[-1:] = [f"    source_names = {strings([a.name for a in self.source_arguments])}", ""]
            lines[-1:] = [f"    first_name = {quoted(self.arguments[0].name)}", ""]
            handed = [dims(self.program.main.types[v]) for v in self.crossing]
            lines[-1:] = [f"    crossing = ({', '.join(handed)}{',' if len(handed) == 1 else ''})", ""]
        lines[-1:] = [*methods.table([*self.source_arguments, *self.arguments]), ""]
        if told := methods.told_places(self.arguments) if self.steps else []:
            lines[-1:] = [f"    places = {strings([a.name for a in told])}", ""]
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
        counts: dict[str, int] = {}
        for _, node in self.runs:
            stack = comment(node.outputs[0].rsplit(".", 1)[0])
            counts[stack] = counts.get(stack, 0) + len(calls(node))
        return ", ".join(f"{count} layers of {stack}" for stack, count in counts.items()) or "no layers"

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
        own, source = Signature(self.arguments), Signature(self.source_arguments) if self.encodes else None
        crossing = ", ".join(self.handed) if len(self.handed) > 1 else f"({''.join(f'{v},' for v in self.handed)})"
        program = self.program
        made = comment(f"({', '.join(map(str, program.main.types[program.main.outputs[0]].shape))})")
        body = returned(self.body, self.result)
        if source is None and not self.steps:
            return [*methods.forward(None, own, made, body), *self.finish][:-1]
        lines = methods.forward(source, own, made)
        if source is not None:
            lines += methods.encode(source, self.source_body, crossing)
        lines += methods.run(own, crossing if source else "", self.steps, body) + self.finish
        cached = [(a, n) for a, n in self.runs if any(self.layers[c.block].caches for c in calls(n))]
        if self.steps and source is not None:
            unpacked = [f"{crossing} = encoded"] if self.holds else []
            held = [*unpacked, f"return {self.holds[0] if self.holds else '[]'}"]
            lines += methods.method("hold", f"self, {methods.ENCODED}", "list[list[Tensor]]", (), held)
        if self.steps:
            loops = [f"*(layer.caches(batch, length, like) for layer in self.{a})" for a, _ in cached]
            kept = ["like = next(self.parameters())", f"return [{', '.join(loops)}]"]
            lines += methods.method("caches", "self, batch: int, length: int", "list[list[Tensor]]", (), kept)
        return lines[:-1]


def returned(body: list[str], result: str) -> list[str]:
    """The body with its result returned: by the last line itself where that makes it."""
    if body and body[-1].startswith(f"{result} = "):
        return [*body[:-1], "return " + body[-1].removeprefix(f"{result} = ")]
    return [*body, f"return {result}"]


def short(value: str) -> str:
    """The end of a value's name that says what it is: "tokens" of "decoder.text.tokens", "then_0" of "head.then.0"."""
    parts = value.split(".")
    return parts[-1] if not parts[-1].isdigit() else "_".join(parts[-2:])
