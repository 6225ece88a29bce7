"""One class for each distinct block."""

from compiler.emit.torch.names import class_name, comment, quoted, unique
from compiler.emit.torch.writer import File, Region, Writer, own_path
from compiler.ir.graph import Graph, Node
from compiler.ir.program import Program
from compiler.ops.base import StateTensor


class Layer:
    """The written block: `text` of its class, how many caches it has, whether it holds values of other stacks.

    alike: names of all blocks that are written the same way, which share the class.
    """

    def __init__(self, file: File, graph: Graph, steps: bool, region: Region, used: set[str]) -> None:
        self.graph, self.steps, self.region = graph, steps, region
        self.alike = [graph.name]
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
        self.hold_body, self.hold_results = self._hold(file, source, w.held)

    def _hold(self, file: File, source: set[str], held: list[str]) -> tuple[list[str], list[str]]:
        """Lines and results of the method that makes the held values; its arguments are those of all blocks."""
        own = self.region.holding = self.region.holding or Region()
        w = Writer(file, self.graph, "self", False, own)
        for node in self.graph.nodes:
            if node.outputs[0] in source:
                w.write(node)
        if own.onces or own.rows:
            raise NotImplementedError("keys of another stack that read what is made once for all layers")
        return w.lines, [w.variable(v) for v in held]

    @property
    def held_from(self) -> dict[str, str]:
        """Arguments of `hold`: graph input -> variable."""
        return self.region.holding.captured if self.region.holding is not None else {}

    def text(self) -> str:
        """The class; complete only after all blocks of the region are written."""
        count = sum(self.program.counts()[name] for name in self.alike)
        where = comment(self.alike[0]) + (f" to {comment(self.alike[-1])}" if len(self.alike) > 1 else "")
        what = f"{'A layer' if count == 1 else f'One of {count} layers'} of {where}."
        return "\n".join([f"class {self.name}(nn.Module):", f'    """{what}"""', "", self.code()])

    def code(self) -> str:
        """The class without its name."""
        lines = ["    def __init__(self) -> None:", "        super().__init__()"]
        lines += declaration(self.program, self.graph)
        arguments = [*self.streams, *self.region.arguments]
        arguments += ["past"] if self.region.keeps else []
        arguments += ["held"] if self.region.holds else []
        lines += ["", f"    def forward(self, {', '.join(arguments)}):"]
        lines += [f"        {line}" for line in self.body]
        lines += [f"        return {', '.join(self.results)}"]
        if self.region.holds:
            lines += ["", f"    def hold(self, {', '.join(self.held_from.values()) or '*_'}):"]
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
