"""One class for each distinct block."""

from compiler.emit.torch.names import class_name, comment, quoted, unique
from compiler.emit.torch.writer import File, Region, Writer, own_path
from compiler.ir.graph import Graph, Node
from compiler.ir.program import Program
from compiler.ops.base import StateTensor


class Layer:
    """The written block: `text` of its class, how many caches it has, whether it holds values of other stacks."""

    def __init__(self, file: File, graph: Graph, steps: bool, region: Region, used: set[str]) -> None:
        self.graph, self.steps, self.region = graph, steps, region
        self.program: Program = file.program
        self.name = unique(f"{class_name(graph.name)}Layer", used)
        source = source_nodes(graph)
        w = Writer(file, graph, "self", steps, region)
        streams = list(graph.inputs)[: len(graph.outputs)]
        for value in streams:
            w.names[value] = w.fresh(value)
        self.streams = [w.names[value] for value in streams]
        for node in graph.nodes:
            if node.outputs[0] not in source:
                w.write(node)
        self.results = [w.variable(value) for value in graph.outputs]
        self.body, self.caches, self.held = w.lines, w.caches, w.held
        self.hold_body, self.hold_results, self.hold_inputs = self._hold(file, source, w.held)

    def _hold(self, file: File, source: set[str], held: list[str]) -> tuple[list[str], list[str], dict[str, str]]:
        """Lines, results and arguments (graph input -> variable) of the method that makes the held values."""
        own = Region()
        w = Writer(file, self.graph, "self", False, own)
        for node in self.graph.nodes:
            if node.outputs[0] in source:
                w.write(node)
        return w.lines, [w.variable(v) for v in held], own.captured

    def text(self) -> str:
        """The class; complete only after all blocks of the region are written."""
        count = self.program.counts()[self.graph.name]
        what = f"{'A layer' if count == 1 else f'One of {count} layers'} of {comment(self.graph.name)}."
        lines = [f"class {self.name}(nn.Module):", f'    """{what}"""', "", "    def __init__(self) -> None:"]
        lines += ["        super().__init__()", *declaration(self.program, self.graph)]
        arguments = [*self.streams, *self.region.arguments]
        arguments += ["past"] if self.region.keeps else []
        arguments += ["held"] if self.region.holds else []
        lines += ["", f"    def forward(self, {', '.join(arguments)}):"]
        lines += [f"        {line}" for line in self.body]
        lines += [f"        return {', '.join(self.results)}"]
        if self.region.holds:
            lines += ["", f"    def hold(self, {', '.join(self.hold_inputs.values()) or '*_'}):"]
            lines += ['        """Keys and values of another stack: computed once, then held."""']
            lines += [f"        {line}" for line in self.hold_body]
            lines += [f"        return [{', '.join(self.hold_results)}]"]
        if self.region.keeps:
            lines += ["", "    def caches(self, batch: int, length: int, like: Tensor) -> list[Tensor]:"]
            lines += ['        """What a state keeps for this layer."""', "        return ["]
            lines += [f"            {cache_text(tensor)},  # {comment(tensor.name)}" for _, tensor in self.caches]
            lines += ["        ]"]
        return "\n".join(lines)


def source_nodes(graph: Graph) -> set[str]:
    """Nodes that only make keys and values of cross-attention, by name."""
    found: set[str] = set()
    pending = [v for node in graph.nodes if node.attrs.get("cross") for v in node.inputs[1:3]]
    while pending:
        node: Node | None = graph.producer(pending.pop())
        if node is not None and node.name not in found:
            found.add(node.name)
            pending += [v for v in node.inputs if v]
    return found


def declaration(program: Program, graph: Graph, indent: str = "        ") -> list[str]:
    """The lines that declare a graph's own parameters: those of the layer, or the model's that have full paths."""
    paths = {t: own_path(t) for t in program.templates(graph)}
    return declared({path: program.params[t].shape for t, path in paths.items() if path is not None}, indent)


def declared(shapes: dict[str, tuple[int, ...]], indent: str = "        ") -> list[str]:
    if not shapes:
        return []
    items = [f"{indent}    {quoted(path)}: {shape!r}," for path, shape in shapes.items()]
    return [f"{indent}shapes = {{", *items, f"{indent}}}", f"{indent}declare(self, shapes)"]


def cache_text(tensor: StateTensor) -> str:
    """An empty state tensor."""
    dims = [_cache_dim(d, tensor.limit, tensor.every) for d in tensor.shape]
    floors = {"fp32": "float32", "fp16": "float16", "bf16": "bfloat16"}
    floor = floors.get(tensor.dtype)
    dtype = f", dtype=torch.promote_types(like.dtype, torch.{floor})" if floor else ""
    return f"like.new_zeros({', '.join(dims)}{dtype})"


def _cache_dim(dim: int | str, limit: int | None, every: int) -> str:
    if dim == "B":
        return "batch"
    if dim == "T":
        slots = "length" if every == 1 else f"-(-length // {every})"
        return slots if limit is None else f"min({slots}, {limit})"
    return str(dim)


def check_paths(program: Program) -> None:
    """Parameter paths become modules within modules: no part may be empty."""
    for template in program.params:
        if not all((own_path(template) or template).split(".")):
            raise NotImplementedError(f"the parameter path {quoted(template)}")
